"""Messages of a stream that are no events: recorded once each, with their place, however often they are delivered.

A refused HTTP request is answered, and its caller corrects it. A message has no caller, and the broker delivers it
again after a crash. So its refusal is in the request index, under its place and content: a second delivery finds it.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from quanheng.events.intake import Request
from quanheng.events.stream import RefusedMessage
from quanheng.kernel.entries import Entry
from quanheng.kernel.log.records import EVENT, NO_CAUSE, encode_header
from quanheng.state import INTAKE_REJECTED, PlatformEvent
from quanheng.writer import REJECTED_DATA_LENGTH_MAX, Pending, Writer


def refuse_messages(writer: Writer, client: str, messages: Sequence[RefusedMessage]) -> int:
    """Record those that were not recorded before, in one durable batch; how many these were. No group may be in flight.

    Parameters
    ----------
    client : actor on whose behalf the stream is read
    """
    ring, state = writer.ring, writer.state
    by_key: dict[bytes, tuple[RefusedMessage, bytes]] = {}
    for one in messages:
        key = ring.request_key(f"{client}\0message", f"{one.position}\0{one.digest}")
        by_key.setdefault(key, (one, ring.request_key(f"{client}\0asked", one.digest)))
    known = writer.index.lookup(list(by_key)) if by_key else {}
    new = {key: found for key, found in by_key.items() if key not in known}
    if not new:
        return 0
    offset, received_ms = state.head, writer.stamp()
    headers, subjects, payloads = [], [], []
    for key, (one, digest) in new.items():
        request = Request(client, one.id, one.type, one.data)
        payload = msgspec.json.encode(_shown(client, one))
        subject = ring.pseudonym(*writer.subject_of_rejected(request))
        headers.append(
            encode_header(
                EVENT, INTAKE_REJECTED, received_ms, received_ms, NO_CAUSE, subject, key, digest, (), (),
                len(payload), True,
            )
        )  # fmt: skip
        subjects.append(subject)
        payloads.append(payload)
    writer.commit(Pending(offset, received_ms, headers, subjects, payloads, None))
    state.head, state.received_ms = offset + len(new), received_ms
    entries = []
    for place, (key, (_, digest)) in enumerate(new.items(), offset):
        state.apply_platform(PlatformEvent(place, INTAKE_REJECTED, b"", received_ms))
        entries.append((key, Entry(place, digest)))
    writer.index.add(entries, offset + len(new))
    return len(new)


def _shown(client: str, one: RefusedMessage) -> dict[str, object]:
    """What is kept of it, sealed; as of a refused request, with its place."""
    return {
        "client": client,
        "position": one.position,
        "id": _whole(one.id[:200]),
        "type": _whole(one.type[:200]),
        "error": _whole(one.error),
        "data": one.data[:REJECTED_DATA_LENGTH_MAX].decode("utf-8", "replace"),
        "data_length_bytes": one.data_length_bytes,
    }


def _whole(value: str) -> str:
    """`value` with what UTF-8 cannot say replaced."""
    return value.encode("utf-8", "replace").decode()
