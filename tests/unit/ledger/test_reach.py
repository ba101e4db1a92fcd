"""Whose accounts a caller may see and take from: owners, legal entities, both; what refers to what; what is hidden."""

from __future__ import annotations

import pytest

from quanheng.kernel.errors import NotPermitted
from quanheng.ledger import wire
from quanheng.ledger.entries import ALL, Account, Balance, Transfer, TransferFlag
from quanheng.ledger.ledger import Ledger
from quanheng.ledger.outcomes import TransferOutcome as T
from quanheng.ledger.reach import EVERYTHING, Reach, check_account, check_requests, check_transfer, hide
from quanheng.posting import transfers_of

F = TransferFlag
ANNA, BERT = 2**100 + 1, 7
OF_ANNA = Reach(owners=frozenset({ANNA}))
OUT = "the token is limited to other owners or legal entities, or there is nothing by this id"


@pytest.fixture
def ledger() -> Ledger:
    one = Ledger()
    one.open_accounts(
        [
            Account(1, 1, 7, owner=ANNA, entity=1), Account(2, 1, 7, owner=BERT, entity=1),
            Account(3, 1, 7, owner=ANNA, entity=2), Account(4, 1, 7, entity=1), Account(5, 1, 7, owner=BERT, entity=2),
        ], 0, 0,
    )  # fmt: skip
    one.transfer(
        [
            Transfer(10, 1, 2, 100, 1), Transfer(11, 2, 5, 30, 1), Transfer(12, 1, 2, 40, 1, F.HOLD),
            Transfer(13, 2, 1, 40, 1, F.HOLD), Transfer(14, 2, 5, 9, 1, F.HOLD), Transfer(15, 2, 1, 8, 1),
        ], 1, 0,
    )  # fmt: skip
    return one


SEEN = [
    (EVERYTHING, {1, 2, 3, 4, 5}),
    (OF_ANNA, {1, 3}),
    (Reach(entities=frozenset({2})), {3, 5}),
    (Reach(frozenset({ANNA}), frozenset({2})), {3}),
    (Reach(frozenset({ANNA, BERT}), frozenset({1})), {1, 2}),
    (Reach(owners=frozenset({99})), set()),
]


@pytest.mark.parametrize(("reach", "seen"), SEEN)
def test_accounts_in_reach(ledger, reach, seen):
    for id in range(1, 6):
        if id in seen:
            check_account(ledger, reach, id)
        else:
            with pytest.raises(NotPermitted, match=f"account: {OUT}; was account {id}"):
                check_account(ledger, reach, id)
    if not reach.is_whole:
        with pytest.raises(NotPermitted, match=f"{OUT}; was account 99; allowed: accounts of the owners and entities"):
            check_account(ledger, reach, 99)


def test_a_transfer_is_seen_from_either_side_and_from_no_other(ledger):
    for id in (10, 12, 13, 15):
        check_transfer(ledger, OF_ANNA, id)
    for id in (11, 14, 99):
        check_transfer(ledger, EVERYTHING, id)
        with pytest.raises(NotPermitted, match=f"transfer: {OUT}; was transfer {id}"):
            check_transfer(ledger, OF_ANNA, id)


PLAIN = Transfer(100, 1, 2, 5, 1)
TAKES = [  # What Anna asks for, and whether it takes from an account of hers.
    ([PLAIN], True),
    ([PLAIN._replace(debit=3, credit=5)], True),
    ([PLAIN._replace(debit=2, credit=1)], False),
    ([PLAIN._replace(debit=4)], False),
    ([PLAIN._replace(debit=99)], False),
    ([PLAIN._replace(debit=0, credit=0)], False),
    ([Transfer(100, amount_minor=ALL, flags=F.POST, reference=12)], True),
    ([Transfer(100, 1, 2, ALL, 0, F.POST, reference=14)], False),  # What it states is not what the hold has.
    ([Transfer(100, amount_minor=ALL, flags=F.POST, reference=13)], False),
    ([Transfer(100, amount_minor=ALL, flags=F.POST, reference=99)], False),
    ([Transfer(100, amount_minor=ALL, flags=F.VOID, reference=13)], True),  # The payee gives up.
    ([Transfer(100, amount_minor=ALL, flags=F.VOID, reference=12)], False),  # The payer takes back what was promised.
    ([Transfer(100, amount_minor=ALL, flags=F.REVERSAL, reference=15)], True),
    ([Transfer(100, amount_minor=ALL, flags=F.REVERSAL, reference=10)], False),
    ([PLAIN._replace(flags=F.HOLD), Transfer(101, amount_minor=ALL, flags=F.POST, reference=100)], True),
    ([PLAIN._replace(flags=F.HOLD), Transfer(101, amount_minor=ALL, flags=F.VOID, reference=100)], False),
    ([PLAIN, Transfer(101, amount_minor=5, flags=F.REVERSAL, reference=100)], False),
    ([PLAIN, PLAIN._replace(id=101, debit=2)], False),
    # An id of somebody else's transfer: the book says what it is, not the request that will be refused.
    ([PLAIN._replace(id=11), Transfer(101, amount_minor=ALL, flags=F.REVERSAL, reference=11)], False),
    # An id twice in one batch: whichever is applied counts, so both must be in reach.
    (
        [
            PLAIN._replace(credit=3, amount_minor=0), PLAIN,
            Transfer(101, amount_minor=ALL, flags=F.REVERSAL, reference=100),
        ],
        False,
    ),
    ([PLAIN._replace(credit=3), Transfer(101, amount_minor=ALL, flags=F.REVERSAL, reference=100)], True),
    ([Transfer(101, amount_minor=ALL, flags=F.REVERSAL, reference=100), PLAIN._replace(credit=3)], False),
]  # fmt: skip


@pytest.mark.parametrize(("batch", "hers"), TAKES)
def test_what_takes_from_an_account_in_reach(ledger, batch, hers):
    requests, before = wire.encode_transfers(batch), ledger.digest()
    check_requests(ledger, Reach(entities=frozenset({1, 2})), requests[:0])
    work = transfers_of(requests, OF_ANNA)
    if hers:
        assert len(work(ledger, 2, 0)) == len(batch)
        return
    with pytest.raises(NotPermitted, match=rf"transfer \d of the batch: {OUT}; was the account that it takes from"):
        work(ledger, 2, 0)
    assert ledger.digest() == before


def test_balances_of_the_other_side_are_hidden(ledger):
    batch = [PLAIN, PLAIN._replace(id=101, credit=3), PLAIN._replace(id=102, amount_minor=0), PLAIN]
    given = wire.decode_answers(transfers_of(wire.encode_transfers(batch), OF_ANNA)(ledger, 2, 0))
    paid, moved, refused, again = given
    assert (paid.outcome, paid.amount_minor, paid.debit, paid.credit) == (T.APPLIED, 5, Balance(105, 40, 8, 40), None)
    assert (moved.debit, moved.credit) == (Balance(110, 40, 8, 40), Balance(0, 0, 5))
    assert refused.outcome == T.AMOUNT_MUST_NOT_BE_ZERO
    assert (again.outcome, again.credit) == (T.EXISTS, None)
    free = wire.decode_answers(transfers_of(wire.encode_transfers([PLAIN]))(ledger, 2, 0))
    assert free[0].credit == ledger.balance(2)
    back = Transfer(103, amount_minor=ALL, flags=F.REVERSAL, reference=15)
    [given] = wire.decode_answers(transfers_of(wire.encode_transfers([back]), OF_ANNA)(ledger, 2, 0))
    assert (given.debit, given.credit) == (ledger.balance(1), None)


def test_hidden_totals_are_zero_on_the_wire(ledger):
    requests = wire.encode_transfers([PLAIN])
    answers = ledger.transfer_arrays(requests, 2, 0)
    assert answers["credit_credits_posted_lo"][0] == 105
    hide(ledger, OF_ANNA, requests, answers)
    assert answers["hidden"].tolist() == [wire.HIDDEN_CREDIT]
    assert [answers[name][0] for name in answers.dtype.names if name.startswith("credit_")] == [0] * 8
    assert answers["debit_debits_posted_lo"][0] == 105
