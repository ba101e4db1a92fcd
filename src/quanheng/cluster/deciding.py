"""Decisions in actors that keep no state: a group's rows are judged in parts, wherever there is room.

What a decision needs travels with it: the event as the client sent it, what was known of it at its moment, the versions
in force. A part that is lost is judged here: judging changes nothing, so it may be done twice. Flows that ask lists are
judged by the sequencer, which has the lists and the keys of their pseudonyms.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import msgspec
import numpy as np

from quanheng.cluster.field import Lost
from quanheng.deciding import decide
from quanheng.events.intake import EventFact, Request
from quanheng.facts import DecisionFact, FactColumns, Moments, decode_body
from quanheng.kernel.errors import NotFound
from quanheng.known import ListsNow
from quanheng.program import Program
from quanheng.recovery import program_of
from quanheng.state import Activated


class EventRow(NamedTuple):
    """What judging needs of an event."""

    code: int
    time_ms: int
    received_ms: int
    subject: bytes
    request_key: bytes
    data: bytes
    deadline_ms: int


class Asked(NamedTuple):
    """Rows to judge, each by every flow of its type.

    activated, activation : what is in force, as the log has it, and its offset
    offset : the log's head before the group
    """

    activated: bytes
    activation: int
    events: list[EventRow]
    columns: FactColumns
    moments: Moments
    offset: int
    received_ms: int


class Judged(NamedTuple):
    """One decision: the numbers of its header, and its body as bytes. No numbers: the type has no flow."""

    numbers: tuple[int, int, int] | None
    payload: bytes


class _Files:
    """Packs that came with the request, where `program_of` looks for a content store."""

    def __init__(self, files: dict[str, dict[str, bytes]]) -> None:
        self._files = files

    def get_folder(self, hash: str) -> dict[str, bytes]:
        """The files of one pack."""
        if hash not in self._files:
            raise NotFound("a pack in force did not come with the decisions to make", where="packs", found=hash)
        return self._files[hash]


class Decider:
    """Judges rows that were sent to it. One caller at a time."""

    def judge(self, files: dict[str, dict[str, bytes]], asked: Asked) -> list[Judged]:
        """A decision per row, in order. What `decide` gives, by the same code.

        Raises
        ------
        NotFound : a pack in force is not among `files`
        """
        activated = msgspec.json.decode(asked.activated, type=Activated)
        program = program_of(_Files(files), activated, asked.activation)  # type: ignore[arg-type]
        events = self._events(program, asked.events)
        every = list(range(len(events)))
        columns, moments = rows_of(asked.columns, every), asked.moments.rows(every)  # What came is read-only memory.
        made = decide(program, events, columns, moments, asked.offset, asked.received_ms)
        return [Judged(None, b"") if one is None else Judged(one.numbers, one.payload) for one in made]

    def _events(self, program: Program, rows: Sequence[EventRow]) -> list[EventFact]:
        types = {one.code: one for one in program.types.values()}
        events = []
        for row in rows:
            kind = types[row.code]
            request = Request("", "", kind.name, row.data, row.deadline_ms)
            fields = kind.decode(row.data)
            known = (row.code, row.time_ms, row.received_ms, row.subject, row.request_key)
            events.append(EventFact(*known, b"", b"", fields, request))
        return events


class Bench(Protocol):
    """Where deciders sit."""

    def ask(self, files: dict[str, dict[str, bytes]], asked: Sequence[Asked]) -> list[list[Judged] | Lost]:
        """Judge each of `asked`, side by side."""
        ...


class Deciders:
    """`deciding.decide`, carried out by a bench of deciders where a group is large enough.

    Parameters
    ----------
    files_of : what is in force at an activation: its payload in the log, and the files of its packs by hash
    rows_min : fewest rows that are worth a part of their own
    parts_max : into how many parts a group is cut at most

    Attributes
    ----------
    sent, lost : parts judged elsewhere, and of those the ones that were lost and judged here
    """

    def __init__(
        self,
        bench: Bench,
        files_of: Callable[[int], tuple[bytes, dict[str, dict[str, bytes]]]],
        rows_min: int,
        parts_max: int,
    ) -> None:
        self._bench, self._files_of, self.rows_min, self.parts_max = bench, files_of, rows_min, parts_max
        self.sent = self.lost = 0

    def __call__(
        self,
        program: Program,
        events: Sequence[EventFact],
        columns: FactColumns,
        moments: Moments,
        offset: int,
        received_ms: int,
        lists: ListsNow | None = None,
    ) -> list[DecisionFact | None]:
        """See `deciding.decide`."""
        away = {code for code, flows in program.flows.items() if not any(flow.lists for flow in _flows(program, code))}
        rows = [row for row, event in enumerate(events) if event.code in away]
        parts = min(self.parts_max, len(rows) // max(self.rows_min, 1))
        if not parts:
            return decide(program, events, columns, moments, offset, received_ms, lists)
        made: list[DecisionFact | None] = [None] * len(events)
        activated, files = self._files_of(program.activation)
        cuts = [part.tolist() for part in np.array_split(np.array(rows), parts)]
        asked = [
            Asked(
                activated, program.activation, [_row(events[row]) for row in cut],
                rows_of(columns, cut), moments.rows(cut), offset, received_ms,
            )
            for cut in cuts
        ]  # fmt: skip
        answers = self._bench.ask(files, asked)
        here = sorted({row for row, event in enumerate(events) if event.code in program.flows} - set(rows))
        self.sent += parts
        for cut, answer in zip(cuts, answers, strict=True):
            if isinstance(answer, Lost):
                self.lost += 1
                here += cut
                continue
            for row, judged in zip(cut, answer, strict=True):
                made[row] = _decision(events[row], judged)
        if here:
            some, those = rows_of(columns, here), [events[row] for row in here]
            decided = decide(program, those, some, moments.rows(here), offset, received_ms, lists)
            for row, decision in zip(here, decided, strict=True):
                made[row] = decision
        return made


def rows_of(columns: FactColumns, rows: list[int]) -> FactColumns:
    """Some rows of columns, copied."""
    kind, types, times, keys, numbers = columns
    return FactColumns(kind[rows], types[rows], times[rows], keys[rows], numbers[rows])


def _flows(program: Program, code: int) -> list[Any]:
    """Flows of the champion and of its challengers."""
    return [flow for one in (program, *(c.program for c in program.challengers)) for flow in one.flows.get(code, ())]


def _row(event: EventFact) -> EventRow:
    request = event.request
    return EventRow(
        event.code, event.time_ms, event.received_ms, event.subject, event.request_key, request.data,
        request.deadline_ms,
    )  # fmt: skip


def _decision(event: EventFact, judged: Judged) -> DecisionFact | None:
    if judged.numbers is None:
        return None
    return DecisionFact(
        event.code, event.time_ms, event.received_ms, event.subject, judged.numbers, decode_body(judged.payload),
        judged.payload,
    )  # fmt: skip
