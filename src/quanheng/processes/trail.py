"""The steps of one instance in the order of the log: those of decisions, and those that chunks of jobs made of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from quanheng.kernel.log.records import JOB, Columns
from quanheng.processes.records import Step, StepKind, steps_of
from quanheng.processes.runs import What, chunk_of


class Trod(NamedTuple):
    """A step of the instance.

    row : place among the log columns
    cause : offset of what made it: of a decision, or of the chunk of a job itself
    """

    row: int
    cause: int
    step: Step


class Trail:
    """Follows one instance through the log. `columns` are given in order, none left out.

    process, key : code of its process, and its pseudonym
    """

    def __init__(self, process: int, key: bytes) -> None:
        self._process, self._key = process, key
        self._begun: set[bytes] = set()
        self._row = -1
        self._states: dict[int, int] = {}

    def steps(self, columns: Columns, first: int) -> Iterator[Trod]:
        """Its steps among log columns, the first record of which stands at the offset `first`."""
        jobs, done = np.flatnonzero(columns.kind == JOB).tolist(), 0
        for stop in [*jobs, len(columns)]:
            part = columns.cut(done, stop)
            for row, step in steps_of(part):
                if step.process == self._process and self._is_its_own(step):
                    yield Trod(done + row, int(part.cause[row]), step)
            if stop < len(columns):
                yield from self._of_chunk(columns, stop, first + stop)
            done = stop + 1

    def _is_its_own(self, step: Step) -> bool:
        """Whether a step is of the instance; its row is how many began before it."""
        if self._row < 0:
            if step.key == self._key:
                self._row = len(self._begun)
            else:
                self._begun.add(step.key)
        if step.key != self._key:
            return False
        if step.entered:
            self._states[step.part] = step.entered
        return True

    def _of_chunk(self, columns: Columns, row: int, offset: int) -> Iterator[Trod]:
        record = columns.record(row)
        if self._row < 0 or record.numbers[0] != What.CHUNK:
            return
        chunk = chunk_of(record.payload)
        if chunk.process != self._process or not chunk.changes or self._row not in chunk.rows:
            return
        left = self._states.get(chunk.part, 0)
        kind, entered = (StepKind.MOVE, chunk.entered) if chunk.entered else (StepKind.STAY, left)
        self._states[chunk.part] = entered
        yield Trod(row, offset, Step(self._process, self._key, kind, chunk.part, left, entered))
