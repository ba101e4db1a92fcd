"""The folder that holds a model fitted on a table: weights, declaration with card, how a table is read, findings."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import polars as pl

from quanheng.kernel.errors import InputError, NotFound
from quanheng.models.card import card_toml
from quanheng.models.estimator import Fitted
from quanheng.models.estimators import make_estimator
from quanheng.models.fit import FitSettings, FittedTable
from quanheng.models.monitoring.own_bins import own_bins
from quanheng.models.monitoring.reference import Reference, Strength, encode, reference_of
from quanheng.models.tables.findings import Finding
from quanheng.models.tables.prepare import Prepared
from quanheng.models.tables.recipe import Recipe, read_recipe
from quanheng.models.trees import content_hash
from quanheng.models.validation.folds import MEASURES

DECLARATION, READING, FINDINGS, SCORES = "model.toml", "reading.json", "findings.json", "scores.csv"
REFERENCE = "reference.json"
"""In a pack it stands beside the weights as models/NAME.reference.json."""


class Kept(NamedTuple):
    """A model that was read back."""

    name: str
    estimator: str
    hash: str
    model: Fitted
    recipe: Recipe


def write_folder(folder: Path, prepared: Prepared, settings: FitSettings, made: FittedTable) -> list[Path]:
    """Write all files; the declaration last, so that a folder which has one is whole.

    Returns
    -------
    Paths of the files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / DECLARATION).unlink(missing_ok=True)
    files = {
        weights_name(settings): made.weights,
        READING: msgspec.json.format(msgspec.json.encode(prepared.recipe), indent=1),
        FINDINGS: msgspec.json.format(msgspec.json.encode([*prepared.findings, *made.findings]), indent=1),
        SCORES: _scores(prepared, made),
        REFERENCE: encode(reference_for(prepared, settings, made)),
        **({made.card.evidence: made.evidence} if made.evidence else {}),
        DECLARATION: declaration(prepared, settings, made).encode(),
    }
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return [folder / name for name in files]


def reference_for(prepared: Prepared, settings: FitSettings, made: FittedTable) -> Reference:
    """How inputs and out-of-fold scores were distributed: what the model is compared with when it is watched.

    Scores are those of rows a model was not fitted on, for later rows are such too.
    """
    metrics, tested = made.card.metrics, ~np.isnan(made.validated.scores)
    events, rows = int(prepared.table.target[tested].sum()), int(tested.sum())
    return reference_of(
        prepared.table.rows, made.validated.scores[tested], made.model.columns, model=settings.name, weights=made.hash,
        source=f"{made.card.data}, {made.validation}", target=prepared.table.target,
        strength=Strength(metrics["auc_roc"].value, metrics["ks"].value, events, rows),
        own=own_bins(made.model, prepared.table.rows),
    )  # fmt: skip


def weights_name(settings: FitSettings) -> str:
    """Name of the weights file: the model's, and what fitted it."""
    return f"{settings.name}.{settings.estimator}"


def declaration(prepared: Prepared, settings: FitSettings, made: FittedTable) -> str:
    """The model as a pack declares it: put the file and the weights into the pack's folder models/."""
    recipe = prepared.recipe
    lines = [
        "[model]",
        f"name = {_text(settings.name)}",
        f"estimator = {_text(settings.estimator)}",
        f"inputs = [{', '.join(_text(column.name) for column in made.model.columns)}]",
        "output_decimals = 4",
        f"weights = {_text(weights_name(settings))}",
        f"hash = {_text(made.hash)}",
        "",
        "[fit]",
        f"target = {_text(recipe.target)}",
        f"events = [{', '.join(map(_text, recipe.events))}]",
        f"validation = {_text(made.validation)}",
        f"seed = {settings.seed}",
    ]
    for measure in MEASURES:
        mean, deviation = made.validated.mean(measure), made.validated.deviation(measure)
        lines += ["", f"[fit.folds.{measure}]", f"mean = {mean:.6f}", f"deviation = {deviation:.6f}"]
    return "\n".join(lines) + "\n\n" + card_toml(made.card)


def read_folder(folder: Path) -> Kept:
    """The model of a folder that `write_folder` wrote.

    Raises
    ------
    NotFound : a file is not there
    InputError : the weights are not those that were fitted, or a file is broken
    """
    try:
        declared = tomllib.loads(_read(folder, DECLARATION).decode())["model"]
        name, estimator, wanted = declared["name"], declared["estimator"], declared["hash"]
        weights = _read(folder, declared["weights"])
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise InputError(
            "the declaration of the model cannot be read", where=str(folder / DECLARATION),
            found=f"{type(error).__name__}: {error}", cure="Put back the file that was written, or fit again.",
        ) from None  # fmt: skip
    found = content_hash(weights)
    if found != wanted:
        raise InputError(
            "the weights are not those that were fitted", where=str(folder / declared["weights"]), found=found,
            allowed=wanted, cure="Put back the file that was written, or fit again.",
        )  # fmt: skip
    recipe = read_recipe(_read(folder, READING), str(folder / READING))
    return Kept(name, estimator, wanted, make_estimator(estimator).read(weights), recipe)


def read_findings(folder: Path) -> Sequence[Finding]:
    """What was found in the table that the model was fitted on.

    Raises
    ------
    NotFound : the file is not there
    """
    return msgspec.json.decode(_read(folder, FINDINGS), type=list[Finding])


def _scores(prepared: Prepared, made: FittedTable) -> bytes:
    """Out-of-fold scores of the rows that were tested: number of the row from 1, score, target."""
    scores = pl.Series("score", made.validated.scores)
    frame = pl.DataFrame({"row": range(1, len(scores) + 1), "score": scores, "target": prepared.table.target})
    return frame.filter(pl.col("score").is_not_nan()).with_columns(pl.col("target").cast(pl.Int8)).write_csv().encode()


def _read(folder: Path, name: str) -> bytes:
    path = folder / name
    if not path.is_file():
        raise NotFound(
            "the folder of the model lacks a file", where=str(folder), found=f"no {name}",
            cure="Give the folder that `quanheng models fit --out` wrote.",
        )  # fmt: skip
    return path.read_bytes()


def _text(value: str) -> str:
    return msgspec.json.encode(value).decode()
