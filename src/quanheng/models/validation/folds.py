"""Out-of-fold scores: each row is scored by a model that was not fitted on it, and measured fold by fold."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from quanheng.kernel.errors import InputError
from quanheng.models.estimator import Estimator, Progress
from quanheng.models.metrics import auc_roc, brier, gini, h_measure, kolmogorov_smirnov, log_loss
from quanheng.models.table import Table
from quanheng.models.validation.bands import expected_calibration_error
from quanheng.models.validation.splits import Split

MEASURES: Mapping[str, Callable[[NDArray[np.bool_], NDArray[np.float64]], float]] = {
    "auc": auc_roc,
    "ks": kolmogorov_smirnov,
    "gini": gini,
    "brier": brier,
    "log_loss": log_loss,
    "h": h_measure,
    "calibration_error": expected_calibration_error,
}


class FoldResult(NamedTuple):
    """One fold: rows and events tested, and every measure of `MEASURES`."""

    name: str
    rows: int
    events: int
    measures: dict[str, float]


class Validated(NamedTuple):
    """What came of all folds.

    folds : in order
    scores : f8[n]: the mean of a row's out-of-fold probabilities; NaN = never tested
    """

    folds: list[FoldResult]
    scores: NDArray[np.float64]

    def mean(self, measure: str) -> float:
        """Mean of a measure over the folds."""
        return float(np.mean([fold.measures[measure] for fold in self.folds]))

    def deviation(self, measure: str) -> float:
        """Standard deviation of a measure over the folds, of the sample (n − 1); 0 of one fold."""
        values = [fold.measures[measure] for fold in self.folds]
        return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def validate(
    estimator: Estimator, table: Table, splits: Sequence[Split], seed: int, progress: Progress | None = None
) -> Validated:
    """Fit and measure each split.

    Raises
    ------
    InputError : an estimator gives no probability for a row, or cannot learn
    """
    total, tests = np.zeros(len(table.target)), np.zeros(len(table.target), np.intp)
    results = []
    for at, split in enumerate(splits):
        if progress is not None:
            progress("folds", at, len(splits))
        fitted = estimator.fit(table.take(split.train), seed)
        scores = fitted.probability(table.rows[split.test])
        if len(scores) != len(split.test) or not np.isfinite(scores).all():
            raise InputError(
                "the estimator gives no probability for some rows", where=f"estimator {estimator.name}, {split.name}",
                found=f"{int(np.isfinite(scores).sum())} probabilities for {len(split.test)} rows",
                allowed="a probability for every row", cure="See quanheng.testing.estimator_kit.",
            )  # fmt: skip
        labels = table.target[split.test]
        measures = {name: measure(labels, scores) for name, measure in MEASURES.items()}
        results.append(FoldResult(split.name, len(labels), int(labels.sum()), measures))
        total[split.test] += scores
        tests[split.test] += 1
    if progress is not None:
        progress("folds", len(splits), len(splits))
    with np.errstate(invalid="ignore"):
        return Validated(results, np.where(tests > 0, total / tests, np.nan))
