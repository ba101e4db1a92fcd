"""Decision tables and expression nodes of a JDM."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from quanheng.decisions.dmn import model as m
from quanheng.decisions.exchange.jdm_env import Environment, Path, listed
from quanheng.decisions.exchange.zen_feel import ATOM, Feel, Translator, is_name
from quanheng.feel.literals import text_literal
from quanheng.kernel.errors import ExpressionError

if TYPE_CHECKING:
    from quanheng.decisions.exchange.jdm import JdmReader

_WORD, _OWN = re.compile(r"[A-Za-z_]\w*"), re.compile(r"\$\.[\w.]+")
_POLICIES = {"first": "FIRST", "collect": "COLLECT"}


class Tables:
    """One node that gives values."""

    def __init__(self, reader: JdmReader, identity: str, env: Environment) -> None:
        self.reader, self.identity, self.env = reader, identity, env
        self.place, self.name = reader.place(identity), reader.title(identity)
        self.label = str(reader.nodes[identity].get("name") or "")
        self.at = len(reader.places) + 1

    # -- tables

    def table(self, content: Mapping[str, Any]) -> dict[Path, Feel]:
        """The decision of a table, and what it gives by path."""
        policy = str(content.get("hitPolicy") or "first")
        if policy not in _POLICIES:
            self.reader.problem(self.place, "the hit policy is not known", policy, ", ".join(_POLICIES))
        rules = listed(content, "rules")
        inputs = [self._input(one, rules) for one in listed(content, "inputs")]
        outputs = self._outputs(content, rules)
        names = [name for _, name, _ in outputs]
        columns = tuple(
            m.TableOutput(self.at, name if len(names) > 1 else "", "", "", None, "", str(one.get("name") or ""))
            for one, name, _ in outputs
        )
        rows = tuple(
            m.TableRule(
                self.at,
                tuple(cells[number] for _, cells in inputs),
                tuple(self._output(one, rule, number) for one, _, _ in outputs),
                (str(rule.get("_description") or ""),) if any(row.get("_description") for row in rules) else (),
                str(rule.get("_id") or ""),
            )
            for number, rule in enumerate(rules)
        )
        notes = ("description",) if any(row.get("_description") for row in rules) else ()
        clauses = tuple(clause for clause, _ in inputs)
        box = m.Table(self.at, "", _POLICIES.get(policy, "FIRST"), "", clauses, columns, rows, notes)
        self.reader.decide(self.identity, self.name, box, self.label)
        return self._given(policy, [(path, name) for _, name, path in outputs])

    def _given(self, policy: str, outputs: list[tuple[Path, str]]) -> dict[Path, Feel]:
        alone = len(outputs) == 1
        if policy != "collect":
            return {path: Feel(self.name if alone else f"{self.name}.{name}") for path, name in outputs}
        row = _nested({path: "row" if alone else f"row.{name}" for path, name in outputs})
        return {(): Feel(f"(if {self.name} = null then [] else for row in {self.name} return {row})", ATOM, "list")}

    def _input(self, column: Mapping[str, Any], rules: list[dict[str, Any]]) -> tuple[m.TableInput, list[str]]:
        """A column and its cells. A column without a field holds whole conditions."""
        field, label = str(column.get("field") or "").strip(), str(column.get("name") or column.get("field") or "")
        place = f"{self.place}, column {label!r}"
        if column.get("defaultValue"):
            self.reader.problem(place, "a default value of an input is not taken over", str(column["defaultValue"]))
        cells, kinds = [], set()
        for number, rule in enumerate(rules, 1):
            text = str(rule.get(str(column.get("id"))) or "").strip()
            where = f"{self.place}, rule {number}, column {label!r}"
            if not text:
                cells.append("-")
            elif not field:
                cells.append(self.reader.feel(where, self.env, text).text)
                kinds.add("boolean")
            else:
                cell, found = self._cell(where, text)
                cells.append(cell)
                kinds |= found
        feel = self._subject(place, field, kinds) if field else Feel("true")
        kind = next(iter(kinds)) if len(kinds) == 1 and kinds <= {"number", "string", "boolean"} else ""
        if "date" in kinds:
            feel = Feel(f"date and time({feel.text})")
            if len(kinds) > 1:
                self.reader.problem(place, "dates stand beside other values in one column", ", ".join(sorted(kinds)))
        clause = m.TableInput(self.at, label or feel.text, feel.text, kind if field else "boolean", "")
        return clause, cells

    def _subject(self, place: str, field: str, kinds: set[str]) -> Feel:
        if all(map(is_name, field.split("."))):  # Of `len(a)` it says nothing about a.
            self.env.kinds = {"string"} if kinds == {"date"} else kinds
        feel = self.reader.feel(place, self.env, field)
        self.env.kinds = set()
        return feel

    def _cell(self, place: str, text: str) -> tuple[str, set[str]]:
        try:
            return Translator(self.env.resolve).cell(text)
        except ExpressionError as error:
            self.reader.refuse(place, error, text)
            return "-", set()

    def _outputs(
        self, content: Mapping[str, Any], rules: list[dict[str, Any]]
    ) -> list[tuple[Mapping[str, Any], str, Path]]:
        """Output columns with the name each has in DMN, and the path it gives."""
        found: list[tuple[Mapping[str, Any], str, Path]] = []
        for one in listed(content, "outputs"):
            field = str(one.get("field") or "").strip()
            path = tuple(field.split("."))
            if not all(map(is_name, path)):
                place = f"{self.place}, output {one.get('name') or field!r}"
                self.reader.problem(place, "the field of the output is no name", repr(field), "a.b", "Rename it.")
                continue
            if any(path == other for _, _, other in found):
                self.reader.problem(self.place, "two outputs have the same field", repr(field), cure="Rename one.")
                continue
            found.append((one, "_".join(path), path))
        if not found:
            self.reader.problem(self.place, "the table has no output", cure="Add an output.")
        return found

    def _output(self, column: Mapping[str, Any], rule: Mapping[str, Any], number: int) -> str:
        """An output cell; an empty one gives nothing, which is null."""
        text = str(rule.get(str(column.get("id"))) or "").strip()
        place = f"{self.place}, rule {number + 1}, output {column.get('field')!r}"
        if not text and column.get("defaultValue"):
            self.reader.problem(place, "a default value of an output is not taken over", str(column["defaultValue"]),
                                cure="Write it into the empty cell.")  # fmt: skip
        return self.reader.feel(place, self.env, text).text if text else "null"

    # -- expressions

    def expressions(self, content: Mapping[str, Any]) -> dict[Path, Feel]:
        """The decision of an expression node: a context whose entries see those before them."""
        entries: list[m.Entry] = []
        own: dict[Path, Feel] = {}
        given: dict[Path, Feel] = {}
        told = listed(content, "expressions")
        read = set(_WORD.findall(_OWN.sub("", " ".join(str(one.get("value")) for one in told))))
        for one in told:
            key, text = str(one.get("key") or "").strip(), str(one.get("value") or "").strip()
            place = f"{self.place}, entry {key!r}"
            path = tuple(key.split("."))
            if not all(map(is_name, path)):
                self.reader.problem(place, "the key of the entry is no name", repr(key), "a.b", "Rename it.")
                continue
            feel = self.reader.feel(place, self.env, text, own) if text else Feel("null")
            name = _entry("_".join(path), [entry.name for entry in entries], read)
            entries.append(m.Entry(name, "", m.Literal(self.at, "", feel.text)))
            own[path], given[path] = Feel(name), Feel(f"{self.name}.{name}")
        self.reader.decide(self.identity, self.name, m.BoxedContext(self.at, "", tuple(entries)), self.label)
        return given


def _entry(name: str, others: list[str], read: set[str]) -> str:
    """A name that hides nothing that a later entry reads from outside the node."""
    unique, number = name, 2
    while unique in others or unique in read:
        unique, number = f"{name}_{number}", number + 1
    return unique


def _nested(paths: Mapping[Path, str]) -> str:
    """Values by path as one context."""
    if list(paths) == [()]:
        return paths[()]
    roots: dict[str, dict[Path, str]] = {}
    for path, text in paths.items():
        roots.setdefault(path[0], {})[path[1:]] = text
    return f"{{{', '.join(f'{text_literal(root)}: {_nested(below)}' for root, below in roots.items())}}}"
