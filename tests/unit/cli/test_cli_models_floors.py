"""What `models fit` reaches on public data, on folds it was not fitted on: never below these floors.

The floors are what plain settings of well-known libraries reach on the same files. The fold seed 101 is one on which no
setting was chosen.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from quanheng.cli.main import main

FLOORS = [
    ("german.data", "-1", ["--bad", "2", "--repeats", "10"], "scorecard", 5, 0.790),
    ("UCI_Credit_Card.csv", "Y", [], "scorecard", 5, 0.770),
    ("UCI_Credit_Card.csv", "Y", [], "lightgbm", 5, 0.785),
    ("gmsc_cs-training.csv.zip", "SeriousDlqin2yrs", [], "scorecard", 3, 0.857),
    ("gmsc_cs-training.csv.zip", "SeriousDlqin2yrs", [], "lightgbm", 3, 0.866),
]


@pytest.mark.long
@pytest.mark.parametrize(("file", "target", "more", "estimator", "folds", "floor"), FLOORS)
def test_the_mean_area_is_not_below_its_floor(shared: Path, capsys, file, target, more, estimator, folds, floor):
    path = shared / "data" / file
    if not path.is_file():
        pytest.skip(f"no {file} in the folder of sample data")
    words = ["--estimator", estimator, "--folds", str(folds), "--seed", "101", "--json"]
    assert main(["models", "fit", str(path), "--target", target, *more, *words]) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert told["mean"]["auc"] >= floor, told["deviation"]["auc"]
