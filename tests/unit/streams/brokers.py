"""Real brokers for the tests: NATS with JetStream where one answers, and librdkafka's own cluster for Kafka."""

from __future__ import annotations

import asyncio
import contextlib
import os
import uuid

import pytest

QUICK = {"session.timeout.ms": "6000"}
"""The mock cluster lets a member that has left go only when its session is over."""

NATS = os.environ.get("QUANHENG_TEST_NATS", "nats://127.0.0.1:4222")


def nats_reason() -> str:
    """Why NATS cannot be tried; empty if it can."""
    try:
        import nats
    except ImportError:
        return "nats-py is not installed"

    async def ask() -> str:
        client = await nats.connect(NATS, allow_reconnect=False, connect_timeout=2, error_cb=ignored)
        try:
            await client.jetstream(timeout=2).account_info()
        finally:
            await client.close()
        return ""

    try:
        return asyncio.run(ask())
    except Exception as error:  # Whatever keeps it from answering is the reason.
        return f"no NATS with JetStream answers on {NATS}: {type(error).__name__}"


async def ignored(_):
    """Errors of a connection that is only tried."""


NATS_REASON = nats_reason()
needs_nats = pytest.mark.skipif(bool(NATS_REASON), reason=NATS_REASON)


def new_name(prefix: str = "QH") -> str:
    return f"{prefix}{uuid.uuid4().hex[:12]}"


@contextlib.asynccontextmanager
async def nats_source(retention="limits", subjects=()):
    """A stream of its own at the broker: (name, publish); deleted afterwards."""
    import nats

    name = new_name()
    client = await nats.connect(NATS)
    jetstream = client.jetstream(timeout=10)
    await jetstream.add_stream(name=name, subjects=[f"{name}.>", *subjects], storage="memory", retention=retention)

    async def publish(messages, subject=f"{name}.in"):
        for first in range(0, len(messages), 200):
            some = [
                await jetstream.publish_async(subject, data, headers=dict(headers) or None)
                for data, headers in messages[first : first + 200]
            ]
            await asyncio.gather(*some)

    try:
        yield name, publish
    finally:
        await jetstream.delete_stream(name)
        await client.close()


class MockKafka:
    """librdkafka's mock cluster: real brokers on loopback ports inside one client, speaking the real protocol."""

    def __init__(self):
        from confluent_kafka import Producer

        self.host = Producer({"test.mock.num.brokers": 1, "client.id": "mock", "log_level": 0})
        brokers = self.host.list_topics(timeout=10).brokers.values()
        self.address = ",".join(f"{one.host}:{one.port}" for one in brokers)

    def topic(self):
        name = new_name("t")
        from confluent_kafka import Producer

        producer = Producer({"bootstrap.servers": self.address, "log_level": 0})
        producer.list_topics(name, timeout=10)  # The mock cluster makes a topic when it is asked about it.

        async def publish(messages, partition=-1):
            for data, headers in messages:
                producer.produce(
                    name, data, headers=list(headers.items()), partition=max(partition, 0) if partition >= 0 else -1
                )
            assert producer.flush(20) == 0

        return name, publish
