"""A model fitted on a prepared table: folds first, then all rows, then a card of what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import NamedTuple

import msgspec
import numpy as np

from quanheng.kernel.errors import InputError
from quanheng.kernel.time import format_time
from quanheng.models.card import Card, Figure, Window
from quanheng.models.estimator import Fitted, Progress
from quanheng.models.estimators import make_estimator
from quanheng.models.metrics import brier, kolmogorov_smirnov
from quanheng.models.registry.evidence import ROWS_MAX, evidence_of
from quanheng.models.table import Table
from quanheng.models.tables.findings import Finding, shown
from quanheng.models.tables.prepare import Prepared
from quanheng.models.trees import content_hash
from quanheng.models.validation.bootstrap import brier_interval, ks_interval
from quanheng.models.validation.delong import delong
from quanheng.models.validation.folds import Validated, validate
from quanheng.models.validation.splits import Split, out_of_time, stratified_folds, time_ordered_folds

DAY_MS = 86_400_000
AUC_TOO_GOOD = 0.95
LIBRARIES: Mapping[str, Sequence[str]] = {
    "logistic": ("numpy", "polars", "scikit-learn"),
    "scorecard": ("numpy", "polars"),
    "lightgbm": ("numpy", "polars", "lightgbm"),
    "ebm": ("numpy", "polars", "interpret-core"),
}
_DEFAULT_LIBRARIES = ("numpy", "polars", "scikit-learn", "lightgbm")


class FitSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How a model is fitted and measured.

    name : of the model
    estimator, settings : which, and what it is told
    folds, repeats : of stratified folds, or of periods where the table has times
    out_of_time : share of the latest rows to test on in place of folds; 0 = none
    seed : of every choice
    command : what was asked, for the card
    """

    name: str
    estimator: str = "scorecard"
    settings: Mapping[str, object] = {}
    folds: int = 5
    repeats: int = 1
    out_of_time: float = 0.0
    seed: int = 1
    command: str = ""


class FittedTable(NamedTuple):
    """What came of it.

    model : fitted on all rows
    weights, hash : its file
    validated : fold by fold
    validation : how the rows were split, in words
    card : all of it in figures
    findings : what the figures themselves warn of
    evidence : labels and scores of the rows that were tested, a file; empty where they are too many
    """

    model: Fitted
    weights: bytes
    hash: str
    validated: Validated
    validation: str
    card: Card
    findings: list[Finding]
    evidence: bytes


def fit_table(prepared: Prepared, settings: FitSettings, data: str, progress: Progress | None = None) -> FittedTable:
    """Measure an estimator on folds of a table, then fit it on all rows.

    The same table, settings and seed give the same hash.

    Parameters
    ----------
    data : what the table is, in words, for the card

    Raises
    ------
    NotFound : no such estimator
    InputError : the table cannot be split so, or nothing can be learnt
    MissingExtra : a library is not installed
    """
    table, estimator = prepared.table, make_estimator(settings.estimator, settings.settings)
    splits, told = _splits(table, settings)
    validated = validate(estimator, table, splits, settings.seed, progress)
    model = estimator.fit(table, settings.seed, progress)
    weights = model.to_bytes()
    findings = _too_good(table, model, validated)
    suspicious = [one for one in (*prepared.findings, *findings) if one.severity == "warning"]
    card = _card(prepared, settings, data, validated, splits, told, len(weights), suspicious)
    evidence = _evidence(prepared, validated)
    if evidence:
        card = msgspec.structs.replace(card, evidence=f"{settings.name}.evidence", evidence_hash=content_hash(evidence))
    return FittedTable(model, weights, content_hash(weights), validated, told, card, findings, evidence)


def _evidence(prepared: Prepared, validated: Validated) -> bytes:
    """What the card's figures are computed from: two models fitted on rows of one file are compared row by row."""
    tested = np.flatnonzero(~np.isnan(validated.scores))
    if len(tested) > ROWS_MAX:
        return b""
    labels = prepared.table.target
    ids = [f"{prepared.digest} {len(labels)} {row}" for row in tested.tolist()]
    return evidence_of(ids, labels[tested], validated.scores[tested]).to_bytes()


def library_versions(estimator: str) -> dict[str, str]:
    """Versions of the installed libraries that shape what an estimator fits."""
    found = {}
    for name in LIBRARIES.get(estimator, _DEFAULT_LIBRARIES):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _too_good(table: Table, model: Fitted, validated: Validated) -> list[Finding]:
    """A warning where out-of-fold scores rank nearly all rows right: several columns together may know the outcome."""
    auc = validated.mean("auc")
    if auc < AUC_TOO_GOOD:
        return []
    weight = np.abs(model.contributions(table.rows[:: max(1, len(table.target) // 10_000)])).mean(axis=0)
    heaviest = [model.columns[at].name for at in np.argsort(-weight, kind="stable")[:3]]
    done = f"look at {shown(heaviest)} first: what is known only after the outcome must be left out with --drop"
    return [
        Finding(kind="too_good", where="table", found=f"out-of-fold AUC of {auc:.3f}", done=done, severity="warning")
    ]


def _splits(table: Table, settings: FitSettings) -> tuple[list[Split], str]:
    if table.times is None:
        if settings.out_of_time:
            raise InputError(
                "a test out of time needs to know when each row was decided", where="--out-of-time",
                found="no time", cure="Name the column of dates with --time.",
            )  # fmt: skip
        splits = stratified_folds(table.target, settings.folds, settings.seed, settings.repeats)
        times = f", {settings.repeats} times" if settings.repeats > 1 else ""
        return splits, f"{settings.folds} stratified folds{times}, seed {settings.seed}"
    if settings.out_of_time:
        split = out_of_time(table.times, table.target, settings.out_of_time)
        return [split], f"the latest {settings.out_of_time:.0%} of the rows, fitted on all before"
    splits = time_ordered_folds(table.times, table.target, settings.folds)
    return splits, f"{len(splits)} periods in the order of time, each fitted on all before"


def _card(
    prepared: Prepared,
    settings: FitSettings,
    data: str,
    validated: Validated,
    splits: Sequence[Split],
    told: str,
    size: int,
    suspicious: Sequence[Finding],
) -> Card:
    table = prepared.table
    everything = np.arange(len(table.target))
    tested = np.unique(np.concatenate([split.test for split in splits]))
    return Card(
        model=settings.name,
        pack="",
        pack_version="",
        command=settings.command,
        data=data,
        data_digest=prepared.digest,
        population=f"the {len(table.target)} rows of the file that have a target",
        train=_window(table, everything),
        test=_window(table, tested),
        metrics=_metrics(table, validated, tested, settings.seed),
        seed=settings.seed,
        rounds=0,
        trees=0,
        nodes=0,
        weights_bytes=size,
        libraries=library_versions(settings.estimator),
        limits=(
            f"Metrics are of scores by models not fitted on the row: {told}. The model itself is fitted on all rows.",
            "It holds for people like those of the file; who was rejected before is not among them.",
            *(() if table.times is not None else ("The file says no times: nothing is known about later months.",)),
            *(str(finding) for finding in suspicious),
        ),
    )  # fmt: skip


def _window(table: Table, places: np.ndarray) -> Window:
    since, until = "", ""
    if table.times is not None:
        times = table.times[places]
        since, until = format_time(int(times.min()))[:10], format_time(int(times.max()) + DAY_MS)[:10]
    return Window(since=since, until=until, rows=len(places), positives=int(table.target[places].sum()))


def _metrics(table: Table, validated: Validated, tested: np.ndarray, seed: int) -> dict[str, Figure]:
    """Measures of all out-of-fold scores together, with 95 % intervals: DeLong for the ranking, else the bootstrap."""
    labels, scores = table.target[tested], validated.scores[tested]
    area = delong(labels, scores)
    return {
        "auc_roc": Figure(area.auc, area.low, area.high),
        "gini": Figure(2 * area.auc - 1, 2 * area.low - 1, 2 * area.high - 1),
        "ks": Figure(kolmogorov_smirnov(labels, scores), *ks_interval(labels, scores, seed)),
        "brier": Figure(brier(labels, scores), *brier_interval(labels, scores, seed)),
    }
