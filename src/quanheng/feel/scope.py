"""Which names are known where, and how a run of tokens is resolved to one of them.

FEEL names may hold spaces and the signs `. / - ' + *`. A name is found by the longest run of tokens that spells a
name in scope, so `a-b` is the name `a-b` where one is declared and a subtraction elsewhere.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

from quanheng.feel.lexer import Token, tokens_of
from quanheng.feel.types import ANY, ContextType, FeelType, ListType, held
from quanheng.kernel.errors import ExpressionError


class _AnyName(frozenset[str]):
    """Names that are not at hand, as of a file read outside its pack: none is known to be wrong."""

    def __contains__(self, name: object) -> bool:
        return True


ANY_NAME = _AnyName([""])
"""Lists of a pack that is not at hand."""


class Variable(NamedTuple):
    """A declared name: `slot` identifies it within one compilation."""

    name: str
    slot: int
    type: FeelType
    owner: Variable | None = None
    """Set where the name means an entry of a filter's item."""


@lru_cache(maxsize=20_000)
def spelling(name: str) -> tuple[str, ...]:
    """The tokens of a name; a name that is no run of tokens is one token of its own that no text can spell."""
    try:
        return tuple(token.text for token in tokens_of(name)[:-1])
    except ExpressionError:
        return (name,)


class Spellings:
    """Names by their first token, the longest first."""

    __slots__ = ("_by_first",)

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._by_first: dict[str, list[tuple[tuple[str, ...], str]]] = {}
        for name in names:
            self.add(name)

    def add(self, name: str) -> None:
        parts = spelling(name)
        if parts:
            known = self._by_first.setdefault(parts[0], [])
            if (parts, name) not in known:
                known.append((parts, name))
                known.sort(key=lambda entry: -len(entry[0]))

    def longest(self, tokens: Sequence[Token], at: int) -> tuple[str, int] | None:
        """The longest name that the tokens spell from position `at`, and how many tokens it takes."""
        for parts, name in self._by_first.get(tokens[at].text, ()):
            if len(parts) == 1 or tuple(token.text for token in tokens[at : at + len(parts)]) == parts:
                return name, len(parts)
        return None


class Scope:
    """A level of names. Levels are nested; all levels of one compilation share the counter of slots."""

    def __init__(self, parent: Scope | None = None) -> None:
        self.parent = parent
        self.variables: dict[str, Variable] = {}
        self.spellings = Spellings()
        self.item: Variable | None = None
        """Set in a filter whose items have an unknown type: any name may be an entry of the item."""
        self._counter: list[int] = parent._counter if parent else [0]
        self.members: Spellings = parent.members if parent else Spellings()
        """Names of entries seen anywhere in the model: they help to read `a.first name` where a has no known type."""
        self._remembered: dict[int, ContextType] = parent._remembered if parent else {}
        """Types whose entries are among `members`, by identity: types share parts, each is looked through once."""
        self.lists: Collection[str] | None = parent.lists if parent else None
        """Names that `list("name")` may ask for; None where that extension is not known."""

    @classmethod
    def of(cls, names: Mapping[str, FeelType] | Iterable[str]) -> Scope:
        """A scope of variables in slots 0, 1, 2 ... in the order given."""
        scope = cls()
        pairs = names.items() if isinstance(names, Mapping) else ((name, ANY) for name in names)
        for name, kind in pairs:
            scope.bind(name, kind)
        return scope

    def new_slot(self) -> int:
        """A slot that no other variable of this compilation has."""
        self._counter[0] += 1
        return self._counter[0] - 1

    def bind(self, name: str, kind: FeelType, slot: int | None = None) -> Variable:
        """Declare a name on this level; an earlier one of the same name on this level is replaced."""
        kind = held(kind)
        variable = Variable(name, self.new_slot() if slot is None else slot, kind)
        self.variables[name] = variable
        self.spellings.add(name)
        self.remember(kind)
        return variable

    def remember(self, kind: FeelType) -> None:
        """Keep the names of entries of `kind` for reading values whose type is unknown."""
        while isinstance(kind, ListType):
            kind = kind.item
        if isinstance(kind, ContextType) and id(kind) not in self._remembered:
            self._remembered[id(kind)] = kind
            for name, inner in kind.fields:
                self.members.add(name)
                self.remember(inner)

    def bind_entry(self, name: str, kind: FeelType, owner: Variable) -> None:
        """Let `name` mean the entry of `owner`, also where it is `item`."""
        if name != "?":
            self.variables[name] = Variable(name, -1, kind, owner)
            self.spellings.add(name)

    def inner(self) -> Scope:
        return Scope(self)

    def levels(self) -> Iterable[Scope]:
        level: Scope | None = self
        while level is not None:
            yield level
            level = level.parent

    def find(self, name: str) -> Variable | None:
        """The innermost variable of that exact name."""
        for level in self.levels():
            if name in level.variables:
                return level.variables[name]
        return None

    def names(self) -> list[str]:
        """Every name that can be read here, for messages."""
        return sorted({name for level in self.levels() for name in level.variables if name != "?"})
