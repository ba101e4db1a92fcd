"""What every instrument is: a small state of its own, and actions that become one chain of transfers.

`decide` changes nothing: it says which accounts are opened and which transfers are asked for, or why the action is
refused. The ledger judges the transfers as one chain. Only if all of them were applied does `apply` change the
instrument's state. So an instrument is a deterministic fold of the actions that were applied, and value moves all or
not at all.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol

from quanheng.ledger.entries import Account, Amendment, Answer, Opened, Transfer, refused_none
from quanheng.ledger.outcomes import AccountOutcome, TransferOutcome


class Refusal(NamedTuple):
    """Why an action is not asked of the ledger. `code` is one of the instrument's closed list."""

    code: str
    where: str
    found: str = ""
    allowed: str = ""


class Step(NamedTuple):
    """What an action asks of the ledger, all or nothing. Accounts that exist with the same content are no obstacle."""

    transfers: Sequence[Transfer] = ()
    accounts: Sequence[Account] = ()


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

    def open_and_transfer(
        self, accounts: Sequence[Account], transfers: Sequence[Transfer], now_ms: int, day: int
    ) -> Opened:
        """Open accounts and apply transfers, all or nothing."""
        ...


PartId = Callable[[int, int | str], int]
"""Id of a part of an action, from the action's id and the part's name."""


def parts_of(instrument: str) -> PartId:
    """How an instrument names the parts of its actions (transfers, accounts): the same action asks for the same ids.

    Actions of two instruments have no part in common, even if whoever asks gave them one id. Where there are several
    pieces of one kind with folds of their own, each with a number or a name, that is in the names of the parts.
    """
    return partial(part_id, instrument=instrument)


def part_id(action_id: int, part: int | str, instrument: str = "") -> int:
    """Id of a part of an action: the first 128 bits of BLAKE2b over instrument, the action's id, and the part's name.

    Never 0 nor 2**128 - 1 in practice. Instruments have theirs of `parts_of`.
    """
    text = f"{instrument}\0{action_id}\0{part}" if instrument else f"{action_id}\0{part}"
    digest = hashlib.blake2b(text.encode(), digest_size=16, person=b"quanheng part").digest()
    return int.from_bytes(digest, "little")


def perform(ledger: LedgerLike, instrument: Instrument, action: Any, now_ms: int, day: int) -> Performed:
    """Decide an action, ask the ledger, and fold it into the instrument if all of it was applied.

    Asked again, an action whose transfers exist is answered as before. The instrument folds it as of the moment they
    were applied: it may have missed them, where the process ended between the two, and what it has folded stays as is.
    """
    step = instrument.decide(action, now_ms)
    if isinstance(step, Refusal):
        return Performed(refusal=step)
    outcomes, answers = ledger.open_and_transfer(step.accounts, step.transfers, now_ms, day)
    told: list[AccountOutcome | TransferOutcome] = [*outcomes, *(answer.outcome for answer in answers)]
    if not refused_none(told):
        cause = next(one for one in told if one.name not in ("APPLIED", "EXISTS", "CHAIN_FAILED"))
        return Performed(outcome=cause, answers=answers)
    existed = any(answer.outcome == TransferOutcome.EXISTS for answer in answers)
    instrument.apply(action, answers[0].applied_ms if existed else now_ms)
    return Performed(answers=answers)
