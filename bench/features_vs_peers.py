"""The peers of features.online.vs, run by an interpreter that has them: microseconds of an event, as JSON.

    python bench/features_vs_peers.py PEER PAYMENTS.npz

River wants an older pandas than this project's tests have, so that the peers live in an environment of their own.
"""

from __future__ import annotations

import json
import socket
import sys
import time
from collections import deque
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

DAYS = (1, 7, 30)
DAY_MS = 86_400_000


def river(customers: list[int], terminals: list[int], times: list[int], amounts: list[int], asked: int) -> list[float]:
    """TimeRolling of a sum of ones and a mean, 12 of them for the two keys of an event."""
    from river import stats, utils  # type: ignore[import-not-found]

    state: dict[tuple[int, int], list[Any]] = {}
    taken = []
    epoch = datetime(2026, 1, 1, tzinfo=UTC).replace(tzinfo=None)
    for place, (customer, terminal, at, amount) in enumerate(zip(customers, terminals, times, amounts, strict=True)):
        start = time.perf_counter_ns()
        moment = epoch + timedelta(milliseconds=at)
        for key in ((0, customer), (1, terminal)):
            own = state.get(key)
            if own is None:
                own = state[key] = [
                    utils.TimeRolling(made(), period=timedelta(days=days))
                    for days in DAYS
                    for made in (stats.Sum, stats.Mean)
                ]
            for number, one in enumerate(own):
                one.update(amount if number % 2 else 1, t=moment)
                one.get()
        if place >= len(times) - asked:
            taken.append((time.perf_counter_ns() - start) / 1000)
    return taken


def bytewax(
    customers: list[int], terminals: list[int], times: list[int], amounts: list[int], asked: int
) -> list[float]:
    """stateful_map over one key after the other, one worker; the time of the whole flow, spread over its events."""
    import bytewax.operators as op  # type: ignore[import-not-found]
    from bytewax.dataflow import Dataflow  # type: ignore[import-not-found]
    from bytewax.testing import TestingSink, TestingSource, run_main  # type: ignore[import-not-found]

    def fold(state: Any, given: tuple[int, int]) -> tuple[Any, list[float]]:
        at, amount = given
        state = state or [(deque(), 0) for _ in DAYS]
        answers, kept = [], []
        for days, (window, before) in zip(DAYS, state, strict=True):
            window.append(given)
            total = before + amount
            while window[0][0] <= at - days * DAY_MS:
                total -= window.popleft()[1]
            kept.append((window, total))
            answers += [len(window), total / len(window)]
        return kept, answers

    rows = [
        pair
        for customer, terminal, at, amount in zip(customers, terminals, times, amounts, strict=True)
        for pair in ((f"c{customer}", (at, amount)), (f"t{terminal}", (at, amount)))
    ]
    flow, out = Dataflow("vs"), list[Any]()
    stream = op.input("in", flow, TestingSource(rows, batch_size=1))
    op.output("out", op.stateful_map("fold", stream, fold), TestingSink(out))
    start = time.perf_counter()
    run_main(flow)
    return [(time.perf_counter() - start) * 1e6 / len(times)] * asked


def redis(customers: list[int], terminals: list[int], times: list[int], amounts: list[int], asked: int) -> list[float]:
    """Two pipelined HGETALL of six fields each, in a server on this machine. What is read was computed before."""
    import redis as client  # type: ignore[import-not-found]

    server = client.Redis("127.0.0.1", int(sys.argv[3]))
    fields = {f"count_{days}": "12" for days in DAYS} | {f"mean_{days}": "345.25" for days in DAYS}
    for name in [f"c{one}" for one in set(customers)] + [f"t{one}" for one in set(terminals)]:
        server.hset(name, mapping=fields)
    taken = []
    for customer, terminal in list(zip(customers, terminals, strict=True))[-asked:]:
        start = time.perf_counter_ns()
        pipe = server.pipeline(transaction=False)
        pipe.hgetall(f"c{customer}")
        pipe.hgetall(f"t{terminal}")
        one, two = pipe.execute()
        [float(value) for found in (one, two) for value in found.values()]
        taken.append((time.perf_counter_ns() - start) / 1000)
    return taken


def main() -> None:
    """Run one peer and print p50 and p99."""
    given = np.load(sys.argv[2])
    columns = [given[name].tolist() for name in ("customers", "terminals", "times", "amounts")]
    taken = {"river": river, "bytewax": bytewax, "redis": redis}[sys.argv[1]](*columns, int(given["asked"]))
    print(json.dumps({"p50": float(np.percentile(taken, 50)), "p99": float(np.percentile(taken, 99))}))


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        return int(asked.getsockname()[1])


if __name__ == "__main__":
    main()
