"""Flows of a day as transfers: per product and flow one of the sum; money of customers' own accounts one each."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from quanheng.ledger import wire
from quanheng.ledger.instruments.loan.day_count import date_of
from quanheng.ledger.instruments.loan_book.kernel import words as w
from quanheng.ledger.instruments.loan_book.products import Product
from quanheng.ledger.queries import Queries

SIDES: dict[int, tuple[str, str]] = {
    w.DISBURSED: ("principal", "cash"),
    w.ACCRUED: ("interest", "interest_income"),
    w.ROUNDED: ("interest", "rounding"),
    w.PENALISED: ("penalty", "penalty_income"),
    w.CHARGED: ("fees", "fee_income"),
    w.PAID_FEES: ("settlement", "fees"),
    w.PAID_PENALTY: ("settlement", "penalty"),
    w.PAID_INTEREST: ("settlement", "interest"),
    w.PAID_PRINCIPAL: ("settlement", "principal"),
    w.PREPAID: ("settlement", "principal"),
    w.CAPITALISED_FEES: ("principal", "fees"),
    w.CAPITALISED_PENALTY: ("principal", "penalty"),
    w.CAPITALISED_INTEREST: ("principal", "interest"),
    w.LOST_FEES: ("loss", "fees"),
    w.LOST_PENALTY: ("loss", "penalty"),
    w.LOST_INTEREST: ("loss", "interest"),
    w.LOST_PRINCIPAL: ("loss", "principal"),
    w.NOTED: ("written_off", "written_off_contra"),
    w.RECOVERED: ("settlement", "recovery_income"),
    w.RECEIVED: ("cash", "settlement"),
    w.REFUNDED: ("settlement", "cash"),
}
"""Control accounts of each flow: debit and credit where the sum is positive."""
CASH_FLOWS = w.DISBURSED, w.RECEIVED, w.REFUNDED
CASH_KINDS = {
    w.OPENED: ("principal", ""), w.REFUND: ("settlement", ""),
    w.PAY: ("", "settlement"), w.PREPAY: ("", "settlement"), w.PAY_OFF: ("", "settlement"),
    w.RECOVER: ("", "settlement"),
}  # fmt: skip
"""Events that move money: debit and credit, "" = the customer's own account."""
CONTROLS = ("fees", "penalty", "interest", "principal", "settlement", "written_off")
"""Accounts whose balances are the columns of `LoanBook.totals`; settlement is a liability."""


def day_postings(name: str, products: Sequence[Product], day: int, flows: NDArray[np.int64]) -> np.ndarray:
    """The transfers of a day that was closed, TRANSFER_REQUEST[n]: their ids follow from the book's name, day and flow.

    Parameters
    ----------
    name : of the book, unlike other books' on the ledger
    flows : as `Closed.flows`
    """
    rows = [
        (one, flow, int(flows[one.number, flow]))
        for one in products
        for flow in SIDES
        if flows[one.number, flow] and not (one.own_cash and flow in CASH_FLOWS)
    ]
    made = np.zeros(len(rows), wire.TRANSFER_REQUEST)
    for place, (product, flow, amount) in enumerate(rows):
        debit, credit = SIDES[flow] if amount > 0 else SIDES[flow][::-1]
        _put(made[place], "id", _id(name, f"{day} {product.number} {flow}"))
        _put(made[place], "debit", getattr(product.accounts, debit))
        _put(made[place], "credit", getattr(product.accounts, credit))
        _put(made[place], "user_data", stamp(day))
        made[place]["amount_minor"], made[place]["code"] = abs(amount), product.code
    return made


def cash_postings(name: str, events: np.ndarray, owners: Sequence[tuple[Product, int]]) -> np.ndarray:
    """A transfer for each event that moves a customer's own money, TRANSFER_REQUEST[n].

    owners : product and account of each event's loan
    """
    made = np.zeros(len(events), wire.TRANSFER_REQUEST)
    rows = zip(events.tolist(), owners, strict=True)
    for place, ((loan, kind, day, amount, _, id, *_), (product, account)) in enumerate(rows):
        sides = [getattr(product.accounts, side) if side else account for side in CASH_KINDS[kind]]
        _put(made[place], "id", _id(name, f"cash {loan} {day} {kind} {id}"))
        _put(made[place], "debit", sides[0])
        _put(made[place], "credit", sides[1])
        _put(made[place], "user_data", stamp(day))
        made[place]["amount_minor"], made[place]["code"] = amount, product.code
    return made


def control_balances(ledger: Queries, products: Sequence[Product]) -> NDArray[np.int64]:
    """What the ledger has on the control accounts, as `LoanBook.totals` sums them over the loans."""
    found = np.zeros((len(products) + 1, len(CONTROLS)), np.int64)
    for one in products:
        for place, control in enumerate(CONTROLS):
            balance = ledger.balance(getattr(one.accounts, control))
            net = balance.debits_posted_minor - balance.credits_posted_minor
            found[one.number, place] = -net if control == "settlement" else net
    return found


def stamp(day: int) -> int:
    """The day as yyyymmdd, which people can read in a statement."""
    return int(date_of(day).strftime("%Y%m%d"))


def _id(name: str, what: str) -> int:
    return int.from_bytes(hashlib.blake2b(f"loan book {name} {what}".encode(), digest_size=16).digest(), "little") or 1


def _put(row: np.void, field: str, value: int) -> None:
    row[f"{field}_lo"], row[f"{field}_hi"] = value & (2**64 - 1), value >> 64
