"""All checks of all tables of a model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

from quanheng.decisions.checking.findings import Finding
from quanheng.decisions.checking.grid import Grid, kinds_of
from quanheng.decisions.checking.holes import gaps
from quanheng.decisions.checking.meetings import overlaps
from quanheng.decisions.checking.remarks import Table, duplicates, plain
from quanheng.decisions.checking.search import WORK_MAX, Cover, Exhausted
from quanheng.decisions.checking.shadows import hidden, redundant
from quanheng.decisions.checking.sources import Sources
from quanheng.decisions.dmn import model as m
from quanheng.decisions.dmn.build import Model
from quanheng.decisions.dmn.tables import TableNode
from quanheng.feel import tree

_ORDER = {"problem": 0, "warning": 1, "note": 2}


def check_model(model: Model, work_max: int = WORK_MAX) -> tuple[Finding, ...]:
    """Check every decision table of a model.

    Parameters
    ----------
    model : from `read_model`
    work_max : steps that the search may take in one table; a note says where it was reached

    Returns
    -------
    Findings, by table in the order of the file; in each the gravest first. Every witness is real; absence of a finding
    means that there is none, but for what a note of the table excludes.
    """
    sources = Sources(model)
    found: list[Finding] = []
    elements: list[m.Decision | m.Knowledge] = [*model.definitions.decisions, *model.definitions.knowledge]
    for element in elements:
        expression = element.expression if isinstance(element, m.Decision) else element.function
        if expression is None or element.id not in model.trees:
            continue
        whole = model.trees[element.id]
        kinds = kinds_of(model, whole)
        for box, node in zip(boxes_of(expression), nodes_of(whole), strict=True):
            grid = Grid(model, sources, node, box, kinds)
            found += check_table(Table(grid, model.definitions.where, element.name), work_max)
    return tuple(found)


def check_table(table: Table, work_max: int = WORK_MAX) -> list[Finding]:
    """Findings of one table, the gravest first."""
    found = [*plain(table), *duplicates(table), *overlaps(table)]
    if table.grid.dimensions and table.grid.count:
        found += _searched(table, work_max)
    return sorted(found, key=lambda one: _ORDER[one.severity])


def _searched(table: Table, work_max: int) -> Iterator[Finding]:
    """What needs the search, as far as its bound allows."""
    grid = table.grid
    stopped: list[str] = []
    masked: set[int] = set()
    for title, cells, check in (
        ("gaps", [one.may for one in grid.dimensions], gaps),
        ("hidden rules", [one.must for one in grid.dimensions], hidden),
    ):
        try:
            for finding in check(table, Cover(grid.dimensions, cells, work_max)):
                masked.update(finding.rules if finding.kind == "masked" else ())
                yield finding
        except Exhausted:
            stopped.append(title)
    if stopped:
        yield table.finding(
            "limit",
            "note",
            f"the search for {' and '.join(stopped)} stopped after {work_max} steps: there may be more than is listed",
            "Split the table, or test its largest column by a decision of its own.",
        )
    yield from redundant(table, frozenset(masked))


def boxes_of(expression: m.Boxed) -> Iterator[m.Table]:
    """The tables inside a boxed expression, in the order of the file."""
    if isinstance(expression, m.Table):
        yield expression
        return
    for field in fields(expression):
        yield from _inside(getattr(expression, field.name))


def _inside(part: object) -> Iterator[m.Table]:
    if isinstance(part, m.Boxed):
        yield from boxes_of(part)
    elif isinstance(part, m.Entry):
        yield from boxes_of(part.value)
    elif isinstance(part, tuple):
        for one in part:
            yield from _inside(one)


def nodes_of(node: tree.Node) -> Iterator[TableNode]:
    """The tables inside a tree, in the order of the file."""
    waiting = [node]
    while waiting:
        current = waiting.pop()
        if isinstance(current, TableNode):
            yield current
        else:
            waiting.extend(reversed(list(tree.children(current))))
