"""What purses and the issuer sign, as bytes: certificates, payments, statements, receipts. Ed25519 (RFC 8032).

Every message is a name with a zero byte, then its fields in the order of the class without the signature: ids in 16
bytes, keys and digests in 32, other numbers in 8, texts after their length; integers are little-endian. So no two
messages share their bytes, and none can be taken for one of another kind.
"""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from msgspec.structs import replace

from quanheng.ledger.entries import AMOUNT_MAX, TIME_MAX_MS
from quanheng.ledger.instruments.action_fold import is_id
from quanheng.ledger.instruments.instrument import parts_of

part_id = parts_of("wallet")

KEY_BYTES, DIGEST_BYTES, SIGNATURE_BYTES = 32, 32, 64
FIRST = bytes(DIGEST_BYTES)
"""What stands for the previous payment in the first one."""
ISSUER = 0
"""As the payee: the payment is redeemed, its value goes to the holder's account."""


class Tier(msgspec.Struct, frozen=True):
    """Limits of a wallet in minor units: of one payment, of a day's payments, of what it may hold."""

    name: str
    payment_max_minor: int
    day_max_minor: int
    balance_max_minor: int


LOWEST = Tier("lowest", 2_000_00, 5_000_00, 10_000_00)
"""The lowest tier of the digital yuan as the press reported it: ¥2,000 a payment, ¥5,000 a day, ¥10,000 balance."""


class Certificate(msgspec.Struct, frozen=True):
    """The issuer's word that a key is that of a device, with its limits; valid in [from_ms, until_ms)."""

    device: int
    public_key: bytes
    tier: Tier
    from_ms: int
    until_ms: int
    signature: bytes = b""

    @property
    def account(self) -> int:
        """The ledger account in which the value of the purse lies."""
        return part_id(self.device, "purse")


class OfflinePayment(msgspec.Struct, frozen=True):
    """A payment that the payer's device has signed.

    payee : device that is paid, or ISSUER
    counter : 1, 2, …: each number is used once
    previous : digest of the payer's payment before this one, FIRST for the first
    balance_minor : of the payer's purse after the payment, as its device says
    """

    payer: int
    payee: int
    counter: int
    previous: bytes
    amount_minor: int
    balance_minor: int
    time_ms: int
    signature: bytes = b""


class Statement(msgspec.Struct, frozen=True):
    """What a device says of itself when it asks to be loaded: counter, balance, number of loads."""

    device: int
    counter: int
    balance_minor: int
    loads: int
    signature: bytes = b""


class Receipt(msgspec.Struct, frozen=True):
    """The issuer's word that load `number` of a device was applied."""

    device: int
    number: int
    amount_minor: int
    signature: bytes = b""


Message = Certificate | OfflinePayment | Statement | Receipt
_IDS = ("device", "payer", "payee")


def signed(message: Any, private_key: bytes) -> Any:
    """The message with the signature of a key of 32 bytes."""
    signature = Ed25519PrivateKey.from_private_bytes(private_key).sign(content(message))
    return replace(message, signature=signature)


def is_signed(message: Message, public_key: bytes) -> bool:
    """Whether the message is well formed and the signature is that of the key."""
    if not is_well_formed(message):
        return False
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(message.signature, content(message))
    except InvalidSignature:
        return False
    return True


def digest(message: Message) -> bytes:
    """BLAKE2b-256 of the content, without the signature."""
    return hashlib.blake2b(content(message), digest_size=DIGEST_BYTES).digest()


def content(message: Message) -> bytes:
    """The bytes that are signed, of a well-formed message."""
    parts = [f"quanheng {type(message).__name__} 1\0".encode()]
    for name in message.__struct_fields__:
        if name != "signature":
            parts += _bytes(name, getattr(message, name))
    return b"".join(parts)


def is_well_formed(message: Message) -> bool:
    """Whether every field has its type and range."""
    if type(message.signature) is not bytes or len(message.signature) != SIGNATURE_BYTES:
        return False
    if isinstance(message, Certificate):
        return (
            is_id(message.device)
            and _is_key(message.public_key)
            and _tier_is_good(message.tier)
            and (_is_number(message.from_ms, TIME_MAX_MS) and _is_number(message.until_ms, TIME_MAX_MS))
        )
    if isinstance(message, OfflinePayment):
        payee = message.payee == ISSUER or is_id(message.payee)
        numbers = _is_number(message.counter, AMOUNT_MAX, 1) and _is_number(message.amount_minor, AMOUNT_MAX, 1)
        rest = _is_number(message.balance_minor, AMOUNT_MAX) and _is_number(message.time_ms, TIME_MAX_MS)
        first = (message.counter == 1) == (message.previous == FIRST)
        return is_id(message.payer) and payee and numbers and rest and _is_key(message.previous) and first
    numbers_of = (getattr(message, name) for name in message.__struct_fields__ if name not in ("device", "signature"))
    return is_id(message.device) and all(_is_number(one, AMOUNT_MAX) for one in numbers_of)


def _bytes(name: str, value: Any) -> list[bytes]:
    if isinstance(value, Tier):
        text = value.name.encode()
        limits = (value.payment_max_minor, value.day_max_minor, value.balance_max_minor)
        return [len(text).to_bytes(8, "little"), text, *(one.to_bytes(8, "little") for one in limits)]
    return [value if isinstance(value, bytes) else value.to_bytes(16 if name in _IDS else 8, "little")]


def _is_number(value: object, most: int, least: int = 0) -> bool:
    return type(value) is int and least <= value <= most


def _is_key(value: object) -> bool:
    return type(value) is bytes and len(value) == KEY_BYTES


def _tier_is_good(tier: Tier) -> bool:
    limits = (tier.payment_max_minor, tier.day_max_minor, tier.balance_max_minor)
    return bool(tier.name) and tier.name.isprintable() and all(_is_number(one, AMOUNT_MAX, 1) for one in limits)
