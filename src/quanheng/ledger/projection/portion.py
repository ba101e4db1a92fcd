"""Facts of the ledger as changes of the tables: a fold that asks the tables for what stood there before.

It judges nothing and keeps nothing between two portions, so however the facts are cut into portions the tables are the
same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quanheng.kernel.errors import InputError
from quanheng.ledger.entries import NO_LIMIT, AccountFlag, TransferFlag
from quanheng.ledger.projection.schema import TRANSFERS
from quanheng.ledger.views import HOLD_STATES
from quanheng.ledger.wire import ACCOUNT_FACT, FactKind

HELD, POSTED, VOIDED, EXPIRED = HOLD_STATES[1:]
_AMOUNT, _STATE, _SETTLED, _REVERSED = map(
    TRANSFERS.index, ("amount_minor", "hold_state", "settled_offset", "reversed_minor")
)
_NONE = "0" * 32
_MOVES_NOTHING = int(TransferFlag.HOLD | TransferFlag.VOID)
_HOLD, _POST, _VOID, _REVERSAL = map(
    int, (TransferFlag.HOLD, TransferFlag.POST, TransferFlag.VOID, TransferFlag.REVERSAL)
)
_TRANSFER_FLAGS = tuple(int(one) for one in TransferFlag if one != TransferFlag.UNTIL)
"""Those with a column of their own; UNTIL says how the end of a hold was stated, and `expires_ms` which it is."""
_LIMITS = "payment_max_minor", "day_max_minor", "balance_max_minor", "net_debit_cap_minor"
_ACCOUNT_FLAGS = tuple(map(int, (
    AccountFlag.DEBITS_BOUND, AccountFlag.CREDITS_BOUND, AccountFlag.HISTORY, AccountFlag.IMPORTED,
    AccountFlag.DEBITS_FROZEN, AccountFlag.CREDITS_FROZEN, AccountFlag.CLOSED,
)))  # fmt: skip

Amounts = Callable[[list[str]], dict[str, int]]
"""Amounts of the transfers with these ids, of those that the tables have."""
Totals = Callable[[list[str]], dict[str, list[int]]]
"""The four totals and the number of lines of the accounts with these ids, of those that the tables have."""


class Portion:
    """What a run of facts changes in the tables.

    opened : rows of `accounts`, their totals and lines included
    amended : id -> the columns AMENDED of accounts that were there before
    transfers : rows of `transfers`; burnt : rows of `burnt_ids`
    settled : hold state, offset of what settled it, id, of holds that were there before
    reversed : id -> what was taken back of a transfer that was there before
    books : account -> four totals and lines after the facts; days : (account, business day) -> four totals at its end

    Parameters
    ----------
    facts : TRANSFER_FACT[n], in order
    offsets : int64[n], where each stands in the log

    Raises
    ------
    InputError : a fact refers to what the tables do not have
    """

    def __init__(self, facts: np.ndarray, offsets: NDArray[np.int64], amounts: Amounts, totals: Totals) -> None:
        self.opened: dict[str, list[Any]] = {}
        self.amended: dict[str, list[Any]] = {}
        self.transfers: list[list[Any]] = []
        self.burnt: list[tuple[int, str, int]] = []
        self.settled: list[tuple[str, int, str]] = []
        self.reversed: dict[str, int] = {}
        self.days: dict[tuple[str, int], list[int]] = {}
        self._made: dict[str, list[Any]] = {}
        kinds = facts["kind"]
        self._accounts(facts[(kinds == FactKind.OPENED) | (kinds == FactKind.AMENDED)].view(ACCOUNT_FACT),
                       offsets[(kinds == FactKind.OPENED) | (kinds == FactKind.AMENDED)])  # fmt: skip
        burnt = kinds == FactKind.BURN
        self.burnt += zip(
            offsets[burnt].tolist(), ids_of(facts[burnt], "id"), facts[burnt]["applied_ms"].tolist(), strict=True
        )
        lines = (kinds == FactKind.LINE) | (kinds == FactKind.EXPIRY)
        self._lines(facts[lines], offsets[lines], amounts, totals)

    def _accounts(self, facts: np.ndarray, offsets: NDArray[np.int64]) -> None:
        ids, owners, users = (ids_of(facts, name) for name in ("id", "owner", "user_data"))
        names = "asset", "code", "entity", "flags", "opened_ms", "applied_ms", "kind", "overdraft_minor"
        columns = [facts[name].tolist() for name in names]
        limits = zip(*(facts[name].tolist() for name in _LIMITS), strict=True)
        for id, owner, user, offset, most, asset, code, entity, flags, opened_ms, applied_ms, kind, overdraft in zip(
            ids, owners, users, offsets.tolist(), limits, *columns, strict=True
        ):
            rules = [flags, *(bool(flags & one) for one in _ACCOUNT_FLAGS), overdraft]
            rules += [None if one == NO_LIMIT else one for one in most]
            if kind == FactKind.AMENDED:
                rules.append(offset)
                if id in self.opened:
                    self.opened[id][8:] = rules
                else:
                    self.amended[id] = rules
                continue
            when = opened_ms if flags & AccountFlag.IMPORTED else applied_ms
            self.opened[id] = [id, asset, code, entity, _known(owner), _known(user), when, offset, *rules, None]

    def _lines(self, facts: np.ndarray, offsets: NDArray[np.int64], amounts: Amounts, totals: Totals) -> None:
        rows = _transfer_rows(facts, offsets)
        debits, credits, references = (ids_of(facts, name) for name in ("debit", "credit", "reference"))
        flags, days = facts["flags"].tolist(), facts["day"].tolist()
        expiries = (facts["kind"] == FactKind.EXPIRY).tolist()
        own = {row[1] for row in rows}
        settles = [
            reference
            for reference, mark, expiry in zip(references, flags, expiries, strict=True)
            if (expiry or mark & (_POST | _VOID)) and reference not in own
        ]
        self._held = amounts(settles)
        touched = dict.fromkeys([*debits, *credits])
        self.books = totals([id for id in touched if id not in self.opened])
        self.books.update((id, [0] * 5) for id in touched if id in self.opened)
        for row, debit, credit, reference, mark, day, expiry in zip(
            rows, debits, credits, references, flags, days, expiries, strict=True
        ):
            try:
                self._line(row, self.books[debit], self.books[credit], reference, mark, expiry)
            except KeyError as missing:
                raise _missing(row[0], str(missing.args[0])) from None
            self.days[debit, day] = self.books[debit][:4]
            self.days[credit, day] = self.books[credit][:4]
        self.transfers = rows

    def _line(
        self, row: list[Any], debit: list[int], credit: list[int], reference: str, flags: int, expiry: bool
    ) -> None:
        """Totals: debits posted, debits held, credits posted, credits held, lines."""
        amount = row[_AMOUNT]
        if expiry or flags & (_POST | _VOID):
            held = self._let_go(reference, EXPIRED if expiry else POSTED if flags & _POST else VOIDED, row[0])
            debit[1] -= held
            credit[3] -= held
        if not expiry:
            if flags & _HOLD:
                debit[1] += amount
                credit[3] += amount
            if not flags & _MOVES_NOTHING:
                debit[0] += amount
                credit[2] += amount
            if flags & _REVERSAL:
                self._take_back(reference, amount)
            self._made[row[1]] = row
        debit[4] += 1
        credit[4] += 1

    def _let_go(self, hold: str, state: str, offset: int) -> int:
        row = self._made.get(hold)
        if row is None:
            self.settled.append((state, offset, hold))
            return self._held[hold]
        row[_STATE], row[_SETTLED] = state, offset
        amount: int = row[_AMOUNT]
        return amount

    def _take_back(self, id: str, amount: int) -> None:
        row = self._made.get(id)
        if row is None:
            self.reversed[id] = self.reversed.get(id, 0) + amount
        else:
            row[_REVERSED] += amount


def ids_of(facts: np.ndarray, name: str) -> list[str]:
    """The 128-bit numbers of a field as 32 hexadecimal digits each."""
    halves = np.empty((len(facts), 2), ">u8")
    halves[:, 0], halves[:, 1] = facts[f"{name}_hi"], facts[f"{name}_lo"]
    digits = halves.tobytes().hex()
    return [digits[at : at + 32] for at in range(0, len(digits), 32)]


def _transfer_rows(facts: np.ndarray, offsets: NDArray[np.int64]) -> list[list[Any]]:
    """Rows of `transfers`, in the order of TRANSFERS, as if nothing came after them."""
    expiry, flags = facts["kind"] == FactKind.EXPIRY, facts["flags"]
    hold = (flags & _HOLD != 0) & ~expiry
    bits = [((flags & bit) != 0).tolist() for bit in _TRANSFER_FLAGS]
    made_ms = np.where(expiry | (flags & int(TransferFlag.UNTIL) != 0), 0, facts["applied_ms"])
    ends = np.where((expiry | hold) & (facts["time_ms"] != 0), made_ms + facts["time_ms"], 0)
    value = np.where(flags & int(TransferFlag.IMPORTED) != 0, facts["time_ms"], facts["applied_ms"])
    columns: tuple[Iterable[Any], ...] = (
        offsets.tolist(), map(_known, ids_of(facts, "id")), expiry.tolist(), ids_of(facts, "debit"),
        ids_of(facts, "credit"), facts["amount_minor"].tolist(), facts["asked_minor"].tolist(), facts["code"].tolist(),
        flags.tolist(), *bits, map(_known, ids_of(facts, "reference")), [one or None for one in ends.tolist()],
        facts["applied_ms"].tolist(), value.tolist(), facts["day"].tolist(), map(_known, ids_of(facts, "user_data")),
        [HELD if one else None for one in hold.tolist()], [None] * len(facts), [0] * len(facts),
    )  # fmt: skip
    return [list(row) for row in zip(*columns, strict=True)]


def _known(id: str) -> str | None:
    return None if id == _NONE else id


def _missing(offset: int, id: str) -> InputError:
    return InputError(
        "the tables do not hold what a fact of the log refers to",
        where=f"record {offset} of the log",
        found=f"no account or hold {id}",
        cure="Were rows deleted by hand? Project again from the beginning with --rebuild.",
    )
