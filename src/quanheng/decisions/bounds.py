"""Where a policy changes its mind: values at which a comparison of a model turns, one input moved at a time.

Every comparison of the model is looked at as a difference that depends on one input while the others stay. Where that
is affine (a bound that is a constant, a parameter, another input, or arithmetic of these) its root is exact; elsewhere
the root is found by halving on the input's own steps, which needs the difference to cross once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from quanheng.decisions.dmn.build import Model
from quanheng.decisions.dmn.judge import ModelJudge
from quanheng.decisions.dmn.tables import TableInputNode
from quanheng.feel import tree
from quanheng.feel.values import GIVEN_UP, Range

Number = int | Decimal
Pair = tuple[tree.Node, tree.Node]
REACH_STEPS = 2**40
"""How far from its value an input without bounds is looked at, in steps."""
_AFFINE = Fraction(1, 10**20)
"""FEEL divides with 34 digits, so a quotient is affine up to rounding. Candidates are tried by the policy itself."""


class Changeable(NamedTuple):
    """An input that may be varied.

    step : its smallest change (1 = one minor unit); 0 = it has `choices`
    low, high : its bounds, included; None = none
    choices : its values, where it is no number
    """

    name: str
    step: Number = 0
    low: Number | None = None
    high: Number | None = None
    choices: tuple[object, ...] = ()


class Bounds:
    """Finds what the comparisons of one decision turn at.

    Parameters
    ----------
    model : checked
    decision : name of the decision
    given : values of the inputs by name
    """

    def __init__(self, model: Model, decision: str, given: Mapping[str, object]) -> None:
        self.model, self.decision, self.given = model, decision, dict(given)
        target = model.target(decision)
        self._needed = model.required(target.id) if target is not None else []
        roots = [model.trees[one] for one in self._needed if one in model.trees]
        nodes = [node for root in roots for node in tree.walk(root)]
        self._aliases = [(one.slot, one.value) for one in nodes if _is_alias(one)]  # type: ignore[attr-defined]
        # Equal cells share one tree, so each pair is kept once.
        self._pairs = list({(id(pair[0]), id(pair[1])): pair for node in nodes for pair in _pairs(node)}.values())
        self._slots = {model.variables[one].name: model.variables[one].slot for one in self._needed}
        self._reads = self._dependencies(roots)

    def _dependencies(self, roots: Sequence[tree.Node]) -> dict[int, frozenset[int]]:
        """Slot → slots of everything it is computed from, itself included."""
        reads: dict[int, frozenset[int]] = {}
        trees = {
            self.model.variables[one].slot: self.model.trees[one] for one in self._needed if one in self.model.trees
        }
        trees |= dict(self._aliases)
        changed = True
        while changed:
            changed = False
            for slot, node in trees.items():
                found = frozenset({slot}).union(
                    *(reads.get(one.slot, {one.slot}) for one in tree.walk(node) if isinstance(one, tree.Name))
                )
                if found != reads.get(slot):
                    reads[slot], changed = found, True
        return reads

    def _depends(self, node: tree.Node, slot: int) -> bool:
        return any(
            one.slot == slot or slot in self._reads.get(one.slot, ())
            for one in tree.walk(node)
            if isinstance(one, tree.Name)
        )

    def _values(self, name: str, value: object, pairs: Sequence[Pair]) -> list[list[tuple[object, object]]]:
        """Both sides of each pair with one input changed; a side that is a list or range gives several."""
        walk = ModelJudge(self.model, {**self.given, name: value})
        try:
            walk.decide(self.decision)
        except GIVEN_UP:
            return [[] for _ in pairs]
        env = walk.env

        def read(node: tree.Node) -> object:
            try:
                return walk.judge.value(node, env)
            except (KeyError, TypeError, *GIVEN_UP):  # It stands inside a loop or function whose variables are not set.
                return None

        for slot, node in self._aliases:
            env[slot] = read(node)
        return [[(read(one), each) for each in _spread(read(other))] for one, other in pairs]

    def candidates(self, input: Changeable) -> list[object]:
        """Values of one input at which some comparison may turn, with the others as given, nearest first.

        For a number these are, for every turning point, the steps at and on either side of it: each elementary interval
        between turning points is represented by its nearest value.
        """
        slot, now = self._slots.get(input.name), self.given.get(input.name)
        if slot is None or now is None:
            return []
        pairs = [pair for pair in self._pairs if self._depends(pair[0], slot) or self._depends(pair[1], slot)]
        if not input.step:
            found = {*input.choices, *(self._texts(input.name, now, pairs) if not input.choices else ())} - {now}
            return sorted(found, key=repr)
        if isinstance(now, bool) or not isinstance(now, int | Decimal):
            return []
        values: set[Number] = set()
        for root in self._roots(input, now, pairs):
            values |= _steps_around(root, input)
        values.discard(now)
        here = Fraction(now)
        ordered: list[Number] = sorted(values, key=lambda value: (abs(Fraction(value) - here), value))
        return list(ordered)

    def _texts(self, name: str, now: object, pairs: Sequence[Pair]) -> set[object]:
        sides = (side for found in self._values(name, now, pairs) for pair in found for side in pair)
        return {side for side in sides if isinstance(side, str | bool)}

    # -- numbers

    def _roots(self, input: Changeable, now: Number, pairs: Sequence[Pair]) -> set[Fraction]:
        step = Fraction(input.step)
        probes = [Fraction(now), Fraction(now) + step, Fraction(now) + 3 * step]
        probed = [self._values(input.name, _number(probe), pairs) for probe in probes]
        roots: set[Fraction] = set()
        for index in range(len(pairs)):
            rows = [one[index] for one in probed]
            for each in range(min(map(len, rows))):
                points = [_difference(row[each]) for row in rows]
                root = _affine_root(probes, points)
                if root is not None:
                    roots.add(root)
                elif None not in points and not _is_affine(probes, points):
                    roots |= self._halved(input, now, pairs[index], each)
        return roots

    def _halved(self, input: Changeable, now: Number, pair: Pair, each: int) -> set[Fraction]:
        """Where the difference changes its sign on either side of the value, on the steps of the input."""
        step = Fraction(input.step)

        def sign(steps: int) -> int | None:
            [found] = self._values(input.name, _number(Fraction(now) + steps * step), [pair])
            point = _difference(found[each]) if len(found) > each else None
            return None if point is None else (point > 0) - (point < 0)

        here, roots = sign(0), set()
        for edge in self._edges(input, now):
            low, high = 0, edge
            if here is None or sign(edge) in (None, here):
                continue
            while abs(high - low) > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if sign(middle) == here else (low, middle)
            roots |= {Fraction(now) + low * step, Fraction(now) + high * step}
        return roots

    @staticmethod
    def _edges(input: Changeable, now: Number) -> tuple[int, int]:
        """How many steps down and up the input may go."""
        step = Fraction(input.step)
        down = REACH_STEPS if input.low is None else int((Fraction(now) - Fraction(input.low)) / step)
        up = REACH_STEPS if input.high is None else int((Fraction(input.high) - Fraction(now)) / step)
        return -down, up


def _is_alias(node: tree.Node) -> bool:
    return isinstance(node, tree.In) or (isinstance(node, TableInputNode) and node.value is not None)


def _pairs(node: tree.Node) -> list[Pair]:
    """What a node compares with what."""
    if isinstance(node, tree.Compare):
        return [(node.left, node.right)]
    if isinstance(node, tree.Between):
        return [(node.value, node.low), (node.value, node.high)]
    if isinstance(node, tree.Test):
        return [(node.value, node.against)]
    return []


def _spread(value: object) -> list[object]:
    """A value, the items of a list, the ends of a range."""
    if isinstance(value, list):
        return [each for item in value for each in _spread(item)]
    if isinstance(value, Range):
        return [value.low, value.high]
    return [value]


def _difference(pair: tuple[object, object]) -> Fraction | None:
    one, other = pair
    if isinstance(one, bool) or isinstance(other, bool):
        return None
    if isinstance(one, int | Decimal) and isinstance(other, int | Decimal):
        return Fraction(one) - Fraction(other)
    return None


def _is_affine(at: Sequence[Fraction], points: Sequence[Fraction | None]) -> bool:
    first, second, third = points
    if first is None or second is None or third is None:
        return False
    slope = (second - first) / (at[1] - at[0])
    said = first + slope * (at[2] - at[0])
    size: Fraction = max(abs(third), abs(first), Fraction(1))
    return bool(abs(said - third) <= _AFFINE * size)


def _affine_root(at: Sequence[Fraction], points: Sequence[Fraction | None]) -> Fraction | None:
    if not _is_affine(at, points) or points[0] == points[2]:
        return None
    slope = (points[2] - points[0]) / (at[2] - at[0])  # type: ignore[operator]
    return at[0] - points[0] / slope  # type: ignore[operator]


def _steps_around(root: Fraction, input: Changeable) -> set[Number]:
    """The steps at, just below and just above a turning point, within the bounds."""
    step = Fraction(input.step)
    floor = root // step
    counts = {floor - 1, floor, floor + 1} | ({floor + 2} if floor * step != root else set())
    low, high = (None if one is None else Fraction(one) for one in (input.low, input.high))
    values = (count * step for count in counts)
    return {_number(one) for one in values if (low is None or one >= low) and (high is None or one <= high)}


def _number(value: Fraction) -> Number:
    """The exact number; steps and inputs have finite decimals, so this always ends."""
    if value.denominator == 1:
        return value.numerator
    return Decimal(value.numerator) / Decimal(value.denominator)
