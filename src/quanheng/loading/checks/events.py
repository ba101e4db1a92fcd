"""events.toml: the entities a pack owns and the events it reads, field by field."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from decimal import Decimal

from quanheng.events.schema import (
    KEYS_MAX,
    MAX_NUMBER,
    NUMBER_KINDS,
    NUMBERS_MAX,
    TEXT_LENGTH_MAX,
    EventDeclaration,
    FieldDeclaration,
)
from quanheng.loading.declared import Entity
from quanheng.loading.notes import Notes, Words
from quanheng.loading.table import DOTTED_NAME, NAME, Table

FILE = "events.toml"
FIELD_KINDS = ("key", "text", "choice", "integer", "decimal", "boolean", "time")
PROTECTED = "protected"
"""Of an attribute on which nobody may be treated differently: measured by, never decided by."""
DATA_CLASSES = ("public", "internal", "personal", "financial", "sensitive", PROTECTED)
FIELDS_MAX = 200
SCALE_MAX = 18
CHOICES_MAX = 500
PATTERN_LENGTH_MAX = 200


def check_events(
    values: dict[str, object], pack: str, entities_known: Mapping[str, Entity], notes: Notes
) -> tuple[tuple[Entity, ...], tuple[EventDeclaration, ...], frozenset[str]]:
    """Read events.toml.

    Parameters
    ----------
    pack : name of the pack, which qualifies its entities
    entities_known : entities of required packs by qualified name

    Returns
    -------
    Entities and events; names of events that have problems, which can be spoken of and not yet read.
    """
    top = Table(values, FILE, "", notes)
    entities = tuple(_entity(f"{pack}.{name}", table) for name, table in top.named("entity", of="entity"))
    known = {**entities_known, **{entity.name: entity for entity in entities}}
    events, unsound = [], set()
    for name, table in top.named("event", DOTTED_NAME, of="event"):
        before = len(notes)
        events.append(_event(name, table, pack, known))
        if len(notes) > before:
            unsound.add(name)
    top.done()
    return entities, tuple(events), frozenset(unsound)


def _entity(name: str, table: Table) -> Entity:
    entity = Entity(name=name, personal=table.boolean("personal", required=True), title=table.title())
    table.done()
    return entity


def _event(name: str, table: Table, pack: str, entities: Mapping[str, Entity]) -> EventDeclaration:
    title = table.title()
    subject = table.text("subject", required=False, wanted="a key field of this event")
    time = table.text("time", required=False, default="time_ms", wanted="a time field of this event")
    outer = table.table("fields")
    fields = read_fields(outer, pack, entities)
    keys = sum(field.kind == "key" for field in fields.values())
    numbers = sum(field.kind in NUMBER_KINDS or field.kind == "choice" for field in fields.values())
    for what, count, most in (("key", keys, KEYS_MAX), ("number and choice", numbers, NUMBERS_MAX)):
        if count > most:
            outer.problem("", f"the event has too many {what} fields", found=count, known=f"at most {most}")
    table.done()
    _check_subject(table, subject, fields)
    _check_time(table, time, fields)
    return EventDeclaration(
        name=name, fields=fields, subject=subject, time=time, title={"en": title.en, "zh": title.zh}
    )


def read_fields(outer: Table, pack: str, entities: Mapping[str, Entity]) -> dict[str, FieldDeclaration]:
    """The fields of an event, or of what else is declared as one, each under its name."""
    fields = {}
    for field_name, values in outer.values.items():
        if not NAME.fullmatch(field_name):
            outer.problem(
                field_name,
                "the name is not a plain name",
                found=field_name,
                known='a name such as "amount_minor"',
                cure="Names have small letters, digits and _ and begin with a letter.",
            )
        elif not isinstance(values, dict):
            outer.problem(
                field_name, "the value is of the wrong kind", found=values, known='a table such as {type = "integer"}'
            )
        else:
            fields[field_name] = _field(Table(values, outer.file, outer.path(field_name), outer.notes), pack, entities)
    if len(outer.values) > FIELDS_MAX:
        outer.problem("", "the event has too many fields", found=len(outer.values), known=f"at most {FIELDS_MAX}")
    return fields


def _check_subject(table: Table, subject: str, fields: Mapping[str, FieldDeclaration]) -> None:
    keys = [name for name, field in fields.items() if field.kind == "key"]
    if not subject:
        return
    if subject not in fields:
        table.problem("subject", "the subject is not a field of this event", found=subject, known=keys)
    elif fields[subject].kind != "key":
        table.problem(
            "subject",
            "the subject must be a key field",
            found=Words(f"a field of type {fields[subject].kind}"),
            known=keys,
        )
    elif fields[subject].optional:
        table.problem(
            "subject",
            "the subject may not be optional: its key seals the event",
            found=subject,
            cure="Remove `optional` from the field.",
        )


def _check_time(table: Table, time: str, fields: Mapping[str, FieldDeclaration]) -> None:
    times = [name for name, field in fields.items() if field.kind == "time"]
    if time not in fields:
        table.problem(
            "time",
            "the time is not a field of this event",
            found=time,
            known=times,
            cure="" if times else f'Declare the field: {time} = {{type = "time"}}',
        )
    elif fields[time].kind != "time":
        table.problem(
            "time",
            "the time must be a field of type time",
            found=Words(f"a field of type {fields[time].kind}"),
            known=times,
        )
    elif fields[time].optional:
        table.problem(
            "time",
            "the time may not be optional: it places the event in its windows",
            found=time,
            cure="Remove `optional` from the field.",
        )


def _field(table: Table, pack: str, entities: Mapping[str, Entity]) -> FieldDeclaration:
    kind = table.choice("type", FIELD_KINDS, default="text")
    data_class = table.choice("class", DATA_CLASSES, required=False)
    optional = table.boolean("optional")
    appended = kind not in ("key", "text") and table.boolean("appended")
    title = table.title(required=False)
    unit = entity = pattern = ""
    choices: tuple[str, ...] = ()
    scale, length_max, low, high = 0, TEXT_LENGTH_MAX, None, None
    if kind == "key":
        entity = _entity_name(table, pack, entities)
        if not data_class and entity in entities and entities[entity].personal:
            data_class = "personal"
    elif kind == "text":
        pattern = _pattern(table)
        length_max = table.integer("length_max", required=False, default=TEXT_LENGTH_MAX, least=1, most=TEXT_LENGTH_MAX)
    elif kind == "choice":
        choices = table.texts("choices", least=1)
        if len(choices) > CHOICES_MAX:
            table.problem(
                "choices",
                "the list is too long",
                found=Words(f"{len(choices)} entries"),
                known=f"at most {CHOICES_MAX}",
            )
    elif kind in {"integer", "decimal"}:
        unit = table.text("unit", required=False)
        scale = table.integer("scale", least=0, most=SCALE_MAX) if kind == "decimal" else 0
        low, high = _bounds(table, kind, scale)
    table.done()
    return FieldDeclaration(
        kind=kind,
        entity=entity,
        optional=optional,
        unit=unit,
        data_class=data_class,
        min=low,
        max=high,
        scale=scale,
        pattern=pattern,
        length_max=length_max,
        choices=choices,
        appended=appended,
        title={"en": title.en, "zh": title.zh} if title.en else {},
    )


def _entity_name(table: Table, pack: str, entities: Collection[str]) -> str:
    """An entity by its qualified name: "customer" is this pack's own, "party.customer" is that of party."""
    written = table.text("entity", wanted='an entity such as "customer" of this pack or "party.customer"')
    return qualified_entity(table, "entity", written, pack, entities) if written else ""


def qualified_entity(table: Table, key: str, written: str, pack: str, entities: Collection[str]) -> str:
    """The qualified name of an entity that stands under a key; one that nobody declares is a problem."""
    name = written if "." in written else f"{pack}.{written}"
    if name not in entities:
        elsewhere = [other for other in entities if other.endswith(f".{written}")]
        table.problem(
            key,
            "no such entity is declared here or in a required pack",
            found=written,
            known=list(entities),
            cure=f'Write "{elsewhere[0]}": names of other packs carry the pack.' if elsewhere else "",
            of="entity",
        )
    return name


def _pattern(table: Table) -> str:
    pattern = table.text("pattern", required=False, most=PATTERN_LENGTH_MAX, wanted="a regular expression")
    try:
        re.compile(pattern)
    except re.error as error:
        table.problem(
            "pattern", "the regular expression cannot be read", found=pattern, known=f"a regular expression ({error})"
        )
        return ""
    return pattern


def _bounds(table: Table, kind: str, scale: int) -> tuple[Decimal | int | None, Decimal | int | None]:
    """min and max of a number field: integers for integers, and what a 64-bit header number holds."""
    room = MAX_NUMBER // 10**scale
    low, high = (table.number(name, required=False, least=-room, most=room) for name in ("min", "max"))
    if low is not None and high is not None and low > high:
        table.problem("min", "min is larger than max", found=low, known=f"at most {high}")
    if kind == "decimal":
        return low, high
    for name, number in (("min", low), ("max", high)):
        if number is not None and number != int(number):
            table.problem(name, "the bound of an integer must be an integer", found=number)
    return None if low is None else int(low), None if high is None else int(high)
