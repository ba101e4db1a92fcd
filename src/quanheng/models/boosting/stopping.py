"""Which training rows tell boosting when to stop: never the rows it learns from, never the rows it is measured on.

Where rows have times, the latest fifth watches and all earlier ones teach. Else a fifth drawn with the share of events
kept; under 10,000 rows each of five such fifths in turn, because one small part would stop by chance.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from quanheng.kernel.errors import InputError
from quanheng.models.table import Table

PARTS = 5
SMALL = 10_000


class InnerPart(NamedTuple):
    """Places of rows that teach and of rows that watch, rising."""

    teach: NDArray[np.intp]
    watch: NDArray[np.intp]


def inner_parts(table: Table, seed: int) -> list[InnerPart]:
    """The parts, each with rows of both kinds on both sides; none where there are too few of a kind."""
    if table.times is not None:
        latest = np.quantile(table.times, 1 - 1 / PARTS, method="inverted_cdf")
        return [part for part in [_split(table.times >= latest)] if _both_kinds(part, table.target)]
    random = np.random.default_rng(seed)
    fold = np.empty(len(table.target), np.intp)
    for kind in (False, True):
        own = random.permutation(np.flatnonzero(table.target == kind))
        fold[own] = np.arange(len(own)) % PARTS
    parts = [_split(fold == one) for one in range(PARTS if len(table.target) < SMALL else 1)]
    return [part for part in parts if _both_kinds(part, table.target)]


def _split(watches: NDArray[np.bool_]) -> InnerPart:
    return InnerPart(np.flatnonzero(~watches), np.flatnonzero(watches))


def _both_kinds(part: InnerPart, target: NDArray[np.bool_]) -> bool:
    return all(0 < int(target[side].sum()) < len(side) for side in part)


def log_loss(target: NDArray[np.bool_], log_odds: NDArray[np.float64]) -> float:
    """Mean negative log-likelihood of log-odds, without overflow."""
    return float(np.mean(np.logaddexp(0.0, np.where(target, -log_odds, log_odds))))


def check_table(table: Table) -> None:
    """Refuse a table that teaches nothing.

    Raises
    ------
    InputError : one kind of target, no rows, or no columns
    """
    events = int(table.target.sum())
    if not 0 < events < len(table.target):
        raise InputError(
            "there is nothing to learn from",
            where="target",
            found=f"{events} of {len(table.target)} rows",
            allowed="rows of both kinds",
            cure="Give more rows, or look at how the target is read.",
        )
    if not table.columns:
        raise InputError("there is no usable column", where="table", found="0 inputs", allowed="1 or more")
