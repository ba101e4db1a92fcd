"""Boxed expressions to FEEL trees."""

from __future__ import annotations

from collections.abc import Sequence

from quanheng.decisions.dmn import model as m
from quanheng.decisions.dmn.allowed import AllowedNode
from quanheng.decisions.dmn.table_boxes import TableBoxes
from quanheng.decisions.dmn.types import TypeTable
from quanheng.feel import check, tree
from quanheng.feel.functions.registry import accepts
from quanheng.feel.parser import Parser
from quanheng.feel.scope import Scope, Variable
from quanheng.feel.types import (
    ANY,
    BOOLEAN,
    FUNCTION,
    NUMBER,
    ContextType,
    FeelType,
    FunctionType,
    ListType,
    conforms,
    entries_open,
    join,
)
from quanheng.kernel.errors import ExpressionError, Problem


class BoxBuilder(TableBoxes):
    """Builds the tree of one element; `name` is the element's."""

    def __init__(
        self, where: str, name: str, scope: Scope, types: TypeTable, problems: list[Problem], strict: bool
    ) -> None:
        self.where, self.name, self.scope, self.types = where, name, scope, types
        self.problems, self.strict = problems, strict
        self._cells: dict[tuple[str, FeelType, int], tree.Node] = {}

    def problem(self, at: int, message: str, found: str = "", known: str = "", cure: str = "") -> None:
        self.problems.append(Problem(self.where, f"line {at}, {self.name}", message, found, known, cure))

    def kind(self, reference: str, at: int) -> FeelType:
        return self.types.resolve(reference, m.Element("", self.name, at))

    # -- texts

    def parse(self, text: str, at: int, part: str, scope: Scope | None = None) -> tree.Node:
        """A FEEL text; a mistake in it becomes a problem of the file."""
        try:
            node = Parser(text, scope or self.scope, self.part(part), self.strict, self.types.known).whole()
        except ExpressionError as error:
            return self.failed(error, at, text)
        return (
            node
            if isinstance(node, tree.Const | tree.Name)
            else tree.Sourced(node.type, node.at, node, self.part(part), text)
        )

    def part(self, part: str) -> str:
        return f"{self.name}, {part}" if part else self.name

    def failed(self, error: ExpressionError, at: int, text: str) -> tree.Node:
        if not self.strict:
            return tree.Failed(ANY, 0, f"{error.what} ({text[:60]!r})")
        shown = error.where.removeprefix(f"{self.name}, ")
        self.problem(at, f"{error.what} ({shown}: {text[:60]!r})", error.found, error.allowed, error.cure)
        return tree.Const(ANY, 0, None)

    def declared(self, node: tree.Node, reference: str, at: int, name: str) -> tree.Node:
        """`node` as a value of the type that is referred to, and within its allowed values."""
        node = self.typed(node, self.kind(reference, at), at, name)
        constraint = self.types.constraint(reference)
        return node if constraint is None else AllowedNode(node.type, node.at, node, constraint, name)

    def typed(self, node: tree.Node, declared: FeelType, at: int, name: str) -> tree.Node:
        """`node` as a value of its declared type: checked now where possible, converted at run time where needed."""
        if declared == ANY or conforms(node.type, declared):
            return node
        if self.strict and not accepts(node.type, declared):
            self.problem(
                at,
                f"{name} is declared as {declared}, its expression gives {node.type}",
                str(node.type),
                str(declared),
                "Correct the expression or the declared type.",
            )
        return tree.Cast(declared, node.at, node, name)

    # -- boxes

    def boxed(self, box: m.Boxed, part: str = "") -> tree.Node:
        """Any boxed expression."""
        node: tree.Node = getattr(self, _BUILDERS[type(box)])(box, part)
        if isinstance(box, m.BoxedFunction) and not isinstance(self.kind(box.type_ref, box.at), FunctionType):
            return node  # editors note the type of the result there
        return self.declared(node, box.type_ref, box.at, part or self.name)

    def broken(self, box: m.Broken, part: str) -> tree.Node:
        return tree.Failed(ANY, 0, box.what)

    def literal(self, box: m.Literal, part: str) -> tree.Node:
        return self.parse(box.text, box.at, part)

    def context(self, box: m.BoxedContext, part: str) -> tree.Node:
        outer, self.scope = self.scope, self.scope.inner()
        keys, slots, values = [], [], []
        result: tree.Node | None = None
        for entry in box.entries:
            if not entry.name:
                result = self.boxed(entry.value, part)
                break
            recursive = isinstance(entry.value, m.BoxedFunction)  # a function may call itself
            slot = self.scope.bind(entry.name, FUNCTION).slot if recursive else None
            value = self.boxed(entry.value, entry.name)
            value = self.declared(value, entry.type_ref, entry.value.at, entry.name)
            keys.append(entry.name)
            values.append(value)
            slots.append(self.scope.bind(entry.name, value.type, slot).slot)
            self.scope.members.add(entry.name)
        self.scope = outer
        if result is not None:
            return tree.Let(result.type, 0, tuple(slots), tuple(values), result)
        kind = ContextType(tuple(zip(keys, (value.type for value in values), strict=True)))
        return tree.ContextOf(kind, 0, tuple(keys), tuple(slots), tuple(values))

    def list(self, box: m.BoxedList, part: str) -> tree.Node:
        items = tuple(self.boxed(item, part) for item in box.items)
        return tree.ListOf(ListType(join(*(item.type for item in items)) if items else ANY), 0, items)

    def relation(self, box: m.Relation, part: str) -> tree.Node:
        rows = []
        for row in box.rows:
            values = tuple(self.boxed(cell, part) for cell in row)
            kind = ContextType(tuple(zip(box.columns, (value.type for value in values), strict=True)))
            slots = tuple(self.scope.new_slot() for _ in box.columns)
            rows.append(tree.ContextOf(kind, 0, box.columns, slots, values))
        for column in box.columns:
            self.scope.members.add(column)
        return tree.ListOf(ListType(join(*(row.type for row in rows)) if rows else ANY), 0, tuple(rows))

    def invocation(self, box: m.Invocation, part: str) -> tree.Node:
        function = self.boxed(box.function, part)
        if isinstance(function, tree.Sourced) and isinstance(function.value, tree.Builtin):
            function = function.value
        arguments = tuple(self.boxed(binding.value, binding.name) for binding in box.bindings)
        names = tuple(binding.name for binding in box.bindings)
        if isinstance(function.type, FunctionType):
            wanted = [name for name, _ in function.type.parameters]
            if self.strict and sorted(wanted) != sorted(names):
                self.problem(
                    box.at,
                    "the invocation binds other parameters than the function has",
                    ", ".join(names),
                    ", ".join(wanted),
                    "Correct the bindings.",
                )
        return tree.Call(check.callable_result(function.type), 0, function, arguments, names)

    def function(self, box: m.BoxedFunction, result: FeelType | str = ANY) -> tree.Node:
        declared = ANY if isinstance(result, str) else result
        if box.kind not in ("", "FEEL") and self.strict:
            self.problem(box.at, "a function that is not FEEL is not run", box.kind, "FEEL", "Write its body in FEEL.")
        outer, self.scope = self.scope, self.scope.inner()
        parameters = [self.scope.bind(name, self.kind(kind, box.at)) for name, kind in box.parameters]
        body: tree.Node
        if box.kind not in ("", "FEEL"):
            body = tree.Failed(ANY, 0, f"a function of the kind {box.kind} is not run")
        else:
            body = self.boxed(box.body) if box.body is not None else tree.Const(ANY, 0, None)
        body = self.typed(body, declared, box.at, f"the result of {self.name}")
        body = self.within_allowed(box, parameters, body)
        self.scope = outer
        kind = FunctionType(tuple((one.name, one.type) for one in parameters), body.type)
        return tree.FunctionOf(
            kind,
            0,
            tuple(one.name for one in parameters),
            tuple(one.slot for one in parameters),
            tuple(one.type for one in parameters),
            body,
        )

    def within_allowed(self, box: m.BoxedFunction, parameters: Sequence[Variable], body: tree.Node) -> tree.Node:
        """`body` with arguments outside the allowed values of their parameter as null."""
        for one, (_, reference) in zip(parameters, box.parameters, strict=True):
            constraint = self.types.constraint(reference)
            if constraint is not None:
                value = AllowedNode(one.type, 0, tree.Name(one.type, 0, one.name, one.slot), constraint, one.name)
                body = tree.In(body.type, 0, value, one.slot, body)
        return body

    def conditional(self, box: m.Conditional, part: str) -> tree.Node:
        condition, then, otherwise = (self.boxed(one, part) for one in (box.condition, box.then, box.otherwise))
        return tree.If(join(then.type, otherwise.type), 0, condition, then, otherwise)

    def filter(self, box: m.BoxedFilter, part: str) -> tree.Node:
        source = self.boxed(box.source, part)
        item_type = check.item_of(source.type) if isinstance(source.type, ListType) else source.type
        outer, self.scope = self.scope, self.scope.inner()
        item = self.scope.bind("item", item_type)
        if isinstance(item_type, ContextType):
            for name, kind in item_type.fields:
                self.scope.bind_entry(name, kind, item)
        if entries_open(item_type):
            self.scope.item = item
        match = self.boxed(box.match, part)
        self.scope = outer
        by_position = {NUMBER: True, BOOLEAN: False}.get(check.unwrapped(match.type))  # type: ignore[call-overload]
        kind = {True: item_type, False: ListType(item_type), None: ANY}[by_position]
        return tree.Filter(kind, 0, source, item.slot, match, by_position)

    def loop(self, box: m.BoxedLoop, part: str) -> tree.Node:
        source = self.boxed(box.source, part)
        outer, self.scope = self.scope, self.scope.inner()
        variable = self.scope.bind(box.variable, check.item_of(source.type))
        iterators = (tree.Iterator_(ANY, 0, variable.slot, source, None),)
        self.scope = self.scope.inner()
        partial = self.scope.bind("partial", ListType(ANY)) if box.kind == "for" else None
        body = self.boxed(box.body, part)
        self.scope = outer
        if partial is not None:
            slot = partial.slot if tree.uses(body, partial.slot) else None
            copied = slot is not None and tree.keeps(body, slot)
            return tree.For(ListType(body.type), 0, iterators, body, slot, copied)
        return tree.Quantified(BOOLEAN, 0, box.kind == "every", iterators, body)


_BUILDERS: dict[type[m.Boxed], str] = {
    m.Literal: "literal",
    m.Broken: "broken",
    m.BoxedContext: "context",
    m.BoxedList: "list",
    m.Relation: "relation",
    m.Invocation: "invocation",
    m.BoxedFunction: "function",
    m.Conditional: "conditional",
    m.BoxedFilter: "filter",
    m.BoxedLoop: "loop",
    m.Table: "table",
}
