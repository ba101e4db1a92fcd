"""An Excel workbook as a model: one that was written from a model, or one that a person made in the simple layout."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from quanheng.decisions.dmn import model as m
from quanheng.decisions.dmn.build import Model, build
from quanheng.decisions.dmn.xml_tables import AGGREGATIONS, HIT_POLICIES
from quanheng.decisions.exchange import layout
from quanheng.decisions.exchange.excel_model import ModelSheet
from quanheng.decisions.exchange.sheets import Places, Row, Sheet, letters, open_sheets
from quanheng.feel.scope import ANY_NAME
from quanheng.kernel.errors import DeclarationError, Problem

_LETTERS = {
    "U": "UNIQUE", "A": "ANY", "P": "PRIORITY", "F": "FIRST", "R": "RULE ORDER", "O": "OUTPUT ORDER", "C": "COLLECT",
    "C+": "COLLECT SUM", "C<": "COLLECT MIN", "C>": "COLLECT MAX", "C#": "COLLECT COUNT",
}  # fmt: skip
_TEXT = re.compile(r'"(?:[^"\\]|\\.)*"')
_NAME = re.compile(r"[^\W\d][\w ]*")


class TableSheet:
    """One table as a sheet shows it."""

    def __init__(self, sheet: Sheet, places: Places) -> None:
        self.sheet, self.places = sheet, places
        self.head: dict[str, str] = {}
        self.described: dict[str, int] = {}
        self.first_rule = sheet.rows + 1
        for row in range(1, sheet.rows + 1):
            key = sheet.key(row)
            if key in layout.COLUMN_ROWS and (key == "column" or self.described):
                self.described[key] = row
            elif self.described:
                self.first_rule = row
                break
            elif key in layout.TABLE_KEYS:
                self.head[key] = sheet.text(row, 2)
            elif any(sheet.text(row, column) for column in range(1, sheet.columns + 1)):
                known = ", ".join((*layout.TABLE_KEYS, "column"))
                cure = "Begin the name of the sheet with # if it holds no table."
                places.problem(
                    sheet.here(row, 1), "the key of the row is not known", repr(sheet.text(row, 1)), known, cure
                )
        self.name = " ".join(self.head.get("decision", sheet.title).split())

    def read(self) -> m.Table | None:
        """The table, or None where its columns are not described."""
        sheet = self.sheet
        if "column" not in self.described:
            cure = "Write the row: column, input, …, output. See: quanheng dmn to-excel --template"
            self.places.problem(
                sheet.here(1, 1), "the sheet has no row 'column' that says what its columns are", cure=cure
            )
            return None
        kinds = self.kinds()
        inputs = [column for column, kind in kinds.items() if kind == "input"]
        outputs = [column for column, kind in kinds.items() if kind == "output"]
        if not outputs:
            cure = "Write 'output' over the column of the result."
            self.places.problem(sheet.here(self.described["column"], 1), "the table has no output column", cure=cure)
        names = {self.said("label", column) or self.said("expression", column): letters(column) for column in inputs}
        names |= {self.said("expression", column) or "output": letters(column) for column in outputs}
        policy, aggregation = self.policy(len(outputs))
        notes = [column for column, kind in kinds.items() if kind == "annotation"]
        return m.Table(
            self.at(self.described["column"]),
            self.head.get("type", ""),
            policy,
            aggregation,
            tuple(self.input(column) for column in inputs),
            tuple(self.output(column, len(outputs)) for column in outputs),
            tuple(self.rules(kinds, names)),
            tuple(self.said("expression", column) for column in notes),
            self.head.get("id", ""),
            self.head.get("output label", ""),
        )

    def at(self, row: int, column: int = 0, names: Mapping[str, str] | None = None) -> int:
        place = self.sheet.here(row, column)
        return self.places.add(Row(place.sheet, place.row, dict(names or {}), place.column))

    def said(self, key: str, column: int) -> str:
        """What the row of that key says about a column."""
        return self.sheet.text(self.described[key], column) if key in self.described else ""

    def kinds(self) -> dict[int, str]:
        """What each column is."""
        row = self.described["column"]
        found = {}
        for column in range(2, self.sheet.columns + 1):
            kind = " ".join(self.sheet.text(row, column).lower().split())
            if kind in layout.COLUMN_KINDS:
                found[column] = kind
            elif kind:
                known = ", ".join(layout.COLUMN_KINDS)
                self.places.problem(
                    self.sheet.here(row, column), "the kind of the column is not known", repr(kind), known
                )
            else:
                self.lost(column)
        return found

    def lost(self, column: int) -> None:
        """Content in a column that nobody described would be lost without a word."""
        for row in range(self.described["column"], self.sheet.rows + 1):
            if self.sheet.text(row, column):
                cure = f"Write what it is over it, in row {self.described['column']}, or empty the cell."
                self.places.problem(self.sheet.here(row, column), "the cell stands outside the columns", cure=cure)
                return

    def policy(self, outputs: int) -> tuple[str, str]:
        text = " ".join(self.head.get("hit policy", "UNIQUE").upper().split()) or "UNIQUE"
        text = _LETTERS.get(text, text)
        policy, _, aggregation = text.partition(" ") if text not in HIT_POLICIES else (text, "", "")
        row = next((row for row in range(1, self.sheet.rows + 1) if self.sheet.key(row) == "hit policy"), 1)
        place = self.sheet.here(row, 2)
        if policy not in HIT_POLICIES or aggregation not in AGGREGATIONS:
            known = ", ".join((*HIT_POLICIES, *(f"COLLECT {one}" for one in AGGREGATIONS if one)))
            self.places.problem(place, "the hit policy is not known", text, known, "Use one of these.")
        elif aggregation and (policy != "COLLECT" or outputs > 1):
            self.places.problem(place, "an aggregation needs COLLECT and one output", text, "COLLECT with one output")
        return policy, aggregation

    def input(self, column: int) -> m.TableInput:
        expression = self.said("expression", column)
        row = self.described.get("expression", self.described["column"])
        if not expression:
            cure = "Write the name of the value it tests."
            self.places.problem(self.sheet.here(row, column), "an input of the table has no expression", cure=cure)
        return m.TableInput(
            self.at(row, column),
            self.said("label", column) or expression,
            expression or "null",
            self.said("column type", column),
            self.said("allowed values", column),
            self.said("column id", column),
        )

    def output(self, column: int, count: int) -> m.TableOutput:
        name = " ".join(self.said("expression", column).split())
        row = self.described.get("expression", self.described["column"])
        if not name and count > 1:
            message = "an output of a table with several outputs has no name"
            self.places.problem(self.sheet.here(row, column), message, cure="Write its name.")
        return m.TableOutput(
            self.at(row, column),
            name,
            self.said("column type", column),
            self.said("allowed values", column),
            self.said("default", column) or None,
            self.said("column id", column),
            self.said("label", column),
        )

    def rules(self, kinds: Mapping[int, str], names: Mapping[str, str]) -> list[m.TableRule]:
        found = []
        for row in range(self.first_rule, self.sheet.rows + 1):
            texts = {column: self.sheet.text(row, column) for column in kinds}
            if not any(texts.values()):
                continue

            def of(kind: str, texts: Mapping[int, str] = texts) -> tuple[str, ...]:
                return tuple(text for column, text in texts.items() if kinds[column] == kind)

            at = self.at(row, names=names)
            identity, description = "".join(of("rule id")), "".join(of("rule description"))
            found.append(m.TableRule(at, of("input"), of("output"), of("annotation"), identity, description))
        return found

    def texts(self, table: m.Table) -> str:
        """All FEEL of the table, without its string literals: where names are looked for."""
        cells = [text for rule in table.rules for text in (*rule.tests, *rule.outputs)]
        cells += [one.expression for one in table.inputs] + [one.default or "" for one in table.outputs]
        return "\n".join(_TEXT.sub('""', text) for text in cells)


class WorkbookReader:
    """Reads one workbook."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.places = Places(where)

    def read(self, data: bytes) -> m.Definitions:
        tables: dict[str, TableSheet] = {}
        model: ModelSheet | None = None
        for sheet in open_sheets(data, self.places):
            if sheet.title.lower() == layout.MODEL_SHEET.lower():
                model = ModelSheet(sheet, self.places)
            elif sheet.rows:
                tables[sheet.title] = TableSheet(sheet, self.places)
        if model is None and not tables and not self.places.problems:
            cure = "Start from a template: quanheng dmn to-excel --template"
            self.places.problems.append(Problem(self.where, "", "the workbook has no table", cure=cure))
        read = {title: table for title, one in tables.items() if (table := one.read()) is not None}
        definitions = model.read(read) if model is not None else m.Definitions(self.where, "", "")
        used = model.used if model is not None else set()
        loose = {title: table for title, table in read.items() if title not in used}
        return self.joined(definitions, {tables[title].name: (tables[title], table) for title, table in loose.items()})

    def joined(self, model: m.Definitions, loose: Mapping[str, tuple[TableSheet, m.Table]]) -> m.Definitions:
        """A model with the tables that its sheet does not speak of: their inputs and needs are read off the table."""
        inputs = list(model.inputs)
        known = {one.name: one.id for group in (inputs, model.decisions, model.knowledge) for one in group}
        known |= dict.fromkeys(loose, "")
        for _, table in loose.values():
            for clause in table.inputs:
                if clause.expression not in known and _NAME.fullmatch(clause.expression):
                    known[clause.expression] = clause.expression
                    inputs.append(m.InputData(clause.expression, clause.expression, clause.at, clause.type_ref))
        known |= {name: name for name in loose}
        functions = {one.name for one in model.knowledge}
        decisions = list(model.decisions)
        for name, (sheet, table) in loose.items():
            found = [other for other in _mentioned(sheet.texts(table), known) if other != name]
            requires = tuple(known[other] for other in found if other not in functions)
            knows = tuple(known[other] for other in found if other in functions)
            decisions.append(m.Decision(name, name, sheet.at(1), "", requires, knows, table))
        title = re.sub(r"\.xlsx$", "", self.where.rpartition("/")[2])
        return m.Definitions(
            self.where, model.name or title, model.namespace or f"urn:{title}", model.items, tuple(inputs),
            tuple(decisions), model.knowledge, model.services, model.imports,
        )  # fmt: skip


def _mentioned(text: str, names: Sequence[str] | Mapping[str, str]) -> list[str]:
    """The names that stand in a text, the longest first where one holds another."""
    ordered = sorted(names, key=len, reverse=True)
    if not ordered:
        return []
    found = set(re.findall("|".join(rf"(?<!\w){re.escape(name)}(?!\w)" for name in ordered), text))
    return [name for name in names if name in found]


def read_workbook(data: bytes, where: str, strict: bool = True) -> Model:
    """An Excel workbook as a checked model.

    Parameters
    ----------
    data : the .xlsx file
    where : its name, for messages
    strict : as for `read_model`

    Raises
    ------
    MissingExtra : openpyxl is not installed
    DeclarationError : with every problem, each with its sheet and cell
    """
    reader = WorkbookReader(where)
    definitions = reader.read(data)
    problems = reader.places.problems
    if not problems:
        model = build(definitions, problems, strict, lists=ANY_NAME)
        if not problems:
            return model
    raise DeclarationError(f"{where} is not a usable workbook", [reader.places.moved(one) for one in problems])
