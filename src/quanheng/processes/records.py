"""What becomes of instances and messages, as records of the log: a clear header and no payload.

A step is one part of one instance that begins, moves or stays::

    type code      code of the process
    time_ms, received_ms   the writer's stamp, from which timers count
    cause          offset of the decision that made the step; of the activation or the chunk of a job that did
    keys           the instance; of a beginning behind it the keys that the instance keeps
    numbers        kind | timers << 8 | values << 16
                   left | entered << 16 | fired << 32 | part << 48
                   per timer that is armed: its code, when it is due (epoch ms)
                   every number that the instance keeps, scaled, where any was set

A message has the code of its call as type, its id as request key, and is caused by the decision whose body holds what
is to be sent.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple

from quanheng.kernel.log.records import CALL, NONE_16, STEP, Columns, encode_header

TIMERS_MAX, NUMBERS_MAX, KEYS_MAX, PARTS_MAX = 7, 16, 8, 4
"""Most timers of a state, kept numbers, kept keys and parts of a process: what a header has room for."""


class StepKind(IntEnum):
    """What a step is: an instance begins (a step for each part), a part goes to a state, stays where it is."""

    BEGIN, MOVE, STAY = 1, 2, 3


class Arming(NamedTuple):
    """A timer that a step arms: its code, and when it is due (epoch ms)."""

    timer: int
    due_ms: int


class Step(NamedTuple):
    """One part of one instance of a process begins, moves or stays.

    process, left, entered, fired : codes; 0 = none. `fired` is the timer whose firing the step answers
    key : pseudonym of the instance, 16 bytes
    part : place of the part in the declaration
    keys : that the instance keeps, of a beginning
    numbers : every number that the instance keeps (scaled, NULL = null); empty = as they were
    """

    process: int
    key: bytes
    kind: int
    part: int = 0
    left: int = 0
    entered: int = 0
    fired: int = 0
    armed: tuple[Arming, ...] = ()
    keys: tuple[bytes, ...] = ()
    numbers: tuple[int, ...] = ()


def encode_step(step: Step, received_ms: int, cause: int) -> bytes:
    """The record of a step."""
    numbers = [
        step.kind | len(step.armed) << 8 | len(step.numbers) << 16,
        step.left | step.entered << 16 | step.fired << 32 | step.part << 48,
    ]
    for one in step.armed:
        numbers += one
    keys = (step.key, *step.keys)
    return encode_header(
        STEP,
        step.process,
        received_ms,
        received_ms,
        cause,
        NONE_16,
        NONE_16,
        NONE_16,
        keys,
        (*numbers, *step.numbers),
        0,
    )


def encode_message(code: int, id: bytes, received_ms: int, cause: int) -> bytes:
    """The record of a message that is to be sent."""
    return encode_header(CALL, code, received_ms, received_ms, cause, NONE_16, id, NONE_16, (), (), 0)


def steps_of(columns: Columns) -> Iterator[tuple[int, Step]]:
    """The steps among log columns, in order, each with its place among the rows."""
    rows = (columns.kind == STEP).nonzero()[0].tolist()
    for row in rows:
        record = columns.record(row)
        yield row, step_of(record.type, record.keys, record.numbers)


def step_of(process: int, keys: tuple[bytes, ...], numbers: tuple[int, ...]) -> Step:
    """The step that a record's header says."""
    marks, codes = numbers[:2]
    timers, values = marks >> 8 & 255, marks >> 16
    behind = 2 + 2 * timers
    armed = tuple(Arming(numbers[at], numbers[at + 1]) for at in range(2, behind, 2))
    return Step(
        process, keys[0], marks & 255, codes >> 48, codes & 0xFFFF, codes >> 16 & 0xFFFF, codes >> 32 & 0xFFFF, armed,
        keys[1:], numbers[behind : behind + values],
    )  # fmt: skip
