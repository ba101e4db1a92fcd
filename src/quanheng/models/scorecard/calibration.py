"""Probabilities that mean what they say: Platt's line and isotonic steps, on scores of rows the fit did not see.

Platt (1999): log-odds = intercept + slope · log-odds of the fit, by maximum likelihood. Contributions still add
up, so it goes into the bins. Isotonic regression by pooling neighbours that break the order (Ayer et al. 1955; Zadrozny
and Elkan 2002): a table of scores, which does not add up and therefore stands beside the bins.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from quanheng.models.scorecard.regression import fit_logistic
from quanheng.models.scorecard.weights import Calibration

Floats = NDArray[np.float64]


def calibrate_platt(log_odds: Floats, target: NDArray[np.bool_]) -> Calibration:
    """The line through the log-odds of rows f8[n] that the fit did not see.

    Raises
    ------
    InputError : one kind of target, or a score that tells events apart perfectly
    """
    fit = fit_logistic(log_odds[:, None], target)
    return Calibration(method="platt", intercept=fit.intercept, slope=float(fit.coefficients[0]))


def calibrate_isotonic(scores: Floats, target: NDArray[np.bool_]) -> Calibration:
    """Steps of the event rate, falling with the score."""
    lows, rates = isotonic_steps(scores, target)
    return Calibration(method="isotonic", lows=tuple(lows.tolist()), probabilities=tuple(rates.tolist()))


def isotonic_steps(scores: Floats, target: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Falling steps nearest to the target in squares: the lowest score of each step, and the event rate on it.

    Rows of one score are one observation with their number as weight.
    """
    distinct, places = np.unique(scores, return_inverse=True)
    counts = np.bincount(places).astype(np.float64)
    events = np.bincount(places, weights=target.astype(np.float64))
    stack: list[list[float]] = []  # [first score, rows, events]
    for low, rows, hits in zip(distinct.tolist(), counts.tolist(), events.tolist(), strict=True):
        stack.append([low, rows, hits])
        while len(stack) > 1 and stack[-1][2] * stack[-2][1] >= stack[-2][2] * stack[-1][1]:
            _, rows_above, hits_above = stack.pop()
            stack[-1][1] += rows_above
            stack[-1][2] += hits_above
    lows = np.array([one[0] for one in stack])
    rates = np.array([one[2] / one[1] for one in stack])
    return lows, rates
