"""A lender, a borrower, and loans on a ledger: what the tests of loans stand on."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

from quanheng.ledger.entries import Account, AccountFlag, Balance, Transfer
from quanheng.ledger.instruments.action_fold import Party
from quanheng.ledger.instruments.instrument import Performed, perform
from quanheng.ledger.instruments.loan.actions import Originate
from quanheng.ledger.instruments.loan.day_count import day_of
from quanheng.ledger.instruments.loan.fold import LoanBooks
from quanheng.ledger.instruments.loan.loans import DAY_MS, Loans
from quanheng.ledger.instruments.loan.terms import LenderBooks, Penalty, Terms
from quanheng.ledger.ledger import Ledger
from quanheng.testing.slow_ledger import SlowLedger

LENDER, OWNER, STRANGER = 900, 901, 902
BANK, BORROWER = 50, 51
BOOKS = LenderBooks(61, 62, 63, 64, 65, 66, 67)
ASSET, CODE = 400, 40
FIRST = day_of(date(2024, 1, 15))
LATER_MS = (day_of(date(2040, 1, 1))) * DAY_MS
PENALTY = Penalty(Decimal("1.5"), on_interest=True)
LEDGERS = {"law": SlowLedger, "core": Ledger}


def terms(**changed: Any) -> Terms:
    """A year of 12,000.00 at 6 percent, paid monthly."""
    given = {
        "lender": LENDER, "borrower": Party(OWNER, BORROWER), "books": BOOKS, "asset": ASSET, "code": CODE,
        "principal_minor": 1_200_000, "rate": Decimal("0.06"), "first_day": FIRST, "periods": 12, "penalty": PENALTY,
    }  # fmt: skip
    return Terms(**(given | changed))


class Lending:
    """Loans on a ledger, law or core, with a borrower that has money."""

    def __init__(self, kind: str = "law") -> None:
        self.ledger, self.loans = LEDGERS[kind](), Loans()
        accounts = [Account(id, ASSET, CODE) for id in (BANK, *(getattr(BOOKS, n) for n in BOOKS.__struct_fields__))]
        accounts.append(Account(BORROWER, ASSET, CODE, int(AccountFlag.DEBITS_BOUND)))
        self.ledger.open_accounts(accounts, 0, 0)
        self.ledger.transfer([Transfer(1, BANK, BORROWER, 10**9, CODE)], 0, 0)

    def do(self, action: Any, now_ms: int = LATER_MS) -> Performed:
        """Perform an action, long after."""
        return perform(self.ledger, self.loans, action, now_ms, 0)

    def must(self, *actions: Any) -> None:
        """Perform actions, all of which must be applied."""
        for action in actions:
            done = self.do(action)
            assert done.applied, (action, done.refusal, done.outcome)

    def lend(self, id: int = 7, **changed: Any) -> Terms:
        """Originate a loan."""
        agreed = terms(**changed)
        self.must(Originate(id, LENDER, agreed))
        return agreed

    def balance(self, account: int) -> Balance:
        """Totals of an account."""
        return (
            self.ledger.books[account].balance()
            if isinstance(self.ledger, SlowLedger)
            else self.ledger.balance(account)
        )

    def net(self, account: int) -> int:
        """Debits less credits."""
        balance = self.balance(account)
        return balance.debits_posted_minor - balance.credits_posted_minor

    def nets(self, loan: int = 7) -> dict[str, int]:
        """Net debits of every account that a loan touches."""
        own = {name: self.net(account) for name, account in LoanBooks.of(loan)._asdict().items()}
        of_lender = {name: self.net(getattr(BOOKS, name)) for name in BOOKS.__struct_fields__}
        return own | of_lender | {"borrower": self.net(BORROWER)}
