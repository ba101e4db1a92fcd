"""Messages that records of the log ask for, as the outbox folds them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from quanheng.facts import Sent
from quanheng.kernel.log.records import CALL, Columns
from quanheng.processes.outbox import Outbox
from quanheng.program import Program


def ask(outbox: Outbox, program: Program, sent: Sequence[Sent], cause: int, received_ms: int) -> None:
    """Fold what one decision sends; `cause` is its offset."""
    n = len(sent)
    ids = np.frombuffer(b"".join(one.id for one in sent), np.uint64).reshape(n, 2)
    codes = np.array([program.codes[f"call {one.name}"] for one in sent], np.int64)
    outbox.ask(ids, np.full(n, cause), codes, np.full(n, received_ms))


def fold(outbox: Outbox, columns: Columns) -> None:
    """Fold the messages that log columns ask for."""
    rows = np.flatnonzero(columns.kind == CALL)
    if len(rows):
        codes = columns.type[rows].astype(np.int64)
        outbox.ask(columns.request[rows], columns.cause[rows], codes, columns.received_ms[rows])
