"""Items from the ledger and from files; matches and breaks as tables, with the age of what is left."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import polars as pl

from quanheng.kernel.errors import InputError
from quanheng.kernel.money import Money
from quanheng.ledger.closing.general_ledger import id_text
from quanheng.ledger.closing.journal import Books, JournalLine
from quanheng.ledger.entries import TransferFlag
from quanheng.ledger.instruments.loan.day_count import date_of, day_of
from quanheng.ledger.reconciliation.matching import Reconciliation
from quanheng.ledger.reconciliation.rules import Item, Rules

BREAK_COLUMNS = {
    "side": pl.String, "id": pl.String, "day": pl.Date, "amount_minor": pl.Int64, "reference": pl.String,
    "reason": pl.String, "other": pl.String, "difference_minor": pl.Int64, "age_days": pl.Int64, "bucket": pl.String,
}  # fmt: skip
MATCH_COLUMNS = {
    "reason": pl.String, "ledger": pl.String, "statement": pl.String, "difference_minor": pl.Int64, "days": pl.Int64,
    "detail": pl.String,
}  # fmt: skip


def items_of_account(
    books: Books,
    account: int,
    reference_of: Callable[[JournalLine], str],
    batch_of: Callable[[JournalLine], str] | None = None,
) -> list[Item]:
    """The lines of an account that holds money: what it is debited came in.

    reference_of, batch_of : what the other side calls a transfer, and its batch, such as `id_text(line.user_data)`
    """
    items = []
    for line in books.lines:
        if account in (line.debit, line.credit):
            amount = line.amount_minor if line.debit == account else -line.amount_minor
            back = id_text(line.reference) if line.flags & TransferFlag.REVERSAL else ""
            batch = batch_of(line) if batch_of else ""
            items.append(Item(id_text(line.id), amount, line.day, reference_of(line), batch, back))
    return items


def read_statement(path: Path, currency: str, day: str, amount: str, reference: str, batch: str = "") -> list[Item]:
    """Items of a statement as CSV: dates as 2024-06-03, amounts in major units with a sign. Ids are `line 2` and so on.

    Parameters
    ----------
    day, amount, reference, batch : names of the columns; batch may be ""

    Raises
    ------
    InputError : a column is missing, or a line has no date or no amount that is exact in the currency
    """
    table = pl.read_csv(path, infer_schema=False)
    missing = [name for name in (day, amount, reference, batch) if name and name not in table.columns]
    if missing:
        raise InputError(
            "the statement lacks a column",
            where=str(path),
            found=", ".join(table.columns),
            allowed=", ".join(missing),
            cure="Name the columns as the file does.",
        )
    return [
        _item(f"{path}: line {number}", f"line {number}", currency, row[day], row[amount], row[reference],
              row[batch] if batch else "")
        for number, row in enumerate(table.iter_rows(named=True), 2)
    ]  # fmt: skip


def _item(where: str, id: str, currency: str, day: str, amount: str, reference: str, batch: str) -> Item:
    try:
        when = day_of(date.fromisoformat((day or "").strip()))
        minor = Money.parse(f"{(amount or '').strip()} {currency}").minor
    except (ValueError, InputError) as error:
        raise InputError(
            "a line of the statement cannot be read",
            where=where,
            found=f"{day!r}, {amount!r}",
            allowed=f"a date such as 2024-06-03 and an amount in {currency}",
            cure="Correct the line.",
        ) from error
    return Item(id, minor, when, (reference or "").strip(), (batch or "").strip())


def bucket(age_days: int, buckets_days: tuple[int, ...]) -> str:
    """The bucket of an age, such as 2-7 or 91+."""
    first = 0
    for last in buckets_days:
        if age_days <= last:
            return f"{first}-{last}"
        first = last + 1
    return f"{first}+"


def breaks_table(found: Reconciliation, rules: Rules, today: int) -> pl.DataFrame:
    """BREAK_COLUMNS: those of the ledger first, each side by day and id. An item of the future has age 0.

    today : the day that ages are counted to, days since 1970-01-01
    """
    rows = []
    for one in found.breaks:
        age, item = max(0, today - one.item.day), one.item
        rows.append((
            one.side, item.id, date_of(item.day), item.amount_minor, item.reference, one.kind, one.other,
            one.difference_minor, age, bucket(age, rules.buckets_days),
        ))  # fmt: skip
    return pl.DataFrame(rows, schema=BREAK_COLUMNS, orient="row")


def matches_table(found: Reconciliation) -> pl.DataFrame:
    """MATCH_COLUMNS; ids of one side are separated by blanks."""
    rows = [
        (one.kind, " ".join(one.ledger), " ".join(one.statement), one.difference_minor, one.days, one.detail)
        for one in found.matches
    ]
    return pl.DataFrame(rows, schema=MATCH_COLUMNS, orient="row")
