"""Compiled trees: the same sums as LightGBM, a format that cannot be changed unseen, refusals that say why."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from quanheng.kernel.errors import InputError
from quanheng.models.lightgbm_text import read_booster
from quanheng.models.trees import Trees, content_hash

lightgbm = pytest.importorskip("lightgbm", reason="the extra `models` is not installed")


def sample(rows: int = 3000, columns: int = 6, missing: float = 0.1, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    values = random.normal(size=(rows, columns))
    labels = (values[:, 0] + values[:, 1] * values[:, 2] + random.normal(size=rows) > 1).astype(float)
    values[random.random(values.shape) < missing] = np.nan
    return values, labels


def booster(values: np.ndarray, labels: np.ndarray, rounds: int = 30, **settings: object):
    settings = {"objective": "binary", "num_leaves": 15, "verbose": -1, "num_threads": 1, "seed": 1, **settings}
    return lightgbm.train(settings, lightgbm.Dataset(values, labels, params=settings), rounds)


@pytest.fixture(scope="module")
def trained():
    values, labels = sample()
    model = booster(values, labels)
    return model, Trees.from_lightgbm(model), values


def test_raw_sums_are_bit_equal_to_lightgbm(trained):
    model, trees, values = trained
    assert np.array_equal(trees.raw(values), model.predict(values, raw_score=True))


def test_probabilities_are_lightgbms(trained):
    model, trees, values = trained
    assert np.allclose(trees.probability(values), model.predict(values), rtol=0, atol=1e-15)


@pytest.mark.parametrize("rows", [1, 2, 3, 4, 5, 63, 64, 65, 67, 200])
def test_a_row_does_not_depend_on_its_neighbours(trained, rows):
    _, trees, values = trained
    alone = np.concatenate([trees.probability(values[i : i + 1]) for i in range(rows)])
    assert np.array_equal(trees.probability(values[:rows]), alone)


@pytest.mark.parametrize(
    "settings",
    [
        {"use_missing": False},
        {"max_depth": 2},
        {"num_leaves": 63, "min_data_in_leaf": 2},
        {"objective": "regression"},
        {"boosting": "dart"},
        {"sigmoid": 2.5},
        {"extra_trees": True},
    ],
    ids=lambda one: next(iter(one)),
)
def test_every_kind_of_numeric_tree_is_bit_equal(settings):
    values, labels = sample(seed=11)
    model = booster(values, labels, **settings)
    odd = values.copy()
    odd[::7, 0], odd[1::7, 1], odd[2::7, 2], odd[3::7, 3] = np.inf, -np.inf, 0.0, -0.0
    trees = Trees.from_lightgbm(model)
    for rows in (values, odd, np.full((3, 6), np.nan)):
        assert np.array_equal(trees.raw(rows), model.predict(rows, raw_score=True))


def test_missing_values_absent_from_training_are_read_as_zero_like_lightgbm():
    values, labels = sample(missing=0.0)
    model = booster(values, labels)
    unseen = np.where(np.random.default_rng(0).random(values.shape) < 0.3, np.nan, values)
    assert np.array_equal(Trees.from_lightgbm(model).raw(unseen), model.predict(unseen, raw_score=True))


def test_a_model_of_one_leaf(trained):
    values, labels = sample(rows=60)
    model = booster(values, labels, rounds=2, min_data_in_leaf=60)
    assert np.array_equal(Trees.from_lightgbm(model).raw(values), model.predict(values, raw_score=True))


def test_bytes_come_back_the_same(trained):
    _, trees, values = trained
    content = trees.to_bytes()
    again = Trees.from_bytes(content)
    assert again.to_bytes() == content
    assert again.inputs == trees.inputs
    assert again.sigmoid == trees.sigmoid
    assert trees.hash == content_hash(content) == "sha256:" + hashlib.sha256(content).hexdigest()
    assert np.array_equal(again.raw(values), trees.raw(values))


@pytest.mark.parametrize("change", ["flip", "cut", "longer"])
def test_changed_bytes_are_refused(trained, change):
    content = trained[1].to_bytes()
    middle = len(content) // 2
    changed = {
        "flip": content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :],
        "cut": content[:-5],
        "longer": content + b"\0",
    }[change]
    with pytest.raises(InputError, match=r"fraud: the file of trees was changed or cut; was \d+ bytes. Put back"):
        Trees.from_bytes(changed, "fraud")


def test_another_file_is_refused():
    with pytest.raises(InputError, match=r"not a file of trees; was b'PK.*allowed: b'QHTREES1'"):
        Trees.from_bytes(b"PK\3\4" + bytes(100))


@pytest.mark.parametrize("array", ["roots", "left", "features", "depths", "thresholds"])
def test_arrays_that_would_leave_the_arrays_are_refused(trained, array):
    """A file with a right digest and wrong nodes must not make the walk read foreign memory."""
    trees = trained[1]
    named = set(Trees.__slots__) - {"inputs", "sigmoid", "covers"}
    parts = {name: getattr(trees, name).copy() for name in named}
    parts[array][0] = np.nan if array == "thresholds" else 2**30
    broken = Trees(inputs=trees.inputs, sigmoid=1.0, **parts)
    with pytest.raises(InputError, match="the arrays are not trees"):
        Trees.from_bytes(broken.to_bytes())


def test_rows_of_another_width_are_refused(trained):
    with pytest.raises(
        InputError, match=r"the rows do not fit the model; was an array of shape \(2, 5\); allowed: \(rows, 6\)"
    ):
        trained[1].raw(np.zeros((2, 5)))


def test_what_is_not_compiled_is_refused():
    values, labels = sample(rows=500, missing=0)
    with pytest.raises(InputError, match=r"a split of the LightGBM model cannot be compiled.*zero_as_missing=false"):
        Trees.from_lightgbm(booster(values, labels, zero_as_missing=True))
    with pytest.raises(InputError, match=r"averaged output.*boosting = rf"):
        Trees.from_lightgbm(booster(values, labels, boosting="rf", bagging_freq=1, bagging_fraction=0.5))
    with pytest.raises(InputError, match=r"a linear leaf.*linear_tree=true"):
        Trees.from_lightgbm(booster(values, labels, linear_tree=True, objective="regression"))
    with pytest.raises(InputError, match=r"the objective.*multiclass"):
        Trees.from_lightgbm(booster(values, labels, objective="multiclass", num_class=3))
    whole = np.floor(values * 2) + 10
    with pytest.raises(InputError, match=r"a categorical split.*num_cat=\d.*Train with other settings"):  # noqa: PT012
        settings = {"objective": "binary", "verbose": -1, "num_threads": 1, "min_data_per_group": 5, "cat_smooth": 1}
        data = lightgbm.Dataset(whole[:, :1], labels, categorical_feature=[0], params=settings)
        read_booster(lightgbm.train(settings, data, 1).model_to_string())
