"""Two questions about boxes: which rules meet or hold others, and is there a point that no rule of a set covers?

The first is exact and cheap: two boxes meet where their sides meet in every dimension, so one bitset of rules per
dimension is enough. The second is hard in general; `Cover` splits by dimension, keeps only the rules still in play, and
remembers what is covered. Its work is bounded: `exhausted` says that the bound was reached.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from quanheng.decisions.checking.grid import Cells, Dimension, bits, runs

WORK_MAX = 3_000_000
"""Steps of the search in one table: groups of atoms looked at, some seconds."""
FEW = 24
"""Up to that many distinct cells, atoms are grouped by splitting; beyond it, one by one."""


class Spans:
    """Answers for stretches of atoms: the rules at any (`|`) or at all (`&`) of them, by a tree of halves."""

    def __init__(self, rules: Sequence[int], both: bool) -> None:
        self.size, self.both = len(rules), both
        self.nodes = [0] * self.size + list(rules)
        for at in range(self.size - 1, 0, -1):
            left, right = self.nodes[2 * at], self.nodes[2 * at + 1]
            self.nodes[at] = left & right if both else left | right

    def over(self, atoms: int, start: int) -> int:
        """The rules at the atoms of a set; `start` for none."""
        found = start
        for first, behind in runs(atoms):
            low, high = first + self.size, behind + self.size
            while low < high:
                if low & 1:
                    found = found & self.nodes[low] if self.both else found | self.nodes[low]
                    low += 1
                if high & 1:
                    high -= 1
                    found = found & self.nodes[high] if self.both else found | self.nodes[high]
                low, high = low >> 1, high >> 1
        return found


def meeting(cells: Sequence[Cells], asked: Sequence[Cells], domains: Sequence[int], everything: int) -> Iterator[int]:
    """For each rule of `asked`, the rules of `cells` whose boxes meet its box inside `domains`."""
    return _by_rule(cells, asked, domains, everything, both=False)


def holding(cells: Sequence[Cells], asked: Sequence[Cells], domains: Sequence[int], everything: int) -> Iterator[int]:
    """For each rule of `asked`, the rules of `cells` whose boxes hold the whole of its box."""
    return _by_rule(cells, asked, domains, everything, both=True)


def _by_rule(
    cells: Sequence[Cells], asked: Sequence[Cells], domains: Sequence[int], everything: int, both: bool
) -> Iterator[int]:
    answers: list[list[int]] = []
    for one, other, domain in zip(cells, asked, domains, strict=True):
        spans = Spans(one.rules, both)
        answers.append([spans.over(held & domain, everything if both else 0) for held in other.sets])
    for rule in range(len(asked[0].of) if asked else 0):
        found = everything
        for answer, other in zip(answers, asked, strict=True):
            found &= answer[other.of[rule]]
        yield found


class Exhausted(Exception):
    """Internal: the work of one table has reached its bound."""


class Cover:
    """Looks for points that none of a set of rules covers.

    `cells` are the sides of the rules: those that hold for certain, to claim that a rule is hidden; those that may
    hold, to claim a gap.
    """

    def __init__(self, dimensions: Sequence[Dimension], cells: Sequence[Cells], work_max: int = WORK_MAX) -> None:
        self.work, self.work_max = 0, work_max
        self.dimensions = dimensions
        # What excludes most comes first: a dimension that few rules leave open, and of these the one with fewer cells.
        wide = [
            sum(
                held.bit_count()
                for cell, held in zip(one.sets, one.members, strict=True)
                if cell == dimension.domain[3]
            )
            for one, dimension in zip(cells, dimensions, strict=True)
        ]
        self.order = sorted(range(len(cells)), key=lambda at: (wide[at], len(cells[at].sets), at))
        self.cells = [cells[at] for at in self.order]

    def open(self, rules: int, box: Sequence[int]) -> Iterator[list[int]]:
        """Boxes inside `box` that none of `rules` covers, as atoms per dimension.

        Raises
        ------
        Exhausted : the bound was reached before the answer
        """
        ordered = [box[at] for at in self.order]
        if not all(ordered):
            return
        behind = self._behind(ordered)
        covered: set[tuple[int, int]] = set()
        for found in self._open(0, rules, ordered, behind, covered):
            yield [found[self.order.index(at)] for at in range(len(self.order))]

    def _behind(self, box: Sequence[int]) -> list[int]:
        """The rules that cover the box in all dimensions from each on."""
        found = [~0]
        for cells, side in zip(reversed(self.cells), reversed(box), strict=True):
            full = sum(held for cell, held in zip(cells.sets, cells.members, strict=True) if side & ~cell == 0)
            found.insert(0, found[0] & full)
        return found

    def _open(
        self, depth: int, rules: int, box: Sequence[int], behind: Sequence[int], covered: set[tuple[int, int]]
    ) -> Iterator[list[int]]:
        if not rules:
            yield list(box[depth:])
            return
        if rules & behind[depth] or (depth, rules) in covered:
            return
        hit = False
        for inner, atoms in self._groups(depth, rules, box[depth]):
            for rest in self._open(depth + 1, inner, box, behind, covered):
                hit = True
                yield [atoms, *rest]
        if not hit:
            covered.add((depth, rules))

    def _groups(self, depth: int, rules: int, side: int) -> list[tuple[int, int]]:
        """The atoms of one side by the rules that hold there, most ordinary atoms first."""
        cells = self.cells[depth]
        if rules.bit_count() <= FEW:
            groups = self._split(cells, rules, side)
        else:
            found: dict[int, int] = {}
            for bit in bits(side):
                held = cells.rules[bit] & rules
                found[held] = found.get(held, 0) | 1 << bit
            groups = list(found.items())
            self.work += side.bit_count()
        self.work += len(groups)
        if self.work > self.work_max:
            raise Exhausted
        best = self.dimensions[self.order[depth]].best
        return sorted(groups, key=lambda one: (one[0].bit_count(), best(one[1])))

    @staticmethod
    def _split(cells: Cells, rules: int, side: int) -> list[tuple[int, int]]:
        groups = [(0, side)]
        for cell in {cells.of[rule] for rule in bits(rules)}:
            members, held = cells.members[cell] & rules, cells.sets[cell]
            divided = []
            for inner, atoms in groups:
                if atoms & held:
                    divided.append((inner | members, atoms & held))
                if atoms & ~held:
                    divided.append((inner, atoms & ~held))
            groups = divided
        return groups
