"""Token buckets: what passes, how long to wait, who is forgotten."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from quanheng.server.limits import RateLimiter

SECOND = 1_000_000


def test_a_burst_passes_and_the_next_waits():
    limiter = RateLimiter(10, 20, 5)
    assert limiter.take(b"a", 20, 0) == 0
    assert limiter.take(b"a", 1, 0) == 1
    assert limiter.take(b"a", 15, 0) == 2  # 1.5 s, rounded up
    assert limiter.take(b"a", 1, SECOND // 10) == 0


def test_clients_do_not_share_a_bucket():
    limiter = RateLimiter(1, 1, 5)
    assert (limiter.take(b"a", 1, 0), limiter.take(b"b", 1, 0), limiter.take(b"a", 1, 0)) == (0, 0, 1)


def test_zero_switches_it_off():
    limiter = RateLimiter(0, 1, 5)
    assert limiter.take(b"a", 10**9, 0) == 0
    assert len(limiter) == 0


def test_a_request_larger_than_the_bucket_passes_when_it_is_full_and_leaves_a_debt():
    limiter = RateLimiter(10, 20, 5)
    assert limiter.take(b"a", 50, 0) == 0
    assert limiter.take(b"a", 1, 0) == 4  # 30 in debt, and one: 3.1 s
    assert limiter.take(b"a", 1, 4 * SECOND) == 0


def test_the_least_recently_seen_client_is_forgotten():
    limiter = RateLimiter(1, 1, 2)
    for client in (b"a", b"b", b"a", b"c"):
        limiter.take(client, 1, 0)
    assert len(limiter) == 2
    assert limiter.take(b"a", 1, 0) == 1, "a was seen after b"
    assert limiter.take(b"b", 1, 0) == 0, "b was forgotten, so it has a full bucket"


def test_a_clock_that_steps_back_gives_nothing():
    limiter = RateLimiter(1, 1, 2)
    limiter.take(b"a", 1, 5 * SECOND)
    assert limiter.take(b"a", 1, 0) == 1


@given(st.lists(st.tuples(st.integers(1, 30), st.integers(0, 3 * SECOND)), max_size=60))
def test_never_more_than_rate_and_burst(asks):
    rate, burst = 7, 20
    limiter, now, passed = RateLimiter(rate, burst, 3), 0, 0
    for events, step in asks:
        now += step
        if events <= burst and limiter.take(b"a", events, now) == 0:
            passed += events
        assert passed * SECOND <= burst * SECOND + rate * now


@given(st.integers(1, 20), st.integers(1, 1000))
def test_the_wait_that_is_told_is_enough(events, rate):
    limiter = RateLimiter(rate, 20, 3)
    limiter.take(b"a", 20, 0)
    wait_s = limiter.take(b"a", events, 0)
    assert wait_s >= 1
    assert limiter.take(b"a", events, wait_s * SECOND) == 0
