"""Patterns as programs, and the machine that runs them.

Backtracking, but each branching point is tried once per position (and per text of the groups that back-references
read): a second visit would fail as the first did. Work is therefore bounded, and counted. Short ASCII texts against
patterns without repeated groups go to Python's `re`, where the cost has a small bound; a property test compares both.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from quanheng.feel.limits import LIMITS
from quanheng.feel.patterns.chars import CharSet, variants
from quanheng.feel.patterns.syntax import (
    Back,
    Choice,
    Edge,
    Group,
    Item,
    One,
    PatternError,
    Repeat,
    Row,
    parse_pattern,
)

FAST_COST_MAX = 1_000_000
"""The bound on the work of Python's `re` below which it is asked."""

_CHAR, _SPLIT, _JUMP, _SAVE, _EDGE, _BACK, _MATCH = range(7)


class TooCostly(Exception):
    """The search was given up after too many steps."""


class Match(NamedTuple):
    """Where a pattern matched; group 0 is the whole, (-1, -1) a group that took no part."""

    groups: tuple[tuple[int, int], ...]

    @property
    def start(self) -> int:
        return self.groups[0][0]

    @property
    def end(self) -> int:
        return self.groups[0][1]


class Pattern:
    """A compiled pattern."""

    def __init__(self, text: str, flags: str) -> None:
        self.tree, self.groups = parse_pattern(text, flags)
        self.fold = "i" in flags
        self.code: list[tuple[int, object, object]] = []
        self.back: set[int] = set()
        self.compile(Group(0, self.tree))
        self.add(_MATCH)
        self._fast: re.Pattern[str] | None = None
        self.alternatives, self.loops = _shape(self.tree)

    # -- the program

    def add(self, op: int, one: object = None, other: object = None) -> int:
        if len(self.code) >= LIMITS.pattern_program:
            raise PatternError(f"the pattern needs more than {LIMITS.pattern_program} steps, written out")
        self.code.append((op, one, other))
        return len(self.code) - 1

    def compile(self, item: Item) -> None:
        """Append the instructions of a part."""
        if isinstance(item, One):
            self.add(_CHAR, item.chars)
        elif isinstance(item, Edge):
            self.add(_EDGE, item.start, item.lines)
        elif isinstance(item, Back):
            self.back.add(item.number)
            self.add(_BACK, item.number)
        elif isinstance(item, Group):
            self.add(_SAVE, 2 * item.number)
            self.compile(item.body)
            self.add(_SAVE, 2 * item.number + 1)
        elif isinstance(item, Row):
            for one in item.items:
                self.compile(one)
        elif isinstance(item, Choice):
            self.choice(item)
        else:
            self.repeat(item)

    def choice(self, item: Choice) -> None:
        ends = []
        for one in item.items[:-1]:
            split = self.add(_SPLIT)
            self.compile(one)
            ends.append(self.add(_JUMP))
            self.code[split] = (_SPLIT, split + 1, len(self.code))
        self.compile(item.items[-1])
        for end in ends:
            self.code[end] = (_JUMP, len(self.code), None)

    def repeat(self, item: Repeat) -> None:
        for _ in range(item.least):
            self.compile(item.body)
        if item.most is None:
            split = self.add(_SPLIT)
            self.compile(item.body)
            self.add(_JUMP, split)
            self.branch(split, len(self.code), item.greedy)
            return
        splits = []
        for _ in range(item.most - item.least):
            splits.append(self.add(_SPLIT))
            self.compile(item.body)
        for split in splits:
            self.branch(split, len(self.code), item.greedy)

    def branch(self, split: int, beyond: int, greedy: bool) -> None:
        ways = (split + 1, beyond) if greedy else (beyond, split + 1)
        self.code[split] = (_SPLIT, *ways)

    # -- searching

    def find(self, text: str, start: int = 0) -> tuple[Match | None, int]:
        """The leftmost match from `start` on, and the steps the search took.

        Raises
        ------
        TooCostly : beyond the limit of steps
        """
        if self.loops >= 0 and not self.back and text.isascii():
            cost = self.alternatives * (len(text) - start + 1) ** (self.loops + 1)
            if cost <= FAST_COST_MAX:
                return self.fast(text, start), 1 + (len(text) - start) // 16
        return self.slow(text, start)

    def fast(self, text: str, start: int) -> Match | None:
        if self._fast is None:
            self._fast = re.compile(_spelled(self.tree))
        found = self._fast.search(text, start)
        return None if found is None else Match(tuple(found.span(group) for group in range(self.groups + 1)))

    def slow(self, text: str, start: int) -> tuple[Match | None, int]:
        """The search by the machine alone."""
        machine = _Machine(self, text)
        for begin in range(start, len(text) + 1):
            if machine.matches(begin):
                saved = machine.saved
                return Match(tuple(zip(saved[::2], saved[1::2], strict=True))), machine.steps
        return None, machine.steps


class _Machine:
    """One search."""

    def __init__(self, pattern: Pattern, text: str) -> None:
        self.pattern, self.text = pattern, text
        self.saved = [-1] * (2 * pattern.groups + 2)
        self.steps = 0
        self.tried: set[object] = set()

    def matches(self, begin: int) -> bool:
        code, text, saved = self.pattern.code, self.text, self.saved
        saved[:] = [-1] * len(saved)
        waiting = [(0, begin)]
        while waiting:
            pc, at = waiting.pop()
            if pc < 0:
                saved[~pc] = at
                continue
            while True:
                self.steps += 1
                if self.steps > LIMITS.pattern_steps:
                    raise TooCostly
                op, one, other = code[pc]
                if op == _CHAR:
                    if at >= len(text) or not one.holds(text[at]):  # type: ignore[attr-defined]
                        break
                    pc, at = pc + 1, at + 1
                elif op == _SPLIT:
                    if not self.first_time(pc, at):
                        break
                    waiting.append((other, at))  # type: ignore[arg-type]
                    pc = one  # type: ignore[assignment]
                elif op == _JUMP:
                    pc = one  # type: ignore[assignment]
                elif op == _SAVE:
                    waiting.append((~one, saved[one]))  # type: ignore[operator, call-overload]
                    saved[one] = at  # type: ignore[call-overload]
                    pc += 1
                elif op == _MATCH:
                    return True
                else:
                    found = self.edge(at, one, other) if op == _EDGE else self.again(at, one)  # type: ignore[arg-type]
                    if found < 0:
                        break
                    pc, at = pc + 1, found
        return False

    def first_time(self, pc: int, at: int) -> bool:
        key: object = pc * (len(self.text) + 1) + at
        if self.pattern.back:
            key = (key, *((self.saved[2 * one], self.saved[2 * one + 1]) for one in self.pattern.back))
        if key in self.tried:
            return False
        self.tried.add(key)
        return True

    def edge(self, at: int, start: object, lines: object) -> int:
        """`at` where the text (or a line) starts or ends here, else -1."""
        text, last = self.text, len(self.text)
        if start:
            holds = at == 0 or (bool(lines) and text[at - 1] == "\n" and at < last)
        else:
            holds = (at == last and not (lines and text.endswith("\n"))) or (
                bool(lines) and at < last and text[at] == "\n"
            )
        return at if holds else -1

    def again(self, at: int, group: int) -> int:
        """Behind what the group matched, where it stands here once more; else -1."""
        first, last = self.saved[2 * group], self.saved[2 * group + 1]
        wanted = self.text[first:last] if 0 <= first <= last else ""
        found = self.text[at : at + len(wanted)]
        self.steps += len(wanted)
        same = found == wanted or (
            self.pattern.fold
            and len(found) == len(wanted)
            and all(a in variants(b) for a, b in zip(found, wanted, strict=True))
        )
        return at + len(wanted) if same else -1


# -- the short cut through `re`


def _shape(item: Item) -> tuple[int, int]:
    """The product of alternatives, and the number of open loops; loops are -1 where a group is repeated."""
    if isinstance(item, Group):
        return _shape(item.body)
    if isinstance(item, Repeat):
        if not isinstance(item.body, One):
            return 1, -1
        return (1, 1) if item.most is None else (item.most - item.least + 1, 0)
    if not isinstance(item, Row | Choice):
        return 1, 0
    shapes = [_shape(one) for one in item.items]
    alternatives = len(item.items) if isinstance(item, Choice) else 1
    for count, _ in shapes:
        alternatives = min(alternatives * count, FAST_COST_MAX + 1)
    loops = [one for _, one in shapes]
    return alternatives, -1 if -1 in loops else sum(loops)


_ASCII = [chr(code) for code in range(128)]


def _spelled(item: Item) -> str:
    """The pattern for Python's `re`, right for ASCII texts: each class is written out."""
    if isinstance(item, One):
        return _class(item.chars)
    if isinstance(item, Edge):
        return _edge(item)
    if isinstance(item, Group):
        return f"({_spelled(item.body)})"
    if isinstance(item, Row):
        return "".join(f"(?:{_spelled(one)})" if isinstance(one, Choice) else _spelled(one) for one in item.items)
    if isinstance(item, Choice):
        return "|".join(_spelled(one) for one in item.items)
    assert isinstance(item, Repeat)
    bounds = f"{{{item.least},{'' if item.most is None else item.most}}}"
    return _spelled(item.body) + bounds + ("" if item.greedy else "?")


def _class(chars: CharSet) -> str:
    held = "".join(f"\\x{ord(char):02x}" for char in _ASCII if chars.holds(char))
    return f"[{held}]" if held else r"[^\x00-\x7f]"


def _edge(item: Edge) -> str:
    if not item.lines:
        return r"\A" if item.start else r"\Z"
    return r"(?:\A|(?<=\n)(?!\Z))" if item.start else r"(?:(?=\n)|(?<!\n)\Z)"


@lru_cache(maxsize=500)
def compile_pattern(text: str, flags: str = "") -> Pattern:
    """A pattern of XPath 2.0.

    Parameters
    ----------
    text : the pattern
    flags : letters of s (`.` is any character), m (`^ $` match at lines), i (case does not matter), x (free spacing)

    Raises
    ------
    PatternError : not a pattern, or beyond the limits
    """
    return Pattern(text, flags)
