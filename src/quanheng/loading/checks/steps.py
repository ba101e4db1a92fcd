"""Steps that a process of processes.toml may make: on which events, between which states, and what each asks for."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from quanheng.loading.checks.processes import ProcessDraft
from quanheng.loading.checks.states import MoveDraft
from quanheng.loading.declared_processes import Act, StateDeclaration
from quanheng.loading.table import Table


class Step(msgspec.Struct, frozen=True):
    """What may happen on an event.

    table : of the start or move that makes it
    event : "" = nobody knows which, for no event leads to its state
    asks : in the order in which they are asked for, each with its table and key
    refused : what is asked for where the ledger refuses `asks`, likewise
    """

    table: Table
    event: str
    asks: tuple[tuple[Table, str, Act], ...]
    refused: tuple[tuple[Table, str, Act], ...] = ()

    @property
    def transfers(self) -> tuple[str, ...]:
        """Postings that it asks for."""
        return tuple(act.name for _, _, act in self.asks if act.kind == "transfer")


class Places(msgspec.Struct, frozen=True):
    """The states of a process by part and name, with their tables."""

    states: dict[tuple[str, str], tuple[Table, StateDeclaration]]

    @classmethod
    def of(cls, draft: ProcessDraft) -> Places:
        """Those of a process."""
        return cls({(one.part, one.state.name): (one.table, one.state) for one in draft.states})

    def entry(self, part: str, name: str) -> tuple[tuple[Table, str, Act], ...]:
        """What is asked for when a state is entered."""
        table, state = self.states.get((part, name), (None, None))
        return () if table is None or state is None else tuple((table, "entry", act) for act in state.entry)

    def exit(self, part: str, name: str) -> tuple[tuple[Table, str, Act], ...]:
        """What is asked for when a state is left."""
        table, state = self.states[part, name]
        return tuple((table, "exit", act) for act in state.exit)


def steps_of(draft: ProcessDraft) -> Iterator[Step]:
    """Every step that a process may make. One that is made by itself is one for each event that may lead to it."""
    places = Places.of(draft)
    others = [one.part for one in draft.parts[1:]]
    for one in draft.starts:
        first = draft.parts[0].part.name if draft.parts else ""
        begun = tuple(ask for part in others for ask in places.entry(part.name, part.begins))
        asks = (*_asked(one.table, one.start.do), *places.entry(first, one.start.to), *begun)
        refused = (*places.entry(first, one.start.refused), *begun) if one.start.refused else ()
        yield Step(one.table, one.start.event, asks, refused)
    for move in draft.moves:
        asks, refused = _asked_by(move, places)
        for event in (move.move.event,) if move.move.event else events_into(draft, move.part, move.state):
            yield Step(move.table, event, asks, refused)


def _asked(table: Table, acts: tuple[Act, ...]) -> tuple[tuple[Table, str, Act], ...]:
    return tuple((table, "do", act) for act in acts)


def _asked_by(
    one: MoveDraft, places: Places
) -> tuple[tuple[tuple[Table, str, Act], ...], tuple[tuple[Table, str, Act], ...]]:
    """What a move asks for, and what is asked for where the ledger refuses that."""
    move = one.move
    left = places.exit(one.part, one.state)
    asks = _asked(one.table, move.do)
    if move.to:
        asks = (*left, *asks, *places.entry(one.part, move.to))
    return asks, places.entry(one.part, move.refused) if move.refused else ()


def events_into(draft: ProcessDraft, part: str, state: str) -> tuple[str, ...]:
    """Events behind which an instance may be in a state: those of moves that enter it or stay in it, and of steps made
    by themselves those of what was before. A step of any part may stand before one of another."""
    if len(draft.parts) > 1:
        return draft.process.events()
    found: dict[str, None] = {}
    seen: set[str] = set()
    waiting = [state]
    while waiting:
        at = waiting.pop()
        seen.add(at)
        found.update((one.start.event, None) for one in draft.starts if at in (one.start.to, one.start.refused))
        for one in draft.moves:
            stays = not one.move.to and one.state == at
            if one.part == part and (stays or at in (one.move.to, one.move.refused)):
                if one.move.event:
                    found[one.move.event] = None
                elif one.state not in seen:
                    waiting.append(one.state)
    return tuple(found)
