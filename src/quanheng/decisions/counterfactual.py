"""The smallest changes of inputs that would have given a wanted outcome: an exact search, tried by the policy itself.

One input at a time first; where no single one is enough, pairs, then triples. Each input is moved over the values next
to the bounds that the policy compares it with (`bounds`), the others stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from itertools import combinations
from typing import NamedTuple

from quanheng.decisions.bounds import Bounds, Changeable
from quanheng.decisions.dmn.build import Model
from quanheng.decisions.policy import Policy

INPUTS_MAX = 3
RUNS_MAX = 100_000
SHOWN_MAX = 12

OutcomeOf = Callable[[Sequence[object]], str]
"""What the policy answers to values of its inputs, in their order."""


class Change(NamedTuple):
    """One input: as it was, as it would have to be."""

    name: str
    was: object
    would_be: object


class Counterfactual(NamedTuple):
    """Changes that together give `outcome`. `cost` is the sum of relative changes, for ranking only."""

    changes: tuple[Change, ...]
    outcome: str
    cost: Fraction


class Search(NamedTuple):
    """What was found. `complete` is False when the budget of runs ended the search before its end."""

    found: tuple[Counterfactual, ...]
    runs: int
    complete: bool
    tried: tuple[str, ...]


class _OutOfRuns(Exception):
    """Internal: the budget is spent."""


def search(
    model: Model,
    policy: Policy,
    given: Mapping[str, object],
    changeable: Sequence[Changeable],
    wanted: str,
    outcome_of: OutcomeOf,
    *,
    inputs_max: int = INPUTS_MAX,
    runs_max: int = RUNS_MAX,
) -> Search:
    """Find the smallest changes that give `wanted`.

    Parameters
    ----------
    model, policy : the same decision, as read and as compiled
    given : values of the inputs by name; one that is null is not varied
    changeable : what may be varied, and in which steps
    outcome_of : runs the policy
    inputs_max : how many inputs may be changed together; runs_max : how often the policy may be run

    Returns
    -------
    Search : every set of inputs of the least size that suffices, each with all changes of which none can be smaller
        without another being larger; by cost
    """
    return _Searcher(model, policy, given, changeable, wanted, outcome_of, runs_max).run(inputs_max)


class _Searcher:
    def __init__(
        self,
        model: Model,
        policy: Policy,
        given: Mapping[str, object],
        changeable: Sequence[Changeable],
        wanted: str,
        outcome_of: OutcomeOf,
        runs_max: int,
    ) -> None:
        self.names = [one.name for one in policy.inputs]
        self.given, self.wanted, self.outcome_of, self.runs_max = dict(given), wanted, outcome_of, runs_max
        self.runs = 0
        bounds = Bounds(model, policy.decision, given)
        known = [one for one in changeable if one.name in self.names]
        self.values = {one.name: values for one in known if (values := bounds.candidates(one))}

    def run(self, inputs_max: int) -> Search:
        found: list[Counterfactual] = []
        complete = True
        try:
            for size in range(1, inputs_max + 1):
                for names in combinations(self.values, size):
                    found += self._smallest(names, list(self._flips(names)))
                if found:
                    break
        except _OutOfRuns:
            complete = False
        found.sort(key=lambda one: (one.cost, repr(one.changes)))
        return Search(tuple(found[:SHOWN_MAX]), self.runs, complete, tuple(self.values))

    def _flips(self, names: Sequence[str]) -> Iterator[tuple[object, ...]]:
        """Values of these inputs that give the wanted outcome: for each choice of the first ones, the nearest last."""
        *first, last = names
        for values in self._product(first):
            for value in self.values[last]:
                if self._outcome(names, (*values, value)) == self.wanted:
                    yield (*values, value)
                    break

    def _product(self, names: Sequence[str]) -> Iterator[tuple[object, ...]]:
        if not names:
            yield ()
            return
        for value in self.values[names[0]]:
            for rest in self._product(names[1:]):
                yield (value, *rest)

    def _outcome(self, names: Sequence[str], values: Sequence[object]) -> str:
        if self.runs >= self.runs_max:
            raise _OutOfRuns
        self.runs += 1
        changed = {**self.given, **dict(zip(names, values, strict=True))}
        return self.outcome_of([changed.get(name) for name in self.names])

    def _smallest(self, names: Sequence[str], flips: list[tuple[object, ...]]) -> list[Counterfactual]:
        """Of the changes of one set of inputs, those that no other undercuts in every input."""
        sizes = [[_distance(self.given[name], value) for name, value in zip(names, one, strict=True)] for one in flips]
        kept = []
        for one, size in zip(flips, sizes, strict=True):
            if any(other != size and all(a <= b for a, b in zip(other, size, strict=True)) for other in sizes):
                continue
            changes = tuple(Change(name, self.given[name], value) for name, value in zip(names, one, strict=True))
            kept.append(Counterfactual(changes, self.wanted, sum(map(_relative, changes), Fraction(0))))
        return kept


def _distance(was: object, value: object) -> Fraction:
    if isinstance(was, int | Decimal) and isinstance(value, int | Decimal) and not isinstance(was, bool):
        return abs(Fraction(value) - Fraction(was))
    return Fraction(was != value)


def _relative(change: Change) -> Fraction:
    size = Fraction(change.was) if isinstance(change.was, int | Decimal) else Fraction(1)
    return _distance(change.was, change.would_be) / max(abs(size), Fraction(1))
