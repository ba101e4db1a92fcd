"""Training on point-in-time vectors: the same rows, pins and seed on one thread give the same bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quanheng.kernel.errors import InputError, MissingExtra
from quanheng.kernel.time import format_time
from quanheng.models.card import Card, Figure, Window, library_versions
from quanheng.models.history import History, history
from quanheng.models.metrics import auc_roc, average_precision, card_precision, interval, kolmogorov_smirnov
from quanheng.models.monitoring.reference import Strength, encode, reference_of
from quanheng.models.registry.evidence import ROWS_MAX, evidence_of
from quanheng.models.settings import Training, choose_model, read_training
from quanheng.models.table import Column
from quanheng.models.trees import Trees, content_hash
from quanheng.models.vectors import Progress, vectors

if TYPE_CHECKING:
    from quanheng.loading.declared import Declared

DAY_MS = 86_400_000
_BOOTSTRAP_DRAWS = 200
LIMITS = (
    "Measured on the population named above and on no other; measure again before use on real traffic.",
    "Labels are reports: fraud that nobody reported counts as honest.",
    "A score is a ranking; its probabilities are not calibrated for another share of fraud.",
)


class Trained(NamedTuple):
    """weights : bytes of the weights file; hash : its content hash; card : how it was made and how good it is

    reference : bytes of the file that stands beside the weights: how inputs and scores were distributed
    evidence : labels and scores of the test rows, which the card names; empty where they are too many
    """

    weights: bytes
    hash: str
    card: Card
    reference: bytes
    evidence: bytes = b""


def import_lightgbm() -> Any:
    """LightGBM, or an error that says how to install it.

    Raises
    ------
    MissingExtra : the package is not installed
    """
    try:
        import lightgbm
    except ImportError:
        raise MissingExtra("lightgbm", "models", "training a model") from None
    return lightgbm


def fit(
    inputs: Sequence[str],
    rows: NDArray[np.float64],
    labels: NDArray[np.bool_],
    training: Training,
    progress: Progress | None = None,
) -> Any:
    """Train a LightGBM booster.

    Parameters
    ----------
    rows : f8[n, inputs], NaN = null
    labels : true for what is to be found

    Raises
    ------
    InputError : the rows hold labels of one kind only
    MissingExtra : LightGBM is not installed
    """
    lightgbm = import_lightgbm()
    if labels.all() or not labels.any():
        raise InputError(
            "there is nothing to learn from",
            where="training window",
            found=f"{int(labels.sum())} of {len(labels)} rows",
            allowed="rows of both kinds",
            cure="Train on a longer window, or look at the label's mapping.",
        )
    parameters = training.lightgbm()
    dataset = lightgbm.Dataset(rows, labels.astype(np.float64), feature_name=list(inputs), params=parameters)
    steps: list[Callable[[Any], None]] = []
    if progress is not None:
        tell = progress
        steps = [lambda now: tell("training", now.iteration + 1, training.rounds)]
    return lightgbm.train(parameters, dataset, training.rounds, callbacks=steps)


def labels_known(events: History, training: Training, by_ms: int | None = None) -> NDArray[np.bool_]:
    """For each event of the scored type, whether it was reported bad by `by_ms` (None: at any time).

    Raises
    ------
    InputError : the data lacks the field that names the reported event
    """
    frame = events.frame
    if training.label_field not in frame.columns:
        raise InputError(
            "the labels cannot be matched",
            where=training.label_event,
            found=", ".join(frame.columns),
            allowed=f"also {training.label_field}",
            cure="Map the field that holds the id of the reported event.",
        )
    reports = frame.filter(pl.col("type") == training.label_event)
    if by_ms is not None:
        reports = reports.filter(pl.col("arrive_ms") < by_ms)
    ids = frame["id"].gather(events.rows_of(training.event)).cast(pl.String)
    return ids.is_in(reports[training.label_field].cast(pl.String).drop_nulls().implode()).to_numpy()


def train(
    declared: Declared,
    frame: pl.DataFrame,
    *,
    model: str = "",
    data: str,
    population: str,
    command: str,
    progress: Progress | None = None,
) -> Trained:
    """Train a model of a pack and measure it on the days that were held out.

    The windows, by whole days (UTC) of the data: warm-up, training, delay (labels arrive), test. A training label is
    used only if its report arrived before the test window. Truth in the test window: the column `attack` where the
    data has one (simulated traffic), else every report in the data.

    Parameters
    ----------
    frame : events in order of arrival: id, type, arrive_ms and fields
    data, population, command : for the card
    """
    chosen = choose_model(declared, model)
    training = read_training(chosen)
    events = history(frame, declared.events)
    here = events.rows_of(training.event)
    days = events.times[here] // DAY_MS
    test_from = int(days.max()) + 1 - training.test_days if len(days) else 0
    train_to = test_from - training.delay_days
    train_from = int(days.min()) + training.warmup_days if len(days) else 0
    if train_from >= train_to:
        needed = training.warmup_days + training.delay_days + training.test_days + 1
        raise InputError(
            "the data is too short to train on",
            where=declared.name,
            found=f"{len(np.unique(days))} days",
            allowed=f"at least {needed} days",
            cure="Give more data, or lower `warmup_days` in [training].",
        )
    in_train = (days >= train_from) & (days < train_to)
    in_test = days >= test_from
    wanted = np.zeros(len(events.types), bool)
    wanted[here[in_train | in_test]] = True
    rows = vectors(declared, events, training.event, chosen.inputs, wanted, progress)
    is_train = in_train[in_train | in_test]
    known = labels_known(events, training, by_ms=test_from * DAY_MS)[in_train]
    booster = fit(chosen.inputs, rows[is_train], known, training, progress)
    trees = Trees.from_lightgbm(booster)
    truth = _truth(events, training)[in_test]
    cards = events.key(training.event, training.group)[in_test]
    scores = trees.probability(rows[~is_train])
    weights = trees.to_bytes()
    evidence = _evidence(events.frame["id"].gather(here[in_test]).to_list(), truth, scores, cards)
    card = Card(
        model=chosen.name,
        pack=declared.name,
        pack_version=declared.version,
        command=command,
        data=data,
        data_digest=frame_digest(frame),
        population=population,
        train=_window(train_from, train_to, known),
        test=_window(test_from, test_from + training.test_days, truth),
        metrics=measure(days[in_test], cards, truth, scores, training.top_k, training.seed),
        seed=training.seed,
        rounds=training.rounds,
        trees=len(trees.roots),
        nodes=len(trees.left),
        weights_bytes=len(weights),
        libraries=library_versions(),
        limits=LIMITS,
        evidence=f"{chosen.name}.evidence" if evidence else "",
        evidence_hash=content_hash(evidence) if evidence else "",
    )
    reference = reference_of(
        pl.DataFrame(dict(zip(chosen.inputs, rows[is_train].T, strict=True))), scores,
        [Column(name=name, kind="number") for name in chosen.inputs], model=chosen.name, weights=content_hash(weights),
        source=f"{data}; scores of the test window", target=known, strength=_strength(truth, scores),
    )  # fmt: skip
    return Trained(weights, content_hash(weights), card, encode(reference), evidence)


def _strength(truth: NDArray[np.bool_], scores: NDArray[np.float64]) -> Strength:
    ks = kolmogorov_smirnov(truth, scores)
    return Strength(auc_roc(truth, scores), ks, int(truth.sum()), len(truth))


def _evidence(ids: list[str], truth: NDArray[np.bool_], scores: NDArray[np.float64], groups: NDArray[Any]) -> bytes:
    """What the card's figures can be computed from again; nothing where the rows are more than travel with a pack."""
    return evidence_of(ids, truth, scores, groups).to_bytes() if len(ids) <= ROWS_MAX else b""


def measure(
    days: NDArray[Any], cards: NDArray[Any], labels: NDArray[np.bool_], scores: NDArray[np.float64], k: int, seed: int
) -> dict[str, Figure]:
    """AUC, average precision and card precision at k, each with its interval."""
    measures: dict[str, Callable[[NDArray[np.intp], NDArray[Any]], float]] = {
        "auc_roc": lambda rows, _: auc_roc(labels[rows], scores[rows]),
        "average_precision": lambda rows, _: average_precision(labels[rows], scores[rows]),
        f"card_precision_at_{k}": lambda rows, drawn: card_precision(days[rows], drawn, labels[rows], scores[rows], k),
    }
    every = np.arange(len(labels))
    return {
        name: Figure(one(every, cards), *interval(one, cards, seed, _BOOTSTRAP_DRAWS)) for name, one in measures.items()
    }


def frame_digest(frame: pl.DataFrame) -> str:
    """SHA-256 of the table's content: the same rows give the same digest."""
    digest = hashlib.sha256(",".join(frame.columns).encode())
    for start in range(0, len(frame), 100_000):
        digest.update(frame.slice(start, 100_000).write_csv(include_header=False).encode())
    return "sha256:" + digest.hexdigest()


def _truth(events: History, training: Training) -> NDArray[np.bool_]:
    if "attack" not in events.frame.columns:
        return labels_known(events, training)
    return events.frame["attack"].gather(events.rows_of(training.event)).is_not_null().to_numpy()


def _window(since: int, until: int, labels: NDArray[np.bool_]) -> Window:
    day = [format_time(number * DAY_MS)[:10] for number in (since, until)]
    return Window(day[0], day[1], len(labels), int(labels.sum()))
