"""The outbox for those who keep it: what waits, what is dead and why, and dead letters asked for again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from quanheng.keeping import Retried
from quanheng.kernel.errors import DataErased, InputError, NotFound
from quanheng.kernel.time import format_time
from quanheng.loading.declared_calls import OUTBOX, REASONS
from quanheng.processes.outbox import DeadLetter, Message
from quanheng.reading import Reader
from quanheng.state import MESSAGES_RETRIED
from quanheng.writer import Writer

SHOWN_MAX = 1_000
RETRIED_MAX = 10_000
"""Dead letters that one operation asks for again."""
Held = Callable[[Message], tuple[int, str, str]]
"""Tries of a message in this process, and the newest reason and detail; a sender knows."""


class Resending:
    """Shows the outbox of one log, and asks for dead letters again.

    held : what the sender beside this engine knows; it knows nothing where none runs
    more_metrics : its figures
    """

    def __init__(self, writer: Writer, reader: Reader) -> None:
        self._writer, self._reader = writer, reader
        self.held: Held = lambda message: (0, "", "")
        self.more_metrics: Callable[[], dict[str, Any]] = dict

    def listed(self, limit: int = 100, call: str = "", dead_only: bool = False) -> dict[str, Any]:
        """Counts of every call, the newest dead letters, and the messages that wait longest."""
        state, outbox = self._writer.state, self._writer.state.outbox
        code = self._code(call) if call else -1
        limit = min(limit, SHOWN_MAX)
        waiting = [] if dead_only else outbox.waiting(0, SHOWN_MAX if call else limit)
        return {
            "as_of": self._reader.log.head,
            "waiting": len(outbox),
            "dead": outbox.dead_n,
            "calls": [
                {
                    "name": self._name(one), "asked": counts.asked, "waiting": counts.asked - counts.ended,
                    "dead": counts.dead,
                }
                for one, counts in sorted(outbox.counts.items())
                if code in (-1, one)
            ],
            "messages": [self._message(one, state.received_ms) for one in waiting if code in (-1, one.code)][:limit],
            "letters": [self._letter(one) for one in outbox.letters(limit, code)],
        }  # fmt: skip

    def shown(self, id: str) -> dict[str, Any]:
        """One message in full: what is sent, and what became of it.

        Raises
        ------
        NotFound : it neither waits nor is a dead letter that is kept
        """
        outbox, key = self._writer.state.outbox, _key_of(id)
        waits, letter = outbox.message(key), outbox.letter(key)
        if waits is not None:
            told = self._message(waits, self._writer.state.received_ms)
        elif letter is not None:
            told = {**self._letter(letter), **self._ended(letter)}
        else:
            raise NotFound(
                "no message with this id waits, and none is a dead letter that is kept",
                where="message",
                found=id,
                cure="See which there are: quanheng outbox list.",
            )
        cause = waits.cause if waits is not None else letter.cause  # type: ignore[union-attr]
        return {**told, **self._sent(key, cause), "decision": cause, "as_of": self._reader.log.head}

    def retry(self, ids: Sequence[str], call: str, actor: str, reason: str) -> dict[str, Any]:
        """Ask for dead letters again: those with these ids, or all that are kept of a call. No group may be in flight.

        Raises
        ------
        NotFound : there is no such dead letter, or no such call
        InputError : neither ids nor a call, or too many
        """
        outbox = self._writer.state.outbox
        if bool(ids) == bool(call):
            raise InputError(
                "say which dead letters are asked for again", where="retry", allowed="ids of messages, or one call",
                cure="See which there are: quanheng outbox list --dead.",
            )  # fmt: skip
        keys = [one.id for one in outbox.letters(RETRIED_MAX, self._code(call))] if call else list(map(_key_of, ids))
        unknown = [id for id, key in zip(ids, keys, strict=False) if outbox.letter(key) is None]
        if unknown:
            raise NotFound(
                "there is no such dead letter", where="message", found=", ".join(unknown[:5]),
                cure="See which there are: quanheng outbox list --dead.",
            )  # fmt: skip
        if len(keys) > RETRIED_MAX:
            raise InputError(
                "too many dead letters at once", where="message", found=f"{len(keys)}", allowed=f"at most {RETRIED_MAX}"
            )
        if keys:
            self._writer.record(MESSAGES_RETRIED, Retried(b"".join(keys), actor, reason))
        return {"retried": len(keys), "as_of": self._reader.log.head}

    def metrics(self) -> dict[str, Any]:
        """Figures for a metrics page."""
        outbox, oldest = self._writer.state.outbox, self._writer.state.outbox.waiting(0, 1)
        now_ms = self._writer.stamp()
        return {
            "outbox_waiting": len(outbox),
            "outbox_oldest_ms": max(0, now_ms - oldest[0].received_ms) if oldest else 0,
            "outbox_dead": outbox.dead_n,
            "outbox_unexpected": outbox.unexpected,
            **self.more_metrics(),
        }

    def _message(self, one: Message, now_ms: int) -> dict[str, Any]:
        tries, reason, detail = self.held(one)
        return {
            "id": one.id.hex(), "name": self._name(one.code), "asked": format_time(one.received_ms),
            "age_ms": max(0, now_ms - one.received_ms), "again": one.again, "tries": tries, "reason": reason,
            "detail": detail,
        }  # fmt: skip

    def _letter(self, one: DeadLetter) -> dict[str, Any]:
        return {
            "id": one.id.hex(), "name": self._name(one.code), "asked": format_time(one.asked_ms),
            "ended": format_time(one.ended_ms), "again": one.again,
            "reason": REASONS[one.reason] if 0 <= one.reason < len(REASONS) else "",
        }  # fmt: skip

    def _ended(self, one: DeadLetter) -> dict[str, Any]:
        """What the event says that told of it."""
        key = self._writer.ring.request_key(OUTBOX, one.request_id)
        entry = self._writer.index.lookup([key]).get(key)
        if entry is None:
            return {}
        try:
            data = msgspec.json.decode(self._reader.event(entry.event).body.data, type=dict[str, msgspec.Raw])
        except DataErased:
            data = {}
        return {"event": entry.event, **{name: data[name] for name in ("result", "tries", "detail") if name in data}}

    def _sent(self, key: bytes, cause: int) -> dict[str, Any]:
        """The body, and whom it is about."""
        try:
            decision = self._reader.recorded_decision(cause)
        except DataErased as error:
            return {"body": None, "why": str(error)}
        body = next((one.body for one in decision.body.sent if one.id == key), b"")
        return {"body": msgspec.Raw(body) if body else None}

    def _name(self, code: int) -> str:
        names = {number: name for name, number in self._writer.state.program.codes.items()}
        return names.get(code, str(code)).removeprefix("call ")

    def _code(self, call: str) -> int:
        codes = {
            name.removeprefix("call "): code
            for name, code in self._writer.state.program.codes.items()
            if name.startswith("call ")
        }
        found = [name for name in codes if name == call or name.endswith(f".{call}")]
        if len(found) != 1:
            raise NotFound(
                "no call or notice has this name, or several have", where="call", found=repr(call),
                allowed=", ".join(sorted(codes)) or "none was ever declared", cure="Name it as PACK.CALL.",
            )  # fmt: skip
        return codes[found[0]]


def _key_of(id: str) -> bytes:
    try:
        key = bytes.fromhex(id.removeprefix("#"))
    except ValueError:
        key = b""
    if len(key) != 16:
        raise InputError(
            "the id of a message is not readable", where="message", found=repr(id[:50]),
            allowed="32 hexadecimal digits",
        )  # fmt: skip
    return key
