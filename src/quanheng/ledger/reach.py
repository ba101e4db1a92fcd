"""Whose accounts a caller may see and take value from, where that is not everybody's.

A caller may be limited to owners, to legal entities (whose books an account is in), or to both; an account is in reach
if it is of one of each. Owner and entity of an account never change, so reach is judged at any time with one answer.
What is out of reach is refused in the same words as what is not there: nobody learns by asking.

Reading takes the account, or one side of a transfer. Asking for a transfer takes the account that gives: the debit
account; of a posting that of its hold; of a reversal the one that had been credited; of a voiding the one that would
have been credited, since it is the payee who gives up. A limited caller sees no balance of the other side.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from quanheng.kernel.errors import NotFound, NotPermitted
from quanheng.ledger.entries import TransferFlag
from quanheng.ledger.queries import Queries
from quanheng.ledger.wire import HIDDEN_CREDIT, HIDDEN_DEBIT, numbers_of

_REVERSAL, _POST, _VOID = int(TransferFlag.REVERSAL), int(TransferFlag.POST), int(TransferFlag.VOID)
_REFERS = _REVERSAL | _POST | _VOID


class Reach(NamedTuple):
    """Owners and legal entities that a caller is limited to; empty: not limited by these."""

    owners: frozenset[int] = frozenset()
    entities: frozenset[int] = frozenset()

    @property
    def is_whole(self) -> bool:
        """Whether nothing is out of reach."""
        return not self.owners and not self.entities

    def has(self, book: Queries, account: int) -> bool:
        """Whether an account is there and in reach."""
        try:
            opened = book.account(account).account
        except NotFound:
            return False
        owned = not self.owners or opened.owner in self.owners
        return owned and (not self.entities or opened.entity in self.entities)


EVERYTHING = Reach()


def check_account(book: Queries, reach: Reach, id: int) -> None:
    """An account is in reach.

    Raises
    ------
    NotPermitted : it is not, or there is none
    """
    if not reach.is_whole and not reach.has(book, id):
        raise _out_of_reach("account", f"account {id}")


def check_transfer(book: Queries, reach: Reach, id: int) -> None:
    """One side of a transfer that was applied is in reach.

    Raises
    ------
    NotPermitted : neither is, or there is no such transfer
    """
    if reach.is_whole:
        return
    try:
        line = book.transfer_of(id)
    except NotFound:
        raise _out_of_reach("transfer", f"transfer {id}") from None
    if not (reach.has(book, line.debit) or reach.has(book, line.credit)):
        raise _out_of_reach("transfer", f"transfer {id}")


def check_requests(book: Queries, reach: Reach, requests: np.ndarray) -> None:
    """Every transfer that is asked for takes from an account in reach: TRANSFER_REQUEST[n].

    What a request refers to is looked for in the book, and if it is not there among all requests before it under that
    id: whichever of those is applied must be in reach.

    Raises
    ------
    NotPermitted : one does not; nothing of the batch is to be judged
    """
    names = "id", "debit", "credit", "reference"
    ids, debits, credits, references = (list(numbers_of(requests, name)) for name in names)
    known: dict[int, set[tuple[int, int]]] = {}
    for place, flags in enumerate(requests["flags"].tolist()):
        sides = {(debits[place], credits[place])}
        if flags & _REFERS:
            sides = _sides(book, known, references[place])
            if flags & _REVERSAL:
                sides = {(credit, debit) for debit, credit in sides}
        givers = {credit if flags & _VOID else debit for debit, credit in sides}
        if not givers or not all(reach.has(book, one) for one in givers):
            raise _out_of_reach(f"transfer {place} of the batch", "the account that it takes from")
        known.setdefault(ids[place], set()).update(sides)


def hide(book: Queries, reach: Reach, requests: np.ndarray, answers: np.ndarray) -> None:
    """Take the balances of accounts out of reach from answers, TRANSFER_ANSWER[n] to these requests."""
    for place, id in enumerate(numbers_of(requests, "id")):
        if not answers["applied_ms"][place] and not answers["amount_minor"][place]:
            continue  # Refused: no balance is told.
        line = book.transfer_of(id)
        for side, account, bit in (("debit", line.debit, HIDDEN_DEBIT), ("credit", line.credit, HIDDEN_CREDIT)):
            if not reach.has(book, account):
                answers["hidden"][place] |= bit
                for name in answers.dtype.names or ():
                    if name.startswith(f"{side}_"):
                        answers[name][place] = 0


def _sides(book: Queries, known: dict[int, set[tuple[int, int]]], id: int) -> set[tuple[int, int]]:
    try:
        line = book.transfer_of(id)
    except NotFound:
        return known.get(id, set())
    return {(line.debit, line.credit)}


def _out_of_reach(where: str, found: str) -> NotPermitted:
    return NotPermitted(
        "the token is limited to other owners or legal entities, or there is nothing by this id",
        where=where,
        found=found,
        allowed="accounts of the owners and entities that the token was issued for",
        cure="Ask with a token for that owner; `quanheng token list` shows what each is limited to.",
    )
