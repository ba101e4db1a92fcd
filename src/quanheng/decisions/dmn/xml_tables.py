"""Decision tables from XML: the part of the reader that knows hit policies, columns and rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lxml import etree

from quanheng.decisions.dmn.model import Boxed, Table, TableInput, TableOutput, TableRule

Xml = etree._Element
HIT_POLICIES = ("UNIQUE", "FIRST", "PRIORITY", "ANY", "COLLECT", "RULE ORDER", "OUTPUT ORDER")
AGGREGATIONS = ("", "SUM", "MIN", "MAX", "COUNT")


class TableReader:
    """Part of the reader; `xml.Reader` knows the document."""

    if TYPE_CHECKING:

        def problem(self, node: Xml | None, message: str, found: str = "", known: str = "", cure: str = "") -> None: ...
        def all(self, node: Xml | None, name: str) -> list[Xml]: ...
        def one(self, node: Xml | None, name: str) -> Xml | None: ...
        def text(self, node: Xml | None, name: str = "text") -> str: ...
        @staticmethod
        def line(node: Xml) -> int: ...

    def table(self, node: Xml) -> Boxed:
        inputs = tuple(self.table_input(one) for one in self.all(node, "input"))
        outputs = tuple(self.table_output(one) for one in self.all(node, "output"))
        rules = tuple(self.rule(one, len(inputs), len(outputs)) for one in self.all(node, "rule"))
        policy, aggregation = node.get("hitPolicy", "UNIQUE"), node.get("aggregation", "")
        if policy not in HIT_POLICIES:
            self.problem(node, "the hit policy is not known", policy, ", ".join(HIT_POLICIES), "Use one of these.")
        if aggregation not in AGGREGATIONS:
            self.problem(
                node, "the aggregation is not known", aggregation, ", ".join(AGGREGATIONS[1:]), "Use one of these."
            )
        if aggregation and (policy != "COLLECT" or len(outputs) > 1):
            self.problem(
                node,
                "an aggregation needs COLLECT and one output",
                f"{policy}, {len(outputs)} outputs",
                "COLLECT with one output",
                "Remove the aggregation or the further outputs.",
            )
        if not outputs:
            self.problem(node, "the table has no output", "", "at least one", "Add an output column.")
        if len(outputs) > 1 and not all(one.name for one in outputs):
            self.problem(
                node, "an output of a table with several outputs has no name", "", "", 'Add name="..." to each.'
            )
        return Table(self.line(node), node.get("typeRef", ""), policy, aggregation, inputs, outputs, rules)

    def table_input(self, node: Xml) -> TableInput:
        expression = self.one(node, "inputExpression")
        kind = "" if expression is None else expression.get("typeRef", "")
        text = self.text(expression)
        if not text:
            self.problem(node, "an input of the table has no expression", "", "", "Add the name of the value it tests.")
        return TableInput(
            self.line(node), node.get("label") or text, text or "null", kind, self.text(self.one(node, "inputValues"))
        )

    def table_output(self, node: Xml) -> TableOutput:
        default = self.one(node, "defaultOutputEntry")
        name = " ".join(node.get("name", "").split())
        return TableOutput(
            self.line(node),
            name,
            node.get("typeRef", ""),
            self.text(self.one(node, "outputValues")),
            self.text(default) if default is not None else None,
        )

    def rule(self, node: Xml, inputs: int, outputs: int) -> TableRule:
        tests = tuple(self.text(one) for one in self.all(node, "inputEntry"))
        results = tuple(self.text(one) for one in self.all(node, "outputEntry"))
        for found, wanted, what in ((tests, inputs, "input"), (results, outputs, "output")):
            if len(found) != wanted:
                self.problem(
                    node,
                    f"the rule has another number of {what} entries than the table has {what}s",
                    str(len(found)),
                    str(wanted),
                    "Add the missing cells (an empty input is '-').",
                )
        notes = tuple(self.text(one) for one in self.all(node, "annotationEntry"))
        return TableRule(self.line(node), tests, results, notes)
