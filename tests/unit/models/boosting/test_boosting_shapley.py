"""TreeSHAP: LightGBM's own values, the definition by brute force, and the same for a row alone."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from quanheng.kernel.errors import InputError
from quanheng.models.boosting.monotone import breaks_monotone
from quanheng.models.boosting.shapley import TreeShapley
from quanheng.models.trees import Trees

lightgbm = pytest.importorskip("lightgbm", reason="the extra `models` is not installed")


def grown(columns: int = 5, rounds: int = 30, rows: int = 1500, **settings: object):
    random = np.random.default_rng(4)
    values = random.normal(size=(rows, columns))
    labels = (values[:, 0] + values[:, 1] * values[:, 2] + random.normal(size=rows) > 0.5).astype(float)
    values[random.random(values.shape) < 0.1] = np.nan
    settings = {"objective": "binary", "num_leaves": 15, "verbose": -1, "num_threads": 1, **settings}
    booster = lightgbm.train(settings, lightgbm.Dataset(values, labels, params=settings), rounds)
    odd = np.array([[np.nan] * columns, [np.inf] * columns, [-np.inf] * columns])
    return booster, Trees.from_lightgbm(booster, covers=True), np.vstack([odd, values])


@pytest.mark.parametrize(
    "settings", [{}, {"num_leaves": 40, "min_data_in_leaf": 2}, {"bagging_fraction": 0.5, "bagging_freq": 1}]
)
def test_contributions_are_those_of_lightgbm(settings):
    booster, trees, rows = grown(columns=14, **settings)
    ours, theirs = TreeShapley(trees), booster.predict(rows, pred_contrib=True)
    assert np.allclose(ours.contributions(rows), theirs[:, :-1], rtol=1e-9, atol=1e-12)
    assert ours.base == pytest.approx(theirs[0, -1], rel=1e-9)


def test_base_and_contributions_sum_to_the_raw_sum():
    _, trees, rows = grown()
    shapley = TreeShapley(trees)
    assert np.abs(shapley.base + shapley.contributions(rows).sum(axis=1) - trees.raw(rows)).max() < 1e-12


def expected(trees: Trees, node: int, row: np.ndarray, known: set[int]) -> float:
    """The conditional expectation of algorithm 1 of Lundberg, Erion and Lee 2018, read literally."""
    left = int(trees.left[node])
    if left == node:
        return float(trees.values[node])
    column, missing_left = int(trees.features[node]) % len(row), int(trees.features[node]) < len(row)
    if column in known:
        value = row[column]
        goes_left = missing_left if np.isnan(value) else value <= trees.thresholds[node]
        return expected(trees, left + (not goes_left), row, known)
    both = [int(trees.covers[left + side]) * expected(trees, left + side, row, known) for side in (0, 1)]
    return sum(both) / int(trees.covers[node])


def test_contributions_are_shapley_values_by_their_definition():
    _, trees, rows = grown(columns=4, rounds=3)
    found = TreeShapley(trees).contributions(rows[:12])
    for row, own in zip(rows[:12], found, strict=True):
        for column in range(4):
            others = [one for one in range(4) if one != column]
            total = 0.0
            for size in range(4):
                weight = math.factorial(size) * math.factorial(3 - size) / math.factorial(4)
                for known in map(set, itertools.combinations(others, size)):
                    for root in trees.roots.tolist():
                        gained = expected(trees, root, row, known | {column}) - expected(trees, root, row, known)
                        total += weight * gained
            assert own[column] == pytest.approx(total, rel=1e-9, abs=1e-12)


def test_a_row_does_not_depend_on_the_rows_beside_it():
    _, trees, rows = grown(columns=14, num_leaves=40, min_data_in_leaf=2)
    shapley = TreeShapley(trees)
    whole = shapley.contributions(rows[:60])
    assert all(np.array_equal(shapley.contributions(rows[at : at + 1])[0], whole[at]) for at in range(60))


def test_trees_without_covers_and_other_rows_are_refused():
    booster, trees, _ = grown(rounds=2)
    with pytest.raises(InputError, match="do not say how many training rows reached each node; was no covers"):
        TreeShapley(Trees.from_lightgbm(booster))
    with pytest.raises(InputError, match=r"TreeSHAP: the rows do not fit the model; was an array of shape \(1, 3\)"):
        TreeShapley(trees).contributions(np.zeros((1, 3)))


def test_covers_are_kept_in_the_file_and_change_no_file_without_them():
    booster, trees, _ = grown(rounds=2)
    again = Trees.from_bytes(trees.to_bytes())
    assert again.covers is not None
    assert np.array_equal(again.covers, trees.covers)
    assert Trees.from_bytes(Trees.from_lightgbm(booster).to_bytes()).covers is None


def test_monotone_trees_are_proved_and_others_are_shown_where_they_break():
    free = grown(rounds=20)[1]
    bound = grown(rounds=20, monotone_constraints=[1, 0, 0, 0, 0])[1]
    assert breaks_monotone(bound, 0, 1) is None
    assert breaks_monotone(bound, 0, -1) is not None
    assert breaks_monotone(free, 1, 1) is not None
