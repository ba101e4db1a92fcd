"""Measures of ranking and of probabilities, each against a slow plain telling of its definition."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from quanheng.kernel.errors import InputError
from quanheng.models.metrics import auc_roc, brier, gini, h_measure, kolmogorov_smirnov, log_loss
from quanheng.models.validation.bands import calibration_table, expected_calibration_error, gain_table
from quanheng.models.validation.bootstrap import brier_interval, drawn, ks_interval


def sample(seed: int, rows: int = 400, decimals: int = 2, share: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    """Labels and probabilities with ties, related to each other."""
    random = np.random.default_rng(seed)
    scores = np.round(random.random(rows), decimals)
    return random.random(rows) < share * 2 * scores, scores


def slow_ks(labels, scores) -> float:
    """Both distributions at every score."""
    good, bad = scores[~labels], scores[labels]
    return max(abs(np.mean(good <= at) - np.mean(bad <= at)) for at in scores)


@pytest.mark.parametrize("decimals", [0, 1, 3, 12])
@pytest.mark.parametrize("seed", range(3))
def test_ks_equals_the_plain_telling(seed, decimals):
    labels, scores = sample(seed, decimals=decimals)
    assert kolmogorov_smirnov(labels, scores) == pytest.approx(slow_ks(labels, scores), abs=1e-12)


def test_gini_brier_and_log_loss_equal_their_sums():
    labels, scores = sample(1)
    pairs = [(good, bad) for good in scores[~labels] for bad in scores[labels]]
    somers = sum(float(bad > good) - float(bad < good) for good, bad in pairs) / len(pairs)
    assert gini(labels, scores) == pytest.approx(somers, abs=1e-12)
    assert brier(labels, scores) == pytest.approx(sum((s - y) ** 2 for y, s in zip(labels, scores, strict=True)) / 400)
    cut = [min(max(score, 1e-15), 1 - 1e-15) for score in scores]
    losses = [-math.log(s if y else 1 - s) for y, s in zip(labels, cut, strict=True)]
    assert log_loss(labels, scores) == pytest.approx(sum(losses) / 400, rel=1e-9)


def slow_h(labels, scores, steps: int = 20_000) -> float:
    """At each cost the cheapest threshold of all, weighed by 6c(1 - c): the definition as a sum."""
    share = labels.mean()
    thresholds = [-np.inf, *np.unique(scores), np.inf]
    misses = np.array([np.mean(scores[labels] <= at) for at in thresholds])
    alarms = np.array([np.mean(scores[~labels] > at) for at in thresholds])
    lost = worst = 0.0
    for step in range(steps):
        c = (step + 0.5) / steps
        density = 6 * c * (1 - c) / steps
        lost += density * np.min(c * (1 - share) * alarms + (1 - c) * share * misses)
        worst += density * min(c * (1 - share), (1 - c) * share)
    return 1 - lost / worst


@pytest.mark.parametrize(("seed", "share"), [(1, 0.3), (2, 0.05), (3, 0.49)])
def test_the_h_measure_equals_its_integral(seed, share):
    labels, scores = sample(seed, rows=200, share=share)
    assert h_measure(labels, scores) == pytest.approx(slow_h(labels, scores), abs=2e-6)


def test_a_perfect_and_a_useless_score():
    labels = np.arange(100) < 20
    assert h_measure(labels, labels * 1.0) == pytest.approx(1.0)
    assert kolmogorov_smirnov(labels, labels * 1.0) == gini(labels, labels * 1.0) == 1.0
    assert h_measure(labels, np.full(100, 0.5)) == pytest.approx(0.0, abs=1e-12)
    assert kolmogorov_smirnov(labels, np.full(100, 0.5)) == gini(labels, np.full(100, 0.5)) == 0.0


@pytest.mark.parametrize("scores", [np.array([0.5, 1.2]), np.array([0.5, np.nan]), np.array([0.5])])
@pytest.mark.parametrize("measure", [brier, log_loss, calibration_table])
def test_what_is_no_probability_is_refused(measure, scores):
    with pytest.raises(InputError, match=r"the scores are not probabilities; was 2 labels, [12] scores, [01] of them"):
        measure(np.array([True, False]), scores)


@pytest.mark.parametrize("measure", [kolmogorov_smirnov, gini, h_measure, gain_table])
def test_one_kind_of_label_cannot_be_ranked(measure):
    with pytest.raises(InputError, match=r"the scores cannot be ranked; was 0 positive of 2 labels"):
        measure(np.array([False, False]), np.array([0.1, 0.2]))


def test_gains_add_up_and_no_score_is_in_two_bands():
    labels, scores = sample(4, rows=1000)
    table = gain_table(labels, scores, 10)
    assert sum(band.rows for band in table) == 1000
    assert sum(band.events for band in table) == labels.sum()
    assert table[-1].gain == pytest.approx(1.0)
    assert table[-1].lift == pytest.approx(1.0)
    for band, below in itertools.pairwise(table):
        assert band.low > below.high
        at_or_above = scores >= band.low
        assert band.gain == pytest.approx(labels[at_or_above].sum() / labels.sum())
        assert band.lift == pytest.approx(labels[at_or_above].mean() / labels.mean())
        assert band.rate == pytest.approx(labels[(scores >= band.low) & (scores <= band.high)].mean())


def test_equal_scores_are_one_band():
    labels = np.arange(50) < 10
    assert len(gain_table(labels, np.full(50, 0.2), 10)) == 1
    assert calibration_table(labels, np.full(50, 0.2), 5)[0] == (50, 10, pytest.approx(0.2), pytest.approx(0.2))


def test_calibration_is_the_mean_distance_of_the_bands():
    labels, scores = sample(5, rows=900)
    table = calibration_table(labels, scores, 9)
    slow = sum(band.rows * abs(band.predicted - band.observed) for band in table) / 900
    assert expected_calibration_error(labels, scores, 9) == pytest.approx(slow)
    assert all(band.predicted <= above.predicted for band, above in itertools.pairwise(table))
    assert expected_calibration_error(labels, labels * 1.0) == 0.0


def test_there_must_be_a_band():
    with pytest.raises(InputError, match=r"there must be a band; was 0; allowed: 1 or more"):
        gain_table(np.array([True, False]), np.array([0.1, 0.2]), 0)


def test_intervals_equal_drawing_the_rows_themselves():
    labels, scores = sample(6, rows=150, decimals=1)
    copies = [np.repeat(np.arange(150), weights) for weights in drawn(150, seed=9, draws=60)]
    slow = np.quantile([slow_ks(labels[rows], scores[rows]) for rows in copies], [0.025, 0.975])
    assert ks_interval(labels, scores, 9, 60) == pytest.approx(tuple(slow), abs=1e-12)
    slow = np.quantile([brier(labels[rows], scores[rows]) for rows in copies], [0.025, 0.975])
    assert brier_interval(labels, scores, 9, 60) == pytest.approx(tuple(slow), abs=1e-12)


def test_a_draw_of_one_kind_of_label_is_left_out():
    labels = np.array([True, False, False])
    low, high = ks_interval(labels, np.array([0.9, 0.1, 0.2]), 1, 40)
    assert (low, high) == (1.0, 1.0)
    assert auc_roc(labels, np.array([0.9, 0.1, 0.2])) == 1.0
