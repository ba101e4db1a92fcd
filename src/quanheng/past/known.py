"""What was known of recorded decisions, as a policy of now or of then asks for it.

The values are those that were served with each decision, wherever the asking version declares them alike; a formula or
a model that it declares otherwise is computed from the served ones. A fold that was not served must be folded again
(`rebuilt`), as of the event's own place in the log.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from quanheng.events.schema import EventType
from quanheng.facts import Moments
from quanheng.features.formulas import exact_column
from quanheng.features.kernel.words import UNKNOWN
from quanheng.features.source import Batch, SourceColumn
from quanheng.kernel.errors import InputError
from quanheng.known import Scope, choice_column, seen_column
from quanheng.loading.declared import Flow, Parameter
from quanheng.past.alike import Alike
from quanheng.past.events import EventRows
from quanheng.past.window import PastRows
from quanheng.program import Program
from quanheng.reading import Reader

Column = Sequence[object]
Floats = NDArray[np.float64]


class Served(NamedTuple):
    """What was recorded with the rows of a chunk.

    raw : int64 (rows × columns of the recorded plan)
    named : formulas and columns of sources by name (pack.name), float64, NaN = null
    whole : rows whose evidence is complete: a decision that failed before it was known has none
    sources : versions of the sources with state ("pack.name") that had folded
    event_type : as the events were taken
    """

    program: Program
    raw: NDArray[np.int64]
    named: dict[str, Floats]
    whole: NDArray[np.bool_]
    sources: Mapping[str, str]
    event_type: EventType


def served(reader: Reader, event: str, rows: PastRows) -> Served:
    """The evidence of a chunk of decisions on `event`, by name."""
    activated = reader.activated(rows.activation)
    program = reader.program(rows.activation).of_arm(rows.arm)
    formulas, columns = program.names(program.codes[event])
    names = [*formulas, *(name for name, _ in columns)]
    whole, (vectors, left, right) = _evidence(
        [
            ([body.vector for body in rows.bodies], 8 * len(program.plan.columns)),
            ([body.formulas for body in rows.bodies], 8 * len(formulas)),
            ([body.sources for body in rows.bodies], 8 * len(columns)),
        ]
    )
    raw: NDArray[np.int64] = vectors.view(np.int64)
    matrix: Floats = np.hstack([left, right]).view(np.float64)
    if not whole.all():
        raw, matrix = np.where(whole[:, None], raw, UNKNOWN), np.where(whole[:, None], matrix, np.nan)
    named = {name: matrix[:, index] for index, name in enumerate(names)}
    return Served(program, raw, named, whole, activated.sources, program.types[event])


def _evidence(
    parts: list[tuple[list[bytes], int]],
) -> tuple[NDArray[np.bool_], list[NDArray[np.uint64]]]:
    """Rows that have every part in its size in bytes, and the parts as words: zeros where a row lacks one."""
    fits = [np.fromiter(map(len, part), np.int64, len(part)) == size for part, size in parts]
    whole = np.logical_and.reduce(fits)
    for at in np.flatnonzero(~whole).tolist():
        for part, size in parts:
            part[at] = bytes(size)
    words = [np.frombuffer(b"".join(part), np.uint64).reshape(len(part), size // 8) for part, size in parts]
    return whole, words


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
        self._alike: dict[int, Alike] = {}

    def known(self, rows: PastRows, record: Served, events: EventRows, rebuilt: Moments | None = None) -> Known:
        """What is known of a chunk; `rebuilt` is what folds and sources with state of this version know of it."""
        if rebuilt is not None:
            answers = {name: rebuilt.answers[:, at] for name, at in self.scope.answers.items()}
            return Known(self, rows, events, rebuilt.raw, answers)
        alike = self._alike.get(id(record.program))
        if alike is None:
            alike = self._alike[id(record.program)] = Alike(self, record.program, record.sources)
            alike.check(self)
        return Known(self, rows, events, alike.raw(record), alike.named(record))


class Known:
    """One chunk as a version sees it. Columns are computed when they are asked for."""

    def __init__(
        self, asker: Asker, rows: PastRows, events: EventRows, raw: NDArray[np.int64], named: dict[str, Floats]
    ) -> None:
        self.asker, self.rows, self.events, self.raw = asker, rows, events, raw
        self._named = dict(named)
        times = rows.times_ms if asker.declared.clock == "event" else rows.received_ms
        self._moments = min(times), max(times), times

    def inputs(self) -> list[Column]:
        """A column per input of the flow's policy, in the policy's order."""
        return [self.column(one.name) for one in self.asker.flow.policy.inputs]

    def column(self, name: str) -> Column:
        """One input by name: a field, fold, formula, column of a source (with state, then models), or parameter; looked
        for in this order."""
        asker, scope = self.asker, self.asker.scope
        if name in scope.fields:
            return self.events.column(name)
        if name in scope.folds:
            return asker.program.exact.column(self.raw, scope.folds[name])
        for formula in scope.formulas.formulas:
            if formula.name == name:
                return exact_column(self.floats(name), formula.decimals)
        for column in answers_of(asker):
            if column.name == name:
                return seen_column(self.floats(name), column)
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
        for name, places in scope.choices.items():
            known[name] = choice_column(self.events.column(name), places)
        # What was not recorded and is not needed: a formula that reads it is null, and nobody asks for it.
        known.update({name: np.full(len(self.rows), np.nan) for name in scope.answers if name not in self._named})
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
        earliest, latest, times = self._moments
        if bisect_right(starts, earliest) == bisect_right(starts, latest):  # No change within this chunk.
            return [at(earliest)] * len(times)
        return [at(time_ms) for time_ms in times]


def answers_of(asker: Asker) -> list[SourceColumn]:
    """Columns of the pack's sources: those with state, then models."""
    sources: list[Any] = [*asker.pack.sources, *asker.scope.sources]
    return [column for source in sources for column in source.columns]


def names_of(asker: Asker) -> list[str]:
    """Every name a policy of this flow may ask for."""
    scope = asker.scope
    answers = [column.name for column in answers_of(asker)]
    return sorted(
        {*scope.fields, *scope.folds, *scope.formulas.names, *answers, *(one.name for one in asker.pack.parameters)}
    )


def _widened(columns: NDArray, width: int, fill: int) -> NDArray:
    if columns.shape[1] >= width:
        return np.ascontiguousarray(columns[:, :width])
    made = np.full((len(columns), width, *columns.shape[2:]), fill, columns.dtype)
    made[:, : columns.shape[1]] = columns
    return made
