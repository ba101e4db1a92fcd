"""What a model of a pack was given and what it answered, out of recorded decisions; and what labels said later."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from quanheng.events.intake import decode_event_body
from quanheng.kernel.log.records import EVENT
from quanheng.models.monitoring.watch import Scored
from quanheng.past.events import EventReader
from quanheng.past.known import served
from quanheng.past.window import PastReader, Progress, Survey, Window, digest_of, headers, unsealed
from quanheng.reading import Reader

_TEXTS = frozenset({"choice", "text", "key"})
"""Kinds of fields that a model reads as categories."""


class Chunk(NamedTuple):
    """A chunk of decisions of one version of a model.

    weights : hash of the weights that answered
    """

    weights: str
    rows: Scored


class Answer(NamedTuple):
    """Which later event says something of a decided one.

    event : its type; field : holds the decided event's id
    moment : its time field that says when it became known; "" = when it was received
    value : field whose text is given too
    """

    event: str
    field: str
    moment: str = ""
    value: str = ""


def scored(
    reader: Reader,
    pack: str,
    model: str,
    window: Window,
    found: Survey,
    approved: frozenset[str],
    key: str = "",
    progress: Progress | None = None,
) -> Iterator[Chunk]:
    """Inputs and scores as they were served, in chunks of the log's order.

    Decisions that failed before anything was known are left out, and so are those under a version of the pack without
    this model.

    Parameters
    ----------
    approved : outcomes that approve; empty = the mildest outcome of the pack that decided
    key : field of the decided event by which people name it when they decide again; "" = its request id
    """
    past, events = PastReader(reader, window, found), EventReader()
    counting = None if progress is None else lambda _, done, of: progress("reading decisions", done, of)
    for rows in past.chunks(counting):
        record = served(reader, window.event, rows)
        declared = record.program.packs.get(pack)
        one = next((one for one in declared.models if one.name == model), None) if declared is not None else None
        scope = next((one for one in record.program.scopes[record.event_type.code] if one.pack == pack), None)
        if declared is None or one is None or scope is None:
            continue
        whole = np.flatnonzero(record.whole)
        folds = record.program.plan.floats(np.ascontiguousarray(record.raw[whole]))
        fields = events.read(record.event_type, rows, record.event_type)
        kinds = record.event_type.declaration.fields
        inputs: dict[str, NDArray[np.float64] | pl.Series] = {}
        for name in one.inputs:
            if name in scope.folds:
                inputs[name] = np.ascontiguousarray(folds[:, scope.folds[name]])
            elif f"{pack}.{name}" in record.named:
                inputs[name] = record.named[f"{pack}.{name}"][whole]
            elif kinds[name].kind in _TEXTS:
                inputs[name] = pl.Series(name, fields.column(name), pl.String)[whole]
            else:
                inputs[name] = _floats(fields.column(name))[whole]
        mild = approved or frozenset(declared.outcomes[:1])
        outcomes = np.array([body.outcome in mild for body in rows.bodies], bool)
        ids = [digest_of(asked.id) for asked in rows.asked]
        keys = ids if not key else _keys(ids, fields.column(key))
        yield Chunk(
            one.hash,
            Scored(
                np.array(rows.times_ms, np.int64)[whole], record.named[f"{pack}.{model}"][whole], inputs,
                outcomes[whole],
                [ids[at] for at in whole.tolist()], [keys[at] for at in whole.tolist()],
            ),
        )  # fmt: skip


def answers(
    reader: Reader, codes: Mapping[str, int], asked: Answer, progress: Progress | None = None
) -> dict[bytes, tuple[int, str]]:
    """The first answer to each decided event: (moment in ms UTC, text of `value`), by digest of its id.

    The first in the order of the log, for a report that is repeated later was known before. An erased one says nothing.
    """
    found: dict[bytes, tuple[int, str]] = {}
    code, head = codes.get(asked.event, -1), reader.log.head
    for offset, columns in headers(reader, 0, head):
        rows = np.flatnonzero((columns.kind == EVENT) & (columns.type == code))
        received = columns.received_ms[rows].tolist()
        for payload, received_ms in zip(unsealed(reader, columns, rows), received, strict=True):
            if payload is None:
                continue
            data: dict[str, Any] = msgspec.json.decode(decode_event_body(payload).data)
            named, moment = data.get(asked.field), data.get(asked.moment, received_ms)
            if isinstance(named, str):
                found.setdefault(digest_of(named), (int(moment), str(data.get(asked.value, ""))))
        if progress is not None:
            progress("reading labels", offset + len(columns), head)
    return found


def _keys(ids: Sequence[bytes], named: Sequence[object]) -> list[bytes]:
    return [id if one is None else digest_of(str(one)) for id, one in zip(ids, named, strict=True)]


def _floats(column: Any) -> NDArray[np.float64]:
    return np.array([np.nan if one is None else float(one) for one in column], np.float64)
