"""What became of events, as the finished bytes of an HTTP answer."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from quanheng.reading import shown_transfer
from quanheng.server import wire
from quanheng.server.engines import Reply

STATUS_OF = {"rejected": 422, "conflict": 409}


def answer_of(replies: Sequence[Reply], single: bool, dry_run: bool = False) -> wire.Answer:
    """The replies to one HTTP request as finished bytes."""
    bodies = [
        _json(wire.EventReply(
            r.id, r.status, r.offset, r.decision, r.outcome, r.reasons, r.error, dry_run,
            tuple(map(shown_transfer, r.transfers)),
        ))
        for r in replies
    ]  # fmt: skip
    if single and len(bodies) == 1:
        return wire.Answer(STATUS_OF.get(replies[0].status, 200), bodies[0])
    return wire.Answer(200, b"[" + b",".join(bodies) + b"]")


_json = msgspec.json.Encoder(decimal_format="number").encode
