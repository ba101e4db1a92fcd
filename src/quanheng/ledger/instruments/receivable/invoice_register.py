"""A register shared by institutions that finds an invoice financed twice without being told which invoice it is.

An institution publishes a commitment: a slow salted hash (scrypt, RFC 7914) of the invoice's identity. All members of a
register share its salt, so the same invoice gives the same commitment wherever it is brought. Beside it stands a tag,
the hash of an opening that only the publisher can make; who shows the opening may withdraw the entry. Each entry has an
opening of its own, so showing one says nothing about others.

It protects against: a second institution that lends on an invoice which a first one has published; the register's
operator and whoever reads its entries learning invoice numbers, as long as they do not have the salt; an entry being
withdrawn by another than its publisher; history being changed without a trace, for whoever follows `head`.

It does not protect against: an institution that lends without publishing; an invoice that is forged, or issued twice
under two numbers; a member that guesses: it has the salt, so it can try seller and number, each at the cost of one
scrypt, and learn that an invoice is financed (not by whom, nor for how much); a salt that leaks, after which everybody
can; the times of publication being watched. A salt cannot be changed without publishing every open entry anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

from quanheng.kernel.codec import canonical_json
from quanheng.kernel.errors import InputError
from quanheng.ledger.instruments.receivable.actions import Invoice
from quanheng.ledger.instruments.receivable.judging import invoice_key

SALT_BYTES_MIN = 16
COST_LOG2 = 14
"""Work of a commitment: 2**14 blocks of 8 x 128 bytes, 16 MiB of memory."""


class Entry(NamedTuple):
    """A commitment that was published: by who can open `tag`, and when."""

    tag: bytes
    published_ms: int


class Published(NamedTuple):
    """What became of a publication: whether it is new, and the entry that stands now."""

    is_new: bool
    entry: Entry


def commitment(invoice: Invoice, salt: bytes, cost_log2: int = COST_LOG2) -> bytes:
    """Commitment of 32 bytes to an invoice's identity (its seller and number, not its amount): scrypt, r = 8, p = 1.

    Raises
    ------
    InputError : the salt is shorter than 16 bytes
    """
    if len(salt) < SALT_BYTES_MIN:
        raise InputError(
            "the register's salt is too short",
            found=f"{len(salt)} bytes",
            allowed=f"at least {SALT_BYTES_MIN} bytes",
            cure="Make one for the register with `secrets.token_bytes(32)`, known to its members only.",
        )
    text = invoice_key(invoice).encode()
    return hashlib.scrypt(text, salt=salt, n=1 << cost_log2, r=8, p=1, maxmem=1 << (cost_log2 + 11), dklen=32)


def opening_of(secret: bytes, commitment: bytes, published_ms: int) -> bytes:
    """Opening of 32 bytes of an entry: BLAKE2b under the publisher's secret over commitment and time.

    Raises
    ------
    InputError : the secret is not 16 .. 64 bytes
    """
    if not SALT_BYTES_MIN <= len(secret) <= 64:
        raise InputError(
            "the publisher's secret has another length",
            found=f"{len(secret)} bytes",
            allowed=f"{SALT_BYTES_MIN} to 64 bytes",
            cure="Make one with `secrets.token_bytes(32)` and keep it.",
        )
    text = commitment + published_ms.to_bytes(8, "little")
    return hashlib.blake2b(text, key=secret, digest_size=32, person=b"quanheng open").digest()


def tag_of(opening: bytes) -> bytes:
    """Tag of 32 bytes that an opening opens."""
    return hashlib.blake2b(opening, digest_size=32, person=b"quanheng tag").digest()


class InvoiceRegister:
    """Commitments in order of publication. A deterministic fold of `publish` and `withdraw`; knows no invoice.

    head : BLAKE2b-256 over the head before and the newest change; equal heads mean equal histories
    """

    def __init__(self) -> None:
        self.entries: dict[bytes, Entry] = {}
        self.head = bytes(32)

    def publish(self, commitment: bytes, tag: bytes, now_ms: int) -> Published:
        """Publish a commitment. If it is there, nothing changes and its entry is given."""
        known = self.entries.get(commitment)
        if known is not None:
            return Published(False, known)
        entry = self.entries[commitment] = Entry(tag, now_ms)
        self._extend("publish", commitment, tag, now_ms)
        return Published(True, entry)

    def withdraw(self, commitment: bytes, opening: bytes, now_ms: int) -> bool:
        """Take an entry out; False if there is none, or the opening is not its own."""
        known = self.entries.get(commitment)
        if known is None or known.tag != tag_of(opening):
            return False
        del self.entries[commitment]
        self._extend("withdraw", commitment, known.tag, now_ms)
        return True

    def _extend(self, what: str, commitment: bytes, tag: bytes, now_ms: int) -> None:
        change = canonical_json([what, commitment.hex(), tag.hex(), now_ms])
        self.head = hashlib.blake2b(self.head + change, digest_size=32, person=b"quanheng reg").digest()


class Member:
    """An institution of a register: its own secret, and the salt that all members share."""

    def __init__(self, register: InvoiceRegister, salt: bytes, secret: bytes, cost_log2: int = COST_LOG2) -> None:
        self._register, self._salt, self._secret, self._cost_log2 = register, salt, secret, cost_log2

    def claim(self, invoices: Sequence[Invoice], now_ms: int) -> list[Invoice]:
        """Publish all invoices, or none: gives those that another institution has published, best an empty list.

        What was published here before stays published and is no obstacle.
        """
        hidden = [commitment(one, self._salt, self._cost_log2) for one in invoices]
        new, taken = [], []
        for invoice, one in zip(invoices, hidden, strict=True):
            found = self._register.publish(one, tag_of(opening_of(self._secret, one, now_ms)), now_ms)
            if found.is_new:
                new.append(one)
            elif found.entry.tag != tag_of(opening_of(self._secret, one, found.entry.published_ms)):
                taken.append(invoice)
        for one in new if taken else ():
            self._register.withdraw(one, opening_of(self._secret, one, now_ms), now_ms)
        return taken

    def give_up(self, invoice: Invoice, now_ms: int) -> bool:
        """Withdraw an invoice of one's own, once nothing is lent on it any more; False if it is not ours."""
        hidden = commitment(invoice, self._salt, self._cost_log2)
        known = self._register.entries.get(hidden)
        if known is None:
            return False
        return self._register.withdraw(hidden, opening_of(self._secret, hidden, known.published_ms), now_ms)
