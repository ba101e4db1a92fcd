"""What must have been told of a log's transfers, read off the log one record after another: the law of `telling`.

A transfer (a LINE fact) is told if an active pack used `ledger.posted` when it was recorded and still does, and if no
decision on a `ledger.posted` had caused it; once, in the order of the log, and none before those ahead of it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from quanheng.kernel.log.log import Log
from quanheng.kernel.log.records import DECISION, EVENT, NO_CAUSE, TRANSFER, Record, decode, positions
from quanheng.ledger.wire import FactKind
from quanheng.state import PACKS_ACTIVATED, Activated

_HOLD, _IMPORTED, _UNTIL, _EVENT = 2, 128, 512, "ledger.posted"
_WORDS = ((2, "hold"), (4, "post"), (8, "void"), (16, "reversal"))


def told_by(log: Log, name_of: Callable[[int], str], data_of: Callable[[int], bytes]) -> list[dict[str, Any]]:
    """The events that the log holds.

    Parameters
    ----------
    name_of : type code → name of an event; data_of : offset → data of an event
    """
    found = [at for at, record in _records(log) if record.kind == EVENT and name_of(record.type) == _EVENT]
    return [json.loads(data_of(at)) for at in found]


def periods(log: Log, uses: Callable[[Activated], bool]) -> list[list[dict[str, Any]]]:
    """For each period in which the event was used, in order: the data of the events of all transfers in it.

    Of a period that has ended a beginning was told, of the last all that there is to tell is told sooner or later.

    Parameters
    ----------
    uses : whether packs of an activation decide or fold the event
    """
    accounts: dict[int, dict[str, Any]] = {}
    decided: dict[int, str] = {}
    names: dict[int, str] = {}
    using, row = False, 0
    found: list[list[dict[str, Any]]] = []
    for at, record in _records(log):
        if record.kind == EVENT and record.type == PACKS_ACTIVATED:
            activated = msgspec.json.decode(record.payload, type=Activated)
            names = {code: name for name, code in activated.codes.items()}
            if uses(activated) and not using:
                found.append([])
            using = uses(activated)
        elif record.kind == DECISION:
            decided[at] = names[record.type]
        elif record.kind == TRANSFER:
            if record.type == FactKind.OPENED:
                accounts[_number(record.request)] = _account(record)
            again = record.cause != NO_CAUSE and decided.get(record.cause) == _EVENT
            if record.type == FactKind.LINE and using and not again:
                found[-1].append(_data(record, accounts, at, row))
            row += 1
    return found


def unlawful(told: list[dict[str, Any]], of: list[list[dict[str, Any]]]) -> str:
    """What is wrong with what was told by now: not once each, not in order, with a gap, or another text; empty if
    nothing is."""
    place = 0
    for period in of:
        for data in period:
            if place < len(told) and told[place]["offset"] == data["offset"]:
                if told[place] != data:
                    return f"{told[place]} was told of {data}"
                place += 1
            else:
                break
    return "" if place == len(told) else f"{told[place]} was told as number {place}"


def _records(log: Log) -> Iterator[tuple[int, Record]]:
    for batch in log.read():
        for place, start in enumerate(positions(batch.body).tolist()):
            yield batch.first + place, decode(batch.body, start)


def _number(key: bytes) -> int:
    return int.from_bytes(key, "little")


def _account(record: Record) -> dict[str, Any]:
    owner, assets, marks = _number(record.keys[0]), record.numbers[0], record.numbers[7]
    return {
        "owner": owner,
        "asset": assets & 0xFFFFFFFF,
        "entity": assets >> 32 & 0xFFFFFFFF,
        "code": marks >> 16 & 0xFFFF,
    }


def _data(record: Record, accounts: dict[int, dict[str, Any]], at: int, row: int) -> dict[str, Any]:
    debit, credit, reference = (_number(key) for key in record.keys[:3])
    _, amount, time_ms, marks = record.numbers
    flags, applied_ms = marks & 0xFFFF, record.received_ms
    payer, payee = accounts[debit], accounts[credit]
    data: dict[str, Any] = {
        "transfer": f"{_number(record.request):032x}",
        "debit": f"{debit:032x}",
        "credit": f"{credit:032x}",
        "kind": next((word for flag, word in _WORDS if flags & flag), "move"),
        "amount_minor": min(amount, 2**62),
        "asset": payer["asset"],
        "code": marks >> 16 & 0xFFFF,
        "debit_code": payer["code"],
        "credit_code": payee["code"],
        "debit_entity": payer["entity"],
        "credit_entity": payee["entity"],
        "day": marks >> 32,
        "time_ms": time_ms if flags & _IMPORTED else applied_ms,
        "applied_ms": applied_ms,
        "offset": at,
        "row": row,
    }
    if reference:
        data["reference"] = f"{reference:032x}"
    ends_ms = time_ms if flags & _UNTIL else applied_ms + time_ms
    if flags & _HOLD and time_ms and ends_ms <= 253_402_300_799_999:
        data["expires_ms"] = ends_ms
    for name, side in (("debit_owner", payer), ("credit_owner", payee)):
        if side["owner"]:
            data[name] = f"{side['owner']:032x}"
    return data
