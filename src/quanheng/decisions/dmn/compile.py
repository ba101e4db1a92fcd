"""A checked model and the name of a decision to a `Policy`: one code object for the whole requirement graph."""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from quanheng.decisions.dmn.allowed import AllowedNode, refuse, rewrapped, unwrapped
from quanheng.decisions.dmn.build import Model
from quanheng.decisions.dmn.index import allows
from quanheng.decisions.dmn.model import Decision, InputData, Knowledge, Service
from quanheng.decisions.dmn.table_code import RUNTIME, TableEmitter
from quanheng.decisions.dmn.tables import TableNode, free_slots
from quanheng.decisions.dmn.types import Constraint
from quanheng.decisions.policy import Policy, PolicyInput
from quanheng.feel import emit, inline, py, tree
from quanheng.feel.access import CALL
from quanheng.feel.compiler import admission
from quanheng.feel.scope import Variable
from quanheng.feel.types import ANY, FeelType, FunctionType, conforms, flat
from quanheng.feel.values import Function, Run
from quanheng.kernel.errors import DeclarationError, NotFound, Problem

_RUN = py.name("run")


def call_known(run: Run, function: Function, *arguments: object) -> object:
    """`invoke` of a function whose parameters are known to fit the arguments."""
    run.spend(CALL)
    return function.call(run, *arguments)


def settled(node: tree.Node, constraint: Constraint) -> bool:
    """True where every value that a node can have is a constant that the constraint allows."""
    node = inline.unsourced(node)
    if isinstance(node, tree.If):
        return settled(node.then, constraint) and settled(node.otherwise, constraint)
    if isinstance(node, tree.Const):
        simple = constraint.each is None and not constraint.entries
        return node.value is None or (
            simple and constraint.test is not None and allows(constraint.test, constraint.slot, node.value)
        )
    if isinstance(node, tree.ContextOf) and constraint.test is None and constraint.each is None:
        values = dict(zip(node.keys, node.values, strict=True))
        return all(name in values and settled(values[name], entry) for name, entry in constraint.entries)
    return False


class ModelEmitter(emit.Emitter):
    """Adds decision tables and constraints to the emitter of expressions."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.namespace.update(RUNTIME, refuse=refuse, all=all, call_known=call_known)
        self.model = model
        self.functions: list[ast.stmt] = []
        self.knowledge: dict[int, str] = {}
        """Ids of the business knowledge models and services in use, by slot."""

    @property
    def globals(self) -> frozenset[int]:
        return frozenset(self.knowledge)

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
        called = py.name(f"v{function.slot}")
        if list(given) == list(kinds):
            return py.call("call_known", _RUN, called, *(self.value(argument) for argument in given.values()))
        # Computed in the order in which they stand, handed over in the order of the parameters.
        titles = {name: self.temporary() for name in given}
        computed = py.sequence([py.bind(titles[name], self.value(argument)) for name, argument in given.items()])
        call = py.call("call_known", _RUN, called, *(py.name(titles[name]) for name in kinds))
        return py.either(computed, call, py.const(None))

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
        if settled(node.value, node.constraint):
            return self.value(node.value)
        title = self.temporary()
        kept = self.satisfied(node.constraint, py.name(title))
        refused = py.call("refuse", _RUN, self.place(node), py.name(title), py.const(node.name), py.const(node.words))
        first = py.sequence([py.bind(title, self.value(node.value))])
        return py.either(py.both(first, kept), py.name(title), refused)


emit.EXTENSIONS[AllowedNode] = lambda self, node: self.allowed(node)
emit.EXTENSIONS[TableNode] = lambda self, node: py.item(self.table(node), py.const(0))


class Part(NamedTuple):
    """A piece of a policy as a function of its own: `function(run, values)`, one value per entry of `slots`."""

    slots: tuple[int, ...]
    function: Callable[[Run, Sequence[object]], object]


class _PolicyCompiler:
    """One code object: emits what a target needs, or a piece of it."""

    def __init__(self, model: Model, target: Decision | Knowledge | Service, trusted: Collection[str] = ()) -> None:
        self.model, self.target, self.trusted = model, target, frozenset(trusted)
        self.emitter = ModelEmitter(model)
        self.needed = model.required(target.id)
        self.inputs = [one for one in model.inputs() if one.id in self.needed]
        self.knowledge = [one for one in self.needed if not isinstance(model.elements[one], InputData | Decision)]
        self.emitter.knowledge = {model.variables[one].slot: one for one in self.knowledge}
        self.emitter.enter(target.name, "")
        self.emitter.place(tree.Const(ANY, 0, None))

    def compile(self) -> Policy:
        model, emitter = self.model, self.emitter
        body: list[ast.stmt] = []
        for one in self.inputs:
            body += self.admit(one)
        steps: list[ast.expr] = []
        for identity in self.needed:
            element = model.elements[identity]
            if isinstance(element, Decision):
                statements, step = self.decide(element)
                body += statements
                steps.append(step)
        result = py.name(f"v{model.variables[self.target.id].slot}")
        kind = model.variables[self.target.id].type
        if isinstance(self.target, Knowledge | Service):
            variables, kind = self.called(kind)
            takes = [(one.name, one.type) for one in variables]
            arguments = py.sequence([py.name(f"v{one.slot}") for one in variables])
            result = py.call("invoke", _RUN, py.const(0), result, arguments, py.const(None))
            result = py.call("limited", _RUN, py.const(0), result)
        else:
            variables = [model.variables[one.id] for one in self.inputs]
            takes = [(model.input_names[one.id], model.variables[one.id].type) for one in self.inputs]
        body.append(py.give(py.sequence([result, py.sequence(steps)])))
        statements = self.made("decide", [one.slot for one in variables], body)
        return Policy(
            self.target.name,
            [PolicyInput(*given) for given in takes],
            kind,
            emitter.namespace["decide"],  # type: ignore[arg-type]
            emitter.places,
            lambda: py.source(statements),
            self.lists(),
        )

    def made(self, title: str, slots: Sequence[int], body: Sequence[ast.stmt]) -> list[ast.stmt]:
        """Make `def title(run, values)` of a body over the variables in `slots`, with all it calls; its source."""
        globals_: list[ast.stmt] = []
        for identity in self.knowledge:
            self.emitter.enter(self.model.elements[identity].name, "")
            value = self.emitter.value(self.model.trees[identity])
            globals_.append(py.assign(f"v{self.model.variables[identity].slot}", value))
        taken = [py.assign_each([f"v{slot}" for slot in slots], py.name("values"))] if slots else []
        statements = [*self.emitter.functions, *globals_, py.define(title, ["run", "values"], [*taken, *body])]
        exec(py.code(statements, "policy"), self.emitter.namespace)
        return statements

    def part(self, slots: Sequence[int], body: Sequence[ast.stmt]) -> Part:
        self.made("part", slots, body)
        return Part(tuple(slots), self.emitter.namespace["part"])  # type: ignore[arg-type]

    def decision_part(self, element: Decision) -> Part:
        """One decision alone: gives (result, matched rules)."""
        statements, _ = self.decide(element)
        slot, node = self.model.variables[element.id].slot, self.model.trees[element.id]
        rules = py.name(f"m{slot}") if isinstance(unwrapped(node)[0], TableNode) else py.sequence([])
        result = py.give(py.sequence([py.name(f"v{slot}"), rules]))
        return self.part(free_slots(node, self.emitter.globals), [*statements, result])

    def checks_part(self, element: Decision) -> Part:
        """What follows once the result of a table is known: its declared type, allowed values, limits."""
        statements, _ = self.decide(element)
        slot = self.model.variables[element.id].slot
        return self.part([slot], [*statements[1:], py.give(py.name(f"v{slot}"))])

    def input_part(self, element: InputData) -> Part:
        """The admission of one input: gives its value, or null."""
        slot = self.model.variables[element.id].slot
        return self.part([slot], [*self.admit(element), py.give(py.name(f"v{slot}"))])

    def value_part(self, node: tree.Node, name: str) -> Part:
        """One expression."""
        self.emitter.enter(name, "")
        return self.part(free_slots(node, self.emitter.globals), [py.give(self.emitter.value(node))])

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
        known = self.model.input_names[element.id] in self.trusted
        statements = [] if known else admission(self.emitter, title, element.name, variable.type, start)
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
            # Checks make a value no larger.
            return [py.assign(title, emitter.limited(inner, emitter.value(node)))], step
        pair = emitter.table(inner)
        statements = [py.assign_pair(title, f"m{variable.slot}", pair)]
        for check in checks:
            name = tree.Name(ANY, 0, element.name, variable.slot)
            statements.append(py.assign(title, emitter.value(rewrapped(check, name))))
        if not flat(variable.type) and not all(flat(one.type) for rule in inner.rules for one in rule.outputs):
            statements.append(py.assign(title, emitter.operator("limited", node, py.name(title))))
        return statements, py.sequence([py.const(element.name), py.name(f"m{variable.slot}"), py.name(title)])


def compile_decision(model: Model, name: str, trusted: Collection[str] = ()) -> Policy:
    """Compile one decision of a checked model with everything it requires.

    Parameters
    ----------
    model : from `read_model`
    name : of the decision (or of a decision service or business knowledge model, called with its parameters as inputs)
    trusted : inputs whose values the caller promises to be null or of their declared type, numbers int or finite
        Decimal: they are not looked at again

    Returns
    -------
    Policy : `policy(values)` -> Judgement; `policy.inputs` says which values, in which order

    Raises
    ------
    NotFound : the model has no decision of that name
    DeclarationError : the decision is nested too deeply for the stack it is compiled on
    """
    target = target_of(model, name)
    try:
        return _PolicyCompiler(model, target, trusted).compile()
    except RecursionError as error:
        problem = Problem(model.definitions.where, name, "the decision is nested too deeply", "", "", "Split it.")
        raise DeclarationError("the decision cannot be compiled", [problem]) from error


def target_of(model: Model, name: str) -> Decision | Knowledge | Service:
    """The element of that name that can be compiled.

    Raises
    ------
    NotFound : there is none
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
    return target


def compile_part(model: Model, target: Decision, what: Decision | InputData | tree.Node, name: str = "") -> Part:
    """Compile a piece of what `target` requires: one decision, the admission of an input, or an expression."""
    compiler = _PolicyCompiler(model, target)
    if isinstance(what, Decision):
        return compiler.decision_part(what)
    return compiler.input_part(what) if isinstance(what, InputData) else compiler.value_part(what, name)


def compile_checks(model: Model, target: Decision, element: Decision) -> Part:
    """Compile what follows once the result of the table `element` is known."""
    return _PolicyCompiler(model, target).checks_part(element)
