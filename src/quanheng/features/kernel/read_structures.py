"""Columns that ask a structure, a streak or two places."""

import numpy as np
from numba import njit

from quanheng.features.kernel.arena import is_null, set_place
from quanheng.features.kernel.entropy import entropy_of
from quanheng.features.kernel.geo import metres
from quanheng.features.kernel.parts import part
from quanheng.features.kernel.pointers import offset
from quanheng.features.kernel.registers import bounded_read
from quanheng.features.kernel.ring import row_at
from quanheng.features.kernel.sketch import percentile_of
from quanheng.features.kernel.streak import streak
from quanheng.features.kernel.top import top_of
from quanheng.features.kernel.words import (
    D_BLOCK,
    D_TOTAL,
    DISTANCE,
    ENTROPY,
    ESTIMATE,
    M_AT,
    M_PLACE,
    M_VALUE_WORDS,
    M_WORDS,
    NULL,
    PERCENTILE,
    SPEED,
    STREAK,
    T_SETS,
    T_STRIDE,
    TOP_SHARE,
)

_KMH = 3600.0  # m/ms to km/h.


@njit(nogil=True, error_model="numpy")
def is_place(latitude, longitude, latitude_most, longitude_most):
    """Whether both are known and on the globe. NULL is below any range."""
    return -latitude_most <= latitude <= latitude_most and -longitude_most <= longitude <= longitude_most


@njit(nogil=True, error_model="numpy")
def read_places(P, A, table, slot, kind, argument, low, high, out, place):
    """Distance or speed between the last two rows of a window: NULL where there are none, or one has no place."""
    out[place] = NULL
    if high - low < 2:
        return
    latitude, longitude, latitude_unit, longitude_unit = P[argument], P[argument + 1], P[argument + 2], P[argument + 3]
    one = row_at(A, slot, P[table + T_STRIDE], high - 2)
    two = row_at(A, slot, P[table + T_STRIDE], high - 1)
    for row in (one, two):
        if not is_place(A[row + 1 + latitude], A[row + 1 + longitude], 90 * latitude_unit, 180 * longitude_unit):
            return
    length = metres(
        A[one + 1 + latitude], A[one + 1 + longitude], A[two + 1 + latitude], A[two + 1 + longitude],
        np.float64(latitude_unit), np.float64(longitude_unit),
    )  # fmt: skip
    if kind == DISTANCE:
        out[place] = np.int64(length + 0.5)
    elif A[two] > A[one]:
        offset(out, place, np.float64)[0] = length / np.float64(A[two] - A[one]) * _KMH


@njit(nogil=True, error_model="numpy")
def read_values(P, A, meta, counted, kind, argument, own, first, second, out, place, step):
    """The columns of a fold over values; `own`: without one row of the value (first, second)."""
    if kind == ESTIMATE:
        out[place] = bounded_read(P, A, meta, counted, np.int64(own), first, second)
        return
    width, total = P[meta + M_VALUE_WORDS] + 1, A[counted + D_TOTAL] - np.int64(own)
    out[place] = NULL
    if kind == TOP_SHARE:
        out[place + step] = total
    if total <= 0:
        return
    if kind == PERCENTILE:
        out[place] = percentile_of(P, A, meta, counted, P[argument + 1], np.int64(own), first)
        return
    entry, block = np.int64(-1), A[counted + D_BLOCK]
    if own:
        entry = (set_place(A, counted, width, first, second) - block) // width
    if kind == ENTROPY:
        own_count = A[block + entry * width + width - 1] if own else np.int64(0)
        offset(out, place, np.float64)[0] = entropy_of(P, A, meta, counted, own_count)
        return
    best, count = top_of(A, counted, width, entry)
    value = A[block + best * width]
    if kind == TOP_SHARE:
        out[place] = count
    elif width == 3:  # 53 bits of a key: equality survives a float64.
        out[place] = np.int64(np.uint64(value) >> np.uint64(11))
    else:
        out[place] = value


@part()
def read_structure(P, A, table, slot, kind, argument, low, high, without, out, place, step):
    """Write the columns of one fold over positions low..high-1; `without`: position of the row that is left out, or -1.

    argument : number of the tree of a streak; of others the offset in the plan of what they ask (tables of
        `features/structures.py`): number of the structure and more, or columns and units of two places
    """
    if kind == STREAK:
        out[place] = streak(P, A, table, slot, argument, low, high)
    elif kind == DISTANCE or kind == SPEED:  # noqa: PLR1714, SIM109
        read_places(P, A, table, slot, kind, argument, low, high, out, place)
    else:
        meta = P[table + T_SETS] + M_WORDS * P[argument]
        width, first, second, own = P[meta + M_VALUE_WORDS] + 1, np.int64(0), np.int64(0), False
        if without >= 0:
            at = row_at(A, slot, P[table + T_STRIDE], without) + 1 + P[meta + M_PLACE]
            first, second = A[at], A[at + width - 2]
            own = not is_null(first, second, width)
        read_values(P, A, meta, slot + P[meta + M_AT], kind, argument, own, first, second, out, place, step)
    return 0
