"""A book and the single loan side by side: the same terms, the same events, and what each says of them."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import Any

import numpy as np
from loan_bench import FIRST, LENDER, OWNER, terms

from quanheng.ledger.instruments.instrument import Refusal
from quanheng.ledger.instruments.loan.actions import (
    Charge,
    Effect,
    Originate,
    Pay,
    PayOff,
    Prepay,
    Recover,
    Refund,
    WriteOff,
)
from quanheng.ledger.instruments.loan.fold import LoanBooks, LoanFold, Why
from quanheng.ledger.instruments.loan.loans import DAY_MS, Loans
from quanheng.ledger.instruments.loan.terms import Terms
from quanheng.ledger.instruments.loan_book.book import LoanBook
from quanheng.ledger.instruments.loan_book.events import BookEvent, event, opened
from quanheng.ledger.instruments.loan_book.kernel import words as w
from quanheng.ledger.instruments.loan_book.outcomes import OUTCOMES
from quanheng.ledger.instruments.loan_book.products import Product, ProductAccounts

ACCOUNTS = ProductAccounts(*range(501, 515))
LOAN = 7
KINDS = {
    Charge: BookEvent.CHARGE, Pay: BookEvent.PAY, Prepay: BookEvent.PREPAY, PayOff: BookEvent.PAY_OFF,
    WriteOff: BookEvent.WRITE_OFF, Recover: BookEvent.RECOVER, Refund: BookEvent.REFUND,
}  # fmt: skip
_SHARED = (
    "asset", "code", "period_months", "day_count", "method", "grace_periods", "grace", "roll", "calendar",
    "end_of_month", "penalty", "allocation", "level_rounding", "accrual_rounding", "billing_rounding",
    "penalty_rounding", "fee_rounding", "prepayment_fee_rate",
)  # fmt: skip


def product(number: int = 1, **changed: Any) -> Product:
    """A product with accounts of its own."""
    first = 1000 * number
    given = {
        "number": number, "asset": 400, "code": 40, "accounts": ProductAccounts(*range(first + 1, first + 15)),
    }  # fmt: skip
    return Product(**(given | changed))


def product_of(terms: Terms) -> Product:
    """The product of a single loan's terms."""
    reference = terms.penalty.reference if terms.penalty else ()
    return product(reference=reference, **{name: getattr(terms, name) for name in _SHARED})


def opening_of(terms: Terms, loan: int = LOAN, number: int = 1) -> np.ndarray:
    """The opening of a single loan's terms."""
    rate = int(terms.rate * w.RATE_UNIT)
    assert rate == terms.rate * w.RATE_UNIT
    return opened(loan, number, terms.first_day, 1, terms.principal_minor, rate, terms.periods)


class Both:
    """One loan in a book and as an instrument; whatever is done is done to both and compared."""

    def __init__(self, **changed: Any) -> None:
        self.terms = terms(**changed)
        self.book, self.loans = LoanBook([product_of(self.terms)], self.terms.first_day), Loans()
        assert self.book.take(opening_of(self.terms)).tolist() == [0]
        self.loans.apply(Originate(LOAN, LENDER, self.terms), self.now_ms)
        self.number = 1000

    @property
    def now_ms(self) -> int:
        return self.book.day * DAY_MS

    def do(self, kind: type, day: int, *rest: Any) -> str:
        """An action with an amount and what else it has; what became of it, the same in both."""
        self.number += 1
        by = LENDER if kind in (Charge, Refund, WriteOff) else OWNER
        action = kind(self.number, by, LOAN, day, *rest)
        decided = self.loans.decide(action, self.now_ms)
        told = decided.code if isinstance(decided, Refusal) else "APPLIED"
        amount = rest[0] if rest else 0
        extra = int(len(rest) > 1 and rest[1] == Effect.REDUCES)
        [outcome] = self.book.take(event(KINDS[kind], LOAN, day, self.number, amount, extra))
        assert OUTCOMES[outcome].name == str(told), (action, decided)
        if told == "APPLIED":
            self.loans.apply(action, self.now_ms)
        self.compare()
        return str(told)

    def pass_days(self, days: int) -> None:
        """Close so many days; both are compared after each."""
        for _ in range(days):
            self.book.close()
            self.compare()

    def compare(self) -> None:
        """What is owed, and every flow since the beginning, are equal."""
        owed = self.loans.owed(LOAN, self.book.day)
        assert self.book.measures(LOAN)[0, :6].tolist() == list(owed)
        assert self.book.payoff_minor(LOAN) == self.loans.payoff_quote(LOAN, self.book.day).amount_minor
        if self.book.day == self.loans.loans[LOAN].newest:
            assert [(day, part) for day, part in self.book.coming(LOAN)] == self.loans.coming(LOAN)

    def compare_flows(self) -> None:
        """Every sum of value that moved is that of the postings of the single loan."""
        state = self.loans.loans[LOAN]
        fold = LoanFold(self.terms, LoanBooks.of(LOAN)).run(state.events)
        fold.advance(self.book.day)
        assert _summed(fold) == _flows_of(self.book)


def _summed(fold: LoanFold) -> dict[str, int]:
    own, books, found = fold.books, fold.terms.books, Counter[str]()
    names = {getattr(own, name): name for name in own._fields}
    names |= {getattr(books, name): name for name in books.__struct_fields__}
    for one in fold.postings:
        found[f"{one.why.name} {names[one.debit]}"] += one.amount_minor
        found[f"{one.why.name} {names[one.credit]}"] -= one.amount_minor
    assert set(found) <= {f"{why.name} {name}" for why in Why for name in names.values()}
    return {name: amount for name, amount in found.items() if amount}


_FLOW_NAMES = {
    w.ACCRUED: ("ACCRUED", "interest", "interest_income"), w.ROUNDED: ("ROUNDED", "interest", "rounding"),
    w.PENALISED: ("PENALTY", "penalty", "penalty_income"), w.CHARGED: ("FEE", "fees", "fee_income"),
    w.PAID_FEES: ("ALLOCATED", "settlement", "fees"), w.PAID_PENALTY: ("ALLOCATED", "settlement", "penalty"),
    w.PAID_INTEREST: ("ALLOCATED", "settlement", "interest"),
    w.PAID_PRINCIPAL: ("ALLOCATED", "settlement", "principal"),
    w.PREPAID: ("PREPAID", "settlement", "principal"), w.CAPITALISED_INTEREST: ("CAPITALISED", "principal", "interest"),
    w.LOST_FEES: ("WRITTEN_OFF", "loss", "fees"), w.LOST_PENALTY: ("WRITTEN_OFF", "loss", "penalty"),
    w.LOST_INTEREST: ("WRITTEN_OFF", "loss", "interest"), w.LOST_PRINCIPAL: ("WRITTEN_OFF", "loss", "principal"),
    w.NOTED: ("NOTED", "written_off", "written_off_contra"),
    w.RECOVERED: ("RECOVERED", "settlement", "recovery_income"),
}  # fmt: skip


def _flows_of(book: LoanBook) -> dict[str, int]:
    found, flows = Counter[str](), book.flows()[0].tolist()
    for flow, (why, debit, credit) in _FLOW_NAMES.items():
        found[f"{why} {debit}"] += flows[flow]
        found[f"{why} {credit}"] -= flows[flow]
    return {name: amount for name, amount in found.items() if amount}


__all__ = ["FIRST", "KINDS", "LOAN", "Both", "Decimal", "product", "product_of"]
