"""lending.revolving: accounts of revolving credit for a year, each day closed through the log, balanced every day.

50,000 accounts of three products (as in China, as in the United States, and a line without grace). Every day one in
twelve buys something, a few draw cash; customers pay all, the minimum or nothing, as a seeded habit of each says; some
payments come with an early date, some purchases become instalment plans, who is more than 180 days past due is written
off. Each day is two durable appends (SQLite, synchronous=FULL): its events, and its close with its sums posted.
After each close the control accounts on the ledger are compared with the sums over the accounts. At the end the log is
folded again and must give the same book and ledger.

Peers, in the same run: the interest of a day alone, on one balance, as columns in Polars; and the plain twin
(`testing.slow_revolving`), which judges the book in the tests, on a sample.
"""

from __future__ import annotations

import tempfile
import time
from datetime import date
from decimal import Decimal
from pathlib import Path

import numpy as np

from quanheng.kernel.log.log import Log
from quanheng.kernel.log.sqlite import SqliteLogStore
from quanheng.ledger.instruments.loan.day_count import DayCount, day_of
from quanheng.ledger.instruments.revolving.book import MEASURES, CreditBook
from quanheng.ledger.instruments.revolving.events import CREDIT_EVENT, CreditEvent
from quanheng.ledger.instruments.revolving.products import CreditAccounts, CreditProduct, Grace
from quanheng.ledger.instruments.revolving.servicing import CreditServicing
from quanheng.ledger.ledger import Ledger
from quanheng.testing.bench import Measured
from quanheng.testing.slow_revolving import SlowCredit

FIRST, DAY_MS = day_of(date(2024, 1, 1)), 86_400_000
ACCOUNTS, DAYS = 50_000, 366
TYPE = 41
E = CreditEvent
BILLED, MINIMUM, PAST, PURCHASES = (
    MEASURES.index(name) for name in ("billed_minor", "minimum_minor", "days_past_due", "purchases_minor")
)


def products() -> list[CreditProduct]:
    """A card as in China, one as in the United States, a line without grace."""
    given = [
        {"late_share": Decimal("0.05"), "cash_fee_share": Decimal("0.01"), "plan_fee_share": Decimal("0.006")},
        {
            "statement_day": 31, "due_days": 25, "grace": Grace.UNPAID, "day_count": DayCount.ACT_360,
            "late_floor_minor": 30_00, "late_cap_minor": 41_00, "highest_rate_above_minimum": True,
            "minimum_share": Decimal("0.01"), "minimum_floor_minor": 25_00, "cash_rate_extra": Decimal("0.05"),
        },
        {"statement_day": 15, "grace": Grace.NONE, "minimum_share": Decimal("0.02")},
    ]  # fmt: skip
    return [
        CreditProduct(number, 156, 7, CreditAccounts(*range(100 * number, 100 * number + 14)), **one)
        for number, one in enumerate(given, 1)
    ]


def run(quick: bool = False) -> Measured:
    """Account-days a second of the whole simulation, everything durable; seconds of its parts beside."""
    accounts, days = (1_000, 100) if quick else (ACCOUNTS, DAYS)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log"
        start, cpu = time.perf_counter(), time.process_time()
        world = World(path, accounts)
        world.begin()
        for _ in range(days):
            world.live_a_day()
        taken_s, cpu_s = time.perf_counter() - start, time.process_time() - cpu
        bytes_of_log = sum(one.stat().st_size for one in Path(folder).iterdir())
        start = time.perf_counter()
        again = World(path, accounts)
        again.servicing.recover()
        recovered_s = time.perf_counter() - start
        assert again.book.digest() == world.book.digest(), "the recovered book is another one"
        assert again.ledger.digest() == world.ledger.digest(), "the recovered ledger is another one"
    extra: dict[str, object] = {
        "total_s": round(taken_s, 1),
        "cpu_s": round(cpu_s, 1),
        "recovered_s": round(recovered_s, 1),
        **{f"{name}_s": round(taken, 1) for name, taken in world.taken_s.items()},
        **world.counts,
        "transfers": world.ledger.facts_n,
        "log_mb": round(bytes_of_log / 1e6),
        "balanced_every_day": world.days_balanced == days,
    }
    peers = {"polars": _polars(accounts, 5 if quick else 50), "plain twin": _twin(5 if quick else 20)}
    return Measured(accounts * days / taken_s, "account-days/s", peers, extra)


class World:
    """Customers with habits, and the lender's book, ledger and log."""

    def __init__(self, path: Path, accounts: int, seed: int = 7) -> None:
        self.rng, self.accounts = np.random.default_rng(seed), accounts
        log = Log.open(SqliteLogStore(path), "bench")
        self.servicing = CreditServicing("bench", CreditBook(products(), FIRST), Ledger(), log, TYPE)
        self.book, self.ledger = self.servicing.book, self.servicing.ledger
        self.pays_all = self.rng.random(accounts) < 0.6
        self.pays = np.where(self.rng.random(accounts) < 0.04, 0.02, 0.35)
        self.number, self.days_balanced = 0, 0
        self.taken_s = {"customers": 0.0, "take": 0.0, "close": 0.0, "check": 0.0}
        self.counts = {"events": 0, "refused": 0, "back_dated": 0, "converted": 0, "written_off": 0}

    def begin(self) -> None:
        """Open the control accounts and all accounts of customers."""
        self.servicing.open_accounts(FIRST * DAY_MS)
        made = self._made(np.arange(self.accounts), E.OPENED)
        made["product"] = np.arange(self.accounts) % 3 + 1
        made["amount_minor"] = self.rng.integers(5_000_00, 50_000_00, self.accounts)
        made["extra"], made["rate"] = made["amount_minor"] // 2, 182_500
        assert not self.servicing.take(made, FIRST * DAY_MS).any()

    def live_a_day(self) -> None:
        """Customers act, their events are taken, the day is closed, the books are compared."""
        now_ms, marks = self.book.day * DAY_MS, [time.perf_counter()]
        events = np.concatenate(self._customers(self.book.measures()))
        marks.append(time.perf_counter())
        outcomes = self.servicing.take(events, now_ms)
        self.counts["events"] += len(events)
        self.counts["refused"] += int((outcomes != 0).sum())
        marks.append(time.perf_counter())
        closed = self.servicing.close(now_ms + DAY_MS - 1)
        marks.append(time.perf_counter())
        self.days_balanced += not self.servicing.differences(closed)
        marks.append(time.perf_counter())
        for name, one in zip(self.taken_s, np.diff(marks).tolist(), strict=True):
            self.taken_s[name] += one

    def _made(self, rows: np.ndarray, kind: CreditEvent) -> np.ndarray:
        made = np.zeros(len(rows), CREDIT_EVENT)
        made["account"], made["kind"], made["day"] = rows + 1, int(kind), self.book.day
        made["id"] = self.number + np.arange(1, len(rows) + 1)
        self.number += len(rows)
        return made

    def _customers(self, measures: np.ndarray) -> list[np.ndarray]:
        """Who buys, draws cash, pays, converts, and who is written off."""
        rng, roll = self.rng, self.rng.random(self.accounts)
        draws = self._made(np.flatnonzero(roll < 0.08), E.DRAW)
        draws["amount_minor"] = rng.integers(1, 800_00, len(draws))
        cash = self._made(np.flatnonzero(roll > 0.998), E.CASH)
        cash["amount_minor"] = rng.integers(1_00, 1_000_00, len(cash))
        due = np.where(self.pays_all, measures[:, BILLED], measures[:, MINIMUM])
        pays = self._made(np.flatnonzero((due > 0) & (rng.random(self.accounts) < self.pays / 4)), E.PAY)
        pays["amount_minor"] = due[pays["account"] - 1]
        early = rng.random(len(pays)) < 0.005
        pays["day"] -= np.where(early & (pays["day"] > FIRST + 5), 3, 0)
        plans = self._made(np.flatnonzero((measures[:, PURCHASES] > 500_00) & (roll < 0.002)), E.CONVERT)
        plans["amount_minor"], plans["extra"] = 100_00, rng.choice((3, 6, 12), len(plans))
        lost = self._made(np.flatnonzero(measures[:, PAST] > 180), E.WRITE_OFF)
        for name, made in {"converted": plans, "written_off": lost}.items():
            self.counts[name] += len(made)
        self.counts["back_dated"] += int((pays["day"] < self.book.day).sum())
        return [draws, cash, pays, plans, lost]


def _polars(accounts: int, days: int) -> float:
    """Account-days a second of a night's interest on one balance, in exact integers, rounded, as a difference."""
    import polars as pl

    rng = np.random.default_rng(7)
    frame = pl.DataFrame({
        "owed": rng.integers(0, 50_000_00, accounts), "product": np.arange(accounts) % 3,
        "whole": np.zeros(accounts, np.int64), "rest": np.zeros(accounts, np.int64),
        "posted": np.zeros(accounts, np.int64),
    })  # fmt: skip
    den, start = 365 * 10**6, time.perf_counter()
    for _ in range(days):
        exact = pl.col("owed") * 182_500 + pl.col("rest")
        frame = frame.with_columns(whole=pl.col("whole") + exact // den, rest=exact % den)
        up = (2 * pl.col("rest") > den) | ((2 * pl.col("rest") == den) & (pl.col("whole") % 2 == 1))
        frame = frame.with_columns(now=pl.col("whole") + up.cast(pl.Int64))
        frame.group_by("product").agg((pl.col("now") - pl.col("posted")).sum())
        frame = frame.with_columns(posted=pl.col("now")).drop("now")
    return accounts * days / (time.perf_counter() - start)


def _twin(count: int) -> float:
    """Account-days a second of the plain twin: a purchase every twelve days, all paid on the 20th of a month."""
    start = time.perf_counter()
    for one in range(count):
        slow = SlowCredit(products()[0], FIRST, 10**6, 182_500)
        for day in range(300):
            if day % 12 == one % 12:
                slow.take(E.DRAW, 10_000, 0, day)
            if day % 30 == 20 and (owed := slow.owed(billed=True)):
                slow.take(E.PAY, owed, 0, day)
            slow.next_day()
    return 300 * count / (time.perf_counter() - start)
