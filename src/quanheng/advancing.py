"""A clock that is moved by hand: weeks of timers fire in seconds, in order, each at its own moment; tests, demos.

The engine is opened with a `MovedClock` in place of the machine's. `advance` moves it from one moment at which
something is due to the next, so whatever fires sees the time at which it was due, as in a process that never slept.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from quanheng.engine import Engine
from quanheng.facts import Moved, Sent, StepBody
from quanheng.kernel.errors import DataErased, InputError, LogError
from quanheng.kernel.log.records import DECISION, Columns
from quanheng.kernel.time import format_time
from quanheng.reading import RecordedDecision
from quanheng.recovery import read_batches


class MovedClock:
    """A clock that stands until it is moved, epoch milliseconds UTC."""

    def __init__(self, now_ms: int) -> None:
        self.now_ms = now_ms

    def __call__(self) -> int:
        """The moment at which it stands."""
        return self.now_ms


class Fired(NamedTuple):
    """What a timer that fired has made.

    event : "review.timer.fired"; decision : offset of what was decided on it
    steps : of all instances; transfers, sent : that they asked for
    """

    at_ms: int
    event: str
    decision: int
    steps: tuple[StepBody, ...]
    transfers: tuple[Moved, ...]
    sent: tuple[Sent, ...]
    outcome: str


def advance(engine: Engine, clock: MovedClock, to_ms: int) -> Iterator[Fired]:
    """Move the clock of an engine, and fire what is due on the way, in order.

    Raises
    ------
    InputError : the moment is over
    LogError : the log takes no more
    """
    now_ms = engine.writer.stamp()
    if to_ms < now_ms:
        raise InputError(
            "a clock is not moved back: the log's stamps never decrease",
            where="clock",
            found=format_time(to_ms),
            allowed=f"{format_time(now_ms)} or later",
            cure="Begin with an empty data folder to play the time again.",
        )
    while (due_ms := next_ms(engine)) is not None and due_ms <= to_ms:
        clock.now_ms = max(clock.now_ms, due_ms)
        before = engine.log.head
        carry_out(engine)
        if engine.log.head == before and next_ms(engine) == due_ms:
            raise LogError(
                "what is due does not happen, so time stands still",
                where="clock",
                found=format_time(due_ms),
                cure="Report it with the log.",
            )
        yield from fired(engine, before)
    clock.now_ms = max(clock.now_ms, to_ms)


def carry_out(engine: Engine) -> None:
    """Let happen what is due at the moment at which the clock stands: timers, jobs, holds that end, what is told."""
    engine.carry_out()
    engine.expire()
    engine.carry_out()


def next_ms(engine: Engine) -> int | None:
    """When something is due next: a timer, a job, or a hold of the ledger that ends; None = nothing is."""
    moments = pending_ms(engine), engine.jobs.next_due_ms
    return min((one for one in moments if one is not None), default=None)


def pending_ms(engine: Engine) -> int | None:
    """The same without jobs, which come again for ever."""
    moments = engine.state.book.timers.next_due_ms, engine.state.ledger.next_expiry_ms
    return min((one for one in moments if one is not None), default=None)


def fired(engine: Engine, first: int) -> Iterator[Fired]:
    """What timers have made in the records of the log from an offset on."""
    timers = {one.declared.timer_event for one in engine.state.program.machines.values()}
    for start, part in read_batches(engine.log, first, engine.log.head):
        rows = (part.kind == DECISION).nonzero()[0].tolist() if isinstance(part, Columns) else ()
        for row in rows:
            found = _told(engine, start + row)
            if found is not None and found.event in timers:
                yield found


def _told(engine: Engine, offset: int) -> Fired | None:
    try:
        decision = engine.reader.recorded_decision(offset)
    except DataErased:
        return None
    names = {code: name for name, code in engine.state.program.codes.items()}
    return _fired(decision, names[engine.reader.event(decision.record.cause).type])


def _fired(decision: RecordedDecision, event: str) -> Fired:
    body = decision.body
    return Fired(
        decision.record.received_ms, event, decision.offset, tuple(body.steps), tuple(body.transfers),
        tuple(body.sent), body.outcome,
    )  # fmt: skip
