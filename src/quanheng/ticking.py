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
from quanheng.machines import Machine, State, unscaled
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
    requests, until_ms = [], now_ms
    for one in book.timers.due(now_ms, most):
        if one.due_ms > until_ms:
            break
        process, row = book.owner_of(one)
        machine, instance = program.machines[process], book.tables[process].instance(row)
        state = machine.states[instance.states[one.part]]
        requests.append(_request(machine, instance, state, one, now_ms))
        until_ms = min([until_ms, *(again.due_ms for again in machine.again(state, one, instance, now_ms))])
    return requests


def _request(machine: Machine, instance: Instance, state: State, due: Due, now_ms: int) -> Request:
    declared = machine.declared
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
