"""A limit and a price for each segment: the most profit that the constraints of the portfolio allow.

A mixed integer programme: one binary variable for each cell of each segment, exactly one of them chosen, every
constraint a linear sum of cells. Solved by HiGHS (Q. Huangfu and J. A. J. Hall, 2018) to no gap; shadow prices are
those of its linear relaxation. The same input gives the same choice.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from quanheng.kernel.errors import InputError, MissingExtra
from quanheng.models.credit.bounds import within
from quanheng.models.credit.segment_cells import Cell, Segment

INFEASIBLE = 2
"""Status of scipy.optimize.milp and linprog for a problem without a solution."""


class Constraints(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of the portfolio; what is left out does not bind.

    loss_rate_max : expected loss over exposure; approval_rate_min : applicants of segments not declined, over all
    exposure_max_minor : "region=east" -> most exposure there (region, industry or product)
    fairness_min : approval rate of any group over that of any other, such as 0.8
    """

    loss_rate_max: float | None = None
    capital_max_minor: int | None = None
    exposure_max_minor: dict[str, int] = {}
    approval_rate_min: float | None = None
    price_max: float | None = None
    fairness_min: float | None = None


class Row(NamedTuple):
    """The sum of `parts` (one for each cell) is at most `most`."""

    name: str
    parts: NDArray[np.float64]
    most: float


class Plan(NamedTuple):
    """What was chosen.

    chosen : a cell for each segment, in their order
    shadow_prices : constraint -> profit in minor units that one unit more of it would allow (of the relaxation)
    """

    chosen: tuple[Cell, ...]
    profit_minor: int
    loss_minor: int
    exposure_minor: int
    capital_minor: int
    approval_rate: float
    shadow_prices: dict[str, float]


def choose(segments: Sequence[Segment], cells: Sequence[Sequence[Cell]], constraints: Constraints) -> Plan:
    """The plan with the most expected profit.

    cells : those of each segment (`cells_of`); the ones over `price_max` are not looked at

    Raises
    ------
    InputError : no plan meets the constraints (it names a smallest set of them that cannot be met together), no
        segment, two of one name, or a bound that names nothing
    MissingExtra : SciPy is not installed
    """
    optimize = _scipy()
    offered = [[one for one in each if _allowed(one, constraints)] for each in cells]
    if not segments or sum(one.applicants for one in segments) == 0:
        raise InputError("there are no applicants to choose for", where="segments", cure="Give one segment or more.")
    if len({one.name for one in segments}) < len(segments):
        raise InputError("two segments have one name", where="segments", cure="Name each segment once.")
    rows = rows_of(segments, offered, constraints)
    profit = np.array([float(cell.profit_minor) for each in offered for cell in each])
    sizes = [len(each) for each in offered]
    result = _solve(optimize, profit, sizes, rows)
    if result.status == INFEASIBLE:
        broken = ", ".join(_conflict(optimize, sizes, rows))
        raise InputError(
            "no choice of limits and prices meets all constraints",
            where="constraints",
            found=f"{broken} cannot be met together" if "," in broken else f"{broken} cannot be met",
            cure="Loosen one of them, or offer lower limits or other prices.",
        )
    picked = [int(np.argmax(part)) for part in np.split(result.x, np.cumsum(sizes)[:-1])]
    chosen = tuple(each[at] for each, at in zip(offered, picked, strict=True))
    applicants = sum(one.applicants for one in segments)
    approved = sum(one.applicants for one, cell in zip(segments, chosen, strict=True) if cell.limit_minor)
    return Plan(
        chosen,
        profit_minor=sum(one.profit_minor for one in chosen),
        loss_minor=sum(one.loss_minor for one in chosen),
        exposure_minor=sum(one.exposure_minor for one in chosen),
        capital_minor=sum(one.capital_minor for one in chosen),
        approval_rate=approved / applicants,
        shadow_prices=_shadow_prices(optimize, profit, sizes, rows),
    )


def frontier(
    segments: Sequence[Segment],
    cells: Sequence[Sequence[Cell]],
    constraints: Constraints,
    loss_rates: Sequence[float],
) -> list[tuple[float, Plan | None]]:
    """The best plan at each bound of the loss rate; None where there is none."""
    found: list[tuple[float, Plan | None]] = []
    for rate in loss_rates:
        try:
            plan = choose(segments, cells, msgspec.structs.replace(constraints, loss_rate_max=rate))
        except InputError as error:
            if error.where != "constraints":
                raise
            found.append((rate, None))
        else:
            found.append((rate, plan))
    return found


def rows_of(segments: Sequence[Segment], cells: Sequence[Sequence[Cell]], constraints: Constraints) -> list[Row]:
    """The constraints as linear rows over all cells, those of the first segment first.

    Raises
    ------
    InputError : a bound outside of what it can be, or one that names no segment
    """
    flat = [(segment, cell) for segment, each in zip(segments, cells, strict=True) for cell in each]
    rows: list[Row] = []
    if constraints.loss_rate_max is not None:
        within("loss_rate_max", constraints.loss_rate_max, 0.0, 1.0)
        parts = [one.loss_minor - constraints.loss_rate_max * one.exposure_minor for _, one in flat]
        rows.append(Row("loss_rate_max", np.array(parts), 0.0))
    if constraints.capital_max_minor is not None:
        within("capital_max_minor", constraints.capital_max_minor, 0, 2**62)
        capital = np.array([float(one.capital_minor) for _, one in flat])
        rows.append(Row("capital_max_minor", capital, float(constraints.capital_max_minor)))
    for name, most in constraints.exposure_max_minor.items():
        within(f"exposure_max_minor {name}", most, 0, 2**62)
        inside = _named(name, segments)
        exposure = [float(cell.exposure_minor) if segment.name in inside else 0.0 for segment, cell in flat]
        rows.append(Row(f"exposure_max_minor {name}", np.array(exposure), float(most)))
    approved = np.array([segment.applicants * float(cell.limit_minor > 0) for segment, cell in flat])
    if constraints.approval_rate_min is not None:
        within("approval_rate_min", constraints.approval_rate_min, 0.0, 1.0)
        least = constraints.approval_rate_min * sum(one.applicants for one in segments)
        rows.append(Row("approval_rate_min", -approved, -least))
    if constraints.fairness_min is not None:
        within("fairness_min", constraints.fairness_min, 0.0, 1.0)
        rows += _fairness(segments, [one.group for one, _ in flat], approved, constraints.fairness_min)
    return rows


def _fairness(segments: Sequence[Segment], groups: list[str], approved: NDArray[np.float64], least: float) -> list[Row]:
    counts: dict[str, int] = {}
    for one in segments:
        counts[one.group] = counts.get(one.group, 0) + one.applicants
    shares = {
        group: np.where(np.array(groups) == group, approved, 0.0) / count for group, count in counts.items() if count
    }
    return [
        Row(f"fairness_min {one} to {other}", least * shares[other] - shares[one], 0.0)
        for one in shares
        for other in shares
        if one != other
    ]


def _named(name: str, segments: Sequence[Segment]) -> set[str]:
    dimension, _, value = name.partition("=")
    known = dimension in ("region", "industry", "product")
    inside = {one.name for one in segments if known and getattr(one, dimension) == value}
    if not inside:
        raise InputError(
            "a bound of exposure names no segment",
            where="exposure_max_minor",
            found=name,
            allowed="region=…, industry=… or product=… of a segment",
            cure="Correct the name.",
        )
    return inside


def _allowed(cell: Cell, constraints: Constraints) -> bool:
    return constraints.price_max is None or float(cell.price) <= constraints.price_max


def _solve(optimize: ModuleType, profit: NDArray[np.float64], sizes: list[int], rows: Sequence[Row]) -> Any:
    count = len(profit)
    matrix, most = _scaled(rows, count)
    one_each = _one_each(sizes)
    limits = [optimize.LinearConstraint(one_each, 1, 1)]
    if rows:
        limits.append(optimize.LinearConstraint(matrix, -np.inf, most))
    scale = max(float(np.abs(profit).max()), 1.0)
    return optimize.milp(
        -profit / scale, constraints=limits, integrality=np.ones(count), bounds=optimize.Bounds(0, 1),
        options={"mip_rel_gap": 0.0},
    )  # fmt: skip


def _conflict(optimize: ModuleType, sizes: list[int], rows: Sequence[Row]) -> list[str]:
    """Names of a smallest set of rows without a solution: leave out each in turn, and keep it out if none appears."""
    kept, nothing = list(rows), np.zeros(sum(sizes))
    for row in rows:
        less = [one for one in kept if one is not row]
        if _solve(optimize, nothing, sizes, less).status == INFEASIBLE:
            kept = less
    return [one.name for one in kept]


def _shadow_prices(
    optimize: ModuleType, profit: NDArray[np.float64], sizes: list[int], rows: Sequence[Row]
) -> dict[str, float]:
    if not rows:
        return {}
    scale = max(float(np.abs(profit).max()), 1.0)
    matrix, most = _scaled(rows, len(profit))
    relaxed = optimize.linprog(
        -profit / scale, A_ub=matrix, b_ub=most, A_eq=_one_each(sizes), b_eq=np.ones(len(sizes)), bounds=(0, 1),
        method="highs",
    )  # fmt: skip
    marginals = -np.asarray(relaxed.ineqlin.marginals) * scale
    return {row.name: float(value / _scale_of(row)) + 0.0 for row, value in zip(rows, marginals, strict=True)}


def _scale_of(row: Row) -> float:
    """HiGHS meets a row within 1e-7 absolutely: rows of money are brought to the size of one."""
    return max(float(np.abs(row.parts).max(initial=0.0)), abs(row.most)) or 1.0


def _scaled(rows: Sequence[Row], count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    matrix = np.array([one.parts / _scale_of(one) for one in rows]).reshape(len(rows), count)
    return matrix, np.array([one.most / _scale_of(one) for one in rows])


def _one_each(sizes: list[int]) -> NDArray[np.float64]:
    found = np.zeros((len(sizes), sum(sizes)))
    for at, (end, size) in enumerate(zip(np.cumsum(sizes), sizes, strict=True)):
        found[at, end - size : end] = 1.0
    return found


def _scipy() -> ModuleType:
    try:
        from scipy import optimize
    except ImportError:
        raise MissingExtra("scipy", "models", "choosing limits and prices") from None
    found: ModuleType = optimize
    return found
