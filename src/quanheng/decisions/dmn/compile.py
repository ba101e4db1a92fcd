"""A checked model and the name of a decision to a `Policy`: one code object for the whole requirement graph."""

from __future__ import annotations

import ast

from quanheng.decisions.dmn.allowed import AllowedNode, refuse, rewrapped, unwrapped
from quanheng.decisions.dmn.build import Model
from quanheng.decisions.dmn.model import Decision, InputData, Knowledge, Service
from quanheng.decisions.dmn.tables import RUNTIME, TableEmitter, TableNode, free_slots
from quanheng.decisions.dmn.types import Constraint
from quanheng.decisions.policy import Policy, PolicyInput
from quanheng.feel import emit, py, tree
from quanheng.feel.compiler import admission
from quanheng.feel.scope import Variable
from quanheng.feel.types import ANY, FeelType, FunctionType, flat
from quanheng.kernel.errors import DeclarationError, NotFound, Problem

_RUN = py.name("run")


class ModelEmitter(emit.Emitter):
    """Adds decision tables and constraints to the emitter of expressions."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.namespace.update(RUNTIME, refuse=refuse, all=all)
        self.model = model
        self.functions: list[ast.stmt] = []
        self.globals: frozenset[int] = frozenset()

    def table(self, node: TableNode) -> ast.expr:
        """A call that gives (result, matched rules)."""
        title = f"table{len(self.functions)}"
        self.functions.append(py.do(py.const(None)))
        position = len(self.functions) - 1
        slots = free_slots(node, self.globals)
        outer = self._name, self._text
        self.enter(node.title, "")
        self.functions[position] = TableEmitter(self, node).function(title, [f"v{slot}" for slot in slots])
        self.enter(*outer)
        return py.call(title, _RUN, *(py.name(f"v{slot}") for slot in slots))

    def satisfied(self, constraint: Constraint, value: ast.expr) -> ast.expr:
        """A call that is True when a value (not null) satisfies a constraint."""
        title = f"test{len(self.functions)}"
        self.functions.append(py.do(py.const(None)))
        position = len(self.functions) - 1
        slot = constraint.slot if constraint.slot >= 0 else self.model.scope.new_slot()
        subject = py.name(f"v{slot}")
        parts: list[ast.expr] = []
        if constraint.test is not None:
            parts.append(self.truth(constraint.test))
        if constraint.each is not None:
            inner = self.satisfied(constraint.each, py.name("one"))
            parts.append(py.call("all", py.loops(inner, [("one", subject)], lazy=True)))
        for name, entry in constraint.entries:
            parts.append(self.satisfied(entry, py.item(subject, py.const(name))))
        known = py.any_of(py.compare(subject, ("is", py.const(None))), py.both(*parts))
        self.functions[position] = py.define(title, ["run", f"v{slot}"], [py.give(known)])
        return py.call(title, _RUN, value)

    def allowed(self, node: AllowedNode) -> ast.expr:
        """The value, or null where it is not allowed."""
        title = self.temporary()
        kept = self.satisfied(node.constraint, py.name(title))
        refused = py.call("refuse", _RUN, self.place(node), py.name(title), py.const(node.name), py.const(node.words))
        first = py.sequence([py.bind(title, self.value(node.value))])
        return py.either(py.both(first, kept), py.name(title), refused)


emit.EXTENSIONS[AllowedNode] = lambda self, node: self.allowed(node)
emit.EXTENSIONS[TableNode] = lambda self, node: py.item(self.table(node), py.const(0))


class _PolicyCompiler:
    def __init__(self, model: Model, target: Decision | Knowledge | Service) -> None:
        self.model, self.target = model, target
        self.emitter = ModelEmitter(model)
        self.needed = model.required(target.id)

    def compile(self) -> Policy:
        model, emitter = self.model, self.emitter
        inputs = [one for one in model.inputs() if one.id in self.needed]
        knowledge = [one for one in self.needed if not isinstance(model.elements[one], InputData | Decision)]
        emitter.globals = frozenset(model.variables[one].slot for one in knowledge)
        emitter.enter(self.target.name, "")
        start = tree.Const(ANY, 0, None)
        emitter.place(start)
        body: list[ast.stmt] = []
        for one in inputs:
            body += self.admit(one)
        steps: list[ast.expr] = []
        for identity in self.needed:
            element = model.elements[identity]
            if isinstance(element, Decision):
                statements, step = self.decide(element)
                body += statements
                steps.append(step)
        globals_: list[ast.stmt] = []
        for identity in knowledge:
            emitter.enter(model.elements[identity].name, "")
            globals_.append(py.assign(f"v{model.variables[identity].slot}", emitter.value(model.trees[identity])))
        result = py.name(f"v{model.variables[self.target.id].slot}")
        kind = model.variables[self.target.id].type
        if isinstance(self.target, Knowledge | Service):
            variables, kind = self.called(kind)
            takes = [(one.name, one.type) for one in variables]
            arguments = py.sequence([py.name(f"v{one.slot}") for one in variables])
            result = py.call("invoke", _RUN, py.const(0), result, arguments, py.const(None))
            result = py.call("limited", _RUN, py.const(0), result)
        else:
            variables = [model.variables[one.id] for one in inputs]
            takes = [(model.input_names[one.id], model.variables[one.id].type) for one in inputs]
        body.append(py.give(py.sequence([result, py.sequence(steps)])))
        main = py.define("decide", ["run", *(f"v{one.slot}" for one in variables)], body)
        statements = [*emitter.functions, *globals_, main]
        exec(py.code(statements, "policy"), emitter.namespace)
        return Policy(
            self.target.name,
            [PolicyInput(*given) for given in takes],
            kind,
            emitter.namespace["decide"],  # type: ignore[arg-type]
            emitter.places,
            lambda: py.source(statements),
            self.lists(),
        )

    def lists(self) -> frozenset[str]:
        """Names of the lists that are asked."""
        if not self.model.scope.lists:
            return frozenset()
        nodes = (node for identity in self.needed if identity in self.model.trees
                 for node in tree.walk(self.model.trees[identity]))  # fmt: skip
        return frozenset(node.name for node in nodes if isinstance(node, tree.Listed))

    def called(self, kind: FeelType) -> tuple[list[Variable], FeelType]:
        """A function called on its own: fresh variables for its parameters, and the type of its result."""
        if not isinstance(kind, FunctionType):
            return [], ANY
        scope = self.model.scope
        return [Variable(name, scope.new_slot(), one) for name, one in kind.parameters], kind.result

    def admit(self, element: InputData) -> list[ast.stmt]:
        """Let only values of the declared type and within its allowed values through."""
        variable = self.model.variables[element.id]
        title = f"v{variable.slot}"
        self.emitter.enter(f"input {element.name}", "")
        start = tree.Const(ANY, 0, None)
        statements = admission(self.emitter, title, element.name, variable.type, start)
        constraint = self.model.constraint(element)
        if constraint is None:
            return statements
        allowed = constraint.text or "the allowed values of its type"
        refused = py.assign(
            title,
            py.call(
                "refuse", _RUN, self.emitter.place(start), py.name(title), py.const(element.name), py.const(allowed)
            ),
        )
        outside = py.negated(self.emitter.satisfied(constraint, py.name(title)))
        return [*statements, py.when(outside, [refused])]

    def decide(self, element: Decision) -> tuple[list[ast.stmt], ast.expr]:
        """Statements that evaluate one decision, and its entry in the trace."""
        emitter, variable = self.emitter, self.model.variables[element.id]
        node, title = self.model.trees[element.id], f"v{variable.slot}"
        emitter.enter(element.name, "")
        inner, checks = unwrapped(node)
        if not isinstance(inner, TableNode):
            step = py.sequence([py.const(element.name), py.sequence([]), py.name(title)])
            return [py.assign(title, emitter.limited(node, emitter.value(node)))], step
        pair = emitter.table(inner)
        statements = [py.assign_pair(title, f"m{variable.slot}", pair)]
        for check in checks:
            name = tree.Name(ANY, 0, element.name, variable.slot)
            statements.append(py.assign(title, emitter.value(rewrapped(check, name))))
        if not flat(variable.type) and not all(flat(one.type) for rule in inner.rules for one in rule.outputs):
            statements.append(py.assign(title, emitter.operator("limited", node, py.name(title))))
        return statements, py.sequence([py.const(element.name), py.name(f"m{variable.slot}"), py.name(title)])


def compile_decision(model: Model, name: str) -> Policy:
    """Compile one decision of a checked model with everything it requires.

    Parameters
    ----------
    model : from `read_model`
    name : of the decision (or of a decision service or business knowledge model, called with its parameters as inputs)

    Returns
    -------
    Policy : `policy(values)` -> Judgement; `policy.inputs` says which values, in which order

    Raises
    ------
    NotFound : the model has no decision of that name
    DeclarationError : the decision is nested too deeply for the stack it is compiled on
    """
    target = model.target(name)
    if target is None:
        raise NotFound(
            "the model has no such decision",
            where=model.definitions.where,
            found=repr(name),
            allowed=", ".join(model.decisions),
            cure="Correct the name of the decision.",
        )
    try:
        return _PolicyCompiler(model, target).compile()
    except RecursionError as error:
        problem = Problem(model.definitions.where, name, "the decision is nested too deeply", "", "", "Split it.")
        raise DeclarationError("the decision cannot be compiled", [problem]) from error
