"""What fits a table and what comes of it: the protocols that scorecards, trees and estimators from outside implement.

A distribution adds an estimator under the entry point group `quanheng.estimators` (name = the maker, a callable that
takes the settings as keywords). `quanheng.testing.estimator_kit` tries the laws:

* The same table, settings and seed give the same bytes, in another process too.
* `probability` of a row does not depend on the rows beside it; it is in [0, 1] and never NaN, whatever is missing.
* A category or a number that training never saw is answered, not refused.
* `base + contributions.sum(axis=1)` is the log-odds of `probability`, to 1e-9 (1e-6 where the library sums in float32).
* `read(to_bytes())` answers bit for bit what the fitted object answers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from quanheng.models.table import Column, Table

if TYPE_CHECKING:
    import polars as pl

Progress = Callable[[str, int, int], None]
"""Told (stage, done, of) while it works."""


@runtime_checkable
class Fitted(Protocol):
    """A model in memory.

    estimator : the name under which `read` finds who reads its bytes
    columns : inputs in order; rows given to it hold at least these, by name
    """

    @property
    def estimator(self) -> str:
        """The name of what fitted it."""
        ...

    @property
    def columns(self) -> Sequence[Column]:
        """The inputs, in order."""
        ...

    @property
    def base(self) -> float:
        """Log-odds before any input says something."""
        ...

    def probability(self, rows: pl.DataFrame) -> NDArray[np.float64]:
        """f8[n]: the probability of the event for each row."""
        ...

    def contributions(self, rows: pl.DataFrame) -> NDArray[np.float64]:
        """f8[n, inputs]: what each input adds to the log-odds."""
        ...

    def to_bytes(self) -> bytes:
        """The weights file; the same model gives the same bytes."""
        ...


class Estimator(Protocol):
    """Settings, ready to fit."""

    @property
    def name(self) -> str:
        """`scorecard`, `lightgbm`, …: as `[model] estimator` has it."""
        ...

    def fit(self, table: Table, seed: int, progress: Progress | None = None) -> Fitted:
        """Fit on a table.

        Raises
        ------
        InputError : nothing to learn from: one kind of target, no usable column
        MissingExtra : a library it needs is not installed
        """
        ...

    def read(self, content: bytes) -> Fitted:
        """The model of a weights file that this estimator wrote.

        Raises
        ------
        InputError : the bytes are no such file
        """
        ...
