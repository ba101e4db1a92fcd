"""Evaluation protocols of evaluations.toml. Each trains a model of its own, so that nothing of its test days is known.

`delayed_card`: train on `train_days`, wait `delay_days` for the reports, test on `test_days`. Cards known as defrauded
leave the test: those with a fraud in the training window, and for test day d those defrauded before day
`train_from + train_days + d` (the reproducible card-fraud handbook, chapter 5, with the delay it takes for granted).
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from quanheng.kernel.errors import InputError, NotFound
from quanheng.kernel.time import parse_time_ms
from quanheng.models.card import Figure, Window
from quanheng.models.history import History, history, read_file
from quanheng.models.settings import Training, choose_model, read_training
from quanheng.models.train import DAY_MS, _window, fit, labels_known, measure
from quanheng.models.trees import Trees, content_hash
from quanheng.models.vectors import Progress, vectors

if TYPE_CHECKING:
    from quanheng.loading.declared import Declared, FileMapping


class Protocol(msgspec.Struct, frozen=True, kw_only=True):
    """A protocol as declared. Days are whole days UTC; `key` is the field of the card that pays."""

    kind: str
    train_from: Any  # A TOML date, or text.
    train_days: int
    delay_days: int
    test_days: int
    key: str
    label_event: str
    top_k: int = 100
    mapping: str = ""
    title: Mapping[str, str] = {}


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """What a protocol measured.

    metrics : by name, each with its 95 % interval
    model_hash : of the weights that the protocol trained
    seconds : of the whole evaluation; stages : seconds of its parts
    """

    pack: str
    model: str
    protocol: str
    train: Window
    test: Window
    metrics: Mapping[str, Figure]
    model_hash: str
    trees: int
    seconds: float
    stages: Mapping[str, float]

    def summary(self) -> dict[str, float | int | str]:
        """The flat figures of `--json`."""
        figures = {name: round(figure.value, 6) for name, figure in self.metrics.items()}
        return {
            **figures,
            "test_rows": self.test.rows,
            "test_frauds": self.test.positives,
            "seconds": round(self.seconds, 1),
            "train_rows": self.train.rows,
            "train_frauds": self.train.positives,
            "trees": self.trees,
            "pack": self.pack,
            "protocol": self.protocol,
            "model": self.model,
            "model_hash": self.model_hash,
        }


def read_protocol(declared: Declared, name: str) -> Protocol:
    """A protocol of the pack.

    Raises
    ------
    NotFound : the pack has none of that name
    InputError : it is of no known kind
    """
    if name not in declared.evaluations:
        raise NotFound(
            "there is no such protocol",
            where=f"pack {declared.name}",
            found=name,
            allowed=", ".join(declared.evaluations) or "none is declared",
            cure="Declare it in evaluations.toml.",
        )
    protocol = msgspec.convert(declared.evaluations[name], Protocol)
    if protocol.kind != "delayed_card":
        raise InputError(
            "the protocol is of no known kind",
            where=f"evaluations.toml: protocol.{name}",
            found=protocol.kind,
            allowed="delayed_card",
        )
    return protocol


def evaluate(
    declared: Declared, file: Path, protocol_name: str, *, model: str = "", progress: Progress | None = None
) -> Evaluation:
    """Run a protocol on a file, end to end in this process.

    Raises
    ------
    NotFound, InputError : file, mapping, model or protocol do not fit
    MissingExtra : LightGBM is not installed
    """
    started = time.perf_counter()
    clock = [started]
    stages: dict[str, float] = {}
    protocol = read_protocol(declared, protocol_name)
    chosen = choose_model(declared, model)
    training = msgspec.structs.replace(read_training(chosen), label_event=protocol.label_event)
    events = history(read_file(file, _mapping(declared, protocol), _events(declared)), declared.events)
    _lap(stages, "reading", clock)
    train_rows, test_rows = windows(events, training, protocol)
    here = events.rows_of(training.event)
    wanted = np.zeros(len(events.types), bool)
    wanted[here[train_rows]] = wanted[here[test_rows]] = True
    rows = vectors(declared, events, training.event, chosen.inputs, wanted, progress)
    _lap(stages, "features", clock)
    place = np.cumsum(wanted[here]) - 1  # Row of a payment in `rows`.
    start_ms = _start_day(protocol) * DAY_MS
    test_ms = start_ms + (protocol.train_days + protocol.delay_days) * DAY_MS
    known = labels_known(events, training, by_ms=test_ms)[train_rows]
    trees = Trees.from_lightgbm(fit(chosen.inputs, rows[place[train_rows]], known, training, progress))
    _lap(stages, "training", clock)
    truth = labels_known(events, training)[test_rows]
    scores = trees.probability(rows[place[test_rows]])
    cards = events.key(training.event, protocol.key)[test_rows]
    metrics = measure(events.times[here[test_rows]] // DAY_MS, cards, truth, scores, protocol.top_k, training.seed)
    _lap(stages, "metrics", clock)
    start, test_start = start_ms // DAY_MS, test_ms // DAY_MS
    return Evaluation(
        pack=declared.name,
        model=chosen.name,
        protocol=protocol_name,
        train=_window(start, start + protocol.train_days, known),
        test=_window(test_start, test_start + protocol.test_days, truth),
        metrics=metrics,
        model_hash=content_hash(trees.to_bytes()),
        trees=len(trees.roots),
        seconds=time.perf_counter() - started,
        stages=stages,
    )


def windows(events: History, training: Training, protocol: Protocol) -> tuple[NDArray[Any], NDArray[Any]]:
    """Positions (among the scored events) of the training rows and of the test rows after the rule.

    Raises
    ------
    InputError : a window holds no rows
    """
    here = events.rows_of(training.event)
    days = events.times[here] // DAY_MS
    cards = events.key(training.event, protocol.key)
    bad = labels_known(events, training)
    start = _start_day(protocol)
    train_rows = np.flatnonzero((days >= start) & (days < start + protocol.train_days))
    test_start = start + protocol.train_days + protocol.delay_days
    parts = [np.empty(0, np.intp)]
    for day in range(protocol.test_days):
        defrauded = np.unique(cards[bad & (days >= start) & (days < start + protocol.train_days + day)])
        rows = np.flatnonzero(days == test_start + day)
        parts.append(rows[~np.isin(cards[rows], defrauded)])
    test_rows = np.concatenate(parts)
    if not len(train_rows) or not len(test_rows):
        raise InputError(
            "a window of the protocol holds no events",
            where=f"{training.event} from {protocol.train_from}",
            found=f"{len(train_rows)} training and {len(test_rows)} test rows",
            allowed=f"days {_window(int(days.min()), int(days.max()) + 1, bad).since} to "
            f"{_window(int(days.min()), int(days.max()) + 1, bad).until}",
            cure="Choose another protocol, or the file it was made for.",
        )
    return train_rows, test_rows


def _start_day(protocol: Protocol) -> int:
    start = protocol.train_from
    return parse_time_ms(start if isinstance(start, dt.date) else str(start)) // DAY_MS


def _mapping(declared: Declared, protocol: Protocol) -> FileMapping:
    mappings = {one.name: one for one in declared.mappings}
    if protocol.mapping in mappings:
        return mappings[protocol.mapping]
    if not protocol.mapping and len(mappings) == 1:
        return next(iter(mappings.values()))
    raise NotFound(
        "there is no such mapping",
        where=f"pack {declared.name}",
        found=protocol.mapping,
        allowed=", ".join(mappings) or "none is declared",
        cure="Name one of these under `mapping`.",
    )


def _events(declared: Declared) -> dict[str, Any]:
    return {one.name: one for one in declared.events}


def _lap(stages: dict[str, float], name: str, clock: list[float]) -> None:
    now = time.perf_counter()
    stages[name], clock[0] = round(now - clock[0], 2), now
