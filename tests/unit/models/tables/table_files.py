"""Tables that tests write: small loans with a pattern worth learning."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl


def loans(rows: int = 600, seed: int = 3) -> pl.DataFrame:
    """Applications with income, age, job and an outcome that depends on all three; some incomes are missing."""
    random = np.random.default_rng(seed)
    income = np.round(random.lognormal(8, 0.6, rows), 2)
    age = random.integers(19, 70, rows)
    job = random.choice(["clerk", "driver", "farmer", "nurse"], rows)
    odds = -1.4 - 2.2 * (np.log(income) - 8) - 0.06 * (age - 40) + 1.8 * (job == "driver")
    bad = random.random(rows) < 1 / (1 + np.exp(-odds))
    frame = pl.DataFrame({"income": income, "age": age, "job": job, "default": bad.astype(int)})
    unknown = pl.Series(random.random(rows) < 0.1)
    return frame.with_columns(pl.when(unknown).then(None).otherwise(pl.col("income")).alias("income"))


def written(folder: Path, name: str, text: str, encoding: str = "utf-8") -> Path:
    """A file of that text."""
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path
