"""A small world in which every outcome has its cause, kept by the law and by the core at once."""

from __future__ import annotations

from quanheng.ledger.entries import AMOUNT_MAX, TOTAL_MAX, Account, AccountFlag, Amendment, Transfer, TransferFlag
from quanheng.ledger.kernel.words import A_CREDITS, A_CREDITS_HELD, A_DEBITS, A_DEBITS_HELD
from quanheng.ledger.ledger import Ledger
from quanheng.ledger.outcomes import AccountOutcome, TransferOutcome
from quanheng.ledger.wire import limbs_of
from quanheng.testing.slow_ledger import SlowLedger

F, G = TransferFlag, AccountFlag
NOW_MS, DAY = 2_000, 1
PAYER, PAYEE, OTHER_ASSET, CLOSED, NO_DEBITS, NO_CREDITS, PAYS_100, DAY_100, NET_100, BOUND, CREDIT_BOUND, HOLDS_100 = (
    range(1, 13)
)
DAY_FULL, DAY_FULL_TOO, FULL, FULL_TOO, RICH = range(13, 18)
PLAIN, OPEN_HOLD, POSTED_HOLD, VOIDED_HOLD, EXPIRED_HOLD, REVERSED, BURNT, TIMED, IMPORTED, PARTLY = range(100, 110)
TOTALS = {
    "debits_posted": A_DEBITS, "debits_held": A_DEBITS_HELD, "credits_posted": A_CREDITS,
    "credits_held": A_CREDITS_HELD,
}  # fmt: skip


class Both:
    """Law and core, asked the same: every answer is compared before it is given."""

    def __init__(self) -> None:
        self.law, self.core = SlowLedger(), Ledger()

    def __getattr__(self, name):
        def ask(*given):
            must, was = getattr(self.law, name)(*given), getattr(self.core, name)(*given)
            assert was == must, f"{name}{given}: the core says {was}, the law {must}"
            return must

        return ask

    def set_total(self, account: int, name: str, value: int) -> None:
        """What no test can reach by transfers."""
        setattr(self.law.books[account], name, value)
        dumped = self.core.dump()
        limbs = [one - 2**64 if one >> 63 else one for one in limbs_of(value)]
        dumped["A"][account - 1, TOTALS[name] : TOTALS[name] + 2] = limbs
        self.core = Ledger.load(dumped)


def stand(both: Both | None = None) -> Both:
    """The world: accounts 1 to 17, transfers 100 to 109, at NOW_MS."""
    both = both or Both()
    accounts = [Account(id, 1, 7) for id in range(1, RICH + 1)]
    for id, change in {
        OTHER_ASSET: {"asset": 2},
        NO_DEBITS: {"flags": G.DEBITS_FROZEN},
        NO_CREDITS: {"flags": G.CREDITS_FROZEN},
        PAYS_100: {"payment_max_minor": 100},
        DAY_100: {"day_max_minor": 100},
        NET_100: {"net_debit_cap_minor": 100},
        BOUND: {"flags": G.DEBITS_BOUND, "overdraft_minor": 100},
        CREDIT_BOUND: {"flags": G.CREDITS_BOUND},
        HOLDS_100: {"balance_max_minor": 100},
    }.items():
        accounts[id - 1] = accounts[id - 1]._replace(**change)
    assert set(both.open_accounts(accounts, 1_000, DAY)) == {AccountOutcome.APPLIED}
    both.amend_accounts([Amendment(CLOSED, flags=G.CLOSED)], 1_000, DAY)
    given = [
        Transfer(PLAIN, PAYER, PAYEE, 50, 5, user_data=9),
        *(Transfer(id, PAYER, PAYEE, 50, 5, F.HOLD) for id in (OPEN_HOLD, POSTED_HOLD, VOIDED_HOLD)),
        Transfer(EXPIRED_HOLD, PAYER, PAYEE, 50, 5, F.HOLD, timeout_ms=500),
        Transfer(REVERSED, PAYER, PAYEE, 50, 5),
        Transfer(TIMED, PAYER, PAYEE, 50, 5, F.HOLD, timeout_ms=5_000),
        Transfer(IMPORTED, PAYER, PAYEE, 50, 5, F.IMPORTED, value_ms=1_000),
        Transfer(PARTLY, PAYER, PAYEE, 50, 5),
        Transfer(200, amount_minor=50, flags=F.POST, reference=POSTED_HOLD),
        Transfer(201, amount_minor=50, flags=F.VOID, reference=VOIDED_HOLD),
        Transfer(202, amount_minor=50, flags=F.REVERSAL, reference=REVERSED),
        Transfer(203, amount_minor=20, flags=F.REVERSAL, reference=PARTLY),
        Transfer(204, DAY_FULL, DAY_FULL_TOO, AMOUNT_MAX, 5),
    ]
    assert {one.outcome for one in both.transfer(given, 1_000, DAY)} == {TransferOutcome.APPLIED}
    burnt = Transfer(BURNT, PAYER, PAYER, 50, 5, F.BURN)
    assert both.transfer([burnt], NOW_MS, DAY)[0].outcome == TransferOutcome.ACCOUNTS_MUST_DIFFER
    for name in ("debits_posted", "credits_posted"):
        both.set_total(FULL, name, TOTAL_MAX - 5)
        both.set_total(FULL_TOO, name, TOTAL_MAX - 5)
    both.set_total(RICH, "credits_posted", 2**70)
    return both
