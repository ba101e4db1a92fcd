"""The `where` of a fold: any FEEL condition on what the clear header of its event holds.

Loading a pack checks the condition and compiles nothing. What the stack machine of the kernel can say becomes its
instructions (features/machine.py). Of the rest, a part that reads only choices, truths and words of the time is tried
with all that these can be, and becomes a choice among them. What is left is a flag (features/flags.py): FEEL, found
before the kernel folds the event.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import TYPE_CHECKING, NamedTuple

from quanheng.features.flags import MOMENT, Flag, flag_of
from quanheng.features.kernel import clock as c
from quanheng.features.machine import ASKED, TRUTHS, Instruction, Unsayable, Writer
from quanheng.feel import tree
from quanheng.feel.lexer import fail
from quanheng.feel.parser import parse
from quanheng.feel.scope import ANY_NAME, Scope
from quanheng.feel.types import ANY, BOOLEAN, DATE_TIME, NUMBER, STRING, FeelType
from quanheng.feel.types import NULL as NULL_TYPE
from quanheng.kernel.errors import ExpressionError

if TYPE_CHECKING:
    from quanheng.features.fold import EventLayout, Fold

DAYS_OFF = frozenset({"holiday", "workday"})
"""What needs a calendar."""
ROWS_MAX = 2048
"""Combinations of choices, truths and words of the time that a part is tried with."""
_CLOCKS = frozenset({"now", "today"})
_TAKES_FUNCTIONS = frozenset({"sort", "list replace"})


class Condition(NamedTuple):
    """A compiled condition. Equal ones share a ring.

    instructions : with 0 in place of the clock and of the flag
    zone, calendar : what its clock is made of; "" where it asks none
    flag : what only FEEL can say of it; None where there is no such part
    """

    instructions: tuple[Instruction, ...]
    zone: str = ""
    calendar: str = ""
    flag: Flag | None = None


def scope_of(layout: EventLayout) -> dict[str, FeelType]:
    """Names that a condition on this event may use; fields go before words of its time."""
    choices = dict(layout.choices)
    kinds: dict[str, FeelType] = {
        name: STRING if name in choices else BOOLEAN if name in layout.flags else NUMBER for name in layout.numbers
    }
    kinds |= {name: STRING for name in layout.keys if name not in kinds}
    words = {name: BOOLEAN if name in TRUTHS else NUMBER for name in ASKED} | {MOMENT: DATE_TIME}
    return kinds | {name: kind for name, kind in words.items() if name not in kinds}


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
    names = Scope.of(scope)
    names.lists = ANY_NAME  # So that one is known when it is seen, and refused.
    node = parse(text, names, where)
    _Check(layout, scope, text, where).check(node)
    if node.type not in (BOOLEAN, NULL_TYPE, ANY):
        raise fail(
            "a condition must be true or false", text, node.at, where, str(node.type), "a comparison, or a boolean",
            "Compare it with something.",
        )  # fmt: skip
    asks = {one.name for one in _read(node, scope)} & set(ASKED) - {*layout.numbers, *layout.keys}
    if asks & DAYS_OFF and not calendar:
        what = "a condition that asks for days off needs a calendar"
        asked = ", ".join(sorted(asks & DAYS_OFF))
        raise fail(
            what, text, 0, where, asked, "`calendar` of the fold", 'Add `calendar = "china"` or one of the pack.'
        )
    made, flagged = _written(layout, scope, node, (zone, calendar))
    flag = None if flagged is None else flag_of(layout, scope, flagged, zone, calendar, where, text)
    if flag is not None:
        _ = flag.expression  # Compiled here, not with the first event.
    days = calendar if calendar and asks & {*DAYS_OFF, "weekend"} else ""
    timed = bool(asks) or (flag is not None and bool(flag.zone))
    return Condition(tuple(made), zone if timed else "", days, flag)


def fields_of(layout: EventLayout, text: str) -> tuple[str, ...]:
    """Fields of the event that a condition reads, in order of the alphabet; none where it cannot be read."""
    return tuple(sorted(_names_read(layout, text) & {*layout.numbers, *layout.keys}))


def keys_compared(layout: EventLayout, text: str) -> list[tuple[str, str]]:
    """Pairs of key fields that a condition compares with each other; none where it cannot be read."""
    scope = scope_of(layout)
    try:
        check = _Check(layout, scope, text, "")
        return check.pairs(parse(text, scope, strict=False))
    except ExpressionError:
        return []


def asks_time(layout: EventLayout, text: str) -> frozenset[str]:
    """What a condition asks of the event's time; nothing where it cannot be read."""
    return frozenset(_names_read(layout, text) & {*ASKED, MOMENT} - {*layout.numbers, *layout.keys})


def _names_read(layout: EventLayout, text: str) -> set[str]:
    scope = scope_of(layout)
    try:
        return {one.name for one in _read(parse(text, scope, strict=False), scope)}
    except ExpressionError:
        return set()


def _read(node: tree.Node, scope: Mapping[str, FeelType]) -> list[tree.Name]:
    """Names of the scope that a tree reads; variables of the text itself are none."""
    return [one for one in tree.walk(node) if isinstance(one, tree.Name) and one.slot < len(scope)]


# -- what a condition may not say


class _Check:
    """Refuses, with the place, what a header cannot answer, and what is certainly a mistake."""

    def __init__(self, layout: EventLayout, scope: Mapping[str, FeelType], text: str, where: str) -> None:
        self.layout, self.scope, self.text, self.where = layout, scope, text, where
        self.choices = dict(layout.choices)
        self.bound: dict[int, tree.Node] = {}

    def check(self, node: tree.Node) -> None:
        """A whole condition."""
        compared: set[int] = set()  # Keys that stand beside a sign of equality, by identity.
        called: set[int] = set()  # Functions that are handed to a function of the standard.
        nodes = sorted(tree.walk(node), key=lambda one: one.at)
        for one in nodes:
            if isinstance(one, tree.In):
                self.bound[one.slot] = one.value
        for one in nodes:
            if isinstance(one, tree.Compare) and one.op in ("=", "!="):
                compared |= self.sides(one.left, one.right, one.at)
            elif isinstance(one, tree.Test):
                compared |= self.sides(one.value, one.against, one.at)
            elif isinstance(one, tree.In) and self.is_key(one.value):
                compared.add(id(one.value))  # Of no use but for its `?`, which is looked at.
            elif isinstance(one, tree.Call) and isinstance(one.function, tree.Builtin):
                if one.function.name in _TAKES_FUNCTIONS:
                    called |= {id(argument) for argument in one.arguments}
                if one.function.name in _CLOCKS:
                    raise self.clock(one)
        for one in nodes:
            if self.is_key(one) and id(one) not in compared:
                raise self.key(one)
            if isinstance(one, tree.FunctionOf) and id(one) not in called:
                raise self.function(one)
            if isinstance(one, tree.Listed):
                raise self.asked_list(one)

    def pairs(self, node: tree.Node) -> list[tuple[str, str]]:
        """Key fields that stand on both sides of an equality."""
        nodes = sorted(tree.walk(node), key=lambda one: one.at)
        self.bound = {one.slot: one.value for one in nodes if isinstance(one, tree.In)}
        sides = [(one.left, one.right) for one in nodes if isinstance(one, tree.Compare)]
        sides += [(one.value, one.against) for one in nodes if isinstance(one, tree.Test)]
        found = [(self.resolved(left), self.resolved(right)) for left, right in sides]
        return [(a.name, b.name) for a, b in found if self.is_key(a) and self.is_key(b)]  # type: ignore[attr-defined]

    def resolved(self, node: tree.Node) -> tree.Node:
        """A node, or what `?` stands for."""
        while isinstance(node, tree.Name) and node.slot in self.bound:
            node = self.bound[node.slot]
        return node

    def is_key(self, node: tree.Node) -> bool:
        """Whether a node is a key field of the event, perhaps under the name of `?`."""
        found = self.resolved(node)
        own = isinstance(found, tree.Name) and found.slot < len(self.scope)
        return own and found.name in self.layout.keys and found.name not in self.layout.numbers  # type: ignore[attr-defined]

    def sides(self, left: tree.Node, right: tree.Node, at: int) -> set[int]:
        """Both sides of an equality. A key stands beside a key or null; a choice beside a text that is one."""
        ends = self.resolved(left), self.resolved(right)
        for one, other in (ends, ends[::-1]):
            if not isinstance(one, tree.Name) or one.slot >= len(self.scope):
                continue
            for text in _texts(other):
                if one.name in self.choices and text not in self.choices[one.name]:
                    raise fail(
                        f"{one.name} has no such choice", self.text, other.at, self.where, str(text),
                        ", ".join(self.choices[one.name]), "Use one of its choices.",
                    )  # fmt: skip
        null = [isinstance(one, tree.Const) and one.value is None for one in (left, right)]
        keys = [self.is_key(one) for one in (left, right)]
        return {id(left), id(right)} if all(key or none for key, none in zip(keys, null, strict=True)) else set()

    def key(self, node: tree.Node) -> ExpressionError:
        name = self.resolved(node).name  # type: ignore[attr-defined]
        return fail(
            f"a condition of a fold cannot use the key field {name} like this: windows are folded from the clear"
            " headers of the log, which hold a pseudonym in place of its text",
            self.text, node.at, self.where, self.text[node.at : node.at + 30],
            "comparison with null, or = and != with another key field of the same entity",
            "Declare what you ask for as a choice, a number or a boolean of the event.",
        )  # fmt: skip

    def clock(self, node: tree.Call) -> ExpressionError:
        name = node.function.name  # type: ignore[attr-defined]
        return fail(
            f"a condition of a fold cannot ask {name}(): what an event is in a window for must not depend on when it is"
            " folded",
            self.text, max(node.at - len(name), 0), self.where, f"{name}()",
            f"`{MOMENT}`, the event's own time, and {', '.join(ASKED)}", f"Write `{MOMENT}`, or date({MOMENT}).",
        )  # fmt: skip

    def asked_list(self, node: tree.Listed) -> ExpressionError:
        return fail(
            "a condition of a fold cannot ask a list: lists change, and a window that is folded again would hold other"
            " events",
            self.text, node.at, self.where, f'list("{node.name}")', "fields of the event, and words of its time",
            "Ask the list in the policy, or send what it says as a boolean of the event.",
        )  # fmt: skip

    def function(self, node: tree.Node) -> ExpressionError:
        return fail(
            "a condition of a fold cannot define a function: how deep it may call itself would depend on who folds",
            self.text, node.at, self.where, self.text[node.at : node.at + 30],
            "a function that is handed to sort or list replace, as in sort(list, function(x, y) x < y)",
            "Write it out, or use for, some and every.",
        )  # fmt: skip


def _texts(node: tree.Node) -> list[object]:
    """Texts that a side of an equality holds as they are written."""
    nodes = node.items if isinstance(node, tree.ListOf) else (node,)
    return [one.value for one in nodes if isinstance(one, tree.Const) and isinstance(one.value, str)]


# -- how it is said


def _written(
    layout: EventLayout, scope: Mapping[str, FeelType], node: tree.Node, clock: tuple[str, str | None]
) -> tuple[list[Instruction], tree.Node | None]:
    """Instructions of a condition, and the tree of its flag.

    The machine says all of it; or it says what is the same in FEEL whatever the numbers, and the flag is the rest.
    """
    whole = Writer(layout, scope)
    if whole.tries(lambda: whole.truth(node)):
        return whole.made, None
    split = _Split(layout, scope, clock)
    left = split.rest(node)
    if not left:
        return split.writer.made, None
    if not split.writer.made:
        return [Instruction(c.FLAG)], node
    one = len(left) == 1 and left[0].type is BOOLEAN  # Of another type it is a part of an `and`, as in the text.
    flagged = left[0] if one else tree.And(BOOLEAN, node.at, (*left, tree.Const(BOOLEAN, node.at, True)))
    return [*split.writer.made, Instruction(c.FLAG), Instruction(c.AND)], flagged


def _conjuncts(node: tree.Node) -> list[tree.Node]:
    return [one for part in node.parts for one in _conjuncts(part)] if isinstance(node, tree.And) else [node]


class _Split:
    """Parts of a condition that instructions say."""

    def __init__(self, layout: EventLayout, scope: Mapping[str, FeelType], clock: tuple[str, str | None]) -> None:
        self.layout, self.scope, self.clock = layout, scope, clock
        self.writer = Writer(layout, scope, exact=True)

    def rest(self, node: tree.Node) -> list[tree.Node]:
        """Write what can be said of the parts of the outermost `and`, and give the others.

        Only there: a part that is given up makes all of an evaluation null, so that nothing but `and` may stand around.
        """
        return [part for part in _conjuncts(node) if not self.writer.tries(lambda: self.joined(part))]  # noqa: B023

    def joined(self, part: tree.Node) -> None:
        """Write that a part is true, beside those that are written."""
        first = not self.writer.made
        self.say(part)
        if not first:
            self.writer.emit(c.AND, takes=2)

    def say(self, node: tree.Node) -> None:
        """Write that a part is true. Of `and`, `or` and `if` that only depends on which of their parts are."""
        if self.writer.tries(lambda: self.writer.truth(node)):
            return
        if isinstance(node, tree.And | tree.Or) and self.writer.tries(lambda: self.parts(node)):
            return
        if isinstance(node, tree.If) and self.writer.tries(lambda: self.branches(node)):
            return
        self.table(node)

    def parts(self, node: tree.And | tree.Or) -> None:
        for number, part in enumerate(node.parts):
            self.say(part)
            if number:
                self.writer.emit(c.AND if isinstance(node, tree.And) else c.OR, takes=2)

    def branches(self, node: tree.If) -> None:
        """One branch where the question is true, the other where it is false or null."""
        self.say(node.condition)
        self.say(node.then)
        self.writer.emit(c.AND, takes=2)
        self.say(node.condition)
        self.writer.emit(c.PUSH, 1)
        self.writer.emit(c.EQUAL, takes=2)
        self.writer.emit(c.NOT, takes=1)
        self.say(node.otherwise)
        self.writer.emit(c.AND, takes=2)
        self.writer.emit(c.OR, takes=2)

    def table(self, node: tree.Node) -> None:
        """A part that can only have so many inputs: those it is true of."""
        flag = flag_of(self.layout, self.scope, node, *self.clock)
        if prod(len(one.domain) for one in flag.inputs) > ROWS_MAX or not all(one.domain for one in flag.inputs):
            raise Unsayable
        rows = flag.true_rows()
        if rows is None:
            raise Unsayable
        self.among(flag, 0, frozenset(rows))

    def among(self, flag: Flag, at: int, rows: frozenset[tuple[int, ...]]) -> None:
        """That the inputs from number `at` on are one of some rows."""
        domains = [one.domain for one in flag.inputs[at:]]
        if not rows or len(rows) == prod(map(len, domains)):
            self.writer.emit(c.PUSH, int(bool(rows)))
            return
        rests: dict[int, frozenset[tuple[int, ...]]] = {
            value: frozenset(row[1:] for row in rows if row[0] == value) for value in domains[0]
        }
        terms = 0
        for rest in dict.fromkeys(rests.values()):
            if not rest:
                continue
            self.one_of(flag, at, [value for value in domains[0] if rests[value] == rest])
            if len(rest) < prod(map(len, domains[1:])):
                self.among(flag, at + 1, rest)
                self.writer.emit(c.AND, takes=2)
            terms += 1
            if terms > 1:
                self.writer.emit(c.OR, takes=2)

    def one_of(self, flag: Flag, at: int, values: Sequence[int]) -> None:
        """That an input is one of some integers; said of the others where those are fewer."""
        read = flag.inputs[at]
        others = [value for value in read.domain if value not in values]
        if not others:
            self.writer.emit(c.PUSH, 1)
            return
        fewer = others if len(others) < len(values) else values
        for number, value in enumerate(fewer):
            self.writer.emit(c.ASK if read.source == "asked" else c.FIELD, read.place)
            self.writer.emit(c.PUSH, value)
            self.writer.emit(c.EQUAL, takes=2)
            if number:
                self.writer.emit(c.OR, takes=2)
        if fewer is others:
            self.writer.emit(c.NOT, takes=1)


def words_of(condition: Condition, clock: int, flag: int) -> list[int]:
    """The words of a condition in a plan whose clock for it lies at `clock`, and whose flag has that number."""
    words = [len(condition.instructions)]
    for one in condition.instructions:
        words += [one.op, flag if one.op == c.FLAG else one.first, clock if one.op == c.ASK else one.second]
    return words


def problem_of(error: ExpressionError) -> tuple[str, str, str, str]:
    """(message, found, known, cure) of an error in a condition."""
    place = f" at {error.where}" if error.where else ""
    return f"the condition cannot be used{place}: {error.what}", error.found, error.allowed, error.cure


def condition_of(fold: Fold, layouts: Mapping[str, EventLayout]) -> Condition | None:
    """The compiled condition of a fold, None where it has none."""
    return compile_condition(layouts[fold.of], fold.where, fold.zone, fold.calendar, fold.name) if fold.where else None
