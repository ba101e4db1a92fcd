"""The sender: takes what waits, tries it, and tells what became of it.

A message that waits is tried until it is taken, its tries are used up, it is too old, or an answer is at hand without
a try. Then its event goes to the main path, and when that is durable the message waits no more. A process that ends
before sends again what waits: at least once, under the same id. Pauses between tries double, and are shortened by up to
a half, differently for each message, so that those that failed together do not come again together.

Nothing here reads a clock or waits but through what it is given, so a test, or a simulation, makes time pass by hand.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping
from heapq import heappop, heappush
from typing import NamedTuple, Protocol

import msgspec

from quanheng.events.intake import Request
from quanheng.kernel.errors import Overloaded, QuanhengError
from quanheng.loading.declared_calls import CallDeclaration
from quanheng.outbox.answers import AnswerReader, Cache, Outcome, answered
from quanheng.outbox.breakers import Breaker
from quanheng.outbox.ports import Parcel, Port, TryFailed
from quanheng.processes.outbox import Message

ADMIT_MAX = 10_000
TELL_AGAIN_MS = 1_000
"""Pause before what became of a message is told again, where the queue in front of the writer was full."""
WAIT_MAX_S = 60.0


class Letter(NamedTuple):
    """What is sent: the body as the decision recorded it.

    name : "pack.call"
    keys : of the event that tells of it
    body : nothing = it cannot be sent; None = its subject was erased
    """

    name: str
    call: CallDeclaration
    keys: Mapping[str, str]
    body: bytes | None


class Source(Protocol):
    """Where messages wait."""

    def waiting(self, serial: int, most: int) -> list[Message]:
        """Durable messages from a serial on, in order."""

    def waits(self, message: Message) -> bool:
        """Whether it still does."""

    def call(self, message: Message) -> CallDeclaration | None:
        """Its call as the packs in force declare it; None = none does."""

    def letter(self, message: Message) -> Letter | None:
        """What is sent; None = no pack in force declares its call any more."""


Tell = Callable[[Request], Awaitable[str]]
"""Takes an event through the main path; its status when it is durable, "rejected" and why where it is refused.

Raises `Overloaded` where it should come again later."""


class Place(NamedTuple):
    """An address: the port that carries there, how many tries at once, for which channel."""

    port: Port
    channel: str
    concurrency: int = 8


class _Job:
    """One asking of a message, while it waits here."""

    __slots__ = ("detail", "message", "outcome", "reason", "tries")

    def __init__(self, message: Message) -> None:
        self.message, self.tries = message, 0
        self.reason = self.detail = ""
        self.outcome: Outcome | None = None


class Sender:
    """Sends what waits in one outbox.

    Parameters
    ----------
    places : address → port
    tell : takes events through the main path
    clock_ms : epoch milliseconds, as the log's stamps
    concurrency : tries at once in all; each address has a number of its own besides

    Attributes
    ----------
    tries : ("pack.call", "" or the reason why it failed) → tries since this process started
    stuck : messages whose event the main path refused; they wait for the next start
    """

    def __init__(
        self,
        source: Source,
        places: Mapping[str, Place],
        tell: Tell,
        clock_ms: Callable[[], int],
        concurrency: int = 32,
    ) -> None:
        self._source, self._places, self._tell, self._clock_ms = source, places, tell, clock_ms
        self._concurrency = concurrency
        self._serial = 0
        self._due: list[tuple[int, int]] = []
        self._jobs: dict[int, _Job] = {}
        self._ready: dict[str, deque[int]] = {}
        self._under_way: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()
        self._readers: dict[str, tuple[CallDeclaration, AnswerReader]] = {}
        self.breakers: dict[str, Breaker] = {}
        self.cache = Cache()
        self.tries: Counter[tuple[str, str]] = Counter()
        self.stuck: dict[str, str] = {}
        self._wake = asyncio.Event()
        self._stopping = False

    # --- the two ways to run it --------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Send until `stop`."""
        while not self._stopping:
            self._wake.clear()
            more, due_ms = self._start(), self.next_due_ms
            wait_s = WAIT_MAX_S if due_ms is None else max(0.0, min(WAIT_MAX_S, (due_ms - self._clock_ms()) / 1000))
            wait_s = 0.0 if more else wait_s  # What others wait for goes on between two pieces.
            try:
                await asyncio.wait_for(self._wake.wait(), wait_s)
            except TimeoutError:
                continue
        await self._settle()

    async def send_due(self) -> int:
        """Try what is due now, and what becomes due by that at once; how many tries and tellings there were."""
        count = 0
        while True:
            more = self._start()
            if not (self._tasks or more):
                return count
            count += len(self._tasks)
            await self._settle()

    async def _settle(self) -> None:
        if self._tasks:
            await asyncio.gather(*self._tasks)

    def wake(self) -> None:
        """Something may wait that did not: to be called when a group was committed."""
        self._wake.set()

    def stop(self) -> None:
        """Begin no more tries; `run` returns when those under way have ended."""
        self._stopping = True
        self._wake.set()

    async def close(self) -> None:
        """Give connections back."""
        for place in self._places.values():
            await place.port.close()

    @property
    def next_due_ms(self) -> int | None:
        """When something is to be tried again; None = nothing is."""
        return self._due[0][0] if self._due else None

    # --- what is tried, and when -------------------------------------------------------------------------------------

    def _start(self) -> bool:
        """Take in what is new, a bounded piece of it, and begin what is due, as far as there is room; whether there was
        anything new."""
        new = self._source.waiting(self._serial, ADMIT_MAX)
        for message in new:
            self._jobs[message.serial] = _Job(message)
            self._make_ready(message.serial)
            self._serial = message.serial + 1
        now_ms = self._clock_ms()
        while self._due and self._due[0][0] <= now_ms:
            self._make_ready(heappop(self._due)[1])
        for address, ready in self._ready.items():
            place = self._places.get(address)
            room = place.concurrency if place is not None else self._concurrency
            while ready and self._under_way[address] < room and self._under_way.total() < self._concurrency:
                self._begin(address, self._jobs[ready.popleft()])
        return bool(new)

    def _make_ready(self, serial: int) -> None:
        job = self._jobs[serial]
        call = self._source.call(job.message)
        address = call.address if call is not None else ""
        self._ready.setdefault(address, deque()).append(serial)

    def _begin(self, address: str, job: _Job) -> None:
        self._under_way[address] += 1
        task = asyncio.get_running_loop().create_task(self._handle(address, job))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _handle(self, address: str, job: _Job) -> None:
        """One try, or one telling of what became of the message."""
        try:
            if not self._source.waits(job.message):
                self._jobs.pop(job.message.serial, None)
                return
            letter = self._source.letter(job.message)
            if letter is None:
                self._park(job, "no pack in force declares its call")
                return
            if job.outcome is None:
                await self._try(address, job, letter)
            if job.outcome is not None:
                await self._told(job, letter, job.outcome)
        # The declared boundary: a fault with one message harms no other. It waits for the next start.
        except Exception as error:
            self._park(job, type(error).__name__)
        finally:
            self._under_way[address] -= 1
            self._wake.set()

    def _again(self, job: _Job, due_ms: int) -> None:
        heappush(self._due, (due_ms, job.message.serial))

    def _park(self, job: _Job, why: str) -> None:
        self.stuck[job.message.request_id] = why
        self._jobs.pop(job.message.serial, None)

    # --- one try -----------------------------------------------------------------------------------------------------

    async def _try(self, address: str, job: _Job, letter: Letter) -> None:
        call, now_ms = letter.call, self._clock_ms()
        kept = None if letter.body is None else self.cache.get(letter.name, call, letter.body, now_ms)
        if kept is not None:
            job.outcome = Outcome("cached", tries=job.tries, values=kept)
            return
        hindered = self._hindered(address, job, letter, now_ms)
        if hindered:
            self._give_up(job, letter, hindered)
            return
        breaker = self.breakers.setdefault(address, Breaker())
        opens_ms = breaker.opens_ms(call, now_ms)
        if opens_ms > now_ms:
            if call.kind == "call":
                self._give_up(job, letter, "circuit_open")
            else:
                job.reason = "circuit_open"
                self._again(job, self._before_given_up(job, call, opens_ms))
            return
        breaker.begin(call)
        job.tries += 1
        try:
            values = await self._carry(address, job, letter, now_ms)
        except TryFailed as error:
            breaker.end(error.reason, self._clock_ms())
            self._failed(job, letter, error)
            return
        except BaseException:
            breaker.leave()
            raise
        breaker.end("", self._clock_ms())
        self.tries[letter.name, ""] += 1
        if call.kind == "call":
            self.cache.put(letter.name, call, letter.body or b"", self._clock_ms(), values)
        job.outcome = Outcome("answered" if call.kind == "call" else "sent", tries=job.tries, values=values)

    def _hindered(self, address: str, job: _Job, letter: Letter, now_ms: int) -> str:
        """Why it is not tried at all; nothing where it is."""
        call, place = letter.call, self._places.get(address)
        if letter.body is None:
            return "erased"
        if not letter.body:
            return "unsendable"
        if place is None or place.channel != call.channel:
            return "unknown_address"
        if 0 <= call.give_up_ms <= now_ms - job.message.received_ms:
            return "too_old"
        return ""

    async def _carry(self, address: str, job: _Job, letter: Letter, now_ms: int) -> dict[str, msgspec.Raw]:
        """Hand the message to its port; the fields of its answer.

        Raises
        ------
        TryFailed : it was not taken, or its answer does not fit
        """
        call, timeout_s = letter.call, letter.call.timeout_ms / 1000
        parcel = Parcel(job.message.id.hex(), letter.name, letter.body or b"", now_ms // 1000, timeout_s)
        try:
            body = await asyncio.wait_for(self._places[address].port.send(parcel), timeout_s)
        except TimeoutError as error:
            raise TryFailed("no answer came in time", "timed_out", found=f"{call.timeout_ms} ms") from error
        except TryFailed:
            raise
        # The declared boundary: a port may be anybody's, and its faults are those of a try.
        except Exception as error:
            raise TryFailed("the port failed", "unreachable", found=type(error).__name__) from error
        return self._reader(letter).read(body) if call.kind == "call" else {}

    def _reader(self, letter: Letter) -> AnswerReader:
        kept = self._readers.get(letter.name)
        if kept is None or kept[0] is not letter.call:
            kept = self._readers[letter.name] = letter.call, AnswerReader(letter.call)
        return kept[1]

    def _failed(self, job: _Job, letter: Letter, error: TryFailed) -> None:
        """Try again later, or not at all."""
        call, now_ms = letter.call, self._clock_ms()
        job.reason, job.detail = error.reason, str(error)
        self.tries[letter.name, error.reason] += 1
        if error.final or job.tries >= call.tries:
            self._give_up(job, letter, error.reason)
            return
        pause_ms = max(pause_of(call, job.message.id, job.tries), min(error.pause_ms, call.backoff_max_ms))
        self._again(job, self._before_given_up(job, call, now_ms + pause_ms))

    def _before_given_up(self, job: _Job, call: CallDeclaration, due_ms: int) -> int:
        """A try that would come too late is not waited for longer than until it is known that it does."""
        return due_ms if call.give_up_ms < 0 else min(due_ms, job.message.received_ms + call.give_up_ms)

    def _give_up(self, job: _Job, letter: Letter, reason: str) -> None:
        call = letter.call
        stands = call.kind == "call" and call.fallback is not None and reason != "erased"
        result = "dead" if call.kind == "notify" else "fallback" if stands else "failed"
        values = call.fallback or {} if stands else {}
        job.outcome = Outcome(result, reason, job.detail, job.tries, values)

    # --- what became of it -------------------------------------------------------------------------------------------

    async def _told(self, job: _Job, letter: Letter, outcome: Outcome) -> None:
        try:
            status = await self._tell(answered(job.message, letter.call, letter.keys, outcome, self._clock_ms()))
        except Overloaded:
            self._again(job, self._clock_ms() + TELL_AGAIN_MS)
            return
        except QuanhengError as error:  # The writer is gone: after its start the message is sent again.
            self._park(job, str(error))
            return
        if status.startswith("rejected"):
            self._park(job, status)
        self._jobs.pop(job.message.serial, None)

    # --- figures -----------------------------------------------------------------------------------------------------

    def held(self, message: Message) -> tuple[int, str, str]:
        """Tries, and the newest reason and detail, of a message that waits here."""
        job = self._jobs.get(message.serial)
        return (job.tries, job.reason, job.detail) if job is not None else (0, "", "")

    def metrics(self) -> dict[str, object]:
        """Figures for a metrics page."""
        failed: Counter[str] = Counter()
        for (_, reason), count in self.tries.items():
            failed[reason or "taken"] += count
        return {
            "outbox_tries": dict(failed),
            "outbox_under_way": self._under_way.total(),
            "outbox_stuck": len(self.stuck),
            "outbox_failures_in_a_row": {address: one.failures for address, one in self.breakers.items()},
        }


def pause_of(call: CallDeclaration, id: bytes, tries: int) -> int:
    """Pause behind the so-many-th try of a message that failed, in ms: doubled each time, then less up to a half of it
    that the message's id decides."""
    whole_ms = min(call.backoff_max_ms, call.backoff_ms << min(tries - 1, 40))
    drawn = hashlib.blake2b(id + tries.to_bytes(4, "little"), digest_size=4, person=b"quanheng pause").digest()
    return whole_ms - (whole_ms * int.from_bytes(drawn, "little") >> 33)
