"""The core: the one process, and the one loop, that owns the writer.

Requests wait in a bounded queue. While one group is being made durable by the committer thread, the next one collects
and is prepared: the slower the disk, the larger the groups. Nobody is answered before the commit. A failed commit stops
the process: the log is the truth.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec

from quanheng.kernel.errors import LogError, QueueFull
from quanheng.server import wire
from quanheng.server.answers import STOPPING, OperationFailed, failed, ours, refusal
from quanheng.server.config import Limits
from quanheng.server.connection import Link, Waiting
from quanheng.server.engines import READ, WATCH, WRITE, Engine, Reply
from quanheng.server.event_answers import answer_of
from quanheng.server.ledger_core import TICK_S, Group, LedgerDesk
from quanheng.server.logs import Log
from quanheng.server.metrics import EVENTS, SECONDS, Metrics, counted_as, flatten
from quanheng.server.operations import Operations
from quanheng.server.pace import Pace

TIMER_TICK_S = 0.1
"""How often timers that are due are looked for where no caller comes."""


class Core:
    """Collects, commits and answers.

    Parameters
    ----------
    engine : owner of log and state
    request : builds a request: (client, id, type, data, deadline_ms)
    limits : queue and group sizes
    clock_ms : wall clock in UTC milliseconds, for log lines only; the engine stamps requests itself
    log : structured log
    """

    def __init__(
        self, engine: Engine, request: Callable[..., Any], limits: Limits, clock_ms: Callable[[], int], log: Log
    ) -> None:
        self.engine, self.limits, self.links = engine, limits, set[Link]()
        self._request, self._clock_ms, self._log = request, clock_ms, log
        self._queue: deque[Waiting] = deque()
        self._queued_events = self._queued_bytes = 0
        self._wake = asyncio.Event()
        self._operations = Operations(engine, limits.retry_after_s, self._wake.set, self.complain)
        self._desk = LedgerDesk(engine, limits, self._wake.set)
        self._pace = Pace(limits.group_events_max)
        self._in_flight = 0  # Events and transfers of the group that is being committed; 0 = none is.
        self._stopping = False
        self._unavailable: wire.Answer | None = None
        self._committer = ThreadPoolExecutor(1, thread_name_prefix="quanheng-commit")
        self.failure: BaseException | None = None
        self.metrics = Metrics()
        self._commit_s = self.metrics.histogram("quanheng_commit_seconds", SECONDS, "Durable append of one group.")
        self._prepare_s = self.metrics.histogram("quanheng_prepare_seconds", SECONDS, "Deciding one group in memory.")
        self._answer_s = self.metrics.histogram(
            "quanheng_answer_seconds", SECONDS, "Arrival of a request at the core until its answer."
        )
        self._group_events = self.metrics.histogram(
            "quanheng_group_events", EVENTS, "Events that shared one durable append."
        )

    # --- frames in -------------------------------------------------------------------------------------------------

    def receive(self, link: Link, kind: int, number: int, body: bytes) -> None:
        """Handle one frame of an edge."""
        if kind == wire.Kind.EVENTS:
            self._receive_events(link, number, wire.decode_events(body), len(body))
        elif kind in (wire.Kind.ADMIN, wire.Kind.LEDGER):
            if self._unavailable:
                link.answer(number, self._unavailable)
            else:
                door = self._desk if kind == wire.Kind.LEDGER else self._operations
                door.receive(link, number, wire.decode_admin(body))
        elif kind == wire.Kind.STATS:
            link.counters = msgspec.msgpack.decode(body, type=wire.Stats).counters
        else:
            link.answer(number, self._read(kind, wire.decode_query(body)))

    def _receive_events(self, link: Link, number: int, asked: wire.Events, size: int) -> None:
        if self._unavailable:
            link.answer(number, self._unavailable)
            return
        try:
            client = self.engine.authorise(asked.token, WRITE)
            # The edge told the deadline by the machine's clock; the writer compares it with its own stamps.
            deadline_ms = asked.deadline_ms and asked.deadline_ms + self.engine.clock_ahead_ms()
            if asked.positions:
                pairs = zip(asked.events, asked.positions, strict=True)
                requests = [self._request(client, *event, deadline_ms, position) for event, position in pairs]
            else:
                requests = [self._request(client, id, type, data, deadline_ms) for id, type, data in asked.events]
            if asked.dry_run:
                replies = self.engine.dry_run(requests)
                link.answer(number, answer_of(replies, asked.single, dry_run=True))
                return
            self._check_room(len(requests), size)
        except Exception as error:  # The declared boundary: a fault of a dry run harms nobody else.
            link.answer(number, refusal(ours(error, "events"), self.limits.retry_after_s))
            return
        self._queue.append(Waiting(link, number, requests, asked.single, time.perf_counter(), size))
        self._queued_events += len(requests)
        self._queued_bytes += size
        if not self._in_flight or self._worthwhile():
            self._wake.set()

    def take(self, link: Link, number: int, request: Any) -> None:
        """An event of a part of this process: it waits like those of clients, and is answered to `link`."""
        if self._unavailable:
            link.answer(number, self._unavailable)
            return
        size = len(request.data)
        try:
            self._check_room(1, size)
        except QueueFull as error:
            link.answer(number, refusal(error, self.limits.retry_after_s))
            return
        self._queue.append(Waiting(link, number, [request], True, time.perf_counter(), size))
        self._queued_events += 1
        self._queued_bytes += size
        if not self._in_flight or self._worthwhile():
            self._wake.set()

    def _check_room(self, events: int, size: int) -> None:
        """Refuse what the queue has no room for; one request that is larger than the queue passes when it is empty."""
        limits = self.limits
        for waiting, more, allowed, what in (
            (self._queued_events, events, limits.queue_events_max, "events"),
            (self._queued_bytes, size, limits.queue_bytes_max, "bytes"),
        ):
            if self._queue and waiting + more > allowed:
                self.metrics.count("quanheng_queue_full_total")
                raise QueueFull(
                    "the queue in front of the writer is full; nothing was written",
                    found=f"{waiting} {what} waiting and {more} more",
                    allowed=f"{allowed} {what} (limits.queue_{what}_max)",
                    cure=f"Send again after {limits.retry_after_s} s, or send less at once.",
                )

    def _read(self, kind: int, query: wire.Query) -> wire.Answer:
        """Answer a read from committed state; a read that fails says why and harms nothing."""
        try:
            if kind == wire.Kind.HEALTH:
                return self._health()
            if kind == wire.Kind.METRICS:
                return wire.Answer(200, self._metrics_text().encode())
            self.engine.authorise(query.token, WATCH if kind == wire.Kind.PROOF else READ)
            if kind == wire.Kind.PROOF:
                return wire.Answer(200, self.engine.prove(query.name, query.offset, query.limit))
            if kind == wire.Kind.DECISION:
                return wire.Answer(200, _json(self.engine.decision(query.offset)))
            if kind == wire.Kind.REJECTS:
                return wire.Answer(200, _json(self.engine.rejects(after=query.offset, limit=query.limit)))
            if kind == wire.Kind.POLICIES:
                return wire.Answer(200, _json(self.engine.versions(query.name)))
        except Exception as error:  # The declared boundary: a read that fails harms nobody else.
            return refusal(ours(error, "read"), self.limits.retry_after_s)
        return wire.Answer(404, _json({"error": f"frame kind {kind} is unknown to this core"}))

    def _health(self) -> wire.Answer:
        state = "failed" if self.failure else "stopping" if self._stopping else "ok"
        body = {"status": state, "queue_events": self._queued_events, **self.engine.health()}
        return wire.Answer(200 if state == "ok" else 503, _json(body))

    def _metrics_text(self) -> str:
        gauges = flatten("quanheng_engine", self.engine.metrics())
        gauges["quanheng_queue_events", ()] = self._queued_events
        gauges["quanheng_queue_bytes", ()] = self._queued_bytes
        gauges["quanheng_links", ()] = len(self.links)
        for link in self.links:
            for key, value in link.counters.items():
                counted = counted_as(key)
                gauges[counted] = gauges.get(counted, 0) + value
        self.metrics.gauges = gauges
        return self.metrics.text()

    # --- groups out ------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Commit groups until `stop` is called and the queue is empty, or until a commit fails (see `failure`)."""
        committing: asyncio.Task[None] | None = None
        group: list[Waiting] = []
        ticking = asyncio.create_task(self._tick())
        try:
            while await self._something_waits(committing):
                if self._operations:  # They append by themselves, so no group may be in flight.
                    if committing:
                        await committing
                    self._operations.carry_out()
                    continue
                await asyncio.sleep(0)  # Let frames that have already arrived join this group.
                group = self._take()
                started = time.perf_counter()
                requests = [request for waiting in group for request in waiting.requests]
                if self._tells:
                    requests += self.engine.prompting.requests(beside=bool(requests or self._desk))
                pending = self.engine.prepare(requests) if requests or self._fires or not self._desk else None
                prepared_s = time.perf_counter() - started
                self._prepare_s.add(prepared_s)
                self._pace.decided(prepared_s)
                posted = self._desk.prepare(pending) if self._desk else None
                if committing:
                    await committing
                self._in_flight = len(requests) + (posted.rows if posted else 0)
                committing = asyncio.create_task(self._commit(posted.pending if posted else pending, group, posted))
                group = []
                await asyncio.sleep(0)
            if committing:
                await committing
        except BaseException as error:  # Declared boundary: whatever breaks the writer stops it; see DESIGN, fail-stop.
            if committing and not committing.done():  # `prepare` broke; the group before it may still become durable.
                await asyncio.wait([committing])
            self._fail(error, group)
            if not isinstance(error, Exception):
                raise
        finally:
            ticking.cancel()
            self._operations.close(failed() if self.failure else STOPPING)
            self._desk.close(failed() if self.failure else STOPPING)
            self._committer.shutdown(wait=True)

    def stop(self) -> None:
        """Refuse new events, finish what is queued, then let `run` return."""
        self._stopping = True
        self._unavailable = self._unavailable or STOPPING
        self._wake.set()

    async def _tick(self) -> None:
        steps = max(1, round(TICK_S / TIMER_TICK_S))
        while True:
            for _ in range(steps):
                await asyncio.sleep(TICK_S / steps)
                if self._tells:
                    self._wake.set()
            self._desk.tick()

    async def _something_waits(self, committing: asyncio.Task[None] | None) -> bool:
        """Wait for the next group (see `Pace`); False when there will be none.

        The next group is prepared ahead, while one commits, only when it is large enough. Else it goes on collecting
        until the commit is over, and then a little longer for callers who were just answered.
        """
        loop, give_up_s = asyncio.get_running_loop(), 0.0
        while not self._operations and not self._worthwhile():
            if committing and committing.done():
                committing.result()  # A commit that failed is heard of at once, not with the next request.
            if self._stopping:
                return bool(self._queue or self._desk)
            self._wake.clear()
            if self._queue and not self._in_flight:
                give_up_s = give_up_s or loop.time() + self._pace.wait_s
                if loop.time() >= give_up_s:
                    return True
                loop.call_at(give_up_s, self._wake.set)
            await self._wake.wait()
        return True

    def _worthwhile(self) -> bool:
        """Whether a group is worth its cost: enough events, or any transfers that no commit keeps from the disk."""
        if self._tells and not self._in_flight:
            return True
        if self._desk and (not self._in_flight or self._desk.rows >= self._in_flight):
            return True
        return bool(self._queue) and self._queued_events >= self._pace.wanted(self._queued_events, self._in_flight)

    @property
    def _tells(self) -> bool:
        """Whether the platform itself has something to say; what is left when the process stops is said after its
        start."""
        return self.engine.prompting is not None and not self._stopping and self.engine.prompting.waits

    @property
    def _fires(self) -> bool:
        """Whether a timer of a process waits for the next group."""
        return self.engine.prompting is not None and self.engine.prompting.is_due

    def _take(self) -> list[Waiting]:
        """The next group: whole requests, at most as many events as `Pace` says, but at least one request."""
        group: list[Waiting] = []
        events, events_max = 0, self._pace.take(self._queued_events, self._in_flight)
        while self._queue and (not group or events + len(self._queue[0].requests) <= events_max):
            waiting = self._queue.popleft()
            events += len(waiting.requests)
            self._queued_bytes -= waiting.bytes
            group.append(waiting)
        self._queued_events -= events
        return group

    async def _commit(self, pending: Any, group: list[Waiting], posted: Group | None) -> None:
        started = time.perf_counter()
        try:
            replies = await asyncio.get_running_loop().run_in_executor(self._committer, self.engine.commit, pending)
        except BaseException:  # The callers of this group must hear of it; `run` then stops everything.
            self._answer_all(group, failed())
            self._desk.close(failed())
            raise
        finally:
            self._in_flight = 0
            asyncio.get_running_loop().call_soon(self._wake.set)  # When this task is done, not before.
        ended = time.perf_counter()
        self._commit_s.add(ended - started)
        if posted:
            self._desk.committed(posted)
        else:
            self._desk.release()
        self._group_events.add(len(replies))
        position, links = 0, set()
        for waiting in group:
            end = position + len(waiting.requests)
            waiting.link.answer(waiting.number, answer_of(replies[position:end], waiting.single))
            links.add(waiting.link)
            position = end
            self._answer_s.add(ended - waiting.arrived_s)
        for link in links:
            link.flush()
        self._count(replies)

    def _count(self, replies: Sequence[Reply]) -> None:
        count = self.metrics.counters
        for reply in replies:
            count["quanheng_events_total", (("status", reply.status),)] += 1
            if reply.outcome and reply.status != "repeated":
                count["quanheng_decisions_total", (("outcome", reply.outcome),)] += 1

    # --- failure ---------------------------------------------------------------------------------------------------

    def _fail(self, error: BaseException, group: list[Waiting]) -> None:
        """Remember the failure and tell every caller that waits; nothing is accepted any more."""
        self.failure = error
        self._unavailable = failed()
        self._answer_all([*group, *self._queue], self._unavailable)
        self._queue.clear()
        self._queued_events = self._queued_bytes = 0
        self.complain("error", "fail_stop", error)

    def _answer_all(self, group: list[Waiting], answer: wire.Answer) -> None:
        for waiting in group:
            waiting.link.answer(waiting.number, answer)
        for link in {waiting.link for waiting in group}:
            link.flush()

    def complain(self, level: str, event: str, error: BaseException) -> None:
        """A log line about an error: the sentence of ours, the class of foreign ones, whose text may hold values."""
        told = isinstance(error, LogError | OperationFailed | wire.WireError)
        text = {"message": str(error)} if told else {}
        self._log.write(level, event, self._clock_ms(), error_class=type(error).__name__, **text)


_json = msgspec.json.Encoder(decimal_format="number").encode
