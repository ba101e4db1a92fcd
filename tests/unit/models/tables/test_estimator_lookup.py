"""Estimators are found by name: ours without installed metadata, others by their entry points."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from quanheng.kernel.errors import ConfigurationError, InputError, NotFound
from quanheng.models import estimators
from quanheng.models.logistic import LogisticEstimator


@pytest.fixture
def outside(monkeypatch):
    """Entry points of another distribution: one that works, one that does not, one that takes the name of ours."""
    points = [
        EntryPoint("theirs", "quanheng.models.logistic:LogisticEstimator", estimators.GROUP),
        EntryPoint("broken", "no_such_module:Estimator", estimators.GROUP),
        EntryPoint("logistic", "no_such_module:Estimator", estimators.GROUP),
    ]
    monkeypatch.setattr(estimators, "entry_points", lambda group: points)


def test_ours_and_theirs(outside):
    assert isinstance(estimators.make_estimator("logistic", {"strength": 0.5}), LogisticEstimator)
    assert isinstance(estimators.make_estimator("theirs"), LogisticEstimator)
    assert estimators.known_estimators() == ("scorecard", "lightgbm", "ebm", "logistic", "broken", "theirs")


def test_an_unknown_name_lists_the_known(outside):
    with pytest.raises(NotFound, match=r"--estimator: there is no such estimator; was forest; allowed: scorecard, "):
        estimators.make_estimator("forest")


def test_what_cannot_be_loaded_says_why(outside, monkeypatch):
    with pytest.raises(InputError, match=r"estimator broken: the estimator cannot be loaded; was no_such_module"):
        estimators.make_estimator("broken")
    monkeypatch.setattr(estimators, "OURS", {"ours": "quanheng.models.logistic:Nothing"})
    with pytest.raises(
        InputError, match=r"estimator ours: the estimator cannot be loaded; was quanheng.models.logistic"
    ):
        estimators.make_estimator("ours")


def test_a_setting_it_does_not_take(outside):
    with pytest.raises(
        ConfigurationError, match=r"the estimator does not take this setting; was depth; allowed: strength"
    ):
        estimators.make_estimator("logistic", {"depth": 3})


def test_directions_as_each_estimator_calls_them():
    assert estimators.direction_settings("lightgbm", {"income": -1}) == {"monotone": {"income": -1}}
    assert estimators.direction_settings("scorecard", "auto") == {"bins": {"trend": "auto"}}
    trends = estimators.direction_settings("scorecard", {"income": -1, "age": 1})
    assert trends == {"columns": {"income": {"trend": "descending"}, "age": {"trend": "ascending"}}}
