"""What bodies and answers of the ledger's addresses hold, and how they become what the ledger takes.

Ids have 128 bits, which not every reader of JSON numbers holds: they are texts, in decimal or as 0x and hexadecimal
digits, and are answered in decimal. Amounts and times are integers. Totals are integers too, as text where they have no
place in 64 bits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Any, Literal, TypeVar

import msgspec
import numpy as np

from quanheng.kernel.errors import InputError
from quanheng.ledger import wire
from quanheng.ledger.entries import (
    ALL,
    ID_MAX,
    NO_LIMIT,
    Account,
    AccountFlag,
    Amendment,
    Answer,
    Balance,
    Transfer,
    TransferFlag,
)
from quanheng.ledger.outcomes import AccountOutcome, TransferOutcome
from quanheng.ledger.views import AccountState, Entry, Holds, Line

Id = Annotated[str, msgspec.Meta(max_length=39, description="128 bits: decimal, or 0x and hexadecimal.")]
_Body = TypeVar("_Body")
_Made = TypeVar("_Made")
Whole = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
Small = Annotated[int, msgspec.Meta(ge=0, le=65_535)]
AccountFlagName = Literal["LINKED", "DEBITS_BOUND", "CREDITS_BOUND", "HISTORY", "IMPORTED", "DEBITS_FROZEN",
                          "CREDITS_FROZEN", "CLOSED"]  # fmt: skip
TransferFlagName = Literal["LINKED", "HOLD", "POST", "VOID", "REVERSAL", "BALANCING_DEBIT", "BALANCING_CREDIT",
                           "IMPORTED", "BURN", "UNTIL"]  # fmt: skip


class AccountBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """An account to be opened."""

    id: Id
    asset: Annotated[int, msgspec.Meta(ge=0, le=2**32 - 1)]
    code: Small
    flags: tuple[AccountFlagName, ...] = ()
    owner: Id = "0"
    entity: Annotated[int, msgspec.Meta(ge=0, le=2**32 - 1)] = 0
    overdraft_minor: Whole = 0
    payment_max_minor: Whole = NO_LIMIT
    day_max_minor: Whole = NO_LIMIT
    balance_max_minor: Whole = NO_LIMIT
    net_debit_cap_minor: Whole = NO_LIMIT
    opened_ms: Whole = 0
    user_data: Id = "0"


class AmendmentBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A change of an account; what is left out stays as it is."""

    id: Id
    flags: tuple[AccountFlagName, ...] | None = None
    overdraft_minor: Whole | None = None
    payment_max_minor: Whole | None = None
    day_max_minor: Whole | None = None
    balance_max_minor: Whole | None = None
    net_debit_cap_minor: Whole | None = None
    linked: bool = False


class TransferBody(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A transfer to be applied."""

    id: Id
    debit: Id = "0"
    credit: Id = "0"
    amount_minor: Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 2)] | Literal["ALL"] = 0
    code: Small = 0
    flags: tuple[TransferFlagName, ...] = ()
    reference: Id = "0"
    timeout_ms: Whole = 0
    value_ms: Whole = 0
    user_data: Id = "0"


_TRANSFER_FLAGS = {str(flag.name): int(flag) for flag in TransferFlag}
_ACCOUNT_FLAGS = {str(flag.name): int(flag) for flag in AccountFlag}


def id_of(text: str, where: str = "id") -> int:
    """The number of an id as it is written.

    Raises
    ------
    InputError : it is none, or has more than 128 bits
    """
    digits, base = (text[2:], 16) if text[:2] in ("0x", "0X") else (text, 10)
    if digits.isascii() and digits.isalnum() and len(digits) <= 39 and "x" not in digits.lower():
        try:
            number = int(digits, base)
        except ValueError:
            number = ID_MAX + 1
        if number <= ID_MAX:
            return number
    raise InputError(
        "this is no id of the ledger",
        where=where,
        found=repr(text[:60]),
        allowed="0 to 2^128 - 1, in decimal or as 0x and hexadecimal digits",
        cure="Correct the id.",
    )


def transfers_in(bodies: Sequence[TransferBody]) -> np.ndarray:
    """TRANSFER_REQUEST[n] of bodies.

    Raises
    ------
    InputError : an id has more than 128 bits, or there are too many
    """
    return wire.encode_transfers(_each(bodies, _transfer))


def accounts_in(bodies: Sequence[AccountBody]) -> list[Account]:
    """Accounts of bodies.

    Raises
    ------
    InputError : an id has more than 128 bits
    """
    return _each(bodies, _account)


def amendments_in(bodies: Sequence[AmendmentBody]) -> list[Amendment]:
    """Amendments of bodies.

    Raises
    ------
    InputError : an id has more than 128 bits
    """
    return _each(bodies, _amendment)


def _each(bodies: Sequence[_Body], make: Callable[[_Body], _Made]) -> list[_Made]:
    made: list[_Made] = []
    try:
        for one in bodies:
            made.append(make(one))
    except InputError as error:
        id_of(getattr(bodies[len(made)], error.where), f"[{len(made)}].{error.where}")  # The same, with the row named.
        raise
    return made


def _transfer(one: TransferBody) -> Transfer:
    return Transfer(
        id_of(one.id), id_of(one.debit, "debit"), id_of(one.credit, "credit"),
        ALL if one.amount_minor == "ALL" else one.amount_minor, one.code, _flags(one.flags, _TRANSFER_FLAGS),
        id_of(one.reference, "reference"), one.timeout_ms, one.value_ms, id_of(one.user_data, "user_data"),
    )  # fmt: skip


def _account(one: AccountBody) -> Account:
    return Account(
        id_of(one.id), one.asset, one.code, _flags(one.flags, _ACCOUNT_FLAGS), id_of(one.owner, "owner"),
        one.entity, one.overdraft_minor, one.payment_max_minor, one.day_max_minor, one.balance_max_minor,
        one.net_debit_cap_minor, one.opened_ms, id_of(one.user_data, "user_data"),
    )  # fmt: skip


def _amendment(one: AmendmentBody) -> Amendment:
    return Amendment(
        id_of(one.id), None if one.flags is None else _flags(one.flags, _ACCOUNT_FLAGS), one.overdraft_minor,
        one.payment_max_minor, one.day_max_minor, one.balance_max_minor, one.net_debit_cap_minor, one.linked,
    )  # fmt: skip


def _flags(names: Iterable[str], values: dict[str, int]) -> int:
    flags = 0
    for name in names:
        flags |= values[name]
    return flags


def _names(flags: int, of: type[AccountFlag] | type[TransferFlag]) -> list[str]:
    return [str(flag.name) for flag in of if flags & flag]


# --- answers


def shown_answers(answers: np.ndarray, as_of: int) -> dict[str, Any]:
    """TRANSFER_ANSWER[n] as JSON shows it."""
    return {"as_of": as_of, "answers": [_answer(one) for one in wire.decode_answers(answers)]}


def _answer(one: Answer) -> dict[str, Any]:
    shown: dict[str, Any] = {"outcome": one.outcome.name, "number": int(one.outcome)}
    if one.outcome in (TransferOutcome.APPLIED, TransferOutcome.EXISTS):
        shown |= {"amount_minor": one.amount_minor, "applied_ms": one.applied_ms}
        for side, balance in (("debit", one.debit), ("credit", one.credit)):
            shown[side] = None if balance is None else shown_balance(balance)
    return shown


def shown_outcomes(outcomes: Iterable[AccountOutcome], as_of: int) -> dict[str, Any]:
    """Outcomes of accounts as JSON shows them."""
    return {"as_of": as_of, "answers": [{"outcome": one.name, "number": int(one)} for one in outcomes]}


def shown_balance(balance: Balance) -> dict[str, Any]:
    """A balance: the four totals."""
    return {name: _total(total) for name, total in balance._asdict().items()}


def _total(total: int) -> int | str:
    return total if total < 2**63 else str(total)


def shown_account(state: AccountState, holds: Holds) -> dict[str, Any]:
    """An account with its balance and the holds that stand on it, newest first, of one moment."""
    account = state.account._asdict()
    for name in ("id", "owner", "user_data"):
        account[name] = str(account[name])
    account["flags"] = _names(state.account.flags, AccountFlag)
    return {
        "account": account,
        "balance": shown_balance(state.balance),
        "day": state.day,
        "day_debits_minor": _total(state.day_debits_minor),
        "day_credits_minor": _total(state.day_credits_minor),
        "lines": state.lines,
        "holds": [shown_line(line) for line in holds.lines],
        "holds_n": holds.standing_n,
    }


def shown_line(line: Line) -> dict[str, Any]:
    """A transfer that was applied, or a hold whose time was out."""
    shown: dict[str, Any] = line._asdict()
    for name in ("id", "debit", "credit", "reference", "user_data", "settled_by"):
        shown[name] = str(shown[name])
    if line.asked_minor == ALL:
        shown["asked_minor"] = "ALL"
    shown["flags"] = _names(line.flags, TransferFlag)
    return {**shown, "expiry": line.is_expiry}


def shown_entry(entry: Entry) -> dict[str, Any]:
    """A line of a statement, and the balance after it."""
    return {**shown_line(entry.line), "balance": shown_balance(entry.balance)}
