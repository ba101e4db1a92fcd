"""States, moves and timers of processes.toml as they are written; what they name is looked up later."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import cast

import msgspec

from quanheng.kernel.calendars import Calendar
from quanheng.loading.checks.waits import read_wait
from quanheng.loading.declared_processes import (
    Act,
    ActKind,
    MoveDeclaration,
    PartDeclaration,
    Stale,
    StateDeclaration,
    TimerDeclaration,
)
from quanheng.loading.notes import Words
from quanheng.loading.table import DOTTED_NAME, NAME, Table

STATES_MAX, TIMERS_MAX, PARTS_MAX, TIMES_MAX = 200, 7, 4, 32_767
STALE = ("fire", "skip", "once")
ACT_WORDS = '"transfer:NAME" of a posting of accounts.toml, "call:NAME" or "notify:NAME" of calls.toml'
IN_MOVES = ("where", "to", "set", "do", "refused")
"""Settings of a move, which a timer may have itself where it has one."""

_ACT = re.compile(rf"(?P<kind>transfer|call|notify):(?P<name>{NAME.pattern})")


class MoveDraft(msgspec.Struct, frozen=True):
    """A move as written, with its table for problems. `part`, `state`: where it stands."""

    table: Table
    part: str
    state: str
    move: MoveDeclaration


class StateDraft(msgspec.Struct, frozen=True):
    """A state as written, with its table and those of its timers."""

    table: Table
    part: str
    state: StateDeclaration
    moves: tuple[MoveDraft, ...] = ()
    timers: tuple[tuple[Table, TimerDeclaration], ...] = ()


class PartDraft(msgspec.Struct, frozen=True):
    """A part as written; that of a process without parts has the process' table."""

    table: Table
    part: PartDeclaration
    states: tuple[StateDraft, ...]


class Around(msgspec.Struct, frozen=True):
    """What states may name. timer_event : that of their process; numbers : kept number → decimals"""

    timer_event: str
    numbers: Mapping[str, int]
    calendars: Mapping[str, Calendar]


def read_parts(table: Table, around: Around) -> tuple[PartDraft, ...]:
    """The parts of a process, or the one that its states are."""
    if not table.has("part"):
        return (_part(table, "", "", around),)
    if table.has("state"):
        table.any("state")
        cure = "Put them into a part of their own, [process.NAME.part.NAME.state.NAME]."
        table.problem("state", "a process has parts, or states without parts", found=Words("`part` and `state`"),
                      cure=cure)  # fmt: skip
    parts = []
    for name, inner in table.named("part", NAME, of="state"):
        begins = inner.text("begins", required=False, pattern=NAME, wanted="a state of this part")
        parts.append(_part(inner, name, begins, around))
        inner.done()
    if len(parts) > PARTS_MAX:
        table.problem("part", "the process has too many parts", found=len(parts), known=f"at most {PARTS_MAX}")
    return tuple(parts)


def read_acts(table: Table, name: str) -> tuple[Act, ...]:
    """A list of acts, `["transfer:hold", "notify:payer"]`."""
    found = []
    for text in table.texts(name, required=False):
        match = _ACT.fullmatch(text)
        if match is None:
            table.problem(name, "the act cannot be read", found=text, known=ACT_WORDS)
            table.notes.doubt("act")
        else:
            found.append(Act(cast(ActKind, match["kind"]), match["name"]))
    return tuple(found)


def _part(table: Table, name: str, begins: str, around: Around) -> PartDraft:
    states = tuple(_state(one, inner, name, around) for one, inner in table.named("state", NAME, of="state"))
    if not states and isinstance(table.values.get("state", {}), dict):
        known = f"[{table.key}.state.NAME]"
        table.problem("state", "there is no state", known=known, of="state")
    if len(states) > STATES_MAX:
        table.problem("state", "there are too many states", found=len(states), known=f"at most {STATES_MAX}")
    declared = PartDeclaration(name=name, begins=begins, states=tuple(one.state for one in states))
    return PartDraft(table, declared, states)


def _state(name: str, table: Table, part: str, around: Around) -> StateDraft:
    title = table.title(required=False)
    end = table.boolean("end")
    entry, exit = read_acts(table, "entry"), read_acts(table, "exit")
    moves = [MoveDraft(one, part, name, _move_on(one, around)) for one in table.tables("on")]
    timers = []
    for timer_name, inner in table.named("timer", NAME, of="timer"):
        timer, own = _timer(timer_name, inner, around)
        timers.append((inner, timer))
        moves += [MoveDraft(one, part, name, move) for one, move in own]
    if len(timers) > TIMERS_MAX:
        table.problem("timer", "the state has too many timers", found=len(timers), known=f"at most {TIMERS_MAX}")
    table.done()
    for key in ("exit", "on", "timer"):
        if end and table.has(key):
            cure = f"Remove `{key}`, or `end`."
            table.problem(key, "nothing happens any more in a state that is an end", found=Words(f"`{key}`"), cure=cure)
    declared = StateDeclaration(
        name=name, end=end, entry=entry, exit=exit, moves=tuple(one.move for one in moves),
        timers=tuple(timer for _, timer in timers), en=title.en, zh=title.zh,
    )  # fmt: skip
    return StateDraft(table, part, declared, tuple(moves), tuple(timers))


def _move_on(table: Table, around: Around) -> MoveDeclaration:
    """One `[[…on]]`: of an event, or made by itself where it names none."""
    event = table.text("event", required=False, pattern=DOTTED_NAME, wanted="the name of an event")
    move = _move(table, around, event)
    table.done()
    if event == around.timer_event:
        cure = "Write it under the timer, [….timer.NAME]."
        table.problem("event", "the firing of an own timer is no other event", found=event, cure=cure)
    elif not table.has("event"):
        _check_by_itself(table, move)
    return move


def _check_by_itself(table: Table, move: MoveDeclaration) -> None:
    """A move without an event is made as soon as its condition is true: it has one, and leads away."""
    if not table.has("where"):
        known = "`event`, or `where` of a move that is made by itself"
        table.problem("event", "the move says neither on which event nor where it is made; the key is missing",
                      known=known)  # fmt: skip
    elif not table.has("to"):
        message = "a move that is made by itself would be made again and again where it stays; the key is missing"
        table.problem("to", message, known="another state")


def _move(table: Table, around: Around, event: str, timer: str = "") -> MoveDeclaration:
    return MoveDeclaration(
        event=event,
        timer=timer,
        where=table.text("where", required=False, wanted="a FEEL condition"),
        to=table.text("to", required=False, pattern=NAME, wanted="a state of this part"),
        set=read_set(table, around.numbers),
        do=read_acts(table, "do"),
        refused=table.text("refused", required=False, pattern=NAME, wanted="a state of this part"),
    )


def read_set(table: Table, numbers: Mapping[str, int] | None) -> dict[str, str]:
    """`set = {reminders = "instance.reminders + 1"}`: kept numbers with the FEEL that gives them. None = nobody knows
    which there are."""
    inner = table.table("set", required=False)
    for name in inner.values:
        if numbers is not None and name not in numbers:
            inner.problem(name, "the process keeps no such number", found=name, known=list(numbers), of="kept",
                          cure="" if numbers else f"Keep it: keep = {{{name} = 0}}.")  # fmt: skip
    return {name: inner.text(name, wanted="a FEEL number") for name in inner.values}


def _timer(name: str, table: Table, around: Around) -> tuple[TimerDeclaration, list[tuple[Table, MoveDeclaration]]]:
    title = table.title(required=False)
    wait = read_wait(table, around.calendars, around.numbers)
    stale, stale_after_ms = read_stale(table, "fire")
    every = bool(table.values.get("every"))
    times_max = table.integer("times_max", required=False, least=1, most=TIMES_MAX)
    moves = list(_own_moves(table, name, around))
    table.done()
    for key, given in (("times_max", table.has("times_max")), ("stale", stale == "once")):
        if given and not every:
            cure = f"Write every = true, or remove `{key}`."
            table.problem(key, "the timer fires once", found=table.values[key], cure=cure)
    timer = TimerDeclaration(
        name=name, wait=wait, every=every, times_max=times_max, stale=stale, stale_after_ms=stale_after_ms,
        en=title.en, zh=title.zh,
    )  # fmt: skip
    return timer, moves


def read_stale(table: Table, default: Stale) -> tuple[Stale, int]:
    """What becomes of a timer or a job that is found due late, and how late that is."""
    stale: Stale = table.choice("stale", STALE, default=default, required=False)
    stale_after_ms = table.duration_ms("stale_after") or 0
    if stale == "fire" and table.has("stale_after"):
        cure = 'Remove `stale_after`, or say what becomes of it: stale = "skip".'
        table.problem("stale_after", "it fires however late it is found", found=table.values["stale_after"], cure=cure)
    if stale == "skip" and not table.has("stale_after"):
        table.problem("stale_after", "it is not said how late is too late; the key is missing",
                      known='a duration such as "7d", "36h", "30s"')  # fmt: skip
    return stale, stale_after_ms


def _own_moves(table: Table, name: str, around: Around) -> Iterator[tuple[Table, MoveDeclaration]]:
    """What a timer leads to: the one move that its own table says, or those of `[[…on]]`."""
    written = [key for key in IN_MOVES if table.has(key)]
    if written and table.has("on"):
        table.any("on")
        cure = "Write all of them as [[….on]]."
        table.problem("on", "the timer says a move itself and lists others", found=Words(f"`{written[0]}` and `on`"),
                      cure=cure)  # fmt: skip
    if table.has("on"):
        for key in written:
            table.any(key)
        for inner in table.tables("on"):
            yield inner, _move(inner, around, around.timer_event, name)
            inner.done()
        return
    move = _move(table, around, around.timer_event, name)
    if written:
        yield table, move
