"""A model watched over the log: recorded decisions with what they were served, the labels that came, the reference."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import polars as pl

from quanheng.kernel.errors import InputError, NotFound
from quanheng.kernel.time import parse_time_ms
from quanheng.loading.declared import Declared, ModelDeclaration
from quanheng.models.monitoring.reference import Reference, Strength, reference_of
from quanheng.models.monitoring.ripening import NEVER_MS, ripened
from quanheng.models.monitoring.separation import separation
from quanheng.models.monitoring.thresholds import Monitoring, observe_ms, of_model
from quanheng.models.monitoring.watch import Scored, Watch, Watched
from quanheng.models.settings import choose_model
from quanheng.models.table import Column, Kind
from quanheng.past.distributions import window_of
from quanheng.past.scored import Answer, Chunk, answers, scored
from quanheng.past.window import Progress, Survey, Window, activations_of, survey
from quanheng.reading import Reader

ROWS_MAX = 2_000_000
"""Most decisions that a reference is made of: their inputs are all in memory."""


class Watching(NamedTuple):
    """What of the log is watched.

    declared, model : as last in force
    labels : where labels come from; None = the model says nothing of them
    """

    reader: Reader
    declared: Declared
    model: ModelDeclaration
    monitoring: Monitoring
    window: Window
    survey: Survey
    labels: Answer | None

    @property
    def observe_ms(self) -> int:
        """How long a row is observed."""
        return observe_ms(self.monitoring, self.model.settings)

    @property
    def approved(self) -> frozenset[str]:
        """Outcomes that approve; none = the mildest one."""
        return frozenset(self.monitoring.approved)


class Seen(NamedTuple):
    """What was found, and what was left out.

    other_versions : decisions under other weights; erased : whose subject was erased
    """

    watched: Watched
    rows: int
    other_versions: int


def watching(
    reader: Reader, pack: str, model: str = "", first: str = "", last: str = "", progress: Progress | None = None
) -> Watching:
    """Find what is to be watched: the model as it was last in force, and decisions of the event it is trained for.

    Parameters
    ----------
    first, last : moments as texts, "" = open; decisions whose own time lies in [first, last)

    Raises
    ------
    NotFound : the pack was never in force, has no such model, or no decision lies in the window
    InputError : a moment cannot be read, or the pack decides several events and the model names none
    """
    activations = [one for one in activations_of(reader) if pack in one.packs]
    training: Mapping[str, object] = {}
    declared = None
    if activations:
        declared = reader.program(activations[-1].offset).packs[pack]
        settings = choose_model(declared, model).settings.get("training")
        training = settings if isinstance(settings, Mapping) else {}
    window = window_of(reader, pack, str(training.get("event", "")), first, last)
    assert declared is not None  # `window_of` says so where the pack was never in force.
    chosen = choose_model(declared, model)
    found = survey(reader, window, None, progress)
    if not found.decisions:
        raise NotFound(
            "no decision lies in the window",
            where=f"{window.event}, {first or '…'} – {last or '…'}",
            found=f"{found.head} records in the log",
            cure="Widen the window; it is about the time of the events.",
        )
    monitoring, labels = of_model(chosen), None
    if training.get("label_event") and training.get("label_field"):
        labels = Answer(str(training["label_event"]), str(training["label_field"]), monitoring.label_time)
    return Watching(reader, declared, chosen, monitoring, window, found, labels)


def watch(asked: Watching, reference: Reference, as_of_ms: int | None = None, progress: Progress | None = None) -> Seen:
    """Read the decisions and measure them against the reference.

    Parameters
    ----------
    as_of_ms : up to when labels are known, and periods complete; None = the newest moment that the log tells

    Raises
    ------
    InputError : the reference was made of other weights than those in force
    """
    if reference.weights and asked.model.hash and reference.weights != asked.model.hash:
        raise InputError(
            "the reference is of other weights", where=f"{asked.declared.name}.{asked.model.name}",
            found=reference.weights[:19], allowed=asked.model.hash[:19],
            cure="Make it anew with --reference FROM..TO --save-reference FILE, or train again.",
        )  # fmt: skip
    window = asked.window
    made, others = Watch(reference, asked.monitoring, asked.observe_ms, window.from_ms, window.to_ms), 0
    newest_ms = asked.survey.newest_ms
    for chunk in _chunks(asked, progress):
        if chunk.weights == asked.model.hash:
            made.add(chunk.rows)
        else:
            others += len(chunk.rows.ids)
    known = _labels(asked, progress)
    now_ms = as_of_ms if as_of_ms is not None else max([newest_ms, *known.values()])
    telling = None if progress is None else lambda done, of: progress("measuring", done, of)
    return Seen(made.tell(known, now_ms, _final(asked, progress), telling), made.rows, others)


def reference_in(asked: Watching, first: str, last: str, progress: Progress | None = None) -> Reference:
    """A reference out of the log: decisions of an earlier time, with the labels of those that are old enough.

    Raises
    ------
    NotFound : no decision of the weights in force lies there; InputError : there are more than fit into memory
    """
    window = Window(asked.window.event, *(parse_time_ms(one) if one else edge for one, edge in _edges(first, last)))
    there = asked._replace(window=window, survey=survey(asked.reader, window, None, progress))
    if there.survey.decisions > ROWS_MAX:
        raise InputError(
            "there are too many decisions to make a reference of", where="--reference",
            found=f"{there.survey.decisions}", allowed=f"at most {ROWS_MAX}", cure="Name a shorter time.",
        )  # fmt: skip
    parts = [one.rows for one in _chunks(there, progress) if one.weights == asked.model.hash]
    if not parts:
        raise NotFound(
            "no decision of these weights lies in the reference", where="--reference", found=f"{first}..{last}",
            cure="Name a time when the model in force decided.",
        )  # fmt: skip
    labels = _labels(asked, progress)
    now_ms = max([there.survey.newest_ms, *labels.values()])
    times, scores = (np.concatenate([getattr(one, name) for one in parts]) for name in ("times_ms", "scores"))
    came = np.array([labels.get(id, NEVER_MS) for one in parts for id in one.ids], np.int64)
    cohort = ripened(times, came, window.from_ms, window.to_ms, asked.observe_ms, now_ms)
    ripe = cohort.known & ~np.isnan(scores)
    if asked.monitoring.labelled == "approved":
        ripe &= np.concatenate([one.approved for one in parts])
    found = separation(cohort.labels[ripe], scores[ripe] if asked.monitoring.higher == "riskier" else -scores[ripe])
    strength = None if found is None else Strength(found.auc.value, found.ks, found.events, found.rows)
    frame = pl.DataFrame([_joined(name, parts) for name in asked.model.inputs])
    return reference_of(
        frame, scores, [Column(name=one.name, kind=_kind(one)) for one in frame.get_columns()],
        model=asked.model.name, weights=asked.model.hash, source=f"decisions of {first}..{last} in the log",
        target=cohort.labels if cohort.known.all() else None, strength=strength,
        approved=int(sum(int(one.approved.sum()) for one in parts)),
    )  # fmt: skip


def _joined(name: str, parts: Sequence[Scored]) -> pl.Series:
    """An input over all chunks: numbers with NaN as null, or texts."""
    return pl.concat([pl.Series(name, one.inputs[name], nan_to_null=True) for one in parts])


def _kind(column: pl.Series) -> Kind:
    return "category" if column.dtype == pl.String else "number"


def _edges(first: str, last: str) -> list[tuple[str, int]]:
    return [(first, -(2**62)), (last, 2**62)]


def _chunks(asked: Watching, progress: Progress | None) -> Iterator[Chunk]:
    override = asked.monitoring.override
    return scored(
        asked.reader, asked.declared.name, asked.model.name, asked.window, asked.survey, asked.approved,
        override.of if override is not None else "", progress,
    )  # fmt: skip


def _labels(asked: Watching, progress: Progress | None) -> dict[bytes, int]:
    """When each event was reported, by digest of the decided event's id."""
    if asked.labels is None:
        return {}
    codes = asked.survey.activations[-1].codes
    return {id: moment for id, (moment, _) in answers(asked.reader, codes, asked.labels, progress).items()}


def _final(asked: Watching, progress: Progress | None) -> dict[bytes, bool] | None:
    """What people decided again, by digest of what they name the decided event by; None = the model names no event."""
    override = asked.monitoring.override
    if override is None:
        return None
    again = Answer(override.event, override.field, value=override.decision)
    found = answers(asked.reader, asked.survey.activations[-1].codes, again, progress)
    return {id: value in override.approve for id, (_, value) in found.items()}
