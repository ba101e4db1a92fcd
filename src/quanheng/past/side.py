"""One side of a backtest: what a version, or the record, says of each decision of a chunk."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat

import numpy as np
from numpy.typing import NDArray

from quanheng.decisions.backtest.rows import Shapes, Verdict
from quanheng.facts import DecisionBody, Opinion
from quanheng.feel.values import Membership
from quanheng.kernel.errors import InputError
from quanheng.kernel.log.records import EVENT, Columns
from quanheng.loading.policies import model_of
from quanheng.past.columns import ColumnJudge
from quanheng.past.known import Asker, EventReader, Known, Served
from quanheng.past.lists import PastLists
from quanheng.past.versions import Version
from quanheng.past.window import PastRows
from quanheng.program import Flow
from quanheng.reading import Reader
from quanheng.recovery import fact_columns
from quanheng.state import State


class RecordedSide:
    """What was decided then, as the log holds it."""

    def __init__(self, version: Version, pack: str) -> None:
        self.version, self._prefix = version, f"{pack}."
        self.engine = {"mode": "record", "why": "what was decided is read, nothing is judged again"}

    def judge(self, rows: PastRows, record: Served, events: EventReader, shapes: Shapes) -> list[int | None]:
        """Numbers of shapes; None where the pack had no opinion."""
        return [self._shape(body, shapes) for body in rows.bodies]

    def _shape(self, body: DecisionBody, shapes: Shapes) -> int | None:
        for opinion in body.opinions:
            if opinion.flow.startswith(self._prefix):
                return shapes.number(verdict_of(opinion))
        return None


class JudgedSide:
    """A version that judges again.

    Parameters
    ----------
    rebuilt : fold the log again under this version instead of taking the recorded folds
    columns : judge whole chunks over columns; False = one decision after another
    """

    def __init__(
        self, reader: Reader, version: Version, pack: str, event: str, *, rebuilt: bool = False, columns: bool = True
    ) -> None:
        assert version.program is not None
        self.version, self.rebuilt = version, rebuilt
        self.asker = Asker(version.program, pack, event, as_of_ms=version.as_of_ms)
        self._columns: ColumnJudge | None = None
        self._why_rows = "asked for"
        self._lists = PastLists(reader)
        if columns and self.asker.flow.lists:
            self._why_rows = f"it asks the lists {', '.join(sorted(self.asker.flow.lists))}, which differ by event"
        elif columns:
            try:
                self._columns = ColumnJudge(model_of(self.asker.pack, self.asker.declared.policy), self.asker.flow)
            except InputError as error:
                self._why_rows = str(error)
        self._folding = _Folding(self.asker) if rebuilt else None

    @property
    def engine(self) -> dict[str, object]:
        """How it judges, and why so."""
        if self._columns is not None:
            return self._columns.told()
        return {"mode": "rows", "why": f"the compiled policy, one decision after another: {self._why_rows}"}

    def see(self, first: int, columns: Columns, wanted: NDArray[np.int64]) -> None:
        """Fold one batch; `wanted` are the offsets of the events whose vectors will be asked for."""
        if self._folding is not None:
            self._folding.see(first, columns, wanted)

    def known(self, rows: PastRows, record: Served, events: EventReader) -> Known:
        """What this version knows of the chunk."""
        raw = self._folding.take(rows.events) if self._folding is not None else None
        return self.asker.known(rows, record, events.read(self.asker.event_type, rows), raw)

    def judge(self, rows: PastRows, record: Served, events: EventReader, shapes: Shapes) -> list[int | None]:
        """Numbers of shapes; None where the version cannot read the event, or its evidence is missing."""
        known = self.known(rows, record, events)
        usable = record.whole if self._folding is None else np.ones(len(rows), bool)
        found = self._columns.shapes(known, shapes) if self._columns is not None else None
        numbers = self._by_rows(known, rows, shapes) if found is None else self._with_late(found, rows, shapes)
        refused = known.events.refused
        return [
            number if good and index not in refused else None
            for index, (number, good) in enumerate(zip(numbers, usable.tolist(), strict=True))
        ]

    def _by_rows(self, known: Known, rows: PastRows, shapes: Shapes) -> list[int]:
        flow, inputs = self.asker.flow, known.inputs()
        values = zip(*inputs, strict=True) if inputs else repeat(())
        lists = self._lists.at(flow, rows.events, rows.received_ms)
        return [
            shapes.number(verdict_of(opinion_of(flow, given, asked.deadline_ms, received_ms, held)))
            for given, asked, received_ms, held in zip(values, rows.asked, rows.received_ms, lists, strict=False)
        ]

    def _with_late(self, found: list[int], rows: PastRows, shapes: Shapes) -> list[int]:
        """Decisions whose deadline had passed have the declared fall-back, whatever the policy says."""
        late = shapes.number(verdict_of(self.asker.flow.late))
        return [
            late if 0 < asked.deadline_ms < received_ms else number
            for number, asked, received_ms in zip(found, rows.asked, rows.received_ms, strict=True)
        ]


Side = RecordedSide | JudgedSide


def opinion_of(
    flow: Flow, values: Sequence[object], deadline_ms: int, received_ms: int, lists: Membership | None = None
) -> Opinion:
    """What `deciding.judge` says of one event: a passed deadline and a fault give the declared fall-back."""
    if 0 < deadline_ms < received_ms:
        return flow.late
    try:
        judgement = flow.policy(values) if lists is None else flow.policy(values, None, lists)
    except Exception as error:  # The same declared boundary as in service.
        return flow.failed(error)
    return flow.opinion(judgement)


def verdict_of(opinion: Opinion) -> Verdict:
    """An opinion, live or read back from the log, as the comparison takes it."""
    return Verdict(opinion.outcome, opinion.status, opinion.reasons, opinion.trace)  # type: ignore[arg-type]


class _Folding:
    """Folds the whole log under another plan and keeps the vectors that are about to be asked for."""

    def __init__(self, asker: Asker) -> None:
        self._program, self._state = asker.program, State(asker.program)
        self._vectors: dict[int, NDArray[np.int64]] = {}

    def see(self, first: int, columns: Columns, wanted: NDArray[np.int64]) -> None:
        facts = fact_columns(columns, self._program)
        moments = self._state.apply_windows(facts, int(columns.received_ms[0]), read=bool(len(wanted)))
        raw = moments.raw
        places = np.cumsum(facts.kind == EVENT) - 1
        for offset in wanted.tolist():
            self._vectors[offset] = raw[places[offset - first]].copy()

    def take(self, offsets: Sequence[int]) -> NDArray[np.int64]:
        """Vectors of events, which are then forgotten."""
        return np.array([self._vectors.pop(offset) for offset in offsets])
