"""Attested facts: one form per fact, signatures that hold for exactly that form, a vector of RFC 8032."""

from __future__ import annotations

from decimal import Decimal

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from quanheng.kernel.errors import ConfigurationError
from quanheng.ledger.instruments.attestation import Attester, attest, canonical, declared, fact_digest, is_signed
from quanheng.ledger.instruments.conditions import Fact

PRIVATE = bytes(range(32))
PUBLIC = Ed25519PrivateKey.from_private_bytes(PRIVATE).public_key().public_bytes_raw()
FACT = Fact.of("wind", 1_700_000_000_000, speed=Decimal("31.50"), station="N1", checked=True)


def test_the_bytes_are_those_of_the_page():
    parts = [
        b"quanheng fact 1\x00", b"\x01\x00\x00\x00N", b"\x01\x00\x00\x00k", b"\x02\x01\x00\x00\x00\x00\x00\x00",
        b"\x03\x00\x00\x00",
        b"\x01\x00\x00\x00a", b"n", b"\x03\x00\x00\x005e0",
        b"\x01\x00\x00\x00b", b"b\x00",
        b"\x01\x00\x00\x00c", b"t", b"\x01\x00\x00\x00x",
    ]  # fmt: skip
    assert canonical("N", Fact.of("k", 258, a=5, b=False, c="x")) == b"".join(parts)


VALUES = st.one_of(
    st.text(max_size=3), st.booleans(), st.integers(-20, 20), st.decimals(-20, 20, allow_nan=False, places=2)
)
NAMES = st.text(alphabet="abtn", min_size=1, max_size=2)
FACTS = st.builds(
    lambda kind, time_ms, fields: Fact(kind, time_ms, tuple(sorted(fields.items()))),
    st.text(max_size=2),
    st.integers(0, 2),
    st.dictionaries(NAMES, VALUES, max_size=3),
)


def meaning(fact):
    """What a fact says: numbers by value, and a truth is not a number."""
    return (
        fact.kind,
        fact.time_ms,
        tuple((name, isinstance(one, (bool, str)), type(one) is bool, one) for name, one in fact.fields),
    )


@given(FACTS, FACTS)
def test_one_form_per_fact(one, other):
    assert (canonical("a", one) == canonical("a", other)) == (meaning(one) == meaning(other))
    assert (fact_digest(one) == fact_digest(other)) == (meaning(one) == meaning(other))


def test_a_signature_holds_for_that_fact_attester_and_key_only():
    good = attest(PRIVATE, "N1", FACT)
    assert is_signed(good, PUBLIC)
    assert is_signed(
        replace(good, fact=Fact.of("wind", FACT.time_ms, speed=Decimal("31.5"), station="N1", checked=True)), PUBLIC
    )
    assert not is_signed(replace(good, attester="N2"), PUBLIC)
    assert not is_signed(replace(good, fact=replace(FACT, time_ms=FACT.time_ms + 1)), PUBLIC)
    assert not is_signed(good, bytes(32))
    for place in (0, 31, 32, 63):
        broken = bytearray(good.signature)
        broken[place] ^= 1
        assert not is_signed(replace(good, signature=bytes(broken)), PUBLIC)


@pytest.mark.parametrize("signature", [b"", bytes(63), bytes(64), bytes(65), "text"])
def test_what_is_no_signature(signature):
    assert not is_signed(replace(attest(PRIVATE, "N1", FACT), signature=signature), PUBLIC)


def test_the_key_is_that_of_rfc_8032():
    """Test 1 of RFC 8032, 7.1: secret key, public key."""
    secret = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    public = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
    assert is_signed(attest(secret, "N1", FACT), public)


def test_declared_attesters():
    assert list(declared((Attester("a", PUBLIC), Attester("b", PUBLIC)))) == ["a", "b"]
    with pytest.raises(ConfigurationError, match="two attesters have one name"):
        declared((Attester("a", PUBLIC), Attester("a", PUBLIC)))
    with pytest.raises(ConfigurationError, match="an attester needs an Ed25519 public key; was 31 bytes"):
        declared((Attester("a", PUBLIC[:31]),))
