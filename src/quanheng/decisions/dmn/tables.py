"""Decision tables: the node, and its Python.

A table becomes one function of the variables it reads. A cell is inlined as a Python condition that is True exactly
where the test is true, so null costs nothing but a guard. FIRST stops at the first hit. The function returns
(result, matched rules): the trace costs one constant per rule.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass

from quanheng.feel import emit, py, tree
from quanheng.feel.operators import add, equal, order
from quanheng.feel.values import Run, kind_name

Matched = tuple[object, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class TableInputNode(tree.Node):
    """`value` is computed once and held in `slot`; None where the slot is a variable of its own already."""

    slot: int
    value: tree.Node | None


@dataclass(frozen=True, slots=True)
class RuleNode(tree.Node):
    """`tests` without the cells that are `-`, each with the index of its input; `number` counts from 1."""

    number: int
    tests: tuple[tree.Node, ...]
    columns: tuple[int, ...]
    outputs: tuple[tree.Node, ...]


@dataclass(frozen=True, slots=True)
class TableNode(tree.Node):
    """`names` is empty for a single output; `ranks` are the values of each output in order of priority."""

    title: str
    policy: str
    aggregation: str
    inputs: tuple[TableInputNode, ...]
    rules: tuple[RuleNode, ...]
    names: tuple[str, ...]
    defaults: tuple[tree.Node, ...]
    ranks: tuple[tuple[object, ...], ...]


# -- run time: what happens once all matching rules are known


def best_first(outputs: Sequence[object], names: Sequence[str], ranks: Sequence[Sequence[object]]) -> list[int]:
    """Indexes of `outputs` by priority: the first output counts first; equal ranks keep the order of the rules."""

    def rank(index: int) -> tuple[int, ...]:
        row = outputs[index]
        values = [row[name] for name in names] if names else [row]  # type: ignore[index]
        return tuple(_position(value, known) for value, known in zip(values, ranks, strict=True))

    return sorted(range(len(outputs)), key=rank)


def _position(value: object, known: Sequence[object]) -> int:
    for index, one in enumerate(known):
        if equal(value, one) is True:
            return index
    return len(known)


def single_hit(run: Run, at: int, rules: list[int], outputs: list[object]) -> Matched:
    """UNIQUE with two or more matches: a mistake of the table, so null."""
    run.append((at, f"the hit policy is UNIQUE, and the rules {', '.join(map(str, rules))} match"))
    return None, tuple(rules)


def same_output(run: Run, at: int, rules: list[int], outputs: list[object]) -> Matched:
    """ANY with two or more matches: all must say the same."""
    if all(equal(outputs[0], other) is True for other in outputs[1:]):
        return outputs[0], tuple(rules)
    run.append((at, f"the hit policy is ANY, and the rules {', '.join(map(str, rules))} differ in their outputs"))
    return None, tuple(rules)


def aggregate(run: Run, at: int, kind: str, rules: list[int], outputs: list[object]) -> object:
    """SUM, MIN, MAX, COUNT of the outputs of a COLLECT table."""
    if kind == "COUNT":
        return len(outputs)
    result = outputs[0]
    for other in outputs[1:]:
        if kind == "SUM":
            result = add(run, at, result, other)
            continue
        compared = order(other, result)
        if compared is None:
            run.append((at, f"{kind} cannot compare {kind_name(other)} with {kind_name(result)}"))
            return None
        result = other if (compared < 0) == (kind == "MIN") and compared else result
    return result


# -- emission


class TableEmitter:
    """Emits the function of one table."""

    def __init__(self, emitter: emit.Emitter, node: TableNode) -> None:
        self.emitter, self.node = emitter, node

    def function(self, title: str, parameters: Sequence[str]) -> ast.stmt:
        """`def title(run, *parameters) -> (result, matched)`"""
        statements: list[ast.stmt] = []
        for clause in self.node.inputs:
            if clause.value is not None:
                statements.append(py.assign(f"v{clause.slot}", self.emitter.value(clause.value)))
        statements += self.first() if self.node.policy == "FIRST" else self.all()
        return py.define(title, ["run", *parameters], statements)

    def condition(self, rule: RuleNode) -> ast.expr:
        parts = [self.emitter.truth(test) for test in rule.tests]
        return py.both(*parts) if parts else py.const(True)

    def result(self, outputs: Sequence[tree.Node]) -> ast.expr:
        values = [self.emitter.value(output) for output in outputs]
        return py.mapping(self.node.names, values) if self.node.names else values[0]

    def otherwise(self) -> ast.stmt:
        """No rule matches: the default outputs, else null."""
        result = self.result(self.node.defaults) if self.node.defaults else py.const(None)
        return py.give(py.sequence([result, py.sequence([])]))

    def first(self) -> list[ast.stmt]:
        statements: list[ast.stmt] = []
        for rule in self.node.rules:
            found = py.sequence([self.result(rule.outputs), py.sequence([py.const(rule.number)])])
            statements.append(py.when(self.condition(rule), [py.give(found)]) if rule.tests else py.give(found))
            if not rule.tests:
                return statements
        return [*statements, self.otherwise()]

    def all(self) -> list[ast.stmt]:
        """Every rule is asked; what follows depends on the hit policy."""
        rules, outputs = py.name("rules"), py.name("outputs")
        statements = [py.assign("rules", py.listing([])), py.assign("outputs", py.listing([]))]
        for rule in self.node.rules:
            hit = [
                py.do(py.call(py.attribute(rules, "append"), py.const(rule.number))),
                py.do(py.call(py.attribute(outputs, "append"), self.result(rule.outputs))),
            ]
            statements += [py.when(self.condition(rule), hit)] if rule.tests else hit
        return [*statements, py.when(py.negated(rules), [self.otherwise()]), *self.conclusion(rules, outputs)]

    def conclusion(self, rules: ast.expr, outputs: ast.expr) -> list[ast.stmt]:
        node, run, at = self.node, py.name("run"), self.emitter.place(self.node)
        matched = py.call("tuple", rules)
        first = py.item(outputs, py.const(0))
        alone = py.when(py.compare(py.call("len", rules), ("=", py.const(1))), [py.give(py.sequence([first, matched]))])
        if node.policy in ("UNIQUE", "ANY"):
            title = "single_hit" if node.policy == "UNIQUE" else "same_output"
            return [alone, py.give(py.call(title, run, at, rules, outputs))]
        if node.policy in ("PRIORITY", "OUTPUT ORDER"):
            ranked = py.call("best_first", outputs, self.emitter.hoist(node.names), self.emitter.hoist(node.ranks))
            if node.policy == "PRIORITY":
                best = py.item(outputs, py.item(ranked, py.const(0)))
                return [alone, py.give(py.sequence([best, matched]))]
            listed = py.loops(py.item(outputs, py.name("one")), [("one", ranked)])
            return [py.give(py.sequence([listed, matched]))]
        if node.policy == "COLLECT" and node.aggregation:
            found = py.call("aggregate", run, at, py.const(node.aggregation), rules, outputs)
            return [py.give(py.sequence([found, matched]))]
        return [py.give(py.sequence([outputs, matched]))]


RUNTIME: dict[str, object] = {
    "single_hit": single_hit, "same_output": same_output, "aggregate": aggregate, "best_first": best_first,
    "tuple": tuple, "len": len,
}  # fmt: skip


def free_slots(node: tree.Node, known: frozenset[int]) -> list[int]:
    """Variables a tree reads that are neither bound inside it nor in `known`, in rising order."""
    read: set[int] = set()
    bound: set[int] = set()
    for part in tree.walk(node):
        if isinstance(part, tree.Name):
            read.add(part.slot)
        elif isinstance(part, tree.ContextOf | tree.FunctionOf | tree.Let):
            bound.update(part.slots)
        elif isinstance(part, tree.In | tree.Filter | tree.Iterator_) or (
            isinstance(part, TableInputNode) and part.value is not None
        ):
            bound.add(part.slot)
        elif isinstance(part, tree.For) and part.partial is not None:
            bound.add(part.partial)
    return sorted(read - bound - known)
