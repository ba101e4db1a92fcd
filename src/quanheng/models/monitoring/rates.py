"""How decisions are taken around a model: approval rates over time, and decisions that people turned round."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from quanheng.models.chance import Interval, two_shares, wilson


class Approval(NamedTuple):
    """Share of decisions that approved, against the reference.

    change : now - reference; z, chance : of both being equal
    """

    rows: int
    approved: int
    share: Interval
    change: float | None
    z: float
    chance: float


def approval(approved: int, rows: int, reference_approved: int, reference_rows: int) -> Approval:
    """Compare; a reference without approvals (-1) leaves the change open."""
    share = wilson(approved, rows)
    if reference_approved < 0 or not reference_rows or not rows:
        return Approval(rows, approved, share, None, 0.0, 1.0)
    z, chance = two_shares(approved, rows, reference_approved, reference_rows)
    return Approval(rows, approved, share, approved / rows - reference_approved / reference_rows, z, chance)


class Overrides(NamedTuple):
    """Decisions that a person turned round (N. Siddiqi, Credit Risk Scorecards, 2006, chapter 9: override report).

    low_side : the system declined, a person approved; high_side : the system approved, a person declined
    low_share : of the system's declines; high_share : of its approvals
    """

    rows: int
    low_side: int
    high_side: int
    share: Interval
    low_share: Interval
    high_share: Interval


def overrides(system: NDArray[np.bool_], final: NDArray[np.bool_]) -> Overrides:
    """Count them. system, final : bool[n], true = approved by the system, and in the end."""
    low, high = int((~system & final).sum()), int((system & ~final).sum())
    approvals = int(system.sum())
    return Overrides(
        len(system),
        low,
        high,
        wilson(low + high, len(system)),
        wilson(low, len(system) - approvals),
        wilson(high, approvals),
    )
