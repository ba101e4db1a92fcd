"""A build takes memory for its runs, its batches and the windows of the keys, not for its history."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from corner import START_MS

CHILD = """
import sys
from pathlib import Path

sys.path.insert(0, sys.argv[1])
from corner import DECLARED, MAPPING
from quanheng.offline.build import Build
from quanheng.offline.events import FileEvents
from quanheng.offline.spine import SpineColumns

folder, run_bytes = Path(sys.argv[2]), 8 << 20
source = FileEvents(folder / "history.parquet", MAPPING, DECLARED.events, run_bytes)
build = Build(DECLARED, source, folder / "spine.parquet", SpineColumns(""), folder / "out.parquet", run_bytes=run_bytes)
peak = 0


def told(stage, done, total):
    global peak
    lines = Path("/proc/self/status").read_text().splitlines()
    peak = max(peak, next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")))


build.run(told)
print(peak * 1024)
"""
EVENT_BYTES = 8 * 11
"""Of an event while it is sorted: when known, rank, row, type, time, two keys, two numbers."""
BOUND_BYTES = 192 << 20
"""More than a small build takes: batches of 250,000 rows as they are read, mapped and written, and runs of 8 MB."""


def write(folder: Path, events: int) -> None:
    """Sales of 1,000 buyers, and a moment of every other sale, as files in row groups. A minute lies between two sales,
    so that windows and lateness of 30 days hold few of them.
    """
    rng, rows = np.random.default_rng(1), np.arange(events)
    sales = {
        "at": START_MS + 60_000 * rows,
        "buyer": pl.Series(rng.integers(0, 1_000, events)).cast(pl.String),
        "shop": pl.Series(rng.integers(0, 50, events)).cast(pl.String),
        "amount": pl.Series(rng.integers(1, 9_999, events)).cast(pl.Decimal(12, 2)),
        "bad": np.zeros(events, np.int64),
    }
    frame = pl.DataFrame(sales)
    frame.write_parquet(folder / "history.parquet", row_group_size=100_000)
    frame.drop("bad").gather_every(2).write_parquet(folder / "spine.parquet", row_group_size=100_000)


def taken(folder: Path, events: int) -> int:
    """Most memory of its own that a build took between two batches, in a process of its own, bytes.

    Pages of run files that are mapped are not counted: the system takes them back when it needs them.
    """
    folder.mkdir()
    write(folder, events)
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(Path(__file__).parent), str(folder)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert pl.scan_parquet(folder / "out.parquet").select(pl.len()).collect().item() == -(-events // 2)
    return int(done.stdout.split()[-1])


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="/proc/self/status is Linux's")
def test_a_history_larger_than_the_bound_is_built_within_it(tmp_path):
    events = 4_000_000
    assert events * EVENT_BYTES > BOUND_BYTES
    small, large = taken(tmp_path / "small", 50_000), taken(tmp_path / "large", events)
    print(f"50,000 events: {small >> 20} MB; {events:,} events: {large >> 20} MB")
    assert large - small < BOUND_BYTES
