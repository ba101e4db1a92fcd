"""Boosted trees and explainable boosting keep the laws of estimators."""

from __future__ import annotations

from functools import partial

import pytest

from quanheng.models.boosting.ebm import EbmEstimator
from quanheng.models.boosting.lightgbm_fit import LightgbmEstimator
from quanheng.testing import estimator_kit

pytest.importorskip("lightgbm", reason="the extra `models` is not installed")
pytest.importorskip("interpret", reason="the extra `models` is not installed")

MAKERS = {
    "lightgbm": partial(LightgbmEstimator, rounds_max=200, averaged=2),
    "lightgbm monotone": partial(LightgbmEstimator, monotone={"income": -1, "since": -1}, rounds_max=200, averaged=1),
    "ebm": partial(EbmEstimator, bags=2, pairs=2, rounds_max=200),
    "ebm monotone": partial(EbmEstimator, monotone={"since": -1}, bags=1, pairs=1, rounds_max=200),
}


@pytest.mark.parametrize("check", estimator_kit.CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", MAKERS)
def test_the_laws_hold(name, check):
    check(MAKERS[name])
