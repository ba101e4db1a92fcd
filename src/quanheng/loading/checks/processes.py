"""processes.toml: the life cycles of a pack, as they are written and as they stand among the events."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

import msgspec
from msgspec.structs import replace

from quanheng.events.schema import EventDeclaration, FieldDeclaration
from quanheng.kernel.calendars import Calendar
from quanheng.loading.checks.manifest import NO_SUCH_EVENT
from quanheng.loading.checks.platform import LEDGER
from quanheng.loading.checks.states import Around, MoveDraft, PartDraft, StateDraft, read_acts, read_parts
from quanheng.loading.declared_processes import (
    TIMER_FIRED,
    KeptKey,
    KeptNumber,
    PartDeclaration,
    ProcessDeclaration,
    Start,
)
from quanheng.loading.notes import Notes, Words
from quanheng.loading.process_events import TIMER_FIELDS, timer_event
from quanheng.loading.table import DOTTED_NAME, NAME, Table

FILE = "processes.toml"
PROCESSES_MAX = 200
KEYS_MAX, NUMBERS_MAX, DECIMALS_MAX = 8, 16, 18
KNOWN_OF_A_STEP = ("outcome", "refused", "instance")
"""Names that guards know beside those of a policy: no field of an event that a process uses has one of them."""
OF_INSTANCES = ("state", "entered_ms", "started_ms")
"""What `instance` holds beside kept numbers and, in a process with parts, the state of each part."""
KEPT_KINDS = ("integer", "decimal", "time")
FROM_EVENT = -1
"""Decimals of a kept number that are those of the field of the same name."""


class StartDraft(msgspec.Struct, frozen=True):
    """A start as written, with its table."""

    table: Table
    start: Start


class ProcessDraft(msgspec.Struct, frozen=True):
    """A process with the tables of all that it says.

    kept : kept number → decimals, as written; `FROM_EVENT` where a starting event says them
    timers : names of its timers, in the order of their event
    """

    table: Table
    process: ProcessDeclaration
    starts: tuple[StartDraft, ...]
    parts: tuple[PartDraft, ...]
    kept: Mapping[str, int]
    timers: tuple[str, ...]

    @property
    def states(self) -> tuple[StateDraft, ...]:
        """Those of all parts."""
        return tuple(one for part in self.parts for one in part.states)

    @property
    def moves(self) -> tuple[MoveDraft, ...]:
        """Those of all states."""
        return tuple(move for one in self.states for move in one.moves)

    def tables(self) -> Iterator[Table]:
        """Its own table and those of its parts, states, moves, timers and starts."""
        yield self.table
        for drafts in (self.starts, self.parts, self.states, self.moves):
            yield from (one.table for one in drafts)
        yield from (table for one in self.states for table, _ in one.timers)

    @property
    def sound(self) -> bool:
        """Whether all of it could be read."""
        return all(table.sound for table in self.tables())


def read_processes(top: Table, calendars: Mapping[str, Calendar]) -> tuple[ProcessDraft, ...]:
    """Read `[process.NAME]`; events are looked up by `place_processes`."""
    found = []
    for name, table in top.named("process", NAME, of="process"):
        found.append(_process(name, table, calendars))
        if not found[-1].sound:
            top.notes.doubt("process")
    if len(found) > PROCESSES_MAX:
        top.problem("process", "there are too many processes", found=len(found), known=f"at most {PROCESSES_MAX}")
    return tuple(found)


def _process(name: str, table: Table, calendars: Mapping[str, Calendar]) -> ProcessDraft:
    title = table.title(required=False)
    per = table.text("per", pattern=NAME, wanted="the key field that names the instance")
    keys = table.texts("keys", required=False)
    kept = _keep(table)
    subject = table.text("subject", required=False, wanted="a kept key")
    by, migrate = _texts(table, "by"), _texts(table, "migrate")
    ignores = table.texts("ignores", required=False)
    refused_as = table.text("refused_as", required=False, wanted="one of the outcomes")
    starts = tuple(_start(one) for one in table.tables("start", required=True))
    event = f"{name}.{TIMER_FIRED}"
    parts = read_parts(table, Around(event, {one: max(scale, 0) for one, scale in kept.items()}, calendars))
    timers = _timers(table, parts)
    table.done()
    if name == LEDGER:
        table.problem("", "the name is the ledger's own", found=name, cure="Give the process another name.")
    if len(keys) > KEYS_MAX:
        table.problem("keys", "the process keeps too many keys", found=len(keys), known=f"at most {KEYS_MAX}")
    if len(kept) > NUMBERS_MAX:
        table.problem("keep", "the process keeps too many numbers", found=len(kept), known=f"at most {NUMBERS_MAX}")
    _check_names(table, per, keys, kept, [one.part.name for one in parts if one.part.name])
    if subject and subject not in (per, *keys):
        table.problem("subject", "the subject is none of the kept keys", found=subject, known=[per, *keys])
    declared = ProcessDeclaration(
        name=name, per=per, entity="", keys=tuple(KeptKey(one, "") for one in keys), subject=subject,
        starts=tuple(one.start for one in starts), parts=tuple(one.part for one in parts), by=by, ignores=ignores,
        refused_as=refused_as, migrate=migrate, en=title.en, zh=title.zh,
    )  # fmt: skip
    return ProcessDraft(table, declared, starts, parts, kept, timers)


def _keep(table: Table) -> dict[str, int]:
    """Kept numbers: a list of fields of the starting event, or a table with the decimals of each."""
    if not isinstance(table.values.get("keep"), dict):
        names = table.texts("keep", required=False)
        found = {name: FROM_EVENT for name in names if _is_name(table, "keep", name)}
        if table.has("keep") and len(found) < len(names) + (not names):
            table.notes.doubt("kept")
        return found
    inner = table.table("keep", required=False)
    return {
        name: inner.integer(name, least=0, most=DECIMALS_MAX) for name in inner.values if _is_name(inner, name, name)
    }


def _is_name(table: Table, key: str, name: str) -> bool:
    if not NAME.fullmatch(name):
        cure = "Names have small letters, digits and _ and begin with a letter."
        table.problem(key, "the name is not a plain name", found=name, known='a name such as "amount_minor"', cure=cure)
    return bool(NAME.fullmatch(name))


def _texts(table: Table, name: str) -> dict[str, str]:
    """A table of texts, `by."card.answer" = "payment"`."""
    inner = table.table(name, required=False)
    return {key: text for key in inner.values if (text := inner.text(key, wanted="a name"))}


def _start(table: Table) -> StartDraft:
    start = Start(
        event=table.text("event", pattern=DOTTED_NAME, wanted="the name of an event"),
        where=table.text("where", required=False, wanted="a FEEL condition"),
        to=table.text("to", required=False, pattern=NAME, wanted="a state"),
        again=table.boolean("again"),
        do=read_acts(table, "do"),
        refused=table.text("refused", required=False, pattern=NAME, wanted="a state"),
    )
    table.done()
    return StartDraft(table, start)


def _timers(table: Table, parts: Sequence[PartDraft]) -> tuple[str, ...]:
    """Names of the timers, each once: in the order of the file, or in the one that `timers` says."""
    found = dict.fromkeys(timer.name for part in parts for state in part.states for _, timer in state.timers)
    written = table.texts("timers", required=False)
    if not table.has("timers"):
        return tuple(found)
    missing = [name for name in found if name not in written]
    if missing and not table.notes.doubted("timer"):
        cure = "Append it: the order of those before it stays, so that the log can be read."
        table.problem("timers", "a timer is not in the list", found=missing[0], cure=cure)
    return tuple(dict.fromkeys((*written, *missing)))


def _check_names(table: Table, per: str, keys: Sequence[str], kept: Collection[str], parts: Collection[str]) -> None:
    """What is kept can be told apart, in the event of its timers and in `instance`."""
    taken = {**dict.fromkeys(TIMER_FIELDS, "of what is told of timers"), per: "the key of the instance"}
    for key, names in (("keys", keys), ("keep", kept)):
        for name in dict.fromkeys(names):
            if name in taken:
                message = f"the name is taken: it is {taken[name]}"
                table.problem(key, message, found=name, cure="Leave it out, or keep a field of another name.")
            taken[name] = "a kept key"
    told = {**dict.fromkeys(OF_INSTANCES, "what `instance` says itself"), **dict.fromkeys(parts, "the state of a part")}
    for name in kept:
        if name in told and name not in TIMER_FIELDS:
            table.problem("keep", f"the name is taken: `instance.{name}` is {told[name]}", found=name,
                          cure="Keep it under another name.")  # fmt: skip
    for name in parts:
        if name in OF_INSTANCES:
            message, cure = f"the name is taken: `instance.{name}` is another thing", "Give the part another name."
            table.inside("part").problem(name, message, found=name, cure=cure)


def place_processes(
    drafts: Sequence[ProcessDraft], events: Mapping[str, EventDeclaration], notes: Notes
) -> tuple[tuple[ProcessDraft, ...], tuple[EventDeclaration, ...]]:
    """Give each process the entities and decimals of what it keeps, and its timers their event.

    Parameters
    ----------
    events : of this pack, of required packs, of the platform and of calls

    Returns
    -------
    The drafts, filled in; the events of their timers, which other processes may use in their turn.
    """
    known, placed, told = dict(events), {}, []
    waiting = {one.process.name: one for one in drafts}
    while waiting:
        ready = [one for one in waiting.values() if all(start.start.event in known for start in one.starts)]
        for draft in ready or waiting.values():
            name = draft.process.name
            placed[name] = _placed(draft, known)
            if draft.timers:
                event = timer_event(placed[name].process, draft.timers, _kept_fields(placed[name].process, known))
                _check_event_name(draft, event, events)
                told.append(event)
                known[event.name] = event
        waiting = {name: one for name, one in waiting.items() if name not in placed}
    for draft in drafts:
        if not draft.sound:
            notes.doubt("decided", "feature", "source")
    return tuple(placed[one.process.name] for one in drafts), tuple(told)


def _check_event_name(draft: ProcessDraft, event: EventDeclaration, events: Mapping[str, EventDeclaration]) -> None:
    if event.name in events:
        message = f"its timers are told as {event.name}, and an event of this name is declared already"
        draft.table.problem("", message, found=draft.process.name, cure="Give the process or the event another name.")


def _placed(draft: ProcessDraft, events: Mapping[str, EventDeclaration]) -> ProcessDraft:
    process = draft.process
    starting = [(one.table, events[one.start.event]) for one in draft.starts if one.start.event in events]
    for one in draft.starts:
        if one.start.event and one.start.event not in events:
            one.table.problem("event", NO_SUCH_EVENT, found=one.start.event, known=list(events), of="event")
    entity = next(
        (event.fields[name].entity for _, event in starting
         if (name := key_in(process, event.name)) in event.fields and event.fields[name].kind == "key"),
        "",
    )  # fmt: skip
    keys = tuple(KeptKey(one.name, _entity_of(draft, one.name, starting)) for one in process.keys)
    numbers = tuple(KeptNumber(name, _decimals(draft, name, scale, starting)) for name, scale in draft.kept.items())
    first = draft.parts[0].part if draft.parts else PartDeclaration(name="", states=())
    starts = tuple(replace(one, start=replace(one.start, to=one.start.to or first.begins)) for one in draft.starts)
    filled = replace(
        process, entity=entity, keys=keys, numbers=numbers, starts=tuple(one.start for one in starts)
    )  # fmt: skip
    return replace(draft, process=filled, starts=starts)


def key_in(process: ProcessDeclaration, event: str) -> str:
    """The key field that names the instance in an event."""
    return process.by.get(event, process.per)


def _entity_of(draft: ProcessDraft, key: str, starting: Sequence[tuple[Table, EventDeclaration]]) -> str:
    """The entity of a kept key: every starting event has it, as a key of one entity."""
    entity = ""
    for _, event in starting:
        field = event.fields.get(key)
        if field is None or field.kind != "key":
            known = [name for name, one in event.fields.items() if one.kind == "key"]
            draft.table.problem("keys", f"{event.name} starts an instance and has no such key field", found=key,
                                known=known)  # fmt: skip
        elif entity and field.entity != entity:
            message = f"the key is of another entity in {event.name}, which starts an instance too"
            draft.table.problem("keys", message, found=Words(f"{key}, of {field.entity}"), known=entity)
        elif field.optional:
            cure = "Remove `optional` from the field, or do not keep it."
            message = f"the key is optional in {event.name}, and an instance has it or does not"
            draft.table.problem("keys", message, found=key, cure=cure)
        entity = entity or (field.entity if field is not None else "")
    return entity


def _decimals(draft: ProcessDraft, name: str, scale: int, starting: Sequence[tuple[Table, EventDeclaration]]) -> int:
    """Decimals of a kept number: those of the fields of its name, or those that are said."""
    fields = [(event, event.fields[name]) for _, event in starting if name in event.fields]
    for event, field in fields:
        if field.kind not in KEPT_KINDS:
            message = f"the field of {event.name} is no number"
            draft.table.problem("keep", message, found=Words(f"{name}, of type {field.kind}"), known=KEPT_KINDS)
        elif scale not in (FROM_EVENT, field.scale):
            message = f"the field of {event.name} has other decimals"
            draft.table.problem("keep", message, found=Words(f"{name} with {scale}"), known=str(field.scale))
        elif scale == FROM_EVENT and field.scale != fields[0][1].scale:
            message = f"the field of {event.name} has other decimals than that of {fields[0][0].name}"
            cure = "Keep it under two names."
            draft.table.problem("keep", message, found=Words(f"{name} with {field.scale}"), cure=cure)
    if not fields and scale == FROM_EVENT and starting:
        cure = f"Say its decimals where moves set it: keep = {{{name} = 0}}."
        known = sorted(
            {one for _, event in starting for one, field in event.fields.items() if field.kind in KEPT_KINDS}
        )
        draft.table.problem("keep", "no event that starts an instance has such a field", found=name, known=known,
                            cure=cure)  # fmt: skip
    return fields[0][1].scale if fields else max(scale, 0)


def _kept_fields(process: ProcessDeclaration, events: Mapping[str, EventDeclaration]) -> dict[str, FieldDeclaration]:
    """A starting event's field of each kept key and number, and of the key of the instance."""
    found: dict[str, FieldDeclaration] = {}
    for start in process.starts:
        fields = events[start.event].fields if start.event in events else {}
        for name in (*(one.name for one in process.keys), *(one.name for one in process.numbers)):
            if name in fields:
                found.setdefault(name, fields[name])
        if (key := key_in(process, start.event)) in fields:
            found.setdefault(process.per, fields[key])
    return found
