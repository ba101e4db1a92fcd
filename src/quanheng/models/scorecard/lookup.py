"""A scorecard compiled: raw inputs in, points, probability and up to four reasons out, in one pass.

Two flat tables hold everything, so that a call hands over four arrays: what a single row waits for is the call.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numba import njit
from numpy.typing import NDArray

from quanheng.models.scorecard.weights import Scored, Weights

Floats = NDArray[np.float64]

REASONS = 4
POINTS, PROBABILITY, FIRST_REASON = 0, 1, 2
WIDTH = FIRST_REASON + REASONS
"""Columns of an answer: points, probability, then reasons as places in `Weights.reasons`, NaN = none."""

_START = 3
"""Integers before the heads: characteristics, points of the base, whether points stand behind probability."""

_HEAD = 9
"""Integers per characteristic: cuts (start, count), specials (start, count), bins (start), codes (start, count),
bin of what is missing, bin of what is unknown (numbers: the first special's bin)."""


class Lookup:
    """The tables of a scorecard.

    Parameters
    ----------
    weights : of the scorecard
    categories : per category column the values its codes stand for: code k is the k-th. A code that is no place in the
        list is unknown; NaN is missing. Without an entry the codes are places in `Scored.categories`
    decimals : of the probability, rounded half to even; None = exact
    points_behind : points stand in the second column and the probability in the first, so that what is served and its
        reasons are one slice either way
    """

    __slots__ = ("_floats", "_ints", "inputs")

    def __init__(
        self,
        weights: Weights,
        categories: Mapping[str, Sequence[str]] | None = None,
        *,
        decimals: int | None = None,
        points_behind: bool = False,
    ) -> None:
        categories = categories or {}
        reasons = {code: at for at, code in enumerate(weights.reasons)}
        floats: list[float] = [weights.base, 0.0 if decimals is None else float(10**decimals)]
        ints: list[int] = [len(weights.characteristics), weights.base_points, int(points_behind)]
        ints += [0] * (_HEAD * len(weights.characteristics))
        for place, one in enumerate(weights.characteristics):
            values = categories.get(one.column.name, one.categories)
            head = _append(one, values, reasons, floats, ints)
            ints[_START + place * _HEAD : _START + (place + 1) * _HEAD] = head
        self.inputs = len(weights.characteristics)
        self._floats, self._ints = np.array(floats), np.array(ints, np.int64)

    def answers(self, flat: Floats) -> Floats:
        """f8[n, WIDTH] for inputs one column behind another, f8[inputs · n]; NaN = missing."""
        rows = len(flat) // self.inputs
        out = np.empty((rows, WIDTH))
        _look_up(flat, self._floats, self._ints, out)
        return out

    def places(self, flat: Floats) -> NDArray[np.int64]:
        """i8[n, inputs]: the bin of each input."""
        out = np.empty((len(flat) // self.inputs, self.inputs), np.int64)
        _find_places(flat, self._floats, self._ints, out)
        return out


def _append(
    one: Scored, values: Sequence[str], reasons: Mapping[str, int], floats: list[float], ints: list[int]
) -> list[int]:
    """Put a characteristic into the tables; its head."""
    cuts = [bin.high for bin in one.bins if bin.kind == "range" and bin.high is not None]
    specials = [bin.special for bin in one.bins if bin.kind == "special" and bin.special is not None]
    cuts_at = len(floats)
    floats += cuts
    specials_at = len(floats)
    floats += specials
    parts_at = len(floats)
    floats += [bin.log_odds for bin in one.bins]
    bins_at = len(ints)
    ints.append(parts_at)
    for bin in one.bins:
        ints += [bin.points, bin.lost, reasons[bin.reason]]
    codes_at = len(ints)
    of = {value: at for at, bin in enumerate(one.bins) for value in bin.values}
    codes = [of.get(value, one.at("other")) for value in values] if one.column.kind == "category" else []
    ints += codes
    other = one.at("other") if one.column.kind == "category" else one.at("special")
    return [
        cuts_at, len(cuts), specials_at, len(specials), bins_at, codes_at, len(codes) if other >= 0 else 0,
        one.at("missing"), other if one.column.kind == "number" else -2 - other,
    ]  # fmt: skip


@njit(nogil=True, inline="always")
def _bin(value, head, floats, ints):  # type: ignore[no-untyped-def]
    if np.isnan(value):
        return ints[head + 7]
    other = ints[head + 8]
    if other < -1:  # A category.
        if 0 <= value < ints[head + 6]:
            return ints[ints[head + 5] + np.int64(value)]
        return -2 - other
    first = ints[head + 2]
    for k in range(ints[head + 3]):
        if value == floats[first + k]:
            return other + k
    at, cuts = ints[head], ints[head + 1]
    found = 0
    for k in range(cuts):  # Few cuts: adding truths costs less than a branch that is foretold wrongly.
        found += value >= floats[at + k]
    return found


@njit(nogil=True, inline="always")
def _put_reason(out, row, lost, losses, reason):  # type: ignore[no-untyped-def]
    """Keep a reason in its rank; one that stands there already is told once, with its greatest loss."""
    end = REASONS
    for k in range(REASONS):
        if losses[k] > 0 and out[row, FIRST_REASON + k] == reason:
            if lost <= losses[k]:
                return
            end = k + 1
            break
    k = end - 1
    if lost <= losses[k] and end == REASONS:
        return
    while k > 0 and losses[k - 1] < lost:
        losses[k] = losses[k - 1]
        out[row, FIRST_REASON + k] = out[row, FIRST_REASON + k - 1]
        k -= 1
    losses[k] = lost
    out[row, FIRST_REASON + k] = reason


@njit(nogil=True, cache=True)
def _look_up(flat, floats, ints, out):  # type: ignore[no-untyped-def]
    rows = out.shape[0]
    losses = np.empty(REASONS, np.int64)
    for row in range(rows):
        losses[:] = 0
        out[row, FIRST_REASON:] = np.nan
        points, log_odds = ints[1], floats[0]
        for column in range(ints[0]):
            head = _START + column * _HEAD
            at = _bin(flat[column * rows + row], head, floats, ints)
            bins = ints[head + 4]
            log_odds += floats[ints[bins] + at]
            one = bins + 1 + 3 * at
            points += ints[one]
            if ints[one + 1] > losses[REASONS - 1]:
                _put_reason(out, row, ints[one + 1], losses, ints[one + 2])
        probability = 1.0 / (1.0 + np.exp(-log_odds))
        if floats[1] > 0:
            probability = np.rint(probability * floats[1]) / floats[1]
        out[row, ints[2]] = points
        out[row, 1 - ints[2]] = probability


@njit(nogil=True, cache=True)
def _find_places(flat, floats, ints, out):  # type: ignore[no-untyped-def]
    rows = out.shape[0]
    for row in range(rows):
        for column in range(out.shape[1]):
            out[row, column] = _bin(flat[column * rows + row], _START + column * _HEAD, floats, ints)
