"""Models answer as sources: the conformance kit for sources, on the model that ships with a pack."""

from __future__ import annotations

import numpy as np

from quanheng.features.source import Batch
from quanheng.known import FixedSource, decimal_of
from quanheng.loading import load_packs
from quanheng.loading.find import read_packs
from quanheng.models.serving import load_model
from quanheng.testing.source_kit import check_source

ROWS = 8


def _batch() -> Batch:
    return Batch(
        np.full(ROWS, 16, np.int32),
        np.arange(ROWS, dtype=np.int64),
        np.zeros((ROWS, 1, 2), np.uint64),
        np.zeros((ROWS, 1), np.int64),
        offset=5,
        received_ms=7,
    )


def test_the_shipped_model_keeps_the_laws_of_a_source() -> None:
    pack = load_packs(["card_fraud"], read_packs())["card_fraud"]
    (declared,) = pack.models
    rng = np.random.default_rng(1)
    known = {name: rng.random(ROWS) * 1000 for name in declared.inputs}
    known[declared.inputs[3]][2] = np.nan
    assert check_source(lambda: load_model(declared, pack.weights[declared.weights]), _batch(), known) == []


def test_a_score_is_seen_by_a_policy_with_its_declared_digits() -> None:
    assert str(decimal_of(0.1234, 4)) == "0.1234"
    assert str(decimal_of(0.5, 4)) == "0.5000"
    assert decimal_of(float("nan"), 4) is None


def test_fixed_scores_answer_for_every_row_and_null_stays_null() -> None:
    pack = load_packs(["card_fraud"], read_packs())["card_fraud"]
    (declared,) = pack.models
    model = load_model(declared, pack.weights[declared.weights])
    fixed = FixedSource(model, {model.name: None})
    assert np.isnan(fixed.read(_batch(), {})).all()
    assert fixed.read(_batch(), {}).shape == (ROWS, 1)
