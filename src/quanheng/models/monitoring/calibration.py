"""Whether probabilities still mean what they say: observed against expected, by band and as a whole."""

from __future__ import annotations

from math import exp, log, nan, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from quanheng.models.chance import Z_95, Interval, chi_square_above, normal_two_sided, wilson
from quanheng.models.validation.bands import equal_bands

BANDS = 10
STEPS_MAX = 60
CLIP = 1e-9
"""A probability of 0 or 1 has no log-odds: it is read as this far away from it."""


class Band(NamedTuple):
    """Rows whose probability lies in [low, high] of this tenth: expected is the mean probability."""

    low: float
    high: float
    rows: int
    events: int
    expected: float
    observed: Interval


class Calibration(NamedTuple):
    """How probabilities compare with what happened.

    ratio : observed / expected events with its 95 % interval
    ratio_chance : probability of so many or few events, were the probabilities right
    chi_square, degrees, chance : test of Hosmer and Lemeshow over the bands, and its probability
    spiegelhalter, spiegelhalter_chance : z of the Brier score, and its two-sided probability
    brier : mean squared difference of probability and outcome
    slope, intercept : of the outcome's log-odds on those of the probability; 1 and 0 are right
    offset : intercept with the slope held at 1 (calibration in the large)
    """

    rows: int
    events: int
    expected: float
    ratio: Interval
    ratio_chance: float
    bands: tuple[Band, ...]
    chi_square: float
    degrees: int
    chance: float
    spiegelhalter: float
    spiegelhalter_chance: float
    brier: float
    slope: Interval
    intercept: Interval
    offset: Interval


def calibration(
    labels: NDArray[np.bool_], probabilities: NDArray[np.float64], bands: int = BANDS
) -> Calibration | None:
    """Measure it; None where there is no row.

    - Observed / expected: interval of its logarithm, standard error sqrt((1 - O/n) / O) (T. Debray and others, BMJ
      356, 2017); its chance: z = (O - E) / sqrt(sum p (1 - p)).
    - Hosmer and Lemeshow (1980): sum over bands of (O - E)^2 / (E (1 - E/n)); the model was not fitted on these rows,
      so the degrees of freedom are the bands (D. Hosmer, S. Lemeshow and R. Sturdivant, Applied Logistic Regression,
      2013, 5.2.2).
    - Spiegelhalter (Statistics in Medicine 5, 1986): z = sum (y - p)(1 - 2p) / sqrt(sum (1 - 2p)^2 p (1 - p)).
    - Slope and intercept: D. R. Cox (Biometrika 45, 1958), by Newton's method, with Wald intervals.

    Parameters
    ----------
    labels : bool[n], true = the event; probabilities : f8[n] in [0, 1]
    """
    n = len(labels)
    if not n:
        return None
    p = np.clip(probabilities, CLIP, 1 - CLIP)
    y = labels.astype(np.float64)
    events, expected = int(labels.sum()), float(p.sum())
    table = bands_of(labels, p, bands)
    square, degrees = _hosmer_lemeshow(table)
    weight = 1 - 2 * p
    spread = sqrt(float((weight * weight * p * (1 - p)).sum()))
    z = float(((y - p) * weight).sum()) / spread if spread else 0.0
    logits = np.log(p / (1 - p))
    intercept, slope = _line(y, logits)
    return Calibration(
        rows=n, events=events, expected=expected, ratio=_ratio(events, expected, n),
        ratio_chance=normal_two_sided((events - expected) / sqrt(float((p * (1 - p)).sum()))), bands=table,
        chi_square=square, degrees=degrees, chance=chi_square_above(square, degrees),
        spiegelhalter=z, spiegelhalter_chance=normal_two_sided(z), brier=float(((y - p) ** 2).mean()),
        slope=slope, intercept=intercept, offset=_offset(y, logits),
    )  # fmt: skip


def bands_of(labels: NDArray[np.bool_], probabilities: NDArray[np.float64], bands: int = BANDS) -> tuple[Band, ...]:
    """Bands of about equal size in the order of probability; equal probabilities stay together."""
    found = []
    for places in equal_bands(probabilities, bands):
        part, events = probabilities[places], int(labels[places].sum())
        seen = wilson(events, len(part))
        found.append(Band(float(part.min()), float(part.max()), len(part), events, float(part.mean()), seen))
    return tuple(found)


def _hosmer_lemeshow(bands: tuple[Band, ...]) -> tuple[float, int]:
    total = 0.0
    for one in bands:
        expected = one.expected * one.rows
        spread = expected * (1 - one.expected)
        total += (one.events - expected) ** 2 / spread if spread > 0 else 0.0
    return total, len(bands)


def _ratio(events: int, expected: float, n: int) -> Interval:
    if not events or expected <= 0:
        return Interval(events / expected if expected > 0 else nan, 0.0, nan)
    value, error = events / expected, sqrt((1 - events / n) / events)
    return Interval(value, value * exp(-Z_95 * error), value * exp(Z_95 * error))


def _line(y: NDArray[np.float64], logits: NDArray[np.float64]) -> tuple[Interval, Interval]:
    """Intercept and slope of the log-odds; NaN where they do not exist (one kind of row, or perfect separation)."""
    unknown = Interval(nan, nan, nan)
    if y.min() == y.max() or logits.min() == logits.max():
        return unknown, unknown
    design = np.column_stack([np.ones(len(y)), logits])
    weights = np.array([0.0, 1.0])
    for _ in range(STEPS_MAX):
        fitted = 1 / (1 + np.exp(-np.clip(design @ weights, -35, 35)))
        information = (design * (fitted * (1 - fitted))[:, None]).T @ design
        try:
            step = np.linalg.solve(information, design.T @ (y - fitted))
        except np.linalg.LinAlgError:
            return unknown, unknown
        weights = weights + np.clip(step, -2.0, 2.0)
        if float(np.abs(step).max()) < 1e-10:
            errors = np.sqrt(np.diag(np.linalg.inv(information)))
            made = [
                Interval(float(w), float(w - Z_95 * e), float(w + Z_95 * e))
                for w, e in zip(weights, errors, strict=True)
            ]
            return made[0], made[1]
    return unknown, unknown


def _offset(y: NDArray[np.float64], logits: NDArray[np.float64]) -> Interval:
    """What must be added to every log-odds so that expected equals observed."""
    if y.min() == y.max():
        return Interval(nan, nan, nan)
    at = log(y.mean() / (1 - y.mean())) - float(logits.mean())
    for _ in range(STEPS_MAX):
        fitted = 1 / (1 + np.exp(-np.clip(logits + at, -35, 35)))
        information = float((fitted * (1 - fitted)).sum())
        if information <= 0:
            break
        step = float((y - fitted).sum()) / information
        at += max(min(step, 2.0), -2.0)
        if abs(step) < 1e-10:
            error = 1 / sqrt(information)
            return Interval(at, at - Z_95 * error, at + Z_95 * error)
    return Interval(nan, nan, nan)
