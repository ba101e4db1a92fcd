"""When a group starts and how large it is: few callers, many, a crowd that leaves, and a closed loop that settles."""

from __future__ import annotations

import random
from heapq import heappop, heappush

import pytest

from quanheng.server.pace import FIRST_WAIT_S, FORGET_SHARE, HALVED_MIN, Pace


@pytest.mark.parametrize(
    ("queued", "committing", "wanted"),
    [
        (1, 0, 1),  # A lone caller never waits.
        (3, 0, 1),
        (2, 3, 3),  # Few: prepared ahead only when as many wait as are being committed.
        (0, HALVED_MIN - 1, HALVED_MIN - 1),
        (10, 6, 8),  # From here on, half of all that are under way.
        (40, 24, 32),
        (20, 36, 20),  # All who are not being committed are there: nobody else will come.
        (3, 61, 16),  # But a handful beside a crowd waits for the first who come back.
        (5_000, 512, 512),  # Never more than a group holds.
    ],
)
def test_how_many_make_a_group_worth_starting(queued, committing, wanted):
    assert Pace(512).wanted(queued, committing) == wanted


def test_a_small_crowd_is_taken_whole_and_a_large_one_in_halves():
    assert Pace(512).take(HALVED_MIN - 1, 0) == 512
    assert Pace(512).take(64, 0) == 32
    assert Pace(20).take(64, 0) == 20
    assert Pace(20).take(36, 28) == 20


def test_a_few_more_than_a_half_are_not_left_behind():
    assert Pace(512).take(36, 28) == 36
    assert Pace(512).take(40, 24) == 40
    assert Pace(512).take(41, 23) == 32
    assert Pace(512).take(30, 34) == 30


def test_a_crowd_that_has_gone_is_forgotten():
    pace = Pace(512)
    pace.take(400, 112)
    groups = 0
    while pace.wanted(1, 0) > 1:
        pace.take(1, 0)
        groups += 1
    assert groups < 6 * FORGET_SHARE, "a caller who is left alone waits for nobody soon"


def test_the_wait_follows_the_time_of_a_group():
    pace = Pace(512)
    assert pace.wait_s == FIRST_WAIT_S
    for _ in range(100):
        pace.decided(0.004)
    assert pace.wait_s == pytest.approx(0.004, rel=0.01)


def simulate(pace, callers, groups, seed, fixed_ms=1.3, each_ms=0.05, travel_ms=0.1):
    """Sizes of groups and waits of callers (ms): one writer, one edge that carries one event at a time."""
    rng = random.Random(seed)
    now, edge_free, arrivals, queue, sizes, waits = 0.0, 0.0, [], [], [], []
    for _ in range(callers):
        heappush(arrivals, rng.random() * 10)
    while len(sizes) < groups:
        give_up = None
        while True:
            while arrivals and arrivals[0] <= now:
                queue.append(heappop(arrivals))
            late = give_up is not None and now >= give_up
            if queue and (late or len(queue) >= pace.wanted(len(queue), 0)):
                break
            if queue and give_up is None:
                give_up = now + pace.wait_s * 1000
            now = min([*arrivals[:1], *([give_up] if give_up is not None else [])])
        size = min(len(queue), pace.take(len(queue), 0))
        took_ms = fixed_ms + each_ms * size
        now += took_ms
        pace.decided(took_ms / 1000)
        for _ in range(size):
            waits.append(now - queue.pop(0))
            edge_free = max(edge_free, now) + travel_ms * rng.uniform(0.5, 1.5)
            heappush(arrivals, edge_free)
        sizes.append(size)
    return sizes, sorted(waits)


@pytest.mark.parametrize("seed", range(5))
def test_a_closed_loop_settles_into_even_groups(seed):
    sizes, waits = simulate(Pace(512), 64, 600, seed)
    settled = sizes[100:]
    assert sum(settled) / len(settled) > 16, f"a good part of those who do not travel: seed={seed}"
    assert max(settled) <= 40
    assert sum(size < 8 for size in settled) < len(settled) / 50, f"hardly any small groups: seed={seed}"
    assert waits[int(len(waits) * 0.99)] < 3 * waits[len(waits) // 2]


@pytest.mark.parametrize("callers", [1, 2, 7])
def test_few_callers_are_not_held_up(callers):
    sizes, waits = simulate(Pace(512), callers, 300, seed=1)
    assert max(sizes) <= callers
    assert waits[-1] <= 2 * (1.3 + 0.05 * callers) + 0.1, "at most the group before, and one's own"
