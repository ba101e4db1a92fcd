"""Streams under seeded faults: broken connections, lost acknowledgements, late and repeated deliveries, a writer
without room, readers and writers killed between any two steps. The engine, its log and its index are real.

Each message that was acknowledged has exactly one event, or exactly one reject; and what was decided, vectors included,
equals what direct intake gives for the same requests in the same order.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from random import Random

import msgspec
import pytest

from quanheng.engine import Engine
from quanheng.events.intake import Request
from quanheng.events.stream import StreamSettings
from quanheng.kernel.errors import QueueFull
from quanheng.refusing import refuse_messages
from quanheng.server.consumer import Consumer, Tell
from quanheng.testing.memory_stream import MemoryBroker, MemoryStream

sys.path.insert(0, str(Path(__file__).parents[2] / "unit" / "path"))
from shop import T0, HandClock, packs

MESSAGES = 120
CLIENT = "stream"


class Killed(BaseException):
    """The process is gone between two steps."""


class EnginePort:
    """The way to an engine in this process, which is away, full, or killed when the seed says so."""

    def __init__(self, engine, chance, share):
        self.engine, self.chance, self.share = engine, chance, share

    def _fault(self):
        drawn = self.chance.random()
        if drawn < self.share / 2:
            raise QueueFull("full")
        if drawn < self.share:
            raise Killed

    async def take(self, events, positions):
        self._fault()
        requests = [Request(CLIENT, *event, 0, place) for event, place in zip(events, positions, strict=True)]
        replies = self.engine.submit(requests)
        self._fault()  # Durable, and nobody hears of it.
        return [msgspec.Raw(msgspec.json.encode(reply)) for reply in replies]

    async def refuse(self, messages):
        self._fault()
        refuse_messages(self.engine.writer, CLIENT, messages)
        self._fault()


def data(chance, number):
    fields = {
        "time_ms": T0 - MESSAGES + number,
        "customer": chance.choice("abcd"),
        "amount_minor": chance.randrange(1, 900_000),
        "currency": "EUR",
    }
    return json.dumps(fields).encode()


def message(chance, number, taken):
    """One message: its bytes, and the request it is, or None for what is no event."""
    id, body = f"r{number}", data(chance, number)
    match chance.randrange(12):
        case 0:
            return b"{no json", None
        case 1:
            return b'{"id":"%b","type":"no.such","data":{}}' % id.encode(), None
        case 2:
            return b'{"id":"%b","type":"shop.request","data":{"customer":5}}' % id.encode(), None
        case 3:
            return b'{"type":"shop.request","data":%b}' % body, None
        case 4:
            return b'{"id":"%b","type":"shop.request","data":{"x":"%b"}}' % (id.encode(), b"y" * 70_000), None
        case 5 if taken:
            old = chance.choice(taken)
            return b'{"id":"%b","type":"shop.request","data":%b}' % (old.id.encode(), body), None  # Other content.
        case 6 if taken:
            old = chance.choice(taken)
            return b'{"id":"%b","type":"shop.request","data":%b}' % (old.id.encode(), old.data), old
    request = Request(CLIENT, id, "shop.request", body)
    taken.append(request)
    return b'{"id":"%b","type":"shop.request","data":%b}' % (id.encode(), body), request


async def no_wait(_):
    await asyncio.sleep(0)


def consumed(broker, settings, engine, chance, share):
    """One life of a reader: until all is acknowledged (True), or it is killed (False)."""
    tell = Tell(lambda *_: None, no_wait, lambda: T0, lambda: 0.0)
    consumer = Consumer("s", settings, MemoryStream(broker), EnginePort(engine, chance, share), {}, tell)
    try:
        asyncio.run(consumer.run(until_empty=True))
    except Killed:
        return False
    return True


def opened(folder):
    engine = Engine.open(folder / "data", clock=HandClock())
    if engine.state.program.activation < 0:
        engine.activate(packs())
    return engine


def decisions(engine, requests):
    """What is recorded of each request: outcome, reasons and vector."""
    replies = engine.submit(requests)
    assert {reply.status for reply in replies} <= {"repeated"}, "every request must be on record"
    found = []
    for reply in replies:
        shown = engine.decision(reply.decision)
        found.append({key: shown[key] for key in ("outcome", "reasons", "features") if key in shown})
    return found


def kinds(engine):
    events = sum(
        engine.state.events.get(code, 0) for name, code in engine.state.program.codes.items() if name == "shop.request"
    )
    return events, engine.state.rejected


@pytest.mark.parametrize("seed", range(8))
def test_every_message_is_on_record_once_and_decided_as_if_it_had_come_directly(seed, tmp_path):
    chance = Random(seed)
    taken: list[Request] = []
    broker = MemoryBroker(1, chance, 0.08)
    bad = 0
    for number in range(MESSAGES):
        body, request = message(chance, number, taken)
        broker.put(body, now_ms=T0)
        bad += request is None
    settings = StreamSettings(source="S", batch_events_max=chance.choice((1, 7, 40)))
    engine, lives = opened(tmp_path / "streamed"), 0
    while not consumed(broker, settings, engine, chance, 0.06):
        lives += 1
        if chance.random() < 0.3:  # The writer goes with it, and comes back from its log.
            engine.close()
            engine = opened(tmp_path / "streamed")
        assert lives < 500, f"seed {seed} does not end"
    assert broker.acked == [MESSAGES - 1]
    direct = opened(tmp_path / "direct")
    direct.submit(taken)
    assert kinds(engine) == (len(taken), bad), f"seed {seed}, {lives} lives"
    assert decisions(engine, taken) == decisions(direct, taken), f"seed {seed}"
    places = [one["position"] for one in engine.rejects(limit=1000)["items"]]
    assert len(places) == len(set(places)) == bad
    engine.close()
    again = opened(tmp_path / "streamed")
    assert kinds(again) == (len(taken), bad), "recovery knows the same"
    again.close()
    direct.close()
