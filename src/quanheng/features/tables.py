"""Compile folds to the op tables that the kernel walks: a flat array of int64 (layout: kernel/words.py)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from quanheng.features.calendars import Calendars, weekend_bits
from quanheng.features.conditions import ASKED, Condition, conditions_of, words_of
from quanheng.features.fold import EventLayout, Fold
from quanheng.features.kernel import words as w
from quanheng.features.kinds import CALENDAR_KINDS, KINDS
from quanheng.features.zones import zone_words

Words = np.ndarray
_PLAIN = {"count", "sum", "mean"}  # Folds that need the boundaries of a window and nothing between them.


class Column(NamedTuple):
    """One raw column. `part` is "" or, for a mean, "sum" and "count"."""

    name: str
    fold: int
    part: str


@dataclass(slots=True)
class Table:
    """One (event type, key, condition): what its ring holds and what is read from it."""

    of: str
    by: tuple[str, ...]
    where: str | None = None
    condition: Condition | None = None
    folds: list[int] = field(default_factory=list)
    bounds: list[int] = field(default_factory=list)
    values: list[str] = field(default_factory=list)  # Summed number fields first.
    summed: int = 0
    trees: list[tuple[str, int]] = field(default_factory=list)
    sets: list[tuple[int, int, str]] = field(default_factory=list)  # Low bound (-1: all history), high bound, field.
    base: bool = False


def collect(folds: Sequence[Fold], layouts: Mapping[str, EventLayout]) -> list[Table]:
    """Group folds into tables. Order of key fields does not matter: they are sorted. Folds of a calendar kind have
    none."""
    tables: dict[tuple[str, tuple[str, ...], Condition | None], Table] = {}
    for number, (fold, condition) in enumerate(zip(folds, conditions_of(layouts, folds), strict=True)):
        if fold.fold not in CALENDAR_KINDS:
            by = tuple(sorted(fold.by))
            table = tables.setdefault((fold.of, by, condition), Table(fold.of, by, fold.where, condition))
            table.folds.append(number)
    for table in tables.values():
        own = [folds[number] for number in table.folds]
        table.bounds = sorted({edge for fold in own for edge in _edges(fold)})
        summed = _unique(fold.value for fold in own if fold.fold in {"sum", "mean"})
        table.summed = len(summed)
        table.values = _unique([*summed, *(fold.value for fold in own)])
        table.trees = _unique((fold.value, int(fold.fold == "min")) for fold in own if fold.fold in {"min", "max"})
        table.base = any(fold.window_ms is None for fold in own)
        table.sets = _unique((*span(table, fold), fold.value) for fold in own if fold.fold == "distinct")
    return list(tables.values())


def span(table: Table, fold: Fold) -> tuple[int, int]:
    """Numbers of the low and high boundary of a fold's window; low is -1 for all history."""
    high = table.bounds.index(fold.delay_ms)
    return (-1 if fold.window_ms is None else table.bounds.index(fold.delay_ms + fold.window_ms)), high


def _edges(fold: Fold) -> tuple[int, ...]:
    return (fold.delay_ms,) if fold.window_ms is None else (fold.delay_ms, fold.delay_ms + fold.window_ms)


def _unique(items) -> list:  # type: ignore[no-untyped-def]
    """In order of first mention, without None."""
    return [item for item in dict.fromkeys(items) if item is not None]


def columns_of(folds: Sequence[Fold]) -> tuple[Column, ...]:
    """Raw columns in the order of the folds; a mean has two."""
    columns: list[Column] = []
    for number, fold in enumerate(folds):
        parts = KINDS[fold.fold].parts
        columns += [Column(f"{fold.name}.{part}" if part else fold.name, number, part) for part in parts]
    return tuple(columns)


class Encoder:
    """Writes the flat plan. Offsets are known as soon as a part is appended."""

    def __init__(self, layouts: Mapping[str, EventLayout], folds: Sequence[Fold], calendars: Calendars) -> None:
        self.layouts, self.folds, self.calendars = layouts, folds, calendars
        self._put: dict[tuple[int, ...], int] = {}
        self.columns = columns_of(folds)
        self.words: list[int] = [0] * w.P_HEADER
        self.state_words = w.A_TABLES

    def put(self, items: Sequence[int]) -> int:
        """Append words; their offset."""
        offset = len(self.words)
        self.words += [int(item) for item in items]
        return offset

    def once(self, items: Sequence[int]) -> int:
        """Offset of these words; written at the first use."""
        key = tuple(items)
        if key not in self._put:
            self._put[key] = self.put(key)
        return self._put[key]

    def clock(self, zone: str, calendar: str | None) -> int:
        """Offset of a clock (kernel/clock.py)."""
        days = self.calendars[calendar] if calendar else None
        offset = 0 if days is None else self.once(days.words())
        return self.once((self.once(zone_words(zone)), offset, weekend_bits(days)))

    def _asked(self, number: int) -> list[int]:
        """The record of a fold of a calendar kind (Q_...)."""
        fold = self.folds[number]
        clock = self.clock(fold.zone, fold.calendar)
        return [self._first(number), number, self.layouts[fold.of].code, ASKED[fold.fold], clock]

    def _condition(self, table: Table) -> int:
        """Offset of the condition of a table, 0 for none."""
        if table.condition is None:
            return 0
        zone = table.condition.zone
        return self.once(words_of(table.condition, self.clock(zone, table.condition.calendar) if zone else 0))

    def encode(self, tables: Sequence[Table], decide: Sequence[str], lateness_ms: int) -> Words:
        """The plan as one array."""
        offsets = [self._table(table, lateness_ms) for table in tables]
        records = {layout.code: self._record(layout, tables, offsets, decide) for layout in self.layouts.values()}
        asked = [self._asked(number) for number, fold in enumerate(self.folds) if fold.fold in CALENDAR_KINDS]
        self.words[w.P_ASKED_N], self.words[w.P_ASKED] = len(asked), self.put([word for one in asked for word in one])
        codes = max(records, default=-1) + 1
        self.words[w.P_CODES] = codes
        self.words[w.P_MAP] = self.put([records.get(code, 0) for code in range(codes)])
        self.words[w.P_TABLES] = self.put(offsets)
        self.words[w.P_TABLES_N] = len(offsets)
        self.words[w.P_COLUMNS_N] = len(self.columns)
        self.words[w.P_WIDTH_MAX] = max((len(self._outs(table)) for table in tables), default=0)
        bounds = max((len(table.bounds) * (1 + 2 * table.summed) for table in tables), default=0)
        self.words[w.P_RUN_WORDS] = w.G_BOUNDS + bounds * w.RUN
        self.words[w.P_KEYS_N] = max((len(layout.keys) for layout in self.layouts.values()), default=0)
        self.words[w.P_NUMBERS_N] = max((len(layout.numbers) for layout in self.layouts.values()), default=0)
        return np.array(self.words, dtype=np.int64)

    def _places(self, table: Table) -> dict[str, int]:
        """Word of each value in a ring row (after the time); a key takes two."""
        places, at = {}, 0
        for value in table.values:
            places[value] = at
            at += 2 if value in self.layouts[table.of].keys else 1
        return places

    def _sources(self, table: Table) -> list[int]:
        layout, sources = self.layouts[table.of], []
        for value in table.values:
            if value in layout.numbers:
                sources.append(layout.numbers.index(value))
            else:
                key = layout.keys.index(value)
                sources += [-(2 * key) - 1, -(2 * key + 1) - 1]
        return sources

    def _table(self, table: Table, lateness_ms: int) -> int:
        sources, places = self._sources(table), self._places(table)
        keys = self.layouts[table.of].keys
        bound_words = 1 + 2 * table.summed
        sets_at = w.K_BOUNDS + len(table.bounds) * bound_words
        base_at = sets_at + w.D_WORDS * len(table.sets)
        base_words = 1 + len(sources) + len(table.trees) if table.base else 0
        windows = self._windows(table, places, bound_words)
        record = [0] * w.T_WORDS
        record[w.T_SLOT] = -(-(base_at + base_words) // 8) * 8  # Whole cache lines.
        record[w.T_STRIDE] = 1 + len(sources)
        record[w.T_SUMS_N] = table.summed
        record[w.T_BOUNDS_N], record[w.T_BOUNDS] = len(table.bounds), self.put(table.bounds)
        record[w.T_KEEP], record[w.T_LATE] = table.bounds[-1] + lateness_ms, lateness_ms
        record[w.T_TREES_N] = len(table.trees)
        record[w.T_TREES] = self.put([item for value, flip in table.trees for item in (places[value], flip)])
        record[w.T_SETS_N] = len(table.sets)
        record[w.T_SETS] = self.put(
            [item for low, high, value in table.sets for item in (low, high, places[value], 2 if value in keys else 1)]
        )
        record[w.T_WINDOWS_N] = len(windows)
        record[w.T_WINDOWS] = self.put([item for window in windows for item in window])
        record[w.T_BASE_ON] = int(table.base)
        record[w.T_PLAIN] = int(all(self.folds[number].fold in _PLAIN for number in table.folds))
        record[w.T_RECORD] = 1 + record[w.T_STRIDE] * record[w.T_PLAIN]
        self.words[w.P_RECORD_MAX] = max(self.words[w.P_RECORD_MAX], record[w.T_RECORD])
        outs = self._outs(table)
        record[w.T_WIDTH], record[w.T_OUTS] = len(outs), self.put(outs)
        record[w.T_FOLDS_N] = len(table.folds)
        record[w.T_FOLDS] = self.put(table.folds)
        record[w.T_FIRSTS] = self.put([outs.index(self._first(number)) for number in table.folds])
        record[w.T_VALUES_N], record[w.T_VALUES] = len(sources), self.put(sources)
        record[w.T_STATE] = self.state_words
        record[w.T_SETS_AT], record[w.T_BASE_AT], record[w.T_BOUND_WORDS] = sets_at, base_at, bound_words
        self.state_words += w.S_WORDS
        return self.put(record)

    def _windows(self, table: Table, places: Mapping[str, int], bound_words: int) -> list[list[int]]:
        """Windows with their columns: low bound, high bound, without the current event, columns."""
        windows: dict[tuple[int, int, int], list[int]] = {}
        for number in table.folds:
            fold = self.folds[number]
            low, high = span(table, fold)
            without = int(fold.current == "out" and fold.delay_ms == 0)
            windows.setdefault((low, high, without), []).extend(self._operation(table, number, places, (low, high)))
        return [
            [
                0 if low < 0 else w.K_BOUNDS + low * bound_words,
                w.K_BOUNDS + high * bound_words,
                without,
                len(columns) // w.C_WORDS,
                self.put(columns),
            ]
            for (low, high, without), columns in windows.items()
        ]

    def _operation(self, table: Table, number: int, places: Mapping[str, int], edges: tuple[int, int]) -> list[int]:
        """Column operation of one fold: kind, column (a mean writes the next one too), argument."""
        fold, value, first = self.folds[number], self.folds[number].value or "", self._first(number)
        kind, argument = w.COUNT if fold.fold == "count" else w.SINCE, 0
        if fold.fold in {"sum", "mean"}:
            kind, argument = w.SUM if fold.fold == "sum" else w.MEAN, 1 + 2 * table.values.index(value)
        elif fold.fold in {"min", "max"}:
            kind, argument = w.EXTREME, table.trees.index((value, int(fold.fold == "min")))
        elif fold.fold == "last":
            kind, argument = w.LAST_KEY if value in self.layouts[table.of].keys else w.LAST, places[value]
        elif fold.fold == "distinct":
            kind, argument = w.DISTINCT, table.sets.index((*edges, value))
        return [kind, first, argument, self._outs(table).index(first), number, table.folds.index(number)]

    def _first(self, number: int) -> int:
        """First column of a fold."""
        return next(place for place, column in enumerate(self.columns) if column.fold == number)

    def _outs(self, table: Table) -> list[int]:
        """Columns of a table, fold by fold."""
        own = set(table.folds)
        return [place for place, column in enumerate(self.columns) if column.fold in own]

    def _record(
        self, layout: EventLayout, tables: Sequence[Table], offsets: Sequence[int], decide: Sequence[str]
    ) -> int:
        """Type record: the operations of one event type. 0 if no fold reads it and it is not decided."""
        decides = layout.name in decide
        ops: list[list[int]] = []
        by_table: list[int] = []
        for table, offset in zip(tables, offsets, strict=True):
            inserts = table.of == layout.name
            by_table.append(len(ops) if inserts or decides else -1)
            if inserts or decides:
                has = set(table.by) <= set(layout.keys)
                members = self.put([layout.keys.index(key) for key in table.by] if has else [])
                where = self._condition(table) if inserts else 0
                ops.append([offset, int(inserts), int(decides), len(table.by) if has else -1, members, where])
        if not ops and not decides:
            return 0
        self.words[w.P_OPS_N] = max(self.words[w.P_OPS_N], len(ops))
        at = self.put([item for op in ops for item in op])
        of_table = self.put([0 if op < 0 else at + op * w.O_WORDS for op in by_table])
        return self.put([len(ops), at, int(decides), of_table])
