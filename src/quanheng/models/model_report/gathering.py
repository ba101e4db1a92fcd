"""What a report shows: read from the folder of a fit, and measured on a file where one is given."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quanheng.kernel.errors import InputError, NotFound
from quanheng.models.estimator import Fitted
from quanheng.models.fairness.error_rates import Errors, errors
from quanheng.models.fairness.groups import Groups, banded, groups_of, intersections
from quanheng.models.fairness.impact import Impacts, impacts
from quanheng.models.fit_folder import DECLARATION, REFERENCE, SCORES, Kept, read_findings, read_folder
from quanheng.models.metrics import auc_roc
from quanheng.models.monitoring.calibration import Calibration, calibration
from quanheng.models.monitoring.reference import Reference, decode
from quanheng.models.monitoring.separation import Separation, separation
from quanheng.models.monitoring.stability import Shift, shift
from quanheng.models.tables.files import read_file
from quanheng.models.tables.recipe import apply_recipe
from quanheng.models.tables.target import read_target
from quanheng.models.validation.bands import GainBand, gain_table

SAMPLE_MAX = 20_000
"""Rows on which importances are measured."""


class Importance(NamedTuple):
    """An input: mean absolute contribution to the log-odds, and by how much AUC falls where its values are shuffled."""

    name: str
    contribution: float
    fall: float


class Fairness(NamedTuple):
    """One attribute, or several together."""

    impacts: Impacts
    errors: Errors


class Gathered(NamedTuple):
    """Everything that is shown.

    labels, scores : of the rows that are measured on
    measured_on : what they are, in words of both languages
    importances, shifts : only where a file was given
    card : the declaration's tables `card` and `fit`
    """

    kept: Kept
    card: Mapping[str, Any]
    findings: Sequence[Any]
    reference: Reference
    labels: NDArray[np.bool_]
    scores: NDArray[np.float64]
    measured_on: tuple[str, str]
    separation: Separation
    calibration: Calibration
    gain: Sequence[GainBand]
    importances: tuple[Importance, ...] = ()
    score_shift: Shift | None = None
    shifts: tuple[Shift, ...] = ()
    fairness: tuple[Fairness, ...] = ()
    approve: float = 0.0


class Asked(NamedTuple):
    """What a person wants to see.

    groups : "COLUMN" or "COLUMN=25,60" (bounds of a number), for fairness
    approve : share of the rows that a cut-off approves, for fairness
    """

    folder: Path
    file: Path | None = None
    groups: tuple[str, ...] = ()
    approve: float = 0.7
    seed: int = 1


def gather(asked: Asked) -> Gathered:
    """Read and measure.

    Raises
    ------
    NotFound : the folder or file is not there, or lacks something
    InputError : the file lacks columns or outcomes, groups cannot be told apart, a share is none
    """
    kept = read_folder(asked.folder)
    declared = tomllib.loads((asked.folder / DECLARATION).read_text(encoding="utf-8"))
    reference = decode(_content(asked.folder, REFERENCE), str(asked.folder / REFERENCE))
    if asked.file is None:
        if asked.groups:
            raise InputError(
                "fairness is measured on a file", where="--group", found="no file", allowed="FOLDER FILE",
                cure="Give the table that the model was fitted on, or a later one with outcomes.",
            )  # fmt: skip
        frame = pl.read_csv(BytesIO(_content(asked.folder, SCORES)))
        labels, scores = frame["target"].to_numpy().astype(bool), frame["score"].to_numpy().astype(np.float64)
        told = f"{len(labels):,} out-of-fold scores of the fit", f"拟合时 {len(labels):,} 个折外评分"
        return Gathered(
            kept, declared, read_findings(asked.folder), reference, labels, scores, told, *_measures(labels, scores)
        )
    return _on_file(asked, asked.file, kept, declared, reference)


def _on_file(asked: Asked, file: Path, kept: Kept, declared: Mapping[str, Any], reference: Reference) -> Gathered:
    raw = read_file(file, kept.recipe.header).rows
    rows, _ = apply_recipe(kept.recipe, raw, file.name)
    if kept.recipe.target not in raw.columns:
        raise InputError(
            "the table lacks the outcome", where=file.name, found=f"no {kept.recipe.target}",
            cure="Give a table with outcomes, or leave the file out: the scores of the fit are shown then.",
        )  # fmt: skip
    target = read_target(raw[kept.recipe.target], kept.recipe.events)
    known = np.asarray(target.known, bool)
    rows, raw, labels = rows.filter(pl.Series(known)), raw.filter(pl.Series(known)), target.labels[known]
    seen = _out_of_fold(asked.folder, file, declared, labels)
    if seen is None:
        scores = kept.model.probability(rows)
        told = f"{len(labels):,} rows of {file.name}", f"{file.name} 的 {len(labels):,} 行"
    else:
        places, scores = seen
        rows, raw, labels = rows[places], raw[places], labels[places]
        told = (
            f"{len(labels):,} rows of {file.name}, which the model was fitted on: scores are out of fold",
            f"{file.name} 的 {len(labels):,} 行（模型的拟合数据，使用折外评分）",
        )
    counts = [(one, one.count(rows[one.name])) for one in reference.inputs]
    return Gathered(
        kept, declared, read_findings(asked.folder), reference, labels, scores, told, *_measures(labels, scores),
        importances=importances(kept.model, rows, labels, asked.seed),
        score_shift=shift(reference.score, reference.score.count(scores)),
        shifts=tuple(sorted((shift(one, count) for one, count in counts), key=lambda one: -(one.psi or 0.0))),
        fairness=_fairness(asked, raw, labels, scores), approve=asked.approve,
    )  # fmt: skip


def _out_of_fold(
    folder: Path, file: Path, declared: Mapping[str, Any], labels: NDArray[np.bool_]
) -> tuple[NDArray[np.intp], NDArray[np.float64]] | None:
    """Places and scores of the rows that were tested, where this is the very file that the model was fitted on: its own
    scores of these rows would flatter it. None where it is another file.

    Raises
    ------
    InputError : it is, and rows were left out of the fit, so that scores cannot be given to rows
    """
    with file.open("rb") as content:
        digest = "sha256:" + hashlib.file_digest(content, "sha256").hexdigest()
    if digest != declared.get("card", {}).get("data_digest"):
        return None
    frame = pl.read_csv(BytesIO(_content(folder, SCORES)))
    places = frame["row"].to_numpy().astype(np.intp) - 1
    fits = not len(places) or int(places.max()) < len(labels)
    if not fits or not (labels[places] == frame["target"].to_numpy().astype(bool)).all():
        raise InputError(
            "the rows of the fit cannot be told from this file", where=file.name,
            found=f"{len(labels)} rows with outcomes", allowed=f"those of {SCORES}",
            cure="Leave the file out, or give a later one.",
        )  # fmt: skip
    return places, frame["score"].to_numpy().astype(np.float64)


def _measures(labels: NDArray[np.bool_], scores: NDArray[np.float64]) -> tuple[Separation, Calibration, list[GainBand]]:
    found, calibrated = separation(labels, scores), calibration(labels, scores)
    if found is None or calibrated is None:
        raise InputError(
            "there is nothing to measure", where="report", found=f"{int(labels.sum())} events of {len(labels)} rows",
            allowed="rows of both kinds", cure="Give a table with outcomes of both kinds.",
        )  # fmt: skip
    return found, calibrated, gain_table(labels, scores)


def importances(model: Fitted, rows: pl.DataFrame, labels: NDArray[np.bool_], seed: int) -> tuple[Importance, ...]:
    """The inputs by what they add, the greatest first; on at most SAMPLE_MAX rows, drawn by the seed.

    The contribution is the mean distance of an input's log-odds from their own mean. The fall is that of AUC where the
    input's values are shuffled among the rows (L. Breiman, Machine Learning 45, 2001); inputs that stand for one
    another hide each other's fall.
    """
    drawn = np.random.default_rng(seed)
    if len(labels) > SAMPLE_MAX:
        places = np.sort(drawn.choice(len(labels), SAMPLE_MAX, replace=False))
        rows, labels = rows[places], labels[places]
    parts = model.contributions(rows)
    spread = np.abs(parts - parts.mean(axis=0)).mean(axis=0)
    whole = auc_roc(labels, model.probability(rows))
    found = []
    for at, column in enumerate(model.columns):
        shuffled = rows.with_columns(rows[column.name].gather(drawn.permutation(len(labels))))
        fall = whole - auc_roc(labels, model.probability(shuffled))
        found.append(Importance(column.name, float(spread[at]), fall))
    return tuple(sorted(found, key=lambda one: -one.contribution))


def _fairness(
    asked: Asked, raw: pl.DataFrame, labels: NDArray[np.bool_], scores: NDArray[np.float64]
) -> tuple[Fairness, ...]:
    if not asked.groups:
        return ()
    if not 0.0 < asked.approve < 1.0:
        raise InputError(
            "a share of approvals lies between 0 and 1", where="--approve", found=f"{asked.approve:g}", allowed="(0, 1)"
        )
    cut = float(np.quantile(scores, asked.approve))
    approved = scores <= cut
    columns = {one.partition("=")[0]: _attribute(raw, one) for one in asked.groups}
    groups: list[Groups] = [groups_of(name, series) for name, series in columns.items()]
    if len(columns) > 1:
        groups.append(intersections(columns))
    return tuple(Fairness(impacts(one, approved, scores), errors(one, approved, labels, scores)) for one in groups)


def _attribute(raw: pl.DataFrame, asked: str) -> pl.Series:
    name, sign, bounds = asked.partition("=")
    if name not in raw.columns:
        raise NotFound(
            "there is no such column", where="--group", found=name, allowed=", ".join(raw.columns[:40]),
            cure="Correct the name.",
        )  # fmt: skip
    if not sign:
        return raw[name].cast(pl.String)
    try:
        edges = sorted(float(one) for one in bounds.split(","))
    except ValueError:
        raise InputError(
            "the bounds of a group are no numbers", where="--group", found=asked, allowed="COLUMN or COLUMN=25,60"
        ) from None
    return banded(raw[name].cast(pl.String).str.strip_chars().cast(pl.Float64, strict=False), edges)


def _content(folder: Path, name: str) -> bytes:
    path = folder / name
    if not path.is_file():
        raise NotFound(
            "the folder of the model lacks a file", where=str(folder), found=f"no {name}",
            cure="Give the folder that `quanheng models fit --out` wrote.",
        )  # fmt: skip
    return path.read_bytes()
