"""Steps that a process may make: on which events, between which states, and what each asks for."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from quanheng.loading.declared_processes import Act, MoveDeclaration, ProcessDeclaration, Start


class Place(msgspec.Struct, frozen=True):
    """Where an act is written: at a start or a move, or at a state that is entered or left.

    move : the so many-th of the starts (`state` is "") or of the moves of a state; -1 = the state itself
    key : "do", "entry" or "exit"
    """

    part: str
    state: str
    move: int
    key: str


class Ask(msgspec.Struct, frozen=True):
    """An act with the place where it is written."""

    place: Place
    act: Act


class Step(msgspec.Struct, frozen=True):
    """What may happen on an event.

    event : "" = nobody knows which, for no event leads to its state
    place : of the start or move that makes it, with the key ""
    asks : in the order in which they are asked for
    refused : what is asked for where the ledger refuses `asks`
    """

    event: str
    place: Place
    asks: tuple[Ask, ...]
    refused: tuple[Ask, ...] = ()

    @property
    def transfers(self) -> tuple[str, ...]:
        """Postings that it asks for."""
        return tuple(one.act.name for one in self.asks if one.act.kind == "transfer")


def acts_on(process: ProcessDeclaration, event: str) -> tuple[Act, ...]:
    """Everything that may be asked for on an event of a type, each once."""
    steps = (one for one in steps_of(process) if one.event == event)
    return tuple(dict.fromkeys(ask.act for one in steps for ask in (*one.asks, *one.refused)))


def steps_of(process: ProcessDeclaration) -> Iterator[Step]:
    """Every step that a process may make. One that is made by itself is one for each event that may lead to it."""
    for number, start in enumerate(process.starts):
        yield _start(process, number, start)
    for part in process.parts:
        for state in part.states:
            for number, move in enumerate(state.moves):
                place = Place(part.name, state.name, number, "")
                asks, refused = _asked_by(process, place, move)
                for event in events_of(process, part.name, state.name, move):
                    yield Step(event, place, asks, refused)


def _start(process: ProcessDeclaration, number: int, start: Start) -> Step:
    """An instance begins: its first part in the state that the start names, the others in theirs."""
    first = process.parts[0].name if process.parts else ""
    begun = tuple(ask for part in process.parts[1:] for ask in _at(process, part.name, part.begins, "entry"))
    place = Place("", "", number, "")
    asks = (*_do(place, start.do), *_at(process, first, start.to, "entry"), *begun)
    refused = (*_at(process, first, start.refused, "entry"), *begun) if start.refused else ()
    return Step(start.event, place, asks, refused)


def _asked_by(
    process: ProcessDeclaration, place: Place, move: MoveDeclaration
) -> tuple[tuple[Ask, ...], tuple[Ask, ...]]:
    """What a move asks for, and what is asked for where the ledger refuses that."""
    asks = _do(place, move.do)
    if move.to:
        left, entered = _at(process, place.part, place.state, "exit"), _at(process, place.part, move.to, "entry")
        asks = (*left, *asks, *entered)
    return asks, _at(process, place.part, move.refused, "entry") if move.refused else ()


def _do(place: Place, acts: tuple[Act, ...]) -> tuple[Ask, ...]:
    return tuple(Ask(Place(place.part, place.state, place.move, "do"), act) for act in acts)


def _at(process: ProcessDeclaration, part: str, name: str, key: str) -> tuple[Ask, ...]:
    """What is asked for where a state is entered or left; nothing where there is no such state."""
    for one in process.parts:
        for state in one.states:
            if (one.name, state.name) == (part, name):
                acts = state.entry if key == "entry" else state.exit
                return tuple(Ask(Place(part, name, -1, key), act) for act in acts)
    return ()


def events_of(process: ProcessDeclaration, part: str, state: str, move: MoveDeclaration) -> tuple[str, ...]:
    """Events on which a move is made: its own, or those behind which it is made by itself; "" where nobody knows."""
    return (move.event,) if move.event else events_into(process, part, state) or ("",)


def events_into(process: ProcessDeclaration, part: str, state: str) -> tuple[str, ...]:
    """Events behind which an instance may be in a state: those of moves that enter it or stay in it, and of steps made
    by themselves those of what was before. A step of any part may stand before one of another."""
    if len(process.parts) > 1:
        return process.events()
    found: dict[str, None] = {}
    seen, waiting = {state}, [state]
    moves = [(one.name, move) for each in process.parts for one in each.states for move in one.moves]
    while waiting:
        at = waiting.pop()
        found.update((one.event, None) for one in process.starts if at in (one.to, one.refused))
        for source, move in moves:
            if at in (move.to, move.refused) or (not move.to and source == at):
                if move.event:
                    found[move.event] = None
                elif source not in seen:
                    seen.add(source)
                    waiting.append(source)
    return tuple(found)
