"""Quality of scores, in numpy: how they rank (AUC, KS, H), how true they are as probabilities, intervals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quanheng.kernel.errors import InputError

Scores = NDArray[np.float64]
Labels = NDArray[np.bool_]


def auc_roc(labels: Labels, scores: Scores) -> float:
    """Probability that a positive scores above a negative, ties counted half (Mann and Whitney 1947).

    Raises
    ------
    InputError : all rows have the same label
    """
    positives = check_ranked(labels, scores)
    order = np.argsort(scores, kind="stable")
    ordered = scores[order]
    last = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))
    counts = np.diff(np.concatenate(([-1], last)))
    mean_ranks = last + 1 - (counts - 1) / 2  # Ranks from 1; ties share their mean.
    ranks = np.repeat(mean_ranks, counts)
    above = ranks[labels[order]].sum() - positives * (positives + 1) / 2
    return float(above / (positives * (len(labels) - positives)))


def average_precision(labels: Labels, scores: Scores) -> float:
    """Mean of the precision at each distinct score, weighted by the gain in recall; no interpolation.

    Raises
    ------
    InputError : all rows have the same label
    """
    positives = check_ranked(labels, scores)
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    found = np.cumsum(labels[order])
    last = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))
    hits = found[last]
    precision = hits / (last + 1)
    return float(np.sum(np.diff(np.concatenate(([0], hits))) / positives * precision))


def card_precision(days: NDArray[Any], cards: NDArray[Any], labels: Labels, scores: Scores, k: int) -> float:
    """Card precision at k: what share of k cards looked at per day was really defrauded, mean over the days.

    Per day a card's score is its highest; the k cards of highest score are looked at; cards found leave later days
    (Le Borgne et al., Reproducible Machine Learning for Credit Card Fraud Detection, chapter 4). Cards of equal score
    are taken in the order of their numbers.

    Parameters
    ----------
    days, cards : integers; the day of a payment and the card that paid
    k : cards that can be looked at per day

    Raises
    ------
    InputError : no rows, or k below 1
    """
    if k < 1 or not len(days):
        raise InputError(
            "card precision cannot be computed",
            where="metrics",
            found=f"{len(days)} rows, k={k}",
            allowed="at least one row and k of at least 1",
            cure="Choose a window that holds payments.",
        )
    found = np.zeros(0, cards.dtype)
    shares = []
    for day in np.unique(days):
        here = (days == day) & ~np.isin(cards, found)
        names, index = np.unique(cards[here], return_inverse=True)
        highest = np.full(len(names), -np.inf)
        np.maximum.at(highest, index, scores[here])
        defrauded = np.zeros(len(names), bool)
        np.logical_or.at(defrauded, index, labels[here])
        looked_at = np.argsort(-highest, kind="stable")[:k]
        hits = names[looked_at[defrauded[looked_at]]]
        shares.append(len(hits) / k)
        found = np.concatenate((found, hits))
    return float(np.mean(shares))


def interval(
    measure: Callable[[NDArray[np.intp], NDArray[Any]], float], groups: NDArray[Any], seed: int, draws: int = 200
) -> tuple[float, float]:
    """95 % interval of a measure by the bootstrap over groups: whole groups are drawn, as rows of one card go together.

    Parameters
    ----------
    measure : (rows, group of each) → figure. A group drawn twice counts as two groups, with numbers of their own.
    groups : the group of each row
    seed : of the draws; the same seed gives the same interval
    """
    order = np.argsort(groups, kind="stable")
    _, starts, counts = np.unique(groups[order], return_index=True, return_counts=True)
    random = np.random.default_rng(seed)
    figures = []
    for _ in range(draws):
        drawn = random.integers(0, len(starts), len(starts))
        size = counts[drawn]
        offsets = np.arange(size.sum()) - np.repeat(np.cumsum(size) - size, size)
        try:
            figures.append(
                measure(order[np.repeat(starts[drawn], size) + offsets], np.repeat(np.arange(len(drawn)), size))
            )
        except InputError:  # A draw without a positive says nothing.
            continue
    if not figures:
        return (float("nan"), float("nan"))
    low, high = np.quantile(figures, [0.025, 0.975])
    return (float(low), float(high))


def kolmogorov_smirnov(labels: Labels, scores: Scores) -> float:
    """Largest distance between the distributions of the scores of positives and of negatives, in [0, 1].

    Raises
    ------
    InputError : all rows have the same label
    """
    positives, hits, misses = _cumulated(labels, scores)
    return float(np.max(np.abs(hits / positives - misses / (len(labels) - positives))))


def gini(labels: Labels, scores: Scores) -> float:
    """2 AUC − 1 (the accuracy ratio, Somers' D): 0 for chance, 1 for a perfect ranking.

    Raises
    ------
    InputError : all rows have the same label
    """
    return 2 * auc_roc(labels, scores) - 1


def brier(labels: Labels, probabilities: Scores) -> float:
    """Mean squared distance of probability and outcome (Brier 1950, with one class): 0 is perfect.

    Raises
    ------
    InputError : no rows, or not probabilities
    """
    check_probabilities(labels, probabilities)
    return float(np.mean((probabilities - labels) ** 2))


def log_loss(labels: Labels, probabilities: Scores) -> float:
    """Mean of −ln of the probability that was given to what came true; probabilities are cut to [1e-15, 1 − 1e-15].

    Raises
    ------
    InputError : no rows, or not probabilities
    """
    check_probabilities(labels, probabilities)
    cut = np.clip(probabilities, 1e-15, 1 - 1e-15)
    return float(-np.mean(np.where(labels, np.log(cut), np.log1p(-cut))))


def h_measure(labels: Labels, scores: Scores) -> float:
    """What is saved of the expected cost of a mistake, in [0, 1], where costs are spread by Beta(2, 2).

    Unlike the AUC it weighs the two kinds of mistakes alike for every classifier (Hand, "Measuring classifier
    performance: a coherent alternative to the area under the ROC curve", Machine Learning 77, 2009). At a cost c of
    a false alarm and 1 − c of a miss the best threshold of the convex hull of the ROC curve is taken.

    Raises
    ------
    InputError : all rows have the same label
    """
    positives, hits, misses = _cumulated(labels, scores)
    share = positives / len(labels)
    caught = np.concatenate(([0.0], hits / positives))
    alarms = np.concatenate(([0.0], misses / (len(labels) - positives)))
    hull = _upper_hull(alarms, caught)
    alarms, caught = alarms[hull], caught[hull]
    # Between two costs one corner of the hull is best: c (1 − share) Δalarms = (1 − c) share Δcaught at its ends.
    up, across = share * np.diff(caught), (1 - share) * np.diff(alarms)
    change = np.concatenate(([1.0], up / (up + across), [0.0]))
    upper, lower = change[:-1], change[1:]
    cost = (1 - share) * alarms * (_beta_mean(upper) - _beta_mean(lower))
    cost += share * (1 - caught) * (_beta_rest(upper) - _beta_rest(lower))
    worst = (1 - share) * _beta_mean(share) + share * (_beta_rest(1.0) - _beta_rest(share))
    return float(1 - cost.sum() / worst)


def _beta_mean(c: Scores | float) -> Scores:
    """∫ x 6x(1 − x) dx from 0 to c."""
    return np.asarray(2 * np.power(c, 3) - 1.5 * np.power(c, 4))


def _beta_rest(c: Scores | float) -> Scores:
    """∫ (1 − x) 6x(1 − x) dx from 0 to c."""
    return np.asarray(3 * np.power(c, 2) - 4 * np.power(c, 3) + 1.5 * np.power(c, 4))


def _upper_hull(x: Scores, y: Scores) -> NDArray[np.intp]:
    """Places of the corners of the upper convex hull of points in ascending x (Andrew 1979)."""
    corners: list[int] = []
    for at in range(len(x)):
        while len(corners) > 1:
            a, b = corners[-2], corners[-1]
            if (x[b] - x[a]) * (y[at] - y[a]) < (y[b] - y[a]) * (x[at] - x[a]):
                break
            corners.pop()
        corners.append(at)
    return np.array(corners, np.intp)


def check_probabilities(labels: Labels, probabilities: Scores) -> None:
    """Find out whether there is one probability for each label.

    Raises
    ------
    InputError : there is not, or one is outside of [0, 1]
    """
    inside = np.isfinite(probabilities) & (probabilities >= 0) & (probabilities <= 1)
    if len(labels) and len(labels) == len(probabilities) and inside.all():
        return
    raise InputError(
        "the scores are not probabilities",
        where="metrics",
        found=f"{len(labels)} labels, {len(probabilities)} scores, {int((~inside).sum())} of them outside of [0, 1]",
        allowed="one number from 0 to 1 for each label",
        cure="Calibrate the scores first.",
    )


def _cumulated(labels: Labels, scores: Scores) -> tuple[int, NDArray[np.intp], NDArray[np.intp]]:
    """(positives, positives and negatives at or above each distinct score, from the highest down)."""
    positives = check_ranked(labels, scores)
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    last = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))
    hits = np.cumsum(labels[order], dtype=np.intp)[last]
    return positives, hits, last + 1 - hits


def check_ranked(labels: Labels, scores: Scores) -> int:
    """How many labels are positive.

    Raises
    ------
    InputError : all rows have the same label, or there is not one score for each
    """
    positives = int(labels.sum())
    if not 0 < positives < len(labels) or len(labels) != len(scores):
        raise InputError(
            "the scores cannot be ranked",
            where="metrics",
            found=f"{positives} positive of {len(labels)} labels, {len(scores)} scores",
            allowed="labels of both kinds, one score each",
            cure="Choose a window that holds both.",
        )
    return positives
