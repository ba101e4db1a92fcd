"""The list of findings that a check fills: every problem of a pack is reported, not the first."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from quanheng.kernel.errors import Problem

KNOWN_SHOWN_MAX = 8
FOUND_LENGTH_MAX = 120


class Words(str):
    """A description of what was found, shown as it stands: other texts are values and are shown in quotes."""

    __slots__ = ()


class Notes:
    """Collects problems of one pack in the order they are found; the same finding is kept once.

    A kind of name is in doubt when what declares it could not be read. Then nobody can say that such a name is
    unknown, so problems `of` that kind are not noted: they would only repeat the cause in other words.
    """

    def __init__(self) -> None:
        self._problems: dict[Problem, None] = {}
        self._warnings: dict[Problem, None] = {}
        self._doubted: set[str] = set()

    def doubt(self, *kinds: str) -> None:
        """Names of these kinds are no longer known for certain: event, entity, outcome, decided, feature, source …"""
        self._doubted.update(kinds)

    def doubted(self, kind: str) -> bool:
        """Whether names of a kind are in doubt."""
        return kind in self._doubted

    def add(
        self,
        file: str,
        key: str,
        message: str,
        *,
        found: object = "",
        known: Iterable[str] | str = "",
        cure: str = "",
        of: str = "",
    ) -> None:
        """Note one problem.

        Parameters
        ----------
        file, key : where it is
        message : what is wrong, a clause
        found : the value that is wrong
        known : what would be right; of names, those nearest to `found` are shown
        cure : what to do; the nearest name where none is given
        of : kind of name that is said to be unknown; nothing is noted while such names are in doubt
        """
        if of in self._doubted:
            return
        shown = found if isinstance(found, str) and not found else describe(found)
        if not isinstance(known, str):
            names = sorted(known)
            near = nearest(str(found), names) if not isinstance(found, Words) else []
            if near and not cure:
                cure = f"Did you mean {near[0]!r}?"
            known = list_names(names, near)
        self._problems[Problem(file, key, message, shown, known, cure)] = None

    def extend(self, problems: Iterable[Problem]) -> None:
        """Take over problems that another part has found."""
        self._problems.update(dict.fromkeys(problems))

    def warn(self, warnings: Iterable[Problem]) -> None:
        """Remarks that a person should see; they hinder nothing."""
        self._warnings.update(dict.fromkeys(warnings))

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """All warnings, in the order of finding."""
        return tuple(self._warnings)

    def __len__(self) -> int:
        return len(self._problems)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """All problems, in the order of finding."""
        return tuple(self._problems)


def nearest(name: str, known: Iterable[str]) -> list[str]:
    """Up to three of `known` that look like `name`, best first (difflib ratio of at least 0.6)."""
    return difflib.get_close_matches(name, list(known), n=3, cutoff=0.6)


def list_names(names: list[str], near: list[str]) -> str:
    """The names as text: all of a short list, the nearest and the number of a long one."""
    if not names:
        return "none declared"
    if len(names) <= KNOWN_SHOWN_MAX:
        return ", ".join(names)
    if near:
        return ", ".join(near) + f" (of {len(names)})"
    return ", ".join(names[:KNOWN_SHOWN_MAX]) + f" and {len(names) - KNOWN_SHOWN_MAX} more"


def describe(value: object) -> str:
    """A value as a problem shows it: short, texts in quotes."""
    if isinstance(value, dict):
        return f"a table with {', '.join(list(value)[:5]) or 'nothing in it'}"
    if isinstance(value, (list, tuple)):
        return f"a list of {len(value)}"
    if isinstance(value, bool):
        return "true" if value else "false"
    text = repr(value) if isinstance(value, str) and not isinstance(value, Words) else str(value)
    return text if len(text) <= FOUND_LENGTH_MAX else f"{text[:FOUND_LENGTH_MAX]}…"
