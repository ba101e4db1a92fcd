"""The edge's connections to the core: a few, persistent, shared by all requests of the process."""

from __future__ import annotations

import asyncio
import contextlib
import time
from itertools import count
from pathlib import Path
from typing import cast

import msgspec

from quanheng.kernel.errors import Overloaded
from quanheng.server import wire

RECONNECT_S = 0.1
SWEEP_S = 0.05
STATS_S = 1.0


class CoreUnavailable(Overloaded):
    """The core is not running, stopped in between, or did not answer in time."""


class CoreLink(asyncio.Protocol):
    """One connection. Frames of one turn of the loop leave in one write."""

    def __init__(self) -> None:
        self._reader = wire.Reader()
        self._transport: asyncio.Transport | None = None
        self._out: list[bytes] = []
        self._numbers = count(1)
        self._waiting: dict[int, tuple[asyncio.Future[wire.Answer], float]] = {}
        self._loop = asyncio.get_running_loop()
        self.lost = self._loop.create_future()

    @property
    def connected(self) -> bool:
        """Whether frames can be sent now."""
        return self._transport is not None and not self._transport.is_closing()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The core has accepted the connection."""
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Everything that waits fails: nobody knows whether the core had recorded it."""
        self._transport = None
        for future, _ in self._waiting.values():
            if not future.done():
                future.set_exception(_gone())
        self._waiting.clear()
        if not self.lost.done():
            self.lost.set_result(None)

    def data_received(self, data: bytes) -> None:
        """Answers, in any pieces."""
        try:
            for _, number, body in self._reader.feed(data):
                future, _ = self._waiting.pop(number, (None, 0.0))
                if future is not None and not future.done():
                    future.set_result(wire.decode_answer(body))
        except (wire.WireError, msgspec.DecodeError):
            self.close()

    def ask(self, kind: int, body: msgspec.Struct, timeout_s: float) -> asyncio.Future[wire.Answer]:
        """Send a frame at the end of this turn of the loop; the future holds the answer, or `CoreUnavailable`.

        Parameters
        ----------
        kind : a `wire.Kind`
        body : its body
        timeout_s : seconds after which nobody waits any more (checked every `SWEEP_S`)
        """
        future = self._loop.create_future()
        number = next(self._numbers) & 0xFFFFFFFF
        self._waiting[number] = (future, time.monotonic() + timeout_s)
        self.tell(kind, body, number)
        return future

    def tell(self, kind: int, body: msgspec.Struct, number: int = 0) -> None:
        """Send a frame that is not answered."""
        if not self._out:
            self._loop.call_soon(self._flush)
        self._out.append(wire.frame(kind, number, body))

    def sweep(self, now_s: float) -> None:
        """Give up on everything whose time has come."""
        late = [number for number, (_, until_s) in self._waiting.items() if until_s <= now_s]
        for number in late:
            future, _ = self._waiting.pop(number)
            if not future.done():
                future.set_exception(_too_late())

    def close(self) -> None:
        """Close the connection."""
        if self._transport:
            self._transport.close()

    def _flush(self) -> None:
        out, self._out = self._out, []
        if self._transport and not self._transport.is_closing():
            self._transport.write(out[0] if len(out) == 1 else b"".join(out))


class CorePool:
    """Keeps `links` connections to the core open, and spreads requests over them.

    Parameters
    ----------
    path : Unix socket of the core
    links : number of connections
    counters : numbers of this process ("metric|reason" -> count) reported to the core once a second when they change
    """

    def __init__(self, path: Path, links: int, counters: dict[str, int] | None = None) -> None:
        self._path, self._count = path, links
        self._links: list[CoreLink] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._turn = 0
        self.counters = counters if counters is not None else {}

    async def open(self) -> None:
        """Start connecting; returns when the first attempt of every connection is over."""
        first = [asyncio.Event() for _ in range(self._count)]
        self._tasks = [asyncio.create_task(self._keep(event)) for event in first]
        self._tasks.append(asyncio.create_task(self._tick()))
        for event in first:
            await event.wait()

    async def close(self) -> None:
        """Close every connection and stop reconnecting."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for link in self._links:
            link.close()

    def ask(self, kind: int, body: msgspec.Struct, timeout_s: float) -> asyncio.Future[wire.Answer]:
        """The core's answer, to be awaited.

        Raises
        ------
        CoreUnavailable : no connection, the connection broke, or no answer in time
        """
        links = self._links
        if not links:
            raise _gone()
        self._turn += 1
        return links[self._turn % len(links)].ask(kind, body, timeout_s)

    async def _keep(self, tried: asyncio.Event) -> None:
        """Hold one connection open, for ever."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                _, link = await loop.create_unix_connection(CoreLink, str(self._path))
            except OSError:
                tried.set()
                await asyncio.sleep(RECONNECT_S)
                continue
            self._links.append(link)
            tried.set()
            try:
                await asyncio.shield(link.lost)
            finally:
                self._links.remove(link)
                link.close()

    async def _tick(self) -> None:
        """Give up on late answers; report counters."""
        reported: dict[str, int] = {}
        next_report_s = 0.0
        while True:
            await asyncio.sleep(SWEEP_S)
            now_s = time.monotonic()
            for link in self._links:
                link.sweep(now_s)
            if now_s >= next_report_s and self._links and self.counters != reported:
                next_report_s = now_s + STATS_S
                reported = dict(self.counters)
                with contextlib.suppress(IndexError):
                    self._links[0].tell(wire.Kind.STATS, wire.Stats(reported))


def _gone() -> CoreUnavailable:
    return CoreUnavailable(
        "the core is not reachable; whether the events of this request were recorded is not known",
        cure="Send them again with the same ids in a moment: what was recorded is answered once, not twice.",
    )


def _too_late() -> CoreUnavailable:
    return CoreUnavailable(
        "the core did not answer before the deadline; whether the events of this request were recorded is not known",
        cure="Send them again with the same ids, or allow more time with the header X-Request-Timeout-Ms.",
    )
