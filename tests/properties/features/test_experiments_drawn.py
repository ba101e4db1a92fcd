"""Arms that are drawn: shares hold, salts are independent, a share that grows keeps all; equal to a plain twin."""

from __future__ import annotations

import hashlib
from fractions import Fraction

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from quanheng.features.experiments import ARMS_MAX, Experiment, arm_of
from quanheng.features.source import Batch
from quanheng.models.chance import chi_square_above
from quanheng.testing.source_kit import check_source

SUBJECTS = [hashlib.blake2b(b"%d" % n, digest_size=16).digest() for n in range(1_000)]
KEYS = st.binary(min_size=16, max_size=16)
SALTS = st.binary(min_size=1, max_size=64)


@st.composite
def shares(draw, most=9_999):
    """Basis points of one to eight arms, which leave something for the rest."""
    cuts = draw(st.lists(st.integers(1, most), min_size=1, max_size=ARMS_MAX, unique=True))
    return tuple(np.diff([0, *sorted(cuts)]).tolist())


def plain_arm(key: bytes, salt: bytes, shares_bp: tuple[int, ...]) -> int:
    """The definition, in fractions."""
    drawn = hashlib.blake2b(key, key=salt, digest_size=8 * len(shares_bp), person=b"quanheng arms").digest()
    left = Fraction(1)
    for place, share_bp in enumerate(shares_bp):
        draw = Fraction(int.from_bytes(drawn[8 * place : 8 * place + 8], "little"), 2**64)
        share = Fraction(share_bp, 10_000)
        if draw < share / left:
            return place
        left -= share
    return len(shares_bp)


@given(KEYS, SALTS, shares())
def test_a_draw_equals_the_definition(key, salt, shares_bp):
    assert arm_of(key, salt, shares_bp) == plain_arm(key, salt, shares_bp)


@settings(max_examples=25)
@given(st.integers(0, 10**9), shares())
def test_shares_hold(seed, shares_bp):
    """Chi-square of the counts of 1000 subjects; the bound is passed by chance once in 10^9 draws."""
    salt = b"%d" % seed
    counts = np.bincount([arm_of(key, salt, shares_bp) for key in SUBJECTS], minlength=len(shares_bp) + 1)
    expected = np.array([*shares_bp, 10_000 - sum(shares_bp)]) / 10_000 * len(SUBJECTS)
    large = expected >= 5
    if large.sum() < 2:
        return
    value = float((((counts - expected) ** 2) / expected)[large].sum())
    assert chi_square_above(value, int(large.sum())) > 1e-9


@settings(max_examples=25)
@given(st.integers(0, 10**9), st.integers(0, 10**9))
def test_salts_draw_independently(first, second):
    """Being held out in one experiment says nothing of another: the four counts against their expectation."""
    if first == second:
        return
    pairs = [(arm_of(key, b"a%d" % first, (3000,)), arm_of(key, b"b%d" % second, (4000,))) for key in SUBJECTS]
    counts = np.zeros((2, 2))
    for one in pairs:
        counts[one] += 1
    expected = np.outer([0.3, 0.7], [0.4, 0.6]) * len(SUBJECTS)
    assert chi_square_above(float(((counts - expected) ** 2 / expected).sum()), 3) > 1e-9


@given(KEYS, SALTS, shares(most=6_000), st.integers(0, ARMS_MAX - 1), st.integers(1, 3_000))
def test_a_share_that_grows_keeps_all_it_has(key, salt, shares_bp, place, more):
    place %= len(shares_bp)
    grown = tuple(one + more * (at == place) for at, one in enumerate(shares_bp))
    before, after = arm_of(key, salt, shares_bp), arm_of(key, salt, grown)
    rest = len(shares_bp)
    assert after in (before, place) or (before == rest and after > place)
    if before == place:
        assert after == place


@given(KEYS, SALTS)
def test_a_single_arm_is_nested_in_its_share(key, salt):
    drawn = [arm_of(key, salt, (share_bp,)) for share_bp in range(1, 10_000, 370)]
    assert drawn == sorted(drawn, reverse=True)


def batch(n: int = 12) -> Batch:
    keys = np.zeros((n, 2, 2), np.uint64)
    for row in range(1, n):
        keys[row, 1] = np.frombuffer(SUBJECTS[row % 5], np.uint64)
    times = np.arange(n, dtype=np.int64) * 10
    return Batch(np.zeros(n, np.int32), times, keys, np.zeros((n, 1), np.int64), 7, 99)


def test_it_is_a_source_by_the_kit():
    assert check_source(lambda: Experiment("trial", 1, b"s", {"held_out": 3000}, "treated", 0), batch(), {}) == []


def test_without_a_subject_before_it_begins_and_behind_its_end_there_is_no_arm():
    made = Experiment("trial", 1, b"s", {"a": 3000, "b": 2000}, "c", 30, 100)
    found = made.read(batch(), {})[:, 0]
    assert np.isnan(found).tolist() == [True] * 3 + [False] * 7 + [True] * 2
    words = made.columns[0].words
    assert words == ("a", "b", "c")
    expected = [arm_of(SUBJECTS[row % 5], b"s", (3000, 2000)) for row in range(3, 10)]
    assert found[3:10].tolist() == expected
    fixed = made.fixed("b").read(batch(), {})[:, 0]
    assert np.isnan(fixed).tolist() == np.isnan(found).tolist()
    assert set(fixed[3:10]) == {1.0}
    assert set(made.fixed("").read(batch(), {})[3:10, 0]) == {2.0}
