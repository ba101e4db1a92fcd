"""quanheng-load: sends prepared requests over kept HTTP connections, bounded in count and time; times each answer.

    python -m bench.load --port 8770 --token TOKEN --file bodies.jsonl --connections 64 --seconds 10

Loopback only, by design: it measures one machine and is no tool to load somebody else's. Its own CPU seconds are part
of the report, since on one machine it takes them from the server. A request that fails is counted, never repeated.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from quanheng.kernel.errors import InputError, QuanhengError
from quanheng.server.client import Connection, request_bytes

LOOPBACK = ("127.0.0.1", "::1", "localhost")
SECONDS_MAX, REQUESTS_MAX, CONNECTIONS_MAX = 600, 50_000_000, 1_024


async def load(
    address: str,
    port: int,
    token: str,
    bodies: Sequence[bytes],
    connections: int,
    seconds: float,
    path: str = "/v1/events",
) -> dict[str, Any]:
    """Send each body once, as fast as `connections` allow, for at most `seconds`.

    Parameters
    ----------
    bodies : JSON bodies, sent in order; the run ends when all are sent
    connections : requests under way at the same time

    Returns
    -------
    requests, seconds, per_s, p50_ms, p99_ms, p999_ms, max_ms, statuses, errors, cpu_s

    Raises
    ------
    InputError : not a loopback address, or a bound is exceeded
    """
    _check(address, connections, seconds, len(bodies))
    latencies: list[float] = []
    statuses: Counter[int] = Counter()
    errors: Counter[str] = Counter()
    links = [await Connection.open(address, port) for _ in range(connections)]
    source = iter(bodies)
    cpu_s, started_s = time.process_time(), time.perf_counter()
    senders = [_sender(link, source, path, token, started_s + seconds, latencies, statuses, errors) for link in links]
    await asyncio.gather(*senders)
    wall_s, cpu_s = time.perf_counter() - started_s, time.process_time() - cpu_s
    for link in links:
        link.close()
    latencies.sort()

    def quantile_ms(share: float) -> float:
        return round(latencies[min(len(latencies) - 1, int(share * len(latencies)))] * 1000, 3) if latencies else 0.0

    return {
        "load": "quanheng-load",
        "connections": connections,
        "requests": len(latencies),
        "seconds": round(wall_s, 3),
        "per_s": round(len(latencies) / wall_s, 1),
        "p50_ms": quantile_ms(0.5),
        "p99_ms": quantile_ms(0.99),
        "p999_ms": quantile_ms(0.999),
        "max_ms": quantile_ms(1.0),
        "statuses": {str(status): count for status, count in sorted(statuses.items())},
        "errors": dict(errors),
        "load_cpu_s": round(cpu_s, 3),
    }


async def _sender(
    link: Connection,
    source: Iterator[bytes],
    path: str,
    token: str,
    until_s: float,
    latencies: list[float],
    statuses: Counter[int],
    errors: Counter[str],
) -> None:
    clock = time.perf_counter
    for body in source:
        request = request_bytes("POST", path, token, body)
        started_s = clock()
        try:
            response = await link.send(request)
        except QuanhengError as error:
            errors[type(error).__name__] += 1
            return
        ended_s = clock()
        latencies.append(ended_s - started_s)
        statuses[response.status] += 1
        if ended_s >= until_s:
            return


def _check(address: str, connections: int, seconds: float, requests: int) -> None:
    if address not in LOOPBACK:
        raise InputError(
            "quanheng-load measures this machine only", where="--address", found=address, allowed=", ".join(LOOPBACK)
        )
    for name, value, most in (
        ("--connections", connections, CONNECTIONS_MAX),
        ("--seconds", seconds, SECONDS_MAX),
        ("--file", requests, REQUESTS_MAX),
    ):
        if not 0 < value <= most:
            raise InputError("out of bounds", where=name, found=str(value), allowed=f"more than 0, at most {most}")


def main() -> int:
    """Read the options, load, print one line of JSON."""
    import uvloop

    options = argparse.ArgumentParser(prog="quanheng-load", description=__doc__)
    options.add_argument("--address", default="127.0.0.1")
    options.add_argument("--port", type=int, default=8770)
    options.add_argument("--token", required=True)
    options.add_argument("--file", type=Path, required=True, help="one JSON body a line")
    options.add_argument("--connections", type=int, default=64)
    options.add_argument("--seconds", type=float, default=10.0)
    given = options.parse_args()
    bodies = given.file.read_bytes().splitlines()
    try:
        made = uvloop.run(load(given.address, given.port, given.token, bodies, given.connections, given.seconds))
    except (QuanhengError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(json.dumps(made))
    return 0


if __name__ == "__main__":
    sys.exit(main())
