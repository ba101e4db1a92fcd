"""`models.trees.row`, `models.batch`: 300 trees of 31 leaves over 10 inputs, one thread, a row alone and rows together.

Ours against ONNX Runtime with the same trees, LightGBM's Booster and its scikit-learn wrapper. Before anything is timed
all of them score the sampled rows: Booster and wrapper must agree to 1e-15, ONNX Runtime (float32 sums) to 1e-6.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from quanheng.models.onnx import OnnxModel, export_onnx
from quanheng.models.trees import Trees
from quanheng.testing.bench import Measured, interleaved_seconds, looped

TREES, LEAVES, INPUTS = 300, 31, 10
SEED = 7


class _Scorers(NamedTuple):
    ours: Trees
    onnx: OnnxModel
    booster: Any
    wrapper: Any


def _scorers(rows: np.ndarray) -> _Scorers:
    import lightgbm

    random = np.random.default_rng(SEED)
    odds = rows[:, 0] + rows[:, 1] * rows[:, 2] + np.sin(3 * rows[:, 3]) - np.abs(rows[:, 4])
    labels = (np.nan_to_num(odds) + random.normal(size=len(rows)) > 0).astype(int)
    wrapper = lightgbm.LGBMClassifier(
        n_estimators=TREES, num_leaves=LEAVES, learning_rate=0.05, n_jobs=1, random_state=SEED, verbose=-1
    ).fit(rows, labels)
    trees = Trees.from_lightgbm(wrapper.booster_)
    leaves = int((trees.left == np.arange(len(trees.left))).sum())
    if len(trees.roots) != TREES or leaves != TREES * LEAVES:
        raise AssertionError(f"{len(trees.roots)} trees with {leaves} leaves were grown")
    found = _Scorers(trees, OnnxModel(export_onnx(trees)), wrapper.booster_, wrapper)
    few = rows[:2_000]
    score = trees.probability(few)
    if np.abs(found.booster.predict(few, num_threads=1) - score).max() > 1e-15:
        raise AssertionError("LightGBM scores otherwise")
    if np.abs(found.wrapper.predict_proba(few)[:, 1] - score).max() > 1e-15:
        raise AssertionError("the wrapper scores otherwise")
    if np.abs(found.onnx.probability(few) - score).max() > 1e-6:
        raise AssertionError("ONNX Runtime scores otherwise")
    return found


def _rows(count: int) -> np.ndarray:
    random = np.random.default_rng(SEED)
    rows = random.normal(size=(count, INPUTS))
    rows[random.random(rows.shape) < 0.03] = np.nan
    return rows


def run(quick: bool = False) -> Measured:
    """Microseconds for one row alone."""
    rows = _rows(20_000)
    to = _scorers(rows)
    alone = [rows[at : at + 1] for at in range(200 if quick else 2_000)]
    slow = alone[: len(alone) // 10]
    calls = {
        "quanheng": (to.ours.probability, alone),
        "onnxruntime": (to.onnx.probability, alone),
        "lightgbm": (lambda row: to.booster.predict(row, num_threads=1), slow),
        "sklearn": (to.wrapper.predict_proba, slow),
    }
    seconds = interleaved_seconds({name: looped(*call) for name, call in calls.items()}, 3 if quick else 7)
    took = {name: round(seconds[name] / len(calls[name][1]) * 1e6, 2) for name in calls}
    return Measured(took.pop("quanheng"), "us", took, {"checked_equal": 2_000, "trees": TREES, "leaves": LEAVES})


def batch(quick: bool = False) -> Measured:
    """Rows scored in a second, many together."""
    rows = _rows(20_000 if quick else 100_000)
    to = _scorers(rows[:20_000])
    calls = {
        "quanheng": lambda: to.ours.probability(rows),
        "onnxruntime": lambda: to.onnx.probability(rows),
        "lightgbm": lambda: to.booster.predict(rows, num_threads=1),
        "sklearn": lambda: to.wrapper.predict_proba(rows),
    }
    seconds = interleaved_seconds(calls, 3)
    speed = {name: round(len(rows) / taken) for name, taken in seconds.items()}
    return Measured(speed.pop("quanheng"), "rows/s", speed, {"checked_equal": 2_000, "rows": len(rows)})


if __name__ == "__main__":
    print(run())
