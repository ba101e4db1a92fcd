"""The sheet `Model` of a workbook: everything that is no table, one element a row."""

from __future__ import annotations

from collections.abc import Mapping

from quanheng.decisions.dmn import model as m
from quanheng.decisions.dmn.write import NAMESPACE
from quanheng.decisions.dmn.xml import Reader
from quanheng.decisions.exchange import layout
from quanheng.decisions.exchange.sheets import Places, Row, Sheet

_YES, _NO = ("yes", "true", "x", "1"), ("", "no", "false", "0")
_NAMED = ("input", "decision", "function", "service")


class ModelSheet:
    """Reads the sheet; `used` are the sheets of tables it speaks of."""

    def __init__(self, sheet: Sheet, places: Places) -> None:
        self.sheet, self.places = sheet, places
        self.used: set[str] = set()
        self.columns: dict[str, int] = {}
        for column in range(1, sheet.columns + 1):
            title = " ".join(sheet.text(1, column).lower().split())
            if title in layout.MODEL_COLUMNS:
                self.columns[title] = column
            else:
                known = ", ".join(layout.MODEL_COLUMNS)
                place = sheet.here(1, column)
                places.problem(
                    place, "the title of the column is not known", repr(title), known, "Correct or empty it."
                )
        self.ids: dict[str, str] = {}
        self.rows: dict[str, list[int]] = {kind: [] for kind in layout.MODEL_KINDS}
        for row in range(2, sheet.rows + 1):
            self._sort(row)

    def _sort(self, row: int) -> None:
        kind, name = self.kind(row), self.name(row)
        plain = "part" if kind.startswith("part") else kind
        if not kind and not any(self.sheet.text(row, column) for column in range(1, self.sheet.columns + 1)):
            return
        if plain not in self.rows:
            known = ", ".join(layout.MODEL_KINDS)
            self.places.problem(self.here(row, "kind"), "the kind of the row is not known", repr(kind), known)
            return
        if not name and plain not in ("model", "import"):
            self.places.problem(self.here(row, "name"), "the row has no name", cure="Write the name.")
        self.rows[plain].append(row)
        if plain in _NAMED:
            self.ids[name] = self.text(row, "id") or name

    def text(self, row: int, key: str) -> str:
        return self.sheet.text(row, self.columns[key]) if key in self.columns else ""

    def kind(self, row: int) -> str:
        return " ".join(self.text(row, "kind").lower().split())

    def name(self, row: int) -> str:
        return " ".join(self.text(row, "name").split())

    def here(self, row: int, key: str = "") -> Row:
        return self.sheet.here(row, self.columns.get(key, 0))

    def at(self, row: int) -> int:
        return self.places.add(self.here(row))

    def words(self, row: int) -> m.Words:
        return m.Words(*(self.text(row, key) for key in ("label", "description", "question", "answers")))

    def lines(self, row: int, key: str) -> list[str]:
        return [text for line in self.text(row, key).splitlines() if (text := line.strip())]

    def read(self, tables: Mapping[str, m.Table]) -> m.Definitions:
        """The model; `tables` by sheet."""
        head = self.rows["model"][:1]
        name = self.name(head[0]) if head else ""
        namespace = self.text(head[0], "content") if head else ""
        return m.Definitions(
            self.places.where,
            name,
            namespace,
            tuple(self.items()),
            tuple(m.InputData(*self.named(row), self.text(row, "type"), self.words(row)) for row in self.rows["input"]),
            tuple(self.decision(row, tables) for row in self.rows["decision"]),
            tuple(self.knowledge(row, tables) for row in self.rows["function"]),
            tuple(self.service(row) for row in self.rows["service"]),
            tuple(
                m.Import(self.name(row), self.text(row, "content"), self.text(row, "content type"))
                for row in self.rows["import"]
            ),
        )

    def named(self, row: int) -> tuple[str, str, int]:
        name = self.name(row)
        return self.text(row, "id") or name, name, self.at(row)

    # -- types

    def items(self) -> list[m.ItemDefinition]:
        """Types with the parts that stand below them, by depth."""
        found: list[m.ItemDefinition] = []
        rows = sorted(self.rows["type"] + self.rows["part"] + self.rows["function type"])
        at = 0
        while at < len(rows):
            if self.depth(rows[at]) != 0:
                cure = "Put it below its type: 'part 1', and 'part 2' for a part of a part."
                self.places.problem(self.here(rows[at], "kind"), "the part has no type above it", cure=cure)
                at += 1
                continue
            item, at = self.item(rows, at, 0)
            found.append(item)
        return found

    def depth(self, row: int) -> int:
        kind = self.kind(row)
        number = kind.removeprefix("part").strip() or "1"
        return (int(number) if number.isdigit() else 1) if kind.startswith("part") else 0

    def item(self, rows: list[int], at: int, depth: int) -> tuple[m.ItemDefinition, int]:
        row = rows[at]
        parts = []
        at += 1
        while at < len(rows) and self.depth(rows[at]) == depth + 1:
            part, at = self.item(rows, at, depth + 1)
            parts.append(part)
        listed = self.text(row, "list").lower()
        if listed not in (*_YES, *_NO):
            self.places.problem(self.here(row, "list"), "list is yes or empty", repr(listed), "yes, or empty")
        item = m.ItemDefinition(
            *self.named(row),
            self.text(row, "type"),
            tuple(parts),
            listed in _YES,
            self.text(row, "allowed values"),
            self.text(row, "type constraint"),
            self.parameters(row) if self.kind(row) == "function type" else None,
            self.words(row),
        )
        return item, at

    def parameters(self, row: int) -> tuple[tuple[str, str], ...]:
        pairs = (line.partition(":") for line in self.lines(row, "parameters"))
        return tuple((name.strip(), kind.strip()) for name, _, kind in pairs)

    # -- elements

    def ids_of(self, row: int, key: str) -> tuple[str, ...]:
        """The elements that a row names, one a line."""
        return tuple(found for line in self.lines(row, key) if (found := self.id_of(row, key, line)))

    def id_of(self, row: int, key: str, name: str) -> str:
        if name.startswith("#"):
            return name[1:]
        if name in self.ids:
            return self.ids[name]
        known = ", ".join(self.ids)
        self.places.problem(self.here(row, key), "there is no element of that name", repr(name), known, "Correct it.")
        return ""

    def decision(self, row: int, tables: Mapping[str, m.Table]) -> m.Decision:
        needs, knows = self.ids_of(row, "needs"), self.ids_of(row, "knows")
        content = self.content(row, tables)
        return m.Decision(*self.named(row), self.text(row, "type"), needs, knows, content, self.words(row))

    def knowledge(self, row: int, tables: Mapping[str, m.Table]) -> m.Knowledge:
        body = self.content(row, tables)
        function = body if isinstance(body, m.BoxedFunction) else None
        if body is not None and function is None:
            function = m.BoxedFunction(self.at(row), "", "FEEL", self.parameters(row), body)
        knows = self.ids_of(row, "knows")
        return m.Knowledge(*self.named(row), self.text(row, "type"), knows, function, self.words(row))

    def service(self, row: int) -> m.Service:
        parts: dict[str, list[str]] = {one: [] for one in layout.SERVICE_PARTS}
        for line in self.lines(row, "content"):
            key, _, name = line.partition(":")
            if key.strip() in parts:
                parts[key.strip()].append(self.id_of(row, "content", name.strip()))
            else:
                known = ", ".join(f"{one}: NAME" for one in parts)
                self.places.problem(
                    self.here(row, "content"), "the line of the service is not known", repr(line), known
                )
        outputs, encapsulated, decisions, data = (tuple(parts[key]) for key in layout.SERVICE_PARTS)
        words = self.words(row)
        return m.Service(*self.named(row), self.text(row, "type"), outputs, encapsulated, decisions, data, words)

    def content(self, row: int, tables: Mapping[str, m.Table]) -> m.Boxed | None:
        """The expression of an element, by the form that the row names."""
        form, text = self.text(row, "form").lower(), self.text(row, "content")
        place = self.here(row, "content")
        if form not in layout.FORMS:
            known = ", ".join(layout.FORMS[1:])
            self.places.problem(self.here(row, "form"), "the form of the content is not known", repr(form), known)
            return None
        if form == "table" or (not form and text in tables):
            self.used.add(text)
            if text not in tables:
                self.places.problem(place, "there is no sheet of that name with a table", repr(text), ", ".join(tables))
            return tables.get(text)
        if form == "boxed":
            return self.boxed(row, text)
        return m.Literal(self.at(row), self.text(row, "content type"), text or "null") if form or text else None

    def boxed(self, row: int, text: str) -> m.Boxed | None:
        """A boxed expression, written as its XML."""
        reader = Reader(self.places.where)
        reader.namespace = NAMESPACE
        root = reader.root(f'<parent xmlns="{NAMESPACE}">{text}</parent>'.encode())
        found = None if root is None else reader.boxed_in(root)
        for problem in reader.problems:
            self.places.problem(self.here(row, "content"), problem.message, problem.found, problem.known, problem.cure)
        if found is None and not reader.problems:
            message, known = "the content is no boxed expression", "<context>, <list>, <relation>, <invocation> …"
            self.places.problem(self.here(row, "content"), message, text[:60], known, "Write it as DMN has it.")
        return None if found is None else _placed(found, self.at(row))


def _placed(box: m.Boxed, at: int) -> m.Boxed:
    """A boxed expression whose parts all stand in one cell."""
    from dataclasses import fields, replace

    def moved(value: object) -> object:
        if isinstance(value, m.Boxed):
            return _placed(value, at)
        if isinstance(value, tuple):
            return tuple(moved(one) for one in value)
        if isinstance(value, m.Entry):
            return replace(value, value=_placed(value.value, at))
        if isinstance(value, m.TableInput | m.TableOutput | m.TableRule):
            return replace(value, at=at)
        return value

    changes = {one.name: moved(getattr(box, one.name)) for one in fields(box) if one.name != "at"}
    return replace(box, at=at, **changes)  # type: ignore[arg-type]
