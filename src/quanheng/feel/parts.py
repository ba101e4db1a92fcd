"""The compound forms of the grammar: literals with parts, branches, loops, functions, and unary tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from quanheng.feel import check
from quanheng.feel.lexer import fail, string_value
from quanheng.feel.limits import LIMITS
from quanheng.feel.scope import Scope, Variable
from quanheng.feel.tree import (
    And,
    Between,
    Compare,
    Const,
    ContextOf,
    For,
    FunctionOf,
    If,
    In,
    InstanceOf,
    Iterator_,
    ListOf,
    Node,
    Not,
    Or,
    Quantified,
    RangeOf,
    keeps,
    uses,
)
from quanheng.feel.types import (
    ANY,
    BOOLEAN,
    BY_NAME,
    FUNCTION,
    NULL,
    ContextType,
    FeelType,
    FunctionType,
    ListType,
    RangeType,
    is_vast,
    join,
)

if TYPE_CHECKING:
    from quanheng.feel.lexer import Token
    from quanheng.kernel.errors import ExpressionError

_LITERALS = {"true": (True, BOOLEAN), "false": (False, BOOLEAN), "null": (None, NULL)}
_COMPARE = ("=", "!=", "<", "<=", ">", ">=")
_CONDITIONS = (And, Or, Not, Compare, Between, In, Quantified, InstanceOf)


class CompoundParts:
    """The second half of the parser; `parser.Parser` holds tokens and the Pratt loop."""

    text: str
    where: str
    strict: bool
    scope: Scope
    types: Mapping[str, FeelType]
    tokens: list[Token]
    at: int
    depth: int

    if TYPE_CHECKING:

        @property
        def token(self) -> Token: ...
        def next(self) -> Token: ...
        def sees(self, *texts: str) -> bool: ...
        def takes(self, text: str) -> bool: ...
        def expects(self, text: str, reason: str) -> Token: ...
        def unexpected(self, allowed: str) -> ExpressionError: ...
        def mistake(self, what: str, at: int, allowed: str = "", cure: str = "") -> None: ...
        def expression(self, power: int = 0) -> Node: ...
        def failed(self, what: str, at: int, found: str, allowed: str, cure: str) -> Node: ...
        def several(self, close: str, read: Callable[[], None], what: str) -> None: ...
        def deeper(self) -> None: ...
        def resolved(self) -> Node | None: ...
        def spelled(self) -> int: ...

    def keyword(self, token: Token) -> Node:
        """What a keyword starts; a declared name that begins with one wins where it is longer."""
        if self.spelled() > 1:
            node = self.resolved()
            assert node is not None
            return node
        if token.text in _LITERALS:
            self.at += 1
            value, kind = _LITERALS[token.text]
            return Const(kind, token.start, value)
        readers = {
            "if": self.branch,
            "for": self.loop,
            "some": self.quantified,
            "every": self.quantified,
            "function": self.function,
        }
        if token.text not in readers:
            node = self.resolved()
            if node is None:
                raise self.unexpected("a value, a name, or '('")
            return node
        return readers[token.text]()

    def branch(self) -> Node:
        at = self.next().start
        condition = self.expression()
        self.mistake(check.logic(condition.type), condition.at)
        self.expects("then", " after the condition of 'if'")
        then = self.expression()
        self.expects("else", " after the 'then' part; FEEL has no 'if' without 'else'")
        otherwise = self.expression()
        return If(join(then.type, otherwise.type), at, condition, then, otherwise)

    # -- literals with parts

    def parenthesis(self) -> Node:
        """`(expression)`, or a range that excludes its start: `(1..5]`."""
        at = self.next().start
        node = self.expression()
        if self.takes(".."):
            return self.range_end(node, False, at)
        self.expects(")", " to close '('")
        return node

    def list_or_range(self) -> Node:
        token = self.next()
        if token.text == "]":
            low = self.expression()
            self.expects("..", " after the start of a range")
            return self.range_end(low, False, token.start)
        items: list[Node] = []
        if self.takes("]"):
            return ListOf(ListType(NULL), token.start, ())
        items.append(self.expression())
        if self.takes(".."):
            return self.range_end(items[0], True, token.start)
        while self.takes(","):
            items.append(self.expression())
        self.expects("]", " to close the list")
        kind = join(*(item.type for item in items))
        return ListOf(ListType(ANY if kind == NULL else kind), token.start, tuple(items))

    def range_end(self, low: Node, low_closed: bool, at: int) -> Node:
        high = self.expression()
        if not self.sees("]", ")", "["):
            raise self.unexpected("']', ')' or '[' to close the range")
        closed = self.next().text == "]"
        self.mistake(check.order(low.type, high.type), at)
        return RangeOf(RangeType(join(low.type, high.type)), at, low, low_closed, high, closed)

    def open_range(self) -> Node:
        """`< 5` as a value: the range of everything below 5; `= 5` and `!= 5` in the same way."""
        token = self.next()
        end = self.expression(3)
        kind = RangeType(end.type)
        if token.text in ("<", "<="):
            return RangeOf(kind, token.start, None, False, end, token.text == "<=")
        if token.text in (">", ">="):
            return RangeOf(kind, token.start, end, token.text == ">=", None, False)
        return RangeOf(kind, token.start, end, token.text == "=", None, token.text == "=", token.text)

    def context(self) -> Node:
        at = self.next().start
        outer, self.scope = self.scope, self.scope.inner()
        keys: list[str] = []
        slots: list[int] = []
        values: list[Node] = []
        twice: tuple[str, int] | None = None

        def entry() -> None:
            nonlocal twice
            key_at, key = self.token.start, self.key()
            self.expects(":", " after the name of an entry")
            recursive = self.sees("function")  # a function may call itself
            slot = self.scope.bind(key, FUNCTION).slot if recursive else None
            value = self.expression()
            twice = (key, key_at) if key in keys else twice
            variable = self.scope.bind(key, value.type, slot)
            self.scope.members.add(key)
            keys.append(key)
            slots.append(variable.slot)
            values.append(value)

        self.several("}", entry, "the context")
        self.scope = outer
        if twice is not None:
            what = "an entry of a context is given twice"
            return self.failed(what, twice[1], repr(twice[0]), "each name once", "Rename or remove one of them.")
        kind = ContextType(tuple(zip(keys, (value.type for value in values), strict=True)))
        return ContextOf(kind, at, tuple(keys), tuple(slots), tuple(values))

    def key(self) -> str:
        """The name of an entry: a string, or every token up to the colon."""
        if self.token.kind == "string":
            return string_value(self.next().text)
        start = self.at
        while not self.sees(":") and self.token.kind != "end" and not self.sees("{", "}", "[", "]", ","):
            self.at += 1
        if self.at == start:
            raise self.unexpected("the name of an entry")
        return " ".join(self.text[self.tokens[start].start : self.tokens[self.at - 1].end].split())

    def temporal(self) -> Node:
        at = self.next().start
        if self.token.kind != "string":
            raise self.unexpected("a string after '@'")
        from quanheng.feel.functions import temporal_literal

        text = string_value(self.next().text)
        value, kind = temporal_literal(text)
        if value is None:
            self.mistake(f"@{text!r} is no date, time or duration", at, '@"2026-01-31", @"12:30:00", @"P1D"')
        return Const(kind, at, value)

    # -- loops

    def iterators(self) -> tuple[Iterator_, ...]:
        found: list[Iterator_] = []
        while True:
            name = self.bound_name("in")
            self.expects("in", " after the variable")
            source = self.expression()
            to = self.expression() if self.takes("..") else None
            self.scope = self.scope.inner()
            kind = check.item_of(source.type) if to is None else check.between(source.type, to.type)
            variable = self.scope.bind(name, kind)
            found.append(Iterator_(ANY, source.at, variable.slot, source, to))
            if not self.takes(","):
                return tuple(found)

    def bound_name(self, *ends: str) -> str:
        """A new name, joined from its tokens, up to one of `ends`."""
        start = self.at
        if self.token.kind != "name":
            raise self.unexpected("a new name")
        while not self.sees(*ends) and self.token.kind in ("name", "number", "keyword", "op"):
            self.at += 1
        return " ".join(self.text[self.tokens[start].start : self.tokens[self.at - 1].end].split())

    def loop(self) -> Node:
        at = self.next().start
        outer = self.scope
        iterators = self.iterators()
        self.expects("return", " after the domain of 'for'")
        self.scope = self.scope.inner()
        partial = self.scope.bind("partial", ListType(ANY))
        body = self.expression()
        self.scope = outer
        slot = partial.slot if uses(body, partial.slot) else None
        return For(ListType(body.type), at, iterators, body, slot, slot is not None and keeps(body, slot))

    def quantified(self) -> Node:
        token = self.next()
        outer = self.scope
        iterators = self.iterators()
        self.expects("satisfies", f" after the domain of {token.text!r}")
        body = self.expression()
        self.scope = outer
        self.mistake(check.logic(body.type), body.at)
        return Quantified(BOOLEAN, token.start, token.text == "every", iterators, body)

    # -- functions and types

    def function(self) -> Node:
        at = self.next().start
        self.expects("(", " after 'function'")
        outer, self.scope = self.scope, self.scope.inner()
        parameters: list[Variable] = []

        def parameter() -> None:
            name = self.bound_name(",", ":", ")")
            kind = self.type_name() if self.takes(":") else ANY
            parameters.append(self.scope.bind(name, kind))

        self.several(")", parameter, "the parameters")
        body = self.external() if self.sees("external") else self.expression()
        self.scope = outer
        kind = FunctionType(tuple((one.name, one.type) for one in parameters), body.type)
        return FunctionOf(
            kind,
            at,
            tuple(one.name for one in parameters),
            tuple(one.slot for one in parameters),
            tuple(one.type for one in parameters),
            body,
        )

    def external(self) -> Node:
        """A body in Java or PMML: it is read, and null when the function is called."""
        what, allowed = "external functions are not run", "a FEEL expression"
        node = self.failed(what, self.token.start, "'external'", allowed, "Write the body in FEEL.")
        self.at += 1
        self.expression()
        return node

    def type_name(self) -> FeelType:
        """A type after `instance of` or in a parameter."""
        self.deeper()
        at, kind = self.token.start, self.read_type()
        self.depth -= 1
        if is_vast(kind):
            most = f"{LIMITS.type_parts} parts and {LIMITS.type_levels} levels"
            raise fail("the type is too large", self.text, at, self.where, str(kind)[:60], most, "Split it.")
        return kind

    def read_type(self) -> FeelType:
        at = self.token.start
        if self.sees("list", "range") and self.tokens[self.at + 1].text == "<":
            kind = ListType if self.next().text == "list" else RangeType
            self.at += 1
            inner = self.type_name()
            self.expects(">", " to close the type")
            return kind(inner)
        if self.sees("context") and self.tokens[self.at + 1].text == "<":
            return self.context_type()
        if self.sees("function"):
            return self.function_type()
        from quanheng.feel.scope import Spellings

        known = Spellings([*BY_NAME, *self.types]).longest(self.tokens, self.at)
        if known is None:
            name = self.next().text
            raise fail(
                "a type is not known",
                self.text,
                at,
                self.where,
                repr(name),
                ", ".join([*BY_NAME, *self.types]),
                "Use one of these, or declare an item definition.",
            )
        self.at += known[1]
        return self.types.get(known[0]) or BY_NAME[known[0]]

    def context_type(self) -> FeelType:
        self.at += 2
        entries: list[tuple[str, FeelType]] = []

        def entry() -> None:
            key = self.key()
            self.expects(":", " after the name of an entry")
            entries.append((key, self.type_name()))

        self.several(">", entry, "the type")
        return ContextType(tuple(entries))

    def function_type(self) -> FeelType:
        self.at += 1
        if not self.takes("<"):
            return FUNCTION
        kinds: list[FeelType] = []
        self.several(">", lambda: kinds.append(self.type_name()), "the type")
        self.expects("->", " before the type of the result")
        return FunctionType(tuple((f"p{i}", kind) for i, kind in enumerate(kinds)), self.type_name())
