"""Applicants for tests of scorecards: seeded, with missing values, codes, rare and unknown categories."""

from __future__ import annotations

import numpy as np
import polars as pl

from quanheng.models.scorecard.fitting import ScorecardEstimator
from quanheng.models.table import Column, Table

REASONS = {
    "utilisation": "high_utilisation",
    "late_payments": "late_payments",
    "years_at_job": "short_employment",
    "housing": "housing_situation",
}


def applicants(rows: int = 4000, seed: int = 7) -> Table:
    """Default follows use of limits, late payments (-1 = never had credit), years at work, housing; never `noise`."""
    rng = np.random.default_rng(seed)
    utilisation = np.round(rng.beta(1.5, 2.5, rows), 2)
    late = rng.poisson(0.5, rows).astype(float)
    late[rng.random(rows) < 0.1] = -1
    years = rng.integers(0, 40, rows).astype(float)
    housing = rng.choice(["own", "rent", "family", "other"], rows, p=[0.5, 0.35, 0.13, 0.02])
    log_odds = -2.6 + 3 * utilisation + 0.8 * np.maximum(late, 0) - 0.03 * (years - 15) + 0.5 * (housing == "rent")
    log_odds += 0.6 * (late == -1)
    target = rng.random(rows) < 1 / (1 + np.exp(-log_odds))
    missing = rng.random(rows) < 0.08
    columns = {
        "utilisation": [None if gone else one for gone, one in zip(missing, utilisation.tolist(), strict=True)],
        "late_payments": late,
        "years_at_job": years,
        "housing": housing,
        "noise": rng.normal(size=rows),
    }
    frame = pl.DataFrame(columns)
    described = tuple(
        Column(
            name=name,
            kind="category" if name == "housing" else "number",
            missing=frame[name].null_count(),
            distinct=frame[name].drop_nulls().n_unique(),
            specials=(-1.0,) if name == "late_payments" else (),
        )
        for name in columns
    )
    return Table(frame, target, described)


def lender() -> ScorecardEstimator:
    """The settings of the scorecard in tests/packs/lender."""
    return ScorecardEstimator(
        reasons=REASONS,
        selection={"iv_min": 0.02},
        titles={"utilisation": {"en": "Use of limits", "zh": "额度使用率"}},
    )
