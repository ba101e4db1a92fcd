"""Scorecards: one row looked up with four reasons; a fit on 150,000 applicants; against optbinning and toad."""

from __future__ import annotations

import os
import time
import zipfile
from collections.abc import Callable
from operator import itemgetter
from pathlib import Path
from statistics import median

import numpy as np
import polars as pl

from bench.peers import run_peer
from quanheng.kernel.errors import NotFound
from quanheng.models.metrics import auc_roc
from quanheng.models.readers import Asked, read_scorecard
from quanheng.models.scorecard.fitting import ScorecardEstimator, assign_folds
from quanheng.models.table import Column, Table
from quanheng.testing.bench import Measured

ROOT = Path(__file__).resolve().parents[1]
FILE = Path(os.environ.get("QUANHENG_SHARED", ROOT.parent / "shared")) / "data" / "gmsc_cs-training.csv.zip"
TARGET = "SeriousDlqin2yrs"
ROUNDS, CALLS = 15, 2_000


def generated(rows: int = 20_000, columns: int = 10, seed: int = 5) -> Table:
    """Ten numbers of which each tells something, one in twenty missing."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, columns))
    target = rng.random(rows) < 1 / (1 + np.exp(-(x.sum(axis=1) * 0.4 - 2)))
    x[rng.random(x.shape) < 0.05] = np.nan
    frame = pl.DataFrame({f"x{at}": x[:, at] for at in range(columns)}).fill_nan(None)
    return Table(frame, target, tuple(Column(name=name, kind="number") for name in frame.columns))


def gmsc() -> Table:
    """GiveMeSomeCredit: 150,000 applicants, ten inputs."""
    with zipfile.ZipFile(FILE) as archive:
        frame = pl.read_csv(archive.read("cs-training.csv"), null_values=["NA"], infer_schema_length=None)
    inputs = frame.drop(TARGET, frame.columns[0]).cast(pl.Float64)
    columns = tuple(Column(name=name, kind="number") for name in inputs.columns)
    return Table(inputs, frame[TARGET].to_numpy().astype(bool), columns)


def run(quick: bool = False) -> Measured:
    """One row through what a decision calls: columns by name in, points and four reasons out; median of CPU time."""
    table = generated()
    card = ScorecardEstimator().fit(table, 1)
    answering = read_scorecard(card.to_bytes(), Asked("points", 0, 4), "bench")
    columns = [np.ascontiguousarray(table.rows[name].to_numpy().astype(float)[:1]) for name in answering.inputs]
    known = dict(zip(answering.inputs, columns, strict=True))
    get = itemgetter(*answering.inputs)
    calls = CALLS // 10 if quick else CALLS
    ours = _us(lambda: answering.answer(get(known)), calls)
    flat, bins = card.flat(table.rows[:1]), card.weights.characteristics
    cuts = [np.array([bin.high for bin in one.bins if bin.kind == "range" and bin.high is not None]) for one in bins]
    points = [np.array([bin.points for bin in one.bins]) for one in bins]

    def merged() -> int:
        """The same points by numpy alone, a search per column, without reasons."""
        found = (np.searchsorted(cut, value, side="right") for cut, value in zip(cuts, flat, strict=True))
        return sum(int(worth[at]) for worth, at in zip(points, found, strict=True))

    peers = {"numpy": _us(merged, calls // 10)}
    found, why = run_peer("models_scorecard_peers.py", "row")
    return Measured(ours, "us", peers | (found or {}), {"peers_absent": why} if why else {})


def run_fit(quick: bool = False) -> Measured:
    """A fit on GiveMeSomeCredit in CPU seconds, and the area under its curve over five folds; `quick`: no peers."""
    if not FILE.is_file():
        allowed = f"../shared/data/{FILE.name}"
        raise NotFound("the applicants are not beside the tree", where="models.fit.gmsc", allowed=allowed)
    table = gmsc()
    ScorecardEstimator().fit(table.take(np.arange(2_000)), 1)  # What compiles, compiles here.
    seconds = median(_seconds(lambda: ScorecardEstimator().fit(table, 1)) for _ in range(3))
    fold, areas = assign_folds(table.target, 5, 1), []
    for one in range(5):
        card = ScorecardEstimator().fit(table.take(np.flatnonzero(fold != one)), 1)
        outside = table.take(np.flatnonzero(fold == one))
        areas.append(auc_roc(outside.target, card.probability(outside.rows)))
    found, why = (None, "quick") if quick else run_peer("models_scorecard_peers.py", "fit", FILE)
    extra: dict[str, object] = {"auc": round(float(np.mean(areas)), 4)}
    extra["auc_deviation"] = round(float(np.std(areas, ddof=1)), 4)
    over = {f"{name}_over_s": value["over_s"] for name, value in (found or {}).items() if "over_s" in value}
    whole = {name: value for name, value in (found or {}).items() if "seconds" in value}
    extra |= {f"auc_{name}": value["auc"] for name, value in whole.items()} | over
    extra |= {"peers_absent": why} if why else {}
    peers = {name: value["seconds"] for name, value in whole.items()}
    return Measured(round(seconds, 3), "s", peers, extra)


def _us(call: Callable[[], object], calls: int) -> float:
    found = []
    for _ in range(ROUNDS):
        started = time.process_time()
        for _ in range(calls):
            call()
        found.append((time.process_time() - started) / calls * 1e6)
    return round(median(found), 2)


def _seconds(call: Callable[[], object]) -> float:
    started = time.process_time()
    call()
    return time.process_time() - started
