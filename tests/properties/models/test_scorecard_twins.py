"""Scorecards against plain twins: the best cut by trying all cuts, the look-up by reading bins, the DMN model."""

from __future__ import annotations

import math
from decimal import Decimal
from itertools import combinations

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.models.scorecard_sample import applicants, lender

from quanheng.decisions.dmn import compile_decision, read_model
from quanheng.models.scorecard.dmn import emit_dmn, input_names
from quanheng.models.scorecard.fine_bins import short_between
from quanheng.models.scorecard.partition import EQUAL, TRENDS, Limits, best_cut, value_of_cut
from quanheng.models.scorecard.weights import ScoredBin

CARD = lender().fit(applicants(1500), 1)
POLICY = compile_decision(read_model(emit_dmn(CARD.weights), "scorecard"), "score")

counts = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=1, max_size=8)
limits = st.builds(
    Limits,
    st.integers(1, 5),
    st.integers(1, 25),
    st.integers(1, 4),
    st.integers(1, 4),
    st.sampled_from([0.0, 0.1, 0.5]),
)


def allowed(events: np.ndarray, others: np.ndarray, starts: tuple[int, ...], trend: str, least: Limits) -> bool:
    """Whether a cut keeps the rules, straight from their words."""
    e, o = np.add.reduceat(events, starts), np.add.reduceat(others, starts)
    if (e + o < least.rows_min).any() or (e < max(least.events_min, 1)).any() or (o < max(least.others_min, 1)).any():
        return False
    woe = np.log(o / others.sum()) - np.log(e / events.sum())
    steps, step = np.diff(woe), max(least.woe_step_min, EQUAL)
    if (np.abs(steps) < step).any():
        return False
    rises = (steps < 0).tolist()  # Of the event rate.
    first = {"ascending": True, "peak": True, "descending": False, "valley": False}.get(trend)
    if first is None:
        return True
    turns = [at for at, one in enumerate(rises) if one is not first]
    if trend in ("ascending", "descending"):
        return not turns
    return not turns or all(one is not first for one in rises[turns[0] :])


@settings(max_examples=80, deadline=None)
@given(counts, st.sampled_from(TRENDS), limits)
def test_the_cut_is_the_best_of_all_cuts(pairs: list[tuple[int, int]], trend: str, least: Limits) -> None:
    events, others = (np.array(one, np.int64) for one in zip(*pairs, strict=True))
    found = best_cut(events, others, trend, least)
    best = 0.0
    if events.sum() and others.sum():
        for bins in range(2, min(least.bins_max, len(events)) + 1):
            for inner in combinations(range(1, len(events)), bins - 1):
                if allowed(events, others, (0, *inner), trend, least):
                    best = max(best, value_of_cut(events, others, (0, *inner)))
    if len(found.starts) > 1:
        assert allowed(events, others, found.starts, trend, least)
        assert abs(value_of_cut(events, others, found.starts) - best) < 1e-9
    else:
        assert best < 1e-9


numbers = st.one_of(
    st.none(), st.sampled_from([-1.0, 0.0, 1.0, 2.0, 0.31]), st.floats(-5, 100).map(lambda x: round(x, 2))
)
rows = st.fixed_dictionaries(
    {
        "utilisation": numbers, "late_payments": numbers, "years_at_job": numbers,
        "housing": st.one_of(st.none(), st.sampled_from(["own", "rent", "family", "other", "castle", '"quoted"\n'])),
    }
)  # fmt: skip


def holds(bin: ScoredBin, value: object, known: tuple[str, ...], specials: list[float | None]) -> bool:
    """Whether a bin takes a value, straight from its words."""
    if value is None or bin.kind == "missing":
        return value is None and bin.kind == "missing"
    if bin.kind == "categories":
        return value in bin.values
    if bin.kind == "other":
        return value not in known
    if bin.kind == "special":
        return value == bin.special
    assert isinstance(value, float)
    inside = (bin.low is None or value >= bin.low) and (bin.high is None or value < bin.high)
    return inside and value not in specials


def plainly(row: dict[str, object]) -> tuple[int, float, list[str]]:
    """Points, probability and reasons of one row, read from the bins."""
    points, log_odds, lost = CARD.weights.base_points, CARD.base, dict[str, int]()
    for one in CARD.weights.characteristics:
        specials = [bin.special for bin in one.bins if bin.kind == "special"]
        (bin,) = [bin for bin in one.bins if holds(bin, row[one.column.name], one.categories, specials)]
        points, log_odds = points + bin.points, log_odds + bin.log_odds
        lost[bin.reason] = max(lost.get(bin.reason, 0), bin.lost)
    codes = sorted((code for code in lost if lost[code] > 0), key=lambda code: -lost[code])
    return points, float(1 / (1 + np.exp(-log_odds))), codes[:4]


@settings(max_examples=120, deadline=None)
@given(st.lists(rows, min_size=1, max_size=6))
def test_the_look_up_and_the_dmn_model_equal_the_bins(given_rows: list[dict[str, object]]) -> None:
    schema = {name: pl.String if name == "housing" else pl.Float64 for name in given_rows[0]}
    frame = pl.DataFrame(given_rows, schema=schema)
    points, chances, reasons = CARD.points(frame), CARD.probability(frame), CARD.reasons(frame)
    column_of = {name: column for column, name in input_names(CARD.weights).items()}
    for at, row in enumerate(given_rows):
        want, chance, codes = plainly(row)
        assert points[at] == want
        assert math.isclose(chances[at], chance, rel_tol=1e-14)
        assert chances[at] == CARD.probability(frame[at : at + 1])[0]
        assert reasons[at] == codes
        values = [row[column_of[one.name]] for one in POLICY.inputs]
        exact = [Decimal(repr(value)) if isinstance(value, float) else value for value in values]
        assert POLICY(tuple(exact)).result == want


@given(st.floats(-1e9, 1e9), st.floats(-1e9, 1e9))
def test_a_short_cut_stands_between(a: float, b: float) -> None:
    low, high = sorted((a, b))
    if low < high:
        assert low < short_between(low, high) <= high
