"""ZEN, the expression language of GoRules, to a small tree. What FEEL cannot say is refused with its name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

from quanheng.kernel.errors import ExpressionError

DEPTH_MAX = 60
_TOKEN = re.compile(
    r"""(?P<space>\s+)
    |(?P<number>\d[\d_]*(?:\.\d+)?(?:[eE][+-]?\d+)?)
    |(?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    |(?P<template>`[^`]*`)
    |(?P<name>\$root\b|\$|[A-Za-z_][A-Za-z0-9_]*)
    |(?P<op>\?\?|==|!=|<=|>=|\.\.|[-+*/%^()\[\]{},:.<>?!\#])""",
    re.VERBOSE,
)
_WORDS = frozenset({"and", "or", "not", "in", "true", "false", "null"})
_COMPARE = ("==", "!=", "<", "<=", ">", ">=")
_BINARY = ("or", "and")


class Token(NamedTuple):
    """kind is number, string, template, name, word, op or end; `at` its offset in the text."""

    kind: str
    text: str
    at: int


@dataclass(frozen=True, slots=True)
class Node:
    """`kind` says what the rest means; see `Parser`."""

    kind: str
    text: str = ""
    parts: tuple[Node, ...] = ()


SUBJECT = Node("subject")


def fail(what: str, text: str, at: int, cure: str = "") -> ExpressionError:
    """A mistake, or a construct that is not taken over, with its place; the caller raises it."""
    return ExpressionError(what, where=f"column {at + 1}", found=repr(text[at : at + 30]), cure=cure)


def tokens_of(text: str) -> list[Token]:
    """All tokens, an `end` token last."""
    found: list[Token] = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise fail("a character that ZEN does not know", text, at)
        kind, part = match.lastgroup or "", match.group()
        if kind != "space":
            found.append(Token("word" if part in _WORDS else kind, part, at))
        at = match.end()
    return [*found, Token("end", "", at)]


class Parser:
    """One use per text. Nodes: number, string, word, list, object (parts key, value, …), path (text "a.b"), subject,
    own (`$.a`), item (`#`), index, range (text "[)" …), if, call, method, negate, not, and operators by their signs."""

    def __init__(self, text: str, subject: bool = False) -> None:
        self.text, self.tokens, self.at, self.depth = text, tokens_of(text), 0, 0
        self.subject = subject
        """`$` alone means the value that a column tests."""

    @property
    def token(self) -> Token:
        return self.tokens[self.at]

    def sees(self, *texts: str) -> bool:
        return self.token.kind in ("op", "word") and self.token.text in texts

    def takes(self, *texts: str) -> bool:
        if self.sees(*texts):
            self.at += 1
            return True
        return False

    def expects(self, text: str) -> None:
        if not self.takes(text):
            raise self.unexpected(repr(text))

    def unexpected(self, wanted: str) -> ExpressionError:
        return fail(f"the expression does not parse: {wanted} was expected", self.text, self.token.at)

    def whole(self) -> Node:
        """One expression."""
        node = self.expression()
        if self.token.kind != "end":
            raise self.unexpected("the end of the expression")
        return node

    # -- one cell of an input column

    def tests(self) -> list[Node]:
        """A unary test: alternatives joined by commas; with `$` in it, one condition."""
        if any(one.text == "$" for one in self.tokens):
            return [self.whole()]
        found = [self.either()]
        while self.takes(","):
            found.append(self.either())
        if self.token.kind != "end":
            raise self.unexpected("',' and a further test, or the end of the cell")
        return found

    def either(self) -> Node:
        node = self.both()
        while self.takes("or"):
            node = Node("or", "", (node, self.both()))
        return node

    def both(self) -> Node:
        node = self.test()
        while self.takes("and"):
            node = Node("and", "", (node, self.test()))
        return node

    def test(self) -> Node:
        """`> 5`, `[1..5]`, `"a"`, `in [1, 2]`, `not in [1, 2]`."""
        for op in _COMPARE:
            if self.takes(op):
                return Node(op, "", (SUBJECT, self.sum()))
        if self.takes("in"):
            return Node("in", "", (SUBJECT, self.sum()))
        if self.sees("not") and self.tokens[self.at + 1].text == "in":
            self.at += 2
            return Node("not", "", (Node("in", "", (SUBJECT, self.sum())),))
        node = self.sum()
        if node.kind in ("range", "list"):
            return Node("in", "", (SUBJECT, node))
        if node.kind in ("not", "if"):
            raise fail("the cell is no plain test", self.text, 0, "Write the condition with $.")
        return Node("==", "", (SUBJECT, node))

    # -- expressions, from loose to tight

    def expression(self) -> Node:
        self.depth += 1
        if self.depth > DEPTH_MAX:
            raise fail("the expression is nested too deeply", self.text, self.token.at, "Split it.")
        node = self.level(0)
        if self.takes("?"):
            then = self.expression()
            self.expects(":")
            node = Node("if", "", (node, then, self.expression()))
        self.depth -= 1
        return node

    def level(self, depth: int) -> Node:
        if depth == len(_BINARY):
            return self.comparison()
        node = self.level(depth + 1)
        while self.takes(_BINARY[depth]):
            node = Node(_BINARY[depth], "", (node, self.level(depth + 1)))
        return node

    def comparison(self) -> Node:
        node = self.sum()
        while True:
            negated = self.sees("not") and self.tokens[self.at + 1].text == "in"
            if self.sees(*_COMPARE):
                op = self.token.text
                self.at += 1
                node = Node(op, "", (node, self.sum()))
            elif negated or self.sees("in"):
                self.at += 1 + negated
                inner = Node("in", "", (node, self.sum()))
                node = Node("not", "", (inner,)) if negated else inner
            else:
                return node

    def sum(self) -> Node:
        node = self.product()
        while self.sees("+", "-"):
            op = self.token.text
            self.at += 1
            node = Node(op, "", (node, self.product()))
        return node

    def product(self) -> Node:
        node = self.power()
        while self.sees("*", "/", "%"):
            op = self.token.text
            self.at += 1
            node = Node(op, "", (node, self.power()))
        return node

    def power(self) -> Node:
        node = self.unary()
        while self.takes("??"):  # Binds tighter than every operator of arithmetic.
            node = Node("??", "", (node, self.unary()))
        return Node("^", "", (node, self.power())) if self.takes("^") else node

    def unary(self) -> Node:
        if self.takes("-"):
            return Node("negate", "", (self.unary(),))
        if self.takes("!"):
            return Node("not", "", (self.unary(),))
        if self.takes("not"):
            return Node("not", "", (self.comparison(),))
        return self.postfix(self.primary())

    # -- values and what follows them

    def primary(self) -> Node:
        token = self.token
        self.at += 1
        if token.kind in ("number", "string"):
            return Node(token.kind, token.text)
        if token.kind == "word" and token.text in ("true", "false", "null"):
            return Node("word", token.text)
        if token.kind == "template":
            raise fail("a template string is not taken over", self.text, token.at, "Join the parts with +.")
        if token.text == "#":
            return Node("item")
        if token.kind == "name":
            return self.name(token)
        if token.text in ("[", "(", "]"):
            return self.bracket(token.text)
        if token.text == "{":
            return self.object()
        self.at -= 1
        raise self.unexpected("a value")

    def name(self, token: Token) -> Node:
        if token.text == "$root":
            raise fail("$root is not taken over", self.text, token.at, "Name the fields.")
        if token.text == "$":
            return SUBJECT if self.subject else Node("own")
        if self.takes("("):
            return Node("call", token.text, self.arguments())
        return Node("path", token.text)

    def arguments(self) -> tuple[Node, ...]:
        found: list[Node] = []
        while not self.sees(")"):
            found.append(self.expression())
            if not self.takes(","):
                break
        self.expects(")")
        return tuple(found)

    def bracket(self, opened: str) -> Node:
        """A list, a range, or an expression in parentheses."""
        if opened == "]":
            cure = "Write (a..b) for a range without its ends."
            raise fail("a range that begins with ] is not taken over", self.text, self.tokens[self.at - 1].at, cure)
        if opened == "[" and self.takes("]"):
            return Node("list")
        first = self.expression()
        if self.takes(".."):
            last = self.expression()
            closed = self.token.text
            if not self.takes("]", ")"):
                raise self.unexpected("the end of the range")
            return Node("range", ("[" if opened == "[" else "(") + ("]" if closed == "]" else ")"), (first, last))
        if opened == "(":
            self.expects(")")
            return first
        items = [first]
        while self.takes(","):
            items.append(self.expression())
        self.expects("]")
        return Node("list", "", tuple(items))

    def object(self) -> Node:
        parts: list[Node] = []
        while not self.sees("}"):
            token = self.token
            if token.kind not in ("name", "string"):
                raise self.unexpected("the name of an entry")
            self.at += 1
            self.expects(":")
            parts += [Node("string", token.text if token.kind == "string" else f'"{token.text}"'), self.expression()]
            if not self.takes(","):
                break
        self.expects("}")
        return Node("object", "", tuple(parts))

    def postfix(self, node: Node) -> Node:
        while True:
            if self.takes("."):
                token = self.token
                if token.kind not in ("name", "word"):
                    raise self.unexpected("a name")
                self.at += 1
                if self.takes("("):
                    node = Node("method", token.text, (node, *self.arguments()))
                elif node.kind in ("path", "own"):
                    node = Node(node.kind, f"{node.text}.{token.text}".lstrip("."))
                else:
                    node = Node("member", token.text, (node,))
            elif self.takes("["):
                node = Node("index", "", (node, self.expression()))
                self.expects("]")
            else:
                return node
