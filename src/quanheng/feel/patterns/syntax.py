"""The text of a pattern to a tree: XML Schema's grammar with what XPath 2.0 adds (`^ $`, `*?`, groups, `\\1`)."""

from __future__ import annotations

from dataclasses import dataclass

from quanheng.feel.limits import LIMITS
from quanheng.feel.patterns.chars import ANY_CHAR, NO_NEWLINE, SINGLE, CharSet, escaped_class, named_class


class PatternError(ValueError):
    """The text is no regular expression of XPath 2.0."""


@dataclass(frozen=True, slots=True)
class One:
    """One character of a class."""

    chars: CharSet


@dataclass(frozen=True, slots=True)
class Edge:
    """`^` (start) or `$` (end), of a line where `lines`, else of the text."""

    start: bool
    lines: bool


@dataclass(frozen=True, slots=True)
class Back:
    """What group `number` matched, once more."""

    number: int


@dataclass(frozen=True, slots=True)
class Group:
    """A group that remembers; numbers count from 1."""

    number: int
    body: Item


@dataclass(frozen=True, slots=True)
class Row:
    """One after another."""

    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """The first that leads to a match."""

    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """`most` is None for no bound; `greedy` takes as many as it can."""

    body: Item
    least: int
    most: int | None
    greedy: bool


Item = One | Edge | Back | Group | Row | Choice | Repeat


class PatternParser:
    """One use per pattern."""

    def __init__(self, text: str, flags: str) -> None:
        if set(flags) - set("smix"):
            raise PatternError(f"the flags {flags!r} are not of s, m, i and x")
        if len(text) > LIMITS.pattern_length:
            raise PatternError(f"the pattern has more than {LIMITS.pattern_length} characters")
        self.dotall, self.lines, self.fold = (flag in flags for flag in "smi")
        self.text = _closed_up(text) if "x" in flags else text
        self.at, self.depth = 0, 0
        self.groups = 0
        self.closed: set[int] = set()

    def parse(self) -> Item:
        """The whole pattern."""
        item = self.choice()
        if self.peek():
            raise self.error("')' closes no group")
        return item

    def error(self, what: str) -> PatternError:
        return PatternError(f"{what}, at character {self.at + 1} of the pattern {self.text[:60]!r}")

    def peek(self) -> str:
        """The next character, '' at the end."""
        return self.text[self.at : self.at + 1]

    def take(self) -> str:
        char = self.peek()
        self.at += len(char)
        return char

    def choice(self) -> Item:
        self.depth += 1
        if self.depth > LIMITS.pattern_nesting:
            raise self.error(f"the pattern is nested more than {LIMITS.pattern_nesting} deep")
        branches = [self.branch()]
        while self.peek() == "|":
            self.at += 1
            branches.append(self.branch())
        self.depth -= 1
        return branches[0] if len(branches) == 1 else Choice(tuple(branches))

    def branch(self) -> Item:
        items: list[Item] = []
        while self.peek() not in ("", "|", ")"):
            items.append(self.quantified(self.atom()))
        return items[0] if len(items) == 1 else Row(tuple(items))

    def quantified(self, item: Item) -> Item:
        char = self.peek()
        if char not in ("?", "*", "+", "{") or not char:
            return item
        self.at += 1
        bounds: tuple[int, int | None] = {"?": (0, 1), "*": (0, None), "+": (1, None)}.get(char) or self.counts()
        greedy = self.peek() != "?"
        self.at += not greedy
        return Repeat(item, *bounds, greedy)

    def counts(self) -> tuple[int, int | None]:
        """`{n}`, `{n,}`, `{n,m}` after its brace."""
        end = self.text.find("}", self.at)
        low, comma, high = self.text[self.at : max(end, self.at)].partition(",")
        if end < 0 or not _digits(low) or (high and not _digits(high)):
            raise self.error("a count is {n}, {n,} or {n,m}")
        least = int(low)
        most = least if not comma else int(high) if high else None
        if max(least, most or 0) > LIMITS.pattern_count or (most is not None and most < least):
            raise self.error(f"the counts must rise and be at most {LIMITS.pattern_count}")
        self.at = end + 1
        return least, most

    def atom(self) -> Item:
        char = self.take()
        if char == "(":
            return self.group()
        if char == "[":
            return One(self.char_class())
        if char == ".":
            return One(ANY_CHAR if self.dotall else NO_NEWLINE)
        if char in "^$":
            return Edge(char == "^", self.lines)
        if char == "\\":
            return self.escape()
        if char in "?*+{}]":
            self.at -= 1
            raise self.error(f"{char!r} needs a backslash here")
        return One(self.literal(char))

    def literal(self, char: str) -> CharSet:
        return CharSet(((ord(char), ord(char)),), fold=self.fold)

    def group(self) -> Item:
        self.groups += 1
        number = self.groups
        if self.peek() == "?":
            raise self.error("XPath 2.0 has no (?...)")
        body = self.choice()
        if self.take() != ")":
            raise self.error("a group is not closed")
        self.closed.add(number)
        return Group(number, body)

    def escape(self) -> Item:
        if self.peek().isdigit() and self.peek() in "123456789":
            return self.back_reference()
        found = self.escaped()
        return One(self.literal(found) if isinstance(found, str) else found)

    def back_reference(self) -> Item:
        number = int(self.take())
        while self.peek() and self.peek() in "0123456789" and number * 10 + int(self.peek()) <= self.groups:
            number = number * 10 + int(self.take())
        if number not in self.closed:
            raise self.error(f"there is no closed group {number} before it")
        return Back(number)

    def escaped(self) -> str | CharSet:
        """What follows a backslash: a character or a class."""
        char = self.text[self.at : self.at + 1]
        self.at += 1
        if char in SINGLE and char:
            return SINGLE[char]
        if char in ("p", "P"):
            end = self.text.find("}", self.at)
            found = named_class(self.text[self.at + 1 : max(end, 0)], char == "P")
            if self.text[self.at : self.at + 1] != "{" or end < 0 or found is None:
                raise self.error("there is no such category or block")
            self.at = end + 1
            return found
        found = escaped_class(char) if char else None
        if found is None:
            raise self.error(f"there is no escape \\{char}")
        return found

    # -- classes

    def char_class(self) -> CharSet:
        """What stands between '[' and ']'."""
        self.depth += 1
        if self.depth > LIMITS.pattern_nesting:
            raise self.error(f"the pattern is nested more than {LIMITS.pattern_nesting} deep")
        negated = self.peek() == "^"
        self.at += negated
        ranges: list[tuple[int, int]] = []
        inner: list[CharSet] = []
        less: CharSet | None = None
        start = self.at
        while self.peek() != "]":
            if self.text.startswith("-[", self.at) and self.at > start:
                self.at += 2
                less = self.char_class()
                if self.peek() != "]":
                    raise self.error("what is subtracted must be the last part of a class")
                break
            self.member(ranges, inner, start)
        if self.at == start:
            raise self.error("the class is empty")
        self.at += 1
        self.depth -= 1
        return CharSet(tuple(ranges), (), tuple(inner), negated, less, self.fold)

    def member(self, ranges: list[tuple[int, int]], inner: list[CharSet], start: int) -> None:
        """One character, range or escape."""
        first = self.end_of_range(start)
        if isinstance(first, CharSet):
            inner.append(first)
            return
        if self.peek() == "-" and self.text[self.at + 1 : self.at + 2] not in ("]", "[", ""):
            self.at += 1
            last = self.end_of_range(-1)
            if isinstance(last, CharSet) or last < first:
                raise self.error("the ends of a range must be characters, and rise")
            ranges.append((ord(first), ord(last)))
        else:
            ranges.append((ord(first), ord(first)))

    def end_of_range(self, start: int) -> str | CharSet:
        char = self.take()
        if char == "\\":
            return self.escaped()
        last = self.peek() == "]"
        if char in ("", "[") or (char == "-" and self.at - 1 != start and not (last and start >= 0)):
            raise self.error(f"{char or 'the end'!r} cannot stand here in a class")
        if char == "-" and self.at - 1 == start and self.peek() == "-":
            raise self.error("'-' cannot start a range")
        return char


def _closed_up(text: str) -> str:
    """The flag x: white space outside classes does not count."""
    kept, depth, escaped = [], 0, False
    for char in text:
        if char in "\t\n\r " and not depth:
            continue
        kept.append(char)
        if not escaped:
            depth += (char == "[") - (char == "]" and depth > 0)
        escaped = char == "\\" and not escaped
    return "".join(kept)


def _digits(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 9


def parse_pattern(text: str, flags: str) -> tuple[Item, int]:
    """The tree of a pattern, and how many groups it has.

    Raises
    ------
    PatternError : the text or the flags are not of XPath 2.0, or beyond the limits
    """
    parser = PatternParser(text, flags)
    return parser.parse(), parser.groups
