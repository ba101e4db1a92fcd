"""The checked tree. Each node knows its static type and `at`, the offset in the text it comes from.

Names are resolved: a `Name` carries the slot of the variable it means, so the compiler and the judge never look a
name up. A unary test is an ordinary tree over the variable `?`. Nodes are immutable; `walk` visits all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

from quanheng.feel.types import ANY, FeelType


@dataclass(frozen=True, slots=True)
class Node:
    """Base of all nodes."""

    type: FeelType
    at: int


@dataclass(frozen=True, slots=True)
class Const(Node):
    """A literal; `value` is immutable."""

    value: object


@dataclass(frozen=True, slots=True)
class Name(Node):
    """A variable."""

    name: str
    slot: int


@dataclass(frozen=True, slots=True)
class Unknown(Node):
    """A name that nothing declares: null and a diagnostic at run time."""

    name: str


@dataclass(frozen=True, slots=True)
class Failed(Node):
    """A part that can only be null: `cause` is the diagnostic at run time."""

    cause: str


@dataclass(frozen=True, slots=True)
class Member(Node):
    """Inside a filter over items of unknown type: the item's entry `name` if it has one, else `otherwise`."""

    item: Name
    name: str
    otherwise: Node


@dataclass(frozen=True, slots=True)
class Builtin(Node):
    """A function of the standard."""

    name: str


@dataclass(frozen=True, slots=True)
class ListOf(Node):
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class ContextOf(Node):
    """`slots[i]` holds entry i while later entries are computed."""

    keys: tuple[str, ...]
    slots: tuple[int, ...]
    values: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class RangeOf(Node):
    """An open end has a None node (`< 5` as a value); `point` is `=` or `!=` where `low` is all the range speaks of."""

    low: Node | None
    low_closed: bool
    high: Node | None
    high_closed: bool
    point: str = ""


@dataclass(frozen=True, slots=True)
class Negate(Node):
    value: Node


@dataclass(frozen=True, slots=True)
class Arithmetic(Node):
    """`op` is one of + - * / **."""

    op: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Compare(Node):
    """`op` is one of = != < <= > >=."""

    op: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class And(Node):
    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Or(Node):
    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Not(Node):
    value: Node


@dataclass(frozen=True, slots=True)
class Between(Node):
    value: Node
    low: Node
    high: Node


@dataclass(frozen=True, slots=True)
class Test(Node):
    """`value` against a value of a kind known at run time: a range or list holds it, another value equals it."""

    value: Node
    against: Node


@dataclass(frozen=True, slots=True)
class In(Node):
    """Binds `value` to `slot`; `test` is a tree over it."""

    value: Node
    slot: int
    test: Node


@dataclass(frozen=True, slots=True)
class Let(Node):
    """`result` with `slots[i]` set to `values[i]`, in order; a later value reads the earlier ones."""

    slots: tuple[int, ...]
    values: tuple[Node, ...]
    result: Node


@dataclass(frozen=True, slots=True)
class If(Node):
    condition: Node
    then: Node
    otherwise: Node


@dataclass(frozen=True, slots=True)
class Iterator_(Node):
    """One variable of a loop: over a list, or from `source` to `to`."""

    slot: int
    source: Node
    to: Node | None


@dataclass(frozen=True, slots=True)
class For(Node):
    """`partial` is the slot of the results so far, None where the body does not ask for them.

    `copied` is False where the body only reads single items or sums of them: it needs no list of its own then.
    """

    iterators: tuple[Iterator_, ...]
    body: Node
    partial: int | None
    copied: bool = False


@dataclass(frozen=True, slots=True)
class Quantified(Node):
    """`every` is False for `some`."""

    every: bool
    iterators: tuple[Iterator_, ...]
    body: Node


@dataclass(frozen=True, slots=True)
class Path(Node):
    base: Node
    name: str


@dataclass(frozen=True, slots=True)
class Filter(Node):
    """`slot` holds the item; `by_position` is True, False, or None where only run time can tell."""

    base: Node
    slot: int
    predicate: Node
    by_position: bool | None


@dataclass(frozen=True, slots=True)
class Call(Node):
    """`names` are given for a call with named arguments."""

    function: Node
    arguments: tuple[Node, ...]
    names: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class FunctionOf(Node):
    parameters: tuple[str, ...]
    slots: tuple[int, ...]
    kinds: tuple[FeelType, ...]
    body: Node


@dataclass(frozen=True, slots=True)
class InstanceOf(Node):
    value: Node
    kind: FeelType


@dataclass(frozen=True, slots=True)
class Listed(Node):
    """Is a value on the pack's list `name`? An extension of the standard."""

    value: Node
    name: str


@dataclass(frozen=True, slots=True)
class Cast(Node):
    """A value that must be of `type`: converted, or null with a diagnostic that calls it `name`."""

    value: Node
    name: str


@dataclass(frozen=True, slots=True)
class Sourced(Node):
    """A tree that comes from a text of its own: places in it are places in `text`."""

    value: Node
    name: str
    text: str


_PARTS: dict[type[Node], tuple[str, ...]] = {}
"""Fields of each kind of node that may hold nodes."""


def children(node: Node) -> Iterator[Node]:
    """Direct parts of a node, in order of evaluation."""
    cls = type(node)
    names = _PARTS.get(cls)
    if names is None:
        names = _PARTS[cls] = tuple(field.name for field in fields(node) if field.name not in ("type", "at"))
    for name in names:
        part = getattr(node, name)
        if isinstance(part, Node):
            yield part
        elif isinstance(part, tuple):
            yield from (one for one in part if isinstance(one, Node))


def walk(node: Node) -> Iterator[Node]:
    """A node and everything below it; no recursion, so depth does not matter."""
    waiting = [node]
    while waiting:
        current = waiting.pop()
        yield current
        waiting.extend(children(current))


def uses(node: Node, slot: int) -> bool:
    """True when the tree reads the variable in `slot`."""
    return any(isinstance(part, Name) and part.slot == slot for part in walk(node))


def spans(node: Test) -> bool:
    """True where the test is a range that is written out, which is null where an end is."""
    return isinstance(node.against, RangeOf)


_READERS = frozenset({"count", "sum", "min", "max", "mean", "median", "product", "stddev", "list contains"})


def keeps(node: Node, slot: int) -> bool:
    """False when the tree only reads single items of the list in `slot`, or numbers made of them."""
    if isinstance(node, Name):
        return node.slot == slot
    if isinstance(node, FunctionOf):
        return uses(node, slot)
    if isinstance(node, Filter) and node.by_position and isinstance(node.base, Name):
        return keeps(node.predicate, slot)
    if isinstance(node, Call) and isinstance(node.function, Builtin) and node.function.name in _READERS:
        return any(keeps(one, slot) for one in node.arguments if not isinstance(one, Name))
    return any(keeps(one, slot) for one in children(node))


NULL_NODE = Const(ANY, 0, None)
