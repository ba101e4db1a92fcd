"""A move of a process, compiled for one event type, and the event that asks whether it fits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from quanheng.events.intake import EventFact
from quanheng.expressions import Columns, Expression
from quanheng.loading.declared_processes import MoveDeclaration, Start
from quanheng.machines import Machine

EXTRA = ("outcome", "refused", "instance")
"""What guards know beside what policies do, in the order in which it is given."""


class Asking(NamedTuple):
    """One event in the place `at` of what is known, with what its decision says.

    outcome : as it is, after a refusal that which stands for it; judged : as the flows gave it
    """

    columns: Columns
    at: int
    event: EventFact
    keys: Mapping[str, bytes]
    outcome: str
    refused: bool
    received_ms: int
    judged: str


class Move:
    """A move, compiled for one event type."""

    def __init__(
        self, machine: Machine, declared: MoveDeclaration | Start, part: int, compile: Callable[..., Expression]
    ) -> None:
        self.declared = declared
        where = f"process {machine.declared.name}"
        self.where = compile(declared.where, f"{where}.where") if declared.where else None
        to = declared.to
        if isinstance(declared, Start) and not to:
            to = machine.declared.parts[part].begins
        self.to = machine.state(part, to) if to else None
        self.refused = machine.state(part, declared.refused) if declared.refused else None
        places = {one.name: place for place, one in enumerate(machine.declared.numbers)}
        sets = declared.set if isinstance(declared, MoveDeclaration) else {}
        self.set = [(places[name], compile(text, f"{where}.set.{name}")) for name, text in sets.items()]
        asking = [one for one in (self.where, *(one for _, one in self.set)) if one is not None]
        self.asks_instance = any(EXTRA.index("instance") in one.asks_of for one in asking)
        self.timer = declared.timer if isinstance(declared, MoveDeclaration) else ""
        self.do = declared.do
        self.knows_refusal = self.where is not None and not self.where.asks_of.isdisjoint((0, 1))
        """Whether its guard says itself what becomes of it where the ledger refuses."""

    def fits(self, asking: Asking, context: object) -> bool:
        """Whether its guard holds."""
        if self.where is None:
            return True
        refused = asking.refused and self.refused is None  # One that says where a refusal leads is chosen as before it.
        outcome = asking.outcome if refused else asking.judged
        return asking.columns.value(self.where, asking.at, outcome, refused, context) is True

    def is_refused(self, asks: bool) -> bool:
        """Whether it cannot be made where the ledger refuses; `asks` : whether it asks the ledger for anything."""
        return asks or self.refused is not None or not self.knows_refusal
