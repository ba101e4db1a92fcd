"""Jobs of processes.toml: work over many instances of a process, at times of its own."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from quanheng.events.schema import EventDeclaration, FieldDeclaration
from quanheng.feel.types import ANY, BOOLEAN, NUMBER, STRING, FeelType
from quanheng.kernel.calendars import Calendar
from quanheng.loading.checks.guards import check_text, instance_type
from quanheng.loading.checks.manifest import NO_SUCH_EVENT
from quanheng.loading.checks.processes import ProcessDraft
from quanheng.loading.checks.states import StateDraft, read_set, read_stale
from quanheng.loading.checks.waits import read_wait
from quanheng.loading.declared_processes import Act, JobDeclaration
from quanheng.loading.notes import Notes, Words
from quanheng.loading.table import DOTTED_NAME, NAME, Table

JOBS_MAX, CHUNK_MAX = 200, 1_000_000
FEEL_TYPES = {"boolean": BOOLEAN, "text": STRING, "choice": STRING}
"""What FEEL gives a field of a kind; numbers for all others."""


def read_jobs(
    top: Table, drafts: Collection[ProcessDraft], calendars: Mapping[str, Calendar]
) -> list[tuple[Table, JobDeclaration]]:
    """Read `[job.NAME]`, each with its table."""
    processes = {one.process.name: one for one in drafts}
    found = [(table, _job(name, table, processes, calendars)) for name, table in top.named("job", NAME, of="job")]
    if len(found) > JOBS_MAX:
        top.problem("job", "there are too many jobs", found=len(found), known=f"at most {JOBS_MAX}")
    return found


def _job(
    name: str, table: Table, processes: Mapping[str, ProcessDraft], calendars: Mapping[str, Calendar]
) -> JobDeclaration:
    title = table.title(required=False)
    wait = read_wait(table, calendars, {}, job=True)
    process = table.text("process", pattern=NAME, wanted="a process of this file")
    if process and process not in processes:
        message = "no such process is declared in this file"
        table.problem("process", message, found=process, known=list(processes), of="process")
    draft = processes.get(process)
    stale, stale_after_ms = read_stale(table, "once")
    fields = table.table("fields", required=False)
    job = JobDeclaration(
        name=name, process=process, wait=wait, stale=stale, stale_after_ms=stale_after_ms,
        states=table.texts("states", required=False),
        where=table.text("where", required=False, wanted="a FEEL condition"),
        set=read_set(table, None if draft is None else draft.kept),
        to=table.text("to", required=False, pattern=NAME, wanted="a state of that process"),
        event=table.text("event", required=False, pattern=DOTTED_NAME, wanted="the name of an event"),
        fields={key: text for key in fields.values if (text := fields.text(key, wanted="a FEEL expression"))},
        chunk=table.integer("chunk", required=False, default=10_000, least=1, most=CHUNK_MAX),
        en=title.en, zh=title.zh,
    )  # fmt: skip
    table.done()
    if not (job.set or job.to or job.event) and table.sound:
        table.problem("", "the job does nothing", known="set, to or event")
    return job


def check_job(
    table: Table, job: JobDeclaration, draft: ProcessDraft | None, events: Mapping[str, EventDeclaration], notes: Notes
) -> None:
    """Check one job against its process and the event that it sends.

    Parameters
    ----------
    draft : its process, placed; None where there is none
    events : those that are known to the pack
    """
    if job.fields and not job.event:
        table.problem("fields", "no event is sent that would have fields", known="`event`")
    if draft is None:
        return
    if not notes.doubted("state"):
        _check_states(table, job, draft)
    scope: dict[str, FeelType] = {
        "instance": ANY if notes.doubted("kept") else instance_type(draft.process), "due_ms": NUMBER
    }  # fmt: skip
    texts = [("where", job.where, BOOLEAN), *((f"set.{name}", text, NUMBER) for name, text in job.set.items())]
    for key, text, wanted in texts:
        if text:
            check_text(table, key, text, scope, {}, wanted, notes, told=" here")
    if job.event and job.event not in events:
        table.problem("event", NO_SUCH_EVENT, found=job.event, known=list(events), of="event")
    elif job.event and events[job.event].client:
        cure = "Send an event of the pack."
        table.problem("event", "the platform alone sends this event", found=job.event, cure=cure)
    elif job.event:
        _check_sent(table, job, draft, events[job.event], scope, notes)


def _check_states(table: Table, job: JobDeclaration, draft: ProcessDraft) -> None:
    """States that are taken and the one that is led to are of one part; nothing is asked for on the way."""
    states = {f"{one.part}.{one.state.name}" if one.part else one.state.name: one for one in draft.states}
    for name in job.states:
        if name not in states:
            message = "the process has no such state"
            table.problem("states", message, found=name, known=list(states))
        elif states[name].state.end and len(draft.parts) == 1:
            cure = "Take it out: a job takes instances that go on."
            table.problem("states", "an instance in this state is over", found=name, cure=cure)
    if not job.to:
        return
    parts = {name.rpartition(".")[0] for name in job.states if name in states}
    if len(parts) != 1:
        known = "states of one part"
        if not table.has("states"):
            table.problem("states", "it is not said which states `to` leads out of; the key is missing", known=known)
        elif parts:
            cure = "Write a job for each part."
            table.problem("states", "`to` leads to a state of one part", found=Words(", ".join(sorted(parts))),
                          cure=cure)  # fmt: skip
        return
    (part,) = parts
    own = {one.state.name: one for one in draft.states if one.part == part}
    if job.to not in own:
        table.problem("to", "no such state is declared in this part", found=job.to, known=list(own))
        return
    asking = [f"{one} of {name}" for one, name, acts in _acts(job, states, own[job.to].state.name, part) if acts]
    if asking:
        message = "a job moves instances without an event, so nothing can be asked for on the way"
        cure = "Send an event that the process moves by: event."
        table.problem("to", message, found=Words(asking[0]), cure=cure)


def _acts(
    job: JobDeclaration, states: Mapping[str, StateDraft], to: str, part: str
) -> Iterator[tuple[str, str, tuple[Act, ...]]]:
    """What is asked for when the states of a job are left, and when the one that it leads to is entered."""
    for name in job.states:
        if name in states:
            yield "exit", name, states[name].state.exit
    yield "entry", to, states[f"{part}.{to}" if part else to].state.entry


def _check_sent(
    table: Table,
    job: JobDeclaration,
    draft: ProcessDraft,
    event: EventDeclaration,
    scope: Mapping[str, FeelType],
    notes: Notes,
) -> None:
    """The event's keys are kept ones; its other fields are said and of their type."""
    process = draft.process
    kept = {process.per: process.entity, **{one.name: one.entity for one in process.keys}}
    inner = table.inside("fields")
    for name, field in event.fields.items():
        if field.kind == "key":
            _check_key(table, event.name, name, field, kept)
        elif name not in job.fields and not field.optional and name != event.time:
            message = f"the field of {event.name} is not said; the key is missing"
            inner.problem(name, message, known="a FEEL expression over `instance`")
    for name, text in job.fields.items():
        field_here = event.fields.get(name)
        if field_here is None:
            known = [one for one, field in event.fields.items() if field.kind != "key"]
            inner.problem(name, f"{event.name} has no such field", found=name, known=known)
        elif field_here.kind == "key":
            cure = "Remove it."
            message = "a key is filled from the kept key of its name"
            inner.problem(name, message, found=name, cure=cure)
        else:
            check_text(table, f"fields.{name}", text, scope, {}, FEEL_TYPES.get(field_here.kind, NUMBER), notes,
                       told=" here")  # fmt: skip


def _check_key(table: Table, event: str, name: str, field: FieldDeclaration, kept: Mapping[str, str]) -> None:
    if (name in kept and kept[name] == field.entity) or not kept.get(name, "x"):
        return
    if name in kept:
        message = f"the key of {event} is of another entity than the kept one"
        table.problem("event", message, found=Words(f"{name}, of {field.entity}"), known=kept[name])
    elif not field.optional:
        message = f"{event} has a key that the process does not keep"
        table.problem("event", message, found=name, known=list(kept), cure="Keep it: keys.")
