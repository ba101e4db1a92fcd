"""What was known of recorded decisions, as a policy of now or of then asks for it.

The values are those that were served with each decision, wherever the asking version declares them alike; a formula or
a model that it declares otherwise is computed from the served ones. A fold that was not served must be folded again
(`rebuilt`), as of the event's own place in the log.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from quanheng.events.schema import EventDeclaration, EventType
from quanheng.features.formulas import exact_column
from quanheng.features.kernel.words import UNKNOWN
from quanheng.features.source import Batch, Source
from quanheng.kernel.errors import InputError
from quanheng.known import Scope, decimal_of
from quanheng.loading.declared import Declared, Flow, Parameter
from quanheng.past.window import PastRows
from quanheng.program import Program

Column = Sequence[object]
Floats = NDArray[np.float64]


class Served(NamedTuple):
    """What was recorded with the rows of a chunk.

    raw : int64 (rows × columns of the recorded plan)
    named : formulas and columns of sources by name (pack.name), float64, NaN = null
    whole : rows whose evidence is complete: a decision that failed before it was known has none
    """

    program: Program
    raw: NDArray[np.int64]
    named: dict[str, Floats]
    whole: NDArray[np.bool_]


def served(program: Program, code: int, rows: PastRows) -> Served:
    """The evidence of a chunk, by name."""
    formulas, columns = program.names(code)
    names = [*formulas, *(name for name, _ in columns)]
    raw = np.full((len(rows), len(program.plan.columns)), UNKNOWN, np.int64)
    matrix = np.full((len(rows), len(names)), np.nan)
    whole = np.zeros(len(rows), bool)
    for index, body in enumerate(rows.bodies):
        vector, values = np.frombuffer(body.vector, np.int64), np.frombuffer(body.formulas + body.sources, np.float64)
        if len(vector) == raw.shape[1] and len(values) == len(names):
            raw[index], matrix[index], whole[index] = vector, values, True
    return Served(program, raw, {name: matrix[:, index] for index, name in enumerate(names)}, whole)


class EventRows:
    """The events of a chunk, read by one declaration of their type. Several versions share it where it is the same.

    refused : rows whose event this declaration does not accept
    """

    def __init__(self, event_type: EventType, rows: PastRows) -> None:
        self.values: list[dict[str, object] | None] = []
        self.refused: set[int] = set()
        for index, asked in enumerate(rows.asked):
            try:
                self.values.append(event_type.read(asked.data).values)
            except InputError:
                self.refused.add(index)
                self.values.append(None)

    def column(self, name: str) -> list[object]:
        """A field of every row; None where it was refused."""
        return [None if values is None else values[name] for values in self.values]


class EventReader:
    """Reads chunks by declarations; the last chunk is kept for each."""

    def __init__(self) -> None:
        self._rows: PastRows | None = None
        self._read: list[tuple[EventDeclaration, EventRows]] = []

    def read(self, event_type: EventType, rows: PastRows) -> EventRows:
        """The events of `rows`, read once per declaration."""
        if rows is not self._rows:
            self._rows, self._read = rows, []
        for declaration, known in self._read:
            if declaration == event_type.declaration:
                return known
        made = EventRows(event_type, rows)
        self._read.append((event_type.declaration, made))
        return made


class Asker:
    """Answers what the flow of one pack asks for, over chunks of recorded decisions.

    Parameters
    ----------
    program : the version that asks
    pack, event : whose flow on which event type
    as_of_ms : the moment whose parameters are in force; None = each event's own, by the flow's clock
    rebuilt : folds are given with each chunk, nothing is taken from the record

    Raises
    ------
    InputError : the version has no flow of this pack for this event
    """

    def __init__(
        self, program: Program, pack: str, event: str, *, as_of_ms: int | None = None, rebuilt: bool = False
    ) -> None:
        self.program, self.pack, self.event_type = program, program.packs[pack], program.types[event]
        self.code, self.as_of_ms, self.rebuilt = self.event_type.code, as_of_ms, rebuilt
        self.scope: Scope = next(one for one in program.scopes[self.code] if one.pack == pack)
        self.flow = next(one for one in program.flows[self.code] if one.pack == pack)
        self.declared: Flow = next(one for one in self.pack.flows if one.when == event)
        self._alike: dict[int, _Alike] = {}

    def known(self, rows: PastRows, record: Served, events: EventRows, raw: NDArray[np.int64] | None = None) -> Known:
        """What is known of a chunk; `raw` are the rebuilt folds of this version's plan."""
        if raw is not None:
            return Known(self, rows, events, raw, {})
        alike = self._alike.get(id(record.program))
        if alike is None:
            alike = self._alike[id(record.program)] = _Alike(self, record.program)
            alike.check(self)
        return Known(self, rows, events, alike.raw(record), alike.named(record))


class Known:
    """One chunk as a version sees it. Columns are computed when they are asked for."""

    def __init__(
        self, asker: Asker, rows: PastRows, events: EventRows, raw: NDArray[np.int64], named: dict[str, Floats]
    ) -> None:
        self.asker, self.rows, self.events, self.raw = asker, rows, events, raw
        self._named, self._complete = dict(named), False

    def inputs(self) -> list[Column]:
        """A column per input of the flow's policy, in the policy's order."""
        return [self.column(one.name) for one in self.asker.flow.policy.inputs]

    def column(self, name: str) -> Column:
        """One input by name: a field, fold, formula, column of a source, or parameter; looked for in this order."""
        asker, scope = self.asker, self.asker.scope
        if name in scope.fields:
            return self.events.column(name)
        if name in scope.folds:
            return asker.program.exact.column(self.raw, scope.folds[name])
        for formula in scope.formulas.formulas:
            if formula.name == name:
                return exact_column(self.floats(name), formula.decimals)
        for source in scope.sources:
            for column in source.columns:
                if column.name == name:
                    return [decimal_of(value, column.decimals) for value in self.floats(name).tolist()]
        for parameter in asker.pack.parameters:
            if parameter.name == name:
                return self._parameter(parameter)
        raise InputError(
            "the pack knows nothing of this name",
            where=f"pack {asker.pack.name}, event {asker.event_type.name}",
            found=name,
            allowed=", ".join(names_of(asker)),
        )

    def floats(self, name: str) -> Floats:
        """A formula or a column of a source as float64, NaN = null."""
        if name not in self._named:
            self._compute()
        return self._named[name]

    def _compute(self) -> None:
        """Formulas and sources that were not served, from what was: the same code as in service."""
        scope, program = self.asker.scope, self.asker.program
        folds = program.plan.floats(np.ascontiguousarray(self.raw))
        known: dict[str, Floats] = {name: folds[:, index] for name, index in scope.folds.items()}
        for name in scope.numeric_fields:
            known[name] = np.array([np.nan if one is None else one for one in self.events.column(name)], np.float64)
        known.update(self._named)
        with np.errstate(all="ignore"):
            for formula in scope.formulas.formulas:
                if formula.name not in known:
                    known[formula.name] = np.array(np.broadcast_to(formula.compute(known), len(self.rows)))
        for source in scope.sources:
            if any(column.name not in known for column in source.columns):
                answer = source.read(self._batch(), known)
                known.update({column.name: answer[:, index] for index, column in enumerate(source.columns)})
        self._named = known

    def _batch(self) -> Batch:
        rows, program = self.rows, self.asker.program
        types = np.full(len(rows), self.asker.code, np.int32)
        keys = _widened(rows.keys, program.keys_max, 0)
        numbers = _widened(rows.numbers, program.numbers_max, -(2**63))
        return Batch(types, np.array(rows.times_ms), keys, numbers, rows.events[0], rows.received_ms[0])

    def _parameter(self, parameter: Parameter) -> Column:
        starts = [value.from_ms for value in parameter.values]
        values = [list(one.value) if isinstance(one.value, tuple) else one.value for one in parameter.values]

        def at(time_ms: int) -> object:
            index = bisect_right(starts, time_ms) - 1
            return values[index] if index >= 0 else None

        if self.asker.as_of_ms is not None:
            return [at(self.asker.as_of_ms)] * len(self.rows)
        times = self.rows.times_ms if self.asker.declared.clock == "event" else self.rows.received_ms
        if bisect_right(starts, min(times)) == bisect_right(starts, max(times)):  # No change within this chunk.
            return [at(times[0])] * len(times)
        return [at(time_ms) for time_ms in times]


def names_of(asker: Asker) -> list[str]:
    """Every name a policy of this flow may ask for."""
    scope = asker.scope
    answers = [column.name for source in scope.sources for column in source.columns]
    return sorted(
        {*scope.fields, *scope.folds, *scope.formulas.names, *answers, *(one.name for one in asker.pack.parameters)}
    )


class _Alike:
    """Which folds, formulas and sources of a version were recorded under another, because both declare them alike."""

    def __init__(self, asker: Asker, recorded: Program) -> None:
        self.asker, self.recorded = asker, recorded  # Kept, so that its id stays its own.
        self.same = recorded is asker.program
        theirs = recorded.packs.get(asker.pack.name)
        plan, prefix = asker.program.plan, f"{asker.pack.name}."
        places = {(column.fold, column.part): index for index, column in enumerate(recorded.plan.columns)}
        numbers = {replace(fold, name=""): number for number, fold in enumerate(recorded.plan.folds)}
        found = [numbers.get(replace(fold, name="")) for fold in plan.folds]
        self.columns = [-1 if (fold := found[one.fold]) is None else places[fold, one.part] for one in plan.columns]
        self.missing = {
            fold.name.removeprefix(prefix) for fold, at in zip(plan.folds, found, strict=True) if at is None
        }
        self.alike = {fold.name.removeprefix(prefix) for fold in plan.folds if fold in recorded.plan.folds}
        self.names = self._names(theirs, recorded) if theirs is not None else []

    def _names(self, theirs: Declared, recorded: Program) -> list[str]:
        """Names of formulas and columns of sources that mean the same in both versions."""
        scope = self.asker.scope
        other = next((one for one in recorded.scopes.get(self.asker.code, ()) if one.pack == scope.pack), None)
        if other is None:
            return []
        good = {*self.alike, *scope.fields}
        mine = {one.name: one for one in self.asker.pack.formulas}
        their = {one.name: one for one in theirs.formulas}
        found = []
        for name in scope.formulas.names:
            alike = name in other.formulas.names and _formula(mine[name]) == _formula(their[name])
            if alike and good >= {*mine[name].uses}:
                good.add(name)
                found.append(name)
        sources = {source.name: source for source in other.sources}
        for source in scope.sources:
            alike = source.name in sources and _answers(source) == _answers(sources[source.name])
            if alike and good >= {*source.needs}:
                found += [column.name for column in source.columns]
        return found

    def check(self, asker: Asker) -> None:
        """Refuse what the policy, or a formula or model it needs, would have to guess.

        Raises
        ------
        InputError : naming the folds that were not recorded
        """
        needed = needs_of(asker, {*self.names}) & self.missing
        if needed:
            raise InputError(
                "the version reads folds that were not recorded with the decisions",
                where=f"pack {asker.pack.name}",
                found=", ".join(sorted(needed)),
                allowed="folds that the deciding version declared alike",
                cure="Fold the log again under this version: --rebuilt.",
            )

    def raw(self, record: Served) -> NDArray[np.int64]:
        if self.same:
            return record.raw
        made = np.full((len(record.raw), len(self.columns)), UNKNOWN, np.int64)
        known = [index for index, column in enumerate(self.columns) if column >= 0]
        made[:, known] = record.raw[:, [self.columns[index] for index in known]]
        return made

    def named(self, record: Served) -> dict[str, Floats]:
        return {name: record.named[f"{self.asker.pack.name}.{name}"] for name in self.names}


def needs_of(asker: Asker, given: set[str]) -> set[str]:
    """Names the policy reads, and those that formulas and sources not in `given` read for it."""
    needed = {one.name for one in asker.flow.policy.inputs}
    for source in reversed(asker.scope.sources):
        columns = {column.name for column in source.columns}
        if needed & columns and not columns <= given:
            needed |= {*source.needs}
    for formula in reversed(asker.scope.formulas.formulas):
        if formula.name in needed and formula.name not in given:
            needed |= {*formula.uses}
    return needed


def _formula(declared: object) -> tuple[object, ...]:
    return tuple(getattr(declared, part) for part in ("feel", "type", "decimals", "uses"))


def _answers(source: Source) -> tuple[object, ...]:
    return source.version, tuple(source.columns), tuple(source.needs)


def _widened(columns: NDArray, width: int, fill: int) -> NDArray:
    if columns.shape[1] >= width:
        return np.ascontiguousarray(columns[:, :width])
    made = np.full((len(columns), width, *columns.shape[2:]), fill, columns.dtype)
    made[:, : columns.shape[1]] = columns
    return made
