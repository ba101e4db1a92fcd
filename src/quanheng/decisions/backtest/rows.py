"""What a comparison is fed: chunks of past decisions, each with what two policies say of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

Hits = tuple[tuple[str, tuple[int, ...]], ...]
"""Matched rules by table, in the order of evaluation."""


class Verdict(NamedTuple):
    """What one policy says of one event.

    status : decided | failed | late
    trace : (decision, matched rules counted from 1, result) per decision evaluated
    """

    outcome: str
    status: str
    reasons: Sequence[str]
    trace: Sequence[tuple[str, Sequence[int], object]]


class Shape(NamedTuple):
    """A verdict without its values: what many decisions have in common."""

    outcome: str
    status: str
    reasons: tuple[str, ...]
    hits: Hits


SHAPES_MAX = 20_000


class Shapes:
    """Numbers shapes, so that a chunk of verdicts is a list of small integers.

    Beyond `SHAPES_MAX` different ones only outcome and status are kept, and `coarse` counts how often.
    """

    def __init__(self) -> None:
        self.known: list[Shape] = []
        self.coarse = 0
        self._numbers: dict[Shape, int] = {}

    def number(self, verdict: Verdict) -> int:
        """The number of a verdict's shape."""
        hits = tuple([(name, tuple(rules)) for name, rules, _ in verdict.trace if rules])
        return self.of(Shape(verdict.outcome, verdict.status, tuple(verdict.reasons), hits))

    def of(self, shape: Shape) -> int:
        """The number of a shape."""
        found = self._numbers.get(shape)
        if found is None:
            if len(self.known) >= SHAPES_MAX and shape.hits + shape.reasons:
                self.coarse += 1
                return self.of(Shape(shape.outcome, shape.status, (), ()))
            found = self._numbers[shape] = len(self.known)
            self.known.append(shape)
        return found


class Rows(NamedTuple):
    """One chunk of n past decisions, columns side by side.

    ids : log offsets of the decisions
    times_ms : moments of the events
    baseline, candidate : numbers of shapes, from one `Shapes`
    money : minor units, None where the event has none; currency : of each, "" = not said
    segments : one column of texts per segment asked for
    score : float or None
    label : True = reported, False = not reported though old enough, None = not known yet
    """

    ids: Sequence[int]
    times_ms: Sequence[int]
    baseline: Sequence[int]
    candidate: Sequence[int]
    money: Sequence[int | None]
    currency: Sequence[str]
    segments: Mapping[str, Sequence[str]]
    score: Sequence[float | None]
    label: Sequence[bool | None]

    def __len__(self) -> int:
        return len(self.ids)
