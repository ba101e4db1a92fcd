"""Formulas: FEEL over folds and event fields, computed in columns of float64 for models and policies.

The same code serves one live event (arrays of length 1) and a whole history, so live and backfilled values
are bit-equal. Null is NaN.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from itertools import repeat
from math import isnan
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from quanheng.feel.floats import float_of

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
    """Floats as a policy sees them: `rounded` to `decimals`, None for null (NaN).

    What the float product shows to lie far from a half is rounded by it; the rest by the exact binary value.
    """
    whole, far = _rounded_far(values, decimals)
    units = np.where(far, whole, 0).astype(np.int64).tolist()
    column: list[Decimal | None] = list(map(_of_units, units, repeat(decimals)))
    for row in np.flatnonzero(~far).tolist():
        value = float(values[row])
        column[row] = None if isnan(value) else rounded(value, decimals)
    return column


def float_column(values: Floats, decimals: int) -> list[float | Decimal]:
    """What `exact_column` gives, each as the float that stands for it (`feel/floats.py`); NaN for null.

    Where no float stands for it (beyond 15 digits, or infinite) it stays a decimal.
    """
    whole, far = _rounded_far(values, decimals)
    column: list[float | Decimal] = (whole / np.float64(10**decimals)).tolist()  # Both exact, so the nearest float.
    for row in np.flatnonzero(~far & ~np.isnan(values)).tolist():
        number = rounded(float(values[row]), decimals)
        column[row] = number if (found := float_of(number)) is None else found
    return column


def _rounded_far(values: Floats, decimals: int) -> tuple[Floats, NDArray[np.bool_]]:
    """Values in units of their last digit, rounded; and where that is beyond doubt: far from a half, not too large."""
    with np.errstate(all="ignore"):
        scaled = values * np.float64(10**decimals)
        whole = np.rint(scaled)
        return whole, (np.abs(np.abs(scaled - whole) - 0.5) > HALF_MARGIN) & (np.abs(whole) < WHOLE_MAX)


HALF_MARGIN, WHOLE_MAX = 1e-3, 2.0**40
"""The product is off by less than 2**-13 below `WHOLE_MAX`: a value further than the margin from a half is safe."""


@lru_cache(maxsize=65_536)
def _of_units(units: int, decimals: int) -> Decimal:
    """`units` x 10**-decimals. Values repeat, so the newest are kept."""
    return Decimal(units).scaleb(-decimals)


def rounded(value: float, decimals: int) -> Decimal:
    """A finite float as a decimal of `decimals` digits behind the point, half-even; zero has no sign.

    Rounding is of the exact binary value, so it is the same on every machine: Python formats floats exactly.
    """
    exact = Decimal(f"{value:.{decimals}f}")
    return exact if exact else abs(exact)
