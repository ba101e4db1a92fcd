"""Changes of lists and verdicts on them, for people and programs: what commands and the server answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from quanheng.decisions.lists import KEY_BYTES, NEVER, ListEvent, ListVerdict, Part
from quanheng.kernel.time import format_time


def changed_told(one: ListEvent, keys_bytes: int, waits: bool) -> dict[str, Any]:
    """A change, or a part of one, that was recorded, for people and programs."""
    told = {"list": one.list, "change": one.change, "offset": one.first, "entries": keys_bytes // KEY_BYTES}
    return {**told, "waiting": waits}


def judged_told(waited: Sequence[Part], verdict: ListVerdict) -> dict[str, Any]:
    """A verdict that was recorded, for people and programs."""
    return {**waiting_told(waited), "approved": verdict.approved, "by": verdict.actor}


def waiting_told(parts: Sequence[Part]) -> dict[str, Any]:
    """A change that waits, for people and programs."""
    event = parts[0].event
    return {
        "offset": event.first,
        "list": event.list,
        "change": event.change,
        "entries": sum(len(part.event.keys) for part in parts) // KEY_BYTES,
        "complete": not parts[-1].event.more,
        "actor": event.actor,
        "reason": event.reason,
        "until": "" if event.until_ms == NEVER else format_time(event.until_ms),
    }
