"""How far applied transfers were told as `ledger.posted` events: a fold of the log, behind which telling goes on."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from quanheng.facts import FactColumns
from quanheng.kernel.log.records import EVENT
from quanheng.ledger.posted import LEDGER_POSTED
from quanheng.program import Program


class Told(NamedTuple):
    """Where telling stands.

    since : offset of the activation with which it began; -1 = no active pack uses the event, nothing is told
    offset : of the newest transfer that was told; that of the activation before any was
    facts : facts of the ledger up to there
    """

    since: int = -1
    offset: int = -1
    facts: int = 0

    def under(self, program: Program, facts: int) -> Told:
        """It begins with the activation that brings the first use of the event, behind the `facts` of the ledger that
        there are then, and ends with one under which no pack uses it."""
        if LEDGER_POSTED not in program.types:
            return Told()
        return self if self.since >= 0 else Told(program.activation, program.activation, facts)

    def after(self, columns: FactColumns, program: Program) -> Told:
        """After what is in these columns: the last event among them says how far, for they are in the log's order."""
        posted = program.types.get(LEDGER_POSTED)
        if posted is None:
            return self
        rows = np.flatnonzero((columns.kind == EVENT) & (columns.type == posted.code))
        if not len(rows):
            return self
        places = [posted.header_fields.index(name) for name in ("offset", "row")]
        offset, row = columns.numbers[rows[-1], places].tolist()
        return Told(self.since, offset, row + 1)
