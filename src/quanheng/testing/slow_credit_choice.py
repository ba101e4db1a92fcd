"""Twin of the choice of limits and prices: every combination of cells is tried."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import product

from quanheng.models.credit.segment_cells import Cell, Segment
from quanheng.models.credit.segment_choice import Constraints


def slow_profit(
    segments: Sequence[Segment], cells: Sequence[Sequence[Cell]], constraints: Constraints, slack: float = 0.0
) -> int | None:
    """The most profit of all combinations that meet the constraints; None where none does.

    slack : how far a bound may be exceeded, as a part of the largest figure in it
    """
    kept = [combination for combination in product(*cells) if _meets(segments, combination, constraints, slack)]
    return max((sum(one.profit_minor for one in combination) for combination in kept), default=None)


def _meets(segments: Sequence[Segment], chosen: Sequence[Cell], bounds: Constraints, slack: float) -> bool:
    more = 1.0 + slack
    pairs = list(zip(segments, chosen, strict=True))
    exposure, loss = sum(one.exposure_minor for one in chosen), sum(one.loss_minor for one in chosen)
    if bounds.price_max is not None and any(float(one.price) > bounds.price_max for one in chosen):
        return False
    if bounds.loss_rate_max is not None and loss > bounds.loss_rate_max * exposure + slack * exposure:
        return False
    capital = sum(one.capital_minor for one in chosen)
    if bounds.capital_max_minor is not None and capital > bounds.capital_max_minor * more:
        return False
    for name, most in bounds.exposure_max_minor.items():
        dimension, _, value = name.partition("=")
        if sum(cell.exposure_minor for one, cell in pairs if getattr(one, dimension) == value) > most * more:
            return False
    if bounds.approval_rate_min is not None:
        approved = sum(one.applicants for one, cell in pairs if cell.limit_minor)
        if approved < bounds.approval_rate_min * sum(one.applicants for one in segments) * (1.0 - slack):
            return False
    if bounds.fairness_min is None:
        return True
    groups = {one.group for one in segments if one.applicants}
    rates = [
        Fraction(
            sum(one.applicants for one, cell in pairs if one.group == group and cell.limit_minor),
            sum(one.applicants for one in segments if one.group == group),
        )
        for group in groups
    ]
    return min(rates) >= Fraction(bounds.fairness_min) * max(rates) - Fraction(slack)
