"""`Definitions` to DMN 1.5 XML: readable, and the same bytes for the same model.

Reading what was written gives the model again, but for lines. Ids that are no XML names are replaced, references
follow. Not written, because a model does not hold it: the picture of the diagram (DMNDI) and comments.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from lxml import etree

from quanheng.decisions.dmn import model as m

NAMESPACE = "https://www.omg.org/spec/DMN/20230324/MODEL/"
FEEL = "https://www.omg.org/spec/DMN/20230324/FEEL/"
_SPACES: dict[Any, str] = {None: NAMESPACE}
_NOT_IN_NAMES = re.compile(r"[^\w.\-]+")

Xml = etree._Element


class Writer:
    """Writes one model."""

    def __init__(self, definitions: m.Definitions) -> None:
        self.definitions = definitions
        self.ids: dict[str, str] = {}
        self._taken: set[str] = set()
        for group in (definitions.inputs, definitions.decisions, definitions.knowledge, definitions.services):
            for element in group:
                self.ids[element.id] = self.named(element.id)
        self._inputs = {one.id for one in definitions.inputs}

    def named(self, wanted: str) -> str:
        """An id that is an XML name and was not given before."""
        name = _NOT_IN_NAMES.sub("_", wanted.strip())
        if not name or not (name[0].isalpha() or name[0] == "_"):
            name = f"_{name}"
        unique, number = name, 2
        while unique in self._taken:
            unique, number = f"{name}_{number}", number + 1
        self._taken.add(unique)
        return unique

    # -- the document

    def write(self) -> bytes:
        definitions = self.definitions
        root = etree.Element(f"{{{NAMESPACE}}}definitions", nsmap=_SPACES | {"feel": FEEL})
        root.set("name", definitions.name or "model")
        root.set("namespace", definitions.namespace or "urn:model")
        root.set("id", self.named("definitions"))
        for one in definitions.imports:
            self.add(root, "import", name=one.name, namespace=one.namespace, importType=one.kind or NAMESPACE)
        for item in definitions.items:
            self.item(root, item)
        for data in definitions.inputs:
            node = self.element(root, "inputData", data, data.words)
            self.add(node, "variable", name=data.name, typeRef=data.type_ref)
        for decision in definitions.decisions:
            self.decision(root, decision)
        for knowledge in definitions.knowledge:
            self.knowledge(root, knowledge)
        for service in definitions.services:
            self.service(root, service)
        etree.indent(root, space="  ")
        text: bytes = etree.tostring(root, encoding="UTF-8", xml_declaration=True)
        return _compact(text.decode()).encode() + b"\n"

    def add(self, parent: Xml, tag: str, /, **attributes: str) -> Xml:
        """A child element; empty attributes are left out."""
        node = etree.SubElement(parent, f"{{{NAMESPACE}}}{tag}")
        for key, value in attributes.items():
            if value:
                node.set(key, value.removeprefix("feel:") if key == "typeRef" else value)
        return node

    def text(self, parent: Xml, tag: str, text: str, /, **attributes: str) -> Xml:
        """A child element that holds a <text>."""
        node = self.add(parent, tag, **attributes)
        self.add(node, "text").text = text
        return node

    def element(self, parent: Xml, kind: str, element: m.Element, words: m.Words) -> Xml:
        node = self.add(parent, kind, id=self.ids[element.id], name=element.name)
        self.words(node, words)
        return node

    def words(self, node: Xml, words: m.Words) -> None:
        if words.label:
            node.set("label", words.label)
        told = (("description", words.description), ("question", words.question), ("allowedAnswers", words.answers))
        for name, text in told:
            if text:
                self.add(node, name).text = text

    # -- elements

    def item(self, parent: Xml, item: m.ItemDefinition, name: str = "itemDefinition") -> None:
        own = self.named(item.id) if item.id != item.name else ""
        collection = "true" if item.collection else ""
        node = self.add(parent, name, id=own, name=item.name, isCollection=collection)
        self.words(node, item.words)
        if item.type_ref and item.parameters is None:
            self.add(node, "typeRef").text = item.type_ref.removeprefix("feel:")
        if item.allowed:
            self.text(node, "allowedValues", item.allowed)
        if item.allowed_type:
            self.text(node, "typeConstraint", item.allowed_type)
        for component in item.components:
            self.item(node, component, "itemComponent")
        if item.parameters is not None:
            function = self.add(node, "functionItem", outputTypeRef=item.type_ref)
            for parameter, kind in item.parameters:
                self.add(function, "parameters", name=parameter, typeRef=kind)

    def requirements(self, node: Xml, requires: Iterable[str], knows: Iterable[str]) -> None:
        for one in requires:
            kind = "requiredInput" if one in self._inputs else "requiredDecision"
            self.refer(self.add(node, "informationRequirement"), kind, one)
        for one in knows:
            self.refer(self.add(node, "knowledgeRequirement"), "requiredKnowledge", one)

    def refer(self, parent: Xml, name: str, target: str) -> None:
        # A target in another file keeps its address.
        self.add(parent, name, href=target if "#" in target else f"#{self.ids.get(target, target)}")

    def decision(self, root: Xml, decision: m.Decision) -> None:
        node = self.element(root, "decision", decision, decision.words)
        self.add(node, "variable", name=decision.name, typeRef=decision.type_ref)
        self.requirements(node, decision.requires, decision.knows)
        if decision.expression is not None:
            self.box(node, decision.expression)

    def knowledge(self, root: Xml, knowledge: m.Knowledge) -> None:
        node = self.element(root, "businessKnowledgeModel", knowledge, knowledge.words)
        self.add(node, "variable", name=knowledge.name, typeRef=knowledge.type_ref)
        if knowledge.function is not None:
            self.function(node, knowledge.function, "encapsulatedLogic")
        self.requirements(node, (), knowledge.knows)

    def service(self, root: Xml, service: m.Service) -> None:
        node = self.element(root, "decisionService", service, service.words)
        self.add(node, "variable", name=service.name, typeRef=service.type_ref)
        groups = (
            ("outputDecision", service.outputs),
            ("encapsulatedDecision", service.encapsulated),
            ("inputDecision", service.input_decisions),
            ("inputData", service.input_data),
        )
        for name, targets in groups:
            for target in targets:
                self.refer(node, name, target)

    # -- boxed expressions

    def box(self, parent: Xml, box: m.Boxed) -> None:
        """Any boxed expression."""
        getattr(self, _WRITERS[type(box)])(parent, box)

    def literal(self, parent: Xml, box: m.Literal) -> None:
        self.text(parent, "literalExpression", box.text, typeRef=box.type_ref)

    def context(self, parent: Xml, box: m.BoxedContext) -> None:
        node = self.add(parent, "context", typeRef=box.type_ref)
        for entry in box.entries:
            inner = self.add(node, "contextEntry")
            if entry.name:
                self.add(inner, "variable", name=entry.name, typeRef=entry.type_ref)
            self.box(inner, entry.value)

    def list(self, parent: Xml, box: m.BoxedList) -> None:
        node = self.add(parent, "list", typeRef=box.type_ref)
        for item in box.items:
            self.box(node, item)

    def relation(self, parent: Xml, box: m.Relation) -> None:
        node = self.add(parent, "relation", typeRef=box.type_ref)
        for column in box.columns:
            self.add(node, "column", name=column)
        for row in box.rows:
            inner = self.add(node, "row")
            for cell in row:
                self.box(inner, cell)

    def invocation(self, parent: Xml, box: m.Invocation) -> None:
        node = self.add(parent, "invocation", typeRef=box.type_ref)
        self.box(node, box.function)
        for binding in box.bindings:
            inner = self.add(node, "binding")
            self.add(inner, "parameter", name=binding.name)
            self.box(inner, binding.value)

    def function(self, parent: Xml, box: m.BoxedFunction, name: str = "functionDefinition") -> None:
        kind = box.kind if box.kind != "FEEL" else ""
        node = self.add(parent, name, typeRef=box.type_ref, kind=kind)
        for parameter, type_ref in box.parameters:
            self.add(node, "formalParameter", name=parameter, typeRef=type_ref)
        if box.body is not None:
            self.box(node, box.body)

    def conditional(self, parent: Xml, box: m.Conditional) -> None:
        node = self.add(parent, "conditional", typeRef=box.type_ref)
        for name, part in (("if", box.condition), ("then", box.then), ("else", box.otherwise)):
            self.box(self.add(node, name), part)

    def filter(self, parent: Xml, box: m.BoxedFilter) -> None:
        node = self.add(parent, "filter", typeRef=box.type_ref)
        for name, part in (("in", box.source), ("match", box.match)):
            self.box(self.add(node, name), part)

    def loop(self, parent: Xml, box: m.BoxedLoop) -> None:
        node = self.add(parent, box.kind, typeRef=box.type_ref, iteratorVariable=box.variable)
        last = "return" if box.kind == "for" else "satisfies"
        for name, part in (("in", box.source), (last, box.body)):
            self.box(self.add(node, name), part)

    # -- tables

    def table(self, parent: Xml, box: m.Table) -> None:
        own = self.named(box.id) if box.id else ""
        node = self.add(parent, "decisionTable", id=own, hitPolicy=box.hit_policy, aggregation=box.aggregation)
        for key, value in (("typeRef", box.type_ref.removeprefix("feel:")), ("outputLabel", box.output_label)):
            if value:
                node.set(key, value)
        for clause in box.inputs:
            label = clause.label if clause.label != clause.expression else ""
            inner = self.add(node, "input", id=self.named(clause.id) if clause.id else "", label=label)
            self.text(inner, "inputExpression", clause.expression, typeRef=clause.type_ref)
            if clause.allowed:
                self.text(inner, "inputValues", clause.allowed)
        for output in box.outputs:
            self.output(node, output)
        for name in box.annotations:
            node.append(self.annotation(name))
        for rule in box.rules:
            self.rule(node, rule)

    def annotation(self, name: str) -> Xml:
        node = etree.Element(f"{{{NAMESPACE}}}annotation")
        node.set("name", name)
        return node

    def output(self, table: Xml, output: m.TableOutput) -> None:
        own = self.named(output.id) if output.id else ""
        node = self.add(table, "output", id=own, name=output.name, label=output.label, typeRef=output.type_ref)
        if output.allowed:
            self.text(node, "outputValues", output.allowed)
        if output.default is not None:
            self.text(node, "defaultOutputEntry", output.default)

    def rule(self, table: Xml, rule: m.TableRule) -> None:
        node = self.add(table, "rule", id=self.named(rule.id) if rule.id else "")
        if rule.description:
            self.add(node, "description").text = rule.description
        for name, texts in (
            ("inputEntry", rule.tests),
            ("outputEntry", rule.outputs),
            ("annotationEntry", rule.annotations),
        ):
            for text in texts:
                self.text(node, name, text)


_WRITERS: dict[type[m.Boxed], str] = {
    m.Literal: "literal",
    m.BoxedContext: "context",
    m.BoxedList: "list",
    m.Relation: "relation",
    m.Invocation: "invocation",
    m.BoxedFunction: "function",
    m.Conditional: "conditional",
    m.BoxedFilter: "filter",
    m.BoxedLoop: "loop",
    m.Table: "table",
}
_CELL = re.compile(r"(<(?P<tag>\w+)(?: [^<>]*)?>)\n\s*(<text(?:/>|>[^<]*</text>))\n\s*(</(?P=tag)>)")


def _compact(text: str) -> str:
    """A <text> on the line of the element around it: a rule reads as a rule."""
    return _CELL.sub(lambda found: "".join(found.group(1, 3, 4)), text)


def write_box(box: m.Boxed) -> str:
    """One boxed expression as XML without a namespace of its own, for places that hold a text."""
    writer = Writer(m.Definitions("", "", ""))
    parent = etree.Element(f"{{{NAMESPACE}}}parent", nsmap=_SPACES)
    writer.box(parent, box)
    etree.indent(parent[0], space="  ")
    text: bytes = etree.tostring(parent[0], encoding="UTF-8")
    return _compact(text.decode().replace(f' xmlns="{NAMESPACE}"', "", 1)).strip()


def write_model(definitions: m.Definitions) -> bytes:
    """A model as DMN 1.5.

    Parameters
    ----------
    definitions : from `Reader.read`, from an Excel file or another form; it need not be checked

    Returns
    -------
    UTF-8 XML; `read_model` of it gives the same model
    """
    return Writer(definitions).write()
