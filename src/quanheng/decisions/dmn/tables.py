"""Decision tables: the node, and what follows once all matching rules are known. `table_code.py` makes it Python."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from quanheng.feel import tree
from quanheng.feel.operators import add, equal, order
from quanheng.feel.temporal import DaysDuration, YearsDuration
from quanheng.feel.values import Run, kind_name

Matched = tuple[object, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class TableInputNode(tree.Node):
    """`value` is computed once and held in `slot`; None where the slot is a variable of its own already.

    `type` is the static type of what is tested. `allowed` is a condition on it, true where the value is among
    <inputValues> or null; None where nothing is declared. `label` and `words` are what the author calls both.
    """

    slot: int
    value: tree.Node | None
    allowed: tree.Node | None = None
    label: str = ""
    words: str = ""

    @property
    def title(self) -> str:
        return f"the input {self.label!r}"


@dataclass(frozen=True, slots=True)
class RuleNode(tree.Node):
    """`tests` without the cells that are `-`, each with the index of its input; `number` counts from 1."""

    number: int
    tests: tuple[tree.Node, ...]
    columns: tuple[int, ...]
    outputs: tuple[tree.Node, ...]


@dataclass(frozen=True, slots=True)
class TableNode(tree.Node):
    """`names` is empty for a single output; `ranks` are the values of each output in order of priority."""

    title: str
    policy: str
    aggregation: str
    inputs: tuple[TableInputNode, ...]
    rules: tuple[RuleNode, ...]
    names: tuple[str, ...]
    defaults: tuple[tree.Node, ...]
    ranks: tuple[tuple[object, ...], ...]


# -- run time: what happens once all matching rules are known


def best_first(outputs: Sequence[object], names: Sequence[str], ranks: Sequence[Sequence[object]]) -> list[int]:
    """Indexes of `outputs` by priority: the first output counts first; equal ranks keep the order of the rules."""

    def rank(index: int) -> tuple[int, ...]:
        row = outputs[index]
        values = [row[name] for name in names] if names else [row]  # type: ignore[index]
        return tuple(_position(value, known) for value, known in zip(values, ranks, strict=True))

    return sorted(range(len(outputs)), key=rank)


def _position(value: object, known: Sequence[object]) -> int:
    for index, one in enumerate(known):
        if equal(value, one) is True:
            return index
    return len(known)


def single_hit(run: Run, at: int, rules: list[int], outputs: list[object]) -> Matched:
    """UNIQUE with two or more matches: a mistake of the table, so null."""
    run.append((at, f"the hit policy is UNIQUE, and the rules {', '.join(map(str, rules))} match"))
    return None, tuple(rules)


def same_output(run: Run, at: int, rules: list[int], outputs: list[object]) -> Matched:
    """ANY with two or more matches: all must say the same."""
    if all(equal(outputs[0], other) is True for other in outputs[1:]):
        return outputs[0], tuple(rules)
    run.append((at, f"the hit policy is ANY, and the rules {', '.join(map(str, rules))} differ in their outputs"))
    return None, tuple(rules)


_ADDED = (int, Decimal, DaysDuration, YearsDuration, type(None))


def aggregate(run: Run, at: int, kind: str, rules: list[int], outputs: list[object]) -> object:
    """SUM, MIN, MAX, COUNT of the outputs of a COLLECT table."""
    if kind == "COUNT":
        return len(outputs)
    if kind == "SUM" and (strange := next((one for one in outputs if one.__class__ not in _ADDED), None)) is not None:
        run.append((at, f"SUM cannot add {kind_name(strange)}"))
        return None
    result = outputs[0]
    for other in outputs[1:]:
        if kind == "SUM":
            result = add(run, at, result, other)
            continue
        compared = order(other, result)
        if compared is None:
            run.append((at, f"{kind} cannot compare {kind_name(other)} with {kind_name(result)}"))
            return None
        result = other if (compared < 0) == (kind == "MIN") and compared else result
    return result


def free_slots(node: tree.Node, known: frozenset[int]) -> list[int]:
    """Variables a tree reads that are neither bound inside it nor in `known`, in rising order."""
    read: set[int] = set()
    bound: set[int] = set()
    seen: set[int] = set()
    waiting = [node]
    while waiting:
        part = waiting.pop()
        if isinstance(part, tree.Const) or id(part) in seen:  # rules share the trees of equal cells
            continue
        seen.add(id(part))
        waiting += tree.children(part)
        if isinstance(part, tree.Name):
            read.add(part.slot)
        elif isinstance(part, tree.ContextOf | tree.FunctionOf | tree.Let):
            bound.update(part.slots)
        elif isinstance(part, tree.In | tree.Filter | tree.Iterator_) or (
            isinstance(part, TableInputNode) and part.value is not None
        ):
            bound.add(part.slot)
        elif isinstance(part, tree.For) and part.partial is not None:
            bound.add(part.partial)
    return sorted(read - bound - known)
