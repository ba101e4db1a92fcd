"""Strings (DMN 1.5, 10.3.4.3). Positions count characters from 1; a negative one counts from the end."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from quanheng.feel.functions.registry import builtin
from quanheng.feel.limits import LIMITS
from quanheng.feel.values import Function, Range, Run, rounded, shown, whole


class _TooLong(Exception):
    """Internal: a text beyond the limit."""


class _Text:
    """A text that grows part by part, within the limit of its length."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.length = 0

    def add(self, part: str) -> None:
        self.length += len(part)
        if self.length > LIMITS.text_length:
            raise _TooLong
        self.parts.append(part)

    def value(self, value: object, inside: bool) -> None:
        """The text of a value; texts inside others are quoted."""
        if isinstance(value, list):
            self.several("[", "]", [("", item) for item in value])
        elif isinstance(value, dict):
            self.several("{", "}", [(f"{_key(key)}: ", item) for key, item in value.items()])
        elif isinstance(value, Range):
            self.range(value)
        else:
            self.add(_plain(value, inside))

    def several(self, first: str, last: str, items: list[tuple[str, object]]) -> None:
        between = first
        for title, item in items:
            self.add(between + title)
            self.value(item, True)
            between = ", "
        self.add(last if items else first + last)

    def range(self, value: Range) -> None:
        if value.point:
            self.add(f"{value.point} ")
            self.value(value.low, True)
        elif value.low is None or value.high is None:
            closed = value.low_closed if value.high is None else value.high_closed
            self.add(f"{'>' if value.high is None else '<'}{'=' if closed else ''} ")
            self.value(value.low if value.high is None else value.high, True)
        else:
            self.add("[" if value.low_closed else "(")
            self.value(value.low, True)
            self.add("..")
            self.value(value.high, True)
            self.add("]" if value.high_closed else ")")


def _plain(value: object, inside: bool) -> str:
    if value is None:
        return "null"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"' if inside else value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(rounded(value))
    if isinstance(value, Decimal):
        return f"{value:f}" if -35 < value.adjusted() < 35 else str(value)
    if isinstance(value, Function):
        return repr(value)
    return f'@"{value}"' if inside else str(value)


def _key(key: str) -> str:
    return key if key.replace(" ", "").replace("_", "").isalnum() else '"' + key.replace('"', '\\"') + '"'


def _too_long(run: Run, at: int) -> Any:
    run.append((at, f"a text would be longer than {LIMITS.text_length} characters"))


@builtin("string(from: Any): string")
def string(run: Run, at: int, value: object) -> str | None:
    if value is None:
        return None
    text = _Text()
    try:
        text.value(value, False)
    except _TooLong:
        return _too_long(run, at)  # type: ignore[no-any-return]
    run.copy_text(text.length)
    return "".join(text.parts)


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
    run.copy_text(len(text))
    return text[first:] if length is None else text[first : first + whole(length)]


@builtin("string length(string: string): number")
def string_length(_run: Run, _at: int, text: str) -> int:
    return len(text)


@builtin("upper case(string: string): string")
def upper_case(run: Run, _at: int, text: str) -> str:
    run.copy_text(len(text))
    return text.upper()


@builtin("lower case(string: string): string")
def lower_case(run: Run, _at: int, text: str) -> str:
    run.copy_text(len(text))
    return text.lower()


@builtin("substring before(string: string, match: string): string")
def substring_before(run: Run, _at: int, text: str, match: str) -> str:
    run.copy_text(len(text))
    return text.partition(match)[0] if match and match in text else ""


@builtin("substring after(string: string, match: string): string")
def substring_after(run: Run, _at: int, text: str, match: str) -> str:
    run.copy_text(len(text))
    return text.partition(match)[2] if match else text


@builtin("contains(string: string, match: string): boolean")
def contains(run: Run, _at: int, text: str, match: str) -> bool:
    run.copy_text(len(text))
    return match in text


@builtin("starts with(string: string, match: string): boolean")
def starts_with(run: Run, _at: int, text: str, match: str) -> bool:
    run.copy_text(len(text))
    return text.startswith(match)


@builtin("ends with(string: string, match: string): boolean")
def ends_with(run: Run, _at: int, text: str, match: str) -> bool:
    run.copy_text(len(text))
    return text.endswith(match)


@builtin("string join(list: list<string>, delimiter?: string|null): string")
def string_join(run: Run, at: int, items: list[str | None], delimiter: str | None = None) -> str | None:
    run.visit(items)  # type: ignore[arg-type]
    parts = [item for item in items if item is not None]
    length = sum(map(len, parts)) + len(delimiter or "") * max(0, len(parts) - 1)
    if length > LIMITS.text_length:
        return _too_long(run, at)  # type: ignore[no-any-return]
    run.copy_text(length)
    return (delimiter or "").join(parts)
