"""For any shape of booster and any rows: compiled sums are LightGBM's, bit for bit, alone or together, saved or not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quanheng.models.metrics import auc_roc, average_precision
from quanheng.models.trees import Trees

lightgbm = pytest.importorskip("lightgbm", reason="the extra `models` is not installed")
sklearn_metrics = pytest.importorskip("sklearn.metrics", reason="the extra `models` is not installed")


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    columns=st.integers(1, 9),
    leaves=st.integers(2, 40),
    depth=st.integers(1, 9),
    rounds=st.integers(1, 25),
    missing=st.sampled_from([0.0, 0.1, 0.9]),
    whole=st.booleans(),
    use_missing=st.booleans(),
)
def test_compiled_trees_equal_lightgbm(seed, columns, leaves, depth, rounds, missing, whole, use_missing):
    random = np.random.default_rng(seed)
    values = random.normal(size=(400, columns)) * 10.0 ** random.integers(-6, 7, columns)
    values = np.rint(values) if whole else values
    values[random.random(values.shape) < missing] = np.nan
    labels = (random.random(400) < 0.3).astype(float)
    chosen = {
        "objective": "binary",
        "num_leaves": leaves,
        "max_depth": depth,
        "min_data_in_leaf": 2,
        "verbose": -1,
        "num_threads": 1,
        "seed": seed,
        "use_missing": use_missing,
        "min_sum_hessian_in_leaf": 0,
    }
    booster = lightgbm.train(chosen, lightgbm.Dataset(values, labels, params=chosen), rounds)
    rows = np.concatenate([values, np.where(random.random(values.shape) < 0.3, np.nan, values), values * 3])
    trees = Trees.from_lightgbm(booster)
    sums = trees.raw(rows)
    assert np.array_equal(sums, booster.predict(rows, raw_score=True))
    one = int(random.integers(len(rows)))
    assert Trees.from_bytes(trees.to_bytes()).raw(rows[one : one + 1])[0] == sums[one]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=2, max_size=60))
def test_ranking_measures_with_many_ties(pairs):
    labels, scores = np.array([one for one, _ in pairs]), np.array([float(two) for _, two in pairs])
    if labels.all() or not labels.any():
        return
    assert auc_roc(labels, scores) == pytest.approx(sklearn_metrics.roc_auc_score(labels, scores))
    assert average_precision(labels, scores) == pytest.approx(sklearn_metrics.average_precision_score(labels, scores))
