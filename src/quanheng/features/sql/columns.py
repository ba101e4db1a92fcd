"""A table that grows column by column, so that each intermediate value is written once in the SQL."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, TypeVar

from quanheng.features.sql.reasons import import_ibis

Value = Any
"""An Ibis value over columns of a `Columns`; Ibis finds them again in the table that has grown."""


class Columns:
    """A table, and values over it that were given a column of their own.

    Attributes
    ----------
    table : the Ibis table with all columns so far
    """

    def __init__(self, table: Any) -> None:
        self.table = table
        self._kept: dict[Hashable, Any] = {}

    def __getitem__(self, name: str) -> Value:
        return self.table[name]

    def keep(self, value: Value, name: str = "") -> Value:
        """Give a value a column."""
        name = name or f"_step{len(self.table.columns)}"
        self.table = self.table.mutate(**{name: value})
        return self[name]

    def once(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """What was made under a key, or what is made now; a single value becomes a column."""
        if key not in self._kept:
            made = make()
            self._kept[key] = made if isinstance(made, tuple) else self.keep(made)
        return self._kept[key]


def whole(number: int) -> Value:
    """An int64."""
    return import_ibis().literal(number, "int64")


Answer = TypeVar("Answer")


def stepped(
    value: Value,
    limits: Sequence[int],
    answers: Sequence[Answer],
    said: Callable[[Answer], Value] = whole,  # type: ignore[assignment]
) -> Value:
    """answers[i] where limits[i-1] <= value < limits[i]; a tree of comparisons, as deep as the logarithm.

    said : makes a value of an answer
    """
    if all(one == answers[0] for one in answers):
        return said(answers[0])
    middle = len(limits) // 2
    return import_ibis().ifelse(
        value < limits[middle],
        stepped(value, limits[:middle], answers[: middle + 1], said),
        stepped(value, limits[middle + 1 :], answers[middle + 1 :], said),
    )
