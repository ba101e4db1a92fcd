"""The difference of two areas on the same rows: what the slow definition gives, row pair by row pair."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from quanheng.kernel.errors import InputError
from quanheng.models.registry.evidence import Evidence, evidence_of, read_evidence
from quanheng.models.registry.paired import auc_difference


def twin(first: Evidence, second: Evidence) -> tuple[float, float]:
    """(difference, its variance) from the definitions of Obuchowski (1997), every pair of rows looked at."""
    labels, groups = first.labels.tolist(), first.groups.tolist()
    good = [row for row, label in enumerate(labels) if label]
    bad = [row for row, label in enumerate(labels) if not label]
    psi = lambda one, other: 1.0 if one > other else 0.5 if one == other else 0.0  # noqa: E731
    areas, parts = [], []
    for scores in (first.scores.tolist(), second.scores.tolist()):
        component = {
            **{i: sum(psi(scores[i], scores[j]) for j in bad) / len(bad) for i in good},
            **{j: sum(psi(scores[i], scores[j]) for i in good) / len(good) for j in bad},
        }
        areas.append(sum(component[i] for i in good) / len(good))
        parts.append(component)
    sums = {group: [[0.0, 0.0], [0.0, 0.0]] for group in groups}  # Group → model → (positives, negatives).
    for row, group in enumerate(groups):
        for model in (0, 1):
            sums[group][model][0 if labels[row] else 1] += parts[model][row] - areas[model]
    with_good, with_bad = ({groups[row] for row in rows} for rows in (good, bad))
    m, n = len(good), len(bad)

    def unbiased(many: int) -> float:
        return many / (many - 1) if many > 1 else 1.0

    def covariance(r: int, s: int) -> float:
        ten = unbiased(len(with_good)) * sum(one[r][0] * one[s][0] for one in sums.values()) / m**2
        one = unbiased(len(with_bad)) * sum(one[r][1] * one[s][1] for one in sums.values()) / n**2
        both = sum(one[r][0] * one[s][1] + one[s][0] * one[r][1] for one in sums.values()) / (m * n)
        return ten + one + unbiased(len(sums)) * both

    return areas[1] - areas[0], covariance(0, 0) + covariance(1, 1) - 2 * covariance(0, 1)


@st.composite
def pairs(draw):
    rows = draw(st.integers(2, 24))
    labels = np.array(draw(st.lists(st.booleans(), min_size=rows, max_size=rows)))
    assume(labels.any() and not labels.all())
    score = st.integers(0, 6).map(lambda one: one / 6)
    first, second = (np.array(draw(st.lists(score, min_size=rows, max_size=rows))) for _ in range(2))
    groups = np.array(draw(st.lists(st.integers(0, 8), min_size=rows, max_size=rows)))
    alone = draw(st.booleans())
    return [evidence_of(range(rows), labels, scores, None if alone else groups) for scores in (first, second)]


@given(pairs())
@settings(max_examples=150, deadline=None)
def test_the_difference_is_that_of_the_definition(pair):
    first, second = pair
    found = auc_difference(first, second)
    value, variance = twin(first, second)
    assert found.value == pytest.approx(value, abs=1e-12)
    half = 1.959963984540054 * math.sqrt(max(variance, 0.0))
    assert found.high - found.value == pytest.approx(half, abs=1e-7)  # The root of what rounding left of zero.


@given(pairs())
@settings(max_examples=60, deadline=None)
def test_evidence_comes_back_as_it_was(pair):
    one = pair[0]
    again = read_evidence(one.to_bytes())
    assert again.rows_digest == one.rows_digest
    assert all((was == now).all() for was, now in zip(one[1:], again[1:], strict=True))
    assert again.to_bytes() == one.to_bytes()


def test_the_interval_holds_the_truth_about_as_often_as_it_says():
    """Groups of rows that share luck: counted as rows of their own, the interval would be too narrow."""
    rng, held, alone_held = np.random.default_rng(3), 0, 0
    for _ in range(200):
        groups = np.repeat(np.arange(60), 5)
        shared = rng.normal(size=60)[groups]
        labels = (rng.normal(size=60)[groups] + 0.3 * rng.normal(size=300)) > 0.8
        if labels.all() or not labels.any():
            continue
        scores = [
            labels + shared * weight + rng.normal(size=300) for weight in (1.0, -1.0)
        ]  # Equally good, by symmetry.
        one, other = (evidence_of(range(300), labels, score, groups) for score in scores)
        found = auc_difference(one, other)
        held += found.low <= 0 <= found.high
        one, other = (evidence_of(range(300), labels, score) for score in scores)
        found = auc_difference(one, other)
        alone_held += found.low <= 0 <= found.high
    assert 178 <= held <= 199
    assert alone_held < held - 10


def test_rows_of_one_label_and_other_rows_are_refused():
    some = evidence_of(range(3), np.array([True, True, True]), np.ones(3))
    with pytest.raises(InputError, match="an area under the curve needs rows of both kinds; was 3 of 3 rows"):
        auc_difference(some, some)
    other = evidence_of(range(1, 4), np.array([True, True, True]), np.ones(3))
    with pytest.raises(InputError, match="the two were not measured on the same rows"):
        auc_difference(some, other)
