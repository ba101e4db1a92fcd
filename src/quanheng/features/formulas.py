"""Formulas: FEEL over folds and event fields, computed in columns of float64 for models and policies.

The same code serves one live event (arrays of length 1) and a whole history, so live and backfilled values
are bit-equal. Null is NaN.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from math import isnan
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class CompiledFormula(NamedTuple):
    """name : as declared; decimals : digits a policy sees; uses : names it reads; compute : columns in, column out."""

    name: str
    decimals: int
    uses: tuple[str, ...]
    compute: Callable[[Mapping[str, Floats]], Floats]


class Formulas:
    """The formulas of one pack that can be computed for one event type, in an order that can be computed.

    Parameters
    ----------
    declared : (name, FEEL text, decimals) in declared order, which no formula reads ahead of
    available : names of folds and numeric event fields that are known before formulas
    """

    def __init__(self, declared: Iterable[tuple[str, str, int, Sequence[str]]], available: Iterable[str]) -> None:
        from quanheng.feel.columns import compile_columns

        known = set(available)
        self.formulas: list[CompiledFormula] = []
        for name, feel, decimals, uses in declared:
            if known.issuperset(uses):
                self.formulas.append(
                    CompiledFormula(name, decimals, tuple(uses), compile_columns(feel, sorted(uses), name, finite=True))
                )
                known.add(name)
        self.names = tuple(formula.name for formula in self.formulas)

    def compute(self, known: dict[str, Floats], rows: int) -> Floats:
        """Add every formula to `known` and return them as float64 (rows × formulas).

        `known` holds float64 columns without infinities: folds and event fields never give one.
        """
        matrix = np.empty((rows, len(self.formulas)))
        with np.errstate(all="ignore"):
            for index, formula in enumerate(self.formulas):
                matrix[:, index] = formula.compute(known)
                known[formula.name] = matrix[:, index]
        return matrix


def exact_column(values: Floats, decimals: int) -> list[Decimal | None]:
    """Formula values as a policy sees them: `rounded` to `decimals`, None for null."""
    listed = values.tolist()
    exact = {value: rounded(value, decimals) for value in set(listed) if not isnan(value)}  # Values repeat.
    return list(map(exact.get, listed))


def rounded(value: float, decimals: int) -> Decimal:
    """A finite float as a decimal of `decimals` digits behind the point, half-even; zero has no sign.

    Rounding is of the exact binary value, so it is the same on every machine: Python formats floats exactly.
    """
    return Decimal(f"{value + 0.0:.{decimals}f}")
