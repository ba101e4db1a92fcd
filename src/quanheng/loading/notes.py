"""The list of findings that a check fills: every problem of a pack is reported, not the first."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from quanheng.kernel.errors import Problem

KNOWN_SHOWN_MAX = 8
FOUND_LENGTH_MAX = 120


class Notes:
    """Collects problems of one pack in the order they are found; the same finding is kept once."""

    def __init__(self) -> None:
        self._problems: dict[Problem, None] = {}

    def add(
        self, file: str, key: str, message: str, *, found: object = "", known: Iterable[str] | str = "", cure: str = ""
    ) -> None:
        """Note one problem. `known` as names is cut down to those nearest to `found`."""
        shown = found if isinstance(found, str) and not found else describe(found)
        if not isinstance(known, str):
            names = sorted(known)
            near = nearest(str(found), names)
            if near and not cure:
                cure = f"Did you mean {near[0]!r}?"
            known = list_names(names, near)
        self._problems[Problem(file, key, message, shown, known, cure)] = None

    def extend(self, problems: Iterable[Problem]) -> None:
        """Take over problems that another part has found."""
        self._problems.update(dict.fromkeys(problems))

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
    """A value as a problem shows it: short, and with the kind of thing it is where the text alone would mislead."""
    if isinstance(value, dict):
        return f"a table with {', '.join(list(value)[:5]) or 'nothing in it'}"
    if isinstance(value, (list, tuple)):
        return f"a list of {len(value)}"
    if isinstance(value, bool):
        return "true" if value else "false"
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= FOUND_LENGTH_MAX else f"{text[:FOUND_LENGTH_MAX]}…"
