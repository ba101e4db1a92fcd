"""From a file to a folder with a model, and back: the same again gives the same bytes."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="the extra `models` is not installed")

from table_files import loans

from quanheng.models.fit import FitSettings, fit_table
from quanheng.models.fit_folder import read_folder, write_folder
from quanheng.models.scoring import score_file
from quanheng.models.tables.prepare import Options, prepare_file

SETTINGS = FitSettings(name="loans", estimator="logistic", folds=3)


def test_the_same_file_gives_the_same_hash_and_a_folder_that_scores_alike(tmp_path):
    loans().write_csv(tmp_path / "loans.csv")
    first, second = (
        fit_table(prepare_file(tmp_path / "loans.csv", Options(target="default")), SETTINGS, "loans.csv")
        for _ in range(2)
    )
    assert first.weights == second.weights
    assert first.validated.mean("auc") > 0.7
    prepared = prepare_file(tmp_path / "loans.csv", Options(target="default"))
    write_folder(tmp_path / "out", prepared, SETTINGS, first)
    kept = read_folder(tmp_path / "out")
    scored = score_file(kept, tmp_path / "loans.csv")
    assert np.array_equal(scored.frame["score"].to_numpy(), first.model.probability(prepared.table.rows))
    assert kept.hash == first.hash
