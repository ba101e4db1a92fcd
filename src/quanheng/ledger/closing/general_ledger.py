"""The general ledger for other systems: CSV and Parquet by polars, and text for beancount as an independent check."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl

from quanheng.kernel.errors import InputError
from quanheng.kernel.money import exponent
from quanheng.ledger.closing.balances import DailyBalance, TrialBalance
from quanheng.ledger.closing.journal import Books
from quanheng.ledger.instruments.loan.day_count import date_of

ENTRY_COLUMNS = {
    "row": pl.Int64, "day": pl.Date, "applied_ms": pl.Int64, "value_ms": pl.Int64, "transfer": pl.String,
    "account": pl.String, "entity": pl.Int64, "asset": pl.Int64, "account_code": pl.Int64, "code": pl.Int64,
    "debit_minor": pl.Int64, "credit_minor": pl.Int64, "reference": pl.String, "user_data": pl.String,
}  # fmt: skip
"""Columns of the general ledger: two rows a transfer. Ids are 32 digits of base 16."""


def id_text(id: int) -> str:
    """An id as 32 digits of base 16."""
    return f"{id:032x}"


def entries(books: Books, first_day: int = 0, last_day: int = 2**31 - 1) -> pl.DataFrame:
    """The general ledger of the days from `first_day` to `last_day`: ENTRY_COLUMNS, the debit before the credit."""
    accounts = {one.id: one for one in books.accounts}
    rows = []
    for line in books.lines:
        if not first_day <= line.day <= last_day:
            continue
        for id, debit, credit in ((line.debit, line.amount_minor, 0), (line.credit, 0, line.amount_minor)):
            account = accounts[id]
            rows.append((
                line.row, date_of(line.day), line.applied_ms, line.value_ms, id_text(line.id), id_text(id),
                account.entity, account.asset, account.code, line.code, debit, credit, id_text(line.reference),
                id_text(line.user_data),
            ))  # fmt: skip
    return pl.DataFrame(rows, schema=ENTRY_COLUMNS, orient="row")


def daily(rows: Sequence[DailyBalance]) -> pl.DataFrame:
    """Daily balances as a table. Balances are text: they go up to 2**127."""
    names = DailyBalance._fields
    schema: dict[str, Any] = {name: pl.String if name in ("account", *names[5:]) else pl.Int64 for name in names}
    schema["day"] = pl.Date
    given = [(date_of(one.day), *one[1:4], id_text(one.account), *map(str, one[5:])) for one in rows]
    return pl.DataFrame(given, schema=schema, orient="row")


def trial(balance: TrialBalance) -> pl.DataFrame:
    """A trial balance as a table, with closing debits and credits apart, as text."""
    given = [
        (*row[:4], *map(str, (*row[4:7], max(row.closing_minor, 0), max(-row.closing_minor, 0))))
        for row in balance.rows
    ]
    numbers = dict.fromkeys(("entity", "asset", "code", "accounts"), pl.Int64)
    texts = "opening_minor", "debits_minor", "credits_minor", "closing_debit_minor", "closing_credit_minor"
    return pl.DataFrame(given, schema={**numbers, **dict.fromkeys(texts, pl.String)}, orient="row")


def write(table: pl.DataFrame, path: Path) -> None:
    """Write a table; the ending of the name says how.

    Raises
    ------
    InputError : neither .csv nor .parquet
    """
    if path.suffix == ".csv":
        table.write_csv(path)
    elif path.suffix == ".parquet":
        table.write_parquet(path)
    else:
        raise InputError(
            "the general ledger is written as CSV or Parquet",
            where="path",
            found=path.name,
            allowed="a name that ends in .csv or .parquet",
            cure="Give the file another ending.",
        )


def beancount_text(books: Books, currencies: Mapping[int, str]) -> str:
    """The journal as text for beancount, with an assertion of every balance at the end of the newest day.

    The assertions have no tolerance, which beancount would else infer from the decimals. Accounts have names such as
    `Equity:E0:C400:A0…`: the kind says nothing, only sums are checked.

    Parameters
    ----------
    currencies : asset -> code of ISO 4217, whose exponent is used

    Raises
    ------
    InputError : an asset has no currency
    """
    names = {one.id: f"Equity:E{one.entity}:C{one.code}:A{id_text(one.id)}" for one in books.accounts}
    if missing := sorted({one.asset for one in books.accounts} - set(currencies)):
        raise InputError(
            "the assets have no currency",
            where="currencies",
            found=str(missing),
            allowed="a code of ISO 4217 for each asset",
            cure="Name it, or leave out the accounts of the asset.",
        )
    assets = {one.id: currencies[one.asset] for one in books.accounts}
    days = [one.day for one in books.lines] or [0]
    closing = dict.fromkeys(names, 0)
    lines = [f"{date_of(min(days))} open {names[id]} {assets[id]}" for id in names]
    for one in books.lines:
        currency = assets[one.debit]
        amount = _amount(one.amount_minor, currency)
        lines += [
            f'\n{date_of(one.day)} * "{id_text(one.id)}"',
            f"  {names[one.debit]}  {amount} {currency}",
            f"  {names[one.credit]}  -{amount} {currency}",
        ]
        closing[one.debit] += one.amount_minor
        closing[one.credit] -= one.amount_minor
    lines.append("")
    after = date_of(max(days) + 1)
    lines += [
        f"{after} balance {names[id]}  {_amount(net, assets[id])} ~ 0 {assets[id]}" for id, net in closing.items()
    ]
    return "\n".join(lines) + "\n"


def _amount(minor: int, currency: str) -> str:
    sign, digits, _ = Decimal(minor).as_tuple()
    return f"{Decimal((sign, digits, -exponent(currency))):f}"
