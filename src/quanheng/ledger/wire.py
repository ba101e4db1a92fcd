"""Requests, answers and facts as records of a fixed size: the format of the wire and of the log.

All numbers are little endian. A number of 128 bits is two of 64, the low one first (`_lo`, `_hi`). The dtypes below are
the layout: every field has its byte, none is padding, and what is reserved must be 0. The kernel sees each record as
64-bit words (kernel/words.py).

TRANSFER_REQUEST, 112 bytes          TRANSFER_ANSWER, 152 bytes
  0  id              128 bits          0  outcome           u4
 16  debit           128 bits          4  hidden            u4
 32  credit          128 bits          8  amount_minor      i8
 48  reference       128 bits         16  applied_ms        i8
 64  user_data       128 bits         24  debits_posted, debits_held, credits_posted, credits_held
 80  amount_minor    i8                   of the debit account, 128 bits each
 88  timeout_ms      i8               88  the same of the credit account
 96  value_ms        i8
104  flags           u4
108  code            u2
110  reserved        u2

hidden: 1 = the totals of the debit account are not for the caller, 2 = those of the credit account; they are 0 then.

A fact is what was applied, 128 bytes; `kind` says which of two layouts it has. Facts in their order are the ledger:
whoever applies them has the same state, and judges nothing.

TRANSFER_FACT: LINE, EXPIRY, BURN    ACCOUNT_FACT: OPENED, AMENDED
  0  id              128 bits          0  id                128 bits
 16  debit           128 bits         16  owner             128 bits
 32  credit          128 bits         32  user_data         128 bits
 48  reference       128 bits         48  asset             u4
 64  user_data       128 bits         52  entity            u4
 80  asked_minor     i8               56  overdraft_minor   i8
 88  amount_minor    i8               64  payment_max_minor i8
 96  time_ms         i8               72  day_max_minor     i8
104  applied_ms      i8               80  balance_max_minor i8
112  flags           u2               88  net_debit_cap_minor i8
114  code            u2               96  opened_ms         i8
116  day             i4              104  applied_ms        i8
120  kind            u1              112  flags, code, day  as on the left
121  reserved        7 bytes         120  kind, reserved    as on the left

LINE     debit, credit and code are those that the transfer had in the end; asked_minor is the amount as it was asked
         for (ALL may be), amount_minor what was moved, held or let go; time_ms is the time-out of a HOLD as it
         was asked for (a length, with UNTIL a moment), the value time of an IMPORTED transfer, else 0
EXPIRY   id 0; reference is the hold, amount_minor what was let go, time_ms when its time was out; applied_ms: seen
BURN     an id that was used up
OPENED   an account as it was asked for
AMENDED  its rules and limits as they are from now on; the rest as it was opened
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import IntEnum
from struct import Struct
from struct import error as StructError
from typing import Any

import numpy as np

from quanheng.kernel.errors import InputError
from quanheng.ledger.entries import BATCH_MAX, Account, Amendment, Answer, Balance, Transfer
from quanheng.ledger.outcomes import TransferOutcome

HIDDEN_DEBIT, HIDDEN_CREDIT = 1, 2


def _wide(*names: str) -> list[tuple[str, str]]:
    return [(f"{name}_{half}", "<u8") for name in names for half in ("lo", "hi")]


_TOTALS = "debits_posted", "debits_held", "credits_posted", "credits_held"
_MARKS = [("flags", "<u2"), ("code", "<u2"), ("day", "<i4"), ("kind", "u1"), ("reserved", "u1", (7,))]

TRANSFER_REQUEST = np.dtype([
    *_wide("id", "debit", "credit", "reference", "user_data"),
    ("amount_minor", "<i8"), ("timeout_ms", "<i8"), ("value_ms", "<i8"),
    ("flags", "<u4"), ("code", "<u2"), ("reserved", "<u2"),
])  # fmt: skip
TRANSFER_ANSWER = np.dtype([
    ("outcome", "<u4"), ("hidden", "<u4"), ("amount_minor", "<i8"), ("applied_ms", "<i8"),
    *_wide(*(f"{side}_{name}" for side in ("debit", "credit") for name in _TOTALS)),
])  # fmt: skip
TRANSFER_FACT = np.dtype([
    *_wide("id", "debit", "credit", "reference", "user_data"),
    ("asked_minor", "<i8"), ("amount_minor", "<i8"), ("time_ms", "<i8"), ("applied_ms", "<i8"), *_MARKS,
])  # fmt: skip
ACCOUNT_FACT = np.dtype([
    *_wide("id", "owner", "user_data"),
    ("asset", "<u4"), ("entity", "<u4"), ("overdraft_minor", "<i8"), ("payment_max_minor", "<i8"),
    ("day_max_minor", "<i8"), ("balance_max_minor", "<i8"), ("net_debit_cap_minor", "<i8"), ("opened_ms", "<i8"),
    ("applied_ms", "<i8"), *_MARKS,
])  # fmt: skip


class FactKind(IntEnum):
    """Kinds of facts: see the layouts above."""

    LINE = 1
    EXPIRY = 2
    BURN = 3
    OPENED = 4
    AMENDED = 5


_LOW = 2**64 - 1
_TRANSFER = Struct("<10Q3qIHH").pack
_ACCOUNT = Struct("<6Q2I6qqHHiQ").pack
_AMENDED = "flags", "overdraft_minor", "payment_max_minor", "day_max_minor", "balance_max_minor", "net_debit_cap_minor"
STATED_LINKED = 1 << 8
"""Last word of an amendment on its way to the kernel: it is linked. Bits 0 to 5: which of `_AMENDED` are stated."""


def encode_transfers(batch: Sequence[Transfer]) -> np.ndarray:
    """TRANSFER_REQUEST[n] of transfers.

    Raises
    ------
    InputError : a number is outside the range of its field, or the batch is too long
    """
    check_length(len(batch))
    low, parts = _LOW, []
    try:
        for id, debit, credit, amount, code, flags, reference, timeout_ms, value_ms, user_data in batch:
            parts.append(_TRANSFER(
                id & low, id >> 64, debit & low, debit >> 64, credit & low, credit >> 64, reference & low,
                reference >> 64, user_data & low, user_data >> 64, amount, timeout_ms, value_ms, flags, code, 0,
            ))  # fmt: skip
    except (StructError, TypeError) as error:
        raise _outside("transfer", len(parts), batch[len(parts)], error) from None
    return _rows(parts, TRANSFER_REQUEST)


def encode_accounts(batch: Sequence[Account]) -> np.ndarray:
    """ACCOUNT_FACT[n] of accounts as they are asked for; `applied_ms`, `day` and `kind` are 0.

    Raises
    ------
    InputError : a number is outside the range of its field, or the batch is too long
    """
    check_length(len(batch))
    low, parts = _LOW, []
    try:
        for id, asset, code, flags, owner, entity, *limits, opened_ms, user_data in batch:
            parts.append(_ACCOUNT(
                id & low, id >> 64, owner & low, owner >> 64, user_data & low, user_data >> 64, asset, entity,
                *limits, opened_ms, 0, flags, code, 0, 0,
            ))  # fmt: skip
    except (StructError, TypeError) as error:
        raise _outside("account", len(parts), batch[len(parts)], error) from None
    return _rows(parts, ACCOUNT_FACT)


def encode_amendments(batch: Sequence[Amendment]) -> np.ndarray:
    """ACCOUNT_FACT[n] of amendments on their way to the kernel: the last word says which fields are stated.

    Raises
    ------
    InputError : a number is outside the range of its field, or the batch is too long
    """
    check_length(len(batch))
    parts: list[bytes] = []
    try:
        for one in batch:
            flags, *limits = (getattr(one, name) for name in _AMENDED)
            stated = sum(1 << bit for bit, name in enumerate(_AMENDED) if getattr(one, name) is not None)
            parts.append(_ACCOUNT(
                one.id & _LOW, one.id >> 64, 0, 0, 0, 0, 0, 0, *(limit or 0 for limit in limits), 0, 0,
                flags or 0, 0, 0, stated | (STATED_LINKED if one.linked else 0),
            ))  # fmt: skip
    except (StructError, TypeError) as error:
        raise _outside("amendment", len(parts), batch[len(parts)], error) from None
    return _rows(parts, ACCOUNT_FACT)


def check_length(count: int) -> None:
    """A batch has at most `BATCH_MAX` rows.

    Raises
    ------
    InputError : it has more
    """
    if count > BATCH_MAX:
        raise InputError(
            "the batch is too long", found=f"{count} rows", allowed=f"up to {BATCH_MAX}", cure="Send it in parts."
        )


def decode_answers(answers: np.ndarray) -> list[Answer]:
    """Answers as values."""
    applied, exists, of = TransferOutcome.APPLIED, TransferOutcome.EXISTS, _OUTCOMES
    given = []
    for row in answers.tolist():
        outcome = of[row[0]]
        if outcome is applied or outcome is exists:
            debit = None if row[1] & HIDDEN_DEBIT else balance_of(row[4:12])
            credit = None if row[1] & HIDDEN_CREDIT else balance_of(row[12:20])
            given.append(Answer(outcome, row[2], row[3], debit, credit))
        else:
            given.append(_REFUSED[outcome])
    return given


def balance_of(limbs: Sequence[int]) -> Balance:
    """The four totals of eight limbs."""
    a, b, c, d, e, f, g, h = limbs
    if b | d | f | h:
        return Balance(a | b << 64, c | d << 64, e | f << 64, g | h << 64)
    return Balance(a, c, e, g)


def limbs_of(number: int) -> tuple[int, int]:
    """Low and high 64 bits of an unsigned number of 128 bits."""
    return number & _LOW, number >> 64


def numbers_of(records: np.ndarray, name: str) -> Iterator[int]:
    """The 128-bit numbers in a field, `name` without `_lo` and `_hi`."""
    for low, high in zip(records[f"{name}_lo"].tolist(), records[f"{name}_hi"].tolist(), strict=True):
        yield low | high << 64


def _rows(parts: list[bytes], dtype: np.dtype) -> np.ndarray:
    """Records that can be written to, as all arrays are that the kernel is compiled for."""
    return np.frombuffer(bytearray(b"".join(parts)), dtype)


def _outside(what: str, place: int, one: Any, error: Exception) -> InputError:
    return InputError(
        f"a number of the {what} has no place in its record",
        where=f"row {place} of the batch",
        found=f"{one} ({error})",
        allowed="ids, owners and user data of 128 bits; amounts, limits and times of 64 with a sign; assets and"
        " entities of 32; codes and flags of 16",
        cure="Look at the field's range in quanheng.ledger.wire.",
    )


_OUTCOMES = {int(outcome): outcome for outcome in TransferOutcome}
_REFUSED = {outcome: Answer(outcome) for outcome in TransferOutcome}
