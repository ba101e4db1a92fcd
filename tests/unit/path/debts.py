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
from quanheng.loading.declared import Declared
from quanheng.loading.declared_processes import JobDeclaration
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
"""
_KEYS = """
time_ms   = {type = "time"}
debt      = {type = "key", entity = "debts.debt"}
debtor    = {type = "key", entity = "party.customer"}
"""
EVENTS = f"""
[entity.debt]
title    = {{en = "Debt", zh = "债务"}}
personal = false

[event."debts.opened"]
title   = {{en = "Opened", zh = "开立"}}
subject = "debtor"
[event."debts.opened".fields]{_KEYS}
balance   = {{type = "decimal", scale = 2}}
rate      = {{type = "decimal", scale = 4}}
due_on_ms = {{type = "integer", optional = true}}

[event."debts.noted"]
title   = {{en = "Noted", zh = "登记"}}
subject = "debtor"
[event."debts.noted".fields]{_KEYS}
late_days = {{type = "integer", optional = true}}
word      = {{type = "text", optional = true}}

[event."debts.closed"]
title   = {{en = "Closed", zh = "结清"}}
subject = "debtor"
[event."debts.closed".fields]{_KEYS}
"""
PROCESSES = """
[process.debt]
title   = {en = "A debt", zh = "一笔债务"}
per     = "debt"
keys    = ["debtor"]
keep    = {balance = 2, rate = 4, accrued = 2, late_days = 0, due_on_ms = 0}
subject = "debtor"

[[process.debt.start]]
event = "debts.opened"
to    = "open"

[process.debt.state.open]
[[process.debt.state.open.on]]
event = "debts.closed"
to    = "closed"
[[process.debt.state.open.on]]
event = "debts.noted"

[process.debt.state.late]
[[process.debt.state.late.on]]
event = "debts.closed"
to    = "closed"
[[process.debt.state.late.on]]
event = "debts.noted"
set   = {late_days = "if late_days = null then 0 else late_days"}
[process.debt.state.late.timer.reminder]
after = "3d"
to    = "open"
[process.debt.state.late.timer.promise]
until = "due_on_ms"
set   = {late_days = "instance.late_days"}

[process.debt.state.closed]
end = true
"""
NIGHTLY = Wait(days=1, time_of_day_ms=2 * 3_600_000)
JOBS = """
[job.accrue]
title   = {en = "Interest of a day", zh = "每日计息"}
at      = "02:00"
process = "debt"
where   = "instance.balance > 0"
set     = {accrued = "instance.accrued + instance.balance * instance.rate / 365"}

[job.roll]
title   = {en = "Debts that are late", zh = "逾期"}
at      = "02:00"
process = "debt"
states  = ["open"]
where   = "instance.due_on_ms < due_ms"
set     = {late_days = "floor((due_ms - instance.due_on_ms) / 86400000)"}
to      = "late"

[job.note]
title   = {en = "Statements", zh = "对账单"}
at      = "02:00"
process = "debt"
where   = "instance.balance > 500"
event   = "debts.noted"
fields  = {late_days = "instance.late_days", word = "instance.state"}
"""


@contextmanager
def declared(*jobs: JobDeclaration) -> Iterator[None]:
    """While it lasts, the pack declares these jobs, whatever its file says: also such as a check would refuse."""
    read = activation.load_packs

    def load(names: Any, available: Any, in_force: Any = ()) -> Mapping[str, Declared]:
        found = dict(read(names, available, in_force))
        if "debts" in found:
            processes = msgspec.structs.replace(found["debts"].processes, jobs=jobs)
            found["debts"] = msgspec.structs.replace(found["debts"], processes=processes)
        return found

    was = activation.load_packs, recovery.load_packs
    recovery._programs.clear()
    activation.load_packs = recovery.load_packs = load
    try:
        yield
    finally:
        activation.load_packs, recovery.load_packs = was
        recovery._programs.clear()


def debts(jobs: str = JOBS, process: str = PROCESSES) -> list[PackFiles]:
    """The pack and what it requires, with jobs as its file says them."""
    files = {"pack.toml": PACK, "README.md": "# debts\n", "events.toml": EVENTS, "processes.toml": process + jobs}
    return [read_packs()["party"], read_pack({name: text.encode() for name, text in files.items()}, "debts")]


class Clock:
    """A clock that is moved by hand."""

    def __init__(self, now_ms: int = T0) -> None:
        self.now_ms = now_ms

    def __call__(self) -> int:
        return self.now_ms


def opened(folder: Path, clock: Callable[[], int], jobs: str = JOBS, **more: Any) -> Engine:
    """The engine of the pack in `folder`, opened or opened again."""
    engine = Engine.open(folder / "data", clock=clock, **more)
    if engine.state.program.activation < 0:
        engine.activate(debts(jobs))
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
