"""What the stack machine of the kernel (kernel/conditions.py) can say: a checked tree of FEEL as its instructions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from quanheng.features.kernel import clock as c
from quanheng.features.kernel.words import NULL, NUMBER_MAX, NUMBER_MIN
from quanheng.feel import tree
from quanheng.feel.types import BOOLEAN, NUMBER, STRING, FeelType
from quanheng.feel.types import NULL as NULL_TYPE

if TYPE_CHECKING:
    from quanheng.features.fold import EventLayout

SCALE_MAX = 18
INSTRUCTIONS_MAX = 500
ASKED: Mapping[str, int] = {
    "hour": c.HOUR, "weekday": c.WEEKDAY, "month_day": c.MONTH_DAY, "month": c.MONTH, "weekend": c.WEEKEND,
    "night": c.NIGHT, "holiday": c.HOLIDAY, "workday": c.WORKDAY,
}  # fmt: skip
"""What a condition, or a fold of a calendar kind, may ask of an event's own time; the last four are true or false."""
TRUTHS = frozenset({"weekend", "night", "holiday", "workday"})
_COMPARE = {
    "=": c.EQUAL, "!=": c.DIFFERENT, "<": c.LESS, "<=": c.LESS_EQUAL, ">": c.GREATER, ">=": c.GREATER_EQUAL,
}  # fmt: skip
_ARITHMETIC = {"+": c.ADD, "-": c.SUBTRACT, "*": c.MULTIPLY}


class Instruction(NamedTuple):
    """One step of the machine (kernel/clock.py)."""

    op: int
    first: int = 0
    second: int = 0


class Unsayable(Exception):
    """Internal: the machine has no word for a part. FEEL says it."""


class Writer:
    """Writes the instructions of a checked tree. Depth of the stack is counted as it goes.

    exact : say only what is the same in FEEL whatever the numbers: no sum, difference or product, which the machine
        gives null where it does not fit 64 bits
    scope : slots of the layout's number fields and of the words of its time, by the place in it
    """

    def __init__(self, layout: EventLayout, scope: Mapping[str, FeelType], exact: bool = False) -> None:
        self.layout, self.exact, self.names = layout, exact, tuple(scope)
        self.choices = dict(layout.choices)
        self.made: list[Instruction] = []
        self.depth = 0
        self.bound: dict[int, tree.Node] = {}  # What `?` of an `in` stands for.
        self.rules: dict[type[tree.Node], Callable[[Any], int]] = {
            tree.Const: self.constant, tree.Name: self.name, tree.Arithmetic: self.arithmetic,
            tree.Negate: self.negate, tree.Compare: self.compare, tree.Between: self.between, tree.Test: self.test,
            tree.And: self.logic, tree.Or: self.logic, tree.Not: self.negation, tree.Call: self.negation,
            tree.In: self.membership,
        }  # fmt: skip

    def tries(self, write: Callable[[], object]) -> bool:
        """Whether the machine can say what `write` writes; else nothing of it is left."""
        made, depth = len(self.made), self.depth
        try:
            write()
        except Unsayable:
            del self.made[made:]
            self.depth = depth
            return False
        return True

    def kind(self, node: tree.Node) -> FeelType:
        """Type of a node; a call of not() is a boolean."""
        return BOOLEAN if isinstance(node, tree.Call) else self.resolved(node).type

    def resolved(self, node: tree.Node) -> tree.Node:
        """A node, or what `?` stands for."""
        while isinstance(node, tree.Name) and node.slot in self.bound:
            node = self.bound[node.slot]
        return node

    def emit(self, op: int, first: int = 0, second: int = 0, takes: int = 0) -> None:
        """One instruction that takes so many values from the stack and puts one there."""
        self.made.append(Instruction(op, first, second))
        self.depth += 1 - takes
        if self.depth > c.STACK_MAX or len(self.made) > INSTRUCTIONS_MAX:
            raise Unsayable

    def put(self, node: tree.Node) -> int:
        """Write a node; decimal places of its value."""
        node = self.resolved(node)
        rule = self.rules.get(type(node))
        if rule is None:
            raise Unsayable
        return rule(node)

    # -- values

    def constant(self, node: tree.Const) -> int:
        value = node.value
        if value is None or isinstance(value, bool):
            self.emit(c.PUSH, NULL if value is None else int(value))
            return 0
        if not isinstance(value, (int, Decimal)):
            raise Unsayable
        number, scale = Decimal(value), 0
        while number != number.to_integral_value() and scale <= SCALE_MAX:
            number, scale = number.scaleb(1), scale + 1
        if scale > SCALE_MAX or not NUMBER_MIN <= number <= NUMBER_MAX:
            raise Unsayable
        self.emit(c.PUSH, int(number))
        return scale

    def name(self, node: tree.Name) -> int:
        if node.slot >= len(self.names):  # A variable of the text itself.
            raise Unsayable
        if node.name in self.layout.numbers:
            self.emit(c.FIELD, self.layout.numbers.index(node.name))
            return self.layout.scale(node.name)
        if node.name not in ASKED or node.name in self.layout.keys:
            raise Unsayable
        self.emit(c.ASK, ASKED[node.name])
        return 0

    def arithmetic(self, node: tree.Arithmetic) -> int:
        if self.exact or node.op not in _ARITHMETIC or node.type != NUMBER:
            raise Unsayable
        left = self.put(node.left)
        if node.op == "*":
            scale = left + self.put(node.right)
            if scale > SCALE_MAX:
                raise Unsayable
        else:
            # Both in the finer of the two scales, which is known when the right side is written.
            at = len(self.made)
            right = self.put(node.right)
            scale = max(left, right)
            if left < scale:
                self.made.insert(at, Instruction(c.TIMES, scale - left))
            if right < scale:
                self.emit(c.TIMES, scale - right, takes=1)
        self.emit(_ARITHMETIC[node.op], takes=2)
        return scale

    def negate(self, node: tree.Negate) -> int:
        if node.type != NUMBER or (self.exact and not isinstance(node.value, tree.Const)):
            raise Unsayable
        scale = self.put(node.value)
        self.emit(c.NEGATE, takes=1)
        return scale

    # -- comparisons

    def compare(self, node: tree.Compare) -> int:
        self.compared(node.op, node.left, node.right)
        return 0

    def compared(self, op: str, left: tree.Node, right: tree.Node) -> None:
        left, right = self.resolved(left), self.resolved(right)
        if self.is_key(left) or self.is_key(right):
            self.same(op, left, right)
            return
        if STRING in (self.kind(left), self.kind(right)):
            self.chosen(op, left, right)
            return
        one, other = self.put(left), self.put(right)
        self.emit(_COMPARE[op], other - one, takes=2)

    def is_key(self, node: tree.Node) -> bool:
        """Whether a node is a key field."""
        own = isinstance(node, tree.Name) and node.slot < len(self.names)
        return own and node.name in self.layout.keys and node.name not in self.layout.numbers  # type: ignore[attr-defined]

    def same(self, op: str, left: tree.Node, right: tree.Node) -> None:
        """A key field compared with another one, or with null."""
        if not self.is_key(left):
            left, right = right, left
        places = []
        for one in (left, right):
            if isinstance(one, tree.Name) and self.is_key(one):
                places.append(self.layout.keys.index(one.name))
            elif isinstance(one, tree.Const) and one.value is None:
                places.append(-1)
            else:
                raise Unsayable
        if op not in ("=", "!="):
            raise Unsayable
        self.emit(c.SAME, *places)
        if op == "!=":
            self.emit(c.NOT, takes=1)

    def chosen(self, op: str, left: tree.Node, right: tree.Node) -> None:
        """A choice field compared with a choice, with null, or with a field of the same choices."""
        if isinstance(left, tree.Const):
            left, right = right, left
        if op not in ("=", "!=") or not isinstance(left, tree.Name) or left.name not in self.choices:
            raise Unsayable
        choices = self.choices[left.name]
        self.put(left)
        if isinstance(right, tree.Const) and isinstance(right.value, str):
            self.emit(c.PUSH, choices.index(right.value))
        elif isinstance(right, tree.Name) and self.choices.get(right.name, choices) != choices:
            raise Unsayable
        else:
            self.put(right)
        self.emit(_COMPARE[op], takes=2)

    def between(self, node: tree.Between) -> int:
        self.compared(">=", node.value, node.low)
        self.compared("<=", node.value, node.high)
        self.emit(c.AND, takes=2)
        return 0

    def test(self, node: tree.Test) -> int:
        """A value in a list of values that are no constants: it equals one."""
        if self.kind(node.against) not in (NUMBER, STRING, BOOLEAN, NULL_TYPE):
            raise Unsayable
        self.compared("=", node.value, node.against)
        return 0

    def membership(self, node: tree.In) -> int:
        self.bound[node.slot] = self.resolved(node.value)
        self.truth(node.test)
        return 0

    # -- logic

    def truth(self, node: tree.Node) -> None:
        """A condition."""
        node = self.resolved(node)
        if self.kind(node) not in (BOOLEAN, NULL_TYPE):
            raise Unsayable
        self.put(node)

    def logic(self, node: tree.And | tree.Or) -> int:
        self.truth(node.parts[0])
        for part in node.parts[1:]:
            self.truth(part)
            self.emit(c.AND if isinstance(node, tree.And) else c.OR, takes=2)
        return 0

    def negation(self, node: tree.Not | tree.Call) -> int:
        if isinstance(node, tree.Call):
            if not isinstance(node.function, tree.Builtin) or node.function.name != "not" or len(node.arguments) != 1:
                raise Unsayable
            self.truth(node.arguments[0])
        else:
            self.truth(node.value)
        self.emit(c.NOT, takes=1)
        return 0
