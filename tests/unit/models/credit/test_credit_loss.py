"""Expected loss against tables worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from quanheng.kernel.errors import InputError
from quanheng.models.credit.capital import asset_correlation, capital_share
from quanheng.models.credit.default_curves import (
    hazards_of_matrix,
    hazards_of_pd,
    hazards_of_vintages,
    marginal,
    shifted,
    survival,
    transition_matrix,
)
from quanheng.models.credit.expected_loss import Scenario, expected_loss
from quanheng.models.credit.exposure import annuity, course, line, of_schedule, prepaid_month
from quanheng.models.credit.loss_given_default import Recovery, loss_given_default


def test_a_constant_hazard_gives_the_pd_of_twelve_months():
    hazards = hazards_of_pd(0.12, 24)
    assert hazards == pytest.approx(1 - 0.88 ** (1 / 12))
    assert survival(hazards)[[12, 24]] == pytest.approx([0.88, 0.88**2])
    assert marginal(hazards).sum() + survival(hazards)[-1] == pytest.approx(1)


@pytest.mark.parametrize("shape", [0.5, 1.0, 2.0])
def test_every_shape_has_the_pd_of_twelve_months(shape):
    hazards = hazards_of_pd(0.3, 36, shape)
    assert survival(hazards)[12] == pytest.approx(0.7)
    assert np.sign(np.diff(hazards)).tolist() == [np.sign(round(shape - 1, 3))] * 35 or shape == 1.0


@pytest.mark.parametrize(("pd", "expected"), [(0.0, [0, 0, 0]), (1.0, [1, 1, 1])])
def test_a_pd_of_nought_and_one(pd, expected):
    assert hazards_of_pd(pd, 3).tolist() == expected


def test_log_odds_by_hand():
    # Odds of 0.2 are 1 to 4; times 2 they are 1 to 2.
    assert shifted(np.array([0.0, 0.2, 1.0]), np.log(2)) == pytest.approx([0, 1 / 3, 1])


def test_a_matrix_by_hand():
    matrix = transition_matrix(np.array([[90, 10, 0], [50, 25, 25], [0, 0, 0]]))
    assert matrix.tolist() == [[0.9, 0.1, 0], [0.5, 0.25, 0.25], [0, 0, 1]]
    # From the first bucket: none in month 1, 0.1 * 0.25 in month 2, (0.9 * 0.1 + 0.1 * 0.25) * 0.25 of all in month 3.
    assert marginal(hazards_of_matrix(matrix, 0, 3)) == pytest.approx([0, 0.025, 0.02875])
    smoothed = transition_matrix(np.array([[1, 0], [0, 0]]), smoothing=2)
    assert smoothed.tolist() == [[2 / 3, 1 / 3], [0, 1]]
    assert hazards_of_matrix(matrix, 2, 2).tolist() == [1, 1]


def test_vintages_by_hand():
    # Two vintages of 100 and 50 loans; the younger has been seen for one month.
    found = hazards_of_vintages(np.array([100, 50]), np.array([[2, 7, 0], [1, 0, 0]]), np.array([2, 1]))
    assert found == pytest.approx([3 / 150, 7 / 98, 7 / 98])


@pytest.mark.parametrize(
    ("kind", "pd", "lgd", "weight"),
    [
        ("corporate", 0.0003, 0.45, 14.44), ("corporate", 0.01, 0.45, 92.32), ("corporate", 0.2, 0.45, 238.23),
        ("mortgage", 0.01, 0.45, 56.40), ("mortgage", 0.05, 0.25, 82.35),
        ("retail", 0.01, 0.45, 45.77), ("retail", 0.05, 0.85, 125.45),
        ("revolving", 0.05, 0.85, 103.41), ("revolving", 0.01, 0.45, 17.22),
    ],
)  # fmt: skip
def test_risk_weights_of_the_published_table(kind, pd, lgd, weight):
    """Basel II (2006), annex 5, illustrative risk weights in percent, M = 2.5: capital * 12.5."""
    assert capital_share(pd, lgd, kind) * 1250 == pytest.approx(weight, abs=0.005)


def test_capital_at_the_ends():
    assert capital_share(0.0, 0.45) == capital_share(1.0, 0.45) == capital_share(0.02, 0.0) == 0
    assert asset_correlation(0.0, "corporate") == pytest.approx(0.24)
    assert asset_correlation(1.0, "retail") == pytest.approx(0.03)


def test_an_annuity_by_hand():
    # 1,200 at 1 percent a month in two instalments of 609.02: 1,200 -> 602.98... -> 0.
    found = annuity(120_000, 0.12, 2)
    assert found.balances == pytest.approx([120_000, 120_000 * 1.01 - 120_000 * 0.01 / (1 - 1.01**-2), 0])
    assert annuity(90, 0.0, 3).balances.tolist() == [90, 60, 30, 0]
    assert of_schedule([10, 20, 30], 0.01).balances.tolist() == [60, 50, 30, 0]
    assert line(400, 1_000, 0.5, 0.12, 2).balances.tolist() == [700, 700, 0]
    assert line(400, 300, 0.5, 0.12, 1).balances.tolist() == [400, 0]


def test_a_course_by_hand():
    # CPR 1 - 0.75 ** 12 is a quarter a month. Month 1: 0.2 default, 0.2 repay early, 0.6 go on.
    assert prepaid_month(1 - 0.75**12) == pytest.approx(0.25)
    found = course(np.array([0.2, 0.5]), 1 - 0.75**12)
    assert found.starting == pytest.approx([1, 0.6])
    assert found.defaulting == pytest.approx([0.2, 0.3])
    assert found.prepaying == pytest.approx([0.2, 0.075])


def test_a_recovery_by_hand():
    # Of 1,000: 600 of collateral less a tenth = 540 after 1 month at 8 percent: 500. Of 460 a quarter: 115.
    # 615 less a fifth of cost = 492 back; 508 lost; half of all defaults cure.
    recovery = Recovery(0.5, 600, 0.1, 1, 0.25, 0, 0.2)
    assert loss_given_default(recovery, np.array([1_000.0, 0.0]), 0.08) == pytest.approx([0.254, 0])
    assert loss_given_default(Recovery(collateral_minor=2_000), np.array([1_000.0]), 0.08).tolist() == [0]
    assert loss_given_default(Recovery(), np.array([1_000.0]), 0.08).tolist() == [1]


def test_a_loss_by_hand():
    # Zero rate, 3,000 in three parts, a tenth of those left default each month, LGD a half.
    # Month 1: .1 * 3000; month 2: .09 * 2000; month 3: .081 * 1000; halved: 150 + 90 + 40.5.
    hazards = np.full(3, 0.1)
    found = expected_loss(annuity(3_000, 0.0, 3), hazards, 0.5)
    assert found.lifetime_minor == found.twelve_months_minor == 280  # Half to even.
    assert expected_loss(annuity(300_000, 0.0, 3), hazards, 0.5).lifetime_minor == 28_050
    # At a rate: exposure is principal and interest, discounted at the same rate: month 1 counts as without one.
    assert expected_loss(annuity(300_000, 0.24, 1), hazards[:1], 0.5).stage_minor == 15_000


def test_stages_and_scenarios_by_hand():
    exposure = of_schedule([0] * 23 + [1_000_000], 0.0)
    hazards = np.concatenate((np.zeros(11), [0.2], np.zeros(11), [0.5]))
    by_stage = [expected_loss(exposure, hazards, 0.4, stage) for stage in (1, 2, 3)]
    assert [one.stage_minor for one in by_stage] == [80_000, 80_000 + 160_000, 400_000]
    # Odds doubled: 1/3 and 2/3: 400,000 / 3 and 400,000 * 2/3 * 2/3. LGD times 3 is at most 1.
    half = (Scenario("base", 0.5), Scenario("down", 0.25, np.log(2)), Scenario("loss", 0.25, 0.0, 3.0))
    found = expected_loss(exposure, hazards, 0.4, 2, half)
    assert found.by_scenario == {"base": (80_000, 240_000), "down": (133_333, 311_111), "loss": (200_000, 600_000)}
    assert found.lifetime_minor == round(120_000 + 311_111.111 / 4 + 150_000)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: hazards_of_pd(1.5, 12), r"pd_12m: the figure is outside of what it can be; was 1.5; allowed: 0 to 1"),
        (lambda: hazards_of_pd(float("nan"), 12), r"the figure is outside of what it can be; was nan"),
        (lambda: hazards_of_pd(0.1, 0), r"months: the figure is outside"),
        (lambda: transition_matrix(np.zeros((2, 3))), r"counts of rolls must be a square of numbers from 0"),
        (lambda: transition_matrix(np.zeros((2, 2))), r"counts\[0\]: nobody was ever in this bucket"),
        (
            lambda: hazards_of_vintages(np.array([1]), np.array([[2]]), np.array([1])),
            r"the vintages do not count loans and their defaults",
        ),
        (lambda: of_schedule([5, -1], 0.0), r"principal that falls due cannot be negative; was -1"),
        (lambda: annuity(100, -0.1, 3), r"rate: the figure is outside"),
        (
            lambda: expected_loss(annuity(100, 0.1, 3), np.zeros(2), 0.5),
            r"the hazards and the schedule have different months; was 2; allowed: 3",
        ),
        (lambda: expected_loss(annuity(100, 0.1, 1), np.zeros(1), 1.5), r"lgd: the figure is outside"),
        (
            lambda: expected_loss(annuity(100, 0.1, 1), np.zeros(1), 0.5, 1, [Scenario("a", 0.5)]),
            r"scenarios need a name each and weights that sum to 1",
        ),
    ],
)
def test_what_cannot_be_is_refused(call, text):
    with pytest.raises(InputError, match=text):
        call()
