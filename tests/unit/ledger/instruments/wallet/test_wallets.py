"""Offline wallets on the ledger: a row for each refusal, settlement in order, double spending found and attributed."""

from __future__ import annotations

import copy
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace

from quanheng.ledger.instruments.demo import wallets as demo
from quanheng.ledger.instruments.instrument import Refusal
from quanheng.ledger.instruments.wallet.messages import LOWEST, OfflinePayment, Tier, signed
from quanheng.ledger.instruments.wallet.purse import SKEW_MS_MAX
from quanheng.ledger.instruments.wallet.synchronise import settlement_id
from quanheng.ledger.instruments.wallet.wallets import (
    COUNTER,
    DAY_LIMIT,
    HISTORY,
    Accusation,
    Compensate,
    Load,
    Open,
    Recover,
    Redeem,
    Settle,
    proves,
)
from quanheng.ledger.instruments.wallet.wallets import WalletRefusal as R
from quanheng.ledger.outcomes import TransferOutcome

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))
from instrument_bench import DAY, LEDGERS, new_ledger, party
from wallet_town import (
    DAY_MS,
    GRACE_MS,
    GUARANTEE,
    ISSUER,
    ISSUER_KEY,
    START_MS,
    UNTIL_MS,
    Town,
    certificate_of,
    private_of,
)


@pytest.fixture(params=LEDGERS)
def town(request):
    return Town(request.param)


def test_either_party_may_upload_and_it_settles_once(town):
    a, b, _ = town.purses
    payment = town.pay(a, b, 30_000)
    assert town.upload(payment, payment).settled == [payment]
    before = town.everything()
    assert town.upload(payment).settled == [payment]
    assert town.everything() == before
    assert (town.lies_in(1), town.lies_in(2)) == (70_000, 130_000)
    assert (a.balance_minor, b.balance_minor) == (70_000, 130_000)
    town.check_town_replay()


def test_what_was_received_offline_can_be_spent_offline(town):
    a, b, c = town.purses
    first, second = town.pay(a, b, 90_000), town.pay(b, c, 150_000)
    assert town.upload(second).waiting == [second]
    result = town.upload(second, first)
    assert (result.waiting, result.refused) == ([], [])
    assert [town.lies_in(n) for n in (1, 2, 3)] == [10_000, 40_000, 250_000]


def test_counters_settle_in_order_until_the_certificate_ends(town):
    a, b, c = town.purses
    first, second = town.pay(a, b, 10_000), town.pay(a, c, 20_000)
    assert town.upload(second).waiting == [second]
    town.now_ms = UNTIL_MS
    assert town.upload(second).settled == [second]
    assert town.upload(first).settled == [first]
    assert town.instrument.accusations == {}


def test_a_cycle_of_payments_does_not_block(town):
    """Settled out of order these three would each wait for another one for ever."""
    a, b, c = town.purses
    round_trip = [town.pay(a, b, 100_000), town.pay(b, a, 200_000), town.pay(a, c, 200_000)]
    assert town.upload(round_trip[2]).waiting == [round_trip[2]]
    assert town.upload(round_trip[2], round_trip[1]).settled == []
    assert len(town.upload(*round_trip).settled) == 3
    assert [town.lies_in(n) for n in (1, 2, 3)] == [0, 0, 300_000]


def test_redeeming_returns_value_to_the_holder(town):
    a, b, _ = town.purses
    first, last = town.pay(a, b, 30_000), a.redeem(70_000, town.now_ms)
    assert town.refused(Redeem(5_000, last)) == R.COUNTERS_ARE_MISSING
    assert len(town.upload(last, first).settled) == 2
    assert (town.lies_in(1), town.has(1)) == (0, 10_000_000 - 100_000 + 70_000)


def test_loads_are_bounded_by_what_the_device_states(town):
    a = town.purses[0]
    statement = a.ask_load(900_000)
    assert town.refused(Load(5_000, 1, 900_001, statement)) == R.BALANCE_LIMIT_EXCEEDED
    town.must(Load(5_001, 1, 900_000, statement))
    assert town.refused(Load(5_002, 1, 900_000, statement)) == R.STATEMENT_IS_STALE


def test_a_copy_that_spends_twice_is_found_and_named(town):
    a, b, c = town.purses
    copied = copy.deepcopy(a)
    one, other = town.pay(a, b, 60_000), town.pay(copied, c, 50_000)
    town.upload(one)
    result = town.upload(other)
    [accusation] = result.accused
    assert accusation == Accusation(COUNTER, one, other)
    assert proves(accusation, a.certificate, ISSUER_KEY)
    assert town.instrument.accusations == {101: (accusation,)}
    assert [town.lies_in(n) for n in (1, 2, 3)] == [40_000, 160_000, 100_000]
    before = town.everything()
    assert town.upload(other).accused == []
    assert town.everything() == before
    assert town.refused(Settle(5_000, other)) == R.WAS_SETTLED
    town.check_town_replay()


def test_a_history_that_does_not_follow_is_found_and_still_settles(town):
    a, b, c = town.purses
    copied = copy.deepcopy(a)
    one = town.pay(a, b, 10_000)
    copied.pay(c.certificate, 10_000, town.now_ms)
    follows_the_other = town.pay(copied, c, 20_000)
    result = town.upload(one, follows_the_other)
    assert result.settled == [one, follows_the_other]
    assert result.accused == [Accusation(HISTORY, one, follows_the_other)]
    assert proves(result.accused[0], a.certificate, ISSUER_KEY)


def test_a_history_is_found_also_if_the_later_payment_came_first(town):
    a, b, c = town.purses
    copied = copy.deepcopy(a)
    one = town.pay(a, b, 10_000)
    copied.pay(c.certificate, 10_000, town.now_ms)
    later = town.pay(copied, c, 20_000)
    town.now_ms = UNTIL_MS
    town.upload(later)
    assert town.upload(one).accused == [Accusation(HISTORY, one, later)]


def test_a_device_that_spends_above_its_day_is_named_and_the_payee_has_the_value():
    town = Town(tier=Tier("t", 60_000, 100_000, 1_000_000), load_minor=200_000)
    a, b, _ = town.purses
    town.pay(a, b, 60_000)
    a._spent.clear()  # What a tampered device does.
    town.pay(a, b, 60_000)
    result = town.upload(*a.sent)
    assert len(result.settled) == 2
    assert [one.kind for one in result.accused] == [DAY_LIMIT]
    assert not proves(result.accused[0], a.certificate, ISSUER_KEY)


def test_an_accusation_is_proved_by_signatures_alone(town):
    a, b, c = town.purses
    copied = copy.deepcopy(a)
    one, other = town.pay(a, b, 60_000), town.pay(copied, c, 50_000)
    good = Accusation(COUNTER, one, other)
    assert proves(good, a.certificate, ISSUER_KEY)
    assert not proves(replace(good, second=one), a.certificate, ISSUER_KEY)
    assert not proves(replace(good, kind=HISTORY), a.certificate, ISSUER_KEY)
    assert not proves(replace(good, second=replace(other, amount_minor=1)), a.certificate, ISSUER_KEY)
    assert not proves(good, b.certificate, ISSUER_KEY)
    assert not proves(good, replace(a.certificate, until_ms=UNTIL_MS + 1), ISSUER_KEY)


def test_a_guarantee_pays_the_second_payee_once_and_up_to_the_tier(town):
    a, b, c = town.purses
    copied = [copy.deepcopy(a) for _ in range(2)]
    one, others = town.pay(a, b, 80_000), [town.pay(copied[0], c, 80_000)]
    others.append(copied[1].pay(b.certificate, 70_000, town.now_ms))
    town.upload(one)
    assert len(town.upload(*others).accused) == 2
    town.must(Compensate(5_000, ISSUER, others[0]))
    assert (town.lies_in(3), town.instrument.guaranteed) == (180_000, {101: 80_000})
    assert town.refused(Compensate(5_001, ISSUER, others[0])) == R.NOTHING_TO_COMPENSATE
    town.instrument.guaranteed[101] = LOWEST.balance_max_minor - 69_999
    assert town.refused(Compensate(5_002, ISSUER, others[1])) == R.GUARANTEE_IS_USED_UP


def test_without_a_guarantee_the_second_payee_bears_it():
    town = Town(guarantee=0)
    a, b, c = town.purses
    copied = copy.deepcopy(a)
    one, other = town.pay(a, b, 60_000), town.pay(copied, c, 50_000)
    town.upload(one)
    town.upload(other)
    assert town.refused(Compensate(5_000, ISSUER, other)) == R.NOTHING_TO_COMPENSATE
    assert c.balance_minor - town.lies_in(3) == 50_000


def test_one_payment_with_two_good_signatures_is_no_double_spending(town):
    """Whoever holds a key can sign the same twice with other bytes; the digest is over the content."""
    a, b, _ = town.purses
    payment = town.pay(a, b, 10_000)
    town.must(Settle(5_000, payment))
    assert town.refused(Settle(5_001, payment)) == R.WAS_SETTLED
    assert town.instrument.accusations == {}


def test_a_second_redemption_under_one_counter_pays_nothing(town):
    a = town.purses[0]
    copied = copy.deepcopy(a)
    one, other = a.redeem(50_000, town.now_ms), copied.redeem(60_000, town.now_ms)
    town.upload(one)
    assert town.upload(other).accused == [Accusation(COUNTER, one, other)]
    assert town.lies_in(1) == 50_000
    assert town.refused(Compensate(5_000, ISSUER, other)) == R.NOTHING_TO_COMPENSATE


def test_malformed_uploads_are_refused_and_stop_nothing(town):
    a, b, _ = town.purses
    good = town.pay(a, b, 10_000)
    result = town.upload(replace(good, amount_minor="10"), good)
    assert result.settled == [good]
    assert [why.code for _, why in result.refused] == [R.SIGNATURE_IS_WRONG]


def test_what_is_left_is_recovered_after_the_grace(town):
    town.now_ms = UNTIL_MS + GRACE_MS
    town.must(Recover(5_000, 1, 101))
    assert town.has(1) == 10_000_000
    assert town.refused(Recover(5_001, 1, 101)) == TransferOutcome.NOTHING_IS_THERE


# --- refusals


@pytest.fixture(scope="module")
def crowded():
    """Purse 1 stands; purse 2 is accused; device 110 has ended; 111 comes later; purse 3 has spent up to counter 2."""
    town = Town()
    a, b, c = town.purses
    town.must(Open(20, ISSUER, party(1), certificate_of(10, until_ms=START_MS + 5)))
    town.must(Open(21, ISSUER, party(1), certificate_of(11, from_ms=START_MS + DAY_MS)))
    copied = copy.deepcopy(b)
    town.upload(town.pay(b, c, 1_000), town.pay(copied, a, 2_000))
    town.upload(town.pay(c, a, 500))
    town.pay(c, a, 600)
    town.now_ms = START_MS + GRACE_MS + 5
    return town


def message(payer, payee, **fields):
    asked = OfflinePayment(100 + payer, 100 + payee if payee else 0, 1, bytes(32), 5, 0, START_MS + GRACE_MS)
    return signed(replace(asked, **fields), private_of(payer))


LATER = START_MS + GRACE_MS + 5
OTHER = bytes([1] * 32)
FORGED = replace(message(1, 2), amount_minor=6)
ROWS = [
    (lambda t: Open(0, 9, party(1), FORGED), R.ID_IS_OUT_OF_RANGE),
    (lambda t: Open(20, 9, party(1), certificate_of(10)), R.ID_HAS_OTHER_CONTENT),
    (lambda t: Settle(2_000, message(9, 1)), R.DEVICE_NOT_FOUND),
    (lambda t: Settle(2_000, message(1, 9, amount_minor=4)), R.DEVICE_NOT_FOUND),
    (lambda t: Load(2_000, 9, 0, replace(t.purses[0].ask_load(5), device=9)), R.DEVICE_NOT_FOUND),
    (lambda t: Recover(2_000, 9, 9), R.DEVICE_NOT_FOUND),
    (lambda t: Open(2_000, 9, party(1), replace(certificate_of(1), until_ms=0)), R.SIGNATURE_IS_WRONG),
    (lambda t: Settle(2_000, FORGED), R.SIGNATURE_IS_WRONG),
    (lambda t: Redeem(2_000, message(1, 2)), R.SIGNATURE_IS_WRONG),
    (lambda t: Load(2_000, 9, 0, replace(t.purses[0].ask_load(5), loads=9)), R.SIGNATURE_IS_WRONG),
    (lambda t: Open(2_000, 9, party(1), certificate_of(1)), R.DEVICE_EXISTS),
    (lambda t: Open(2_000, 9, party(1), certificate_of(5, until_ms=START_MS)), R.ACTOR_MAY_NOT),
    (lambda t: Load(2_000, 2, 0, t.purses[0].ask_load(5)), R.ACTOR_MAY_NOT),
    (lambda t: Recover(2_000, 2, 101), R.ACTOR_MAY_NOT),
    (lambda t: Compensate(2_000, 1, FORGED), R.ACTOR_MAY_NOT),
    (lambda t: Load(2_000, 1, 0, t.purses[0].ask_load(5)), R.AMOUNT_IS_OUT_OF_RANGE),
    (lambda t: Open(2_000, ISSUER, party(1), certificate_of(5, until_ms=LATER)), R.CERTIFICATE_NOT_IN_FORCE),
    (lambda t: Settle(2_000, message(11, 1, time_ms=START_MS + DAY_MS - 1)), R.CERTIFICATE_NOT_IN_FORCE),
    (lambda t: Settle(2_000, message(1, 11, time_ms=START_MS + DAY_MS - 1)), R.CERTIFICATE_NOT_IN_FORCE),
    (lambda t: Settle(2_000, message(1, 2, time_ms=LATER + SKEW_MS_MAX + 1)), R.TIME_IS_IN_THE_FUTURE),
    (lambda t: Settle(2_000, message(10, 1, time_ms=START_MS, counter=9, previous=OTHER)), R.SETTLEMENT_HAS_ENDED),
    (lambda t: Redeem(2_000, message(10, 0)), R.SETTLEMENT_HAS_ENDED),
    (lambda t: Recover(2_000, 2, 102), R.SETTLEMENT_HAS_NOT_ENDED),
    (lambda t: Load(2_000, 2, 5, replace_statement(t, loads=9)), R.DEVICE_IS_ACCUSED),
    (lambda t: Redeem(2_000, message(2, 0, counter=9, previous=OTHER)), R.DEVICE_IS_ACCUSED),
    (lambda t: Load(2_000, 1, 2_000_000, stale(t)), R.STATEMENT_IS_STALE),
    (lambda t: Redeem(2_000, message(1, 0, counter=2, previous=OTHER)), R.COUNTERS_ARE_MISSING),
    (lambda t: Settle(2_000, message(1, 2, counter=2, previous=OTHER, amount_minor=10**9)), R.COUNTERS_ARE_MISSING),
    (lambda t: Settle(2_000, message(1, 2, amount_minor=200_001)), R.PAYMENT_LIMIT_EXCEEDED),
    (lambda t: Load(2_000, 1, 1_000_000, t.purses[0].ask_load(5)), R.BALANCE_LIMIT_EXCEEDED),
    (lambda t: Settle(2_000, t.purses[2].sent[0]), R.WAS_SETTLED),
    (lambda t: Compensate(2_000, ISSUER, t.purses[2].sent[0]), R.NOTHING_TO_COMPENSATE),
    (lambda t: Compensate(2_000, ISSUER, replace(FORGED, counter=-1)), R.NOTHING_TO_COMPENSATE),
]  # fmt: skip


def stale(town):
    purse = copy.deepcopy(town.purses[0])
    purse.loads = 0
    return purse.ask_load(5)


def replace_statement(town, loads):
    purse = copy.deepcopy(town.purses[1])
    purse.loads = loads
    return purse.ask_load(5)


@pytest.mark.parametrize(("ask", "code"), ROWS, ids=[f"{code}-{n}" for n, (_, code) in enumerate(ROWS)])
def test_refusals(crowded, ask, code):
    assert crowded.refused(ask(crowded)) == code


def test_every_refusal_has_a_row_in_order_of_precedence_and_titles():
    """GUARANTEE_IS_USED_UP, the last, is in a test of its own above."""
    assert [*dict.fromkeys(code for _, code in ROWS), R.GUARANTEE_IS_USED_UP] == list(R)
    assert all(one.en and one.zh and one == one.name for one in R)


def test_an_ended_accused_device_is_not_recovered(crowded):
    late = copy.deepcopy(crowded)
    late.now_ms = UNTIL_MS + GRACE_MS
    assert late.refused(Recover(2_000, 2, 102)) == R.DEVICE_IS_ACCUSED
    assert isinstance(late.instrument.decide(Recover(2_001, 2, 102), late.now_ms), Refusal)


def test_both_parties_ask_under_one_id(town):
    a, b, _ = town.purses
    payment = town.pay(a, b, 1)
    assert settlement_id(a.sent[0]) == settlement_id(b.received[0]) == settlement_id(payment)
    assert town.instrument.guarantee == GUARANTEE


@pytest.mark.parametrize("kind", LEDGERS)
def test_a_day_of_wallets(kind):
    played = demo.play(new_ledger(kind), 7, START_MS, DAY)
    assert all(played.checked.values()), played
    assert played.refused > 0
    assert min(played.figures.values()) > 0
