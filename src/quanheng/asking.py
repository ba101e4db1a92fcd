"""What a decision asks of the ledger: postings of accounts.toml with the accounts and amounts of one event.

Pure: it reads what is known of the event and asks; whether value moves is the ledger's to say (`transferring`).
Ids are made of names and pseudonyms, so the same deal always asks for the same transfer and names the same account.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from quanheng.amounts import Row, minor_units
from quanheng.events.intake import Pseudonyms
from quanheng.events.schema import NO_KEY, EventType
from quanheng.expressions import Columns, Expression, Getter
from quanheng.facts import Ask, Asked
from quanheng.kernel.errors import InputError, NotFound
from quanheng.known import Known
from quanheng.ledger.balances import account_id
from quanheng.ledger.entries import ALL, Account, Transfer, TransferFlag
from quanheng.ledger.instruments.loan_book.events import LoanAsk
from quanheng.ledger.queries import Queries
from quanheng.loading.declared_accounts import (
    AccountDeclaration,
    AccountOf,
    PostingDeclaration,
    TransferTemplate,
    Unasked,
)
from quanheng.servicing import Servicing

if TYPE_CHECKING:
    from quanheng.loading.declared import Declared

KNOWN_MAX = 100_000
"""How many accounts of one name are kept in memory as they would be opened."""
REFUSED = "refused"
"""In a flow's `then`, in place of an outcome: what is asked for where the ledger refuses."""


_NAMED = re.compile(r"(?P<name>[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*)(\((?P<keys>.*)\))?", re.DOTALL)
_ACTS = {"move": 0, "post": TransferFlag.POST, "void": TransferFlag.VOID, "reverse": TransferFlag.REVERSAL}
_BALANCING = {"": 0, "debit": TransferFlag.BALANCING_DEBIT, "credit": TransferFlag.BALANCING_CREDIT}


def transfer_id(name: str, deal: bytes) -> int:
    """Id of the transfer "pack.posting.transfer" of a deal: BLAKE2b of its name and what stands for the deal, 128 bits.

    deal : 16 bytes: the pseudonym of the deal's key, or the request key of the event
    """
    return int.from_bytes(
        hashlib.blake2b(deal + name.encode(), digest_size=16, person=b"quanheng posting").digest(), "little"
    )


def name_in(text: str) -> tuple[str, list[str]] | None:
    """The account and the keys that a text names: "wallet.bank", "wallet.wallet(anna)"; None = it is no such name.

    A key may hold anything but commas.
    """
    found = _NAMED.fullmatch(text)
    if found is None:
        return None
    return found["name"], [one.strip() for one in found["keys"].split(",")] if found["keys"] else []


def named_account(packs: Mapping[str, Declared], ring: Pseudonyms, name: str, keys: Sequence[str]) -> int:
    """Id of the account "pack.account" of these keys, as people know them: `wallet.wallet`, ["anna"].

    Raises
    ------
    NotFound : no active pack declares it
    InputError : another number of keys
    """
    declared = {f"{pack.name}.{one.name}": one for pack in packs.values() for one in pack.accounts.accounts}
    found = declared.get(name)
    if found is None:
        known = ", ".join(sorted(declared)) or "no active pack declares accounts"
        raise NotFound("no active pack declares this account", where="account", found=name, allowed=known)
    if len(keys) != len(found.per):
        raise InputError(
            "the account has another number of keys",
            where=name,
            found=", ".join(keys) or "none",
            allowed=", ".join(found.per) or "none: there is one, of the house",
            cure="Give one key for each, in this order.",
        )
    return account_id(name, [ring.pseudonym(entity, key) for entity, key in zip(found.per, keys, strict=True)])


class _Transfer:
    """One transfer of a posting, compiled."""

    def __init__(
        self,
        pack: Declared,
        posting: PostingDeclaration,
        declared: TransferTemplate,
        names: Sequence[str],
        getter: Callable[[str], Getter],
    ) -> None:
        accounts = {one.name: one for one in pack.accounts.accounts}
        exponents = {one.name: one.exponent for one in pack.accounts.assets}
        assets = {one.name: one.number for one in pack.accounts.assets}
        self.name = f"{pack.name}.{posting.name}.{declared.name}"
        where = f"posting {posting.name}.{declared.name}"
        self.id, self.of = posting.id, posting.of
        self.settles = f"{pack.name}.{declared.settles}" if declared.settles else ""
        self.amount = Expression(declared.amount, names, getter, f"{where}.amount") if declared.amount else None
        self.where = Expression(declared.where, names, getter, f"{where}.where") if declared.where else None
        self.exponent = 0 if declared.minor else exponents[declared.asset]
        self.rounding = declared.rounding
        self.flags = int(_ACTS[declared.act] | _BALANCING[declared.balancing])
        self.flags |= TransferFlag.HOLD if declared.hold else 0
        self.code, self.timeout_ms = declared.code, declared.timeout_ms
        self.sides = tuple(
            None if one is None else _Side(pack.name, accounts[one.account], assets, one)
            for one in (declared.debit, declared.credit)
        )

    def ask(self, row: Row, amount: object) -> Ask:
        deal = row.keys[self.id] if self.id else row.request
        reference = row.keys[self.of] if self.settles else b""
        named = [one.of(row) for one in self.sides if one is not None]
        minor = ALL if self.amount is None else minor_units(amount, self.exponent, self.rounding)
        unasked = ""
        if NO_KEY in (deal, reference) or None in named:
            unasked = str(Unasked.KEY_IS_NULL)
        elif isinstance(minor, Unasked):
            unasked = str(minor)
        accounts = tuple(one for one in named if one is not None)
        debit, credit = [one.id for one in accounts] if len(accounts) == len(self.sides) else (0, 0)
        transfer = Transfer(
            transfer_id(self.name, deal), debit, credit, 0 if isinstance(minor, Unasked) else minor, self.code,
            self.flags, transfer_id(self.settles, reference) if self.settles else 0, self.timeout_ms,
            user_data=int.from_bytes(deal, "little"),
        )  # fmt: skip
        return Ask(self.name, transfer, accounts, unasked)


def account_as_opened(pack: str, declared: AccountDeclaration, assets: Mapping[str, int]) -> Account:
    """An account of the house as it is opened; of those that are kept for owners what they have in common.

    assets : number of each by name
    """
    return Account(
        account_id(f"{pack}.{declared.name}", ()), assets[declared.asset], declared.code, declared.flags, 0,
        declared.entity, declared.overdraft_minor, declared.payment_max_minor, declared.day_max_minor,
        declared.balance_max_minor, declared.net_debit_cap_minor,
    )  # fmt: skip


class _Side:
    """An account that a transfer names, for any event; those that were named lately are kept."""

    def __init__(self, pack: str, declared: AccountDeclaration, assets: Mapping[str, int], named: AccountOf) -> None:
        self._name, self._keys = f"{pack}.{declared.name}", named.keys
        self._known: dict[bytes, Account] = {}
        self._account = account_as_opened(pack, declared, assets)

    def of(self, row: Row) -> Account | None:
        """The account of one event's keys, as it would be opened; None where a key is null."""
        keys = [row.keys[name] for name in self._keys]
        joined = b"".join(keys)
        account = self._known.get(joined)
        if account is None and NO_KEY not in keys:
            if len(self._known) >= KNOWN_MAX:
                self._known.clear()
            owner = int.from_bytes(keys[0], "little") if keys else 0
            account = self._account._replace(id=account_id(self._name, keys), owner=owner)
            self._known[joined] = account
        return account


class Postings:
    """What one flow, or one process, asks of the ledger when an event of one type comes, by label.

    Parameters
    ----------
    then : label → postings: an outcome of a flow; the name of a posting, of a process
    refused_as : outcome that is given where the ledger refuses
    names : all that is known of the event, by name
    getter : of a name: gives its column, as policies see it
    loans : label → acts on loans
    """

    def __init__(
        self,
        then: Mapping[str, Sequence[str]],
        refused_as: str,
        pack: Declared,
        event: EventType,
        names: Sequence[str],
        getter: Callable[[str], Getter],
        loans: Mapping[str, Sequence[str]] = {},
    ) -> None:
        postings = {one.name: one for one in pack.accounts.postings}
        asked = {name for acts in loans.values() for name in acts}
        acts = {one.name: Servicing(pack, one, names, getter) for one in pack.accounts.servicings if one.name in asked}
        self._loans = {label: [acts[name] for name in named] for label, named in loans.items()}
        self._acts = list(acts.values())
        made = {
            name: tuple(_Transfer(pack, postings[name], one, names, getter) for one in postings[name].transfers)
            for name in {name for acts in then.values() for name in acts}
        }
        self._then = {label: [one for name in acts for one in made[name]] for label, acts in then.items()}
        self._every = [one for transfers in made.values() for one in transfers]
        self.refused_as = refused_as
        self._keys = event.key_fields

    def count(self, label: str) -> int:
        """How many transfers may be asked for under a label."""
        return len(self._then.get(label, ()))

    def asks(self, label: str) -> bool:
        """Whether anything is asked for under a label."""
        return self.count(label) > 0 or bool(self._loans.get(label))

    def accounts(self, row: Row, ledger: Queries) -> set[int]:
        """Ids of all accounts that may be touched for an event, whatever is decided: those that transfers name, and
        those of what they settle, as far as it is there."""
        found: set[int] = set()
        for one in self._every:
            named = [side.of(row) for side in one.sides if side is not None]
            found.update(account.id for account in named if account is not None)
            if one.settles:
                found.update(ledger.sides_of(transfer_id(one.settles, row.keys[one.of])))
        return found

    def loans(self, row: Row) -> set[int]:
        """Numbers of all loans that may be touched for an event, whatever is decided."""
        return {loan for one in self._acts if (loan := one.loan(row)) is not None}

    def row(self, keys: NDArray[np.uint64], request: bytes) -> Row:
        """One event, by its keys in the order of its declaration: u64[K, 2], K of them or more."""
        return Row({name: keys[place].tobytes() for place, name in enumerate(self._keys)}, request)

    def transfers(self, columns: Columns, at: int, row: Row, label: str) -> tuple[Ask, ...]:
        """What is asked for under a label for the event in the place `at` of what is known, which is `row`."""
        return tuple(
            one.ask(row, None if one.amount is None else columns.value(one.amount, at))
            for one in self._then.get(label, ())
            if one.where is None or columns.value(one.where, at) is True
        )

    def ask(self, known: Known, rows: Sequence[int], outcomes: Sequence[str]) -> list[Asked]:
        """What a flow asks for some rows, given the outcome of each."""
        columns, asked = Columns(known), []
        for at, outcome in zip(rows, outcomes, strict=True):
            row = self.row(known.batch.keys[at], known.events[at].request_key)
            first = self.transfers(columns, at, row, outcome)
            loans = self._asked_of_loans(columns, at, row, outcome)
            if not (first or loans):
                asked.append(Asked((), (), self.refused_as))
                continue
            refused = self.transfers(columns, at, row, REFUSED)
            loans_refused = self._asked_of_loans(columns, at, row, REFUSED)
            asked.append(Asked(first, refused, self.refused_as, loans, loans_refused))
        return asked

    def _asked_of_loans(self, columns: Columns, at: int, row: Row, label: str) -> tuple[LoanAsk, ...]:
        found = (one.ask(columns, at, row) for one in self._loans.get(label, ()))
        return tuple(one for one in found if one is not None)
