"""Events of the platform: a pack that decides or folds one is given its declaration, as it is given shipped calendars.

A pack declares no event and no entity under their names.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from importlib.resources import files as resource_files
from typing import NamedTuple

import msgspec

from quanheng.events.schema import EventDeclaration
from quanheng.ledger.posted import TELLER
from quanheng.loading.checks.events import FILE, check_events
from quanheng.loading.checks.manifest import FILE as MANIFEST_FILE
from quanheng.loading.checks.manifest import FlowDraft
from quanheng.loading.declared import Entity
from quanheng.loading.notes import Notes
from quanheng.loading.toml import read_toml
from quanheng.models.monitoring.alarms import WATCHER

LEDGER, MODEL = "ledger", "model"
"""Whose events they are: their names, and those of their entities, begin with it."""
QUANHENG = "quanheng"
"""What the names of the platform's other entities begin with."""


class Platform(NamedTuple):
    """What the platform declares, by name."""

    entities: Mapping[str, Entity]
    events: Mapping[str, EventDeclaration]


@lru_cache
def platform() -> Platform:
    """The events of the platform, with their entities."""
    entities: list[Entity] = []
    events: dict[str, EventDeclaration] = {}
    for name, client in ((LEDGER, TELLER), (MODEL, WATCHER)):
        more, told = _read(name)
        entities += more
        events |= {one.name: msgspec.structs.replace(one, client=client) for one in told}
    return Platform({one.name: one for one in (*entities, *_read(QUANHENG)[0])}, events)


def _read(name: str) -> tuple[tuple[Entity, ...], tuple[EventDeclaration, ...]]:
    notes, file = Notes(), f"{name}.toml"
    content = resource_files("quanheng.loading.platform").joinpath(file).read_bytes()
    entities, events, _ = check_events(read_toml(content, file, notes) or {}, name, {}, notes)
    assert not notes, notes.problems
    return entities, events


def check_platform(
    pack: str,
    events: Sequence[EventDeclaration],
    flows: Sequence[FlowDraft],
    features: Mapping[str, object],
    used: Collection[str],
    notes: Notes,
) -> tuple[EventDeclaration, ...]:
    """The platform's events that a pack uses: its flows decide them, folds of features.toml (parsed) are of them, or
    they are `used` by its processes.

    No pack has the name of the platform's events, and none declares an event that begins with it.
    """
    platforms = "the name is the platform's own"
    for name, message in ((LEDGER, "the name is the ledger's own"), (QUANHENG, platforms), (MODEL, platforms)):
        if pack == name:
            notes.add(MANIFEST_FILE, "pack.name", message, found=pack, cure="Give the pack another name.")
    for event in events:
        if event.name.startswith((f"{LEDGER}.", f"{MODEL}.")):
            notes.add(
                FILE,
                f'event."{event.name}"',
                "events whose names begin with this are the platform's own",
                found=event.name,
                cure="Give the event another name; where the platform's own is meant, use it in a flow or a fold"
                " without declaring it.",
            )
    named = {*(flow.when for flow in flows), *folded(features), *used}
    return tuple(event for name, event in platform().events.items() if name in named)


def folded(features: Mapping[str, object]) -> set[str]:
    """Events that folds of features.toml (parsed) are over."""
    folds = features.get("fold")
    tables = [one for one in folds if isinstance(one, dict)] if isinstance(folds, list) else []
    return {one["of"] for one in tables if isinstance(one.get("of"), str)}
