"""A model as an Excel workbook, without losing anything that the model holds."""

from __future__ import annotations

import datetime as dt
import io
import re
import zipfile
from collections.abc import Sequence
from typing import Any

from quanheng.decisions.dmn import model as m
from quanheng.decisions.dmn.write import write_box
from quanheng.decisions.exchange import layout
from quanheng.kernel.errors import DeclarationError, Problem

_LEADS_TO_FORMULA = ("=", "+", "-", "@")
_WIDTHS = {"input": 22, "output": 22, "annotation": 40}
_STAMP = dt.datetime(2000, 1, 1)
"""The same workbook for the same model: no time of writing stands in it."""


class WorkbookWriter:
    """Writes one model."""

    def __init__(self, definitions: m.Definitions) -> None:
        self.definitions = definitions
        self.library = layout.openpyxl()
        self.book = self.library.Workbook()
        self.book.remove(self.book.active)
        self.problems: list[Problem] = []
        self._names = {
            one.id: one.name
            for group in (definitions.inputs, definitions.decisions, definitions.knowledge, definitions.services)
            for one in group
        }
        styles = self.library.styles
        self._bold = styles.Font(bold=True)
        self._grey = styles.PatternFill("solid", fgColor="E8EEF4")
        self._top = styles.Alignment(vertical="top", wrap_text=True)

    def write(self) -> bytes:
        """The workbook; every text cell is text, whatever it looks like."""
        model = self.book.create_sheet(layout.MODEL_SHEET)
        taken = {layout.MODEL_SHEET.lower()}
        sheets: dict[str, str] = {}
        elements: list[m.Decision | m.Knowledge] = [*self.definitions.decisions, *self.definitions.knowledge]
        for element in elements:
            body = layout.body_of(element)
            if isinstance(body, m.Table):
                sheets[element.id] = layout.sheet_name(element.name, taken)
                self.table(self.book.create_sheet(sheets[element.id]), element.name, body)
        self.model(model, sheets)
        if self.problems:
            raise DeclarationError(f"{self.definitions.where} does not fit into a workbook", self.problems)
        return _saved(self.book)

    def put(self, sheet: Any, row: int, column: int, text: str, bold: bool = False) -> None:
        """A text cell: `1-2` stays `1-2`, and `=1+1` is what somebody wrote, not a formula."""
        cell = sheet.cell(row, column)
        if len(text) > layout.CELL_TEXT_MAX:
            place = f"sheet {sheet.title!r}, cell {cell.coordinate}"
            self.problems.append(
                Problem(self.definitions.where, place, "the text is too long for a cell", f"{len(text)} characters",
                        f"{layout.CELL_TEXT_MAX} characters", "Split the expression into several decisions.")
            )  # fmt: skip
            return
        cell.value = text
        cell.data_type = "s"
        cell.number_format = "@"
        cell.alignment = self._top
        if text.startswith(_LEADS_TO_FORMULA):
            cell.quotePrefix = True
        if bold:
            cell.font, cell.fill = self._bold, self._grey

    # -- tables

    def table(self, sheet: Any, name: str, table: m.Table) -> None:
        policy = f"{table.hit_policy} {table.aggregation}".strip()
        values = (name, policy, table.type_ref, table.id, table.output_label)
        for row, (key, value) in enumerate(zip(layout.TABLE_KEYS, values, strict=True), 1):
            self.put(sheet, row, 1, key, bold=True)
            self.put(sheet, row, 2, value)
        columns = self.columns(table)
        first = len(layout.TABLE_KEYS) + 2
        for row, key in enumerate(layout.COLUMN_ROWS, first):
            self.put(sheet, row, 1, key, bold=True)
            for column, described in enumerate(columns, 2):
                self.put(sheet, row, column, described.get(key, ""), bold=True)
        row = first + len(layout.COLUMN_ROWS)
        for number, rule in enumerate(table.rules, 1):
            sheet.cell(row, 1, number)
            for column, text in enumerate(self.cells(table, rule, len(columns)), 2):
                self.put(sheet, row, column, text)
            row += 1
        sheet.freeze_panes = sheet.cell(first + len(layout.COLUMN_ROWS), 2)
        sheet.column_dimensions["A"].width = 16
        for column, described in enumerate(columns, 2):
            letter = self.library.utils.get_column_letter(column)
            sheet.column_dimensions[letter].width = _WIDTHS.get(described["column"], 22)

    def columns(self, table: m.Table) -> list[dict[str, str]]:
        """What the describing rows say of each column."""
        found = [
            {"column": "input", "label": one.label if one.label != one.expression else "", "expression": one.expression,
             "column type": one.type_ref, "allowed values": one.allowed, "column id": one.id}
            for one in table.inputs
        ]  # fmt: skip
        found += [
            {"column": "output", "label": one.label, "expression": one.name, "column type": one.type_ref,
             "allowed values": one.allowed, "default": one.default or "", "column id": one.id}
            for one in table.outputs
        ]  # fmt: skip
        count = max([len(table.annotations), *(len(rule.annotations) for rule in table.rules)])
        names = [*table.annotations, *[""] * count][:count]
        found += [{"column": "annotation", "expression": name} for name in names]
        if any(rule.id for rule in table.rules):
            found.append({"column": "rule id"})
        if any(rule.description for rule in table.rules):
            found.append({"column": "rule description"})
        return found

    @staticmethod
    def cells(table: m.Table, rule: m.TableRule, count: int) -> Sequence[str]:
        notes = count - len(table.inputs) - len(table.outputs)
        further = [rule.id] if any(one.id for one in table.rules) else []
        further += [rule.description] if any(one.description for one in table.rules) else []
        padded = [*rule.annotations, *[""] * notes][: notes - len(further)]
        return [*rule.tests, *rule.outputs, *padded, *further]

    # -- all that is no table

    def model(self, sheet: Any, sheets: dict[str, str]) -> None:
        """One row for the model and for each of its elements."""
        rows: list[dict[str, str]] = [
            {"kind": "model", "name": self.definitions.name, "content": self.definitions.namespace}
        ]
        rows += [
            {"kind": "import", "name": one.name, "content": one.namespace, "content type": one.kind}
            for one in self.definitions.imports
        ]
        for item in self.definitions.items:
            rows += self.item(item, 0)
        rows += [
            {"kind": "input", "name": one.name, "type": one.type_ref, "id": one.id, **_told(one.words)}
            for one in self.definitions.inputs
        ]
        rows += [self.element(one, sheets) for one in self.definitions.decisions]
        rows += [self.element(one, sheets) for one in self.definitions.knowledge]
        rows += [self.service(one) for one in self.definitions.services]
        used = [key for key in layout.MODEL_COLUMNS if key in ("kind", "name") or any(row.get(key) for row in rows)]
        for column, key in enumerate(used, 1):
            self.put(sheet, 1, column, key, bold=True)
            letter = self.library.utils.get_column_letter(column)
            sheet.column_dimensions[letter].width = {"content": 70, "name": 30, "needs": 30}.get(key, 16)
            for number, row in enumerate(rows, 2):
                self.put(sheet, number, column, row.get(key, ""))
        sheet.freeze_panes = "C2"

    def item(self, item: m.ItemDefinition, depth: int) -> list[dict[str, str]]:
        function = item.parameters is not None
        kind = f"part {depth}" if depth else "function type" if function else "type"
        row = {
            "kind": kind,
            "name": item.name,
            "type": item.type_ref,
            "list": "yes" if item.collection else "",
            "allowed values": item.allowed,
            "type constraint": item.allowed_type,
            "parameters": _parameters(item.parameters or ()),
            "id": item.id if item.id != item.name else "",
            **_told(item.words),
        }
        return [row, *(one for part in item.components for one in self.item(part, depth + 1))]

    def element(self, element: m.Decision | m.Knowledge, sheets: dict[str, str]) -> dict[str, str]:
        is_decision = isinstance(element, m.Decision)
        row = {
            "kind": "decision" if is_decision else "function",
            "name": element.name,
            "type": element.type_ref,
            "id": element.id,
            "needs": self.names(element.requires) if isinstance(element, m.Decision) else "",
            "knows": self.names(element.knows),
            **_told(element.words),
        }
        if isinstance(element, m.Knowledge) and element.function is not None and layout.is_plain(element.function):
            row["parameters"] = _parameters(element.function.parameters)
        body = layout.body_of(element)
        if isinstance(body, m.Table):
            row |= {"form": "table", "content": sheets[element.id]}
        elif isinstance(body, m.Literal):
            row |= {"form": "text", "content": body.text, "content type": body.type_ref}
        elif body is not None:
            row |= {"form": "boxed", "content": write_box(body)}
        return row

    def service(self, service: m.Service) -> dict[str, str]:
        parts = [
            f"{key}: {self.names([one])}"
            for key, attribute in layout.SERVICE_PARTS.items()
            for one in getattr(service, attribute)
        ]
        row = {"kind": "service", "name": service.name, "type": service.type_ref, "id": service.id}
        return {**row, "content": "\n".join(parts), **_told(service.words)}

    def names(self, ids: Sequence[str]) -> str:
        """Elements by name, one a line; what is not in the model by its id."""
        return "\n".join(self._names.get(one, f"#{one}") for one in ids)


def _told(words: m.Words) -> dict[str, str]:
    return {
        "label": words.label,
        "description": words.description,
        "question": words.question,
        "answers": words.answers,
    }


def _parameters(parameters: Sequence[tuple[str, str]]) -> str:
    return "\n".join(f"{name}: {kind}" if kind else name for name, kind in parameters)


def _saved(book: Any) -> bytes:
    """The bytes of a workbook, with fixed times in its properties and in the archive."""
    book.properties.creator, book.properties.created, book.properties.modified = "", _STAMP, _STAMP
    packed, plain = io.BytesIO(), io.BytesIO()
    book.save(packed)
    with zipfile.ZipFile(packed) as source, zipfile.ZipFile(plain, "w", zipfile.ZIP_DEFLATED) as target:
        for one in source.infolist():
            content = source.read(one)
            if one.filename == "docProps/core.xml":
                content = _without_times(content)
            target.writestr(zipfile.ZipInfo(one.filename, (2000, 1, 1, 0, 0, 0)), content, zipfile.ZIP_DEFLATED)
    return plain.getvalue()


def _without_times(properties: bytes) -> bytes:
    """Saving sets the time of change: back to the stamp."""
    stamp = _STAMP.strftime("%Y-%m-%dT%H:%M:%SZ").encode()
    return re.sub(rb"(<dcterms:modified[^>]*>)[^<]*", rb"\g<1>" + stamp, properties)


def write_workbook(definitions: m.Definitions) -> bytes:
    """A model as an Excel workbook: a sheet for each table, and one for the model.

    Raises
    ------
    MissingExtra : openpyxl is not installed
    DeclarationError : a text is longer than a cell can hold
    """
    return WorkbookWriter(definitions).write()


def template() -> bytes:
    """A small workbook that shows the layout, to start from."""
    table = m.Table(
        0,
        "",
        "FIRST",
        "",
        (
            m.TableInput(0, "Amount in cents", "amount_minor", "number", ""),
            m.TableInput(0, "Channel", "channel", "string", '"web", "branch"'),
        ),
        (
            m.TableOutput(0, "outcome", "string", '"approve", "review", "decline"', None),
            m.TableOutput(0, "reason", "string", "", None),
        ),
        (
            m.TableRule(0, ("> 500000", "-"), ('"decline"', '"amount_over_limit"'), ("No payment above the limit.",)),
            m.TableRule(0, ("[100000..500000]", '"web"'), ('"review"', '"web_amount"'), ("Somebody looks at it.",)),
            m.TableRule(0, ("-", "-"), ('"approve"', '"ordinary"'), ("All the rest.",)),
        ),
        ("why",),
    )  # fmt: skip
    inputs = (m.InputData("amount_minor", "amount_minor", 0, "number"), m.InputData("channel", "channel", 0, "string"))
    decision = m.Decision("limits", "limits", 0, "", ("amount_minor", "channel"), (), table)
    writer = WorkbookWriter(m.Definitions("template", "template", "urn:template", (), inputs, (decision,)))
    writer.table(writer.book.create_sheet("limits"), "limits", table)
    return _saved(writer.book)
