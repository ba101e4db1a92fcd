"""Assumptions of the commands as structs, and rows of their tables as what the formulas take."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from quanheng.kernel.errors import InputError
from quanheng.models.credit.capital import Kind, capital_share
from quanheng.models.credit.concentration import RULES, Base, Concentration, Dimension, Holding, Limit, concentration
from quanheng.models.credit.default_curves import hazards_of_pd
from quanheng.models.credit.expected_loss import ExpectedLoss, Scenario, expected_loss
from quanheng.models.credit.exposure import annuity, line
from quanheng.models.credit.loss_given_default import Recovery, loss_given_default
from quanheng.models.credit.price import PriceTerms, funding_curve
from quanheng.models.credit.reading import Field, read_rows
from quanheng.models.credit.segment_cells import Economics, Segment
from quanheng.models.credit.segment_choice import Constraints

LOSS_FIELDS = (
    Field("name", str), Field("principal_minor", int), Field("rate", float), Field("months", int),
    Field("pd_12m", float), Field("lgd", float, None), Field("stage", int, 1), Field("cpr", float, 0.0),
    Field("limit_minor", int, 0), Field("ccf", float, 0.0), Field("cure_rate", float, 0.0),
    Field("collateral_minor", int, 0), Field("haircut", float, 0.0), Field("collateral_months", float, 0.0),
    Field("unsecured_rate", float, 0.0), Field("unsecured_months", float, 0.0), Field("cost_rate", float, 0.0),
)  # fmt: skip
PRICE_FIELDS = (
    Field("name", str), Field("principal_minor", int), Field("months", int), Field("pd_12m", float),
    Field("lgd", float), Field("capital", float, None), Field("cpr", float, 0.0), Field("acquisition_minor", int, 0),
    Field("fee_minor", int, 0), Field("prepayment_fee", float, 0.0),
)  # fmt: skip
SEGMENT_FIELDS = (
    Field("name", str), Field("applicants", int), Field("pd", float), Field("lgd", float), Field("take_up", float),
    Field("utilisation", float), Field("ccf", float, 0.0), Field("price_reference", float, 0.0),
    Field("price_slope", float, 0.0), Field("adverse", float, 0.0), Field("region", str, ""),
    Field("industry", str, ""), Field("product", str, ""), Field("group", str, ""),
)  # fmt: skip
HOLDING_FIELDS = (
    Field("borrower", str), Field("exposure_minor", int), Field("group", str, ""), Field("region", str, ""),
    Field("industry", str, ""), Field("loan_minor", int, None),
)  # fmt: skip


class ScenarioRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`Scenario` as a table of TOML."""

    name: str
    weight: float
    log_odds: float = 0.0
    lgd_times: float = 1.0


class LossAssumptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """hazard_shape : of `hazards_of_pd`; scenario : none = the base alone."""

    hazard_shape: float = 1.0
    scenario: tuple[ScenarioRow, ...] = (ScenarioRow("base", 1.0),)


class PriceAssumptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """funding : month -> rate of a year; floor, cap, step : of the rate that is offered."""

    funding: dict[int, float]
    target_return: float
    tax: float = 0.0
    operating_rate: float = 0.0
    operating_month_minor: int = 0
    hazard_shape: float = 1.0
    capital_kind: Kind = "retail"
    floor: Decimal = Decimal(0)
    cap: Decimal = Decimal(10)
    step: Decimal = Decimal("0.0001")


class LimitAssumptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """limits_minor, prices : what may be offered; frontier : bounds of the loss rate to try besides."""

    limits_minor: tuple[int, ...]
    prices: tuple[Decimal, ...]
    economics: Economics
    constraints: Constraints = Constraints()
    frontier: tuple[float, ...] = ()


class LimitRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A limit of the lender itself, besides the rules."""

    dimension: Dimension
    share: Decimal
    base: Base = "book"


class ConcentrationAssumptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """rules : basel, china or none; sums of capital in minor units."""

    rules: str = "none"
    tier1_minor: int | None = None
    net_capital_minor: int | None = None
    limit: tuple[LimitRow, ...] = ()


def losses(file: Path, assumed: LossAssumptions) -> list[tuple[str, ExpectedLoss]]:
    """Expected loss of each row: a loan, or a line where `limit_minor` is more than what is drawn.

    A row without `lgd` has that of its collateral and recovery.

    Raises
    ------
    InputError : a cell or a figure is not what it can be
    """
    scenarios = [Scenario(one.name, one.weight, one.log_odds, one.lgd_times) for one in assumed.scenario]
    return [(row["name"], _loss(row, assumed, scenarios)) for row in read_rows(file, LOSS_FIELDS)]


def _loss(row: dict[str, Any], assumed: LossAssumptions, scenarios: list[Scenario]) -> ExpectedLoss:
    principal, rate, months = row["principal_minor"], row["rate"], row["months"]
    if row["limit_minor"] > principal:
        exposure = line(principal, row["limit_minor"], row["ccf"], rate, months)
    else:
        exposure = annuity(principal, rate, months)
    lgd = row["lgd"]
    if lgd is None:
        recovery = Recovery(**{name: row[name] for name in Recovery._fields})
        lgd = loss_given_default(recovery, exposure.at_default(), exposure.rate_month)
    hazards = hazards_of_pd(row["pd_12m"], months, assumed.hazard_shape)
    return expected_loss(exposure, hazards, lgd, row["stage"], scenarios, row["cpr"])


def priced(file: Path, assumed: PriceAssumptions) -> list[tuple[str, PriceTerms]]:
    """Terms of each row; without `capital` it is that of `capital_share` for its PD and LGD.

    Raises
    ------
    InputError : a cell or a figure is not what it can be
    """
    return [(row["name"], _terms(row, assumed)) for row in read_rows(file, PRICE_FIELDS)]


def _terms(row: dict[str, Any], assumed: PriceAssumptions) -> PriceTerms:
    share = row["capital"]
    return PriceTerms(
        principal_minor=row["principal_minor"],
        months=row["months"],
        pd_hazards=hazards_of_pd(row["pd_12m"], row["months"], assumed.hazard_shape),
        lgd=row["lgd"],
        capital=capital_share(row["pd_12m"], row["lgd"], assumed.capital_kind) if share is None else share,
        funding=funding_curve(assumed.funding, row["months"]),
        target_return=assumed.target_return,
        tax=assumed.tax,
        cpr=row["cpr"],
        operating_rate=assumed.operating_rate,
        operating_month_minor=assumed.operating_month_minor,
        acquisition_minor=row["acquisition_minor"],
        fee_minor=row["fee_minor"],
        prepayment_fee=row["prepayment_fee"],
    )


def segments(file: Path) -> list[Segment]:
    """A segment for each row."""
    return [Segment(**row) for row in read_rows(file, SEGMENT_FIELDS)]


def spread(file: Path, assumed: ConcentrationAssumptions) -> Concentration:
    """Concentration of the rows under the rules and the lender's own limits.

    Raises
    ------
    InputError : rules that are not known, or a limit whose base is not told
    """
    if assumed.rules != "none" and assumed.rules not in RULES:
        raise InputError(
            "there are no such rules of concentration", where="rules", found=assumed.rules,
            allowed=", ".join([*RULES, "none"]), cure="Correct the name.",
        )  # fmt: skip
    limits = [
        *RULES.get(assumed.rules, ()),
        *(Limit(one.dimension, one.share, one.base, "own") for one in assumed.limit),
    ]
    told: dict[Base, int | None] = {"tier1": assumed.tier1_minor, "net_capital": assumed.net_capital_minor}
    holdings = [Holding(**row) for row in read_rows(file, HOLDING_FIELDS)]
    return concentration(holdings, limits, {name: sum_ for name, sum_ in told.items() if sum_ is not None})
