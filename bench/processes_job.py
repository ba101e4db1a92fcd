"""processes.job: a nightly accrual over 1 M debts, subjects a second through durable chunks.

The debts stand in the log as steps of their process. The run goes over all of them: a condition on the balance, and the
interest of a day added to what has accrued, rounded half-even to the cent; each chunk is a record of the log, made
durable. Peers, in the same run: Polars doing the arithmetic alone, in memory; SQLite updating the same rows in a table,
in one transaction, durable.
"""

from __future__ import annotations

import sqlite3
import tempfile
import time
from pathlib import Path

import numpy as np

from quanheng.engine import Engine
from quanheng.kernel.log.log import Log
from quanheng.kernel.log.records import NO_CAUSE
from quanheng.loading.files import PackFiles, read_pack
from quanheng.processes.records import Step, StepKind, encode_step
from quanheng.testing.bench import Measured

PACK = """
[pack]
name     = "debts"
version  = "0.1.0"
title    = {en = "Debts", zh = "债务"}
outcomes = ["approve", "decline"]
"""
EVENTS = """
[entity.debt]
title    = {en = "Debt", zh = "债务"}
personal = false

[event."debts.opened"]
title   = {en = "Opened", zh = "开立"}
subject = "debt"
[event."debts.opened".fields]
time_ms = {type = "time"}
debt    = {type = "key", entity = "debts.debt"}
balance = {type = "decimal", scale = 2}
rate    = {type = "decimal", scale = 4}

[event."debts.closed"]
title   = {en = "Closed", zh = "结清"}
subject = "debt"
[event."debts.closed".fields]
time_ms = {type = "time"}
debt    = {type = "key", entity = "debts.debt"}
"""
PROCESSES = """
[process.debt]
title   = {en = "A debt", zh = "一笔债务"}
per     = "debt"
keep    = {balance = 2, rate = 4, accrued = 2}
subject = "debt"

[[process.debt.start]]
event = "debts.opened"
to    = "open"

[process.debt.state.open]
[[process.debt.state.open.on]]
event = "debts.closed"
to    = "closed"

[process.debt.state.closed]
end = true

[job.accrue]
at      = "02:00"
process = "debt"
states  = ["open"]
where   = "instance.balance > 0"
set     = {accrued = "instance.accrued + instance.balance * instance.rate / 365"}
"""
CHUNK_OF_LOG = 10_000
SUBJECTS, QUICK = 1_000_000, 50_000


def run(quick: bool = False) -> Measured:
    """Subjects a second; `polars`: the arithmetic alone; `sqlite`: the same rows updated in a table."""
    count = QUICK if quick else SUBJECTS
    rng = np.random.default_rng(7)
    balances = np.where(rng.random(count) < 0.1, 0, rng.integers(1, 5_000_000_00, count))
    rates = rng.integers(100, 2_000, count)
    with tempfile.TemporaryDirectory() as folder:
        engine = Engine.open(Path(folder) / "data")
        engine.activate([_pack()])
        _begin(engine, balances, rates)
        taken_s, cpu_s, longest_ms, chunks = _runs(engine, 1 if quick else 3)
        table = next(iter(engine.state.book.tables.values()))
        accrued = table.numbers[:count, 2].copy()
        engine.close()
        start = time.perf_counter()
        engine = Engine.open(Path(folder) / "data")
        recovered_s = time.perf_counter() - start
        again = next(iter(engine.state.book.tables.values())).numbers[:count, 2]
        assert np.array_equal(again, accrued), "what was recovered is not what was accrued"
        engine.close()
        peers, same = _peers(Path(folder), balances, rates)
    runs = 1 if quick else 3
    assert same.max() < 10**12
    extra = {
        "subjects": count,
        "chunks": chunks,
        "longest_chunk_ms": round(longest_ms, 2),
        "cpu_ns_per_subject": round(1e9 * cpu_s / count, 1),
        "recovery_s": round(recovered_s, 1),
        "equal_to_sqlite": bool(np.array_equal(same * runs, accrued)),
    }
    return Measured(count / taken_s, "subjects/s", {name: count / one for name, one in peers.items()}, extra)


def _runs(engine: Engine, times: int) -> tuple[float, float, float, int]:
    """The best of some runs: seconds, those of the processor, the longest chunk in ms; and chunks of a run."""
    found = []
    for _ in range(times):
        engine.jobs.start("accrue")
        longest_s, chunks, start, cpu = 0.0, 0, time.perf_counter(), time.process_time()
        while engine.jobs.waits:
            began = time.perf_counter()
            engine.commit(engine.jobs.prepare())
            longest_s, chunks = max(longest_s, time.perf_counter() - began), chunks + 1
        found.append((time.perf_counter() - start, time.process_time() - cpu, 1e3 * longest_s, chunks))
        told = engine.jobs.shown("accrue")[0]["runs"][0]
        assert (told["status"], told["rejected"]) == ("done", 0), told
    return min(found)


def _pack() -> PackFiles:
    files = {"pack.toml": PACK, "events.toml": EVENTS, "processes.toml": PROCESSES, "README.md": "# debts\n"}
    return read_pack({name: text.encode() for name, text in files.items()}, "debts")


def _begin(engine: Engine, balances: np.ndarray, rates: np.ndarray) -> None:
    """Debts begin: their steps go to the log and into the fold, as decisions would have sent them."""
    state, log = engine.state, engine.log
    machine = next(iter(state.program.machines.values()))
    code, open_state = machine.code, machine.state(0, "open").code
    now_ms, cause = engine.writer.stamp(), NO_CAUSE
    keys = np.random.default_rng(9).bytes(16 * len(balances))
    rows = zip(balances.tolist(), rates.tolist(), strict=True)
    steps = [
        Step(code, keys[16 * at : 16 * at + 16], StepKind.BEGIN, 0, 0, open_state, 0, (), (), (balance, rate, 0))
        for at, (balance, rate) in enumerate(rows)
    ]
    for first in range(0, len(steps), CHUNK_OF_LOG):
        part = steps[first : first + CHUNK_OF_LOG]
        _append(log, [encode_step(one, now_ms, cause) for one in part], now_ms)
        state.book.apply(part, now_ms)
        state.head += len(part)
    state.received_ms = now_ms


def _append(log: Log, records: list[bytes], now_ms: int) -> None:
    log.append(records, now_ms)


def _peers(folder: Path, balances: np.ndarray, rates: np.ndarray) -> tuple[dict[str, float], np.ndarray]:
    """Seconds of each peer, and what SQLite accrued in one run."""
    import polars

    frame = polars.DataFrame({"balance": balances, "rate": rates, "accrued": np.zeros(len(balances), np.int64)})
    polars_s = []
    for _ in range(3):
        start = time.perf_counter()
        product = polars.col("balance") * polars.col("rate")
        whole, rest = product // 3_650_000, product % 3_650_000
        up = (rest * 2 > 3_650_000) | ((rest * 2 == 3_650_000) & (whole % 2 == 1))
        interest = whole + up.cast(polars.Int64)
        added = polars.when(polars.col("balance") > 0).then(polars.col("accrued") + interest)
        frame.with_columns(added.otherwise(polars.col("accrued")).alias("accrued"))
        polars_s.append(time.perf_counter() - start)
    base = sqlite3.connect(folder / "peer.db")
    base.execute("PRAGMA journal_mode=WAL")
    base.execute("PRAGMA synchronous=FULL")
    base.execute("CREATE TABLE debts (id INTEGER PRIMARY KEY, balance INTEGER, rate INTEGER, accrued INTEGER)")
    rows = zip(range(len(balances)), balances.tolist(), rates.tolist(), strict=True)
    with base:
        base.executemany("INSERT INTO debts VALUES (?, ?, ?, 0)", rows)
    sqlite_s = []
    for _ in range(3):
        with base:
            base.execute("UPDATE debts SET accrued = 0")
        start = time.perf_counter()
        with base:
            base.execute(
                "UPDATE debts SET accrued = accrued + balance * rate / 3650000"
                " + (balance * rate % 3650000 * 2 > 3650000 OR (balance * rate % 3650000 * 2 = 3650000"
                " AND balance * rate / 3650000 % 2 = 1)) WHERE balance > 0"
            )
        sqlite_s.append(time.perf_counter() - start)
    found = [one for (one,) in base.execute("SELECT accrued FROM debts ORDER BY id")]
    base.close()
    return {"polars": min(polars_s), "sqlite": min(sqlite_s)}, np.array(found, np.int64)
