"""The peers of features.online.vs, run by an interpreter that has them: microseconds of an event, as JSON.

    python bench/features_vs_peers.py PEER PAYMENTS.npz

River and Feast want an older pandas than this project's tests have, so that the peers live in an environment of their
own.
"""

from __future__ import annotations

import json
import socket
import sys
import tempfile
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


def feast(customers: list[int], terminals: list[int], times: list[int], amounts: list[int], asked: int) -> list[float]:
    """get_online_features of a customer and a terminal, six fields each, from SQLite. What is read was computed before.

    Raises
    ------
    AssertionError : another row was read than was written for the key
    """
    names = {key: [f"{key}_{kind}_{days}d" for kind in ("count", "mean") for days in DAYS] for key in FEAST_KEYS}
    every = [f"{key}:{name}" for key, own in names.items() for name in own]
    taken = []
    with tempfile.TemporaryDirectory() as folder:
        store = _feast_store(folder, names, {"customer": set(customers), "terminal": set(terminals)})
        for customer, terminal in list(zip(customers, terminals, strict=True))[-asked:]:
            start = time.perf_counter_ns()
            rows = [{"customer": customer, "terminal": terminal}]
            found = store.get_online_features(features=every, entity_rows=rows).to_dict()
            taken.append((time.perf_counter_ns() - start) / 1000)
            read = [found[name][0] for own in names.values() for name in own]
            if read != [float(one) for key in (customer, terminal) for one in _written(key)]:
                raise AssertionError(f"Feast read {read} for customer {customer} and terminal {terminal}")
    return taken


FEAST_KEYS = ("customer", "terminal")


def _written(key: int) -> list[float]:
    """Three counts and three means that tell keys apart."""
    return [float(key % 97)] * len(DAYS) + [key % 1_009 + 0.25] * len(DAYS)


def _feast_store(folder: str, names: dict[str, list[str]], keys: dict[str, set[int]]) -> Any:
    """A local store with a view for each kind of key, its online table filled."""
    import pandas as pd
    from feast import (  # type: ignore[import-not-found]
        Entity,
        FeatureStore,
        FeatureView,
        Field,
        FileSource,
        RepoConfig,
        ValueType,
    )
    from feast.types import Float64  # type: ignore[import-not-found]

    online = {"type": "sqlite", "path": f"{folder}/online.db"}
    store = FeatureStore(
        config=RepoConfig(
            project="vs", provider="local", registry=f"{folder}/registry.db", online_store=online,
            entity_key_serialization_version=3,
        )
    )  # fmt: skip
    for key, own in names.items():
        rows = pd.DataFrame([_written(one) for one in sorted(keys[key])], columns=own)
        rows.insert(0, key, sorted(keys[key]))
        rows["event_timestamp"] = datetime.now(UTC)
        file = f"{folder}/{key}.parquet"
        rows.to_parquet(file)
        entity = Entity(name=key, join_keys=[key], value_type=ValueType.INT64)
        source = FileSource(name=f"{key}s", path=file, timestamp_field="event_timestamp")
        fields = [Field(name=name, dtype=Float64) for name in own]
        store.apply([entity, FeatureView(name=key, entities=[entity], schema=fields, source=source)])
        store.write_to_online_store(key, rows)
    return store


def main() -> None:
    """Run one peer and print p50 and p99."""
    given = np.load(sys.argv[2])
    columns = [given[name].tolist() for name in ("customers", "terminals", "times", "amounts")]
    peers = {"river": river, "bytewax": bytewax, "redis": redis, "feast": feast}
    taken = peers[sys.argv[1]](*columns, int(given["asked"]))
    print(json.dumps({"p50": float(np.percentile(taken, 50)), "p99": float(np.percentile(taken, 99))}))


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        return int(asked.getsockname()[1])


if __name__ == "__main__":
    main()
