"""The whole of processes.toml, in three turns: as it is written, among the events, with all that a policy knows."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import msgspec
from msgspec.structs import replace

from quanheng.events.schema import EventDeclaration
from quanheng.kernel.calendars import Calendar
from quanheng.loading.checks.guards import Texts, check_guards
from quanheng.loading.checks.jobs import check_job, read_jobs
from quanheng.loading.checks.manifest import FILE as MANIFEST_FILE
from quanheng.loading.checks.manifest import Manifest
from quanheng.loading.checks.process_names import check_process_names
from quanheng.loading.checks.process_ways import check_ways
from quanheng.loading.checks.processes import (
    FILE,
    KNOWN_OF_A_STEP,
    ProcessDraft,
    place_processes,
    read_processes,
)
from quanheng.loading.declared import Declared
from quanheng.loading.declared_processes import JobDeclaration, ProcessesDeclaration
from quanheng.loading.notes import Notes
from quanheng.loading.table import Table

PARTS = ("process", "job")


class LifeCycles(msgspec.Struct, frozen=True):
    """Processes and jobs with their tables. told : the events of their timers, once they are placed"""

    drafts: tuple[ProcessDraft, ...] = ()
    jobs: tuple[tuple[Table, JobDeclaration], ...] = ()
    told: tuple[EventDeclaration, ...] = ()

    @property
    def used(self) -> tuple[str, ...]:
        """Events that start or move an instance, each once."""
        return tuple(dict.fromkeys(event for one in self.drafts for event in one.process.events()))

    @property
    def unsound(self) -> frozenset[str]:
        """Events of timers of processes that have problems: they can be spoken of and not yet read."""
        return frozenset(one.process.timer_event for one in self.drafts if not one.sound)

    def declared(self) -> ProcessesDeclaration:
        """What they declare."""
        return ProcessesDeclaration(
            processes=tuple(one.process for one in self.drafts), jobs=tuple(job for _, job in self.jobs)
        )


def read_life_cycles(values: Mapping[str, object], calendars: Mapping[str, Calendar], notes: Notes) -> LifeCycles:
    """Read processes.toml (parsed) as it is written."""
    top = Table(values, FILE, "", notes)
    if values.keys() - set(PARTS):
        notes.doubt("process", "feature", "source")
    drafts = read_processes(top, calendars)
    jobs = tuple(read_jobs(top, drafts, calendars))
    top.done()
    return LifeCycles(drafts, jobs)


def place_life_cycles(read: LifeCycles, events: Mapping[str, EventDeclaration], notes: Notes) -> LifeCycles:
    """Look up where instances begin, and declare the events of their timers. events : all others that may be used"""
    drafts, told = place_processes(read.drafts, events, notes)
    return replace(read, drafts=drafts, told=told)


def check_life_cycles(
    life: LifeCycles,
    manifest: Manifest,
    events: Mapping[str, EventDeclaration],
    unsound: Collection[str],
    folded: Collection[str],
    notes: Notes,
) -> None:
    """Check names and ways: all that needs events alone.

    Parameters
    ----------
    events : all that are known to the pack, those of timers among them
    unsound : events with problems of their own
    folded : events that folds are over
    """
    if life.drafts and not manifest.outcomes and not manifest.flows:
        message = "a pack with processes says which outcomes it knows; the key is missing"
        notes.add(MANIFEST_FILE, "pack.outcomes", message, known="a list of texts", of="outcome")
    by_name = {one.process.name: one for one in life.drafts}
    for table, job in life.jobs:
        check_job(table, job, by_name.get(job.process), events, notes)
    for draft in life.drafts:
        check_process_names(draft, events, unsound)
    jobs = [job for _, job in life.jobs]
    for draft in life.drafts:
        others = {event for one in life.drafts if one is not draft for event in one.process.events()}
        heard = {*others, *folded, *(flow.when for flow in manifest.flows)}
        check_ways(draft, jobs, draft.process.timer_event in heard)
        if not draft.sound:
            notes.doubt("process")


def check_steps(
    life: LifeCycles,
    manifest: Manifest,
    required: Mapping[str, Declared],
    events: Mapping[str, EventDeclaration],
    sources: Mapping[str, Mapping[str, str]],
    notes: Notes,
) -> None:
    """Check the FEEL of steps. sources : per event that a process uses, name → FEEL type of all that a policy knows"""
    check_guards(life.drafts, sources, _texts(events, life.used), _outcomes(manifest, required), notes)
    for event in life.used:
        for name in KNOWN_OF_A_STEP:
            if name in sources.get(event, {}) and name not in events[event].fields:
                message = "a feature, a parameter or a model has the name of what moves know beside fields"
                notes.add(FILE, "process", message, found=name, known=", ".join(KNOWN_OF_A_STEP), cure="Rename that.")


def _texts(events: Mapping[str, EventDeclaration], used: Collection[str]) -> dict[str, Texts]:
    return {
        event: {name: frozenset(field.choices) for name, field in events[event].fields.items()
                if field.kind == "choice"}
        for event in used if event in events
    }  # fmt: skip


def _outcomes(manifest: Manifest, required: Mapping[str, Declared]) -> dict[str, tuple[str, ...]]:
    """Outcomes of each event that this pack or a required one decides."""
    found: dict[str, tuple[str, ...]] = {}
    for flow in manifest.flows:
        found[flow.when] = tuple(manifest.outcomes)
    for pack in required.values():
        for own in pack.flows:
            found[own.when] = (*found.get(own.when, ()), *pack.outcomes)
    return found
