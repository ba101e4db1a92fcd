"""A plain twin of jobs: one instance after another, FEEL read by its judge, amounts as decimals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any, NamedTuple

from quanheng.events.schema import NULL
from quanheng.feel.judge import evaluate
from quanheng.feel.types import ANY
from quanheng.kernel.calendars import Calendar
from quanheng.loading.declared_processes import JobDeclaration, StateDeclaration
from quanheng.machines import Machine
from quanheng.processes.book import Instance
from quanheng.processes.times import due

_WIDE = Context(prec=80)
KEPT_MAX = 2**62


class Kept(NamedTuple):
    """An instance, and when each timer of its states is due."""

    instance: Instance
    due_ms: Mapping[tuple[int, str], int]


class Done(NamedTuple):
    """What a run has done: every instance behind it, which were taken, and rejects by (word, name)."""

    kept: list[Kept]
    taken: list[int]
    rejected: Counter[tuple[str, str]]


def run(job: JobDeclaration, machine: Machine, every: Iterable[Kept], due_ms: int, now_ms: int) -> Done:
    """One run over instances in the order they began.

    Parameters
    ----------
    due_ms, now_ms : when it was due, and the stamp at which it is carried out
    """
    done = Done([], [], Counter())
    for row, one in enumerate(every):
        if not fits(job, machine, one.instance, due_ms):
            done.kept.append(one)
            continue
        made = _set(job, machine, one.instance, due_ms)
        if isinstance(made, tuple):
            done.rejected[made] += 1
            done.kept.append(one)
            continue
        done.taken.append(row)
        done.kept.append(_moved(job, machine, one, made, now_ms))
    return done


def fits(job: JobDeclaration, machine: Machine, instance: Instance, due_ms: int) -> bool:
    """Whether a job takes an instance, as far as states and condition go."""
    names = list(machine.names(instance).values())
    parts = [part.name for part in machine.declared.parts]
    if job.states:
        where = {*names, *(f"{part}.{name}" for part, name in zip(parts, names, strict=True))}
        if where.isdisjoint(job.states):
            return False
    elif machine.is_over(instance):
        return False
    return not job.where or _ask(job.where, machine, instance, due_ms) is True


def _ask(text: str, machine: Machine, instance: Instance, due_ms: int) -> Any:
    given = {"instance": machine.context(instance), "due_ms": due_ms}
    return evaluate(text, dict.fromkeys(given, ANY), given, strict=False).value


def _set(job: JobDeclaration, machine: Machine, instance: Instance, due_ms: int) -> list[int] | tuple[str, str]:
    """The numbers it keeps from here on; or why not."""
    missing = len(machine.declared.numbers) - len(instance.numbers)
    numbers = [*instance.numbers, *[NULL] * missing]
    for name, text in job.set.items():
        value = _ask(text, machine, instance, due_ms)
        if value.__class__ not in (int, Decimal):
            return "set_is_null", name
        place = [one.name for one in machine.declared.numbers].index(name)
        scaled = Decimal(value).scaleb(machine.decimals[place], _WIDE)
        whole = int(scaled.to_integral_value(ROUND_HALF_EVEN, _WIDE))
        if abs(whole) >= KEPT_MAX:
            return "set_does_not_fit", name
        numbers[place] = whole
    return numbers


def _moved(job: JobDeclaration, machine: Machine, one: Kept, numbers: list[int], now_ms: int) -> Kept:
    instance, waiting = one.instance._replace(numbers=tuple(numbers)), dict(one.due_ms)
    if job.set or job.to:
        instance = instance._replace(seq=instance.seq + 1)
    if not job.to:
        return Kept(instance, waiting)
    part = next((at for at, two in enumerate(machine.declared.parts) if _has(two.states, job.states)), 0)
    state = machine.state(part, job.to)
    waiting = {key: due_ms for key, due_ms in waiting.items() if key[0] != part}
    for timer in state.timers:
        until = timer.declared.wait.until
        given = dict(zip((two.name for two in machine.declared.numbers), numbers, strict=True)).get(until)
        found = due(timer.declared.wait, now_ms, None if given in (None, NULL) else given, _calendars(machine))
        if found is not None:
            waiting[part, timer.declared.name] = found.due_ms
    states, entered = [*instance.states], [*instance.entered_ms]
    states[part], entered[part] = state.code, now_ms
    return Kept(instance._replace(states=tuple(states), entered_ms=tuple(entered)), waiting)


def _has(states: Iterable[StateDeclaration], named: Iterable[str]) -> bool:
    names = {one.rpartition(".")[2] for one in named}
    return any(state.name in names for state in states)


def _calendars(machine: Machine) -> Mapping[str, Calendar]:
    return machine.calendars
