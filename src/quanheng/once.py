"""Operations that are asked for under a request id: done once, and answered again with what was recorded.

The id and what was asked are kept as keyed digests in the header of the operation's first event, and so the request
index finds them as it finds those of events. Ids of operations and ids of events do not meet.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any, NamedTuple

import msgspec

from quanheng.kernel.errors import RequestConflict
from quanheng.kernel.index import RequestIndex
from quanheng.kernel.log.log import Log
from quanheng.kernel.log.records import NONE_16
from quanheng.kernel.seal import KeyRing


class Once(NamedTuple):
    """One request: `key` stands for actor and id, `digest` for what was asked; 16 bytes each."""

    key: bytes = NONE_16
    digest: bytes = NONE_16


UNNAMED = Once()
"""A request without an id: it is done as often as it is asked for."""


def once_of(ring: KeyRing, actor: str, id: str, operation: str, arguments: Mapping[str, Any]) -> Once:
    """What stands for a request of `actor`; `arguments` as msgpack can say them, in any order."""
    asked = msgspec.msgpack.encode([operation, arguments], order="sorted")
    return Once(
        ring.request_key(f"{actor}\0operation", id), ring.request_key(f"{actor}\0asked", sha256(asked).hexdigest())
    )


def offset_of(index: RequestIndex, log: Log, once: Once) -> int | None:
    """Where the request was recorded; None = it was not.

    Raises
    ------
    RequestConflict : something else was asked under this id
    """
    entry = index.lookup([once.key]).get(once.key)
    if entry is None:
        return None
    if log.record(entry.event).digest != once.digest:
        raise RequestConflict(
            "this request id was used before with other content",
            where="id",
            found=f"what was recorded at offset {entry.event}",
            allowed="the same content again",
            cure="Send new content under a new id.",
        )
    return entry.event
