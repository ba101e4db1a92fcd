"""The event that tells of a process' timers, `NAME.timer.fired`, as any event is declared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from quanheng.events.schema import EventDeclaration, FieldDeclaration
from quanheng.loading.declared_processes import ProcessDeclaration

TIMER_TELLER = "quanheng.processes"
"""The client that alone sends it."""

TIMER_FIELDS = ("time_ms", "due_ms", "late_ms", "skipped", "serial", "timer", "state")
"""Fields beside the keys and numbers that an instance keeps: nothing that is kept has one of these names."""

_INTERNAL = "internal"


def timer_event(
    process: ProcessDeclaration, timers: Sequence[str], kept: Mapping[str, FieldDeclaration]
) -> EventDeclaration:
    """What the firing of a timer tells: who the instance is, what it keeps, which timer, due when, found how late.

    Kept numbers stand behind everything else in headers, so that a later version may keep more.

    Parameters
    ----------
    timers : names of its timers, to which a later version may append
    kept : the field of a starting event of each kept key and number that has one, for class, unit and title
    """
    keys = [(process.per, process.entity), *((one.name, one.entity) for one in process.keys)]
    fields = {name: _key(entity, kept.get(name)) for name, entity in keys if name}
    fields |= {
        "time_ms": _field("time", "When the timer was due", "计时到期时间"),
        "due_ms": _field("time", "When the timer was due", "计时到期时间"),
        "late_ms": replace(_field("integer", "How much later it was told", "延迟"), min=0, unit="ms"),
        "skipped": _field("boolean", "Too late to move anything", "因过期而跳过"),
        "serial": replace(_field("integer", "Number of the arming", "计时序号"), min=0),
        "timer": replace(_field("choice", "Which timer", "计时器"), choices=tuple(timers)),
        "state": _field("text", "State that it ran in", "计时所在状态"),
    }
    fields |= {one.name: _number(one.decimals, kept.get(one.name)) for one in process.numbers}
    en, zh = process.en or process.name, process.zh or process.name
    return EventDeclaration(
        name=process.timer_event, fields=fields, subject=process.subject, client=TIMER_TELLER,
        title={"en": f"A timer fired: {en}", "zh": f"计时到期：{zh}"},
    )  # fmt: skip


def _field(kind: str, en: str, zh: str) -> FieldDeclaration:
    return FieldDeclaration(kind=kind, data_class=_INTERNAL, title={"en": en, "zh": zh})  # type: ignore[arg-type]


def _key(entity: str, like: FieldDeclaration | None) -> FieldDeclaration:
    if like is None:
        return FieldDeclaration(kind="key", entity=entity)
    return FieldDeclaration(kind="key", entity=entity, data_class=like.data_class, title=like.title)


def _number(decimals: int, like: FieldDeclaration | None) -> FieldDeclaration:
    """Optional: what an instance keeps is null until something gives it."""
    field = FieldDeclaration(
        kind="decimal" if decimals else "integer", scale=decimals, optional=True, appended=True, data_class=_INTERNAL
    )
    if like is None:
        return field
    return replace(field, unit=like.unit, data_class=like.data_class, title=like.title)
