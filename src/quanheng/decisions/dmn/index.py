"""Which rules of a table a value lets through, worked out beforehand.

The constants that a column's cells compare with cut its values into places: below the first constant, equal to it,
between it and the next, and so on, and null. Within one place every cell has one answer, so a table keeps, per column
and place, the set of rules that may match, as the bits of one integer. A judgement finds the place of each input and
intersects the sets. Rule 1 has the highest bit: the first match is read off the length of the integer.

A cell takes part when it asks only about its own input and constants, of types that Python compares exactly (number,
string, boolean). What else a rule asks (`> limit`, functions) stays a condition, asked after the index let it through.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from quanheng.feel import inline, tree
from quanheng.feel.limits import LIMITS
from quanheng.feel.types import BOOLEAN, NUMBER, STRING, FeelType
from quanheng.feel.values import SMALL, Range

if TYPE_CHECKING:
    from quanheng.decisions.dmn.tables import TableNode

KINDS = frozenset({NUMBER, STRING, BOOLEAN})
_CLASSES: dict[FeelType, tuple[type, ...]] = {NUMBER: (int, Decimal), STRING: (str,), BOOLEAN: (bool,)}
_FLIPPED = {"=": "=", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}


class Region(NamedTuple):
    """Where a test is true and where it is false, as bits of places; null answers are in neither."""

    true: int
    false: int


class Column(NamedTuple):
    """The index of one input.

    slot : the variable
    kind : number, string or boolean
    cuts : the constants, ascending
    rules : the rules let through at each place: 2 * len(cuts) + 1 places, then null
    """

    slot: int
    kind: FeelType
    cuts: tuple[object, ...]
    rules: tuple[int, ...]

    @property
    def by_equality(self) -> bool:
        """True when all values that are no constant have the same answer."""
        return len(set(self.rules[:-1:2])) == 1


class Rest(NamedTuple):
    """What of a rule the index does not answer; `tests` in order."""

    position: int
    tests: tuple[tree.Node, ...]


class Index(NamedTuple):
    """Columns and rests of one table; a rest is empty where the index answers the whole rule."""

    columns: tuple[Column, ...]
    rests: tuple[Rest, ...]
    cells: int
    """Cells that the index answers."""

    @property
    def asked(self) -> int:
        """Cells that it does not."""
        return sum(len(rest.tests) for rest in self.rests)


# -- what a cell asks


class Cell(NamedTuple):
    """A cell as a question about one variable, seen through the names `slots` that all mean it."""

    node: tree.Node
    slots: frozenset[int]
    kind: FeelType

    def inner(self, node: tree.Node) -> Cell:
        return Cell(node, self.slots, self.kind)


def comparison(cell: Cell) -> tuple[str, object] | None:
    """(operator, constant) of a cell that compares its value with a constant of its own kind, or with null."""
    node = cell.node
    if isinstance(node, tree.Test):
        node = inline.plain_test(node) or node
    if not isinstance(node, tree.Compare) or not inline.comparable(node):
        return None
    for one, other, op in ((node.left, node.right, node.op), (node.right, node.left, _FLIPPED[node.op])):
        name, value = inline.unsourced(one), inline.constant(other)
        if isinstance(name, tree.Name) and name.slot in cell.slots and value is not None:
            fits = value[0].__class__ in _CLASSES[cell.kind] or (value[0] is None and op in ("=", "!="))
            return (op, value[0]) if fits else None
    return None


def members(cell: Cell) -> list[object] | None:
    """The constants and ranges of constants in `[1, 2, [5..7]]` as a test of the value; None for anything else."""
    node = cell.node
    if not isinstance(node, tree.Test) or not isinstance(against := inline.unsourced(node.against), tree.ListOf):
        return None
    if not (isinstance(node.value, tree.Name) and node.value.slot in cell.slots) or len(against.items) > SMALL:
        return None  # looking through a long list counts as work
    found: list[object] = []
    for item in against.items:
        part = inline.unsourced(item)
        if (value := inline.constant(part)) is not None:
            found.append(value[0])
        elif isinstance(part, tree.RangeOf) and part.low is not None and part.high is not None and not part.point:
            low, high = inline.constant(part.low), inline.constant(part.high)
            classes = _CLASSES[cell.kind]
            if low is None or high is None or low[0].__class__ not in classes or high[0].__class__ not in classes:
                return None
            found.append(Range(low[0], part.low_closed, high[0], part.high_closed))
        else:
            return None
    return found


def parts(cell: Cell) -> Sequence[Cell] | None:
    """The cells that a compound cell is made of; None where it is no compound."""
    node = cell.node
    if isinstance(node, tree.And | tree.Or):
        return [cell.inner(part) for part in node.parts]
    if isinstance(node, tree.Sourced | tree.Not):
        return [cell.inner(node.value)]
    if isinstance(node, tree.Between):
        low = tree.Compare(BOOLEAN, node.at, ">=", node.value, node.low)
        return [cell.inner(low), cell.inner(tree.Compare(BOOLEAN, node.at, "<=", node.value, node.high))]
    if isinstance(node, tree.In) and isinstance(node.value, tree.Name) and node.value.slot in cell.slots:
        return [Cell(node.test, cell.slots | {node.slot}, cell.kind)]
    return None


def cuts_of(cell: Cell, found: set[object]) -> bool:
    """Gather the constants of a cell; False where it asks more than an index answers."""
    if isinstance(cell.node, tree.Const):
        return cell.node.value is None or cell.node.value.__class__ is bool
    if (compared := comparison(cell)) is not None:
        found.update(value for value in compared[1:] if value is not None)
        return True
    if (listed := members(cell)) is not None:
        for one in listed:
            ends = (one.low, one.high) if isinstance(one, Range) else (one,)
            found.update(end for end in ends if end.__class__ in _CLASSES[cell.kind])
        return True
    inner = parts(cell)
    return inner is not None and all(cuts_of(part, found) for part in inner)


class Places:
    """The places that `cuts` make, and where cells are true and false among them."""

    def __init__(self, cuts: Sequence[object]) -> None:
        self.rank = {cut: 2 * index + 1 for index, cut in enumerate(cuts)}
        self.null = 1 << (2 * len(cuts) + 1)
        self.known = self.null - 1

    def region(self, cell: Cell) -> Region:
        node = cell.node
        if isinstance(node, tree.Const):
            every = self.known | self.null
            return Region(every if node.value is True else 0, every if node.value is False else 0)
        if (compared := comparison(cell)) is not None:
            return self.compared(*compared)
        if (listed := members(cell)) is not None:
            true = 0
            for one in listed:
                true |= self.member(one, cell.kind)
            return Region(true, (self.known | self.null) & ~true)
        regions = [self.region(part) for part in parts(cell) or ()]
        if isinstance(node, tree.Not):
            return Region(regions[0].false, regions[0].true)
        true, false = regions[0]
        for other in regions[1:]:
            if isinstance(node, tree.Or):
                true, false = true | other.true, false & other.false
            else:
                true, false = true & other.true, false | other.false
        return Region(true, false)

    def compared(self, op: str, value: object) -> Region:
        """Equality answers for null too, an order does not."""
        here = self.null if value is None else 1 << self.rank[value]
        if op in ("=", "!="):
            other = (self.known | self.null) & ~here
            return Region(here, other) if op == "=" else Region(other, here)
        below = here - 1
        true = {"<": below, "<=": below | here, ">": self.known & ~(below | here), ">=": self.known & ~below}[op]
        return Region(true, self.known & ~true)

    def member(self, one: object, kind: FeelType) -> int:
        if isinstance(one, Range):
            low = self.compared(">=" if one.low_closed else ">", one.low).true
            return low & self.compared("<=" if one.high_closed else "<", one.high).true
        if one is not None and one.__class__ not in _CLASSES[kind]:
            return 0  # a value of another kind is never equal
        return self.compared("=", one).true


def allows(test: tree.Node, slot: int, value: object) -> bool:
    """True where a unary test of the variable in `slot` is surely true for a constant."""
    kind = next((kind for kind in KINDS if value.__class__ in _CLASSES[kind]), None)
    found: set[object] = {value}
    if kind is None or not cuts_of(cell := Cell(test, frozenset({slot}), kind), found):
        return False
    places = Places(sorted(found))  # type: ignore[type-var]
    return bool(places.region(cell).true >> places.rank[value] & 1)


# -- a table


def silent(node: tree.Node) -> bool:
    """True where a condition can neither fail nor leave a diagnostic, so that when it is asked does not matter."""
    if isinstance(node, tree.Const | tree.Name):
        return True
    if isinstance(node, tree.Test):
        node = inline.plain_test(node) or node
    if isinstance(node, tree.Compare):
        return inline.comparable(node) and silent(node.left) and silent(node.right)
    if isinstance(node, tree.And | tree.Or):
        return all(silent(part) for part in node.parts)
    return isinstance(node, tree.Sourced | tree.Not) and silent(node.value)


def index_of(node: TableNode) -> Index:
    """Index a table."""
    usable = [Usable(clause.slot, clause.type) for clause in node.inputs]
    leave_out_large(node, usable)
    asked: dict[int, list[tuple[int, Cell]]] = {}
    rests: list[Rest] = []
    cells = 0
    for position, rule in enumerate(node.rules):
        left: list[tree.Node] = []
        loud = False
        for test, number in zip(rule.tests, rule.columns, strict=True):
            # Behind a condition that may fail or speak, order counts: nothing of the rule is answered before it.
            cell = None if loud else usable[number].cell(test)
            if cell is None:
                left.append(test)
                loud = loud or not silent(test)
                continue
            asked.setdefault(usable[number].slot, []).append((position, cell))
            cells += 1
        rests.append(Rest(position, tuple(left)))
    kind_of = {one.slot: one.kind for one in usable}
    columns = tuple(column_of(slot, kind_of[slot], asked[slot], len(node.rules)) for slot in asked)
    return Index(columns, tuple(rests), cells)


class Usable:
    """One input: tells which cells an index can answer. Equal cells share one tree, so each is looked at once."""

    def __init__(self, slot: int, kind: FeelType) -> None:
        self.slot, self.kind = slot, kind
        self.cuts: set[object] = set()
        self._seen: dict[int, Cell | None] = {}

    def cell(self, test: tree.Node) -> Cell | None:
        if id(test) not in self._seen:
            cell = Cell(test, frozenset({self.slot}), self.kind)
            self._seen[id(test)] = cell if self.kind in KINDS and cuts_of(cell, self.cuts) else None
        return self._seen[id(test)]

    def leave_out(self) -> None:
        """No index of this input: each of its cells is asked."""
        self._seen = dict.fromkeys(self._seen)


def leave_out_large(node: TableNode, usable: Sequence[Usable]) -> None:
    """Inputs, from the left, have an index as long as their bits (rules times places) are within the limit."""
    for rule in node.rules:
        for test, number in zip(rule.tests, rule.columns, strict=True):
            usable[number].cell(test)
    bits = 0
    for one in usable:
        size = len(node.rules) * (2 * len(one.cuts) + 2) if one.cuts else 0
        if bits + size > LIMITS.table_bits:
            one.leave_out()
        else:
            bits += size


def column_cuts(cells: Iterable[Cell]) -> tuple[object, ...]:
    """The constants of cells over one input, ascending."""
    found: set[object] = set()
    for cell in cells:
        cuts_of(cell, found)
    return tuple(sorted(found))  # type: ignore[type-var]


def column_of(slot: int, kind: FeelType, asked: Sequence[tuple[int, Cell]], count: int) -> Column:
    """One column from the cells over it: (position of the rule, cell)."""
    distinct = {id(cell): cell for _, cell in asked}
    cuts = column_cuts(distinct.values())
    places = Places(cuts)
    true = {key: places.region(cell).true for key, cell in distinct.items()}
    of_rule: dict[int, int] = {}
    for position, cell in asked:
        of_rule[position] = of_rule.get(position, -1) & true[id(cell)]
    by_region: dict[int, list[int]] = {}
    for position, region in of_rule.items():
        by_region.setdefault(region, []).append(position)
    every = (1 << count) - 1
    asking = bits_of(of_rule, count)
    rules = swept({region: bits_of(those, count) for region, those in by_region.items()}, 2 * len(cuts) + 2)
    free = every & ~asking
    pool: dict[int, int] = {}  # places that let the same rules through share one integer
    return Column(slot, kind, cuts, tuple(pool.setdefault(one | free, one | free) for one in rules))


def bits_of(positions: Iterator[int] | Sequence[int] | dict[int, int], count: int) -> int:
    """Rules by position (from 0) as bits; the first rule has the highest."""
    digits = bytearray(b"0" * count)
    for position in positions:
        digits[position] = 49
    return int(digits, 2) if count else 0


def swept(by_region: dict[int, int], places: int) -> list[int]:
    """The rules at every place: their bits are switched where a run of a region begins and behind its end."""
    switches = [0] * (places + 1)
    for region, rules in by_region.items():
        edges = region ^ (region << 1)
        while edges:
            top = edges.bit_length() - 1
            switches[top] ^= rules
            edges ^= 1 << top
    found, current = [], 0
    for switch in switches[:places]:
        current ^= switch
        found.append(current)
    return found
