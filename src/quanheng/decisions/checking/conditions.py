"""The test of one cell as a condition on one value: comparisons with constants, joined by and, or, not.

What reads another variable, or calls a function of the value, is `Unclear`: it may be true, false or null.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from quanheng.feel import tree
from quanheng.feel.constants import constant_of
from quanheng.feel.types import BOOLEAN
from quanheng.feel.values import Range

_FLIPPED = {"=": "=", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}


@dataclass(frozen=True, slots=True)
class Condition:
    """Base of all conditions on a value."""


@dataclass(frozen=True, slots=True)
class Always(Condition):
    """The same outcome for every value: True, False or None (null)."""

    outcome: bool | None


@dataclass(frozen=True, slots=True)
class Itself(Condition):
    """The value is the outcome: a boolean."""


@dataclass(frozen=True, slots=True)
class Compared(Condition):
    """The value against a constant; `op` is one of = != < <= > >=."""

    op: str
    constant: object


@dataclass(frozen=True, slots=True)
class Among(Condition):
    """True where one of `parts` is, false elsewhere: a list of values and ranges never gives null."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Both(Condition):
    """`and` of three values."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Either(Condition):
    """`or` of three values."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Opposite(Condition):
    """`not`: null stays null."""

    part: Condition


@dataclass(frozen=True, slots=True)
class Unclear(Condition):
    """Cannot be decided from the value and constants alone; `why` says so in words."""

    why: str


def constants(condition: Condition) -> Iterator[object]:
    """Every constant that a condition compares with."""
    if isinstance(condition, Compared):
        yield condition.constant
    elif isinstance(condition, Among | Both | Either):
        for part in condition.parts:
            yield from constants(part)
    elif isinstance(condition, Opposite):
        yield from constants(condition.part)


def unclear(condition: Condition) -> str:
    """Why a condition cannot be decided; empty when it can."""
    if isinstance(condition, Unclear):
        return condition.why
    if isinstance(condition, Among | Both | Either):
        return next(filter(None, map(unclear, condition.parts)), "")
    return unclear(condition.part) if isinstance(condition, Opposite) else ""


def reads_itself(condition: Condition) -> bool:
    """Whether the value is used as a condition."""
    if isinstance(condition, Among | Both | Either):
        return any(map(reads_itself, condition.parts))
    return isinstance(condition, Itself) or (isinstance(condition, Opposite) and reads_itself(condition.part))


class Reading:
    """Reads the tests over one variable; `slots` are the slots that hold it."""

    def __init__(self, slots: Collection[int]) -> None:
        self.slots = frozenset(slots)

    def subject(self, node: tree.Node) -> bool:
        while isinstance(node, tree.Sourced):
            node = node.value
        return isinstance(node, tree.Name) and node.slot in self.slots

    def condition(self, node: tree.Node) -> Condition:
        """The condition that a test tree is."""
        if isinstance(node, tree.Sourced):
            return self.condition(node.value)
        value, known = constant_of(node)
        if known:
            return Always(value if isinstance(value, bool) else None)
        if isinstance(node, tree.And | tree.Or):
            parts = tuple(self.condition(part) for part in node.parts)
            return Both(parts) if isinstance(node, tree.And) else Either(parts)
        if isinstance(node, tree.Not):
            return Opposite(self.condition(node.value))
        if isinstance(node, tree.In) and self.subject(node.value):
            return Reading({*self.slots, node.slot}).condition(node.test)
        if isinstance(node, tree.Name) and node.slot in self.slots and node.type is BOOLEAN:
            return Itself()
        return self.comparison(node)

    def comparison(self, node: tree.Node) -> Condition:
        if isinstance(node, tree.Compare):
            for one, other, op in ((node.left, node.right, node.op), (node.right, node.left, _FLIPPED[node.op])):
                value, known = constant_of(other)
                if self.subject(one) and known:
                    return Compared(op, value)
        if isinstance(node, tree.Between) and self.subject(node.value):
            (low, low_known), (high, high_known) = constant_of(node.low), constant_of(node.high)
            if low_known and high_known:
                return Both((Compared(">=", low), Compared("<=", high)))
        if isinstance(node, tree.Test) and self.subject(node.value):
            value, known = constant_of(node.against)
            if known:
                return tested(value)
        return self.unclear(node)

    def unclear(self, node: tree.Node) -> Unclear:
        others = sorted(
            {one.name for one in tree.walk(node) if isinstance(one, tree.Name) and one.slot not in self.slots}
        )
        if others:
            return Unclear(f"it reads {', '.join(map(repr, others))}")
        return Unclear("it calls a function of the value")


def tested(value: object) -> Condition:
    """A unary test against a constant: `operators.tested`, written as a condition."""
    if isinstance(value, Range):
        return within(value)
    if isinstance(value, list):
        if any(isinstance(one, list | dict) for one in value):
            return Unclear("it compares with a list of lists or contexts")
        return Among(tuple(within(one) if isinstance(one, Range) else Compared("=", one) for one in value))
    return Compared("=", value)


def within(span: Range) -> Condition:
    parts: list[Condition] = []
    if span.low is not None:
        parts.append(Compared(">=" if span.low_closed else ">", span.low))
    if span.high is not None:
        parts.append(Compared("<=" if span.high_closed else "<", span.high))
    return Both(tuple(parts))
