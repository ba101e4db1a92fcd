"""Conditions and calendar folds in plain Python: trees walked with exact integers and fractions, dates by `datetime`.

The twin of kernel/conditions.py and kernel/calendar.py. It knows the one thing that FEEL does not: a sum, difference or
product that does not fit 64 bits is null.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple
from zoneinfo import ZoneInfo

from quanheng.features.calendars import WEEKEND, Calendar, Calendars
from quanheng.features.conditions import scope_of
from quanheng.features.fold import EventLayout, Fold
from quanheng.features.kernel.clock import DECLARED, NOT_COVERED, WORK
from quanheng.features.kernel.words import NULL, NUMBER_MIN
from quanheng.feel import tree
from quanheng.feel.parser import parse


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


def true_of(layout: EventLayout, fold: Fold, time_ms: int, numbers: tuple[int, ...], calendars: Calendars) -> bool:
    """Whether the condition of a fold is true of an event."""
    if not fold.where:
        return True
    scope, choices = scope_of(layout), dict(layout.choices)
    values: dict[int, Value] = {}
    for slot, name in enumerate(scope):
        if name in layout.numbers:
            number = numbers[layout.numbers.index(name)]
            if number == NULL:
                values[slot] = None
            elif name in choices:
                values[slot] = choices[name][number]
            else:
                values[slot] = bool(number) if name in layout.flags else Scaled(number, layout.scale(name))
        else:
            found = asked(name, time_ms, fold.zone, calendars[fold.calendar] if fold.calendar else None)
            flag = name in {"weekend", "night", "holiday", "workday"}
            values[slot] = None if found is None else bool(found) if flag else Scaled(found, 0)
    return _value(parse(fold.where, scope), values) is True


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
