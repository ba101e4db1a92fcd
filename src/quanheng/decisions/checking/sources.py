"""Where the value of a table's column comes from, and which values it can have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from quanheng.decisions.checking import conditions as c
from quanheng.decisions.dmn.allowed import AllowedNode
from quanheng.decisions.dmn.build import Model
from quanheng.decisions.dmn.model import Decision, InputData
from quanheng.decisions.dmn.tables import TableNode
from quanheng.decisions.dmn.types import Constraint
from quanheng.feel import tree
from quanheng.feel.constants import constant_of
from quanheng.feel.types import ANY, ContextType, FeelType

MULTIPLE = frozenset({"COLLECT", "RULE ORDER", "OUTPUT ORDER"})


@dataclass(frozen=True, slots=True)
class Source:
    """One variable that a table tests.

    path : names that lead to the value from an input of the model; empty for what is computed
    type : of the value
    allowed : what a value must satisfy before the table sees it
    certain : an input of that value can be given to the model; otherwise nobody can say here whether it occurs
    """

    path: tuple[str, ...]
    type: FeelType
    allowed: tuple[c.Condition, ...] = ()
    certain: bool = False


class Sources:
    """The sources of the columns of one model."""

    def __init__(self, model: Model) -> None:
        self.model = model
        own = {one.id for one in model.definitions.inputs}
        self._inputs = {
            variable.slot: (model.elements[one], variable)
            for one, variable in model.variables.items()
            if isinstance(model.elements[one], InputData) and one in own
        }
        self._decisions = {
            variable.slot: one for one, variable in model.variables.items() if isinstance(model.elements[one], Decision)
        }

    def of(self, slot: int, value: tree.Node | None, kinds: dict[int, FeelType]) -> Source:
        """The source of a column: `value` computes it, or None where `slot` is a variable of its own."""
        kind = value.type if value is not None else kinds.get(slot, ANY)
        node = value if value is not None else tree.Name(kind, 0, "", slot)
        while isinstance(node, tree.Sourced | tree.Cast | AllowedNode):
            node = node.value
        names: list[str] = []
        while isinstance(node, tree.Path):
            names.insert(0, node.name)
            node = node.base
            while isinstance(node, tree.Sourced):
                node = node.value
        if not isinstance(node, tree.Name):
            return Source((), kind)
        if node.slot in self._inputs:
            return self._input(node.slot, names, kind)
        if node.slot in self._decisions and len(names) < 2:
            results = self.results(self.model.trees[self._decisions[node.slot]], names)
            if results is not None:
                return Source((), kind, (c.Among(tuple(c.Compared("=", one) for one in results)),))
        return Source((), kind)

    def _input(self, slot: int, names: Sequence[str], kind: FeelType) -> Source:
        element, variable = self._inputs[slot]
        assert isinstance(element, InputData)
        constraint = self.model.constraint(element)
        inner: FeelType = variable.type
        tests: list[c.Condition] = []
        certain = True
        for name in names:
            if not isinstance(inner, ContextType) and inner is not ANY:
                return Source((), kind)
            certain &= constraint is None or constraint.test is None
            inner = (inner.field(name) if isinstance(inner, ContextType) else None) or ANY
            constraint = dict(constraint.entries).get(name) if constraint is not None else None
        if constraint is not None:
            test = _test_of(constraint)
            certain &= not c.unclear(test)
            tests.append(c.Either((c.Compared("=", None), test)))
        certain &= inner in (kind, ANY)  # A value that is converted on its way cannot be given as it stands.
        return Source((variable.name, *names), kind, tuple(tests), certain)

    def results(self, node: tree.Node, names: Sequence[str] = ()) -> tuple[object, ...] | None:
        """Every value that a decision can give, where all of them stand in it as constants; else None."""
        if isinstance(node, tree.Sourced):
            return self.results(node.value, names)
        if isinstance(node, tree.Cast | AllowedNode):  # What does not fit its type is null.
            found = self.results(node.value, names)
            return None if found is None else (*found, None)
        if isinstance(node, tree.If):
            then, otherwise = self.results(node.then, names), self.results(node.otherwise, names)
            return None if then is None or otherwise is None else (*then, *otherwise)
        if isinstance(node, TableNode):
            return self._table_results(node, names)
        value, known = constant_of(node) if not names else (None, False)
        return (value,) if known and not isinstance(value, list | dict) else None

    def _table_results(self, node: TableNode, names: Sequence[str]) -> tuple[object, ...] | None:
        if node.policy in MULTIPLE or list(names) != [one for one in node.names if one in names]:
            return None
        if not names and node.names:
            return None
        column = node.names.index(names[0]) if names else 0
        rows = [rule.outputs for rule in node.rules] + ([node.defaults] if node.defaults else [])
        found: list[object] = [None]
        for row in rows:
            inner = self.results(row[column])
            if inner is None:
                return None
            found += inner
        return tuple(found)


def _test_of(constraint: Constraint) -> c.Condition:
    if constraint.each is not None or constraint.entries or constraint.test is None:
        return c.Unclear("its type is a list or a structure with allowed values")
    return c.Reading({constraint.slot}).condition(constraint.test)
