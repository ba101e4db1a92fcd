"""Two-phase payments: a row for each refusal in order of precedence, and what value does."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from msgspec.structs import replace

from quanheng.ledger.entries import ALL, AMOUNT_MAX, ID_MAX, AccountFlag, Amendment
from quanheng.ledger.instruments import payment as of
from quanheng.ledger.instruments.demo import payments as demo
from quanheng.ledger.instruments.fees import Share, Split
from quanheng.ledger.instruments.payment import Authorise, Capture, Payments, Refund, Void
from quanheng.ledger.instruments.payment import PaymentRefusal as R
from quanheng.ledger.outcomes import TransferOutcome

sys.path.insert(0, str(Path(__file__).parent))
from instrument_bench import CODE, DAY, LEDGERS, START_MS, Bench, new_ledger, party

PAYER, PAYEE, TAKER, PLATFORM, RESIDUE = 1, 2, 3, 4, 5
FEES = Split((Share(TAKER, 30, 150), Share(PLATFORM, 0, 100)), RESIDUE)
ASK = Authorise(1_000, PAYER, party(PAYER), party(PAYEE), 1_000, CODE, 60_000)


@pytest.fixture(params=LEDGERS)
def bench(request):
    return Bench(Payments(), request.param)


def test_capture_in_parts_until_nothing_is_left(bench):
    bench.must(ASK)
    assert (bench.has(PAYER), bench.has(PAYEE)) == (9_000, 10_000)
    bench.must(Capture(2, PAYEE, 1_000, 300, final=False))
    assert (bench.has(PAYER), bench.has(PAYEE)) == (9_000, 10_300)
    bench.must(Capture(3, PAYEE, 1_000, ALL, final=False))
    assert (bench.has(PAYER), bench.has(PAYEE)) == (9_000, 11_000)
    assert bench.refused(Capture(4, PAYEE, 1_000, 1)) == R.AUTHORISATION_HAS_ENDED
    bench.check_replay(Payments())


def test_a_final_capture_lets_the_rest_go(bench):
    bench.must(ASK)
    bench.must(Capture(2, PAYEE, 1_000, 300))
    assert (bench.has(PAYER), bench.has(PAYEE)) == (9_700, 10_300)
    assert bench.refused(Void(3, PAYEE, 1_000)) == R.AUTHORISATION_HAS_ENDED


def test_the_rest_expires_when_the_authorisation_would_have(bench):
    bench.must(ASK)
    bench.must(Capture(2, PAYEE, 1_000, 300, final=False), after_ms=59_999)
    assert bench.has(PAYER) == 9_000
    assert bench.refused(Capture(3, PAYEE, 1_000, 1), after_ms=1) == R.AUTHORISATION_HAS_EXPIRED
    assert bench.has(PAYER) == 9_700


def test_a_refund_takes_the_oldest_captures_first(bench):
    bench.must(ASK)
    bench.must(Capture(2, PAYEE, 1_000, 300, final=False))
    bench.must(Capture(3, PAYEE, 1_000, 400))
    bench.must(Refund(4, PAYEE, 1_000, 350))
    captures = bench.instrument.payments[1_000].captures
    assert [one.refunded_minor for one in captures] == [300, 50]
    assert bench.refused(Refund(5, PAYEE, 1_000, 351)) == R.REFUND_EXCEEDS_CAPTURED
    bench.must(Refund(6, PAYEE, 1_000, ALL))
    assert (bench.has(PAYER), bench.has(PAYEE)) == (10_000, 10_000)
    assert bench.refused(Refund(7, PAYEE, 1_000, ALL)) == R.REFUND_EXCEEDS_CAPTURED
    bench.check_replay(Payments())


def test_the_same_refund_asked_twice_pays_once(bench):
    bench.must(ASK)
    bench.must(Capture(2, PAYEE, 1_000, 600))
    first = bench.must(Refund(3, PAYEE, 1_000, 200))
    before = bench.everything()
    again = bench.must(Refund(3, PAYEE, 1_000, 200), after_ms=5)
    assert bench.everything() == before
    assert [one.amount_minor for one in again.answers] == [one.amount_minor for one in first.answers]
    assert [one.outcome for one in again.answers] == [TransferOutcome.EXISTS]
    assert bench.refused(Refund(3, PAYEE, 1_000, 201)) == R.ID_HAS_OTHER_CONTENT


def test_an_action_is_folded_when_asked_again_if_the_process_ended_between_ledger_and_fold(bench):
    bench.must(ASK)
    digest, bench.instrument = bench.instrument.digest(), Payments()  # The ledger is recovered; the fold is not.
    again = bench.must(ASK, after_ms=5_000)
    assert [one.outcome for one in again.answers] == [TransferOutcome.EXISTS]
    assert bench.instrument.digest() == digest  # As of then: it also ends when it would have.
    bench.must(Capture(2, PAYEE, 1_000, 300, final=False), after_ms=54_999)
    assert bench.refused(Capture(3, PAYEE, 1_000, 1), after_ms=1) == R.AUTHORISATION_HAS_EXPIRED


def test_fees_are_split_and_the_residue_is_booked(bench):
    down = "ROUND_DOWN"
    shares = Share(TAKER, 0, 3_333, down), Share(PLATFORM, 0, 3_333, down), Share(6, 0, 3_334, down)
    thirds = Split(shares, RESIDUE)
    bench.must(replace(ASK, split=thirds))
    bench.must(Capture(2, PAYEE, 1_000, 100))
    assert [bench.has(one) - 10_000 for one in (PAYER, PAYEE, TAKER, PLATFORM, 6, RESIDUE)] == [-100, 0, 33, 33, 33, 1]


def test_a_residue_below_zero_comes_from_its_account(bench):
    up = Split((Share(TAKER, 0, 5_000, "ROUND_UP"), Share(PLATFORM, 0, 5_000, "ROUND_UP")), RESIDUE)
    bench.must(replace(ASK, split=up, fees_returned=True))
    bench.must(Capture(2, PAYEE, 1_000, 101))
    assert [bench.has(one) - 10_000 for one in (PAYEE, TAKER, PLATFORM, RESIDUE)] == [0, 51, 51, -1]
    bench.must(Refund(3, PAYEE, 1_000, ALL))
    assert [bench.has(one) for one in (PAYER, PAYEE, TAKER, PLATFORM, RESIDUE)] == [10_000] * 5


def test_fees_come_back_in_proportion_and_at_last_all(bench):
    bench.must(replace(ASK, split=FEES, fees_returned=True))
    bench.must(Capture(2, PAYEE, 1_000, 1_000))
    assert [bench.has(one) - 10_000 for one in (PAYEE, TAKER, PLATFORM)] == [945, 45, 10]
    bench.must(Refund(3, PAYEE, 1_000, 333))
    assert [bench.has(one) - 10_000 for one in (PAYEE, TAKER, PLATFORM)] == [945 - 333 + 14 + 3, 31, 7]
    bench.must(Refund(4, PAYEE, 1_000, 667))
    assert [bench.has(one) for one in (PAYER, PAYEE, TAKER, PLATFORM, RESIDUE)] == [10_000] * 5


def test_fees_stay_where_the_payment_says_so(bench):
    bench.must(replace(ASK, split=FEES))
    bench.must(Capture(2, PAYEE, 1_000, 1_000))
    bench.must(Refund(3, PAYEE, 1_000, ALL))
    assert [bench.has(one) - 10_000 for one in (PAYER, PAYEE, TAKER, PLATFORM)] == [0, -55, 45, 10]


def test_the_payee_may_be_a_taker_and_have_the_residue(bench):
    whole = Split((Share(TAKER, 0, 2_500), Share(PAYEE, 0, 7_500)), PAYEE)
    bench.must(replace(ASK, split=whole))
    bench.must(Capture(2, PAYEE, 1_000, 999))
    assert [bench.has(one) - 10_000 for one in (PAYEE, TAKER)] == [749, 250]


def test_a_payee_without_means_cannot_refund_and_nothing_changes(bench):
    bench.must(ASK)
    bench.must(Capture(2, PAYEE, 1_000, ALL))
    bench.must(Authorise(50, PAYEE, party(PAYEE), party(TAKER), 10_500, CODE, 1_000))
    assert bench.refused(Refund(3, PAYEE, 1_000, 501)) == TransferOutcome.BALANCE_IS_TOO_LOW
    bench.must(Refund(3, PAYEE, 1_000, 500))


def test_a_payer_without_means_authorises_nothing(bench):
    assert bench.refused(replace(ASK, amount_minor=10_001)) == TransferOutcome.BALANCE_IS_TOO_LOW
    bench.must(ASK)


def test_a_frozen_payer_can_be_captured_whole_and_not_in_parts(bench):
    """The limit of parts: what is left is held anew, and a frozen account takes no new hold."""
    bench.must(ASK)
    frozen = int(AccountFlag.DEBITS_BOUND | AccountFlag.DEBITS_FROZEN)
    bench.ledger.amend_accounts([Amendment(PAYER, frozen)], bench.now_ms, DAY)
    assert bench.refused(Capture(2, PAYEE, 1_000, 300, final=False)) == TransferOutcome.DEBIT_ACCOUNT_IS_FROZEN
    bench.must(Capture(3, PAYEE, 1_000, 300))


def test_captures_are_counted(bench):
    bench.must(ASK)
    for number in range(of.CAPTURES_MAX):
        bench.must(Capture(10 + number, PAYEE, 1_000, 1, final=False))
    assert bench.refused(Capture(9, PAYEE, 1_000, 1)) == R.CAPTURES_ARE_USED_UP
    bench.must(Void(8, PAYEE, 1_000))
    bench.must(Refund(7, PAYEE, 1_000, ALL))
    assert bench.has(PAYER) == 10_000


BAD_SPLIT = Split((Share(TAKER, 0, 10_001),), RESIDUE)
DEAR = Split((Share(TAKER, 301, 0),), RESIDUE)
ROWS = [
    (replace(ASK, id=0, by=9), R.ID_IS_OUT_OF_RANGE),
    (replace(ASK, id=ID_MAX), R.ID_IS_OUT_OF_RANGE),
    (replace(ASK, by=9, amount_minor=0), R.ID_HAS_OTHER_CONTENT),
    (Capture(1_000, PAYEE, 7, 1), R.ID_HAS_OTHER_CONTENT),
    (Capture(2, 9, 7, 0), R.PAYMENT_NOT_FOUND),
    (Refund(2, 9, 7, 0), R.PAYMENT_NOT_FOUND),
    (Void(2, 9, 7), R.PAYMENT_NOT_FOUND),
    (replace(ASK, id=2, by=9, code=0), R.ACTOR_MAY_NOT),
    (Capture(2, PAYER, 1_000, 0), R.ACTOR_MAY_NOT),
    (Refund(2, PAYER, 1_000, 0), R.ACTOR_MAY_NOT),
    (Void(2, PAYER, 1_000), R.ACTOR_MAY_NOT),
    (replace(ASK, id=2, code=0, amount_minor=0), R.CODE_IS_OUT_OF_RANGE),
    (replace(ASK, id=2, amount_minor=0, timeout_ms=0), R.AMOUNT_IS_OUT_OF_RANGE),
    (replace(ASK, id=2, amount_minor=ALL), R.AMOUNT_IS_OUT_OF_RANGE),
    (replace(ASK, id=2, amount_minor=1.5), R.AMOUNT_IS_OUT_OF_RANGE),
    (Capture(2, PAYEE, 1_000, -1), R.AMOUNT_IS_OUT_OF_RANGE),
    (Refund(2, PAYEE, 1_000, 0), R.AMOUNT_IS_OUT_OF_RANGE),
    (replace(ASK, id=2, timeout_ms=0, split=BAD_SPLIT), R.TIMEOUT_IS_OUT_OF_RANGE),
    (replace(ASK, id=2, timeout_ms=2**63), R.TIMEOUT_IS_OUT_OF_RANGE),
    (replace(ASK, id=2, split=BAD_SPLIT), R.SPLIT_IS_WRONG),
    (Capture(2, PAYEE, 1_001, 5_000), R.AUTHORISATION_HAS_ENDED),
    (Void(2, PAYEE, 1_001), R.AUTHORISATION_HAS_ENDED),
    (Capture(2, PAYEE, 1_002, 5_000), R.AUTHORISATION_HAS_EXPIRED),
    (Void(2, PAYEE, 1_002), R.AUTHORISATION_HAS_EXPIRED),
    (Capture(2, PAYEE, 1_003, 5_000), R.CAPTURES_ARE_USED_UP),
    (Capture(2, PAYEE, 1_000, 1_001), R.CAPTURE_EXCEEDS_AUTHORISED),
    (Capture(2, PAYEE, 1_000, AMOUNT_MAX), R.CAPTURE_EXCEEDS_AUTHORISED),
    (Capture(2, PAYEE, 1_004, 300), R.FEES_EXCEED_CAPTURE),
    (Refund(2, PAYEE, 1_000, ALL), R.REFUND_EXCEEDS_CAPTURED),
    (Refund(2, PAYEE, 1_003, of.CAPTURES_MAX + 1), R.REFUND_EXCEEDS_CAPTURED),
]


@pytest.fixture(scope="module")
def crowded():
    """1000 stands, 1001 was voided, 1002 has expired, 1003 has all its captures, 1004 has a dear fee."""
    bench = Bench(Payments())
    bench.must(replace(ASK, id=1_001))
    bench.must(Void(11, PAYEE, 1_001))
    bench.must(replace(ASK, id=1_002, timeout_ms=5))
    bench.must(ASK, after_ms=5)
    bench.must(replace(ASK, id=1_003))
    for number in range(of.CAPTURES_MAX):
        bench.must(Capture(100 + number, PAYEE, 1_003, 1, final=False))
    bench.must(replace(ASK, id=1_004, split=DEAR))
    return bench


@pytest.mark.parametrize(("action", "code"), ROWS, ids=[f"{code}-{n}" for n, (_, code) in enumerate(ROWS)])
def test_refusals(crowded, action, code):
    assert crowded.refused(action) == code


def test_every_refusal_has_a_row_in_order_of_precedence_and_titles():
    assert list(dict.fromkeys(code for _, code in ROWS)) == list(R)
    assert all(one.en and one.zh and one == one.name for one in R)


@pytest.mark.parametrize("kind", LEDGERS)
def test_a_day_of_payments(kind):
    played = demo.play(new_ledger(kind), 7, START_MS, DAY)
    assert all(played.checked.values()), played
    assert played.actions == played.applied + played.refused
    assert min(played.figures.values()) > 0
    assert played == demo.play(new_ledger(kind), 7, START_MS, DAY)
