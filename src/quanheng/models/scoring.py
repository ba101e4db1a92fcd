"""Another file scored by a model that was fitted on a table, and measured where the file has the outcome."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from quanheng.kernel.errors import InputError
from quanheng.models.fit_folder import Kept
from quanheng.models.tables.files import read_file
from quanheng.models.tables.findings import Finding, count
from quanheng.models.tables.recipe import Recipe, apply_recipe
from quanheng.models.tables.target import read_target
from quanheng.models.validation.folds import MEASURES


class Scored(NamedTuple):
    """Scores of a file.

    frame : row (from 1), score, and what each input adds where it was asked for
    mean : of the scores
    measures : where the file has the outcome
    """

    frame: pl.DataFrame
    mean: float
    measures: dict[str, float]
    findings: list[Finding]


def score_file(kept: Kept, file: Path, contributions: bool = False) -> Scored:
    """Score the rows of a file, in their order.

    Raises
    ------
    NotFound : there is no such file
    InputError : it is no table, or lacks columns that the model reads
    """
    read = read_file(file, kept.recipe.header)
    rows, findings = apply_recipe(kept.recipe, read.rows, file.name)
    scores = kept.model.probability(rows)
    columns = {"row": np.arange(1, len(scores) + 1), "score": scores}
    if contributions:
        parts = kept.model.contributions(rows)
        columns |= {column.name: parts[:, at] for at, column in enumerate(kept.model.columns)}
    measures, told = _measured(kept.recipe, read.rows, scores)
    return Scored(pl.DataFrame(columns), float(scores.mean()), measures, [*read.findings, *findings, *told])


def _measured(recipe: Recipe, raw: pl.DataFrame, scores: np.ndarray) -> tuple[dict[str, float], list[Finding]]:
    """Measures on the rows that have the outcome, spelled as in training."""
    if recipe.target not in raw.columns:
        return {}, []
    try:
        target = read_target(raw[recipe.target], recipe.events, recipe.others)
    except InputError as error:  # One kind of outcome only, or none yet: there is nothing to measure.
        return {}, [Finding(kind="target", where=recipe.target, found=str(error), done="not measured")]
    labels = target.labels[target.known]
    done = f"measured on {count(len(labels), 'row')}"
    note = Finding(kind="target", where=recipe.target, found=f"{count(int(labels.sum()), 'event')}", done=done)
    return {name: measure(labels, scores[target.known]) for name, measure in MEASURES.items()}, [note]
