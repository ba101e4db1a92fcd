"""The purse on a device: a row for each refusal, limits at their edges, messages that come twice."""

from __future__ import annotations

import copy
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace

from quanheng.ledger.instruments.instrument import Refusal
from quanheng.ledger.instruments.wallet.messages import ISSUER, OfflinePayment, Receipt, Tier, digest, signed
from quanheng.ledger.instruments.wallet.purse import SKEW_MS_MAX, Purse
from quanheng.ledger.instruments.wallet.purse import PurseRefusal as P

sys.path.insert(0, str(Path(__file__).parent))
from wallet_town import DAY_MS, ISSUER_KEY, ISSUER_PRIVATE, START_MS, UNTIL_MS, certificate_of, private_of

NOW = START_MS + 10


def purse_of(n, balance_minor=0, **certificate):
    purse = Purse(private_of(n), certificate_of(n, **certificate), ISSUER_KEY)
    if balance_minor:
        assert purse.top_up(receipt(n, 1, balance_minor)) is None
    return purse


def receipt(n, number, amount_minor):
    return signed(Receipt(100 + n, number, amount_minor), ISSUER_PRIVATE)


def paid(payer, payee, amount_minor, now_ms=NOW):
    payment = payer.pay(payee.certificate, amount_minor, now_ms)
    assert payee.receive(payer.certificate, payment, now_ms) is None
    return payment


def test_value_goes_from_purse_to_purse_and_on():
    a, b, c = purse_of(1, 1_000), purse_of(2), purse_of(3)
    first = paid(a, b, 700)
    second = paid(b, c, 500)
    third = paid(a, c, 300)
    assert [one.balance_minor for one in (a, b, c)] == [0, 200, 800]
    assert (first.counter, second.counter, third.counter) == (1, 1, 2)
    assert third.previous == digest(first)
    assert (first.balance_minor, third.balance_minor) == (300, 0)


def test_a_payment_that_comes_twice_is_taken_once():
    a, b = purse_of(1, 1_000), purse_of(2)
    payment = paid(a, b, 700)
    assert b.receive(a.certificate, payment, NOW + 5) is None
    assert (b.balance_minor, len(b.received)) == (700, 1)


def test_the_payee_itself_finds_two_payments_under_one_counter():
    a, b = purse_of(1, 1_000), purse_of(2)
    copied = copy.deepcopy(a)
    paid(a, b, 700)
    twice = copied.pay(b.certificate, 600, NOW)
    assert b.receive(a.certificate, twice, NOW).code == P.COUNTER_WAS_USED
    assert b.receive(a.certificate, twice, NOW, forwarded=True).code == P.COUNTER_WAS_USED


def test_limits_at_their_edges():
    tier = Tier("t", 200, 500, 1_000)
    a, b = purse_of(1, 1_000, tier=tier), purse_of(2, 401, tier=tier)
    for _ in range(2):
        paid(a, b, 200)
    assert a.pay(b.certificate, 101, NOW).code == P.DAY_LIMIT_EXCEEDED
    payment = a.pay(b.certificate, 100, NOW)
    assert payment.balance_minor == 500
    assert a.pay(b.certificate, 1, NOW).code == P.DAY_LIMIT_EXCEEDED
    assert a.pay(b.certificate, 200, NOW + DAY_MS).counter == 4
    assert paid(b, a, 200).amount_minor == 200


def test_a_day_begins_at_midnight_of_the_zone():
    east = Purse(private_of(1), certificate_of(1), ISSUER_KEY, zone_ms=8 * 3_600_000)
    assert [east.day(one * 3_600_000) for one in (0, 15, 16)] == [0, 0, 1]


def test_room_for_a_load_is_kept_until_it_comes_or_is_dropped():
    tier = Tier("t", 900, 900, 1_000)
    a, b = purse_of(1, 900, tier=tier), purse_of(2, tier=tier)
    assert b.ask_load(600).loads == 0
    payment = a.pay(b.certificate, 401, NOW)
    assert b.receive(a.certificate, payment, NOW).code == P.BALANCE_LIMIT_EXCEEDED
    b.drop_load()
    assert b.receive(a.certificate, payment, NOW) is None
    b.ask_load(599)
    assert b.top_up(receipt(2, 1, 599)) is None
    assert (b.balance_minor, b.pending_minor) == (1_000, 0)


def test_what_the_issuer_forwards_is_taken_late_and_above_the_limit():
    tier = Tier("t", 900, 900, 1_000)
    a, b = purse_of(1, 900, tier=tier), purse_of(2, 500, tier=tier)
    payment = a.pay(b.certificate, 501, NOW)
    assert b.receive(a.certificate, payment, NOW + DAY_MS, forwarded=True) is None
    assert b.balance_minor == 1_001


def test_redeeming_uses_a_counter_and_has_no_limit_but_the_balance():
    a = purse_of(1, 900_000)
    payment = a.redeem(900_000, UNTIL_MS + 5)
    assert (payment.payee, payment.counter, a.balance_minor) == (ISSUER, 1, 0)


def refusals():
    """(name, refusal that was given, code), in order of precedence for each thing that a purse is asked."""
    tier = Tier("t", 200, 300, 1_000)
    a, b, c = purse_of(1, 900, tier=tier), purse_of(2, 900, tier=tier), purse_of(3, 50, tier=tier)
    forged = replace(b.certificate, tier=Tier("t", 9, 9, 9))
    late = certificate_of(2, tier=tier, until_ms=NOW)
    payment = a.pay(b.certificate, 150, NOW)
    stranger = signed(replace(payment, signature=b""), private_of(9))
    dear = signed(OfflinePayment(101, 102, 9, digest(payment), 201, 0, NOW), private_of(1))
    copied = copy.deepcopy(a)
    first, second = a.pay(b.certificate, 1, NOW), copied.pay(b.certificate, 2, NOW)
    assert b.receive(a.certificate, first, NOW) is None
    ask, get, load, top = "pay", "receive", "ask_load", "top_up"
    return [
        (ask, a.pay(forged, 0, NOW), P.AMOUNT_IS_OUT_OF_RANGE),
        (ask, a.pay(b.certificate, 1.0, NOW), P.AMOUNT_IS_OUT_OF_RANGE),
        ("redeem", a.redeem(-1, NOW), P.AMOUNT_IS_OUT_OF_RANGE),
        (load, a.ask_load(0), P.AMOUNT_IS_OUT_OF_RANGE),
        (ask, a.pay(forged, 5_000, UNTIL_MS), P.CERTIFICATE_IS_WRONG),
        (get, b.receive(replace(a.certificate, tier=forged.tier), stranger, NOW), P.CERTIFICATE_IS_WRONG),
        (get, b.receive(a.certificate, stranger, UNTIL_MS), P.SIGNATURE_IS_WRONG),
        (get, b.receive(b.certificate, payment, NOW), P.SIGNATURE_IS_WRONG),
        (get, b.receive(a.certificate, replace(payment, time_ms="now"), NOW), P.SIGNATURE_IS_WRONG),
        (top, b.top_up(Receipt(101, 5, 1, bytes(64))), P.SIGNATURE_IS_WRONG),
        (ask, a.pay(late, 5_000, NOW), P.CERTIFICATE_NOT_IN_FORCE),
        (ask, a.pay(a.certificate, 5_000, UNTIL_MS), P.CERTIFICATE_NOT_IN_FORCE),
        (ask, a.pay(a.certificate, 5_000, START_MS - 1), P.CERTIFICATE_NOT_IN_FORCE),
        (get, Purse(private_of(2), late, ISSUER_KEY).receive(a.certificate, payment, NOW), P.CERTIFICATE_NOT_IN_FORCE),
        (ask, a.pay(a.certificate, 5_000, NOW), P.PURSES_MUST_DIFFER),
        (get, c.receive(a.certificate, payment, 0), P.NOT_FOR_THIS_PURSE),
        (top, b.top_up(receipt(1, 5, 1)), P.NOT_FOR_THIS_PURSE),
        (get, b.receive(a.certificate, second, NOW + SKEW_MS_MAX + 1), P.CLOCKS_DIFFER),
        (get, b.receive(a.certificate, second, NOW - SKEW_MS_MAX - 1), P.CLOCKS_DIFFER),
        (get, b.receive(a.certificate, second, NOW), P.COUNTER_WAS_USED),
        (top, b.top_up(receipt(2, 3, 1)), P.RECEIPT_IS_NOT_NEXT),
        (top, b.top_up(receipt(2, 1, 900)), P.RECEIPT_IS_NOT_NEXT),
        (ask, a.pay(b.certificate, 201, NOW), P.PAYMENT_LIMIT_EXCEEDED),
        (get, b.receive(a.certificate, dear, NOW), P.PAYMENT_LIMIT_EXCEEDED),
        (ask, a.pay(b.certificate, 150, NOW), P.DAY_LIMIT_EXCEEDED),
        (ask, c.pay(b.certificate, 51, NOW), P.BALANCE_IS_TOO_LOW),
        ("redeem", c.redeem(51, NOW), P.BALANCE_IS_TOO_LOW),
        (get, b.receive(a.certificate, payment, NOW), P.BALANCE_LIMIT_EXCEEDED),
        (load, b.ask_load(100), P.BALANCE_LIMIT_EXCEEDED),
    ]


@pytest.mark.parametrize(("name", "refusal", "code"), refusals())
def test_refusals(name, refusal, code):
    assert isinstance(refusal, Refusal), name
    assert refusal.code == code


def test_every_refusal_has_a_row_in_order_of_precedence_and_titles():
    assert list(dict.fromkeys(code for _, _, code in refusals())) == list(P)
    assert all(one.en and one.zh and one == one.name for one in P)


def test_a_refused_purse_is_as_it_was():
    a, b = purse_of(1, 900), purse_of(2)
    before = copy.deepcopy(vars(a))
    a.pay(b.certificate, 901, NOW)
    a.redeem(901, NOW)
    a.ask_load(999_200)
    payment = signed(OfflinePayment(102, 101, 1, bytes(32), 5, 0, NOW), private_of(2))
    a.receive(b.certificate, replace(payment, amount_minor=6), NOW)
    assert vars(a) == before
