"""Reasons of a refusal: what pushed most, related inputs once, ties by order, nothing that spoke for the applicant."""

from __future__ import annotations

import numpy as np
import pytest

from quanheng.kernel.errors import InputError
from quanheng.models.explanation import Factor, factor_pushes, principal_reasons, reasons_of, reference_of

FACTORS = (
    Factor("late", {"en": "Payments were late", "zh": "存在逾期"}, (0, 1)),
    Factor("income", {"en": "Income is low", "zh": "收入偏低"}, (2,)),
    Factor("young", {"en": "The account is new", "zh": "开户时间短"}, (3,)),
)


def test_related_inputs_are_one_reason_and_what_helped_is_none():
    found = reasons_of(np.array([0.3, 0.3, 0.5, -2.0]), FACTORS)
    assert [one.code for one in found] == ["late", "income"]
    assert found[0].push == pytest.approx(0.6)
    assert sum(one.share for one in found) == pytest.approx(1.0)
    assert found[0].title["zh"] == "存在逾期"


def test_ties_are_told_in_the_order_of_the_factors():
    assert [one.code for one in reasons_of(np.array([0.25, 0.25, 0.5, 0.5]), FACTORS, most=2)] == ["late", "income"]


def test_a_reference_moves_what_counts():
    reference = np.array([0.0, 0.0, 0.6, -1.0])
    assert [one.code for one in reasons_of(np.array([0.1, 0.0, 0.5, -0.5]), FACTORS, reference)] == ["young", "late"]


def test_the_reference_is_the_mean_of_those_just_approved():
    parts = np.array([[1.0], [3.0], [9.0]])
    assert reference_of(parts, np.array([-1.0, -1.2, 2.0]), cutoff=-1.0, within=0.5).tolist() == [2.0]
    with pytest.raises(InputError, match="nobody was approved so near to the cut-off"):
        reference_of(parts, np.array([0.0, 1.0, 2.0]), cutoff=-1.0, within=0.5)


def test_a_batch_gives_what_each_row_gives():
    parts = np.random.default_rng(1).normal(size=(200, 4)).round(1)
    places = principal_reasons(factor_pushes(parts, FACTORS))
    for row, one in zip(parts, places, strict=True):
        assert [FACTORS[at].code for at in one if at >= 0] == [reason.code for reason in reasons_of(row, FACTORS)]


@pytest.mark.parametrize(
    "factors",
    [(), (FACTORS[0], FACTORS[0]), (Factor("x", {"en": "only English"}, (0,)),), (FACTORS[2]._replace(inputs=(9,)),)],
)
def test_factors_that_do_not_fit_are_refused(factors):
    with pytest.raises(InputError, match="the factors of a notice do not fit the contributions"):
        factor_pushes(np.zeros((1, 4)), factors)


def test_numbers_that_cannot_be_weighed_are_refused():
    with pytest.raises(InputError, match="cannot be weighed against their reference"):
        reasons_of(np.array([np.nan, 0, 0, 0]), FACTORS)
    with pytest.raises(InputError, match=r"a reference of shape \(2,\)"):
        reasons_of(np.zeros(4), FACTORS, np.zeros(2))
    with pytest.raises(InputError, match="so many reasons do not help; was 5; allowed: 1 to 4"):
        reasons_of(np.zeros(4), FACTORS, most=5)
