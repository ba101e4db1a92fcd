"""What the law means, told case by case; the core and the slow ledger are asked the same."""

from __future__ import annotations

import pytest

from quanheng.ledger.entries import (
    ALL,
    AMOUNT_MAX,
    BATCH_MAX,
    Account,
    AccountFlag,
    Amendment,
    Balance,
    Transfer,
    TransferFlag,
)
from quanheng.ledger.ledger import Ledger
from quanheng.ledger.outcomes import AccountOutcome, TransferOutcome
from quanheng.testing.slow_ledger import SlowLedger

A, F, G, T = AccountOutcome, TransferFlag, AccountFlag, TransferOutcome


@pytest.fixture(params=[SlowLedger, Ledger], ids=["law", "core"])
def ledger(request):
    one = request.param()
    limited = Account(3, 1, 7, G.DEBITS_BOUND, day_max_minor=100)
    one.open_accounts([Account(1, 1, 7), Account(2, 1, 7), limited, Account(4, 1, 7)], 0, 0)
    one.transfer([Transfer(1, 1, 3, 500, 5)], 0, 0)
    return one


def outcomes(ledger, *batch, at=1, day=0):
    return [one.outcome for one in ledger.transfer(list(batch), at, day)]


def balance(ledger, account):
    return ledger.balance(account) if isinstance(ledger, Ledger) else ledger.books[account].balance()


def hold(id, amount=100, timeout_ms=0, flags=0):
    return Transfer(id, 3, 4, amount, 5, F.HOLD | flags, timeout_ms=timeout_ms)


def post(id, reference, amount=ALL, flags=0):
    return Transfer(id, amount_minor=amount, flags=F.POST | flags, reference=reference)


def void(id, reference):
    return Transfer(id, amount_minor=ALL, flags=F.VOID, reference=reference)


@pytest.mark.parametrize(("at", "expected"), [(10, T.APPLIED), (11, T.HOLD_HAS_EXPIRED), (12, T.HOLD_HAS_EXPIRED)])
def test_a_hold_ends_exactly_when_its_time_is_out(ledger, at, expected):
    """Made at 1 for 10 ms, it can be posted until 10; at 11 its time is out."""
    assert outcomes(ledger, hold(10, timeout_ms=10)) == [T.APPLIED]
    assert outcomes(ledger, post(11, 10), at=at) == [expected]


def test_a_hold_posted_in_the_chain_that_made_it(ledger):
    chain = [hold(10, 60, flags=F.LINKED), post(11, 10, 40, F.LINKED), Transfer(12, 3, 4, 10, 5)]
    assert outcomes(ledger, *chain) == [T.APPLIED] * 3
    assert balance(ledger, 3) == Balance(50, 0, 500, 0)
    assert outcomes(ledger, *chain) == [T.EXISTS] * 3
    assert outcomes(ledger, *chain[:2], chain[2]._replace(id=13)) == [
        T.EXISTS_WITHOUT_ITS_CHAIN, T.CHAIN_FAILED, T.CHAIN_FAILED,
    ]  # fmt: skip


def test_the_same_id_twice_in_one_chain(ledger):
    one = Transfer(10, 1, 2, 5, 5, F.LINKED)
    last = one._replace(flags=0)
    assert outcomes(ledger, one, one, last) == [T.CHAIN_FAILED, T.EXISTS_WITHOUT_ITS_CHAIN, T.CHAIN_FAILED]
    assert outcomes(ledger, one, last) == [T.CHAIN_FAILED, T.EXISTS_WITH_OTHER_FLAGS]
    assert outcomes(ledger, last, last) == [T.APPLIED, T.EXISTS]
    assert balance(ledger, 2).credits_posted_minor == 5


def test_what_a_refused_id_may_do(ledger):
    """It may be asked again and succeed once the cause is gone, unless it was burnt."""
    free, burnt = Transfer(10, 4, 1, 5, 0), Transfer(11, 4, 1, 5, 0, F.BURN)
    assert outcomes(ledger, free, burnt) == [T.CODE_MUST_NOT_BE_ZERO] * 2
    assert outcomes(ledger, free._replace(code=5), burnt._replace(code=5, flags=0)) == [T.APPLIED, T.ID_IS_BURNT]


def test_ids_are_burnt_wherever_they_stand_in_a_refused_chain(ledger):
    flags = F.LINKED | F.BURN
    chain = [Transfer(10, 1, 2, 5, 5, flags), Transfer(11, 1, 1, 5, 5, flags), Transfer(12, 1, 2, 5, 5, F.BURN)]
    assert outcomes(ledger, *chain) == [T.CHAIN_FAILED, T.ACCOUNTS_MUST_DIFFER, T.CHAIN_FAILED]
    assert outcomes(ledger, *(one._replace(flags=0) for one in chain)) == [T.ID_IS_BURNT] * 3
    open_chain = [Transfer(20, 1, 2, 5, 5, flags), Transfer(21, 1, 2, 5, 5, flags)]
    assert outcomes(ledger, *open_chain) == [T.CHAIN_FAILED, T.CHAIN_IS_OPEN]
    assert outcomes(ledger, *(one._replace(flags=0) for one in open_chain)) == [T.APPLIED] * 2


def test_an_applied_transfer_is_not_burnt_by_a_request_that_differs(ledger):
    assert outcomes(ledger, Transfer(1, 1, 3, 501, 5, F.BURN)) == [T.EXISTS_WITH_OTHER_FLAGS]
    assert outcomes(ledger, Transfer(1, 1, 3, 500, 5)) == [T.EXISTS]


def test_what_a_hold_took_of_the_day_is_given_back_the_same_day(ledger):
    assert outcomes(ledger, hold(10), Transfer(11, 3, 4, 1, 5)) == [T.APPLIED, T.DAY_LIMIT_EXCEEDED]
    assert outcomes(ledger, post(12, 10, 30), Transfer(13, 3, 4, 70, 5)) == [T.APPLIED, T.APPLIED]
    assert outcomes(ledger, Transfer(14, 3, 4, 1, 5)) == [T.DAY_LIMIT_EXCEEDED]
    assert outcomes(ledger, hold(15), day=1) == [T.APPLIED]
    assert outcomes(ledger, void(16, 15), hold(17, timeout_ms=5), day=1) == [T.APPLIED, T.APPLIED]
    assert outcomes(ledger, Transfer(18, 3, 4, 100, 5), at=6, day=1) == [T.APPLIED]


def test_a_hold_of_yesterday_gives_nothing_back_today(ledger):
    assert outcomes(ledger, hold(10)) == [T.APPLIED]
    assert outcomes(ledger, void(11, 10), Transfer(12, 3, 4, 101, 5), day=1) == [T.APPLIED, T.DAY_LIMIT_EXCEEDED]
    assert outcomes(ledger, Transfer(13, 3, 4, 100, 5), day=1) == [T.APPLIED]


def test_a_day_is_undone_with_its_chain(ledger):
    broken = Transfer(11, 1, 1, 1, 5)
    assert outcomes(ledger, Transfer(9, 3, 4, 90, 5)) == [T.APPLIED]
    assert outcomes(ledger, Transfer(10, 3, 4, 50, 5, F.LINKED), broken, day=1)[1] == T.ACCOUNTS_MUST_DIFFER
    assert outcomes(ledger, Transfer(12, 3, 4, 100, 5), day=1) == [T.APPLIED]


def test_reversals_never_take_back_more_than_was_moved(ledger):
    def back(id, reference, amount, **more):
        return Transfer(id, amount_minor=amount, flags=F.REVERSAL, reference=reference, **more)

    assert outcomes(ledger, Transfer(10, 3, 4, 50, 5), back(11, 10, 20), back(12, 10, 31)) == [
        T.APPLIED, T.APPLIED, T.REVERSED_IS_SMALLER,
    ]  # fmt: skip
    assert outcomes(ledger, back(13, 10, ALL), back(14, 10, ALL)) == [T.APPLIED, T.REVERSED_IS_SMALLER]
    assert balance(ledger, 4) == Balance(50, 0, 50, 0)
    assert outcomes(ledger, back(15, 13, ALL, code=9), back(16, 10, 1)) == [T.APPLIED, T.REVERSED_IS_SMALLER]
    assert balance(ledger, 4) == Balance(50, 0, 80, 0)


def test_a_reversal_needs_the_money_to_be_there(ledger):
    back = Transfer(11, amount_minor=ALL, flags=F.REVERSAL, reference=1)
    assert outcomes(ledger, Transfer(10, 3, 4, 100, 5), back) == [T.APPLIED, T.BALANCE_IS_TOO_LOW]


def test_frozen_accounts_let_holds_be_settled_and_closed_ones_have_none(ledger):
    assert outcomes(ledger, hold(10), hold(11, 1), day=0) == [T.APPLIED, T.DAY_LIMIT_EXCEEDED]
    frozen = [Amendment(3, flags=G.DEBITS_FROZEN | G.DEBITS_BOUND), Amendment(4, flags=G.CREDITS_FROZEN)]
    assert ledger.amend_accounts(frozen, 1, 0) == [A.APPLIED, A.APPLIED]
    assert outcomes(ledger, Transfer(12, 3, 1, 1, 5), Transfer(13, 1, 4, 1, 5)) == [
        T.DEBIT_ACCOUNT_IS_FROZEN, T.CREDIT_ACCOUNT_IS_FROZEN,
    ]  # fmt: skip
    closing = [Amendment(4, flags=G.CLOSED)]
    assert ledger.amend_accounts(closing, 1, 0) == [A.ACCOUNT_HAS_HOLDS]
    assert outcomes(ledger, post(14, 10)) == [T.APPLIED]
    assert ledger.amend_accounts(closing, 1, 0) == [A.ACCOUNT_HAS_A_BALANCE]
    assert outcomes(ledger, Transfer(15, 4, 1, 100, 5)) == [T.APPLIED]
    assert ledger.amend_accounts([*closing, Amendment(4, flags=0)], 1, 0) == [A.APPLIED, A.ACCOUNT_IS_CLOSED]
    assert outcomes(ledger, Transfer(16, 4, 1, 1, 5)) == [T.DEBIT_ACCOUNT_IS_CLOSED]


def test_amendments_in_a_chain_are_made_together_or_not_at_all(ledger):
    chain = [Amendment(3, day_max_minor=5, linked=True), Amendment(3, flags=0, linked=True), Amendment(99, flags=0)]
    assert ledger.amend_accounts(chain, 1, 0) == [A.CHAIN_FAILED, A.CHAIN_FAILED, A.ACCOUNT_NOT_FOUND]
    assert outcomes(ledger, Transfer(10, 3, 4, 100, 5)) == [T.APPLIED]


def test_accounts_in_a_chain(ledger):
    chain = [Account(50, 1, 7, G.LINKED), Account(51, 1, 7)]
    assert ledger.open_accounts([chain[0], Account(52, 0, 7)], 1, 0) == [A.CHAIN_FAILED, A.ASSET_MUST_NOT_BE_ZERO]
    assert ledger.open_accounts(chain, 1, 0) == [A.APPLIED, A.APPLIED]
    assert ledger.open_accounts(chain, 2, 0) == [A.EXISTS, A.EXISTS]
    assert ledger.open_accounts([chain[0], Account(53, 1, 7)], 2, 0) == [A.EXISTS_WITHOUT_ITS_CHAIN, A.CHAIN_FAILED]


def test_balancing_moves_what_is_there(ledger):
    up_to = Transfer(10, 3, 4, ALL, 5, F.BALANCING_DEBIT)
    assert ledger.amend_accounts([Amendment(3, day_max_minor=-1)], 1, 0) == [A.APPLIED]
    [answer] = ledger.transfer([up_to], 1, 0)
    assert (answer.outcome, answer.amount_minor) == (T.APPLIED, 500)
    assert outcomes(ledger, up_to, up_to._replace(id=11)) == [T.EXISTS, T.NOTHING_IS_THERE]
    owed = Transfer(12, 4, 1, 120, 5, F.BALANCING_CREDIT)
    assert [one.amount_minor for one in ledger.transfer([owed], 1, 0)] == [120]


def test_a_balance_above_what_one_transfer_can_move(ledger):
    batch = [Transfer(10, 4, 2, AMOUNT_MAX, 5), Transfer(11, 4, 2, AMOUNT_MAX, 5)]
    assert outcomes(ledger, batch[0]) == [T.APPLIED]
    assert outcomes(ledger, batch[1], day=1) == [T.APPLIED]
    [answer] = ledger.transfer([Transfer(12, 2, 1, ALL, 5, F.BALANCING_DEBIT)], 1, 2)
    assert answer.amount_minor == AMOUNT_MAX


def test_the_longest_chain(ledger):
    batch = [Transfer(100 + one, 1, 2, 1, 5, F.LINKED) for one in range(BATCH_MAX)]
    batch[-1] = batch[-1]._replace(flags=0, debit=2)
    assert outcomes(ledger, *batch)[-1] == T.ACCOUNTS_MUST_DIFFER
    assert balance(ledger, 2) == Balance()
    batch[-1] = batch[-1]._replace(debit=1)
    assert set(outcomes(ledger, *batch)) == {T.APPLIED}
    assert balance(ledger, 2).credits_posted_minor == BATCH_MAX


def test_an_imported_transfer_has_its_value_time(ledger):
    one = Transfer(10, 1, 2, 1, 5, F.IMPORTED, value_ms=3)
    assert outcomes(ledger, one, at=9) == [T.APPLIED]
    assert outcomes(ledger, one, one._replace(id=11, value_ms=10), at=9) == [
        T.EXISTS, T.VALUE_TIME_MUST_NOT_BE_IN_THE_FUTURE,
    ]  # fmt: skip


def test_a_retry_may_leave_out_what_the_reference_says(ledger):
    assert outcomes(ledger, hold(10), post(11, 10)) == [T.APPLIED, T.APPLIED]
    told = Transfer(11, 3, 4, ALL, 5, F.POST, reference=10)
    assert outcomes(ledger, told, told._replace(code=6)) == [T.EXISTS, T.EXISTS_WITH_OTHER_CODE]
