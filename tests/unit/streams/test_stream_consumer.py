# ruff: noqa: E501  (texts under test stand whole, on one line)
"""What becomes of a message: read, taken, refused, held, answered, acknowledged; and what is told when it cannot be."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import msgspec
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "path"))
from brokers import NATS, QUICK, MockKafka, nats_source, needs_nats
from shop import T0, ask, opened

from quanheng.events import stream as streams
from quanheng.events.intake import Request
from quanheng.events.stream import Message, StreamFailed, StreamSettings, StreamUnavailable, reader_of, stream_of
from quanheng.kernel.errors import ConfigurationError, MissingExtra, NotFound, QueueFull
from quanheng.refusing import refuse_messages
from quanheng.server import admin, config, wire
from quanheng.server import streams as server_streams
from quanheng.server.consumer import BACK_OFF_S_MAX, Consumer, Tell
from quanheng.server.metrics import Metrics, counted_as
from quanheng.server.streams import CoreBusy, CorePort, NotTaken, check_streams, settings_of
from quanheng.testing.memory_stream import MemoryBroker, MemoryStream

DATA = b'{"id":"a","n":7}'


@pytest.mark.parametrize(
    ("settings", "data", "headers", "id", "type", "fault"),
    [
        ({}, b'{"id":"a","type":"t","data":{"x":1}}', {}, "a", "t", ""),
        ({"id": "position"}, b'{"type":"t","data":{}}', {}, "S/0/5", "t", ""),
        ({"id": "header:K"}, b'{"type":"t","data":{}}', {"K": "h"}, "h", "t", ""),
        ({"type": "t", "id": "header:K"}, DATA, {}, "", "t", "header K: the message carries no request id"),
        ({"type": "t", "id": "field:id"}, DATA, {}, "a", "t", ""),
        ({"type": "t", "id": "field:n"}, DATA, {}, "7", "t", ""),
        ({"type": "t", "id": "field:no"}, DATA, {}, "", "t", "field no: the message carries no request id"),
        ({"type": "t", "id": "field:n"}, b'{"n":1.5}', {}, "", "t", "field n: the message carries no request id"),
        ({"type": "t", "id": "position"}, b"\xff\x00", {}, "S/0/5", "t", ""),
        ({}, b'{"type":"t","data":{}}', {}, "", "t", "member id: the message carries no request id"),
        ({}, b"nonsense", {}, "", "", 'the message is no event; was no JSON: invalid character (byte 4); allowed: {"id", "type", "data"}'),
        ({}, b'{"id":"a","type":"t","data":{},"x":1}', {}, "", "", 'the message is no event; was an object with the unknown member x; allowed: {"id", "type", "data"}'),
        ({"type": "t", "id": "field:n"}, b"[1]", {}, "", "", "the message is no event; was array instead of object; allowed: a JSON object"),
        ({}, b"[" * 100_000, {}, "", "", 'the message is no event; was array instead of object; allowed: {"id", "type", "data"}'),
        ({}, b'{"id":7,"type":"t"}', {}, "", "", 'the message is no event; was int instead of str at $.id; allowed: {"id", "type", "data"}'),
        ({}, b'{"id":"a",', {}, "", "", 'the message is no event; was no JSON: it ends too early; allowed: {"id", "type", "data"}'),
        ({}, b" ", {}, "", "", 'the message is no event; was an empty message; allowed: {"id", "type", "data"}'),
        ({}, b'{"id":"\xff"}', {}, "", "", 'the message is no event; was bytes that are no UTF-8; allowed: {"id", "type", "data"}'),
        ({"type": "t", "id": "field:n"}, b'{"n":' + b"[" * 100_000, {}, "", "", "the message is no event; was JSON that is nested too deep; allowed: a JSON object"),
    ],
)  # fmt: skip
def test_a_message_is_read_as_declared(settings, data, headers, id, type, fault):
    read = reader_of(StreamSettings(source="S", **settings))(Message(data, "0", 5, headers))
    assert (read.id, read.type, read.fault, read.position) == (id, type, fault, "S/0/5")


class Port:
    """The way to an engine in this process; `full` times it has no room."""

    def __init__(self, engine, full=0):
        self.engine, self.full, self.sizes = engine, full, []

    async def take(self, events, positions):
        self.sizes.append(len(events))
        if self.full:
            self.full -= 1
            raise QueueFull("full")
        requests = [Request("web", *event, 0, place) for event, place in zip(events, positions, strict=True)]
        return [msgspec.Raw(msgspec.json.encode(reply)) for reply in self.engine.submit(requests)]

    async def refuse(self, messages):
        arguments = {"messages": msgspec.to_builtins(messages, builtin_types=(bytes,)), "actor": "web"}
        admin.perform(self.engine, admin.REFUSE_MESSAGES, arguments)


def envelope(request):
    return b'{"id":"%b","type":"%b","data":%b}' % (request.id.encode(), request.type.encode(), request.data)


class Watched(MemoryStream):
    held = 0
    fetched = 0

    async def hold(self, messages):
        self.held = max(self.held, len(messages))

    async def fetch(self, count_max, wait_s):
        found = await super().fetch(count_max, wait_s)
        self.fetched += len(found)
        return found


def consumer_of(broker, port, waits=None, **settings):
    clock = iter(range(1_000_000))

    async def sleep(seconds):
        (waits if waits is not None else []).append(seconds)
        await asyncio.sleep(0)

    tell = Tell(lambda *_: None, sleep, lambda: T0, lambda: float(next(clock)))
    return Consumer("s", StreamSettings(source="S", **settings), Watched(broker), port, {}, tell)


def test_what_is_no_event_is_a_reject_with_its_place_once(tmp_path):
    engine, broker = opened(tmp_path), MemoryBroker()
    good = ask("r1")
    bad = [
        b"nonsense",
        b'{"id":"r2","type":"no.such","data":{}}',
        envelope(ask("r3", "much")),
        envelope(ask("r1", 5)),
        b"x" * 70_000,
    ]
    for data in [envelope(good), *bad, envelope(good)]:
        broker.put(data, now_ms=T0 - 1_500)
    consumer = consumer_of(broker, Port(engine))
    asyncio.run(consumer.run(until_empty=True))
    items = engine.rejects()["items"]
    assert [one["position"] for one in items] == ["S/0/1", "S/0/5", "S/0/2", "S/0/3", "S/0/4"]
    reasons = {one["position"]: one["error"] for one in items}
    assert reasons["S/0/1"].startswith("the message is no event")
    assert reasons["S/0/2"].startswith("type: no active pack declares this event type")
    assert "amount_minor" in reasons["S/0/3"]
    assert "It differs in: amount_minor." in reasons["S/0/4"]
    assert reasons["S/0/5"].startswith("the message is no event"), "whatever is first wrong is told"
    assert items[1]["data_length_bytes"] == 70_000
    assert (consumer.totals["decided"], consumer.totals["repeated"], consumer.totals["rejects"]) == (1, 1, 5)
    assert consumer.totals["messages"] == 7, "decided + repeated + rejects; a reject is counted once"
    assert set(consumer.totals) == {"messages", "decided", "recorded", "repeated", "failed", "rejects", "acked"}
    broker.acked = [-1]  # The broker lost what was acknowledged: everything comes again.
    head = engine.log.head
    asyncio.run(consumer_of(broker, Port(engine)).run(until_empty=True))
    assert engine.log.head == head
    assert consumer.ack_s.quantile(0.99) == 2.0
    engine.close()


def test_a_message_that_is_too_large_is_not_sent_on(tmp_path):
    engine, broker = opened(tmp_path), MemoryBroker()
    broker.put(b'{"id":"r","type":"shop.request","data":{"x":"%b"}}' % (b"y" * 70_000))
    port = Port(engine)
    asyncio.run(consumer_of(broker, port).run(until_empty=True))
    assert port.sizes == []
    assert (
        engine.rejects()["items"][0]["error"]
        == "the message is too large; was 70008 bytes; allowed: at most 65536 bytes"
    )
    engine.close()


def test_the_position_may_come_again_with_other_content(tmp_path):
    engine = opened(tmp_path)
    for data in (b"one", b"two", b"one"):
        broker = MemoryBroker()
        broker.put(data)
        asyncio.run(consumer_of(broker, Port(engine)).run(until_empty=True))
    assert [one["data"] for one in engine.rejects()["items"]] == ["one", "two"]
    assert refuse_messages(engine.writer, "web", []) == 0
    engine.close()


def test_a_writer_without_room_slows_the_reader_and_loses_nothing(tmp_path):
    engine, broker, waits = opened(tmp_path), MemoryBroker(), []
    for number in range(50):
        broker.put(envelope(ask(f"r{number}")))
    port = Port(engine, full=9)
    consumer = consumer_of(broker, port, waits, batch_events_max=5)
    seen = []
    take = port.take

    async def watched(*asked):
        seen.append(consumer._stream.fetched)
        return await take(*asked)

    port.take = watched
    asyncio.run(consumer.run(until_empty=True))
    assert consumer.totals["decided"] == 50
    assert waits == [0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0, 1.0, 1.0]
    assert max(seen[:10]) <= 10, "one batch in hand and one ahead, whatever waits at the broker"
    assert consumer._stream.held == 10, "the broker is told that they are still worked on"
    assert consumer.counters["quanheng_stream_held_total|stream=s"] == 9
    engine.close()


def test_decisions_are_published_after_the_commit(tmp_path):
    engine, broker = opened(tmp_path), MemoryBroker()
    for request in (ask("r1"), ask("r1"), ask("r2", -1)):
        broker.put(envelope(request))
    asyncio.run(consumer_of(broker, Port(engine), replies="out").run(until_empty=True))
    found = [(id, json.loads(body)["status"]) for id, body in broker.published["out"]]
    assert found == [("r1", "decided"), ("r1", "repeated"), ("r2", "rejected")]
    engine.close()


def test_a_broker_that_is_away_is_tried_ever_slower(tmp_path):
    engine, broker, waits = opened(tmp_path), MemoryBroker(), []
    broker.away = True
    broker.put(envelope(ask("r1")))
    consumer = consumer_of(broker, Port(engine), waits)
    told = []
    consumer._tell = consumer._tell._replace(
        told=lambda level, word, error: told.append((level, word, str(error or "")))
    )
    sleep = consumer._tell.sleep

    async def back(seconds):
        broker.away = len(waits) < 9
        await sleep(seconds)

    consumer._tell = consumer._tell._replace(sleep=back)
    asyncio.run(consumer.run(until_empty=True))
    assert waits == [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, BACK_OFF_S_MAX, BACK_OFF_S_MAX, BACK_OFF_S_MAX]
    assert told[0] == (
        "warning",
        "stream_unavailable",
        "memory: the broker is away or did not confirm; was a broken connection",
    )
    assert consumer.totals["decided"] == 1
    engine.close()


def test_a_stop_while_the_writer_is_away_leaves_the_messages(tmp_path):
    broker, waits = MemoryBroker(), []
    broker.put(envelope(ask("r1")))
    consumer = consumer_of(broker, Port(None, full=10**6), waits)
    sleep = consumer._tell.sleep

    async def stop_later(seconds):
        if len(waits) == 3:
            consumer.stop()
        await sleep(seconds)

    consumer._tell = consumer._tell._replace(sleep=stop_later)
    asyncio.run(consumer.run())
    assert broker.acked == [-1]
    assert consumer.counters["quanheng_stream_connected|stream=s"] == 0


def test_the_lag_is_on_the_metrics_page():
    broker = MemoryBroker(2)
    for number in range(5):
        broker.put(b"x", partition=number % 2, now_ms=T0 - 700)
    consumer = consumer_of(broker, Port(None))
    asyncio.run(consumer._stream.open())
    consumer._held = broker.kept[1]
    asyncio.run(consumer._show_lag())
    metrics = Metrics()
    metrics.gauges = {counted_as(key): value for key, value in consumer.counters.items()}
    lines = metrics.text().splitlines()
    assert 'quanheng_stream_pending{partition="0",stream="s"} 3' in lines
    assert 'quanheng_stream_oldest_unacked_ms{partition="1",stream="s"} 700' in lines
    assert 'quanheng_stream_oldest_unacked_ms{partition="0",stream="s"} 0' in lines
    assert 'quanheng_stream_acked_position{partition="0",stream="s"} -1' in lines
    assert counted_as("quanheng_refused_total|not_json") == ("quanheng_refused_total", (("reason", "not_json"),))


# --- what cannot be done ---------------------------------------------------------------------------------------------


class Pool:
    def __init__(self, status):
        self.status = status

    def ask(self, kind, body, timeout_s):
        future = asyncio.get_running_loop().create_future()
        future.set_result(wire.Answer(self.status, b'{"error":"why"}'))
        return future


@pytest.mark.parametrize(
    ("status", "error", "text"),
    [
        (429, CoreBusy, 'the writer has no room or does not answer; was 429 {"error":"why"}. It is asked again.'),
        (503, CoreBusy, "the writer has no room or does not answer; was 503"),
        (
            401,
            NotTaken,
            'the writer takes nothing from this stream; was 401 {"error":"why"}. Give the stream a token with the scope ingest: token_file of its section, or QUANHENG_TOKEN.',
        ),
    ],
)
def test_answers_of_the_core(status, error, text):
    async def ask_core():
        await CorePort(Pool(status), b"").take([], [])

    with pytest.raises(error) as raised:
        asyncio.run(ask_core())
    assert str(raised.value).startswith(text)


def configured(tmp_path, text):
    (tmp_path / "q.toml").write_text(text)
    return config.read(tmp_path / "q.toml")


@pytest.mark.parametrize(
    ("section", "finding"),
    [
        ("[stream]\nx = 1", "stream.x is no stream; allowed: a table [stream.NAME], NAME of a-z, 0-9 and _"),
        ("[stream.A]", "stream.A is no stream"),
        ("[stream.x]", "stream.x.source was empty; allowed: name of a stream (NATS) or topic (Kafka)"),
        ('[stream.x]\nsource = "S"\nstart = "end"', "stream.x.start was 'end'; allowed: first, new"),
        (
            '[stream.x]\nsource = "S"\nid = "key"',
            "stream.x.id was 'key'; allowed: message, position, header:NAME, field:NAME",
        ),
        (
            '[stream.x]\nsource = "S"\ntype = "t"',
            "stream.x.id was 'message', which needs messages with id, type and data; allowed beside type: position",
        ),
        ('[stream.x]\nsource = "S"\nbatch_events_max = 0', "stream.x.batch_events_max was 0; allowed: 1 to 10000"),
        ('[stream.x]\nsource = "S"\noptions = {a = 1}', "stream.x.options was {'a': 1}; allowed: a table of texts"),
        ('[stream.x]\nsorce = "S"', "stream.x.sorce is an unknown key, perhaps 'source'"),
        ('[stream.x]\nsource = "S"\naddress = ""', "stream.x.address was empty; allowed: a text"),
    ],
)
def test_a_section_that_is_wrong_stops_the_start(section, finding, tmp_path):
    with pytest.raises(ConfigurationError) as raised:
        configured(tmp_path, section)
    assert finding in str(raised.value)


def test_what_is_not_there_is_named(tmp_path, monkeypatch):
    unknown = configured(tmp_path, '[stream.x]\nsource = "S"\nbroker = "carrier"')
    with pytest.raises(
        ConfigurationError, match=r"stream broker: no such broker is known; was 'carrier'; allowed: nats, kafka"
    ):
        check_streams(unknown)
    with pytest.raises(
        NotFound, match=r"\[stream.y\]: the configuration has no such stream; allowed: x. Add the section"
    ):
        settings_of(unknown, "y")
    lost = StreamSettings(source="S", token_file=str(tmp_path / "none"))
    with pytest.raises(
        StreamFailed,
        match=r"none: the token of the stream cannot be read; was FileNotFoundError. Correct token_file of its section.",
    ):
        server_streams._token(unknown, lost)

    def gone(name):
        raise ImportError(name)

    monkeypatch.setattr(streams, "import_module", gone)
    with pytest.raises(
        MissingExtra,
        match=r"a stream of kafka needs the package 'confluent-kafka', which is not installed. Run: pip install 'quanheng\[stream\]'",
    ):
        stream_of(StreamSettings(source="S", broker="kafka"))


def test_a_stream_of_another_distribution_is_found(monkeypatch):
    class Point:
        name = "mine"

        def load(self):
            return lambda settings: settings.source

    monkeypatch.setattr(streams, "entry_points", lambda group: [Point()])
    assert stream_of(StreamSettings(source="S", broker="mine")) == "S"


@needs_nats
def test_nats_tells_what_is_not_there():
    async def story():
        with pytest.raises(NotFound, match=r"the broker has no such stream; was 'NO_SUCH'"):
            await stream_of(StreamSettings(address=NATS, source="NO_SUCH")).open()
        async with nats_source() as (source, publish):
            first = stream_of(StreamSettings(address=NATS, source=source, subject=f"{source}.in"))
            await first.open()
            await publish([(b"1", {}), (b"2", {})])
            first._next += 1
            with pytest.raises(
                StreamUnavailable, match=r"the broker's deliveries have a gap; .*was delivery 1; allowed: delivery 2"
            ):
                await first.fetch(2, 1.0)
            await first.close()
            await first.open()
            again = []
            while len(again) < 2:
                again += await first.fetch(2, 1.0)
            assert [one.data for one in again] == [b"1", b"2"]
            await first.close()
            other = stream_of(StreamSettings(address=NATS, source=source, subject=f"{source}.other"))
            with pytest.raises(ConfigurationError, match=r"the consumer was made for another subject"):
                await other.open()
            await other.close()
        with pytest.raises(
            StreamUnavailable,
            match=r"NATS: the broker is away or did not confirm; was .*Nothing is lost; it is tried again.",
        ):
            await stream_of(StreamSettings(address="nats://127.0.0.1:1", source="S")).open()

    asyncio.run(story())


@needs_nats
def test_nats_new_begins_behind_what_is_there():
    async def story():
        async with nats_source() as (source, publish):
            await publish([(b"old", {})])
            stream = stream_of(StreamSettings(address=NATS, source=source, start="new"))
            await stream.open()
            await publish([(b"1", {}), (b"2", {})])
            assert len(await stream.fetch(1, 2.0)) == 1
            await stream.close()
            await stream.open()
            assert [one.data for one in await stream.fetch(1, 2.0)] == [b"1"]
            await stream.close()

    asyncio.run(story())


def test_kafka_new_begins_behind_what_is_there_and_publishes():
    pytest.importorskip("confluent_kafka")
    cluster = MockKafka()
    topic, publish = cluster.topic()
    out, _ = cluster.topic()

    async def fetched(stream, count):
        found = []
        for _ in range(60):
            found += await stream.fetch(10, 0.5)
            if len(found) >= count:
                break
        return found

    async def story():
        await publish([(b"old", {})] * 5)
        stream = stream_of(
            StreamSettings(broker="kafka", address=cluster.address, source=topic, group="n", start="new", options=QUICK)
        )
        await stream.open()
        for _ in range(20):
            assert await stream.fetch(10, 0.3) == []
            if len(await stream.lag()) == 4:
                break
        await publish([(b"1", {"A": "b"})])
        (one,) = await fetched(stream, 1)
        assert (one.data, dict(one.headers)) == (b"1", {"A": "b"})
        await stream.publish(out, [("r1", b"{}")])
        await stream.close()
        replies = stream_of(
            StreamSettings(broker="kafka", address=cluster.address, source=out, group="o", options=QUICK)
        )
        await replies.open()
        (reply,) = await fetched(replies, 1)
        assert (reply.data, dict(reply.headers)) == (b"{}", {"Quanheng-Request-Id": "r1"})
        await replies.close()

    asyncio.run(story())


def test_kafka_tells_what_is_not_there(monkeypatch):
    pytest.importorskip("confluent_kafka")
    from quanheng.events import kafka_stream

    monkeypatch.setattr(kafka_stream, "ANSWER_S_MAX", 1.0)
    away = kafka_stream.KafkaStream(StreamSettings(broker="kafka", address="127.0.0.1:1", source="t"))
    with pytest.raises(StreamUnavailable, match=r"Kafka: the broker is away or did not confirm; was "):
        asyncio.run(away.open())
    asyncio.run(away.close())
    cluster = MockKafka()

    class Empty:
        def __init__(self, *_):
            self.topics = {"t": self}
            self.error, self.partitions = None, {}

        def list_topics(self, *_, **__):
            return self

    monkeypatch.setattr(kafka_stream, "Consumer", Empty)
    missing = kafka_stream.KafkaStream(StreamSettings(broker="kafka", address=cluster.address, source="t"))
    with pytest.raises(
        NotFound, match=r"the broker has no such topic; was 't'. Make it, or correct source in the stream's section."
    ):
        asyncio.run(missing.open())
