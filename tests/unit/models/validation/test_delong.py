"""DeLong's interval and comparison against the definition with all pairs, and against drawing."""

from __future__ import annotations

import math

import numpy as np
import pytest

from quanheng.kernel.errors import InputError
from quanheng.models.metrics import auc_roc
from quanheng.models.validation.delong import delong, midranks


def sample(seed: int, decimals: int, rows: int = 120) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    labels = random.random(rows) < 0.4
    one = np.round(random.normal(size=rows) + labels, decimals)
    return labels, one, np.round(one + random.normal(size=rows), decimals)


def slow_components(labels, scores) -> tuple[list[float], list[float]]:
    """DeLong, DeLong and Clarke-Pearson (1988): every positive against every negative, ties half."""
    positive, negative = scores[labels], scores[~labels]
    against = [[1.0 if p > n else 0.5 if p == n else 0.0 for n in negative] for p in positive]
    return [float(np.mean(row)) for row in against], [float(np.mean(column)) for column in zip(*against, strict=True)]


def slow_covariance(one: list[float], other: list[float]) -> float:
    a, b = np.mean(one), np.mean(other)
    return sum((x - a) * (y - b) for x, y in zip(one, other, strict=True)) / (len(one) - 1)


@pytest.mark.parametrize("decimals", [0, 1, 10])
@pytest.mark.parametrize("seed", range(3))
def test_area_and_variance_equal_all_pairs(seed, decimals):
    labels, scores, _ = sample(seed, decimals)
    events, others = slow_components(labels, scores)
    variance = slow_covariance(events, events) / len(events) + slow_covariance(others, others) / len(others)
    found = delong(labels, scores)
    assert found.auc == pytest.approx(auc_roc(labels, scores), abs=1e-12)
    assert found.variance == pytest.approx(variance, rel=1e-10)
    assert found.high - found.auc == pytest.approx(1.959963984540054 * math.sqrt(variance), rel=1e-9)


def test_the_interval_holds_about_95_of_100_times():
    """The law that is promised: the area of the population is in the interval (here Φ(1/√2) = 0.7602)."""
    truth, held = 0.7602499389065233, 0
    for seed in range(300):
        random = np.random.default_rng(seed)
        labels = np.arange(160) < 60
        found = delong(labels, random.normal(size=160) + labels)
        held += found.low <= truth <= found.high
    assert 0.91 <= held / 300 <= 0.98


def test_a_perfect_score_has_no_spread():
    labels, _, _ = sample(1, 1)
    perfect = delong(labels, labels * 1.0)
    assert (perfect.auc, perfect.low, perfect.high) == (1.0, 1.0, 1.0)


def test_one_row_of_a_kind_has_no_variance_of_its_own():
    found = delong(np.array([True, False, False, False]), np.array([0.6, 0.1, 0.7, 0.2]))
    assert found.auc == pytest.approx(2 / 3)
    assert found.variance > 0


def test_ranks_share_ties():
    assert midranks(np.array([3.0, 1.0, 3.0, 2.0])).tolist() == [3.5, 1.0, 3.5, 2.0]


def test_one_kind_of_label_is_refused():
    with pytest.raises(InputError, match="the scores cannot be ranked"):
        delong(np.array([True, True]), np.array([0.1, 0.2]))
