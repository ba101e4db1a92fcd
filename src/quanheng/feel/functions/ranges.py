"""Ranges: `range(text)` and the interval relations (DMN 1.5, 10.3.4.10 and 10.3.4.11, after Allen)."""

from __future__ import annotations

from collections.abc import Callable

from quanheng.feel import tree
from quanheng.feel.functions.registry import builtin
from quanheng.feel.operators import order
from quanheng.feel.values import Range, Run, kind_name, shown
from quanheng.kernel.errors import ExpressionError

TEXT_MAX = 500
"""Characters of the text of a range."""
_LITERALS = frozenset({"date", "time", "date and time", "duration"})


@builtin("range(from: string): range")
def range_from_text(run: Run, at: int, text: str) -> Range | None:
    """`range("[1..3]")`: both ends are literals, and in order."""
    from quanheng.feel.judge import Judge
    from quanheng.feel.parser import parse

    try:
        node = parse(text[:TEXT_MAX], {})
    except ExpressionError:
        node = None
    found = (
        Judge().value(node, {})
        if isinstance(node, tree.RangeOf) and _literal(node.low) and _literal(node.high)
        else None
    )
    if isinstance(found, Range) and kind_name(found.low) == kind_name(found.high) and order(found.low, found.high) != 1:
        return found
    run.append((at, f"{shown(text)} is no range"))
    return None


def _literal(node: tree.Node | None) -> bool:
    if isinstance(node, tree.Call) and isinstance(node.function, tree.Builtin):
        return node.function.name in _LITERALS and all(isinstance(one, tree.Const) for one in node.arguments)
    return isinstance(node, tree.Const) and node.value is not None


class _NoOrder(Exception):
    """Internal: two ends without a common order."""


def _compare(left: object, right: object) -> int:
    found = order(left, right)
    if found is None:
        raise _NoOrder(f"cannot compare {kind_name(left)} with {kind_name(right)}")
    return found


def _as_range(value: object) -> Range:
    """A point is the range that holds only itself."""
    return value if isinstance(value, Range) else Range(value, True, value, True)


def _low(a: Range, b: Range) -> int:
    """Order of the starts; an open one comes before all others."""
    if a.low is None or b.low is None:
        return (a.low is not None) - (b.low is not None)
    return _compare(a.low, b.low)


def _high(a: Range, b: Range) -> int:
    """Order of the ends; an open one comes behind all others."""
    if a.high is None or b.high is None:
        return (a.high is None) - (b.high is None)
    return _compare(a.high, b.high)


def _starts_first(a: Range, b: Range) -> bool:
    """a begins before b does."""
    found = _low(a, b)
    return found < 0 or (found == 0 and a.low_closed and not b.low_closed)


def _ends_first(a: Range, b: Range) -> bool:
    """a ends before b does."""
    found = _high(a, b)
    return found < 0 or (found == 0 and not a.high_closed and b.high_closed)


def _touches(a: Range, b: Range) -> bool:
    """The end of a is at or behind the start of b."""
    if a.high is None or b.low is None:
        return True
    found = _compare(a.high, b.low)
    return found > 0 or (found == 0 and a.high_closed and b.low_closed)


def _before(a: Range, b: Range) -> bool:
    return not _touches(a, b)


def _meets(a: Range, b: Range) -> bool:
    if a.high is None or b.low is None:
        return False
    return _compare(a.high, b.low) == 0 and a.high_closed and b.low_closed


def _overlaps(a: Range, b: Range) -> bool:
    return _touches(a, b) and _touches(b, a)


def _overlaps_before(a: Range, b: Range) -> bool:
    return _starts_first(a, b) and _touches(a, b) and not _ends_first(b, a)


def _finishes(a: Range, b: Range) -> bool:
    return _high(a, b) == 0 and a.high_closed == b.high_closed and not _starts_first(a, b)


def _point_finishes(a: Range, b: Range) -> bool:
    return b.high_closed and _high(a, b) == 0


def _includes(a: Range, b: Range) -> bool:
    return not _starts_first(b, a) and not _ends_first(a, b)


def _starts(a: Range, b: Range) -> bool:
    return _low(a, b) == 0 and a.low_closed == b.low_closed and not _ends_first(b, a)


def _point_starts(a: Range, b: Range) -> bool:
    return b.low_closed and _low(a, b) == 0


def _coincides(a: Range, b: Range) -> bool:
    same = _low(a, b) == 0 and _compare(a.high, b.high) == 0
    return same and a.low_closed == b.low_closed and a.high_closed == b.high_closed


Relation = Callable[[Range, Range], bool]


def _declare(
    name: str, forms: tuple[str, ...], relation: Relation, backwards: bool, ranges: str, point: Relation | None = None
) -> None:
    """One relation. `ranges` says which arguments must be ranges: l, r, both or neither of them."""

    def apply(run: Run, at: int, first: object, second: object) -> bool | None:
        wrong = any(isinstance(one, Range) and one.point == "!=" for one in (first, second))
        wrong = (
            wrong
            or ("l" in ranges and not isinstance(first, Range))
            or ("r" in ranges and not isinstance(second, Range))
        )
        left, right = (second, first) if backwards else (first, second)
        if wrong or first is None or second is None:
            run.append((at, f"{name}() takes ranges, was {kind_name(first)} and {kind_name(second)}"))
            return None
        rule = point if point is not None and not isinstance(left, Range) else relation
        try:
            return rule(_as_range(left), _as_range(right))
        except _NoOrder as error:
            run.append((at, str(error)))
            return None

    for form in forms:
        builtin(f"{name}({form.replace(',', ': Any,')}: Any): boolean")(apply)


_POINTS = ("point1, point2", "point, range", "range, point", "range1, range2")
_TWO = ("range1, range2",)
_WITH = ("point, range", "range1, range2")
_OF = ("range, point", "range1, range2")
_declare("before", _POINTS, _before, False, "")
_declare("after", _POINTS, _before, True, "")
_declare("meets", _TWO, _meets, False, "lr")
_declare("met by", _TWO, _meets, True, "lr")
_declare("overlaps", _TWO, _overlaps, False, "lr")
_declare("overlaps before", _TWO, _overlaps_before, False, "lr")
_declare("overlaps after", _TWO, _overlaps_before, True, "lr")
_declare("finishes", _WITH, _finishes, False, "r", _point_finishes)
_declare("finished by", _OF, _finishes, True, "l", _point_finishes)
_declare("includes", _OF, _includes, False, "l")
_declare("during", _WITH, _includes, True, "r")
_declare("starts", _WITH, _starts, False, "r", _point_starts)
_declare("started by", _OF, _starts, True, "l", _point_starts)
_declare("coincides", ("point1, point2", "range1, range2"), _coincides, False, "")
