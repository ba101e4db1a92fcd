"""Which bracket closes which. FEEL writes open ends of ranges with the "wrong" bracket: `]1..5[` is `(1..5)`."""

from __future__ import annotations

from collections.abc import Sequence

from quanheng.feel.lexer import Token

_NO_START = frozenset(
    (
        *(".", ",", ")", "]", "}", "=", "!=", "and", "or", "then", "else"),
        *("between", "in", "return", "satisfies", "instance"),
    )
)
"""Tokens that no filter starts with."""
_CONSTANTS = frozenset(["true", "false", "null"])


def ends_range(tokens: Sequence[Token], at: int) -> bool:
    """Does the '[' at index `at`, behind the end of a range, close it? Then nothing follows that could be a filter."""
    following = tokens[at + 1]
    return following.kind == "end" or following.text in _NO_START


def closing(tokens: Sequence[Token], at: int) -> tuple[int, bool]:
    """Index of the token that closes the bracket at `at`, and whether `..` stands between; (-1, False) if none does.

    A ']' opens a range where a value is expected, and closes something where one has just ended.
    """
    ranges: list[bool] = []
    ended = False
    for index in range(at, len(tokens)):
        kind, text = tokens[index].kind, tokens[index].text
        if kind != "op":
            ended = kind != "keyword" or text in _CONSTANTS
            continue
        closes = text in (")", "}") or (text == "]" and (ended or tokens[index - 1].text == "["))
        if closes or (text == "[" and ended and ranges[-1] and ends_range(tokens, index)):
            found = ranges.pop()
            if not ranges:
                return index, found
            ended = True
            continue
        if text in ("(", "[", "{", "]"):
            ranges.append(False)
        elif text == "..":
            ranges[-1] = True
        ended = text == "?"
    return -1, False
