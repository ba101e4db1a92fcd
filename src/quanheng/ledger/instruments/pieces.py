"""Pieces of a claim in the ledger: each piece is an account of its own, filled once and emptied once.

A claim has one asset number. The obligor's account of that asset owes between nothing and the face: it is debited with
the whole claim (`DEBITS_BOUND` with an overdraft of the face) and credited as the claim is discharged, never with more
(its balance is at most 0). A piece's account must not be debited beyond its credits, and takes no more than its face.
So the ledger itself refuses to spend a piece twice, to mix pieces of two claims, and to pledge what is pledged: a
pledge is a hold on the piece's account in favour of the pledgee.
"""

from __future__ import annotations

from enum import IntEnum

from quanheng.ledger.entries import ALL, Account, AccountFlag, Transfer, TransferFlag

ASSET_MAX = 2**32 - 1


class PieceCode(IntEnum):
    """Why value of a claim moves: codes of its transfers, the same for receivables and bills."""

    ISSUED = 3001
    SPLIT = 3002
    TRANSFERRED = 3003
    DISCOUNTED = 3004
    PLEDGED = 3005
    PAID = 3006
    RECOURSE = 3007
    WITHDRAWN = 3008
    CASH = 3009


OBLIGATION_CODE = 3100
"""Place in the chart of accounts of what an obligor owes."""
PIECE_CODE = 3200
"""Place in the chart of accounts of a piece."""


def obligation_account(id: int, asset: int, face_minor: int, owner: int, entity: int) -> Account:
    """The account of who owes: between 0 and the face is outstanding, at any time."""
    flags = int(AccountFlag.DEBITS_BOUND)
    return Account(
        id, asset, OBLIGATION_CODE, flags, owner, entity, overdraft_minor=face_minor, balance_max_minor=0
    )  # fmt: skip


def piece_account(id: int, asset: int, face_minor: int, owner: int, entity: int) -> Account:
    """The account of a piece: between 0 and its face is on it, at any time."""
    flags = int(AccountFlag.DEBITS_BOUND)
    return Account(id, asset, PIECE_CODE, flags, owner, entity, balance_max_minor=face_minor)


def moved(id: int, debit: int, credit: int, face_minor: int, code: PieceCode, about: int) -> Transfer:
    """Moves a piece, whole."""
    return Transfer(id, debit, credit, face_minor, int(code), user_data=about)


def pledged(id: int, piece: int, pledgee_piece: int, face_minor: int, about: int) -> Transfer:
    """Holds a piece for its pledgee, without end."""
    flags = int(TransferFlag.HOLD)
    return Transfer(id, piece, pledgee_piece, face_minor, int(PieceCode.PLEDGED), flags, user_data=about)


def released(id: int, hold: int, about: int) -> Transfer:
    """Lets a pledge go."""
    return Transfer(id, amount_minor=ALL, flags=int(TransferFlag.VOID), reference=hold, user_data=about)


def enforced(id: int, hold: int, about: int) -> Transfer:
    """Gives a pledged piece to its pledgee."""
    return Transfer(id, amount_minor=ALL, flags=int(TransferFlag.POST), reference=hold, user_data=about)


def cash(id: int, debit: int, credit: int, amount_minor: int, about: int) -> Transfer:
    """Moves cash."""
    return Transfer(id, debit, credit, amount_minor, int(PieceCode.CASH), user_data=about)
