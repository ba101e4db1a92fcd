"""Log-odds as points: scaling, integers, and what is lost against a reference.

    score = offset + factor · ln(odds),  factor = pdo / ln 2,  offset = base score − factor · ln(base odds)

with odds of others to events (Siddiqi 2017, chapter 10; Thomas 2009, section 1.6; the scaling Fair Isaac made usual).
A bin that adds `x` to the log-odds of the event is worth −factor · x points.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from quanheng.kernel.errors import InputError

Floats = NDArray[np.float64]
Reference = Literal["best", "neutral", "mean"]


class Scaling(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How points are read.

    pdo : points that double the odds; base_score : at odds of `base_odds` others to one event
    spread_base : share the base out among the characteristics, so that a score is the sum of its bins alone; else it is
        a number of its own, which rounds once
    reference : against which a bin loses points: the `best` bin of its characteristic; `neutral`, what a row of average
        risk would have there (weight of evidence 0); `mean`, the average of the training rows
    """

    pdo: float = 20.0
    base_score: float = 600.0
    base_odds: float = 50.0
    spread_base: bool = False
    reference: Reference = "best"

    @property
    def factor(self) -> float:
        """Points per unit of log-odds."""
        return self.pdo / float(np.log(2.0))

    @property
    def offset(self) -> float:
        """Score at even odds."""
        return self.base_score - self.factor * float(np.log(self.base_odds))

    def check(self) -> None:
        """Refuse a scale that cannot be read.

        Raises
        ------
        InputError : no points that double the odds, no base odds, or so few points that every bin rounds to 0
        """
        if not (1 <= self.pdo <= 10_000 and self.base_odds > 0 and abs(self.base_score) <= 1_000_000):
            raise InputError(
                "the scale cannot be read",
                where="scaling",
                found=f"pdo {self.pdo:g}, base score {self.base_score:g}, base odds {self.base_odds:g}",
                allowed="pdo 1 to 10,000, base odds above 0, base score within a million",
            )

    def score(self, log_odds: Floats) -> Floats:
        """The score of log-odds of the event, not rounded."""
        return self.offset - self.factor * log_odds

    def log_odds(self, score: Floats) -> Floats:
        """Log-odds of the event that a score stands for."""
        return (self.offset - score) / self.factor


def bin_points(base: float, parts: Sequence[Floats], scaling: Scaling) -> tuple[int, tuple[NDArray[np.int64], ...]]:
    """Points of the base and of each bin, integers, rounded half to even.

    Parameters
    ----------
    base : log-odds before any input says something
    parts : per characteristic f8[bins], what each bin adds to the log-odds
    """
    start = scaling.offset - scaling.factor * base
    share = start / len(parts) if scaling.spread_base and parts else 0.0
    points = tuple(np.rint(share - scaling.factor * one).astype(np.int64) for one in parts)
    return (0 if scaling.spread_base and parts else round(start)), points


def lost_points(
    points: NDArray[np.int64], rows: NDArray[np.int64], neutral: int, reference: Reference
) -> NDArray[np.int64]:
    """What each bin of a characteristic loses against the reference, integers; below 0 = it gains.

    points, rows : of each bin; neutral : points at weight of evidence 0
    """
    if reference == "best":
        at = int(points[rows > 0].max(initial=points.min()))
    elif reference == "neutral":
        at = neutral
    else:
        at = round(float((points * rows).sum() / max(int(rows.sum()), 1)))
    return at - points
