"""`quanheng models draft`, `list`, `show`, `compare`, `history`: models as governed versions of their pack.

After the draft a model goes the way of every version: `quanheng policy submit`, `approve`, `shadow`, `share`,
`promote`, `roll-back`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from quanheng.cli.admin import administer
from quanheng.cli.common import HERE, Json, Place, console, show_json
from quanheng.cli.versions import table
from quanheng.kernel.errors import NotFound
from quanheng.kernel.time import format_time

FILE_BYTES_MAX = 256 << 20


def draft(
    pack: str, model: str, folder: Path, /, *, base: str = "", reason: str = "", json: Json = False, place: Place = HERE
) -> None:
    """Make a version of a pack that differs in one model: the one that training wrote into a folder.

    The declaration keeps what people said of the model (the table [about]) where the new one says nothing. The version
    is checked among the packs in force, its golden cases run with their fixed scores. You become its author: you never
    approve it, give it traffic or promote it. Needs a token of scope author.

    For example:
      quanheng models draft my_pack risk_score trained --reason "Trained on the year to June"

    Parameters
    ----------
    pack : str
        Name of a pack in force.
    model : str
        Name of the model, as the pack's policies ask for its score.
    folder : Path
        A folder with the declaration (.toml), weights and evidence; or a whole pack with models/ in it.
    base : str
        First digits of the version that the model joins (default: that in force).
    reason : str
        What it is for.
    json : bool
        One line of JSON.
    """
    asked = {"step": "draft", "pack": pack, "model": model, "base": base, "reason": reason, "files": files_of(folder)}
    config = place.read()
    taken = administer(config, "step", asked)
    found = administer(config, "model_show", {"pack": pack, "model": model, "version": taken["hash"]})
    if json:
        show_json({**taken, "model": model, "model_hash": found["hash"], "lacks": found["lacks"]})
        return
    print(f"{pack} {taken['version']} {taken['hash'][:12]}: draft, by {taken['actor']}")
    print(f"model {model} {_digits(found)}, {found['estimator']} of {len(found['inputs'])} inputs")
    for line in _lacks(found):
        print(line)
    ready = "quanheng policy submit" if not found["lacks"] else "complete the card, then draft it again:"
    console().print(f"next: {ready} {taken['hash'][:12] if not found['lacks'] else folder}")


def files_of(folder: Path) -> dict[str, bytes]:
    """Files of a trained model: those of the folder, and of its models/ where it is a pack.

    Raises
    ------
    NotFound : there is no such folder, or nothing in it
    """
    paths = [*folder.glob("*"), *(folder / "models").glob("*")] if folder.is_dir() else []
    found = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(paths)
        if path.is_file() and not path.name.startswith(".") and path.stat().st_size <= FILE_BYTES_MAX
    }
    if not found:
        raise NotFound(
            "there is no trained model", where="FOLDER", found=str(folder), allowed="a folder that training wrote",
            cure="Train one: quanheng train PACK --out FOLDER, or quanheng models fit.",
        )  # fmt: skip
    return found


def list_(*, pack: str = "", json: Json = False, place: Place = HERE) -> None:
    """List every model that a version of a pack ever held: where it stands, who proposed and approved it, since when.

    For example:
      quanheng models list

    Parameters
    ----------
    pack : str
        Only models of this pack.
    json : bool
        One line of JSON.
    """
    found = administer(place.read(), "models", {"pack": pack})
    if json:
        show_json(found)
        return
    rows = [
        [
            one["pack"],
            one["model"],
            _digits(one),
            _status(one),
            ", ".join(one["proposed_by"]) or _installed(one),
            ", ".join(one["approved_by"]) or "-",
            _spans(one),
            "complete" if not one["card_lacks"] else f"lacks {one['card_lacks']}",
        ]
        for one in found["models"]
    ]
    columns = ["pack", "model", "hash", "status", "proposed by", "approved by", "in force", "card"]
    table("Models", columns, rows)


def show(pack: str, model: str, which: str = "active", /, *, json: Json = False, place: Place = HERE) -> None:
    """Show a model whole: its card with intervals, what the card lacks, who approved it, where its score is used.

    For example:
      quanheng models show my_pack risk_score
      quanheng models show my_pack risk_score 3f9c2a71

    Parameters
    ----------
    pack : str
        Name of the pack.
    model : str
        Name of the model.
    which : str
        First digits of the model's hash, or of a version's that holds it (default: the one in force).
    json : bool
        One line of JSON.
    """
    one = administer(place.read(), "model_show", {"pack": pack, "model": model, "version": which})
    if json:
        show_json(one)
        return
    print(f"{pack} {model}: {_status(one)}\nhash: {one['hash']}\nversion: {one['version']}")
    print(f"{one['estimator']} of {len(one['inputs'])} inputs: {', '.join(one['inputs'])}")
    print(f"in force: {_spans(one)}")
    for line in [*_about_lines(one), *_card_lines(one["card"] or {}), *_lacks(one)]:
        print(line)
    if one["used_by"]:
        table("Used by", ["kind", "name", "what"], [[use["kind"], use["name"], use["text"]] for use in one["used_by"]])
    table("Steps", ["time", "version", "step", "share", "actor", "reason"], [_step(step) for step in one["steps"]])


def compare(
    pack: str, model: str, before: str, after: str = "active", /, *, json: Json = False, place: Place = HERE
) -> None:
    """Compare two models by their cards: figures side by side with intervals, and the difference on the same rows.

    Where both cards were measured on the same test rows, the difference of the two areas under the curve has an
    interval of its own (DeLong 1988; rows of one group together, Obuchowski 1997).

    For example:
      quanheng models compare my_pack risk_score active 3f9c2a71

    Parameters
    ----------
    pack : str
        Name of the pack.
    model : str
        Name of the model.
    before : str
        First digits of a model's hash or a version's; or active.
    after : str
        The other one (default: the one in force).
    json : bool
        One line of JSON.
    """
    asked = {"pack": pack, "model": model, "before": before, "after": after}
    found = administer(place.read(), "model_compare", asked)
    if json:
        show_json(found)
        return
    sides = [f"{_digits(found[side])} ({_status(found[side])})" for side in ("before", "after")]
    rows = [[row["name"], _figure(row["before"]), _figure(row["after"])] for row in found["metrics"]]
    rows += [[row["name"], _figure(row["before"]), _figure(row["after"])] for row in found["fairness"]]
    rows += [[f"{row['name']}ed on", _window(row["before"]), _window(row["after"])] for row in found["windows"]]
    table(f"{pack} {model}", ["", *sides], rows)
    inputs = found["inputs"]
    changed = [f"+ {name}" for name in inputs["added"]] + [f"- {name}" for name in inputs["removed"]]
    print(f"inputs: {'the same' if inputs['same'] else ', '.join(changed) or 'in another order'}")
    print(_difference(found))


def history(pack: str, model: str, /, *, json: Json = False, place: Place = HERE) -> None:
    """Show every step of every version that brought the model anew: when, which hash, who, why.

    For example:
      quanheng models history my_pack risk_score

    Parameters
    ----------
    pack : str
        Name of the pack.
    model : str
        Name of the model.
    json : bool
        One line of JSON.
    """
    found = administer(place.read(), "model_history", {"pack": pack, "model": model})
    if json:
        show_json(found)
        return
    rows = [[step["model_hash"].removeprefix("sha256:")[:12], *_step(step)] for step in found["steps"]]
    table(f"History of {pack} {model}", ["model", "time", "version", "step", "share", "actor", "reason"], rows)


# -- words


def _digits(one: dict[str, Any]) -> str:
    digits: str = one["hash"].removeprefix("sha256:")[:12]
    return digits


def _status(one: dict[str, Any]) -> str:
    return f"challenger {one['share_bp'] / 100:g} %" if one["share_bp"] else str(one["title"]["en"])


def _installed(one: dict[str, Any]) -> str:
    return f"{', '.join(one['installed_by'])} (installed)" if one["installed_by"] else "-"


def _spans(one: dict[str, Any]) -> str:
    told = [
        f"{format_time(span['from_ms'])[:16]} to {format_time(span['until_ms'])[:16] if span['until_ms'] else 'now'}"
        for span in one["in_force"]
    ]
    return ", ".join(told) or "never"


def _step(step: dict[str, Any]) -> list[str]:
    share = f"{step['share_bp'] / 100:g} %" if step["share_bp"] else ""
    return [format_time(step["received_ms"]), step["hash"][:12], step["step"], share, step["actor"], step["reason"]]


def _lacks(one: dict[str, Any]) -> list[str]:
    """What a card lacks, a line each with its cure."""
    if not one["lacks"]:
        return ["card: complete"]
    lines = [f"  {lack['file']}, {lack['key']}: {lack['message']}. {lack['cure']}" for lack in one["lacks"]]
    return ["card: not enough for a promotion", *lines]


def _about_lines(one: dict[str, Any]) -> list[str]:
    words = {"owner": "owner", "intended_use": "intended use", "out_of_scope": "not for", "retraining": "retraining",
             "fairness": "fairness", "data_window": "data of"}  # fmt: skip
    told = [f"{name}: {one['about'][key]}" for key, name in words.items() if one["about"][key]]
    return told + ([f"signed by: {one['signed_by']}"] if one["signed_by"] else [])


def _card_lines(card: dict[str, Any]) -> list[str]:
    if not card:
        return []
    told = [f"data: {card['data']}, {card['data_digest']}", f"population: {card['population']}"]
    told += [f"{done} on {_window(card[part])}" for part, done in (("train", "trained"), ("test", "tested"))]
    told += [f"  {name} {_figure(figure)}" for name, figure in card["metrics"].items()]
    for group, measures in card["fairness"].items():
        told += [f"  {group}: {name} {_figure(figure)}" for name, figure in measures.items()]
    return told + [f"limit: {limit}" for limit in card["limits"]]


def _figure(figure: dict[str, float] | None) -> str:
    return f"{figure['value']:.4f} (95 %: {figure['low']:.4f} to {figure['high']:.4f})" if figure else "-"


def _window(window: dict[str, Any] | None) -> str:
    if not window:
        return "-"
    days = f"{window['since']} to {window['until']}: " if window["since"] else ""
    return f"{days}{window['rows']:,} rows, {window['positives']:,} positive"


def _difference(found: dict[str, Any]) -> str:
    auc = found["auc"]
    if auc is None:
        return f"no difference with an interval: {found['why_no_auc']}"
    interval = f"{auc['value']:+.4f} (95 %: {auc['low']:+.4f} to {auc['high']:+.4f}, p = {auc['p_value']:.3g})"
    about = f"{auc['rows']:,} same rows of {auc['groups']:,} groups, {auc['positives']:,} positive"
    return f"area under the curve on {about}: {interval}; {found['verdict']['en']}"
