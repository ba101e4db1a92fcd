"""Which instances events meet, and which events may not come: asked of the book before a run of events enters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from quanheng.events.intake import EventFact
from quanheng.events.schema import NO_KEY
from quanheng.facts import FactColumns
from quanheng.kernel.errors import EventRejected, InputError
from quanheng.processes.book import Book
from quanheng.processes.timers import Due
from quanheng.program import Program
from quanheng.stepping import NOBODY, Life, View


class TimerStopped(EventRejected):
    """A timer that was due has been stopped by what came before it in the group. It needs no record."""


class Met(NamedTuple):
    """What a run of events meets.

    rows : places of those that may come
    views : of each of those the instances it meets; empty = none of the run meets any
    refused : place → why it may not come
    """

    rows: Sequence[int]
    views: Sequence[tuple[View, ...]]
    refused: dict[int, InputError]


def naming(program: Program, columns: FactColumns) -> NDArray[np.bool_]:
    """Which events name an instance of a process: bool[n]. Most events of busy types do not."""
    found = np.zeros(len(columns.type), bool)
    for code, lives in program.lives.items():
        rows = np.flatnonzero(columns.type == code)
        for life in lives if len(rows) else ():
            found[rows] |= columns.keys[rows, life.key_at].any(axis=1)
    return found


def meet(book: Book, program: Program, events: Sequence[EventFact], columns: FactColumns) -> Met:
    """What events meet, none of them an instance that one before it may move."""
    named = np.flatnonzero(naming(program, columns)).tolist()
    if not named:
        return Met(range(len(events)), (), {})
    lives = program.lives
    views = [(NOBODY,) * len(lives.get(event.code, ())) for event in events]
    refused: dict[int, InputError] = {}
    for at in named:
        event, of, keys, fired = events[at], lives[events[at].code], columns.keys[at], None
        timed = next((life for life in of if life.is_timer), None)
        if timed is not None:
            fired = book.armed(timed.machine.code, timed.key(keys), event.fields.serial)
            if fired is None:  # What moved the instance meanwhile has stopped it.
                refused[at] = _stopped(program, event)
                continue
        views[at], why = _met(book, of, keys, fired)
        if why is not None:
            refused[at] = why
    if not refused:
        return Met(range(len(events)), views, {})
    rows = [at for at in range(len(events)) if at not in refused]
    return Met(rows, [views[at] for at in rows], refused)


def touched(program: Program, event: EventFact, keys: NDArray[np.uint64]) -> list[tuple[int, bytes]]:
    """The instances that an event may move: code of the process, pseudonym. An event that names none moves none."""
    named = ((life.machine.code, life.key(keys)) for life in program.lives.get(event.code, ()))
    return [one for one in named if one[1] != NO_KEY]


def _met(
    book: Book, lives: Sequence[Life], keys: NDArray[np.uint64], fired: Due | None
) -> tuple[tuple[View, ...], EventRejected | None]:
    """The instances that one event meets, and why it may not come: an instance that there is does not allow it, or no
    process has one that does."""
    views, refusals = [], []
    for life in lives:
        key = life.key(keys)
        if key == NO_KEY:
            views.append(NOBODY)
            continue
        instance = book.view(life.machine.code, key)
        views.append(View(instance, fired if life.is_timer else None))
        refusals.append((life.refusal(instance), instance))
    taken = any(why is None for why, _ in refusals)
    refused = (why for why, instance in refusals if why is not None and (instance is not None or not taken))
    return tuple(views), next(refused, None)


def _stopped(program: Program, event: EventFact) -> TimerStopped:
    return TimerStopped(
        "the timer does not wait any more",
        where=program.type_of(event.code).name,
        found=f"serial {event.fields.serial}",
        cure="Nothing is to be done: what moved the instance has stopped the timer.",
    )
