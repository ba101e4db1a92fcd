"""Measures against scikit-learn and against a plain telling of card precision."""

from __future__ import annotations

import numpy as np
import pytest

from quanheng.kernel.errors import InputError
from quanheng.models.metrics import auc_roc, average_precision, card_precision, interval

sklearn_metrics = pytest.importorskip("sklearn.metrics", reason="the extra `models` is not installed")


@pytest.mark.parametrize("decimals", [16, 2, 1, 0])
@pytest.mark.parametrize("share", [0.01, 0.5, 0.97])
def test_ranking_measures_equal_scikit_learn(decimals, share):
    """Few decimals make many ties."""
    random = np.random.default_rng(decimals)
    labels = random.random(4000) < share
    scores = np.round(random.normal(size=4000) + labels, decimals)
    assert auc_roc(labels, scores) == pytest.approx(sklearn_metrics.roc_auc_score(labels, scores), abs=1e-12)
    assert average_precision(labels, scores) == pytest.approx(
        sklearn_metrics.average_precision_score(labels, scores), abs=1e-12
    )


def plain_card_precision(days, cards, labels, scores, k):
    """The handbook's law in plain Python."""
    found, shares = set(), []
    for day in sorted(set(days)):
        best, bad = {}, set()
        for row in np.flatnonzero(days == day):
            card = cards[row]
            if card in found:
                continue
            best[card] = max(best.get(card, -np.inf), scores[row])
            if labels[row]:
                bad.add(card)
        looked_at = sorted(best, key=lambda card: (-best[card], card))[:k]
        hits = bad & set(looked_at)
        shares.append(len(hits) / k)
        found |= hits
    return sum(shares) / len(shares)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("k", [1, 5, 1000])
def test_card_precision_equals_the_plain_telling(seed, k):
    random = np.random.default_rng(seed)
    days, cards = random.integers(0, 4, 400), random.integers(0, 60, 400)
    labels, scores = random.random(400) < 0.1, np.round(random.random(400), 1)
    assert card_precision(days, cards, labels, scores, k) == pytest.approx(
        plain_card_precision(days, cards, labels, scores, k)
    )


def test_a_card_that_was_found_leaves_later_days():
    days, cards = np.array([0, 1, 1]), np.array([7, 7, 8])
    labels, scores = np.array([True, True, False]), np.array([0.9, 0.9, 0.1])
    assert card_precision(days, cards, labels, scores, 1) == 0.5


def test_interval_holds_the_figure_and_is_reproducible():
    random = np.random.default_rng(1)
    groups, labels = random.integers(0, 300, 3000), random.random(3000) < 0.1
    scores = random.normal(size=3000) + labels

    def measure(rows, _):
        return auc_roc(labels[rows], scores[rows])

    low, high = interval(measure, groups, seed=5, draws=60)
    assert low < auc_roc(labels, scores) < high
    assert (low, high) == interval(measure, groups, seed=5, draws=60) != interval(measure, groups, seed=6, draws=60)


def test_interval_numbers_a_group_drawn_twice_as_two():
    seen = []
    interval(lambda rows, drawn: seen.append((rows, drawn)) or 0.0, np.array([4, 4, 9]), seed=1, draws=20)
    for rows, drawn in seen:
        assert len(np.unique(drawn)) == 2
        assert len(rows) == len(drawn)


def test_labels_of_one_kind_are_refused():
    with pytest.raises(InputError, match="the scores cannot be ranked; was 0 positive of 3 labels, 3 scores"):
        auc_roc(np.zeros(3, bool), np.zeros(3))
    with pytest.raises(InputError, match="was 2 positive of 2 labels"):
        average_precision(np.ones(2, bool), np.zeros(2))


def test_an_interval_without_any_positive_is_not_a_number():
    low, high = interval(lambda rows, _: auc_roc(np.zeros(3, bool)[rows], np.zeros(3)[rows]), np.arange(3), 1, 5)
    assert np.isnan(low)
    assert np.isnan(high)


def test_card_precision_without_rows_is_refused():
    empty = np.zeros(0)
    with pytest.raises(InputError, match="card precision cannot be computed; was 0 rows, k=100"):
        card_precision(empty, empty, empty.astype(bool), empty, 100)
