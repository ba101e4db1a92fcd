"""Classes of characters: ranges, Unicode categories and blocks, negation, subtraction, upper and lower case."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field

from quanheng.feel.patterns.blocks import BLOCKS

_CATEGORIES = frozenset(
    (
        *("L", "Lu", "Ll", "Lt", "Lm", "Lo", "M", "Mn", "Mc", "Me", "N", "Nd", "Nl", "No", "P", "Pc", "Pd", "Ps", "Pe"),
        *("Pi", "Pf", "Po", "Z", "Zs", "Zl", "Zp", "S", "Sm", "Sc", "Sk", "So", "C", "Cc", "Cf", "Co", "Cn"),
    )
)
NAME_START = (
    (0x3A, 0x3A), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A), (0xC0, 0xD6), (0xD8, 0xF6), (0xF8, 0x2FF), (0x370, 0x37D),
    (0x37F, 0x1FFF), (0x200C, 0x200D), (0x2070, 0x218F), (0x2C00, 0x2FEF), (0x3001, 0xD7FF), (0xF900, 0xFDCF),
    (0xFDF0, 0xFFFD), (0x10000, 0xEFFFF),
)  # fmt: skip
"""Characters that may start an XML name: `\\i`."""
NAME_PART = (*NAME_START, (0x2D, 0x2E), (0x30, 0x39), (0xB7, 0xB7), (0x300, 0x36F), (0x203F, 0x2040))
"""Characters of an XML name: `\\c`."""
_SPACE = ((0x9, 0xA), (0xD, 0xD), (0x20, 0x20))

Ranges = tuple[tuple[int, int], ...]


@dataclass(slots=True, eq=False)
class CharSet:
    """A class of characters: in a range, of a category or in an inner class; then negated; then without `less`.

    `fold` also accepts a character one of whose case variants is in the class. Answers are kept per character.
    """

    ranges: Ranges = ()
    categories: tuple[str, ...] = ()
    inner: tuple[CharSet, ...] = ()
    negated: bool = False
    less: CharSet | None = None
    fold: bool = False
    known: dict[str, bool] = field(default_factory=dict)

    def holds(self, char: str) -> bool:
        """Is the character one of the class?"""
        found = self.known.get(char)
        if found is None:
            if len(self.known) > 4096:
                self.known.clear()
            found = self.known[char] = self._decide(char)
        return found

    def _decide(self, char: str) -> bool:
        listed = any(self._listed(ord(one)) for one in variants(char)) if self.fold else self._listed(ord(char))
        if not listed:
            category = unicodedata.category(char)
            listed = any(category.startswith(one) for one in self.categories)
        if not listed:
            listed = any(one.holds(char) for one in self.inner)
        return listed is not self.negated and not (self.less is not None and self.less.holds(char))

    def _listed(self, code: int) -> bool:
        return any(low <= code <= high for low, high in self.ranges)


def variants(char: str) -> tuple[str, ...]:
    """A character and those that differ from it in case only."""
    found = {char, *(one for one in (char.upper(), char.lower()) if len(one) == 1)}
    return tuple(found | {one for other in found for one in (other.upper(), other.lower()) if len(one) == 1})


ANY_CHAR = CharSet(negated=True)
NO_NEWLINE = CharSet(((0xA, 0xA),), negated=True)
_ESCAPES = {
    "s": CharSet(_SPACE),
    "i": CharSet(NAME_START),
    "c": CharSet(NAME_PART),
    "d": CharSet(categories=("Nd",)),
    "w": CharSet(categories=("P", "Z", "C"), negated=True),
}
SINGLE = {"n": "\n", "r": "\r", "t": "\t"} | {one: one for one in "\\|.?*+(){}-[]^$"}
"""What a backslash makes of one character."""


def escaped_class(letter: str) -> CharSet | None:
    """`\\d`, `\\W` and the like; None when the letter stands for no class."""
    found = _ESCAPES.get(letter.lower())
    return found if found is None or letter.islower() else CharSet(inner=(found,), negated=True)


def named_class(name: str, negated: bool) -> CharSet | None:
    """`\\p{Lu}`, `\\P{IsGreek}`; None when there is no such category or block."""
    if name.startswith("Is"):
        block = BLOCKS.get(name[2:])
        return None if block is None else CharSet((block,), negated=negated)
    return CharSet(categories=(name,), negated=negated) if name in _CATEGORIES else None
