"""Places, entropy and bounded counts over a handful of events, with answers that are known from elsewhere."""

from __future__ import annotations

import math
from decimal import Decimal

import numpy as np
import pytest

from quanheng.features.fold import EventLayout, Fold
from quanheng.features.kernel.words import NULL, NUMBER_MIN
from quanheng.features.plan import Plan
from quanheng.features.state import FeatureState
from quanheng.testing.slow_features import Event, as_arrays

PAY = EventLayout("pay", 1, ("card", "shop"), ("amount", "latitude", "longitude"), (0, 4, 4))
PLACES = [Fold(kind, "pay", ("card",), kind, "latitude", other="longitude") for kind in ("distance", "speed")]

# Great circles in km, as gazetteers and almanacs give them for the ellipsoid; the sphere is within 0.56 %.
CITIES = """
London       51.5074   -0.1278 | Paris       48.8566    2.3522 |   343.9
New York     40.6398  -73.7789 | London      51.4775   -0.4614 |  5554.9
Beijing      39.9042  116.4074 | Shanghai    31.2304  121.4737 |  1066.0
Sydney      -33.8688  151.2093 | Melbourne  -37.8136  144.9631 |   713.8
Equator       0.0       0.0    | Pole        90.0       0.0    | 10002.0
"""


def rows_of(folds, events, lateness_ms=0):
    """Events: (time, amount, latitude, longitude) of one card, with the shop 2^20 * amount."""
    plan = Plan.compile([PAY], folds, ["pay"], lateness_ms)
    arrays = as_arrays(
        [Event(1, time, ((1, 1), (amount * 2**20, 1)), (amount, *place)) for time, amount, *place in events], 2, 3
    )
    raw = FeatureState(plan).run(*arrays)
    return plan, raw, plan.floats(raw)


def degrees(text):
    return round(Decimal(text) * 10**4)


@pytest.mark.parametrize("line", CITIES.strip().splitlines())
def test_distances_of_cities(line):
    one, two, known = line.split("|")
    places = [[degrees(part) for part in place.split()[-2:]] for place in (one, two)]
    _, raw, numbers = rows_of(PLACES, [(0, 1, *places[0]), (7_200_000, 1, *places[1])])
    assert raw[0].tolist() == [NULL, NULL]
    assert abs(raw[1, 0] / 1000 / float(known) - 1) < 0.0056
    assert numbers[1, 1] == pytest.approx(raw[1, 0] / 1000 / 2, abs=0.001)  # km/h over two hours
    # The same angle from vectors, with the functions of the C library.
    a, b = ([math.radians(part / 10**4) for part in place] for place in places)
    u, v = (np.array([math.cos(p) * math.cos(q), math.cos(p) * math.sin(q), math.sin(p)]) for p, q in (a, b))
    assert raw[1, 0] == round(6_371_008.8 * math.atan2(np.linalg.norm(np.cross(u, v)), u @ v))


@pytest.mark.parametrize(
    ("one", "two", "metres"),
    [
        ((0, 0), (900_000, 0), 10_007_557),  # A quarter of a meridian: R pi / 2.
        ((0, 0), (0, 1_800_000), 20_015_114),  # Antipodes: R pi.
        ((450_000, 100_000), (-450_000, -1_700_000), 20_015_114),
        ((0, 1_795_000), (0, -1_795_000), 111_195),  # Over the date line: R pi / 180.
        ((900_000, 0), (900_000, 1_230_000), 0),  # A pole has every longitude.
        ((123_456, 654_321), (123_456, 654_321), 0),
        ((0, 0), (1, 0), 11),  # 1e-4 degrees
        ((900_001, 0), (0, 0), NULL), ((0, 0), (-900_001, 0), NULL), ((0, 1_800_001), (0, 0), NULL),
        ((0, 0), (NULL, 0), NULL), ((0, NULL), (0, 0), NULL),
    ],
)  # fmt: skip
def test_distances_at_the_edges(one, two, metres):
    _, raw, _ = rows_of(PLACES, [(0, 1, *one), (3_600_000, 1, *two)])
    assert raw[1, 0] == metres


def test_the_two_last_rows_are_kept_though_all_others_are_let_go():
    day = 86_400_000
    _, raw, numbers = rows_of(PLACES, [(step * day, 1, 0, step * 10_000) for step in range(50)])
    assert raw[1:, 0].tolist() == [111_195] * 49
    assert numbers[1:, 1] == pytest.approx([111.195 / 24] * 49, rel=1e-5)


def test_speed_of_events_at_one_time_is_null():
    _, raw, numbers = rows_of(PLACES, [(5, 1, 0, 0), (5, 1, 0, 0), (5, 1, 0, 50), (6, 1, 0, 50)])
    assert raw[1:, 0].tolist() == [0, 556, 0]
    assert raw[1:3, 1].tolist() == [NULL, NULL]
    assert numbers[3, 1] == 0.0


def test_a_window_of_one_row_has_no_distance():
    fold = Fold("d", "pay", ("card",), "distance", "latitude", 10, other="longitude")
    _, raw, _ = rows_of([fold], [(0, 1, 0, 0), (10, 1, 0, 0), (19, 1, 0, 10_000)])
    assert raw[:, 0].tolist() == [NULL, NULL, 111_195]


def test_entropy():
    folds = [
        Fold("bits", "pay", ("card",), "entropy", "amount", 10),
        Fold("before", "pay", ("card",), "entropy", "amount", 10, current="out"),
        Fold("shops", "pay", ("card",), "entropy", "shop"),
    ]
    plan, _, numbers = rows_of(folds, [(0, 5, 0, 0), (1, 6, 0, 0), (2, 5, 0, 0), (3, 7, 0, 0), (11, 7, 0, 0)])
    third = -(2 / 3 * math.log2(2 / 3) + 1 / 3 * math.log2(1 / 3))
    assert numbers[:, 0] == pytest.approx([0, 1, third, 1.5, third], abs=2**-30)
    assert numbers[1:, 1] == pytest.approx([0, 1, third, 1], abs=2**-30)
    assert math.isnan(numbers[0, 1])
    assert numbers[:4, 2] == pytest.approx([0, 1, third, 1.5], abs=2**-30)
    assert plan.exact(rows_of(folds, [(0, 5, 0, 0), (1, 6, 0, 0)])[1][1], 0) == Decimal("1.0000")


def test_distinct_is_exact_up_to_exact_max_and_again_when_a_moment_goes_back():
    fold = Fold("shops", "pay", ("card",), "distinct", "shop", exact_max=100)
    many = [(time, time, 0, 0) for time in range(1, 1001)]
    _, raw, _ = rows_of([fold], [*many, (95, 2000, 0, 0), (100, 2000, 0, 0), (600, 1, 0, 0)], lateness_ms=1000)
    assert raw[:100, 0].tolist() == list(range(1, 101))
    assert abs(raw[999, 0] / 1000 - 1) < 0.05
    assert raw[1000, 0] == 96
    assert abs(raw[1001, 0] / 101 - 1) < 0.05
    assert abs(raw[1002, 0] / 601 - 1) < 0.05


def test_top_of_a_key_is_the_smallest_of_equals_as_unsigned():
    fold = Fold("shop", "pay", ("card",), "top", "shop", 10)
    plan = Plan.compile([PAY], [fold], ["pay"], 0)
    shops = [(2**63 + 5, 1), (2**63, 9), (2**62, 7), (2**62, 6)]
    events = [Event(1, time, ((1, 1), shop), (0, 0, 0)) for time, shop in enumerate(shops)]
    raw = FeatureState(plan).run(*as_arrays(events, 2, 3))
    assert raw[:, 0].tolist() == [(2**63 + 5) >> 11, 2**52, 2**51, 2**51]


def test_a_percentile_of_the_smallest_numbers_is_a_number():
    """The answer of the outermost bucket was the mark of a sum that does not fit."""
    fold = Fold("half", "pay", ("card",), "percentile", "amount", quantile=Decimal("0.5"))
    plan = Plan.compile([PAY], [fold], ["pay"], 0)
    events = [Event(1, time, ((1, 1), (1, 1)), (NUMBER_MIN, 0, 0)) for time in range(3)]
    raw = FeatureState(plan).run(*as_arrays(events, 2, 3))
    assert raw[:, 0].tolist() == [NUMBER_MIN] * 3
