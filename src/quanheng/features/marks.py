"""Which accumulators stand at which boundaries of a table, and what a column needs to read them (kernel/marks.py)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from quanheng.features.decay import HALF_LIVES
from quanheng.features.fold import EventLayout, Fold
from quanheng.features.kernel import words as w

_POWERS = {"variance": 2, "stddev": 2, "zscore": 2, "skew": 3}
_DECAYED = {"decayed_count": w.H_ONES, "decayed_sum": w.H_SUMS, "decayed_mean": w.H_SUMS | w.H_ONES}
_KINDS = {
    "variance": w.VARIANCE, "stddev": w.STDDEV, "skew": w.SKEW, "zscore": w.ZSCORE, "trend": w.TREND,
    "decayed_count": w.DECAYED, "decayed_sum": w.DECAYED, "decayed_mean": w.DECAYED_MEAN,
}  # fmt: skip
MARKED = frozenset(_KINDS)
"""Kinds of folds that are read from marks."""


def span_ms(fold: Fold) -> int | None:
    """How far the window of a fold reaches back: a decayed one 64 half-lives at most; None = all history."""
    if fold.fold not in _DECAYED or fold.half_life_ms is None or near_ms(fold) is not None:
        return fold.window_ms
    return min(HALF_LIVES * fold.half_life_ms, fold.window_ms or 2**63)


def near_ms(fold: Fold) -> int | None:
    """Behind the moment: where a decayed fold begins whose window is not of time alone, if that is further on."""
    if fold.fold not in _DECAYED or fold.half_life_ms is None or {fold.since, fold.last, fold.gap_ms} == {None}:
        return None
    return fold.delay_ms + HALF_LIVES * fold.half_life_ms


class Accumulator(NamedTuple):
    """What is summed: the kernel's kind, the field (None: no field), the half-life (0: none)."""

    kind: int
    value: str | None
    half_life_ms: int


def accumulator_of(fold: Fold) -> tuple[Accumulator, int]:
    """What a fold sums, and which level of it."""
    if fold.fold in _POWERS:
        return Accumulator(w.H_POWERS, fold.value, 0), _POWERS[fold.fold]
    if fold.fold == "trend":
        return Accumulator(w.H_TREND, fold.value, 0), 0
    return Accumulator(w.H_DECAY, fold.value, fold.half_life_ms or 0), _DECAYED[fold.fold]


def words_of(kind: int, level: int) -> int:
    """Words of an accumulator."""
    if kind == w.H_POWERS:
        return 10 if level == 3 else 6
    return 11 if kind == w.H_TREND else 9 if level == w.H_SUMS | w.H_ONES else 5


class Writer(Protocol):
    """What writes the flat plan (`tables.Encoder`)."""

    layouts: Mapping[str, EventLayout]

    def put(self, items: Sequence[int]) -> int:
        """Append words; their offset."""


class Marks:
    """The marks of one table.

    Parameters
    ----------
    folds : folds of the table
    spans : numbers of the low (-1: all history), high and near boundary (-1: none, see `near_ms`) of each
    start : where marks begin in a slot
    """

    def __init__(self, folds: Sequence[Fold], spans: Sequence[tuple[int, int, int]], start: int) -> None:
        self.levels: dict[Accumulator, int] = {}
        held: dict[int, dict[Accumulator, None]] = {}
        for fold, edges in zip(folds, spans, strict=True):
            if fold.fold in MARKED:
                accumulator, level = accumulator_of(fold)
                self.levels[accumulator] = self.levels.get(accumulator, 0) | level
                for bound in edges:
                    if bound >= 0:
                        held.setdefault(bound, {})[accumulator] = None
        self.at: dict[int, int] = {}  # Boundary -> offset of its mark in a slot.
        self.places: dict[tuple[int, Accumulator], int] = {}
        self.end = start
        for bound in sorted(held):
            self.at[bound] = self.end
            self.end += 1
            for accumulator in held[bound]:
                self.places[bound, accumulator] = self.end
                self.end += words_of(accumulator.kind, self.levels[accumulator])
        self.offsets: dict[tuple[int, Accumulator], int] = {}

    def write(self, writer: Writer, places: Mapping[str, int], bound_words: int) -> tuple[int, int]:
        """Put the marks into the plan: their number and offset. `places` : word of each value in a row."""
        if not self.at:
            return 0, 0
        marks: list[int] = []
        ends = [*list(self.at.values())[1:], self.end]
        for (bound, at), end in zip(self.at.items(), ends, strict=True):
            own = [one for of, one in self.places if of == bound]
            for one in own:
                place = -1 if one.value is None else places[one.value]
                row = (one.kind, place, self.places[bound, one], self.levels[one], one.half_life_ms)
                self.offsets[bound, one] = writer.put(row)
            marks += (w.K_BOUNDS + bound * bound_words, at, len(own), self.offsets[bound, own[0]], end - at)
        return len(self.at), writer.put(marks)

    def operation(self, writer: Writer, fold: Fold, edges: tuple[int, int, int]) -> tuple[int, int]:
        """Kind and argument of a column. `edges` : as in `spans`; the near one stands in where it is further on."""
        (low, high, near), (accumulator, _) = edges, accumulator_of(fold)
        layout = writer.layouts[fold.of]
        scale = 0 if fold.value is None or fold.fold in {"skew", "zscore"} else layout.scale(fold.value)
        unit = float(10 ** (2 * scale if fold.fold == "variance" else scale))
        more = 0
        if fold.fold in _DECAYED:
            more = fold.delay_ms
        elif fold.fold == "trend":
            more = fold.per_ms or 0
        elif fold.fold == "zscore":
            more = self._decided(writer, fold)
        record = [0] * w.Z_WORDS
        record[w.Z_HIGH] = self.places[high, accumulator]
        record[w.Z_ACCUMULATOR] = self.offsets[high, accumulator]
        if low >= 0:
            record[w.Z_LOW], record[w.Z_LOW_AT] = self.places[low, accumulator], self.at[low]
        if near >= 0:
            record[w.Z_NEAR], record[w.Z_NEAR_AT] = self.places[near, accumulator], self.at[near]
        record[w.Z_UNIT] = int(np.array(unit).view(np.int64))
        record[w.Z_MORE] = more
        return _KINDS[fold.fold], writer.put(record)

    @staticmethod
    def _decided(writer: Writer, fold: Fold) -> int:
        """The event types that have the field: code, which of their numbers it is, and the factors that bring both to
        one scale; -1 ends the list."""
        value, own = fold.value or "", writer.layouts[fold.of].scale(fold.value or "")
        items: list[int] = []
        for layout in writer.layouts.values():
            if value in layout.numbers:
                more = own - layout.scale(value)
                items += (layout.code, layout.numbers.index(value), 10 ** max(more, 0), 10 ** max(-more, 0))
        return writer.put([*items, -1])
