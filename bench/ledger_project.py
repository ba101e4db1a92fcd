"""ledger.project: facts a second from the log into the tables for SQL users, in SQLite and in PostgreSQL.

The log is that of `ledger.recover`: 1,000 accounts, batches of 1,000 transfers of random pairs. Reading the log, its
digests, the four indexes of `transfers` and the commit of every portion are in the figure.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import psycopg

from bench.ledger_post import POSTGRES, applied, batches, opened, pipelined
from quanheng.kernel.log.log import Log
from quanheng.ledger.projection.postgres import PostgresTables
from quanheng.ledger.projection.tables import SqliteTables, Tables
from quanheng.projecting import project
from quanheng.testing.bench import Measured

SCHEMA = "quanheng_bench_projection"


def _projected(log: Log, tables: Tables, sums: tuple[int, int]) -> tuple[float, float, int]:
    """Facts a second, facts a second of CPU of this process, facts; the tables' totals are checked."""
    tables.open(rebuild=True)
    cpu_start, start = time.process_time(), time.perf_counter()
    facts = sum(one.facts for one in project(log, tables))
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu_start
    [found] = tables.run("SELECT sum(debits_posted_minor), sum(credits_posted_minor) FROM accounts")
    assert tuple(map(int, found)) == sums, "the tables have other totals than the ledger"
    tables.close()
    return facts / seconds, facts / cpu, facts


def run(quick: bool = False) -> Measured:
    """SQLite; in `extra` PostgreSQL, and both by CPU second of the process that projects."""
    with opened() as engine, tempfile.TemporaryDirectory() as folder:
        applied(pipelined(engine, batches(30 if quick else 300), lambda batch: batch))
        totals = engine.state.ledger.totals(978)
        sums = totals.debits_posted_minor, totals.credits_posted_minor
        log = Log.reader(engine.log.store)
        rate, by_cpu, facts = _projected(log, SqliteTables(Path(folder) / "ledger.db"), sums)
        bytes_each = (Path(folder) / "ledger.db").stat().st_size / facts
        with psycopg.connect(POSTGRES, autocommit=True) as admin:
            postgres, postgres_by_cpu, _ = _projected(log, PostgresTables(POSTGRES, SCHEMA), sums)
            admin.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
    extra = {
        "facts": facts, "sqlite_bytes_a_fact": bytes_each, "per_cpu_second": by_cpu,
        "postgres": postgres, "postgres_per_cpu_second": postgres_by_cpu,
    }  # fmt: skip
    return Measured(rate, "facts/s", {}, extra)
