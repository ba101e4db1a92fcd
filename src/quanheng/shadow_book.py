"""What following trials has found, in a small SQLite file beside the log: derived, rebuilt from the log at any time."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from quanheng.decisions.backtest.sequential import ALPHA, Arm, Watch
from quanheng.shadow_scores import TABLES as SCORE_TABLES
from quanheng.shadow_scores import ScoreBook
from quanheng.state import Trial

FILE_NAME = "shadow.db"
CHANGED_MAX = 1_000
"""Newest changed decisions that are kept for each version."""
BUSY_TIMEOUT_S = 60.0

_TABLES = """
CREATE TABLE IF NOT EXISTS place (only INTEGER PRIMARY KEY CHECK (only = 1), next INTEGER, activation INTEGER);
CREATE TABLE IF NOT EXISTS trial (pack TEXT, hash TEXT, erased INTEGER DEFAULT 0, problem TEXT DEFAULT '',
  PRIMARY KEY (pack, hash));
CREATE TABLE IF NOT EXISTS cell (pack TEXT, hash TEXT, event TEXT, champion TEXT, shadow TEXT, currency TEXT,
  count INTEGER, minor TEXT, PRIMARY KEY (pack, hash, event, champion, shadow, currency));
CREATE TABLE IF NOT EXISTS changed (pack TEXT, hash TEXT, decision INTEGER, champion TEXT, shadow TEXT,
  PRIMARY KEY (pack, hash, decision));
CREATE TABLE IF NOT EXISTS arm (pack TEXT, hash TEXT, event TEXT, outcome TEXT, counts TEXT, hits TEXT,
  p_value REAL, real_since INTEGER, PRIMARY KEY (pack, hash, event, outcome));
INSERT OR IGNORE INTO place VALUES (1, 0, -1);
"""


class Compared(NamedTuple):
    """One decision: what the champion said, what the shadow says, and the amount it was about."""

    decision: int
    champion: str
    shadow: str
    currency: str
    minor: int


class Book:
    """The file. Several processes may follow in turn; each part is kept whole or not at all."""

    def __init__(self, folder: Path) -> None:
        self._sql = sqlite3.connect(folder / FILE_NAME, isolation_level=None, timeout=BUSY_TIMEOUT_S)
        self._sql.execute("PRAGMA journal_mode = WAL").fetchall()
        self._sql.execute("PRAGMA synchronous = NORMAL")  # Derived: what a crash takes is found again.
        self._sql.executescript(_TABLES + SCORE_TABLES)
        self.scores = ScoreBook(self._sql)

    @contextmanager
    def turn(self) -> Iterator[tuple[int, int]]:
        """Everything written inside is kept together; gives the place that was reached."""
        self._sql.execute("BEGIN IMMEDIATE")
        try:
            yield self._sql.execute("SELECT next, activation FROM place").fetchone()
        except BaseException:
            self._sql.execute("ROLLBACK")
            raise
        self._sql.execute("COMMIT")

    def reached(self, next: int, activation: int) -> None:
        """The log was followed up to `next`; `activation` is in force there."""
        self._sql.execute("UPDATE place SET next = ?, activation = ?", (next, activation))

    def _trial(self, trial: Trial) -> tuple[str, str]:
        key = trial.pack, trial.hash
        self._sql.execute("INSERT OR IGNORE INTO trial (pack, hash) VALUES (?, ?)", key)
        return key

    def erased(self, trials: Sequence[Trial], count: int) -> None:
        """Decisions that cannot be read any more, because their subject was erased."""
        for trial in trials if count else ():
            self._sql.execute(
                "UPDATE trial SET erased = erased + ? WHERE pack = ? AND hash = ?", (count, *self._trial(trial))
            )

    def problem(self, trial: Trial, text: str) -> None:
        """Why a version in shadow cannot judge."""
        self._sql.execute("UPDATE trial SET problem = ? WHERE pack = ? AND hash = ?", (text, *self._trial(trial)))

    def judged(self, trial: Trial, event: str, rows: Sequence[Compared]) -> None:
        """Count decisions that a shadow judged."""
        key = self._trial(trial)
        sums: dict[tuple[str, str, str], tuple[int, int]] = {}
        for row in rows:
            cell = row.champion, row.shadow, row.currency
            count, minor = sums.get(cell, (0, 0))
            sums[cell] = count + 1, minor + row.minor
        for cell, (count, minor) in sums.items():
            where = (*key, event, *cell)
            found = self._sql.execute(
                "SELECT count, minor FROM cell WHERE pack = ? AND hash = ? AND event = ? AND champion = ? "
                "AND shadow = ? AND currency = ?",
                where,
            ).fetchone() or (0, "0")
            # Totals are texts: they may outgrow 64 bits.
            self._sql.execute(
                "INSERT OR REPLACE INTO cell VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (*where, found[0] + count, str(int(found[1]) + minor)),
            )
        changed = [(*key, row.decision, row.champion, row.shadow) for row in rows if row.champion != row.shadow]
        if changed:
            self._sql.executemany("INSERT OR REPLACE INTO changed VALUES (?, ?, ?, ?, ?)", changed)
            self._sql.execute(
                "DELETE FROM changed WHERE pack = ? AND hash = ? AND decision <= (SELECT decision FROM changed "
                "WHERE pack = ? AND hash = ? ORDER BY decision DESC LIMIT 1 OFFSET ?)",
                (*key, *key, CHANGED_MAX),
            )

    def arm(self, trial: Trial, event: str, arm: int, counts: Mapping[str, int], outcomes: Sequence[str]) -> None:
        """Count decisions of one arm, for the rate of every outcome. A chunk of decisions is one look."""
        key, total = self._trial(trial), sum(counts.values())
        for outcome in outcomes:
            watch = self._watch(key, event, outcome, len(outcomes))
            hits, before = counts.get(outcome, 0), watch.arms[arm]
            # One look when all are in: looks between hits and the rest would not be at a moment that ever was.
            watch.arms[arm] = Arm(before.count + hits, before.hits + hits)
            watch.add(arm, False, total - hits)
            arms = [" ".join(str(getattr(one, part)) for one in watch.arms) for part in ("count", "hits")]
            self._sql.execute(
                "INSERT OR REPLACE INTO arm VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (*key, event, outcome, *arms, watch.p_value, watch.real_since),
            )

    def _watch(self, key: tuple[str, str], event: str, outcome: str, outcomes: int) -> Watch:
        watch = Watch(outcome, ALPHA / outcomes)  # Each rate has its share of alpha, as `sequential.Monitor` gives it.
        found = self._sql.execute(
            "SELECT counts, hits, p_value, real_since FROM arm WHERE pack = ? AND hash = ? AND event = ? "
            "AND outcome = ?",
            (*key, event, outcome),
        ).fetchone()
        if found is not None:
            counts, hits = (list(map(int, text.split())) for text in found[:2])
            watch.arms = [Arm(count, hit) for count, hit in zip(counts, hits, strict=True)]
            watch.p_value, watch.real_since = found[2:]
        return watch

    # -- reading

    def told(self, pack: str, hash: str, newest: int = 20) -> dict[str, Any]:
        """What was found of one version.

        Returns
        -------
        reached : offset up to which the log was followed
        matrix : rows of (event, champion, shadow, currency, count, minor)
        changed : the newest decisions that the shadow would have decided otherwise
        arms : for every event and outcome the finding of the always-valid test
        scores : for every event and model the scores of both sides, see `ScoreBook.told`
        """
        key = pack, hash
        cells = self._sql.execute(
            "SELECT event, champion, shadow, currency, count, minor FROM cell WHERE pack = ? AND hash = ? "
            "ORDER BY event, champion, shadow, currency",
            key,
        )
        changed = self._sql.execute(
            "SELECT decision, champion, shadow FROM changed WHERE pack = ? AND hash = ? ORDER BY decision DESC LIMIT ?",
            (*key, newest),
        )
        trial = self._sql.execute("SELECT erased, problem FROM trial WHERE pack = ? AND hash = ?", key).fetchone()
        erased, problem = trial or (0, "")
        return {
            "reached": self._sql.execute("SELECT next FROM place").fetchone()[0],
            "matrix": [
                {
                    "event": event,
                    "champion": champion,
                    "shadow": shadow,
                    "currency": currency,
                    "count": count,
                    "minor": int(minor),
                }
                for event, champion, shadow, currency, count, minor in cells.fetchall()
            ],
            "changed": [dict(zip(("decision", "champion", "shadow"), row, strict=True)) for row in changed.fetchall()],
            "arms": [*self._findings(key)],
            "scores": self.scores.told(pack, hash),
            "erased": erased,
            "problem": problem,
        }

    def _findings(self, key: tuple[str, str]) -> Iterator[dict[str, Any]]:
        found = self._sql.execute("SELECT event, outcome FROM arm WHERE pack = ? AND hash = ?", key).fetchall()
        for event, outcome in sorted(found):
            outcomes = sum(1 for other, _ in found if other == event)
            finding = self._watch(key, event, outcome, outcomes).finding()
            yield {
                "event": event,
                "outcome": outcome,
                **{
                    name: {"decisions": one.count, "hits": one.hits}
                    for name, one in (("champion", finding.champion), ("challenger", finding.challenger))
                },
                **{name: getattr(finding, name) for name in ("difference", "low", "high", "p_value", "real")},
                "real_since": finding.real_since,
            }

    def close(self) -> None:
        """Close the file."""
        self._sql.close()
