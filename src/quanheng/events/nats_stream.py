"""NATS JetStream as a `Stream`: one durable pull consumer, acknowledged like an offset.

Delivery in JetStream is per message: one that is lost on the way comes again after a while, behind later ones. So that
order is kept, deliveries are counted: a gap, and every opening with deliveries that were not acknowledged, begins again
behind the last acknowledged message with a new consumer. The new one is made before the old one is deleted, under the
other of two names, so that a crash between the two loses no place.

Messages are asked for in runs and arrive on one subscription, where they wait until they are fetched; the client's own
`fetch` waits for each message by itself, which costs three times as much as all the rest.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import Awaitable, Sequence
from typing import Any

import nats
from nats.errors import Error as NatsError
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy, RetentionPolicy
from nats.js.errors import NotFoundError

from quanheng.events.stream import REQUEST_ID_HEADER, Lag, Message, StreamSettings, StreamUnavailable
from quanheng.kernel.errors import ConfigurationError, NotFound

ANSWER_S_MAX = 5.0
ACK_WAIT_S = 30.0
RUN_S = 10.0
"""How long the broker may take to deliver what it was asked for; then it is asked again."""


class NatsStream:
    """The stream `source`, those of its messages that match `subject` (all, if empty), as consumer `group`.

    options : passed to the client as they are: user, password, token, user_credentials, …
    """

    def __init__(self, settings: StreamSettings) -> None:
        self._settings = settings
        self._names = (settings.group, f"{settings.group}-again")
        self._client: Any = None
        self._jetstream: Any = None
        self._name, self._inbox = "", ""
        self._next = self._coming = 0
        self._arrived: deque[Any] = deque()
        self._come = asyncio.Event()
        self._explicit = False

    async def open(self) -> None:
        """Connect and take over the durable consumer, or make it."""
        settings = self._settings
        self._client = await _confirmed(
            nats.connect(
                settings.address,
                allow_reconnect=False,  # Whoever reads opens again, behind what was acknowledged.
                max_reconnect_attempts=1,  # Else the client tries for two minutes before it says anything.
                reconnect_time_wait=0.05,  # type: ignore[arg-type]
                connect_timeout=int(ANSWER_S_MAX),
                name="quanheng",
                error_cb=_ignored,
                **settings.options,
            )
        )
        self._jetstream = self._client.jetstream(timeout=ANSWER_S_MAX)
        try:
            stream = await _confirmed(self._jetstream.stream_info(settings.source))
        except NotFoundError:
            raise NotFound(
                "the broker has no such stream",
                where=settings.address,
                found=repr(settings.source),
                cure="Make it, or correct source in the stream's section.",
            ) from None
        self._explicit = stream.config.retention == RetentionPolicy.WORK_QUEUE
        info = await self._take_over(stream.state.last_seq + 1)
        self._name, self._next = info.name, info.delivered.consumer_seq + 1
        self._arrived, self._come, self._coming = deque(), asyncio.Event(), 0
        self._inbox = self._client.new_inbox()
        await _confirmed(self._client.subscribe(self._inbox, cb=self._arrive))

    async def _take_over(self, end: int) -> Any:
        """The durable consumer, with nothing delivered that is not acknowledged; a first one begins at `end` if new."""
        known = [info for name in self._names if (info := await self._info(name)) is not None]
        for info in known:
            if (info.config.filter_subject or "") != self._settings.subject:
                raise ConfigurationError(
                    "the consumer was made for another subject",
                    where=f"{self._settings.source}, consumer {info.name}",
                    found=repr(info.config.filter_subject or ""),
                    allowed=repr(self._settings.subject),
                    cure="Choose another group, or delete the consumer at the broker.",
                )
        if not known:
            if self._settings.start == "new":  # By number, so that it stays there until something is acknowledged.
                return await self._make(self._names[0], DeliverPolicy.BY_START_SEQUENCE, end)
            return await self._make(self._names[0], DeliverPolicy.ALL)
        last = max(known, key=lambda info: (info.ack_floor.stream_seq, not info.num_ack_pending))
        others = [info.name for info in known if info is not last]
        if last.num_ack_pending:
            if self._explicit:  # What was acknowledged is gone from such a stream, and it allows one consumer only.
                await self._delete([last.name, *others])
                return await self._make(self._names[0], DeliverPolicy.ALL)
            await self._delete(others)
            other = self._names[last.name == self._names[0]]
            begin = max(last.ack_floor.stream_seq + 1, last.config.opt_start_seq or 1)
            new = await self._make(other, DeliverPolicy.BY_START_SEQUENCE, begin)
            await self._delete([last.name])
            return new
        await self._delete(others)
        return last

    async def _info(self, name: str) -> Any:
        try:
            info = await _confirmed(self._jetstream.consumer_info(self._settings.source, name))
        except NotFoundError:
            return None
        return info

    async def _make(self, name: str, begin: DeliverPolicy, first: int | None = None) -> Any:
        config = ConsumerConfig(
            durable_name=name,
            deliver_policy=begin,
            opt_start_seq=first,
            ack_policy=AckPolicy.EXPLICIT if self._explicit else AckPolicy.ALL,
            ack_wait=ACK_WAIT_S,
            max_ack_pending=4 * self._settings.batch_events_max,
            filter_subject=self._settings.subject or None,
        )
        return await _confirmed(self._jetstream.add_consumer(self._settings.source, config))

    async def _delete(self, names: Sequence[str]) -> None:
        for name in names:
            await _confirmed(self._jetstream.delete_consumer(self._settings.source, name))

    async def fetch(self, count_max: int, wait_s: float) -> list[Message]:
        """The next messages: those that have arrived, or the first that do."""
        self._check_connected()
        await self._ask(count_max)
        if not self._arrived:
            self._come.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._come.wait(), wait_s)
        messages: list[Message] = []
        while self._arrived and len(messages) < count_max:
            one = self._arrived.popleft()
            about = one.metadata
            if about.sequence.consumer != self._next:
                raise StreamUnavailable(
                    "the broker's deliveries have a gap; they begin again behind the last acknowledged message",
                    where=self._settings.source,
                    found=f"delivery {about.sequence.consumer}",
                    allowed=f"delivery {self._next}",
                )
            self._next += 1
            published_ms = int(about.timestamp.timestamp() * 1000)
            messages.append(
                Message(
                    one.data, "0", about.sequence.stream, one.headers or {}, published_ms, about.num_delivered > 1, one
                )
            )
        return messages

    async def _ask(self, count_max: int) -> None:
        """Ask for as many as were not asked for yet, once half of a run has come."""
        missing = count_max - self._coming - len(self._arrived)
        if 2 * missing < count_max:
            return
        asked = {"batch": missing, "expires": int(RUN_S * 1e9)}
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{self._settings.source}.{self._name}"
        await _confirmed(self._client.publish(subject, json.dumps(asked).encode(), self._inbox))
        self._coming += missing

    async def _arrive(self, one: Any) -> None:
        """A message, or the broker's word that a run is over."""
        headers = one.headers or {}
        if one.reply:  # Only messages are to be acknowledged.
            self._coming -= 1
            self._arrived.append(one)
        elif headers.get("Status") != "100":  # A heart beat; else what was still asked for does not come.
            self._coming = max(0, self._coming - int(headers.get("Nats-Pending-Messages", self._coming)))
        self._come.set()

    async def ack(self, messages: Sequence[Message]) -> None:
        """Acknowledge; the last one is confirmed by the broker, and with it those before."""
        if not messages:
            return
        ordered = sorted(messages, key=lambda one: one.offset)
        if self._explicit:
            for one in ordered[:-1]:
                await _confirmed(one.handle.ack())
        await _confirmed(ordered[-1].handle.ack_sync(timeout=ANSWER_S_MAX))

    async def nak(self, messages: Sequence[Message]) -> None:
        """Begin again behind the last acknowledged message."""
        if messages:
            await self.close()
            await self.open()

    async def hold(self, messages: Sequence[Message]) -> None:
        """Let the time until redelivery begin again."""
        for one in messages:
            await _confirmed(one.handle.in_progress())

    async def lag(self) -> list[Lag]:
        """One row: JetStream has no partitions."""
        info = await self._info(self._name)
        if info is None:
            raise _away(LookupError("the consumer was deleted"))
        acked = info.ack_floor.stream_seq or -1
        return [Lag("0", (info.num_pending or 0) + (info.num_ack_pending or 0), acked)]

    async def publish(self, subject: str, replies: Sequence[tuple[str, bytes]]) -> None:
        """Publish to a subject that a stream of the broker keeps."""
        for first in range(0, len(replies), 100):
            sent = [
                self._jetstream.publish(subject, body, timeout=ANSWER_S_MAX, headers={REQUEST_ID_HEADER: id})
                for id, body in replies[first : first + 100]
            ]
            await _confirmed(asyncio.gather(*sent))

    async def close(self) -> None:
        """Disconnect."""
        client, self._client = self._client, None
        if client is not None:
            with contextlib.suppress(NatsError, OSError, TimeoutError):
                await client.close()

    def _check_connected(self) -> None:
        if self._client is None or not self._client.is_connected:
            raise _away(ConnectionError("connection closed"))


async def _confirmed(call: Awaitable[Any]) -> Any:
    """What a call gives; `StreamUnavailable` if the broker is away or does not confirm."""
    try:
        return await call
    except NotFoundError:
        raise
    except (NatsError, OSError, TimeoutError) as error:
        raise _away(error) from error


def _away(error: BaseException) -> StreamUnavailable:
    return StreamUnavailable(
        "the broker is away or did not confirm",
        where="NATS",
        found=f"{type(error).__name__} {error}".strip(),
        cure="Nothing is lost; it is tried again.",
    )


async def _ignored(_: Exception) -> None:
    """Errors of the connection are met where its answer is needed."""
