"""What each leaf of compiled trees asks of a row: one condition an input, however often its path splits on it.

A row is in the leaf if it meets all conditions. So a tree is a sum over leaves of `value * [meets all]`, which is what
explanations and the proof of monotone trees work on.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from quanheng.kernel.errors import InputError
from quanheng.models.trees import Trees


class Leaves(NamedTuple):
    """The leaves of all trees, in the order of trees and of nodes; conditions of leaf k are `starts[k]:starts[k + 1]`.

    values f8[leaves] : what the leaf adds; trees i8[leaves] : its tree
    starts i8[leaves + 1] : first condition
    inputs i8, lows f8, highs f8, missing bool [conditions] : met if low < x <= high, NaN low = no lower bound;
        by a missing value if `missing`
    shares f8[conditions] : of the training rows that reached the splits on this input, those that went on to the leaf
    """

    values: NDArray[np.float64]
    trees: NDArray[np.int64]
    starts: NDArray[np.int64]
    inputs: NDArray[np.int64]
    lows: NDArray[np.float64]
    highs: NDArray[np.float64]
    missing: NDArray[np.bool_]
    shares: NDArray[np.float64]


class _Condition(NamedTuple):
    low: float = np.nan
    high: float = np.inf
    missing: bool = True
    share: float = 1.0


def leaves_of(trees: Trees) -> Leaves:
    """The leaves of compiled trees that carry covers.

    Raises
    ------
    InputError : the trees carry no covers, or a node was reached by no training row
    """
    if trees.covers is None or not (trees.covers > 0).all():
        raise InputError(
            "these trees do not say how many training rows reached each node",
            where="trees",
            found="no covers" if trees.covers is None else "a node without rows",
            cure="Compile them from the booster with `Trees.from_lightgbm(booster, covers=True)`.",
        )
    values: list[float] = []
    owners: list[int] = []
    starts = [0]
    conditions: list[tuple[int, _Condition]] = []
    for tree, root in enumerate(trees.roots.tolist()):
        waiting: list[tuple[int, dict[int, _Condition]]] = [(root, {})]
        while waiting:
            node, path = waiting.pop()
            left = int(trees.left[node])
            if left == node:
                values.append(float(trees.values[node]))
                owners.append(tree)
                conditions += sorted(path.items())
                starts.append(len(conditions))
                continue
            # The right one waits below the left one: leaves come from left to right.
            waiting += [(left + side, _narrowed(trees, node, side, path)) for side in (1, 0)]
    each = [one for _, one in conditions]
    return Leaves(
        values=np.array(values),
        trees=np.array(owners, np.int64),
        starts=np.array(starts, np.int64),
        inputs=np.array([at for at, _ in conditions], np.int64),
        lows=np.array([one.low for one in each]),
        highs=np.array([one.high for one in each]),
        missing=np.array([one.missing for one in each], np.bool_),
        shares=np.array([one.share for one in each]),
    )


def _narrowed(trees: Trees, node: int, side: int, path: dict[int, _Condition]) -> dict[int, _Condition]:
    """The conditions of a path behind a split: side 0 = left, `x <= threshold`."""
    columns, threshold = len(trees.inputs), float(trees.thresholds[node])
    column, missing_left = int(trees.features[node]) % columns, int(trees.features[node]) < columns
    covers = trees.covers
    assert covers is not None  # Checked by the caller.
    old = path.get(column, _Condition())
    new = _Condition(
        low=old.low if side == 0 else float(np.fmax(old.low, threshold)),
        high=min(old.high, threshold) if side == 0 else old.high,
        missing=old.missing and missing_left == (side == 0),
        share=old.share * (int(covers[int(trees.left[node]) + side]) / int(covers[node])),
    )
    return {**path, column: new}
