"""Low edges of windows that are no fixed distance away: units of a calendar, counts of rows, sessions; their checks.

A fold always reads between two boundaries. The high one is `delay` behind the moment; the low one is a distance behind
that, or an `Edge`, which the kernel finds anew for each moment (kernel/edges.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from quanheng.features.kinds import KINDS, STARTS
from quanheng.features.reach import way_back
from quanheng.features.zones import zone_words

if TYPE_CHECKING:
    from quanheng.features.fold import EventLayout, Fold

Found = tuple[str, str, str, str]
ROWS_MAX = 1_000_000
"""Most rows that `last` and `nth` may ask for: a ring keeps as many for each key."""

AGE_MAX_MS = 2**60
_DAY_MS = 86_400_000
_LONGEST = dict(zip(STARTS, (1, 7, 31, 92, 366), strict=True))  # Days.


class Edge(NamedTuple):
    """A low edge: the latest of what is declared.

    delay_ms : of the high boundary
    window_ms : distance from there, -1 = none
    unit, zone : place in `STARTS` and time zone; -1 = none
    last : rows before the high boundary, 0 = no limit
    gap_ms : of a session, -1 = none
    without : the event being decided is not counted
    """

    delay_ms: int
    window_ms: int
    unit: int
    zone: str
    last: int
    gap_ms: int
    without: bool


def is_history(fold: Fold) -> bool:
    """Whether the window is all history: nothing limits it at the low edge."""
    return fold.window_ms is None and fold.since is None and fold.last is None


def edge_of(fold: Fold) -> Edge | None:
    """The low edge of a fold; None if it is a distance, or all history."""
    if fold.since is None and fold.last is None and fold.gap_ms is None:
        return None
    return Edge(
        fold.delay_ms,
        -1 if fold.window_ms is None else fold.window_ms,
        -1 if fold.since is None else STARTS.index(fold.since),
        "" if fold.since is None else fold.zone,
        fold.last or 0,
        -1 if fold.gap_ms is None else fold.gap_ms,
        fold.current == "out" and fold.delay_ms == 0,
    )


def reach_ms(edge: Edge) -> int:
    """How far behind the moment the edge of time may lie; the delay where there is none.

    A unit lasts as long as its longest (a leap year, say), and longer by as much as clocks are set back in it. That is
    at most the difference between the largest and the smallest offset that the zone ever had.
    """
    reaches = [] if edge.window_ms < 0 else [edge.window_ms]
    if edge.unit >= 0:
        changes, *rest = zone_words(edge.zone)
        offsets = [rest[0], *rest[1 + changes :]]
        reaches.append(_LONGEST[STARTS[edge.unit]] * _DAY_MS + max(offsets) - min(offsets))
    return edge.delay_ms + min(reaches, default=0)


def rows_kept(fold: Fold) -> int:
    """Rows that a ring must keep for this fold though they be older than every window of time."""
    if fold.window_ms is not None or fold.since is not None:
        return 0
    return min((rows for rows in (fold.last, fold.nth) if rows is not None), default=0)


def depth(folds: Mapping[str, Fold], fold: Fold) -> int:
    """How many folds must be read before this one: the chain of its `through`."""
    return 0 if fold.through is None else 1 + depth(folds, folds[fold.through])


def key_fields(folds: Mapping[str, Fold], fold: Fold) -> str:
    """The key fields that a decided event must have, for messages."""
    seen: set[str] = set()
    while fold.through is not None and fold.through in folds and fold.through not in seen:
        seen.add(fold.through)
        fold = folds[fold.through]
    return ", ".join(fold.match or fold.by)


def check_windows(fold: Fold) -> list[Found]:
    """(message, found, known, cure) of each problem of `since`, `last`, `gap_ms`, `age_ms_max` and `nth`."""
    found: list[Found] = []
    if fold.since is not None and fold.since not in STARTS:
        found.append(("`since` names no unit", repr(fold.since), ", ".join(STARTS), "Use one of them."))
    if fold.last is not None and not 1 <= fold.last <= ROWS_MAX:
        found.append(("`last` is out of range", str(fold.last), f"1 to {ROWS_MAX} events", "Choose another."))
    if fold.gap_ms is not None and fold.window_ms is None:
        found.append(("a session needs a window", "none", "`window`", "Say how long a session may be at most."))
    elif fold.gap_ms is not None and not 1 <= fold.gap_ms <= (fold.window_ms or 0):
        known = f"1 to {fold.window_ms} ms, the window"
        found.append(("`gap` is out of range", f"{fold.gap_ms} ms", known, "Shorten it."))
    if fold.age_ms_max is not None and not 0 <= fold.age_ms_max <= AGE_MAX_MS:
        found.append(("`age_max` is out of range", f"{fold.age_ms_max} ms", f"0 to {AGE_MAX_MS} ms", "Shorten it."))
    return found + _check_nth(fold)


def _check_nth(fold: Fold) -> list[Found]:
    needs = fold.fold in KINDS and "nth" in KINDS[fold.fold].needs
    if fold.nth is None:
        return [(f"{fold.fold} needs `nth`", "none", f"1 to {ROWS_MAX}", "Add `nth`.")] if needs else []
    if not needs:
        return [(f"{fold.fold} takes no `nth`", str(fold.nth), "", "Remove it.")]
    if not 1 <= fold.nth <= ROWS_MAX:
        return [("`nth` is out of range", str(fold.nth), f"1 to {ROWS_MAX}", "Choose another.")]
    return []


def check_keys(layouts: Mapping[str, EventLayout], folds: Sequence[Fold], fold: Fold) -> list[Found]:
    """(message, found, known, cure) of each problem of `match` and `through`."""
    found: list[Found] = []
    if fold.match and len(fold.match) != len(fold.by):
        cure = "Name one key field of the decided event for each of `by`."
        found.append(("`match` and `by` differ in length", ", ".join(fold.match), ", ".join(fold.by), cure))
    if fold.through is None:
        return found
    if fold.match:
        found.append(("`through` and `match` exclude each other", ", ".join(fold.match), "", "Remove one of them."))
    if len(fold.by) != 1:
        found.append(("`through` needs one key field in `by`", ", ".join(fold.by), "one", "Fold by one key field."))
    named = {one.name: one for one in folds}
    keys = [one.name for one in folds if _answers_key(layouts, one)]
    if fold.through not in keys:
        cure = "Name a fold `last` over a key field."
        found.append(("`through` names no key", repr(fold.through), ", ".join(keys), cure))
        return found
    if circle := way_back(fold, named):
        cure = "Read one of them by a key field of the decided event."
        found.append(("`through` leads in a circle", " → ".join(circle), "", cure))
    return found


def _answers_key(layouts: Mapping[str, EventLayout], fold: Fold) -> bool:
    return fold.fold == "last" and fold.of in layouts and fold.value in layouts[fold.of].keys
