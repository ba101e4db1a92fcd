"""Steps in the life of versions on the command line: `quanheng policy draft`, `submit`, `approve` … `roll-back`."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from quanheng.cli.admin import administer
from quanheng.cli.common import HERE, Json, Place, show_json
from quanheng.cli.versions import app
from quanheng.kernel.errors import InputError

POLICY = app
"""The whole group: `backtest` asks the past, `list` and others show what stands, these commands change it."""


def _step(place: Place, json: bool, step: str, **asked: Any) -> None:
    taken = administer(place.read(), "step", {"step": step, **asked})
    if json:
        show_json(taken)
    else:
        share = f" {taken['share_bp'] / 100:g} %" if taken["share_bp"] else ""
        print(f"{taken['pack']} {taken['version']} {taken['hash'][:12]}: {step}{share}, by {taken['actor']}")


@app.command
def draft(folder: Path, /, *, reason: str = "", json: Json = False, place: Place = HERE) -> None:
    """Make a version of a folder: it is checked among the packs in force, its golden cases run, and it is kept.

    You become its author: you never approve it, give it traffic or promote it. Needs a token of scope author.

    For example:
      quanheng policy draft my_pack

    Parameters
    ----------
    folder : Path
        The folder that holds pack.toml.
    reason : str
        What it is for.
    json : bool
        One line of JSON.
    """
    from quanheng.loading.files import read_pack

    _step(place, json, "draft", files=dict(read_pack(folder).files), reason=reason)


class Judgement(NamedTuple):
    """A command that takes one version one step further, with a reason."""

    name: str
    does: str
    needs: str
    example: str
    reason: str


JUDGEMENTS = (
    Judgement(
        "submit", "Ask others to review a draft.", "a token of scope author",
        "Losses above 4,000 EUR have doubled", "Why it should be in force.",
    ),
    Judgement(
        "approve", "Approve a version in review.", "a token of scope approve, and another person than its authors",
        "Backtest read, 12 more reviews a day", "What you looked at.",
    ),
    Judgement(
        "reject", "Reject a version.", "a token of scope approve, and another person than its authors",
        "The limit has no source", "What is wrong with it.",
    ),
    Judgement(
        "promote", "Make a reviewed version the champion: it decides for everybody, and the one before is retired.",
        "a token of scope approve, and another person than its authors",
        "Two weeks at 20 %: fewer losses, no more reviews", "Why.",
    ),
    Judgement(
        "retire", "End the trial of a version.", "a token of scope author", "Too many reviews in the shadow", "Why."
    ),
)  # fmt: skip


def _add(one: Judgement) -> None:
    def command(hash: str, /, *, reason: str, json: Json = False, place: Place = HERE) -> None:
        _step(place, json, one.name, version=hash, reason=reason)

    command.__doc__ = f"""{one.does}

    Needs {one.needs}.

    For example:
      quanheng policy {one.name} 3f9c2a71 --reason "{one.example}"

    Parameters
    ----------
    hash : str
        First digits of the version's hash, at least 8.
    reason : str
        {one.reason}
    json : bool
        One line of JSON.
    """
    app.command(command, name=one.name)


for _one in JUDGEMENTS:
    _add(_one)


@app.command
def shadow(hash: str, /, *, reason: str = "", json: Json = False, place: Place = HERE) -> None:
    """Let a reviewed version judge every decision after the reply; it answers nobody. Needs a token of scope author.

    For example:
      quanheng policy shadow 3f9c2a71

    Parameters
    ----------
    hash : str
        First digits of the version's hash, at least 8.
    reason : str
        Why.
    json : bool
        One line of JSON.
    """
    _step(place, json, "shadow", version=hash, reason=reason)


@app.command
def share(hash: str, /, *, percent: str, reason: str = "", json: Json = False, place: Place = HERE) -> None:
    """Let a reviewed version decide for a share of the subjects; whoever is in stays in when the share grows.

    Needs a token of scope approve, and another person than its authors.

    For example:
      quanheng policy share 3f9c2a71 --percent 5

    Parameters
    ----------
    hash : str
        First digits of the version's hash, at least 8.
    percent : str
        Share of the subjects, 0.01 to 99.99.
    reason : str
        Why.
    json : bool
        One line of JSON.
    """
    _step(place, json, "share", version=hash, reason=reason, share_bp=basis_points(percent))


def basis_points(percent: str) -> int:
    """Per cent as basis points.

    Raises
    ------
    InputError : no number, or finer than a basis point
    """
    try:
        points = Decimal(percent) * 100
        whole = points == points.to_integral_value() and abs(points) < 10**9
    except ArithmeticError:
        whole = False
    if not whole:
        raise InputError(
            "the share cannot be read", where="--percent", found=percent, allowed="0.01 to 99.99, in steps of 0.01"
        )
    return int(points)


@app.command
def roll_back(pack: str, /, *, reason: str, to: str = "", json: Json = False, place: Place = HERE) -> None:
    """Bring the champion before back at once. Needs a token of scope approve; one person is enough.

    For example:
      quanheng policy roll-back my_pack --reason "Approvals fell by half"

    Parameters
    ----------
    pack : str
        Name of the pack.
    reason : str
        Why.
    to : str
        First digits of the hash of another version that was champion (default: the champion before).
    json : bool
        One line of JSON.
    """
    _step(place, json, "roll_back", pack=pack, version=to, reason=reason)


@app.command
def accept_glass(hash: str, /, *, reason: str, json: Json = False, place: Place = HERE) -> None:
    """Accept afterwards that a version was put in force by one person alone, by breaking the glass.

    Needs a token of scope approve, and another person than who broke the glass and than the version's authors.

    For example:
      quanheng policy accept-glass 3f9c2a71 --reason "The fraud wave was real, the limit is right"

    Parameters
    ----------
    hash : str
        First digits of the version's hash, at least 8.
    reason : str
        What you looked at.
    json : bool
        One line of JSON.
    """
    _step(place, json, "accept_glass", version=hash, reason=reason)


@app.command
def reject_glass(hash: str, /, *, reason: str, json: Json = False, place: Place = HERE) -> None:
    """Reject afterwards that a version was put in force by breaking the glass. It stays in force until it is replaced.

    Needs a token of scope approve, and another person than who broke the glass and than the version's authors.

    For example:
      quanheng policy reject-glass 3f9c2a71 --reason "There was time to ask"

    Parameters
    ----------
    hash : str
        First digits of the version's hash, at least 8.
    reason : str
        What is wrong with it.
    json : bool
        One line of JSON.
    """
    _step(place, json, "reject_glass", version=hash, reason=reason)
