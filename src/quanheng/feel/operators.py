"""Operators on values whose kinds are known at run time only: the one place where the standard's tables are code.

Each takes (run, at, ...): `run` collects diagnostics, `at` indexes the place. Generated code calls these where the
static types do not settle the matter; the judge calls nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, DecimalException
from typing import Any, Protocol

from quanheng.feel.limits import LIMITS
from quanheng.feel.values import (
    INTEGER_MAX,
    NUMBERS,
    Function,
    Range,
    Run,
    kind_name,
    rounded,
    shown,
)

Numeric = (int, Decimal)
# Bound once, and called where they stand: half the time of exact arithmetic is on the way to it.
_add: Callable[..., Decimal] = NUMBERS.add
_subtract: Callable[..., Decimal] = NUMBERS.subtract
_multiply: Callable[..., Decimal] = NUMBERS.multiply
_divide: Callable[..., Decimal] = NUMBERS.divide
_power: Callable[..., Decimal] = NUMBERS.power


def is_number(value: object) -> bool:
    cls = value.__class__
    return cls is int or cls is Decimal


def single(value: object) -> object:
    """A list of one stands for its item where one value is wanted."""
    return value[0] if value.__class__ is list and len(value) == 1 else value  # type: ignore[index, arg-type]


def wrong(run: Run, at: int, verb: str, *values: object) -> Any:
    """Null because of the kinds of `values`; null operands give null without a diagnostic."""
    if not any(value is None for value in values):
        run.append((at, f"cannot {verb} {' and '.join(kind_name(value) + ' ' + shown(value) for value in values)}"))


def failed(run: Run, at: int, error: Exception) -> Any:
    """A number left the range of 34 digits."""
    causes = {"DivisionByZero": "division by zero", "Overflow": "the number is too large"}
    name = type(error).__name__
    run.append((at, causes.get(name, "the operation is not defined for these numbers")))


def add(run: Run, at: int, left: object, right: object) -> object:
    a, b = left.__class__, right.__class__
    if a is int and b is int:
        result = left + right  # type: ignore[operator]
        return result if -INTEGER_MAX < result < INTEGER_MAX else rounded(result)
    if (a is Decimal or a is int) and (b is Decimal or b is int):
        try:
            exact = _add(left, right)
        except DecimalException as error:
            return failed(run, at, error)
        return exact if exact.is_finite() else None
    if a is str and b is str:
        if len(left) + len(right) > LIMITS.text_length:  # type: ignore[arg-type]
            run.append((at, f"a text would be longer than {LIMITS.text_length} characters"))
            return None
        run.copy_text(len(left) + len(right))  # type: ignore[arg-type]
        return left + right  # type: ignore[operator]
    return _other(run, at, "+", "add", left, right)


def subtract(run: Run, at: int, left: object, right: object) -> object:
    a, b = left.__class__, right.__class__
    if a is int and b is int:
        result = left - right  # type: ignore[operator]
        return result if -INTEGER_MAX < result < INTEGER_MAX else rounded(result)
    if (a is Decimal or a is int) and (b is Decimal or b is int):
        try:
            exact = _subtract(left, right)
        except DecimalException as error:
            return failed(run, at, error)
        return exact if exact.is_finite() else None
    return _other(run, at, "-", "subtract", left, right)


def multiply(run: Run, at: int, left: object, right: object) -> object:
    a, b = left.__class__, right.__class__
    if a is int and b is int:
        result = left * right  # type: ignore[operator]
        return result if -INTEGER_MAX < result < INTEGER_MAX else rounded(result)
    if (a is Decimal or a is int) and (b is Decimal or b is int):
        try:
            exact = _multiply(left, right)
        except DecimalException as error:
            return failed(run, at, error)
        return exact if exact.is_finite() else None
    return _other(run, at, "*", "multiply", left, right)


def divide(run: Run, at: int, left: object, right: object) -> object:
    a, b = left.__class__, right.__class__
    if (a is Decimal or a is int) and (b is Decimal or b is int):
        if not right:
            run.append((at, "division by zero"))
            return None
        try:
            exact = _divide(left, right)
        except DecimalException as error:
            return failed(run, at, error)
        return exact if exact.is_finite() else None
    return _other(run, at, "/", "divide", left, right)


def power(run: Run, at: int, left: object, right: object) -> object:
    if is_number(left) and is_number(right):
        if not left and not right:
            return 1  # as IEEE 754 has it
        try:
            exact = _power(left, right)
        except DecimalException as error:
            return failed(run, at, error)
        return exact if exact.is_finite() else None
    return _other(run, at, "**", "raise to a power", left, right)


def negate(run: Run, at: int, value: object) -> object:
    if value.__class__ is int:
        return -value  # type: ignore[operator]
    if value.__class__ is Decimal:
        return NUMBERS.minus(value)  # type: ignore[arg-type]
    if TEMPORAL and (result := TEMPORAL[0].negate(value)) is not None:
        return result
    return wrong(run, at, "negate", value)


def _other(run: Run, at: int, op: str, verb: str, left: object, right: object) -> object:
    """Dates and durations, then null."""
    if left is None or right is None:
        return None
    if TEMPORAL:
        try:
            result = TEMPORAL[0].arithmetic(op, left, right)
        except (OverflowError, DecimalException):
            run.append((at, "the date or duration is out of range"))
            return None
        if result is not None:
            return result
    return wrong(run, at, verb, left, right)


class TemporalOperators(Protocol):
    """What temporal.py offers; None means "not mine"."""

    def arithmetic(self, op: str, left: object, right: object) -> object: ...
    def negate(self, value: object) -> object: ...
    def equal(self, left: object, right: object) -> bool | None: ...
    def order(self, left: object, right: object) -> int | None: ...
    def member(self, value: object, name: str) -> tuple[object, bool]: ...


TEMPORAL: list[TemporalOperators] = []


# -- equality and order


def equal(left: object, right: object, run: Run | None = None) -> bool | None:
    """DMN 1.5, 10.3.2.3.4: values of different kinds are neither equal nor unequal (null); null equals null only.

    Inner values count as work of `run` (of a run of its own where none is given).
    """
    if left is right:
        return True
    if left is None or right is None:
        return False
    a, b = left.__class__, right.__class__
    if (a is int or a is Decimal) and (b is int or b is Decimal):
        return left == right
    if a is b:
        if a is str or a is bool:
            return left == right
        if a is list:
            return _equal_lists(left, right, Run() if run is None else run)  # type: ignore[arg-type]
        if a is dict:
            return _equal_contexts(left, right, Run() if run is None else run)  # type: ignore[arg-type]
        if a is Range:
            return bool(left == right)
        if a is Function:
            return left is right
    if TEMPORAL and (result := TEMPORAL[0].equal(left, right)) is not None:
        return result
    if (a is list) != (b is list):
        one, other = single(left), single(right)
        if one is not left or other is not right:
            return equal(one, other, run)
    return None


def _equal_lists(left: list[object], right: list[object], run: Run) -> bool:
    run.spend(1)
    return len(left) == len(right) and all(
        equal(a, b, run) is True for a, b in zip(run.visit(left), right, strict=True)
    )


def _equal_contexts(left: dict[str, object], right: dict[str, object], run: Run) -> bool:
    run.spend(1)
    return left.keys() == right.keys() and all(equal(value, right[key], run) is True for key, value in left.items())


def equals(run: Run, at: int, left: object, right: object) -> bool | None:
    result = equal(left, right, run)
    if result is None:
        wrong(run, at, "compare", left, right)
    return result


def differs(run: Run, at: int, left: object, right: object) -> bool | None:
    result = equals(run, at, left, right)
    return None if result is None else not result


def order(left: object, right: object) -> int | None:
    """-1, 0 or 1; None when the values have no common order."""
    if is_number(left) and is_number(right):
        return int(left > right) - int(left < right)  # type: ignore[operator]
    if left.__class__ is str and right.__class__ is str:
        return int(left > right) - int(left < right)  # type: ignore[operator]
    if left is None or right is None:
        return None
    if TEMPORAL and (result := TEMPORAL[0].order(left, right)) is not None:
        return result
    one, other = single(left), single(right)
    return order(one, other) if one is not left or other is not right else None


def less(run: Run, at: int, left: object, right: object) -> bool | None:
    result = order(left, right)
    return (result < 0) if result is not None else wrong(run, at, "compare", left, right)


def less_equal(run: Run, at: int, left: object, right: object) -> bool | None:
    result = order(left, right)
    return (result <= 0) if result is not None else wrong(run, at, "compare", left, right)


def greater(run: Run, at: int, left: object, right: object) -> bool | None:
    result = order(left, right)
    return (result > 0) if result is not None else wrong(run, at, "compare", left, right)


def greater_equal(run: Run, at: int, left: object, right: object) -> bool | None:
    result = order(left, right)
    return (result >= 0) if result is not None else wrong(run, at, "compare", left, right)


# -- three-valued logic


def conjunction(run: Run, at: int, *parts: object) -> bool | None:
    """False if any part is false, else true if all are true, else null."""
    values = [single(part) for part in parts]
    if any(value is False for value in values):
        return False
    return True if all(value is True for value in values) else _logic_null(run, at, "and", values)


def disjunction(run: Run, at: int, *parts: object) -> bool | None:
    """True if any part is true, else false if all are false, else null."""
    values = [single(part) for part in parts]
    if any(value is True for value in values):
        return True
    return False if all(value is False for value in values) else _logic_null(run, at, "or", values)


def _logic_null(run: Run, at: int, op: str, values: list[object]) -> Any:
    for value in values:
        if value is not None and value.__class__ is not bool:
            run.append((at, f"an operand of '{op}' must be boolean, was {kind_name(value)} {shown(value)}"))


def negation(run: Run, at: int, value: object) -> bool | None:
    value = single(value)
    if isinstance(value, bool):
        return not value
    wrong(run, at, "apply not to", value)
    return None


# -- ranges and membership


def make_range(run: Run, at: int, low: object, low_closed: bool, high: object, high_closed: bool) -> Range | None:
    """A range with two ends of one kind, or null."""
    low, high = single(low), single(high)
    if low is None or high is None:
        run.append((at, "an end of the range is null"))
        return None
    return (
        Range(low, low_closed, high, high_closed) if order(low, high) is not None else wrong(run, at, "span", low, high)
    )


def open_range(run: Run, at: int, low: object, low_closed: bool, high: object, high_closed: bool) -> Range | None:
    """A range that one side leaves open."""
    if low is None and high is None:
        run.append((at, "the end of the range is null"))
        return None
    return Range(low, low_closed, high, high_closed)


def point_range(run: Run, at: int, value: object, point: str) -> Range | None:
    """`(=5)` and `(!=5)`; of any value but null."""
    if value is None:
        run.append((at, "the end of the range is null"))
        return None
    return Range(value, point == "=", value, point == "=", point)


def within(run: Run, at: int, value: object, span: Range) -> bool | None:
    """Is a value in a range?"""
    if span.point:
        return (equals if span.point == "=" else differs)(run, at, value, span.low)
    low, high = span.low, span.high
    below = True if low is None else (greater_equal if span.low_closed else greater)(run, at, value, low)
    above = True if high is None else (less_equal if span.high_closed else less)(run, at, value, high)
    return conjunction(run, at, below, above)


def between(run: Run, at: int, value: object, low: object, high: object) -> bool | None:
    return conjunction(run, at, greater_equal(run, at, value, low), less_equal(run, at, value, high))


def tested(run: Run, at: int, value: object, against: object) -> bool | None:
    """A unary test against a value: a range holds it, a list holds or equals it, another value equals it."""
    cls = against.__class__
    if cls is Range:
        if value.__class__ is Range:
            return equal(value, against, run)
        return within(run, at, value, against)  # type: ignore[arg-type]
    if cls is list:
        return _among(run, at, value, against)  # type: ignore[arg-type]
    if value.__class__ is list and cls is not list and len(value) != 1:  # type: ignore[arg-type]
        return None if against is not None else False
    return equals(run, at, value, against)


def spanned(run: Run, at: int, value: object, against: object) -> bool | None:
    """`tested` against a range that is written out: null where its ends make no range."""
    return None if against is None else tested(run, at, value, against)


def _among(run: Run, at: int, value: object, items: list[object]) -> bool:
    if value.__class__ is list and equal(value, items, run):
        return True
    for item in run.visit(items):
        if item.__class__ is Range and value.__class__ is not Range:
            if within(Run(), at, value, item) is True:  # type: ignore[arg-type]
                return True
        elif equal(value, item, run) is True:
            return True
    return False


def listed(run: Run, at: int, value: object, name: str) -> bool | None:
    """Is a text on the pack's list of that name? Null gives null."""
    value = single(value)
    if value is None:
        return None
    if value.__class__ is not str:
        run.append((at, f"a list holds texts, was {kind_name(value)} {shown(value)}"))
        return None
    if run.lists is None:
        run.append((at, f"the entries of list {name!r} are not known here"))
        return None
    return run.lists(name, value)  # type: ignore[arg-type]


def square_root_of(run: Run, at: int, value: object) -> object:
    """Square root of a number that is known to be one."""
    if value is None:
        return None
    try:
        return NUMBERS.sqrt(value)  # type: ignore[arg-type]
    except DecimalException as error:
        failed(run, at, error)
        return None
