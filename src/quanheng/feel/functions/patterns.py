"""Strings and regular expressions (DMN 1.5, 10.3.4.3): where XPath 2.0 has an error, the answer is null."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from quanheng.feel.functions.registry import builtin
from quanheng.feel.limits import LIMITS
from quanheng.feel.patterns import Match, Pattern, PatternError, TooCostly, compile_pattern
from quanheng.feel.values import Run


def _pattern(run: Run, at: int, name: str, text: str, flags: str | None) -> Pattern | None:
    try:
        return compile_pattern(text, flags or "")
    except PatternError as error:
        run.append((at, f"{name}(): {error}"))
        return None


def _matches(run: Run, pattern: Pattern, text: str) -> Iterator[Match]:
    """All matches from left to right, none inside another; the steps count as work."""
    start = 0
    while start <= len(text):
        found, steps = pattern.find(text, start)
        run.spend(steps)
        if found is None:
            return
        yield found
        start = found.end if found.end > found.start else found.end + 1


def _costly(run: Run, at: int, name: str, text: str) -> Any:
    run.append((at, f"{name}(): the pattern needs too many steps for a text of {len(text)} characters"))


@builtin("matches(input: string, pattern: string, flags?: string): boolean")
def matches(run: Run, at: int, text: str, pattern: str, flags: str | None = None) -> bool | None:
    compiled = _pattern(run, at, "matches", pattern, flags)
    if compiled is None:
        return None
    try:
        return next(_matches(run, compiled, text), None) is not None
    except TooCostly:
        return _costly(run, at, "matches", text)  # type: ignore[no-any-return]


@builtin("replace(input: string, pattern: string, replacement: string, flags?: string): string")
def replace(run: Run, at: int, text: str, pattern: str, replacement: str, flags: str | None = None) -> str | None:
    compiled = _pattern(run, at, "replace", pattern, flags)
    parts = _replacement(run, at, replacement, compiled.groups) if compiled is not None else None
    if compiled is None or parts is None or _matches_nothing(run, at, "replace", compiled):
        return None
    built: list[str] = []
    behind, length = 0, 0
    try:
        for found in _matches(run, compiled, text):
            piece = text[behind : found.start] + _filled(parts, found, text)
            behind, length = found.end, length + len(piece)
            if length > LIMITS.text_length:
                run.append((at, f"a text would be longer than {LIMITS.text_length} characters"))
                return None
            built.append(piece)
    except TooCostly:
        return _costly(run, at, "replace", text)  # type: ignore[no-any-return]
    return "".join(built) + text[behind:]


def _replacement(run: Run, at: int, text: str, groups: int) -> list[str | int] | None:
    """Texts and numbers of groups; `$` and a backslash stand for themselves only behind a backslash."""
    parts: list[str | int] = []
    index = 0
    while index < len(text):
        char, following = text[index], text[index + 1 : index + 2]
        if char == "\\" and following in ("\\", "$") and following:
            parts.append(following)
        elif char == "$" and following and following in "0123456789":
            number = int(following)
            while (
                (digit := text[index + 2 : index + 3]) and digit in "0123456789" and number * 10 + int(digit) <= groups
            ):
                number, index = number * 10 + int(digit), index + 1
            parts.append(number)
        elif char in "\\$":
            run.append((at, f"replace(): in the replacement {char!r} must be followed by what XPath 2.0 allows"))
            return None
        else:
            parts.append(char)
            index -= 1
        index += 2
    return parts


def _filled(parts: list[str | int], found: Match, text: str) -> str:
    pieces = []
    for part in parts:
        if isinstance(part, str):
            pieces.append(part)
        elif part < len(found.groups) and found.groups[part][0] >= 0:
            pieces.append(text[slice(*found.groups[part])])
    return "".join(pieces)


def _matches_nothing(run: Run, at: int, name: str, pattern: Pattern) -> bool:
    """A pattern that matches the empty text is an error of XPath where texts are cut."""
    if pattern.find("")[0] is None:
        return False
    run.append((at, f"{name}(): the pattern matches the empty text"))
    return True


@builtin("split(string: string, delimiter: string): list<string>")
def split(run: Run, at: int, text: str, delimiter: str) -> list[str] | None:
    compiled = _pattern(run, at, "split", delimiter, None)
    if compiled is None or _matches_nothing(run, at, "split", compiled):
        return None
    parts, behind = [], 0
    try:
        for found in _matches(run, compiled, text):
            parts.append(text[behind : found.start])
            behind = found.end
    except TooCostly:
        return _costly(run, at, "split", text)  # type: ignore[no-any-return]
    return [*parts, text[behind:]]
