"""Reads one stream into the writer: fetch, decide, acknowledge, in this order and never another.

A message is acknowledged only when the writer has answered for it, which it does after its own durable commit. Whatever
breaks in between, the broker delivers the message again, and the writer answers it from the record. One batch is with
the writer at a time, so the order within a partition is kept; the next is fetched meanwhile, and no more: when the
writer has no room, nothing more is asked of the broker.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from hashlib import sha256
from typing import Any, NamedTuple, Protocol

import msgspec

from quanheng.events.intake import DATA_BYTES_MAX
from quanheng.events.stream import Message, Read, RefusedMessage, Stream, StreamSettings, StreamUnavailable, reader_of
from quanheng.kernel.errors import Overloaded
from quanheng.server.metrics import SECONDS, Histogram

FETCH_WAIT_S = 0.25
LAG_EVERY_S = 1.0
HOLD_EVERY_S = 5.0
BACK_OFF_FIRST_S, BACK_OFF_S_MAX = 0.05, 5.0
WRITER_BACK_OFF_S_MAX = 1.0
NOT_TAKEN = ("rejected", "conflict")
AGES_S = (*SECONDS, 10.0, 30.0, 60.0, 300.0, 1800.0, 3600.0, 21_600.0, 86_400.0, 604_800.0, 31_536_000.0)
"""Bounds of what is told about ages: whoever reads a backlog finds messages of hours and days."""
REFUSED_ONCE_MAX = 100
"""Refusals that are recorded in one operation."""


class Answered(msgspec.Struct):
    """The writer's answer to one event."""

    id: str
    status: str
    error: str = ""


class _GivenUp(Exception):
    """A stop while the writer does not answer: the messages come again."""


class WriterPort(Protocol):
    """The way to the one writer. `Overloaded`: nothing is known to be written; the same is sent again."""

    async def take(self, events: Sequence[tuple[str, str, bytes]], positions: Sequence[str]) -> list[msgspec.Raw]:
        """Events through the path; the answers as JSON, in order, after the durable commit."""

    async def refuse(self, messages: Sequence[RefusedMessage]) -> None:
        """Record what is no event; durable on return."""


class Tell(NamedTuple):
    """What the surroundings give: told is (level, fixed word, error); waiting and time are theirs."""

    told: Callable[[str, str, BaseException | None], None]
    sleep: Callable[[float], Awaitable[None]]
    clock_ms: Callable[[], int]
    clock_s: Callable[[], float]


class Consumer:
    """One stream and the writer.

    Parameters
    ----------
    name : of the stream in the configuration
    settings : its section
    stream : not yet open
    writer : the way to the writer
    counters : "metric|labels" -> number, shown on the writer's metrics page
    tell : log lines, waiting, clocks
    """

    def __init__(
        self, name: str, settings: StreamSettings, stream: Stream, writer: WriterPort, counters: dict[str, int],
        tell: Tell,
    ) -> None:  # fmt: skip
        self.name, self._settings, self._stream, self._writer = name, settings, stream, writer
        self.counters, self._tell = counters, tell
        self._read = reader_of(settings)
        self._held: list[Message] = []
        self._stopping = False
        self._held_since_s = 0.0
        self.ack_s = Histogram(AGES_S)
        """Seconds from a message's publication until it was acknowledged."""
        self.totals = dict.fromkeys(("messages", "decided", "recorded", "repeated", "failed", "rejects", "acked"), 0)

    def stop(self) -> None:
        """Finish the batch in hand, acknowledge it, and let `run` return. What was fetched ahead comes again."""
        self._stopping = True

    async def run(self, until_empty: bool = False) -> None:
        """Read until `stop`, or until nothing is pending. A broker that is away is tried again for ever, ever slower.

        Raises
        ------
        StreamFailed, InputError : what no repetition mends: no such stream, a token that may not ingest
        """
        wait_s = BACK_OFF_FIRST_S
        while not self._stopping:
            try:
                await self._stream.open()
                self._set("connected", 1)
                self._tell.told("info", "stream_open", None)
                if await self._work(until_empty):
                    return
                wait_s = BACK_OFF_FIRST_S
            except _GivenUp:
                return
            except StreamUnavailable as error:
                self._count("reconnects_total")
                self._tell.told("warning", "stream_unavailable", error)
            finally:
                self._held = []
                self._set("connected", 0)
                with contextlib.suppress(StreamUnavailable):
                    await self._stream.close()
            if not self._stopping:
                await self._tell.sleep(wait_s)
                wait_s = min(2 * wait_s, BACK_OFF_S_MAX)

    async def _work(self, until_empty: bool) -> bool:
        """Batches, until a stop (or until nothing is pending): then True. Raises `StreamUnavailable`."""
        fetching = asyncio.ensure_future(self._fetch())
        watching = asyncio.ensure_future(self._watch())
        try:
            while True:
                messages = await fetching
                if self._stopping:
                    return True
                if not messages and until_empty and await self._show_lag() == 0:
                    return True
                if watching.done():
                    watching.result()
                fetching = asyncio.ensure_future(self._fetch())
                if messages:
                    await self._handle(messages)
        finally:
            for task in fetching, watching:
                task.cancel()
            await asyncio.gather(fetching, watching, return_exceptions=True)

    async def _fetch(self) -> list[Message]:
        messages = await self._stream.fetch(self._settings.batch_events_max, FETCH_WAIT_S)
        self._held += messages
        return messages

    async def _handle(self, messages: list[Message]) -> None:
        """One batch: decided, what is no event recorded, replies published, acknowledged."""
        self._held_since_s = self._tell.clock_s()
        read = [_small(self._read(message)) for message in messages]
        good = [one for one in read if not one.fault]
        answers: list[msgspec.Raw] = []
        if good:
            events, positions = [(one.id, one.type, one.data) for one in good], [one.position for one in good]
            answers = await self._insist(lambda: self._writer.take(events, positions))
        found = _answered(answers)
        faults = [(one, one.fault) for one in read if one.fault]
        faults += [(one, told.error) for one, told in zip(good, found, strict=True) if told.status in NOT_TAKEN]
        refused = [_refused(one, error) for one, error in faults]
        for first in range(0, len(refused), REFUSED_ONCE_MAX):
            some = refused[first : first + REFUSED_ONCE_MAX]
            await self._insist(lambda some=some: self._writer.refuse(some))  # type: ignore[misc]
        if self._settings.replies and good:
            replies = [(one.id, bytes(answer)) for one, answer in zip(good, answers, strict=True)]
            await self._stream.publish(self._settings.replies, replies)
        await self._stream.ack(messages)
        self._acked(messages, found, len(refused))

    async def _insist(self, call: Callable[[], Awaitable[Any]]) -> Any:
        """What a call to the writer gives; while it has no room or is away, wait, hold the messages, and ask again."""
        wait_s = BACK_OFF_FIRST_S
        while True:
            try:
                return await call()
            except Overloaded as error:
                self._count("held_total")
                self._tell.told("debug", "writer_busy", error)
                if self._stopping:
                    raise _GivenUp from error
            await self._tell.sleep(wait_s)
            wait_s = min(2 * wait_s, WRITER_BACK_OFF_S_MAX)
            if self._tell.clock_s() - self._held_since_s >= HOLD_EVERY_S:
                self._held_since_s = self._tell.clock_s()
                await self._stream.hold(self._held)

    def _acked(self, messages: list[Message], found: Sequence[Answered], refused: int) -> None:
        now_ms = self._tell.clock_ms()
        self._held = self._held[len(messages) :]
        totals = self.totals
        for message in messages:
            self._set("acked_position", message.offset, message.partition)
            if message.published_ms:
                self.ack_s.add(max(0, now_ms - message.published_ms) / 1000)
        for answer in found:
            if answer.status not in NOT_TAKEN:  # Those are among the rejects.
                totals[answer.status] = totals.get(answer.status, 0) + 1
        totals["messages"] += len(messages)
        totals["acked"] += len(messages)
        totals["rejects"] += refused
        self._count("messages_total", len(messages))
        self._count("rejects_total", refused)
        self._count("repeated_total", sum(answer.status == "repeated" for answer in found))
        self._count("redelivered_total", sum(message.redelivered for message in messages))

    async def _watch(self) -> None:
        """Show the lag every second."""
        while True:
            await self._show_lag()
            await asyncio.sleep(LAG_EVERY_S)

    async def _show_lag(self) -> int:
        """Put the lag on the metrics page; messages that are pending in all."""
        rows = await self._stream.lag()
        for row in rows:
            self._set("pending", row.pending, row.partition)
            self._set("acked_position", row.acked, row.partition)
        oldest: dict[str, int] = {}
        for message in self._held:
            oldest.setdefault(message.partition, message.published_ms)
        for row in rows:
            first_ms = oldest.get(row.partition, 0)
            age_ms = max(0, self._tell.clock_ms() - first_ms) if first_ms else 0
            self._set("oldest_unacked_ms", age_ms, row.partition)
        return sum(row.pending for row in rows)

    def _set(self, what: str, value: int, partition: str | None = None) -> None:
        self.counters[self._key(what, partition)] = value

    def _count(self, what: str, more: int = 1) -> None:
        key = self._key(what, None)
        self.counters[key] = self.counters.get(key, 0) + more

    def _key(self, what: str, partition: str | None) -> str:
        place = "" if partition is None else f",partition={partition}"
        return f"quanheng_stream_{what}|stream={self.name}{place}"


_answers = msgspec.json.Decoder(Answered).decode


def _answered(answers: Sequence[msgspec.Raw]) -> list[Answered]:
    return [_answers(one) for one in answers]


def _small(read: Read) -> Read:
    """A message whose data is larger than any event's is refused here, before it takes the queue's room."""
    if read.fault or len(read.data) <= DATA_BYTES_MAX:
        return read
    fault = f"the message is too large; was {len(read.data)} bytes; allowed: at most {DATA_BYTES_MAX} bytes"
    return read._replace(fault=fault)


def _refused(read: Read, error: str) -> RefusedMessage:
    digest = sha256(read.data).hexdigest()
    return RefusedMessage(read.position, read.id, read.type, read.data[:DATA_BYTES_MAX], len(read.data), digest, error)
