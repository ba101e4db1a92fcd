"""Which instances events meet, and which events may not come: asked of the book before a run of events enters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from quanheng.events.intake import EventFact
from quanheng.events.schema import NO_KEY
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


def meet(book: Book, program: Program, events: Sequence[EventFact], keys: NDArray[np.uint64]) -> Met:
    """What events meet, none of them an instance that one before it may move.

    Parameters
    ----------
    keys : u64[n, K, 2] of the events
    """
    lives = program.lives
    if not lives or not any(event.code in lives for event in events):
        return Met(range(len(events)), (), {})
    rows, views, refused = [], [], dict[int, InputError]()
    for at, event in enumerate(events):
        fired, of = None, lives.get(event.code, ())
        timed = next((life for life in of if life.is_timer), None)
        if timed is not None:
            fired = book.armed(timed.machine.code, keys[at, timed.key_at].tobytes(), event.fields.serial)
            if fired is None:  # What moved the instance meanwhile has stopped it.
                refused[at] = _stopped(program, event)
                continue
        met = tuple(_view(book, life, keys[at], fired) for life in of)
        why = None if all(view is NOBODY for view in met) else _refused(of, met, keys[at])
        if why is not None:
            refused[at] = why
        else:
            rows.append(at)
            views.append(met)
    return Met(rows, views, refused)


def touched(program: Program, event: EventFact, keys: NDArray[np.uint64]) -> list[tuple[int, bytes]]:
    """The instances that an event may move: code of the process, pseudonym. An event that names none moves none."""
    named = ((life.machine.code, life.key(keys)) for life in program.lives.get(event.code, ()))
    return [one for one in named if one[1] != NO_KEY]


def _view(book: Book, life: Life, keys: NDArray[np.uint64], fired: Due | None) -> View:
    key = life.key(keys)
    if key == NO_KEY:
        return NOBODY
    instance = book.view(life.machine.code, key)
    return View(instance, fired if life.is_timer else None)


def _refused(lives: Sequence[Life], met: Sequence[View], keys: NDArray[np.uint64]) -> EventRejected | None:
    """Why an event may not come: an instance that there is does not allow it, or no process has one that does."""
    if len(lives) == 1:
        return None if lives[0].key(keys) == NO_KEY else lives[0].refusal(met[0].instance)
    named = [(life, view.instance) for life, view in zip(lives, met, strict=True) if life.key(keys) != NO_KEY]
    refusals = [(life.refusal(instance), instance) for life, instance in named]
    taken = any(why is None for why, _ in refusals)
    return next((why for why, instance in refusals if why is not None and (instance is not None or not taken)), None)


def _stopped(program: Program, event: EventFact) -> TimerStopped:
    return TimerStopped(
        "the timer does not wait any more",
        where=program.type_of(event.code).name,
        found=f"serial {event.fields.serial}",
        cure="Nothing is to be done: what moved the instance has stopped the timer.",
    )
