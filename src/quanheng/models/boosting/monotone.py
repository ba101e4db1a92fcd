"""Monotone constraints: which way a number may push, declared or judged by a stated rule, and proved of fitted trees.

The rule `auto` looks at training rows only, without missing values and codes. It puts a number's values into ten groups
of about equal size, equal values together, and constrains it where all of this holds:

* there are at least 500 values, and two groups or more;
* the share of events has a trend: Cochran (1954) and Armitage (1955), |z| of at least 4;
* the trend is monotone: the closest monotone line of group shares (pool adjacent violators, Barlow and others 1972)
  leaves at most a tenth of their variance between groups unexplained.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from quanheng.kernel.errors import InputError
from quanheng.models.boosting.leaves import Leaves, leaves_of
from quanheng.models.table import Table
from quanheng.models.trees import Trees

GROUPS = 10
VALUES_MIN = 500
Z_MIN = 4.0
UNEXPLAINED_MAX = 0.1

Monotone = str | Mapping[str, int]
"""`none`, `auto`, or column → 1 (rises with it), -1 (falls with it), 0."""


def monotone_signs(monotone: Monotone, table: Table) -> dict[str, int]:
    """Column → 1 or -1, for those that are constrained.

    Raises
    ------
    InputError : a declared column is none of the table's numbers, a sign is none of 1, 0, -1, or a word is not known
    """
    numbers = [column for column in table.columns if column.kind == "number"]
    if monotone == "none":
        return {}
    if monotone == "auto":
        signs = {one.name: judged_sign(_plain(table, one.name, one.specials), table) for one in numbers}
        return {name: sign for name, sign in signs.items() if sign}
    if isinstance(monotone, str):
        raise InputError(
            "there is no such rule of monotone constraints", where="monotone", found=monotone, allowed="none, auto"
        )
    names = [one.name for one in numbers]
    for name, sign in monotone.items():
        if name not in names:
            raise InputError(
                "only a number of the table can be monotone", where="monotone", found=name, allowed=", ".join(names)
            )
        if sign not in {-1, 0, 1}:
            raise InputError(
                "a monotone constraint says which way",
                where=f"monotone: {name}",
                found=repr(sign),
                allowed="1 (the risk rises with it), -1 (it falls), 0 (no constraint)",
            )
    return {name: int(sign) for name, sign in monotone.items() if sign}


def judged_sign(values: NDArray[np.float64], table: Table) -> int:
    """What `auto` says of one number f8[n], NaN where it has no plain value: 1, -1 or 0."""
    known = ~np.isnan(values)
    if int(known.sum()) < VALUES_MIN:
        return 0
    rows, events = _grouped(values[known], table.target[known])
    if len(rows) < 2:
        return 0
    z = trend_z(rows, events)
    sign = 1 if z > 0 else -1
    shares = sign * events / rows
    between = float(rows @ (shares - np.average(shares, weights=rows)) ** 2)
    left = float(rows @ (shares - isotonic(shares, rows)) ** 2)
    return sign if abs(z) >= Z_MIN and left <= UNEXPLAINED_MAX * between else 0


def trend_z(rows: NDArray[np.float64], events: NDArray[np.float64]) -> float:
    """The Cochran-Armitage statistic of event shares in ordered groups, with scores 0, 1, 2, …"""
    scores = np.arange(len(rows), dtype=np.float64)
    share = events.sum() / rows.sum()
    centred = scores - np.average(scores, weights=rows)
    variance = share * (1 - share) * float(rows @ centred**2)
    return float(events @ centred) / math.sqrt(variance) if variance > 0 else 0.0


def isotonic(values: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """The rising sequence that is closest in weighted squares (pool adjacent violators)."""
    blocks: list[tuple[float, float, int]] = []
    for value, weight in zip(values.tolist(), weights.tolist(), strict=True):
        block = (value, weight, 1)
        while blocks and blocks[-1][0] >= block[0]:
            mean, heavy, count = blocks.pop()
            total = heavy + block[1]
            block = ((mean * heavy + block[0] * block[1]) / total, total, count + block[2])
        blocks.append(block)
    return np.repeat([one[0] for one in blocks], [one[2] for one in blocks])


def breaks_monotone(trees: Trees, column: int, sign: int) -> tuple[int, int] | None:
    """Two leaves of one tree, numbered as in `leaves_of`, between which the raw sum moves against `sign`.

    None proves that it never does, for every two rows that differ in this input alone and miss it in neither: if each
    tree is monotone, so is their sum.

    Raises
    ------
    InputError : the trees carry no covers
    """
    leaves = leaves_of(trees)
    for tree in range(len(trees.roots)):
        own = np.flatnonzero(leaves.trees == tree)
        lows, highs, missing = _boxes(leaves, own, len(trees.inputs))
        meet = (np.fmax(lows[:, None], lows[None]) < np.fmin(highs[:, None], highs[None])) | (
            missing[:, None] & missing[None]
        )
        meet[:, :, column] = lows[:, None, column] < highs[None, :, column]  # Some value of one below one of the other.
        values = sign * leaves.values[own]
        bad = np.argwhere(meet.all(axis=2) & (values[:, None] > values[None]))
        if len(bad):
            return int(own[bad[0, 0]]), int(own[bad[0, 1]])
    return None


def _boxes(leaves: Leaves, own: NDArray[np.intp], width: int) -> tuple[NDArray, NDArray, NDArray]:
    """Bounds of leaves in every input: lows, highs f8[leaves, inputs], missing bool[leaves, inputs]."""
    lows, highs = np.full((len(own), width), -np.inf), np.full((len(own), width), np.inf)
    missing = np.ones((len(own), width), np.bool_)
    for at, leaf in enumerate(own):
        part = slice(leaves.starts[leaf], leaves.starts[leaf + 1])
        columns = leaves.inputs[part]
        lows[at, columns] = np.nan_to_num(leaves.lows[part], nan=-np.inf, posinf=np.inf, neginf=-np.inf)
        highs[at, columns], missing[at, columns] = leaves.highs[part], leaves.missing[part]
    return lows, highs, missing


def _plain(table: Table, name: str, codes: tuple[float, ...]) -> NDArray[np.float64]:
    values = table.rows[name].to_numpy().astype(np.float64)
    return np.where(np.isin(values, codes), np.nan, values)


def _grouped(values: NDArray[np.float64], target: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rows and events of the groups, in the order of values."""
    edges = np.unique(np.quantile(values, np.arange(1, GROUPS) / GROUPS, method="inverted_cdf"))
    group = np.searchsorted(edges, values, side="left")
    rows = np.bincount(group, minlength=len(edges) + 1).astype(np.float64)
    events = np.bincount(group, target, len(edges) + 1).astype(np.float64)
    return rows[rows > 0], events[rows > 0]
