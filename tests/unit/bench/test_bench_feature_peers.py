"""Peers of the feature benches: every cell is compared, an absent peer is told, stale answers are found."""

from __future__ import annotations

import os
import shutil
import sys

import numpy as np
import polars as pl
import pytest
from bench import features_build, features_vs
from bench.peers import run_peer, why_absent

DAY_MS = 86_400_000
PEERS = os.environ.get("QUANHENG_BENCH_PEERS", "")


def payments(count=3_000, keys_n=40, days=60):
    """Payments of few keys, several of a key at the same moment, a tenth of them frauds."""
    rng = np.random.default_rng(11)
    seconds = np.sort(rng.integers(0, days * 144, count)) * 600
    return pl.DataFrame(
        {
            "transaction_id": np.arange(count, dtype=np.uint32),
            "time": pl.Series((1_522_540_800 + seconds) * 1000).cast(pl.Datetime("ms")),
            "customer_id": rng.integers(1, keys_n, count).astype(np.uint16),
            "terminal_id": rng.integers(1, keys_n, count).astype(np.uint16),
            "amount_minor": rng.integers(1, 100_000, count).astype(np.uint32),
            "is_fraud": (rng.random(count) < 0.1).astype(np.uint8),
            "fraud_scenario": np.zeros(count, np.uint8),
        }
    )


@pytest.fixture
def folders(tmp_path):
    """The first payments and all of them, each with its spine; rows of the latter."""
    pytest.importorskip("duckdb", reason="the extra [bench] is not installed")
    frame = payments()
    features_build.write(frame.head(200), tmp_path / "first")
    return tmp_path / "first", tmp_path / "whole", features_build.write(frame, tmp_path / "whole")


def test_the_payments_hold_ties_of_both_keys():
    frame = payments()
    for key in ("customer_id", "terminal_id"):
        assert frame.select(pl.struct(key, "time").is_duplicated().sum()).item() > 0


def test_peers_of_a_build_answer_the_same_cells(folders, monkeypatch):
    monkeypatch.setenv("QUANHENG_BENCH_PEERS", sys.executable)
    first, whole, rows = folders
    made = features_build.compared(first, whole, rows, 1, {"rows": rows})
    assert made.extra["cells_compared"] == rows * 12 == 9_000
    assert made.unit == "rows/s"
    assert set(made.peers) >= {"duckdb", "duckdb_asof"}
    assert set(made.extra["first_call_s"]) == set(made.peers) | {"ours"}
    assert set(made.extra["cpu_s_each"]) == set(made.peers) | {"ours"}
    if "feast" not in made.peers:
        assert made.extra["feast_skipped"].startswith("feast is not installed in ")
        assert made.extra["feast_skipped"].endswith("; see docs/operating/benches.md")
    mine = pl.read_parquet(whole / "ours.parquet")
    assert mine["terminal_fraud_count_30d"].sum() > 0
    assert mine["customer_mean_1d"].n_unique() > 100


@pytest.mark.skipif(
    not PEERS or bool(why_absent("feast")), reason="QUANHENG_BENCH_PEERS names no interpreter with Feast"
)
def test_the_historical_join_of_feast_answers_the_same_cells(folders):
    first, whole, rows = folders
    made = features_build.compared(first, whole, rows, 1, {"rows": rows})
    assert made.peers["feast"] > 0
    assert made.extra["feast_join_alone"] >= made.peers["feast"]
    assert made.extra["feast_ttl_1d"] > 0
    assert "feast_skipped" not in made.extra
    assert len(pl.read_parquet(whole / "feast.parquet")) == rows


def test_a_cell_that_differs_ends_the_bench(folders):
    _, whole, _ = folders
    features_build.ours(whole)
    mine = pl.read_parquet(whole / "ours.parquet")
    mine.write_parquet(whole / "peer.parquet")
    features_build.check(whole, "peer")
    odd = mine.with_columns(
        pl.when(pl.col("row") == 7).then(0.5).otherwise("customer_mean_7d").alias("customer_mean_7d")
    )
    odd.write_parquet(whole / "peer.parquet")
    with pytest.raises(AssertionError, match="peer: 1 cells of customer_mean_7d differ"):
        features_build.check(whole, "peer")
    lost = mine.with_columns(
        pl.when(pl.col("row") == 7).then(None).otherwise("customer_mean_7d").alias("customer_mean_7d")
    )
    lost.write_parquet(whole / "peer.parquet")
    with pytest.raises(AssertionError, match="peer: 1 cells of customer_mean_7d differ"):
        features_build.check(whole, "peer")
    mine.reverse().write_parquet(whole / "peer.parquet")
    with pytest.raises(AssertionError, match="peer: the rows are not those of the spine"):
        features_build.check(whole, "peer")


def test_between_events_range_joins_are_right_and_states_after_events_are_stale(folders):
    _, whole, rows = folders
    spine = pl.read_parquet(whole / "spine.parquet").head(rows // 2)
    spine.with_columns(pl.col("time_ms") + DAY_MS // 2 + 1).write_parquet(whole / "spine.parquet")
    for call in (features_build.ours, features_build.duckdb, features_build.duckdb_asof):
        call(whole)
    features_build.check(whole, "duckdb")
    with pytest.raises(AssertionError, match=r"duckdb_asof: \d+ cells of customer_count_1d differ"):
        features_build.check(whole, "duckdb_asof")


def test_a_peer_that_is_absent_is_told_and_hinders_nothing(monkeypatch, tmp_path):
    none = tmp_path / "python"
    none.symlink_to(sys.executable)
    monkeypatch.setenv("QUANHENG_BENCH_PEERS", str(none))
    monkeypatch.setattr(features_vs, "why_absent", lambda name: why_absent(f"no_{name}"))
    made = features_vs.run(quick=True)
    assert made.value > 0
    assert made.peers == {}
    for name in ("river", "bytewax", "redis", "feast"):
        expected = f"no_{name} is not installed in {none}; see docs/operating/benches.md"
        assert made.extra[f"{name}_skipped"] == expected


def test_an_interpreter_that_does_not_run_is_told(monkeypatch, tmp_path):
    monkeypatch.setenv("QUANHENG_BENCH_PEERS", str(tmp_path / "none"))
    told = f"QUANHENG_BENCH_PEERS: {tmp_path / 'none'} does not run: No such file or directory"
    assert why_absent("river") == told


def test_a_peer_that_fails_gives_the_last_line_of_its_error(monkeypatch, tmp_path):
    monkeypatch.setenv("QUANHENG_BENCH_PEERS", sys.executable)
    found, reason = run_peer("features_vs_peers.py", "river", tmp_path / "none.npz")
    assert found is None
    assert reason == f"FileNotFoundError: [Errno 2] No such file or directory: '{tmp_path / 'none.npz'}'"


@pytest.mark.skipif(
    not PEERS or bool(why_absent("feast")), reason="QUANHENG_BENCH_PEERS names no interpreter with Feast"
)
def test_the_online_store_of_feast_stands_in_the_table():
    made = features_vs.run(quick=True)
    assert made.peers["feast"] > made.value
    assert made.extra["feast_p99_us"] >= made.peers["feast"]
    for name in ("river", "bytewax", *(["redis"] if shutil.which("redis-server") else [])):
        assert (name in made.peers) is not (f"{name}_skipped" in made.extra), name
