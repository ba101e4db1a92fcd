"""The simulation of people who borrow, as a stream of arrivals: what is known of them, applications, outcomes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import polars as pl

from quanheng.loading.traffic.borrowing.declaration import BorrowingDeclaration, Measure, Source
from quanheng.loading.traffic.borrowing.people import (
    DAY_MS,
    FIELD_STREAM,
    MONTH_DAYS,
    ROW_STREAM,
    SIGMA,
    People,
    grown,
    normal,
    people_of,
    shocked,
    weighed,
)
from quanheng.loading.traffic.draws import Draws, Integers
from quanheng.loading.traffic.run import TrafficEvent

TOLD_BEFORE_MS, LATENCY_MS = 60_000, 800
EMPLOYERS = 997
"""Who is in no ring works for one of these, dealt out in turn."""
_HEAD = ("id", "type", "arrive_ms", "attack", "fault")


class BorrowingTraffic:
    """A seeded stream of events about people who apply, with ground truth in `people`.

    The same declaration and seed give the same events on every machine; the first n events of a longer run are those
    of a shorter one. What is known of a person arrives a minute before their application, each with its own time.

    Parameters
    ----------
    declared : the pack's checked traffic.toml
    seed : any integer from 0; the declaration's own by default
    signal : 0 = a placebo: outcomes do not follow from the traits of those who apply
    """

    def __init__(self, declared: BorrowingDeclaration, seed: int | None = None, signal: int = 1) -> None:
        self.declared, self.seed, self.signal = declared, declared.seed if seed is None else seed, signal

    def people(self, month: int) -> People:
        """Who applies in a month of 30 days, with all that is hidden."""
        return people_of(self.declared, self.seed, month, self.signal)

    def asked(self, month: int) -> dict[str, Integers]:
        """What those who apply in a month ask for: the measures of the application that are whole numbers."""
        people, source = self.people(month), self.declared.application
        rows = np.arange(len(people.number))
        columns = self._columns(source, people, rows, people.time_ms, FIELD_STREAM, month)
        return {name: one.to_numpy() for name, one in columns.items() if one.dtype.is_integer()}

    def months(self, count: int, first: int = 0) -> pl.DataFrame:
        """All that arrives in `count` months from `first`, and the outcomes of those who applied in them."""
        made = [self._month(one) for one in range(first, first + count)]
        told, outcomes = [one for one, _ in made], [one for _, one in made]
        return pl.concat([*told, *outcomes], how="diagonal_relaxed").sort("arrive_ms", maintain_order=True)

    def frame(self, n: int) -> pl.DataFrame:
        """The first `n` arrivals as a table: id, type, arrive_ms, attack, fault and every field, null where absent."""
        taken, size = [], 0
        for block in self._blocks():
            taken.append(block)
            size += len(block)
            if size >= n:
                break
        return pl.concat(taken, how="diagonal_relaxed").head(n)

    def events(self, n: int) -> Iterator[TrafficEvent]:
        """The first `n` arrivals one by one."""
        left = n
        for block in self._blocks():
            if left <= 0:
                return
            yield from as_events(block.head(left))
            left -= len(block)

    def _blocks(self) -> Iterator[pl.DataFrame]:
        """Arrivals of one month after another. What arrives later waits."""
        waiting: list[pl.DataFrame] = []
        month = 0
        while True:
            told, outcomes = self._month(month)
            month += 1
            joined = pl.concat([*waiting, told, outcomes], how="diagonal_relaxed")
            due = pl.col("arrive_ms") < self.declared.start_ms + month * MONTH_DAYS * DAY_MS
            waiting = [joined.filter(~due)]
            yield joined.filter(due).sort("arrive_ms", maintain_order=True)

    def _month(self, month: int) -> tuple[pl.DataFrame, pl.DataFrame]:
        people = self.people(month)
        parts = [self._told(people, place, month) for place in range(len(self.declared.sources))]
        parts = [one for one in parts if len(one)]
        applications = self._applications(people, month)
        told = pl.concat([*parts, applications], how="diagonal_relaxed")
        told = told.sort(["arrive_ms", "_number", "_time"], maintain_order=True).drop("_number", "_time")
        return told, self._outcomes(people, applications)

    def _told(self, people: People, place: int, month: int) -> pl.DataFrame:
        """What one source tells of the people of a month."""
        source, draws = self.declared.sources[place], Draws(self.seed, ROW_STREAM, place, month)
        count = len(people.number)
        known = draws.chance(source.share, count)
        if source.segments:
            fitting = [one.name in source.segments for one in self.declared.segments]
            known &= np.array(fitting)[people.segment]
        rows = np.repeat(np.flatnonzero(known), source.rows)
        turn = np.tile(np.arange(source.rows), int(known.sum()))
        time_ms = people.time_ms[rows] - (source.rows - turn) * source.every_ms - TOLD_BEFORE_MS
        time_ms = time_ms + draws.below(source.every_ms, len(rows))
        arrive = people.time_ms[rows] - TOLD_BEFORE_MS
        columns = self._columns(source, people, rows, time_ms, ROW_STREAM + 1 + place, month)
        ids = f"h{place}-" + _padded(people.number[rows]) + "-" + pl.Series(turn).cast(pl.String)
        return self._frame(source, people, rows, ids, arrive, time_ms, columns)

    def _applications(self, people: People, month: int) -> pl.DataFrame:
        declared, rows = self.declared, np.arange(len(people.number))
        source = declared.application
        columns = self._columns(source, people, rows, people.time_ms, FIELD_STREAM, month)
        columns[declared.number] = "a" + _padded(people.number)
        for field in {name for one in declared.segments for name in one.constant}:
            values = pl.Series(field, [one.constant.get(field) for one in declared.segments])
            columns[field] = values.gather(people.segment)
        arrive = people.time_ms + Draws(self.seed, FIELD_STREAM, 10**6, month).below(LATENCY_MS, len(rows))
        ids = "a" + _padded(people.number)
        return self._frame(source, people, rows, ids, arrive, people.time_ms, columns)

    def _outcomes(self, people: People, applications: pl.DataFrame) -> pl.DataFrame:
        outcome = self.declared.outcome
        told = people.time_ms + outcome.delay_ms
        return pl.DataFrame(
            {
                "id": "o" + _padded(people.number),
                "type": pl.Series([outcome.type]).new_from_index(0, len(told)),
                "arrive_ms": told,
                "attack": applications.sort("_number")["attack"],
                "fault": pl.Series([None], dtype=pl.String).new_from_index(0, len(told)),
                outcome.applied: people.time_ms,
                outcome.told: told,
                outcome.bad: people.bad == 1,
                **{name: applications.sort("_number")[name] for name in outcome.fields},
            }
        )

    def _frame(
        self, source: Source, people: People, rows: Integers, ids: pl.Series, arrive_ms: Integers, time_ms: Integers,
        columns: Mapping[str, pl.Series],
    ) -> pl.DataFrame:  # fmt: skip
        ring = pl.Series(people.ring[rows] > 0)
        keys = {field: _key(self.declared, role, people, rows) for field, role in source.keys.items()}
        constants = {name: pl.Series([one]).new_from_index(0, len(rows)) for name, one in source.constant.items()}
        return pl.DataFrame(
            {
                "id": ids,
                "type": pl.Series([source.type]).new_from_index(0, len(rows)),
                "arrive_ms": arrive_ms,
                "attack": ring.replace_strict({True: "ring", False: None}, return_dtype=pl.String),
                "fault": pl.Series([None], dtype=pl.String).new_from_index(0, len(rows)),
                "_number": people.number[rows],
                "_time": time_ms,
                source.time: time_ms,
                source.subject: "b" + _padded(people.number[rows]),
                **keys,
                **constants,
                **columns,
            }
        )

    def _columns(
        self, source: Source, people: People, rows: Integers, time_ms: Integers, stream: int, month: int
    ) -> dict[str, pl.Series]:
        shocks = [shocked(self.declared, one, _gather(people, rows), time_ms, 0) for one in self.declared.shocks]
        shock = sum(shocks, np.zeros(len(rows), np.int64))
        found = {}
        for place, one in enumerate(source.measures):
            draws = Draws(self.seed, stream, place, month)
            if one.shape == "choice":
                picked = draws.pick(list(one.weights.values()), len(rows))
                names = pl.Series(list(one.weights))
                found[one.field] = (names.cast(pl.Int64) if one.number else names).gather(picked)
                continue
            z = weighed(one.drive, people, rows, shock, normal(draws, len(rows)))
            if one.drive.person:
                z = z + (one.drive.person * normal(draws, len(people.number))[rows]) // SIGMA
            found[one.field] = measured(one, z, people.income_minor[rows], time_ms)
        return found


def measured(one: Measure, z: Integers, income_minor: Integers, time_ms: Integers) -> pl.Series:
    """Values of a field from z, thousandths: see `Measure`."""
    if one.shape == "level":
        base = np.full(len(z), int(one.base), np.int64)
        if one.of_income:
            base = (income_minor * int(one.base * SIGMA)) // SIGMA
        value = grown(base, (int(one.slope * SIGMA) * z) // SIGMA)
        value = np.clip(value, int(one.least), int(one.most))
        return pl.Series(np.maximum(value // one.step, 1) * one.step if one.step > 1 else value)
    unit = 10**one.scale
    value = (int(one.base * unit * SIGMA) + int(one.slope * unit) * z) // SIGMA
    if one.shape == "flag":
        return pl.Series(value > 0)
    value = np.clip(value, int(one.least * unit), int(one.most * unit))
    if one.shape == "date":
        return pl.Series(time_ms // DAY_MS - value).cast(pl.Int32).cast(pl.Date).dt.strftime("%Y-%m-%d")
    return pl.Series(value / unit) if one.scale else pl.Series(value)


def as_events(block: pl.DataFrame) -> Iterator[TrafficEvent]:
    """Rows of a table of arrivals as events; what is null is not sent."""
    fields = [name for name in block.columns if name not in _HEAD]
    heads = block.select(_HEAD).iter_rows()
    bodies = block.select(fields).iter_rows()
    for (id, type, arrive_ms, attack, fault), body in zip(heads, bodies, strict=True):
        data = {name: value for name, value in zip(fields, body, strict=True) if value is not None}
        yield TrafficEvent(id, type, data, arrive_ms, attack, fault)


def _gather(people: People, rows: Integers) -> dict[str, Integers]:
    return {name: column[rows] for name, column in people.choices.items()}


def _padded(numbers: Integers) -> pl.Series:
    return pl.Series(numbers).cast(pl.String).str.zfill(7)


def _key(declared: BorrowingDeclaration, role: str, people: People, rows: Integers) -> pl.Series:
    """Keys of a role: everybody's own, but of a ring shared."""
    number, ring = people.number[rows], people.ring[rows]
    shared = number % declared.rings.devices if role == "device" else 0 * number
    own = role[0] + _padded(number)
    ours = f"{role[0]}r" + pl.Series(ring).cast(pl.String) + "-" + pl.Series(shared).cast(pl.String)
    if role == "own":
        return own
    if role == "employer":
        own = "e" + _padded(number % EMPLOYERS)
    return own.zip_with(pl.Series(ring == 0), ours)
