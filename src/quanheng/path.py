"""THE MAIN PATH: what happens to a group of requests, on one screen. Read this first.

    request ─▶ intake ─▶ apply event ─▶ vector ─▶ policy ─▶ transfers ─▶ apply decision ─▶ log: one commit ─▶ reply
               schema,   windows take    sources   DMN/FEEL  judged by                       engine.commit:
               id, actor the event       joined    reasons   the ledger                      sealed, hashed, durable

`decide` changes nothing; `State.apply` and the ledger's own door are the only mutators, the same live and in recovery.
A request's own event is applied first, then judged. Neither does I/O or reads a clock: `received_ms` and the business
day are passed in, and what was asked of the disk (was this id seen before?) was asked before the group entered.

A group is handled a stage at a time, not a request at a time. The folds still see events strictly one after
another (each vector is read at its own event's moment, before the next event enters); the later stages may
run side by side because no decision feeds a window: a pack that folds decisions is refused at load. A decision may
change a balance, though: where policies look at balances a group is cut into runs (`transferring.runs`), so that each
event sees what the transfers of those before it left.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np

from quanheng import mailing
from quanheng.deciding import Rows, decide
from quanheng.events.intake import EventFact, Intake, Refusal, Request
from quanheng.facts import NO_MOVES, DecisionFact, FactColumns, Moves, decisions_columns, events_columns
from quanheng.kernel.errors import InputError, LogCorrupt
from quanheng.kernel.log.records import NO_CAUSE
from quanheng.ledger.records import RECORD_BYTES, records_of
from quanheng.loans import loan_record
from quanheng.meeting import Met, TimerStopped, meet
from quanheng.processes.records import encode_message, encode_step
from quanheng.transferring import Transferred, runs, transfer, would_transfer

if TYPE_CHECKING:
    from quanheng.program import Program
    from quanheng.state import State


Decide = Callable[["Program", Rows], "list[DecisionFact | None]"]
"""`decide`, or what does the same elsewhere."""


class Taken(msgspec.Struct, frozen=True, gc=False):
    """An event that entered, with its decision where its type has a flow or a process, and how many records stand
    behind both: facts of the ledger, steps, messages, what became of loans."""

    event: EventFact
    offset: int
    decision: DecisionFact | None
    facts: int = 0


class Repeat(NamedTuple):
    """A request whose id was taken before, at `offset`. Its answer is read back from the log.

    Whether it fits the schema of today does not matter: it was taken under that of its own time.
    """

    request: Request
    request_key: bytes
    offset: int


class Group(NamedTuple):
    """What one group of requests produced: an item per request, in their order; its records are first .. head - 1.

    facts : of the ledger, steps, messages and loans, as records, each with the offset at which it stands
    ended : how many of them stand before the first event: holds whose time was out, days of loans that were closed
    """

    first: int
    head: int
    received_ms: int
    items: list[Taken | Repeat | Refusal]
    facts: list[tuple[int, bytes]]
    ended: int


def handle(
    state: State,
    intake: Intake,
    requests: Sequence[Request],
    request_keys: Sequence[bytes],
    received_ms: int,
    seen: Mapping[bytes, int],
    *,
    day: int = 0,
    judge: Decide = decide,
) -> Group:
    """Take one group of requests through the path. Nothing is durable until the engine commits the group.

    Parameters
    ----------
    state : every fold of the log; changed by `apply` and by what the ledger applies
    intake : reads requests by the active event types
    received_ms : the writer's stamp for this group, epoch milliseconds, never decreasing
    request_keys : `intake.keys(requests)`
    seen : those of them that were taken before, with the offset of their event
    day : business day of the stamp, for the ledger
    judge : decides, here or elsewhere
    """
    read = intake.read_all(requests, request_keys, received_ms)
    items, events = admit(requests, request_keys, read, seen)
    columns = events_columns(events, state.program)
    lists = state.lists.at(received_ms, intake.pseudonyms)
    placing = Placing(state, items, received_ms, day)
    if state.program.asks or state.loans.count:
        placing.end_holds()
        placing.close_days()
    for run in runs(state, events, columns):
        met = meet(state.book, state.program, events[run], columns.rows(run))
        come, some = coming(met, run, events, columns)
        moments = state.apply(some, received_ms)
        asked = judge(state.program, Rows(come, some, moments, state.head, received_ms, lists, met.views))
        made = transfer(state, asked, received_ms, placing.day)
        state.apply(decisions_columns(made.decisions), received_ms, read=False)
        state.move(made.decisions, received_ms)
        placing.place(events[run], made, met.refused)
    return placing.group()


def try_alone(
    state: State,
    intake: Intake,
    request: Request,
    received_ms: int,
    seen: Mapping[bytes, int],
    judge: Decide = decide,
    day: int = 0,
) -> Taken | Repeat | Refusal:
    """What would become of one request now (dry run): decide as if its event entered, and leave no trace."""
    (key,) = intake.keys([request])
    (read,) = intake.read_all([request], [key], received_ms)
    (item,), events = admit([request], [key], [read], seen)
    if isinstance(item, Repeat | Refusal):
        return item
    columns = events_columns(events, state.program)
    met = meet(state.book, state.program, events, columns)
    if met.refused:
        return Refusal(request, met.refused[0])
    lists = state.lists.at(received_ms, intake.pseudonyms)
    moments = state.peek(columns, received_ms)
    (asked,) = judge(state.program, Rows(events, columns, moments, state.head, received_ms, lists, met.views))
    made = None if asked is None else would_transfer(state, asked, max(day, state.ledger.day))
    return Taken(events[0], state.head, made)


def coming(
    met: Met, run: slice, events: Sequence[EventFact], columns: FactColumns
) -> tuple[Sequence[EventFact], FactColumns]:
    """The events of a run that may come, with their columns."""
    if met.refused:
        rows = [run.start + row for row in met.rows]
        return [events[row] for row in rows], columns.rows(rows)
    return events[run], columns if run == slice(0, len(events)) else columns.rows(run)


def admit(
    requests: Sequence[Request],
    request_keys: Sequence[bytes],
    read: Sequence[EventFact | Refusal],
    seen: Mapping[bytes, int],
) -> tuple[list[Repeat | Again | Refusal | None], list[EventFact]]:
    """Find repeats, within the group too.

    Returns
    -------
    per request a repeat, a refusal or None for a new event; the new events.
    """
    items: list[Repeat | Again | Refusal | None] = []
    events: list[EventFact] = []
    here: dict[bytes, int] = {}
    for request, key, one in zip(requests, request_keys, read, strict=True):
        if key in seen:
            items.append(Repeat(request, key, seen[key]))
        elif key in here:
            items.append(Again(request, key, here[key]))
        elif isinstance(one, Refusal):
            items.append(one)
        else:
            here[key] = len(events)
            items.append(None)
            events.append(one)
    return items, events


class Again(NamedTuple):
    """A request whose id an event before it in the group has, the so many-th of the new ones."""

    request: Request
    request_key: bytes
    event: int


class Placing:
    """Gives records of a group their offsets: an event, its decision, then what the ledger did for it.

    A refusal is recorded too, so that nothing is lost silently; that of a message of a stream apart, under its place.
    """

    def __init__(
        self, state: State, items: Sequence[Repeat | Again | Refusal | None], received_ms: int, day: int
    ) -> None:
        self._state, self._items, self._at = state, items, 0
        self.received_ms, self.day = received_ms, max(day, state.ledger.day)
        self._first = state.head
        self._taken: list[Taken | Refusal] = []
        self._moved: list[tuple[int, bytes]] = []
        self._clock, self._since = (state.ledger.now_ms, state.ledger.day), state.ledger.facts_n
        self._ended = 0
        self._causes: list[int] = []
        self._places: list[int] = []

    def end_holds(self) -> None:
        """End holds whose time is out, before anything looks at balances."""
        ledger = self._state.ledger
        if ledger.next_expiry_ms is not None and ledger.next_expiry_ms <= self.received_ms:
            ledger.transfer([], self.received_ms, self.day)
            self._ended = ledger.facts_n - self._since
            self._put_facts(self._ended, NO_CAUSE)

    def close_days(self) -> None:
        """Close the days of loans that are over, each with its postings, before anything looks at a loan."""
        loans, ledger = self._state.loans, self._state.ledger
        while loans.is_behind(self.day):
            since = ledger.facts_n
            closed = loans.close_day(ledger, self.received_ms)
            self._put_facts(ledger.facts_n - since, NO_CAUSE)
            self._ended += ledger.facts_n - since + self._put_loans(closed, NO_CAUSE)

    def place(self, events: Sequence[EventFact], made: Transferred, refused: Mapping[int, InputError]) -> None:
        """Place the events of a run, with their decisions and what these did; `refused` are those that may not come."""
        state, done = self._state, enumerate(zip(made.decisions, made.facts, strict=True))
        for at, event in enumerate(events):
            self._pass_refusals()
            if refused and at in refused:
                self._taken.append(Refusal(event.request, refused[at]))
                state.head += not event.request.position
            else:
                place, (decision, facts_n) = next(done)
                offset = state.head
                state.head += 1 if decision is None else 2
                if facts_n:
                    self._put_facts(facts_n, offset + 1)
                moves = NO_MOVES if decision is None else decision.moves
                moved_n = 0 if moves is NO_MOVES else self._put_moves(moves, offset + 1)
                if made.loans and place in made.loans:
                    moved_n += self._put_loans(made.loans[place], offset + 1)
                self._taken.append(Taken(event, offset, decision, facts_n + moved_n))
            self._at += 1

    def _put_moves(self, moves: Moves, cause: int) -> int:
        """Steps and messages of a decision; how many."""
        state = self._state
        records = [encode_step(one, self.received_ms, cause) for one in moves.steps]
        if moves.sent:
            mailing.ask(state.outbox, state.program, moves.sent, cause, self.received_ms)
        for one in moves.sent:
            records.append(encode_message(state.program.codes[f"call {one.name}"], one.id, self.received_ms, cause))
        self._moved += enumerate(records, state.head)
        state.head += len(records)
        return len(records)

    def _put_loans(self, events: np.ndarray, cause: int) -> int:
        """Events of the loan book; how many."""
        self._moved += enumerate((loan_record(one, self.received_ms, cause) for one in events), self._state.head)
        self._state.head += len(events)
        return len(events)

    def _pass_refusals(self) -> None:
        while self._at < len(self._items) and (item := self._items[self._at]) is not None:
            again_refused = isinstance(item, Again) and isinstance(self._taken[item.event], Refusal)
            self._state.head += (isinstance(item, Refusal) or again_refused) and not item.request.position
            self._at += 1

    def _put_facts(self, count: int, cause: int) -> None:
        self._places += range(self._state.head, self._state.head + count)
        self._causes += [cause] * count
        self._state.head += count

    def group(self) -> Group:
        """The whole group."""
        self._pass_refusals()
        taken, ledger = self._taken, self._state.ledger
        rest = iter(taken)
        items = [
            next(rest) if item is None else _again(item, taken[item.event]) if isinstance(item, Again) else item
            for item in self._items
        ]  # fmt: skip
        if not self._places:
            ledger.rewind(*self._clock)
        facts = records_of(ledger.facts(self._since), np.array(self._causes, np.int64)) if self._places else b""
        pieces = [facts[at : at + RECORD_BYTES] for at in range(0, len(facts), RECORD_BYTES)]
        placed = [*zip(self._places, pieces, strict=True), *self._moved]
        return Group(self._first, self._state.head, self.received_ms, items, placed, self._ended)


def _again(item: Again, first: Taken | Refusal) -> Repeat | Refusal:
    """What becomes of an event whose id one before it in the group has."""
    if isinstance(first, Refusal):
        return Refusal(item.request, first.error)
    return Repeat(item.request, item.request_key, first.offset)


def check_due(group: Group, due: int) -> None:
    """A timer that is due fires or was stopped in the same group; else it would be due for ever.

    Raises
    ------
    LogCorrupt : intake refused the event of one, which the platform itself made
    """
    for item in group.items[:due]:
        if isinstance(item, Repeat) or (isinstance(item, Refusal) and not isinstance(item.error, TimerStopped)):
            why = str(item.error) if isinstance(item, Refusal) else "it was told before"
            raise LogCorrupt(
                "a timer that is due cannot be told",
                where=item.request.type,
                found=why,
                allowed="an event that its own declaration takes",
                cure="Report this fault with the pack's processes.toml; nothing of the group was written.",
            )
