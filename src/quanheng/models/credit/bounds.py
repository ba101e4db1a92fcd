"""Figures that are asked for in one place and refused in one wording."""

from __future__ import annotations

from math import isfinite

from quanheng.kernel.errors import InputError


def within(name: str, value: float, low: float, high: float) -> None:
    """Refuse a figure that is not between `low` and `high`, both allowed.

    Raises
    ------
    InputError : it is outside, or no number
    """
    if not (isfinite(value) and low <= value <= high):
        raise InputError(
            "the figure is outside of what it can be",
            where=name,
            found=f"{value:g}",
            allowed=f"{low:g} to {high:g}",
            cure="Shares and rates are fractions: 0.05 is 5 percent.",
        )
