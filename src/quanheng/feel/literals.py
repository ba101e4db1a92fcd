"""Values as FEEL text: what an author would write for them."""

from __future__ import annotations

from decimal import Decimal

from quanheng.feel.temporal import Date, DateTime, DaysDuration, Time, YearsDuration
from quanheng.feel.values import Range, shown

_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"})


def text_literal(value: str) -> str:
    """A string in quotes; what a quote or a backslash would end is escaped."""
    return f'"{value.translate(_ESCAPES)}"'


def literal(value: object) -> str:
    """A value as a FEEL literal; `literal` and the parser are inverse for all but functions."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Decimal):
        return f"{value:f}" if -40 < value.adjusted() < 40 else f"{value:e}"
    if isinstance(value, str):
        return text_literal(value)
    if isinstance(value, Date | Time | DateTime | DaysDuration | YearsDuration):
        return f'@"{value}"'
    if isinstance(value, list):
        return f"[{', '.join(map(literal, value))}]"
    if isinstance(value, dict):
        entries = (f"{text_literal(key)}: {literal(one)}" for key, one in value.items())
        return f"{{{', '.join(entries)}}}"
    if isinstance(value, Range):
        low, high = ("null" if end is None else literal(end) for end in (value.low, value.high))
        return f"{'[' if value.low_closed else '('}{low}..{high}{']' if value.high_closed else ')'}"
    return shown(value)
