"""Kafka as a `Stream`: a member of a consumer group whose offsets are committed by hand.

The client is librdkafka's own. Its calls block, so each runs in a thread. Partitions come and go as the group has more
or fewer members; messages of one that has gone are delivered to its new owner, and answered from the record.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

from quanheng.events.stream import REQUEST_ID_HEADER, Lag, Message, StreamSettings, StreamUnavailable
from quanheng.kernel.errors import NotFound

ANSWER_S_MAX = 10.0
QUEUED_KIB_MAX = 16 * 1024
"""Memory of messages that the client has fetched ahead."""
T = TypeVar("T")


class KafkaStream:
    """The topic `source` as a member of `group`.

    options : properties of librdkafka, laid over ours: security.protocol, sasl.username, …
    """

    def __init__(self, settings: StreamSettings) -> None:
        self._settings = settings
        self._consumer: Any = None
        self._producer: Any = None
        self._begun: dict[int, int] = {}
        self._common = {"bootstrap.servers": settings.address, "client.id": "quanheng", **settings.options}

    async def open(self) -> None:
        """Join the group."""
        await _confirmed(self._open)

    def _open(self) -> None:
        settings = self._settings
        consumer = Consumer(
            {
                **self._common,
                "group.id": settings.group,
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "auto.offset.reset": "earliest",  # Also where the broker no longer has what was committed.
                "queued.max.messages.kbytes": QUEUED_KIB_MAX,
                "logger": _Silent(),
            }
        )
        self._consumer = consumer
        topic = consumer.list_topics(settings.source, timeout=ANSWER_S_MAX).topics[settings.source]
        if topic.error is not None or not topic.partitions:
            raise NotFound(
                "the broker has no such topic",
                where=settings.address,
                found=repr(settings.source),
                cure="Make it, or correct source in the stream's section.",
            )
        self._begun = {}
        consumer.subscribe([settings.source], on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._revoked)

    def _assigned(self, consumer: Any, partitions: list[Any]) -> None:
        """Begin at the end where that is asked for and nothing was committed yet; the place is committed at once."""
        if self._settings.start == "new":
            for one in consumer.committed(partitions, timeout=ANSWER_S_MAX):
                if one.offset < 0:
                    _, end = consumer.get_watermark_offsets(one, timeout=ANSWER_S_MAX)
                    begin = TopicPartition(one.topic, one.partition, end)
                    consumer.commit(offsets=[begin], asynchronous=False)
        partitions = consumer.committed(partitions, timeout=ANSWER_S_MAX)
        self._begun = {one.partition: max(0, one.offset) for one in partitions}
        consumer.assign(partitions)

    def _revoked(self, consumer: Any, partitions: list[Any]) -> None:
        """What is in hand of these comes to their new owner."""
        self._begun = {}
        consumer.unassign()

    async def fetch(self, count_max: int, wait_s: float) -> list[Message]:
        """The next messages of all partitions that this member has."""
        found = await _confirmed(lambda: self._consumer.consume(count_max, wait_s))
        messages = []
        for one in found:
            error = one.error()
            if error is None:
                headers = {name: _text(value) for name, value in one.headers() or ()}
                _, published_ms = one.timestamp()
                messages.append(
                    Message(one.value() or b"", str(one.partition()), one.offset(), headers, max(0, published_ms))
                )
            elif error.code() != KafkaError._PARTITION_EOF:
                raise _away(error)
        return messages

    async def ack(self, messages: Sequence[Message]) -> None:
        """Commit the offsets behind these messages; the broker confirms.

        The broker would take an offset of a partition that is another member's by now, and one behind what that member
        has committed. So only what lies in this member's own stretch is committed.
        """
        last: dict[str, int] = {}
        for one in messages:
            last[one.partition] = max(one.offset, last.get(one.partition, -1))
        begun = self._begun
        mine = {int(part): offset + 1 for part, offset in last.items() if begun.get(int(part), 1 << 63) <= offset}
        offsets = [TopicPartition(self._settings.source, part, behind) for part, behind in mine.items()]
        if offsets:
            for one in await _confirmed(lambda: self._consumer.commit(offsets=offsets, asynchronous=False)):
                if one.error is not None:
                    raise _away(one.error)
            begun.update(mine)

    async def nak(self, messages: Sequence[Message]) -> None:
        """Go back to the first of these in each partition."""
        first: dict[str, int] = {}
        for one in messages:
            first[one.partition] = min(one.offset, first.get(one.partition, one.offset))
        for part, offset in first.items():
            place = TopicPartition(self._settings.source, int(part), offset)
            await _confirmed(lambda place=place: self._consumer.seek(place))  # type: ignore[misc]

    async def hold(self, messages: Sequence[Message]) -> None:
        """Fetching goes on beside, which is what the group asks for."""

    async def lag(self) -> list[Lag]:
        """One row per partition that this member has."""
        return await _confirmed(self._lag)

    def _lag(self) -> list[Lag]:
        consumer, rows = self._consumer, []
        for one in consumer.committed(consumer.assignment(), timeout=ANSWER_S_MAX):
            low, high = consumer.get_watermark_offsets(TopicPartition(one.topic, one.partition), timeout=ANSWER_S_MAX)
            begun = one.offset if one.offset >= 0 else low
            rows.append(Lag(str(one.partition), max(0, high - max(low, begun)), begun - 1))
        return rows

    async def publish(self, subject: str, replies: Sequence[tuple[str, bytes]]) -> None:
        """Produce to a topic, the request id also as key."""
        await _confirmed(lambda: self._publish(subject, replies))

    def _publish(self, topic: str, replies: Sequence[tuple[str, bytes]]) -> None:
        failed: list[KafkaError] = []

        def delivered(error: KafkaError | None, _: object) -> None:
            if error is not None:
                failed.append(error)

        if self._producer is None:
            self._producer = Producer({**self._common, "enable.idempotence": True, "logger": _Silent()})
        for id, body in replies:
            headers = [(REQUEST_ID_HEADER, id.encode())]
            self._producer.produce(topic, body, key=id.encode(), headers=headers, on_delivery=delivered)
        waiting = self._producer.flush(ANSWER_S_MAX)
        if failed or waiting:
            raise _away(failed[0] if failed else f"{waiting} replies not confirmed")

    async def close(self) -> None:
        """Leave the group."""
        consumer, self._consumer = self._consumer, None
        self._producer = None
        if consumer is not None:
            with contextlib.suppress(KafkaException, RuntimeError):
                await asyncio.to_thread(consumer.close)


class _Silent:
    """librdkafka writes lines of its own otherwise; what matters is raised."""

    def log(self, *_: object) -> None:
        """Drop a line."""


async def _confirmed(call: Callable[[], T]) -> T:
    """What a blocking call gives; `StreamUnavailable` if the broker is away or does not confirm."""
    try:
        return await asyncio.to_thread(call)
    except KafkaException as error:
        raise _away(error.args[0] if error.args else error) from error
    except RuntimeError as error:  # The client's word for a consumer that was closed meanwhile.
        raise _away(error) from error


def _away(error: object) -> StreamUnavailable:
    text = error.str() if isinstance(error, KafkaError) else str(error)
    return StreamUnavailable(
        "the broker is away or did not confirm",
        where="Kafka",
        found=text,
        cure="Nothing is lost; it is tried again.",
    )


def _text(value: bytes | str | None) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value or ""
