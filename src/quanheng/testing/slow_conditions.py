"""Conditions and calendar folds in plain Python: trees walked with exact integers and fractions, dates by `datetime`.

The twin of kernel/conditions.py and kernel/calendar.py. It knows the one thing that FEEL does not: a sum, difference or
product that does not fit 64 bits is null. A condition that the machine cannot say is judged by the judge of FEEL.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple
from zoneinfo import ZoneInfo

from quanheng.features.conditions import scope_of
from quanheng.features.flags import MOMENT
from quanheng.features.fold import EventLayout, Fold
from quanheng.features.kernel.words import NULL, NUMBER_MIN
from quanheng.features.machine import TRUTHS, Writer
from quanheng.feel import tree
from quanheng.feel.judge import evaluate_tree
from quanheng.feel.parser import parse
from quanheng.feel.temporal import DateTime
from quanheng.feel.types import FeelType
from quanheng.kernel.calendars import DECLARED, NOT_COVERED, WEEKEND, WORK, Calendar, Calendars


class Scaled(NamedTuple):
    """A whole number of units of 10**-scale."""

    units: int
    scale: int

    @property
    def exact(self) -> Fraction:
        return Fraction(self.units, 10**self.scale)


Value = Scaled | bool | str | None


def asked(what: str, time_ms: int, zone: str, calendar: Calendar | None) -> int | None:
    """What a calendar fold answers of a moment."""
    local = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=time_ms)).astimezone(ZoneInfo(zone))
    if what in {"hour", "night"}:
        return local.hour if what == "hour" else int(local.hour >= 22 or local.hour < 6)
    if what in {"weekday", "weekend"}:
        weekend = WEEKEND if calendar is None else calendar.weekend
        return local.isoweekday() if what == "weekday" else int(local.isoweekday() in weekend)
    if what in {"month", "month_day"}:
        return local.month if what == "month" else local.day
    code = NOT_COVERED if calendar is None else calendar.code(local.date())
    return None if code == NOT_COVERED else int(code == (DECLARED if what == "holiday" else WORK))


def true_of(
    layout: EventLayout,
    fold: Fold,
    time_ms: int,
    numbers: tuple[int, ...],
    calendars: Calendars,
    keys: Sequence[object] = (),
) -> bool:
    """Whether the condition of a fold is true of an event.

    keys : of the event, in the order of the layout; what is (0, 0) or is not given is null
    """
    if not fold.where:
        return True
    scope = scope_of(layout)
    calendar = calendars[fold.calendar] if fold.calendar else None
    given = {name: _given(layout, name, (time_ms, numbers, keys), fold.zone, calendar) for name in scope}
    node = parse(fold.where, scope)
    if _machine_says(layout, scope, node):
        values = {slot: _scaled(layout, name, given[name], numbers) for slot, name in enumerate(scope)}
        return _value(node, values) is True
    return evaluate_tree(node, scope, given).value is True


def _given(
    layout: EventLayout, name: str, event: tuple[int, tuple[int, ...], Sequence[object]], zone: str,
    calendar: Calendar | None,
) -> object:  # fmt: skip
    """What a name is, as FEEL sees it. A key is any text that is equal where keys are."""
    time_ms, numbers, keys = event
    if name in layout.numbers:
        number, choices = numbers[layout.numbers.index(name)], dict(layout.choices)
        if number == NULL:
            return None
        if name in choices:
            return choices[name][number]
        scale = layout.scale(name)
        return bool(number) if name in layout.flags else Decimal(number).scaleb(-scale) if scale else number
    if name in layout.keys:
        key = keys[layout.keys.index(name)] if keys else (0, 0)
        return None if key == (0, 0) else repr(key)
    if name == MOMENT:
        zoned = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=time_ms)).astimezone(ZoneInfo(zone))
        seconds = (zoned.replace(tzinfo=None) - datetime(1970, 1, 1)) // timedelta(seconds=1)
        offset = zoned.utcoffset()
        assert offset is not None
        nanos = seconds % 86_400 * 10**9 + time_ms % 1000 * 10**6
        return DateTime(seconds // 86_400, nanos, int(offset.total_seconds()))
    found = asked(name, time_ms, zone, calendar)
    return None if found is None else bool(found) if name in TRUTHS else found


def _machine_says(layout: EventLayout, scope: Mapping[str, FeelType], node: tree.Node) -> bool:
    """Whether the machine of the kernel says all of a condition, with its 64 bits. What it cannot say is FEEL's."""
    machine = Writer(layout, scope)
    return machine.tries(lambda: machine.truth(node))


def _scaled(layout: EventLayout, name: str, value: object, numbers: tuple[int, ...]) -> Value:
    """A number as units of its scale."""
    if value is None or isinstance(value, bool | str):
        return value
    if name in layout.numbers:
        return Scaled(numbers[layout.numbers.index(name)], layout.scale(name))
    return Scaled(value, 0) if isinstance(value, int) else None


def _value(node: tree.Node, env: Mapping[int, Value]) -> Value:
    match node:
        case tree.Const(value=value):
            return _literal(value) if isinstance(value, (int, Decimal)) and not isinstance(value, bool) else value  # type: ignore[return-value]
        case tree.Name(slot=slot):
            return env[slot]
        case tree.Negate(value=inner):
            found = _value(inner, env)
            return _fits(-found.units, found.scale) if isinstance(found, Scaled) else None
        case tree.Arithmetic(op=op, left=left, right=right):
            return _arithmetic(op, _value(left, env), _value(right, env))
        case tree.Compare(op=op, left=left, right=right):
            return _compared(op, _value(left, env), _value(right, env))
        case tree.Test(value=value, against=against):
            return _compared("=", _value(value, env), _value(against, env))
        case tree.Between(value=value, low=low, high=high):
            found = _value(value, env)
            return _all([_compared(">=", found, _value(low, env)), _compared("<=", found, _value(high, env))])
        case tree.In(value=value, slot=slot, test=test):
            return _value(test, {**env, slot: _value(value, env)})
        case tree.And(parts=parts):
            return _all([_value(part, env) for part in parts])
        case tree.Or(parts=parts):
            return _not(_all([_not(_value(part, env)) for part in parts]))
        case tree.Not(value=value):
            return _not(_value(value, env))
        case tree.Call(arguments=arguments):
            return _not(_value(arguments[0], env))
    raise NotImplementedError(type(node).__name__)


def _literal(value: int | Decimal) -> Scaled:
    exact = Fraction(value)
    scale = next(places for places in range(19) if (exact * 10**places).denominator == 1)
    return Scaled(int(exact * 10**scale), scale)


def _fits(units: int, scale: int) -> Scaled | None:
    return Scaled(units, scale) if abs(units) <= -NUMBER_MIN else None


def _arithmetic(op: str, left: Value, right: Value) -> Value:
    if not isinstance(left, Scaled) or not isinstance(right, Scaled):
        return None
    if op == "*":
        return _fits(left.units * right.units, left.scale + right.scale)
    scale = max(left.scale, right.scale)
    raised = [
        one if one.scale == scale else _fits(one.units * 10 ** (scale - one.scale), scale) for one in (left, right)
    ]
    if None in raised:
        return None
    one, other = (number.units for number in raised if number is not None)
    return _fits(one + other if op == "+" else one - other, scale)


def _compared(op: str, left: Value, right: Value) -> bool | None:
    if left is None or right is None:
        return {"=": left is right, "!=": left is not right}.get(op)
    a, b = (one.exact if isinstance(one, Scaled) else one for one in (left, right))
    return {"=": a == b, "!=": a != b}[op] if op in {"=", "!="} else {
        "<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b,  # type: ignore[operator]
    }[op]  # fmt: skip


def _all(parts: list[Value]) -> bool | None:
    if any(part is False for part in parts):
        return False
    return True if all(part is True for part in parts) else None


def _not(value: Value) -> bool | None:
    return None if value is None else not value
