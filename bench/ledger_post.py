"""ledger.*: transfers a second through the log, durable, in one process, against the same law in SQL.

1,000 bound accounts with enough on them; batches of 1,000 transfers of random pairs and amounts. Each batch is one
durable append (SQLite, synchronous=FULL); the next is judged while one commits, as the server does. Ours and the peers
take turns, a stretch of batches each, so that noise hits all alike; the peers' totals are checked equal to ours. What
the comparison leaves out stands in `ledger_peers.py`.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from bench.ledger_peers import ACCOUNTS, FUNDED_MINOR, PostgresPeer, SqlitePeer
from bench.peers import run_peer, why_absent
from quanheng.engine import Engine
from quanheng.ledger import wire
from quanheng.ledger.entries import Account, AccountFlag, Transfer, TransferFlag
from quanheng.ledger.outcomes import TransferOutcome
from quanheng.posting import transfers_of
from quanheng.testing.bench import Measured

BATCH, WARM = 1_000, 3
BANK = 1 << 40
POSTGRES = os.environ.get("QUANHENG_TEST_POSTGRES", "host=127.0.0.1 port=5432 user=postgres dbname=postgres")
SCHEMA = "quanheng_bench_ledger"


@contextmanager
def opened(store: Any = None) -> Iterator[Engine]:
    """An engine with funded accounts, in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        engine = Engine.open(Path(folder) / "data", store=store)
        bound = [Account(one, 978, 1, AccountFlag.DEBITS_BOUND) for one in range(1, ACCOUNTS + 1)]
        engine.open_accounts([Account(BANK, 978, 1), *bound])
        engine.post([Transfer(BANK + one, BANK, one, FUNDED_MINOR, code=1) for one in range(1, ACCOUNTS + 1)])
        try:
            yield engine
        finally:
            engine.close()


def batches(count: int, hot: bool = False, size: int = BATCH, seed: int = 7) -> list[np.ndarray]:
    """Batches of requests with ids of their own; `hot`: all of them debit one account."""
    made, rng = [], np.random.default_rng(seed)
    for number in range(count):
        requests = np.zeros(size, wire.TRANSFER_REQUEST)
        requests["id_lo"] = (seed << 32) + number * size + np.arange(1, size + 1)
        debit = np.ones(size, np.int64) if hot else rng.integers(1, ACCOUNTS + 1, size)
        requests["debit_lo"] = debit
        requests["credit_lo"] = (debit + rng.integers(1, ACCOUNTS, size) - 1) % ACCOUNTS + 1
        requests["amount_minor"], requests["code"] = rng.integers(1, 1_000, size), 1
        made.append(requests)
    return made


def pipelined(engine: Engine, asked: Sequence[Any], make: Callable[[Any], np.ndarray]) -> list[np.ndarray]:
    """Post batches, each judged while the one before commits; their answers."""
    answers = []
    with ThreadPoolExecutor(1) as committer:
        waiting = None
        for batch in asked:
            prepared = engine.ledger.prepare([transfers_of(make(batch))])
            if waiting is not None:
                waiting.result()
            waiting = committer.submit(engine.commit, prepared.pending)
            answers.append(prepared.answers[0])
        if waiting is not None:
            waiting.result()
    return answers


def applied(answers: Sequence[np.ndarray]) -> int:
    """How many transfers were applied; in these benches, all."""
    count = sum(int((one["outcome"] == TransferOutcome.APPLIED).sum()) for one in answers)
    assert count == sum(map(len, answers)), "not every transfer was applied"
    return count


def _as_they_are(batch: np.ndarray) -> np.ndarray:
    return batch


def _in_turns(asked: list[np.ndarray], posts: dict[str, Callable[[list[np.ndarray]], Any]]) -> dict:
    """Median seconds a batch of each, over stretches in turns."""
    stretch = max(1, len(asked) // 6)
    taken: dict[str, list[float]] = {name: [] for name in posts}
    for at in range(0, len(asked), stretch):
        part = asked[at : at + stretch]
        for name, post in posts.items():
            start = time.perf_counter()
            post(part)
            taken[name].append((time.perf_counter() - start) / len(part))
    return {name: statistics.median(times) for name, times in taken.items()}


def run_arrays(quick: bool = False) -> Measured:
    """Batches of 1,000 as arrays, against SQLite and PostgreSQL doing the same law."""
    asked = batches(WARM + (24 if quick else 150))
    with opened() as engine, tempfile.TemporaryDirectory() as folder:
        peers = {"sqlite": SqlitePeer(Path(folder)), "postgres": PostgresPeer(POSTGRES)}

        cpu = []

        def ours(part: list[np.ndarray]) -> None:
            start = time.process_time()
            applied(pipelined(engine, part, _as_they_are))
            cpu.append(BATCH * len(part) / (time.process_time() - start))

        def theirs(peer: Any) -> Callable[[list[np.ndarray]], None]:
            def post(part: list[np.ndarray]) -> None:
                assert sum(peer.post(one) for one in part) == sum(map(len, part))

            return post

        posts = {"quanheng": ours, **{name: theirs(peer) for name, peer in peers.items()}}
        for post in posts.values():
            post(asked[:WARM])
        seconds = _in_turns(asked[WARM:], posts)
        total = _totals(engine)
        for name, peer in peers.items():
            assert peer.totals() == total, f"{name} has other totals"
            assert peer.post(asked[-1]) == 0, f"{name} applied a batch twice"
        extra: dict[str, object] = {**peers["postgres"].settings(), "transfers": BATCH * len(asked)}
        alone = _rate(batches(10 if quick else 50, seed=8), lambda one: applied([engine.post_arrays(one)]))
        extra |= {"one_after_another_per_s": alone, "per_cpu_second": statistics.median(cpu)}
        for peer in peers.values():
            peer.close()
    return Measured(BATCH / seconds["quanheng"], "transfers/s", {name: BATCH / seconds[name] for name in peers}, extra)


def _totals(engine: Engine) -> tuple[int, int]:
    states = [one for one in engine.ledger.book.accounts() if one.account.id != BANK]
    debits = [(one.account.id, one.balance.debits_posted_minor) for one in states]
    return sum(amount for _, amount in debits), sum(amount for id, amount in debits if id % 2)


def _rate(asked: Sequence[Any], post: Callable[[Any], int]) -> float:
    start = time.perf_counter()
    done = sum(post(one) for one in asked)
    return done / (time.perf_counter() - start)


def run_objects(quick: bool = False) -> Measured:
    """Batches of 1,000 as Python objects, answers as Python objects too."""
    asked = [_objects(batch) for batch in batches(WARM + (20 if quick else 100))]
    with opened() as engine:
        pipelined(engine, asked[:WARM], wire.encode_transfers)
        rates, cpu, third = [], time.process_time(), max(1, (len(asked) - WARM) // 3)
        for at in range(WARM, len(asked), third):
            part = asked[at : at + third]
            start = time.perf_counter()
            answers = [wire.decode_answers(one) for one in pipelined(engine, part, wire.encode_transfers)]
            rates.append(sum(map(len, answers)) / (time.perf_counter() - start))
            assert all(one.outcome is TransferOutcome.APPLIED for batch in answers for one in batch)
        cpu = BATCH * (len(asked) - WARM) / (time.process_time() - cpu)
    return Measured(statistics.median(rates), "transfers/s", {}, {"rates": rates, "per_cpu_second": cpu})


def _objects(batch: np.ndarray) -> list[Transfer]:
    columns = (batch[name].tolist() for name in ("id_lo", "debit_lo", "credit_lo", "amount_minor", "code"))
    return [Transfer(*row) for row in zip(*columns, strict=True)]


def run_single(quick: bool = False) -> Measured:
    """One transfer a call, durable before it returns: 99th percentile; SQLite does the same in turns, vaulteq after."""
    asked = batches(20 + (200 if quick else 2_000), size=1)
    with opened() as engine, tempfile.TemporaryDirectory() as folder:
        peer = SqlitePeer(Path(folder))
        taken: dict[str, list[float]] = {"quanheng": [], "sqlite": []}
        for one in asked:
            for name, post in (("quanheng", engine.post_arrays), ("sqlite", peer.post)):
                start = time.perf_counter()
                post(one)
                taken[name].append(time.perf_counter() - start)
        totals = peer.totals()
        peer.close()
    kept = {name: np.array(times[20:]) * 1_000 for name, times in taken.items()}
    ours = kept["quanheng"]
    peers = {"sqlite": float(np.quantile(kept["sqlite"], 0.99))}
    extra = {"p50_ms": float(np.median(ours)), "sqlite_p50_ms": float(np.median(kept["sqlite"])), "calls": len(ours)}
    extra |= _vaulteq(asked, totals, peers)
    return Measured(float(np.quantile(ours, 0.99)), "ms", peers, extra)


def _vaulteq(asked: Sequence[np.ndarray], totals: tuple[int, int], peers: dict[str, float]) -> dict[str, Any]:
    """The same calls of vaulteq, whose totals must be the same; or why it is not there."""
    if why := why_absent("vaulteq"):
        return {"vaulteq_skipped": why}
    every = np.concatenate(asked)
    columns = {name: every[f"{name}_lo"] for name in ("id", "debit", "credit")}
    with tempfile.TemporaryDirectory() as folder:
        transfers = Path(folder) / "transfers.npz"
        np.savez(transfers, amount=every["amount_minor"], **columns)
        found, why = run_peer("ledger_vaulteq.py", transfers, folder)
    if found is None:
        return {"vaulteq_skipped": why}
    assert tuple(found["totals"]) == totals, "vaulteq has other totals"
    taken = np.array(found["taken_ms"][20:])
    peers["vaulteq"] = float(np.quantile(taken, 0.99))
    first, last = (float(np.median(part)) for part in (taken[:100], taken[-100:]))
    return {"vaulteq_p50_ms": float(np.median(taken)), "vaulteq_p50_first_ms": first, "vaulteq_p50_last_ms": last}


def run_hot(quick: bool = False) -> Measured:
    """Transfers that all debit one account, as a share of the rate of those that are spread; stretches in turns."""
    stretches = 6 if quick else 20
    size = 10
    spread, hot = batches(stretches * size), batches(stretches * size, hot=True, seed=9)
    with opened() as engine:
        engine.post([Transfer(1, BANK, 1, 1 << 50, code=1)])
        rates: dict[str, list[float]] = {"spread": [], "hot": []}
        for at in range(0, len(spread), size):
            for name, asked in (("spread", spread), ("hot", hot)):
                start = time.perf_counter()
                done = applied(pipelined(engine, asked[at : at + size], _as_they_are))
                rates[name].append(done / (time.perf_counter() - start))
    spread_per_s, hot_per_s = (statistics.median(rates[name][1:]) for name in ("spread", "hot"))
    return Measured(hot_per_s / spread_per_s, "ratio", {}, {"spread_per_s": spread_per_s, "hot_per_s": hot_per_s})


def run_twophase(quick: bool = False) -> Measured:
    """Holds, and their postings in the batch after: transfers a second, both counted."""
    holds = batches(2 + (20 if quick else 100))
    asked = []
    for batch in holds:
        batch["flags"], batch["timeout_ms"] = int(TransferFlag.HOLD), 3_600_000
        posting = np.zeros(len(batch), wire.TRANSFER_REQUEST)
        posting["id_lo"], posting["reference_lo"] = batch["id_lo"] + (1 << 50), batch["id_lo"]
        posting["flags"], posting["amount_minor"] = int(TransferFlag.POST), batch["amount_minor"]
        asked += [batch, posting]
    with opened() as engine:
        applied(pipelined(engine, asked[:4], _as_they_are))
        rate = _rate([asked[4:]], lambda part: applied(pipelined(engine, part, _as_they_are)))
    return Measured(rate, "transfers/s", {}, {"transfers": BATCH * (len(asked) - 4)})


def run_chains(quick: bool = False) -> Measured:
    """Chains of ten, each whole or not at all: transfers a second."""
    asked = batches(2 + (20 if quick else 100))
    for batch in asked:
        batch["flags"] = np.where(np.arange(1, BATCH + 1) % 10, int(TransferFlag.LINKED), 0)
    with opened() as engine:
        applied(pipelined(engine, asked[:2], _as_they_are))
        rate = _rate([asked[2:]], lambda part: applied(pipelined(engine, part, _as_they_are)))
    return Measured(rate, "transfers/s", {}, {"chain": 10})


def run_postgres(quick: bool = False) -> Measured:
    """The log in PostgreSQL, batches of 1,000 as arrays; the peer keeps accounts and transfers in tables there."""
    import psycopg

    from quanheng.kernel.log.postgres import PostgresLogStore

    asked = batches(WARM + (20 if quick else 100))
    with psycopg.connect(POSTGRES, autocommit=True) as admin:
        admin.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
        with opened(PostgresLogStore(POSTGRES, SCHEMA)) as engine:
            peer = PostgresPeer(POSTGRES)
            posts = {
                "quanheng": lambda part: applied(pipelined(engine, part, _as_they_are)),
                "postgres": lambda part: [peer.post(one) for one in part],
            }
            for post in posts.values():
                post(asked[:WARM])
            seconds = _in_turns(asked[WARM:], posts)
            assert peer.totals() == _totals(engine), "the peer has other totals"
            extra = peer.settings()
            peer.close()
        admin.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
    return Measured(BATCH / seconds["quanheng"], "transfers/s", {"postgres": BATCH / seconds["postgres"]}, extra)


def run_recover(quick: bool = False) -> Measured:
    """Rebuild of the ledger from the log alone, batch digests checked: median of three, equal to the live one."""
    from quanheng import recovery

    with opened() as engine:
        asked = batches(100 if quick else 500)
        applied(pipelined(engine, asked, _as_they_are))
        live, seconds, cpu = engine.state.digest(), [], []
        for _ in range(3):
            cpu_start, start = time.process_time(), time.perf_counter()
            state = recovery.rebuild(engine.log, engine.content, None)
            seconds.append(time.perf_counter() - start)
            cpu.append(time.process_time() - cpu_start)
            assert state.digest() == live, "the rebuilt state differs from the live one"
        facts = engine.state.ledger.facts_n
    extra = {"facts": facts, "per_cpu_second": facts / statistics.median(cpu)}
    return Measured(facts / statistics.median(seconds), "transfers/s", {}, extra)
