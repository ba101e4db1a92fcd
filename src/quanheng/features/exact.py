"""Fold columns as policies see them: exact, a whole group at a time."""

from __future__ import annotations

from decimal import Context, Decimal

import numpy as np
from numpy.typing import NDArray

from quanheng.features.kernel.words import NULL, UNKNOWN
from quanheng.features.kinds import KINDS
from quanheng.features.plan import Plan, counts_events

Exact = int | Decimal | None
_DIVIDE = Context(prec=34).divide  # 34 digits, half-even, as FEEL.


class ExactColumns:
    """Turns raw columns of a plan into exact values, equal to `plan.exact` row by row."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        firsts: dict[int, int] = {}
        for index, column in enumerate(plan.columns):
            firsts.setdefault(column.fold, index)
        self._first = [firsts[fold] for fold in range(len(plan.folds))]
        self._kinds = [KINDS[fold.fold] for fold in plan.folds]

    def column(self, raw: NDArray[np.int64], fold: int) -> list[Exact]:
        """Values of one fold for every row: int, Decimal for scaled fields, quotients and floats, None for null.

        Parameters
        ----------
        raw : int64 (n × plan columns)
        fold : number of the fold in the plan
        """
        declared, kind = self._plan.folds[fold], self._kinds[fold]
        if self._plan.scales[fold] or kind.answers == "float":
            return [self._plan.exact(row, fold) for row in raw]
        values: list[int] = raw[:, self._first[fold]].tolist()
        empty = declared.empty_value
        if kind.answers == "quotient":
            counts: list[int] = raw[:, self._first[fold] + 1].tolist()
            return [
                None
                if UNKNOWN in {value, count}
                else empty
                if value == NULL or count in {0, NULL}
                else _DIVIDE(Decimal(value), count)
                for value, count in zip(values, counts, strict=True)
            ]
        if counts_events(kind):
            if empty == 0 and raw[:, self._first[fold]].min(initial=0) >= 0:  # Nothing unknown: the usual case.
                return [*values]
            return [None if value == UNKNOWN else value or empty for value in values]
        return [None if value == UNKNOWN else empty if value == NULL else value for value in values]
