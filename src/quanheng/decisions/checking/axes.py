"""The values of one variable, cut where the conditions on it can change: the atoms of an axis.

Within an atom every condition has one outcome, so one value speaks for all of it. An atom is a bit; a set of atoms is
an integer. An axis has a segment for each kind of value (numbers, strings, dates ...), one atom for null, and, where
the type is not known, one for everything else.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import ceil, floor
from typing import Any, NamedTuple

from quanheng.decisions.checking import conditions as c
from quanheng.feel.temporal import SECOND, Date, DateTime, DaysDuration, Time, YearsDuration, midnight
from quanheng.feel.types import (
    ANY,
    BOOLEAN,
    DATE,
    DATE_TIME,
    DAYS_DURATION,
    NUMBER,
    STRING,
    TIME,
    YEARS_DURATION,
    FeelType,
)
from quanheng.feel.values import DIGITS, NUMBERS

NATURAL, FRACTION, NULL, OTHER = 0, 1, 2, 3
"""What an atom holds: ordinary values; only numbers between two whole ones that follow each other; null; the rest."""

Point = Any
"""A place on the line of a kind: numbers, texts, days, nanoseconds, months. Points of one kind have an order."""
Outcomes = tuple[int, int, int]
"""Where a condition can be true, can be false, can be null."""


class Atom(NamedTuple):
    """One part of an axis; `value` lies in it (None for null, and for the rest, which has no value to show)."""

    level: int
    value: object


class Undecidable(Exception):
    """Internal: the constants of an axis have no common order; the caller takes its cells as unclear."""


# -- values as points of a line


def kind_of(value: object) -> str:
    """The segment a constant belongs to; empty for what has none."""
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | Decimal):
        return "number"
    if isinstance(value, Time | DateTime):
        offset = "local" if value.utc_offset() is None else "offset"
        return f"{value.kind_name}, {offset}"
    if isinstance(value, str):
        return "string"
    return value.kind_name if isinstance(value, Date | DaysDuration | YearsDuration) else ""


def point_of(value: object) -> Point:
    """The place of a value on the line of its kind."""
    if isinstance(value, Date):
        return value.days
    if isinstance(value, Time):
        return value.nanos - (value.utc_offset() or 0) * SECOND
    if isinstance(value, DateTime):
        return value.instant()
    if isinstance(value, DaysDuration):
        return value.nanos
    return value.months if isinstance(value, YearsDuration) else value


def value_at(kind: str, point: Point) -> object:
    """The value at a place: the inverse of `point_of`."""
    if kind in ("number", "string", "boolean"):
        return point
    name, _, offset = kind.partition(", ")
    zone = 0 if offset == "offset" else None
    if name == "time":
        return Time(point, zone) if 0 <= point < 86_400 * SECOND else None
    if name == "date and time":
        days, nanos = divmod(point, 86_400 * SECOND)
        return DateTime(days, nanos, zone)
    plain: dict[str, Any] = {
        "date": Date,
        "days and time duration": DaysDuration,
        "years and months duration": YearsDuration,
    }
    return plain[name](point)


def between(kind: str, low: Point, high: Point) -> Point:
    """A point strictly between two (None: no bound on that side), or None where there is none."""
    if kind == "number":
        return _number_between(low, high)
    if kind == "string":
        return _text_between(low, high)
    step = {"date": 1, "years and months duration": 1}.get(kind, SECOND)
    if low is None or high is None:
        return high - step if low is None else low + step
    if high - low <= 1:
        return None
    return low + min(step, (high - low) // 2)


def _number_between(low: int | Decimal | None, high: int | Decimal | None) -> int | Decimal | None:
    """The shortest number between two, a whole one where there is one."""
    if low is None:
        return ceil(high or 0) - 1
    if high is None:
        return floor(low) + 1
    if (whole := floor(low) + 1) < high:
        return whole
    for digits in range(1, DIGITS + 1):
        number = NUMBERS.scaleb(Decimal(floor(Fraction(low) * 10**digits) + 1), -digits)
        if low < number < high:
            return number
    return None


def _text_between(low: str | None, high: str | None) -> str | None:
    if low is None:
        return "" if high else None
    return next((low + end for end in ("a", "0", "\0") if high is None or low + end < high), None)


# -- segments


@dataclass(frozen=True, slots=True)
class Segment:
    """The atoms of one kind: `first` is the bit of its first atom. `points` are empty for booleans' line.

    On a line atom 2i+1 is point i, atom 2i what lies before it. Without an order (`apart`) atom i is point i and the
    last one is every other value.
    """

    kind: str
    points: tuple[Point, ...]
    apart: bool
    first: int

    @property
    def size(self) -> int:
        return len(self.points) + (self.kind != "boolean") if self.apart else 2 * len(self.points) + 1

    @property
    def whole(self) -> int:
        return ((1 << self.size) - 1) << self.first

    def equal(self, point: Point) -> int:
        index = bisect_left(self.points, point)
        return 1 << self.first + (index if self.apart else 2 * index + 1)

    def below(self, point: Point) -> int:
        """Everything before a point of the line."""
        return ((1 << 2 * bisect_left(self.points, point) + 1) - 1) << self.first

    def atoms(self) -> list[Atom | None]:
        """Each atom with a value in it; None for an atom that holds nothing."""
        points = self.points
        if self.kind == "boolean":
            return [Atom(NATURAL, one) for one in points]
        if self.apart:
            return [*(Atom(NATURAL, one) for one in points), Atom(NATURAL, _another(points))]
        found: list[Atom | None] = []
        whole = self.kind == "number" and all(one == floor(one) for one in points)
        for low, high in zip((None, *points), (*points, None), strict=True):
            inside = between(self.kind, low, high) if points else 0
            held = value_at(self.kind, inside) if inside is not None else None
            fraction = whole and low is not None and high is not None and high - low == 1
            found.append(Atom(FRACTION if fraction else NATURAL, held) if held is not None else None)
            if high is not None:
                found.append(Atom(NATURAL, value_at(self.kind, high)))
        return found


def _another(points: Sequence[object]) -> str:
    """A text that is none of the points."""
    taken, number = set(points), 1
    while (text := "other" if number == 1 else f"other {number}") in taken:
        number += 1
    return text


_OF_TYPE: dict[FeelType, tuple[str, ...]] = {
    NUMBER: ("number",),
    STRING: ("string",),
    BOOLEAN: ("boolean",),
    DATE: ("date",),
    TIME: ("time, local", "time, offset"),
    DATE_TIME: ("date and time, local", "date and time, offset"),
    DAYS_DURATION: ("days and time duration",),
    YEARS_DURATION: ("years and months duration",),
}


class Axis:
    """One variable of type `kind`, cut by the constants of `tests`.

    Raises
    ------
    Undecidable : constants that are not of one order (dates beside moments, moments with and without an offset)
    """

    def __init__(self, kind: FeelType, tests: Iterable[c.Condition]) -> None:
        listed = list(tests)
        self.kind = kind
        constants = [self.admitted(one) for test in listed for one in c.constants(test)]
        by_kind: dict[str, set[Point]] = {}
        for one in constants:
            if one is not None:
                by_kind.setdefault(kind_of(one), set()).add(point_of(one))
        self._refuse(by_kind)
        if kind is BOOLEAN or "boolean" in by_kind or (kind is ANY and any(map(c.reads_itself, listed))):
            by_kind["boolean"] = {False, True}
        for name in _OF_TYPE.get(kind, ())[:1] if not by_kind else ():
            by_kind[name] = set()
        self._ordered = any(_orders_text(test) for test in listed)
        self.segments = self._cut(by_kind)
        self.null = 1 << sum(one.size for one in self.segments)
        # Moments of the other family (with an offset, or without) have no atom of their own.
        self.other = self.null << 1 if kind in (ANY, TIME, DATE_TIME) else 0
        atoms: list[Atom | None] = [atom for one in self.segments for atom in one.atoms()]
        atoms.append(Atom(NULL, None))
        if self.other:
            atoms.append(Atom(OTHER, None))
        self.atoms = atoms
        self.whole = sum(1 << bit for bit, atom in enumerate(atoms) if atom is not None)

    def admitted(self, value: object) -> object:
        """A date where moments are compared is its midnight, as the operators have it."""
        return midnight(value) if self.kind is DATE_TIME and isinstance(value, Date) else value

    def _refuse(self, by_kind: dict[str, set[Point]]) -> None:
        families = [name.partition(",")[0] for name in by_kind if name not in ("number", "string", "boolean")]
        known = _OF_TYPE.get(self.kind)
        if "" in by_kind or len(families) > 1 or (known is not None and not set(by_kind) <= set(known)):
            raise Undecidable
        if self.kind is not ANY and known is None:
            raise Undecidable
        if "time, offset" in by_kind:
            raise Undecidable  # A time of day with an offset may lie on the day before or after.
        moments = [one for name, held in by_kind.items() if name.startswith(("time", "date and")) for one in held]
        if any(one % SECOND for one in moments):
            raise Undecidable  # Moments are equal to the second and ordered to the nanosecond.

    def _cut(self, by_kind: dict[str, set[Point]]) -> tuple[Segment, ...]:
        found: list[Segment] = []
        for name in sorted(by_kind):
            points = by_kind[name]
            if name.startswith(("time", "date and")):  # A moment equals every one of its second.
                points = points | {one + SECOND for one in points}
            apart = name == "boolean" or (name == "string" and not self._ordered)
            first = found[-1].first + found[-1].size if found else 0
            found.append(Segment(name, tuple(sorted(points)), apart, first))
        return tuple(found)

    # -- conditions as sets

    def outcomes(self, test: c.Condition) -> Outcomes:
        """Where a condition can be true, false, null."""
        whole = self.whole
        if isinstance(test, c.Always):
            index = {True: 0, False: 1, None: 2}[test.outcome]
            return whole * (index == 0), whole * (index == 1), whole * (index == 2)
        if isinstance(test, c.Unclear):
            return whole, whole, whole
        if isinstance(test, c.Itself):
            return self._itself()
        if isinstance(test, c.Compared):
            true, false, null = self._compared(test.op, self.admitted(test.constant))
            return true & whole, false & whole, null & whole
        if isinstance(test, c.Opposite):
            true, false, null = self.outcomes(test.part)
            return false, true, null
        if isinstance(test, c.Among):
            found = [self.outcomes(part) for part in test.parts]
            return _any(one[0] for one in found), _all((one[1] | one[2] for one in found), whole), 0
        assert isinstance(test, c.Both | c.Either)
        parts = [self.outcomes(part) for part in test.parts]
        if isinstance(test, c.Both):
            return _conjunction(parts, whole)
        false, true, null = _conjunction([(one[1], one[0], one[2]) for one in parts], whole)
        return true, false, null

    def _itself(self) -> Outcomes:
        segment = next((one for one in self.segments if one.kind == "boolean"), None)
        if segment is None:
            return self.other, self.other, self.whole
        true, false = segment.equal(True), segment.equal(False)
        rest = self.whole & ~true & ~false
        return true | self.other, false | self.other, rest

    def _compared(self, op: str, constant: object) -> Outcomes:
        other = self.other
        if constant is None:
            if op not in ("=", "!="):
                return 0, 0, self.whole
            true, false = self.null, self.whole & ~self.null
            return (true, false, 0) if op == "=" else (false, true, 0)
        kind, point = kind_of(constant), point_of(constant)
        segment = next(one for one in self.segments if one.kind == kind)
        strange = self.whole & ~segment.whole & ~self.null
        if op in ("=", "!="):
            same = segment.equal(point)
            if kind.startswith(("time", "date and")):
                same = segment.below(point + SECOND) & ~segment.below(point)
            true, false = same | other, (segment.whole & ~same) | self.null | other
            return (true, false, strange) if op == "=" else (false, true, strange)
        if segment.apart:
            return other, other, self.whole  # Booleans have no order.
        below, same = segment.below(point), segment.equal(point)
        true = {"<": below, "<=": below | same, ">": segment.whole & ~below & ~same, ">=": segment.whole & ~below}[op]
        return true | other, (segment.whole & ~true) | other, strange | self.null


def _orders_text(test: c.Condition) -> bool:
    if isinstance(test, c.Compared):
        return isinstance(test.constant, str) and test.op not in ("=", "!=")
    if isinstance(test, c.Among | c.Both | c.Either):
        return any(map(_orders_text, test.parts))
    return isinstance(test, c.Opposite) and _orders_text(test.part)


def _any(sets: Iterable[int]) -> int:
    found = 0
    for one in sets:
        found |= one
    return found


def _all(sets: Iterable[int], whole: int) -> int:
    found = whole
    for one in sets:
        found &= one
    return found


def _conjunction(parts: Sequence[Outcomes], whole: int) -> Outcomes:
    """Three-valued `and`: false if any part is, else null if any part is, else true."""
    true, false, null = whole, 0, 0
    for part in parts:
        true, false, null = (
            true & part[0],
            false | part[1],
            (null & (part[0] | part[2])) | (part[2] & (true | null)),
        )
    return true, false, null
