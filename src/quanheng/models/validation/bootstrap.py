"""Intervals of measures by drawing rows again (Efron 1979, percentiles), each row's draws as its weight."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from quanheng.models.metrics import Labels, Scores, check_probabilities, check_ranked

DRAWS = 200


def drawn(rows: int, seed: int, draws: int) -> NDArray[np.intp]:
    """i8[draws, rows]: how often each row is in each draw."""
    random = np.random.default_rng(seed)
    return np.array([np.bincount(random.integers(0, rows, rows), minlength=rows) for _ in range(draws)])


def ks_interval(labels: Labels, scores: Scores, seed: int, draws: int = DRAWS) -> tuple[float, float]:
    """95 % interval of the Kolmogorov-Smirnov distance. Scores are sorted once; a draw is a walk over its weights.

    Raises
    ------
    InputError : all rows have the same label
    """
    check_ranked(labels, scores)
    order = np.argsort(-scores, kind="stable")
    ordered, positive = scores[order], labels[order]
    last = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))

    def distance(weights: NDArray[np.intp]) -> float:
        sorted_weights = weights[order]
        hits = np.cumsum(sorted_weights * positive)
        rows = np.cumsum(sorted_weights)
        total = hits[-1], rows[-1] - hits[-1]
        if not all(total):  # A draw of one kind of label says nothing.
            return float("nan")
        return float(np.max(np.abs(hits[last] / total[0] - (rows - hits)[last] / total[1])))

    return _percentiles(distance, len(labels), seed, draws)


def mean_interval(values: NDArray[np.float64], seed: int, draws: int = DRAWS) -> tuple[float, float]:
    """95 % interval of a mean, such as the Brier score of its squared distances.

    values : f8[n], one for each row
    """
    return _percentiles(lambda weights: float(weights @ values / len(values)), len(values), seed, draws)


def brier_interval(labels: Labels, probabilities: Scores, seed: int, draws: int = DRAWS) -> tuple[float, float]:
    """95 % interval of the Brier score.

    Raises
    ------
    InputError : no rows, or not probabilities
    """
    check_probabilities(labels, probabilities)
    return mean_interval((probabilities - labels) ** 2, seed, draws)


def _percentiles(measure: Callable[[NDArray[np.intp]], float], rows: int, seed: int, draws: int) -> tuple[float, float]:
    random = np.random.default_rng(seed)
    found = [measure(np.bincount(random.integers(0, rows, rows), minlength=rows)) for _ in range(draws)]
    low, high = np.nanquantile(found, [0.025, 0.975])
    return float(low), float(high)
