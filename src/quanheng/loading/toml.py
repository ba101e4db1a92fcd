"""Reads one TOML file with exact numbers, and says in plain words what a parser says in its own."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation

from quanheng.loading.notes import Notes, Words

INTEGER_MAX = 2**63 - 1
DIGITS_MAX = 34

_PLAIN_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_PLACE = re.compile(r" \(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)$")
_LOOSE_DATE = re.compile(r"=\s*\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}")
_COMMA_NUMBER = re.compile(r"=\s*[+-]?\d+,\d+\s*(#.*)?$")
_BARE_POINT = re.compile(r"=\s*[+-]?(\.\d|\d+\.(\s|$))")
_LEADING_ZERO = re.compile(r"=\s*[+-]?0\d")
_BARE_WORD = re.compile(r"=\s*(?P<word>[A-Za-z_][\w.-]*)")
_SIGNED_PERCENT = re.compile(r"=\s*[+-]?[\d.]+\s*%")
_FULL_WIDTH = re.compile("[“”‘’，＝：（）［］　]")
_HEADER_LINE = re.compile(r"^\s*\[\[?(?P<name>[^\]]+)\]")


def read_toml(content: bytes, file: str, notes: Notes) -> dict[str, object] | None:
    """Parse a TOML file with `Decimal` for every number that has a point.

    Returns None, and notes one problem with line, text and cure, when the file is not TOML.
    Numbers that no exact type holds (nan, inf, integers beyond 64 bits) are problems of their own.
    """
    try:
        text = content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        notes.add(
            file,
            "",
            "the file is not UTF-8 text",
            found=Words(f"byte {content[error.start]:#04x} at position {error.start}"),
            cure="Save it as UTF-8.",
        )
        return None
    try:
        values = tomllib.loads(text, parse_float=_decimal)
    except tomllib.TOMLDecodeError as error:
        _explain(text, str(error), file, notes)
        return None
    except (RecursionError, ValueError, InvalidOperation) as error:
        # Beside syntax, tomllib lets through what int() and date() refuse, and lists nested without end.
        notes.add(
            file,
            "",
            "the file cannot be read as TOML",
            found=Words(type(error).__name__),
            cure="Look for a number of thousands of digits, or for lists inside lists inside lists.",
        )
        return None
    _check_numbers(values, "", file, notes)
    return values


def _decimal(text: str) -> Decimal:
    return Decimal(text)


def _check_numbers(value: object, key: str, file: str, notes: Notes) -> None:
    """Numbers must be finite, with digits that decimal128 holds; integers must fit 64 bits."""
    if isinstance(value, dict):
        for name, inner in value.items():
            _check_numbers(inner, join_key(key, name), file, notes)
    elif isinstance(value, list):
        for inner_key, inner in zip(entry_keys(key, value), value, strict=True):
            _check_numbers(inner, inner_key, file, notes)
    elif isinstance(value, Decimal):
        if not value.is_finite():
            notes.add(
                file,
                key,
                "the number is not finite",
                found=value,
                known="a finite number",
                cure="Leave the key out where there is no value.",
            )
        elif len(value.as_tuple().digits) > DIGITS_MAX:
            notes.add(file, key, "the number has too many digits", found=value, known=f"at most {DIGITS_MAX}")
    elif isinstance(value, int) and not isinstance(value, bool) and abs(value) > INTEGER_MAX:
        notes.add(file, key, "the integer does not fit 64 bits", found=value, known=f"at most {INTEGER_MAX}")


def join_key(prefix: str, name: str) -> str:
    """A key path as TOML writes it: names with a dot or a blank stand in quotes."""
    shown = name if re.fullmatch(r"[\w-]+", name) else f'"{name}"'
    return f"{prefix}.{shown}" if prefix else shown


def entry_keys(key: str, entries: Sequence[object]) -> list[str]:
    """The key path of each entry of a list: `fold.customer_count_1d`, or `case[3]`, counted from 1.

    A table is called by its `name` where that is a plain name and no other entry has it.
    """
    names = [entry.get("name") if isinstance(entry, dict) else None for entry in entries]
    plain = [name if isinstance(name, str) and _PLAIN_NAME.fullmatch(name) else "" for name in names]
    often = Counter(plain)
    return [
        join_key(key, name) if name and often[name] == 1 else f"{key}[{place}]" for place, name in enumerate(plain, 1)
    ]


def _explain(text: str, message: str, file: str, notes: Notes) -> None:
    place = _PLACE.search(message)
    lines = text.split("\n")
    number = int(place["line"]) if place and place["line"] else len(lines)
    line = lines[number - 1] if number <= len(lines) else ""
    said = message[: place.start()] if place else message
    what, cure = _twice(said, lines, number) or _habit(line, said) or (f"this is not TOML ({said})", "")
    notes.add(file, f"line {number}", what, found=line.strip() or "the end of the file", cure=cure)


def _twice(said: str, lines: list[str], number: int) -> tuple[str, str] | None:
    """Tables or keys that are written twice: the commonest slip in long files. Names the first place too."""
    if not said.startswith(("Cannot declare", "Cannot overwrite", "Cannot mutate")):
        return None
    header = _HEADER_LINE.match(lines[number - 1]) if number <= len(lines) else None
    if header is None:
        return (
            "the key is written twice in one table",
            "Keep one of the two, or open a [table] of its own for the second.",
        )
    name = header["name"].strip().strip("[")
    first = next(
        (
            at
            for at, line in enumerate(lines[: number - 1], 1)
            if (found := _HEADER_LINE.match(line)) and found["name"].strip().strip("[") == name
        ),
        0,
    )
    at = f", first in line {first}" if first else ""
    return (
        f"the table [{name}] is written twice{at}",
        f"Move the keys under one heading; where a list is meant, write [[{name}]].",
    )


def _habit(line: str, said: str) -> tuple[str, str] | None:
    """What people write out of habit from other formats, by the look of the line."""
    if _FULL_WIDTH.search(re.sub(r'"[^"]*"', "", line)):
        return (
            "a full-width sign stands where TOML needs a plain one",
            "Write quotes, commas, brackets and = with the plain (half-width) signs.",
        )
    if re.match(r"\s*[\w.\"-]+\s*:", line) and "=" not in line.split(":", maxsplit=1)[0]:
        return "a key is followed by a colon", "TOML writes key = value."
    if "Invalid date" in said:
        return "there is no such date", "Look at the days of that month."
    if _LOOSE_DATE.search(line):
        return "a date is not written as TOML writes dates", "Write year-month-day with two digits each, as 2026-01-31."
    if _SIGNED_PERCENT.search(line):
        return "a number is followed by a percent sign", "Write the share as a decimal, 0.05 for 5 %."
    if _COMMA_NUMBER.search(line):
        return "a number is written with a decimal comma", "Write a point, 0.5, and thousands as 1_000."
    if _BARE_POINT.search(line):
        return "a number begins or ends with its decimal point", "Write a digit on both sides of the point, as 0.5."
    if _LEADING_ZERO.search(line):
        return "a number begins with a zero", 'Write codes such as 007 in quotes, "007", and numbers without the zero.'
    word = _BARE_WORD.search(line)
    if word and word["word"] not in {"true", "false", "inf", "nan"}:
        cure = (
            f"Write {word['word'].lower()} in small letters."
            if word["word"].lower() in {"true", "false"}
            else f'Write "{word["word"]}".'
        )
        return "a text has no quotes", cure
    if "inline table" in said.lower() or (line.rstrip().endswith("{")):
        return "an inline table { … } must stand on one line", "Join the lines, or open a [table] of its own."
    return None
