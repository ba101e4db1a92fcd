"""THE MAIN PATH: what happens to a group of requests, on one screen. Read this first.

    request ─▶ intake ─▶ apply event ─▶ vector ─▶ policy ─▶ apply decision ─▶ log: one commit ─▶ reply
               schema,   windows take    sources   DMN/FEEL                    engine.commit:
               id, actor the event       joined    reasons                     sealed, hashed, durable

`decide` changes nothing; `State.apply` is the only mutator, the same live and in recovery. A request's own
event is applied first, then judged. Neither does I/O or reads a clock: `received_ms` is passed in, and what
was asked of the disk (was this id seen before?) was asked before the group entered.

A group is handled a stage at a time, not a request at a time. The folds still see events strictly one after
another (each vector is read at its own event's moment, before the next event enters); the later stages may
run side by side because no decision feeds a window: a pack that folds decisions is refused at load.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from quanheng.deciding import Rows, decide
from quanheng.events.intake import EventFact, Intake, Refusal, Request
from quanheng.facts import DecisionFact, decisions_columns, events_columns

if TYPE_CHECKING:
    from quanheng.program import Program
    from quanheng.state import State


Decide = Callable[["Program", Rows], "list[DecisionFact | None]"]
"""`decide`, or what does the same elsewhere."""


class Taken(msgspec.Struct, frozen=True, gc=False):
    """An event that entered, with its decision where its type has a flow."""

    event: EventFact
    offset: int
    decision: DecisionFact | None


class Repeat(NamedTuple):
    """A request whose id was taken before, at `offset`. Its answer is read back from the log.

    Whether it fits the schema of today does not matter: it was taken under that of its own time.
    """

    request: Request
    request_key: bytes
    offset: int


class Group(NamedTuple):
    """What one group of requests produced: an item per request, in their order; its records are first .. head - 1."""

    first: int
    head: int
    received_ms: int
    items: list[Taken | Repeat | Refusal]


def handle(
    state: State,
    intake: Intake,
    requests: Sequence[Request],
    request_keys: Sequence[bytes],
    received_ms: int,
    seen: Mapping[bytes, int],
    *,
    dry_run: bool = False,
    judge: Decide = decide,
) -> Group:
    """Take one group of requests through the path. Nothing is durable until the engine commits the group.

    Parameters
    ----------
    state : every fold of the log; changed by `apply` only, and not at all on a dry run
    intake : reads requests by the active event types
    received_ms : the writer's stamp for this group, epoch milliseconds, never decreasing
    request_keys : `intake.keys(requests)`
    seen : those of them that were taken before, with the offset of their event
    dry_run : decide as if the events entered, and leave no trace
    judge : decides, here or elsewhere
    """
    read = intake.read_all(requests, request_keys, received_ms)
    items, events, offsets, head = admit(requests, request_keys, read, seen, state.head, state.program)
    columns = events_columns(events, state.program)
    moments = state.peek(columns, received_ms) if dry_run else state.apply(columns, received_ms)
    lists = state.lists.at(received_ms, intake.pseudonyms)
    decisions = judge(state.program, Rows(events, columns, moments, state.head, received_ms, lists))
    first = state.head
    if not dry_run:
        state.apply(decisions_columns(decisions), received_ms, read=False)
        state.head = head
    taken = map(Taken, events, offsets, decisions)
    return Group(first, head, received_ms, [next(taken) if item is None else item for item in items])


def admit(
    requests: Sequence[Request],
    request_keys: Sequence[bytes],
    read: Sequence[EventFact | Refusal],
    seen: Mapping[bytes, int],
    head: int,
    program: Program,
) -> tuple[list[Repeat | Refusal | None], list[EventFact], list[int], int]:
    """Give each new event its offset; find repeats, within the group too.

    Returns
    -------
    per request a repeat, a refusal or None for a new event; the new events; their offsets; the head after them.
    """
    items: list[Repeat | Refusal | None] = []
    events: list[EventFact] = []
    here: dict[bytes, int] = {}
    for request, key, one in zip(requests, request_keys, read, strict=True):
        offset = seen.get(key, here.get(key))
        if offset is not None:
            items.append(Repeat(request, key, offset))
            continue
        if isinstance(one, Refusal):
            items.append(one)
            # A refusal is recorded too, so that nothing is lost silently; that of a message apart, under its place.
            head += not request.position
            continue
        here[key] = head
        items.append(None)
        events.append(one)
        head += 2 if one.code in program.flows else 1
    return items, events, list(here.values()), head
