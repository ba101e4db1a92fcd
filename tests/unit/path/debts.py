"""Debts for the tests of jobs: a pack whose instances owe money, with the jobs that a test declares."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from quanheng import activation, recovery
from quanheng.engine import Engine
from quanheng.events.intake import Request
from quanheng.events.schema import EventDeclaration, FieldDeclaration
from quanheng.loading.declared import Declared
from quanheng.loading.declared_processes import (
    JobDeclaration,
    KeptKey,
    KeptNumber,
    MoveDeclaration,
    PartDeclaration,
    ProcessDeclaration,
    ProcessesDeclaration,
    Start,
    StateDeclaration,
    TimerDeclaration,
)
from quanheng.loading.files import PackFiles, read_pack
from quanheng.loading.find import read_packs
from quanheng.processes.times import Wait

T0 = 1_768_471_200_000
"""2026-01-15T10:00:00Z"""
DAY_MS = 86_400_000

PACK = """
[pack]
name     = "debts"
version  = "0.1.0"
title    = {en = "Debts", zh = "债务"}
requires = ["party"]
outcomes = ["approve", "decline"]

[purpose.lend]
basis  = "contract"
source = "GDPR Art. 6(1)(b)"
title  = {en = "Lend money", zh = "放款"}
"""
FIELD = FieldDeclaration
KEYS = {
    "time_ms": FIELD(kind="time"),
    "debt": FIELD(kind="key", entity="debts.debt"),
    "debtor": FIELD(kind="key", entity="party.customer", optional=True),
}
NUMBERS = {
    "balance": FIELD(kind="decimal", scale=2, optional=True),
    "rate": FIELD(kind="decimal", scale=4, optional=True),
    "due_on_ms": FIELD(kind="integer", optional=True),
}
EVENTS = (
    EventDeclaration(name="debts.opened", time="time_ms", subject="debtor", fields={**KEYS, **NUMBERS}),
    EventDeclaration(name="debts.noted", time="time_ms", subject="debtor", fields={
        **KEYS, "late_days": FIELD(kind="integer", optional=True), "word": FIELD(kind="text", optional=True)}),
    EventDeclaration(name="debts.closed", time="time_ms", subject="debtor", fields=KEYS),
    EventDeclaration(name="debt.timer.fired", client="quanheng.processes", time="time_ms", subject="debtor", fields={
        **KEYS, **NUMBERS, "accrued": FIELD(kind="decimal", scale=2, optional=True),
        "late_days": FIELD(kind="integer", optional=True),
        "timer": FIELD(kind="choice", choices=("reminder", "promise")),
        "due_ms": FIELD(kind="time"), "late_ms": FIELD(kind="integer"), "skipped": FIELD(kind="boolean"),
        "serial": FIELD(kind="integer")}),
)  # fmt: skip
LATE = (TimerDeclaration(name="reminder", wait=Wait(after_ms=3 * DAY_MS)),
        TimerDeclaration(name="promise", wait=Wait(until="due_on_ms")))  # fmt: skip
STATES = (
    StateDeclaration(
        name="open", moves=(MoveDeclaration(event="debts.closed", to="closed"), MoveDeclaration(event="debts.noted"))
    ),
    StateDeclaration(
        name="late",
        timers=LATE,
        moves=(
            MoveDeclaration(event="debts.closed", to="closed"),
            MoveDeclaration(event="debts.noted", set={"late_days": "late_days"}),
            MoveDeclaration(event="debt.timer.fired", timer="reminder", to="open"),
        ),
    ),
    StateDeclaration(name="closed", end=True),
)
PROCESS = ProcessDeclaration(
    name="debt",
    per="debt",
    entity="debts.debt",
    keys=(KeptKey("debtor", "party.customer"),),
    numbers=(
        KeptNumber("balance", 2), KeptNumber("rate", 4), KeptNumber("accrued", 2), KeptNumber("late_days"),
        KeptNumber("due_on_ms"),
    ),
    subject="debtor",
    starts=(Start(event="debts.opened", to="open", again=True),),
    parts=(PartDeclaration(name="", states=STATES),),
)  # fmt: skip
NIGHTLY = Wait(days=1, time_of_day_ms=2 * 3_600_000)
ACCRUE = JobDeclaration(
    name="accrue",
    process="debt",
    wait=NIGHTLY,
    states=("open", "late"),
    where="instance.balance > 0",
    set={
        "accrued": "(if instance.accrued = null then 0 else instance.accrued) + instance.balance * instance.rate / 365"
    },
)
ROLL = JobDeclaration(
    name="roll", process="debt", wait=NIGHTLY, states=("open",), where="instance.due_on_ms < due_ms", to="late",
    set={"late_days": "floor((due_ms - instance.due_on_ms) / 86400000)"},
)  # fmt: skip
NOTE = JobDeclaration(
    name="note", process="debt", wait=NIGHTLY, where="instance.balance > 500", event="debts.noted",
    fields={"late_days": "instance.late_days", "word": "instance.state"},
)  # fmt: skip


@contextmanager
def declared(*jobs: JobDeclaration, process: ProcessDeclaration = PROCESS) -> Iterator[None]:
    """While it lasts, the pack declares these jobs."""
    read = activation.load_packs

    def load(names: Any, available: Any, in_force: Any = ()) -> Mapping[str, Declared]:
        found = dict(read(names, available, in_force))
        if "debts" in found:
            processes = ProcessesDeclaration(processes=(process,), jobs=jobs)
            found["debts"] = msgspec.structs.replace(found["debts"], events=EVENTS, processes=processes)
        return found

    was = activation.load_packs, recovery.load_packs, dict(recovery._programs)
    recovery._programs.clear()
    activation.load_packs = recovery.load_packs = load
    try:
        yield
    finally:
        activation.load_packs, recovery.load_packs = was[:2]
        recovery._programs.clear()


def debts(word: str = "") -> list[PackFiles]:
    """The pack and what it requires; `word` makes it another content, so that it is put in force again."""
    files = {"pack.toml": PACK, "README.md": f"# debts\n{word}\n", "events.toml": _EVENTS_TOML}
    return [read_packs()["party"], read_pack({name: text.encode() for name, text in files.items()}, "debts")]


_EVENTS_TOML = """
[entity.debt]
title = {en = "Debt", zh = "债务"}
personal = false

[event."debts.opened"]
title   = {en = "Opened", zh = "开立"}
subject = "debtor"
[event."debts.opened".fields]
time_ms = {type = "time"}
debt    = {type = "key", entity = "debts.debt"}
debtor  = {type = "key", entity = "party.customer"}
"""


class Clock:
    """A clock that is moved by hand."""

    def __init__(self, now_ms: int = T0) -> None:
        self.now_ms = now_ms

    def __call__(self) -> int:
        return self.now_ms


def opened(folder: Path, clock: Callable[[], int], **more: Any) -> Engine:
    """The engine of the pack in `folder`, opened or opened again."""
    engine = Engine.open(folder / "data", clock=clock, **more)
    if engine.state.program.activation < 0:
        engine.activate(debts())
    return engine


def opens(number: int, balance: str, rate: str = "0.05", *, at: int = T0, due_on_ms: int | None = None) -> Request:
    """A debt begins."""
    data: dict[str, Any] = {"time_ms": at, "debt": f"d{number}", "debtor": f"c{number}"}
    data |= {"balance": float(balance), "rate": float(rate)}
    if due_on_ms is not None:
        data["due_on_ms"] = due_on_ms
    return Request("bank", f"open {number}", "debts.opened", json.dumps(data).encode())


def closes(number: int, *, at: int = T0, id: str = "") -> Request:
    """A debt ends."""
    data = {"time_ms": at, "debt": f"d{number}", "debtor": f"c{number}"}
    return Request("bank", id or f"close {number}", "debts.closed", json.dumps(data).encode())


def some(rng: random.Random, count: int) -> list[Request]:
    """Debts of many kinds."""
    return [
        opens(
            number, f"{rng.choice((0, 1, 999.99, 12345.67, 730, 1e9)):.2f}", f"{rng.choice((0, 0.05, 0.1999, 1)):.4f}",
            due_on_ms=rng.choice((None, T0 - 3 * DAY_MS, T0 + 12 * 3_600_000, T0 + 10 * DAY_MS)),
        )
        for number in range(count)
    ]  # fmt: skip
