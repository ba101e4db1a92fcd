"""Reject inference: what the outcome of rejected applicants would have been, guessed, for a model of all who apply.

Outcomes are known of accepted applicants only. Each method below adds the rejected under an assumption, and is as good
as that is; none can be tried on the data it is used for. Where acceptance rests on what the model sees (missing at
random), a model of the accepted that is well specified needs none of them; where it rests on more (not at random), only
knowledge from outside, such as the factor of `parcelled`, can help (J. Crook and J. Banasik, Does reject inference
really improve the performance of application scoring models?, Journal of Banking and Finance 28, 2004; J. Banasik and
J. Crook, Reject inference, augmentation, and sample selection, European Journal of Operational Research 183, 2007).
`quanheng.testing.through_the_door` shows when which helps, where the truth is known.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from quanheng.kernel.errors import InputError
from quanheng.models.monitoring.bins import number_bins

BANDS = 10
PROPENSITY_LEAST = 0.02
"""An applicant who is accepted less often than this counts as one who is accepted so often: weights stay bounded."""


class Inferred(NamedTuple):
    """Rows to fit on, with an outcome and a weight each.

    rows i8[m] : places among all applicants; a rejected one may stand twice, as good and as bad
    target bool[m], weights f8[m]
    method, assumption : how, and what must hold for it to be right
    """

    rows: NDArray[np.intp]
    target: NDArray[np.bool_]
    weights: NDArray[np.float64]
    method: str
    assumption: str

    def drawn(self, size: int, seed: int) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
        """`size` of the rows in proportion to their weights, at even distances, for estimators that take no weights.

        Returns
        -------
        Places among all applicants and outcomes.
        """
        ends = np.cumsum(self.weights)
        marks = (np.arange(size) + np.random.default_rng(seed).random()) * ends[-1] / size
        at = np.minimum(np.searchsorted(ends, marks, side="right"), len(ends) - 1)
        return self.rows[at], self.target[at]


def accepted_only(accepted: NDArray[np.bool_], bad: NDArray[np.bool_]) -> Inferred:
    """No inference: the accepted alone, to compare with. `bad` bool[n] counts where accepted."""
    rows = np.flatnonzero(accepted)
    assumption = "the rejected are like the accepted of the same inputs, and the model has the right form"
    return Inferred(rows, bad[rows], np.ones(len(rows)), "accepted only", assumption)


def extrapolated(
    accepted: NDArray[np.bool_], bad: NDArray[np.bool_], probability: NDArray[np.float64], cut_off: float
) -> Inferred:
    """The rejected are bad where a model of the accepted gives them more than a cut-off (N. Siddiqi, 2006, chapter 6:
    simple augmentation, hard cut-off; Crook and Banasik, 2004: extrapolation).

    Parameters
    ----------
    probability : f8[n] of being bad, by a model of the accepted; cut_off : above it a rejected one counts as bad

    Raises
    ------
    InputError : no accepted or no rejected applicant, or what is given is no probability
    """
    _check(accepted, bad, probability)
    target = np.where(accepted, bad, probability > cut_off)
    rows = np.arange(len(accepted))
    assumption = "the model of the accepted holds beyond them, and everybody above the cut-off is bad"
    return Inferred(rows, target, np.ones(len(rows)), "extrapolation", assumption)


def parcelled(
    accepted: NDArray[np.bool_],
    bad: NDArray[np.bool_],
    probability: NDArray[np.float64],
    seed: int,
    *,
    factor: float = 1.0,
    bands: int = BANDS,
) -> Inferred:
    """In each band of score, as many of the rejected are bad as of the accepted, times a factor; which ones is drawn
    (N. Siddiqi, 2006, chapter 6: parcelling, with rates of bad raised for the rejected).

    A band without accepted applicants takes the mean probability of its rejected ones in place of a rate.

    Parameters
    ----------
    factor : how much worse a rejected applicant is than an accepted one of the same score; from outside knowledge

    Raises
    ------
    InputError : as `extrapolated`; the factor is not positive
    """
    _check(accepted, bad, probability)
    if factor <= 0:
        raise InputError("the factor must be positive", where="factor", found=f"{factor:g}", allowed="above 0")
    drawn = np.random.default_rng(seed)
    places = number_bins("probability", probability, bins=bands).place(probability)
    target = bad & accepted
    for band in np.unique(places).tolist():
        here = places == band
        known, waiting = here & accepted, np.flatnonzero(here & ~accepted)
        rate = float(bad[known].mean()) if known.any() else float(probability[waiting].mean())
        wanted = min(rate * factor, 1.0) * len(waiting)
        count = int(wanted) + int(drawn.random() < wanted - int(wanted))
        target[drawn.permutation(waiting)[:count]] = True
    rows = np.arange(len(accepted))
    assumption = f"within a band of score, the rejected are {factor:g} times as often bad as the accepted"
    return Inferred(rows, target, np.ones(len(rows)), "parcelling", assumption)


def fuzzy(
    accepted: NDArray[np.bool_], bad: NDArray[np.bool_], probability: NDArray[np.float64], *, factor: float = 1.0
) -> Inferred:
    """Each rejected applicant stands twice: as bad with weight p, as good with 1 - p (N. Siddiqi, 2006, chapter 6:
    fuzzy augmentation). With factor 1 and a model of the right form nothing changes: it adds what the model knew.

    Raises
    ------
    InputError : as `parcelled`
    """
    _check(accepted, bad, probability)
    if factor <= 0:
        raise InputError("the factor must be positive", where="factor", found=f"{factor:g}", allowed="above 0")
    known, waiting = np.flatnonzero(accepted), np.flatnonzero(~accepted)
    p = np.minimum(probability[waiting] * factor, 1.0)
    rows = np.concatenate([known, waiting, waiting])
    target = np.concatenate([bad[known], np.ones(len(waiting), bool), np.zeros(len(waiting), bool)])
    weights = np.concatenate([np.ones(len(known)), p, 1 - p])
    assumption = f"the rejected are {factor:g} times as often bad as the model of the accepted says"
    return Inferred(rows, target, weights, "fuzzy augmentation", assumption)


def reweighted(
    accepted: NDArray[np.bool_], bad: NDArray[np.bool_], propensity: NDArray[np.float64], bands: int = BANDS
) -> Inferred:
    """The accepted stand for the rejected like them: weight 1 / share of accepted in their band of propensity (D. Hsia,
    1978, augmentation; Banasik and Crook, 2007).

    Parameters
    ----------
    propensity : f8[n], probability of being accepted, by a model of acceptance over all who applied

    Raises
    ------
    InputError : as `extrapolated`
    """
    _check(accepted, bad, propensity)
    places = number_bins("propensity", propensity, bins=bands).place(propensity)
    size = int(places.max()) + 1
    all_of_it, known = (np.bincount(one, minlength=size) for one in (places, places[accepted]))
    share = np.maximum(known / np.maximum(all_of_it, 1), PROPENSITY_LEAST)
    rows = np.flatnonzero(accepted)
    weights = 1 / share[places[rows]]
    assumption = "of equal propensity, the rejected are like the accepted: nothing else that was seen decided"
    return Inferred(rows, bad[rows], weights * len(rows) / weights.sum(), "reweighting", assumption)


def _check(accepted: NDArray[np.bool_], bad: NDArray[np.bool_], probability: NDArray[np.float64]) -> None:
    if accepted.all() or not accepted.any():
        raise InputError(
            "there is nothing to infer from, or nobody to infer for", where="accepted",
            found=f"{int(accepted.sum())} of {len(accepted)} accepted", allowed="some of both",
            cure="Give all who applied, with what became of them.",
        )  # fmt: skip
    if len({len(accepted), len(bad), len(probability)}) > 1:
        raise InputError(
            "the columns are of different lengths", where="reject inference",
            found=f"{len(accepted)}, {len(bad)} and {len(probability)} rows", allowed="one value for each applicant",
        )  # fmt: skip
    if not (np.isfinite(probability).all() and probability.min() >= 0 and probability.max() <= 1):
        raise InputError(
            "not every value is a probability", where="reject inference",
            found=f"{float(np.nanmin(probability)):g} to {float(np.nanmax(probability)):g}",
            allowed="0 to 1, none missing",
        )  # fmt: skip
