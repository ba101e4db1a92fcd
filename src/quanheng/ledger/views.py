"""What is read of a ledger: accounts with their totals, changes with the balance after each, holds that stand."""

from __future__ import annotations

from typing import NamedTuple

from quanheng.ledger.entries import Account, Balance

HOLD_STATES = "", "held", "posted", "voided", "expired"
"""Where a hold stands; the first: it is no hold."""


class AccountState(NamedTuple):
    """An account as it is.

    account : with rules and limits as they are now; `opened_ms` when it was opened, whether imported or not
    balance : posted and held totals, of one moment
    day, day_debits_minor, day_credits_minor : newest business day with a change, its debits (holds counted when they
        were made) and posted credits
    lines : how many changes it had
    """

    account: Account
    balance: Balance
    day: int
    day_debits_minor: int
    day_credits_minor: int
    lines: int


class KnownOf(NamedTuple):
    """What features know of an account.

    moved_ms : when something was last booked on it, a hold or its end too; None = never
    """

    balance: Balance
    moved_ms: int | None


class Line(NamedTuple):
    """A change of two accounts: a transfer that was applied, or a hold whose time was out.

    row : its place among all facts; later ones have larger numbers
    id : of the transfer; 0 for an expiry, whose hold is in `reference`
    amount_minor : what was moved, held or let go; asked_minor : the amount as it was asked for
    expires_ms : when a hold ends, or ended; 0 = never
    hold : where a hold stands now, one of HOLD_STATES
    reversed_minor : how much of it was taken back so far
    settled_by : id of the transfer that posted or voided the hold; 0 = none did
    """

    row: int
    id: int
    debit: int
    credit: int
    amount_minor: int
    asked_minor: int
    code: int
    flags: int
    reference: int
    expires_ms: int
    applied_ms: int
    value_ms: int
    day: int
    user_data: int
    hold: str
    reversed_minor: int
    settled_by: int

    @property
    def is_expiry(self) -> bool:
        """Whether a hold ended here because its time was out."""
        return self.id == 0


class Entry(NamedTuple):
    """A line of an account's statement, and the account's balance after it."""

    line: Line
    balance: Balance


class Holds(NamedTuple):
    """Holds that stand on an account, newest first, and its balance at the same moment.

    standing_n : how many stand, whether they are among the lines or not
    """

    balance: Balance
    lines: tuple[Line, ...]
    standing_n: int
