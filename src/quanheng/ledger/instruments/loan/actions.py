"""What can be done with a loan, and by whom. `day` is the effective date as days since 1970-01-01."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from quanheng.ledger.instruments.loan.terms import Terms


class Effect(StrEnum):
    """What a prepayment changes: fewer instalments of the same size, or smaller ones."""

    SHORTENS = "shortens"
    REDUCES = "reduces"


class Originate(msgspec.Struct, frozen=True):
    """The loan is made and disbursed to the borrower's account. The action's id is the loan's."""

    id: int
    by: int
    terms: Terms


class Dated(msgspec.Struct, frozen=True):
    """What all later actions have."""

    id: int
    by: int
    loan: int
    day: int


class Charge(Dated, frozen=True):
    """A fee is owed from that day on. May be back-dated."""

    amount_minor: int


class Pay(Dated, frozen=True):
    """The borrower's payment came on that day; it is allocated, and what is left waits. May be back-dated."""

    amount_minor: int


class Prepay(Dated, frozen=True):
    """As Pay; what is left after all that is due, the fee included, repays principal early. May be back-dated."""

    amount_minor: int
    effect: Effect = Effect.SHORTENS


class PayOff(Dated, frozen=True):
    """All of the loan falls due on that day and is paid; at least the amount of `payoff_quote`."""

    amount_minor: int


class Refund(Dated, frozen=True):
    """The lender gives back what was paid and is not allocated."""

    amount_minor: int


class WriteOff(Dated, frozen=True):
    """The lender gives up all that is owed. Nothing accrues any more; what was given up stays on record."""


class Recover(Dated, frozen=True):
    """A payment on what was written off."""

    amount_minor: int


class Accrue(Dated, frozen=True):
    """Interest and penalty are booked up to that day, as at the end of a day."""


Event = Charge | Pay | Prepay | PayOff | Refund | WriteOff | Recover | Accrue

RANK = {kind: rank for rank, kind in enumerate((Charge, Pay, Prepay, PayOff, WriteOff, Recover, Refund, Accrue))}
"""Order of the actions of one day. With the id as the last word, the order of arrival is of no account."""
BACKDATED = Charge, Pay, Prepay
"""May come after younger actions were applied."""
BY_THE_LENDER = Originate, Charge, Refund, WriteOff, Accrue
"""The others are done by the borrower or by the lender."""
RECEIPTS = Pay, Prepay, PayOff, Recover
"""Bring money from the borrower's account."""


def order_of(event: Event) -> tuple[int, int, int]:
    """Place of an event in the loan's history."""
    return event.day, RANK[type(event)], event.id
