"""A plain tree-walking reading of FEEL, the judge of the generated code.

It takes no short cut that a type would allow: every operator goes through the general rules in `operators`, every
variable through a dictionary. Slow, and short enough to be compared with the standard line by line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from quanheng.feel import access, operators, tree
from quanheng.feel.compiler import Outcome, diagnostics_of
from quanheng.feel.functions import call_builtin, forms_for
from quanheng.feel.lexer import place_of
from quanheng.feel.parser import parse
from quanheng.feel.runtime import builtin_value, instance, snapshot
from quanheng.feel.scope import Scope
from quanheng.feel.types import FeelType
from quanheng.feel.values import GIVEN_UP, Function, Place, Run, admit, give_up

_ARITHMETIC = {
    "+": operators.add,
    "-": operators.subtract,
    "*": operators.multiply,
    "/": operators.divide,
    "**": operators.power,
}
_COMPARE = {
    "=": operators.equals,
    "!=": operators.differs,
    "<": operators.less,
    "<=": operators.less_equal,
    ">": operators.greater,
    ">=": operators.greater_equal,
}
Variables = dict[int, object]


class Judge:
    """One evaluation; `run` gathers diagnostics and counts work, `places` says where each came from."""

    def __init__(self, name: str = "expression", text: str = "") -> None:
        self.run, self.places = Run(), [Place(name, 1, 1, text[:40])]
        self.name, self.text = name, text

    def at(self, node: tree.Node) -> int:
        line, column = place_of(self.text, node.at)
        self.places.append(Place(self.name, line, column, self.text[node.at : node.at + 40]))
        return len(self.places) - 1

    def value(self, node: tree.Node, env: Variables) -> Any:
        """The FEEL value of a node under the variables `env`."""
        return (_RULES.get(type(node)) or EXTENSIONS[type(node)])(self, node, env)

    def context_of(self, node: tree.ContextOf, env: Variables) -> object:
        inner, result = dict(env), {}
        for key, slot, entry in zip(node.keys, node.slots, node.values, strict=True):
            result[key] = inner[slot] = self.value(entry, inner)
        return result

    def range_of(self, node: tree.RangeOf, env: Variables) -> object:
        if node.point and node.low is not None:
            return operators.point_range(self.run, self.at(node), self.value(node.low, env), node.point)
        ends = [self.value(end, env) if end is not None else None for end in (node.low, node.high)]
        make = operators.open_range if None in (node.low, node.high) else operators.make_range
        return make(self.run, self.at(node), ends[0], node.low_closed, ends[1], node.high_closed)

    def logic(self, node: tree.And | tree.Or, env: Variables) -> object:
        """Left to right; parts behind the one that settles the answer are not read."""
        settling = isinstance(node, tree.Or)
        values = []
        for part in node.parts:
            values.append(self.value(part, env))
            if operators.single(values[-1]) is settling:
                break
        rule = operators.disjunction if settling else operators.conjunction
        return rule(self.run, self.at(node), *values)

    def branch(self, node: tree.If, env: Variables) -> object:
        holds = access.condition(self.run, self.at(node.condition), self.value(node.condition, env))
        return self.value(node.then if holds else node.otherwise, env)

    def membership(self, node: tree.In, env: Variables) -> object:
        return self.value(node.test, {**env, node.slot: self.value(node.value, env)})

    def let(self, node: tree.Let, env: Variables) -> object:
        inner = dict(env)
        for slot, value in zip(node.slots, node.values, strict=True):
            inner[slot] = self.value(value, inner)
        return self.value(node.result, inner)

    def rounds(self, iterators: tuple[tree.Iterator_, ...], env: Variables) -> Iterator[Variables]:
        """The variables of each round of a loop."""
        if not iterators:
            yield env
            return
        one, rest = iterators[0], iterators[1:]
        source = self.value(one.source, env)
        if one.to is None:
            domain = access.domain(self.run, self.at(one), source)
        else:
            domain = access.span(self.run, self.at(one), source, self.value(one.to, env))
        for item in domain:
            yield from self.rounds(rest, {**env, one.slot: item})

    def loop(self, node: tree.For, env: Variables) -> object:
        return access.attempt(lambda: self.results(node, env))

    def results(self, node: tree.For, env: Variables) -> object:
        results: list[object] = []
        for inner in self.rounds(node.iterators, env):
            seen = snapshot(self.run, results) if node.copied else results
            partial: Variables = {} if node.partial is None else {node.partial: seen}
            results.append(self.value(node.body, {**inner, **partial}))
        return results

    def some_or_every(self, node: tree.Quantified, env: Variables) -> object:
        results = (self.value(node.body, inner) for inner in self.rounds(node.iterators, env))
        return access.attempt(lambda: access.quantified(node.every, results))

    def item_member(self, node: tree.Member, env: Variables) -> object:
        item = self.value(node.item, env)
        return item[node.name] if access.has_entry(item, node.name) else self.value(node.otherwise, env)

    def filter(self, node: tree.Filter, env: Variables) -> object:
        base = self.value(node.base, env)
        if node.by_position and not tree.uses(node.predicate, node.slot):
            return access.positioned(self.run, self.at(node), base, self.value(node.predicate, env))
        if node.by_position is None:
            return access.filtered(
                self.run, self.at(node), base, lambda item: self.value(node.predicate, {**env, node.slot: item})
            )
        items = access.listed(base)
        self.run.spend(len(items))
        if node.by_position:
            return access.filtered(
                self.run, self.at(node), base, lambda item: self.value(node.predicate, {**env, node.slot: item})
            )
        return [
            item for item in items if operators.single(self.value(node.predicate, {**env, node.slot: item})) is True
        ]

    def call(self, node: tree.Call, env: Variables) -> object:
        if isinstance(node.function, tree.Builtin):
            name = node.function.name
            arguments = tuple(self.value(argument, env) for argument in node.arguments)
            forms = forms_for(name, len(arguments), node.names)
            return call_builtin(self.run, self.at(node), forms, name, arguments, node.names)
        function = self.value(node.function, env)
        arguments = tuple(self.value(argument, env) for argument in node.arguments)
        return access.invoke(self.run, self.at(node), function, arguments, node.names)

    def function_of(self, node: tree.FunctionOf, env: Variables) -> object:
        def call(_run: Run, *values: object) -> object:
            return self.value(node.body, {**env, **dict(zip(node.slots, values, strict=True))})

        return Function(call, node.parameters, "function", node.kinds, node.body.type)

    def unknown(self, node: tree.Unknown, env: Variables) -> object:
        self.run.append((self.at(node), f"the name {node.name!r} is not known here"))
        return None

    def failed(self, node: tree.Failed, env: Variables) -> object:
        self.run.append((self.at(node), node.cause))
        return None

    def sourced(self, node: tree.Sourced, env: Variables) -> object:
        outer = self.name, self.text
        self.name, self.text = node.name, node.text
        result = self.value(node.value, env)
        self.name, self.text = outer
        return result


Rule = Callable[[Judge, Any, Variables], object]
EXTENSIONS: dict[type[tree.Node], Rule] = {}
"""Nodes of other parts (decision tables): node type to rule."""

_RULES: dict[type[tree.Node], Rule] = {
    tree.Const: lambda self, node, env: node.value,
    tree.Name: lambda self, node, env: env[node.slot],
    tree.Unknown: Judge.unknown,
    tree.Failed: Judge.failed,
    tree.Member: Judge.item_member,
    tree.Builtin: lambda self, node, env: builtin_value(node.name),
    tree.ListOf: lambda self, node, env: [self.value(item, env) for item in node.items],
    tree.ContextOf: Judge.context_of,
    tree.RangeOf: Judge.range_of,
    tree.Negate: lambda self, node, env: operators.negate(self.run, self.at(node), self.value(node.value, env)),
    tree.Arithmetic: lambda self, node, env: _ARITHMETIC[node.op](
        self.run, self.at(node), self.value(node.left, env), self.value(node.right, env)
    ),
    tree.Compare: lambda self, node, env: _COMPARE[node.op](
        self.run, self.at(node), self.value(node.left, env), self.value(node.right, env)
    ),
    tree.And: Judge.logic,
    tree.Or: Judge.logic,
    tree.Not: lambda self, node, env: operators.negation(self.run, self.at(node), self.value(node.value, env)),
    tree.Between: lambda self, node, env: operators.between(
        self.run, self.at(node), self.value(node.value, env), self.value(node.low, env), self.value(node.high, env)
    ),
    tree.Test: lambda self, node, env: (operators.spanned if tree.spans(node) else operators.tested)(
        self.run, self.at(node), self.value(node.value, env), self.value(node.against, env)
    ),
    tree.Listed: lambda self, node, env: operators.listed(
        self.run, self.at(node), self.value(node.value, env), node.name
    ),
    tree.In: Judge.membership,
    tree.If: Judge.branch,
    tree.Let: Judge.let,
    tree.For: Judge.loop,
    tree.Quantified: Judge.some_or_every,
    tree.Path: lambda self, node, env: access.member(self.run, self.at(node), self.value(node.base, env), node.name),
    tree.Filter: Judge.filter,
    tree.Call: Judge.call,
    tree.FunctionOf: Judge.function_of,
    tree.InstanceOf: lambda self, node, env: instance(self.run, self.value(node.value, env), node.kind),
    tree.Cast: lambda self, node, env: admit(
        self.run, self.at(node), self.value(node.value, env), node.type, node.name
    ),
    tree.Sourced: Judge.sourced,
}


def evaluate(
    text: str,
    names: Mapping[str, FeelType],
    given: Mapping[str, object],
    where: str = "expression",
    strict: bool = True,
    now_ms: int | None = None,
) -> Outcome:
    """Judge one expression: the same contract as `compile_expression(text, names).evaluate(given)`."""
    return evaluate_tree(parse(text, Scope.of(names), where, strict), names, given, where, text, now_ms)


def evaluate_tree(
    node: tree.Node,
    names: Mapping[str, FeelType],
    given: Mapping[str, object],
    where: str = "expression",
    text: str = "",
    now_ms: int | None = None,
) -> Outcome:
    """Judge a checked tree whose inputs are in slots 0, 1, 2 ... in the order of `names`."""
    judge = Judge(where, text)
    judge.run.now_ms = now_ms
    env: Variables = {}
    for slot, (name, kind) in enumerate(names.items()):
        env[slot] = admit(judge.run, 0, given.get(name), kind, name)
    value: object = None
    try:
        value = access.limited(judge.run, 0, judge.value(node, env))
    except GIVEN_UP as error:
        give_up(judge.run, error)
    return Outcome(value, diagnostics_of(judge.run, judge.places))
