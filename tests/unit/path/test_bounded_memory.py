"""The engine with a bound on memory: the same state as without, through restarts, kills, snapshots and new packs."""

from __future__ import annotations

import os
import random
import signal
import time

from shop import ask, opened, shop
from test_engine import fill

from quanheng import recovery
from quanheng.features.bounded import BoundedState, Here, memory_of
from quanheng.follower import write_snapshot
from quanheng.kernel.content import ContentStore
from quanheng.kernel.log.log import Log
from quanheng.kernel.log.sqlite import SqliteLogStore
from quanheng.kernel.snapshot import Snapshots

TINY = 60_000
"""Bytes: so few that most keys are on disk most of the time."""


def many(engine, first, count):
    """One event for each of so many new customers, in groups."""
    for group in range(0, count, 100):
        replies = engine.submit(
            [ask(f"n{first + group + one}", customer=f"new{first + group + one}") for one in range(100)]
        )
        assert {reply.status for reply in replies} == {"decided"}


def test_state_within_a_bound_equals_a_full_replay_without(tmp_path):
    engine = opened(tmp_path, memory_bytes_max=TINY)
    fill(engine, seed=31)
    many(engine, 0, 600)
    fill(engine, seed=32)
    assert isinstance(engine.state.features, BoundedState)
    assert engine.state.features.cold_keys > 300
    plain = recovery.rebuild(engine.log, engine.content, None)
    assert engine.state.digest() == plain.digest()
    assert engine.state.features.keys == plain.features.keys
    told, without = engine.metrics(), plain.features.metrics()
    assert told["feature_cold_keys"] == engine.state.features.cold_keys
    assert told["feature_cold_bytes"] > 100 * told["feature_cold_keys"]
    assert told["feature_keys_evicted"] - told["feature_keys_returned"] == told["feature_cold_keys"]
    assert told["feature_keys_returned"] > 0
    assert told["feature_memory_bytes_max"] == TINY
    assert told["feature_keys"] == without["feature_keys"]
    assert "feature_cold_keys" not in without
    engine.close()
    again = opened(tmp_path, memory_bytes_max=TINY)
    assert again.state.digest() == plain.digest()
    again.close()


def test_snapshots_hold_cold_keys_and_are_read_with_and_without_a_bound(tmp_path):
    engine = opened(tmp_path, memory_bytes_max=TINY)
    many(engine, 0, 600)
    followed = write_snapshot(tmp_path / "data", check=True, memory_bytes_max=TINY)
    assert followed == (engine.log.head, engine.state.digest(), True)
    many(engine, 600, 100)
    digest = engine.state.digest()
    engine.close()
    log, content = Log.reader(SqliteLogStore(tmp_path / "data" / "log.db")), ContentStore(tmp_path / "data" / "content")
    snapshots = Snapshots(tmp_path / "data" / "snapshots")
    assert "cold" in snapshots.newest().parts
    for memory in (None, memory_of(tmp_path / "data", TINY), memory_of(tmp_path / "data", 10 * TINY)):
        state = recovery.rebuild(log, content, snapshots, make_windows=Here(memory))
        assert state.digest() == digest


def test_the_file_of_cold_keys_goes_with_its_process(tmp_path):
    engine = opened(tmp_path, memory_bytes_max=TINY)
    many(engine, 0, 300)
    assert engine.state.features.cold_keys
    assert list((tmp_path / "data" / "cold").iterdir()) == []  # Open, and without a name: a kill leaves nothing behind.
    engine.close()


def test_other_folds_are_folded_again_within_the_bound(tmp_path):
    engine = opened(tmp_path, memory_bytes_max=TINY)
    many(engine, 0, 300)
    engine.activate([shop(("features.toml", 'window  = "30d"', 'window  = "20d"'))])
    assert isinstance(engine.state.features, BoundedState)
    assert engine.state.features.cold_keys
    assert engine.state.digest() == recovery.rebuild(engine.log, engine.content, None).digest()
    engine.close()


def killed(folder, seed):
    """A child folds random groups within the bound until it is killed, with snapshots in between."""
    child = os.fork()
    if child == 0:
        try:
            engine = opened(folder, memory_bytes_max=TINY)
            for round in range(10_000):
                many(engine, 100_000 * seed + 100 * round, 100)
                fill(engine, seed=seed * 1000 + round, groups=1)
                if round % 7 == 3:
                    write_snapshot(folder / "data", memory_bytes_max=TINY)
        finally:
            os._exit(3)  # Reached only by a fault in the child: the parent sees the exit status.
    time.sleep(random.Random(seed).uniform(0.5, 1.5))
    os.kill(child, signal.SIGKILL)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def test_kills(tmp_path):
    opened(tmp_path, memory_bytes_max=TINY).close()
    for seed in range(1, 4):
        killed(tmp_path, seed)
        engine = opened(tmp_path, memory_bytes_max=TINY)
        assert engine.state.digest() == recovery.rebuild(engine.log, engine.content, None).digest()
        engine.close()
    assert engine.state.head > 300
