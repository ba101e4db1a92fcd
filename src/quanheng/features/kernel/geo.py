"""Distance on the earth between two places given in scaled degrees; sine, cosine and arc tangent of our own.

The haversine of an angle is sin^2 of its half (R. W. Sinnott, Virtues of the Haversine, 1984). With p for latitudes
and l for the difference of longitudes,
    a = sin^2((p2 - p1) / 2) + cos p1 * cos p2 * sin^2(l / 2)
    b = sin^2((p2 + p1) / 2) + cos p1 * cos p2 * cos^2(l / 2) = 1 - a
    distance = 2 R * atan2(sqrt a, sqrt b)
Both are sums of what is not negative, so nothing cancels, neither for neighbours nor for antipodes. R is the mean
radius (2 a + b) / 3 of the ellipsoid GRS 80 (H. Moritz, Geodetic Reference System 1980, adopted by the IUGG):
6 371 008.8 m. The sphere stands for the ellipsoid within 0.56 %.

Differences of degrees are taken in whole numbers. All else is the four basic operations and square roots, each rounded
as IEEE 754 says, in one order: the same bits on every machine, which the functions of a C library do not promise.
"""

import math

import numpy as np
from numba import njit, types

from quanheng.features.kernel.parts import part

RADIUS_M = 6_371_008.8
_RADIANS = math.pi / 180
_HALF_PI = math.pi / 2
# Taylor series. On |x| <= pi/4 the first term left out is below 1e-19 of sine, 1e-17 of cosine; on |x| <= tan(pi/16)
# below 1e-18 of the arc tangent. Highest power first.
_SIN = tuple((-1) ** k / math.factorial(2 * k + 1) for k in range(8, -1, -1))
_COS = tuple((-1) ** k / math.factorial(2 * k) for k in range(8, -1, -1))
_ATAN = tuple((-1) ** k / (2 * k + 1) for k in range(12, -1, -1))


@njit(nogil=True, error_model="numpy")
def series(coefficients, x):
    """Horner's rule."""
    total = 0.0
    for coefficient in coefficients:
        total = total * x + coefficient
    return total


@part(types.float64)
def sine(degrees):
    """|sin| of an angle from -180 to 180 degrees."""
    degrees = abs(degrees)
    if degrees > 90.0:
        degrees = 180.0 - degrees
    if degrees <= 45.0:
        x = degrees * _RADIANS
        return x * series(_SIN, x * x)
    x = (90.0 - degrees) * _RADIANS
    return series(_COS, x * x)


@njit(nogil=True, error_model="numpy")
def cosine(degrees):
    """|cos| of an angle from -180 to 180 degrees."""
    return sine(90.0 - abs(degrees))


@njit(nogil=True, error_model="numpy")
def arc(y, x):
    """atan2 for y, x >= 0, not both zero. tan(v/2) = t / (1 + sqrt(1 + t^2)), twice."""
    t = y / x if y <= x else x / y
    t = t / (1.0 + np.sqrt(1.0 + t * t))
    t = t / (1.0 + np.sqrt(1.0 + t * t))
    angle = 4.0 * (t * series(_ATAN, t * t))
    return angle if y <= x else _HALF_PI - angle


@njit(nogil=True, error_model="numpy")
def metres(latitude_1, longitude_1, latitude_2, longitude_2, latitude_unit, longitude_unit):
    """Metres between two places; whole numbers with so many units a degree, within their range."""
    p1, p2 = np.float64(latitude_1) / latitude_unit, np.float64(latitude_2) / latitude_unit
    apart = np.float64(latitude_2 - latitude_1) / (2.0 * latitude_unit)
    middle = np.float64(latitude_2 + latitude_1) / (2.0 * latitude_unit)
    turn = np.float64(longitude_2 - longitude_1) / (2.0 * longitude_unit)
    both = cosine(p1) * cosine(p2)
    u, v, m, w = sine(apart), sine(turn), sine(middle), cosine(turn)
    a, b = u * u + both * (v * v), m * m + both * (w * w)
    return 2.0 * RADIUS_M * arc(np.sqrt(a), np.sqrt(b))
