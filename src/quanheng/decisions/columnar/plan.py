"""What of a policy runs over columns and what row by row, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from quanheng.decisions.dmn.allowed import AllowedNode, unwrapped
from quanheng.decisions.dmn.build import Model
from quanheng.decisions.dmn.index import KINDS, Column, Index, Usable, column_of, index_of, silent
from quanheng.decisions.dmn.model import Decision, InputData, Knowledge, Service
from quanheng.decisions.dmn.table_code import constant_row
from quanheng.decisions.dmn.tables import TableNode, free_slots
from quanheng.feel import inline, tree
from quanheng.feel.types import STRING

FIRST_RULES_SHOWN = 3


class Mode(NamedTuple):
    """How one piece of a policy runs.

    decision : its name
    part : empty for the decision itself, else the cell, input or output that decides
    mode : "columns", or "rows": row code, once per distinct combination of what it reads
    why : in words
    """

    decision: str
    part: str
    mode: Literal["columns", "rows"]
    why: str


@dataclass(frozen=True, slots=True)
class TablePlan:
    """A table over columns: `index` places the inputs, `tests` are the conditions between variables.

    tests : each distinct condition with the positions of the rules that ask it
    limits : inputs that constants limit: rules are let through where a value is among those declared
    limiting : other conditions that an input must meet
    computed : inputs that are expressions, by slot; row code computes them
    rows : the outputs of each rule, constants; `default` where none matches
    checked : row code checks the result: its declared type, its allowed values
    """

    node: TableNode
    checked: bool
    index: Index
    tests: tuple[tuple[tree.Node, tuple[int, ...]], ...]
    limits: tuple[Column, ...]
    limiting: tuple[tree.Node, ...]
    computed: tuple[tuple[int, tree.Node], ...]
    rows: tuple[object, ...]
    default: object


@dataclass(frozen=True, slots=True)
class DecisionPlan:
    """One decision; `table` is None where row code computes it from the variables in `slots`."""

    element: Decision
    slot: int
    slots: tuple[int, ...]
    table: TablePlan | None


@dataclass(frozen=True, slots=True)
class Plan:
    """Inputs and decisions in order.

    limited : the inputs with allowed values, which row code admits
    asking : names of lists that are asked where row code runs, which knows no moment of a row
    """

    inputs: tuple[InputData, ...]
    decisions: tuple[DecisionPlan, ...]
    limited: frozenset[str]
    modes: tuple[Mode, ...]
    asking: frozenset[str]


def plan_of(model: Model, target: Decision) -> Plan:
    """Plan one decision with everything it requires."""
    needed = model.required(target.id)
    inputs = tuple(one for one in model.inputs() if one.id in needed)
    knowledge = frozenset(
        model.variables[one].slot for one in needed if not isinstance(model.elements[one], InputData | Decision)
    )
    modes: list[Mode] = []
    limited = {one.id for one in inputs if model.constraint(one) is not None}
    modes += [Mode(target.name, f"input {one.name}", "rows", "its type has allowed values")
              for one in inputs if one.id in limited]  # fmt: skip
    decisions = []
    asking: set[str] = set()
    for identity in needed:
        if isinstance(model.elements[identity], Knowledge | Service):
            asking |= lists_in(model.trees[identity])
        element = model.elements[identity]
        if isinstance(element, Decision):
            node, slot = model.trees[identity], model.variables[identity].slot
            table = _table(element.name, node, modes)
            by_rows = [node] if table is None else [value for _, value in table.computed]
            asking.update(*map(lists_in, by_rows))
            decisions.append(DecisionPlan(element, slot, tuple(free_slots(node, knowledge)), table))
    return Plan(inputs, tuple(decisions), frozenset(limited), tuple(modes), frozenset(asking))


def _table(name: str, node: tree.Node, modes: list[Mode]) -> TablePlan | None:
    inner, checks = unwrapped(node)
    if not isinstance(inner, TableNode):
        modes.append(Mode(name, "", "rows", "an expression, not a table"))
        return None
    index = index_of(inner)
    limits, limiting = _limits(inner)
    kept = [*_loud(inner, index, limiting), *_varying(inner)]
    if kept:
        modes.append(Mode(name, "", "rows", "it has cells or outputs that columns do not offer"))
        modes += [Mode(name, part, "rows", why) for part, why in kept]
        return None
    tests: dict[int, tuple[tree.Node, list[int]]] = {}
    for rest in index.rests:
        for test in rest.tests:
            tests.setdefault(id(test), (test, []))[1].append(rest.position)
    computed = tuple((clause.slot, clause.value) for clause in inner.inputs if clause.value is not None)
    modes.append(Mode(name, "", "columns", f"{index.cells} cells placed among constants, {index.asked} compared"))
    modes += [Mode(name, _title(value, "an input"), "rows", "the input is an expression") for _, value in computed]
    rows = tuple(row[0] for rule in inner.rules if (row := constant_row(inner, rule.outputs)) is not None)
    default = constant_row(inner, inner.defaults) if inner.defaults else (None,)
    assert default is not None
    distinct = tuple((test, tuple(positions)) for test, positions in tests.values())
    return TablePlan(inner, bool(checks), index, distinct, limits, limiting, computed, rows, default[0])


def _limits(node: TableNode) -> tuple[tuple[Column, ...], tuple[tree.Node, ...]]:
    """The declared values of inputs: as places among constants, and the conditions that are no such."""
    placed, others = [], []
    for clause in node.inputs:
        if clause.allowed is not None:
            cell = Usable(clause.slot, clause.type).cell(clause.allowed)
            if cell is None:
                others.append(clause.allowed)
            else:
                placed.append(column_of(clause.slot, clause.type, [(0, cell)], 1))
    return tuple(placed), tuple(others)


def _loud(node: TableNode, index: Index, limiting: Sequence[tree.Node]) -> list[tuple[str, str]]:
    """Cells and limits that neither the index nor a comparison of columns answers."""
    found = [test for rest in index.rests for test in rest.tests if not _comparable(test)]
    found += [test for test in limiting if not _comparable(test)]
    distinct = {id(test): test for test in found}.values()
    return [(_title(test, "a cell"), "neither a constant nor a comparison of inputs") for test in distinct]


def lists_in(node: tree.Node) -> set[str]:
    """Names of the lists that a tree asks."""
    return {part.name for part in tree.walk(node) if isinstance(part, tree.Listed)}


def _comparable(test: tree.Node) -> bool:
    """True for comparisons of variables and constants of simple types and texts on lists, joined by and, or, not."""
    simple = all(part.type in KINDS for part in _names(test))
    return simple and _offered(test)


def _offered(test: tree.Node) -> bool:
    test = inline.unsourced(test)
    if isinstance(test, tree.And | tree.Or):
        return all(map(_offered, test.parts))
    if isinstance(test, tree.Not):
        return _offered(test.value)
    if isinstance(test, tree.Listed):
        value = inline.unsourced(test.value)
        return isinstance(value, tree.Name) and value.type is STRING
    return silent(test)


def _names(test: tree.Node) -> Sequence[tree.Name]:
    return [part for part in tree.walk(test) if isinstance(part, tree.Name)]


def _varying(node: TableNode) -> list[tuple[str, str]]:
    """Outputs that are no constants; the first few stand for all."""
    rules = [(f"rule {rule.number}", rule.outputs) for rule in node.rules]
    rows = [*rules, *([("default output", node.defaults)] if node.defaults else [])]
    found = [(part, "an output is not a constant") for part, outputs in rows if constant_row(node, outputs) is None]
    return found[:FIRST_RULES_SHOWN]


def _title(node: tree.Node, otherwise: str) -> str:
    if isinstance(node, tree.Cast | AllowedNode):
        return _title(node.value, otherwise)
    if isinstance(node, tree.Sourced):
        return node.name
    inner = inline.unsourced(node)
    return inner.name if isinstance(inner, tree.Name) else otherwise
