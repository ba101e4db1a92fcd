"""Columns that predict too well alone: most often they were filled in after the outcome was known.

Each column is cut into bins, and a row is scored by the rate of its bin in the *other half* of the table. So a column
of many categories is not suspected for having learnt its own rows by heart.
"""

from __future__ import annotations

from itertools import combinations
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quanheng.models.metrics import auc_roc
from quanheng.models.table import Table
from quanheng.models.tables.findings import Finding

AUC_MAX = 0.90
"""One column alone: real drivers of credit risk stay below (the strongest of the public sets reaches 0.86)."""
PURE_RATE = 0.98
PURE_SHARE_MIN = 0.2
PURE_ROWS_MIN = 20
ABSENT_SHARE_MIN = 0.4
ROWS_MAX = 60_000
PAIR_ROWS = 4_000
_BINS = 20


class Suspicion(NamedTuple):
    """What a column says alone.

    auc : area under the ROC curve of the rates of its bins, each learnt in the other half
    event_share : share of the events in bins that hold (nearly) nothing else
    other_share : share of the other rows in bins that hold (nearly) no event
    missing_auc : the same of missing or not alone
    missing_share : like `event_share`, of missing or not alone
    """

    auc: float
    event_share: float
    other_share: float
    missing_auc: float
    missing_share: float


def leakage(table: Table, seed: int = 1) -> list[Finding]:
    """A warning for every column that predicts too well.

    Parameters
    ----------
    seed : of the cut into two halves, and of the rows looked at in a table of more than 60,000
    """
    draw = np.random.default_rng(seed)
    n = len(table.target)
    places = np.sort(draw.permutation(n)[:ROWS_MAX])
    target, half = table.target[places], draw.random(len(places)) < 0.5
    findings = []
    for column in table.columns:
        cells = table.rows[column.name][places]
        finding = _finding(column.name, suspicion(cells, target, half), float(target.mean()))
        findings += [finding] if finding else []
    return findings + _equal_pairs(table)


def _equal_pairs(table: Table) -> list[Finding]:
    """Two numbers that are equal in nearly all rows of one outcome and in few of the other (paid = owed)."""
    step = max(1, len(table.target) // PAIR_ROWS)
    target = table.target[::step]
    if not 0 < target.sum() < len(target):
        return []
    numbers = [column.name for column in table.columns if column.kind == "number" and column.distinct > _BINS]
    values = {name: table.rows[name].gather_every(step).to_numpy() for name in numbers}
    found = []
    for one, other in combinations(numbers, 2):
        equal = values[one] == values[other]
        if not 0.02 < equal.mean() < 0.98:
            continue
        auc = auc_roc(target, equal.astype(np.float64))
        if max(auc, 1 - auc) > AUC_MAX:
            told = f"equal to {one} or not has an AUC of {max(auc, 1 - auc):.3f}"
            done = f"kept: if it is known only after the outcome, leave it out with --drop {other}"
            found.append(Finding(kind="leakage", where=other, found=told, done=done, severity="warning"))
    return found


def suspicion(cells: pl.Series, target: NDArray[np.bool_], half: NDArray[np.bool_]) -> Suspicion:
    """What a column says alone, each half judged by the other."""
    bins = _bins_of(cells)
    rate, event_share, other_share = _judged(bins, target, half)
    missing = cells.is_null().to_numpy()
    missing_auc, missing_share = 0.5, 0.0
    if 0 < missing.sum() < len(missing):
        alone = auc_roc(target, missing.astype(np.float64))
        missing_auc = max(alone, 1 - alone)
        _, missing_share, _ = _judged(missing.astype(np.intp), target, half)
    return Suspicion(auc_roc(target, rate), event_share, other_share, missing_auc, missing_share)


def _finding(name: str, seen: Suspicion, base: float) -> Finding | None:
    done = f"kept: if it is known only after the outcome, leave it out with --drop {name}"
    if seen.missing_auc > AUC_MAX:
        found = f"missing or not alone has an AUC of {seen.missing_auc:.3f}"
        return Finding(kind="missing_tells", where=name, found=found, done=done, severity="warning")
    if seen.missing_share > PURE_SHARE_MIN and base < 0.5:
        found = f"rows with a value, or those without, all have the event ({seen.missing_share:.0%} of all events)"
        return Finding(kind="missing_tells", where=name, found=found, done=done, severity="warning")
    if seen.auc > AUC_MAX:
        found = f"alone it has an out-of-fold AUC of {seen.auc:.3f}"
        return Finding(kind="leakage", where=name, found=found, done=done, severity="warning")
    if seen.event_share > PURE_SHARE_MIN and base < 0.5:
        found = f"some of its values occur with the event alone ({seen.event_share:.0%} of all events)"
        return Finding(kind="leakage", where=name, found=found, done=done, severity="warning")
    if seen.other_share > ABSENT_SHARE_MIN:
        found = f"some of its values never occur with the event ({seen.other_share:.0%} of all other rows)"
        return Finding(kind="leakage", where=name, found=found, done=done, severity="warning")
    return None


def _bins_of(cells: pl.Series) -> NDArray[np.intp]:
    """i8[n] from 0: quantile bins of numbers, one for each category; missing is a bin of its own."""
    if cells.dtype == pl.String:
        return np.unique(cells.fill_null("\x00").to_numpy().astype(str), return_inverse=True)[1].astype(np.intp)
    values = cells.to_numpy().astype(np.float64)
    known = values[~np.isnan(values)]
    levels = np.unique(known)
    if len(levels) > _BINS:
        # Zero often means that nothing happened: it is a bin of its own.
        edges = np.unique(np.concatenate((np.quantile(known, np.linspace(0, 1, _BINS + 1)[1:-1]), np.array([0.0]))))
    else:
        edges = levels
    bins = np.searchsorted(edges, values, side="left") * 2 + np.isin(values, edges)
    bins[np.isnan(values)] = 2 * len(edges) + 2
    return np.unique(bins, return_inverse=True)[1].astype(np.intp)


def _judged(
    bins: NDArray[np.intp], target: NDArray[np.bool_], half: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], float, float]:
    """(rate of each row's bin in the other half, share of events in pure bins, share of others in bins without)."""
    size, base = int(bins.max()) + 1, float(target.mean())
    rate = np.empty(len(bins))
    pure = np.zeros(len(bins), bool)
    absent = np.zeros(len(bins), bool)
    for here in (half, ~half):
        learnt = ~here
        rows = np.bincount(bins[learnt], minlength=size)
        events = np.bincount(bins[learnt], weights=target[learnt], minlength=size)
        # Drawn to the base by a weight of ten rows: a bin of one row says little.
        rate[here] = ((events + 10 * base) / (rows + 10))[bins[here]]
        share = events / np.maximum(rows, 1)
        pure[here] = ((rows >= PURE_ROWS_MIN) & (share >= PURE_RATE))[bins[here]]
        absent[here] = ((rows * base >= PURE_ROWS_MIN) & (share <= 0.02 * base))[bins[here]]
    held = target[pure].mean() if pure.any() else 0.0
    event_share = float(pure[target].mean()) if held >= 0.9 else 0.0
    return rate, event_share, float(absent[~target].mean())
