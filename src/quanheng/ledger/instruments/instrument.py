"""What every instrument is: a small state of its own, and actions that become one chain of transfers.

`decide` changes nothing: it says which accounts are opened and which transfers are asked for, or why the action is
refused. The ledger judges the transfers as one chain. Only if all of them were applied does `apply` change the
instrument's state. So an instrument is a deterministic fold of the actions that were applied, and value moves all or
not at all.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from quanheng.ledger.entries import Account, AccountFlag, Amendment, Answer, Transfer, TransferFlag
from quanheng.ledger.outcomes import AccountOutcome, TransferOutcome


class Refusal(NamedTuple):
    """Why an action is not asked of the ledger. `code` is one of the instrument's closed list."""

    code: str
    where: str
    found: str = ""
    allowed: str = ""


class Step(NamedTuple):
    """What an action asks of the ledger. Accounts that exist with the same content are no obstacle."""

    transfers: Sequence[Transfer] = ()
    accounts: Sequence[Account] = ()
    amendments: Sequence[Amendment] = ()


class Performed(NamedTuple):
    """What became of an action. It was applied if there is neither a refusal nor an outcome of the ledger.

    refusal : of the instrument
    outcome : the first of the ledger's that is neither APPLIED nor EXISTS
    answers : of the ledger, one for each transfer
    """

    refusal: Refusal | None = None
    outcome: TransferOutcome | AccountOutcome | None = None
    answers: Sequence[Answer] = ()

    @property
    def applied(self) -> bool:
        """Whether value moved and the instrument's state changed."""
        return self.refusal is None and self.outcome is None


class Instrument(Protocol):
    """One kind of instrument with all its pieces. `action` is a frozen value with an `id` of 128 bits."""

    def decide(self, action: Any, now_ms: int) -> Step | Refusal:
        """What the action asks of the ledger; changes nothing."""
        ...

    def apply(self, action: Any, now_ms: int) -> None:
        """Fold an action whose transfers were applied at `now_ms`; a repeat changes nothing."""
        ...


class LedgerLike(Protocol):
    """The core, or its slow twin."""

    def open_accounts(self, batch: Sequence[Account], now_ms: int, day: int) -> list[AccountOutcome]:
        """Open accounts, in order."""
        ...

    def amend_accounts(self, batch: Sequence[Amendment], now_ms: int, day: int) -> list[AccountOutcome]:
        """Change accounts, in order."""
        ...

    def transfer(self, batch: Sequence[Transfer], now_ms: int, day: int) -> list[Answer]:
        """Apply transfers, in order."""
        ...


def part_id(action_id: int, part: int | str) -> int:
    """Id of a part of an action (a transfer, an account), so that the same action always asks for the same.

    The first 128 bits of BLAKE2b over the action's id and the part's name; never 0 nor 2**128 - 1 in practice.
    """
    text = action_id.to_bytes(16, "little") + str(part).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=16, person=b"quanheng part").digest(), "little")


def chained(transfers: Sequence[Transfer]) -> list[Transfer]:
    """The transfers as one chain: every one but the last is linked to the next."""
    last = len(transfers) - 1
    linked, free = int(TransferFlag.LINKED), ~int(TransferFlag.LINKED)
    return [
        one._replace(flags=one.flags | linked if place < last else one.flags & free)
        for place, one in enumerate(transfers)
    ]


def perform(ledger: LedgerLike, instrument: Instrument, action: Any, now_ms: int, day: int) -> Performed:
    """Decide an action, ask the ledger, and fold it into the instrument if all of it was applied.

    Asked again, an action whose transfers exist is answered as before. The instrument folds it as of the moment they
    were applied: it may have missed them, where the process ended between the two, and what it has folded stays as is.
    """
    step = instrument.decide(action, now_ms)
    if isinstance(step, Refusal):
        return Performed(refusal=step)
    opened = [one._replace(flags=one.flags & ~int(AccountFlag.LINKED)) for one in step.accounts]
    for outcomes in (ledger.open_accounts(opened, now_ms, day), ledger.amend_accounts(step.amendments, now_ms, day)):
        for account_outcome in outcomes:
            if account_outcome not in (AccountOutcome.APPLIED, AccountOutcome.EXISTS):
                return Performed(outcome=account_outcome)
    answers = ledger.transfer(chained(step.transfers), now_ms, day)
    for answer in answers:
        if answer.outcome not in (TransferOutcome.APPLIED, TransferOutcome.EXISTS, TransferOutcome.CHAIN_FAILED):
            return Performed(outcome=answer.outcome, answers=answers)
    existed = any(answer.outcome == TransferOutcome.EXISTS for answer in answers)
    instrument.apply(action, answers[0].applied_ms if existed else now_ms)
    return Performed(answers=answers)
