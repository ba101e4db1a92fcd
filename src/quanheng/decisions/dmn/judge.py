"""The judge of generated policies: walks the checked model decision by decision, rule by rule, with no short cut."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from quanheng.decisions.dmn import tables
from quanheng.decisions.dmn.allowed import AllowedNode, refuse, rewrapped, unwrapped
from quanheng.decisions.dmn.build import Model
from quanheng.decisions.dmn.model import Decision, InputData
from quanheng.decisions.dmn.types import Constraint
from quanheng.decisions.policy import Judgement
from quanheng.feel import judge as feel
from quanheng.feel import tree
from quanheng.feel.access import invoke, limited
from quanheng.feel.floats import decimal_of
from quanheng.feel.operators import single
from quanheng.feel.types import ANY
from quanheng.feel.values import GIVEN_UP, Function, Membership, admit, give_up
from quanheng.kernel.errors import NotFound


def table(self: feel.Judge, node: tables.TableNode, env: feel.Variables) -> tables.Matched:
    """Result and matched rules of one table."""
    env = dict(env)
    for clause in node.inputs:
        if clause.value is not None:
            env[clause.slot] = self.value(clause.value, env)
    for clause in node.inputs:
        if clause.allowed is not None and single(self.value(clause.allowed, env)) is not True:
            refuse(self.run, self.at(node), env[clause.slot], clause.title, clause.words)
            return None, ()
    rules: list[int] = []
    outputs: list[object] = []
    for rule in node.rules:
        if all(single(self.value(test, env)) is True for test in rule.tests):
            rules.append(rule.number)
            outputs.append(_row(self, node, rule.outputs, env))
            if node.policy == "FIRST":
                break
    if not rules:
        return (_row(self, node, node.defaults, env) if node.defaults else None), ()
    return _concluded(self, node, rules, outputs)


def _row(self: feel.Judge, node: tables.TableNode, cells: tuple[tree.Node, ...], env: feel.Variables) -> object:
    values = [self.value(cell, env) for cell in cells]
    return dict(zip(node.names, values, strict=True)) if node.names else values[0]


def _concluded(self: feel.Judge, node: tables.TableNode, rules: list[int], outputs: list[object]) -> tables.Matched:
    at, matched = self.at(node), tuple(rules)
    if node.policy in ("UNIQUE", "ANY") and len(rules) > 1:
        rule = tables.single_hit if node.policy == "UNIQUE" else tables.same_output
        return rule(self.run, at, rules, outputs)
    if node.policy in ("PRIORITY", "OUTPUT ORDER"):
        outputs = [outputs[index] for index in tables.best_first(outputs, node.names, node.ranks)]
    if node.policy in ("UNIQUE", "ANY", "PRIORITY", "FIRST"):
        return outputs[0], matched
    if node.aggregation:
        return tables.aggregate(self.run, at, node.aggregation, rules, outputs), matched
    return outputs, matched


feel.EXTENSIONS[tables.TableNode] = lambda self, node, env: table(self, node, env)[0]


def satisfied(self: feel.Judge, constraint: Constraint, value: object) -> bool:
    """Does a value satisfy a constraint? Null does."""
    if value is None:
        return True
    if constraint.test is not None and single(self.value(constraint.test, {constraint.slot: value})) is not True:
        return False
    if constraint.each is not None and not all(satisfied(self, constraint.each, item) for item in value):  # type: ignore[attr-defined]
        return False
    return all(satisfied(self, inner, value[name]) for name, inner in constraint.entries)  # type: ignore[index]


def allowed(self: feel.Judge, node: AllowedNode, env: feel.Variables) -> object:
    """The value, or null where it is not allowed."""
    value = self.value(node.value, env)
    if satisfied(self, node.constraint, value):
        return value
    refuse(self.run, self.at(node), value, node.name, node.words)
    return None


feel.EXTENSIONS[AllowedNode] = allowed


class ModelJudge:
    """One evaluation of one decision."""

    def __init__(self, model: Model, given: Mapping[str, object], floats: Collection[str] = ()) -> None:
        exact = {name: decimal_of(value) for name in floats if (value := given.get(name)).__class__ is float}  # type: ignore[arg-type]
        self.model, self.given = model, {**given, **exact}
        self.judge = feel.Judge("model")
        self.env: feel.Variables = {}
        self.trace: list[tuple[str, tuple[int, ...], object]] = []

    def decide(self, name: str) -> object:
        target = self.model.target(name)
        if target is None:
            raise NotFound(
                "the model has no such decision",
                where=self.model.definitions.where,
                found=repr(name),
                allowed=", ".join(self.model.decisions),
                cure="Correct the name of the decision.",
            )
        for identity in self.model.required(target.id):
            self.element(identity)
        result = self.env[self.model.variables[target.id].slot]
        if isinstance(target, Decision) or not isinstance(result, Function):
            return result
        arguments = tuple(self.given.get(parameter) for parameter in result.parameters)
        return limited(self.judge.run, 0, invoke(self.judge.run, 0, result, arguments, None))

    def element(self, identity: str) -> None:
        element, variable = self.model.elements[identity], self.model.variables[identity]
        judge = self.judge
        if isinstance(element, InputData):
            self.env[variable.slot] = self.admitted(element, identity)
            return
        judge.name, judge.text = element.name, ""
        node = self.model.trees[identity]
        if not isinstance(element, Decision):
            self.env[variable.slot] = judge.value(node, self.env)
            return
        inner, checks = unwrapped(node)
        rules: tuple[int, ...] = ()
        if isinstance(inner, tables.TableNode):
            result, rules = table(judge, inner, self.env)
            for check in checks:
                name = tree.Name(ANY, 0, element.name, variable.slot)
                result = judge.value(rewrapped(check, name), {variable.slot: result})
        else:
            result = judge.value(node, self.env)
        result = limited(judge.run, 0, result)
        self.env[variable.slot] = result
        self.trace.append((element.name, rules, result))

    def admitted(self, element: InputData, identity: str) -> object:
        run = self.judge.run
        value = admit(
            run,
            0,
            self.given.get(self.model.input_names[element.id]),
            self.model.variables[identity].type,
            element.name,
        )
        constraint = self.model.constraint(element)
        if value is not None and constraint is not None and not satisfied(self.judge, constraint, value):
            refuse(run, 0, value, element.name, constraint.text or "the allowed values of its type")
            return None
        return value


def judge_model(
    model: Model,
    name: str,
    given: Mapping[str, object],
    now_ms: int | None = None,
    lists: Membership | None = None,
    floats: Collection[str] = (),
) -> Judgement:
    """Judge one decision: the same contract as `compile_decision(model, name, floats=floats).judge(given)`."""
    walk = ModelJudge(model, given, floats)
    walk.judge.run.now_ms, walk.judge.run.lists = now_ms, lists
    result: object = None
    try:
        result = walk.decide(name)
    except GIVEN_UP as error:
        give_up(walk.judge.run, error)
        walk.trace.clear()
    return Judgement(result, tuple(walk.trace), walk.judge.run, walk.judge.places)


def judge_decision(model: Model, name: str, given: Mapping[str, object]) -> object:
    """Only the result."""
    return judge_model(model, name, given, 1_700_000_000_000).result
