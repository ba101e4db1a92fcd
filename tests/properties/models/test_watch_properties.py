"""Watching a model does not depend on how its decisions come in chunks, and finds what a plain twin counts."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from quanheng.models.monitoring.reference import Strength, reference_of
from quanheng.models.monitoring.ripening import NEVER_MS
from quanheng.models.monitoring.thresholds import Monitoring
from quanheng.models.monitoring.watch import Scored, Watch
from quanheng.models.table import Column

DAY_MS = 86_400_000
MONITORING = Monitoring(window="7d", rows_least=1, events_least=1)

decision = st.tuples(
    st.integers(0, 27),  # day
    st.one_of(st.just(float("nan")), st.floats(0, 1)),  # score
    st.one_of(st.just(float("nan")), st.integers(0, 5).map(float)),  # input
    st.booleans(),  # approved
    st.one_of(st.none(), st.integers(0, 20)),  # days until it was reported
)


def reference():
    values = np.array([0.0, 1, 1, 2, 3, 4, np.nan])
    rows = pl.DataFrame({"x": pl.Series(values).fill_nan(None)})
    scores = np.linspace(0, 1, 7)
    strength = Strength(0.7, 0.4, 50, 100)
    names = {"model": "m", "weights": "w", "source": "s"}
    return reference_of(rows, scores, [Column(name="x", kind="number")], strength=strength, approved=4, **names)


def scored(rows, first=0):
    days, scores, values, approved, _ = zip(*rows, strict=True) if rows else ((), (), (), (), ())
    ids = [f"d{first + at}".encode() for at in range(len(rows))]
    return Scored(
        np.array(days, np.int64) * DAY_MS, np.array(scores, np.float64), {"x": np.array(values, np.float64)},
        np.array(approved, bool), ids, ids,
    )  # fmt: skip


def told(rows, cuts, now_day=35):
    watch = Watch(reference(), MONITORING, 10 * DAY_MS)
    edges = [0, *sorted(cuts), len(rows)]
    for start, stop in pairwise(edges):
        if start < stop:
            watch.add(scored(rows[start:stop], start))
    labels = {f"d{at}".encode(): (one[0] + one[4]) * DAY_MS for at, one in enumerate(rows) if one[4] is not None}
    return watch.tell(labels, now_day * DAY_MS, {b"d0": True})


@given(st.lists(decision, min_size=1, max_size=40), st.data())
@settings(max_examples=60, deadline=None)
def test_chunks_do_not_matter(rows, data):
    cuts = data.draw(st.lists(st.integers(0, len(rows)), max_size=4))
    assert repr(told(rows, [])) == repr(told(rows, cuts))


@given(st.lists(decision, min_size=1, max_size=40), st.integers(5, 45))
@settings(max_examples=60, deadline=None)
def test_rows_events_and_censoring_are_those_of_the_plain_twin(rows, now):
    found = told(rows, [], now)
    for period, cohort in zip(found.periods, found.performance, strict=True):
        week = period.start_ms // (7 * DAY_MS)
        mine = [one for one in rows if one[0] // 7 == week]
        given_score = [one for one in mine if one[1] == one[1]]
        assert period.rows == len(mine)
        assert period.approval.approved == sum(one[3] for one in mine)
        assert period.inputs[0].bins[-1].served == sum(one[2] != one[2] for one in mine)
        assert cohort.rows == len(given_score)
        assert cohort.censored == sum(one[0] + 10 > now for one in given_score)
        in_window = [one for one in given_score if one[4] is not None and one[4] <= 10 and one[0] + one[4] <= now]
        assert cohort.reported == len(in_window)
        assert cohort.complete is (7 * (week + 1) + 10 <= now)
        assert (cohort.separation is None) or cohort.complete
    for finding in found.findings:
        assert finding.end_ms <= now * DAY_MS, "a period that is not over is not judged"


def test_an_input_of_texts_is_counted_by_its_categories():
    rows = pl.DataFrame({"home": ["rent"] * 60 + ["own"] * 40})
    names = {"model": "m", "weights": "w", "source": "s"}
    known = reference_of(rows, np.full(100, 0.5), [Column(name="home", kind="category")], **names)
    watch = Watch(known, MONITORING, DAY_MS)
    homes = pl.Series("home", ["own"] * 60 + ["boat"] * 20 + [None] * 20)
    ids = [b"a%d" % at for at in range(100)]
    watch.add(Scored(np.zeros(100, np.int64), np.full(100, 0.5), {"home": homes}, np.ones(100, bool), ids, ids))
    found = watch.tell({}, 30 * DAY_MS)
    bins = {one.label: one.served for one in found.periods[0].inputs[0].bins}
    assert bins == {"rent": 0, "own": 60, "other": 20, "missing": 20}
    measures = {one.measure: one.level for one in found.findings}
    assert measures["input_stability"] == "alarm"
    assert measures["missing_inputs"] == "alarm"


def test_a_label_that_never_comes_is_no_moment():
    assert NEVER_MS > 10**17
