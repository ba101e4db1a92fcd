"""Which cells of a group hold a sum that does not fit 64 bits. Finding them marks them as unknown."""

from __future__ import annotations

import numpy as np

from quanheng.features.kernel import words as w
from quanheng.features.plan import Plan
from quanheng.features.ways import HALVES


def overflows(plan: Plan, out: np.ndarray) -> list[tuple[int, str]]:
    """The cells whose sum does not fit, as (event, fold name); in `out` they become UNKNOWN."""
    sums = out[:, : len(plan.columns) - len(HALVES) * len(plan.whole)]  # A half of a key may be any word.
    events, columns = np.nonzero(sums == w.OVERFLOW)
    sums[events, columns] = w.UNKNOWN
    names = [plan.names[plan.columns[column].fold] for column in columns]
    return list(dict.fromkeys(zip(events.tolist(), names, strict=True)))


def float_overflows(plan: Plan, words: np.ndarray) -> list[tuple[int, str]]:
    """The same in the words of float columns; they become NaN."""
    events, folds = np.nonzero(words == w.OVERFLOW)
    words.view(np.float64)[events, folds] = np.nan
    return list(zip(events.tolist(), (plan.names[fold] for fold in folds), strict=True))
