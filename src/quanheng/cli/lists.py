"""`quanheng list`: who is denied, allowed or watched. Changes are events of the log; four eyes where demanded."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import cyclopts
from cyclopts import Parameter

from quanheng.cli.admin import Ask, administer, administration
from quanheng.cli.common import HERE, Json, Place, console, progress_bar, reader, show_json
from quanheng.kernel.errors import InputError, NotFound

app = cyclopts.App(
    name="list",
    help="Lists that policies ask: deny, allow, watch.\n\n"
    "For example:\n  quanheng list add blocked_devices d-4711 --for 30d",
)
For = Annotated[str, Parameter(name="--for")]
REJECTS_SHOWN_MAX = 5
ROWS_A_STEP = 10_000
PART_ENTRIES = 10_000
"""Entries of a part of an import: decisions wait for one part at most."""


@app.default
def lists(*, json: Json = False, place: Place = HERE) -> None:
    """Show the declared lists with their sizes, and the changes that wait for another person.

    For example:
      quanheng list

    Parameters
    ----------
    json : bool
        One line of JSON.
    """
    found = administer(place.read(), "lists", {})
    if json:
        show_json(found)
        return
    for one in found["lists"]:
        print(f"{one['list']}  {one['kind']}  {one['entries']} entries of {one['of']}  {one['title']['en']}")
    for one in found["waiting"]:
        then = f"Then: quanheng list approve {one['offset']}" if one["complete"] else "Parts of it have not come."
        print(f"waiting: {_change(one)}. {then}")


@app.command
def add(
    name: str,
    /,
    *values: str,
    reason: str = "",
    until: str = "",
    for_: For = "",
    json: Json = False,
    place: Place = HERE,
) -> None:
    """Put values on a list. Where four eyes are demanded, the change waits for another person.

    For example:
      quanheng list add blocked_devices d-4711 d-4712 --for 30d --reason "reported stolen"

    Parameters
    ----------
    name : str
        Name of the list, with its pack (PACK.LIST) where several packs have one of that name.
    values : str
        Ids or texts.
    reason : str
        Why. It is kept in clear: no personal data here.
    until : str
        When they expire: 2026-01-31 or 2026-01-31T10:00:00Z (default: what the list declares).
    for_ : str
        How long they stay, such as 30d.
    json : bool
        One line of JSON.
    """
    asked = {"list": name, "change": "add", "values": [*values], "reason": reason, **_expiry(until, for_)}
    _tell(administer(place.read(), "list_change", asked), json)


@app.command
def remove(name: str, /, *values: str, reason: str = "", json: Json = False, place: Place = HERE) -> None:
    """Take values off a list. Where four eyes are demanded, the change waits for another person.

    For example:
      quanheng list remove blocked_devices d-4711 --reason "found again"

    Parameters
    ----------
    name : str
        Name of the list.
    values : str
        Ids or texts; those that are not on it are passed over.
    reason : str
        Why. It is kept in clear: no personal data here.
    json : bool
        One line of JSON.
    """
    asked = {"list": name, "change": "remove", "values": [*values], "reason": reason}
    _tell(administer(place.read(), "list_change", asked), json)


@app.command(name="import")
def import_file(
    name: str,
    file: Path,
    /,
    *,
    column: str = "",
    reason: str = "",
    until: str = "",
    for_: For = "",
    rejects: Path | None = None,
    json: Json = False,
    place: Place = HERE,
) -> None:
    """Put the values of a CSV file on a list: all of them in one change. Rows that cannot be read are told apart.

    The file is read as a whole first; then its values go to the server part by part, so that decisions are taken in
    between. They come into force together: with the last part, or when another person approves. What was broken off
    waits, and can be rejected and done again.

    For example:
      quanheng list import blocked_devices stolen.csv --column device --reason "list of the association"

    Parameters
    ----------
    name : str
        Name of the list.
    file : Path
        CSV with a head line, UTF-8.
    column : str
        Name of the column (default: the first).
    reason : str
        Why. It is kept in clear: no personal data here.
    until : str
        When they expire (default: what the list declares).
    for_ : str
        How long they stay, such as 30d.
    rejects : Path
        File to write rejected rows to: row, value, why.
    json : bool
        One line of JSON.
    """
    expiry = _expiry(until, for_)
    values, refused = read_values(file, column)
    for one in refused[:REJECTS_SHOWN_MAX]:
        console().print(f"row {one.row}: {one.why}")
    if rejects is not None:
        with rejects.open("w", newline="", encoding="utf-8") as out:
            csv.writer(out).writerows([("row", "value", "why"), *refused])
    asked = {"list": name, "change": "add", "reason": reason, **expiry}
    with administration(place.read()) as ask, progress_bar() as progress:
        task = progress.add_task("importing", total=len(values))
        done = _in_parts(ask, asked, values, lambda count: progress.update(task, completed=count))
    _tell({**done, "rejected": len(refused)}, json)


@app.command
def find(name: str, value: str, /, *, json: Json = False, place: Place = HERE) -> int:
    """Say whether a value is on a list, since when, until when, by whom and why. Exit code 1 if it is not.

    For example:
      quanheng list find blocked_devices d-4711

    Parameters
    ----------
    name : str
        Name of the list.
    value : str
        Id or text.
    json : bool
        One line of JSON.
    """
    found = administer(place.read(), "list_find", {"list": name, "value": value})
    if json:
        show_json(found)
    elif found["listed"]:
        print(_entry(found))
    else:
        print(f"{value} is not on {found['list']}")
    return 0 if found["listed"] else 1


@app.command
def show(name: str, /, *, limit: int = 100, json: Json = False, place: Place = HERE) -> None:
    """Show the entries of a list in clear, newest first; or those of a waiting change, named by its offset.

    For example:
      quanheng list show blocked_devices --limit 20
      quanheng list show 1042

    Parameters
    ----------
    name : str
        Name of the list, or offset of a change that waits.
    limit : int
        Entries shown, at most 1000.
    json : bool
        One line of JSON.
    """
    found = administer(place.read(), "list_show", {"list": name, "limit": limit})
    if json:
        show_json(found)
        return
    if "offset" in found:
        print(_change(found))
    for one in found["shown"]:
        print(_entry(one))


@app.command
def approve(offset: int, /, *, reason: str = "", json: Json = False, place: Place = HERE) -> None:
    """Approve a change that waits. Whoever proposed it cannot.

    For example:
      quanheng list approve 1042

    Parameters
    ----------
    offset : int
        Log offset of the change, as `quanheng list` shows it.
    reason : str
        Why.
    json : bool
        One line of JSON.
    """
    _judge(offset, True, reason, json, place)


@app.command
def reject(offset: int, /, *, reason: str, json: Json = False, place: Place = HERE) -> None:
    """Reject a change that waits. Whoever proposed it cannot.

    For example:
      quanheng list reject 1042 --reason "the wrong device"

    Parameters
    ----------
    offset : int
        Log offset of the change, as `quanheng list` shows it.
    reason : str
        Why.
    json : bool
        One line of JSON.
    """
    _judge(offset, False, reason, json, place)


@app.command
def history(name: str = "", /, *, json: Json = False, place: Place = HERE) -> None:
    """Show every change of a list and every verdict on one, oldest first. Values are not shown.

    For example:
      quanheng list history blocked_devices

    Parameters
    ----------
    name : str
        Name of the list (default: all lists).
    json : bool
        One line of JSON.
    """
    from quanheng.listing import history as told

    with reader(place.read()) as log:
        rows = told(log, name)
    if json:
        show_json(rows)
        return
    for one in rows:
        judged = f"{one['change']} {one.get('of')}, {one['list']} by {one['actor']}"
        what = _change(one) if "entries" in one else judged
        print(f"{one['time']}  {what}{': ' if one['reason'] else ''}{one['reason']}")


def _in_parts(ask: Ask, asked: dict[str, Any], values: Sequence[str], tell: Callable[[int], object]) -> dict[str, Any]:
    """Put values on a list as one change, a part at a time; `tell` hears how many are there. What was done, in all."""
    done: dict[str, Any] = {}
    for at in range(0, max(len(values), 1), PART_ENTRIES):
        part = {**asked, "values": values[at : at + PART_ENTRIES], "more": at + PART_ENTRIES < len(values)}
        if done:
            part["first"] = done["offset"]
        told = ask("list_change", part)
        done = {**told, "entries": done.get("entries", 0) + told["entries"]}
        tell(done["entries"])
    return done


class Rejected(NamedTuple):
    """A row of a file that gives no value; `row` counts from 2, the line after the head."""

    row: int
    value: str
    why: str


def read_values(file: Path, column: str = "") -> tuple[list[str], list[Rejected]]:
    """The values of one column of a CSV file, each once, and the rows that give none.

    Raises
    ------
    NotFound : there is no such file; InputError : it is no CSV in UTF-8, or has no such column
    """
    from quanheng.listing import VALUE_LENGTH_MAX

    if not file.is_file():
        raise NotFound("there is no such file", where=str(file), cure="Give the path of a CSV file.")
    values: dict[str, None] = {}
    refused: list[Rejected] = []
    try:
        with file.open(newline="", encoding="utf-8-sig") as lines, progress_bar() as progress:
            task, size = progress.add_task("reading"), file.stat().st_size
            progress.update(task, total=size)
            rows = csv.reader(lines)
            place = _column(file, next(rows, []), column)
            done = 0
            for number, row in enumerate(rows, 2):
                done += sum(map(len, row)) + len(row)
                value = row[place].strip() if place < len(row) else ""
                why = "" if value else "there is no value"
                why = "the value is too long" if len(value) > VALUE_LENGTH_MAX else why
                why = "the value stands in the file already" if value in values else why
                if why:
                    refused.append(Rejected(number, value, why))
                else:
                    values[value] = None
                if number % ROWS_A_STEP == 0:
                    progress.update(task, completed=min(done, size))
            progress.update(task, completed=size)
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError("the file is no CSV in UTF-8", where=str(file), found=str(error)) from error
    return [*values], refused


def _column(file: Path, head: list[str], column: str) -> int:
    names = [name.strip() for name in head]
    if not column and names:
        return 0
    if column not in names:
        raise InputError(
            "the file has no such column", where=str(file), found=repr(column), allowed=", ".join(names) or "none"
        )
    return names.index(column)


def _expiry(until: str, lasting: str) -> dict[str, int | None]:
    from quanheng.server.bodies import expiry_of

    return expiry_of(until, lasting, ("--until", "--for"))


def _judge(offset: int, approved: bool, reason: str, json: bool, place: Place) -> None:
    asked = {"first": offset, "approved": approved, "reason": reason}
    done = administer(place.read(), "list_judge", asked)
    if json:
        show_json(done)
    else:
        print(f"{'approved' if approved else 'rejected'}: {_change(done)}")


def _tell(done: dict[str, Any], json: bool) -> None:
    if json:
        show_json(done)
        return
    rejected = f"; {done['rejected']} rows rejected" if done.get("rejected") else ""
    waits = f"; it waits for another person: quanheng list approve {done['offset']}" if done["waiting"] else ""
    print(f"{_change(done)}{rejected}{waits}")


def _change(one: dict[str, Any]) -> str:
    by = f" by {one['actor']}" if one.get("actor") else ""
    entries = "1 entry" if one["entries"] == 1 else f"{one['entries']} entries"
    return f"{one['change']} {entries}, {one['list']}, offset {one['offset']}{by}"


def _entry(one: dict[str, Any]) -> str:
    value = one["value"] if one["value"] is not None else f"(erased, {one['key']})"
    if "since" not in one:
        return str(value)
    until = f" until {one['until']}" if one["until"] else ""
    reason = f": {one['reason']}" if one["reason"] else ""
    return f"{value}  since {one['since']}{until}  {one['by']}{reason}"
