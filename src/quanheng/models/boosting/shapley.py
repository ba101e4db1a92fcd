"""Path-dependent TreeSHAP over compiled trees, exactly, for one row or a batch.

Known inputs follow the tree; at a split on an unknown one both ways count by the training rows that went there
(Lundberg, Erion and Lee 2018, algorithm 1). In leaves that reads: a leaf with value v and conditions k is worth

    v * product over known k of met(k) * product over the others of share(k).

Shapley values are the integral of a game's multilinear extension along its diagonal (Owen 1972), so input j gets from
the leaf

    v * (met(j) - share(j)) * integral over t in [0, 1] of product over k != j of (t * met(k) + (1 - t) * share(k)).

With d conditions that is a polynomial of degree d - 1: Gauss-Legendre quadrature with ceil(d / 2) points is exact. All
terms of a product are positive, so nothing cancels, unlike in the recursion of algorithm 2, whose values these are.

A leaf's answer depends only on which conditions are met: each pattern is computed once in a batch. A row's values do
not depend on the rows beside it.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from quanheng.kernel.errors import InputError
from quanheng.models.boosting.leaves import Leaves, leaves_of
from quanheng.models.trees import Trees

_PATTERN_CONDITIONS = 10  # Leaves of more conditions have too many patterns to remember.


class TreeShapley:
    """Contributions of the inputs of compiled trees to the raw sum.

    base : the raw sum that is expected when nothing is known: leaves by their share of the training rows

    Raises
    ------
    InputError : the trees carry no covers
    """

    def __init__(self, trees: Trees) -> None:
        self._width = len(trees.inputs)
        self._leaves = leaves_of(trees)
        self._points, self._weights = _quadrature(self._leaves)
        self.base = _base(self._leaves)

    def contributions(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """f8[n, inputs] of rows f8[n, inputs], NaN = missing: `base` plus a row's sum is its raw sum.

        Raises
        ------
        InputError : the number of columns is not that of the inputs
        """
        if rows.ndim != 2 or rows.shape[1] != self._width:
            raise InputError(
                "the rows do not fit the model",
                where="TreeSHAP",
                found=f"an array of shape {rows.shape}",
                allowed=f"(rows, {self._width})",
                cure="Give the model's inputs as columns, in their order.",
            )
        out = np.zeros((len(rows), self._width))
        _explain(np.ascontiguousarray(rows, np.float64), *self._leaves, self._points, self._weights, out)
        return out


def _base(leaves: Leaves) -> float:
    shares = np.ones(len(leaves.values))
    for leaf, (first, last) in enumerate(zip(leaves.starts[:-1], leaves.starts[1:], strict=True)):
        shares[leaf] = np.prod(leaves.shares[first:last])
    return float(leaves.values @ shares)


def _quadrature(leaves: Leaves) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Points and weights on [0, 1], row q for the rule of q points."""
    most = max(int(np.diff(leaves.starts).max(initial=1)) + 1, 2) // 2
    points, weights = np.zeros((most + 1, most)), np.zeros((most + 1, most))
    for count in range(1, most + 1):
        at, weight = np.polynomial.legendre.leggauss(count)
        points[count, :count], weights[count, :count] = (at + 1.0) / 2.0, weight / 2.0
    return points, weights


@njit(nogil=True, cache=True)
def _meets(value, low, high, missing):  # type: ignore[no-untyped-def]
    if np.isnan(value):
        return missing
    return value <= high and not value <= low


@njit(nogil=True, cache=True)
def _shares_of_leaf(value, met, shares, points, weights, found):  # type: ignore[no-untyped-def]
    """What each condition's input gets from a leaf, into `found`."""
    count = shares.shape[0]
    found[:count] = 0.0
    for q in range((count + 1) // 2):
        t = points[q]
        whole = value * weights[q]
        for k in range(count):
            whole *= (1.0 - t) * shares[k] + t * met[k]
        for k in range(count):
            found[k] += whole * (met[k] - shares[k]) / ((1.0 - t) * shares[k] + t * met[k])


@njit(nogil=True, cache=True)
def _explain(rows, values, trees, starts, inputs, lows, highs, missing, shares, points, weights, out):  # type: ignore[no-untyped-def]
    most = 1
    for leaf in range(values.shape[0]):
        most = max(most, starts[leaf + 1] - starts[leaf])
    met = np.zeros(most)
    known = np.zeros((1 << min(most, _PATTERN_CONDITIONS), most))
    seen = np.full(known.shape[0], -1)
    for leaf in range(values.shape[0]):
        first, count = starts[leaf], starts[leaf + 1] - starts[leaf]
        rule = (count + 1) // 2
        for row in range(rows.shape[0]):
            pattern = 0
            for k in range(count):
                at = first + k
                met[k] = _meets(rows[row, inputs[at]], lows[at], highs[at], missing[at])
                pattern = 2 * pattern + int(met[k])
            place = pattern if count <= _PATTERN_CONDITIONS else 0
            if seen[place] != leaf or count > _PATTERN_CONDITIONS:
                seen[place] = leaf
                _shares_of_leaf(
                    values[leaf], met, shares[first : first + count], points[rule], weights[rule], known[place]
                )
            for k in range(count):
                out[row, inputs[first + k]] += known[place, k]
