"""Streams under seeded faults: broken connections, lost acknowledgements, late and repeated deliveries, a writer
without room, readers and writers killed between any two steps. The engine, its log and its index are real.

Each message that was acknowledged has exactly one event, or exactly one reject; and what was decided, vectors included,
equals what direct intake gives for the same requests in the same order.
"""

from __future__ import annotations

import asyncio
import json
import re
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


class Gone(Killed, Exception):
    """One reader of several is killed; the others live on."""


class EnginePort:
    """The way to an engine in this process, which is away, full, or killed when the seed says so."""

    killed: type[Killed] = Killed

    def __init__(self, engine, chance, share):
        self.engine, self.chance, self.share = engine, chance, share

    def _fault(self):
        drawn = self.chance.random()
        if drawn < self.share / 2:
            raise QueueFull("full")
        if drawn < self.share:
            raise self.killed

    async def take(self, events, positions):
        self._fault()
        await self.pause()
        requests = [Request(CLIENT, *event, 0, place) for event, place in zip(events, positions, strict=True)]
        replies = self.engine.submit(requests)
        await self.pause()
        self._fault()  # Durable, and nobody hears of it.
        return [msgspec.Raw(msgspec.json.encode(reply)) for reply in replies]

    async def pause(self):
        """Nobody else is there."""

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


async def _group(consumers):
    """Readers of one group beside each other, until all is acknowledged, or until one is killed: how many lived on."""
    tasks = [asyncio.ensure_future(one.run(until_empty=True)) for one in consumers]
    found = await asyncio.gather(*tasks, return_exceptions=True)
    for one in found:
        if one is not None and not isinstance(one, Killed):
            raise one
    return sum(one is None for one in found)


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


class SharedPort(EnginePort):
    """A way that several readers use: others come in between, before and after the commit."""

    killed = Gone

    async def pause(self):
        for _ in range(self.chance.randrange(6)):
            await asyncio.sleep(0)


def test_readers_share_partitions_that_are_taken_away_with_messages_in_hand(tmp_path):
    """Order within each partition, every message once; readers come and go, and partitions change hands at any step."""
    brokers = [shared_by_readers(seed, tmp_path / str(seed)) for seed in range(8)]
    assert sum(broker.rebalances for broker in brokers) > 100
    assert sum(broker.left for broker in brokers) > 20, "messages in hand of partitions that were taken away"


def shared_by_readers(seed, tmp_path):
    chance = Random(100 + seed)
    partitions, readers = chance.choice((2, 3, 5)), chance.choice((2, 3))
    taken: list[Request] = []
    places: list[list[str]] = [[] for _ in range(partitions)]
    broker, bad = MemoryBroker(partitions, chance, 0.06), 0
    for number in range(MESSAGES):
        known = len(taken)
        body, request = message(chance, number, taken)
        id = re.search(rb'"id":"r(\d+)"', body)  # What has one id has one partition, as keys of brokers make it.
        partition = int(id[1] if id else number) % partitions
        broker.put(body, partition=partition, now_ms=T0)
        bad += request is None
        if request is not None and len(taken) > known:
            places[partition].append(request.id)
    settings = StreamSettings(source="S", batch_events_max=chance.choice((1, 5, 20)))
    engine, lives = opened(tmp_path / "streamed"), 0
    tell = Tell(lambda *_: None, no_wait, lambda: T0, lambda: 0.0)
    while broker.acked != [len(kept) - 1 for kept in broker.kept]:
        port = SharedPort(engine, chance, 0.05)
        asyncio.run(_group([Consumer("s", settings, MemoryStream(broker), port, {}, tell) for _ in range(readers)]))
        lives += 1
        assert lives < 500, f"seed {seed} does not end"
    assert kinds(engine) == (len(taken), bad), f"seed {seed}, {lives} lives"
    offsets = {one.id: reply.offset for one, reply in zip(taken, engine.submit(taken), strict=True)}
    for ids in places:
        found = [offsets[id] for id in ids]
        assert found == sorted(found), f"seed {seed}: a partition is not decided in its order"
    direct = opened(tmp_path / "direct")
    ordered = sorted(taken, key=lambda one: offsets[one.id])
    direct.submit(ordered)
    assert decisions(engine, ordered) == decisions(direct, ordered), f"seed {seed}"
    found = [one["position"] for one in engine.rejects(limit=1000)["items"]]
    assert len(found) == len(set(found)) == bad
    engine.close()
    direct.close()
    return broker
