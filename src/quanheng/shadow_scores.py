"""Scores of models on trial beside those of the models in force: distributions, and the difference row by row.

Counts and whole numbers alone are kept (scores are whole numbers of their declared digits), so what is found does not
depend on how the log was cut into looks.
"""

from __future__ import annotations

import sqlite3
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from quanheng.features.drift.measures import apart
from quanheng.features.drift.profile import Profile
from quanheng.state import Trial

TABLES = """
CREATE TABLE IF NOT EXISTS score (pack TEXT, hash TEXT, event TEXT, model TEXT, side TEXT, count INTEGER,
  missing INTEGER, total TEXT, decimals INTEGER, buckets BLOB, PRIMARY KEY (pack, hash, event, model, side));
CREATE TABLE IF NOT EXISTS score_pair (pack TEXT, hash TEXT, event TEXT, model TEXT, decimals INTEGER, count INTEGER,
  one_missing INTEGER, total TEXT, absolute TEXT, largest TEXT, PRIMARY KEY (pack, hash, event, model));
"""
CHAMPION, SHADOW, CHALLENGER = "champion", "shadow", "challenger"
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_BUCKETS = msgspec.msgpack.Decoder(dict[int, int])

Scores = NDArray[np.float64]
"""f8[n], NaN = null: whole numbers of 10 ** -decimals."""


class ScoreBook:
    """Scores of trials, in the same file as what else was found of them."""

    def __init__(self, sql: sqlite3.Connection) -> None:
        self._sql = sql

    def add(self, trial: Trial, event: str, model: str, side: str, scores: Scores, decimals: int) -> None:
        """Count scores of one side."""
        key = trial.pack, trial.hash, event, model, side
        found = self._sql.execute(
            "SELECT count, missing, total, buckets FROM score WHERE pack = ? AND hash = ? AND event = ? AND model = ? "
            "AND side = ?",
            key,
        ).fetchone() or (0, 0, "0", msgspec.msgpack.encode({}))
        profile = Profile(model, "number", found[0], found[1], 0.0, _BUCKETS.decode(found[3]))
        profile.add_numbers(scores)
        total = int(found[2]) + sum(_whole(scores, decimals))
        self._sql.execute(
            "INSERT OR REPLACE INTO score VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *key,
                profile.rows,
                profile.missing,
                str(total),
                decimals,
                msgspec.msgpack.encode(dict(sorted(profile.buckets.items()))),
            ),
        )

    def add_pairs(self, trial: Trial, event: str, model: str, champion: Scores, shadow: Scores, decimals: int) -> None:
        """Count what two models said of the same rows; `decimals` are enough for both."""
        key = trial.pack, trial.hash, event, model
        both = np.isfinite(champion) & np.isfinite(shadow)
        one_missing = int(np.count_nonzero(np.isfinite(champion) ^ np.isfinite(shadow)))
        pairs = zip(_whole(champion[both], decimals), _whole(shadow[both], decimals), strict=True)
        gaps = [after - before for before, after in pairs]
        found = self._sql.execute(
            "SELECT count, one_missing, total, absolute, largest FROM score_pair WHERE pack = ? AND hash = ? "
            "AND event = ? AND model = ?",
            key,
        ).fetchone() or (0, 0, "0", "0", "0")
        largest = max([int(found[4]), *map(abs, gaps)])
        self._sql.execute(
            "INSERT OR REPLACE INTO score_pair VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *key,
                decimals,
                found[0] + len(gaps),
                found[1] + one_missing,
                str(int(found[2]) + sum(gaps)),
                str(int(found[3]) + sum(map(abs, gaps))),
                str(largest),
            ),
        )

    def told(self, pack: str, hash: str) -> list[dict[str, Any]]:
        """What was found of a version's models: a row for each event and model.

        Returns
        -------
        champion, shadow or challenger : rows, missing, mean, quantiles of each side
        psi : population stability index of the second side against the champion's; None where one has no scores
        same_rows : of rows that both scored: mean difference, mean absolute and largest difference
        """
        rows = self._sql.execute(
            "SELECT event, model, side, count, missing, total, decimals, buckets FROM score "
            "WHERE pack = ? AND hash = ? ORDER BY event, model, side",
            (pack, hash),
        ).fetchall()
        made: dict[tuple[str, str], dict[str, Any]] = {}
        profiles: dict[tuple[str, str], dict[str, Profile]] = {}
        for event, model, side, count, missing, total, decimals, buckets in rows:
            profile = Profile(model, "number", count, missing, 0.0, _BUCKETS.decode(buckets))
            one = made.setdefault((event, model), {"event": event, "model": model, "psi": None, "same_rows": None})
            one[side] = {**figures_of(profile), "mean": _mean(int(total), count - missing, decimals)}
            profiles.setdefault((event, model), {})[side] = profile
        for key, one in made.items():
            one["psi"] = _stability(profiles[key])
            one["same_rows"] = self._same_rows(pack, hash, *key)
        return [*made.values()]

    def _same_rows(self, pack: str, hash: str, event: str, model: str) -> dict[str, Any] | None:
        found = self._sql.execute(
            "SELECT decimals, count, one_missing, total, absolute, largest FROM score_pair "
            "WHERE pack = ? AND hash = ? AND event = ? AND model = ?",
            (pack, hash, event, model),
        ).fetchone()
        if found is None:
            return None
        decimals, count, one_missing, total, absolute, largest = found
        return {
            "rows": count,
            "one_missing": one_missing,
            "mean_difference": _mean(int(total), count, decimals),
            "mean_absolute": _mean(int(absolute), count, decimals),
            "largest": int(largest) / 10**decimals,
        }


def figures_of(profile: Profile) -> dict[str, Any]:
    """Rows, missing, and quantiles (to 1/128 of themselves) of scores."""
    quantiles = {f"p{round(100 * share):02d}": profile.quantile(share) for share in QUANTILES}
    return {"rows": profile.rows, "missing": profile.missing, **quantiles}


def _stability(sides: dict[str, Profile]) -> float | None:
    others = [profile for side, profile in sides.items() if side != CHAMPION]
    if CHAMPION not in sides or not others or not (sides[CHAMPION].present and others[0].present):
        return None
    return apart(sides[CHAMPION], others[0]).psi


def _whole(scores: Scores, decimals: int) -> list[int]:
    """Scores that are there as whole numbers of 10 ** -decimals."""
    there = scores[np.isfinite(scores)]
    whole: list[int] = np.rint(there * 10**decimals).astype(np.int64).tolist()
    return whole


def _mean(total: int, count: int, decimals: int) -> float | None:
    return total / count / 10**decimals if count else None
