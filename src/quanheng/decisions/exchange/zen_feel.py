"""Trees of ZEN as FEEL text that gives the same where ZEN gives an answer; where ZEN fails, FEEL gives null."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from quanheng.decisions.exchange.zen_parse import SUBJECT, Node, Parser, fail
from quanheng.feel.lexer import KEYWORDS
from quanheng.feel.literals import text_literal

LOOSE, OR, AND, COMPARE, SUM, PRODUCT, POWER, ATOM = range(8)
_LEVELS = {"or": OR, "and": AND, "+": SUM, "-": SUM, "*": PRODUCT, "/": PRODUCT, "^": POWER}
_SIGNS = {"==": "=", "^": "**"}
_COMPARE = ("==", "!=", "<", "<=", ">", ">=")
_FUNCTIONS = {
    "abs": "abs", "floor": "floor", "ceil": "ceiling", "upper": "upper case", "lower": "lower case", "sum": "sum",
    "min": "min", "max": "max", "avg": "mean", "median": "median", "startsWith": "starts with", "endsWith": "ends with",
    "string": "string", "d": "date and time", "number": "number",
}  # fmt: skip
_FIELDS = frozenset({"year", "month", "day", "hour", "minute", "second"})
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_LITERALS = ("number", "string", "word")


class Feel(NamedTuple):
    """A text and how tightly it holds together; `kind` is "list" or "string" where that is certain."""

    text: str
    level: int = ATOM
    kind: str = ""

    def at(self, level: int) -> str:
        """The text as an operand of that level."""
        return self.text if self.level >= level else f"({self.text})"


Resolve = Callable[[tuple[str, ...]], Feel]


def string_of(text: str) -> str:
    """The value of a string literal of ZEN."""
    return _ESCAPE.sub(lambda found: {"n": "\n", "t": "\t", "r": "\r"}.get(found[1], found[1]), text[1:-1])


class Translator:
    """`resolve` gives the FEEL of a path of the context; `own` that of `$.a`, entries of the same node."""

    def __init__(self, resolve: Resolve, own: Resolve | None = None) -> None:
        self.resolve, self.own = resolve, own
        self.text = ""
        self._items: list[str] = []

    def expression(self, text: str) -> Feel:
        """A standard expression."""
        self.text = text
        return self.feel(Parser(text).whole())

    def cell(self, text: str) -> tuple[str, set[str]]:
        """A unary test as a cell of a decision table, and the kinds of what the value is compared with."""
        self.text = text
        tests = Parser(text, subject=True).tests()
        alone = len(tests) == 1
        return ", ".join(self.test(one, alone) for one in tests), {kind for one in tests for kind in _kinds(one)}

    def test(self, node: Node, alone: bool) -> str:
        """One alternative of a cell, in the short form where FEEL has one."""
        if node.kind == "in" and node.parts[0] is SUBJECT:
            return self.members(node.parts[1])
        if node.kind == "not" and alone and node.parts[0].kind == "in" and node.parts[0].parts[0] is SUBJECT:
            return f"not({self.members(node.parts[0].parts[1])})"
        if node.kind in _COMPARE and node.parts[0] is SUBJECT:
            right = node.parts[1]
            if node.kind not in ("==", "!=") or _literal(right):
                value = self.feel(right).at(SUM)
                return value if node.kind == "==" else f"{node.kind} {value}"
        return self.feel(node).text

    def members(self, node: Node) -> str:
        if node.kind in ("list", "range") and "date" in _kind(node):
            cure = "Write >= d(…) and <= d(…)."
            raise fail("a range or list of dates is not taken over: ZEN does not compare them", self.text, 0, cure)
        if node.kind == "list" and node.parts and all(map(_literal, node.parts)):
            return ", ".join(self.feel(one).text for one in node.parts)
        return self.feel(node).text if node.kind in ("list", "range") else f"list contains({self.feel(node).text}, ?)"

    # -- any node

    def feel(self, node: Node) -> Feel:
        parts = node.parts
        if node.kind in _LITERALS:
            return Feel(self.literal(node), ATOM, "string" if node.kind == "string" else "")
        if node.kind == "subject":
            return Feel("?")
        if node.kind == "path":
            return self.resolve(tuple(node.text.split(".")))
        if node.kind == "own":
            if self.own is None or not node.text:
                raise fail("$ is not taken over here", self.text, self.text.find("$"), "Name the fields.")
            return self.own(tuple(node.text.split(".")))
        if node.kind == "item":
            if not self._items:
                raise fail("# stands outside of a function that has items", self.text, self.text.find("#"))
            return Feel(self._items[-1])
        if node.kind in ("and", "or", "+", "-", "*", "/", "^"):
            level = _LEVELS[node.kind]
            left, right = self.feel(parts[0]).at(level + (node.kind == "^")), self.feel(parts[1]).at(level + 1)
            return Feel(f"{left} {_SIGNS.get(node.kind, node.kind)} {right}", level)
        if node.kind in _COMPARE:
            return self.comparison(node)
        rule: Callable[[Node], Feel] = getattr(self, f"_{_NAMED.get(node.kind, node.kind)}")
        return rule(node)

    @staticmethod
    def literal(node: Node) -> str:
        if node.kind == "string":
            return text_literal(string_of(node.text))
        return node.text.replace("_", "") if node.kind == "number" else node.text

    def comparison(self, node: Node) -> Feel:
        left, right = (self.feel(part) for part in node.parts)
        if node.kind == "!=" and not any(map(_literal, node.parts)):
            # Values of two kinds differ in ZEN; FEEL says null to such a comparison, which is not true either.
            return Feel(f"({left.at(SUM)} = {right.at(SUM)}) != true", COMPARE)
        return Feel(f"{left.at(SUM)} {_SIGNS.get(node.kind, node.kind)} {right.at(SUM)}", COMPARE)

    def _list(self, node: Node) -> Feel:
        return Feel(f"[{', '.join(self.feel(part).text for part in node.parts)}]", ATOM, "list")

    def _object(self, node: Node) -> Feel:
        pairs = zip(node.parts[::2], node.parts[1::2], strict=True)
        return Feel(f"{{{', '.join(f'{self.feel(key).text}: {self.feel(value).text}' for key, value in pairs)}}}")

    def _range(self, node: Node) -> Feel:
        low, high = (self.feel(part).at(SUM) for part in node.parts)
        return Feel(f"{node.text[0]}{low}..{high}{node.text[1]}")

    def _in(self, node: Node) -> Feel:
        left, right = node.parts
        if right.kind in ("list", "range"):
            return Feel(f"{self.feel(left).at(SUM)} in {self.feel(right).text}", COMPARE)
        return Feel(f"list contains({self.feel(right).text}, {self.feel(left).text})")

    def _not(self, node: Node) -> Feel:
        inner = self.feel(node.parts[0])
        return Feel(f"({inner.text}) != true", COMPARE) if inner.level == COMPARE else Feel(f"not({inner.text})")

    def _negate(self, node: Node) -> Feel:
        return Feel(f"-{self.feel(node.parts[0]).at(ATOM)}", POWER)

    def _if(self, node: Node) -> Feel:
        condition, then, otherwise = (self.feel(part) for part in node.parts)
        return Feel(f"if {condition.text} then {then.at(OR)} else {otherwise.text}", LOOSE)

    def _otherwise(self, node: Node) -> Feel:
        first, second = (self.feel(part) for part in node.parts)
        return Feel(f"if {first.at(SUM)} != null then {first.at(OR)} else {second.text}", LOOSE)

    def _remainder(self, node: Node) -> Feel:
        """The remainder has the sign of the dividend; modulo() of FEEL that of the divisor."""
        a, b = (self.feel(part).at(ATOM) for part in node.parts)
        return Feel(f"(if {a} < 0 then -modulo(abs({a}), abs({b})) else modulo({a}, abs({b})))")

    def _index(self, node: Node) -> Feel:
        base, index = node.parts
        if index.kind != "number":
            raise fail("an index that is no number is not taken over", self.text, 0, "Name the entry with a dot.")
        return Feel(f"{self.feel(base).at(ATOM)}[{int(index.text) + 1}]")

    def _member(self, node: Node) -> Feel:
        return Feel(f"{self.feel(node.parts[0]).at(ATOM)}.{node.text}")

    def _method(self, node: Node) -> Feel:
        base = node.parts[0]
        if base.kind == "call" and base.text == "d" and node.text in _FIELDS and len(node.parts) == 1:
            return Feel(f"{self.feel(base).text}.{node.text}")
        raise fail(f"the method {node.text}() is not taken over", self.text, 0, "Write it in FEEL after the import.")

    def _call(self, node: Node) -> Feel:
        name, arguments = node.text, node.parts
        if name in ("map", "filter", "some", "all", "count") and len(arguments) == 2:
            return self.closure(name, *arguments)
        feels = [self.feel(one) for one in arguments]
        told = [one.text for one in feels]
        if (name, len(told)) in (("len", 1), ("contains", 2)):
            return self.of_text_or_list(*(_OF_TEXT_OR_LIST[name]), feels[0], ", ".join(told))
        if name == "round" and 1 <= len(told) <= 2:
            return Feel(f"round half up({told[0]}, {told[1] if len(told) == 2 else 0})")
        if name not in _FUNCTIONS:
            cure = "Write it in FEEL after the import."
            raise fail(f"the function {name}() is not taken over", self.text, max(self.text.find(name), 0), cure)
        return Feel(f"{_FUNCTIONS[name]}({', '.join(told)})")

    def of_text_or_list(self, of_text: str, of_list: str, first: Feel, arguments: str) -> Feel:
        """A function that FEEL has under one name for texts and another for lists."""
        by_kind = {"string": of_text, "list": of_list}
        if first.kind in by_kind:
            return Feel(f"{by_kind[first.kind]}({arguments})")
        return Feel(f"(if {first.text} instance of string then {of_text}({arguments}) else {of_list}({arguments}))")

    def closure(self, name: str, source: Node, body: Node) -> Feel:
        """Functions over the items of a list, `#` being the item."""
        listed = self.feel(source).at(ATOM)
        item = f"each{len(self._items) + 1 if self._items else ''}"
        self._items.append(item)
        inner = self.feel(body)
        self._items.pop()
        if name == "map":
            return Feel(f"for {item} in {listed} return {inner.text}", LOOSE, "list")
        if name in ("some", "all"):
            return Feel(f"{'some' if name == 'some' else 'every'} {item} in {listed} satisfies {inner.text}", LOOSE)
        kept = f"for {item} in {listed} return if {inner.text} then [{item}] else []"
        kept = f"flatten({kept})"
        return Feel(f"count({kept})") if name == "count" else Feel(kept, ATOM, "list")


_OF_TEXT_OR_LIST = {"len": ("string length", "count"), "contains": ("contains", "list contains")}
_NAMED = {"??": "otherwise", "%": "remainder"}


def _literal(node: Node) -> bool:
    return node.kind in _LITERALS or (node.kind == "negate" and _literal(node.parts[0]))


def _kinds(node: Node) -> Sequence[str]:
    """The kinds of what `$` is compared with in a test: number, string, boolean, date, other."""
    if node.kind in ("and", "or", "not"):
        return [kind for part in node.parts for kind in _kinds(part)]
    if node.kind in ("in", *_COMPARE) and SUBJECT in node.parts:
        return [kind for part in node.parts if part is not SUBJECT for kind in _kind(part)]
    return ["other"]


def _kind(node: Node) -> list[str]:
    if node.kind in ("list", "range"):
        return [kind for part in node.parts for kind in _kind(part)]
    if node.kind == "negate":
        return _kind(node.parts[0])
    if node.kind == "call" and node.text == "d":
        return ["date"]
    if node.kind == "word":
        return [] if node.text == "null" else ["boolean"]
    return [node.kind if node.kind in ("number", "string") else "other"]


def is_name(text: str) -> bool:
    """A name that FEEL reads as one name."""
    return re.fullmatch(r"[A-Za-z_]\w*", text) is not None and text not in KEYWORDS
