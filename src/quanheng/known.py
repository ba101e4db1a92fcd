"""What is known about the rows of one event type at their own moments: folds, fields, formulas, sources.

What folds and sources with state knew was read while the events entered; formulas come after them. Sources without
state (models) are asked in a fixed order, each once for the whole group. What a grant withholds would be null before
formulas and sources see it, so that a score cannot leak what was withheld.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from quanheng.decisions.policy import PolicyInput
from quanheng.events.intake import EventFact, Request
from quanheng.events.schema import FieldDeclaration
from quanheng.facts import Evidence, Moments
from quanheng.features.experiments import Experiment
from quanheng.features.formulas import Formulas, exact_column, float_column, rounded
from quanheng.features.source import Batch, Source, SourceColumn
from quanheng.feel.floats import float_of
from quanheng.feel.operators import is_number
from quanheng.feel.types import BOOLEAN, NUMBER, STRING, FeelType
from quanheng.feel.values import Membership, fits
from quanheng.loading.declared import Parameter

if TYPE_CHECKING:
    from quanheng.program import Program

ExactColumn = Sequence[object]
ListsNow = Callable[[Mapping[str, tuple[str, str]]], Membership]
"""Answers `list("name")` as of the group's moment, for the lists that a flow asks ("pack.name", entity)."""


class Scope(NamedTuple):
    """What one pack knows about one event type: names in the order they are computed.

    folds, answers : name → place among the folds, and among the columns of sources with state
    choices : choice fields that sources read → place of each value, as they read it
    """

    pack: str
    folds: dict[str, int]
    answers: dict[str, int]
    fields: tuple[str, ...]
    numeric_fields: tuple[str, ...]
    formulas: Formulas
    sources: tuple[Source, ...]
    choices: Mapping[str, Mapping[object, float]] = {}


class FixedSource:
    """A source whose answers were given beforehand: golden cases fix the scores of models."""

    def __init__(self, source: Source, values: Mapping[str, Decimal | str | None]) -> None:
        self.name, self.version, self.columns = source.name, "fixed", source.columns
        self.needs: Sequence[str] = ()
        self._row = [_fixed(values.get(column.name), column) for column in source.columns]

    def read(self, batch: Batch, known: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
        """The given values for every row."""
        return np.tile(self._row, (len(batch.times), 1))


def with_fixed(scope: Scope, scores: Mapping[str, Decimal | str | None], arms: Mapping[str, str]) -> Scope:
    """A scope whose models answer the given scores, and whose experiments have one arm each (golden cases)."""
    sources = tuple(
        one.fixed(arms.get(one.name, "")) if isinstance(one, Experiment) else FixedSource(one, scores)
        for one in scope.sources
    )
    return scope._replace(sources=sources)


class Known:
    """What is known about the rows of one event type, by name: floats for sources, exact values for policies."""

    def __init__(
        self,
        program: Program,
        scopes: Sequence[Scope],
        events: Sequence[EventFact],
        batch: Batch,
        moments: Moments,
        lists: ListsNow | None = None,
    ) -> None:
        self.program, self.events, self.batch, self.lists = program, events, batch, lists
        self.raw, self._answers = moments
        self.received_ms = batch.received_ms
        self.requests: list[Request] = [event.request for event in events]
        self.span_ms = int(batch.times.min()), int(batch.times.max())
        self._folds = program.plan.floats(self.raw)
        self._named: dict[str, NDArray[np.float64]] = {}
        parts = [self._compute(scope) for scope in scopes]
        self._formulas = parts[0][0] if len(parts) == 1 else np.hstack([formulas for formulas, _ in parts])
        answers = [answer for _, sources in parts for answer in sources]
        self._sources = answers[0] if len(answers) == 1 else np.hstack([np.empty((len(events), 0)), *answers])

    def _compute(self, scope: Scope) -> tuple[NDArray[np.float64], list[NDArray[np.float64]]]:
        columns = {name: self._folds[:, index] for name, index in scope.folds.items()}
        for name in scope.numeric_fields:
            columns[name] = _float_column(self.field(name))
        for name, places in scope.choices.items():
            columns[name] = choice_column(self.field(name), places)
        answers = []
        if scope.answers:
            answers.append(self._answers[:, list(scope.answers.values())])
            columns.update({name: self._answers[:, index] for name, index in scope.answers.items()})
        formulas = scope.formulas.compute(columns, len(self.events))
        for source in scope.sources:
            answer = source.read(self.batch, columns)
            columns.update({column.name: answer[:, index] for index, column in enumerate(source.columns)})
            answers.append(answer)
        self._named.update({f"{scope.pack}.{name}": column for name, column in columns.items()})
        return formulas, answers

    def field(self, name: str) -> ExactColumn:
        """A field of the event, exact."""
        return list(map(attrgetter(f"fields.{name}"), self.events))

    def fold(self, index: int) -> ExactColumn:
        """A fold, exact: int, Decimal for a mean, None for null."""
        return self.program.exact.column(self.raw, index)

    def formula(self, name: str, decimals: int) -> Sequence[Decimal | None]:
        """A formula (pack.name), rounded to its declared decimals."""
        return exact_column(self._named[name], decimals)

    def answer(self, name: str, column: SourceColumn) -> ExactColumn:
        """A column of a source (pack.name), as a decimal of its declared digits, or as its text."""
        return seen_column(self._named[name], column)

    def formula_floats(self, name: str, decimals: int) -> ExactColumn:
        """The values of `formula` or `answer` as the floats that stand for them, NaN for null."""
        return float_column(self._named[name], decimals)

    def evidence(self) -> list[Evidence]:
        """What was known of each row, as bytes."""
        vector, formulas, sources = self.raw.tobytes(), self._formulas.tobytes(), self._sources.tobytes()
        v, f, s = self.raw.shape[1] * 8, self._formulas.shape[1] * 8, self._sources.shape[1] * 8
        return [
            Evidence(vector[i * v : (i + 1) * v], formulas[i * f : (i + 1) * f], sources[i * s : (i + 1) * s])
            for i in range(len(self.events))
        ]


def seen_column(values: NDArray[np.float64], column: SourceColumn) -> ExactColumn:
    """A column of a source as a policy sees it, None for NaN."""
    if column.is_text:
        return [None if np.isnan(value) else column.words[int(value)] for value in values.tolist()]
    return exact_column(values, column.decimals)


def choice_column(values: ExactColumn, places: Mapping[object, float]) -> NDArray[np.float64]:
    """A choice field as sources read it: the place of each value among the declared choices, NaN for null."""
    return np.array([places.get(value, np.nan) for value in values], np.float64)


def _fixed(value: Decimal | str | None, column: SourceColumn) -> float:
    if value is None or isinstance(value, str):
        return float(column.words.index(value)) if value in column.words else np.nan
    return float(value)


def decimal_of(value: float, decimals: int) -> Decimal | None:
    """A source's answer as a policy sees it; None for NaN."""
    return None if np.isnan(value) else rounded(value, decimals)


def _float_column(values: Sequence[object]) -> NDArray[np.float64]:
    return np.array([np.nan if value is None else value for value in values], np.float64)


FIELD_TYPES: Mapping[str, FeelType] = {
    "key": STRING, "text": STRING, "choice": STRING, "integer": NUMBER, "decimal": NUMBER, "time": NUMBER,
    "boolean": BOOLEAN,
}  # fmt: skip
"""What a policy sees of a field, by its kind."""


def certain(
    inputs: Sequence[PolicyInput],
    parameters: Sequence[Parameter],
    scope: Scope,
    fields: Mapping[str, FieldDeclaration],
) -> list[str]:
    """Inputs of a policy whose values are of their type by construction: fields, which intake has checked, folds, and
    parameters of that type."""
    values = {one.name: [value.value for value in one.values] for one in parameters}

    def holds(name: str, kind: FeelType) -> bool:
        if name in scope.fields:
            return FIELD_TYPES[fields[name].kind] is kind
        if name in scope.folds:
            return kind is NUMBER
        simple = kind in (NUMBER, STRING, BOOLEAN) and name in values
        return simple and all(fits(value, kind) for value in values[name])

    return [one.name for one in inputs if holds(one.name, one.type)]


def bounds_as_floats(parameters: Sequence[Parameter]) -> list[str]:
    """Parameters of which every value is a number that a float stands for."""
    return [
        one.name
        for one in parameters
        if all(is_number(value.value) and float_of(value.value) is not None for value in one.values)  # type: ignore[arg-type]
    ]


def parameter_getter(parameter: Parameter, clock: str, as_float: bool = False) -> Callable[[Known], ExactColumn]:
    """The value of a parameter in force at each row, by the flow's clock; None before its first date.

    `as_float` : as the floats that stand for its values, which are numbers.
    """
    starts = [value.from_ms for value in parameter.values]
    values: list[object] = [list(one.value) if isinstance(one.value, tuple) else one.value for one in parameter.values]
    if as_float:
        values = [float_of(value) for value in values]  # type: ignore[arg-type]

    def at(time_ms: int) -> object:
        index = bisect_right(starts, time_ms) - 1
        return values[index] if index >= 0 else None

    def in_force(known: Known) -> list[object]:
        rows = len(known.events)
        if clock != "event":
            return [at(known.received_ms)] * rows
        earliest, latest = known.span_ms
        if bisect_right(starts, earliest) == bisect_right(starts, latest):  # No change within this group.
            return [at(earliest)] * rows
        return [at(event.time_ms) for event in known.events]

    return in_force
