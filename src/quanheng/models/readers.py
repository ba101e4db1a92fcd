"""Who reads a weights file and answers with it: one entry per estimator, the rest by the entry point of its maker.

An answer has the score first and then the reasons, as places in `Answering.reasons`. Inputs come as columns f8[n],
NaN = null; a choice field comes as the place of its value among the declared choices.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from quanheng.kernel.errors import InputError
from quanheng.models.estimator import Estimator
from quanheng.models.estimators import known_estimators, make_estimator
from quanheng.models.scorecard.lookup import FIRST_REASON, PROBABILITY, Lookup
from quanheng.models.scorecard.weights import read_weights
from quanheng.models.trees import MAGIC, Trees

Floats = NDArray[np.float64]

OUTPUTS = ("probability", "points")
REASONS_MAX = 4


class Asked(NamedTuple):
    """What a declaration asks of a model.

    output : one of `OUTPUTS`; decimals : of it; reasons : how many, the weightiest first
    choices : values of the inputs that are choice fields, in declared order
    """

    output: str = "probability"
    decimals: int = 4
    reasons: int = 0
    choices: Mapping[str, Sequence[str]] = {}


class Answering(NamedTuple):
    """A model that answers.

    inputs : in order of training; categories : those of them that are no numbers
    reasons : all codes it may tell
    answer : columns → f8[n, 1 + reasons asked for]; a row is answered alone
    exact : the thing itself, as the estimator's own module knows it
    """

    inputs: tuple[str, ...]
    categories: frozenset[str]
    reasons: tuple[str, ...]
    answer: Callable[[Sequence[Floats]], Floats]
    exact: Any


Reader = Callable[[bytes, Asked, str], Answering]


def reader_of(estimator: str) -> Reader | None:
    """Who reads the weights of an estimator; None = nobody here."""
    if estimator in _READERS:
        return _READERS[estimator]
    return _read_fitted(make_estimator(estimator)) if estimator in known_estimators() else None


def read_trees(content: bytes, asked: Asked, where: str) -> Answering:
    """Compiled trees: a probability, and no reasons on the hot path.

    Raises
    ------
    InputError : the bytes are no trees, or what is asked they do not give
    """
    if content[: len(MAGIC)] != MAGIC:  # Fitted on a table, with encodings of its own beside the trees.
        return _read_fitted(make_estimator("lightgbm"))(content, asked, where)
    _refuse_points(asked, where)
    trees = Trees.from_bytes(content, where)
    factor = np.float64(10**asked.decimals)

    def answer(columns: Sequence[Floats]) -> Floats:
        rows = np.empty((len(columns[0]), len(columns)))
        for at, column in enumerate(columns):
            rows[:, at] = column
        found: Floats = (np.rint(trees.probability(rows) * factor) / factor)[:, np.newaxis]
        return found

    return Answering(trees.inputs, frozenset(), (), answer, trees)


def read_scorecard(content: bytes, asked: Asked, where: str) -> Answering:
    """A scorecard's look-up: points or a probability, with reasons.

    Raises
    ------
    InputError : the bytes are no scorecard
    """
    weights = read_weights(content, where)
    points = asked.output == "points"
    lookup = Lookup(weights, asked.choices, decimals=asked.decimals, points_behind=points)
    served = slice(PROBABILITY, FIRST_REASON + asked.reasons)  # Points stand there where they are asked for.

    def answer(columns: Sequence[Floats]) -> Floats:
        return lookup.answers(np.concatenate(columns))[:, served]

    ones = [one.column for one in weights.characteristics]
    categories = frozenset(one.name for one in ones if one.kind == "category")
    return Answering(tuple(one.name for one in ones), categories, weights.reasons, answer, weights)


def _read_fitted(estimator: Estimator) -> Reader:
    """Any other estimator: its fitted model answers over a table."""

    def read(content: bytes, asked: Asked, where: str) -> Answering:
        import polars as pl

        _refuse_points(asked, where)
        fitted = estimator.read(content)
        names = tuple(one.name for one in fitted.columns)
        factor = np.float64(10**asked.decimals)
        choices = {name: [*values, None] for name, values in asked.choices.items()}

        def series(name: str, column: Floats) -> pl.Series:
            if name not in choices:
                return pl.Series(name, column, pl.Float64).fill_nan(None)
            values = choices[name]
            places = np.where(np.isnan(column), len(values) - 1, column).astype(np.intp)
            return pl.Series(name, [values[place] for place in places.tolist()], pl.String)

        def answer(columns: Sequence[Floats]) -> Floats:
            rows = pl.DataFrame([series(name, column) for name, column in zip(names, columns, strict=True)])
            found: Floats = (np.rint(fitted.probability(rows) * factor) / factor)[:, np.newaxis]
            return found

        categories = frozenset(one.name for one in fitted.columns if one.kind == "category")
        return Answering(names, categories, (), answer, fitted)

    return read


def _refuse_points(asked: Asked, where: str) -> None:
    if asked.output != "probability" or asked.reasons:
        raise InputError(
            "the estimator gives probabilities alone",
            where=where,
            found=f"output {asked.output}, {asked.reasons} reasons",
            allowed="output probability, no reasons",
            cure="Ask a scorecard for points and reasons.",
        )


_READERS: dict[str, Reader] = {"lightgbm": read_trees, "scorecard": read_scorecard}
