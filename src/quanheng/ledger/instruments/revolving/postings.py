"""Flows of a day as transfers: per product and flow one of the sum."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from quanheng.ledger import wire
from quanheng.ledger.instruments.loan_book.postings import stamp
from quanheng.ledger.instruments.revolving.kernel import words as w
from quanheng.ledger.instruments.revolving.products import CreditProduct
from quanheng.ledger.queries import Queries

OWED = ("fees", "interest", "advances", "purchases", "purchases", "instalments")
"""Control account of each kind, in the order of the kinds."""
SIDES: dict[int, tuple[str, str]] = {
    **{w.PAID + kind: ("settlement", control) for kind, control in enumerate(OWED)},
    **{w.LOST + kind: ("loss", control) for kind, control in enumerate(OWED)},
    w.DRAWN: ("purchases", "cash"),
    w.CASH_OUT: ("advances", "cash"),
    w.ACCRUED: ("interest", "interest_income"),
    w.CHARGED: ("fees", "fee_income"),
    w.PENALISED: ("fees", "late_income"),
    w.RECEIVED: ("cash", "settlement"),
    w.REFUNDED: ("settlement", "cash"),
    w.CONVERTED: ("instalments", "purchases"),
    w.FELL_BACK: ("purchases", "instalments"),
    w.NOTED: ("written_off", "written_off_contra"),
    w.RECOVERED: ("settlement", "recovery_income"),
}
"""Control accounts of each flow: debit and credit where the sum is positive."""
CONTROLS = ("fees", "interest", "purchases", "advances", "instalments", "settlement", "written_off")
"""Accounts whose balances are the columns of `CreditBook.totals`; settlement is a liability."""


def day_postings(name: str, products: Sequence[CreditProduct], day: int, flows: NDArray[np.int64]) -> np.ndarray:
    """The transfers of a day that was closed, TRANSFER_REQUEST[n]: their ids follow from the book's name, day and flow.

    Parameters
    ----------
    name : of the book, unlike other books' on the ledger
    flows : as `Closed.flows`
    """
    rows = [(one, flow) for one in products for flow in SIDES if flows[one.number, flow]]
    made = np.zeros(len(rows), wire.TRANSFER_REQUEST)
    for place, (product, flow) in enumerate(rows):
        amount = int(flows[product.number, flow])
        debit, credit = SIDES[flow] if amount > 0 else SIDES[flow][::-1]
        numbers = {
            "id": _id(f"revolving {name} {day} {product.number} {flow}"), "user_data": stamp(day),
            "debit": getattr(product.accounts, debit), "credit": getattr(product.accounts, credit),
        }  # fmt: skip
        for field, value in numbers.items():
            made[place][f"{field}_lo"], made[place][f"{field}_hi"] = value & (2**64 - 1), value >> 64
        made[place]["amount_minor"], made[place]["code"] = abs(amount), product.code
    return made


def control_balances(ledger: Queries, products: Sequence[CreditProduct]) -> NDArray[np.int64]:
    """What the ledger has on the control accounts, as `CreditBook.totals` sums them over the accounts."""
    found = np.zeros((len(products) + 1, len(CONTROLS)), np.int64)
    for one in products:
        for place, control in enumerate(CONTROLS):
            balance = ledger.balance(getattr(one.accounts, control))
            net = balance.debits_posted_minor - balance.credits_posted_minor
            found[one.number, place] = -net if control == "settlement" else net
    return found


def _id(what: str) -> int:
    return int.from_bytes(hashlib.blake2b(what.encode(), digest_size=16).digest(), "little") or 1
