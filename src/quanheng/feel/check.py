"""Static types: what an operator gives for operands of known types, and which combinations are certain mistakes.

Each function returns (type, mistake); `mistake` is empty unless the result is null for every input.
The tables follow DMN 1.5, 10.3.2.3.4 (equality), .5 (order), .6 (arithmetic).
"""

from __future__ import annotations

from quanheng.feel.types import (
    ANY,
    BOOLEAN,
    DATE,
    DATE_TIME,
    DAYS_DURATION,
    NULL,
    NUMBER,
    ORDERED,
    RANGE,
    STRING,
    TIME,
    YEARS_DURATION,
    ContextType,
    FeelType,
    FunctionType,
    ListType,
    RangeType,
    entries_open,
    possible,
)

_DAY = DAYS_DURATION
_ADD: dict[tuple[FeelType, FeelType], FeelType] = {
    (NUMBER, NUMBER): NUMBER,
    (STRING, STRING): STRING,
    (_DAY, _DAY): _DAY,
    (YEARS_DURATION, YEARS_DURATION): YEARS_DURATION,
    **{(moment, _DAY): moment for moment in (DATE_TIME, TIME)},
    **{(_DAY, moment): moment for moment in (DATE_TIME, TIME)},
    (DATE, _DAY): DATE,
    (_DAY, DATE): DATE,
    **{(moment, YEARS_DURATION): moment for moment in (DATE, DATE_TIME)},
    **{(YEARS_DURATION, moment): moment for moment in (DATE, DATE_TIME)},
}
_SUBTRACT: dict[tuple[FeelType, FeelType], FeelType] = {
    (NUMBER, NUMBER): NUMBER,
    (_DAY, _DAY): _DAY,
    (YEARS_DURATION, YEARS_DURATION): YEARS_DURATION,
    **{(a, b): _DAY for a in (DATE, DATE_TIME) for b in (DATE, DATE_TIME)},
    (TIME, TIME): _DAY,
    (DATE_TIME, _DAY): DATE_TIME,
    (TIME, _DAY): TIME,
    (DATE, _DAY): DATE,
    (DATE, YEARS_DURATION): DATE,
    (DATE_TIME, YEARS_DURATION): DATE_TIME,
}
_MULTIPLY: dict[tuple[FeelType, FeelType], FeelType] = {
    (NUMBER, NUMBER): NUMBER,
    (_DAY, NUMBER): _DAY,
    (NUMBER, _DAY): _DAY,
    (YEARS_DURATION, NUMBER): YEARS_DURATION,
    (NUMBER, YEARS_DURATION): YEARS_DURATION,
}
_DIVIDE: dict[tuple[FeelType, FeelType], FeelType] = {
    (NUMBER, NUMBER): NUMBER,
    (_DAY, NUMBER): _DAY,
    (YEARS_DURATION, NUMBER): YEARS_DURATION,
    (_DAY, _DAY): NUMBER,
    (YEARS_DURATION, YEARS_DURATION): NUMBER,
}
_TABLES: dict[str, dict[tuple[FeelType, FeelType], FeelType]] = {
    "+": _ADD,
    "-": _SUBTRACT,
    "*": _MULTIPLY,
    "/": _DIVIDE,
    "**": {(NUMBER, NUMBER): NUMBER},
}
_VERB = {"+": "add", "-": "subtract", "*": "multiply", "/": "divide", "**": "raise to a power"}

RANGE_FIELDS = ("start", "end", "start included", "end included")
_DATE_FIELDS = ("year", "month", "day", "weekday")
_TIME_FIELDS = ("hour", "minute", "second", "time offset", "timezone")
PROPERTIES: dict[FeelType, dict[str, FeelType]] = {
    DATE: dict.fromkeys(_DATE_FIELDS, NUMBER),
    TIME: {**dict.fromkeys(_TIME_FIELDS[:3], NUMBER), "time offset": _DAY, "timezone": STRING},
    DATE_TIME: {**dict.fromkeys(_DATE_FIELDS + _TIME_FIELDS[:3], NUMBER), "time offset": _DAY, "timezone": STRING},
    DAYS_DURATION: dict.fromkeys(("days", "hours", "minutes", "seconds"), NUMBER),
    YEARS_DURATION: dict.fromkeys(("years", "months"), NUMBER),
}
"""Properties of values that are not contexts (DMN 1.5, table 65)."""


def arithmetic(op: str, left: FeelType, right: FeelType) -> tuple[FeelType, str]:
    """Type of `left op right`."""
    left, right = unwrapped(left), unwrapped(right)
    table = _TABLES[op]
    results = {
        result
        for (a, b), result in table.items()
        if (left in (a, ANY, NULL) and right in (b, ANY, NULL))
    }  # fmt: skip
    if not results:
        return ANY, f"cannot {_VERB[op]} {left} and {right}"
    return (results.pop(), "") if len(results) == 1 else (ANY, "")


def unwrapped(kind: FeelType) -> FeelType:
    """A list where one value is wanted may hold exactly one: its type is known at run time only."""
    return ANY if isinstance(kind, ListType) else kind


def equality(left: FeelType, right: FeelType) -> str:
    """The mistake in `left = right`, if it can never be true or false."""
    pair = {left, right}
    if possible(left, right) or pair <= {DATE, DATE_TIME} or pair == {DAYS_DURATION, YEARS_DURATION}:
        return ""
    if any(isinstance(kind, ListType) for kind in pair):
        return ""
    return f"{left} is never equal to {right}"


def order(left: FeelType, right: FeelType) -> str:
    """The mistake in `left < right`."""
    left, right = unwrapped(left), unwrapped(right)
    for kind in (left, right):
        if kind not in ORDERED and kind not in (ANY, NULL):
            return f"{kind} has no order"
    return "" if possible(left, right) or {left, right} <= {DATE, DATE_TIME} else f"cannot compare {left} with {right}"


def logic(kind: FeelType) -> str:
    """The mistake in using `kind` as a condition."""
    return (
        ""
        if kind in (BOOLEAN, ANY, NULL) or isinstance(kind, ListType)
        else f"a condition must be boolean, {kind} is not"
    )


def against(value: FeelType, test: FeelType) -> str:
    """The mistake in a unary test of `value` against a value of type `test`."""
    if test == RANGE or ANY in (value, test):
        return ""
    if isinstance(test, RangeType):
        return "" if isinstance(value, (RangeType, ListType)) else order(value, test.item)
    if isinstance(test, ListType):
        return ""
    return equality(value, test)


def path(base: FeelType, name: str) -> tuple[FeelType, str]:
    """Type of `base.name`."""
    if isinstance(base, ContextType):
        kind = base.field(name)
        if kind is not None:
            return kind, ""
        known = ", ".join(key for key, _ in base.fields)
        return ANY, "" if entries_open(base) else f"the context has no entry {name!r}; known: {known}"
    if isinstance(base, ListType):
        kind, mistake = path(base.item, name)
        return ListType(kind), mistake
    if isinstance(base, RangeType):
        if name not in RANGE_FIELDS:
            return ANY, f"a range has no property {name!r}; known: {', '.join(RANGE_FIELDS)}"
        return (BOOLEAN if name.endswith("included") else base.item), ""
    if base in PROPERTIES:
        kind = PROPERTIES[base].get(name)
        return (kind, "") if kind else (ANY, f"{base} has no property {name!r}; known: {', '.join(PROPERTIES[base])}")
    if base in (ANY, NULL):
        return ANY, ""
    return ANY, f"{base} has no properties"


def fields_of(base: FeelType) -> tuple[str, ...]:
    """Names that can follow a dot after a value of type `base`."""
    if isinstance(base, ListType):
        return fields_of(base.item)
    if isinstance(base, ContextType):
        return tuple(key for key, _ in base.fields)
    if isinstance(base, RangeType):
        return RANGE_FIELDS
    return tuple(PROPERTIES.get(base, ()))


def item_of(kind: FeelType) -> FeelType:
    """Type of the variable of a loop over a value of type `kind`; a value that is no list is a list of one."""
    if isinstance(kind, (ListType, RangeType)):
        return kind.item
    return kind


def between(first: FeelType, last: FeelType) -> FeelType:
    """Type of the variable of a loop from one value to another: integers, or dates day by day."""
    return NUMBER if NUMBER in (first, last) else DATE if DATE in (first, last) else ANY


def callable_result(kind: FeelType) -> FeelType:
    return kind.result if isinstance(kind, FunctionType) else ANY
