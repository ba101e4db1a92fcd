"""Carbon units one by one: the plain twin of the blocks of a registry."""

from __future__ import annotations

from typing import Any

from quanheng.ledger.instruments.carbon.actions import (
    Assign,
    CancelUnits,
    Export,
    Import,
    Issue,
    Link,
    Retire,
)

AFTER: dict[type, str] = {
    Issue: "held", Assign: "held", Import: "held", Retire: "retired", CancelUnits: "cancelled", Export: "exported",
}  # fmt: skip


class SlowCarbon:
    """Every unit has one entry: what became of it, and who holds it or which action took it away."""

    def __init__(self, registry: str, administrator: int) -> None:
        self.registry, self.administrator = registry, administrator
        self.units: dict[tuple[str, int], tuple[str, int]] = {}
        self.days: set[tuple[str, int]] = set()
        self.exported_to: dict[int, str] = {}
        self.messages: set[tuple[str, int]] = set()
        self.linked: set[str] = set()

    def may(self, one: Any) -> bool:
        """Whether a well-formed action with a new id is applied."""
        if isinstance(one, (Issue, Link, Import)) and one.by != self.administrator:
            return False
        if isinstance(one, Link):
            return one.registry != self.registry and one.linked != (one.registry in self.linked)
        if isinstance(one, Issue):
            days = range(one.first_day, one.last_day + 1)
            return not any((one.project, day) in self.days for day in days)
        if isinstance(one, (Export, Import)) and one.registry not in self.linked:
            return False
        if isinstance(one, Import) and (one.registry, one.export) in self.messages:
            return False
        return all(self._unit_may(one, unit) for unit in units_of(one))

    def do(self, one: Any) -> None:
        """Fold an action that may."""
        if isinstance(one, Link):
            self.linked ^= {one.registry}
            return
        if isinstance(one, Issue):
            self.days |= {(one.project, day) for day in range(one.first_day, one.last_day + 1)}
            first = 1 + sum(origin == self.registry for origin, _ in self.units)
            units = [(self.registry, serial) for serial in range(first, first + one.quantity)]
        else:
            units = units_of(one)
        if isinstance(one, Export):
            self.exported_to[one.id] = one.registry
        if isinstance(one, Import):
            self.messages.add((one.registry, one.export))
        for unit in units:
            self.units[unit] = AFTER[type(one)], one.to if AFTER[type(one)] == "held" else one.id

    def _unit_may(self, one: Any, unit: tuple[str, int]) -> bool:
        status, of = self.units.get(unit, ("", 0))
        if isinstance(one, Import):
            if not status:
                return unit[0] != self.registry
            return status == "exported" and self.exported_to[of] == one.registry
        ours = of == one.by or (isinstance(one, CancelUnits) and one.by == self.administrator)
        return status == "held" and ours


def units_of(one: Any) -> list[tuple[str, int]]:
    """Serial numbers of an action with ranges."""
    return [(part.origin, serial) for part in one.ranges for serial in range(part.first, part.last + 1)]
