"""The `where` of a fold: a FEEL condition on the event's own fields, as words for the stack machine of the kernel.

Loading a pack checks the condition and compiles nothing. A condition is a tree of the FEEL parser; what the machine
cannot say (texts, keys, functions, division, if) is refused with the place in the text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from quanheng.features.kernel import clock as c
from quanheng.features.kernel.words import NULL, NUMBER_MAX, NUMBER_MIN
from quanheng.feel import tree
from quanheng.feel.lexer import fail
from quanheng.feel.parser import parse
from quanheng.feel.types import BOOLEAN, NUMBER, STRING, FeelType
from quanheng.feel.types import NULL as NULL_TYPE
from quanheng.kernel.errors import ExpressionError

if TYPE_CHECKING:
    from quanheng.features.fold import EventLayout

SCALE_MAX = 18
ASKED: Mapping[str, int] = {
    "hour": c.HOUR, "weekday": c.WEEKDAY, "month_day": c.MONTH_DAY, "month": c.MONTH, "weekend": c.WEEKEND,
    "night": c.NIGHT, "holiday": c.HOLIDAY, "workday": c.WORKDAY,
}  # fmt: skip
"""What a condition, or a fold of a calendar kind, may ask of an event's own time; the last four are true or false."""
_FLAGS = frozenset({"weekend", "night", "holiday", "workday"})
DAYS_OFF = frozenset({"holiday", "workday"})
"""What needs a calendar."""

_COMPARE = {
    "=": c.EQUAL, "!=": c.DIFFERENT, "<": c.LESS, "<=": c.LESS_EQUAL, ">": c.GREATER, ">=": c.GREATER_EQUAL,
}  # fmt: skip
_ARITHMETIC = {"+": c.ADD, "-": c.SUBTRACT, "*": c.MULTIPLY}
_ALLOWED = (
    "number, choice, boolean and time fields of the event, numbers, choices, true, false, null, + - *, comparisons,"
    " between, in, and, or, not; of the event's time: hour, weekday, month_day, month, weekend, night, holiday, workday"
)
_CURE = "Say it with what is allowed, or fold another event."


class Instruction(NamedTuple):
    """One step of the machine (kernel/clock.py)."""

    op: int
    first: int = 0
    second: int = 0


class Condition(NamedTuple):
    """A compiled condition. Equal ones share a ring.

    instructions : with 0 in place of the clock
    zone, calendar : what its clock is made of; "" where it asks none
    """

    instructions: tuple[Instruction, ...]
    zone: str = ""
    calendar: str = ""


def scope_of(layout: EventLayout) -> dict[str, FeelType]:
    """Names that a condition on this event may use; fields go before words of its time."""
    choices = dict(layout.choices)
    kinds: dict[str, FeelType] = {
        name: STRING if name in choices else BOOLEAN if name in layout.flags else NUMBER for name in layout.numbers
    }
    taken = {*kinds, *layout.keys}
    return kinds | {name: BOOLEAN if name in _FLAGS else NUMBER for name in ASKED if name not in taken}


def compile_condition(
    layout: EventLayout, text: str, zone: str = "UTC", calendar: str | None = None, where: str = ""
) -> Condition:
    """Check a condition and write it for the kernel.

    Parameters
    ----------
    layout : of the events that are folded
    text : FEEL
    zone, calendar : of the fold, for what is asked of the event's time
    where : name of the fold, for messages

    Raises
    ------
    ExpressionError : the text does not parse, or says what a condition cannot say
    """
    scope = scope_of(layout)
    _refuse_keys(layout, text, scope, where)
    node = parse(text, scope, where)
    writer = _Writer(layout, text, where, scope)
    if writer.kind(node) not in (BOOLEAN, NULL_TYPE):
        raise fail(
            "a condition must be true or false", text, node.at, where, str(node.type), "a comparison, or a boolean",
            "Compare it with something.",
        )  # fmt: skip
    writer.put(node)
    if not writer.asks:
        return Condition(tuple(writer.made))
    if writer.asks & DAYS_OFF and not calendar:
        what = "a condition that asks for days off needs a calendar"
        asked = ", ".join(sorted(writer.asks & DAYS_OFF))
        raise fail(
            what, text, 0, where, asked, "`calendar` of the fold", 'Add `calendar = "china"` or one of the pack.'
        )
    return Condition(tuple(writer.made), zone, calendar if calendar and writer.asks & {*DAYS_OFF, "weekend"} else "")


def fields_of(layout: EventLayout, text: str) -> tuple[str, ...]:
    """Fields of the event that a condition reads, in order of the alphabet; none where it cannot be read."""
    try:
        node = parse(text, scope_of(layout), strict=False)
    except ExpressionError:
        return ()
    return tuple(sorted({one.name for one in tree.walk(node) if isinstance(one, tree.Name)} & {*layout.numbers}))


def asks_time(layout: EventLayout, text: str) -> frozenset[str]:
    """What a condition asks of the event's time; nothing where it cannot be read."""
    try:
        node = parse(text, scope_of(layout), strict=False)
    except ExpressionError:
        return frozenset()
    names = {one.name for one in tree.walk(node) if isinstance(one, tree.Name)}
    return frozenset(names & set(ASKED) - {*layout.numbers})


def _refuse_keys(layout: EventLayout, text: str, scope: Mapping[str, FeelType], where: str) -> None:
    """Key fields are known, and yet a header holds only what stands for them."""
    node = parse(text, {**scope, **dict.fromkeys(layout.keys, STRING)}, where, strict=False)
    for one in tree.walk(node):
        if isinstance(one, tree.Name) and one.name in layout.keys:
            raise _refusal(text, one.at, where, f"the key field {one.name}")


def _refusal(text: str, at: int, where: str, what: str) -> Exception:
    return fail(f"a condition of a fold cannot use {what}", text, at, where, text[at : at + 30], _ALLOWED, _CURE)


class _Writer:
    """Writes the instructions of a checked tree. Depth of the stack is counted as it goes."""

    def __init__(self, layout: EventLayout, text: str, where: str, scope: Mapping[str, FeelType]) -> None:
        self.layout, self.text, self.where = layout, text, where
        self.choices = dict(layout.choices)
        self.made: list[Instruction] = []
        self.asks: set[str] = set()
        self.depth = 0
        self.bound: dict[int, tree.Node] = {}  # What `?` of an `in` stands for.
        self.rules: dict[type[tree.Node], Callable[[Any], int]] = {
            tree.Const: self.constant, tree.Name: self.name, tree.Arithmetic: self.arithmetic,
            tree.Negate: self.negate, tree.Compare: self.compare, tree.Between: self.between, tree.Test: self.test,
            tree.And: self.logic, tree.Or: self.logic, tree.Not: self.negation, tree.Call: self.negation,
            tree.In: self.membership,
        }  # fmt: skip

    def refuse(self, node: tree.Node, what: str) -> Exception:
        return _refusal(self.text, node.at, self.where, what)

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
            raise fail(
                "the condition is too long", self.text, 0, self.where, f"more than {INSTRUCTIONS_MAX} steps",
                f"{INSTRUCTIONS_MAX} steps, {c.STACK_MAX} values at once", "Split it into several folds.",
            )  # fmt: skip

    def put(self, node: tree.Node) -> int:
        """Write a node; decimal places of its value."""
        node = self.resolved(node)
        rule = self.rules.get(type(node))
        if rule is None:
            raise self.refuse(node, "this")
        return rule(node)

    # -- values

    def constant(self, node: tree.Const) -> int:
        value = node.value
        if value is None or isinstance(value, bool):
            self.emit(c.PUSH, NULL if value is None else int(value))
            return 0
        if not isinstance(value, (int, Decimal)):
            raise self.refuse(node, f"a {node.type} here")
        number, scale = Decimal(value), 0
        while number != number.to_integral_value() and scale <= SCALE_MAX:
            number, scale = number.scaleb(1), scale + 1
        if scale > SCALE_MAX or not NUMBER_MIN <= number <= NUMBER_MAX:
            raise fail(
                "the number does not fit 64 bits", self.text, node.at, self.where, str(value),
                f"at most {SCALE_MAX} decimal places and {NUMBER_MAX} of them", "Write a smaller number.",
            )  # fmt: skip
        self.emit(c.PUSH, int(number))
        return scale

    def name(self, node: tree.Name) -> int:
        if node.name in self.layout.numbers:
            self.emit(c.FIELD, self.layout.numbers.index(node.name))
            return self.layout.scale(node.name)
        self.asks.add(node.name)
        self.emit(c.ASK, ASKED[node.name])
        return 0

    def arithmetic(self, node: tree.Arithmetic) -> int:
        if node.op not in _ARITHMETIC or node.type != NUMBER:
            raise self.refuse(node, f"{node.op}" if node.type == NUMBER else f"{node.op} between texts or times")
        left = self.put(node.left)
        if node.op == "*":
            scale = left + self.put(node.right)
            self.check_scale(node, scale)
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

    def check_scale(self, node: tree.Node, scale: int) -> None:
        if scale > SCALE_MAX:
            raise fail(
                "the product has too many decimal places", self.text, node.at, self.where, str(scale),
                f"at most {SCALE_MAX}", "Multiply fields of fewer decimal places.",
            )  # fmt: skip

    def negate(self, node: tree.Negate) -> int:
        scale = self.put(node.value)
        self.emit(c.NEGATE, takes=1)
        return scale

    # -- comparisons

    def compare(self, node: tree.Compare) -> int:
        self.compared(node, node.op, node.left, node.right)
        return 0

    def compared(self, node: tree.Node, op: str, left: tree.Node, right: tree.Node) -> None:
        left, right = self.resolved(left), self.resolved(right)
        if STRING in (self.kind(left), self.kind(right)):
            self.chosen(node, op, left, right)
            return
        one, other = self.put(left), self.put(right)
        self.emit(_COMPARE[op], other - one, takes=2)

    def chosen(self, node: tree.Node, op: str, left: tree.Node, right: tree.Node) -> None:
        """A choice field compared with a choice, with null, or with a field of the same choices."""
        if isinstance(left, tree.Const):
            left, right = right, left
        if op not in ("=", "!="):
            raise self.refuse(node, f"{op} between choices")
        if not isinstance(left, tree.Name) or left.name not in self.choices:
            raise self.refuse(left, "a text here")
        choices = self.choices[left.name]
        self.put(left)
        if isinstance(right, tree.Const) and isinstance(right.value, str):
            if right.value not in choices:
                raise fail(
                    f"{left.name} has no such choice", self.text, right.at, self.where, right.value,
                    ", ".join(choices), "Use one of its choices.",
                )  # fmt: skip
            self.emit(c.PUSH, choices.index(right.value))
        elif isinstance(right, tree.Name) and self.choices.get(right.name, choices) != choices:
            raise fail(
                "the two fields have other choices", self.text, right.at, self.where, right.name,
                f"a field with the choices of {left.name}", "Compare each with a choice.",
            )  # fmt: skip
        else:
            self.put(right)
        self.emit(_COMPARE[op], takes=2)

    def between(self, node: tree.Between) -> int:
        self.compared(node, ">=", node.value, node.low)
        self.compared(node, "<=", node.value, node.high)
        self.emit(c.AND, takes=2)
        return 0

    def test(self, node: tree.Test) -> int:
        """A value in a list of values that are no constants: it equals one."""
        if self.kind(node.against) not in (NUMBER, STRING, BOOLEAN, NULL_TYPE):
            raise self.refuse(node, "this after `in`")
        self.compared(node, "=", node.value, node.against)
        return 0

    def membership(self, node: tree.In) -> int:
        self.bound[node.slot] = self.resolved(node.value)
        self.truth(node.test)
        return 0

    # -- logic

    def truth(self, node: tree.Node) -> None:
        node = self.resolved(node)
        if self.kind(node) not in (BOOLEAN, NULL_TYPE):
            raise self.refuse(node, f"a {node.type} as a condition")
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
                name = node.function.name if isinstance(node.function, tree.Builtin) else "a function"
                raise self.refuse(node, f"{name}()" if isinstance(node.function, tree.Builtin) else name)
            self.truth(node.arguments[0])
        else:
            self.truth(node.value)
        self.emit(c.NOT, takes=1)
        return 0


INSTRUCTIONS_MAX = 500


def words_of(condition: Condition, clock: int) -> list[int]:
    """The words of a condition in a plan whose clock for it lies at `clock`."""
    words = [len(condition.instructions)]
    for one in condition.instructions:
        words += [one.op, one.first, clock if one.op == c.ASK else one.second]
    return words


def problem_of(error: ExpressionError) -> tuple[str, str, str, str]:
    """(message, found, known, cure) of an error in a condition."""
    place = f" at {error.where}" if error.where else ""
    return f"the condition cannot be used{place}: {error.what}", error.found, error.allowed, error.cure


def conditions_of(layouts: Mapping[str, EventLayout], folds: Sequence[object]) -> list[Condition | None]:
    """The condition of each fold, None where it has none."""
    return [
        None if not one.where else compile_condition(layouts[one.of], one.where, one.zone, one.calendar)  # type: ignore[attr-defined]
        for one in folds
    ]
