"""Quality of scores, in numpy: area under the ROC curve, average precision, card precision at k, intervals."""

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
    positives = _positives(labels, scores)
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
    positives = _positives(labels, scores)
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


def _positives(labels: Labels, scores: Scores) -> int:
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
