"""Unary tests: the cells of decision tables, allowed values, and what follows `in`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quanheng.feel import check
from quanheng.feel.brackets import closing
from quanheng.feel.lexer import string_value
from quanheng.feel.scope import Scope, Variable
from quanheng.feel.tree import (
    And,
    Between,
    Compare,
    Const,
    If,
    In,
    InstanceOf,
    Listed,
    Name,
    Node,
    Not,
    Or,
    Quantified,
    RangeOf,
    Test,
    uses,
)
from quanheng.feel.types import ANY, BOOLEAN, NULL, STRING, ListType, RangeType

if TYPE_CHECKING:
    from quanheng.feel.lexer import Token
    from quanheng.kernel.errors import ExpressionError

_COMPARE = ("=", "!=", "<", "<=", ">", ">=")
_CONDITIONS = (And, Or, Not, Compare, Between, In, Quantified, InstanceOf)


class UnaryParts:
    """Part of the parser; `parser.Parser` holds tokens and the Pratt loop."""

    tokens: list[Token]
    at: int
    scope: Scope

    if TYPE_CHECKING:

        @property
        def token(self) -> Token: ...
        def sees(self, *texts: str) -> bool: ...
        def takes(self, text: str) -> bool: ...
        def expects(self, text: str, reason: str) -> Token: ...
        def unexpected(self, allowed: str) -> ExpressionError: ...
        def mistake(self, what: str, at: int, allowed: str = "", cure: str = "") -> None: ...
        def failed(self, what: str, at: int, found: str, allowed: str, cure: str) -> Node: ...
        def expression(self, power: int = 0) -> Node: ...

    def unary_tests(self, variable: Variable) -> Node:
        """A whole cell of a table: `-`, `not(tests)`, or tests joined by commas, over the variable `?`."""
        token = self.token
        if token.kind == "end" or (token.text == "-" and self.tokens[self.at + 1].kind == "end"):
            return Const(BOOLEAN, token.start, True)
        if self.is_negated():
            self.at += 2
            inner = self.positive_tests(variable, True)
            self.expects(")", " to close 'not('")
            node: Node = Not(BOOLEAN, token.start, inner)
        else:
            node = self.positive_tests(variable, True)
        if self.token.kind != "end":
            raise self.unexpected("',' and a further test, or the end of the cell")
        return node

    def is_negated(self) -> bool:
        """`not( ... )` spans the whole cell; `not(a) and b` is an ordinary condition."""
        if not (self.sees("not") and self.tokens[self.at + 1].text == "("):
            return False
        end, _ = closing(self.tokens, self.at + 1)
        return end >= 0 and self.tokens[end + 1].kind == "end"

    def positive_tests(self, variable: Variable, cell: bool = False) -> Node:
        at = self.token.start
        tests = [self.positive_test(variable, cell=cell)]
        while self.takes(","):
            tests.append(self.positive_test(variable, cell=cell))
        return tests[0] if len(tests) == 1 else Or(BOOLEAN, at, tuple(tests))

    def positive_test(self, variable: Variable, power: int = 0, cell: bool = False) -> Node:
        """One test: `< 5`, `[1..5]`, a value, or a condition over `?`; in a cell also a condition that needs no `?`."""
        token = self.token
        subject = Name(variable.type, token.start, "?", variable.slot)
        if token.text in _COMPARE and token.kind == "op":
            self.at += 1
            bound = self.expression(3)
            rule = check.equality if token.text in ("=", "!=") else check.order
            self.mistake(rule(subject.type, bound.type), token.start)
            return Compare(BOOLEAN, token.start, token.text, subject, bound)
        if self.asks_list():
            return self.listed(subject)
        node = self.expression(power)
        kind = check.unwrapped(node.type)
        if uses(node, variable.slot):
            if isinstance(node, _CONDITIONS) or kind in (BOOLEAN, ANY):
                return node
        elif cell and (isinstance(node, _CONDITIONS) or (kind == BOOLEAN and not isinstance(node, Const))):
            return self.condition(subject, node)
        return self.tested(subject, node)

    def condition(self, subject: Name, node: Node) -> Node:
        """A test that does not speak of `?`: a value that is boolean must equal it, for others it must be true."""
        kind = check.unwrapped(subject.type)
        if kind == BOOLEAN:
            return self.tested(subject, node)
        if kind not in (ANY, NULL):
            return node
        boolean = InstanceOf(BOOLEAN, node.at, subject, BOOLEAN)
        return If(BOOLEAN, node.at, boolean, Test(BOOLEAN, node.at, subject, node), node)

    def asks_list(self) -> bool:
        """Is `list(` ahead, where packs' lists are known? A variable of that name goes first."""
        ahead = self.sees("list") and self.tokens[self.at + 1].text == "("
        return ahead and self.scope.lists is not None and self.scope.find("list") is None

    def listed(self, subject: Name) -> Node:
        """`list("name")` as a test: is the value on that list?"""
        at = self.token.start
        self.at += 2
        if self.token.kind != "string":
            raise self.unexpected("the name of a list, in quotes")
        name = string_value(self.token.text)
        self.at += 1
        self.expects(")", " after the name of the list")
        lists = self.scope.lists or ()
        if name not in lists:
            known = ", ".join(sorted(lists)) or "none, the pack has no lists.toml"
            return self.failed("no such list is declared", at, repr(name), known, "Declare it in lists.toml.")
        kind = check.unwrapped(subject.type)
        if kind not in (STRING, ANY, NULL):
            self.mistake(f"a list holds texts, {kind} is never on one", at)
        return Listed(BOOLEAN, at, subject, name)

    def tested(self, subject: Name, node: Node) -> Node:
        """`?` against a value: what the value's type settles now need not be asked at run time."""
        self.mistake(check.against(subject.type, node.type), node.at)
        if (
            isinstance(node, RangeOf)
            and not node.point
            and not isinstance(check.unwrapped(subject.type), RangeType)
            and subject.type != ANY
        ):
            return self.within(subject, node)
        if isinstance(node, Const) and not isinstance(subject.type, ListType) and subject.type != ANY:
            return Compare(BOOLEAN, node.at, "=", subject, node)
        return Test(BOOLEAN, node.at, subject, node)

    @staticmethod
    def within(subject: Name, node: RangeOf) -> Node:
        sides: list[Node] = []
        if node.low is not None:
            sides.append(Compare(BOOLEAN, node.at, ">=" if node.low_closed else ">", subject, node.low))
        if node.high is not None:
            sides.append(Compare(BOOLEAN, node.at, "<=" if node.high_closed else "<", subject, node.high))
        return sides[0] if len(sides) == 1 else And(BOOLEAN, node.at, tuple(sides))
