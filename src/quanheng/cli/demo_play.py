"""Plays a pack's processes on one durable log: events, timers at their moments, messages over real HTTP, answers."""

from __future__ import annotations

import asyncio
import datetime as dt
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from heapq import heappop, heappush
from typing import Any

import msgspec

from quanheng.advancing import MovedClock, carry_out, next_ms, pending_ms
from quanheng.cli.demo_receiver import Answer, Receiver, serving
from quanheng.engine import Engine
from quanheng.events.intake import Request
from quanheng.kernel.errors import InputError, LogError
from quanheng.kernel.time import format_time, parse_duration_ms
from quanheng.listing import AskedChange
from quanheng.outbox.addresses import AddressSettings
from quanheng.outbox.http_port import HttpPort
from quanheng.outbox.sender import Place, Sender
from quanheng.outbox.source import EngineSource

FILE = "demo.toml"
CLIENT = "demo"
SECRET_ENV, SECRET = "QUANHENG_DEMO_SECRET", b"known to the demo and its partners alone"
CHANNELS = ("http", "webhook")
"""Channels that the partners of a demo understand."""


class PlayedEvent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An event that is sent at a moment."""

    at: dt.datetime
    type: str
    data: dict[str, Any]


class Script(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole of demo.toml.

    lists : what stands on lists of the pack from the start
    end : process → id → state, or list of "part.state", that the instance has come to; "" = there is none
    """

    start: dt.datetime
    event: list[PlayedEvent]
    end: dict[str, dict[str, str | list[str]]]
    answer: list[Answer] = []
    lists: dict[str, list[str]] = {}


def script_of(files: dict[str, bytes], pack: str) -> Script:
    """What a pack plays.

    Raises
    ------
    InputError : it plays nothing, or what it plays cannot be read
    """
    if FILE not in files:
        raise InputError(
            "the pack plays no processes",
            where=pack,
            found=f"no {FILE}",
            allowed=f"a pack with {FILE}",
            cure="Play its traffic: leave --process out.",
        )
    try:
        return msgspec.convert(tomllib.loads(files[FILE].decode("utf-8")), Script)
    except (msgspec.ValidationError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError("what the pack plays cannot be read", where=f"{pack}, {FILE}", found=str(error)) from None


class Stage:
    """An engine with its partners, and a clock that goes from one thing that happens to the next."""

    def __init__(self, engine: Engine, clock: MovedClock, script: Script, url: str, receiver: Receiver) -> None:
        self.engine, self.clock, self.receiver = engine, clock, receiver
        self._queue: list[tuple[int, int, str, dict[str, Any]]] = []
        self._n = 0
        for one in script.event:
            self._put(ms_of(one.at), one.type, one.data)
        self.sender = Sender(EngineSource(engine), self._places(url), self._tell, clock)
        self._runner = asyncio.Runner()

    def _put(self, at_ms: int, type: str, data: dict[str, Any]) -> None:
        self._n += 1
        heappush(self._queue, (at_ms, self._n, type, data))

    def _places(self, url: str) -> dict[str, Place]:
        environment = {SECRET_ENV: SECRET.decode()}
        places = {}
        for pack in self.engine.state.program.packs.values():
            for call in pack.calls.calls:
                if call.channel in CHANNELS and call.address not in places:
                    secret = SECRET_ENV if call.channel == "webhook" else ""
                    settings = AddressSettings(call.channel, f"{url}/{call.address}", secret_env=secret)
                    port = HttpPort(call.address, settings, environment)
                    places[call.address] = Place(port, call.channel, settings.concurrency)
        return places

    async def _tell(self, request: Request) -> str:
        reply = self.engine.submit([request])[0]
        return f"{reply.status}: {reply.error}" if reply.error else reply.status

    def play(self) -> Iterator[int]:
        """Let everything happen; gives each moment at which something did."""
        while True:
            self._runner.run(self.sender.send_due())
            for answer in self.receiver.back:
                self._put(self.clock() + parse_duration_ms(answer.after), answer.event, answer.data)
            self.receiver.back.clear()
            moments = [one for one in (pending_ms(self.engine), self.sender.next_due_ms) if one is not None]
            moments += [self._queue[0][0]] if self._queue else []
            if not moments:
                return
            job_ms = self.engine.jobs.next_due_ms
            moments += [job_ms] if job_ms is not None else []
            self.clock.now_ms = max(self.clock.now_ms, min(moments))
            yield self.clock.now_ms
            self._happen()

    def _happen(self) -> None:
        """What is due at the moment at which the clock stands: timers first, then events, one after another."""
        head = self.engine.log.head
        carry_out(self.engine)
        while self._queue and self._queue[0][0] <= self.clock.now_ms:
            _, number, type, data = heappop(self._queue)
            id = f"{CLIENT}-{number}"
            told = {"time_ms": self.clock.now_ms, **data}
            reply = self.engine.submit([Request(CLIENT, id, type, msgspec.json.encode(told))])[0]
            if reply.error:
                raise InputError("what the pack plays is refused", where=f"{FILE}, {type}", found=reply.error)
        due_ms, sends_ms = next_ms(self.engine), self.sender.next_due_ms
        if self.engine.log.head == head and due_ms == self.clock.now_ms and sends_ms != self.clock.now_ms:
            raise LogError("what is due does not happen", where=FILE, found=format_time(due_ms))

    def close(self) -> None:
        """Give connections back."""
        self._runner.run(self.sender.close())
        self._runner.close()


@contextmanager
def staged(engine: Engine, clock: MovedClock, script: Script) -> Iterator[Stage]:
    """A stage with its partners on loopback."""
    for name, values in script.lists.items():
        asked = AskedChange(name, "add", tuple(values), CLIENT)
        engine.lists.change(engine.lists.prepare(asked), engine.four_eyes)
    receiver = Receiver(script.answer, SECRET, lambda: clock.now_ms // 1000)
    with serving(receiver) as url:
        stage = Stage(engine, clock, script, url, receiver)
        try:
            yield stage
        finally:
            stage.close()


def ms_of(moment: dt.datetime) -> int:
    """Epoch milliseconds; a moment without a zone is of UTC."""
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=dt.UTC)
    return int(aware.timestamp() * 1000)
