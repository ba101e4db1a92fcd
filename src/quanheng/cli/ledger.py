"""`quanheng ledger`: accounts, statements and transfers as the log has them, beside a running server too."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import cyclopts

from quanheng.cli.common import HERE, Flag, Json, Place, past, progress_bar, reader, show_json, show_value

if TYPE_CHECKING:
    from quanheng.kernel.snapshot import Snapshots
    from quanheng.ledger.ledger import Ledger
    from quanheng.reading import Reader

app = cyclopts.App(name="ledger", help="Accounts, statements and transfers, as of the last committed offset or any.")


class Book(NamedTuple):
    """The ledger after the first `upto` records of a log, and what the log is read with."""

    ledger: Ledger
    upto: int
    reader: Reader
    snapshots: Snapshots

    def account(self, text: str) -> int:
        """Id of an account: its number, or its name in a pack that was in force then, with the keys of its owner.

        Raises
        ------
        NotFound, InputError : it is neither
        """
        from quanheng.asking import name_in, named_account
        from quanheng.recovery import program_at
        from quanheng.server.ledger_bodies import id_of

        named = name_in(text)
        if named is None:
            return id_of(text)
        program = program_at(self.reader.log, self.reader.content, self.snapshots, self.upto)
        return named_account(program.packs, self.reader.ring, *named)


@contextmanager
def opened(place: Place, as_of: int | None) -> Iterator[Book]:
    """The ledger after the first `as_of` records of the log; None: all."""
    from quanheng.recovery import ledger_at

    with past(place, as_of) as was:
        ledger = ledger_at(was.reader.log, was.snapshots, was.upto, was.progress)
        yield Book(ledger, was.upto, was.reader, was.snapshots)


@app.command
def show(id: str, /, *, as_of: int | None = None, json: Json = False, place: Place = HERE) -> None:
    """Show an account, its balance and the holds that stand on it; or a transfer.

    For example:
      quanheng ledger show 4711
      quanheng ledger show 0x8f3a --as-of 1042 --json
      quanheng ledger show "wallet.wallet(anna)"

    Parameters
    ----------
    id : str
        Id of an account or of a transfer: decimal, or 0x and hexadecimal digits. An account is looked for first. An
        account of a pack by its name and the keys of its owner.
    as_of : int
        As it was after so many records of the log (default: all).
    json : bool
        One line of JSON.
    """
    from quanheng.kernel.errors import NotFound
    from quanheng.server.ledger_bodies import shown_account, shown_line

    with opened(place, as_of) as book:
        ledger, number = book.ledger, book.account(id)
        try:
            holds = ledger.holds(number)
            shown = shown_account(ledger.account(number), holds)
        except NotFound:
            try:
                shown = {"transfer": shown_line(ledger.transfer_of(number))}
            except NotFound:
                raise NotFound(
                    "there is no account and no transfer with this id",
                    found=id,
                    cure="Look for accounts with `quanheng ledger list`.",
                ) from None
    show_value({"as_of": book.upto, **shown}, json)


@app.command
def statement(
    id: str,
    /,
    *,
    since: str = "",
    until: str = "",
    limit: int = 100,
    as_of: int | None = None,
    json: Json = False,
    place: Place = HERE,
) -> None:
    """Show what was booked on an account, newest first, with the balance after each line.

    For example:
      quanheng ledger statement 4711 --since 2026-01-01T00:00:00Z --limit 20

    Parameters
    ----------
    id : str
        Id of the account: decimal, or 0x and hexadecimal digits; or its name, such as "wallet.wallet(anna)".
    since : str
        Booked from this moment on, such as 2026-01-31T10:00:00Z.
    until : str
        Booked up to this moment, included.
    limit : int
        At most so many lines.
    as_of : int
        As it was after so many records of the log (default: all).
    json : bool
        A line of JSON for each.
    """
    from quanheng.kernel.time import format_time, parse_time_ms
    from quanheng.ledger.entries import TIME_MAX_MS
    from quanheng.server.ledger_bodies import shown_entry

    since_ms = parse_time_ms(since) if since else 0
    until_ms = parse_time_ms(until) if until else TIME_MAX_MS
    with opened(place, as_of) as book:
        number = book.account(id)
        entries = book.ledger.lines(number, since_ms, until_ms, limit)
    for entry in entries:
        if json:
            show_json(shown_entry(entry))
            continue
        line, balance = entry
        what = "expiry" if line.is_expiry else "debit" if line.debit == number else "credit"
        other = line.credit if line.debit == number else line.debit
        posted = balance.credits_posted_minor - balance.debits_posted_minor
        held = balance.debits_held_minor
        print(
            f"{format_time(line.applied_ms)}  {what:6}  {line.amount_minor:>16,}  with {other}  code {line.code}  "
            f"{line.hold:8}  balance {posted:,}  debits held {held:,}"
        )


@app.command(name="list")
def list_(
    *,
    owner: str = "",
    code: int | None = None,
    entity: int | None = None,
    asset: int | None = None,
    as_of: int | None = None,
    json: Json = False,
    place: Place = HERE,
) -> None:
    """List accounts with their balances, all or those that have what is asked for.

    For example:
      quanheng ledger list --asset 978 --code 1

    Parameters
    ----------
    owner : str
        Owner, 128 bits: decimal, or 0x and hexadecimal digits.
    code : int
        Place in the chart of accounts.
    entity : int
        Legal entity.
    asset : int
        Asset.
    as_of : int
        As it was after so many records of the log (default: all).
    json : bool
        A line of JSON for each.
    """
    from quanheng.ledger.views import Holds
    from quanheng.server.ledger_bodies import id_of, shown_account

    with opened(place, as_of) as book:
        found = book.ledger.accounts(id_of(owner, "--owner") if owner else None, code, entity, asset)
    for one in found:
        if json:
            shown: dict[str, Any] = shown_account(one, Holds(one.balance, (), 0))
            show_json({name: shown[name] for name in ("account", "balance", "day", "lines")})
            continue
        account, balance = one.account, one.balance
        posted = balance.credits_posted_minor - balance.debits_posted_minor
        print(
            f"{account.id}  asset {account.asset}  code {account.code}  balance {posted:,}  "
            f"debits held {balance.debits_held_minor:,}  credits held {balance.credits_held_minor:,}  lines {one.lines}"
        )


@app.command
def project(
    *,
    to: str,
    follow: Flag = False,
    rebuild: Flag = False,
    interval_ms: int = 500,
    json: Json = False,
    place: Place = HERE,
) -> None:
    """Write accounts, transfers, holds and daily balances as tables for SQL users; go on from where the tables are.

    For example:
      quanheng ledger project --to ledger.db
      quanheng ledger project --to "postgresql://reports@db.example/bank" --follow

    Parameters
    ----------
    to : str
        A SQLite file, or postgresql://… : the tables are in the schema quanheng_ledger. Made if absent.
    follow : bool
        Go on with what is committed later, until interrupted.
    rebuild : bool
        Drop the tables and project from the beginning of the log.
    interval_ms : int
        With --follow: look for new records after so many milliseconds.
    json : bool
        One line of JSON; with --follow a line for each portion.
    """
    import time

    from quanheng.kernel.errors import InputError
    from quanheng.projecting import open_tables, project

    if interval_ms < 1:
        raise InputError(
            "this is no interval", where="--interval-ms", found=str(interval_ms), allowed="1 or more", cure="Try 500."
        )
    with reader(place.read()) as found, closing(open_tables(to, rebuild=rebuild)) as tables:
        while follow:
            for one in project(found.log, tables):
                _show_projected(one.upto, one.facts, json)
            time.sleep(interval_ms / 1_000)
        facts = 0
        with progress_bar() as progress:
            task = progress.add_task("projecting", total=found.log.head, visible=False)
            for one in project(found.log, tables):
                facts += one.facts
                progress.update(task, completed=one.upto, visible=True)
        _show_projected(tables.reached().upto, facts, json)


def _show_projected(upto: int, facts: int, json: bool) -> None:
    if json:
        show_json({"projected_upto": upto, "facts": facts})
    else:
        print(f"projected up to offset {upto:,}: {facts:,} facts of the ledger", flush=True)
