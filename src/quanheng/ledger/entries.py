"""Accounts and transfers as they are asked for, and balances as they are answered.

Amounts are integers in minor units of the account's asset, 0 < amount <= `AMOUNT_MAX`; totals go up to 2**127 - 1. Ids
are integers of 128 bits, given by whoever asks; 0 and 2**128 - 1 are no ids.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntFlag
from typing import NamedTuple

from quanheng.ledger.outcomes import AccountOutcome, TransferOutcome

ALL = 2**63 - 1
"""As an amount: all of it. For a posting the whole hold, for a balancing transfer whatever is there, for a reversal
what was not reversed yet."""
AMOUNT_MAX = 2**63 - 2
TOTAL_MAX = 2**127 - 1
ID_MAX = 2**128 - 1
NO_LIMIT = -1
TIME_MAX_MS = 2**63 - 1
BATCH_MAX = 8_190
"""Transfers or accounts in one batch, and so in one chain."""


class AccountFlag(IntFlag):
    """Rules of an account.

    LINKED : opened or changed together with the next one in the batch, or not at all
    DEBITS_BOUND : debits, held ones included, must not exceed posted credits and the overdraft
    CREDITS_BOUND : credits, held ones included, must not exceed posted debits
    HISTORY : balances after each change are kept, so that those of any time are found at once
    IMPORTED : opened at a time in the past
    DEBITS_FROZEN, CREDITS_FROZEN : takes no new transfer on that side; holds that stand can still be posted
    CLOSED : takes nothing any more, for good
    """

    LINKED = 1
    DEBITS_BOUND = 2
    CREDITS_BOUND = 4
    HISTORY = 8
    IMPORTED = 16
    DEBITS_FROZEN = 32
    CREDITS_FROZEN = 64
    CLOSED = 128


AMENDABLE = (
    AccountFlag.DEBITS_BOUND | AccountFlag.CREDITS_BOUND | AccountFlag.DEBITS_FROZEN | AccountFlag.CREDITS_FROZEN
    | AccountFlag.CLOSED
)  # fmt: skip
"""Flags that an amendment sets."""


class TransferFlag(IntFlag):
    """What a transfer does.

    LINKED : applied together with the next one in the batch, or not at all
    HOLD : value is held on both accounts until it is posted, voided or its time is out
    POST : posts the hold that `reference` names, whole or in part; the rest is let go
    VOID : lets go the hold that `reference` names
    REVERSAL : takes back the transfer that `reference` names, whole or in part, never more than it moved
    BALANCING_DEBIT : moves as much of the amount as the debit account has: posted credits less debits, held ones too
    BALANCING_CREDIT : moves as much of the amount as the credit account owes: posted debits less credits, held ones too
    IMPORTED : has a value time in the past
    BURN : if it is refused, its id is used up: no later request under this id is applied
    UNTIL : a hold ends at the moment that `timeout_ms` says, epoch ms, instead of so long after it was made
    """

    LINKED = 1
    HOLD = 2
    POST = 4
    VOID = 8
    REVERSAL = 16
    BALANCING_DEBIT = 32
    BALANCING_CREDIT = 64
    IMPORTED = 128
    BURN = 256
    UNTIL = 512


class Account(NamedTuple):
    """An account as it is opened.

    id : 1 .. 2**128 - 2
    asset : number of the asset, not 0; only accounts of one asset have transfers between them
    code : place in the chart of accounts, 1 .. 65535
    owner : pseudonym of the owner, 128 bits; 0 = none
    entity : number of the legal entity whose books it is in
    overdraft_minor : how far debits may exceed credits where DEBITS_BOUND
    payment_max_minor : most that one transfer may debit; this and the next three: NO_LIMIT = -1
    day_max_minor : most that a business day's transfers may debit, holds counted on the day they were made
    balance_max_minor : most that credits, held ones included, may exceed posted debits
    net_debit_cap_minor : most that a business day's debits, held ones included, may exceed its posted credits
    opened_ms : time of opening where IMPORTED, else 0
    user_data : 128 bits, kept and given back
    """

    id: int
    asset: int
    code: int
    flags: int = 0
    owner: int = 0
    entity: int = 0
    overdraft_minor: int = 0
    payment_max_minor: int = NO_LIMIT
    day_max_minor: int = NO_LIMIT
    balance_max_minor: int = NO_LIMIT
    net_debit_cap_minor: int = NO_LIMIT
    opened_ms: int = 0
    user_data: int = 0


class Amendment(NamedTuple):
    """A change of an account. What is None stays as it is. Sides are frozen, and accounts closed, by `flags`.

    flags : DEBITS_FROZEN, CREDITS_FROZEN, CLOSED, DEBITS_BOUND, CREDITS_BOUND as they shall be
    linked : made together with the next one in the batch, or not at all
    """

    id: int
    flags: int | None = None
    overdraft_minor: int | None = None
    payment_max_minor: int | None = None
    day_max_minor: int | None = None
    balance_max_minor: int | None = None
    net_debit_cap_minor: int | None = None
    linked: bool = False


class Transfer(NamedTuple):
    """A transfer as it is asked for: debits one account, credits another.

    A posting, a voiding and a reversal may leave accounts and code 0: they are those of what `reference` names (swapped
    for a reversal). If they are given, they must be the same.

    amount_minor : > 0; `ALL` where a hold, a balance or a reversed transfer says how much that is
    reference : id of the hold (POST, VOID) or of the transfer that is taken back (REVERSAL), else 0
    timeout_ms : a hold ends so many ms after it was made, by the ledger's time; 0 = never. With UNTIL: the moment that
        it ends. Whoever asks again states the same number: a length as a length, a moment as a moment
    code : why value moves, 1 .. 65535
    value_ms : value time where IMPORTED, else 0 = when it is applied
    user_data : 128 bits, kept and given back
    """

    id: int
    debit: int = 0
    credit: int = 0
    amount_minor: int = 0
    code: int = 0
    flags: int = 0
    reference: int = 0
    timeout_ms: int = 0
    value_ms: int = 0
    user_data: int = 0


class Balance(NamedTuple):
    """Totals of an account since it was opened, in minor units."""

    debits_posted_minor: int = 0
    debits_held_minor: int = 0
    credits_posted_minor: int = 0
    credits_held_minor: int = 0


class Answer(NamedTuple):
    """What became of one transfer.

    amount_minor, applied_ms : what it moved, held or let go, and when; 0 if it was not applied, and as they were then
        if it EXISTS
    debit, credit : balances of its two accounts right after it (EXISTS: now); None if it was not applied, or if the
        account is not for the caller to see
    """

    outcome: TransferOutcome
    amount_minor: int = 0
    applied_ms: int = 0
    debit: Balance | None = None
    credit: Balance | None = None


class Opened(NamedTuple):
    """What became of accounts and transfers that were asked for together, all or nothing.

    accounts : outcome of each; of those that were well but for what else was refused CHAIN_FAILED
    transfers : answer to each; none if an account was refused
    """

    accounts: list[AccountOutcome]
    transfers: list[Answer]


def chained(transfers: Sequence[Transfer]) -> list[Transfer]:
    """The transfers as one chain: every one but the last is linked to the next."""
    last = len(transfers) - 1
    linked, free = int(TransferFlag.LINKED), ~int(TransferFlag.LINKED)
    return [
        one._replace(flags=one.flags | linked if place < last else one.flags & free)
        for place, one in enumerate(transfers)
    ]


def unlinked(accounts: Sequence[Account]) -> list[Account]:
    """The accounts, each on its own."""
    return [one._replace(flags=one.flags & ~int(AccountFlag.LINKED)) for one in accounts]


def refused_none(outcomes: Sequence[AccountOutcome | TransferOutcome]) -> bool:
    """Whether all was applied, now or before."""
    return all(one.name in ("APPLIED", "EXISTS") for one in outcomes)


def as_failed(outcomes: Sequence[AccountOutcome]) -> list[AccountOutcome]:
    """Outcomes of accounts that are not opened, since something else that was asked for with them was refused."""
    return [AccountOutcome.CHAIN_FAILED if one == AccountOutcome.APPLIED else one for one in outcomes]
