"""What the tests of receivables and bills stand on: an instrument on a ledger with cash accounts, and its balances."""

from __future__ import annotations

from quanheng.ledger.entries import Account, AccountFlag, Transfer
from quanheng.ledger.instruments.action_fold import Party
from quanheng.ledger.instruments.instrument import part_id, perform
from quanheng.ledger.ledger import Ledger
from quanheng.testing.slow_ledger import SlowLedger

LEDGERS = {"law": SlowLedger, "core": Ledger}
CASH_ASSET, FUNDS_MINOR, BANK = 156, 10_000_000, 199
TODAY = 20_000
DAY_MS = 86_400_000
START_MS = TODAY * DAY_MS + 3_600_000


def party(n):
    """Party n with its cash account."""
    return Party(n, 100 + n)


def balances(ledger):
    """Every account's posted and held totals."""
    if isinstance(ledger, Ledger):
        return {one.account.id: one.balance for one in ledger.accounts()}
    return {id: book.balance() for id, book in ledger.books.items()}


def assets(ledger):
    if isinstance(ledger, Ledger):
        return {one.account.id: one.account.asset for one in ledger.accounts()}
    return {id: book.account.asset for id, book in ledger.books.items()}


def worth(balance):
    """Posted credits less posted debits."""
    return balance.credits_posted_minor - balance.debits_posted_minor


class TradeBench:
    """An instrument on a ledger; parties 1 .. 9 have cash on accounts 101 .. 109."""

    def __init__(self, instrument, kind="law"):
        self.instrument, self.ledger, self.now_ms, self.applied, self.number = (
            instrument,
            LEDGERS[kind](),
            START_MS,
            [],
            0,
        )
        bound = int(AccountFlag.DEBITS_BOUND)
        cash = [Account(100 + n, CASH_ASSET, 7, bound, owner=n) for n in range(1, 10)]
        self.ledger.open_accounts([*cash, Account(BANK, CASH_ASSET, 7)], START_MS, TODAY)
        self.ledger.transfer(
            [Transfer(part_id(n, "funds"), BANK, 100 + n, FUNDS_MINOR, 7) for n in range(1, 10)], START_MS, TODAY
        )

    @property
    def day(self):
        return self.now_ms // DAY_MS

    def to_day(self, day):
        self.now_ms = max(self.now_ms, day * DAY_MS + 3_600_000)

    def id(self):
        self.number += 1
        return 10_000 + self.number

    def do(self, action):
        known = action.id in self.instrument.done
        result = perform(self.ledger, self.instrument, action, self.now_ms, self.day)
        if result.applied and not known:
            self.applied.append((action, self.now_ms))
        return result

    def must(self, action):
        result = self.do(action)
        assert result.applied, (action, result.refusal, result.outcome)
        return action.id

    def refused(self, action):
        """Why an action is not applied, after which nothing has changed."""
        before = self.everything()
        result = self.do(action)
        assert not result.applied, action
        assert self.everything() == before
        return result.refusal.code if result.refusal else result.outcome

    def everything(self):
        return self.instrument.digest(), {id: one for id, one in balances(self.ledger).items() if any(one)}

    def has(self, account):
        return worth(balances(self.ledger)[account])

    def check_conserved(self):
        sums = {}
        of = assets(self.ledger)
        for id, one in balances(self.ledger).items():
            posted, held = sums.get(of[id], (0, 0))
            held += one.credits_held_minor - one.debits_held_minor
            sums[of[id]] = posted + worth(one), held
        assert set(sums.values()) <= {(0, 0)}, sums

    def check_replay(self, fresh):
        """What was applied, performed with a fresh instrument on a fresh ledger, gives the same."""
        kind = next(name for name, one in LEDGERS.items() if isinstance(self.ledger, one))
        other = TradeBench(fresh, kind)
        for action, now_ms in self.applied:
            other.now_ms = now_ms
            other.must(action)
        assert other.instrument.state() == self.instrument.state()
        assert other.everything() == self.everything()
