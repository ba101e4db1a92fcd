"""Every outcome of a transfer, in order of precedence, one row each; and pairs: who deserves two gets the first."""

from __future__ import annotations

import pytest
from world_of_the_table import (
    BOUND,
    BURNT,
    CLOSED,
    CREDIT_BOUND,
    DAY,
    DAY_100,
    DAY_FULL,
    DAY_FULL_TOO,
    EXPIRED_HOLD,
    FULL,
    FULL_TOO,
    HOLDS_100,
    IMPORTED,
    NET_100,
    NO_CREDITS,
    NO_DEBITS,
    NOW_MS,
    OPEN_HOLD,
    OTHER_ASSET,
    PARTLY,
    PAYEE,
    PAYER,
    PAYS_100,
    PLAIN,
    POSTED_HOLD,
    REVERSED,
    TIMED,
    VOIDED_HOLD,
    Both,
    stand,
)

from quanheng.ledger.entries import (
    ALL,
    AMOUNT_MAX,
    ID_MAX,
    NO_LIMIT,
    TIME_MAX_MS,
    Account,
    AccountFlag,
    Amendment,
    Transfer,
    TransferFlag,
)
from quanheng.ledger.outcomes import AccountOutcome, TransferOutcome

T, F, G = TransferOutcome, TransferFlag, AccountFlag
NEW = Transfer(300, PAYER, PAYEE, 10, 5)
KNOWN = Transfer(PLAIN, PAYER, PAYEE, 50, 5, user_data=9)
KNOWN_TIMED = Transfer(TIMED, PAYER, PAYEE, 50, 5, F.HOLD, timeout_ms=5_000)
KNOWN_IMPORTED = Transfer(IMPORTED, PAYER, PAYEE, 50, 5, F.IMPORTED, value_ms=1_000)
POST = Transfer(300, amount_minor=ALL, flags=F.POST, reference=OPEN_HOLD)
VOID, BACK = POST._replace(flags=F.VOID), Transfer(300, amount_minor=ALL, flags=F.REVERSAL, reference=PARTLY)
# outcome, request, what is changed in it. CHAIN_FAILED has a test of its own: it takes a chain.
ROWS = [
    (T.APPLIED, NEW, {}),
    (T.CHAIN_IS_OPEN, NEW, {"flags": F.LINKED}),
    (T.ID_MUST_NOT_BE_ZERO, NEW, {"id": 0}),
    (T.ID_MUST_NOT_BE_MAX, NEW, {"id": ID_MAX}),
    (T.FLAGS_ARE_NOT_ALLOWED, NEW, {"flags": 1024}),
    (T.FLAGS_EXCLUDE_EACH_OTHER, NEW, {"flags": F.HOLD | F.IMPORTED}),
    (T.EXISTS_WITH_OTHER_FLAGS, KNOWN, {"flags": F.BURN}),
    (T.EXISTS_WITH_OTHER_REFERENCE, KNOWN, {"reference": 1}),
    (T.EXISTS_WITH_OTHER_DEBIT_ACCOUNT, KNOWN, {"debit": BOUND}),
    (T.EXISTS_WITH_OTHER_CREDIT_ACCOUNT, KNOWN, {"credit": BOUND}),
    (T.EXISTS_WITH_OTHER_AMOUNT, KNOWN, {"amount_minor": 51}),
    (T.EXISTS_WITH_OTHER_TIMEOUT, KNOWN_TIMED, {"timeout_ms": 5_001}),
    (T.EXISTS_WITH_OTHER_CODE, KNOWN, {"code": 6}),
    (T.EXISTS_WITH_OTHER_VALUE_TIME, KNOWN_IMPORTED, {"value_ms": 1_001}),
    (T.EXISTS_WITH_OTHER_USER_DATA, KNOWN, {"user_data": 8}),
    (T.EXISTS, KNOWN, {}),
    (T.ID_IS_BURNT, NEW, {"id": BURNT}),
    (T.AMOUNT_MUST_NOT_BE_NEGATIVE, NEW, {"amount_minor": -1}),
    (T.AMOUNT_MUST_NOT_BE_ZERO, NEW, {"amount_minor": 0}),
    (T.AMOUNT_MUST_BE_STATED, NEW, {"amount_minor": ALL}),
    (T.TIMEOUT_IS_FOR_HOLDS, NEW, {"timeout_ms": 1}),
    (T.TIMEOUT_MUST_NOT_BE_NEGATIVE, NEW, {"flags": F.HOLD, "timeout_ms": -1}),
    (T.TIMEOUT_OVERFLOWS, NEW, {"flags": F.HOLD, "timeout_ms": TIME_MAX_MS - NOW_MS + 1}),
    (T.VALUE_TIME_IS_FOR_IMPORTS, NEW, {"value_ms": 1_500}),
    (T.VALUE_TIME_MUST_NOT_BE_IN_THE_FUTURE, NEW, {"flags": F.IMPORTED, "value_ms": NOW_MS + 1}),
    (T.REFERENCE_MUST_BE_ZERO, NEW, {"reference": 1}),
    (T.REFERENCE_MUST_NOT_BE_ZERO, POST, {"reference": 0}),
    (T.TIMEOUT_MUST_BE_IN_THE_FUTURE, NEW, {"flags": F.HOLD | F.UNTIL, "timeout_ms": NOW_MS}),
    (T.HOLD_NOT_FOUND, POST, {"reference": 999}),
    (T.HOLD_IS_NO_HOLD, POST, {"reference": PLAIN}),
    (T.HOLD_HAS_OTHER_DEBIT_ACCOUNT, POST, {"debit": PAYEE}),
    (T.HOLD_HAS_OTHER_CREDIT_ACCOUNT, POST, {"credit": PAYER}),
    (T.HOLD_HAS_OTHER_CODE, POST, {"code": 6}),
    (T.HOLD_WAS_POSTED, POST, {"reference": POSTED_HOLD}),
    (T.HOLD_WAS_VOIDED, POST, {"reference": VOIDED_HOLD}),
    (T.HOLD_HAS_EXPIRED, POST, {"reference": EXPIRED_HOLD}),
    (T.HOLD_IS_SMALLER, POST, {"amount_minor": 51}),
    (T.HOLD_HAS_OTHER_AMOUNT, VOID, {"amount_minor": 49}),
    (T.REVERSED_NOT_FOUND, BACK, {"reference": 999}),
    (T.REVERSED_MOVED_NOTHING, BACK, {"reference": OPEN_HOLD}),
    (T.REVERSED_HAS_OTHER_DEBIT_ACCOUNT, BACK, {"debit": PAYER}),
    (T.REVERSED_HAS_OTHER_CREDIT_ACCOUNT, BACK, {"credit": PAYEE}),
    (T.REVERSED_IS_SMALLER, BACK, {"amount_minor": 31}),
    (T.CODE_MUST_NOT_BE_ZERO, NEW, {"code": 0}),
    (T.DEBIT_ACCOUNT_NOT_FOUND, NEW, {"debit": 999}),
    (T.CREDIT_ACCOUNT_NOT_FOUND, NEW, {"credit": 999}),
    (T.ACCOUNTS_MUST_DIFFER, NEW, {"debit": PAYEE}),
    (T.ACCOUNTS_HAVE_OTHER_ASSETS, NEW, {"debit": OTHER_ASSET}),
    (T.VALUE_TIME_IS_BEFORE_ACCOUNT, NEW, {"flags": F.IMPORTED, "value_ms": 999}),
    (T.DEBIT_ACCOUNT_IS_CLOSED, NEW, {"debit": CLOSED}),
    (T.CREDIT_ACCOUNT_IS_CLOSED, NEW, {"credit": CLOSED}),
    (T.DEBIT_ACCOUNT_IS_FROZEN, NEW, {"debit": NO_DEBITS}),
    (T.CREDIT_ACCOUNT_IS_FROZEN, NEW, {"credit": NO_CREDITS}),
    (T.NOTHING_IS_THERE, NEW, {"flags": F.BALANCING_DEBIT}),
    (T.DEBITS_OVERFLOW, NEW, {"debit": FULL}),
    (T.CREDITS_OVERFLOW, NEW, {"credit": FULL_TOO}),
    (T.PAYMENT_LIMIT_EXCEEDED, NEW, {"debit": PAYS_100, "amount_minor": 101}),
    (T.DAY_LIMIT_EXCEEDED, NEW, {"debit": DAY_100, "amount_minor": 101}),
    (T.NET_DEBIT_CAP_EXCEEDED, NEW, {"debit": NET_100, "amount_minor": 101}),
    (T.BALANCE_IS_TOO_LOW, NEW, {"debit": BOUND, "amount_minor": 101}),
    (T.CREDITS_WOULD_EXCEED_DEBITS, NEW, {"credit": CREDIT_BOUND}),
    (T.BALANCE_LIMIT_EXCEEDED, NEW, {"credit": HOLDS_100, "amount_minor": 101}),
]  # fmt: skip
CHAINED = [
    (T.CHAIN_FAILED, [NEW._replace(flags=F.LINKED), NEW._replace(id=301, debit=PAYEE)], 0),
    (T.EXISTS_WITHOUT_ITS_CHAIN, [NEW._replace(flags=F.LINKED), KNOWN], 1),
]


@pytest.fixture(scope="module")
def world():
    """The world is made once; a row changes nothing but the one that is applied, which comes last in the pairs."""
    return stand()


def outcome(both: Both, *batch: Transfer) -> list[TransferOutcome]:
    return [one.outcome for one in both.transfer(batch, NOW_MS, DAY)]


@pytest.mark.parametrize(("expected", "base", "changes"), ROWS, ids=[row[0].name for row in ROWS])
def test_outcome(expected, base, changes):
    assert outcome(stand(), base._replace(**changes)) == [expected]


@pytest.mark.parametrize(("expected", "batch", "place"), CHAINED, ids=[row[0].name for row in CHAINED])
def test_outcome_in_a_chain(expected, batch, place):
    assert outcome(stand(), *batch)[place] == expected


def test_every_outcome_has_a_row_in_order_of_precedence():
    assert [row[0] for row in ROWS] == [one for one in T if one not in [row[0] for row in CHAINED]]
    assert list(T) == sorted(T), "numbers follow precedence"


def merged(first, second):
    """A request with both causes, or None where they need different things of one field."""
    (_, base, one), (_, _, other) = first, second
    for name in one.keys() & other.keys() - {"flags"}:
        if one[name] != other[name]:
            return None
    flags = one.get("flags", 0) | other.get("flags", 0) | (0 if "flags" in one else base.flags)
    return base._replace(**{**other, **one, "flags": flags})


ORDER = {one: place for place, one in enumerate(T)}
PAIRS = [
    (ROWS[first], ROWS[second])
    for first in range(1, len(ROWS))
    for second in range(first + 1, len(ROWS))
    if merged(ROWS[first], ROWS[second]) is not None
]


def excludes(first, second):
    """Whether the second cause takes the first away: another id does not exist, another account is not the same."""
    return (
        (first.name.startswith("EXISTS") and second == T.ID_IS_BURNT)
        or (first == T.AMOUNT_MUST_BE_STATED and second == T.NOTHING_IS_THERE)
        or (first == T.ACCOUNTS_MUST_DIFFER and second.name.startswith(("CREDIT", "BALANCE_LIMIT")))
    )


def test_who_deserves_two_outcomes_gets_the_first(world):
    """All pairs that can be put together, not only neighbours; a third cause may come before both."""
    wrong, strict = [], 0
    for first, second in PAIRS:
        found = outcome(world, merged(first, second))[0]
        if ORDER[found] > ORDER[first[0]] and not excludes(first[0], second[0]):
            wrong.append((first[0].name, second[0].name, found.name))
        strict += found == first[0]
    assert wrong == []
    assert strict > 1_100


def test_limits_in_order_each_hiding_the_next():
    """One transfer breaks every limit; each is lifted in turn."""
    both = stand()
    limits = {"payment_max_minor": 1, "day_max_minor": 1, "net_debit_cap_minor": 1}
    both.open_accounts([Account(400, 1, 7, G.DEBITS_BOUND, **limits)], NOW_MS, DAY)
    both.open_accounts([Account(401, 1, 7, G.CREDITS_BOUND, balance_max_minor=1)], NOW_MS, DAY)
    one = NEW._replace(debit=400, credit=401)
    lifted = [
        (T.PAYMENT_LIMIT_EXCEEDED, Amendment(400, payment_max_minor=NO_LIMIT)),
        (T.DAY_LIMIT_EXCEEDED, Amendment(400, day_max_minor=NO_LIMIT)),
        (T.NET_DEBIT_CAP_EXCEEDED, Amendment(400, net_debit_cap_minor=NO_LIMIT)),
        (T.BALANCE_IS_TOO_LOW, Amendment(400, overdraft_minor=10)),
        (T.CREDITS_WOULD_EXCEED_DEBITS, Amendment(401, flags=0)),
        (T.BALANCE_LIMIT_EXCEEDED, Amendment(401, balance_max_minor=10)),
    ]
    for expected, amendment in lifted:
        assert outcome(both, one) == [expected]
        assert both.amend_accounts([amendment], NOW_MS, DAY) == [AccountOutcome.APPLIED]
    assert outcome(both, one) == [T.APPLIED]


def test_closed_and_frozen_accounts_in_order():
    both = stand()
    steps = [
        (T.DEBIT_ACCOUNT_IS_FROZEN, G.DEBITS_FROZEN, G.CREDITS_FROZEN),
        (T.CREDIT_ACCOUNT_IS_CLOSED, G.DEBITS_FROZEN, G.CLOSED),
        (T.DEBIT_ACCOUNT_IS_CLOSED, G.CLOSED, None),
    ]
    both.open_accounts([Account(400, 1, 7), Account(401, 1, 7)], NOW_MS, DAY)
    for expected, debit, credit in steps:
        both.amend_accounts([Amendment(400, flags=debit), Amendment(401, flags=credit)], NOW_MS, DAY)
        assert outcome(both, NEW._replace(debit=400, credit=401)) == [expected]


def test_what_stands_behind_the_first_refusal_of_a_chain_is_not_judged():
    linked = NEW._replace(flags=F.LINKED)
    chain = [linked, linked._replace(id=0), linked._replace(id=301, debit=999), NEW._replace(id=302)]
    assert outcome(stand(), *chain) == [T.CHAIN_FAILED, T.ID_MUST_NOT_BE_ZERO, T.CHAIN_FAILED, T.CHAIN_FAILED]


EDGES = [  # A request at the edge of what is allowed, and the outcome one minor unit beyond.
    (NEW, {"debit": PAYS_100, "amount_minor": 100}, T.PAYMENT_LIMIT_EXCEEDED),
    (NEW, {"debit": DAY_100, "amount_minor": 100}, T.DAY_LIMIT_EXCEEDED),
    (NEW, {"debit": NET_100, "amount_minor": 100}, T.NET_DEBIT_CAP_EXCEEDED),
    (NEW, {"debit": BOUND, "amount_minor": 100}, T.BALANCE_IS_TOO_LOW),
    (NEW, {"credit": HOLDS_100, "amount_minor": 100}, T.BALANCE_LIMIT_EXCEEDED),
    (NEW, {"debit": FULL, "amount_minor": 5}, T.DEBITS_OVERFLOW),
    (NEW, {"credit": FULL_TOO, "amount_minor": 5}, T.CREDITS_OVERFLOW),
    (NEW, {"flags": F.HOLD, "debit": BOUND, "amount_minor": 100}, T.BALANCE_IS_TOO_LOW),
    (NEW, {"flags": F.HOLD, "credit": HOLDS_100, "amount_minor": 100}, T.BALANCE_LIMIT_EXCEEDED),
    (POST, {"amount_minor": 50}, T.HOLD_IS_SMALLER),
    (VOID, {"amount_minor": 50}, T.HOLD_HAS_OTHER_AMOUNT),
    (BACK, {"amount_minor": 30}, T.REVERSED_IS_SMALLER),
    (NEW, {"amount_minor": ALL - 1}, T.AMOUNT_MUST_BE_STATED),
]


@pytest.mark.parametrize(("base", "changes", "beyond"), EDGES, ids=[f"{row[2].name}-{row[0].flags}" for row in EDGES])
def test_at_the_edge_and_one_beyond(base, changes, beyond):
    at = base._replace(**changes)
    if at.amount_minor == ALL - 1:  # The largest amount: accounts that had no transfer today.
        at = at._replace(debit=BOUND + 1, credit=NET_100)
    assert outcome(stand(), at._replace(amount_minor=at.amount_minor + 1)) == [beyond]
    assert outcome(stand(), at) == [T.APPLIED]


def test_the_last_moment_is_a_time_out_and_the_present_one_is_none():
    timed = NEW._replace(flags=F.HOLD | F.UNTIL)
    assert outcome(stand(), timed._replace(timeout_ms=TIME_MAX_MS)) == [T.APPLIED]
    assert outcome(stand(), timed._replace(timeout_ms=NOW_MS + 1)) == [T.APPLIED]
    assert outcome(stand(), timed._replace(timeout_ms=0)) == [T.TIMEOUT_MUST_BE_IN_THE_FUTURE]
    assert outcome(stand(), NEW._replace(flags=F.UNTIL)) == [T.TIMEOUT_IS_FOR_HOLDS]


def test_a_hold_until_a_moment_is_the_same_whenever_it_is_asked_again():
    """A time-out counted from now would be another one at each try; a length and a moment are never taken for equal."""
    both, until = stand(), NEW._replace(flags=F.HOLD | F.UNTIL, timeout_ms=NOW_MS + 500)
    assert outcome(both, until) == [T.APPLIED]
    for later_ms in (100, 499, 500, 5_000):
        again = both.transfer([until], NOW_MS + later_ms, DAY)[0]
        assert (again.outcome, again.applied_ms) == (T.EXISTS, NOW_MS)
    later_ms = NOW_MS + 5_000
    assert both.transfer([until._replace(timeout_ms=NOW_MS + 501)], later_ms, DAY)[0].outcome == (
        T.EXISTS_WITH_OTHER_TIMEOUT
    )
    length = until._replace(flags=F.HOLD, timeout_ms=500)
    assert both.transfer([length], later_ms, DAY)[0].outcome == T.EXISTS_WITH_OTHER_FLAGS
    assert both.core.transfer_of(NEW.id).expires_ms == NOW_MS + 500
    assert both.core.transfer_of(NEW.id).hold == "expired"


def test_a_day_has_no_end_that_others_could_fill():
    """Whoever moves the largest amount twice passes 64 bits: neither payer nor payee is denied anything by that."""
    both = stand()
    for id in (400, 401, 402):
        assert outcome(both, NEW._replace(id=id, debit=DAY_FULL, credit=DAY_FULL_TOO, amount_minor=AMOUNT_MAX)) == [
            T.APPLIED
        ]
    assert both.core.account(DAY_FULL).day_debits_minor == 4 * AMOUNT_MAX
    assert both.core.account(DAY_FULL_TOO).day_credits_minor == 4 * AMOUNT_MAX
    back = NEW._replace(debit=DAY_FULL_TOO, credit=DAY_FULL)
    assert outcome(both, back._replace(id=403, amount_minor=7)) == [T.APPLIED]
    both.amend_accounts([Amendment(DAY_FULL, net_debit_cap_minor=0)], NOW_MS, DAY)
    assert outcome(both, NEW._replace(id=404, debit=DAY_FULL)) == [T.NET_DEBIT_CAP_EXCEEDED]
    both.amend_accounts([Amendment(DAY_FULL, 0, day_max_minor=AMOUNT_MAX, net_debit_cap_minor=NO_LIMIT)], NOW_MS, DAY)
    assert outcome(both, NEW._replace(id=404, debit=DAY_FULL)) == [T.DAY_LIMIT_EXCEEDED]
    both.amend_accounts([Amendment(DAY_FULL_TOO, net_debit_cap_minor=0)], NOW_MS, DAY)
    assert outcome(both, back._replace(id=405, amount_minor=AMOUNT_MAX)) == [T.APPLIED]
    assert outcome(both, NEW._replace(id=406, debit=DAY_FULL_TOO)) == [T.APPLIED]


def test_what_is_let_go_is_given_back_to_a_day_beyond_64_bits():
    both = stand()
    held = NEW._replace(debit=DAY_FULL, credit=DAY_FULL_TOO, amount_minor=AMOUNT_MAX, flags=F.HOLD)
    assert outcome(both, held, held._replace(id=301), POST._replace(id=302, reference=300, amount_minor=1)) == (
        [T.APPLIED] * 3
    )
    assert outcome(both, VOID._replace(id=303, reference=301)) == [T.APPLIED]
    assert both.core.account(DAY_FULL).day_debits_minor == AMOUNT_MAX + 1 == both.law.books[DAY_FULL].day_debits


def test_nothing_is_left_of_what_was_taken_back_whole():
    assert outcome(stand(), BACK._replace(reference=REVERSED, amount_minor=ALL)) == [T.REVERSED_IS_SMALLER]


@pytest.mark.parametrize(("debit", "credit"), [(PAYER, 400), (400, PAYEE)])
def test_a_value_time_before_either_account(debit, credit):
    both = stand()
    both.open_accounts([Account(400, 1, 7)], NOW_MS, DAY)
    early = NEW._replace(debit=debit, credit=credit, flags=F.IMPORTED)
    assert outcome(both, early._replace(value_ms=NOW_MS - 1)) == [T.VALUE_TIME_IS_BEFORE_ACCOUNT]
    assert outcome(both, early._replace(value_ms=NOW_MS)) == [T.APPLIED]


def test_what_came_in_today_widens_a_net_debit_cap():
    both = stand()
    assert outcome(both, NEW._replace(id=310, debit=PAYER, credit=NET_100, amount_minor=30)) == [T.APPLIED]
    assert outcome(both, NEW._replace(id=311, debit=NET_100, amount_minor=131)) == [T.NET_DEBIT_CAP_EXCEEDED]
    assert outcome(both, NEW._replace(id=311, debit=NET_100, amount_minor=130)) == [T.APPLIED]
