"""The kit tries real adapters and the broker in memory; and it finds what is broken."""

from __future__ import annotations

import asyncio

import pytest
from brokers import NATS, QUICK, MockKafka, nats_source, needs_nats

from quanheng.events.stream import Message, StreamSettings, stream_of
from quanheng.testing.memory_stream import MemoryBroker, MemoryStream
from quanheng.testing.stream_kit import check_stream


def memory(kind=MemoryStream, partitions=3):
    broker = MemoryBroker(partitions)

    async def publish(messages):
        for number, (data, headers) in enumerate(messages):
            broker.put(data, headers, number % partitions)

    return asyncio.run(check_stream(lambda: kind(broker), publish))


def test_the_broker_in_memory_keeps_the_laws():
    assert memory() == []


class Forgets(MemoryStream):
    async def ack(self, messages):
        """Nothing."""


class Skips(MemoryStream):
    async def open(self):
        await super().open()
        self._next = {number: len(kept) for number, kept in enumerate(self._broker.kept)}


class Shuffles(MemoryStream):
    async def fetch(self, count_max, wait_s):
        return (await super().fetch(count_max, wait_s))[::-1]


class Changes(MemoryStream):
    async def fetch(self, count_max, wait_s):
        return [Message(one.data.strip(), one.partition, one.offset) for one in await super().fetch(count_max, wait_s)]


class NoNak(MemoryStream):
    async def nak(self, messages):
        """Nothing."""


@pytest.mark.parametrize(
    ("kind", "law"),
    [
        (Forgets, "the lag after half is acknowledged was 23, allowed: 12"),
        (Skips, "after it was closed and opened partition "),
        (Shuffles, "offsets of partition 0 do not rise"),
        (Changes, "23 of 23 messages came, or their bytes were changed"),
        (NoNak, "after nak partition "),
    ],
)
def test_the_kit_names_the_broken_law(kind, law, monkeypatch):
    monkeypatch.setattr("quanheng.testing.stream_kit.WAIT_S", 0.01)
    monkeypatch.setattr(check_stream, "__defaults__", (0.1,))
    assert any(law in one for one in memory(kind))


def test_what_is_no_stream_is_told():
    assert asyncio.run(check_stream(object, None)) == ["it lacks a method of the protocol Stream"]


@needs_nats
@pytest.mark.parametrize("retention", ["limits", "workqueue"])
def test_nats_keeps_the_laws(retention):
    async def check():
        async with nats_source(retention) as (name, publish):
            settings = StreamSettings(broker="nats", address=NATS, source=name, batch_events_max=50)
            return await check_stream(lambda: stream_of(settings), publish)

    assert asyncio.run(check()) == []


def test_kafka_keeps_the_laws():
    pytest.importorskip("confluent_kafka")
    cluster = MockKafka()
    topic, publish = cluster.topic()
    settings = StreamSettings(broker="kafka", address=cluster.address, source=topic, group="g1", options=QUICK)
    assert asyncio.run(check_stream(lambda: stream_of(settings), publish, 30.0)) == []


def test_kafka_commits_nothing_of_a_partition_that_another_member_has_by_now():
    """Messages in hand when partitions go to another member: their late commit would set the new owner's back."""
    pytest.importorskip("confluent_kafka")
    cluster = MockKafka()
    topic, publish = cluster.topic()
    settings = StreamSettings(broker="kafka", address=cluster.address, source=topic, group="g2", options=QUICK)

    async def story():
        first, second = stream_of(settings), stream_of(settings)
        await first.open()
        for partition in range(4):
            await publish([(b"m%d" % number, {}) for number in range(10)], partition)
        held = await until(first, lambda found: len(found) == 40)
        await second.open()
        mine, theirs = set(), []
        for _ in range(200):
            await first.fetch(100, 0.1)  # It learns here what it still has.
            theirs += await second.fetch(100, 0.1)
            mine = {row.partition for row in await first.lag()}
            if theirs and mine and len({one.partition for one in theirs}) + len(mine) == 4:
                break
        else:
            raise AssertionError("the partitions were not dealt out")
        await second.ack(theirs)
        done = {row.partition: row.acked for row in await second.lag()}
        assert set(done.values()) == {9}
        await first.ack([one for one in held if one.offset < 5])
        assert {row.partition: row.acked for row in await second.lag()} == done
        assert {row.partition: row.acked for row in await first.lag()} == dict.fromkeys(mine, 4)
        await first.ack([one for one in held if one.offset < 3])  # Delivered again, acknowledged again.
        assert {row.partition: row.acked for row in await first.lag()} == dict.fromkeys(mine, 4)
        await first.close()
        await second.close()

    async def until(stream, enough):
        found = []
        for _ in range(200):
            found += await stream.fetch(100, 0.1)
            if enough(found):
                return found
        raise AssertionError(f"{len(found)} messages came")

    asyncio.run(story())
