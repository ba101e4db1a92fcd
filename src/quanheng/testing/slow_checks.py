"""The plain twin of the table checks: tries every input of a small grid and looks at what the judge says.

For each number or date of a cell it takes the value itself and one on either side of it; for each text the text,
one behind it, the first and a late one; null always. Only for small tables: the grid is the product of the columns.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from quanheng.decisions.dmn.build import Model
from quanheng.decisions.dmn.judge import judge_model
from quanheng.decisions.dmn.model import Decision, InputData, Table
from quanheng.feel.scope import Variable
from quanheng.feel.temporal import Date, parse_date

_TEXT = re.compile(r'(?<!@)"([^"]*)"')
_DATE = re.compile(r'"(\d{4}-\d\d-\d\d)"')
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
HALF = Decimal("0.5")


@dataclass(frozen=True, slots=True)
class Seen:
    """What the judge did over the whole grid.

    pairs : rules (from 1) that matched together; holes : inputs that no rule matched; hits : rules that decided alone,
    or were first
    """

    pairs: set[tuple[int, int]] = field(default_factory=set)
    holes: list[Mapping[str, object]] = field(default_factory=list)
    hits: set[int] = field(default_factory=set)


def values_of(texts: Sequence[str], kind: str) -> list[object]:
    """The values of one input that tell the cells of its column apart."""
    whole = " ".join(texts)
    if kind == "boolean":
        return [True, False, None]
    if kind == "string":
        texts_found = set(_TEXT.findall(whole))
        return [*sorted({"", "~", *texts_found, *(f"{one}m" for one in texts_found)}), None]
    if kind == "date":
        days = {one.days for text in _DATE.findall(whole) if (one := parse_date(text)) is not None}
        return [*(Date(day) for day in sorted({day + step for day in days for step in (-1, 0, 1, 2)} or {0})), None]
    numbers = {Decimal(one) for one in _NUMBER.findall(_DATE.sub("", _TEXT.sub("", whole)))} or {Decimal(0)}
    return [*sorted({one + step * HALF for one in numbers for step in (-1, 0, 1)}), None]


def grid(model: Model, decision: str) -> Iterator[dict[str, object]]:
    """Every input of the grid, for a decision that is one table over inputs of the model."""
    target = model.target(decision)
    assert isinstance(target, Decision)
    assert isinstance(target.expression, Table)
    table = target.expression
    kinds = {one.name: str(variable.type) for one, variable in _inputs(model)}
    texts: dict[str, list[str]] = {}
    for column, clause in enumerate(table.inputs):
        texts.setdefault(clause.expression, []).extend(rule.tests[column] for rule in table.rules)
    names = list(texts)
    for row in itertools.product(*(values_of(texts[name], kinds[name]) for name in names)):
        yield dict(zip(names, row, strict=True))


def _inputs(model: Model) -> Iterator[tuple[InputData, Variable]]:
    yield from ((one, model.variables[one.id]) for one in model.definitions.inputs)


def try_all(model: Model, decision: str) -> Seen:
    """Judge every input of the grid."""
    seen = Seen()
    for given in grid(model, decision):
        rules = judge_model(model, decision, given).trace[-1][1]
        seen.pairs.update(itertools.combinations(rules, 2))
        seen.hits.update(rules[:1])
        if not rules:
            seen.holes.append(given)
    return seen
