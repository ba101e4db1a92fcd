"""Item definitions as types, and their allowed values as tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from quanheng.decisions.dmn.model import Definitions, Element, ItemDefinition
from quanheng.feel import tree
from quanheng.feel.limits import LIMITS
from quanheng.feel.parser import Parser
from quanheng.feel.scope import Scope
from quanheng.feel.types import ANY, BY_NAME, ContextType, FeelType, FunctionType, ListType, is_vast
from quanheng.kernel.errors import ExpressionError, Problem


@dataclass(frozen=True, slots=True)
class Constraint:
    """What a value of a declared type must satisfy beyond its kind.

    `test` is a tree over the variable in `slot`. `each` holds for every item of a collection, `entries` for entries of
    a structure. `text` is the test as the author wrote it.
    """

    text: str = ""
    slot: int = -1
    test: tree.Node | None = None
    each: Constraint | None = None
    entries: tuple[tuple[str, Constraint], ...] = ()


class TypeTable:
    """All item definitions of a model by name."""

    def __init__(
        self,
        definitions: Definitions,
        problems: list[Problem],
        scope: Scope,
        strict: bool,
        imported: Mapping[str, TypeTable] = {},
    ) -> None:
        """`imported` are the tables of imported models, by the name of the import."""
        self.where, self.problems, self.scope, self.strict = definitions.where, problems, scope, strict
        self._items = {item.name: item for item in definitions.items if item.name}  # No reference means a nameless one.
        self._open: set[str] = set()
        self._done: set[str] = set()
        self.known: dict[str, FeelType] = {}
        self.constraints: dict[str, Constraint] = {}
        for prefix, table in imported.items():
            for own in table._items:
                title = f"{prefix}.{own}" if prefix else own
                self.known[title] = table.named(own)
                if own in table.constraints:
                    self.constraints[title] = table.constraints[own]
        for name in self._items:
            self.named(name)

    def problem(self, element: Element, message: str, found: str, known: str, cure: str) -> None:
        problem = Problem(self.where, f"line {element.at}, {element.name}", message, found, known, cure)
        if problem not in self.problems:
            self.problems.append(problem)

    @staticmethod
    def plain(reference: str) -> str:
        """A reference without the prefix of the FEEL namespace."""
        prefix, _, rest = reference.partition(":")
        return rest if rest and prefix == "feel" else reference

    def resolve(self, reference: str, element: Element) -> FeelType:
        """The type a `typeRef` means; no reference means Any."""
        name = self.plain(reference.strip())
        if not name:
            return ANY
        if name in self._items:
            return self.named(name)
        if name in self.known:
            return self.known[name]
        if name in BY_NAME:
            return BY_NAME[name]
        rest = name.partition(":")[2]
        if rest in self._items or rest in BY_NAME:
            return self.resolve(rest, element)
        self.problem(element, "a type is not known", repr(reference), ", ".join([*BY_NAME, *self._items]),
                     "Declare it as an item definition, or correct its name.")  # fmt: skip
        return ANY

    def constraint(self, reference: str) -> Constraint | None:
        """What a value of a declared type must satisfy beyond its kind."""
        name = self.plain(reference.strip())
        return self.constraints.get(name if name in self.known else name.partition(":")[2])

    def named(self, name: str) -> FeelType:
        if name in self._done:
            return self.known[name]
        if name in self._open:
            return ANY
        self._open.add(name)
        kind, constraint = self.definition(self._items[name])
        if is_vast(kind):
            most = f"{LIMITS.type_parts} parts and {LIMITS.type_levels} levels"
            self.problem(self._items[name], "the type is too large, written out", str(kind)[:60], most, "Split it.")
            kind, constraint = ANY, None
        self._open.discard(name)
        self._done.add(name)
        self.known[name] = kind
        if constraint is not None:
            self.constraints[name] = constraint
        return kind

    def definition(self, item: ItemDefinition) -> tuple[FeelType, Constraint | None]:
        constraint: Constraint | None = None
        kind: FeelType
        if item.parameters is not None:
            kind = FunctionType(
                tuple((n, self.resolve(t, item)) for n, t in item.parameters), self.resolve(item.type_ref, item)
            )
        elif item.components:
            parts = [(component.name, *self.definition(component)) for component in item.components]
            kind = ContextType(tuple((name, part) for name, part, _ in parts))
            entries = tuple((name, inner) for name, _, inner in parts if inner is not None)
            constraint = Constraint(entries=entries) if entries else None
        else:
            kind, constraint = self.resolve(item.type_ref, item), self.constraint(item.type_ref)
        if item.allowed:
            own = self.test(item, item.allowed, kind.item if isinstance(kind, ListType) else kind)
            if isinstance(kind, ListType) and not item.collection and own is not None:
                own = Constraint(each=own)
            constraint = self.joined(constraint, own)
        if item.collection:
            kind = ListType(kind)
            constraint = Constraint(each=constraint) if constraint is not None else None
        if item.allowed_type:
            constraint = self.joined(constraint, self.test(item, item.allowed_type, kind))
        return kind, constraint

    @staticmethod
    def joined(first: Constraint | None, second: Constraint | None) -> Constraint | None:
        if first is None or second is None:
            return first or second
        if second.test is not None and first.test is None:
            return Constraint(second.text, second.slot, second.test, first.each, first.entries)
        return second

    def test(self, item: ItemDefinition, text: str, kind: FeelType) -> Constraint | None:
        scope = self.scope.inner()
        scope.lists = None  # A type is the same whatever stands on a list.
        variable = scope.bind("?", kind)
        try:
            parser = Parser(text, scope, f"allowed values of {item.name}", self.strict, self.known)
            node = parser.unary_tests(variable)
        except ExpressionError as error:
            self.problem(item, error.what, error.found or text, error.allowed, error.cure)
            return None
        return Constraint(text, variable.slot, tree.Sourced(node.type, 0, node, f"allowed values of {item.name}", text))
