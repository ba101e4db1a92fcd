"""Counts what two policies say of the same decisions, chunk by chunk. Holds counts and a bounded sample, never rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from heapq import heappush, heappushpop
from typing import NamedTuple

from quanheng.decisions.backtest.rows import Rows, Shapes

DAY_MS = 86_400_000
SCORE_BINS = 20
SEGMENT_VALUES_MAX = 50
GROUPS_MAX = 5_000
OTHER = "…"
"""Stands for the values of a segment beyond `SEGMENT_VALUES_MAX`, and for groups beyond `GROUPS_MAX`."""


class Sample(NamedTuple):
    """One changed decision."""

    id: int
    time_ms: int
    baseline: int
    candidate: int
    money: int | None
    currency: str


class Comparison:
    """Feed it with `add`; then read the counts.

    Attributes
    ----------
    only_reasons : decisions of the same outcome for other reasons
    pairs : (baseline outcome, candidate outcome, currency) → decisions
    groups : (baseline shape, candidate shape, currency) → changed decisions
    hits : per side, shape → decisions
    days : (day, baseline outcome, candidate outcome) → decisions
    segments : per segment, (value, baseline outcome, candidate outcome, currency) → decisions
    scores : (bin or -1 = no score, baseline outcome, candidate outcome) → decisions
    labels : (label, baseline outcome, candidate outcome, currency) → decisions
    values : the same keys as the counters that end in a currency → minor units, exact

    Parameters
    ----------
    shapes : numbers the verdicts of both sides
    sample_max : changed decisions kept per change of outcome, chosen evenly by a digest of their id
    """

    def __init__(self, shapes: Shapes, segments: Iterable[str] = (), sample_max: int = 10) -> None:
        self.shapes, self.sample_max = shapes, sample_max
        self.count = self.only_reasons = 0
        self.first_ms: int | None = None
        self.last_ms: int | None = None
        self.pairs: Counter[tuple[str, str, str]] = Counter()
        self.groups: Counter[tuple[int, int, str]] = Counter()
        self.hits: tuple[Counter[int], Counter[int]] = (Counter(), Counter())
        self.days: Counter[tuple[int, str, str]] = Counter()
        self.segments: dict[str, Counter[tuple[str, str, str, str]]] = {name: Counter() for name in segments}
        self.scores: Counter[tuple[int, str, str]] = Counter()
        self.labels: Counter[tuple[bool | None, str, str, str]] = Counter()
        self.values: dict[str, Counter[tuple]] = {
            name: Counter() for name in ("pairs", "groups", "labels", *(f"by {one}" for one in self.segments))
        }
        self._known: dict[str, set[str]] = {name: set() for name in self.segments}
        self._samples: dict[tuple[str, str], list[tuple[int, Sample]]] = {}

    def add(self, rows: Rows) -> None:
        """Count one chunk."""
        if not len(rows):
            return
        self.count += len(rows)
        first, last = min(rows.times_ms), max(rows.times_ms)
        self.first_ms = first if self.first_ms is None else min(self.first_ms, first)
        self.last_ms = last if self.last_ms is None else max(self.last_ms, last)
        self.hits[0].update(rows.baseline)
        self.hits[1].update(rows.candidate)
        outcomes = [shape.outcome for shape in self.shapes.known]
        was = [outcomes[number] for number in rows.baseline]
        now = [outcomes[number] for number in rows.candidate]
        self._count("pairs", self.pairs, list(zip(was, now, rows.currency, strict=True)), rows.money)
        self._count("labels", self.labels, list(zip(rows.label, was, now, rows.currency, strict=True)), rows.money)
        self.days.update(zip([time // DAY_MS for time in rows.times_ms], was, now, strict=True))
        self.scores.update(zip(map(_bin, rows.score), was, now, strict=True))
        for name, counts in self.segments.items():
            shown = self._bounded(name, rows.segments[name])
            self._count(f"by {name}", counts, list(zip(shown, was, now, rows.currency, strict=True)), rows.money)
        self._changed(rows, was, now)

    def _count(self, name: str, counts: Counter, keys: list[tuple], money: Sequence[int | None]) -> None:
        counts.update(keys)
        values = self.values[name]
        for key, amount in zip(keys, money, strict=True):
            if amount:
                values[key] += amount

    def _bounded(self, name: str, values: Sequence[str]) -> list[str]:
        """Values of a segment; those that come after `SEGMENT_VALUES_MAX` different ones share one name."""
        known = self._known[name]
        if len(known) < SEGMENT_VALUES_MAX:
            for value in dict.fromkeys(values):
                if len(known) < SEGMENT_VALUES_MAX:
                    known.add(value)
        return [value if value in known else OTHER for value in values]

    def _changed(self, rows: Rows, was: Sequence[str], now: Sequence[str]) -> None:
        for at, (one, other) in enumerate(zip(was, now, strict=True)):
            if one == other:
                self.only_reasons += self._reasons_differ(rows.baseline[at], rows.candidate[at])
                continue
            money, currency = rows.money[at], rows.currency[at]
            key = rows.baseline[at], rows.candidate[at], currency
            if key not in self.groups and len(self.groups) >= GROUPS_MAX:
                key = (-1, -1, currency)
            self.groups[key] += 1
            if money:
                self.values["groups"][key] += money
            sample = Sample(rows.ids[at], rows.times_ms[at], rows.baseline[at], rows.candidate[at], money, currency)
            self._draw((one, other), sample)

    def _reasons_differ(self, one: int, other: int) -> bool:
        known = self.shapes.known
        return one != other and set(known[one].reasons) != set(known[other].reasons)

    def _draw(self, change: tuple[str, str], sample: Sample) -> None:
        """Keep the decisions whose digests are smallest: an even choice that is the same every time."""
        kept = self._samples.setdefault(change, [])
        entry = (-_digest(sample.id), sample)
        if len(kept) < self.sample_max:
            heappush(kept, entry)
        elif kept:
            heappushpop(kept, entry)

    def samples(self) -> list[Sample]:
        """The sample of changed decisions, in the order of the log."""
        return sorted(sample for kept in self._samples.values() for _, sample in kept)

    @property
    def changed(self) -> int:
        """Decisions whose outcome differs."""
        return sum(count for (was, now, _), count in self.pairs.items() if was != now)


def _bin(score: float | None) -> int:
    return -1 if score is None else min(max(int(score * SCORE_BINS), 0), SCORE_BINS - 1)


def _digest(number: int) -> int:
    """A mixed 64-bit number (splitmix64): close ids give far digests, the same on every machine."""
    mask = 2**64 - 1
    number = (number + 0x9E3779B97F4A7C15) & mask
    number = ((number ^ (number >> 30)) * 0xBF58476D1CE4E5B9) & mask
    number = ((number ^ (number >> 27)) * 0x94D049BB133111EB) & mask
    return number ^ (number >> 31)
