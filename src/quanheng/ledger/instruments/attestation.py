"""Attested facts: an Ed25519 signature (RFC 8032) of a declared attester over the canonical bytes of a fact.

What is signed
--------------
    "quanheng fact 1" 00 · text(attester) · text(kind) · i64(time_ms) · u32(number of fields) ·
    for each field, ordered by name: text(name) · one letter · value
    "t" text · "n" text of the number as digits "e" exponent, without zeros at the end · "b" 00 or 01

text(x) is u32(length of the UTF-8) and the UTF-8; integers are little-endian. Equal facts have equal bytes and, since
every part says its length, no two facts share them. Whole number 5 and Decimal 5.0 are one number and have one form.
"""

from __future__ import annotations

import hashlib
from decimal import Decimal

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from quanheng.kernel.errors import ConfigurationError
from quanheng.ledger.entries import TIME_MAX_MS
from quanheng.ledger.instruments.action_fold import number_text
from quanheng.ledger.instruments.conditions import Fact, Value

KEY_BYTES = 32


class Attester(msgspec.Struct, frozen=True):
    """Who may attest, and with which key. What reaches the instrument in [from_ms, until_ms) is taken."""

    name: str
    public_key: bytes
    from_ms: int = 0
    until_ms: int = TIME_MAX_MS


class Attestation(msgspec.Struct, frozen=True):
    """A fact with the signature of an attester over its canonical bytes."""

    attester: str
    fact: Fact
    signature: bytes


def canonical(attester: str, fact: Fact) -> bytes:
    """The bytes that are signed."""
    parts = [b"quanheng fact 1\x00", _text(attester), _text(fact.kind), fact.time_ms.to_bytes(8, "little", signed=True)]
    parts.append(len(fact.fields).to_bytes(4, "little"))
    for name, value in fact.fields:
        parts += [_text(name), _value(value)]
    return b"".join(parts)


def fact_digest(fact: Fact) -> str:
    """BLAKE2b-128 of a fact without its attester: those who attest one fact agree on it."""
    return hashlib.blake2b(canonical("", fact), digest_size=16).hexdigest()


def attest(private_key: bytes, attester: str, fact: Fact) -> Attestation:
    """A signed attestation; `private_key` are the 32 bytes of the attester. This runs at the attester's."""
    signature = Ed25519PrivateKey.from_private_bytes(private_key).sign(canonical(attester, fact))
    return Attestation(attester, fact, signature)


def is_signed(attestation: Attestation, public_key: bytes) -> bool:
    """Whether the signature is that of the key over the canonical bytes."""
    message = canonical(attestation.attester, attestation.fact)
    if type(attestation.signature) is not bytes:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(attestation.signature, message)
    except InvalidSignature:
        return False
    return True


def declared(attesters: tuple[Attester, ...]) -> dict[str, Attester]:
    """Attesters by name.

    Raises
    ------
    ConfigurationError : two of one name, or a key that is not 32 bytes long
    """
    found: dict[str, Attester] = {}
    for one in attesters:
        if one.name in found:
            raise ConfigurationError("two attesters have one name", where=f"attester {one.name!r}")
        if len(one.public_key) != KEY_BYTES:
            raise ConfigurationError(
                "an attester needs an Ed25519 public key", where=f"attester {one.name!r}",
                found=f"{len(one.public_key)} bytes", allowed=f"{KEY_BYTES} bytes",
            )  # fmt: skip
        found[one.name] = one
    return found


def _text(value: str) -> bytes:
    data = value.encode()
    return len(data).to_bytes(4, "little") + data


def _value(value: Value) -> bytes:
    if isinstance(value, bool):
        return b"b\x01" if value else b"b\x00"
    return b"n" + _text(number_text(value)) if isinstance(value, (int, Decimal)) else b"t" + _text(value)
