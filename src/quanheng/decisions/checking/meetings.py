"""Rules that hold together where the hit policy allows one (UNIQUE), or one answer (ANY)."""

from __future__ import annotations

from collections.abc import Iterator

from quanheng.decisions.checking.axes import FRACTION, NATURAL, NULL
from quanheng.decisions.checking.findings import Finding, told
from quanheng.decisions.checking.grid import bits
from quanheng.decisions.checking.remarks import SHOWN_MAX, Table
from quanheng.decisions.checking.search import meeting


def overlaps(table: Table) -> Iterator[Finding]:
    """Pairs of rules that certainly hold for one input, each with that input."""
    if table.policy not in ("UNIQUE", "ANY"):
        return
    shown = 0
    for rule, other in _pairs(table):
        if table.policy == "ANY" and table.same(rule, other) is not False:
            continue
        if shown == SHOWN_MAX:
            message = f"more than {SHOWN_MAX} pairs of rules meet: the first {SHOWN_MAX} are listed"
            yield table.finding("limit", "note", message, "Correct these and check again.")
            return
        yield _finding(table, rule, other)
        shown += 1


def _pairs(table: Table) -> Iterator[tuple[int, int]]:
    """Rules that meet, the first one first."""
    grid = table.grid
    if not grid.dimensions:
        yield from ((0, other) for other in range(1, grid.count))
        return
    cells = [one.must for one in grid.dimensions]
    domains = [one.domain[NULL] for one in grid.dimensions]
    for rule, found in enumerate(meeting(cells, cells, domains, grid.everything)):
        differing = found if table.policy == "UNIQUE" else found & ~table.twins(rule)
        yield from ((rule, rule + 1 + other) for other in bits(differing >> rule + 1))


def _finding(table: Table, rule: int, other: int) -> Finding:
    grid = table.grid
    common = [one.must.sets[one.must.of[rule]] & one.must.sets[one.must.of[other]] for one in grid.dimensions]
    shown = grid.witness([atoms & one.domain[NULL] for atoms, one in zip(common, grid.dimensions, strict=True)])
    parts_only = any(
        not atoms & one.domain[NATURAL] and atoms & one.domain[FRACTION]
        for atoms, one in zip(common, grid.dimensions, strict=True)
    )
    where = f" for {told(shown[0])}" if shown[0] else ""
    if table.policy == "ANY":
        what = f", and give {table.given(rule)} and {table.given(other)} under the hit policy ANY"
        cure = "Let one of them exclude the other, or give the same in both."
    else:
        what = ", and the hit policy is UNIQUE"
        cure = "Let one of them exclude the other, or choose the hit policy FIRST or PRIORITY."
    doubt = "" if grid.certain else "; whether such values come is not known here, since a column is computed"
    kind = "conflict" if table.policy == "ANY" else "overlap"
    severity = "problem" if grid.certain and not parts_only else "warning"
    message = f"rules {rule + 1} and {other + 1} both hold{where}{what}{doubt}"
    return table.finding(kind, severity, message, cure, [rule, other], shown)  # type: ignore[arg-type]
