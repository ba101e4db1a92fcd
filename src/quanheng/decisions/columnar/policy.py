"""The door: a decision compiled for whole columns."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from quanheng.decisions.columnar.coded import Coded, Codes, combine, series_of
from quanheng.decisions.columnar.known import Known, Values, read
from quanheng.decisions.columnar.plan import DecisionPlan, Mode, Plan, lists_in, plan_of
from quanheng.decisions.columnar.table import OnList, Unfit, evaluate
from quanheng.decisions.dmn.build import Model
from quanheng.decisions.dmn.compile import Part, compile_checks, compile_part, target_of
from quanheng.decisions.dmn.float_inputs import check_floats
from quanheng.decisions.dmn.model import Decision, InputData
from quanheng.decisions.policy import PolicyInput
from quanheng.feel import tree
from quanheng.feel.limits import LIMITS
from quanheng.feel.values import GIVEN_UP, Run
from quanheng.kernel.errors import InputError


class Answered(NamedTuple):
    """What one decision gave in every row: its result, and the rules that matched (a list, or None: given up)."""

    decision: str
    result: Coded
    rules: Coded


class GaveUp:
    """Stands for the result of an evaluation that was ended: the judgement of such a row is null, without a trace."""

    def __repr__(self) -> str:
        return "GAVE_UP"


GAVE_UP = GaveUp()


class ColumnPolicy:
    """Callable over frames: `policy.run(frame)` judges every row as `compile_decision(model, name)` would.

    Attributes
    ----------
    decision : name of the decision
    inputs : what it reads; a frame has one column for each, by name
    decisions : names of all decisions it evaluates, in order
    modes : what runs over columns and what row by row, and why
    """

    def __init__(self, model: Model, target: Decision, floats: Collection[str]) -> None:
        self.decision = target.name
        self._model, self._target, self._floats = model, target, frozenset(floats)
        self._plan: Plan = plan_of(model, target)
        self._parts: dict[int | str, Part] = {}
        self.inputs = tuple(
            PolicyInput(name := model.input_names[one.id], model.variables[one.id].type, name in self._floats)
            for one in self._plan.inputs
        )
        self.decisions = tuple(one.element.name for one in self._plan.decisions)
        self.modes: tuple[Mode, ...] = self._plan.modes

    def run(self, frame: pl.DataFrame, lists: OnList | None = None) -> pl.DataFrame:
        """Judge every row.

        Parameters
        ----------
        frame : a column per input; numbers are integers or Decimal, float only where the input is declared as float
        lists : says which texts of a column are on a list, each row at its own moment; None = nothing is known of lists

        Returns
        -------
        Two columns per decision, in order: `NAME`, its result, and `NAME.rules`, the rules that matched, counted from
        1 (a list; empty where none did or the decision is no table). Both are null in every decision of a row whose
        evaluation was given up. Contexts are structs; values of no common type are Python objects.

        Raises
        ------
        InputError : a column is missing, or its type does not fit its input
        Unfit : a table that asks lists has values that no column compares exactly; only rows one by one can tell
        """
        columns = []
        for name, result, rules in self.answers(frame, lists):
            columns.append(series_of(name, result))
            columns.append(series_of(f"{name}.rules", rules).cast(pl.List(pl.UInt32)))
        return pl.DataFrame(columns)

    def answers(self, frame: pl.DataFrame, lists: OnList | None = None) -> list[Answered]:
        """The same as `run`, with FEEL values as they are: codes of each row, and the distinct values.

        Raises
        ------
        InputError, Unfit : as `run`
        """
        return _Evaluation(self, frame, lists).result()

    # -- row code, compiled when it is first needed

    def part(self, key: int | str, what: Decision | InputData | tree.Node, name: str = "") -> Part:
        if key not in self._parts:
            self._parts[key] = compile_part(self._model, self._target, what, name)
        return self._parts[key]

    def checks(self, element: Decision) -> Part:
        key = f"checks of {element.id}"
        if key not in self._parts:
            self._parts[key] = compile_checks(self._model, self._target, element)
        return self._parts[key]

    @property
    def plan(self) -> Plan:
        return self._plan

    def read(self, frame: pl.DataFrame) -> dict[int, Known]:
        """The inputs by slot."""
        missing = [one.name for one in self.inputs if one.name not in frame.columns]
        if missing:
            raise InputError(
                "the frame lacks columns that the policy reads",
                where=self.decision,
                found=f"no {', '.join(missing)}",
                allowed=", ".join(one.name for one in self.inputs),
                cure="Add them; a column of nulls stands for what was not known.",
            )
        pairs = zip(self._plan.inputs, self.inputs, strict=True)
        return {self.slot(element): read(frame[one.name], one.type, one.name in self._floats) for element, one in pairs}

    def slot(self, element: InputData) -> int:
        return self._model.variables[element.id].slot


class _Evaluation:
    """One run over one frame: the values of every variable, by slot."""

    def __init__(self, policy: ColumnPolicy, frame: pl.DataFrame, lists: OnList | None = None) -> None:
        self.policy, self.rows, self.lists = policy, frame.height, lists
        self.known = policy.read(frame)
        self.rules: dict[int, Coded] = {}
        self.spent: Codes | None = None

    def result(self) -> list[Answered]:
        for element in self.policy.plan.inputs:
            slot = self.policy.slot(element)
            if element.id in self.policy.plan.limited or isinstance(self.known[slot], Values):
                self.known[slot] = Values(self.computed(self.policy.part(element.id, element)))
        for one in self.policy.plan.decisions:
            self.decide(one)
        lost = self.lost()
        return [
            Answered(one.element.name, told(self.known[one.slot].coded, lost), told(self.rules[one.slot], lost))
            for one in self.policy.plan.decisions
        ]

    def lost(self) -> Codes | None:
        """Rows whose evaluation was given up, or would have been: all their decisions together are one evaluation."""
        lost: Codes | None = self.spent > LIMITS.work if self.spent is not None else None
        for known in self.known.values():
            if not isinstance(known, Values):
                continue
            given_up = np.array([value is GAVE_UP for value in known.given.values], dtype=np.bool_)
            if given_up.any():
                here = given_up[known.given.codes]
                lost = here if lost is None else lost | here
        return lost if lost is not None and lost.any() else None

    def decide(self, one: DecisionPlan) -> None:
        if one.table is not None:
            try:
                self.known[one.slot], self.rules[one.slot] = evaluate(
                    one.table, self.known, self.rows, self.value, self.lists
                )
            except Unfit:  # These columns cannot be compared exactly.
                if any(lists_in(test) for test, _ in one.table.tests):
                    raise
            else:
                if one.table.checked:
                    self.known[one.slot] = Values(self.computed(self.policy.checks(one.element)))
                return
        pairs = self.computed(self.policy.part(one.element.id, one.element))
        split: list[Any] = [(GAVE_UP, ()) if pair is GAVE_UP else pair for pair in pairs.values]
        self.known[one.slot] = Values(Coded(pairs.codes, [result for result, _ in split]))
        self.rules[one.slot] = Coded(pairs.codes, [list(rules) for _, rules in split])

    def value(self, slot: int, node: tree.Node) -> Values:
        """An expression by row code."""
        return Values(self.computed(self.policy.part(slot, node)))

    def computed(self, part: Part) -> Coded:
        """Row code, once per distinct combination of what it reads."""
        columns = [self.known[slot].coded for slot in part.slots]
        combined = combine([(one.codes, len(one.values)) for one in columns], self.rows)
        given: Sequence[Sequence[object]] = [
            [one.values[code] for code in one.codes[combined.rows].tolist()] for one in columns
        ]
        results: list[object] = []
        spent = np.zeros(len(combined.rows), dtype=np.int64)
        for at, values in enumerate(zip(*given, strict=True) if given else [()] * len(combined.rows)):
            run = Run()
            if any(value is GAVE_UP for value in values):
                results.append(GAVE_UP)
                continue
            try:
                results.append(part.function(run, values))
            except GIVEN_UP:
                results.append(GAVE_UP)
            spent[at] = run.spent
        if spent.any():
            self.spent = spent[combined.codes] + (0 if self.spent is None else self.spent)
        return Coded(combined.codes, results)


def told(coded: Coded, lost: Codes | None) -> Coded:
    """Values as they are told: null where an evaluation was given up."""
    if lost is not None:
        coded = Coded(np.where(lost, len(coded.values), coded.codes), [*coded.values, None])
    return Coded(coded.codes, [None if value is GAVE_UP else value for value in coded.values])


def compile_columns(model: Model, name: str, floats: Collection[str] = ()) -> ColumnPolicy:
    """Compile one decision of a checked model for whole columns.

    Parameters
    ----------
    model : from `read_model`
    name : of the decision
    floats : inputs that are declared as float: their columns may be Float32 or Float64. Such a value means the
        shortest decimal that reads back as the same float; NaN and infinity are null

    Raises
    ------
    NotFound : the model has no decision of that name
    InputError : the name is that of a function, `floats` names no number input of the decision, or a list is asked
        elsewhere than in a condition of a table that runs over columns
    """
    target = target_of(model, name)
    if not isinstance(target, Decision):
        raise InputError(
            "a function cannot run over columns",
            where=model.definitions.where,
            found=repr(name),
            allowed=", ".join(model.decisions),
            cure="Name a decision that calls it.",
        )
    policy = ColumnPolicy(model, target, floats)
    if policy.plan.asking:
        raise InputError(
            "a list is asked where columns do not answer it",
            where=name,
            found=", ".join(sorted(policy.plan.asking)),
            allowed="a condition of a table that runs over columns, about an input of type string",
            cure="Judge the rows one by one, or ask the list in a cell of its own.",
        )
    check_floats(name, policy.inputs, floats)
    return policy
