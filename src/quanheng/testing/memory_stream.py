"""A broker in memory: partitions, groups and faults, for tests of whatever reads streams. It keeps the laws of the kit.

Faults are seeded and those of real brokers: the connection breaks before or after an acknowledgement was taken, and
messages that were delivered before come again, late and between others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random

from quanheng.events.stream import Lag, Message, StreamUnavailable


class MemoryBroker:
    """Messages by partition, and how far the one group has come.

    Parameters
    ----------
    partitions : how many
    chance : of faults; None = none occur
    fault_share : probability of a fault at each call
    """

    def __init__(self, partitions: int = 1, chance: Random | None = None, fault_share: float = 0.0) -> None:
        self.kept: list[list[Message]] = [[] for _ in range(partitions)]
        self.acked = [-1] * partitions
        self.published: dict[str, list[tuple[str, bytes]]] = {}
        self.acked_order: list[Message] = []
        self.away = False
        self._chance, self._fault_share = chance, fault_share

    def put(self, data: bytes, headers: Mapping[str, str] | None = None, partition: int = 0, now_ms: int = 0) -> None:
        """Keep a message."""
        kept = self.kept[partition]
        kept.append(Message(data, str(partition), len(kept), dict(headers or {}), now_ms))

    def fault(self) -> bool:
        """Whether one occurs now."""
        return self.away or (self._chance is not None and self._chance.random() < self._fault_share)

    def again(self, delivered: Sequence[int]) -> list[Message]:
        """Messages that were delivered before, to be delivered once more."""
        if self._chance is None or self._chance.random() >= self._fault_share:
            return []
        found = []
        for partition, upto in enumerate(delivered):
            if upto:
                first = self._chance.randrange(upto)
                found += self.kept[partition][first : first + self._chance.randrange(1, 4)][: upto - first]
        self._chance.shuffle(found)
        return found


class MemoryStream:
    """One reader of a `MemoryBroker`."""

    def __init__(self, broker: MemoryBroker) -> None:
        self._broker = broker
        self._next: list[int] | None = None

    async def open(self) -> None:
        """Go to the first message that is not acknowledged."""
        self._check(opening=True)
        self._next = [acked + 1 for acked in self._broker.acked]

    async def fetch(self, count_max: int, wait_s: float) -> list[Message]:
        """The next messages, the partitions taking turns; after a fault some that came before."""
        following = self._check()
        found = [
            Message(one.data, one.partition, one.offset, one.headers, one.published_ms, True)
            for one in self._broker.again(following)
        ][:count_max]
        while len(found) < count_max:
            before = len(found)
            for partition, kept in enumerate(self._broker.kept):
                if following[partition] < len(kept) and len(found) < count_max:
                    found.append(kept[following[partition]])
                    following[partition] += 1
            if len(found) == before:
                break
        return found

    async def ack(self, messages: Sequence[Message]) -> None:
        """Acknowledge; a connection that breaks may do so before or after it was taken."""
        self._check()
        for one in messages:
            partition = int(one.partition)
            self._broker.acked[partition] = max(self._broker.acked[partition], one.offset)
        self._broker.acked_order += messages
        self._check()

    async def nak(self, messages: Sequence[Message]) -> None:
        """Go back to the first of these in each partition."""
        following = self._check()
        for one in messages:
            following[int(one.partition)] = min(one.offset, following[int(one.partition)])

    async def hold(self, messages: Sequence[Message]) -> None:
        """Nothing times out here."""
        self._check()

    async def lag(self) -> list[Lag]:
        """A row per partition."""
        broker = self._broker
        return [
            Lag(str(number), len(kept) - 1 - acked, acked)
            for number, (kept, acked) in enumerate(zip(broker.kept, broker.acked, strict=True))
        ]

    async def publish(self, subject: str, replies: Sequence[tuple[str, bytes]]) -> None:
        """Keep replies, by subject."""
        self._check()
        self._broker.published.setdefault(subject, []).extend(replies)

    async def close(self) -> None:
        """Forget the place."""
        self._next = None

    def _check(self, opening: bool = False) -> list[int]:
        """The next offsets; breaks the connection where a fault occurs."""
        if self._broker.fault():
            self._next = None
        if self._next is None:
            if opening and not self._broker.away:
                return []
            raise StreamUnavailable(
                "the broker is away or did not confirm", where="memory", found="a broken connection"
            )
        return self._next
