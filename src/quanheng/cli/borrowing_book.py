"""A book of loans to simulated people, served through the log for years, and its books compared every day.

Who pays, when, and whether at all follows from the hidden traits of `loading.traffic.borrowing`. Each day is two
durable appends: its events, and its close with what is posted. Half of the people, drawn at random, are contacted when
they are in arrears. How much a contact helps is an assumption of the simulation (`CONTACTED`); measured is what a
lender would see of it.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from quanheng.kernel.log.log import Log
from quanheng.kernel.log.sqlite import SqliteLogStore
from quanheng.ledger.instruments.loan.day_count import DayCount
from quanheng.ledger.instruments.loan.terms import Penalty
from quanheng.ledger.instruments.loan_book.book import MEASURES, LoanBook
from quanheng.ledger.instruments.loan_book.events import BOOK_EVENT, BookEvent
from quanheng.ledger.instruments.loan_book.products import Product, ProductAccounts
from quanheng.ledger.instruments.loan_book.servicing import Servicing
from quanheng.ledger.ledger import Ledger
from quanheng.loading.traffic.borrowing.declaration import BorrowingDeclaration
from quanheng.loading.traffic.borrowing.people import DAY_MS, MONTH_DAYS, SIGMA
from quanheng.loading.traffic.borrowing.run import BorrowingTraffic
from quanheng.loading.traffic.draws import ONE, Draws
from quanheng.models.chance import two_shares

Integers = NDArray[np.int64]
BOOK_STREAM, YEAR_DAYS = 40, 365
LENDING_SHARE = Decimal("0.6")
"""Loans are opened during this share of the time, so that the youngest are seen for a while."""
CURED, CONTACTED = 0.06, 0.10
"""Chance a day that arrears are paid by somebody who is able to; by one who was contacted."""
WRITE_OFF_DAYS, WINDOW_DAYS = 180, 30
PREPAYS, RECOVERS = 0.0004, 0.004
DPD, PAST_DUE, PRINCIPAL, WRITTEN = (
    MEASURES.index(name) for name in ("days_past_due", "past_due_minor", "principal_minor", "written_off_minor")
)
_ASSET, _CODE, _TYPE = 156, 7, 40


class BookRun(NamedTuple):
    """What became of a book.

    days, balanced : closed; of these with every control account equal to the sum over the loans
    counts : events taken by what they are; refused : events the book refused
    lent_minor, written_off_minor, recovered_minor : sums
    cured : {contacted, control}: (paid within 30 days of their first arrears, all of them)
    """

    loans: int
    days: int
    balanced: int
    refused: int
    counts: dict[str, int]
    lent_minor: int
    written_off_minor: int
    recovered_minor: int
    cured: dict[str, tuple[int, int]]
    digest: str

    def result(self) -> dict[str, Any]:
        """Figures by name, with the lift of a contact and its 95 % interval."""
        (helped, of_helped), (alone, of_alone) = self.cured["contacted"], self.cured["control"]
        shares = [one / of if of else 0.0 for one, of in ((helped, of_helped), (alone, of_alone))]
        error = sum(p * (1 - p) / max(1, of) for p, of in zip(shares, (of_helped, of_alone), strict=True)) ** 0.5
        lift = shares[0] - shares[1]
        p_value = two_shares(helped, of_helped, alone, of_alone)[1] if of_helped and of_alone else 1.0
        return {
            "loans": self.loans,
            "days": self.days,
            "ledger_balanced": self.balanced == self.days,
            "days_balanced": self.balanced,
            **self.counts,
            "refused": self.refused,
            "lent_minor": self.lent_minor,
            "written_off_minor": self.written_off_minor,
            "recovered_minor": self.recovered_minor,
            "contacted": of_helped,
            "control": of_alone,
            "contacted_cured": round(shares[0], 4),
            "control_cured": round(shares[1], 4),
            "recovery_lift": round(lift, 4),
            "recovery_lift_low": round(lift - 1.96 * error, 4),
            "recovery_lift_high": round(lift + 1.96 * error, 4),
            "recovery_lift_p": round(p_value, 5),
        }


class BookWorld:
    """The borrowers, and the lender's book, ledger and log.

    Parameters
    ----------
    declared : who borrows; `loans` of them, in order of application
    path : of the log, made anew
    days : that the book is to live
    """

    def __init__(self, declared: BorrowingDeclaration, path: Path, loans: int, days: int, seed: int) -> None:
        self.seed, self.first = seed, declared.start_ms // DAY_MS
        months = max(1, int(days * LENDING_SHARE) // MONTH_DAYS)
        rings = msgspec.structs.replace(declared.rings, per_month=0) if loans < 40 * months else declared.rings
        a_month = max(1, -(-loans // months) - rings.per_month * rings.members)
        people = msgspec.structs.replace(declared, per_month=a_month, season=(100,) * 12, rings=rings)
        self._borrowers(people, declared.event.amount, loans, months)
        rate = Penalty(Decimal("1.5"), on_interest=True)
        products = [
            Product(number, _ASSET, _CODE, ProductAccounts(*range(100 * number, 100 * number + 14)), penalty=rate,
                    day_count=DayCount.ACT_365F)
            for number, _ in enumerate(declared.segments, 1)
        ]  # fmt: skip
        self.rate = int(declared.rule.rate * 10**6)
        log = Log.open(SqliteLogStore(path), "book")
        self.servicing = Servicing("book", LoanBook(products, self.first), Ledger(), log, _TYPE)
        self.servicing.open_accounts(self.first * DAY_MS)
        self.book, self.number, self.balanced, self.refused = self.servicing.book, 0, 0, 0
        self.counts = dict.fromkeys(("opened", "paid", "prepaid", "written_off", "recoveries"), 0)
        self.since = np.zeros(loans, np.int64)  # Day of the first arrears; 0 = none yet.
        self.paid_in = np.zeros(loans, np.bool_)

    def _borrowers(self, people: BorrowingDeclaration, amount: str, loans: int, months: int) -> None:
        traffic = BorrowingTraffic(people, self.seed)
        made = [traffic.people(month) for month in range(months)]
        asked = [traffic.asked(month)[amount] for month in range(months)]

        def joined(name: str) -> Integers:
            return np.concatenate([getattr(one, name) for one in made])[:loans]

        self.amount: Integers = np.concatenate(asked)[:loans]
        self.day, self.stops, self.worth = joined("time_ms") // DAY_MS, joined("stops"), joined("worth")
        self.segment = joined("segment")
        self.loans = len(self.day)
        # The instalment that is never paid falls due so many months on; those who pay all never stop.
        self.stop_day = np.where(self.stops > 0, self.day + self.stops * 30 - 5, 2**40)
        able = np.clip(self.worth, -3 * SIGMA, 3 * SIGMA)
        self.punctual = 0.93 + 0.02 * able / SIGMA
        self.contacted = Draws(self.seed, BOOK_STREAM, 0).chance(Decimal("0.5"), self.loans)

    def live_a_day(self) -> None:
        """People act, their events are taken, the day is closed, the books are compared."""
        now_ms = self.book.day * DAY_MS
        parts = [self._openings()]
        if self.book.count:
            parts += self._acts(self.book.measures())
        self.refused += int((self.servicing.take(np.concatenate(parts), now_ms) != 0).sum())
        closed = self.servicing.close(now_ms + DAY_MS - 1)
        self.balanced += not self.servicing.differences(closed)

    def result(self, days: int) -> BookRun:
        """What became of the book so far."""
        measures, told = self.book.measures(), self.since[: self.book.count] > 0
        whole = told & (self.since[: self.book.count] + WINDOW_DAYS < self.book.day)
        cured = {}
        for name, arm in (("contacted", self.contacted), ("control", ~self.contacted)):
            rows = whole & arm[: self.book.count]
            cured[name] = (int(self.paid_in[: self.book.count][rows].sum()), int(rows.sum()))
        lost = int(measures[:, WRITTEN].sum()) if len(measures) else 0
        return BookRun(
            self.book.count, days, self.balanced, self.refused, self.counts,
            int(self.amount[: self.book.count].sum()), lost, self.recovered, cured, str(self.book.digest()),
        )  # fmt: skip

    recovered = 0

    def _openings(self) -> np.ndarray:
        first = self.book.count
        last = int(np.searchsorted(self.day, self.book.day, side="right"))
        made = self._made(np.arange(first, last), BookEvent.OPENED)
        made["product"], made["amount_minor"] = self.segment[first:last] + 1, self.amount[first:last]
        made["rate"], made["periods"] = self.rate, 12
        self.counts["opened"] += last - first
        return made

    def _made(self, rows: Integers, kind: BookEvent) -> np.ndarray:
        made = np.zeros(len(rows), BOOK_EVENT)
        made["loan"], made["kind"], made["day"] = rows + 1, int(kind), self.book.day
        made["id"] = self.number + np.arange(1, len(rows) + 1)
        self.number += len(rows)
        return made

    def _acts(self, measures: Integers) -> list[np.ndarray]:
        """Who pays today: on the due day as the traits say; later as they are able, sooner where contacted."""
        count, today = len(measures), self.book.day
        draws = Draws(self.seed, BOOK_STREAM, today)
        roll, second = draws.uniform(count) / ONE, draws.uniform(count) / ONE
        due, late = measures[:, PAST_DUE], measures[:, DPD]
        begins = (late > 0) & (self.since[:count] == 0)
        self.since[:count][begins] = today
        pays_on = self.stop_day[:count] > today
        cure = np.where(self.contacted[:count], CONTACTED, CURED)
        chance = np.where(late == 0, self.punctual[:count], cure)
        pays = np.flatnonzero((due > 0) & pays_on & (roll < chance))
        self.paid_in[pays] |= (self.since[pays] > 0) & (today - self.since[pays] <= WINDOW_DAYS)
        paid = self._made(pays, BookEvent.PAY)
        paid["amount_minor"] = due[pays]
        early = (due == 0) & (measures[:, PRINCIPAL] > 50_000) & pays_on & (second < PREPAYS)
        prepaid = self._made(np.flatnonzero(early), BookEvent.PREPAY)
        prepaid["amount_minor"] = measures[early, PRINCIPAL] // 2
        lost = self._made(np.flatnonzero((late >= WRITE_OFF_DAYS) & (roll > 0.8)), BookEvent.WRITE_OFF)
        back = self._made(np.flatnonzero((measures[:, WRITTEN] >= 10_000) & (second < RECOVERS)), BookEvent.RECOVER)
        back["amount_minor"] = np.maximum(measures[back["loan"] - 1, WRITTEN] // 10, 10_000)
        self.recovered += int(back["amount_minor"].sum())
        for name, made in {"paid": paid, "prepaid": prepaid, "written_off": lost, "recoveries": back}.items():
            self.counts[name] += len(made)
        return [paid, prepaid, lost, back]


def run_book(
    declared: BorrowingDeclaration, path: Path, loans: int, years: int, seed: int,
    progress: Callable[[], None] | None = None,
) -> BookRun:  # fmt: skip
    """Let a book live: `loans` loans over `years` years, each day closed through the log at `path`."""
    days = years * YEAR_DAYS + years // 4
    world = BookWorld(declared, path, loans, days, seed)
    for _ in range(days):
        world.live_a_day()
        if progress:
            progress()
    return world.result(days)
