"""The register of commitments: a second pledge is found elsewhere, nothing is told, only the publisher withdraws."""

from __future__ import annotations

import hashlib

import pytest

from quanheng.kernel.errors import InputError
from quanheng.ledger.instruments.receivable.actions import Invoice
from quanheng.ledger.instruments.receivable.invoice_register import (
    InvoiceRegister,
    Member,
    commitment,
    opening_of,
    tag_of,
)

SALT, ONE, TWO, COST = b"salt of register", b"secret of bank 1", b"secret of bank 2", 4
INVOICE, OTHER = Invoice("91310000MA1K", "0123-4567", 100), Invoice("91310000MA1K", "01234568", 100)


@pytest.fixture
def register():
    return InvoiceRegister()


def member(register, secret, salt=SALT):
    return Member(register, salt, secret, COST)


def test_a_second_pledge_elsewhere_is_found(register):
    assert member(register, ONE).claim([INVOICE], 1) == []
    same = Invoice("９１３１００００ma1k", "01234567", 999)  # Other spacing, width and amount.
    assert member(register, TWO).claim([OTHER, same], 2) == [same]
    assert len(register.entries) == 1  # What was published before the refusal was withdrawn.
    assert member(register, ONE).claim([INVOICE, OTHER], 3) == []


def test_the_register_knows_no_invoice(register):
    member(register, ONE).claim([INVOICE], 1)
    [(hidden, entry)] = register.entries.items()
    assert hidden == commitment(INVOICE, SALT, COST)
    assert hidden == hashlib.scrypt(b"91310000MA1K/01234567", salt=SALT, n=16, r=8, p=1, dklen=32)
    assert hidden != commitment(INVOICE, b"another salt 16.", COST)
    assert entry.published_ms == 1


def test_another_salt_finds_nothing(register):
    """Stated as a limit: who does not share the salt is not seen."""
    member(register, ONE).claim([INVOICE], 1)
    assert member(register, TWO, b"another salt 16.").claim([INVOICE], 2) == []


def test_only_the_publisher_withdraws(register):
    member(register, ONE).claim([INVOICE], 1)
    assert not member(register, TWO).give_up(INVOICE, 2)
    assert not member(register, ONE).give_up(OTHER, 2)
    assert member(register, ONE).give_up(INVOICE, 2)
    assert member(register, TWO).claim([INVOICE], 3) == []


def test_an_opening_that_was_shown_opens_nothing_else(register):
    hidden = commitment(INVOICE, SALT, COST)
    first = opening_of(ONE, hidden, 1)
    register.publish(hidden, tag_of(first), 1)
    assert register.withdraw(hidden, first, 2)
    register.publish(hidden, tag_of(opening_of(ONE, hidden, 3)), 3)
    assert not register.withdraw(hidden, first, 4)
    assert not register.withdraw(b"x" * 32, first, 4)


def test_the_head_tells_histories_apart():
    def played(*calls):
        register = InvoiceRegister()
        for name, *given in calls:
            getattr(member(register, ONE), name)(*given)
        return register.head

    both = ("claim", [INVOICE], 1), ("claim", [OTHER], 2)
    assert played(*both) == played(*both)
    assert played(*both) == played(*both, ("claim", [INVOICE], 3))  # Nothing new, nothing changed.
    heads = {
        played(), played(both[0]), played(*both), played(("claim", [OTHER], 1), ("claim", [INVOICE], 2)),
        played(*both, ("give_up", OTHER, 3)),
    }  # fmt: skip
    assert len(heads) == 5


def test_salt_and_secret_have_lengths():
    with pytest.raises(InputError, match=r"the register's salt is too short; was 3 bytes; allowed: at least 16 bytes"):
        commitment(INVOICE, b"abc")
    with pytest.raises(InputError, match=r"the publisher's secret has another length; was 65 bytes"):
        opening_of(b"x" * 65, bytes(32), 0)


def test_the_cost_that_is_meant():
    """2**14 blocks run, in 16 MiB."""
    assert len(commitment(INVOICE, SALT)) == 32
