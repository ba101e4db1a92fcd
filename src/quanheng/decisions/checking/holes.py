"""Inputs that no rule covers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice, product

from quanheng.decisions.checking.axes import FRACTION, NATURAL, NULL, OTHER
from quanheng.decisions.checking.findings import Finding, told
from quanheng.decisions.checking.grid import runs
from quanheng.decisions.checking.remarks import Table
from quanheng.decisions.checking.search import Cover
from quanheng.decisions.checking.sources import MULTIPLE

SHOWN_MAX = 5
"""Gaps that are listed for one table."""
_CURE = "Add a rule for it, or a default output."


def gaps(table: Table, cover: Cover) -> Iterator[Finding]:
    """Inputs that certainly no rule covers, in a table whose result would then be null.

    Ordinary values come first. If they are all covered, numbers between whole ones and null are looked at too; what is
    found there is a note, since an author often knows that it does not come.
    """
    grid = table.grid
    if grid.node.defaults or table.policy in MULTIPLE:
        return
    if not all(one.domain[NULL] for one in grid.dimensions):
        return
    boxes = cover.open(grid.everything, _box(table, NATURAL))
    found = list(islice((piece for box in boxes for piece in _pieces(table, box)), SHOWN_MAX + 1))
    for atoms in found[:SHOWN_MAX]:
        yield _finding(table, atoms)
    if len(found) > SHOWN_MAX:
        message = f"there are more than {SHOWN_MAX} gaps: the first {SHOWN_MAX} are listed"
        yield table.finding("limit", "note", message, "Close these and check again.")
    if found:
        return
    noted = 0
    for box in islice(cover.open(grid.everything, _box(table, FRACTION)), 1):
        noted += 1
        yield _finding(table, box, "only for numbers that are not whole")
    for at, one in enumerate(grid.dimensions):
        null = one.domain[NULL] & one.axis.null
        box = _box(table, NATURAL)
        box[at] = null
        if null and any(True for _ in cover.open(grid.everything, box)):
            noted += 1
            message = f"no rule covers some inputs where {one.title} is null: the result is null"
            yield table.finding("gap", "note", message, f"Add a rule for null if {one.title} may be missing.")
    if not noted:
        for box in islice(cover.open(grid.everything, _box(table, NULL)), 1):
            yield _finding(table, box, "only where several of these are null or not whole")


def _box(table: Table, level: int) -> list[int]:
    """Values up to a level in every dimension; where a dimension has none of them, the next level that has."""
    return [
        next((one.domain[step] for step in range(level, OTHER) if one.domain[step]), 0) for one in table.grid.dimensions
    ]


def _pieces(table: Table, box: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """A box cut into stretches: below 5 and above 10 are two gaps, though the same rules miss both."""
    sides = []
    for one, atoms in zip(table.grid.dimensions, box, strict=True):
        parts = one.domain[FRACTION] & ~one.domain[NATURAL]  # Between whole numbers nothing is missing.
        spans = (((1 << behind) - 1) >> first << first & atoms for first, behind in runs(atoms | parts))
        sides.append([span for span in spans if span])
    return product(*sides)


def _finding(table: Table, atoms: Sequence[int], only: str = "") -> Finding:
    grid = table.grid
    shown = grid.witness(atoms)
    doubt = "" if grid.certain else "; whether such values come is not known here, since a column is computed"
    message = f"no rule covers {told(shown[0])}: the result is null{f' ({only})' if only else ''}{doubt}"
    return table.finding("gap", "note" if only else "warning", message, _CURE, shown=shown)
