"""What only FEEL can say of a condition: a truth per event, found before the kernel folds the event.

A flag reads what the clear header of a record holds, as FEEL values: scaled integers as exact decimals, choices as
their texts, booleans, times as milliseconds (as policies do), and what is asked of the event's own time. It is pure, so
what was found for some inputs is remembered. Every way into the windows (one event, a group, a dry run, a backfill, a
partition) asks here, and so answers alike.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from decimal import Decimal
from functools import cached_property
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

from quanheng.features.kernel.words import NULL
from quanheng.features.machine import ASKED, TRUTHS
from quanheng.features.zones import zone_words
from quanheng.feel import tree
from quanheng.feel.compiler import Expression, compile_tree
from quanheng.feel.lexer import fail, place_of
from quanheng.feel.temporal import DateTime
from quanheng.feel.types import FeelType
from quanheng.feel.values import GIVEN_UP, NUMBERS, Run

if TYPE_CHECKING:
    from quanheng.features.fold import EventLayout

MOMENT = "moment"
"""The event's own time as a date and time of FEEL, on the clocks of the fold's zone."""
REMEMBERED_MAX = 1 << 14
"""Inputs whose answer a flag remembers."""
_DAY_MS = 86_400_000
_NODE = "node"
_DOMAINS: Mapping[str, range] = {
    "hour": range(24), "weekday": range(1, 8), "month_day": range(1, 32), "month": range(1, 13),
    **dict.fromkeys(TRUTHS, range(2)),
}  # fmt: skip


class Input(NamedTuple):
    """A name that a flag reads.

    slot : of the variable in the tree
    source : "number" and its column, "key" and its column, "asked" and what (`ASKED`), or "moment"
    domain : every integer that it may be, NULL included; empty where they are too many
    value : the FEEL value of an integer
    """

    slot: int
    name: str
    kind: FeelType
    source: str
    place: int
    domain: tuple[int, ...]
    value: Callable[[int], object]


@dataclass(frozen=True)
class Flag:
    """A condition, or the parts of one, that FEEL judges: true, or not.

    form : the tree as text, without places; with the rest of what is compared it says what the flag is
    layout : how the header of its event type is laid out
    zone, calendar : of the clock; "" where nothing is asked of it
    node : the checked tree
    inputs : what it reads, in the order of their slots
    where, text : name of the fold and the condition as written, for messages
    """

    form: str
    layout: EventLayout
    zone: str
    calendar: str
    node: tree.Node = field(compare=False)
    inputs: tuple[Input, ...] = field(compare=False)
    where: str = field(default="", compare=False)
    text: str = field(default="", compare=False)

    @cached_property
    def expression(self) -> Expression:
        """The compiled tree.

        Raises
        ------
        ExpressionError : the stack does not do
        """
        names = {one.slot: (one.name, one.kind) for one in self.inputs}
        try:
            return compile_tree(self.node, names, self.where, self.text)
        except RecursionError as error:
            raise fail(
                "the condition is nested too deeply for the stack it is compiled on", self.text, 0, self.where,
                cure="Split it into several folds.",
            ) from error  # fmt: skip

    @property
    def asks(self) -> tuple[int, ...]:
        """What it asks of the event's time (`ASKED`)."""
        return tuple(one.place for one in self.inputs if one.source == "asked")

    @property
    def at(self) -> str:
        """Where in the condition it begins."""
        return "line {}, column {}".format(*place_of(self.text, begin_of(self.node)))

    def holds(self, row: Sequence[int]) -> int:
        """1 where it is true of these integers, in the order of `inputs`; 0 where it is false, null or given up."""
        values = [one.value(number) for one, number in zip(self.inputs, row, strict=True)]
        return int(self.expression(*values) is True)

    def true_rows(self) -> list[tuple[int, ...]] | None:
        """All inputs it is true of; None where a domain is not finite, or an evaluation is given up.

        An evaluation that is given up is null as a whole, whatever stands around this part. All of them together may
        cost what one may, so that no pack can make its loading long.
        """
        found, run = [], Run()
        for row in product(*(one.domain for one in self.inputs)):
            try:
                values = [one.value(number) for one, number in zip(self.inputs, row, strict=True)]
                if self.expression.attempt(run, values) is True:
                    found.append(row)
            except GIVEN_UP:
                return None
        return found


class Remembered(dict[tuple[int, ...], int]):
    """Answers of a flag by its inputs; all are forgotten when they are too many."""

    def __init__(self, flag: Flag) -> None:
        super().__init__()
        self.flag = flag

    def __missing__(self, row: tuple[int, ...]) -> int:
        if len(self) >= REMEMBERED_MAX:
            self.clear()
        found = self[row] = self.flag.holds(row)
        return found


def flag_of(
    layout: EventLayout,
    scope: Mapping[str, FeelType],
    node: tree.Node,
    zone: str,
    calendar: str | None,
    where: str = "",
    text: str = "",
) -> Flag:
    """The flag of a checked tree over `scope`."""
    read = {one.slot: one.name for one in tree.walk(node) if isinstance(one, tree.Name) and one.slot < len(scope)}
    inputs = tuple(_input(layout, slot, read[slot], scope[read[slot]], zone) for slot in sorted(read))
    timed = any(one.source in {"asked", "moment"} for one in inputs)
    asks_days = any(one.source == "asked" and one.name in {"weekend", "holiday", "workday"} for one in inputs)
    return Flag(
        form_of(node), layout, zone if timed else "",
        calendar if calendar and asks_days else "", node, inputs, where, text,
    )  # fmt: skip


def _input(layout: EventLayout, slot: int, name: str, kind: FeelType, zone: str) -> Input:
    if name in layout.keys and name not in layout.numbers:
        return Input(slot, name, kind, "key", layout.keys.index(name), (), _of_key)
    if name in layout.numbers:
        place, choices = layout.numbers.index(name), dict(layout.choices).get(name)
        if choices is not None:
            return Input(slot, name, kind, "number", place, (NULL, *range(len(choices))), _of_choices(choices))
        if name in layout.flags:
            return Input(slot, name, kind, "number", place, (NULL, 0, 1), _of_truth)
        return Input(slot, name, kind, "number", place, (), _of_scale(layout.scale(name)))
    if name == MOMENT:
        return Input(slot, name, kind, "moment", 0, (), moments_of(zone))
    domain = (*_DOMAINS[name], *((NULL,) if name in {"holiday", "workday"} else ()))
    return Input(slot, name, kind, "asked", ASKED[name], domain, _of_truth if name in TRUTHS else _of_scale(0))


def _of_truth(number: int) -> object:
    return None if number == NULL else number != 0


def _of_choices(choices: Sequence[str]) -> Callable[[int], object]:
    def value(number: int) -> object:
        return choices[number] if 0 <= number < len(choices) else None

    return value


def _of_scale(scale: int) -> Callable[[int], object]:
    """A scaled integer as the number it stands for: a decimal of the declared places."""
    if scale == 0:
        return lambda number: None if number == NULL else number
    return lambda number: None if number == NULL else Decimal(number).scaleb(-scale, NUMBERS)


def _of_key(number: int) -> object:
    """Key fields are only compared with each other: `same_keys` numbers those of one event, 0 is null."""
    return f"key {number}" if number else None


def moments_of(zone: str) -> Callable[[int], DateTime]:
    """Gives a moment on the clocks of a zone, with its offset: so it stays one moment also where clocks go back."""
    count, first, *rest = zone_words(zone)
    changes, offsets = rest[:count], [first, *rest[count:]]

    def moment_of(time_ms: int) -> DateTime:
        offset = offsets[bisect_right(changes, time_ms)]
        days, rest_ms = divmod(time_ms + offset, _DAY_MS)
        return DateTime(days, rest_ms * 1_000_000, offset // 1000)

    return moment_of


def same_keys(keys: Iterable[object], null: object) -> list[int]:
    """Numbers for the keys of one event: equal ones have one number, 0 is null."""
    numbers: dict[object, int] = {}
    return [0 if key == null else numbers.setdefault(key, len(numbers) + 1) for key in keys]


def begin_of(node: tree.Node) -> int:
    """Where in the text a tree begins: a node of two sides lies at its sign, a call at its bracket."""
    starts = []
    for one in tree.walk(node):
        if isinstance(one, tree.Call) and isinstance(one.function, tree.Builtin):
            starts.append(one.at - len(one.function.name))
        elif not isinstance(one, tree.Builtin):
            starts.append(one.at)
    return max(min(starts), 0)


def form_of(node: tree.Node) -> str:
    """A tree as text, without places in the text it comes from: what is equal has equal forms."""
    parts = [(one, [name.name for name in fields(one) if name.name != "at"]) for one in tree.walk(node)]
    return repr([(type(one).__name__, [_shape(getattr(one, name)) for name in names]) for one, names in parts])


def _shape(part: object) -> object:
    """What is no node as it is; a node, which stands at a place of its own in the walk, as a mark."""
    if isinstance(part, tree.Node):
        return _NODE
    return [_shape(one) for one in part] if isinstance(part, tuple) else part
