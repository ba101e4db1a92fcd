"""Training a scorecard on outcomes that ripen: of each decided event it is told, much later, how it ended.

At the moment when the test window begins, only outcomes that had arrived by then are known: the training window ends
where its youngest label had just ripened. The same data, settings and seed give the same bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quanheng.kernel.errors import InputError
from quanheng.kernel.time import format_time
from quanheng.models.card import Card, Figure, Window
from quanheng.models.fit import library_versions
from quanheng.models.history import history
from quanheng.models.metrics import brier, kolmogorov_smirnov
from quanheng.models.monitoring.reference import Strength, encode, reference_of
from quanheng.models.registry.evidence import ROWS_MAX, evidence_of
from quanheng.models.scorecard.fitting import ScorecardEstimator
from quanheng.models.scorecard.scorecard import Scorecard
from quanheng.models.settings import choose_model, read_training
from quanheng.models.table import Column, Table
from quanheng.models.train import DAY_MS, Trained, frame_digest
from quanheng.models.trees import content_hash
from quanheng.models.validation.bootstrap import brier_interval, ks_interval
from quanheng.models.validation.delong import delong
from quanheng.models.vectors import Progress, vectors

if TYPE_CHECKING:
    from quanheng.loading.declared import Declared

LIMITS = (
    "Measured on the population named above and on no other; measure again before use on real applicants.",
    "Only what was told of is learnt from: nothing is known of applicants whose loans were never made.",
    "The test window is one span of months; a later one may differ.",
)


class Ripened(NamedTuple):
    """Decided events whose outcome was told, in order of arrival.

    rows : f8[n, inputs], NaN = null; times : of the events; told : when the outcome arrived (ms UTC)
    bad : bool[n]; ids : of the events, as `label_field` names them
    """

    rows: NDArray[np.float64]
    times: NDArray[np.int64]
    told: NDArray[np.int64]
    bad: NDArray[np.bool_]
    ids: list[str]

    def split(self, test_days: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """(training, test) rows: the last `test_days` before the youngest event told of are the test.

        Raises
        ------
        InputError : a window has outcomes of one kind only
        """
        cut = int(self.times.max()) - test_days * DAY_MS if len(self.times) else 0
        train, test = np.flatnonzero(self.told < cut), np.flatnonzero(self.times >= cut)
        for name, part in (("training", train), ("test", test)):
            bad = int(self.bad[part].sum())
            if bad in (0, len(part)):
                raise InputError(
                    "there is nothing to learn from",
                    where=f"{name} window",
                    found=f"{bad} of {len(part)} outcomes are bad",
                    allowed="outcomes of both kinds",
                    cure="Give a longer history, so that outcomes have ripened before the test window begins.",
                )
        return train, test


def ripened(declared: Declared, frame: pl.DataFrame, model: str = "", progress: Progress | None = None) -> Ripened:
    """Point-in-time inputs of a model, and outcomes, of the events that were told of.

    frame : events in order of arrival: id, type, arrive_ms and fields
    """
    chosen = choose_model(declared, model)
    training = read_training(chosen)
    named, value = training.label_field, training.label_value
    if absent := [name for name in (named, value) if name not in frame.columns]:
        raise InputError(
            "the labels cannot be matched",
            where=training.label_event,
            found=", ".join(absent),
            allowed="fields of the events in the data",
            cure="Correct `label_field` and `label_value` in [training], or map the fields.",
        )
    events = history(frame, declared.events)
    here = events.rows_of(training.event)
    labels = frame.filter(pl.col("type") == training.label_event).unique(named, keep="first", maintain_order=True)
    labels = labels.select(
        pl.col(named).cast(pl.String), pl.col(value).alias("_bad"), pl.col("arrive_ms").alias("_told")
    )
    asked = (
        frame[named].gather(here).cast(pl.String).to_frame().join(labels, on=named, how="left", maintain_order="left")
    )
    known = asked["_bad"].is_not_null().to_numpy()
    wanted = np.zeros(len(events.types), bool)
    wanted[here[known]] = True
    rows = vectors(declared, events, training.event, chosen.inputs, wanted, progress)
    found = asked.filter(pl.col("_bad").is_not_null())
    return Ripened(
        rows, events.times[here[known]], found["_told"].to_numpy(), found["_bad"].to_numpy(), found[named].to_list()
    )


def table_of(inputs: list[str] | tuple[str, ...], rows: NDArray[np.float64], bad: NDArray[np.bool_]) -> Table:
    """Rows as an estimator takes them; null where NaN."""
    frame = pl.DataFrame({name: pl.Series(rows[:, at]).fill_nan(None) for at, name in enumerate(inputs)})
    columns = tuple(Column(name=name, kind="number") for name in inputs)
    return Table(frame, bad, columns)


def fit_scorecard(declared: Declared, told: Ripened, train: NDArray[np.intp], model: str = "") -> Scorecard:
    """A scorecard on the training rows alone."""
    chosen = choose_model(declared, model)
    training = read_training(chosen)
    told_of: list[Any] = [*declared.folds, *declared.formulas]
    titles = {one.name: {"en": one.title.en, "zh": one.title.zh} for one in told_of if one.name in chosen.inputs}
    estimator = ScorecardEstimator(**{"titles": titles, **training.scorecard})
    return estimator.fit(table_of(chosen.inputs, told.rows[train], told.bad[train]), training.seed)


def ranked(labels: NDArray[np.bool_], scores: NDArray[np.float64], seed: int) -> dict[str, Figure]:
    """AUC and Kolmogorov-Smirnov distance, each with its 95 % interval (DeLong; bootstrap)."""
    area = delong(labels, scores)
    return {
        "auc_roc": Figure(area.auc, area.low, area.high),
        "ks": Figure(kolmogorov_smirnov(labels, scores), *ks_interval(labels, scores, seed)),
    }


def train_scorecard(
    declared: Declared,
    frame: pl.DataFrame,
    *,
    model: str = "",
    data: str,
    population: str,
    command: str,
    progress: Progress | None = None,
) -> Trained:
    """Train a pack's scorecard on what had ripened before the test window, and measure it on the test window.

    frame : events in order of arrival; data, population, command : for the card

    Raises
    ------
    InputError : the labels cannot be matched, or a window has outcomes of one kind only
    """
    chosen = choose_model(declared, model)
    training = read_training(chosen)
    told = ripened(declared, frame, model, progress)
    train, test = told.split(training.test_days)
    card = fit_scorecard(declared, told, train, model)
    tested = table_of(chosen.inputs, told.rows[test], told.bad[test])
    scores, weights = card.probability(tested.rows), card.to_bytes()
    evidence = (
        evidence_of([told.ids[at] for at in test.tolist()], tested.target, scores).to_bytes()
        if len(test) <= ROWS_MAX
        else b""
    )
    metrics = ranked(tested.target, scores, training.seed)
    metrics["brier"] = Figure(brier(tested.target, scores), *brier_interval(tested.target, scores, training.seed))
    made = Card(
        model=chosen.name, pack=declared.name, pack_version=declared.version, command=command, data=data,
        data_digest=frame_digest(frame), population=population, train=_window(told, train), test=_window(told, test),
        metrics=metrics, seed=training.seed, weights_bytes=len(weights), libraries=library_versions("scorecard"),
        limits=LIMITS, evidence=f"{chosen.name}.evidence" if evidence else "",
        evidence_hash=content_hash(evidence) if evidence else "",
    )  # fmt: skip
    strength = Strength(metrics["auc_roc"].value, metrics["ks"].value, int(tested.target.sum()), len(test))
    reference = reference_of(
        table_of(chosen.inputs, told.rows[train], told.bad[train]).rows, scores, tested.columns, model=chosen.name,
        weights=content_hash(weights), source=f"{data}; scores of the test window", target=told.bad[train],
        strength=strength,
    )  # fmt: skip
    return Trained(weights, content_hash(weights), made, encode(reference), evidence)


def _window(told: Ripened, places: NDArray[np.intp]) -> Window:
    times = told.times[places]
    since, until = format_time(int(times.min()))[:10], format_time(int(times.max()) + DAY_MS)[:10]
    return Window(since, until, len(places), int(told.bad[places].sum()))
