"""Decision tables to nodes: columns, cells, outputs and their priorities. A part of `BoxBuilder`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from quanheng.decisions.dmn import model as m
from quanheng.decisions.dmn.tables import RuleNode, TableInputNode, TableNode
from quanheng.feel import check, tree
from quanheng.feel.constants import constant_of
from quanheng.feel.parser import Parser
from quanheng.feel.scope import Scope, Variable
from quanheng.feel.types import ANY, BOOLEAN, NULL, NUMBER, ContextType, FeelType, ListType, conforms, join
from quanheng.feel.values import Range
from quanheng.kernel.errors import ExpressionError

if TYPE_CHECKING:
    from quanheng.decisions.dmn.types import TypeTable

MULTIPLE = frozenset({"COLLECT", "RULE ORDER", "OUTPUT ORDER"})
"""Hit policies whose result is a list, without an aggregation."""
_NULL = tree.Const(NULL, 0, None)


class TableBoxes:
    """Part of the builder of one element."""

    if TYPE_CHECKING:
        scope: Scope
        types: TypeTable
        name: str
        strict: bool
        _cells: dict[tuple[str, FeelType, int], tree.Node]

        def problem(self, at: int, message: str, found: str = "", known: str = "", cure: str = "") -> None: ...
        def kind(self, reference: str, at: int) -> FeelType: ...
        def parse(self, text: str, at: int, part: str, scope: Scope | None = None) -> tree.Node: ...
        def part(self, part: str) -> str: ...
        def failed(self, error: ExpressionError, at: int, text: str) -> tree.Node: ...
        def typed(self, node: tree.Node, declared: FeelType, at: int, name: str) -> tree.Node: ...

    def table(self, box: m.Table, part: str) -> tree.Node:
        inputs: list[TableInputNode] = []
        subjects: list[Variable] = []
        for clause in box.inputs:
            node, subject = self.clause(clause)
            inputs.append(node)
            subjects.append(subject)
        kinds = [self.output_kind(box, output) for output in box.outputs]
        rules = tuple(self.rule(number, rule, subjects, box, kinds) for number, rule in enumerate(box.rules, 1))
        names = tuple(output.name for output in box.outputs) if len(box.outputs) > 1 else ()
        defaults = self.defaults(box, kinds)
        ranks = self.ranks(box, kinds)
        kind = self.table_kind(box, names, rules, defaults)
        return TableNode(
            kind,
            0,
            part or self.name,
            box.hit_policy,
            box.aggregation,
            tuple(inputs),
            rules,
            names,
            defaults,
            ranks,
        )

    def clause(self, clause: m.TableInput) -> tuple[TableInputNode, Variable]:
        """The value a column tests: a variable that exists already, or a new one."""
        node = self.parse(clause.expression, clause.at, f"input {clause.label!r}")
        declared = self.kind(clause.type_ref, clause.at)
        value = self.typed(node, declared, clause.at, f"the input {clause.label!r}")
        known = value.slot if isinstance(value, tree.Name) else None
        variable = Variable("?", self.scope.new_slot() if known is None else known, value.type)
        computed = value if known is None else None
        allowed = self.among(clause, variable) if clause.allowed else None
        told = clause.label, clause.allowed
        return TableInputNode(value.type, 0, variable.slot, computed, allowed, *told), variable

    def among(self, clause: m.TableInput, subject: Variable) -> tree.Node | None:
        """True where the input, or each item of a list, is null or one of its declared values.

        None where these cannot be read: the checks say so, and a table that was activated before goes on as it did.
        """
        part = self.part(f"input values {clause.label!r}")
        scope = self.types.scope.inner()
        scope.lists = None  # What an input may be is the same whatever stands on a list.
        item = check.item_of(subject.type) if isinstance(subject.type, ListType) else subject.type
        tested = subject if item is subject.type else Variable("?", scope.new_slot(), item)
        scope.bind("?", item, tested.slot)
        try:
            node = Parser(clause.allowed, scope, part, True, self.types.known).unary_tests(tested)
        except ExpressionError:
            return None
        if isinstance(node, tree.Const):
            return None
        allowed = _or_null(tested, node)
        if tested is not subject:
            items = tree.Iterator_(ANY, 0, tested.slot, tree.Name(subject.type, 0, subject.name, subject.slot), None)
            allowed = _or_null(subject, tree.Quantified(BOOLEAN, 0, True, (items,), allowed))
        return tree.Sourced(BOOLEAN, 0, allowed, part, clause.allowed)

    def rule(
        self, number: int, rule: m.TableRule, subjects: Sequence[Variable], box: m.Table, kinds: Sequence[FeelType]
    ) -> RuleNode:
        tests, columns = [], []
        for column, (text, subject) in enumerate(zip(rule.tests, subjects, strict=False)):
            test = self.cell(text, subject, rule.at, f"rule {number}, {box.inputs[column].label!r}")
            if not (isinstance(test, tree.Const) and test.value is True):
                tests.append(test)
                columns.append(column)
        outputs = []
        for text, output, kind in zip(rule.outputs, box.outputs, kinds, strict=False):
            what = f"rule {number}, output {output.name!r}" if output.name else f"rule {number}, output"
            if not text:
                self.problem(rule.at, f"{what} is empty", "", "an expression", "Write null where no value is meant.")
            outputs.append(self.typed(self.parse(text or "null", rule.at, what), kind, rule.at, what))
        return RuleNode(ANY, 0, number, tuple(tests), tuple(columns), tuple(outputs))

    def cell(self, text: str, subject: Variable, at: int, part: str) -> tree.Node:
        """One input entry; equal texts over equal columns share one tree."""
        key = (text, subject.type, subject.slot)
        if key in self._cells:
            return self._cells[key]
        scope = self.scope.inner()
        scope.bind("?", subject.type, subject.slot)
        try:
            parser = Parser(text, scope, self.part(part), self.strict, self.types.known)
            node = parser.unary_tests(subject)
        except ExpressionError as error:
            node = self.failed(error, at, text)
        if not isinstance(node, tree.Const):
            node = tree.Sourced(node.type, node.at, node, self.part(part), text)
        self._cells[key] = node
        return node

    def output_kind(self, box: m.Table, output: m.TableOutput) -> FeelType:
        """Declared type of one output: its own, else what the table's type says about it."""
        kind = self.kind(output.type_ref, output.at)
        whole = self.kind(box.type_ref, box.at)
        if kind == ANY and output.name and len(box.outputs) > 1:
            inner = whole.item if isinstance(whole, ListType) else whole
            kind = (inner.field(output.name) if isinstance(inner, ContextType) else None) or ANY
        # An output that is declared as a list in a table that lists its hits: the type is that of the whole result.
        if isinstance(kind, ListType) and box.hit_policy in MULTIPLE and len(box.outputs) == 1:
            return ANY
        return kind

    def defaults(self, box: m.Table, kinds: Sequence[FeelType]) -> tuple[tree.Node, ...]:
        """What the outputs are where no rule matches, as values of their types; nothing where none is declared.

        Where hits are listed, a default stands for the whole list and is taken as it is written.
        """
        if not any(output.default for output in box.outputs):
            return ()
        listed = box.hit_policy in MULTIPLE and not box.aggregation
        found: list[tree.Node] = []
        for output, kind in zip(box.outputs, kinds, strict=True):
            node = self.parse(output.default or "null", output.at, "default output")
            free = listed or kind == ANY or conforms(node.type, kind)
            found.append(node if free else tree.Cast(kind, node.at, node, "the default output"))
        return tuple(found)

    def ranks(self, box: m.Table, kinds: Sequence[FeelType]) -> tuple[tuple[object, ...], ...]:
        """The declared values of each output, highest priority first; an output that has none does not rank."""
        if box.hit_policy not in ("PRIORITY", "OUTPUT ORDER"):
            return tuple(() for _ in kinds)
        found = tuple(self.values(output, kind) for output, kind in zip(box.outputs, kinds, strict=True))
        if self.strict and not any(found) and not any(one.allowed for one in box.outputs):
            self.problem(
                box.outputs[0].at,
                f"the hit policy {box.hit_policy} needs the output values in order of priority",
                "",
                "",
                'Add <outputValues><text>"decline","review","approve"</text></outputValues>.',
            )
        return found

    def values(self, output: m.TableOutput, kind: FeelType) -> tuple[object, ...]:
        """The constants among the declared values of an output, in their order: its own, else those of its type."""
        constraint = self.types.constraint(output.type_ref)
        if constraint is not None and constraint.test is None:
            constraint = constraint.each
        test: tree.Node | None = constraint.test if constraint is not None else None
        if output.allowed:
            test = self.cell(output.allowed, Variable("?", self.scope.new_slot(), kind), output.at, "output values")
        return tuple(value for part in _alternatives(test) for value in _constant(part))

    @staticmethod
    def table_kind(
        box: m.Table, names: tuple[str, ...], rules: tuple[RuleNode, ...], defaults: tuple[tree.Node, ...]
    ) -> FeelType:
        rows = [rule.outputs for rule in rules] + ([defaults] if defaults and box.hit_policy not in MULTIPLE else [])
        columns = [join(*(row[i].type for row in rows if len(row) > i)) for i in range(len(box.outputs))]
        kind: FeelType = ANY
        if names:
            kind = ContextType(tuple(zip(names, (ANY if one == NULL else one for one in columns), strict=True)))
        elif columns:
            kind = ANY if columns[0] == NULL else columns[0]
        if box.aggregation == "COUNT":
            return NUMBER
        if box.hit_policy in MULTIPLE and not box.aggregation:
            return (
                join(ListType(kind), defaults[0].type)
                if defaults and not names
                else ANY
                if defaults
                else ListType(kind)
            )
        return kind


def _or_null(subject: Variable, test: tree.Node) -> tree.Node:
    missing = tree.Compare(BOOLEAN, 0, "=", tree.Name(subject.type, 0, subject.name, subject.slot), _NULL)
    return tree.Or(BOOLEAN, 0, (missing, test))


def _alternatives(test: tree.Node | None) -> tuple[tree.Node, ...]:
    if isinstance(test, tree.Sourced):
        return _alternatives(test.value)
    if isinstance(test, tree.Or):
        return test.parts
    return () if test is None else (test,)


def _constant(test: tree.Node) -> tuple[object, ...]:
    if isinstance(test, tree.Sourced):
        return _constant(test.value)
    against = test.right if isinstance(test, tree.Compare) and test.op == "=" else None
    if isinstance(test, tree.Test):
        against = test.against
    value, known = constant_of(against) if against is not None else (None, False)
    return (value,) if known and not isinstance(value, Range | list) else ()
