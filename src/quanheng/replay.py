"""Replay: rebuild the vector of a decision as of its own moment, run the versions it names, compare byte for byte."""

from __future__ import annotations

from typing import NamedTuple

from quanheng import __version__
from quanheng.events.intake import Intake, Request
from quanheng.facts import DecisionBody, decode_body
from quanheng.kernel.snapshot import Snapshots
from quanheng.path import Taken, handle
from quanheng.reading import Reader
from quanheng.recovery import Progress, rebuild


class Difference(NamedTuple):
    """One part of a decision that replay gave otherwise."""

    part: str
    recorded: str
    replayed: str


class ReplayReport(NamedTuple):
    """What replay found. `same` means the decision's bytes are equal."""

    decision: int
    outcome: str
    reasons: tuple[str, ...]
    same: bool
    differences: tuple[Difference, ...]
    cause: str
    records_folded: int


def replay(reader: Reader, snapshots: Snapshots | None, offset: int, progress: Progress | None = None) -> ReplayReport:
    """Judge the decision at `offset` again from the log alone.

    Raises
    ------
    NotFound : there is no such decision; DataErased : its subject was erased
    """
    recorded = reader.recorded_decision(offset)
    event = reader.event(recorded.record.cause)
    state = rebuild(reader.log, reader.content, snapshots, upto=event.offset, progress=progress)
    names = {code: name for name, code in state.program.codes.items()}
    request = Request(event.body.client, event.body.id, names[event.type], event.body.data, event.body.deadline_ms)
    intake = Intake(state.program.types, reader.ring)
    day = recorded.body.day  # The state is thrown away, so the event may enter.
    group = handle(state, intake, [request], intake.keys([request]), event.record.received_ms, {}, day=day)
    taken = group.items[0]
    if not isinstance(taken, Taken) or taken.decision is None:
        return _report(offset, recorded.body, None, "the event is no longer read or decided by the recorded versions")
    replayed = taken.decision.payload
    if replayed == recorded.payload:
        return ReplayReport(offset, recorded.outcome, tuple(recorded.reasons), True, (), "", event.offset)
    cause = ""
    if recorded.body.engine != __version__:
        cause = f"decided by Quanheng {recorded.body.engine}, replayed by {__version__}"
    decided_by = reader.activated(recorded.body.program).sources
    for name, version in state.program.source_versions().items():
        if version != decided_by.get(name):
            cause += f"{'; ' if cause else ''}source {name} was {decided_by.get(name)}, is {version}"
    return _report(offset, recorded.body, decode_body(replayed), cause)


def _report(offset: int, recorded: DecisionBody, replayed: DecisionBody | None, cause: str) -> ReplayReport:
    differences = []
    for part in DecisionBody.__struct_fields__:
        was = getattr(recorded, part)
        now = getattr(replayed, part) if replayed is not None else None
        if was != now:
            differences.append(Difference(part, _text(was), _text(now)))
    return ReplayReport(offset, recorded.outcome, tuple(recorded.reasons), False, tuple(differences), cause, offset)


def _text(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)
