"""proof.append, proof.inclusion, proof.verify: the Merkle tree of the log, against pymerkle where it is present.

The peer runs in the interpreter that QUANHENG_BENCH_PEERS names. It keeps its whole tree in memory; ours is the log in
a SQLite file, from which each proof reads anew what it needs.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np

from bench.proof_peers import record
from quanheng.kernel import proof
from quanheng.kernel.log import records as rec
from quanheng.kernel.log.log import Log
from quanheng.kernel.log.sqlite import SqliteLogStore
from quanheng.testing.bench import Measured, median_seconds

PEER_RECORDS, PEER_PROOFS = 100_000, 1_000
BATCH = 1_000


def append(quick: bool = False) -> Measured:
    """Records a second that a tree takes in batches of 1,000: leaf hashes and peaks; root equal to a whole rebuild."""
    made = [record(number) for number in range(20_000 if quick else PEER_RECORDS)]
    roots = []

    def grow() -> None:
        peaks: list[bytes] = []
        for first in range(0, len(made), BATCH):
            peaks = proof.extend_peaks(first, peaks, proof.leaf_hashes(made[first : first + BATCH]))
        roots.append(proof.root_of(peaks))

    seconds = median_seconds(grow)
    assert set(roots) == {proof.root_of(proof.extend_peaks(0, [], proof.leaf_hashes(made)))}
    return _against("append", len(made) / seconds, "records/s", {"records": len(made)})


def inclusion(quick: bool = False) -> Measured:
    """CPU microseconds of a proof, verified, from a log on disk of a million records; in batches of 100 and of one."""
    extra: dict[str, object] = {}
    head = 50_000 if quick else 1_000_000
    with tempfile.TemporaryDirectory() as folder:
        seconds = _proving(Path(folder) / "log.db", head, 100, extra, "batches_of_100")
        _proving(Path(folder) / "single.db", head // 10, 1, extra, "batches_of_1")
    return _against("inclusion", seconds * 1e6, "us", extra)


def verify(quick: bool = False) -> Measured:
    """Microseconds to check a proof over 100,000 records."""
    leaves = proof.leaf_hashes([record(number) for number in range(PEER_RECORDS)])
    levels = [leaves]
    while len(levels[-1]) > 1:
        levels.append(proof.hash_pairs(proof.NODE, levels[-1][: len(levels[-1]) // 2 * 2]))

    def range_hash(start: int, level: int) -> bytes:
        return bytes(levels[level][start >> level])

    root = proof.root_of(proof.extend_peaks(0, [], leaves))
    chosen = _chosen(PEER_RECORDS, 200 if quick else PEER_PROOFS)
    made = [
        proof.InclusionProof(
            index, PEER_RECORDS, leaves[index].tobytes(), proof.inclusion_path(index, PEER_RECORDS, range_hash), root
        )
        for index in chosen
    ]
    assert all(map(proof.verify_inclusion, made))
    seconds = median_seconds(lambda: [proof.verify_inclusion(one) for one in made]) / len(made)
    return _against("verify", seconds * 1e6, "us", {})


def _proving(path: Path, head: int, batch: int, extra: dict[str, object], name: str) -> float:
    """CPU seconds of a proof (median of 200), each from an empty cache; also the time it took, and the rows it read."""
    log = Log.open(SqliteLogStore(path, witness=False), "bench")
    log.store._writer.execute("PRAGMA synchronous = OFF")  # type: ignore[attr-defined]  # Filling is not measured.
    for first in range(0, head, batch):
        log.append([_whole(number) for number in range(first, first + batch)], 1_000)
    counted = _Counted(log)
    taken, passed = [], []
    for offset in _chosen(head, 200):
        started = time.process_time(), time.perf_counter()
        made = log.prove(offset)
        taken.append(time.process_time() - started[0])
        passed.append(time.perf_counter() - started[1])
        assert proof.verify_inclusion(made)
    extra[name] = {
        "records": head,
        "cpu_us": round(float(np.median(taken)) * 1e6, 1),
        "median_us": round(float(np.median(passed)) * 1e6, 1),
        "p99_us": round(float(np.quantile(passed, 0.99)) * 1e6, 1),
        "rows_read": round(counted.rows / len(taken), 1),
    }
    log.close()
    return float(np.median(taken))


class _Counted:
    """Counts the rows that a log reads from its store."""

    def __init__(self, log: Log) -> None:
        self.rows, read = 0, log.store.read

        def counting(first: int, last: int | None = None, bodies: bool = True):  # type: ignore[no-untyped-def]
            for row in read(first, last, bodies):
                self.rows += 1
                yield row

        log.store.read = counting  # type: ignore[method-assign]


def _whole(number: int) -> bytes:
    body = record(number)
    return rec.encode_header(rec.EVENT, 7, number, 1_000, -1, *[rec.NONE_16] * 3, [], [number], len(body)) + body


def _chosen(records: int, n: int) -> list[int]:
    rng = random.Random(7)
    return [rng.randrange(records) for _ in range(n)]


def _against(work: str, value: float, unit: str, extra: dict[str, object]) -> Measured:
    """The figure beside that of pymerkle over 100,000 records; left out, with the reason, where it is not there."""
    python = os.environ.get("QUANHENG_BENCH_PEERS", "")
    if not python:
        return Measured(value, unit, {}, {**extra, "pymerkle": "QUANHENG_BENCH_PEERS names no interpreter"})
    script = str(Path(__file__).with_name("proof_peers.py"))
    command = [python, script, "times", str(PEER_RECORDS), str(PEER_PROOFS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return Measured(value, unit, {}, {**extra, "pymerkle": done.stderr.strip().rpartition("\n")[2]})
    seconds = json.loads(done.stdout)[work]
    theirs = PEER_RECORDS / seconds if work == "append" else seconds / PEER_PROOFS * 1e6
    return Measured(value, unit, {"pymerkle": theirs}, extra)
