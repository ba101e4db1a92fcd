"""From a file that nobody prepared to a table that models are fitted on, with everything that was found and done."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from quanheng.kernel.errors import InputError
from quanheng.models.table import Column, Table
from quanheng.models.tables.cells import Form, Guess, Style, guess
from quanheng.models.tables.codes import special_codes
from quanheng.models.tables.delimited import Header
from quanheng.models.tables.files import read_file
from quanheng.models.tables.findings import Finding, count, shown
from quanheng.models.tables.leakage import leakage
from quanheng.models.tables.recipe import InputRecipe, Recipe, as_cells, pack_names, read_input, read_times
from quanheng.models.tables.screening import duplicate_columns, duplicate_rows, kept_levels, renamed, unusable
from quanheng.models.tables.target import Target, find_column, read_target

ROWS_MIN = 20
EVENTS_MIN = 5


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What a person says about a table.

    target : name of a column, or its place (1 = first, -1 = last)
    bad, good : values of the target that are the event, and that are not; empty: found out
    drop, keep : columns that are no inputs; the only columns that are (empty: all)
    time : column with the moment of the decision; "" = none
    header, decimal : whether the file has a line of names; what stands before decimals
    unlabelled : rows without a target are an `error`, or are left out (`drop`)
    seed : of what is drawn to look for leakage
    """

    target: str
    bad: tuple[str, ...] = ()
    good: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    time: str = ""
    header: Header = "auto"
    decimal: Literal["auto", ".", ","] = "auto"
    unlabelled: Literal["error", "drop"] = "error"
    seed: int = 1


class Prepared(NamedTuple):
    """A table that can be fitted on.

    recipe : reads another file alike
    digest : SHA-256 of the file
    """

    table: Table
    recipe: Recipe
    findings: list[Finding]
    digest: str


def prepare_file(path: Path, options: Options) -> Prepared:
    """Read a file and prepare it.

    Raises
    ------
    NotFound : no such file or column
    InputError : the file is no table, or nothing can be learnt from it
    """
    read = read_file(path, options.header)
    with path.open("rb") as content:
        digest = "sha256:" + hashlib.file_digest(content, "sha256").hexdigest()
    made = prepare(read.rows, options, path.name)
    return made._replace(findings=read.findings + made.findings, digest=digest)


def prepare(raw: pl.DataFrame, options: Options, where: str = "table") -> Prepared:
    """Prepare the cells of a file.

    Raises
    ------
    NotFound : no such column
    InputError : the target is not one of two values, or nothing is left to learn from
    """
    findings: list[Finding] = []
    name = find_column(options.target, raw.columns, "--target")
    target = read_target(raw[name], options.bad, options.good)
    findings += target.findings
    raw, target = _labelled(raw, target, options, findings)
    _check_rows(target.labels, where)
    time = _time(raw, options, name, findings)
    times = None if time is None else read_times(time, raw[time.column])
    wanted = _wanted(raw.columns, name, time, options, findings)
    forms = _forms(raw, wanted, options.decimal, findings)
    recipes, columns = _inputs(raw, forms, times, findings)
    if not recipes:
        raise InputError(
            "no column is left to learn from", where=where, found=f"{len(wanted)} columns beside the target",
            allowed="one input or more", cure="See above why each was left out, or keep more of them.",
        )  # fmt: skip
    rows = pl.DataFrame(columns)
    described = tuple(_described(one, rows[one.name], findings) for one in recipes)
    table = Table(rows, target.labels, described, None if times is None else times.to_numpy().astype(np.int64))
    twice = duplicate_rows(rows, target.labels)
    findings += [twice] if twice else []
    findings += leakage(table, options.seed)
    recipe = Recipe(
        inputs=tuple(recipes), target=name, events=target.events, others=target.others, time=time, header=options.header
    )
    return Prepared(table, recipe, findings, "")


def _labelled(
    raw: pl.DataFrame, target: Target, options: Options, findings: list[Finding]
) -> tuple[pl.DataFrame, Target]:
    """The rows that have a target."""
    missing = int(target.missing.sum())
    if missing and options.unlabelled == "error":
        raise InputError(
            "the target is missing in some rows", where=target.name, found=f"{count(missing, 'row')} of {len(raw):,}",
            allowed="a value in every row", cure="Leave them out with --unlabelled drop, or complete them.",
        )  # fmt: skip
    neither = int((~target.known).sum()) - missing
    for kind, rows, found in (("unlabelled", missing, "no value"), ("indeterminate", neither, "neither bad nor good")):
        if rows:
            told = f"{count(rows, 'row')} ({rows / len(raw):.1%}): {found}"
            done = "left out as asked"
            findings.append(Finding(kind=kind, where=target.name, found=told, done=done, severity="warning"))
    known = target.known
    if known.all():
        return raw, target
    return raw.filter(pl.Series(known)), target._replace(labels=target.labels[known])


def _check_rows(labels: NDArray[np.bool_], where: str) -> None:
    events = int(labels.sum())
    if len(labels) >= ROWS_MIN and min(events, len(labels) - events) >= EVENTS_MIN:
        return
    raise InputError(
        "too few rows to learn from", where=where, found=f"{count(len(labels), 'row')}, {events} with the event",
        allowed=f"{ROWS_MIN} rows or more, {EVENTS_MIN} or more of each outcome", cure="Bring more rows.",
    )  # fmt: skip


def _time(raw: pl.DataFrame, options: Options, target: str, findings: list[Finding]) -> InputRecipe | None:
    """The column with the moment of the decision, and how it is read; every row must have one."""
    if not options.time:
        return None
    name = find_column(options.time, raw.columns, "--time")
    cells = as_cells(raw[name])
    form = (
        guess(cells).form if cells.dtype == pl.String else Form(kind="date" if cells.dtype.is_temporal() else "number")
    )
    digits = cells.dtype == pl.String and form.kind == "number"
    if name == target or form.kind not in ("date", "number") or digits:
        raise InputError(
            "the column does not say when", where=f"--time, column {name}", found=_example(cells),
            allowed="dates of one format, such as 2024-03-01", cure="Choose another column, or write its dates alike.",
        )  # fmt: skip
    recipe = InputRecipe(name="decided_at", column=name, form=form)
    times = read_times(recipe, cells)
    if times.null_count():
        raise InputError(
            "the time is missing in some rows", where=f"--time, column {name}", found=count(times.null_count(), "row"),
            allowed="a time in every row", cure="Complete it, or leave these rows out of the file.",
        )  # fmt: skip
    since, until = (str(one)[:10] for one in times.cast(pl.Datetime("ms")).sort().gather([0, -1]))
    findings.append(Finding(kind="time", where=name, found=f"{since} to {until}", done="orders the rows; no input"))
    return recipe


def _wanted(
    columns: Sequence[str], target: str, time: InputRecipe | None, options: Options, findings: list[Finding]
) -> list[str]:
    """Columns that may become inputs, in the order of the file."""
    plain = dict(zip(pack_names(columns), columns, strict=True))
    dropped = {find_column(plain.get(one, one), columns, "--drop") for one in options.drop}
    kept = {find_column(plain.get(one, one), columns, "--keep") for one in options.keep}
    named = [one for one in columns if one in dropped or (kept and one not in kept and one != target)]
    if named:
        findings.append(Finding(kind="dropped", where="table", found=shown(named, 12), done="left out"))
    away = {target, *named, *([time.column] if time else [])}
    return [one for one in columns if one not in away]


def _forms(raw: pl.DataFrame, wanted: Iterable[str], decimal: str, findings: list[Finding]) -> dict[str, Form]:
    """How each column is spelled. What one column says about commas helps to read the others."""
    said: Style | None = {"auto": None, ".": "grouped", ",": "european"}[decimal]  # type: ignore[assignment]
    guesses = {name: _guess(raw[name], said) for name in wanted}
    if said is None:
        styles = {one.form.style for one in guesses.values() if one} & {"grouped", "european", "european_percent"}
        if len(styles) == 1:
            style: Style = "grouped" if styles == {"grouped"} else "european"
            unsure = [
                name for name, one in guesses.items() if one and any(note[0] == "ambiguous" for note in one.notes)
            ]
            guesses |= {name: _guess(raw[name], style) for name in unsure}
    forms = {}
    for name, one in guesses.items():
        if one is None:
            found = str(raw[name].dtype)
            findings.append(Finding(kind="type", where=name, found=found, done="left out", severity="warning"))
            continue
        forms[name] = one.form
        for kind, found, done in one.notes:
            severity: Literal["note", "warning"] = "warning" if kind == "ambiguous" else "note"
            findings.append(Finding(kind=kind, where=name, found=found, done=done, severity=severity))
    return forms


def _guess(cells: pl.Series, style: Style | None) -> Guess | None:
    """The form of a column of text or of a typed file; None for lists and other structures."""
    cells = as_cells(cells)
    if cells.dtype == pl.String:
        return guess(cells, style)
    if cells.dtype == pl.Boolean:
        return Guess(Form(kind="boolean", yes="true", no="false"))
    if cells.dtype.is_numeric():
        return Guess(Form(kind="number"))
    if cells.dtype in (pl.Date, pl.Datetime):
        return Guess(Form(kind="date"))
    return None


def _inputs(
    raw: pl.DataFrame, forms: Mapping[str, Form], times: pl.Series | None, findings: list[Finding]
) -> tuple[list[InputRecipe], list[pl.Series]]:
    """Recipes and values of the columns that are usable, under names that a pack may use."""
    names = dict(zip(forms, pack_names(list(forms)), strict=True))
    recipes, columns = [], []
    for column, form in forms.items():
        recipe = InputRecipe(name=names[column], column=column, form=form)
        cells, unreadable = read_input(recipe, raw[column], times)
        findings += _told(column, form, unreadable, times)
        if (finding := unusable(column, cells, form.kind == "date")) is not None:
            findings.append(finding)
            continue
        if recipe.kind == "category":
            levels, told = kept_levels(column, cells)
            findings += [told] if told else []
            if told and not levels:
                continue
            recipe = msgspec.structs.replace(recipe, levels=levels)
            cells, _ = read_input(recipe, raw[column], times)
        recipes.append(recipe)
        columns.append(cells)
    twins = duplicate_columns(pl.DataFrame(columns)) if columns else {}
    for one in [one for one in recipes if one.name in twins]:
        found = f"equal to {twins[one.name]} in every row"
        findings.append(Finding(kind="duplicate_column", where=one.column, found=found, done="left out"))
    kept = [at for at, one in enumerate(recipes) if one.name not in twins]
    changed = renamed({recipes[at].column: recipes[at].name for at in kept})
    findings += [changed] if changed else []
    return [recipes[at] for at in kept], [columns[at] for at in kept]


def _told(column: str, form: Form, unreadable: int, times: pl.Series | None) -> list[Finding]:
    """What is said about dates and about cells that are no number."""
    told = []
    if form.kind == "date":
        found = f"dates like {form.date}" if form.date else "dates"
        done = "read as days before the decision" if times is not None else "read as days since 1970-01-01"
        told.append(Finding(kind="date", where=column, found=found, done=done))
    if unreadable:
        found = f"{count(unreadable, 'cell')} that are no finite {form.kind}"
        told.append(Finding(kind="unreadable", where=column, found=found, done="read as missing", severity="warning"))
    return told


def _described(one: InputRecipe, cells: pl.Series, findings: list[Finding]) -> Column:
    missing = cells.null_count()
    specials: tuple[float, ...] = ()
    if missing:
        found = f"{count(missing, 'row')} ({missing / len(cells):.1%})"
        findings.append(Finding(kind="missing", where=one.column, found=found, done="left to the estimator"))
    if one.form.kind == "number":
        values = cells.to_numpy().astype(np.float64)
        specials = special_codes(values)
    if specials:
        counts = ", ".join(f"{code:g} ({count(int((values == code).sum()), 'row')})" for code in specials)
        done = "taken for codes and no quantities: each stands for itself"
        findings.append(Finding(kind="special", where=one.column, found=counts, done=done))
    known = cells.drop_nulls()
    return Column(name=one.name, kind=one.kind, missing=missing, distinct=known.n_unique(), specials=specials)


def _example(cells: pl.Series) -> str:
    known = cells.drop_nulls()
    return f"values like {known[0]!r}" if len(known) else "no value at all"
