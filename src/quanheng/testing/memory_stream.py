"""A broker in memory: partitions, groups and faults, for tests of whatever reads streams. It keeps the laws of the kit.

Faults are seeded and those of real brokers: the connection breaks before or after an acknowledgement was taken, and
messages that were delivered before come again, late and between others. Readers that are open share the partitions;
when one comes or goes, or by a fault, they are dealt out anew, and what a reader has in hand of a partition that it no
longer has comes to its new owner as well.
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

    Attributes
    ----------
    rebalances : how often the partitions were dealt out
    left : messages that a reader would have acknowledged after their partition had gone to another
    """

    def __init__(self, partitions: int = 1, chance: Random | None = None, fault_share: float = 0.0) -> None:
        self.kept: list[list[Message]] = [[] for _ in range(partitions)]
        self.acked = [-1] * partitions
        self.published: dict[str, list[tuple[str, bytes]]] = {}
        self.acked_order: list[Message] = []
        self.away = False
        self.rebalances = self.left = 0
        self._members: list[MemoryStream] = []
        self._chance, self._fault_share = chance, fault_share

    def put(self, data: bytes, headers: Mapping[str, str] | None = None, partition: int = 0, now_ms: int = 0) -> None:
        """Keep a message."""
        kept = self.kept[partition]
        kept.append(Message(data, str(partition), len(kept), dict(headers or {}), now_ms))

    def fault(self) -> bool:
        """Whether one occurs now."""
        return self.away or (self._chance is not None and self._chance.random() < self._fault_share)

    def join(self, member: MemoryStream) -> None:
        """A reader opens; the partitions are dealt out anew."""
        self._members.append(member)
        self.rebalance()

    def leave(self, member: MemoryStream) -> None:
        """A reader is gone, in order or not."""
        if member in self._members:
            self._members.remove(member)
            self.rebalance()

    def rebalance(self) -> None:
        """Deal the partitions out; each begins behind what is acknowledged, also where its reader stays the same."""
        self.rebalances += 1
        shares: list[dict[int, int]] = [{} for _ in self._members]
        for partition, acked in enumerate(self.acked if shares else ()):
            number = partition % len(shares) if self._chance is None else self._chance.randrange(len(shares))
            shares[number][partition] = acked + 1
        for member, share in zip(self._members, shares, strict=True):
            member.assigned(share)

    def again(self, delivered: Mapping[int, int]) -> list[Message]:
        """Messages that were delivered before, to be delivered once more."""
        if self._chance is None or self._chance.random() >= self._fault_share:
            return []
        found = []
        for partition, upto in delivered.items():
            if upto:
                first = self._chance.randrange(upto)
                found += self.kept[partition][first : first + self._chance.randrange(1, 4)][: upto - first]
        self._chance.shuffle(found)
        return found


class MemoryStream:
    """One reader of a `MemoryBroker`."""

    def __init__(self, broker: MemoryBroker) -> None:
        self._broker = broker
        self._next: dict[int, int] | None = None

    def assigned(self, following: Mapping[int, int]) -> None:
        """Read these partitions from now on: partition → offset of the next message."""
        self._next = dict(following)

    async def open(self) -> None:
        """Go to the first message that is not acknowledged."""
        self._check(opening=True)
        self._broker.join(self)

    async def fetch(self, count_max: int, wait_s: float) -> list[Message]:
        """The next messages, the partitions taking turns; after a fault some that came before."""
        self._check()
        if self._broker.fault():
            self._broker.rebalance()
        following = self._check()
        found = [
            Message(one.data, one.partition, one.offset, one.headers, one.published_ms, True)
            for one in self._broker.again(following)
        ][:count_max]
        while len(found) < count_max:
            before = len(found)
            for partition, offset in following.items():
                kept = self._broker.kept[partition]
                if offset < len(kept) and len(found) < count_max:
                    found.append(kept[offset])
                    following[partition] += 1
            if len(found) == before:
                break
        return found

    async def ack(self, messages: Sequence[Message]) -> None:
        """Acknowledge; a connection that breaks may do so before or after it was taken."""
        following = self._check()
        for one in messages:
            partition = int(one.partition)
            if partition in following:
                self._broker.acked[partition] = max(self._broker.acked[partition], one.offset)
            else:
                self._broker.left += 1
        self._broker.acked_order += messages
        self._check()

    async def nak(self, messages: Sequence[Message]) -> None:
        """Go back to the first of these in each partition."""
        following = self._check()
        for one in messages:
            partition = int(one.partition)
            if partition in following:
                following[partition] = min(one.offset, following[partition])

    async def hold(self, messages: Sequence[Message]) -> None:
        """Nothing times out here."""
        self._check()

    async def lag(self) -> list[Lag]:
        """A row per partition that this reader has."""
        broker, rows = self._broker, []
        for partition in sorted(self._next or ()):
            acked = broker.acked[partition]
            rows.append(Lag(str(partition), len(broker.kept[partition]) - 1 - acked, acked))
        return rows

    async def publish(self, subject: str, replies: Sequence[tuple[str, bytes]]) -> None:
        """Keep replies, by subject."""
        self._check()
        self._broker.published.setdefault(subject, []).extend(replies)

    async def close(self) -> None:
        """Leave the group."""
        self._next = None
        self._broker.leave(self)

    def _check(self, opening: bool = False) -> dict[int, int]:
        """The next offsets; breaks the connection where a fault occurs."""
        if self._broker.fault():
            self._next = None
            self._broker.leave(self)
        if self._next is None:
            if opening and not self._broker.away:
                return {}
            raise StreamUnavailable(
                "the broker is away or did not confirm", where="memory", found="a broken connection"
            )
        return self._next
