"""Checks of the settings that only some kinds of folds have: there where needed, absent elsewhere, in range."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from quanheng.features.decay import HALF_LIFE_MAX_MS
from quanheng.features.kinds import KINDS

if TYPE_CHECKING:
    from quanheng.features.fold import EventLayout, Fold

Found = tuple[str, str, str, str]
PER_MAX_MS = 2**60
_RANGES = {"half_life_ms": HALF_LIFE_MAX_MS, "per_ms": PER_MAX_MS}


def check_settings(layout: EventLayout, fold: Fold) -> list[Found]:
    """(message, found, known, cure) of each problem of `half_life_ms`, `per_ms`, `other` and the window of `change`."""
    kind = KINDS[fold.fold]
    found = _check_other(layout.amounts, fold)
    for name, most in _RANGES.items():
        value, known = getattr(fold, name), f"1 to {most} ms"
        if name in kind.needs and value is None:
            found.append((f"{fold.fold} needs `{name}`", "none", known, f"Add `{name}`."))
        elif value is not None and name not in kind.needs + kind.may:
            found.append((f"{fold.fold} takes no `{name}`", str(value), "", "Remove it."))
        elif value is not None and not 1 <= value <= most:
            found.append((f"`{name}` is out of range", f"{value} ms", known, "Choose another."))
    if fold.fold == "change":
        found += _check_change(fold)
    return found


def _check_other(numbers: Sequence[str], fold: Fold) -> list[Found]:
    if fold.fold != "ratio":
        if fold.other is None or KINDS[fold.fold].other:
            return []
        return [(f"{fold.fold} takes no `other`", repr(fold.other), "", "Remove it.")]
    if fold.other is None:
        return [("ratio needs `other`", "none", ", ".join(numbers), "Add a second number field.")]
    if fold.other not in numbers:
        cure = "Use a number field of the event."
        return [("ratio cannot read `other`", repr(fold.other), ", ".join(numbers), cure)]
    return []


def _check_change(fold: Fold) -> list[Found]:
    """A window of time has one of the same length before it; others have not."""
    others = [name for name in ("since", "last", "gap_ms") if getattr(fold, name) is not None]
    cure = "Declare `window` alone."
    if others:
        return [("change compares two windows of time", ", ".join(f"`{name}`" for name in others), "", cure)]
    if fold.window_ms is None:
        return [("change needs a window", "all history", "a length of time", cure)]
    return []
