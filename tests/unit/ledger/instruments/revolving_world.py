"""Many accounts of three products behind one log, and a seeded life of them all."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from pathlib import Path

import numpy as np
from revolving_bench import FIRST, E, credit_product

from quanheng.kernel.log.log import Log
from quanheng.kernel.log.sqlite import SqliteLogStore
from quanheng.ledger.instruments.loan.day_count import DayCount
from quanheng.ledger.instruments.revolving.book import CreditBook
from quanheng.ledger.instruments.revolving.events import event, opened
from quanheng.ledger.instruments.revolving.outcomes import OUTCOMES
from quanheng.ledger.instruments.revolving.products import CreditProduct, Grace
from quanheng.ledger.instruments.revolving.servicing import CreditServicing
from quanheng.ledger.ledger import Ledger

TYPE, ACCOUNTS = 41, 40


def products() -> list[CreditProduct]:
    """As in China, as in the United States, and a line without grace."""
    return [
        credit_product(1, plan_rate=Decimal("0.05"), settle_fee_share=Decimal("0.03"), compounds=True),
        credit_product(
            2, statement_day=31, due_days=25, grace=Grace.UNPAID, day_count=DayCount.ACT_360, late_cap_minor=4_000,
            highest_rate_above_minimum=True, cash_rate_extra=Decimal("0.05"), residue_first=True,
        ),
        credit_product(3, statement_day=15, grace=Grace.NONE, tolerance_minor=500, over_limit_share=Decimal("0.1")),
    ]  # fmt: skip


class CreditWorld:
    """A book, its ledger and its log in a file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.log = Log.open(SqliteLogStore(path), "tests")
        self.servicing = CreditServicing("tests", CreditBook(products(), FIRST), Ledger(), self.log, TYPE)
        self.book, self.ledger = self.servicing.book, self.servicing.ledger
        self.told: Counter[str] = Counter()

    @property
    def now_ms(self) -> int:
        return self.book.day * 86_400_000

    def begin(self) -> CreditWorld:
        self.servicing.open_accounts(self.now_ms)
        return self

    def take(self, *events: np.ndarray) -> list[str]:
        """What became of events, by name."""
        names = [OUTCOMES[one].name for one in self.servicing.take(np.concatenate(events), self.now_ms).tolist()]
        self.told.update(names)
        return names

    def close(self) -> None:
        """Close a day; every control account is the sum over the accounts, debits are credits."""
        closed = self.servicing.close(self.now_ms)
        assert self.servicing.differences(closed) == []
        accounts = [id for one in self.book.products for id in _ids(one)]
        nets = [self.ledger.balance(id) for id in accounts]
        assert sum(net.debits_posted_minor - net.credits_posted_minor for net in nets) == 0


def _ids(product: CreditProduct) -> list[int]:
    return [getattr(product.accounts, name) for name in product.accounts.__struct_fields__]


def day_of_life(seed: int, day: int) -> np.ndarray:
    """What all customers do on a day; some of it will be refused."""
    rng = np.random.default_rng((seed, day))
    today, number = FIRST + day, 1 + 1000 * (day + 1)
    made = []
    if day % 3 == 0 and day // 3 < ACCOUNTS:
        account = 1 + day // 3
        made.append(opened(account, 1 + account % 3, today, 1, 500_000, 182_500, 200_000))
    kinds = rng.choice(
        [E.DRAW, E.PAY, E.CASH, E.FEE, E.CREDIT, E.REFUND, E.CONVERT, E.SETTLE, E.LIMIT, E.BLOCK, E.UNBLOCK, E.RE_AGE,
         E.WRITE_OFF, E.RECOVER],
        rng.integers(0, 14), p=[.3, .25, .06, .04, .04, .03, .1, .03, .02, .01, .04, .03, .01, .04],
    )  # fmt: skip
    for at, kind in enumerate(kinds.tolist()):
        account, amount = int(rng.integers(1, ACCOUNTS + 3)), int(rng.choice((1, 900, rng.integers(1, 90_000))))
        back = int(rng.integers(0, 60)) if kind in (E.PAY, E.FEE) and rng.random() < 0.3 else 0
        extra = {E.CONVERT: int(rng.choice((3, 12, 1002))), E.LIMIT: 0}.get(kind, number + at - 1)
        made.append(event(E(kind), account, today - back, number + at, amount, extra))
    return np.concatenate(made) if made else event(E.UNBLOCK, 1, today, number)
