"""Scores in bands: lift and gain from the highest down, and calibration of what was predicted against what came."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from quanheng.kernel.errors import InputError
from quanheng.models.metrics import Labels, Scores, check_probabilities, check_ranked


class GainBand(NamedTuple):
    """A band of scores, the highest first.

    rows, events : in the band
    low, high : scores in it
    rate : share of events in it
    gain : share of all events in this band and those above
    lift : rate of this band and those above, over the rate of all rows
    """

    rows: int
    events: int
    low: float
    high: float
    rate: float
    gain: float
    lift: float


class CalibrationBand(NamedTuple):
    """A band of probabilities, the lowest first: mean of what was predicted, share of events, and rows."""

    rows: int
    events: int
    predicted: float
    observed: float


def gain_table(labels: Labels, scores: Scores, bands: int = 10) -> list[GainBand]:
    """Bands of about equal size. Rows of one score are never in two bands, so there may be fewer.

    Raises
    ------
    InputError : all rows have the same label, or fewer than one band
    """
    positives = check_ranked(labels, scores)
    table, rows_above, events_above = [], 0, 0
    for band in reversed(equal_bands(scores, bands)):
        events = int(labels[band].sum())
        rows_above, events_above = rows_above + len(band), events_above + events
        low, high = float(scores[band].min()), float(scores[band].max())
        lift = (events_above / rows_above) / (positives / len(labels))
        table.append(GainBand(len(band), events, low, high, events / len(band), events_above / positives, lift))
    return table


def calibration_table(labels: Labels, probabilities: Scores, bands: int = 10) -> list[CalibrationBand]:
    """Bands of about equal size; rows of one probability are never in two.

    Raises
    ------
    InputError : no rows, not probabilities, or fewer than one band
    """
    check_probabilities(labels, probabilities)
    return [
        CalibrationBand(
            len(band), int(labels[band].sum()), float(probabilities[band].mean()), float(labels[band].mean())
        )
        for band in equal_bands(probabilities, bands)
    ]


def expected_calibration_error(labels: Labels, probabilities: Scores, bands: int = 10) -> float:
    """Mean distance of predicted and observed over the bands, weighted by their rows (Naeini et al. 2015).

    Naeini, Cooper and Hauskrecht, "Obtaining well calibrated probabilities using Bayesian binning", AAAI 2015; bands
    here are of equal size, not of equal width.

    Raises
    ------
    InputError : no rows, not probabilities, or fewer than one band
    """
    table = calibration_table(labels, probabilities, bands)
    return sum(band.rows * abs(band.predicted - band.observed) for band in table) / len(labels)


def equal_bands(scores: Scores, bands: int) -> list[NDArray[np.intp]]:
    """Places of the rows of each band, the lowest scores first."""
    if bands < 1:
        raise InputError("there must be a band", where="bands", found=str(bands), allowed="1 or more")
    order = np.argsort(scores, kind="stable")
    ordered = scores[order]
    wanted = [at for band in range(1, bands) if (at := len(order) * band // bands)]
    # A cut inside of equal scores moves to where they end.
    cuts = np.unique(np.searchsorted(ordered, ordered[np.array(wanted, np.intp) - 1], side="right"))
    return [band for band in np.split(order, cuts) if len(band)]
