"""Names in processes.toml: every event, key field and state that a process speaks of is there and fits."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from quanheng.events.schema import EventDeclaration
from quanheng.loading.checks.manifest import NO_SUCH_EVENT
from quanheng.loading.checks.processes import KNOWN_OF_A_STEP, ProcessDraft, key_in
from quanheng.loading.checks.states import PartDraft
from quanheng.loading.notes import Words
from quanheng.loading.table import Table

NO_SUCH_STATE = "no such state is declared in this part"


def check_process_names(draft: ProcessDraft, events: Mapping[str, EventDeclaration], unsound: Collection[str]) -> None:
    """Check what one process speaks of.

    Parameters
    ----------
    events : all that are known to the pack, those of timers among them
    unsound : events with problems of their own: nobody can say which keys they have
    """
    _check_states(draft)
    used = dict.fromkeys(draft.process.events())
    for table, event in _uses(draft):
        if event and event not in events:
            table.problem("event", NO_SUCH_EVENT, found=event, known=list(events), of="event")
    for name in used:
        if name in events and name not in unsound and name != draft.process.timer_event:
            _check_event(draft, events[name])
    _check_by(draft, used)
    for name in draft.process.ignores:
        if name not in used:
            message, cure = "the process does not use this event, so it is never judged by it", "Take it out."
            draft.table.problem("ignores", message, found=name, known=list(used), cure=cure, of="process")


def _uses(draft: ProcessDraft) -> Iterator[tuple[Table, str]]:
    """Every move that names an event; starts were looked up when the process was placed."""
    for one in draft.moves:
        if one.move.event and not one.move.timer:
            yield one.table, one.move.event


def _check_event(draft: ProcessDraft, event: EventDeclaration) -> None:
    """It names its instance by a key of the right entity, and no field hides what guards know beside fields."""
    process, table = draft.process, draft.table
    name = key_in(process, event.name)
    by = event.name in process.by
    place, key = (table.inside("by"), event.name) if by else (table, "per")
    field = event.fields.get(name)
    known = [one for one, field in event.fields.items() if field.kind == "key"]
    if name and (field is None or field.kind != "key"):
        cure = f'Say which names the instance there: by."{event.name}" = "…".' if known and not by else ""
        place.problem(key, f"{event.name} has no such key field", found=name, known=known, cure=cure)
    elif field is not None and process.entity and field.entity != process.entity:
        fitting = [one for one in known if event.fields[one].entity == process.entity]
        message = f"{event.name} names its instance by a key of another entity than {process.entity}"
        place.problem(key, message, found=Words(f"{name}, of {field.entity}"), known=fitting)
    for hidden in KNOWN_OF_A_STEP:
        if hidden in event.fields:
            message = f"a field of {event.name} has the name of what moves know beside fields"
            cure = "Give the field another name."
            table.problem("", message, found=hidden, known=", ".join(KNOWN_OF_A_STEP), cure=cure)


def _check_by(draft: ProcessDraft, used: Collection[str]) -> None:
    for name in draft.process.by:
        if name not in used:
            cure = "Remove it."
            inner = draft.table.inside("by")
            inner.problem(name, "the process does not use this event", found=name, known=used, cure=cure, of="process")


def _check_states(draft: ProcessDraft) -> None:
    """Every state that is named is one of its part."""
    notes = draft.table.notes
    if notes.doubted("state"):
        return
    names = {part.part.name: [one.name for one in part.part.states] for part in draft.parts}
    for one in draft.moves:
        for key, state in (("to", one.move.to), ("refused", one.move.refused)):
            if state and state not in names[one.part]:
                one.table.problem(key, NO_SUCH_STATE, found=state, known=names[one.part])
    first = next(iter(names.values()), [])
    for start in draft.starts:
        if not start.start.to:
            known = f"a state{' of the first part' if len(names) > 1 else ''}"
            start.table.problem("to", "it is not said which state an instance begins in; the key is missing",
                                known=known)  # fmt: skip
        for key, state in (("to", start.start.to), ("refused", start.start.refused)):
            if state and state not in first:
                start.table.problem(key, NO_SUCH_STATE, found=state, known=first)
    for number, part in enumerate(draft.parts):
        if part.part.name:
            _check_begins(part, names[part.part.name], required=number > 0)
    every = [f"{part}.{state}" if part else state for part, states in names.items() for state in states]
    for old, new in draft.process.migrate.items():
        if new not in every:
            message = "instances are led to a state that is not declared"
            draft.table.inside("migrate").problem(old, message, found=new, known=every)


def _check_begins(part: PartDraft, states: Collection[str], *, required: bool) -> None:
    begins = part.part.begins
    if begins and begins not in states:
        part.table.problem("begins", NO_SUCH_STATE, found=begins, known=states)
    elif not begins and required and not part.table.has("begins"):
        message = "it is not said which state the part begins in; the key is missing"
        part.table.problem("begins", message, known=states)
