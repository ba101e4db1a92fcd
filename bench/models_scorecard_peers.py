"""optbinning and toad on the same work, in an interpreter that has one of them: prints one line of JSON.

`row` scores single rows of ten generated columns; `fit FILE` fits on GiveMeSomeCredit and measures over the same folds.
Who needs more than `LIMIT_S` for one fit is told with that and measured no further: toad's default merges every value
of a column of 150,000 rows by chi-square.
"""

from __future__ import annotations

import json
import signal
import sys
import time
import warnings
import zipfile
from typing import Any

import numpy as np
import pandas as pd

warnings.filterwarnings("ignore")
TARGET = "SeriousDlqin2yrs"
LIMIT_S = 100


def generated(rows: int = 20_000, columns: int = 10, seed: int = 5) -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, columns))
    target = rng.random(rows) < 1 / (1 + np.exp(-(x.sum(axis=1) * 0.4 - 2)))
    x[rng.random(x.shape) < 0.05] = np.nan
    return pd.DataFrame(x, columns=[f"x{at}" for at in range(columns)]), target.astype(int)


def optbinning_card(frame: pd.DataFrame, target: np.ndarray) -> Any:
    from optbinning import BinningProcess, Scorecard
    from sklearn.linear_model import LogisticRegression

    process = BinningProcess(variable_names=list(frame.columns))
    scaling = {"pdo": 20, "odds": 50, "scorecard_points": 600}
    card = Scorecard(
        binning_process=process, estimator=LogisticRegression(max_iter=1000), scaling_method="pdo_odds",
        scaling_method_params=scaling,
    )  # fmt: skip
    return card.fit(frame, target, metric_special="empirical", metric_missing="empirical")


def toad_card(frame: pd.DataFrame, target: np.ndarray) -> Any:
    import toad

    combiner = toad.transform.Combiner()
    combiner.fit(frame, target, method="chi", min_samples=0.05, empty_separate=True)
    transformer = toad.transform.WOETransformer()
    binned = combiner.transform(frame)
    transformer.fit(binned, target)
    card = toad.ScoreCard(combiner=combiner, transer=transformer, C=1.0, base_score=600, base_odds=50, pdo=20)
    return card.fit(transformer.transform(binned), target)


def area(target: np.ndarray, scores: np.ndarray) -> float:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(target, scores))


def chance(name: str, card: Any, frame: pd.DataFrame) -> np.ndarray:
    if name == "optbinning":
        return card.predict_proba(frame)[:, 1]
    return -np.asarray(card.predict(frame), float)


def folds(target: np.ndarray) -> np.ndarray:
    """As `fitting.assign_folds` deals them with seed 1."""
    random, fold = np.random.default_rng(1), np.empty(len(target), int)
    for kind in (0, 1):
        rows = np.flatnonzero(target == kind)
        fold[random.permutation(rows)] = np.arange(len(rows)) % 5
    return fold


def row(name: str, make: Any) -> float:
    frame, target = generated()
    card, one = make(frame, target), frame[:1]
    score = card.score if name == "optbinning" else card.predict
    score(one)
    started = time.process_time()
    for _ in range(20):
        score(one)
    return round((time.process_time() - started) / 20 * 1e6, 1)


def fit(make: Any, name: str, file: str) -> dict[str, float]:
    with zipfile.ZipFile(file) as archive, archive.open("cs-training.csv") as source:
        table = pd.read_csv(source, index_col=0)
    target, frame = table[TARGET].to_numpy(), table.drop(columns=TARGET).astype(float)
    started = time.process_time()
    signal.alarm(LIMIT_S)
    try:
        make(frame, target)
    except TimeoutError:
        return {"over_s": LIMIT_S}
    finally:
        signal.alarm(0)
    seconds, fold = time.process_time() - started, folds(target)
    areas = []
    for one in range(5):
        card = make(frame[fold != one], target[fold != one])
        areas.append(area(target[fold == one], chance(name, card, frame[fold == one])))
    return {"seconds": round(seconds, 2), "auc": round(float(np.mean(areas)), 4)}


def stop(*_: object) -> None:
    raise TimeoutError


def main() -> None:
    signal.signal(signal.SIGALRM, stop)
    found: dict[str, Any] = {}
    for name, make in (("optbinning", optbinning_card), ("toad", toad_card)):
        try:
            __import__(name)
        except ImportError:
            continue
        found[name] = row(name, make) if sys.argv[1] == "row" else fit(make, name, sys.argv[2])
    if not found:
        sys.exit("neither optbinning nor toad is installed")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
