"""A book of revolving credit and its plain twin side by side: the same events, and what each says of them."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

from quanheng.ledger.instruments.loan.day_count import day_of
from quanheng.ledger.instruments.revolving.book import CreditBook
from quanheng.ledger.instruments.revolving.events import CreditEvent, event, opened
from quanheng.ledger.instruments.revolving.outcomes import OUTCOMES
from quanheng.ledger.instruments.revolving.products import CreditAccounts, CreditProduct
from quanheng.testing.slow_revolving import SlowCredit

E = CreditEvent
FIRST = day_of(date(2024, 1, 1))
ACCOUNT = 7
HANGING = E.CONVERT, E.SETTLE, E.REFUND, E.RECOVER, E.WRITE_OFF
"""Events that must still be possible when one of an earlier day comes late."""


def credit_product(number: int = 1, **changed: Any) -> CreditProduct:
    """A product with accounts of its own; unchanged it has a cash fee, a minimum and a late fee as in China."""
    first = 1000 * number
    given = {
        "number": number, "asset": 156, "code": 41, "accounts": CreditAccounts(*range(first + 1, first + 15)),
        "cash_fee_share": Decimal("0.01"), "cash_fee_floor_minor": 10_00, "late_share": Decimal("0.05"),
        "late_floor_minor": 10_00, "plan_fee_share": Decimal("0.006"),
    }  # fmt: skip
    return CreditProduct(**(given | changed))


class BothCredits:
    """One account in a book and as its twin; whatever is done is done to both and compared."""

    def __init__(self, limit: int = 1_000_000, rate: int = 182_500, cash_limit: int = 500_000, **changed: Any) -> None:
        self.product, self.given = credit_product(**changed), (limit, rate, cash_limit)
        self.book = CreditBook([self.product], FIRST)
        assert self.book.take(opened(ACCOUNT, 1, FIRST, 1, limit, rate, cash_limit)).tolist() == [0]
        self.slow, self.events, self.id = self.fresh(), [], 1
        self.compare()

    def fresh(self) -> SlowCredit:
        return SlowCredit(self.product, FIRST, *self.given)

    def do(self, kind: CreditEvent, amount: int = 0, extra: int = 0, back: int = 0) -> str:
        """An event of today, or so many days back; what became of it, the same in both."""
        self.id += 1
        day = self.book.day - back
        [found] = self.book.take(event(kind, ACCOUNT, day, self.id, amount, extra))
        told = self.late(kind, day, amount, extra) if back else self.slow.refuses(kind, amount, extra)
        assert OUTCOMES[found].name == (told or "APPLIED"), (kind, day, amount, extra)
        if not told:
            self.events.append((day, kind, amount, extra, self.id))
            self.events.sort(key=lambda one: one[0])
            if not back:
                self.slow.take(kind, amount, extra, self.id)
        self.compare()
        return told or "APPLIED"

    def late(self, kind: CreditEvent, day: int, amount: int, extra: int) -> str | None:
        """The twin lives again with an event of an earlier day; why it cannot."""
        if day < FIRST:
            return "DAY_IS_BEFORE_THE_ACCOUNT"
        if kind not in (E.PAY, E.CREDIT, E.FEE):
            return "EVENT_CANNOT_BE_BACK_DATED"
        mine = (day, kind, amount, extra, self.id)
        again = self.fresh()
        for one in sorted([*self.events, mine], key=lambda one: one[0]):
            while again.day < one[0]:
                again.next_day()
            if (one == mine or one[1] in HANGING) and (why := again.refuses(*one[1:4])):
                return why if one == mine else "REPLAY_CONTRADICTS_LATER"
            again.take(*one[1:])
        while again.day < self.book.day:
            again.next_day()
        self.slow = again
        return None

    def pass_days(self, days: int) -> None:
        """Close so many days; both are compared after each."""
        for _ in range(days):
            self.book.close()
            self.slow.next_day()
            self.compare()

    def compare(self) -> None:
        """What is owed is equal; `statements` too, which lives the account again."""
        assert self.book.measures(ACCOUNT)[0].tolist() == self.slow.measures()
        assert self.book.due_day(ACCOUNT) == self.slow.due

    def compare_statements(self) -> None:
        """Every statement is equal, and its parts make its closing balance."""
        made = self.book.statements(ACCOUNT)
        assert made == self.slow.statements
        for one in made:
            came = one.opening_minor + one.drawn_minor + one.cash_minor + one.interest_minor + one.fees_minor
            assert came + one.instalments_minor - one.paid_minor - one.converted_minor == one.closing_minor
        plans = [(plan.id, plan.left_minor, plan.instalments - plan.billed) for plan in self.book.plans(ACCOUNT)[::-1]]
        assert plans == [(plan.id, plan.left, len(plan.parts)) for plan in self.slow.plans]
