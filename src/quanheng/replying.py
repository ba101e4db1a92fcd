"""Answers to requests: what a client is told of its event, and what is kept of it for those who send it again."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec

from quanheng.events.intake import Refusal
from quanheng.facts import DECIDED, FAILED, RECORDED, REFUSED, Moved
from quanheng.path import Taken


class Reply(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """The answer to one request.

    status : decided | recorded | repeated | rejected | conflict | failed (decided by the fall-back outcome) | refused
        (the ledger refused what was asked for)
    offset : log offset of the event; -1 = none
    decision : log offset of the decision, which is its id; -1 = none
    transfers : what the ledger was asked for, and what became of it
    """

    id: str
    status: str
    offset: int = -1
    decision: int = -1
    outcome: str = ""
    reasons: Sequence[str] = ()
    error: str = ""
    transfers: Sequence[Moved] = ()


class Recent(msgspec.Struct, frozen=True, gc=False):
    """The answer to a recent event, kept in memory for clients that send it again.

    reasons : a tuple, of which the garbage collector lets go; 100,000 lists it would walk again and again
    """

    code: int
    payload: bytes
    decided: bool
    outcome: str = ""
    reasons: tuple[str, ...] = ()
    transfers: tuple[Moved, ...] = ()


_exact_json = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal).decode


def differences(sent: bytes, recorded: bytes, same_type: bool) -> list[str]:
    """Names of what a repeated request says otherwise than the recorded one."""
    differs = [] if same_type else ["type"]
    if sent == recorded:
        return differs
    old = _exact_json(recorded)
    try:
        new = _exact_json(sent)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):  # It was not read by a schema.
        return [*differs, "data, which is no JSON object"]
    return differs + sorted(name for name in {*old, *new} if old.get(name) != new.get(name))


def reply_to(item: Taken | Refusal, offset: int, decision_offset: int) -> Reply:
    """The answer to a request that was taken or rejected; the offsets are those of its event and its decision."""
    if isinstance(item, Refusal):
        return Reply(item.request.id, "rejected", error=str(item.error))
    request, decision = item.event.request, item.decision
    if decision is None:
        return Reply(request.id, "recorded", offset)
    body = decision.body
    status = body.status if body.status in (DECIDED, RECORDED, REFUSED) else FAILED
    return Reply(request.id, status, offset, decision_offset, body.outcome, body.reasons, transfers=body.transfers)
