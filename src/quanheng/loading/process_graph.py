"""A life cycle as a graph: what is drawn, whichever way. Moves that stay in a state are lines within it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from quanheng.loading.declared_processes import PartDeclaration, ProcessDeclaration, StateDeclaration
from quanheng.loading.process_words import (
    Language,
    acts_words,
    cause_words,
    guard_words,
    timer_words,
    title_of,
)

START = ""
"""Name of the mark where a part begins."""


class Box(NamedTuple):
    """A state: its title, its name, and what it does by itself."""

    name: str
    title: str
    lines: tuple[str, ...]
    end: bool


class Arrow(NamedTuple):
    """A move that leaves its state. `refused` = made where the ledger refuses."""

    source: str
    target: str
    lines: tuple[str, ...]
    refused: bool = False


class PartGraph(NamedTuple):
    """One part of a process. The mark START is the source of what begins it."""

    name: str
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]


def process_graphs(process: ProcessDeclaration, language: Language = "en") -> tuple[PartGraph, ...]:
    """The parts of a process, in the order of the declaration."""
    return tuple(_part(process, number, part, language) for number, part in enumerate(process.parts))


def _part(process: ProcessDeclaration, number: int, part: PartDeclaration, language: Language) -> PartGraph:
    arrows = [*_begins(process, number, part, language)]
    for state in part.states:
        arrows += _moves(state, language)
    return PartGraph(part.name, tuple(_box(one, language) for one in part.states), tuple(arrows))


def _begins(process: ProcessDeclaration, number: int, part: PartDeclaration, language: Language) -> Iterator[Arrow]:
    for one in process.starts:
        target = one.to if number == 0 and one.to else part.begins or part.states[0].name
        if number and any(one is not other for other in process.starts[:1]):
            continue  # Parts behind the first begin the same way whatever starts the instance.
        lines = [one.event, guard_words(one.where) if number == 0 else ""]
        lines.append(f"/ {acts_words(one.do, language)}" if one.do and number == 0 else "")
        yield Arrow(START, target, tuple(line for line in lines if line))
        if one.refused and number == 0:
            yield Arrow(START, one.refused, (_refused(language),), refused=True)


def _moves(state: StateDeclaration, language: Language) -> Iterator[Arrow]:
    for move in state.moves:
        if not move.to:
            continue
        lines = [cause_words(state, move, language), guard_words(move.where)]
        lines.append(f"/ {acts_words(move.do, language)}" if move.do else "")
        yield Arrow(state.name, move.to, tuple(line for line in lines if line))
        if move.refused:
            yield Arrow(state.name, move.refused, (_refused(language),), refused=True)


def _refused(language: Language) -> str:
    return "账本拒绝" if language == "zh" else "the ledger refuses"


def _box(state: StateDeclaration, language: Language) -> Box:
    lines = []
    for name, zh, acts in (("entry", "进入", state.entry), ("exit", "离开", state.exit)):
        if acts:
            lines.append(f"{zh if language == 'zh' else name} / {acts_words(acts, language)}")
    for move in state.moves:
        if not move.to:
            words = [cause_words(state, move, language), guard_words(move.where)]
            words.append(f"/ {acts_words(move.do, language)}" if move.do else "")
            lines.append(f"↻ {' '.join(one for one in words if one)}")
    moved = {one.timer for one in state.moves if one.timer}
    lines += [f"⏱ {timer_words(one, language)}" for one in state.timers if one.name not in moved]
    return Box(state.name, title_of(state.name, state.en, state.zh, language), tuple(lines), state.end)
