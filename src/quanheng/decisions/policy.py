"""A decision compiled with everything it requires."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from quanheng.feel.compiler import diagnostics_of
from quanheng.feel.types import FeelType
from quanheng.feel.values import EVERY, GIVEN_UP, Diagnostic, IdleRun, Membership, Place, Run, give_up
from quanheng.kernel.errors import InputError


class PolicyInput(NamedTuple):
    """One input, in the order in which the policy takes it; `as_float` where it is declared as float."""

    name: str
    type: FeelType
    as_float: bool = False


class Step(NamedTuple):
    """What one decision contributed: `rules` are the rules that matched, counted from 1."""

    decision: str
    rules: tuple[int, ...]
    result: object


class Judgement(msgspec.Struct, frozen=True, gc=False):
    """A judgement: `result`, and `trace`, one (decision, matched rules, result) per decision evaluated, in order.

    `found` and `places` hold the diagnostics in raw form; `diagnostics` spells them out.
    """

    result: object
    trace: tuple[tuple[str, tuple[int, ...], object], ...]
    found: Sequence[tuple[int, str]] = ()
    places: Sequence[Place] = ()

    @property
    def steps(self) -> tuple[Step, ...]:
        return tuple(Step(*step) for step in self.trace)

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """Why parts of the result became null; empty when nothing did."""
        return diagnostics_of(self.found, self.places)


class Policy:
    """Callable: `policy(values)` with one value per entry of `inputs`, in order; never raises for any values.
    Another number of values than inputs is an InputError.

    Attributes
    ----------
    decision : name of the decision
    inputs : what it reads
    result : static type of the result
    source : the generated Python, to read
    lists : names of the lists that it asks
    """

    __slots__ = ("_exact", "_function", "_make_exact", "_places", "_source", "decision", "inputs", "lists", "result")

    def __init__(self, decision: str, inputs: Sequence[PolicyInput], result: FeelType, function: Callable[..., Any],
                 places: Sequence[Place], source: Callable[[], str],
                 lists: frozenset[str] = frozenset()) -> None:  # fmt: skip
        self.decision, self.inputs, self.result, self.lists = decision, tuple(inputs), result, lists
        self._function, self._places, self._source = function, tuple(places), source
        self._exact: Policy | None = None
        self._make_exact: Callable[[], Policy | None] | None = None

    def exact_from(self, make: Callable[[], Policy | None]) -> None:
        """Where the same policy over exact numbers comes from, for values that the lane of floats does not take."""
        self._make_exact = make

    @property
    def exact(self) -> Policy:
        """The same policy over exact numbers: another one where this one runs on floats."""
        if self._exact is None:
            self._exact = (self._make_exact() if self._make_exact is not None else None) or self
        return self._exact

    @property
    def source(self) -> str:
        return self._source()

    def __call__(
        self, values: Sequence[object], now_ms: int | None = None, lists: Membership | None = None
    ) -> Judgement:
        if lists is None:
            run = Run()
        elif held := getattr(lists, "held", EVERY):
            run = Run()
            run.lists, run.held = lists, held
        else:
            run = IdleRun()
        if now_ms is not None:
            run.now_ms = now_ms
        try:
            found = self._function(run, values)
        except GIVEN_UP as error:
            if len(values) != len(self.inputs):
                raise self.miscounted(values) from None
            give_up(run, error)
            found = None, ()
        if found is None:
            return self.exact(values, now_ms, lists)
        result, trace = found
        return Judgement(result, trace, run, self._places)

    def miscounted(self, values: Sequence[object]) -> InputError:
        """The error of a caller that gives another number of values than the policy has inputs."""
        return InputError(
            "the policy takes one value per input",
            where=self.decision,
            found=f"{len(values)} values",
            allowed=f"{len(self.inputs)}: {', '.join(one.name for one in self.inputs)}",
            cure="Give the values in the order of `inputs`, or by name with `judge`.",
        )

    def judge(
        self, given: Mapping[str, object], now_ms: int | None = None, lists: Membership | None = None
    ) -> Judgement:
        """The same with inputs by name; what is missing is null."""
        return self([given.get(one.name) for one in self.inputs], now_ms, lists)
