"""A checked model and the name of a decision to a `Policy`: one code object for the whole requirement graph."""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from quanheng.decisions.dmn.allowed import AllowedNode, rewrapped, unwrapped
from quanheng.decisions.dmn.build import Model
from quanheng.decisions.dmn.emitter import ModelEmitter
from quanheng.decisions.dmn.float_inputs import check_floats, float_admission, float_converted, float_inputs
from quanheng.decisions.dmn.model import Decision, InputData, Knowledge, Service
from quanheng.decisions.dmn.tables import TableNode, free_slots
from quanheng.decisions.policy import Policy, PolicyInput
from quanheng.feel import py, tree
from quanheng.feel.compiler import admission
from quanheng.feel.scope import Variable
from quanheng.feel.types import ANY, FeelType, FunctionType, flat
from quanheng.feel.values import Run
from quanheng.kernel.errors import DeclarationError, NotFound, Problem

_RUN = py.name("run")


class Part(NamedTuple):
    """A piece of a policy as a function of its own: `function(run, values)`, one value per entry of `slots`."""

    slots: tuple[int, ...]
    function: Callable[[Run, Sequence[object]], object]


class _PolicyCompiler:
    """One code object: emits what a target needs, or a piece of it."""

    def __init__(
        self,
        model: Model,
        target: Decision | Knowledge | Service,
        trusted: Collection[str] = (),
        floats: Collection[str] = (),
    ) -> None:
        self.model, self.target, self.trusted, self.floats = model, target, frozenset(trusted), frozenset(floats)
        self.needed = model.required(target.id)
        self.inputs = [one for one in model.inputs() if one.id in self.needed]
        knowledge = [one for one in self.needed if not isinstance(model.elements[one], InputData | Decision)]
        self.emitter = ModelEmitter(model, knowledge)
        self.emitter.enter(target.name, "")
        self.emitter.place(tree.Const(ANY, 0, None))

    def on_floats(self) -> bool:
        """Let declared inputs be compared as floats, where any is; from then on the policy takes nothing else there."""
        found = float_inputs(self.model, self.target.id, self.floats)
        self.emitter.floats = {slot: f"x{slot}" if slot in found.exact else f"v{slot}" for slot in found.compared}
        return bool(self.emitter.floats)

    def compile(self) -> Policy:
        """Policy whose generated function gives (result, trace); None where a value is not in the lane of floats."""
        model, emitter = self.model, self.emitter
        trusted = [model.variables[one.id].slot for one in self.inputs if model.input_names[one.id] in self.trusted]
        body = float_admission(emitter.floats, trusted)
        for one in self.inputs:
            body += self.admit(one)
        steps: list[ast.expr] = []
        for identity in self.needed:
            element = model.elements[identity]
            if isinstance(element, Decision):
                statements, step = self.decide(element)
                body += statements
                steps.append(step)
        result = emitter.value(tree.Name(ANY, 0, self.target.name, model.variables[self.target.id].slot))
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
        inputs = [PolicyInput(name, kind, name in self.floats) for name, kind in takes]
        body.append(py.give(py.sequence([result, py.sequence(steps)])))
        statements = self.made("decide", [one.slot for one in variables], body)
        return Policy(
            self.target.name,
            inputs,
            kind,
            emitter.namespace["decide"],  # type: ignore[arg-type]
            emitter.places,
            lambda: py.source(statements),
            self.lists(),
        )

    def made(self, title: str, slots: Sequence[int], body: Sequence[ast.stmt]) -> list[ast.stmt]:
        """Make `def title(run, values)` of a body over the variables in `slots`, with all it calls; its source."""
        known = self.emitter.known_functions()
        taken = [py.assign_each([f"v{slot}" for slot in slots], py.name("values"))] if slots else []
        statements = [*self.emitter.functions, *known, py.define(title, ["run", "values"], [*taken, *body])]
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
        name = self.model.input_names[element.id]
        known = name in self.trusted and (name not in self.floats or bool(self.emitter.floats))
        if variable.slot in self.emitter.floats:
            return []  # `float_admission` takes all of them together.
        statements = [] if known else admission(self.emitter, title, element.name, variable.type, start)
        if name in self.floats:
            statements.insert(0, float_converted(title))
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
            renamed = rewrapped(check, tree.Name(ANY, 0, element.name, variable.slot))
            if not isinstance(renamed, AllowedNode):
                statements.append(py.assign(title, emitter.value(renamed)))
            elif not emitter.settled(check.value, renamed.constraint):
                statements.append(py.assign(title, emitter.asked(renamed)))
        if not flat(variable.type) and not all(flat(one.type) for rule in inner.rules for one in rule.outputs):
            statements.append(py.assign(title, emitter.operator("limited", node, py.name(title))))
        return statements, py.sequence([py.const(element.name), py.name(f"m{variable.slot}"), py.name(title)])


def compile_decision(model: Model, name: str, trusted: Collection[str] = (), floats: Collection[str] = ()) -> Policy:
    """Compile one decision of a checked model with everything it requires.

    Parameters
    ----------
    model : from `read_model`
    name : of the decision (or of a decision service or business knowledge model, called with its parameters as inputs)
    trusted : inputs whose values the caller promises to be null or of their declared type, numbers int or finite
        Decimal (of those in `floats`: finite floats, NaN or None): they are not looked at again
    floats : inputs that are declared as float, as in `compile_columns`: a float means the shortest decimal that reads
        back as the same float; NaN and infinity are null. Where all of them are floats or null, comparisons run on
        floats; a whole number or Decimal is taken too, and judged with exact numbers throughout. Results, matched
        rules and diagnostics are the same

    Returns
    -------
    Policy : `policy(values)` -> Judgement; `policy.inputs` says which values, in which order

    Raises
    ------
    NotFound : the model has no decision of that name
    DeclarationError : the decision is nested too deeply for the stack it is compiled on
    InputError : `floats` names no number input of the decision
    """
    target = target_of(model, name)

    def compiled(run_on_floats: bool) -> Policy | None:
        compiler = _PolicyCompiler(model, target, trusted, floats)
        return compiler.compile() if not run_on_floats or compiler.on_floats() else None

    try:
        policy = (compiled(True) if floats else None) or compiled(False)
    except RecursionError as error:
        problem = Problem(model.definitions.where, name, "the decision is nested too deeply", "", "", "Split it.")
        raise DeclarationError("the decision cannot be compiled", [problem]) from error
    assert policy is not None
    if floats:
        check_floats(name, policy.inputs, floats)
        policy.exact_from(lambda: compiled(False))
    return policy


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
