"""A reader and its server killed exactly between our own commit and the acknowledgement to NATS JetStream.

A proxy before the broker lets every byte through until it is told to swallow acknowledgements. What the log holds then
is not acknowledged, for certain; the processes are killed in that state, and start again without the fault.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal

import pytest
from test_stream_processes import (
    NATS,
    check,
    event,
    got,
    metric,
    nats_source,
    needs_nats,
    readers_of,
    serving,
    settled,
    write_place,
)

pytestmark = needs_nats
ACK = re.compile(rb"H?PUB \$JS\.ACK\.[^\r]*\r\n")
COUNT, FIRST = 600, 250


class Proxy:
    """Between a reader and NATS on the loopback address; `hold` swallows acknowledgements from then on.

    Attributes
    ----------
    swallowed : acknowledgements that did not reach the broker
    """

    def __init__(self, upstream: str) -> None:
        self.host, _, port = upstream.removeprefix("nats://").partition(":")
        self.upstream_port, self.port = int(port), 0
        self.hold, self.swallowed = False, 0
        self._links: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> Proxy:
        self._server = await asyncio.start_server(self._link, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_) -> None:
        self._server.close()
        for link in self._links:
            link.close()

    async def _link(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_connection(self.host, self.upstream_port)
        self._links += [writer, up_writer]
        await asyncio.gather(self._forward(reader, up_writer), self._back(up_reader, writer), return_exceptions=True)
        up_writer.close()
        writer.close()

    async def _back(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """The protocol of clients is lines, of which PUB and HPUB name the length of what follows."""
        while line := await reader.readline():
            body = b""
            if line.startswith((b"PUB ", b"HPUB ")):
                body = await reader.readexactly(int(line.split()[-1]) + 2)
            if self.hold and ACK.match(line):
                self.swallowed += 1
                continue
            writer.write(line + body)
            await writer.drain()


@pytest.mark.parametrize("killed", ["reader", "server"])
def test_killed_between_our_commit_and_the_acknowledgement(killed, tmp_path):
    async def story():
        async with nats_source() as (source, publish), Proxy(NATS) as proxy:
            port = write_place(tmp_path, source, subject=f"{source}.in", batch_events_max=50)
            config = tmp_path / "quanheng.toml"
            config.write_text(config.read_text().replace(NATS, f"nats://127.0.0.1:{proxy.port}"))
            await publish([(event(number), {}) for number in range(FIRST)])
            with serving(tmp_path, port) as process:
                check(await asyncio.to_thread(settled, tmp_path, port, FIRST, 0), FIRST, 0)
                proxy.hold = True
                await publish([(event(number), {}) for number in range(FIRST, COUNT)])
                while not proxy.swallowed:  # Sent after the commit of its batch, and never there.
                    await asyncio.sleep(0.01)
                text = await asyncio.to_thread(got, tmp_path, port, "/metrics")
                events = metric(text, "quanheng_engine_events", '{key="shop.request"}')
                assert FIRST < events < COUNT, "a batch is in the log and its acknowledgement is held"
                if killed != "server":
                    for pid in readers_of(process):
                        os.kill(pid, signal.SIGKILL)
                if killed != "reader":
                    process.kill()
                    process.wait(60)
                proxy.hold = False
                if killed == "reader":  # The server starts another one, which is answered from the record.
                    text = await asyncio.to_thread(settled, tmp_path, port, COUNT, 0)
                    check(text, COUNT, 0)
                    repeated(text, events - FIRST)
            if killed != "reader":
                with serving(tmp_path, port):
                    text = await asyncio.to_thread(settled, tmp_path, port, COUNT, 0)
                    check(text, COUNT, 0)
                    repeated(text, events - FIRST)

    asyncio.run(story())


def repeated(text: str, logged: float) -> None:
    """What was in the log came again and was answered from there: applied once, acknowledged now."""
    labels = '{stream="requests"}'
    again = metric(text, "quanheng_stream_repeated_total", labels)
    assert again >= logged
    assert metric(text, "quanheng_stream_acked_position", '{partition="0",stream="requests"}') == COUNT
    assert metric(text, "quanheng_engine_log_records") >= 2 * COUNT
