"""Additive models of shape functions and pairs as a look-up: what explainable boosting compiles to.

The log-odds are `intercept + sum of terms`; a term is one number from a table, found by the bin of one input or of two.
So contributions are read off, not estimated. A pair's number counts half for each of its inputs (the Shapley value of a
sum of two).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from quanheng.kernel.errors import InputError


class Additive(NamedTuple):
    """Flat arrays; binning `2 * i` is that of input i alone, `2 * i + 1` its coarser one in pairs.

    intercept : log-odds before any term
    nominal bool[inputs] : the input is the number of a category, from 0; else any number
    edge_starts i8[2 * inputs + 1], edges f8 : cuts of a binning, `x >= cut` is above it; of a nominal input the bin of
        each category. Bin 0 is that of missing values, the last one that of categories never seen
    bins i8[2 * inputs] : how many bins, those two counted
    pairs i8[terms, 2] : inputs of a term; the second is -1 for a term of one input
    score_starts i8[terms + 1], scores f8 : of a term, the first input's bin by the second's
    """

    intercept: float
    nominal: NDArray[np.bool_]
    edge_starts: NDArray[np.int64]
    edges: NDArray[np.float64]
    bins: NDArray[np.int64]
    pairs: NDArray[np.int64]
    score_starts: NDArray[np.int64]
    scores: NDArray[np.float64]

    def log_odds(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """f8[n] of rows f8[n, inputs], NaN = missing, a category by its number and one never seen as -1."""
        out = np.full(len(rows), self.intercept)
        _add(np.ascontiguousarray(rows), *self[1:], out, np.zeros((1, 0)))
        return out

    def contributions(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """f8[n, inputs]: what each input adds to the log-odds."""
        out = np.zeros((len(rows), len(self.nominal)))
        _add(np.ascontiguousarray(rows), *self[1:], np.zeros(len(rows)), out)
        return out


def compiled(
    intercept: float,
    nominal: Sequence[bool],
    edges: Sequence[NDArray[np.float64]],
    terms: Sequence[tuple[Sequence[int], NDArray[np.float64]]],
) -> Additive:
    """Arrays of binnings `edges` (two an input) and of terms (inputs, scores by bin).

    Raises
    ------
    InputError : a term has more than two inputs, or its scores do not fit the bins of its inputs
    """
    bins = [(int(own.max(initial=0)) if nominal[at // 2] else len(own) + 1) + 2 for at, own in enumerate(edges)]
    for inputs, scores in terms:
        wanted = [bins[2 * at + (len(inputs) > 1)] for at in inputs]
        if not 1 <= len(inputs) <= 2 or list(scores.shape) != wanted:
            raise InputError(
                "a term of the additive model does not fit its bins",
                where=f"term of inputs {', '.join(map(str, inputs))}",
                found=f"scores of shape {scores.shape}",
                allowed=f"{tuple(wanted)} for one input or two",
            )
    return Additive(
        intercept=intercept,
        nominal=np.array(nominal, np.bool_),
        edge_starts=np.cumsum([0, *map(len, edges)], dtype=np.int64),
        edges=np.concatenate([*edges, np.empty(0)]),
        bins=np.array(bins, np.int64),
        pairs=np.array([(*inputs, -1)[:2] for inputs, _ in terms], np.int64).reshape(-1, 2),
        score_starts=np.cumsum([0, *(scores.size for _, scores in terms)], dtype=np.int64),
        scores=np.concatenate([*(scores.ravel() for _, scores in terms), np.empty(0)]),
    )


def is_sound(model: Additive) -> bool:
    """Whether no row can lead a look-up outside the tables."""
    inputs, edges = len(model.nominal), np.diff(model.edge_starts)
    sizes = np.diff(model.score_starts)
    if len(model.bins) != 2 * inputs or len(edges) != 2 * inputs or model.edge_starts[-1] != len(model.edges):
        return False
    if len(sizes) != len(model.pairs) or model.score_starts[-1] != len(model.scores) or (edges < 0).any():
        return False
    if len(model.pairs) and (model.pairs.min() < -1 or model.pairs.max() >= inputs or model.pairs[:, 0].min() < 0):
        return False
    for at in range(2 * inputs):
        own = model.edges[model.edge_starts[at] : model.edge_starts[at + 1]]
        if model.nominal[at // 2]:
            if len(own) and not (own.min() >= 0 and own.max() < model.bins[at] and (own == np.floor(own)).all()):
                return False
        elif model.bins[at] != len(own) + 3 or not (np.diff(own) > 0).all():
            return False
    return all(
        size == (model.bins[2 * one] if two < 0 else model.bins[2 * one + 1] * model.bins[2 * two + 1])
        for size, (one, two) in zip(sizes, model.pairs, strict=True)
    ) and bool(np.isfinite(model.scores).all())


@njit(nogil=True, cache=True)
def _bin(value, nominal, edges, bins):  # type: ignore[no-untyped-def]
    if np.isnan(value):
        return 0
    if nominal:
        return int(edges[int(value)]) if 0 <= value < edges.shape[0] else bins - 1
    return np.searchsorted(edges, value, side="right") + 1


@njit(nogil=True, cache=True)
def _add(rows, nominal, edge_starts, edges, bins, pairs, score_starts, scores, log_odds, out):  # type: ignore[no-untyped-def]
    places = np.zeros(2 * nominal.shape[0], np.int64)
    for row in range(rows.shape[0]):
        for at in range(places.shape[0]):
            own = edges[edge_starts[at] : edge_starts[at + 1]]
            places[at] = _bin(rows[row, at // 2], nominal[at // 2], own, bins[at])
        for term in range(pairs.shape[0]):
            one, two = pairs[term, 0], pairs[term, 1]
            if two < 0:
                score = scores[score_starts[term] + places[2 * one]]
            else:
                place = places[2 * one + 1] * bins[2 * two + 1] + places[2 * two + 1]
                score = scores[score_starts[term] + place]
            log_odds[row] += score
            if out.shape[1]:
                if two < 0:
                    out[row, one] += score
                else:
                    out[row, one] += 0.5 * score
                    out[row, two] += 0.5 * score
