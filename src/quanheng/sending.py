"""Messages to the outside: calls and notices of calls.toml with their bodies, rendered from what is known of an event.

Pure: `outbox` sends them, after the commit.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from quanheng.events.schema import EventType
from quanheng.expressions import Expression, Getter
from quanheng.facts import Sent
from quanheng.known import Known
from quanheng.loading.declared_calls import CallDeclaration

if TYPE_CHECKING:
    from quanheng.loading.declared import Declared

EXTRA = ("outcome", "instance")


def message_id(request_key: bytes, name: str, number: int) -> bytes:
    """Id of a message, 16 bytes: BLAKE2b of the event's request key, the call's name and its number in the decision."""
    text = request_key + f"{name}/{number}".encode()
    return hashlib.blake2b(text, digest_size=16, person=b"quanheng message").digest()


class Sends:
    """The calls and notices that may be asked for when an event of one type comes."""

    def __init__(
        self,
        calls: Sequence[CallDeclaration],
        pack: Declared,
        event: EventType,
        names: Sequence[str],
        getter: Callable[[str], Getter],
    ) -> None:
        self._pack = pack.name
        self._bodies = {
            call.name: [
                (field, Expression(text, names, getter, f"{call.kind} {call.name}.send.{field}", EXTRA))
                for field, text in call.send.items()
            ]
            for call in calls
        }

    def render(
        self, known: Known, row: int, names: Sequence[str], outcome: str, instance: object, first: int = 0
    ) -> list[Sent]:
        """Messages for one row, in order; `first` is the number of the first among those of the decision."""
        sent = []
        for number, name in enumerate(names, first):
            body = {field: one.column(known)(row, outcome, instance) for field, one in self._bodies[name]}
            full = f"{self._pack}.{name}"
            id = message_id(known.events[row].request_key, full, number)
            sent.append(Sent(full, id, _encode(body)))
        return sent


_encode = msgspec.json.Encoder(decimal_format="number", order="sorted").encode


DEAD_RESULTS = frozenset({"fallback", "failed", "dead"})
"""Results of which a message is a dead letter."""


class Told(NamedTuple):
    """Where an event that tells of messages says what: place of `message` among its keys, of `result` and `reason`
    among its header numbers; which places of `result` mean that nobody answered."""

    message: int
    result: int
    reason: int
    dead: tuple[int, ...]


def told_of(packs: Iterable[Declared], types: Mapping[str, EventType]) -> dict[int, Told]:
    """Type code → how the event tells of messages."""
    found = {}
    for pack in packs:
        for call in pack.calls.calls:
            one = types[call.event]
            results = one.declaration.fields["result"].choices
            dead = tuple(place for place, name in enumerate(results) if name in DEAD_RESULTS)
            places = one.header_fields.index("result"), one.header_fields.index("reason")
            found[one.code] = Told(one.key_fields.index("message"), *places, dead)
    return found
