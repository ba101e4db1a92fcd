"""What DMN adds to the emitter of expressions: decision tables, allowed values, the functions of a model.

A business knowledge model or service that is called by its name becomes a Python function of its own, called directly;
a `Function` value is made only where one is passed on. Allowed values are not asked again where the tree shows that a
value has them already: its expression can give nothing else, or it was checked against the same declaration before.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Sequence
from math import inf, nan

from quanheng.decisions.dmn.allowed import AllowedNode, refuse
from quanheng.decisions.dmn.build import Model
from quanheng.decisions.dmn.index import Cell, allows, comparison
from quanheng.decisions.dmn.model import Decision
from quanheng.decisions.dmn.table_code import RUNTIME, TableEmitter
from quanheng.decisions.dmn.tables import TableNode, free_slots
from quanheng.decisions.dmn.types import Constraint
from quanheng.feel import emit, inline, py, tree
from quanheng.feel.access import CALL
from quanheng.feel.floats import decimal_of
from quanheng.feel.limits import LIMITS
from quanheng.feel.types import STRING, conforms
from quanheng.feel.values import TooMuchWork

_RUN = py.name("run")
_SINGLE = frozenset({"UNIQUE", "FIRST", "ANY", "PRIORITY"})
"""Hit policies whose result is an output of one rule, the default, or null."""


def overworked() -> None:
    """End an evaluation that does too much."""
    raise TooMuchWork


def texts_of(constraint: Constraint) -> frozenset[str | None] | None:
    """The texts (and null) that a constraint allows, where it is a list of texts about a text; else None."""
    if constraint.test is None or constraint.each is not None or constraint.entries:
        return None
    if any(isinstance(one, tree.Name) and one.type != STRING for one in tree.walk(constraint.test)):
        return None  # Of a wider type: such a value may be a list, which no set takes.
    found: set[str | None] = {None}
    waiting = [constraint.test]
    while waiting:
        node = inline.unsourced(waiting.pop())
        if isinstance(node, tree.Or):
            waiting += node.parts
            continue
        asked = comparison(Cell(node, frozenset({constraint.slot}), STRING))
        if asked is None or asked[0] != "=" or not isinstance(asked[1], str):
            return None
        found.add(asked[1])
    return frozenset(found)


class ModelEmitter(emit.Emitter):
    """Adds decision tables, constraints and known functions to the emitter of expressions."""

    def __init__(self, model: Model, knowledge: Collection[str] = ()) -> None:
        """`knowledge` : ids of the business knowledge models and services in use."""
        super().__init__()
        self.namespace.update(RUNTIME, refuse=refuse, all=all, overworked=overworked, limits=LIMITS)
        self.namespace.update(float=float, decimal_of=decimal_of, nan=nan, inf=inf, low=-inf)
        self.model = model
        self.functions: list[ast.stmt] = []
        self.knowledge = {model.variables[one].slot: one for one in knowledge}
        """Functions of the model, by slot."""
        self.passed_on: set[int] = set()
        """Slots of those that are read as values."""
        self._direct: dict[tuple[int, tuple[int, ...]], str] = {}
        given = {slot for one in model.trees.values() if isinstance(one, tree.FunctionOf) for slot in one.slots}
        self._decided = {
            model.variables[one].slot: node
            for one, node in model.trees.items()
            if isinstance(model.elements[one], Decision) and model.variables[one].slot not in given
        }
        """Decisions by slot; not those that a decision service takes as arguments, where the slot holds anything."""
        self._checks: dict[int, AllowedNode] = {}
        """The checks of parameters, by slot."""
        self._known: dict[tuple[int, int], bool] = {}
        """Answers of `settled` for decisions and functions, by slot and constraint: each is looked at once."""

    @property
    def globals(self) -> frozenset[int]:
        return frozenset(self.knowledge)

    def name(self, node: tree.Name) -> ast.expr:
        if node.slot in self.knowledge:
            self.passed_on.add(node.slot)
        return super().name(node)

    def define(self, title: str, parameters: Sequence[str], body: Callable[[], list[ast.stmt]]) -> None:
        """`def title(parameters)` at its place among the functions, in front of what its body needs."""
        self.functions.append(py.do(py.const(None)))
        position = len(self.functions) - 1
        outer = self._name, self._text
        self.functions[position] = py.define(title, parameters, body())
        self.enter(*outer)

    # -- tables

    def table(self, node: TableNode, alone: bool = False) -> ast.expr:
        """A call that gives (result, matched rules), or the result alone."""
        title = f"table{len(self.functions)}"
        variables = self.read_by(node)
        self.define(title, ["run", *variables], lambda: self.table_body(node, variables, alone))
        return py.call(title, _RUN, *map(py.name, variables))

    def read_by(self, node: tree.Node) -> list[str]:
        """Names of the variables that a node reads."""
        slots = free_slots(node, self.globals)
        exact = [title for slot in slots if (title := self.floats.get(slot, f"v{slot}")) != f"v{slot}"]
        return [*(f"v{slot}" for slot in slots), *exact]

    def table_body(self, node: TableNode, variables: Sequence[str], alone: bool) -> list[ast.stmt]:
        self.enter(node.title, "")
        return TableEmitter(self, node, alone).statements(variables)

    # -- functions of the model

    def direct(self, node: tree.Call) -> ast.expr | None:
        """A business knowledge model or service, called with all its arguments, each of a type that conforms."""
        function = inline.unsourced(node.function)
        if not isinstance(function, tree.Name) or function.slot not in self.globals:
            return None
        found = self.model.trees[self.knowledge[function.slot]]
        if not isinstance(found, tree.FunctionOf) or len(node.arguments) != len(found.parameters):
            return None
        names = node.names if node.names is not None else found.parameters
        given = dict(zip(names, node.arguments, strict=True))
        if given.keys() != set(found.parameters) or len(given) != len(names):
            return None
        kinds = dict(zip(found.parameters, found.kinds, strict=True))
        if not all(conforms(given[name].type, kind) for name, kind in kinds.items()):
            return None
        called = self.called(function.slot, found, [given[name] for name in kinds])
        if list(given) == list(kinds):
            return py.call(called, _RUN, *(self.value(argument) for argument in given.values()))
        # Computed in the order in which they stand, handed over in the order of the parameters.
        pairs = {name: self.once(argument) for name, argument in given.items()}
        computed = [first for first, later in pairs.values() if first is not later]
        call = py.call(called, _RUN, *(pairs[name][1] for name in kinds))
        return py.either(py.sequence(computed), call, py.const(None)) if computed else call

    def called(self, slot: int, function: tree.FunctionOf, arguments: Sequence[tree.Node]) -> str:
        """Name of the Python function for a call with these arguments: what is surely allowed is not checked."""
        given = dict(zip(function.slots, arguments, strict=True))
        body = function.body
        kept: list[tree.In] = []
        sure: list[tree.In] = []
        while isinstance(body, tree.In) and isinstance(body.value, AllowedNode) and body.slot in given:
            self._checks[body.slot] = body.value
            (sure if self.settled(given[body.slot], body.value.constraint) else kept).append(body)
            body = body.test
        key = slot, tuple(one.slot for one in sure)
        if key not in self._direct:
            self._direct[key] = title = f"f{slot}" + "".join(f"_{one.slot}" for one in sure)
            named = self.model.elements[self.knowledge[slot]].name
            variables = ["run", *(f"v{one}" for one in function.slots)]
            self.define(title, variables, lambda: self.function_body(named, kept, body))
        return self._direct[key]

    def function_body(self, named: str, checks: Sequence[tree.In], body: tree.Node) -> list[ast.stmt]:
        """Counts the call as work, checks parameters, computes."""
        self.enter(named, "")
        spent, limit = py.name("spent"), py.attribute(py.name("limits"), "work")
        statements = [
            py.assign("spent", py.binary("+", py.attribute(_RUN, "spent"), py.const(CALL))),
            py.assign_attribute(_RUN, "spent", spent),
            py.when(py.compare(spent, (">", limit)), [py.do(py.call("overworked"))]),
        ]
        statements += [py.assign(f"v{check.slot}", self.value(check.value)) for check in checks]
        return statements + self.result(body)

    def result(self, node: tree.Node) -> list[ast.stmt]:
        """Statements that return the value of a node."""
        if isinstance(node, tree.Sourced):
            outer = self._name, self._text
            self.enter(node.name, node.text)
            statements = self.result(node.value)
            self.enter(*outer)
            return statements
        if isinstance(node, tree.Let):
            pairs = zip(node.slots, node.values, strict=True)
            return [*(py.assign(f"v{slot}", self.value(value)) for slot, value in pairs), *self.result(node.result)]
        if isinstance(node, TableNode):
            return self.table_body(node, self.read_by(node), True)
        return [py.give(self.value(node))]

    def known_functions(self) -> list[ast.stmt]:
        """`vN = ...` for the functions that are passed on, and for what turned out to be no function."""
        made: dict[int, ast.stmt] = {}
        while waiting := self.passed_on - made.keys():  # One may pass on another.
            for slot in sorted(waiting):
                self.enter(self.model.elements[self.knowledge[slot]].name, "")
                made[slot] = py.assign(f"v{slot}", self.value(self.model.trees[self.knowledge[slot]]))
        return [made[slot] for slot in self.knowledge if slot in made]

    # -- allowed values

    def settled(self, node: tree.Node, constraint: Constraint) -> bool:
        """True where every value that a node can have is surely allowed."""
        node = inline.unsourced(node)
        if isinstance(node, tree.Name):
            decided = self._decided.get(node.slot)
            check = self._checks.get(node.slot)
            if check is not None and check.constraint == constraint:
                return True
            return decided is not None and self.settled_once(node.slot, decided, constraint)
        if isinstance(node, AllowedNode):
            return node.constraint == constraint or self.settled(node.value, constraint)
        if isinstance(node, tree.If):
            return self.settled(node.then, constraint) and self.settled(node.otherwise, constraint)
        if isinstance(node, tree.Const):
            simple = constraint.each is None and not constraint.entries
            return node.value is None or (
                simple and constraint.test is not None and allows(constraint.test, constraint.slot, node.value)
            )
        if isinstance(node, tree.ContextOf) and constraint.test is None and constraint.each is None:
            values = dict(zip(node.keys, node.values, strict=True))
            return all(name in values and self.settled(values[name], entry) for name, entry in constraint.entries)
        return self.inner_settled(node, constraint)

    def inner_settled(self, node: tree.Node, constraint: Constraint) -> bool:
        """The same of what a table, a function of the model, or the last part of a node gives."""
        if isinstance(node, tree.Let):
            return self.settled(node.result, constraint)
        if isinstance(node, tree.In) and isinstance(node.value, AllowedNode):
            return self.settled(node.test, constraint)
        if isinstance(node, TableNode):
            outputs = {id(one): one for rule in node.rules for one in rule.outputs}.values()
            single = node.policy in _SINGLE and not node.names
            return single and all(self.settled(one, constraint) for one in (*outputs, *node.defaults))
        if isinstance(node, tree.Call) and isinstance(function := inline.unsourced(node.function), tree.Name):
            found = self.model.trees.get(self.knowledge.get(function.slot, ""))
            return isinstance(found, tree.FunctionOf) and self.settled_once(function.slot, found.body, constraint)
        return False

    def settled_once(self, slot: int, node: tree.Node, constraint: Constraint) -> bool:
        """The answer for the variable in `slot`; no while it is looked for, so what calls itself ends."""
        key = slot, id(constraint)
        if key not in self._known:
            self._known[key] = False
            self._known[key] = self.settled(node, constraint)
        return self._known[key]

    def satisfied(self, constraint: Constraint, value: ast.expr) -> ast.expr:
        """True when a value of the constraint's type satisfies it; `value` is read once."""
        if (texts := texts_of(constraint)) is not None:
            return py.compare(value, ("in", self.hoist(texts, ("texts", texts))))
        title = f"test{len(self.functions)}"
        slot = constraint.slot if constraint.slot >= 0 else self.model.scope.new_slot()
        self.define(title, ["run", f"v{slot}"], lambda: [py.give(self.holds(constraint, py.name(f"v{slot}")))])
        return py.call(title, _RUN, value)

    def holds(self, constraint: Constraint, subject: ast.expr) -> ast.expr:
        parts: list[ast.expr] = []
        if constraint.test is not None:
            parts.append(self.truth(constraint.test))
        if constraint.each is not None:
            inner = self.satisfied(constraint.each, py.name("one"))
            parts.append(py.call("all", py.loops(inner, [("one", subject)], lazy=True)))
        for name, entry in constraint.entries:
            parts.append(self.satisfied(entry, py.item(subject, py.const(name))))
        return py.any_of(py.compare(subject, ("is", py.const(None))), py.both(*parts))

    def allowed(self, node: AllowedNode) -> ast.expr:
        """The value, or null where it is not allowed."""
        itself = any(node is check for check in self._checks.values())
        return self.asked(node) if itself or not self.settled(node.value, node.constraint) else self.value(node.value)

    def asked(self, node: AllowedNode) -> ast.expr:
        """The same, without looking whether it need be asked."""
        title = self.temporary()
        kept = self.satisfied(node.constraint, py.name(title))
        refused = py.call("refuse", _RUN, self.place(node), py.name(title), py.const(node.name), py.const(node.words))
        first = py.sequence([py.bind(title, self.value(node.value))])
        return py.either(py.both(first, kept), py.name(title), refused)


emit.EXTENSIONS[AllowedNode] = lambda self, node: self.allowed(node)
emit.EXTENSIONS[TableNode] = lambda self, node: self.table(node, alone=True)
