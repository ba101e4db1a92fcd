"""Applied transfers as events: what was posted is told to packs by `ledger.posted`, once each and in order.

Where an active pack decides or folds that event, the transfers in the log behind its activation become requests, in the
order of the log, under a client of their own and with their offset as request id. They go the main path like any other,
so windows, policies, replay and backtests take them as they are. Only what is durable is told; how far that went is a
fold of the log (`State.told`), so whatever crashes, telling goes on behind the last event that is durable.

Told are transfers of every kind that were applied. What has no id is not: a hold whose time is out (its event said when
that would be), and what was only opened, changed or burnt. What a decision on `ledger.posted` moved is not told again:
the record of such a transfer names the decision as its cause. So no flow can feed itself.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from quanheng.events.intake import Request
from quanheng.kernel.log.records import DECISION, NO_CAUSE, positions
from quanheng.kernel.log.store import BatchRow
from quanheng.ledger.posted import LEDGER_POSTED, TELLER, PostedData
from quanheng.ledger.records import facts_with_causes
from quanheng.ledger.wire import FactKind
from quanheng.told import Told
from quanheng.writer import Writer

GROUP_MAX, BESIDE_MAX = 1_000, 200
"""Most events that are told in one group: in one that does nothing else, and beside what callers wait for."""
READ_RECORDS = 20_000
"""Records of the log that are read at once; a batch is read whole."""


class Waiting(NamedTuple):
    """Transfers that were read and are not told yet: TRANSFER_FACT[n], their numbers in the ledger, their offsets."""

    lines: np.ndarray
    rows: NDArray[np.int64]
    offsets: NDArray[np.int64]

    def cut(self, start: int, stop: int | None = None) -> Waiting:
        """Some of them."""
        return Waiting(*(column[start:stop] for column in self))


class Teller:
    """Tells what a log's ledger has applied. Whoever prepares groups for the writer asks it.

    Attributes
    ----------
    passed_over : transfers that were not told since this process started, because a told one had caused them
    """

    def __init__(self, writer: Writer) -> None:
        self._writer, self._data = writer, PostedData(writer.state.ledger)
        self._since = Told().since
        self._next = self._facts = self._waits = 0
        self._waiting: deque[Waiting] = deque()
        self.passed_over = 0

    @property
    def waits(self) -> bool:
        """Whether `requests` should be asked: something durable may not be told yet."""
        told = self._writer.state.told
        if told.since < 0:
            return False
        if told.since != self._since:
            self._begin(told)
        if self._facts == self._writer.state.ledger.facts_n:
            self._next = self._head  # No fact is unknown, so none stands in what was appended since.
        return self._waits > 0 or self._next < self._head

    def requests(self, *, beside: bool = False) -> list[Request]:
        """What is to be told next, in order, to be taken through the path and committed; never asked for again.

        Reads on in the log where needed, a bounded piece: none may come though more `waits`.

        Parameters
        ----------
        beside : others wait for the answers of the same group, which must not become long

        Raises
        ------
        LogCorrupt : the log is not what was written
        """
        if not self.waits:
            return []
        most = BESIDE_MAX if beside else GROUP_MAX
        if self._waits < most and self._next < self._head:
            self._read()
        made: list[Request] = []
        while self._waiting and len(made) < most:
            first = self._waiting.popleft()
            part = first.cut(0, most - len(made))
            if len(part.lines) < len(first.lines):
                self._waiting.appendleft(first.cut(len(part.lines)))
            made += [
                Request(TELLER, str(offset), LEDGER_POSTED, data)
                for offset, data in zip(part.offsets.tolist(), self._data.data(*part), strict=True)
            ]
        self._waits -= len(made)
        return made

    def tell(self) -> int:
        """Tell all that is durable, in groups; how many events. To be called now and then by who owns the engine.

        Raises
        ------
        LogError : the events are not durable and never will be; the process must stop
        """
        told = 0
        while self.waits:
            requests = self.requests()
            self._writer.submit(requests)
            told += len(requests)
        return told

    def metrics(self) -> dict[str, int]:
        """Figures for a metrics page: facts of the ledger that are still to be looked at or told; those passed over."""
        told = self.waits or self._writer.state.told.since >= 0
        lag = self._waits + self._writer.state.ledger.facts_n - self._facts if told else 0
        return {"ledger_posted_lag": lag, "ledger_posted_passed_over": self.passed_over}

    @property
    def _head(self) -> int:
        return self._writer.log.head

    def _begin(self, told: Told) -> None:
        """Go on from what was told, as far as the log says."""
        self._since, self._next, self._facts, self._waits = told.since, told.offset + 1, told.facts, 0
        self._waiting.clear()

    def _read(self) -> None:
        """Read some batches. What was read before is not read again."""
        head = self._head
        for row in self._writer.log.read(self._next, min(head, self._next + READ_RECORDS)):
            facts, places, causes = facts_with_causes(row.body)
            new = places >= self._next - row.first  # The first batch may have been told in part.
            facts, places, causes = facts[new], places[new], causes[new]
            rows = self._facts + np.arange(len(facts))
            lines = facts["kind"] == FactKind.LINE
            again = self._caused_by_told(row, causes) & lines
            chosen = lines & ~again
            waiting = Waiting(facts[chosen], rows[chosen], row.first + places[chosen])
            if len(waiting.lines):
                self._waiting.append(waiting)
            self._waits += len(waiting.lines)
            self.passed_over += int(again.sum())
            self._facts += len(facts)
            self._next = row.last

    def _caused_by_told(self, row: BatchRow, causes: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of these a decision on `ledger.posted` has caused: a decision has the type code of its event."""
        asked = np.unique(causes[causes != NO_CAUSE])
        if not len(asked):
            return np.zeros(len(causes), bool)
        code = self._writer.state.program.types[LEDGER_POSTED].code
        found = np.zeros(len(asked), bool)
        here = (asked >= row.first) & (asked < row.last)
        if here.any():
            view, starts = np.frombuffer(row.body, np.uint8), positions(row.body)[asked[here] - row.first]
            types = view[starts + 6].astype(np.int64) | view[starts + 7].astype(np.int64) << 8
            found[here] = (view[starts + 5] == DECISION) & (types == code)
        for place in np.flatnonzero(~here).tolist():
            record = self._writer.log.record(int(asked[place]))
            found[place] = record.kind == DECISION and record.type == code
        told: NDArray[np.bool_] = np.isin(causes, asked[found])
        return told
