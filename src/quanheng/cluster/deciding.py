"""Decisions in actors that keep no state: a group's rows are judged in parts, wherever there is room.

What a decision needs travels with it: the event as the client sent it, what was known of it at its moment, what stands
on the lists that may be asked, the versions in force. A part that is lost is judged here: judging changes nothing, so
it may be done twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import msgspec
import numpy as np

from quanheng.cluster.field import Lost
from quanheng.cluster.membership import Answered, Answers, answers_for, flows_of
from quanheng.deciding import Rows, decide
from quanheng.events.intake import EventFact, Request
from quanheng.facts import NO_MOVES, DecisionFact, FactColumns, Moments, Moves, decode_body
from quanheng.facts import Asked as LedgerAsked
from quanheng.kernel.errors import NotFound
from quanheng.program import Program
from quanheng.recovery import program_of
from quanheng.state import Activated
from quanheng.stepping import NOBODY, View


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
    """Rows to judge, each by every flow of its type; see `deciding.Rows`.

    activated, activation : what is in force, as the log has it, and its offset
    lists : what stands on lists; None = nothing is known of them
    views : per event the instances of processes that it meets
    """

    activated: bytes
    activation: int
    events: list[EventRow]
    columns: FactColumns
    moments: Moments
    offset: int
    received_ms: int
    lists: Answers | None = None
    views: Sequence[tuple[View, ...]] = ()


class Judged(NamedTuple):
    """One decision: the numbers of its header, its body as bytes, what the ledger is to be asked for, what becomes of
    instances, also where the ledger refuses.

    No numbers: the type has no flow.
    """

    numbers: tuple[int, int, int] | None
    payload: bytes
    asked: LedgerAsked | None = None
    moves: Moves = NO_MOVES
    refused: Moves = NO_MOVES


class Unanswered(NamedTuple):
    """In place of decisions: a policy asked lists about a text that is no field of the event.

    lists : their names ("pack.name")
    """

    lists: list[str]


Decided = list[Judged] | Unanswered


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

    def judge(self, files: dict[str, dict[str, bytes]], asked: Asked) -> Decided:
        """A decision per row, in order. What `decide` gives, by the same code.

        Raises
        ------
        NotFound : a pack in force is not among `files`
        """
        program = self.prepare(files, asked.activated, asked.activation)
        events = self._events(program, asked.events)
        lists = None if asked.lists is None else Answered(asked.lists)
        rows = Rows(events, asked.columns, asked.moments, asked.offset, asked.received_ms, lists, asked.views)
        made = decide(program, rows)
        if lists is not None and lists.missing:
            return Unanswered(sorted(lists.missing))
        return [Judged(None, b"") if one is None else _judged(one) for one in made]

    def prepare(self, files: dict[str, dict[str, bytes]], activated: bytes, activation: int) -> Program:
        """The program of an activation, compiled and kept. Raises as `judge`."""
        found = msgspec.json.decode(activated, type=Activated)
        return program_of(_Files(files), found, activation)  # type: ignore[arg-type]

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

    def ready(self, files: dict[str, dict[str, bytes]], activated: bytes, activation: int) -> int:
        """How many could judge by that activation now; the others are told to get ready. Waits for nobody."""
        ...

    def ask(self, files: dict[str, dict[str, bytes]], asked: Sequence[Asked]) -> list[Decided | Lost]:
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
    sent, lost, unanswered : parts judged elsewhere; of those the ones that were lost, and those whose policies asked
        lists about what no field holds, both of them judged here
    """

    def __init__(
        self,
        bench: Bench,
        files_of: Callable[[int], tuple[bytes, dict[str, dict[str, bytes]]]],
        rows_min: int,
        parts_max: int,
    ) -> None:
        self._bench, self._files_of, self.rows_min, self.parts_max = bench, files_of, rows_min, parts_max
        self.sent = self.lost = self.unanswered = 0
        self._staying: tuple[int, set[int]] = (-1, set())

    def __call__(self, program: Program, asked: Rows) -> list[DecisionFact | None]:
        """See `deciding.decide`."""
        events = asked.events
        if self._staying[0] != program.activation:
            self._staying = program.activation, set()
        away = program.flows.keys() - self._staying[1] - _sending(program)
        rows = [row for row, event in enumerate(events) if event.code in away and _meets_nobody(program, asked, row)]
        parts = min(self.parts_max, len(rows) // max(self.rows_min, 1))
        if not parts:
            return decide(program, asked)
        activated, files = self._files_of(program.activation)
        parts = min(parts, self._bench.ready(files, activated, program.activation))
        if not parts:  # They are starting, or compile what was put in force: nobody is kept waiting for that.
            return decide(program, asked)
        made: list[DecisionFact | None] = [None] * len(events)
        cuts = [part.tolist() for part in np.array_split(np.array(rows), parts)]
        parcels = [asked.some(cut)._replace(views=()) for cut in cuts]  # They meet nobody.
        answers = self._bench.ask(files, [_asked(activated, program, one) for one in parcels])
        gone = set(rows)
        here = [row for row, event in enumerate(events) if event.code in program.flows and row not in gone]
        self.sent += parts
        for cut, answer in zip(cuts, answers, strict=True):
            if isinstance(answer, Lost | Unanswered):
                self._note(program, answer, {events[row].code for row in cut})
                here += cut
                continue
            for row, judged in zip(cut, answer, strict=True):
                made[row] = _decision(events[row], judged)
        if here:
            for row, decision in zip(here, decide(program, asked.some(here)), strict=True):
                made[row] = decision
        return made

    def _note(self, program: Program, answer: Lost | Unanswered, codes: set[int]) -> None:
        """Event types whose policies ask what cannot travel are judged here from now on."""
        if isinstance(answer, Lost):
            self.lost += 1
            return
        self.unanswered += 1
        for code in codes:
            names = {name for flow in flows_of(program, code) for name, _ in flow.lists.values()}
            if names.intersection(answer.lists):
                self._staying[1].add(code)


def _sending(program: Program) -> set[int]:
    """Event types whose flows send messages, which stand with the writer alone."""
    return {code for code, flows in program.flows.items() if any(one.sends for one in flows)}


def _meets_nobody(program: Program, asked: Rows, row: int) -> bool:
    """Whether an event names no instance of a process: these stand with the writer alone too."""
    if asked.events[row].code not in program.lives:
        return True
    return not asked.views or all(view is NOBODY for view in asked.views[row])


def _asked(activated: bytes, program: Program, rows: Rows) -> Asked:
    lists = None if rows.lists is None else answers_for(program, rows.events, rows.lists)
    return Asked(
        activated, program.activation, [_row(event) for event in rows.events], rows.columns, rows.moments,
        rows.offset, rows.received_ms, lists, rows.views,
    )  # fmt: skip


def _row(event: EventFact) -> EventRow:
    request = event.request
    return EventRow(
        event.code, event.time_ms, event.received_ms, event.subject, event.request_key, request.data,
        request.deadline_ms,
    )  # fmt: skip


def _judged(made: DecisionFact) -> Judged:
    return Judged(made.numbers, made.payload, made.asked, made.moves, made.refused)


def _decision(event: EventFact, judged: Judged) -> DecisionFact | None:
    if judged.numbers is None:
        return None
    return DecisionFact(
        event.code, event.time_ms, event.received_ms, event.subject, judged.numbers, decode_body(judged.payload),
        judged.payload, judged.asked, judged.moves, judged.refused,
    )  # fmt: skip
