"""What the checks find: one `Finding` each, with place, rules, an input that shows it, and the cure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from quanheng.feel.literals import literal
from quanheng.kernel.errors import Problem

Kind = Literal[
    "overlap",
    "conflict",
    "gap",
    "never",
    "masked",
    "duplicate",
    "redundant",
    "unused",
    "empty",
    "values",
    "undecided",
    "limit",
]
"""overlap, conflict : UNIQUE rules that hold together; ANY rules that hold together and differ
gap : an input that no rule covers; never, masked : a rule that no input satisfies, or that others always hide
duplicate, redundant : a rule that is there twice, or changes nothing; unused : a column that no rule tests
empty : a table without a rule; values : declared values that cannot be read, or that a rule's output is not among
undecided : what could not be checked; limit : where the search stopped"""
Severity = Literal["problem", "warning", "note"]
LISTED_MAX = 8
"""Rules, or stretches of rules, that one sentence names."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding.

    rules : numbers from 1
    witness : values of the table's columns that show it, by the column's expression
    given : the same as inputs of the model, empty where a column is computed
    """

    kind: Kind
    severity: Severity
    file: str
    decision: str
    line: int
    message: str
    cure: str
    rules: tuple[int, ...] = ()
    witness: Mapping[str, object] = field(default_factory=dict)
    given: Mapping[str, object] = field(default_factory=dict)

    def as_problem(self) -> Problem:
        """The finding as a problem of a declaration."""
        return Problem(self.file, f"line {self.line}, {self.decision}", self.message, cure=self.cure)

    def __str__(self) -> str:
        return f"{self.severity}: {self.as_problem()}"

    def as_data(self) -> dict[str, object]:
        """For JSON: values as FEEL literals."""
        return {
            "kind": self.kind,
            "severity": self.severity,
            "file": self.file,
            "line": self.line,
            "decision": self.decision,
            "rules": list(self.rules),
            "message": self.message,
            "witness": {name: literal(value) for name, value in self.witness.items()},
            "cure": self.cure,
        }


def told(witness: Mapping[str, object]) -> str:
    """Values of columns in words: `n = 5, channel = "web"`."""
    return ", ".join(f"{name} = {literal(value)}" for name, value in witness.items())


def listed(rules: tuple[int, ...] | list[int]) -> str:
    """Rule numbers in words: "2", "2 and 5", "2, 5 and 7 to 9"."""
    parts: list[str] = []
    numbers = sorted(rules)
    at = 0
    while at < len(numbers):
        end = at
        while end + 1 < len(numbers) and numbers[end + 1] == numbers[end] + 1:
            end += 1
        run = numbers[at : end + 1]
        parts += [f"{run[0]} to {run[-1]}"] if len(run) > 2 else map(str, run)
        at = end + 1
    if len(parts) > LISTED_MAX:
        parts = [*parts[:LISTED_MAX], f"others ({len(numbers)} in all)"]
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
