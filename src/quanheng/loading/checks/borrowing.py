"""traffic.toml of kind "borrowing": people, what is observed of them, and the fields of events that it fills."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import msgspec

from quanheng.events.schema import EventDeclaration, FieldDeclaration
from quanheng.loading.checks.manifest import NO_SUCH_EVENT
from quanheng.loading.table import DOTTED_NAME, NAME, Table
from quanheng.loading.traffic.borrowing.declaration import (
    BorrowingDeclaration,
    Drive,
    Measure,
    Outcome,
    Rings,
    Rule,
    Segment,
    Shock,
    Source,
)
from quanheng.loading.traffic.declaration import EventRoles

SHAPES = ("level", "linear", "flag", "choice", "date")
ROLES = ("own", "phone", "device", "employer")
KINDS_OF = {
    "level": ("integer",),
    "linear": ("integer", "decimal"),
    "flag": ("boolean",),
    "choice": ("choice", "text", "integer"),
    "date": ("text",),
}
WEIGHT_MAX, PEOPLE_MAX, ROWS_MAX, DAY_MS = 10_000, 100_000, 400, 86_400_000
Events = Mapping[str, EventDeclaration]


def check_borrowing(top: Table, seed: int, start_ms: int | None, events: Events) -> BorrowingDeclaration | None:
    """Read the rest of traffic.toml against the pack's events; None when it has problems."""
    before = len(top.notes)
    segments = tuple(_segment(table) for table in top.tables("segment", required=True))
    names = [one.name for one in segments]
    told = top.table("application")
    number = _field(told, "application", events.get(str(told.values.get("type"))), ("key",))
    application = _source(told, events, names, {number, *(name for one in segments for name in one.constant)})
    amount = told.text("amount", pattern=NAME, wanted="the measure of the amount")
    told.done()
    outcome = _outcome(top.table("outcome"), events, {application.subject, number, *application.keys})
    sources = tuple(_sourced(table, events, names) for table in top.tables("source"))
    income = _income(top.table("income"))
    default, threshold = top.table("default"), 0
    drive = _drive(default)
    threshold = default.integer("threshold", least=-10_000, most=10_000)
    default.done()
    shocks = tuple(_shock(table, application) for table in top.tables("shock"))
    rings = _rings(top.table("rings", required=False))
    rule = _rule(top.table("rule"), application, sources)
    per_month = top.integer("per_month", least=1, most=PEOPLE_MAX)
    season = _season(top)
    top.done()
    if amount and amount not in {one.field for one in application.measures}:
        known = [one.field for one in application.measures]
        told.problem("amount", "no such measure of the application is declared", found=amount, known=known)
    if rings.per_month * rings.members > per_month:
        top.problem("rings", "rings have more members than there are applicants", found=rings.per_month * rings.members,
                    known=f"at most {per_month}, per_month")  # fmt: skip
    if len(top.notes) > before or start_ms is None:
        return None
    roles = EventRoles(type=application.type, time=application.time, payer=application.subject, place="", amount=amount)
    return BorrowingDeclaration(
        kind="borrowing", seed=seed, start_ms=start_ms, event=roles, application=application, number=number,
        outcome=outcome, per_month=per_month, season=season, income=income, default=drive, threshold=threshold,
        segments=segments, sources=sources, shocks=shocks, rings=rings, rule=rule,
    )  # fmt: skip


def _event(table: Table, events: Events) -> tuple[str, EventDeclaration | None]:
    name = table.text("type", pattern=DOTTED_NAME, wanted="the name of an event")
    event = events.get(name)
    if name and event is None:
        table.problem("type", NO_SUCH_EVENT, found=name, known=list(events), of="event")
    return name, event


def _field(table: Table, key: str, event: EventDeclaration | None, kinds: tuple[str, ...]) -> str:
    name = table.text(key, pattern=NAME, wanted=f"a field of type {' or '.join(kinds)}")
    if name and event is not None:
        _fits(table, key, name, event, kinds)
    return name


def _fits(
    table: Table, key: str, name: str, event: EventDeclaration, kinds: tuple[str, ...]
) -> FieldDeclaration | None:
    fitting = [field for field, one in event.fields.items() if one.kind in kinds]
    if name in fitting:
        return event.fields[name]
    table.problem(key, f"{event.name} has no such field of type {' or '.join(kinds)}", found=name, known=fitting)
    return None


def _sourced(table: Table, events: Events, segments: list[str]) -> Source:
    source = _source(table, events, segments, set())
    table.done()
    return source


def _source(table: Table, events: Events, segments: list[str], filled: set[str]) -> Source:
    name, event = _event(table, events)
    subject = _field(table, "subject", event, ("key",))
    constant = dict(table.table("constant", required=False).values)
    keys = _keys(table.table("keys", required=False), event)
    measures = tuple(_measure(one, inner, event) for one, inner in table.named("measure"))
    of = table.texts("segments", required=False)
    for one in of:
        if one not in segments:
            table.problem("segments", "no such segment is declared", found=one, known=segments)
    every = table.duration_ms("every", least_ms=1000, most_ms=400 * DAY_MS) or DAY_MS
    source = Source(
        type=name, time=event.time if event else "time_ms", subject=subject,
        rows=table.integer("rows", required=False, default=1, least=1, most=ROWS_MAX), every_ms=every,
        share=table.number("share", required=False, default=Decimal(1), least=0, most=1) or Decimal(0),
        segments=of, keys=keys, constant=constant, measures=measures,
    )  # fmt: skip
    if event is not None and table.sound:
        _filled(table, event, {source.time, subject, *constant, *keys, *(one.field for one in measures), *filled})
    return source


def _filled(table: Table, event: EventDeclaration, filled: set[str]) -> None:
    missing = [field for field, one in event.fields.items() if not one.optional and field not in filled]
    if missing:
        table.problem(
            "measure",
            "required fields of the event are not filled",
            found=", ".join(missing),
            cure="Give each a measure, a key, or a constant.",
        )
    for field in sorted(filled - set(event.fields) - {""}):
        table.problem("constant", f"{event.name} has no such field", found=field, known=list(event.fields))


def _keys(table: Table, event: EventDeclaration | None) -> dict[str, str]:
    found = {name: table.choice(name, ROLES) for name in table.values}
    for name in found:
        if event is not None:
            _fits(table, name, name, event, ("key",))
    return found


def _drive(table: Table) -> Drive:
    def weight(name: str, default: int = 0) -> int:
        return table.integer(name, required=False, default=default, least=-WEIGHT_MAX, most=WEIGHT_MAX)

    return Drive(
        ability=weight("ability"),
        honesty=weight("honesty"),
        health=weight("health"),
        shock=weight("shock"),
        person=weight("person"),
        noise=weight("noise", 1000),
    )


def _measure(name: str, table: Table, event: EventDeclaration | None) -> Measure:
    shape = str(table.values.get("shape")) if table.values.get("shape") in SHAPES else "linear"
    field = _fits(table, "shape", name, event, KINDS_OF[shape]) if event is not None else None
    weights, number = {}, ""
    if shape == "choice":
        inner = table.table("weights")
        weights = {one: inner.integer(one, least=1, most=10**6) for one in inner.values}
        number = "integer" if field is not None and field.kind == "integer" else ""
        for one in weights:
            if field is not None and (one not in field.choices if field.choices else number and not one.isdecimal()):
                inner.problem(one, "the value does not fit its field", found=one, known=field.choices or "an integer")
        if not weights:
            table.problem("weights", "a choice needs at least one value")
    measure = _shaped(name, shape, table, event)
    table.done()
    return msgspec.structs.replace(measure, weights=weights, number=number, scale=field.scale if field else 0)


def _shaped(name: str, shape: str, table: Table, event: EventDeclaration | None) -> Measure:
    """The numbers of a measure; its bounds are those of its field where it names none."""
    field = event.fields.get(name) if event else None
    low = Decimal(field.min) if field is not None and field.min is not None else Decimal(0)
    high = Decimal(field.max) if field is not None and field.max is not None else Decimal(10**12)
    if shape == "choice":
        return Measure(field=name, shape=table.choice("shape", SHAPES))
    return Measure(
        field=name,
        shape=table.choice("shape", SHAPES, default="linear"),
        drive=_drive(table),
        base=table.number("base", least=-(10**9), most=10**9) or Decimal(0),
        slope=table.number("slope", required=False, default=Decimal(1), least=-(10**9), most=10**9) or Decimal(0),
        least=table.number("least", required=False, default=low, least=low, most=high) or Decimal(0),
        most=table.number("most", required=False, default=high, least=low, most=high) or Decimal(0),
        step=table.integer("step", required=False, default=1, least=1, most=10**9),
        of_income=table.boolean("of_income"),
    )


def _income(table: Table) -> Measure:
    income = Measure(
        field="income", shape="level", drive=_drive(table),
        base=Decimal(table.integer("median_minor", least=1, most=10**9)),
        slope=table.number("spread", least=0, most=3) or Decimal(0),
    )  # fmt: skip
    table.done()
    return income


def _outcome(table: Table, events: Events, fields: set[str]) -> Outcome:
    name, event = _event(table, events)
    told, bad = _field(table, "told", event, ("time",)), _field(table, "bad", event, ("boolean",))
    delay = table.duration_ms("delay", required=True, least_ms=DAY_MS) or DAY_MS
    kept = tuple(sorted(fields & set(event.fields))) if event else ()
    outcome = Outcome(type=name, applied=event.time if event else "", told=told, bad=bad, delay_ms=delay, fields=kept)
    table.done()
    if event is not None and table.sound:
        _filled(table, event, {outcome.applied, told, bad, *kept})
    return outcome


def _segment(table: Table) -> Segment:
    segment = Segment(
        name=table.text("name", pattern=NAME, wanted='a name such as "employees"'),
        weight=table.integer("weight", least=1, most=10**6),
        constant=dict(table.table("constant", required=False).values),
    )
    table.done()
    return segment


def _shock(table: Table, application: Source) -> Shock:
    lasts = table.duration_ms("lasts", required=True, least_ms=DAY_MS, most_ms=3 * 366 * DAY_MS) or DAY_MS
    shock = Shock(
        name=table.text("name", pattern=NAME, wanted='a name such as "flood"'),
        start_ms=table.time_ms("at") or 0,
        days=lasts // DAY_MS,
        size=table.integer("size", least=-WEIGHT_MAX, most=WEIGHT_MAX),
        field=table.text("field", required=False, pattern=NAME),
        value=table.text("value", required=False),
    )
    table.done()
    drawn = {one.field: list(one.weights) for one in application.measures if one.shape == "choice"}
    if shock.field and shock.field not in drawn:
        table.problem("field", "a shock strikes those with one value of a choice of the application",
                      found=shock.field, known=list(drawn))  # fmt: skip
    elif shock.field and shock.value not in drawn[shock.field]:
        table.problem("value", "the field has no such value", found=shock.value, known=drawn[shock.field])
    return shock


def _rings(table: Table) -> Rings:
    rings = Rings(
        per_month=table.integer("per_month", required=False, least=0, most=100),
        members=table.integer("members", required=False, default=1, least=1, most=1000),
        devices=table.integer("devices", required=False, default=1, least=1, most=100),
    )
    table.done()
    return rings


def _rule(table: Table, application: Source, sources: tuple[Source, ...]) -> Rule:
    def share(name: str, most: int) -> Decimal:
        return table.number(name, least=0, most=most) or Decimal(0)

    rule = Rule(
        granted=table.texts("granted", least=1), asked=table.texts("asked", required=False),
        income=table.text("income", pattern=NAME), multiple=share("multiple", 1000),
        source=table.text("source", pattern=DOTTED_NAME), field=table.text("field", pattern=NAME),
        least=table.integer("least", least=-(10**12), most=10**12), rate=share("rate", 10),
        funds_rate=share("funds_rate", 10), recovered=share("recovered", 1),
    )  # fmt: skip
    table.done()
    levels = [one.field for one in application.measures if one.shape == "level"]
    if rule.income and rule.income not in levels:
        table.problem("income", "no such level of the application is declared", found=rule.income, known=levels)
    told = [one.field for source in sources if source.type == rule.source for one in source.measures]
    if rule.field and rule.field not in told:
        table.problem("field", "no source of this event tells such a field", found=rule.field, known=told)
    return rule


def _season(top: Table) -> tuple[int, ...]:
    value = top.any("season", required=False)
    if value is None:
        return (100,) * 12
    if (
        not isinstance(value, list)
        or len(value) != 12
        or not all(isinstance(one, int) and 1 <= one <= 1000 for one in value)
    ):
        top.problem(
            "season", "the value is not a list of twelve weights", known="12 integers from 1 to 1000, 100 = ordinary"
        )
        return (100,) * 12
    return tuple(value)
