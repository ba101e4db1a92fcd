"""Compile folds to the op tables that the kernel walks: a flat array of int64 (layout: kernel/words.py)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from quanheng.features.calendars import calendar_words, weekend_bits
from quanheng.features.conditions import Condition, condition_of
from quanheng.features.conditions import words_of as condition_words
from quanheng.features.decay import decay_tables
from quanheng.features.flags import Flag
from quanheng.features.fold import EventLayout, Fold
from quanheng.features.kernel import words as w
from quanheng.features.kinds import CALENDAR_KINDS, KINDS
from quanheng.features.machine import ASKED
from quanheng.features.marks import MARKED, Marks, near_ms, span_ms
from quanheng.features.structures import PLACES, ROWS_OF_PLACES, Structure, column_of, encoded, structures_of, words_of
from quanheng.features.ways import HALVES, both_halves, encoded_ages, encoded_edges, operations, place_answers
from quanheng.features.windows import Edge, depth, edge_of, is_history, reach_ms, rows_kept
from quanheng.features.zones import zone_words
from quanheng.kernel.calendars import Calendars

Words = np.ndarray
_SUMMED = {"sum", "mean", "ratio", "change"}
_PLAIN = {"count", "sum", "mean"}  # Folds that need the boundaries of a window and nothing between them.
_TREES = {
    "max": (w.MAXIMUM,), "min": (w.MINIMUM,), "range": (w.MAXIMUM, w.MINIMUM), "streak": (w.BREAKS,),
}  # fmt: skip
_ROWS = {
    "first": w.FIRST, "nth_last": w.NTH_LAST, "first_time": w.FIRST_TIME, "last_time": w.LAST_TIME,
    "time_since_first": w.SINCE_FIRST, "seen": w.SEEN,
}  # fmt: skip
_FIRST = {"first", "first_time", "time_since_first"}


class Column(NamedTuple):
    """One raw column. `part` is "" or, for a mean, "sum" and "count"; of a whole key one of `HALVES`."""

    name: str
    fold: int
    part: str


@dataclass(slots=True)
class Table:
    """One (event type, key, way to the key that is read, condition): what its ring holds and what is read from it.

    match : key fields of the decided event that stand for `by`; empty = the same
    through : the fold whose answer is the key; None = the key lies in the decided event
    where, condition : which events are put in, as declared and as compiled; None = all
    """

    of: str
    by: tuple[str, ...]
    match: tuple[str, ...] = ()
    through: str | None = None
    where: str | None = None
    condition: Condition | None = None
    folds: list[int] = field(default_factory=list)
    bounds: list[int] = field(default_factory=list)
    values: list[str] = field(default_factory=list)  # Summed number fields first.
    summed: int = 0
    trees: list[tuple[str, int]] = field(default_factory=list)
    sets: dict[Structure, int] = field(default_factory=dict)  # Each with its kind.
    keep_rows: int = 0
    base: bool = False
    edges: list[Edge] = field(default_factory=list)  # Low boundaries that are no distances; numbered behind `bounds`.
    first: bool = False  # The base keeps the first row.

    @property
    def bounds_n(self) -> int:
        """How many boundaries a slot has."""
        return len(self.bounds) + len(self.edges)

    @property
    def title(self) -> str:
        """For people: what is folded by what."""
        way = f" read by {', '.join(self.match)}" if self.match else f" read through {self.through}"
        where = f" where {self.where}" if self.where else ""
        return f"{self.of} by {', '.join(self.by)}" + (way if self.match or self.through else "") + where


def collect(folds: Sequence[Fold], layouts: Mapping[str, EventLayout]) -> list[Table]:
    """Group folds into tables. Order of key fields does not matter: they are sorted. Folds of a calendar kind have
    none.

    A table that is read through a fold stands behind that of the fold.
    """
    tables: dict[tuple[object, ...], Table] = {}
    for number, fold in enumerate(folds):
        if fold.fold in CALENDAR_KINDS:
            continue
        condition = condition_of(fold, layouts)
        pairs = sorted(zip(fold.by, fold.match or fold.by, strict=True))
        by, match = tuple(one for one, _ in pairs), tuple(other for _, other in pairs)
        way = (() if match == by else match), fold.through
        table = tables.setdefault((fold.of, by, *way, condition), Table(fold.of, by, *way, fold.where, condition))
        table.folds.append(number)
    for table in tables.values():
        own = [folds[number] for number in table.folds]
        table.bounds = sorted({edge for fold in own for edge in _edges(fold)})
        table.edges = _unique(edge_of(fold) for fold in own)
        summed = _unique(
            value for fold in own if fold.fold in _SUMMED for value in (fold.value, fold.other) if value is not None
        )
        table.summed = len(summed)
        table.values = _unique([*summed, *(name for fold in own for name in (fold.value, fold.other))])
        table.trees = _unique((fold.value, flip) for fold in own for flip in _TREES.get(fold.fold, ()))
        table.base = any(is_history(fold) and span_ms(fold) is None for fold in own)
        table.first = any(is_history(fold) and fold.fold in _FIRST for fold in own)
        places = any(fold.fold in PLACES and is_history(fold) for fold in own)
        table.keep_rows = max(ROWS_OF_PLACES if places else 0, *map(rows_kept, own), 0)
        table.sets = structures_of((fold, span(table, fold)) for fold in own)
    named = {fold.name: fold for fold in folds}
    return sorted(tables.values(), key=lambda table: depth(named, folds[table.folds[0]]))


def span(table: Table, fold: Fold) -> tuple[int, int]:
    """Numbers of the low and high boundary of a fold's window; low is -1 for all history."""
    high, edge, reach = table.bounds.index(fold.delay_ms), edge_of(fold), span_ms(fold)
    if edge is not None:
        return len(table.bounds) + table.edges.index(edge), high
    return (-1 if reach is None else table.bounds.index(fold.delay_ms + reach)), high


def near(table: Table, fold: Fold) -> int:
    """Number of the boundary that stands in for the low one where it is further on; -1: none."""
    distance = near_ms(fold)
    return -1 if distance is None else table.bounds.index(distance)


def _edges(fold: Fold) -> tuple[int, ...]:
    """Distances of the boundaries that are distances."""
    reach, further = (span_ms(fold) if edge_of(fold) is None else None), near_ms(fold)
    edges = [fold.delay_ms]
    if reach is not None:
        edges += [fold.delay_ms + reach * times for times in ((1, 2) if fold.fold == "change" else (1,))]
    return (*edges, further) if further is not None else tuple(edges)


def _unique(items) -> list:  # type: ignore[no-untyped-def]
    """In order of first mention, without None."""
    return [item for item in dict.fromkeys(items) if item is not None]


def columns_of(folds: Sequence[Fold], whole: Sequence[str] = ()) -> tuple[Column, ...]:
    """Raw columns in the order of the folds; a mean has two. Behind them the halves of whole keys."""
    columns: list[Column] = []
    for number, fold in enumerate(folds):
        parts = KINDS[fold.fold].parts
        columns += [Column(f"{fold.name}.{part}" if part else fold.name, number, part) for part in parts]
    numbers = {fold.name: number for number, fold in enumerate(folds)}
    return (*columns, *(Column(f"{name}.{half}", numbers[name], half) for name in whole for half in HALVES))


class Encoder:
    """Writes the flat plan. Offsets are known as soon as a part is appended."""

    def __init__(
        self, layouts: Mapping[str, EventLayout], folds: Sequence[Fold], calendars: Calendars, whole: Sequence[str]
    ) -> None:
        self.layouts, self.folds, self.calendars, self.whole = layouts, folds, calendars, whole
        self._put: dict[tuple[int, ...], int] = {}
        self.columns = columns_of(folds, whole)
        self.words: list[int] = [0] * w.P_HEADER
        self.through = _unique(fold.through for fold in folds)  # Folds whose whole keys are asked for.
        self.answers: list[tuple[int, int]] = []  # Words that say where such a key goes, and which.
        if any(fold.half_life_ms is not None for fold in folds):
            self.words[w.P_DECAY] = self.put(np.array(decay_tables(), dtype=np.uint64).view(np.int64).tolist())
        self.state_words = w.A_TABLES
        self.flags: dict[Flag, int] = {}  # With the clock of each.

    def put(self, items: Sequence[int]) -> int:
        """Append words; their offset."""
        offset = len(self.words)
        self.words += [int(item) for item in items]
        return offset

    def once(self, items: Sequence[int]) -> int:
        """Offset of words that are read only and may serve many; written at the first use."""
        key = tuple(items)
        if key not in self._put:
            self._put[key] = self.put(key)
        return self._put[key]

    def clock(self, zone: str, calendar: str | None) -> int:
        """Offset of a clock (kernel/clock.py)."""
        days = self.calendars[calendar] if calendar else None
        offset = 0 if days is None else self.once(calendar_words(days))
        return self.once((self.once(zone_words(zone)), offset, weekend_bits(days)))

    def _asked(self, number: int) -> list[int]:
        """The record of a fold of a calendar kind (AT_...)."""
        fold = self.folds[number]
        clock = self.clock(fold.zone, fold.calendar)
        return [self._first(number), number, self.layouts[fold.of].code, ASKED[fold.fold], clock]

    def condition(self, table: Table) -> int:
        """Offset of the condition of a table, 0 for none."""
        if table.condition is None:
            return 0
        zone, flag = table.condition.zone, table.condition.flag
        clock = self.clock(zone, table.condition.calendar) if zone else 0
        number = 0
        if flag is not None:
            self.flags.setdefault(flag, self.clock(zone, flag.calendar) if flag.zone else 0)
            number = [*self.flags].index(flag)
        return self.once(condition_words(table.condition, clock, number))

    def encode(self, tables: Sequence[Table], decide: Sequence[str], lateness_ms: int) -> Words:
        """The plan as one array."""
        offsets = [self._table(table, lateness_ms) for table in tables]
        records = {layout.code: self._record(layout, tables, offsets, decide) for layout in self.layouts.values()}
        asked = [self._asked(number) for number, fold in enumerate(self.folds) if fold.fold in CALENDAR_KINDS]
        self.words[w.P_ASKED_N], self.words[w.P_ASKED] = len(asked), self.put([word for one in asked for word in one])
        codes = max(records, default=-1) + 1
        self.words[w.P_CODES] = codes
        self.words[w.P_MAP] = self.put([records.get(code, 0) for code in range(codes)])
        place_answers(self)
        self.words[w.P_TABLES] = self.put(offsets)
        self.words[w.P_TABLES_N] = len(offsets)
        self.words[w.P_COLUMNS_N] = len(self.columns)
        self.words[w.P_WIDTH_MAX] = max((len(self._outs(table)) for table in tables), default=0)
        bounds = max((table.bounds_n * (1 + 2 * table.summed) for table in tables), default=0)
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
        sessions_at = w.K_BOUNDS + table.bounds_n * bound_words
        sets_at = sessions_at + 2 * len(table.edges)
        base_at = sets_at + sum(words_of(kind) for kind in table.sets.values())
        row_words = 1 + len(sources)
        base_words = row_words * (2 if table.first else 1) + len(table.trees) if table.base else 0
        own = [self.folds[number] for number in table.folds]
        self.marks = Marks(own, [(*span(table, fold), near(table, fold)) for fold in own], base_at + base_words)
        record = [0] * w.T_WORDS
        record[w.T_MARKS_N], record[w.T_MARKS] = self.marks.write(self, places, bound_words)
        windows = self._windows(table, places, bound_words)
        record[w.T_SLOT] = -(-self.marks.end // 8) * 8  # Whole cache lines.
        record[w.T_STRIDE] = row_words
        record[w.T_SUMS_N] = table.summed
        record[w.T_BOUNDS_N], record[w.T_BOUNDS] = table.bounds_n, self.put(table.bounds)
        record[w.T_TIMED_N], record[w.T_EDGES_N] = len(table.bounds), len(table.edges)
        record[w.T_EDGES] = self.put(encoded_edges(self, table, bound_words, sessions_at))
        record[w.T_KEEP] = max(table.bounds[-1], *map(reach_ms, table.edges), 0) + lateness_ms
        record[w.T_LATE], record[w.T_KEEP_ROWS] = lateness_ms, table.keep_rows
        record[w.T_BASE_FIRST] = base_at + row_words + len(table.trees) if table.first else 0
        aged = self._aged(table, bound_words)
        record[w.T_AGES_N], record[w.T_AGES] = len(aged), encoded_ages(self, aged)
        record[w.T_TREES_N] = len(table.trees)
        record[w.T_TREES] = self.put([item for value, flip in table.trees for item in (places[value], flip)])
        record[w.T_SETS_N] = len(table.sets)
        record[w.T_SETS] = self.put(encoded(table.sets, sets_at, places, keys, self.once))
        record[w.T_WINDOWS_N] = len(windows)
        record[w.T_WINDOWS] = self.put([item for window in windows for item in window])
        record[w.T_BASE_ON] = int(table.base)
        plain = all(self.folds[number].fold in _PLAIN for number in table.folds)
        record[w.T_PLAIN] = int(plain and not table.edges and not aged)
        record[w.T_RECORD] = 1 + record[w.T_STRIDE] * record[w.T_PLAIN]
        self.words[w.P_RECORD_MAX] = max(self.words[w.P_RECORD_MAX], record[w.T_RECORD])
        outs = self._outs(table)
        record[w.T_WIDTH], record[w.T_OUTS] = len(outs), self.put(outs)
        record[w.T_FOLDS_N] = len(table.folds)
        record[w.T_FOLDS] = self.put(table.folds)
        record[w.T_FIRSTS] = self.put([outs.index(self._first(number)) for number in table.folds])
        record[w.T_VALUES_N], record[w.T_VALUES] = len(sources), self.put(sources)
        record[w.T_STATE] = self.state_words
        record[w.T_BASE_AT], record[w.T_BOUND_WORDS] = base_at, bound_words
        self.state_words += w.S_WORDS
        return self.put(record)

    def _aged(self, table: Table, bound_words: int) -> list[tuple[int, int, int, int, int]]:
        """Folds with a largest age, as `encoded_ages` takes them."""
        outs, aged = self._outs(table), []
        for number in table.folds:
            if self.folds[number].age_ms_max is not None:
                low, high = span(table, self.folds[number])
                low_at = 0 if low < 0 else w.K_BOUNDS + low * bound_words
                first = self._first(number)
                aged.append((number, low_at, w.K_BOUNDS + high * bound_words, first, outs.index(first)))
        return aged

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
        """Column operation of one fold: kind, column (a quotient writes two), argument, .... A ratio has two."""
        fold, value, first = self.folds[number], self.folds[number].value or "", self._first(number)
        kind, argument = w.COUNT if fold.fold == "count" else w.SINCE, 0
        read = column_of(fold, edges, table.sets, places, self.layouts[table.of], self.once)
        if read is not None:
            kind, argument = read
        elif fold.fold in {"sum", "mean"}:
            kind, argument = w.SUM if fold.fold == "sum" else w.MEAN, 1 + 2 * table.values.index(value)
        elif fold.fold in {"min", "max", "streak"}:
            kind = w.STREAK if fold.fold == "streak" else w.EXTREME
            argument = table.trees.index((value, _TREES[fold.fold][0]))
        elif fold.fold == "range":
            kind, argument = w.RANGE, self.put([table.trees.index((value, flip)) for flip in _TREES["range"]])
        elif fold.fold in _ROWS or fold.name in self.through:
            kind = _ROWS.get(fold.fold, w.LAST_THROUGH)
            key = int(value in self.layouts[table.of].keys)
            argument = self.put([places.get(value, 0), fold.nth or 1, key, 0])
            if fold.name in self.through:
                self.answers.append((argument + w.L_THROUGH, self.through.index(fold.name)))
        elif fold.fold == "last":
            kind, argument = w.LAST_KEY if value in self.layouts[table.of].keys else w.LAST, places[value]
        elif fold.fold == "distinct":
            kind, argument = w.DISTINCT, [*table.sets].index(Structure(*edges, value, 0))
        elif fold.fold in MARKED:
            kind, argument = self.marks.operation(self, fold, (*edges, near(table, fold)))
        elif fold.fold == "change":
            before = table.bounds.index(fold.delay_ms + 2 * (fold.window_ms or 0))
            sums = -1 if fold.value is None else 1 + 2 * table.values.index(value)
            kind, argument = w.CHANGE, self.put([sums, w.K_BOUNDS + before * (1 + 2 * table.summed)])
        place, own = self._outs(table).index(first), table.folds.index(number)
        if fold.fold != "ratio":
            halves = both_halves(self, number, self._outs(table), places[value], own) if fold.name in self.whole else []
            return [kind, first, argument, place, number, own, *halves]
        sums, others = (1 + 2 * table.values.index(name or "") for name in (value, fold.other))
        return [w.SUM, first, sums, place, number, own, w.SUM, first + 1, others, place + 1, number, own]

    def _first(self, number: int) -> int:
        """First column of a fold."""
        return next(place for place, column in enumerate(self.columns) if column.fold == number)

    def _outs(self, table: Table) -> list[int]:
        """Columns of a table, fold by fold."""
        return [place for place, column in enumerate(self.columns) if column.fold in table.folds]

    def _record(
        self, layout: EventLayout, tables: Sequence[Table], offsets: Sequence[int], decide: Sequence[str]
    ) -> int:
        """Type record: the operations of one event type. 0 if no fold reads it and it is not decided."""
        decides, by_table = layout.name in decide, list[int]()
        ops: list[list[int]] = []
        for table, offset in zip(tables, offsets, strict=True):
            inserts = table.of == layout.name
            by_table.append(len(ops) if inserts or decides else -1)
            if inserts or decides:
                ops += operations(self, layout, table, offset, (inserts, decides))
        if not ops and not decides:
            return 0
        self.words[w.P_OPS_N] = max(self.words[w.P_OPS_N], len(ops))
        at = self.put([item for op in ops for item in op])
        for op_n, op in enumerate(ops):
            if op[w.O_SPECIAL] & w.THROUGH:
                self.answers.append((at + op_n * w.O_WORDS + w.O_THROUGH, op[w.O_THROUGH]))
        of_table = self.put([0 if op < 0 else at + op * w.O_WORDS for op in by_table])
        return self.put([len(ops), at, int(decides), of_table])
