"""ONNX Runtime and compiled trees take the same branches; sums differ by the rounding to float32 only."""

from __future__ import annotations

import builtins

import numpy as np
import pytest
from test_models_trees import booster, sample

from quanheng.kernel.errors import MissingExtra
from quanheng.models.onnx import OnnxModel, export_onnx
from quanheng.models.trees import Trees

pytest.importorskip("onnxruntime", reason="the extra `models` is not installed")
pytest.importorskip("onnx", reason="the extra `models` is not installed")


@pytest.mark.parametrize("missing", [0.0, 0.15])
def test_sums_are_those_of_the_compiled_trees_rounded_once(missing):
    values, labels = sample(rows=4000, missing=missing)
    trees = Trees.from_lightgbm(booster(values, labels, rounds=120))
    served = OnnxModel(export_onnx(trees))
    # Rows that lie on thresholds: where float32 thresholds would go astray.
    for column in range(values.shape[1]):
        splits = trees.thresholds[(trees.features % 6 == column) & np.isfinite(trees.thresholds)]
        values[: len(splits), column] = splits[: len(values)]
    assert np.array_equal(served.raw(values), trees.raw(values).astype(np.float32))
    assert np.abs(served.probability(values) - trees.probability(values)).max() < 1e-6


def test_unseen_missing_values_take_the_same_branches():
    values, labels = sample(missing=0.0)
    trees = Trees.from_lightgbm(booster(values, labels))
    values[::3] = np.nan
    assert np.array_equal(OnnxModel(export_onnx(trees)).raw(values), trees.raw(values).astype(np.float32))


def test_export_is_deterministic():
    trees = Trees.from_lightgbm(booster(*sample(rows=500)))
    assert export_onnx(trees) == export_onnx(Trees.from_bytes(trees.to_bytes()))


@pytest.mark.parametrize(
    ("package", "purpose"), [("onnx", "exporting"), ("onnxruntime", "serving"), ("lightgbm", "training")]
)
def test_a_missing_package_is_named_with_its_extra(monkeypatch, package, purpose):
    from quanheng.models.train import import_lightgbm

    real = builtins.__import__

    def without(name, *rest, **named):
        if name.split(".")[0] == package:
            raise ImportError(name)
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(
        MissingExtra, match=rf"{purpose} .*needs the package '{package}'.*pip install 'quanheng\[models\]'"
    ):
        {"onnx": lambda: export_onnx(None), "onnxruntime": lambda: OnnxModel(b""), "lightgbm": import_lightgbm}[
            package
        ]()
