"""A hand-written Pratt parser: tokens to the checked tree, names resolved against the scope as it goes.

Types are known as soon as a node is built, because `loan.first name` and `loans[first name = "a"]` can only be read
by someone who knows what a loan has. With `strict` a certain type mistake or an unknown name is an ExpressionError;
otherwise it is null and a diagnostic at run time, as the standard has it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import DecimalException

from quanheng.feel import check
from quanheng.feel.brackets import closing, ends_range
from quanheng.feel.lexer import Token, fail, string_value, tokens_of
from quanheng.feel.limits import LIMITS
from quanheng.feel.parts import CompoundParts
from quanheng.feel.references import ReferenceParts
from quanheng.feel.scope import Scope
from quanheng.feel.tree import (
    And,
    Arithmetic,
    Between,
    Compare,
    Const,
    Failed,
    In,
    InstanceOf,
    Negate,
    Node,
    Or,
)
from quanheng.feel.types import (
    ANY,
    BOOLEAN,
    DURATIONS,
    NULL,
    NUMBER,
    STRING,
    FeelType,
)
from quanheng.feel.unary import UnaryParts
from quanheng.feel.values import number_of
from quanheng.kernel.errors import ExpressionError

_BINARY = {"or": 1, "and": 2, "+": 4, "-": 4, "*": 5, "/": 5, "**": 6}
_COMPARE = frozenset({"=", "!=", "<", "<=", ">", ">="})
_COMPARISON, _POSTFIX = 3, 9


class Parser(CompoundParts, UnaryParts, ReferenceParts):
    """One use per text. `expression()` reads one expression; `unary_tests()` one cell of a table."""

    def __init__(
        self, text: str, scope: Scope, where: str = "", strict: bool = True, types: Mapping[str, FeelType] | None = None
    ) -> None:
        self.text, self.scope, self.where, self.strict = text, scope, where, strict
        self.types = types or {}
        self.tokens: list[Token] = tokens_of(text, where)
        self.at = 0
        self.depth = 0

    # -- tokens

    @property
    def token(self) -> Token:
        return self.tokens[self.at]

    def next(self) -> Token:
        token = self.tokens[self.at]
        self.at += 1
        return token

    def sees(self, *texts: str) -> bool:
        token = self.tokens[self.at]
        return token.kind in ("op", "keyword", "name") and token.text in texts

    def takes(self, text: str) -> bool:
        if self.sees(text):
            self.at += 1
            return True
        return False

    def expects(self, text: str, reason: str) -> Token:
        if not self.sees(text):
            raise self.unexpected(f"{text!r}{reason}")
        return self.next()

    def unexpected(self, allowed: str) -> ExpressionError:
        token = self.token
        found = "the end of the text" if token.kind == "end" else repr(token.text)
        return fail(
            "the expression does not parse",
            self.text,
            token.start,
            self.where,
            found,
            allowed,
            "Compare it with the FEEL reference.",
        )

    def mistake(self, what: str, at: int, allowed: str = "", cure: str = "") -> None:
        """A certain mistake: an error when strict, else left to run time."""
        if what and self.strict:
            raise fail(
                what, self.text, at, self.where, "", allowed, cure or "Correct the expression or the declared types."
            )

    # -- whole texts

    def whole(self) -> Node:
        """The text is one expression and nothing more."""
        node = self.expression()
        if self.token.kind != "end":
            raise self.unexpected("an operator or the end of the text")
        return node

    def deeper(self) -> None:
        """One level more of what holds itself."""
        self.depth += 1
        if self.depth > LIMITS.nesting:
            raise fail(
                "the expression is nested too deeply",
                self.text,
                self.token.start,
                self.where,
                f"more than {LIMITS.nesting} levels",
                f"{LIMITS.nesting} levels",
                "Split it into several decisions.",
            )

    # -- the Pratt loop

    def expression(self, power: int = 0) -> Node:
        self.deeper()
        left = self.prefix()
        chain = 0
        while (following := self.infix(left, power)) is not None:
            left, chain = following, chain + 1
            if chain > LIMITS.chain:
                raise fail(
                    "the expression has too many operators in a row",
                    self.text,
                    left.at,
                    self.where,
                    f"more than {LIMITS.chain}",
                    str(LIMITS.chain),
                    "Use sum([...]) or split it.",
                )
        self.depth -= 1
        return left

    def infix(self, left: Node, power: int) -> Node | None:
        """One operator that binds tighter than `power`, applied to `left`; None when there is none."""
        token = self.token
        text = token.text
        if token.kind in ("number", "string", "end", "name"):
            return None
        if text in _BINARY:
            binding = _BINARY[text]
            if binding <= power:
                return None
            self.at += 1
            return (
                self.logic(text, left, token)
                if binding < _COMPARISON
                else self.arithmetic(text, left, token.start, binding)
            )
        if text in _COMPARE or text in ("between", "in"):
            return self.comparison(left, token) if power < _COMPARISON else None
        if power >= _POSTFIX:
            return None
        if text == "instance":
            return self.instance_of(left)
        if text == "(":
            return self.call(left)
        if text == "[":
            return None if ends_range(self.tokens, self.at) else self.filter(left)
        if text == ".":
            return self.path(left)
        return None

    def arithmetic(self, op: str, left: Node, at: int, binding: int) -> Node:
        right = self.expression(binding)
        kind, mistake = check.arithmetic(op, left.type, right.type)
        self.mistake(mistake, at)
        return Arithmetic(kind, at, op, left, right)

    def logic(self, op: str, left: Node, token: Token) -> Node:
        kind: type[And] | type[Or] = And if op == "and" else Or
        parts = [left]
        while True:
            parts.append(self.expression(_BINARY[op]))
            if not self.takes(op):
                break
        for part in parts:
            self.mistake(check.logic(part.type), part.at)
        return kind(BOOLEAN, token.start, tuple(parts))

    def comparison(self, left: Node, token: Token) -> Node:
        self.at += 1
        if token.text == "between":
            low = self.expression(_COMPARISON)
            self.expects("and", " between the two bounds")
            high = self.expression(_COMPARISON)
            for bound in (low, high):
                self.mistake(check.order(left.type, bound.type), bound.at)
            return Between(BOOLEAN, token.start, left, low, high)
        if token.text == "in":
            return self.membership(left, token)
        right = self.expression(_COMPARISON)
        rule = check.equality if token.text in ("=", "!=") else check.order
        self.mistake(rule(left.type, right.type), token.start)
        return Compare(BOOLEAN, token.start, token.text, left, right)

    def membership(self, left: Node, token: Token) -> Node:
        """`x in test` and `x in (test, test)`: the tests see the value as a variable of its own."""
        outer, self.scope = self.scope, self.scope.inner()
        variable = self.scope.bind("?", left.type)
        if self.sees("(") and self.is_test_list():
            self.at += 1
            test = self.positive_tests(variable)
            self.expects(")", " after the tests")
        else:
            test = self.positive_test(variable, _COMPARISON)
        self.scope = outer
        return In(BOOLEAN, token.start, left, variable.slot, test)

    def is_test_list(self) -> bool:
        """Is the '(' ahead the start of `(test, test)`, or of a range such as `(1..5)`, `(1+2)*3`?"""
        end, is_range = closing(self.tokens, self.at)
        return end >= 0 and not is_range and self.tokens[end + 1].text not in ("+", "-", "*", "/", "**", ".", "[", "(")

    def instance_of(self, left: Node) -> Node:
        at = self.next().start
        self.expects("of", " after 'instance'")
        return InstanceOf(BOOLEAN, at, left, self.type_name())

    # -- what an expression starts with

    def prefix(self) -> Node:
        token = self.token
        if token.kind == "number":
            self.at += 1
            return self.number(token)
        if token.kind == "string":
            self.at += 1
            return Const(STRING, token.start, string_value(token.text))
        if self.asks_list():
            what, allowed = "list() stands after `in`, or alone in a cell of a table", 'device in list("name")'
            raise fail(what, self.text, token.start, self.where, "list(", allowed, "Ask whether a value is on it.")
        if token.kind == "name" or token.text == "?":
            return self.name()
        if token.kind == "keyword":
            return self.keyword(token)
        if token.text == "-":
            self.at += 1
            return self.negate(self.expression(_POSTFIX - 2), token.start)
        if token.text == "(":
            return self.parenthesis()
        if token.text in ("[", "]"):
            return self.list_or_range()
        if token.text == "{":
            return self.context()
        if token.text == "@":
            return self.temporal()
        if token.text in _COMPARE:
            return self.open_range()
        raise self.unexpected("a value, a name, or '('")

    def number(self, token: Token) -> Node:
        try:
            return Const(NUMBER, token.start, number_of(token.text))
        except DecimalException:
            return self.failed(
                "the number is too large", token.start, token.text[:40], "numbers below 1e6145", "Correct the number."
            )

    def failed(self, what: str, at: int, found: str, allowed: str, cure: str) -> Node:
        """A certain mistake: an error when strict, else null with a diagnostic."""
        if self.strict:
            raise fail(what, self.text, at, self.where, found, allowed, cure)
        return Failed(ANY, at, f"{what}; was {found}")

    def several(self, close: str, read: Callable[[], None], what: str) -> None:
        """What `read` reads, none or more times with commas between, and the closing sign."""
        if not self.sees(close):
            read()
            while self.takes(","):
                read()
        self.expects(close, f" to close {what}")

    def negate(self, value: Node, at: int) -> Node:
        if isinstance(value, Const) and value.type == NUMBER:
            return Const(NUMBER, at, -value.value)  # type: ignore[operator]
        kind = check.unwrapped(value.type)
        if kind not in (NUMBER, ANY, NULL) and kind not in DURATIONS:
            self.mistake(f"cannot negate {kind}", at)
            kind = ANY
        return Negate(kind, at, value)


def parse(
    text: str,
    scope: Scope | Mapping[str, FeelType],
    where: str = "",
    strict: bool = True,
    types: Mapping[str, FeelType] | None = None,
) -> Node:
    """The checked tree of one expression.

    Parameters
    ----------
    text : FEEL
    scope : names and their types, or a Scope
    where : name of the expression, for messages
    strict : a certain type mistake or an unknown name is an error
    types : item definitions, for `instance of` and typed parameters

    Raises
    ------
    ExpressionError : where (line and column), found, allowed, cure
    """
    return Parser(text, scope if isinstance(scope, Scope) else Scope.of(scope), where, strict, types).whole()
