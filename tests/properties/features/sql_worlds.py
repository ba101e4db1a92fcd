"""Folds asked of an SQL engine and of the kernel, and what differs beyond the declared tolerance."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from feature_worlds import LAYOUTS, PAYMENT
from window_worlds import everything

from quanheng.features.fold import Fold
from quanheng.features.kernel.words import NULL, UNKNOWN
from quanheng.features.kinds import CALENDAR_KINDS
from quanheng.features.plan import Plan
from quanheng.features.sql.frames import event_frame, key_columns, moment_frame
from quanheng.features.sql.reasons import Backend, reason
from quanheng.features.sql.run import raw_columns, table_of
from quanheng.features.state import FeatureOverflow, FeatureState
from quanheng.kernel.calendars import Calendar, Calendars, CalendarYear
from quanheng.testing.slow_features import Event, as_arrays

DAYS = Calendar("days", (5, 6), (CalendarYear(2024, (date(2024, 4, 1),), (date(2024, 4, 19),), "invented"),))
TOLERANCE = 5e-10
"""Of the sum of absolute contributions: what a decayed sum may differ by (docs/how-to/build-a-training-set.md)."""


class Found(NamedTuple):
    """Raw columns of every payment, of SQL and of the kernel; folds asked by RANGE windows; cells that overflowed."""

    sql: pl.DataFrame
    kernel: np.ndarray
    by_range: list[str]
    overflows: int
    folds: list[Fold]
    largest: float


def compared(
    connection: Any, backend: Backend, events: Sequence[Event], folds: Sequence[Fold], lateness_ms: int,
    calendars: Calendars | None = None,
) -> Found:  # fmt: skip
    """Ask both."""
    plan = Plan.compile(LAYOUTS, folds, [PAYMENT.name], lateness_ms, calendars=calendars)
    types, times, keys, numbers = as_arrays(events, 3, 2)
    overflows = 0
    try:
        kernel = FeatureState(plan).run(types, times, keys, numbers)
    except FeatureOverflow as overflow:
        kernel, overflows = overflow.raw, len(overflow.cells)
    rows = np.flatnonzero(types == PAYMENT.code)
    table = event_frame(LAYOUTS, np.arange(len(types)), types, times, keys, numbers)
    own = {name: numbers[rows, place] for place, name in enumerate(PAYMENT.numbers)}
    moments = moment_frame(rows, times[rows], rows, rows, key_columns(PAYMENT, keys[rows]), own)
    with tempfile.TemporaryDirectory() as folder:
        asked = [table_of(connection, frame, Path(folder), name) for name, frame in (("e", table), ("m", moments))]
        found, by_range = raw_columns(plan, *asked, backend, calendars)
    largest = max((abs(float(number)) for one in events for number in one.numbers if number != NULL), default=1.0)
    columns = [plan.folds[column.fold] for column in plan.columns]
    return Found(found.drop("_row"), kernel[rows], by_range, overflows, columns, largest)


def unequal(found: Found) -> list[tuple[str, Fold, int]]:
    """Columns with cells that are not the same bits, or for decayed folds further apart than the tolerance."""
    wrong = []
    for place, (name, fold) in enumerate(zip(found.sql.columns, found.folds, strict=True)):
        sql, kernel = found.sql[name].to_numpy(), found.kernel[:, place]
        differs = sql != kernel
        if fold.fold.startswith("decayed"):
            differs &= _apart(sql, kernel) > TOLERANCE * len(sql) * 3 * (1.0 if fold.value is None else found.largest)
        if differs.any():
            wrong.append((name, fold, int(differs.sum())))
    return wrong


def _apart(sql: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """How far floats are apart; infinitely where one is no number."""
    apart = np.abs(sql.view(np.float64) - kernel.view(np.float64))
    nothing = np.isin(sql, [NULL, UNKNOWN]) | np.isin(kernel, [NULL, UNKNOWN])
    return np.where(nothing, np.inf, apart)


def sql_world(
    seed: int, backend: Backend, events_n: int, folds_n: int
) -> tuple[random.Random, list[Fold], list[Event], Calendars]:
    """Folds of every kind with every window and condition, and events around a change of clocks."""
    rng, folds, events = everything(seed, events_n)
    folds = [
        one for one in folds
        if reason(one, backend) is None
        and (one.fold in CALENDAR_KINDS or set(one.match or one.by) <= set(PAYMENT.keys))
    ]  # fmt: skip
    rng.shuffle(folds)
    return rng, folds[:folds_n], events, {"days": DAYS}
