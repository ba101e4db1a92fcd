"""What every instrument is asked through: one chain with its accounts, all or nothing; ids that are its own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quanheng.kernel.errors import InputError
from quanheng.ledger.entries import Account, AccountFlag, Answer, Balance, Opened, Transfer, TransferFlag
from quanheng.ledger.instruments import escrow, payment
from quanheng.ledger.instruments.action_fold import Party
from quanheng.ledger.instruments.instrument import Step, part_id, parts_of, perform
from quanheng.ledger.instruments.payment import Authorise, Capture, Payments
from quanheng.ledger.instruments.pool import Pool, PoolTerms
from quanheng.ledger.ledger import Ledger
from quanheng.ledger.outcomes import AccountOutcome, TransferOutcome
from quanheng.testing.ledger_world import World
from quanheng.testing.slow_ledger import SlowLedger

A, T, F = AccountOutcome, TransferOutcome, TransferFlag
POOR, RICH, NEW = Account(1, 1, 7, AccountFlag.DEBITS_BOUND), Account(2, 1, 7), Account(3, 1, 7)


class Asks:
    """An instrument that asks for one step, whatever the action is."""

    def __init__(self, step: Step) -> None:
        self.step, self.folded = step, []

    def decide(self, action, now_ms):
        return self.step

    def apply(self, action, now_ms):
        self.folded.append((action, now_ms))


@pytest.fixture(params=[Ledger, SlowLedger])
def ledger(request):
    one = request.param()
    assert one.open_accounts([POOR, RICH], 0, 0) == [A.APPLIED] * 2
    return one


def test_no_account_stays_of_a_step_whose_transfers_are_refused(ledger):
    asks = Asks(Step([Transfer(10, 2, 3, 5, 1), Transfer(11, 1, 3, 5, 1)], [NEW]))
    refused = perform(ledger, asks, "act", 1, 0)
    assert (refused.outcome, refused.applied, asks.folded) == (T.BALANCE_IS_TOO_LOW, False, [])
    assert [one.outcome for one in refused.answers] == [T.CHAIN_FAILED, T.BALANCE_IS_TOO_LOW]
    assert ledger.transfer([Transfer(12, 2, 3, 5, 1)], 1, 0)[0].outcome == T.CREDIT_ACCOUNT_NOT_FOUND
    ledger.transfer([Transfer(13, 2, 1, 5, 1)], 2, 0)
    assert perform(ledger, asks, "act", 3, 0).applied
    assert perform(ledger, asks, "act", 4, 0).applied
    assert asks.folded == [("act", 3), ("act", 3)], "as of when it was applied"


def test_no_transfer_is_judged_and_no_account_stays_if_one_account_is_refused(ledger):
    asks = Asks(Step([Transfer(10, 2, 3, 5, 1)], [NEW, RICH._replace(code=8)]))
    assert perform(ledger, asks, "act", 1, 0)[1:] == (A.EXISTS_WITH_OTHER_CONTENT, [])
    opened = ledger.open_and_transfer([NEW, RICH, RICH._replace(code=8)], [Transfer(10, 2, 3, 5, 1)], 1, 0)
    assert opened == Opened([A.CHAIN_FAILED, A.EXISTS, A.EXISTS_WITH_OTHER_CONTENT], [])
    assert ledger.open_accounts([NEW], 1, 0) == [A.APPLIED]


def test_a_step_of_accounts_alone_and_one_of_nothing(ledger):
    assert ledger.open_and_transfer([NEW._replace(flags=1), POOR], [], 1, 0) == Opened([A.APPLIED, A.EXISTS], [])
    assert perform(ledger, Asks(Step()), "act", 1, 0).applied


def test_a_burnt_id_stays_burnt_though_the_accounts_go(ledger):
    chain = [Transfer(10, 1, 3, 5, 1, F.BURN), Transfer(11, 2, 3, 5, 1, F.BURN)]
    assert ledger.open_and_transfer([NEW], chain, 1, 0).transfers[0] == Answer(T.BALANCE_IS_TOO_LOW)
    assert ledger.open_accounts([NEW], 1, 0) == [A.APPLIED]
    for id in (10, 11):
        assert ledger.transfer([Transfer(id, 2, 3, 5, 1)], 1, 0)[0].outcome == T.ID_IS_BURNT
    applied = ledger.open_and_transfer([NEW], [Transfer(12, 2, 3, 5, 1)], 1, 0)
    assert applied.transfers == [Answer(T.APPLIED, 5, 1, Balance(5), Balance(0, 0, 5))]


def test_what_was_taken_back_leaves_no_trace_in_the_facts():
    core = Ledger()
    core.open_accounts([POOR, RICH], 0, 0)
    before = core.digest()
    fresh = [Account(100 + one, 1, 7) for one in range(300)]
    core.open_and_transfer(fresh, [Transfer(10, 2, 100, 5, 1), Transfer(11, 1, 2, 5, 1)], 1, 0)
    assert core.digest() == before
    with pytest.raises(InputError, match="row 0 of the batch: a number of the account has no place in its record"):
        core.open_and_transfer([POOR._replace(asset=-1)], [], 1, 0)
    with pytest.raises(InputError, match="row 0 of the batch: a number of the transfer has no place in its record"):
        core.open_and_transfer([], [Transfer(10, 1, 2, 2**63)], 1, 0)
    assert core.digest() == before
    core.open_and_transfer(fresh, [Transfer(12, 2, 100, 5, 1)], 1, 0)
    copy = Ledger()
    copy.apply(core.facts())
    assert copy.digest() == core.digest() == Ledger.load(core.dump()).digest()
    assert len(core.accounts()) == 302


@given(st.integers(0, 10**6))
def test_core_and_law_agree_on_accounts_with_transfers(seed):
    world, law, core = World(seed, 8), SlowLedger(), Ledger()
    for number in range(30):
        world.tick()
        opened, asked = world.openings() if number % 2 == 0 else [], world.transfers(1 + number % 4)
        given = [one.open_and_transfer(opened, asked, world.now_ms, world.day) for one in (law, core)]
        assert given[0] == given[1]
        world.note(asked, given[1].transfers or [Answer(T.CHAIN_FAILED)] * len(asked))
    assert [(one.account.id, one.balance) for one in core.accounts()] == [
        (id, book.balance()) for id, book in law.books.items()
    ]
    copy = Ledger()
    copy.apply(core.facts())
    assert copy.digest() == core.digest()


def test_two_instruments_that_are_given_one_id_have_no_part_in_common():
    kinds = [payment.part_id, escrow.part_id, parts_of("bill"), part_id]
    parts = [kind(id, name) for kind in kinds for id in (1, 11, 2**127) for name in ("hold", "1", 1, "1 hold")]
    assert len(set(parts)) == len(parts) - len(kinds) * 3, "1 and '1' are one name"
    assert parts_of("bill")(1, "hold") == part_id(1, "hold", "bill")


def test_two_pools_that_are_given_one_id_have_no_part_in_common():
    one, other = (Pool(number, PoolTerms(1, 2, 3, 7, 30)) for number in (1, 2))
    assert one.account_of("first") != other.account_of("first")


def test_a_capture_that_the_fold_has_missed_is_the_same_when_it_is_asked_later(ledger):
    """The rest is held until the moment that stands: a time-out counted from now would be refused as another one."""
    payer, payee = Party(1, 2), Party(2, 1)
    payments, missed = Payments(), Payments()
    authorise = Authorise(5, 1, payer, payee, 100, 7, 1_000)
    assert perform(ledger, payments, authorise, 10, 0).applied
    missed.apply(authorise, 10)
    capture = Capture(6, 2, 5, 40, final=False)
    assert perform(ledger, payments, capture, 20, 0).applied
    again = perform(ledger, missed, capture, 500, 0)
    assert again.applied
    assert {one.outcome for one in again.answers} == {T.EXISTS}
    assert missed.payments[5].holding == payments.payments[5].holding
    assert missed.payments[5].holding.expires_ms == 1_010
