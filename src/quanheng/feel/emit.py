"""Checked tree to Python syntax. Only the tree is read, never the author's text; constants are hoisted.

Three modes per node. `value` gives the FEEL value. `truth` gives Python True exactly where the value is true, and
`falsity` exactly where it is false: conditions and table cells need no more, so null costs nothing there.
Where static types settle the matter an operator becomes a Python comparison, else a call into `operators`.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from decimal import Decimal

from quanheng.feel import emit_lists, inline, operators, py, tree
from quanheng.feel.emit_builtin import builtin_call
from quanheng.feel.float_code import on_floats
from quanheng.feel.inline import nullable
from quanheng.feel.lexer import place_of
from quanheng.feel.runtime import RUNTIME, builtin_value
from quanheng.feel.types import BOOLEAN, STRING, ContextType
from quanheng.feel.values import Place, Range

_ARITHMETIC = {"+": "add", "-": "subtract", "*": "multiply", "/": "divide", "**": "power"}
_COMPARE = {"=": "equals", "!=": "differs", "<": "less", "<=": "less_equal", ">": "greater", ">=": "greater_equal"}
_INVERSE = {"=": "!=", "!=": "=", "<": ">=", "<=": ">", ">": "<=", ">=": "<"}
_RUN = py.name("run")
_NONE = py.const(None)


class Emitter:
    """One per code object: gathers constants and places while trees of several texts are emitted."""

    def __init__(self) -> None:
        self.namespace: dict[str, object] = {**RUNTIME, "__builtins__": {}}
        self.places: list[Place] = []
        self.floats: Mapping[int, str] = {}
        """Variables that hold declared floats (NaN is null), by slot, with the Python name of their exact value."""
        self._hoisted: dict[object, str] = {}
        self._temporaries = 0
        self._name, self._text = "", ""

    def enter(self, name: str, text: str) -> None:
        """Nodes emitted from now on belong to this text."""
        self._name, self._text = name, text

    def place(self, node: tree.Node) -> ast.expr:
        line, column = place_of(self._text, node.at)
        self.places.append(Place(self._name, line, column, self._text[node.at : node.at + 40]))
        return py.const(len(self.places) - 1)

    def hoist(self, value: object, key: object = None) -> ast.expr:
        """A constant of any kind, under a name in the namespace of the code object."""
        if key is not None and key in self._hoisted:
            return py.name(self._hoisted[key])
        title = f"k{len(self.namespace)}"
        self.namespace[title] = value
        if key is not None:
            self._hoisted[key] = title
        return py.name(title)

    def temporary(self) -> str:
        self._temporaries += 1
        return f"t{self._temporaries}"

    def const(self, value: object) -> ast.expr:
        if value is None or value.__class__ in (bool, int, str):
            return py.const(value)  # type: ignore[arg-type]
        if isinstance(value, Decimal):
            return self.hoist(value, ("decimal", str(value)))
        return self.hoist(value)

    def once(self, node: tree.Node) -> tuple[ast.expr, ast.expr]:
        """The first and every later reading of a value: a temporary unless it is a name or a literal."""
        value = self.value(node)
        if isinstance(value, (ast.Name, ast.Constant)):
            return value, value
        title = self.temporary()
        return py.bind(title, value), py.name(title)

    # -- values

    def value(self, node: tree.Node) -> ast.expr:
        """The FEEL value of a node."""
        return (_VALUES.get(type(node)) or EXTENSIONS[type(node)])(self, node)

    def limited(self, node: tree.Node, value: ast.expr) -> ast.expr:
        """The value as a result: within the limits of size and depth."""
        return value if inline.shallow(node) else self.operator("limited", node, value)

    def operator(self, title: str, node: tree.Node, *parts: ast.expr) -> ast.expr:
        return py.call(title, _RUN, self.place(node), *parts)

    def name(self, node: tree.Name) -> ast.expr:
        return py.name(self.floats.get(node.slot) or f"v{node.slot}")

    def list_of(self, node: tree.ListOf) -> ast.expr:
        return py.listing([self.value(item) for item in node.items])

    def context_of(self, node: tree.ContextOf) -> ast.expr:
        read = {part.slot for value in node.values for part in tree.walk(value) if isinstance(part, tree.Name)}
        values = []
        for slot, entry in zip(node.slots, node.values, strict=True):
            value = self.value(entry)
            values.append(py.bind(f"v{slot}", value) if slot in read else value)
        return py.mapping(node.keys, values)

    def let(self, node: tree.Let, result: ast.expr) -> ast.expr:
        """`result` with the variables set first."""
        bound = [
            py.bind(f"v{slot}", value) for slot, value in zip(node.slots, map(self.value, node.values), strict=True)
        ]
        return py.either(py.sequence(bound), result, _NONE) if bound else result

    def range_of(self, node: tree.RangeOf) -> ast.expr:
        if node.point and node.low is not None:
            return self.operator("point_range", node, self.value(node.low), py.const(node.point))
        ends = (node.low, node.high)
        if all(end is None or (isinstance(end, tree.Const) and end.value is not None) for end in ends):
            low, high = (end.value if isinstance(end, tree.Const) else None for end in ends)
            if low is None or high is None or operators.order(low, high) is not None:
                return self.hoist(Range(low, node.low_closed, high, node.high_closed))
        title = "make_range" if None not in ends else "open_range"
        parts = [self.value(end) if end is not None else _NONE for end in ends]
        return self.operator(title, node, parts[0], py.const(node.low_closed), parts[1], py.const(node.high_closed))

    def comparison(self, node: tree.Compare) -> ast.expr:
        if not inline.comparable(node):
            return self.operator(_COMPARE[node.op], node, self.value(node.left), self.value(node.right))
        if node.op in ("=", "!="):
            return self.same(node, node.op)
        if (found := on_floats(node, node.op, self.floats)) is not None:
            return py.either(py.any_of(*found.missing), _NONE, found.holds)
        sides, guards = [], []
        for part in (node.left, node.right):
            first, later = self.once(part)
            if nullable(part):
                guards.append(py.compare(first, ("is", _NONE)))
            sides.append(later if nullable(part) else first)
        result = py.compare(sides[0], (node.op, sides[1]))
        return py.either(py.any_of(*guards), _NONE, result) if guards else result

    def same(self, node: tree.Compare, op: str) -> ast.expr:
        """An inlined `=` or `!=`; with null it is a question of identity."""
        if (found := on_floats(node, op, self.floats)) is not None:
            return found.holds
        if inline.is_null(node.left) or inline.is_null(node.right):
            op = "is" if op == "=" else "is not"
        return py.compare(self.value(node.left), (op, self.value(node.right)))

    def conjunction(self, node: tree.And | tree.Or) -> ast.expr:
        """Left to right as the judge does; parts behind the one that settles the answer are not read."""
        title, settling = ("conjunction", False) if isinstance(node, tree.And) else ("disjunction", True)
        names = [self.temporary() for _ in node.parts]
        settled = [
            self.exactly(part, py.bind(name, self.value(part)), settling)
            for name, part in zip(names, node.parts, strict=True)
        ]
        return py.either(py.any_of(*settled), py.const(settling), self.operator(title, node, *map(py.name, names)))

    def tested(self, node: tree.Test) -> ast.expr:
        if (plain := inline.plain_test(node)) is not None:
            return self.same(plain, "=")
        title = "spanned" if tree.spans(node) else "tested"
        return self.operator(title, node, self.value(node.value), self.value(node.against))

    def membership(self, node: tree.In) -> ast.expr:
        return self.bound(f"v{node.slot}", self.value(node.value), self.value(node.test))

    @staticmethod
    def bound(title: str, value: ast.expr, then: ast.expr) -> ast.expr:
        """`then` with `title` set to `value` first."""
        return py.either(py.sequence([py.bind(title, value)]), then, _NONE)

    def branch(self, node: tree.If) -> ast.expr:
        return py.either(self.decisive(node.condition), self.value(node.then), self.value(node.otherwise))

    def decisive(self, node: tree.Node) -> ast.expr:
        """The condition of `if`: as `truth`, with a diagnostic where it is no boolean."""
        return self.truth(node) if node.type == BOOLEAN else self.operator("condition", node, self.value(node))

    def loop(self, node: tree.For) -> ast.expr:
        if node.partial is None:
            return self.attempted(self.rounds(node.iterators, self.value(node.body)))
        results = self.rounds(node.iterators, self.value(node.body), lazy=True)
        title = f"v{node.partial}"
        if node.copied:
            source = self.temporary()
            body = py.call(py.function_of([title], self.value(node.body)), py.call("snapshot", _RUN, py.name(source)))
            results, title = self.rounds(node.iterators, body, lazy=True), source
        return self.attempted(py.call("collect", py.function_of([title], results)))

    @staticmethod
    def attempted(loop: ast.expr) -> ast.expr:
        """A loop whose domain is no domain is null."""
        return py.call("attempt", py.function_of([], loop))

    def rounds(self, iterators: tuple[tree.Iterator_, ...], body: ast.expr, lazy: bool = False) -> ast.expr:
        found = []
        for one in iterators:
            ends = [self.value(end) for end in (one.source, one.to) if end is not None]
            found.append((f"v{one.slot}", self.operator("domain" if one.to is None else "span", one, *ends)))
        return self.comprehension(body, found, None, lazy)

    def comprehension(
        self, body: ast.expr, targets: list[tuple[str, ast.expr]], condition: ast.expr | None = None, lazy: bool = False
    ) -> ast.expr:
        """A comprehension. Python refuses `:=` in its domains: such a domain is passed in as a function."""
        outside: list[tuple[str, ast.expr]] = []
        plain: list[tuple[str, ast.expr]] = []
        for position, (target, given) in enumerate(targets):
            domain = given
            if py.binds(given):
                earlier = [name for name, _ in targets[:position]]
                title = self.temporary()
                outside.append((title, py.function_of(earlier, given)))
                domain = py.call(title, *(py.name(name) for name in earlier))
            plain.append((target, domain))
        result = py.loops(body, plain, condition, lazy)
        if not outside:
            return result
        return py.call(py.function_of([title for title, _ in outside], result), *(domain for _, domain in outside))

    def some_or_every(self, node: tree.Quantified) -> ast.expr:
        results = self.rounds(node.iterators, self.value(node.body), lazy=True)
        return self.attempted(py.call("quantified", py.const(node.every), results))

    def path(self, node: tree.Path) -> ast.expr:
        kind = node.base.type
        if isinstance(kind, ContextType) and kind.field(node.name) is not None:
            first, later = self.once(node.base)
            entry = py.item(later, py.const(node.name))
            return (
                py.either(py.compare(first, ("is", _NONE)), _NONE, entry)
                if nullable(node.base)
                else py.item(first, py.const(node.name))
            )
        return self.operator("member", node, self.value(node.base), py.const(node.name))

    def item_member(self, node: tree.Member) -> ast.expr:
        item, key = self.value(node.item), py.const(node.name)
        return py.either(py.call("has_entry", item, key), py.item(item, key), self.value(node.otherwise))

    def filter(self, node: tree.Filter) -> ast.expr:
        if node.by_position and not tree.uses(node.predicate, node.slot):
            return self.operator("positioned", node, self.value(node.base), self.value(node.predicate))
        title = f"v{node.slot}"
        if node.by_position is False:
            items = py.call("items_of", _RUN, self.value(node.base))
            return self.comprehension(py.name(title), [(title, items)], self.truth(node.predicate))
        return self.operator(
            "filtered", node, self.value(node.base), py.function_of([title], self.value(node.predicate))
        )

    def call(self, node: tree.Call) -> ast.expr:
        if isinstance(node.function, tree.Builtin):
            return builtin_call(self, node, node.function.name)
        if (direct := self.direct(node)) is not None:
            return direct
        arguments = py.sequence([self.value(argument) for argument in node.arguments])
        return self.operator("invoke", node, self.value(node.function), arguments, self.names(node))

    def direct(self, node: tree.Call) -> ast.expr | None:
        """A call of a function that is known now, with arguments that fit; None where run time must look."""
        return None

    def names(self, node: tree.Call) -> ast.expr:
        return self.hoist(node.names, ("names", node.names)) if node.names is not None else _NONE

    def function_of(self, node: tree.FunctionOf) -> ast.expr:
        body = py.function_of(["run", *(f"v{slot}" for slot in node.slots)], self.value(node.body))
        result = self.hoist(node.body.type, ("kind", node.body.type))
        return py.call(
            "Function", body, self.hoist(node.parameters), py.const("function"), self.hoist(node.kinds), result
        )

    def builtin(self, node: tree.Builtin) -> ast.expr:
        return self.hoist(builtin_value(node.name), ("builtin", node.name))

    def cast(self, node: tree.Cast) -> ast.expr:
        kind, at = self.hoist(node.type, ("kind", node.type)), self.place(node)
        title = py.const(node.name)
        if node.type not in inline.CLASSES:
            return py.call("admit", _RUN, at, self.value(node.value), kind, title)
        first, later = self.once(node.value)
        return py.either(inline.foreign(first, later, node.type), py.call("admit", _RUN, at, later, kind, title), later)

    def within_text(self, node: tree.Sourced, emit: Callable[[], ast.expr]) -> ast.expr:
        outer = self._name, self._text
        self._name, self._text = node.name, node.text
        result = emit()
        self._name, self._text = outer
        return result

    # -- truth and falsity

    def truth(self, node: tree.Node) -> ast.expr:
        """Python True exactly where the value is true."""
        return self.decided(node, True)

    def falsity(self, node: tree.Node) -> ast.expr:
        """Python True exactly where the value is false."""
        return self.decided(node, False)

    def decided(self, node: tree.Node, wanted: bool) -> ast.expr:
        if isinstance(node, tree.Const):
            return py.const(node.value is wanted)
        if isinstance(node, tree.Test) and (plain := inline.plain_test(node)) is not None:
            return self.same(plain, "=" if wanted else "!=")
        if isinstance(node, tree.Compare) and inline.comparable(node):
            return self.compared(node, node.op if wanted else _INVERSE[node.op])
        if isinstance(node, tree.And | tree.Or):
            parts = [self.decided(part, wanted) for part in node.parts]
            return py.both(*parts) if isinstance(node, tree.And) is wanted else py.any_of(*parts)
        if isinstance(node, tree.Not):
            return self.decided(node.value, not wanted)
        if isinstance(node, tree.In):
            return self.bound(f"v{node.slot}", self.value(node.value), self.decided(node.test, wanted))
        if isinstance(node, tree.Let):
            return self.let(node, self.decided(node.result, wanted))
        if isinstance(node, tree.If):
            return py.either(
                self.decisive(node.condition), self.decided(node.then, wanted), self.decided(node.otherwise, wanted)
            )
        if isinstance(node, tree.Sourced):
            return self.within_text(node, lambda: self.decided(node.value, wanted))
        if isinstance(node, tree.Listed) and node.value.type == STRING:
            return self.on_list(node, wanted)
        return self.exactly(node, self.value(node), wanted)

    @staticmethod
    def exactly(node: tree.Node, value: ast.expr, wanted: bool) -> ast.expr:
        """Python True where `value`, of `node`, is the boolean `wanted`."""
        value = value if node.type == BOOLEAN else py.call("single", value)
        return py.compare(value, ("is", py.const(wanted)))

    def on_list(self, node: tree.Listed, wanted: bool) -> ast.expr:
        """Is a text on a list? Whoever knows is asked at once; `listed` says why nobody does."""
        (first, later), title, name = self.once(node.value), self.temporary(), py.const(node.name)
        asked = py.compare(py.bind(title, py.attribute(_RUN, "lists")), ("is", _NONE))
        answer = py.either(asked, self.operator("listed", node, later, name), py.call(title, name, later))
        return py.both(py.compare(first, ("is not", _NONE)), py.compare(answer, ("is", py.const(wanted))))

    def compared(self, node: tree.Compare, op: str) -> ast.expr:
        """An inlined comparison: an order needs its operands not null, equality does not."""
        if op in ("=", "!="):
            return self.same(node, op)
        if (found := on_floats(node, op, self.floats)) is not None:
            return found.holds
        guards, sides = [], []
        for part in (node.left, node.right):
            first, later = self.once(part)
            if nullable(part):
                guards.append(py.compare(first, ("is not", _NONE)))
                first = later
            sides.append(first)
        return py.both(*guards, py.compare(sides[0], (op, sides[1])))


_VALUES: dict[type[tree.Node], Callable[..., ast.expr]] = {
    tree.Const: lambda self, node: self.const(node.value),
    tree.Name: lambda self, node: self.name(node),
    tree.Unknown: lambda self, node: self.operator("unknown_name", node, py.const(node.name)),
    tree.Failed: lambda self, node: self.operator("fail", node, py.const(node.cause)),
    tree.Member: Emitter.item_member,
    tree.Builtin: Emitter.builtin,
    tree.ListOf: Emitter.list_of,
    tree.ContextOf: Emitter.context_of,
    tree.RangeOf: Emitter.range_of,
    tree.Negate: lambda self, node: self.operator("negate", node, self.value(node.value)),
    tree.Arithmetic: lambda self, node: self.operator(
        _ARITHMETIC[node.op], node, self.value(node.left), self.value(node.right)
    ),
    tree.Compare: Emitter.comparison,
    tree.And: Emitter.conjunction,
    tree.Or: Emitter.conjunction,
    tree.Not: lambda self, node: self.operator("negation", node, self.value(node.value)),
    tree.Between: lambda self, node: self.operator(
        "between", node, self.value(node.value), self.value(node.low), self.value(node.high)
    ),
    tree.Test: Emitter.tested,
    tree.In: Emitter.membership,
    tree.Listed: emit_lists.listed,
    tree.Let: lambda self, node: self.let(node, self.value(node.result)),
    tree.If: Emitter.branch,
    tree.For: Emitter.loop,
    tree.Quantified: Emitter.some_or_every,
    tree.Path: Emitter.path,
    tree.Filter: Emitter.filter,
    tree.Call: Emitter.call,
    tree.FunctionOf: Emitter.function_of,
    tree.Cast: Emitter.cast,
    tree.Sourced: lambda self, node: self.within_text(node, lambda: self.value(node.value)),
    tree.InstanceOf: lambda self, node: py.call("instance", _RUN, self.value(node.value), self.hoist(node.kind)),
}

EXTENSIONS: dict[type[tree.Node], Callable[..., ast.expr]] = {}
"""Nodes of other parts (decision tables): node type to emitter."""
