"""DMN XML to `Definitions`. Reads the namespaces of DMN 1.1 to 1.5; nothing outside the file is ever opened."""

from __future__ import annotations

from collections.abc import Callable

from lxml import etree

from quanheng.decisions.dmn.model import (
    Boxed,
    BoxedContext,
    BoxedFilter,
    BoxedFunction,
    BoxedList,
    BoxedLoop,
    Broken,
    Conditional,
    Decision,
    Definitions,
    Entry,
    Import,
    InputData,
    Invocation,
    ItemDefinition,
    Knowledge,
    Literal,
    Relation,
    Service,
)
from quanheng.decisions.dmn.xml_tables import TableReader, Xml
from quanheng.feel.limits import LIMITS
from quanheng.kernel.errors import Problem

NAMESPACES = {
    "http://www.omg.org/spec/DMN/20151101/dmn.xsd": "1.1",
    "http://www.omg.org/spec/DMN/20180521/MODEL/": "1.2",
    "https://www.omg.org/spec/DMN/20191111/MODEL/": "1.3",
    "https://www.omg.org/spec/DMN/20211108/MODEL/": "1.4",
    "https://www.omg.org/spec/DMN/20230324/MODEL/": "1.5",
}


class Reader(TableReader):
    """One file; problems are gathered, not raised."""

    def __init__(self, where: str, qualified: bool = False) -> None:
        """`qualified`: ids are given as `namespace#id`, as an importing model refers to them."""
        self.where, self.qualified = where, qualified
        self.target = ""
        self.problems: list[Problem] = []
        self.namespace = ""
        self.depth = 0
        self._inner: set[int] = set()
        """Problems that a boxed expression has as its own: only that one is broken, not those around it."""
        self._boxes: dict[str, Callable[[Xml], Boxed | None]] = {
            "literalExpression": self.literal,
            "context": self.context,
            "decisionTable": self.table,
            "invocation": self.invocation,
            "relation": self.relation,
            "list": self.list,
            "functionDefinition": self.function,
            "conditional": self.conditional,
            "filter": self.filter,
            "for": self.loop,
            "some": self.loop,
            "every": self.loop,
        }

    def problem(self, node: Xml | None, message: str, found: str = "", known: str = "", cure: str = "") -> None:
        line = f"line {node.sourceline}" if node is not None else ""
        self.problems.append(Problem(self.where, line, message, found, known, cure))

    # -- the document

    def read(self, xml: bytes) -> Definitions | None:
        """The whole file, or None when it is no DMN at all."""
        root = self.root(xml)
        if root is None:
            return None
        space = etree.QName(root).namespace or ""
        if etree.QName(root).localname != "definitions" or space not in NAMESPACES:
            self.problem(
                root, "the file is not a DMN model", root.tag, ", ".join(NAMESPACES), "Save it as DMN 1.1 to 1.5."
            )
            return None
        self.namespace, self.target = space, root.get("namespace", "")
        return Definitions(
            self.where,
            root.get("name", ""),
            root.get("namespace", ""),
            tuple(self.item(node) for node in self.all(root, "itemDefinition")),
            tuple(self.input_data(node) for node in self.all(root, "inputData")),
            tuple(self.decision(node) for node in self.all(root, "decision")),
            tuple(self.knowledge(node) for node in self.all(root, "businessKnowledgeModel")),
            tuple(self.service(node) for node in self.all(root, "decisionService")),
            tuple(self.imported(node) for node in self.all(root, "import")),
        )

    def root(self, xml: bytes) -> Xml | None:
        if len(xml) > LIMITS.model_bytes:
            self.problem(
                None, "the file is too large", f"{len(xml)} bytes", f"{LIMITS.model_bytes} bytes", "Split the model."
            )
            return None
        parser = etree.XMLParser(
            resolve_entities=False,
            no_network=True,
            load_dtd=False,
            huge_tree=False,
            remove_comments=True,
            remove_pis=True,
        )
        try:
            root = etree.fromstring(xml, parser)
        except (etree.XMLSyntaxError, ValueError) as error:
            self.problem(None, "the file is not well-formed XML", str(error), "", "Export it again from the editor.")
            return None
        doctype = str(getattr(root.getroottree().docinfo, "doctype", "") or "")
        if doctype:
            self.problem(None, "the file declares a document type", doctype, "no DOCTYPE", "Remove the DOCTYPE line.")
            return None
        return root

    # -- small helpers

    def all(self, node: Xml | None, name: str) -> list[Xml]:
        return [] if node is None else node.findall(f"{{{self.namespace}}}{name}")

    def one(self, node: Xml | None, name: str) -> Xml | None:
        return None if node is None else node.find(f"{{{self.namespace}}}{name}")

    def text(self, node: Xml | None, name: str = "text") -> str:
        found = self.one(node, name)
        return "" if found is None else (found.text or "").strip()

    @staticmethod
    def line(node: Xml) -> int:
        line: int | None = node.sourceline  # type: ignore[assignment]
        return line or 0

    def named(self, node: Xml) -> tuple[str, str, int]:
        name = " ".join((node.get("name") or "").split())
        if not name:
            self.problem(node, f"<{etree.QName(node).localname}> has no name", "", "", 'Add name="...".')
        return self.identity(node.get("id") or name), name, self.line(node)

    def identity(self, local: str) -> str:
        return f"{self.target}#{local}" if self.qualified else local

    def reference(self, href: str) -> str:
        """The id that a reference means: of this file, or `namespace#id` of another."""
        namespace, mark, local = href.strip().rpartition("#")
        return href.strip() if mark and namespace not in ("", self.target) else self.identity(local)

    @staticmethod
    def imported(node: Xml) -> Import:
        return Import(" ".join(node.get("name", "").split()), node.get("namespace", ""), node.get("importType", ""))

    def variable_type(self, node: Xml) -> str:
        variable = self.one(node, "variable")
        return "" if variable is None else variable.get("typeRef", "")

    def references(self, node: Xml, *path: str) -> tuple[str, ...]:
        """Ids that `requirement/required` children point at."""
        found = []
        for requirement in self.all(node, path[0]):
            for target in path[1:]:
                reference = self.one(requirement, target)
                if reference is not None:
                    found.append(reference.get("href", ""))
        return tuple(self.reference(one) for one in found)

    # -- elements

    def item(self, node: Xml) -> ItemDefinition:
        function = self.one(node, "functionItem")
        parameters = None
        if function is not None:
            parameters = tuple(
                (one.get("name", ""), one.get("typeRef", "")) for one in self.all(function, "parameters")
            )
        result = "" if function is None else function.get("outputTypeRef", "")
        return ItemDefinition(
            *self.named(node),
            result or self.text(node, "typeRef"),
            tuple(self.item(component) for component in self.all(node, "itemComponent")),
            node.get("isCollection") == "true",
            self.text(self.one(node, "allowedValues")),
            self.text(self.one(node, "typeConstraint")),
            parameters,
        )

    def input_data(self, node: Xml) -> InputData:
        return InputData(*self.named(node), self.variable_type(node))

    def decision(self, node: Xml) -> Decision:
        return Decision(
            *self.named(node),
            self.variable_type(node),
            self.references(node, "informationRequirement", "requiredInput", "requiredDecision"),
            self.references(node, "knowledgeRequirement", "requiredKnowledge"),
            self.boxed_in(node),
        )

    def knowledge(self, node: Xml) -> Knowledge:
        logic = self.one(node, "encapsulatedLogic")
        function = None if logic is None else self.function(logic)
        known = self.references(node, "knowledgeRequirement", "requiredKnowledge")
        return Knowledge(*self.named(node), self.variable_type(node), known, function)

    def service(self, node: Xml) -> Service:
        def targets(name: str) -> tuple[str, ...]:
            return tuple(self.reference(one.get("href", "")) for one in self.all(node, name))

        return Service(
            *self.named(node),
            self.variable_type(node),
            targets("outputDecision"),
            targets("encapsulatedDecision"),
            targets("inputDecision"),
            targets("inputData"),
        )

    # -- boxed expressions

    def boxed_in(self, node: Xml | None) -> Boxed | None:
        """The first boxed expression among the children."""
        return next((found for child in ([] if node is None else node) if (found := self.box(child)) is not None), None)

    def box(self, node: Xml) -> Boxed | None:
        """One boxed expression; None when the element is something else, or too deep."""
        name = etree.QName(node)
        if name.localname not in self._boxes or name.namespace != self.namespace:
            return None
        if self.depth >= LIMITS.model_nesting:
            self.problem(
                node,
                "boxed expressions are nested too deeply",
                f"more than {LIMITS.model_nesting}",
                str(LIMITS.model_nesting),
                "Split the decision.",
            )
            return None
        self.depth += 1
        before = len(self.problems)
        result = self._boxes[name.localname](node)
        self.depth -= 1
        own = [index for index in range(before, len(self.problems)) if index not in self._inner]
        if own:
            self._inner.update(own)
            return Broken(self.line(node), "", self.problems[own[0]].message)
        return result

    def needed(self, node: Xml, parent: Xml | None, what: str) -> Boxed:
        found = self.boxed_in(parent)
        if found is None:
            self.problem(node, f"{what} is missing", "", "a boxed expression", "Add the expression.")
            self._inner.add(len(self.problems) - 1)
            return Broken(self.line(node), "", f"{what} is missing")
        return found

    def literal(self, node: Xml) -> Boxed:
        if (language := node.get("expressionLanguage", "")) and "feel" not in language.lower():
            self.problem(node, "the expression is not in FEEL", language, "FEEL", "Write it in FEEL.")
        return Literal(self.line(node), node.get("typeRef", ""), self.text(node) or "null")

    def context(self, node: Xml) -> Boxed:
        entries = []
        for entry in self.all(node, "contextEntry"):
            variable = self.one(entry, "variable")
            name = "" if variable is None else " ".join(variable.get("name", "").split())
            kind = "" if variable is None else variable.get("typeRef", "")
            entries.append(Entry(name, kind, self.needed(entry, entry, f"the value of the entry {name!r}")))
        return BoxedContext(self.line(node), node.get("typeRef", ""), tuple(entries))

    def list(self, node: Xml) -> Boxed:
        items = [found for child in node if (found := self.box(child)) is not None]
        return BoxedList(self.line(node), node.get("typeRef", ""), tuple(items))

    def relation(self, node: Xml) -> Boxed:
        columns = tuple(" ".join(one.get("name", "").split()) for one in self.all(node, "column"))
        rows = []
        for row in self.all(node, "row"):
            listed = self.list(row)
            assert isinstance(listed, BoxedList)
            if len(listed.items) != len(columns):
                self.problem(
                    row,
                    "a row of the relation has another number of cells than columns",
                    str(len(listed.items)),
                    str(len(columns)),
                    "Add or remove cells.",
                )
                continue
            rows.append(listed.items)
        return Relation(self.line(node), node.get("typeRef", ""), columns, tuple(rows))

    def invocation(self, node: Xml) -> Boxed:
        bindings = []
        for binding in self.all(node, "binding"):
            parameter = self.one(binding, "parameter")
            name = "" if parameter is None else " ".join(parameter.get("name", "").split())
            bindings.append(Entry(name, "", self.needed(binding, binding, f"the value of the parameter {name!r}")))
        return Invocation(
            self.line(node), node.get("typeRef", ""), self.needed(node, node, "the invoked function"), tuple(bindings)
        )

    def function(self, node: Xml) -> BoxedFunction:
        parameters = tuple(
            (" ".join(one.get("name", "").split()), one.get("typeRef", "")) for one in self.all(node, "formalParameter")
        )
        return BoxedFunction(
            self.line(node), node.get("typeRef", ""), node.get("kind", "FEEL"), parameters, self.boxed_in(node)
        )

    def conditional(self, node: Xml) -> Boxed:
        parts = [self.needed(node, self.one(node, name), f"<{name}>") for name in ("if", "then", "else")]
        return Conditional(self.line(node), node.get("typeRef", ""), *parts)

    def filter(self, node: Xml) -> Boxed:
        parts = [self.needed(node, self.one(node, name), f"<{name}>") for name in ("in", "match")]
        return BoxedFilter(self.line(node), node.get("typeRef", ""), *parts)

    def loop(self, node: Xml) -> Boxed:
        kind = etree.QName(node).localname
        last = "return" if kind == "for" else "satisfies"
        parts = [self.needed(node, self.one(node, name), f"<{name}>") for name in ("in", last)]
        return BoxedLoop(self.line(node), node.get("typeRef", ""), kind, node.get("iteratorVariable", ""), *parts)
