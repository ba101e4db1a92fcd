"""Strings (DMN 1.5, 10.3.4.3). Positions count characters from 1; a negative one counts from the end."""

from __future__ import annotations

from decimal import Decimal

from quanheng.feel.functions.registry import builtin
from quanheng.feel.values import Function, Range, Run, rounded, shown, whole


def text_of(value: object, inside: bool = False) -> str | None:
    """The text of a value as string() gives it; null has none."""
    if value is None:
        return "null" if inside else None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(rounded(value))
    if isinstance(value, Decimal):
        return f"{value:f}" if -35 < value.adjusted() < 35 else str(value)
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"' if inside else value
    if isinstance(value, list):
        return "[" + ", ".join(text_of(item, True) or "" for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(key)}: {text_of(item, True)}" for key, item in value.items()) + "}"
    if isinstance(value, Range):
        return _range_text(value)
    if isinstance(value, Function):
        return repr(value)
    return f'@"{value}"' if inside else str(value)


def _range_text(value: Range) -> str:
    if value.point:
        return f"{value.point} {text_of(value.low, True)}"
    if value.low is None or value.high is None:
        closed = value.low_closed if value.high is None else value.high_closed
        return f"{'>' if value.high is None else '<'}{'=' if closed else ''} {text_of(value.low or value.high, True)}"
    low, high = ("[" if value.low_closed else "("), ("]" if value.high_closed else ")")
    return f"{low}{text_of(value.low, True)}..{text_of(value.high, True)}{high}"


def _key(key: str) -> str:
    return key if key.replace(" ", "").replace("_", "").isalnum() else '"' + key.replace('"', '\\"') + '"'


@builtin("string(from: Any): string")
def string(_run: Run, _at: int, value: object) -> str | None:
    return text_of(value)


@builtin("substring(string: string, start position: number, length?: number): string")
def substring(run: Run, at: int, text: str, start: int, length: int | None = None) -> str | None:
    position = whole(start)
    if position == 0 or abs(position) > len(text):
        run.append((at, f"substring(): the text has {len(text)} characters, position {position} is not one of them"))
        return None
    if length is not None and length < 1:
        run.append((at, f"substring(): length must be positive, was {shown(length)}"))
        return None
    first = position - 1 if position > 0 else len(text) + position
    return text[first:] if length is None else text[first : first + whole(length)]


@builtin("string length(string: string): number")
def string_length(_run: Run, _at: int, text: str) -> int:
    return len(text)


@builtin("upper case(string: string): string")
def upper_case(_run: Run, _at: int, text: str) -> str:
    return text.upper()


@builtin("lower case(string: string): string")
def lower_case(_run: Run, _at: int, text: str) -> str:
    return text.lower()


@builtin("substring before(string: string, match: string): string")
def substring_before(_run: Run, _at: int, text: str, match: str) -> str:
    return text.partition(match)[0] if match and match in text else ""


@builtin("substring after(string: string, match: string): string")
def substring_after(_run: Run, _at: int, text: str, match: str) -> str:
    return text.partition(match)[2] if match else text


@builtin("contains(string: string, match: string): boolean")
def contains(_run: Run, _at: int, text: str, match: str) -> bool:
    return match in text


@builtin("starts with(string: string, match: string): boolean")
def starts_with(_run: Run, _at: int, text: str, match: str) -> bool:
    return text.startswith(match)


@builtin("ends with(string: string, match: string): boolean")
def ends_with(_run: Run, _at: int, text: str, match: str) -> bool:
    return text.endswith(match)


@builtin("string join(list: list<string>, delimiter?: string|null): string")
def string_join(_run: Run, _at: int, items: list[str | None], delimiter: str | None = None) -> str:
    return (delimiter or "").join(item for item in items if item is not None)
