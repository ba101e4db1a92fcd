"""What a name means, and what may follow a value: paths, calls, filters."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from quanheng.feel import check
from quanheng.feel.functions import SIGNATURES, signature_for
from quanheng.feel.scope import Scope, Spellings, Variable
from quanheng.feel.tree import Builtin, Call, Filter, Member, Name, Node, Path, Unknown
from quanheng.feel.types import (
    ANY,
    BOOLEAN,
    FUNCTION,
    NULL,
    NUMBER,
    ContextType,
    FeelType,
    FunctionType,
    ListType,
    entries_open,
)

if TYPE_CHECKING:
    from quanheng.feel.lexer import Token
    from quanheng.kernel.errors import ExpressionError

_BUILTIN_NAMES = Spellings(SIGNATURES)
_PROPERTY_NAMES = Spellings(
    [*check.RANGE_FIELDS, *(name for properties in check.PROPERTIES.values() for name in properties)]
)


class ReferenceParts:
    """Part of the parser; `parser.Parser` holds tokens and the Pratt loop."""

    text: str
    scope: Scope
    tokens: list[Token]
    at: int

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
        def several(self, close: str, read: Callable[[], None], what: str) -> None: ...

    def name(self) -> Node:
        token = self.token
        if token.text in SIGNATURES or token.kind == "name" or token.text == "?":
            node = self.resolved()
            if node is not None:
                return node
        self.at += 1
        item = self.scope_item()
        if item is not None:
            return self.member_of(item, token.text, Unknown(ANY, token.start, token.text), token.start)
        known = self.scope.names()
        self.mistake(
            f"the name {token.text!r} is not known here",
            token.start,
            ", ".join(known[:30]) or "no names",
            "Declare it as an input, or correct its spelling.",
        )
        return Unknown(ANY, token.start, token.text)

    def spelled(self) -> int:
        """How many tokens the longest declared name takes that is spelled here."""
        hits = (level.spellings.longest(self.tokens, self.at) for level in self.scope.levels())
        return max((hit[1] for hit in hits if hit is not None), default=0)

    def resolved(self) -> Node | None:
        """The longest name in scope that the tokens spell; the innermost of equal length."""
        token = self.token
        best: tuple[int, Variable | None, str] = (0, None, "")
        items: list[Variable] = []
        shadowing: list[Variable] = []
        for level in self.scope.levels():
            hit = level.spellings.longest(self.tokens, self.at)
            if hit is not None and hit[1] > best[0]:
                best = (hit[1], level.variables[hit[0]], hit[0])
                shadowing = list(items)
            if level.item is not None:
                items.append(level.item)
        builtin = _BUILTIN_NAMES.longest(self.tokens, self.at)
        if builtin is not None and builtin[1] > best[0]:
            self.at += builtin[1]
            return Builtin(ANY, token.start, builtin[0])
        if best[1] is None:
            return self.any_member(items)
        self.at += best[0]
        node = self.read(best[1], token.start)
        if any(level.item is best[1] for level in self.scope.levels()):
            shadowing = [best[1]]  # the item of a filter over unknown values: its own entry named "item" goes first
        elif best[2] in ("item", "?"):
            shadowing = []
        for item in reversed(shadowing):
            node = self.member_of(item, best[2], node, token.start)
        return node

    def scope_item(self) -> Variable | None:
        """The item of the innermost filter whose items have an unknown type."""
        return next((level.item for level in self.scope.levels() if level.item), None)

    @staticmethod
    def read(variable: Variable, at: int) -> Node:
        """A variable, or the entry of a filter's item that its name stands for."""
        if variable.owner is not None:
            owner = variable.owner
            return Path(variable.type, at, Name(owner.type, at, owner.name, owner.slot), variable.name)
        return Name(variable.type, at, variable.name, variable.slot)

    def any_member(self, items: list[Variable]) -> Node | None:
        hit = self.scope.members.longest(self.tokens, self.at) if items else None
        if hit is None:
            return None
        at = self.token.start
        self.at += hit[1]
        node: Node = Unknown(ANY, at, hit[0])
        for item in reversed(items):
            node = self.member_of(item, hit[0], node, at)
        return node

    @staticmethod
    def member_of(item: Variable, name: str, otherwise: Node, at: int) -> Node:
        return Member(ANY, at, Name(item.type, at, item.name, item.slot), name, otherwise)

    def path(self, base: Node) -> Node:
        at = self.next().start
        known = Spellings(check.fields_of(base.type)).longest(self.tokens, self.at)
        if (known is None and base.type in (ANY, NULL)) or (
            known is None and isinstance(base.type, (ListType, ContextType))
        ):
            known = self.scope.members.longest(self.tokens, self.at) or _PROPERTY_NAMES.longest(self.tokens, self.at)
        if known is None:
            if self.token.kind not in ("name", "keyword"):
                raise self.unexpected("the name of an entry after '.'")
            known = (self.token.text, 1)
        self.at += known[1]
        kind, mistake = check.path(base.type, known[0])
        self.mistake(mistake, at)
        return Path(kind, at, base, known[0])

    def call(self, function: Node) -> Node:
        at = self.next().start
        names: list[str] = []
        arguments: list[Node] = []

        def argument() -> None:
            name = self.argument_name()
            if bool(name) != bool(names) and arguments:
                raise self.unexpected("either named or positional arguments, not both")
            if name:
                names.append(name)
            arguments.append(self.expression())

        self.several(")", argument, "the arguments")
        kind = self.call_type(function, arguments, names, at)
        return Call(kind, at, function, tuple(arguments), tuple(names) if names else None)

    def argument_name(self) -> str:
        """`name:` ahead, joined from its tokens; empty where the argument is positional."""
        end = self.at
        while self.tokens[end].kind in ("name", "keyword", "number"):
            end += 1
        if end == self.at or self.tokens[end].text != ":":
            return ""
        name = self.text[self.token.start : self.tokens[end - 1].end]
        self.at = end + 1
        return " ".join(name.split())

    def call_type(self, function: Node, arguments: list[Node], names: list[str], at: int) -> FeelType:
        if isinstance(function, Builtin):
            signature, mistake = signature_for(function.name, arguments, names)
            self.mistake(mistake, at, "; ".join(str(one) for one in SIGNATURES[function.name]))
            return signature.result_of([argument.type for argument in arguments], names) if signature else ANY
        if isinstance(function.type, FunctionType) and function.type is not FUNCTION:
            wanted = function.type.parameters
            if len(arguments) != len(wanted):
                self.mistake(f"the function takes {len(wanted)} arguments, {len(arguments)} were given", at)
            return function.type.result
        if function.type not in (ANY, NULL, FUNCTION):
            self.mistake(f"{function.type} is not a function", at)
        return ANY

    def filter(self, base: Node) -> Node:
        at = self.next().start
        outer, self.scope = self.scope, self.scope.inner()
        item_type = base.type.item if isinstance(base.type, ListType) else base.type
        item = self.scope.bind("item", item_type)
        if entries_open(item_type):
            self.scope.item = item
        if isinstance(item_type, ContextType):
            for name, entry_type in item_type.fields:
                self.scope.bind_entry(name, entry_type, item)
        predicate = self.expression()
        self.scope = outer
        self.expects("]", " after the filter")
        kind = check.unwrapped(predicate.type)
        if kind == NUMBER:
            return Filter(item_type, at, base, item.slot, predicate, True)
        if kind == BOOLEAN:
            return Filter(ListType(item_type), at, base, item.slot, predicate, False)
        if kind not in (ANY, NULL):
            self.mistake(f"a filter must be a condition or a position, {kind} is neither", at)
        return Filter(ANY, at, base, item.slot, predicate, None)
