"""Limits and prices of segments: cells by hand, plans by hand, what cannot be, and the table that is written."""

from __future__ import annotations

import builtins
from decimal import Decimal

import pytest

from quanheng.decisions.dmn import compile_decision, read_model
from quanheng.kernel.errors import InputError, MissingExtra
from quanheng.models.credit.capital import capital_share
from quanheng.models.credit.segment_cells import DECLINE, Cell, Economics, Segment, cells_of
from quanheng.models.credit.segment_choice import Constraints, choose, frontier
from quanheng.models.credit.segment_dmn import emit_plan

pytest.importorskip("scipy", reason="the extra `models` is not installed")
FREE = Economics(funding=0.05, target_return=0.05, account_minor=1_000)


def segment(name="a", **changes):
    given = {"applicants": 100, "pd": 0.1, "lgd": 0.5, "take_up": 0.5, "utilisation": 0.6}
    return Segment(name=name, **{**given, **changes})


def cell(limit, profit, loss=0, exposure=0, capital=0):
    return Cell(limit, Decimal("0.1"), 1.0, exposure, loss, capital, profit)


def test_a_cell_by_hand():
    # 50 of 100 accept; 600 of 1,000 drawn, half of the rest by default: 800 owed, 5 percent of it lost = 40.
    # 600 * (0.25 - 0.05) - 10.00 - 40 = 70 each; capital costs what debt does.
    one = segment(ccf=0.5)
    declined, found = cells_of(one, [100_000], [Decimal("0.25")], FREE)
    assert declined == DECLINE
    assert found.accounts == pytest.approx(50)
    assert (found.exposure_minor, found.loss_minor) == (4_000_000, 200_000)
    assert found.profit_minor == 50 * (12_000 - 1_000 - 4_000)
    assert found.capital_minor == round(4_000_000 * capital_share(0.1, 0.5))


def test_a_price_above_the_reference_scares_off_the_better_ones():
    # Two points above, half a log-odds each: odds of 1 become e**-1. PD: odds 1/9 times e.
    one = segment(price_reference=0.1, price_slope=0.5, adverse=0.5)
    found = cells_of(one, [100_000], [Decimal("0.12")], FREE)[1]
    odds, pd_odds = 2.718281828**-1, 2.718281828 / 9
    assert found.accounts == pytest.approx(100 * odds / (1 + odds))
    assert found.loss_minor == pytest.approx(found.accounts * 60_000 * 0.5 * pd_odds / (1 + pd_odds), abs=1)


SEGMENTS = [segment("good", region="east", group="x"), segment("poor", region="west", group="y")]
CELLS = [
    [DECLINE, cell(10, 100, 1, 100, 8), cell(20, 180, 4, 200, 16)],
    [DECLINE, cell(10, 50, 10, 100, 10), cell(20, 90, 24, 200, 20)],
]


@pytest.mark.parametrize(
    ("constraints", "limits"),
    [
        (Constraints(), [20, 20]),
        (Constraints(loss_rate_max=0.05), [20, 10]),
        (Constraints(loss_rate_max=0.02), [20, 0]),
        (Constraints(capital_max_minor=20), [20, 0]),
        (Constraints(capital_max_minor=18), [20, 0]),
        (Constraints(capital_max_minor=26), [20, 10]),
        (Constraints(exposure_max_minor={"region=east": 150, "region=west": 99}), [10, 0]),
        (Constraints(capital_max_minor=18, approval_rate_min=1.0), [10, 10]),
        (Constraints(capital_max_minor=18, fairness_min=0.8), [10, 10]),
        (Constraints(loss_rate_max=0.0), [0, 0]),
        (Constraints(price_max=0.05), [0, 0]),
    ],
)
def test_plans_by_hand(constraints, limits):
    plan = choose(SEGMENTS, CELLS, constraints)
    assert [one.limit_minor for one in plan.chosen] == limits
    assert plan.profit_minor == sum(one.profit_minor for one in plan.chosen)
    assert plan.approval_rate == sum(limit > 0 for limit in limits) / 2
    assert choose(SEGMENTS, CELLS, constraints) == plan


def test_shadow_prices_by_hand():
    # Relaxed, 20 of capital: all of the first (180 for 16), then 4 of 10 of the second at 50: 5 a unit.
    plan = choose(SEGMENTS, CELLS, Constraints(capital_max_minor=20, exposure_max_minor={"region=east": 500}))
    assert plan.shadow_prices == pytest.approx({"capital_max_minor": 5.0, "exposure_max_minor region=east": 0.0})
    assert choose(SEGMENTS, CELLS, Constraints()).shadow_prices == {}


def test_the_frontier_gives_profit_for_loss():
    found = frontier(SEGMENTS, CELLS, Constraints(approval_rate_min=0.5), [0.0, 0.02, 0.05, 0.1])
    assert [plan and plan.profit_minor for _, plan in found] == [None, 180, 230, 270]
    with pytest.raises(InputError, match="loss_rate_max: the figure is outside of what it can be"):
        frontier(SEGMENTS, CELLS, Constraints(), [2.0])


@pytest.mark.parametrize(
    ("segments", "constraints", "text"),
    [
        (
            SEGMENTS, Constraints(loss_rate_max=0.05, capital_max_minor=5, approval_rate_min=0.5, price_max=0.3),
            r"no choice of limits and prices meets all constraints; was capital_max_minor, approval_rate_min cannot",
        ),
        (
            SEGMENTS, Constraints(price_max=0.01, approval_rate_min=0.5),
            r"was approval_rate_min cannot be met\. Loosen",
        ),
        (SEGMENTS, Constraints(exposure_max_minor={"colour=red": 1}), r"a bound of exposure names no segment"),
        (SEGMENTS, Constraints(exposure_max_minor={"region=north": 1}), r"was region=north"),
        ([SEGMENTS[0], SEGMENTS[0]], Constraints(), r"two segments have one name"),
        ([], Constraints(), r"there are no applicants to choose for"),
    ],
)  # fmt: skip
def test_what_cannot_be_chosen_is_explained(segments, constraints, text):
    with pytest.raises(InputError, match=text):
        choose(segments, CELLS[: len(segments)], constraints)


def test_figures_of_a_segment_are_checked():
    with pytest.raises(InputError, match=r"segment a: take_up: the figure is outside"):
        cells_of(segment(take_up=1.5), [1], [Decimal(0)], FREE)
    with pytest.raises(InputError, match=r"limit_minor: the figure is outside"):
        cells_of(segment(), [0], [Decimal(0)], FREE)


def test_a_plan_as_a_dmn_table():
    segments = [segment('the "good" & <old>'), segment("poor")]
    policy = compile_decision(read_model(emit_plan(segments, [cell(20, 1), DECLINE]), "limits"), "offer")
    asked = [policy((one.name,)) for one in segments]
    assert [one.result for one in asked] == [
        {"limit_minor": 20, "price": Decimal("0.1")}, {"limit_minor": 0, "price": Decimal(0)},
    ]  # fmt: skip
    assert policy(("unknown",)).result is None


def test_without_scipy_it_is_told_how_to_get_it(monkeypatch):
    real = builtins.__import__

    def missing(name, *rest):
        if name.startswith("scipy"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(MissingExtra, match=r"choosing limits and prices needs the package 'scipy'"):
        choose(SEGMENTS, CELLS, Constraints())
