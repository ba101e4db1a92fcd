"""mappings/*.toml: how the columns of a file become events."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal

from quanheng.events.schema import EventDeclaration, FieldDeclaration
from quanheng.loading.checks.manifest import NO_SUCH_EVENT
from quanheng.loading.declared import ColumnSource, EventMapping, FileMapping
from quanheng.loading.notes import Notes
from quanheng.loading.table import DOTTED_NAME, Table, kind_of

_CONSTANT_KINDS: dict[str, tuple[type, ...]] = {
    "key": (str,),
    "text": (str,),
    "choice": (str,),
    "integer": (int,),
    "decimal": (int, Decimal),
    "boolean": (bool,),
    "time": (int, dt.datetime),
}


def check_mappings(
    files: Mapping[str, dict[str, object]], events: Mapping[str, EventDeclaration], notes: Notes
) -> tuple[FileMapping, ...]:
    """Read all mapping files (parsed, by name)."""
    found = []
    for file, values in files.items():
        top = Table(values, file, "", notes)
        top.title(required=False)
        mapped = [_event(name, table, events) for name, table in top.named("event", DOTTED_NAME, required=True)]
        top.done()
        found.append(
            FileMapping(
                name=file.removeprefix("mappings/").removesuffix(".toml"),
                events=tuple(one for one in mapped if one is not None),
            )
        )
    return tuple(found)


def _event(name: str, table: Table, events: Mapping[str, EventDeclaration]) -> EventMapping | None:
    if name not in events:
        table.problem("", NO_SUCH_EVENT, found=name, known=list(events), of="event")
        return None
    declared = events[name].fields
    outer = table.table("fields")
    fields: dict[str, ColumnSource] = {}
    for field, values in outer.values.items():
        if field not in declared:
            outer.problem(field, f"{name} has no such field", found=field, known=list(declared))
        elif not isinstance(values, dict):
            outer.problem(
                field, "the value is of the wrong kind", found=kind_of(values), known='{column = "…"} or {constant = …}'
            )
        else:
            fields[field] = _source(Table(values, table.file, outer.path(field), table.notes), declared[field])
    missing = [field for field, one in declared.items() if not one.optional and field not in outer.values]
    if missing:
        table.problem(
            "fields",
            "required fields have no source",
            found=", ".join(missing),
            cure='Add {column = "…"} or {constant = …} for each.',
        )
    where = _where(table.table("where", required=False)) if table.has("where") else None
    delay_ms = table.duration_ms("delay") or 0
    id_source = _source(table.table("id", required=False), None) if table.has("id") else None
    table.done()
    return EventMapping(event=name, fields=fields, where=where, delay_ms=delay_ms, id=id_source)


def _source(table: Table, field: FieldDeclaration | None) -> ColumnSource:
    column = table.text("column", required=False, wanted="the name of a column")
    constant = table.any("constant", required=False)
    table.done()
    if bool(column) == (constant is not None):
        table.problem("", "a field comes from one column or one constant", known='{column = "…"} or {constant = …}')
    if constant is not None and field is not None:
        kinds = _CONSTANT_KINDS[field.kind]
        if not isinstance(constant, kinds) or (isinstance(constant, bool) and field.kind != "boolean"):
            table.problem(
                "constant", f"the constant does not fit a field of type {field.kind}", found=kind_of(constant)
            )
        elif field.kind == "choice" and constant not in field.choices:
            table.problem("constant", "the constant is not one of the choices", found=constant, known=field.choices)
    return ColumnSource(column=column, constant=constant)  # type: ignore[arg-type]


def _where(table: Table) -> tuple[str, object] | None:
    column = table.text("column", wanted="the name of a column")
    equals = table.any("equals")
    table.done()
    return (column, equals) if column else None
