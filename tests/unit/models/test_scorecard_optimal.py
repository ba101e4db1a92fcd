"""The second opinion on cuts: a process of its own, its errors, and what it says where optbinning is installed."""

from __future__ import annotations

import io
import json
import os

import numpy as np
import polars as pl
import pytest

from quanheng.kernel.errors import InputError, MissingExtra
from quanheng.models.scorecard import optimal
from quanheng.models.scorecard.binning import BinRules, bin_column
from quanheng.models.table import Column


def test_without_optbinning_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    said = optimal.subprocess.CompletedProcess([], 0, '{"absent": "no module"}\n', "")
    monkeypatch.setattr(optimal.subprocess, "run", lambda *_, **__: said)
    with pytest.raises(MissingExtra, match="a second opinion on bins needs the package 'optbinning'"):
        optimal.optimal_splits([1.0, 2.0], [True, False])


def test_what_the_process_says_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    said = optimal.subprocess.CompletedProcess([], 0, '{"error": "ValueError: y must be binary"}\n', "")
    monkeypatch.setattr(optimal.subprocess, "run", lambda *_, **__: said)
    with pytest.raises(InputError, match="optbinning gave no cuts; was ValueError: y must be binary"):
        optimal.optimal_splits([1.0, 2.0], [True, True])


def test_a_process_that_takes_too_long_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    def late(*_: object, **__: object) -> None:
        raise optimal.subprocess.TimeoutExpired("python", 62)

    monkeypatch.setattr(optimal.subprocess, "run", late)
    with pytest.raises(InputError, match="no answer in time; was 62 s"):
        optimal.optimal_splits([1.0, 2.0], [True, False], time_limit_s=1)


def test_an_interpreter_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(optimal.ENVIRONMENT, "/no/such/python")
    with pytest.raises(InputError, match="optbinning in /no/such/python: the interpreter does not run"):
        optimal.optimal_splits([1.0, 2.0], [True, False])


def test_the_worker_answers_one_line() -> None:
    out = io.StringIO()
    asked = dict(zip(optimal.FIELDS, ([1.0, 2.0], [True, False], "auto", 3, 0.05, 5, False), strict=True))
    optimal.main(io.StringIO(json.dumps(asked)), out)
    assert set(json.loads(out.getvalue())) & {"absent", "splits", "error"}


@pytest.mark.skipif(optimal.ENVIRONMENT not in os.environ, reason="QUANHENG_OPTBINNING names no interpreter")
@pytest.mark.parametrize("trend", ["ascending", "peak"])
def test_our_cut_is_worth_what_optbinnings_is(trend: str) -> None:
    rng = np.random.default_rng(2)
    x = np.round(rng.random(4000), 2)
    y = rng.random(4000) < np.where(trend == "peak", 0.1 + 0.4 * np.sin(np.pi * x), 0.1 + 0.4 * x)
    theirs = optimal.optimal_splits(x.tolist(), y.tolist(), trend=trend, bins_max=6, share_min=0.05)
    rules = BinRules(trend=trend, bins_max=6, share_min=0.05, fine_bins=100)  # type: ignore[arg-type]
    ours = bin_column(Column(name="x", kind="number"), pl.Series(x), y, rules)
    assert ours.information_value >= theirs["value"] - 1e-9 or ours.information_value > 0.98 * theirs["value"]
