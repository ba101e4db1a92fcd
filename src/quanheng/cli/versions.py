"""Versions on the command line: `quanheng policy list`, `show`, `history`, `diff`, `monitor`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from quanheng.cli import policy
from quanheng.cli.admin import administer
from quanheng.cli.common import HERE, Json, Place, console, reader, show_json
from quanheng.kernel.errors import NotFound
from quanheng.kernel.time import format_time

app = policy.app


def table(title: str, columns: list[str], rows: list[list[str]]) -> None:
    """A table on standard output; as wide as it needs where nobody looks."""
    from rich.console import Console
    from rich.table import Table

    made = Table(title=title, title_justify="left")
    for name in columns:
        made.add_column(name, overflow="fold")
    for row in rows:
        made.add_row(*row)
    out = Console(highlight=False)
    if not out.is_terminal:
        out = Console(highlight=False, width=160)
    out.print(made)


def known(place: Place, pack: str = "") -> dict[str, Any]:
    """Every version with its steps."""
    return administer(place.read(), "versions", {"pack": pack})


@app.command(name="list")
def list_(*, pack: str = "", json: Json = False, place: Place = HERE) -> None:
    """List the versions of packs and where they stand, and what was put in force alone and awaits review.

    For example:
      quanheng policy list

    Parameters
    ----------
    pack : str
        Only versions of this pack.
    json : bool
        One line of JSON.
    """
    found = known(place, pack)
    if json:
        show_json(found)
        return
    rows = [
        [
            one["pack"],
            one["hash"][:12],
            one["version"],
            _status(one),
            ", ".join(one["authors"]),
            _when(one["steps"][-1]),
        ]
        for one in found["versions"]
    ]
    table("Versions", ["pack", "hash", "version", "status", "authors", "last step"], rows)


def _status(one: dict[str, Any]) -> str:
    status = f"{one['status']} {one['share_bp'] / 100:g} %" if one["share_bp"] else one["status"]
    return f"{status}, {one['glass']['state']}" if awaits_review(one) else status


def awaits_review(one: dict[str, Any]) -> bool:
    """Whether the glass was broken for a version and nobody else has reviewed that yet."""
    return one["glass"] is not None and not one["glass"]["reviewer"]


def glass_lines(one: dict[str, Any]) -> list[str]:
    """What is to be said of a broken glass: who, when, why, where its review stands, and what can be done."""
    glass = one["glass"]
    if glass is None:
        return []
    told = f"glass broken by {glass['actor']}, {_when(glass)}: {glass['reason']}"
    if awaits_review(one):
        review = f"quanheng policy accept-glass {one['hash'][:12]} --reason ... (or reject-glass)"
        return [f"{told}\n{glass['state']} by another person: {review}"]
    lines = [f"{told}\n{glass['state']} by {glass['reviewer']}: {glass['review']}"]
    if glass["state"] == "rejected" and one["status"] == "champion":
        lines.append(f"it is still in force. Bring back the one before: quanheng policy roll-back {one['pack']}")
    return lines


def _when(step: dict[str, Any]) -> str:
    return format_time(step["received_ms"])


def find(place: Place, hash: str) -> dict[str, Any]:
    """The version whose hash begins so.

    Raises
    ------
    NotFound : none or several do
    """
    versions: list[dict[str, Any]] = known(place)["versions"]
    found = [one for one in versions if one["hash"].startswith(hash)]
    if len(found) != 1 or not hash:
        raise NotFound(
            "the digits mean no version" if not found else "the digits mean several versions",
            where="HASH",
            found=hash,
            allowed=", ".join(one["hash"][:12] for one in versions) or "none is known",
            cure="See them with: quanheng policy list.",
        )
    return found[0]


@app.command
def show(hash: str, /, *, json: Json = False, place: Place = HERE) -> None:
    """Show one version: where it stands, and every step it took.

    For example:
      quanheng policy show 3f9c2a71

    Parameters
    ----------
    hash : str
        First digits of the version's hash.
    json : bool
        One line of JSON.
    """
    one = find(place, hash)
    if json:
        show_json(one)
        return
    print(f"{one['pack']} {one['version']}: {_status(one)}\nhash: {one['hash']}")
    for line in glass_lines(one):
        print(line)
    table("Steps", ["time", "step", "share", "actor", "reason"], _steps([one], short=True))


def _steps(versions: list[dict[str, Any]], *, short: bool = False) -> list[list[str]]:
    steps = [step for one in versions for step in one["steps"]]
    rows = []
    for step in sorted(steps, key=lambda one: one["received_ms"]):
        share = f"{step['share_bp'] / 100:g} %" if step["share_bp"] else ""
        name = [] if short else [step["hash"][:12]]
        rows.append([_when(step), *name, step["step"], share, step["actor"], step["reason"]])
    return rows


@app.command
def history(pack: str, /, *, json: Json = False, place: Place = HERE) -> None:
    """Show every step of every version of a pack: when, who, why.

    For example:
      quanheng policy history my_pack

    Parameters
    ----------
    pack : str
        Name of the pack.
    json : bool
        One line of JSON.
    """
    found = known(place, pack)
    if not found["versions"]:
        raise NotFound("the pack has no version here", where="PACK", found=pack, cure="See: quanheng policy list.")
    if json:
        show_json(found)
        return
    table(f"History of {pack}", ["time", "hash", "step", "share", "actor", "reason"], _steps(found["versions"]))
    for one in filter(awaits_review, found["versions"]):
        print(f"{one['hash'][:12]}: {glass_lines(one)[0]}")


@app.command
def diff(before: str, after: str, /, *, pack: str = "", json: Json = False, place: Place = HERE) -> None:
    """Say in words what differs between two versions: rules cell by cell, parameters, models, reasons, other files.

    A version is a folder, the first digits of a recorded hash, or `active`.

    For example:
      quanheng policy diff active my_pack
      quanheng policy diff 3f9c2a71 8810d2ce

    Parameters
    ----------
    before : str
        The version before.
    after : str
        The version after.
    pack : str
        Name of the pack, where neither version says it.
    json : bool
        One line of JSON.
    """
    from quanheng.past.differences import compare
    from quanheng.server.opening import available_packs

    config = place.read()
    with reader(config) as log:
        found = compare(log, available_packs(config.packs.folders), before, after, pack)
    if json:
        show_json({**found._asdict(), "changes": [one._asdict() for one in found.changes]})
        return
    for change in found.changes:
        print(change)
    many = len(found.changes)
    console().print(f"{found.pack}: {many or 'no'} change{'s' if many != 1 else ''}")


@app.command
def monitor(pack: str, /, *, newest: int = 10, json: Json = False, place: Place = HERE) -> None:
    """Show what the versions on trial would have decided, or did decide for their share, beside the champion.

    A server follows trials while it runs; this command follows what is left, beside a running server too.

    For example:
      quanheng policy monitor my_pack

    Parameters
    ----------
    pack : str
        Name of the pack.
    newest : int
        Changed decisions shown for each version in shadow.
    json : bool
        One line of JSON.
    """
    from quanheng.shadow import catch_up
    from quanheng.shadow_book import Book

    versions = known(place, pack)["versions"]
    config = place.read()
    book = Book(Path(config.storage.data))
    try:
        with reader(config) as log:
            catch_up(log, book)
            head = log.log.head
        told = [{**one, "found": book.told(pack, one["hash"], newest)} for one in versions]
    finally:
        book.close()
    tried = [one for one in told if one["found"]["matrix"] or one["found"]["arms"] or _on_trial(one)]
    if json:
        show_json({"pack": pack, "as_of": head, "versions": tried})
        return
    if not tried:
        console().print(f"no version of {pack} is or was on trial. Start one: quanheng policy shadow HASH")
    for one in tried:
        _show_trial(one)


def _on_trial(one: dict[str, Any]) -> bool:
    return one["status"] in ("shadow", "share")


def _show_trial(one: dict[str, Any]) -> None:
    from quanheng.decisions.backtest.money import amount

    found = one["found"]
    print(f"{one['pack']} {one['version']} {one['hash'][:12]}: {_status(one)}, followed to {found['reached']}")
    if found["problem"]:
        print(f"it cannot judge in the shadow: {found['problem']}")
    if found["erased"]:
        print(f"left out, because their subject was erased: {found['erased']}")
    if found["matrix"]:
        rows = [
            [*(cell[name] for name in ("event", "champion", "shadow")), f"{cell['count']:,}",
             amount(cell["minor"], cell["currency"])]
            for cell in found["matrix"]
        ]  # fmt: skip
        table("In the shadow", ["event", "champion", "shadow", "decisions", "amount"], rows)
    for changed in found["changed"]:
        print(f"decision {changed['decision']}: {changed['champion']} would be {changed['shadow']}")
    for arm in found["arms"]:
        print(finding(arm))
    for scores in found["scores"]:
        show_scores(scores)


def show_scores(found: dict[str, Any]) -> None:
    """Scores of a model on trial beside those of the one in force."""
    sides = [side for side in ("champion", "shadow", "challenger") if side in found]
    columns = ["rows", "missing", "mean", "p05", "p25", "p50", "p75", "p95"]
    rows = [[side, *(_number(found[side][name]) for name in columns)] for side in sides]
    table(f"Scores of {found['model']} on {found['event']}", ["", *columns], rows)
    same = found["same_rows"]
    if same is not None:
        print(
            f"on {same['rows']:,} same rows: mean difference {_number(same['mean_difference'])}, mean absolute "
            f"{_number(same['mean_absolute'])}, largest {_number(same['largest'])}"
        )
    print(f"population stability index of the second side: {_number(found['psi'])}")


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:.4f}"


def finding(arm: dict[str, Any]) -> str:
    """The comparison of two arms for one outcome, in words."""
    from quanheng.decisions.backtest.sequential import Arm, Finding, words

    champion, challenger = (Arm(arm[name]["decisions"], arm[name]["hits"]) for name in ("champion", "challenger"))
    figures = (arm[name] for name in ("difference", "low", "high", "p_value", "real", "real_since"))
    return words(Finding(f"{arm['event']} {arm['outcome']}", champion, challenger, *figures))["en"]
