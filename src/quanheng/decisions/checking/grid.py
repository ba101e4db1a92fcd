"""A table as boxes: for each rule and each variable, the atoms where its tests hold for certain, and where they may."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from quanheng.decisions.checking import axes
from quanheng.decisions.checking import conditions as c
from quanheng.decisions.checking.sources import Source, Sources
from quanheng.decisions.dmn import model as m
from quanheng.decisions.dmn.build import Model
from quanheng.decisions.dmn.tables import TableNode
from quanheng.feel import tree
from quanheng.feel.judge import Judge
from quanheng.feel.operators import single
from quanheng.feel.parser import Parser
from quanheng.feel.types import ANY, ContextType, FeelType
from quanheng.kernel.errors import ExpressionError


def bits(number: int) -> Iterator[int]:
    """Indexes of the bits that are set, from the lowest."""
    while number:
        low = number & -number
        yield low.bit_length() - 1
        number ^= low


def runs(number: int) -> Iterator[tuple[int, int]]:
    """The stretches of bits that are set, as (first, behind the last)."""
    while number:
        first = (number & -number).bit_length() - 1
        rest = number >> first
        length = (~rest & (rest + 1)).bit_length() - 1
        yield first, first + length
        number &= ~(((1 << length) - 1) << first)


class Cells:
    """What the rules say about one variable: distinct cells, and which rules have which.

    sets : the atoms of each distinct cell
    members : the rules that have it, as bits
    of : the cell of each rule
    """

    def __init__(self, sets: Sequence[int], atoms: int) -> None:
        self.sets: list[int] = []
        self.members: list[int] = []
        self.of: list[int] = []
        known: dict[int, int] = {}
        for rule, one in enumerate(sets):
            index = known.setdefault(one, len(self.sets))
            if index == len(self.sets):
                self.sets.append(one)
                self.members.append(0)
            self.members[index] |= 1 << rule
            self.of.append(index)
        self.rules = self._rules(atoms)

    def _rules(self, atoms: int) -> list[int]:
        """The rules that hold at each atom, as bits."""
        steps = [0] * (atoms + 1)
        for cell, members in zip(self.sets, self.members, strict=True):
            for first, behind in runs(cell):
                steps[first] ^= members
                steps[behind] ^= members
        found, current = [], 0
        for step in steps[:-1]:
            current ^= step
            found.append(current)
        return found


@dataclass(slots=True)
class Dimension:
    """One variable of a table, with the columns that test it.

    `domain` holds the atoms that can come, by level: ordinary values, then with fractions, null, and all the rest.
    """

    title: str
    source: Source
    columns: tuple[int, ...]
    axis: axes.Axis
    must: Cells
    may: Cells
    domain: tuple[int, int, int, int]

    def value(self, atoms: int) -> object:
        """The most ordinary value in a set of atoms."""
        return self.axis.atoms[self.best(atoms)].value  # type: ignore[union-attr]

    def best(self, atoms: int) -> int:
        """The bit of the most ordinary atom of a set that is not empty."""
        for domain in self.domain:
            if atoms & domain:
                return next(bits(atoms & domain))
        return next(bits(atoms))


class Doubt(NamedTuple):
    """A cell that cannot be decided: rule (from 0), column, why."""

    rule: int
    column: int
    why: str


class Grid:
    """One table; `path` names the decision it belongs to."""

    def __init__(self, model: Model, sources: Sources, node: TableNode, box: m.Table, kinds: Mapping[int, FeelType]):
        self.model, self.node, self.box = model, node, box
        self.count = len(node.rules)
        self.everything = (1 << self.count) - 1
        self.doubts: list[Doubt] = []
        self.strange: list[str] = []
        """Columns whose declared values cannot be read."""
        by_slot: dict[int, list[int]] = {}
        for column, clause in enumerate(node.inputs):
            by_slot.setdefault(clause.slot, []).append(column)
        found = {
            slot: sources.of(slot, node.inputs[columns[0]].value, dict(kinds)) for slot, columns in by_slot.items()
        }
        clashing = _clashing([one.path for one in found.values()])
        self.dimensions = [
            self._dimension(slot, columns, found[slot], found[slot].path in clashing)
            for slot, columns in by_slot.items()
        ]

    def _dimension(self, slot: int, columns: Sequence[int], source: Source, clashing: bool) -> Dimension:
        tests: list[list[tuple[int, c.Condition]]] = [[] for _ in range(self.count)]
        reading, known = c.Reading({slot}), {}
        for number, rule in enumerate(self.node.rules):
            for test, column in zip(rule.tests, rule.columns, strict=True):
                if column in columns:
                    if id(test) not in known:
                        known[id(test)] = reading.condition(test)
                    tests[number].append((column, known[id(test)]))
        allowed = [*source.allowed, *(one for column in columns if (one := self._declared(slot, column)))]
        try:
            axis = axes.Axis(source.type, [*known.values(), *allowed])
        except axes.Undecidable:
            why = "its constants have no common order"
            tests = [[(column, c.Unclear(c.unclear(one) or why)) for column, one in row] for row in tests]
            allowed, axis = [], axes.Axis(ANY, [])
            source = Source(source.path, source.type)
        self._note(tests)
        # By identity: `1` and `true` are equal for Python, so conditions on them would be too.
        outcomes = {id(one): axis.outcomes(one) for one in {id(one): one for row in tests for _, one in row}.values()}
        must, may = [], []
        for row in tests:
            can = sure = axis.whole
            for _, one in row:
                true, false, null = outcomes[id(one)]
                can, sure = can & true, sure & true & ~false & ~null
            must.append(sure)
            may.append(can)
        whole, certain = axis.whole, source.certain and not clashing
        for one in allowed:
            true, false, null = axis.outcomes(one)
            whole &= true
            certain &= not true & (false | null)
        domain = tuple(
            whole & sum(1 << bit for bit, atom in enumerate(axis.atoms) if atom is not None and atom.level <= level)
            for level in range(4)
        )
        title = self.box.inputs[columns[0]].expression
        size = len(axis.atoms)
        clipped = Cells([one & whole for one in must], size), Cells([one & whole for one in may], size)
        certain_source = Source(source.path, source.type, source.allowed, certain)
        return Dimension(title, certain_source, tuple(columns), axis, *clipped, domain)  # type: ignore[arg-type]

    def _note(self, tests: Iterable[Sequence[tuple[int, c.Condition]]]) -> None:
        for number, row in enumerate(tests):
            self.doubts += [Doubt(number, column, why) for column, one in row if (why := c.unclear(one))]

    def _declared(self, slot: int, column: int) -> c.Condition | None:
        """What <inputValues> of a column says; null is never excluded by it."""
        allowed = self.node.inputs[column].allowed
        if allowed is None:
            if self.box.inputs[column].allowed not in ("", "-"):
                self.strange.append(self.box.inputs[column].label)
            return None
        return c.Reading({slot}).condition(allowed)

    def tests(self, text: str) -> Callable[[object], bool] | None:
        """Whether a value passes unary tests; None for no tests, and for what cannot be read as such."""
        scope = self.model.scope.inner()
        try:
            subject = scope.bind("?", ANY)
            node = Parser(text, scope, "", self.model.strict, self.model.types.known).unary_tests(subject)
        except ExpressionError:
            return None
        return (lambda value: single(Judge().value(node, {subject.slot: value})) is True) if text else None

    # -- what findings need

    @property
    def certain(self) -> bool:
        """Every value of the columns can be given to the model."""
        return all(one.source.certain for one in self.dimensions)

    def witness(self, atoms: Sequence[int]) -> tuple[dict[str, object], dict[str, object]]:
        """The values at one set of atoms per dimension: by column, and as inputs of the model where they are."""
        values = [one.value(held) for one, held in zip(self.dimensions, atoms, strict=True)]
        shown = {one.title: value for one, value in zip(self.dimensions, values, strict=True)}
        given: dict[str, object] = {}
        if not self.certain:
            return shown, given
        for one, value in zip(self.dimensions, values, strict=True):
            name, *inner = one.source.path
            if not inner:
                given[name] = value
            else:
                variable = next(v for v in self.model.variables.values() if v.name == name)
                given.setdefault(name, _empty(variable.type))
                _put(given[name], inner, value, variable.type)
        return shown, given


def _clashing(paths: Sequence[tuple[str, ...]]) -> set[tuple[str, ...]]:
    """Paths that cannot be given apart: the same twice, or one inside another."""
    return {
        one
        for at, one in enumerate(paths)
        for other_at, other in enumerate(paths)
        if at != other_at and one and other and (one[: len(other)] == other or other[: len(one)] == one)
    }


def _empty(kind: FeelType) -> dict[str, object]:
    return {name: None for name, _ in kind.fields} if isinstance(kind, ContextType) else {}


def _put(target: object, path: Sequence[str], value: object, kind: FeelType) -> None:
    """Set one entry of a context that is filled up with null."""
    assert isinstance(target, dict)
    inner = (kind.field(path[0]) if isinstance(kind, ContextType) else None) or ANY
    if len(path) == 1:
        target[path[0]] = value
        return
    if target.get(path[0]) is None:
        target[path[0]] = _empty(inner)
    _put(target[path[0]], path[1:], value, inner)


def kinds_of(model: Model, node: tree.Node) -> dict[int, FeelType]:
    """The type of every variable that a table inside `node` can test."""
    found = {variable.slot: variable.type for variable in model.variables.values()}
    for part in tree.walk(node):
        if isinstance(part, tree.FunctionOf):
            found.update(zip(part.slots, part.kinds, strict=True))
        elif isinstance(part, tree.Let | tree.ContextOf):
            found.update(zip(part.slots, (one.type for one in part.values), strict=True))
    return found
