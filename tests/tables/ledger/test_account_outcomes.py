"""Every outcome of an account that is to be opened or changed, in order of precedence; and pairs of them."""

from __future__ import annotations

import pytest
from world_of_the_table import CLOSED, DAY, DAY_FULL, NOW_MS, PAYEE, PAYER, stand

from quanheng.ledger.entries import AMOUNT_MAX, ID_MAX, Account, AccountFlag, Amendment
from quanheng.ledger.outcomes import AccountOutcome

A, G = AccountOutcome, AccountFlag
NEW = Account(300, 1, 7)
KNOWN = Account(PAYER, 1, 7)
AMENDED = Amendment(CLOSED, overdraft_minor=1)
# outcome, request, what is changed in it. CHAIN_FAILED and EXISTS_WITHOUT_ITS_CHAIN take a chain.
ROWS = [
    (A.APPLIED, NEW, {}),
    (A.CHAIN_IS_OPEN, NEW, {"flags": G.LINKED}),
    (A.ID_MUST_NOT_BE_ZERO, NEW, {"id": 0}),
    (A.ID_MUST_NOT_BE_MAX, NEW, {"id": ID_MAX}),
    (A.FLAGS_ARE_NOT_ALLOWED, NEW, {"flags": G.CLOSED}),
    (A.FLAGS_EXCLUDE_EACH_OTHER, NEW, {"flags": G.DEBITS_BOUND | G.CREDITS_BOUND}),
    (A.EXISTS_WITH_OTHER_CONTENT, KNOWN, {"user_data": 8}),
    (A.EXISTS, KNOWN, {}),
    (A.ASSET_MUST_NOT_BE_ZERO, NEW, {"asset": 0}),
    (A.CODE_MUST_NOT_BE_ZERO, NEW, {"code": 0}),
    (A.LIMIT_IS_OUT_OF_RANGE, NEW, {"overdraft_minor": -1}),
    (A.OPENING_TIME_IS_FOR_IMPORTS, NEW, {"opened_ms": 5}),
    (A.OPENING_TIME_MUST_NOT_BE_IN_THE_FUTURE, NEW, {"flags": G.IMPORTED, "opened_ms": NOW_MS + 1}),
]
AMENDMENTS = [
    (A.CHAIN_IS_OPEN, AMENDED, {"linked": True}),
    (A.ID_MUST_NOT_BE_ZERO, AMENDED, {"id": 0}),
    (A.ID_MUST_NOT_BE_MAX, AMENDED, {"id": ID_MAX}),
    (A.FLAGS_ARE_NOT_ALLOWED, AMENDED, {"flags": G.HISTORY}),
    (A.FLAGS_EXCLUDE_EACH_OTHER, AMENDED, {"flags": G.DEBITS_BOUND | G.CREDITS_BOUND}),
    (A.LIMIT_IS_OUT_OF_RANGE, AMENDED, {"day_max_minor": -2}),
    (A.ACCOUNT_NOT_FOUND, AMENDED, {"id": 999}),
    (A.ACCOUNT_IS_CLOSED, AMENDED, {}),
    (A.ACCOUNT_HAS_HOLDS, Amendment(PAYER), {"flags": G.CLOSED}),
    (A.ACCOUNT_HAS_A_BALANCE, Amendment(DAY_FULL), {"flags": G.CLOSED}),
]
CHAINED = [
    (A.CHAIN_FAILED, [NEW._replace(flags=G.LINKED), NEW._replace(id=0)], 0),
    (A.EXISTS_WITHOUT_ITS_CHAIN, [NEW._replace(flags=G.LINKED), KNOWN], 1),
]


def given(row):
    both, (_, base, changes) = stand(), row
    one = base._replace(**changes)
    return (both.open_accounts if isinstance(one, Account) else both.amend_accounts)([one], NOW_MS, DAY)


@pytest.mark.parametrize("row", ROWS + AMENDMENTS, ids=lambda row: f"{type(row[1]).__name__} {row[0].name}")
def test_outcome(row):
    assert given(row) == [row[0]]


@pytest.mark.parametrize(("expected", "batch", "place"), CHAINED, ids=[row[0].name for row in CHAINED])
def test_outcome_in_a_chain(expected, batch, place):
    assert stand().open_accounts(batch, NOW_MS, DAY)[place] == expected


def test_every_outcome_has_a_row_in_order_of_precedence():
    opened = [row[0] for row in ROWS]
    amended = [row[0] for row in AMENDMENTS]
    assert sorted({*opened, *amended, *(row[0] for row in CHAINED)}) == list(A)
    assert opened == sorted(opened)
    assert amended == sorted(amended)


@pytest.mark.parametrize("rows", [ROWS[1:], AMENDMENTS[:8]], ids=["openings", "amendments"])
def test_who_deserves_two_outcomes_gets_the_first(rows):
    both, tried = stand(), 0
    for place, (first, base, one) in enumerate(rows):
        for second, _, other in rows[place + 1 :]:
            clash = any(one[name] != other[name] for name in one.keys() & other.keys())
            if clash or (first.name.startswith("EXISTS") and second >= A.ASSET_MUST_NOT_BE_ZERO and not one):
                continue
            request = base._replace(**{**other, **one})
            ask = both.open_accounts if isinstance(request, Account) else both.amend_accounts
            assert ask([request], NOW_MS, DAY) == [first], (first, second)
            tried += 1
    assert tried > 20


@pytest.mark.parametrize("name", ["overdraft_minor", "payment_max_minor", "day_max_minor", "balance_max_minor"])
def test_limits_at_their_edges(name):
    both, least = stand(), 0 if name == "overdraft_minor" else -1
    values = [(least - 1, False), (least, True), (AMOUNT_MAX, True), (AMOUNT_MAX + 1, False)]
    for id, (value, good) in enumerate(values, 500):
        expected = [A.APPLIED if good else A.LIMIT_IS_OUT_OF_RANGE]
        assert both.open_accounts([NEW._replace(id=id, **{name: value})], NOW_MS, DAY) == expected
        assert both.amend_accounts([Amendment(PAYEE, **{name: value})], NOW_MS, DAY) == expected
