"""What comes back: answers read by their declared fields, kept for a while, and told as events."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from quanheng.events.intake import Request
from quanheng.kernel.codec import canonical_json
from quanheng.kernel.errors import EventRejected
from quanheng.loading.checks.calls import DETAIL_LENGTH_MAX, answer_type
from quanheng.loading.declared_calls import OUTBOX, CallDeclaration
from quanheng.outbox.ports import TryFailed
from quanheng.processes.outbox import Message

CACHED_MAX = 10_000
_parts = msgspec.json.Decoder(dict[str, msgspec.Raw])


class Outcome(NamedTuple):
    """What became of a message.

    result : one of the call's results; reason : one of `REASONS` where it is no good one
    detail : what is known of the last try that failed
    values : fields of the answer, as they go into the event
    """

    result: str
    reason: str = ""
    detail: str = ""
    tries: int = 0
    values: Mapping[str, object] = {}


class AnswerReader:
    """Reads the answers of one call: what it declares must fit, what it does not declare is passed over."""

    def __init__(self, call: CallDeclaration) -> None:
        self._fields, self._type = tuple(call.answer), answer_type(call)
        self._keys = [name for name, field in call.answer.items() if field.kind == "key"]

    def read(self, body: bytes) -> dict[str, msgspec.Raw]:
        """The declared fields of an answer, as the partner wrote them; null is as if it were not there.

        Raises
        ------
        TryFailed : it is no JSON object, or a field does not fit
        """
        if not self._fields:
            return {}
        try:
            given = _parts.decode(body)
            values = {name: given[name] for name in self._fields if name in given and bytes(given[name]) != b"null"}
            fields = self._type.decode(msgspec.json.encode(values))
            self._type.check(fields)
            for name in self._keys:  # So the platform writes pseudonyms, and nobody else may.
                if (getattr(fields, name) or "").startswith("#"):
                    raise TryFailed("a key of the answer begins with #", "wrong_answer", found=name)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise TryFailed("the answer is no JSON object", "wrong_answer", found=str(error)) from error
        except EventRejected as error:
            # What was found may be personal: where, and what is allowed, is enough.
            text = f"{error.where}: {error.what}" + (f"; allowed: {error.allowed}" if error.allowed else "")
            raise TryFailed("the answer does not fit the declared fields", "wrong_answer", found=text) from error
        return values


class Cache:
    """Answers that are given again to the same body, each up to an age. The newest are kept."""

    def __init__(self) -> None:
        self._kept: OrderedDict[bytes, tuple[int, dict[str, msgspec.Raw]]] = OrderedDict()

    def get(self, name: str, call: CallDeclaration, body: bytes, now_ms: int) -> dict[str, msgspec.Raw] | None:
        """An answer that is not too old."""
        found = self._kept.get(_key(name, body)) if call.cache_ms else None
        return found[1] if found is not None and 0 <= now_ms - found[0] < call.cache_ms else None

    def put(self, name: str, call: CallDeclaration, body: bytes, now_ms: int, values: dict[str, msgspec.Raw]) -> None:
        """Keep an answer."""
        if call.cache_ms:
            key = _key(name, body)
            self._kept[key] = now_ms, values
            self._kept.move_to_end(key)
            while len(self._kept) > CACHED_MAX:
                self._kept.popitem(last=False)

    def clear(self) -> None:
        """Forget everything: somebody was erased."""
        self._kept.clear()


def _key(name: str, body: bytes) -> bytes:
    return hashlib.blake2b(name.encode() + b"\0" + body, digest_size=16).digest()


def answered(
    message: Message, call: CallDeclaration, keys: Mapping[str, str], outcome: Outcome, now_ms: int
) -> Request:
    """The event that tells what became of a message, as a request of the platform's own client."""
    data: dict[str, object] = {
        "time_ms": now_ms, "message": f"#{message.id.hex()}", **keys, "result": outcome.result, "tries": outcome.tries,
    }  # fmt: skip
    if outcome.reason:
        data["reason"] = outcome.reason
    if outcome.detail:
        data["detail"] = outcome.detail[:DETAIL_LENGTH_MAX]
    data.update(outcome.values)
    return Request(OUTBOX, message.request_id, call.event, canonical_json(data), position=OUTBOX)
