"""A side that judges whole chunks at once: the same verdicts as row by row, by the columnar engine of `decisions`."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quanheng.decisions.backtest.rows import Shape, Shapes
from quanheng.decisions.columnar import ColumnPolicy, Unfit, compile_columns
from quanheng.decisions.columnar.coded import Coded, combine
from quanheng.decisions.dmn import Model
from quanheng.decisions.policy import Judgement
from quanheng.features.formulas import rounded
from quanheng.features.kernel.words import NULL, UNKNOWN
from quanheng.features.kinds import KINDS
from quanheng.features.plan import Plan, counts_events
from quanheng.feel.types import BOOLEAN, NUMBER, STRING, FeelType
from quanheng.flows import Flow
from quanheng.past.known import Known, answers_of
from quanheng.past.lists import PastLists

DIGITS_MAX = 38
"""What a Decimal column holds."""
SPANS_MAX = 32
"""Changes of lists within a chunk beyond which it is judged row by row."""
_EMPTY: dict[FeelType, type[pl.DataType]] = {NUMBER: pl.Int64, STRING: pl.String, BOOLEAN: pl.Boolean}
"""The type of a column without a value: typed, so that it can be compared like any other."""


class NoColumn(Exception):
    """Internal: values of a chunk that no column holds exactly; the chunk is judged row by row."""


class ColumnJudge:
    """The policy of one flow over columns.

    Attributes
    ----------
    by_rows : chunks that were judged row by row, because a value did not fit a column
    """

    def __init__(self, model: Model, flow: Flow) -> None:
        self._policy: ColumnPolicy = compile_columns(model, flow.policy.decision)
        self._flow = flow
        self.by_rows = 0

    def told(self) -> dict[str, object]:
        """Which parts run over columns and which by rows, and why."""
        parts = [one._asdict() for one in self._policy.modes]
        inside = [one for one in self._policy.modes if one.mode == "rows"]
        why = f"{len(parts) - len(inside)} of {len(parts)} parts of the policy run over columns"
        if inside:
            named = "; ".join(" ".join(filter(None, (one.decision, one.part))) + f": {one.why}" for one in inside)
            why += f"; the others by rows, once per distinct combination of what they read ({named})"
        if self.by_rows:
            why += f"; {self.by_rows} chunks wholly by rows, because a value does not fit a column or lists changed"
        return {"mode": "columns", "why": why, "parts": parts}

    def shapes(self, known: Known, shapes: Shapes, lists: PastLists) -> list[int] | None:
        """Numbers of shapes, a verdict per distinct answer; None where the chunk must be judged row by row."""
        spans = lists.spans(known.rows.events) if self._flow.lists else [(0, len(known.rows))]
        try:
            if len(spans) > SPANS_MAX:
                raise NoColumn
            kinds = {one.name: one.type for one in self._policy.inputs}  # Several files may declare one input.
            columns = [input_column(known, name, kind) for name, kind in kinds.items()]
            frame = pl.DataFrame(columns) if columns else pl.DataFrame({"": [None] * len(known.rows)})
            return [number for span in spans for number in self._of(known, frame, span, shapes, lists)]
        except (NoColumn, Unfit):
            self.by_rows += 1
            return None

    def _of(
        self, known: Known, frame: pl.DataFrame, span: tuple[int, int], shapes: Shapes, lists: PastLists
    ) -> list[int]:
        """Rows during which no list changed."""
        start, stop = span
        asked = None
        if self._flow.lists:
            received = np.array(known.rows.received_ms[start:stop], np.int64)
            asked = lists.over(self._flow, known.rows.events[start], received)
        answered = self._policy.answers(frame.slice(start, stop - start), asked)
        target = next(one.result for one in answered if one.decision == self._policy.decision)
        said, codes = self._said(target)
        parts = [(codes[target.codes], len(said)), *((one.rules.codes, len(one.rules.values)) for one in answered)]
        combined = combine(parts, stop - start)
        numbers = []
        for row in combined.rows.tolist():
            matched = ((one.decision, one.rules.values[one.rules.codes[row]]) for one in answered)
            hits = tuple((name, tuple(rules)) for name, rules in matched if rules)  # type: ignore[arg-type]
            outcome, status, reasons = said[codes[target.codes[row]]]
            numbers.append(shapes.of(Shape(outcome, status, reasons, hits)))
        of_rows: list[int] = np.array(numbers, np.int64)[combined.codes].tolist()
        return of_rows

    def _said(self, result: Coded) -> tuple[list[tuple[str, str, tuple[str, ...]]], NDArray[np.int64]]:
        """The distinct outcomes with status and reasons, and for each distinct result which of them it is."""
        known: dict[tuple[str, str, tuple[str, ...]], int] = {}
        codes = []
        for value in result.values:
            opinion = self._flow.opinion(Judgement(value, ()))
            said = opinion.outcome, opinion.status, tuple(opinion.reasons)
            codes.append(known.setdefault(said, len(known)))
        return [*known], np.array(codes, np.int64)


def input_column(known: Known, name: str, kind: FeelType) -> pl.Series:
    """One input of a chunk as a column: the values of `known.column(name)`, without a Python object for each.

    Raises
    ------
    NoColumn : as `column_of`
    """
    asker = known.asker
    scope, plan = asker.scope, asker.program.plan
    digits = {one.name: one.decimals for one in scope.formulas.formulas}
    digits |= {column.name: column.decimals for column in answers_of(asker) if not column.is_text}
    if name in scope.fields:
        found = known.events.series(name) if kind in (NUMBER, STRING) else None
        if found is not None and (found.dtype == pl.String) is not (kind == STRING):
            raise NoColumn
        return column_of(name, known.column(name), kind) if found is None else found
    if name in scope.folds:
        found = _whole_fold(plan, scope.folds[name], known.raw)
        return column_of(name, known.column(name), kind) if found is None else found.alias(name)
    if name in digits:
        return _rounded(known.floats(name), digits[name]).alias(name)
    values = known.column(name)
    if len(set(map(id, values))) == 1:  # A parameter that does not change within the chunk.
        return column_of(name, values[:1], kind).new_from_index(0, len(values))
    return column_of(name, values, kind)


def _whole_fold(plan: Plan, fold: int, raw: NDArray[np.int64]) -> pl.Series | None:
    """A fold that gives whole numbers; None for quotients, floats, scaled values and a fractional value for empty."""
    declared = plan.folds[fold]
    kind, empty = KINDS[declared.fold], declared.empty_value
    if kind.answers in ("quotient", "float") or plan.scales[fold] or isinstance(empty, Decimal):
        return None
    first = next(index for index, column in enumerate(plan.columns) if column.fold == fold)
    values = raw[:, first]
    nothing = (values == NULL) | ((values == 0) & counts_events(kind))
    missing = (values == UNKNOWN) | (nothing if empty is None else np.zeros(len(values), bool))
    if empty is not None:
        values = np.where(nothing & (values != UNKNOWN), empty, values)
    return _without(pl.Series(values), missing)


def _rounded(values: NDArray[np.float64], decimals: int) -> pl.Series:
    """Floats rounded half-even to decimals, exactly as `rounded` does it one by one.

    The product with a power of ten is itself rounded; only near a tie can that change the digit, so those few, and the
    very large, go the slow way.
    """
    missing = np.isnan(values)
    scaled = np.where(missing, 0.0, values) * 10.0**decimals
    if np.abs(scaled).max(initial=0.0) >= 2.0**62:
        raise NoColumn
    steps = np.rint(scaled).astype(np.int64)
    near = np.abs(np.abs(scaled - np.floor(scaled)) - 0.5) <= np.abs(scaled) * 2.0**-50 + 2.0**-50
    for row in np.flatnonzero(near & ~missing).tolist():
        steps[row] = int(rounded(float(values[row]), decimals).scaleb(decimals))
    whole = pl.Series("", steps)
    shape = pl.Decimal(DIGITS_MAX, decimals)
    found = pl.select(pl.lit(whole).cast(shape) / pl.lit(10**decimals).cast(pl.Decimal(DIGITS_MAX, 0))).to_series()
    return _without(found.cast(shape), missing)


def _without(series: pl.Series, missing: NDArray[np.bool_]) -> pl.Series:
    """The series with null where something is missing."""
    if not missing.any():
        return series
    return series.to_frame("value").select(pl.when(~pl.lit(pl.Series(missing))).then(pl.col("value"))).to_series()


def column_of(name: str, values: Sequence[object], kind: FeelType) -> pl.Series:
    """Exact values of one input as a column.

    Raises
    ------
    NoColumn : numbers of more digits than a column holds, or values of another kind than the input takes
    """
    present = [value for value in values if value is not None]
    if not present:
        return pl.Series(name, [None] * len(values), dtype=_EMPTY.get(kind, pl.Null))  # type: ignore[call-overload]
    kinds = {value.__class__ for value in present}
    if kinds == {int} and kind == NUMBER:
        if max(map(abs, present)) >= 2**62:  # type: ignore[arg-type]
            raise NoColumn
        return pl.Series(name, values, dtype=pl.Int64)
    if kinds <= {int, Decimal} and kind == NUMBER:
        return _decimals(name, values, present)  # type: ignore[arg-type]
    if (kinds == {str} and kind == STRING) or (kinds == {bool} and kind == BOOLEAN):
        return pl.Series(name, values, dtype=pl.String if str in kinds else pl.Boolean)
    if kind in (NUMBER, STRING, BOOLEAN):
        raise NoColumn
    return pl.Series(name, values, dtype=pl.Object)


def _decimals(name: str, values: Sequence[int | Decimal | None], present: Sequence[int | Decimal]) -> pl.Series:
    """Numbers as decimals of one scale: the digits of the longest fraction."""
    distinct = {Decimal(value) for value in set(present)}
    exponents = [value.as_tuple().exponent for value in distinct]
    if not all(isinstance(one, int) for one in exponents):
        raise NoColumn
    scale = max(0, *(-one for one in exponents if isinstance(one, int)))
    whole = max(max(value.adjusted(), 0) for value in distinct) + 1
    if whole + scale > DIGITS_MAX:
        raise NoColumn
    return pl.Series(
        name, [None if one is None else Decimal(one) for one in values], dtype=pl.Decimal(DIGITS_MAX, scale)
    )
