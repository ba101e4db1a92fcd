"""Timers that are due, as events: requests of the platform's own client, first in the group that fires them.

A timer is told once: its serial number is the id of its request, and the step that answers it takes it away in the same
group. So whatever crashes, what is durable was fired, and what is not fires again.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from quanheng.events.intake import Request
from quanheng.events.schema import NO_KEY, NULL
from quanheng.loading.process_events import TIMER_TELLER
from quanheng.machines import Machine, unscaled
from quanheng.processes.book import Book, Instance
from quanheng.processes.timers import Due
from quanheng.program import Program

CLIENT = TIMER_TELLER
"""The client that alone sends events of timers."""
DUE_MAX = 1_000
"""Most timers that fire in one group: what callers wait for goes on between."""


def due_requests(program: Program, book: Book, now_ms: int, most: int = DUE_MAX) -> list[Request]:
    """The timers that are due by the writer's stamp, in order of their due moments, then of their arming.

    One that will be due again before others that are due now ends the group before those: they follow it in the next.
    """
    due_ms = book.timers.next_due_ms
    if due_ms is None or due_ms > now_ms:
        return []
    requests, before_ms, owners = [], now_ms, set[int]()
    for one in book.timers.due(now_ms, most):
        if one.due_ms > before_ms or one.owner in owners:  # One that fires again comes first; and what an instance
            break  # keeps is told as the timer before left it.
        owners.add(one.owner)
        process, row = book.owner_of(one)
        machine = program.machines[process]
        instance = book.tables[process].instance(row)
        requests.append(_request(machine, instance, one, now_ms))
        before_ms = min(before_ms, _again_ms(machine, instance, one, now_ms))
    return requests


def _again_ms(machine: Machine, instance: Instance, due: Due, now_ms: int) -> int:
    """The earliest moment at which a timer that fires may be due once more."""
    state = machine.states[instance.states[due.part]]
    timer = next(one.declared for one in state.timers if one.code == due.timer & 0xFFFF)
    if not timer.every:
        return now_ms
    if timer.wait.until:  # What it is counted from may be set by its own step.
        return due.due_ms
    return min((one.due_ms for one in machine.again(state, due, instance, now_ms)), default=now_ms)


def _request(machine: Machine, instance: Instance, due: Due, now_ms: int) -> Request:
    declared = machine.declared
    state = machine.states[instance.states[due.part]]
    timer = next(one for one in state.timers if one.code == due.timer & 0xFFFF)
    late_ms = now_ms - due.due_ms
    skipped = timer.declared.stale == "skip" and late_ms > timer.declared.stale_after_ms
    data: dict[str, Any] = {
        "time_ms": due.due_ms, declared.per: passed(instance.key), "timer": timer.declared.name,
        "due_ms": due.due_ms, "late_ms": late_ms, "skipped": skipped, "serial": due.serial,
        "state": f"{part}.{state.name}" if (part := declared.parts[due.part].name) else state.name,
    }  # fmt: skip
    kept = (one.name for one in declared.keys)
    data.update({name: passed(key) for name, key in zip(kept, instance.keys, strict=False) if key != NO_KEY})
    numbers: dict[str, int | Decimal | None] = {
        one.name: unscaled(value, one.decimals)
        for one, value in zip(declared.numbers, instance.numbers, strict=False) if value != NULL
    }  # fmt: skip
    data.update(numbers)
    return Request(CLIENT, str(due.serial), declared.timer_event, _encode(data), position=CLIENT)


def passed(key: bytes) -> str:
    """A pseudonym as events of the platform pass it on."""
    return f"#{key.hex()}"


_encode = msgspec.json.Encoder(decimal_format="number").encode
