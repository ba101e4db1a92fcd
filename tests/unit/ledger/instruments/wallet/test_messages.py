"""Messages of purses: bytes that cannot be confused, signatures that hold for exactly them, fields in range."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from msgspec.structs import replace

from quanheng.ledger.instruments.wallet.messages import (
    FIRST,
    LOWEST,
    Certificate,
    OfflinePayment,
    Receipt,
    Statement,
    Tier,
    content,
    digest,
    is_signed,
    is_well_formed,
    signed,
)

sys.path.insert(0, str(Path(__file__).parent))
from wallet_town import ISSUER_KEY, ISSUER_PRIVATE, public

KEY = public(bytes(32))
MESSAGES = [
    Certificate(1, KEY, LOWEST, 5, 9),
    OfflinePayment(1, 2, 1, FIRST, 300, 700, 8),
    Statement(1, 2, 3, 4),
    Receipt(1, 2, 3),
]


def test_the_bytes_are_those_of_the_page():
    assert content(Receipt(1, 2, 3)) == (
        b"quanheng Receipt 1\0" + bytes([1]) + bytes(15) + bytes([2]) + bytes(7) + bytes([3]) + bytes(7)
    )
    tier = bytes([1]) + bytes(7) + b"t" + bytes([10]) + bytes(7) + bytes([20]) + bytes(7) + bytes([30]) + bytes(7)
    times = bytes([5]) + bytes(7) + bytes([9]) + bytes(7)
    certificate = Certificate(1, KEY, Tier("t", 10, 20, 30), 5, 9)
    assert content(certificate) == b"quanheng Certificate 1\0" + bytes([1]) + bytes(15) + KEY + tier + times


def test_the_lowest_tier_is_that_of_the_press():
    limits = LOWEST.payment_max_minor, LOWEST.day_max_minor, LOWEST.balance_max_minor
    assert limits == (200_000, 500_000, 1_000_000)


@pytest.mark.parametrize("message", MESSAGES, ids=lambda one: type(one).__name__)
def test_a_signature_holds_for_every_field(message):
    good = signed(message, ISSUER_PRIVATE)
    assert is_signed(good, ISSUER_KEY)
    assert not is_signed(good, KEY)
    assert digest(good) == digest(message)
    for name in message.__struct_fields__[:-1]:
        was = getattr(message, name)
        other = replace(was, name="x") if isinstance(was, Tier) else KEY[::-1] if isinstance(was, bytes) else was + 1
        changed = replace(good, **{name: other})
        assert not is_signed(changed, ISSUER_KEY), name
        assert digest(changed) != digest(good), name


def test_kinds_do_not_share_bytes():
    assert len({content(one) for one in MESSAGES}) == 4


ILL_FORMED = [
    (0, {"device": 0}), (0, {"device": 2**128 - 1}), (0, {"public_key": b""}), (0, {"from_ms": -1}),
    (0, {"until_ms": 2**63}), (0, {"tier": Tier("", 1, 1, 1)}), (0, {"tier": Tier("t", 0, 1, 1)}),
    (0, {"tier": Tier("\ud800", 1, 1, 1)}), (0, {"tier": Tier("t", 1, 1, 1.5)}),
    (1, {"payer": 0}), (1, {"payee": -1}), (1, {"counter": 0}), (1, {"counter": True}), (1, {"amount_minor": 0}),
    (1, {"amount_minor": 2**63}), (1, {"balance_minor": -1}), (1, {"time_ms": "8"}), (1, {"previous": b"x"}),
    (1, {"counter": 2}), (1, {"previous": KEY}),
    (2, {"device": "1"}), (2, {"counter": -1}), (2, {"loads": 0.5}), (3, {"number": -1}), (3, {"amount_minor": None}),
]  # fmt: skip


@pytest.mark.parametrize(("which", "fields"), ILL_FORMED)
def test_ill_formed_messages(which, fields):
    good = signed(MESSAGES[which], ISSUER_PRIVATE)
    assert is_well_formed(good)
    bad = replace(good, **fields)
    assert not is_well_formed(bad)
    assert not is_signed(bad, ISSUER_KEY)


@pytest.mark.parametrize("signature", [b"", bytes(63), bytes(64), "x" * 64])
def test_ill_formed_signatures(signature):
    assert not is_signed(replace(MESSAGES[1], signature=signature), ISSUER_KEY)
