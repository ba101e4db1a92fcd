"""`quanheng ledger reconcile`: an account of the ledger against statements as the bank sends them."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from quanheng.cli.common import HERE, Json, Place, show_json

if TYPE_CHECKING:
    from quanheng.ledger.reconciliation.rules import Item, Rules
    from quanheng.ledger.reconciliation.statements import BankStatement

BREAKS_SHOWN_MAX = 50


def reconcile(
    id: str,
    files: list[Path],
    /,
    *,
    account: str = "",
    reference: Literal["user-data", "id"] = "user-data",
    rules: Path | None = None,
    since: str = "",
    until: str = "",
    today: str = "",
    breaks: Path | None = None,
    matches: Path | None = None,
    as_of: int | None = None,
    json: Json = False,
    place: Place = HERE,
) -> int:
    """Hold an account of the ledger against statements of the bank, in camt.053 or MT940: what matches, what is left.

    A fault of a statement is told, with its place, and the rest goes on; the exit code is then 2.

    For example:
      quanheng ledger reconcile 4711 june.xml --breaks breaks.csv
      quanheng ledger reconcile 4711 june-1.sta june-2.sta --rules rules.toml --json

    Parameters
    ----------
    id : str
        Id of the account, which holds what the bank owes: decimal, 0x and hexadecimal digits, or its name in a pack.
    files : list[Path]
        Statements, in order; pages and days may be in files of their own.
    account : str
        Account of the statements, such as its IBAN, where the files have several.
    reference : str
        What the bank knows a transfer by: its user data, or its id.
    rules : Path
        How far apart what belongs together may be, as TOML (window_days, timing_days, tolerance_minor, fees, …).
    since : str
        First business day of the ledger that is compared (default: the first day of the statements).
    until : str
        Last business day of the ledger that is compared (default: the last day of the statements).
    today : str
        The day that ages are counted to (default: today, in UTC).
    breaks : Path
        Write all that is left to this .csv or .parquet.
    matches : Path
        Write all matches to this .csv or .parquet.
    as_of : int
        As the ledger was after so many records of the log (default: all).
    json : bool
        One line of JSON.
    """
    import time

    from quanheng.cli.ledger import opened
    from quanheng.kernel.time import format_time
    from quanheng.ledger.closing.general_ledger import id_text, write
    from quanheng.ledger.closing.journal import books_of
    from quanheng.ledger.reconciliation.matching import reconcile as matched
    from quanheng.ledger.reconciliation.statements import read_bank_statements
    from quanheng.ledger.reconciliation.tables import breaks_table, items_of_account, matches_table

    told = read_bank_statements(files)
    for problem in told.problems:
        print(f"error: {problem}", file=sys.stderr)
    statements, by = _of(told.statements, account), _rules(rules)
    first, last = _days(statements)
    first, last = _day(since, "--since") if since else first, _day(until, "--until") if until else last
    with opened(place, as_of) as book:
        number = book.account(id)
        book.ledger.account(number)
        ours = items_of_account(
            books_of(book.ledger), number,
            lambda line: id_text(line.id) if reference == "id" else id_text(line.user_data) if line.user_data else "",
        )  # fmt: skip
    found = matched([one for one in ours if first <= one.day <= last], _items(statements), by)
    now = _day(today or format_time(time.time_ns() // 1_000_000)[:10], "--today")
    left = breaks_table(found, by, now)
    if breaks is not None:
        write(left, breaks)
    if matches is not None:
        write(matches_table(found), matches)
    kinds = Counter(one.kind.value for one in found.matches)
    shown = {
        "as_of": book.upto, "statements": len(statements), "lines": sum(len(one.lines) for one in statements),
        "faults": len(told.problems), "matches": dict(sorted(kinds.items())), "breaks": len(found.breaks),
    }  # fmt: skip
    if json:
        show_json({**shown, "left": [{**row, "day": str(row["day"])} for row in left.iter_rows(named=True)]})
    else:
        _show(shown, left.iter_rows(named=True))
    return 2 if told.problems else 0


def _show(shown: Mapping[str, Any], left: Iterable[Mapping[str, Any]]) -> None:
    matches = shown["matches"]
    print(f"{shown['lines']} lines in {shown['statements']} statements, ledger as of offset {shown['as_of']}")
    print("matched: " + (", ".join(f"{count} by {kind}" for kind, count in matches.items()) or "nothing"))
    print(f"left: {shown['breaks']}")
    for place, row in enumerate(left):
        if place == BREAKS_SHOWN_MAX:
            print("…  all of them with --breaks FILE")
            return
        reference = f"  {row['reference']}" if row["reference"] else ""
        print(
            f"{row['day']}  {row['side']:9}  {row['amount_minor']:>16,}  {row['reason']}  {row['age_days']} days  "
            f"{row['id']}{reference}"
        )


def _of(statements: Sequence[BankStatement], account: str) -> list[BankStatement]:
    """The statements of one account in one currency."""
    from quanheng.kernel.errors import InputError

    chosen = [one for one in statements if account in ("", one.account, f"{one.account} {one.currency}")]
    names = sorted({f"{one.account} {one.currency}" for one in chosen})
    if len(names) != 1:
        known = sorted({f"{one.account} {one.currency}" for one in statements})
        raise InputError(
            "there is not one account in the statements that is meant",
            where="--account",
            found=account or f"{len(names)} accounts",
            allowed=", ".join(known) or "none could be read",
            cure="Name one of them.",
        )
    return chosen


def _items(statements: Sequence[BankStatement]) -> list[Item]:
    """Items, whose references are written as the ledger writes numbers where they are numbers."""
    from quanheng.ledger.reconciliation.statements import items_of

    return [
        one._replace(reference=_number_text(one.reference), batch=_number_text(one.batch))
        for one in items_of(statements)
    ]


def _number_text(reference: str) -> str:
    """32 digits of base 16 for a number of 128 bits in decimal, as 0x…, or as those digits; else as it is."""
    from quanheng.kernel.errors import InputError
    from quanheng.ledger.closing.general_ledger import id_text
    from quanheng.server.ledger_bodies import id_of

    try:
        return id_text(id_of(f"0x{reference}" if len(reference) == 32 else reference))
    except InputError:
        return reference


def _days(statements: Sequence[BankStatement]) -> tuple[int, int]:
    """First and last day that statements speak of."""
    days = [line.booked_day for one in statements for line in one.lines]
    days += [one.closing.day for one in statements if one.closing]
    return min(days, default=0), max(days, default=0)


def _day(text: str, where: str) -> int:
    from datetime import date

    from quanheng.kernel.errors import InputError
    from quanheng.ledger.instruments.loan.day_count import day_of

    try:
        return day_of(date.fromisoformat(text))
    except ValueError:
        raise InputError(
            "this is no date", where=where, found=repr(text), allowed="a date such as 2026-01-31", cure="Correct it."
        ) from None


def _rules(path: Path | None) -> Rules:
    """Rules of a file.

    Raises
    ------
    InputError : it is not there, is no TOML, or a field is wrong
    """
    import tomllib
    from decimal import Decimal

    import msgspec

    from quanheng.kernel.errors import InputError
    from quanheng.ledger.reconciliation.rules import Rules, check_rules

    if path is None:
        return Rules()
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
        known = set(Rules.__struct_fields__)
        if strange := sorted(set(raw) - known):
            raise msgspec.ValidationError(f"{', '.join(strange)} is none of {', '.join(sorted(known))}")
        rules = msgspec.convert(raw, Rules)
    except (OSError, ValueError) as error:
        raise InputError(
            "the rules of reconciliation cannot be read",
            where=str(path),
            found=str(error),
            allowed="TOML with fields such as window_days = 3",
            cure="Correct the file.",
        ) from None
    check_rules(rules)
    return rules
