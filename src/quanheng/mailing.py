"""Messages of the log as the outbox folds them: what records ask for, and events that tell what became of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from quanheng.events.schema import NULL
from quanheng.facts import Sent
from quanheng.kernel.log.records import CALL, EVENT, Columns
from quanheng.processes.outbox import Outbox
from quanheng.program import Program
from quanheng.sending import Told


def ask(outbox: Outbox, program: Program, sent: Sequence[Sent], first: int, cause: int, received_ms: int) -> None:
    """Fold what one decision sends; its records stand from the offset `first` on."""
    n = len(sent)
    ids = np.frombuffer(b"".join(one.id for one in sent), np.uint64).reshape(n, 2)
    codes = np.array([program.codes[f"call {one.name}"] for one in sent], np.int64)
    outbox.ask(ids, np.arange(first, first + n), np.full(n, cause), codes, np.full(n, received_ms))


def end(outbox: Outbox, told: Told, keys: NDArray[np.uint64], numbers: NDArray[np.int64], offset: int) -> None:
    """Fold one event that tells what became of a message: u64[K, 2], i64[V]."""
    outbox.end(*_ends(told, keys[None], numbers[None], np.array([offset])))


def fold(outbox: Outbox, program: Program, columns: Columns, first: int) -> None:
    """Fold what log columns hold of messages; `first` is the offset of their first row."""
    asked = np.flatnonzero(columns.kind == CALL)
    if len(asked):
        codes = columns.type[asked].astype(np.int64)
        outbox.ask(columns.request[asked], first + asked, columns.cause[asked], codes, columns.received_ms[asked])
    ended = columns.kind == EVENT
    parts = [(told, np.flatnonzero(ended & (columns.type == code))) for code, told in program.told_of_messages.items()]
    parts = [(told, rows) for told, rows in parts if len(rows)]
    if parts:
        ends = [_ends(told, columns.keys[rows], columns.numbers[rows], first + rows) for told, rows in parts]
        ids, offsets, dead, reasons = (np.concatenate(one) for one in zip(*ends, strict=True))
        order = np.argsort(offsets)
        outbox.end(ids[order], offsets[order], dead[order], reasons[order])


def _ends(
    told: Told, keys: NDArray[np.uint64], numbers: NDArray[np.int64], offsets: NDArray[np.int64]
) -> tuple[NDArray, ...]:
    """What `Outbox.end` takes."""
    reasons = numbers[:, told.reason]
    dead = np.isin(numbers[:, told.result], told.dead)
    return keys[:, told.message], offsets, dead, np.where(reasons == NULL, -1, reasons)
