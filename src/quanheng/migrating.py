"""Life cycles that change while instances live: what a later declaration may not change, and where it leads instances.

An instance goes on in its state where the new declaration has that. Where it does not, `migrate` says the state it is
led to; the steps of that stand behind the activation in the log, in the same append. Nothing is asked for and nothing
is sent: no act of the state that is left or entered is done.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from quanheng.kernel.errors import Problem
from quanheng.loading.declared_processes import ProcessDeclaration
from quanheng.machines import Machine, State
from quanheng.processes.book import Book, Instance, Table
from quanheng.processes.records import Arming, Step, StepKind
from quanheng.processes.timers import Armed
from quanheng.program import Program

FILE = "processes.toml"
CODE_BITS = 0xFFFF
"""A timer is armed under its code, with how often it was armed above that."""


def process_changes(was: Program, now: Program, book: Book) -> list[Problem]:
    """What hinders a program from coming into force where instances live.

    Parameters
    ----------
    was, now : in force, and proposed
    """
    problems: list[Problem] = []
    for code, old in was.machines.items():
        table = book.tables.get(code)
        if table is None or not len(table):
            continue
        live = _live(old, table)
        new = now.machines.get(code)
        if new is None:
            problems += _removed(old, int(live.sum()))
            continue
        problems += _kept_otherwise(old, new, len(table), int(live.sum()))
        if _parts(old.declared) != _parts(new.declared):
            problems += _other_parts(old, new, int(live.sum()))
        else:
            problems += _lost_states(old, new, table, live)
    return problems


def steps_between(was: Program, now: Program, book: Book, received_ms: int) -> Iterator[Step]:
    """The steps that lead instances from one program to the next: out of states that are no more, and those that take
    away timers that are no more. `process_changes` found nothing."""
    for code, old in was.machines.items():
        table, new = book.tables.get(code), now.machines.get(code)
        if table is None or new is None or old.declared == new.declared:
            continue
        for row in _rows_to_look_at(old, new, table).tolist():
            instance = table.instance(row)
            armed = book.timers.of(book.owner(code, instance.key))
            for part, state in enumerate(instance.states):
                own = [one for one in armed if one.part == part]
                yield from _of_part(old, new, instance, part, state, own, received_ms)


def _of_part(
    old: Machine, new: Machine, instance: Instance, part: int, code: int, armed: Sequence[Armed], received_ms: int
) -> Iterator[Step]:
    kept = new.states.get(code)
    if kept is None:
        to = new.state(part, _target(old, new, code).rpartition(".")[2])
        armings = _armings(old, new, to, instance, armed, received_ms)
        yield Step(new.code, instance.key, StepKind.MOVE, part, code, to.code, armed=armings)
        return
    known = {one.code for one in kept.timers}
    for one in armed:
        if one.timer & CODE_BITS not in known:
            yield Step(new.code, instance.key, StepKind.STAY, part, fired=one.timer & CODE_BITS)


def _armings(
    old: Machine, new: Machine, to: State, instance: Instance, armed: Sequence[Armed], received_ms: int
) -> tuple[Arming, ...]:
    """Timers of the state that is entered: one of the same name keeps its due moment, the others begin."""
    names = {timer.code: timer.declared.name for state in old.states.values() for timer in state.timers}
    waiting = {names.get(one.timer & CODE_BITS, ""): one for one in armed}
    wide = new.widened(instance) or instance
    begun = {one.timer & CODE_BITS: one for one in new.armings(to, wide.numbers, received_ms)}
    found = []
    for timer in to.timers:
        was = waiting.get(timer.declared.name)
        if was is not None:
            found.append(Arming(timer.code | was.timer & ~CODE_BITS, was.due_ms))
        elif timer.code in begun:
            found.append(begun[timer.code])
    return tuple(found)


def _live(machine: Machine, table: Table) -> NDArray[np.bool_]:
    """Which instances are not over: a part of them is in a state that the declaration has and that is no end."""
    going = [code for code, state in machine.states.items() if not state.end]
    live = np.isin(table.states[: len(table), : table.parts], going)
    return np.asarray(live.any(axis=1), bool)


def _rows_to_look_at(old: Machine, new: Machine, table: Table) -> NDArray[np.intp]:
    """Live instances in a state that is no more, or that has lost a timer."""
    lost = [code for code, state in old.states.items() if code not in new.states or _lost_timer(state, new)]
    states = table.states[: len(table), : table.parts]
    return np.flatnonzero(_live(old, table) & np.isin(states, lost).any(axis=1))


def _lost_timer(state: State, new: Machine) -> bool:
    return not {one.code for one in state.timers} <= {one.code for one in new.states[state.code].timers}


def _parts(declared: ProcessDeclaration) -> list[str]:
    return [one.name for one in declared.parts]


def _path(machine: Machine, code: int) -> str:
    """A state as `migrate` names it."""
    state = machine.states[code]
    part = machine.declared.parts[state.part].name
    return f"{part}.{state.name}" if part else state.name


def _target(old: Machine, new: Machine, code: int) -> str:
    return new.declared.migrate.get(_path(old, code), "")


def _leads(old: Machine, new: Machine, code: int) -> bool:
    """Whether `migrate` leads out of a state, within its part."""
    target, part = _target(old, new, code), old.declared.parts[old.states[code].part].name
    return bool(target) and target.rpartition(".")[0] == part


def _removed(old: Machine, live: int) -> list[Problem]:
    if not live:
        return []
    return [_problem(
        old, "", "instances of the process live, and it is no longer declared", _count(live), "none that lives",
        "Keep it until they are over, with `where = \"false\"` at its starts so that none begins.",
    )]  # fmt: skip


def _other_parts(old: Machine, new: Machine, live: int) -> list[Problem]:
    if not live:
        return []
    was, now = (", ".join(_parts(one.declared)) or "no parts" for one in (old, new))
    return [_problem(
        old, "part", f"instances of the process live ({_count(live)}), so its parts stay as they are", now, was,
        "Declare a process of another name beside it; old instances go on under theirs.",
    )]  # fmt: skip


def _kept_otherwise(old: Machine, new: Machine, rows: int, live: int) -> Iterator[Problem]:
    """What instances keep is found by its place, and an instance by its key."""
    was, now = old.declared, new.declared
    if was.entity != now.entity:
        yield _problem(
            old, "per", f"there are instances of the process ({rows}), which are known by keys of one entity",
            now.entity, was.entity, "Declare a process of another name.",
        )  # fmt: skip
    numbers, others = ([f"{one.name} ({one.decimals})" for one in each.numbers] for each in (was, now))
    if others[: len(numbers)] != numbers:
        yield _problem(
            old, "keep", f"there are instances of the process ({rows}): kept numbers, with their decimals, may only be"
            " appended", ", ".join(others) or "none", f"{', '.join(numbers)}, then new ones",
            "Keep those there are, in order; instances there are have null for new ones.",
        )  # fmt: skip
    if was.keys != now.keys and live:
        keys, other_keys = (", ".join(one.name for one in each.keys) or "none" for each in (was, now))
        yield _problem(
            old, "keys", f"instances of the process live ({_count(live)}), which keep keys from where they began",
            other_keys, keys, "Keep the keys as they are, or declare a process of another name.",
        )  # fmt: skip


def _lost_states(old: Machine, new: Machine, table: Table, live: NDArray[np.bool_]) -> Iterator[Problem]:
    """States that live instances are in, that are no more, and out of which `migrate` leads nowhere."""
    for part in range(table.parts):
        codes, counts = np.unique(table.states[: len(table), part][live], return_counts=True)
        for code, count in zip(codes.tolist(), counts.tolist(), strict=True):
            if code not in old.states or code in new.states or _leads(old, new, code):
                continue
            path = _path(old, code)
            own = [f"{path.rpartition('.')[0]}.{one.name}".lstrip(".") for one in new.declared.parts[part].states]
            yield _problem(
                old, f"migrate.{path}", f"instances live in the state {path!r}, which is no longer declared",
                _count(count), ", ".join(own), f'Say which state they are led to: migrate = {{{_key(path)} = "…"}}.',
            )  # fmt: skip


def _key(path: str) -> str:
    return f'"{path}"' if "." in path else path


def _count(count: int) -> str:
    return f"{count} instance{'s' if count != 1 else ''}"


def _problem(old: Machine, key: str, message: str, found: str, allowed: str, cure: str) -> Problem:
    pack, _, name = old.name.partition(".")
    return Problem(f"{pack}/{FILE}", f"process.{name}{'.' if key else ''}{key}", message, found, allowed, cure)
