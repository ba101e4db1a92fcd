"""`quanheng pack`: what a pack author needs."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cyclopts

from quanheng.cli.admin import administer
from quanheng.cli.common import HERE, Json, Place, console, reader, show_json, show_value
from quanheng.kernel.errors import InputError

if TYPE_CHECKING:
    from quanheng.reading import Reader

app = cyclopts.App(
    name="pack", help="Check, make, list, show and activate packs.\n\nExample: quanheng pack check my_pack"
)


@app.command
def check(folder: Path, /, *, json: Json = False) -> int:
    """Check a pack: every problem with file, key, what was found, what is known and the cure. Golden cases run too.

    Warnings (inputs that no rule of a table covers, rules that never decide) are shown and hinder nothing.

    For example:
      quanheng pack check packs/my_pack

    Parameters
    ----------
    folder : Path
        The folder that holds pack.toml.
    json : bool
        One line of JSON.
    """
    from quanheng.loading import check_pack, load_packs, read_pack
    from quanheng.server.opening import available_packs

    files = read_pack(folder)
    available = available_packs([str(folder)])
    declared, problems = check_pack(files, available)
    cases = 0
    if not problems:
        from quanheng.loading.cases import run_cases
        from quanheng.machines import log_names
        from quanheng.program import Program
        from quanheng.rehearsal import rehearse

        packs = load_packs([declared.name], available)
        codes = {name: 1000 + number for number, name in enumerate(log_names(packs.values()))}
        program = Program(packs, codes)
        problems = tuple(run_cases(declared, lambda case: rehearse(program, case)))
        cases = len(declared.cases)
    if json:
        told = {
            "problems": [one._asdict() for one in problems],
            "warnings": [one._asdict() for one in declared.warnings],
        }
        show_json({"pack": declared.name, "version": declared.version, **told})
        return 2 if problems else 0
    for warning in declared.warnings:
        print(f"warning: {warning}")
    if problems:
        for problem in problems:
            print(problem)
        console().print(f"{declared.name}: {len(problems)} problem{'s' if len(problems) != 1 else ''}")
    else:
        held = f"{len(declared.events)} events, {len(declared.folds)} folds, {len(declared.formulas)} formulas"
        if postings := len(declared.accounts.postings):
            held += f", {len(declared.accounts.accounts)} accounts, {postings} postings"
        if processes := len(declared.processes.processes):
            held += f", {processes} processes, {len(declared.processes.jobs)} jobs"
        print(f"{declared.name} {declared.version}: no problem; {held}, {cases} golden cases pass")
    return 2 if problems else 0


@app.command
def new(name: str, /, *, folder: Path | None = None) -> None:
    """Make a small working pack to start from.

    For example:
      quanheng pack new my_pack
      quanheng pack check my_pack

    Parameters
    ----------
    name : str
        Name of the pack: small letters, digits and _.
    folder : Path
        Where to make it (default: a folder of that name here).
    """
    from quanheng.loading.new import new_pack

    made = new_pack(name, folder or Path(name))
    print(f"made {made}. Next: quanheng pack check {made}")


@app.command
def list(*, json: Json = False, place: Place = HERE) -> None:
    """List the packs that can be loaded.

    For example:
      quanheng pack list

    Parameters
    ----------
    json : bool
        One line of JSON.
    """
    from quanheng.loading import check_pack
    from quanheng.server.opening import available_packs

    available = available_packs(place.read().packs.folders)
    rows: builtins.list[dict[str, Any]] = []
    for name, files in sorted(available.items()):
        declared, problems = check_pack(files, available)
        title = {"en": declared.title.en, "zh": declared.title.zh}
        rows.append({"name": name, "version": declared.version, "title": title, "problems": len(problems)})
    if json:
        show_json(rows)
        return
    for row in rows:
        shown = f"  {row['problems']} problems: quanheng pack check" if row["problems"] else ""
        print(f"{row['name']} {row['version']}  {row['title']['en']} {row['title']['zh']}{shown}".rstrip())


@app.command
def show(name: str, /, *, json: Json = False, place: Place = HERE) -> None:
    """Show what a pack declares: events, folds, formulas, parameters, flows, accounts, reasons.

    For example:
      quanheng pack show my_pack

    Parameters
    ----------
    name : str
        Name of the pack.
    json : bool
        One line of JSON.
    """
    import msgspec

    from quanheng.server.opening import available_packs, chosen_packs

    declared, _ = chosen_packs([name], available_packs(place.read().packs.folders))
    pack = next(one for one in declared if one.name == name)
    held = {
        "name": pack.name,
        "version": pack.version,
        "requires": [str(one) for one in pack.requires],
        "title": pack.title,
        "law": pack.law,
        "outcomes": pack.outcomes,
        "flows": pack.flows,
        "events": {event.name: event.fields for event in pack.events},
        "folds": [fold.name for fold in pack.folds],
        "formulas": {formula.name: formula.feel for formula in pack.formulas},
        "parameters": {one.name: [(value.from_date, value.value) for value in one.values] for one in pack.parameters},
        "accounts": pack.accounts,
        "processes": pack.processes.processes,
        "jobs": pack.processes.jobs,
        "models": [{"name": model.name, "hash": model.hash, "inputs": model.inputs} for model in pack.models],
        "reasons": {reason.code: {"en": reason.en, "zh": reason.zh} for reason in pack.reasons},
        "cases": [case.name for case in pack.cases],
        "mappings": [mapping.name for mapping in pack.mappings],
        "evaluations": sorted(pack.evaluations),
    }
    show_value(msgspec.to_builtins(held), json)


@app.command
def activate(*names: str, break_glass: str = "", json: Json = False, place: Place = HERE) -> None:
    """Put packs in force, with all they require. A pack with a problem or a failing golden case is not activated.

    Works beside a running server too (with a token of scope admin in QUANHENG_TOKEN, or the development token): it
    checks the packs while it serves, and puts them in force between two groups of requests.

    For example:
      quanheng pack activate my_pack

    Parameters
    ----------
    names : str
        Names of the packs; without any, those in force are shown.
    break_glass : str
        Why a champion is replaced by one person alone, where governance.four_eyes demands two. It is recorded under
        the name of your token, and awaits review by another person.
    json : bool
        One line of JSON.
    """
    from quanheng.server.opening import available_packs, chosen_packs

    config = place.read()
    if names:
        declared, files = chosen_packs(names, available_packs(config.packs.folders))
        sent = {"packs": {one.name: dict(its.files) for one, its in zip(declared, files, strict=True)}}
        done = administer(config, "activate", {**sent, "break_glass": break_glass})
        versions, head = done["versions"], done["as_of"]
    else:
        with reader(config) as log:
            versions, head = _in_force(log, Path(config.storage.data))
    if not versions:
        raise InputError("no pack is in force", where=config.storage.data, cure="Name one: quanheng pack activate NAME")
    if json:
        show_json({"versions": versions, "as_of": head})
    else:
        for name, version in sorted(versions.items()):
            print(f"{name} {version}")


def _in_force(log: Reader, data: Path) -> tuple[dict[str, str], int]:
    from quanheng.kernel.snapshot import Snapshots
    from quanheng.recovery import rebuild

    state = rebuild(log.log, log.content, Snapshots(data / "snapshots"))
    activation = state.program.activation
    return (dict(log.activated(activation).versions) if activation >= 0 else {}), log.log.head
