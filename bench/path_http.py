"""path.http.*: the whole way of an event, HTTP to durable answer, with the load generator on the same machine.

A server is started as a user would (`quanheng serve`, embedded defaults, one edge worker), with the pack's own traffic,
features, model and policy. Requests are prepared before; a first part warms up; the rest is measured. CPU seconds are
given for core, edge and load generator apart, since on a small machine they share the cores.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from quanheng.cli.simulate import simulation_of
from quanheng.server.opening import available_packs, chosen_packs
from quanheng.testing.bench import Measured

PACK = "card_fraud"
START_S_MAX = 120.0
WARM = 2_000


def run_single(quick: bool = False) -> Measured:
    """One event a request, 64 connections: median of three runs."""
    runs = _runs(1, 64, 4.0 if quick else 10.0, 1 if quick else 3, 8_000)
    middle = sorted(runs, key=lambda one: one["per_s"])[len(runs) // 2]
    return Measured(middle["per_s"], "requests/s", {}, {**middle, "runs": [one["per_s"] for one in runs]})


def run_batch(quick: bool = False) -> Measured:
    """100 events a request, 8 connections: median of three runs."""
    runs = _runs(100, 8, 4.0 if quick else 10.0, 1 if quick else 3, 400)
    middle = sorted(runs, key=lambda one: one["per_s"])[len(runs) // 2]
    return Measured(middle["per_s"] * 100, "events/s", {}, {**middle, "runs": [one["per_s"] * 100 for one in runs]})


def _runs(size: int, connections: int, seconds: float, repeats: int, per_s_max: int) -> list[dict[str, Any]]:
    """Measured runs on one server, each with events of its own."""
    with (
        tempfile.TemporaryDirectory(prefix="quanheng-bench-") as folder,
        _server(Path(folder)) as (port, token, processes),
    ):
        count = int(per_s_max * seconds)
        bodies = _bodies((WARM // size + 1 + count * repeats) * size, size)
        made = [_load(Path(folder), port, token, [next(bodies) for _ in range(WARM // size + 1)], connections, 60.0)]
        for _ in range(repeats):
            prepared = [next(bodies) for _ in range(count)]
            before = _cpu_s(processes)
            result = _load(Path(folder), port, token, prepared, connections, seconds)
            after = _cpu_s(processes)
            assert set(result["statuses"]) == {"200"}, f"not every request was decided: {result}"
            assert not result["errors"], f"not every request was answered: {result}"
            used = {name: round(after[name] - before[name], 2) for name in after}
            result.update({f"{name}_cpu_s": seconds_used for name, seconds_used in used.items()})
            result["events_per_core_cpu_s"] = round(result["requests"] * size / used["core"]) if used["core"] else None
            made.append(result)
    return made[1:]


def _bodies(events: int, size: int) -> Iterator[bytes]:
    """JSON bodies of `size` events each: what the pack's traffic decides, well-formed and once."""
    declared, _ = chosen_packs([PACK], available_packs())
    seen: set[str] = set()
    batch: list[bytes] = []
    for one in simulation_of(declared, PACK).events(events * 2):
        if not one.decided or one.id in seen or one.fault == "malformed":
            continue
        seen.add(one.id)
        batch.append(b'{"id":"%b","type":"%b","data":%b}' % (one.id.encode(), one.type.encode(), one.data))
        if len(batch) == size:
            yield batch[0] if size == 1 else b"[" + b",".join(batch) + b"]"
            batch = []


def _load(
    folder: Path, port: int, token: str, bodies: Sequence[bytes], connections: int, seconds: float
) -> dict[str, Any]:
    """quanheng-load in a process of its own."""
    file = folder / "bodies.jsonl"
    file.write_bytes(b"\n".join(bodies))
    command = [sys.executable, "-m", "bench.load", "--port", str(port), "--token", token, "--file", str(file)]
    command += ["--connections", str(connections), "--seconds", str(seconds)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, cwd=Path(__file__).parents[1])
    made: dict[str, Any] = json.loads(done.stdout)
    return made


@contextmanager
def _server(folder: Path) -> Iterator[tuple[int, str, dict[str, list[int]]]]:
    """A running server: its port, a token, and the process numbers of its parts."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = folder / "quanheng.toml"
    config.write_text("[limits]\nclient_events_per_s = 0\n")
    command = [
        sys.executable,
        "-m",
        "quanheng.cli",
        "serve",
        "--pack",
        PACK,
        "--port",
        str(port),
        "--config",
        str(config),
    ]
    command += ["--data", str(folder / "data"), "--keys", str(folder / "keys")]
    log = folder / "serve.log"
    server = subprocess.Popen(command, stderr=log.open("wb"))
    try:
        until_s = time.monotonic() + START_S_MAX
        while time.monotonic() < until_s and server.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", port), 0.5).close()
                break
            except OSError:
                time.sleep(0.1)
        assert server.poll() is None, f"the server did not start: {log.read_text()[-500:]}"
        token = (folder / "keys" / "development.token").read_text().strip()
        yield port, token, {"core": [server.pid], "edge": _children(server.pid)}
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(30)


def _children(pid: int) -> list[int]:
    found = []
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        found += [int(child), *_children(int(child))]
    return found


def _cpu_s(processes: dict[str, list[int]]) -> dict[str, float]:
    ticks = os.sysconf("SC_CLK_TCK")
    return {name: sum(_ticks(pid) for pid in pids) / ticks for name, pids in processes.items()}


def _ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])
