"""Text to tokens. Names keep their parts apart: `monthly income` is two tokens that the parser joins by scope."""

from __future__ import annotations

import re
from typing import NamedTuple

from quanheng.feel.limits import LIMITS
from quanheng.kernel.errors import ExpressionError

KEYWORDS = frozenset(
    [
        "if",
        "then",
        "else",
        "for",
        "in",
        "return",
        "some",
        "every",
        "satisfies",
        "between",
        "and",
        "or",
        "instance",
        "of",
        "function",
        "external",
        "true",
        "false",
        "null",
    ]
)

_START = (
    "_A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u02ff\u0370-\u037d\u037f-\u1fff\u200c\u200d\u2070-\u218f\u2c00-\u2fef"
    "\u3001-\ud7ff\uf900-\ufdcf\ufdf0-\ufffd\U00010000-\U000effff"
)
_TOKEN = re.compile(
    rf"""(?P<space>(?:[\s\u0085\u180e\ufeff]+|//[^\n]*|/\*.*?\*/)+)
    |(?P<name>[{_START}][{_START}0-9\u00b7\u0300-\u036f\u203f\u2040]*)
    |(?P<number>(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d+)?)
    |(?P<string>"(?:[^"\\]|\\.)*")
    |(?P<op>\*\*|<=|>=|!=|->|\.\.|[-+*/()\[\]{{}},:.<>=@?';])""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|U[0-9a-fA-F]{6}|.)", re.DOTALL)
_SIMPLE = {"n": "\n", "r": "\r", "t": "\t", "'": "'", '"': '"', "\\": "\\"}


class Token(NamedTuple):
    """kind is name, keyword, number, string, op or end; `start` and `end` are offsets into the text."""

    kind: str
    text: str
    start: int
    end: int


def place_of(text: str, at: int) -> tuple[int, int]:
    """Line and column, both from 1, of offset `at`."""
    return text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)


def fail(
    what: str, text: str, at: int, where: str, found: str = "", allowed: str = "", cure: str = ""
) -> ExpressionError:
    """An ExpressionError that names line and column; the caller raises it."""
    line, column = place_of(text, at)
    shown = f"{where}, line {line}, column {column}" if where else f"line {line}, column {column}"
    return ExpressionError(what, where=shown, found=found, allowed=allowed, cure=cure)


def tokens_of(text: str, where: str = "") -> list[Token]:
    """All tokens of `text`, an `end` token last.

    Raises
    ------
    ExpressionError : the text is too long, or holds a character or an open string or comment that FEEL does not know
    """
    if len(text) > LIMITS.expression_length:
        raise fail(
            "the expression is too long",
            text,
            0,
            where,
            f"{len(text)} characters",
            f"{LIMITS.expression_length} characters",
            "Split it into several decisions.",
        )
    found: list[Token] = []
    at, end = 0, len(text)
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None:
            raise _unknown(text, at, where)
        kind, at = match.lastgroup or "", match.end()
        if kind == "space":
            continue
        part = match.group()
        if kind == "op" and part == "/" and text.startswith("*", at):
            raise _unknown(text, at - 1, where)
        found.append(Token("keyword" if part in KEYWORDS else kind, part, match.start(), at))
    found.append(Token("end", "", end, end))
    return found


def _unknown(text: str, at: int, where: str) -> ExpressionError:
    if text[at] == '"':
        return fail("a string is not closed", text, at, where, text[at : at + 20], 'a closing "', 'Add a " at its end.')
    if text.startswith("/*", at):
        return fail(
            "a comment is not closed", text, at, where, text[at : at + 20], "a closing */", "Add */ at its end."
        )
    return fail(
        "a character that FEEL does not know",
        text,
        at,
        where,
        repr(text[at]),
        "names, numbers, strings and operators",
        "Remove it, or put it into a string.",
    )


def string_value(literal: str) -> str:
    """The value of a string literal, quotes included in `literal`; an unknown escape stands for itself."""
    if "\\" not in literal:
        return literal[1:-1]
    return _join_surrogates(_ESCAPE.sub(_unescape, literal[1:-1]))


def _unescape(match: re.Match[str]) -> str:
    body = match.group(1)
    if len(body) > 1:
        code = int(body[1:], 16)
        return chr(code) if code <= 0x10FFFF else match.group()
    return _SIMPLE.get(body, match.group())


def _join_surrogates(value: str) -> str:
    """Two \\u escapes that form one character become that character; a lone half becomes the replacement character."""
    if not any("\ud800" <= letter <= "\udfff" for letter in value):
        return value
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
