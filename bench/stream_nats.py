"""stream.nats: messages of JetStream to durable decisions, the broker on the same machine.

A server is started as for path.http.*, with the pack's own traffic, features, model and policy; the stream is on the
broker's disk. First a backlog is read, as fast as it goes: messages a second from the first fetch to the last
acknowledgement, which the broker has confirmed and which follows the commit. Then messages are published at a steady
rate, and the time from each one's publication until it was acknowledged is counted (upper bound of its bucket).
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.path_http import _bodies, _cpu_s, _server
from quanheng.testing.bench import Measured

ADDRESS = os.environ.get("QUANHENG_TEST_NATS", "nats://127.0.0.1:4222")
STEADY_PER_S = 2_000


def run(quick: bool = False) -> Measured:
    """A backlog, median of three; then a steady rate."""
    count, repeats, steady_s = (5_000, 1, 2) if quick else (30_000, 3, 10)
    bodies = _bodies(count * repeats + STEADY_PER_S * steady_s, 1)
    with tempfile.TemporaryDirectory(prefix="quanheng-bench-") as name, _server(Path(name)) as (_, _token, processes):
        folder, source = Path(name), f"BENCH{uuid.uuid4().hex[:12]}"
        with (folder / "quanheng.toml").open("a") as file:
            file.write(f'[stream.bench]\naddress = "{ADDRESS}"\nsource = "{source}"\nserve = false\n')
        _broker("add", source)
        try:
            runs = []
            for _ in range(repeats):
                _broker("publish", source, [next(bodies) for _ in range(count)])
                before = _cpu_s(processes)
                found = json.loads(_consume(folder, "--until-empty").communicate()[0])
                used = {part: round(s - before[part], 2) for part, s in _cpu_s(processes).items()}
                assert found["decided"] == found["messages"] == count, f"not every message was decided: {found}"
                runs.append({"per_s": found["messages"] / found["seconds"], **used})
            steady = _steady(folder, source, [next(bodies) for _ in range(STEADY_PER_S * steady_s)])
        finally:
            _broker("delete", source)
    middle = sorted(runs, key=lambda one: one["per_s"])[len(runs) // 2]
    extra = {
        "runs": runs,
        "steady_per_s": STEADY_PER_S,
        "lag_p50_s": steady["ack_p50_s"],
        "lag_p99_s": steady["ack_p99_s"],
    }
    return Measured(round(middle["per_s"]), "events/s", {}, extra)


def _steady(folder: Path, source: str, messages: Sequence[bytes]) -> dict[str, Any]:
    """Published at `STEADY_PER_S` while a reader runs; what the reader counted."""
    opened = (folder / "consume.log").read_text().count("stream_open")
    reader = _consume(folder)
    try:
        log, until_s = folder / "consume.log", time.monotonic() + 60
        while log.read_text().count("stream_open") < opened + 1 and time.monotonic() < until_s:
            time.sleep(0.1)
        _broker("publish", source, messages, STEADY_PER_S)
        _broker("drained", source)
    finally:
        reader.send_signal(signal.SIGTERM)
        out, _ = reader.communicate(timeout=30)
    found: dict[str, Any] = json.loads(out)
    assert found["messages"] == len(messages), f"not every message was read: {found}"
    return found


def _consume(folder: Path, *more: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "quanheng.cli", "consume", "bench", "--json", *more]
    command += [
        "--config",
        str(folder / "quanheng.toml"),
        "--data",
        str(folder / "data"),
        "--keys",
        str(folder / "keys"),
    ]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=(folder / "consume.log").open("ab"))


def _broker(what: str, source: str, messages: Sequence[bytes] = (), per_s: int = 0) -> None:
    """Make, fill, wait for or delete the stream at the broker."""
    import nats

    async def act() -> None:
        client = await nats.connect(ADDRESS)
        jetstream = client.jetstream(timeout=30)
        if what == "add":
            await jetstream.add_stream(name=source, subjects=[f"{source}.in"], storage="file")
        elif what == "delete":
            await jetstream.delete_stream(source)
        elif what == "drained":
            info = (await jetstream.consumers_info(source))[0]
            while info.num_pending or info.num_ack_pending:
                await asyncio.sleep(0.1)
                info = await jetstream.consumer_info(source, info.name)
        else:
            started_s, size = time.perf_counter(), 20 if per_s else 500
            for first in range(0, len(messages), size):
                if per_s:
                    await asyncio.sleep(max(0.0, started_s + first / per_s - time.perf_counter()))
                await asyncio.gather(
                    *[jetstream.publish(f"{source}.in", one) for one in messages[first : first + size]]
                )
        await client.close()

    asyncio.run(act())
