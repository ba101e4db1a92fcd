"""A book of loans to simulated people, served through the log for years, and its books compared every day.

Who pays, when, and whether at all follows from the hidden traits of `loading.traffic.borrowing`. Each day is two
durable appends: its events, and its close with what is posted. Half of the people, drawn at random, are contacted when
they are in arrears, once a day. How much a contact helps and what it costs are assumptions of the simulation
(`CONTACTED`, `CONTACT_MINOR`); measured is what a lender would see of them.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from math import isfinite, nan
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
from quanheng.models.chance import Interval
from quanheng.models.effect.difference import Effect, ratio, shares, welch

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
BOOK_STREAM, YEAR_DAYS = 40, 365
LENDING_SHARE = Decimal("0.6")
"""Loans are opened during this share of the time, so that the youngest are seen for a while."""
CURED, CONTACTED = 0.06, 0.10
"""Chance a day that arrears are paid by somebody who is able to; by one who was contacted."""
CONTACT_MINOR = 300
"""Cost of one contact, minor units."""
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
    lift : of the share cured; placebo : the same between halves of the control group, drawn at random
    more_minor : of what was past due and came in within these days, a loan
    cost : of contacts for each minor unit that came in more than without them
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
    lift: Effect
    placebo: Effect
    more_minor: Effect
    cost: Interval
    digest: str

    def result(self) -> dict[str, Any]:
        """Figures by name, with what a contact changed and its 95 % intervals."""
        (helped, of_helped), (alone, of_alone) = self.cured["contacted"], self.cured["control"]
        found: dict[str, Any] = {
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
            "contacted_cured": _told(helped / max(1, of_helped), 4),
            "control_cured": _told(alone / max(1, of_alone), 4),
        }
        effects = {"recovery_lift": (self.lift, 4), "placebo_recovery_lift": (self.placebo, 4)}
        for name, (one, digits) in (effects | {"recovered_more_minor": (self.more_minor, 0)}).items():
            found |= {name: _told(one.value, digits), f"{name}_low": _told(one.low, digits)}
            found |= {f"{name}_high": _told(one.high, digits), f"{name}_p": _told(one.p, 5)}
        cost = {"": self.cost.value, "_low": self.cost.low, "_high": self.cost.high}
        return found | {f"cost_per_recovered{name}": _told(one, 4) for name, one in cost.items()}


def _told(value: float, digits: int) -> float | int | None:
    """A figure for JSON, which knows neither NaN nor infinity: such a figure is not known."""
    if not isfinite(value):
        return None
    return round(value, digits) if digits else round(value)


def cost_per_more(cost: Floats, recovered: Floats, treated: NDArray[np.bool_]) -> Interval:
    """Difference of mean costs over difference of mean recoveries, treated less control, one value a subject.

    Each subject stands for its arm: its distance from the mean of all, over its arm's share, with the arm's sign. The
    ratio of the sums is then that of the differences, and `ratio` gives its interval by Fieller.
    """
    share = float(treated.mean()) if len(treated) else 0.0
    if not 0.0 < share < 1.0:
        return Interval(nan, nan, nan)
    weight = np.where(treated, 1 / share, -1 / (1 - share))
    return ratio(weight * (cost - cost.mean()), weight * (recovered - recovered.mean()))


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
        # A small book has no rings: they would be a larger share of it than of the declared traffic.
        small = loans < declared.per_month * months
        rings = msgspec.structs.replace(declared.rings, per_month=0) if small else declared.rings
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
        # Within the days after the first arrears: what came in of what was past due, and what contacts cost.
        self.came_minor, self.cost_minor = np.zeros(loans, np.int64), np.zeros(loans, np.int64)

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
        self.contacted, self.half = (
            Draws(self.seed, BOOK_STREAM, one).chance(Decimal("0.5"), self.loans) for one in (0, 1)
        )

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
        measures, count = self.book.measures(), self.book.count
        since, treated = self.since[:count], self.contacted[:count]
        whole = (since > 0) & (since + WINDOW_DAYS < self.book.day)
        half = self.half[:count] & ~treated
        arms = {"contacted": treated, "control": ~treated, "half": half, "other": ~treated & ~half}
        found = {
            name: (int(self.paid_in[:count][whole & arm].sum()), int((whole & arm).sum())) for name, arm in arms.items()
        }
        cured = {name: found[name] for name in ("contacted", "control")}
        came, cost = (one[:count].astype(np.float64) for one in (self.came_minor, self.cost_minor))
        more = welch(came[whole & treated], came[whole & ~treated])
        lost = int(measures[:, WRITTEN].sum()) if len(measures) else 0
        return BookRun(
            count, days, self.balanced, self.refused, self.counts, int(self.amount[:count].sum()), lost,
            self.recovered, cured, shares(*found["contacted"], *found["control"]),
            shares(*found["half"], *found["other"]), more,
            cost_per_more(cost[whole], came[whole], treated[whole]), str(self.book.digest()),
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
        soon = (self.since[:count] > 0) & (today - self.since[:count] <= WINDOW_DAYS)
        self.paid_in[pays] |= soon[pays]
        self.came_minor[pays] += np.where(soon & (late > 0), due, 0)[pays]
        self.cost_minor[:count] += CONTACT_MINOR * (soon & (late > 0) & self.contacted[:count])
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
