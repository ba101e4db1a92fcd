"""lending.book: a whole book of loans for three years, each day closed through the log, books balanced every day.

50,000 loans of five products begin in the first hundred days. Every day customers pay what is due, on time, late, in
part, early or with an early date, as a seeded habit of each says; one in twelve is ruined one day. Overdue loans are
re-aged or written off and partly recovered; the reference rate changes. Each day is two durable appends (SQLite,
synchronous=FULL): its events with the customers' own money, and its close with the sums that are posted. After each
close the control accounts on the ledger are compared with the sums over the loans. At the end the log is folded again
and must give the same book and ledger.

Peers, in the same run: the interest of a day alone, without bills, payments, ledger and log, as columns in Polars; and
the single loan of `ledger.instruments.loan`, accrued day by day on a sample, which judges the book in the tests.
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
from quanheng.ledger.entries import Account, AccountFlag, Transfer
from quanheng.ledger.instruments.action_fold import Party
from quanheng.ledger.instruments.loan.day_count import DayCount, day_of
from quanheng.ledger.instruments.loan.fold import LoanBooks, LoanFold
from quanheng.ledger.instruments.loan.terms import LenderBooks, Method, Penalty, ReferenceRate, Terms
from quanheng.ledger.instruments.loan_book.book import MEASURES, LoanBook
from quanheng.ledger.instruments.loan_book.events import BOOK_EVENT, BookEvent, event
from quanheng.ledger.instruments.loan_book.products import Product, ProductAccounts
from quanheng.ledger.instruments.loan_book.servicing import Servicing
from quanheng.ledger.ledger import Ledger
from quanheng.testing.bench import Measured

FIRST, DAY_MS = day_of(date(2021, 1, 1)), 86_400_000
LOANS, DAYS, OPENING_DAYS = 50_000, 1_096, 100
ASSET, CODE, TYPE, BANK, CUSTOMERS = 156, 7, 40, 1, 1_000_000
PAST_DUE, DPD, WRITTEN = (MEASURES.index(name) for name in ("past_due_minor", "days_past_due", "written_off_minor"))


def products() -> list[Product]:
    """Annuity, equal principal, bullet, a floating annuity, and an annuity that moves each customer's own money."""
    prime = (ReferenceRate(FIRST, Decimal("0.0385")),)
    own, dated = Penalty(Decimal("1.5"), on_interest=True), Penalty(Decimal("1.5"), reference=prime)
    given = [
        {"penalty": own, "day_count": DayCount.ACT_365F},
        {"penalty": own, "method": Method.EQUAL_PRINCIPAL, "day_count": DayCount.ACT_ACT_ISDA},
        {"penalty": own, "method": Method.BULLET, "day_count": DayCount.ACT_360},
        {"penalty": dated, "reference": prime, "floats": True, "day_count": DayCount.THIRTY_E_360},
        {"penalty": own, "own_cash": True, "prepayment_fee_rate": Decimal("0.01")},
    ]
    return [
        Product(number, ASSET, CODE, ProductAccounts(*range(100 * number, 100 * number + 14)), **one)
        for number, one in enumerate(given, 1)
    ]


def run(quick: bool = False) -> Measured:
    """Loan-days a second of the whole simulation, everything durable; seconds of its parts beside."""
    loans, days = (2_000, 200) if quick else (LOANS, DAYS)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log"
        start, cpu = time.perf_counter(), time.process_time()
        world = World(path, loans)
        for _ in range(days):
            world.live_a_day()
        taken_s, cpu_s = time.perf_counter() - start, time.process_time() - cpu
        bytes_of_log = sum(one.stat().st_size for one in Path(folder).iterdir())
        start = time.perf_counter()
        again = World(path, loans, opens=False)
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
        "loan_days": world.loan_days,
        "transfers": world.ledger.facts_n,
        "log_mb": round(bytes_of_log / 1e6),
        "days_balanced": world.days_balanced,
        "balanced_every_day": world.days_balanced == days,
    }
    peers = {"polars": _polars(5 if quick else 50), "single loan": _single(5 if quick else 20)}
    return Measured(world.loan_days / taken_s, "loan-days/s", peers, extra)


class World:
    """Customers with habits, and the lender's book, ledger and log."""

    def __init__(self, path: Path, loans: int, opens: bool = True, seed: int = 7) -> None:
        self.rng, self.loans = np.random.default_rng(seed), loans
        log = Log.open(SqliteLogStore(path), "bench")
        self.servicing = Servicing("bench", LoanBook(products(), FIRST), Ledger(), log, TYPE)
        self.book, self.ledger = self.servicing.book, self.servicing.ledger
        self.product = np.arange(loans) % 5 + 1
        self.punctual = self.rng.beta(8, 1, loans)
        self.ruined = np.where(
            self.rng.random(loans) < 0.08, FIRST + self.rng.integers(60, 1_000, loans), FIRST + 10**6
        )
        self.number, self.loan_days, self.days_balanced = 0, 0, 0
        self.taken_s = {"customers": 0.0, "take": 0.0, "close": 0.0, "check": 0.0}
        self.counts = {
            "opened": 0,
            "paid": 0,
            "back_dated": 0,
            "prepaid": 0,
            "written_off": 0,
            "changed": 0,
            "refused": 0,
        }
        if opens:
            bound = [Account(CUSTOMERS + one, ASSET, CODE, AccountFlag.DEBITS_BOUND) for one in range(1, loans + 1)]
            own = [one for one in bound if self.product[one.id - CUSTOMERS - 1] == 5]
            self._fund(own)

    def _fund(self, own: list[Account]) -> None:
        now_ms = FIRST * DAY_MS
        for first in range(0, len(own), 8_000):
            self.servicing.open_accounts(now_ms, [Account(BANK, ASSET, CODE), *own[first : first + 8_000]])
        since = self.ledger.facts_n
        for first in range(0, len(own), 8_000):
            part = own[first : first + 8_000]
            self.ledger.transfer([Transfer(one.id, BANK, one.id, 10**8, CODE) for one in part], now_ms, FIRST)
        self.servicing.record(since, now_ms)

    def live_a_day(self) -> None:
        """Customers act, their events are taken, the day is closed, the books are compared."""
        now_ms, marks = self.book.day * DAY_MS, [time.perf_counter()]
        events = self._events()
        marks.append(time.perf_counter())
        outcomes = self.servicing.take(events, now_ms)
        self.counts["refused"] += int((outcomes != 0).sum())
        marks.append(time.perf_counter())
        self.loan_days += self.book.count
        closed = self.servicing.close(now_ms + DAY_MS - 1)
        marks.append(time.perf_counter())
        self.days_balanced += not self.servicing.differences(closed)
        marks.append(time.perf_counter())
        for name, one in zip(self.taken_s, np.diff(marks).tolist(), strict=True):
            self.taken_s[name] += one

    def _events(self) -> np.ndarray:
        day, parts = self.book.day, [self._openings()]
        if self.book.count:
            parts += self._customers(self.book.measures())
        if day - FIRST in (200, 500, 800):
            parts.append(event(BookEvent.RATE, 4, day + 1, 1, 0, 38_000 - day % 7 * 500))
        return np.concatenate(parts)

    def _openings(self) -> np.ndarray:
        first = self.book.count
        count = min(self.loans - first, -(-self.loans // OPENING_DAYS))
        made = self._made(np.arange(first, first + count), BookEvent.OPENED)
        made["product"] = self.product[first : first + count]
        made["amount_minor"] = self.rng.integers(2_000_00, 100_000_00, count)
        made["rate"] = np.where(made["product"] == 4, 20_000, self.rng.integers(60, 240, count) * 1_000)
        made["periods"] = self.rng.choice((12, 24, 36), count)
        made["account"] = np.where(made["product"] == 5, CUSTOMERS + made["loan"], 0)
        self.counts["opened"] += count
        return made

    def _made(self, rows: np.ndarray, kind: BookEvent) -> np.ndarray:
        made = np.zeros(len(rows), BOOK_EVENT)
        made["loan"], made["kind"], made["day"] = rows + 1, int(kind), self.book.day
        made["id"] = self.number + np.arange(1, len(rows) + 1)
        self.number += len(rows)
        return made

    def _customers(self, measures: np.ndarray) -> list[np.ndarray]:
        """Who pays today: on the due day as the habit says, later one in eight a day; some in part, some early."""
        due, dpd = measures[:, PAST_DUE], measures[:, DPD]
        roll = self.rng.random(len(measures))
        ruined = self.ruined[: len(measures)] <= self.book.day
        habit = np.where(ruined, 0.0, self.punctual[: len(measures)])
        pays = np.flatnonzero((due > 0) & (roll < np.where(dpd == 0, habit, habit / 8)))
        paid = self._made(pays, BookEvent.PAY)
        some = self.rng.random(len(pays))
        paid["amount_minor"] = np.where(some < 0.03, np.maximum(due[pays] // 2, 1), due[pays])
        early = (some > 0.98) & (dpd[pays] > 3)
        paid["day"] -= np.where(early, 3, 0)
        prepays = self._made(np.flatnonzero((due == 0) & (measures[:, 3] > 0) & (roll > 0.9997)), BookEvent.PREPAY)
        prepays["amount_minor"], prepays["extra"] = 500_00, self.rng.integers(0, 2, len(prepays))
        ages = self._made(np.flatnonzero((dpd == 90) & (roll < 0.2)), BookEvent.RE_AGE)
        ages["extra"] = 12
        lost = self._made(np.flatnonzero((dpd >= 180) & (roll > 0.9)), BookEvent.WRITE_OFF)
        back = self._made(np.flatnonzero((measures[:, WRITTEN] > 100_00) & (roll < 0.002)), BookEvent.RECOVER)
        back["amount_minor"] = 100_00
        for name, made in {"paid": paid, "prepaid": prepays, "written_off": lost, "changed": ages}.items():
            self.counts[name] += len(made)
        self.counts["back_dated"] += int(early.sum())
        return [paid, prepays, ages, lost, back]


def _polars(days: int) -> float:
    """Loan-days a second of the interest of a day alone, in exact integers, rounded and posted as a difference."""
    import polars as pl

    rng = np.random.default_rng(7)
    frame = pl.DataFrame({
        "not_due": rng.integers(2_000_00, 100_000_00, LOANS), "rate": rng.integers(60, 240, LOANS) * 1_000,
        "product": np.arange(LOANS) % 5, "whole": np.zeros(LOANS, np.int64), "rest": np.zeros(LOANS, np.int64),
        "posted": np.zeros(LOANS, np.int64),
    })  # fmt: skip
    den, start = 365 * 10**6, time.perf_counter()
    for _ in range(days):
        exact = pl.col("not_due") * pl.col("rate") + pl.col("rest")
        frame = frame.with_columns(whole=pl.col("whole") + exact // den, rest=exact % den)
        odd = pl.col("whole") % 2 == 1
        up = (2 * pl.col("rest") > den) | ((2 * pl.col("rest") == den) & odd)
        frame = frame.with_columns(now=pl.col("whole") + up.cast(pl.Int64))
        frame.group_by("product").agg((pl.col("now") - pl.col("posted")).sum())
        frame = frame.with_columns(posted=pl.col("now")).drop("now")
    return LOANS * days / (time.perf_counter() - start)


def _single(count: int) -> float:
    """Loan-days a second of the single loan's fold, accrued every day, nobody late, nothing posted to a ledger."""
    books = LenderBooks(1, 2, 3, 4, 5, 6, 7)
    terms = Terms(
        lender=9, borrower=Party(8, 8), books=books, asset=ASSET, code=CODE, principal_minor=1_000_000,
        rate=Decimal("0.12"), first_day=FIRST, periods=12, day_count=DayCount.ACT_365F, penalty=Penalty(Decimal("1.5")),
    )  # fmt: skip
    folds, start = [LoanFold(terms, LoanBooks.of(one + 1)) for one in range(count)], time.perf_counter()
    for fold in folds:
        fold.unallocated = 10**9
        for day in range(FIRST, FIRST + 300):
            fold.advance(day)
    return 300 * count / (time.perf_counter() - start)
