"""Decision tables as Python: statements that return (result, matched rules).

A small table asks its rules one after another: a cell is a Python condition that is True exactly where the test is
true, so null costs nothing but a guard. A large one looks up which rules each input lets through (`index.py`) and
intersects the sets. Both give the same result, the same matched rules and the same diagnostics.
"""

from __future__ import annotations

import ast
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from typing import Protocol

from quanheng.decisions.dmn.hits import Conclusions, Hits, disjoint, each_rule, settles
from quanheng.decisions.dmn.index import Column, Index, index_of
from quanheng.decisions.dmn.lookup import Placed, float_steps, sided, whole_steps
from quanheng.decisions.dmn.tables import (
    TableNode,
    aggregate,
    best_first,
    same_output,
    single_hit,
)
from quanheng.feel import inline, py, tree
from quanheng.feel.types import NUMBER

INDEX_RULES_MIN = {True: 32, False: 16}
"""Rules from which a table is indexed, by whether it stops at the first hit (docs/concepts/decision-tables.md)."""
BITS_KEPT = 64
"""Tables of up to this many rules keep what a set of hits amounts to, once it was seen."""

_RUN, _HITS, _RULES, _OUTPUTS, _AT = (py.name(one) for one in ("run", "hits", "rules", "outputs", "at"))
_NONE = py.const(None)


class Emitting(Protocol):
    """What is used of the emitter of the whole policy."""

    functions: list[ast.stmt]
    floats: Mapping[int, str]

    def value(self, node: tree.Node) -> ast.expr: ...
    def truth(self, node: tree.Node) -> ast.expr: ...
    def hoist(self, value: object, key: object = None) -> ast.expr: ...
    def place(self, node: tree.Node) -> ast.expr: ...


# -- run time


RUNTIME: dict[str, object] = {
    "single_hit": single_hit, "same_output": same_output, "aggregate": aggregate, "best_first": best_first,
    "each_rule": each_rule, "bisect": bisect_right, "bisect_left": bisect_left, "tuple": tuple, "len": len,
}  # fmt: skip


def constant_row(node: TableNode, outputs: Sequence[tree.Node]) -> tuple[object] | None:
    """The result of a rule whose outputs are all constants, in a tuple; else None."""
    values = [inline.constant(output) for output in outputs]
    if any(value is None for value in values):
        return None
    plain = [value[0] for value in values if value is not None]
    return (dict(zip(node.names, plain, strict=True)),) if node.names else (plain[0],)


def index_for(node: TableNode) -> Index | None:
    """The index of a table, where one is worth having."""
    if len(node.rules) < INDEX_RULES_MIN[node.policy == "FIRST"]:
        return None
    index = index_of(node)
    return index if index.cells > index.asked else None


# -- emission


class TableEmitter:
    """Emits one table."""

    def __init__(self, emitter: Emitting, node: TableNode, alone: bool = False) -> None:
        """`alone` : the statements return the result without the matched rules."""
        self.emitter, self.node, self.alone = emitter, node, alone
        rows = [constant_row(node, rule.outputs) for rule in node.rules]
        self.rows: list[object] | None = [row[0] for row in rows if row] if all(rows) else None
        self.names: list[str] = []

    def statements(self, variables: Sequence[str]) -> list[ast.stmt]:
        """Statements that return (result, matched), or the result alone, from the variables in scope."""
        computed = [clause for clause in self.node.inputs if clause.value is not None]
        statements = [py.assign(f"v{clause.slot}", self.emitter.value(clause.value)) for clause in computed]  # type: ignore[arg-type]
        statements += self.refusals()
        self.names = ["run", *variables, *(f"v{clause.slot}" for clause in computed)]
        index = index_for(self.node)
        first = self.node.policy == "FIRST"
        if index is not None:
            return statements + (self.first_indexed(index) if first else self.all_indexed(index))
        return statements + (self.first() if first or disjoint(self.node) else self.all())

    def give(self, result: ast.expr, matched: ast.expr) -> ast.stmt:
        return py.give(result if self.alone else py.sequence([result, matched]))

    # -- parts

    def refusals(self) -> list[ast.stmt]:
        """An input outside its declared values is a mistake of the caller: null, and no rule is asked."""
        statements: list[ast.stmt] = []
        for clause in self.node.inputs:
            if clause.allowed is not None:
                place, value = self.emitter.place(self.node), py.name(f"v{clause.slot}")
                told = py.call("refuse", _RUN, place, value, py.const(clause.title), py.const(clause.words))
                nothing = self.give(_NONE, py.sequence([]))
                statements.append(py.when(py.negated(self.emitter.truth(clause.allowed)), [py.do(told), nothing]))
        return statements

    def condition(self, tests: Sequence[tree.Node]) -> ast.expr:
        parts = [self.emitter.truth(test) for test in tests]
        return py.both(*parts) if parts else py.const(True)

    def result(self, outputs: Sequence[tree.Node]) -> ast.expr:
        values = [self.emitter.value(output) for output in outputs]
        return py.mapping(self.node.names, values) if self.node.names else values[0]

    def otherwise(self) -> ast.stmt:
        """What is given where no rule matches: the default outputs, else null."""
        result = self.result(self.node.defaults) if self.node.defaults else _NONE
        return self.give(result, py.sequence([]))

    def listed(self, made: Sequence[ast.expr]) -> ast.expr:
        """A list of functions of the table's variables, made once."""
        title = f"list{len(self.emitter.functions)}"
        self.emitter.functions.append(py.assign(title, py.listing(made)))
        return py.name(title)

    def called(self, function: ast.expr) -> ast.expr:
        return py.call(function, *(py.name(name) for name in self.names))

    def row_at(self) -> ast.expr:
        """The result of the rule at the position `at`: a fresh context, a constant, or what its function gives."""
        if self.rows is None:
            made = [py.function_of(self.names, self.result(rule.outputs)) for rule in self.node.rules]
            return self.called(py.item(self.listed(made), _AT))
        row = py.item(self.emitter.hoist(self.rows), _AT)
        return py.call(py.attribute(row, "copy")) if self.node.names else row

    # -- one rule after another

    def first(self) -> list[ast.stmt]:
        statements: list[ast.stmt] = []
        for rule in self.node.rules:
            found = self.give(self.result(rule.outputs), py.sequence([py.const(rule.number)]))
            statements.append(py.when(self.condition(rule.tests), [found]) if rule.tests else found)
            if not rule.tests:
                return statements
        return [*statements, self.otherwise()]

    def all(self) -> list[ast.stmt]:
        """Every rule is asked; what follows depends on the hit policy."""
        if self.rows is not None and 0 < len(self.rows) <= BITS_KEPT:
            return self.all_constant()
        statements = [py.assign("rules", py.listing([])), py.assign("outputs", py.listing([]))]
        for rule in self.node.rules:
            hit = self.hit(py.const(rule.number), self.result(rule.outputs))
            statements += [py.when(self.condition(rule.tests), hit)] if rule.tests else hit
        return [*statements, py.when(py.negated(_RULES), [self.otherwise()]), *self.conclusion()]

    @staticmethod
    def hit(number: ast.expr, output: ast.expr) -> list[ast.stmt]:
        pairs = ((_RULES, number), (_OUTPUTS, output))
        return [py.do(py.call(py.attribute(which, "append"), value)) for which, value in pairs]

    def all_constant(self) -> list[ast.stmt]:
        """The rules that match as bits: where none does, nothing is made."""
        statements: list[ast.stmt] = []
        for position, rule in enumerate(self.node.rules):
            bit = py.const(1 << (len(self.node.rules) - 1 - position))
            more: ast.expr = py.binary("|", _HITS, bit) if statements else bit
            if rule.tests:
                statements += [] if statements else [py.assign("hits", py.const(0))]
                statements.append(py.when(self.condition(rule.tests), [py.assign("hits", more)]))
            else:
                statements.append(py.assign("hits", more))
        return statements + self.concluded_constant()

    def concluded_constant(self) -> list[ast.stmt]:
        """From the set `hits`, where all outputs are constants."""
        hits = Hits(self.rows or ())
        known = len(hits.rows) <= BITS_KEPT
        if known and settles(self.node):
            return self.settled(Conclusions(self.node, hits.rows))
        found = py.item(self.emitter.hoist(hits), _HITS) if known else py.call(self.emitter.hoist(hits.of), _HITS)
        one = py.name("one")
        made = py.call(py.attribute(one, "copy")) if self.node.names else one
        fresh = py.loops(made, [("one", _OUTPUTS)]) if self.node.names else py.listing([py.starred(_OUTPUTS)])
        return [
            py.when(py.negated(_HITS), [self.otherwise()]),
            py.assign_pair("rules", "outputs", found),
            py.assign("outputs", fresh),
            *self.conclusion(_RULES),
        ]

    def settled(self, conclusions: Conclusions) -> list[ast.stmt]:
        """From the set `hits`, where it amounts to one plain value."""
        found = py.name("found")
        anew = py.call(self.emitter.hoist(conclusions.conclude), _RUN, self.emitter.place(self.node), _HITS)
        return [
            py.when(py.negated(_HITS), [self.otherwise()]),
            py.assign("found", py.item(self.emitter.hoist(conclusions), _HITS)),
            py.when(py.compare(found, ("is", _NONE)), [py.assign("found", anew)]),
            py.give(py.item(found, py.const(0)) if self.alone else found),
        ]

    # -- by index

    def candidates(self, index: Index) -> ast.expr:
        """The rules that the index lets through."""
        sets = [self.lookup(column) for column in index.columns]
        if not sets:
            return self.emitter.hoist((1 << len(self.node.rules)) - 1)
        result = sets[0]
        for other in sets[1:]:
            result = py.binary("&", result, other)
        return result

    def lookup(self, column: Column) -> ast.expr:
        value, hoist = py.name(f"v{column.slot}"), self.emitter.hoist
        if column.slot in self.emitter.floats:
            steps, reached = float_steps(column)
            placed = py.item(hoist(reached), py.call("bisect", hoist(steps), value))
            return py.either(py.compare(value, ("=", value)), placed, hoist(column.rules[-1]))  # NaN is null.
        if column.by_equality:
            known = dict(zip(column.cuts, column.rules[1:-1:2], strict=True))
            return py.call(hoist({**known, None: column.rules[-1]}.get), value, hoist(column.rules[0]))
        placed = py.call(hoist(Placed(column)), value)
        if column.kind is not NUMBER:
            return placed
        if (one_sided := sided(column)) is not None:
            before, cuts, let_through = one_sided
            place = py.call("bisect" if before else "bisect_left", hoist(cuts), value)
            missing = py.compare(value, ("is", _NONE))
            placed = py.either(missing, hoist(column.rules[-1]), py.item(hoist(let_through), place))
        bounds, rules = whole_steps(column)
        whole = py.item(hoist(rules), py.call("bisect", hoist(bounds), value))
        return py.either(py.compare(py.attribute(value, "__class__"), ("is", py.name("int"))), whole, placed)

    def holds(self, index: Index) -> ast.expr | None:
        """Does what the index left open hold for the rule at `at`? None where it left nothing."""
        if not index.asked:
            return None
        rests = [
            py.function_of(self.names, self.condition(rest.tests)) if rest.tests else _NONE for rest in index.rests
        ]
        asked = py.item(self.listed(rests), _AT)
        return py.any_of(py.compare(py.bind("ask", asked), ("is", _NONE)), self.called(py.name("ask")))

    def first_indexed(self, index: Index) -> list[ast.stmt]:
        holds, count = self.holds(index), py.const(len(self.node.rules))
        numbers = self.emitter.hoist([(rule.number,) for rule in self.node.rules])
        found = self.give(self.row_at(), py.item(numbers, _AT))
        if holds is None:
            length = py.call(py.attribute(_HITS, "bit_length"))
            hit = [py.assign("at", py.binary("-", count, length)), found]
            return [py.assign("hits", self.candidates(index)), py.when(_HITS, hit), self.otherwise()]
        domain = py.call("each_rule", self.candidates(index), count)
        return [py.each("at", domain, [py.when(holds, [found])]), self.otherwise()]

    def all_indexed(self, index: Index) -> list[ast.stmt]:
        holds, count = self.holds(index), py.const(len(self.node.rules))
        candidates = self.candidates(index)
        if holds is None and self.rows is not None:
            return [py.assign("hits", candidates), *self.concluded_constant()]
        numbers = self.emitter.hoist([rule.number for rule in self.node.rules])
        hit = self.hit(py.item(numbers, _AT), self.row_at())
        return [
            py.assign("rules", py.listing([])),
            py.assign("outputs", py.listing([])),
            py.each("at", py.call("each_rule", candidates, count), [py.when(holds, hit)] if holds else hit),
            py.when(py.negated(_RULES), [self.otherwise()]),
            *self.conclusion(),
        ]

    # -- hit policies

    def conclusion(self, matched: ast.expr | None = None) -> list[ast.stmt]:
        """The end, from `rules` and `outputs`, which are not empty; `matched` where the rules are a tuple already."""
        node, at = self.node, self.emitter.place(self.node)
        matched = matched or py.call("tuple", _RULES)
        alone = py.when(
            py.compare(py.call("len", _RULES), ("=", py.const(1))), [self.give(py.item(_OUTPUTS, py.const(0)), matched)]
        )
        if node.policy in ("UNIQUE", "ANY"):
            title = "single_hit" if node.policy == "UNIQUE" else "same_output"
            clash = py.call(title, _RUN, at, _RULES, _OUTPUTS)
            return [alone, py.give(py.item(clash, py.const(0)) if self.alone else clash)]
        if node.policy in ("PRIORITY", "OUTPUT ORDER"):
            ranked = py.call("best_first", _OUTPUTS, self.emitter.hoist(node.names), self.emitter.hoist(node.ranks))
            if node.policy == "PRIORITY":
                best = py.item(_OUTPUTS, py.item(ranked, py.const(0)))
                return [alone, self.give(best, matched)]
            listed = py.loops(py.item(_OUTPUTS, py.name("one")), [("one", ranked)])
            return [self.give(listed, matched)]
        if node.policy == "COLLECT" and node.aggregation:
            found = py.call("aggregate", _RUN, at, py.const(node.aggregation), _RULES, _OUTPUTS)
            return [self.give(found, matched)]
        return [self.give(_OUTPUTS, matched)]
