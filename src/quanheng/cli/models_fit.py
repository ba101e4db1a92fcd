"""`quanheng models fit`: a model from a table that nobody prepared, with everything that was found on the way."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from quanheng.cli.common import Json, by_stage, console, progress_bar, show_json
from quanheng.kernel.errors import ConfigurationError

if TYPE_CHECKING:
    from quanheng.models.fit import FitSettings, FittedTable
    from quanheng.models.tables.findings import Finding
    from quanheng.models.tables.prepare import Options, Prepared

SHOWN = ("auc", "ks", "gini", "brier")
_TITLES = {"auc": "AUC", "ks": "KS", "gini": "Gini", "brier": "Brier"}


def fit(
    file: Path,
    /,
    *,
    target: str,
    bad: Sequence[str] = (),
    good: Sequence[str] = (),
    estimator: str = "scorecard",
    folds: int = 5,
    repeats: int = 1,
    seed: int = 1,
    drop: Sequence[str] = (),
    keep: Sequence[str] = (),
    time: str = "",
    out_of_time: float = 0.0,
    monotone: str = "",
    setting: Sequence[str] = (),
    header: Literal["auto", "yes", "no"] = "auto",
    decimal: Literal["auto", ".", ","] = "auto",
    unlabelled: Literal["error", "drop"] = "error",
    name: str = "",
    out: Path | None = None,
    language: Literal["en", "zh"] = "en",
    json: Json = False,
) -> int:
    """Fit a model on a table as it is: types, missing values, codes and the target are found out, and all is told.

    The model is measured on folds that it was not fitted on, then fitted on all rows. The same file, settings and seed
    give the same hash. A warning says what must be looked at before the figures are believed.

    For example:
      quanheng models fit --target default loans.csv
      quanheng models fit german.data --target -1 --bad 2 --folds 5 --out german
      quanheng models fit loans.csv --target status --bad "charged off" --drop recoveries,last_payment --time issued

    Parameters
    ----------
    file : Path
        Delimited text (any separator, also .gz or .zip), .parquet or .xlsx.
    target : str
        Column with the outcome: its name, or its place (1 = first, -1 = last).
    bad : str
        Value of the target that is the event; may be given again. Found out where there are two.
    good : str
        Value that is not the event; rows of all others are left out.
    estimator : str
        scorecard, lightgbm, logistic, ebm, or one that a distribution brings.
    folds : int
        How many folds; periods where there is a time.
    repeats : int
        How often the folds are drawn again.
    seed : int
        Of every choice.
    drop : str
        Columns that are no inputs, separated by commas; may be given again.
    keep : str
        The only columns that are inputs.
    time : str
        Column that says when each row was decided: tests are later than what was fitted on.
    out_of_time : float
        Test on this share of the latest rows in place of periods, such as 0.2.
    monotone : str
        auto, none, or directions of inputs by the names that a pack uses: income=-,age=+.
    setting : str
        A setting of the estimator, KEY=VALUE; may be given again.
    header : str
        Whether the first line holds names: auto, yes or no.
    decimal : str
        What stands before decimals, where the file leaves a doubt: auto, "." or ",".
    unlabelled : str
        Rows without a target: error, or drop.
    name : str
        Name of the model (default: that of the file).
    out : Path
        Folder to write weights, declaration, card, findings and out-of-fold scores to.
    language : str
        Titles of what was found: en or zh.
    json : bool
        Last line is one line of JSON.
    """
    import msgspec

    from quanheng.models.estimators import make_estimator
    from quanheng.models.fit import FitSettings, fit_table
    from quanheng.models.tables.prepare import Options, prepare_file
    from quanheng.models.tables.recipe import pack_names

    settings = _settings(estimator, monotone, setting)
    make_estimator(estimator, settings)  # Before the data is read, which takes its time.
    options = Options(
        target=target, bad=tuple(bad), good=tuple(good), drop=_split(drop), keep=_split(keep),
        time=time, header=header, decimal=decimal,
        unlabelled=unlabelled, seed=seed,
    )  # fmt: skip
    stem = file.name.partition(".")[0]
    asked = FitSettings(
        name=next(iter(pack_names([name or stem]))), estimator=estimator, settings=settings, folds=folds,
        repeats=repeats, out_of_time=out_of_time, seed=seed,
    )  # fmt: skip
    asked = msgspec.structs.replace(asked, command=_command(file, options, asked))
    with progress_bar() as progress:
        show = by_stage(progress)
        show("reading", 0, 1)
        prepared = prepare_file(file, options)
        show("reading", 1, 1)
        made = fit_table(prepared, asked, file.name, show)
    if out is not None:
        from quanheng.models.fit_folder import write_folder

        for path in write_folder(out, prepared, asked, made):
            console().print(f"written: {path}")
    if json:
        show_json(_told(prepared, asked, made))
        return 0
    show_findings([*prepared.findings, *made.findings], language)
    _show_folds(prepared, asked, made)
    return 0


def show_findings(findings: Sequence[Finding], language: str) -> None:
    """A table of what was found; warnings last, where they are read."""
    from rich.console import Console
    from rich.table import Table

    table = Table("where", "what", "found", "done", title="Found in the table" if language == "en" else "表中发现")
    for one in sorted(findings, key=lambda finding: finding.severity == "warning"):
        style = "bold yellow" if one.severity == "warning" else ""
        table.add_row(one.where, one.title(language), _short(one.found), _short(one.done), style=style)
    Console(highlight=False).print(table)


def _show_folds(prepared: Prepared, asked: FitSettings, made: FittedTable) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("", "rows", "events", *_TITLES.values(), title=f"{asked.estimator}: {made.validation}")
    for fold in made.validated.folds[:20]:
        table.add_row(fold.name, f"{fold.rows:,}", f"{fold.events:,}", *(f"{fold.measures[one]:.4f}" for one in SHOWN))
    mean = (f"{made.validated.mean(one):.4f} ± {made.validated.deviation(one):.4f}" for one in SHOWN)
    table.add_row("mean ± deviation", "", "", *mean, style="bold")
    out = Console(highlight=False)
    out.print(table)
    interval = made.card.metrics["auc_roc"]
    rows, inputs = len(prepared.table.target), len(made.model.columns)
    out.print(f"AUC of all out-of-fold scores {interval.value:.4f} (95 %: {interval.low:.4f} to {interval.high:.4f})")
    out.print(
        f"{asked.name}: {asked.estimator} on {rows:,} rows, {inputs} inputs, {len(made.weights):,} bytes, {made.hash}"
    )


def _told(prepared: Prepared, asked: FitSettings, made: FittedTable) -> dict[str, Any]:
    """All of it for programs."""
    import msgspec

    from quanheng.models.validation.folds import MEASURES

    findings = [*prepared.findings, *made.findings]
    return {
        "name": asked.name,
        "estimator": asked.estimator,
        "hash": made.hash,
        "rows": len(prepared.table.target),
        "events": int(prepared.table.target.sum()),
        "inputs": [column.name for column in made.model.columns],
        "validation": made.validation,
        "mean": {one: made.validated.mean(one) for one in MEASURES},
        "deviation": {one: made.validated.deviation(one) for one in MEASURES},
        "folds": [
            {"name": fold.name, "rows": fold.rows, "events": fold.events, **fold.measures}
            for fold in made.validated.folds
        ],
        "findings": [msgspec.to_builtins(one) for one in findings],
        "warnings": sum(one.severity == "warning" for one in findings),
        "card": msgspec.to_builtins(made.card),
    }


def _settings(estimator: str, monotone: str, given: Sequence[str]) -> dict[str, object]:
    """Settings as an estimator takes them: values that are JSON as such, others as text."""
    import msgspec

    found: dict[str, object] = {}
    for one in given:
        key, sign, value = one.partition("=")
        if not sign or not key:
            raise ConfigurationError(
                "a setting is written KEY=VALUE", where="--setting", found=one, allowed="for example strength=0.5"
            )
        try:
            found[key] = msgspec.json.decode(value)
        except msgspec.DecodeError:
            found[key] = value
    if monotone:
        from quanheng.models.estimators import direction_settings

        found |= direction_settings(estimator, _directions(monotone))
    return found


def _directions(text: str) -> str | dict[str, int]:
    if text in ("auto", "none"):
        return text
    found = {}
    for part in text.split(","):
        name, _, sign = part.strip().partition("=")
        if not name or sign not in ("+", "-"):
            raise ConfigurationError(
                "a direction is written NAME=+ or NAME=-",
                where="--monotone",
                found=part,
                allowed="auto, none, or income=-,age=+",
            )
        found[name] = 1 if sign == "+" else -1
    return found


def _split(given: Sequence[str]) -> tuple[str, ...]:
    return tuple(part.strip() for one in given for part in one.split(",") if part.strip())


def _command(file: Path, options: Options, asked: FitSettings) -> str:
    """What was asked, without folders, so that it is the same on another machine."""
    words = ["quanheng", "models", "fit", file.name, "--target", options.target, "--estimator", asked.estimator]
    words += ["--folds", str(asked.folds), "--seed", str(asked.seed)]
    for option, values in (
        ("--bad", options.bad),
        ("--good", options.good),
        ("--drop", options.drop),
        ("--keep", options.keep),
    ):
        words += [word for value in values for word in (option, value)]
    words += [word for key, value in asked.settings.items() for word in ("--setting", f"{key}={_written(value)}")]
    beyond_usual = (
        ("--repeats", str(asked.repeats), "1"),
        ("--out-of-time", f"{asked.out_of_time:g}", "0"),
        ("--time", options.time, ""),
        ("--header", options.header, "auto"),
        ("--decimal", options.decimal, "auto"),
        ("--unlabelled", options.unlabelled, "error"),
    )
    words += [word for option, value, usual in beyond_usual if value != usual for word in (option, value)]
    return shlex.join(words)


def _written(value: object) -> str:
    import msgspec

    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _short(text: str) -> str:
    return text if len(text) <= 240 else text[:237] + "…"
