"""Conditions as SQL: the kernel's stack machine (kernel/conditions.py), run once on columns in place of numbers.

Its nulls are those of the engine: `and`, `or` and comparisons of order know three values, equality is
`IS NOT DISTINCT FROM`. Products and sums are decimals of up to 38 digits, and null where they do not fit 64 bits.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from quanheng.features.conditions import Condition
from quanheng.features.fold import EventLayout
from quanheng.features.kernel import clock as c
from quanheng.features.kernel.words import NULL
from quanheng.features.machine import ASKED
from quanheng.features.sql.clock import asked
from quanheng.features.sql.columns import Columns, Value, whole
from quanheng.kernel.calendars import Calendars

_ROOM = 5  # -2^63 + 3 and 2^63 - 3 are the limits of a result: see `fitted`.
_DEPTH_MAX = 12  # Operations within one another; a deeper value becomes a column.
_NAMES = {number: name for name, number in ASKED.items()}
_ORDERS = {
    c.LESS: lambda a, b: a < b, c.LESS_EQUAL: lambda a, b: a <= b,
    c.GREATER: lambda a, b: a > b, c.GREATER_EQUAL: lambda a, b: a >= b,
}  # fmt: skip


class Entry(NamedTuple):
    """What lies on the stack: a number, or a truth that is a boolean of the engine; and how deep it is."""

    value: Value
    is_truth: bool = False
    depth: int = 0

    @property
    def number(self) -> Value:
        return self.value.cast("int64") if self.is_truth else self.value


def fields_read(layout: EventLayout, condition: Condition | None) -> set[str]:
    """Number fields that a condition reads."""
    steps = () if condition is None else condition.instructions
    return {layout.numbers[one.first] for one in steps if one.op == c.FIELD}


def keys_read(layout: EventLayout, condition: Condition | None) -> set[str]:
    """Key fields that a condition compares."""
    steps = () if condition is None else condition.instructions
    return {layout.keys[place] for one in steps if one.op == c.SAME for place in (one.first, one.second) if place >= 0}


def holds(columns: Columns, layout: EventLayout, condition: Condition, calendars: Calendars) -> Value:
    """Whether a condition is true of an event; fields are the columns `value:NAME`, keys
    `key:NAME`, its time is `_time`."""
    stack: list[Entry] = []
    for op, first, second in condition.instructions:
        if op == c.PUSH:
            stack.append(Entry(_nothing() if first == NULL else whole(first)))
        elif op == c.FIELD:
            stack.append(Entry(columns[f"value:{layout.numbers[first]}"]))
        elif op == c.ASK:
            days = calendars[condition.calendar] if condition.calendar else None
            stack.append(Entry(asked(columns, columns["_time"], "event", _NAMES[first], condition.zone, days)))
        elif op == c.SAME:
            key = columns[f"key:{layout.keys[first]}"]
            same = key.isnull() if second < 0 else key.identical_to(columns[f"key:{layout.keys[second]}"])
            stack.append(Entry(same, True))
        elif op in {c.NOT, c.NEGATE, c.TIMES}:
            stack.append(_unary(op, stack.pop(), first))
        else:
            right, left = stack.pop(), stack.pop()
            stack.append(_binary(op, left, right, first))
        if stack[-1].depth > _DEPTH_MAX:
            stack[-1] = Entry(columns.keep(stack[-1].value), stack[-1].is_truth)
    found = stack[0]
    return (found.value if found.is_truth else found.value == 1).fill_null(False)


def _nothing() -> Value:
    """A null that is no literal: Ibis reads `==` with a literal null as IS NULL."""
    return whole(0).nullif(0)


def _unary(op: int, one: Entry, argument: int) -> Entry:
    if op == c.NOT:
        return Entry(~one.value, True, one.depth + 1) if one.is_truth else Entry(1 - one.value, False, one.depth + 1)
    exact = -_exact(one) if op == c.NEGATE else _exact(one) * _power(argument)
    return Entry(fitted(exact), False, one.depth + 1)


def _binary(op: int, left: Entry, right: Entry, shift: int) -> Entry:
    depth = max(left.depth, right.depth) + 1
    if op == c.AND:  # A number that is no truth is true for `and` if it is not 0, for `or` if it is 1.
        return Entry(_true(left, op) & _true(right, op), True, depth)
    if op == c.OR:
        return Entry(_true(left, op) | _true(right, op), True, depth)
    if op == c.ADD:
        return Entry(fitted(_exact(left) + _exact(right)), False, depth)
    if op == c.SUBTRACT:
        return Entry(fitted(_exact(left) - _exact(right)), False, depth)
    if op == c.MULTIPLY:
        return Entry(fitted(_exact(left) * _exact(right)), False, depth)
    one, other = left.number, right.number
    if shift:
        one, other = (_exact(entry) * _power(max(more, 0)) for entry, more in ((left, shift), (right, -shift)))
    if op in {c.EQUAL, c.DIFFERENT}:
        same = one.identical_to(other)
        return Entry(same if op == c.EQUAL else ~same, True, depth)
    return Entry(_ORDERS[op](one, other), True, depth)


def _true(entry: Entry, op: int) -> Value:
    if entry.is_truth:
        return entry.value
    return entry.value != 0 if op == c.AND else entry.value == 1


def _exact(entry: Entry) -> Value:
    return entry.number.cast("decimal(19, 0)")


def _power(exponent: int) -> Any:
    return whole(10**exponent).cast("decimal(19, 0)")


def fitted(exact: Value) -> Value:
    """A decimal as int64; null beyond ±(2^63 - 3). The value is named once, so that nested results stay short.

    x + 2 fits 64 bits up to 2^63 - 3, and x - 3 from -2^63 + 3 on.
    """
    above = (exact + whole(_ROOM - 3).cast("decimal(19, 0)")).try_cast("int64")
    below = (above.cast("decimal(19, 0)") - whole(_ROOM).cast("decimal(19, 0)")).try_cast("int64")
    return below + 3
