"""The outbox beside a running server: a task that sends what waits; what became of it enters the core's queue.

A new group wakes it. When the server stops, tries under way are ended; what is not told then is sent again after the
next start.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from typing import Any, cast

import msgspec

from quanheng.events.intake import Request
from quanheng.kernel.errors import QueueFull
from quanheng.outbox.ports import make_port
from quanheng.outbox.sender import Place, Sender
from quanheng.outbox.source import EngineSource
from quanheng.server import wire
from quanheng.server.config import Config
from quanheng.server.connection import Link
from quanheng.server.core import Core

LOOK_S = 0.05
"""How often it looks whether something new is durable."""


class _Told:
    """What asks the core on behalf of the outbox, in place of a connection."""

    def __init__(self) -> None:
        self.counters: dict[str, int] = {}
        self._answers: dict[int, asyncio.Future[wire.Answer]] = {}
        self._number = 0

    def expect(self) -> tuple[int, asyncio.Future[wire.Answer]]:
        """The number of the next request, and its answer to come."""
        self._number += 1
        answer = self._answers[self._number] = asyncio.get_running_loop().create_future()
        return self._number, answer

    def answer(self, number: int, answer: wire.Answer) -> None:
        """The core answers."""
        waits = self._answers.pop(number, None)
        if waits is not None and not waits.done():
            waits.set_result(answer)

    def flush(self) -> None:
        """Nothing is kept back."""


def places_of(config: Config) -> dict[str, Place]:
    """The configured addresses with their ports.

    Raises
    ------
    ConfigurationError, MissingExtra : an address cannot be used as it is configured
    """
    return {
        name: Place(make_port(name, one, os.environ), one.channel, one.concurrency)
        for name, one in config.outbox.addresses.items()
    }


def outgoing(config: Config, places: Mapping[str, Place], engine: Any, core: Core) -> Sender:
    """The sender of a server's outbox, to `places_of` the configuration."""
    link = _Told()

    async def tell(request: Request) -> str:
        number, answer = link.expect()
        core.take(cast(Link, link), number, request)
        told = await answer
        if told.status == 503:
            raise QueueFull("the core does not take what became of messages", found=f"status {told.status}")
        reply = msgspec.json.decode(told.body, type=dict[str, Any])
        return f"{reply.get('status', told.status)}: {reply['error']}" if reply.get("error") else str(reply["status"])

    sender = Sender(EngineSource(engine), places, tell, engine.writer.stamp, config.outbox.concurrency)
    engine.outbox.held, engine.outbox.more_metrics = sender.held, sender.metrics
    return sender


async def send_outgoing(config: Config, places: Mapping[str, Place], engine: Any, core: Core) -> None:
    """Send what the engine's outbox holds until this is cancelled; nothing where it has none."""
    if engine.outbox is None:
        return
    sender = outgoing(config, places, engine, core)
    running = asyncio.create_task(sender.run())
    head = -1
    try:
        while not running.done():
            if engine.log.head != head:
                head = engine.log.head
                sender.wake()
            await asyncio.sleep(LOOK_S)
        running.result()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await sender.close()
