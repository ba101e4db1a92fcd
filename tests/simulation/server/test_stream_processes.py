"""A real server, its reader and NATS as processes of their own: killed at seeded moments, all is on record once."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).parents[2] / "unit" / "streams"))
from brokers import NATS, nats_source, needs_nats

from quanheng.loading.new import starter_files

pytestmark = needs_nats
ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "how-to" / "take-events-from-a-stream.md").read_text(encoding="utf-8")
T0 = 1_768_471_200_000


def write_place(folder, source, **more):
    """The configuration of the page, with the source of the test, and a pack."""
    for name, content in starter_files("shop").items():
        path = folder / "packs" / "shop" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    section = re.search(r"```toml\n(\[stream\.requests\].*?)```", PAGE, re.DOTALL)[1]
    section = section.replace('"REQUESTS"', f'"{source}"').replace("nats://127.0.0.1:4222", NATS)
    extra = "".join(f"{key} = {json.dumps(value)}\n" for key, value in more.items())
    (folder / "quanheng.toml").write_text(
        f'[server]\nport = {port}\n[packs]\nload = ["shop"]\nfolders = ["packs"]\n{section}\n{extra}'
    )
    return port


def event(number, amount_minor=20_000):
    fields = {"time_ms": T0 + number, "customer": f"c{number % 7}", "amount_minor": amount_minor, "currency": "EUR"}
    return json.dumps({"id": f"r{number}", "type": "shop.request", "data": fields}).encode()


@contextmanager
def serving(folder, port):
    process = subprocess.Popen(
        [sys.executable, "-m", "quanheng.cli", "serve"], cwd=folder, stderr=(folder / "err.txt").open("ab")
    )
    try:
        until = time.monotonic() + 120
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/health", timeout=2).read()
                break
            except OSError:
                assert process.poll() is None, (folder / "err.txt").read_text()
                assert time.monotonic() < until
                time.sleep(0.1)
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(60)


def got(folder, port, path):
    token = (folder / ".quanheng" / "keys" / "development.token").read_text().strip()
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers={"Authorization": f"Bearer {token}"})
    return urllib.request.urlopen(request, timeout=10).read().decode()


def metric(text, name, labels=""):
    found = re.search(rf"^{name}{re.escape(labels)} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def settled(folder, port, taken, rejected, seconds=60):
    """The metrics page when so many were taken and nothing is pending; whatever it says after `seconds`."""
    until = time.monotonic() + seconds
    while True:
        text = got(folder, port, "/metrics")
        pending = metric(text, "quanheng_stream_pending", '{partition="0",stream="requests"}')
        events = metric(text, "quanheng_engine_events", '{key="shop.request"}')
        if (events, metric(text, "quanheng_engine_rejected"), pending) == (
            taken,
            rejected,
            0,
        ) or time.monotonic() > until:
            return text
        time.sleep(0.2)


def check(text, taken, rejected):
    assert metric(text, "quanheng_engine_events", '{key="shop.request"}') == taken
    assert metric(text, "quanheng_engine_rejected") == rejected


def readers_of(process):
    found = subprocess.run(
        ["ps", "-o", "pid=,args=", "--ppid", str(process.pid)], capture_output=True, text=True, check=True
    )
    return [int(line.split()[0]) for line in found.stdout.splitlines() if "quanheng.server.streams" in line]


def test_the_reader_and_the_server_may_be_killed_at_any_moment(tmp_path):
    chance, count, bad = Random(7), 4_000, 20

    async def story():
        async with nats_source() as (source, publish):
            port = write_place(tmp_path, source, replies=f"{source}.out", subject=f"{source}.in", batch_events_max=100)
            messages = [(event(number), {}) for number in range(count)]
            for number in range(bad):
                messages.insert(chance.randrange(len(messages)), (b'{"n":%d}' % number, {}))
            for life in range(5):
                with serving(tmp_path, port) as process:
                    share = messages[life * len(messages) // 5 : (life + 1) * len(messages) // 5]
                    await publish(share)
                    await asyncio.sleep(chance.random() * 1.5)
                    if life % 2:
                        process.kill()
                    else:
                        for pid in readers_of(process):
                            os.kill(pid, signal.SIGKILL)
                        await asyncio.sleep(chance.random())
            with serving(tmp_path, port) as process:
                text = await asyncio.to_thread(settled, tmp_path, port, count, bad)
                check(text, count, bad)
                labels = '{stream="requests"}'
                assert metric(text, "quanheng_stream_connected", labels) == 1
                items = json.loads(got(tmp_path, port, "/v1/rejects?limit=100"))["items"]
                assert len({one["position"] for one in items}) == bad
                assert all(one["position"].startswith(f"{source}/0/") for one in items)
            return source

    asyncio.run(story())
    verified = subprocess.run(
        [sys.executable, "-m", "quanheng.cli", "log", "verify"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert verified.returncode == 0, verified.stderr
