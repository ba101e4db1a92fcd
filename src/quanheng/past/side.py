"""One side of a backtest: what a version, or the record, says of each decision of a chunk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise, repeat

import numpy as np
from numpy.typing import NDArray

from quanheng.decisions.backtest.rows import Shapes, Verdict
from quanheng.facts import Moments, Opinion, decode_opinions
from quanheng.feel.values import Membership
from quanheng.flows import Flow
from quanheng.kernel.errors import InputError
from quanheng.kernel.log.records import EVENT, TRANSFER, Columns
from quanheng.ledger.balances import BalanceSource
from quanheng.ledger.records import facts_of
from quanheng.loading.policies import model_of
from quanheng.past.columns import ColumnJudge
from quanheng.past.events import EventReader
from quanheng.past.known import Asker, Known, Served
from quanheng.past.lists import PastLists
from quanheng.past.versions import Version
from quanheng.past.window import PastRows
from quanheng.recovery import fact_columns
from quanheng.state import State

PACKED_KEPT_MAX = 20_000
"""Different packed opinions that are remembered; they repeat where traces hold no amounts."""


class RecordedSide:
    """What was decided then, as the log holds it. `judge` must be given the same `shapes` each time."""

    def __init__(self, version: Version, pack: str) -> None:
        self.version, self._prefix = version, f"{pack}."
        self._known: dict[bytes, int | None] = {}
        self.engine = {"mode": "record", "why": "what was decided is read, nothing is judged again"}

    def judge(self, rows: PastRows, record: Served, events: EventReader, shapes: Shapes) -> list[int | None]:
        """Numbers of shapes; None where the pack had no opinion."""
        known = self._known
        if len(known) > PACKED_KEPT_MAX:
            known.clear()
        packed = [bytes(body.opinions) for body in rows.bodies]
        for one in set(packed).difference(known):
            known[one] = self._shape(decode_opinions(one), shapes)
        return [known[one] for one in packed]

    def _shape(self, opinions: Sequence[Opinion], shapes: Shapes) -> int | None:
        for opinion in opinions:
            if opinion.flow.startswith(self._prefix):
                return shapes.number(verdict_of(opinion))
        return None


class JudgedSide:
    """A version that judges again.

    Parameters
    ----------
    rebuilt : fold the log again under this version instead of taking the recorded folds
    columns : judge whole chunks over columns; False = one decision after another
    new_lists : gives the lists of the log, read by nobody yet

    Attributes
    ----------
    lists : those of each arm: its chunks come in the order of the log, those of two arms do not
    """

    def __init__(
        self,
        new_lists: Callable[[], PastLists],
        version: Version,
        pack: str,
        event: str,
        *,
        rebuilt: bool = False,
        columns: bool = True,
    ) -> None:
        assert version.program is not None
        self.version, self.rebuilt = version, rebuilt
        self.asker = Asker(version.program, pack, event, as_of_ms=version.as_of_ms)
        self._columns: ColumnJudge | None = None
        self._why_rows = "asked for"
        self.new_lists, self.lists = new_lists, dict[str, PastLists]()
        if columns:
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
        rebuilt = self._folding.take(rows.events) if self._folding is not None else None
        read = events.read(self.asker.event_type, rows, record.event_type)
        return self.asker.known(rows, record, read, rebuilt)

    def judge(self, rows: PastRows, record: Served, events: EventReader, shapes: Shapes) -> list[int | None]:
        """Numbers of shapes; None where the version cannot read the event, or its evidence is missing."""
        return self.judged(self.known(rows, record, events), rows, record, shapes)

    def judged(self, known: Known, rows: PastRows, record: Served, shapes: Shapes) -> list[int | None]:
        """`judge`, of what `known` gave for the same chunk."""
        usable = record.whole if self._folding is None else np.ones(len(rows), bool)
        found = self._columns.shapes(known, shapes, self._lists(rows)) if self._columns is not None else None
        numbers = self._by_rows(known, rows, shapes) if found is None else self._with_late(found, rows, shapes)
        refused = known.events.refused
        if not refused and usable.all():
            return [*numbers]
        return [
            number if good and index not in refused else None
            for index, (number, good) in enumerate(zip(numbers, usable.tolist(), strict=True))
        ]

    def _lists(self, rows: PastRows) -> PastLists:
        if rows.arm not in self.lists:
            self.lists[rows.arm] = self.new_lists()
        return self.lists[rows.arm]

    def _by_rows(self, known: Known, rows: PastRows, shapes: Shapes) -> list[int]:
        flow, inputs = self.asker.flow, known.inputs()
        values = zip(*inputs, strict=True) if inputs else repeat(())
        lists = self._lists(rows).at(flow, rows.events, rows.received_ms)
        return [
            shapes.number(verdict_of(opinion_of(flow, given, late, held)))
            for given, late, held in zip(values, rows.late, lists, strict=False)
        ]

    def _with_late(self, found: list[int], rows: PastRows, shapes: Shapes) -> list[int]:
        """Decisions whose deadline had passed have the declared fall-back, whatever the policy says."""
        if not any(rows.late):
            return found
        fallback = shapes.number(verdict_of(self.asker.flow.late))
        return [fallback if late else number for number, late in zip(found, rows.late, strict=True)]


Side = RecordedSide | JudgedSide


def opinion_of(flow: Flow, values: Sequence[object], late: bool, lists: Membership | None = None) -> Opinion:
    """What `deciding.judge` says of one event: a passed deadline and a fault give the declared fall-back."""
    if late:
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
    """Folds the whole log under another plan, with its sources with state, and keeps what is about to be asked for.

    Balances are those that the recorded transfers left: where the pack has some, each event is read between them.
    """

    def __init__(self, asker: Asker) -> None:
        self._program, self._state = asker.program, State(asker.program)
        self._looking = any(isinstance(one, BalanceSource) for one in self._state.sources)
        self._kept: dict[int, tuple[NDArray[np.int64], NDArray[np.float64]]] = {}

    def see(self, first: int, columns: Columns, wanted: NDArray[np.int64]) -> None:
        if not self._looking:
            self._fold(first, columns, wanted)
            return
        moved = columns.kind == TRANSFER
        for start, stop in pairwise([0, *(np.flatnonzero(np.diff(moved)) + 1).tolist(), len(columns)]):
            part, begun = columns.cut(start, stop), first + start
            if moved[start]:
                self._state.ledger.apply(facts_of(part.body, part.position))
            else:
                self._fold(begun, part, wanted[(begun <= wanted) & (wanted < begun + len(part))])

    def _fold(self, first: int, columns: Columns, wanted: NDArray[np.int64]) -> None:
        facts = fact_columns(columns, self._program)
        moments = self._state.apply_windows(facts, int(columns.received_ms[0]), read=bool(len(wanted)))
        places = np.cumsum(facts.kind == EVENT) - 1
        for offset in wanted.tolist():
            place = places[offset - first]
            self._kept[offset] = moments.raw[place].copy(), moments.answers[place].copy()

    def take(self, offsets: Sequence[int]) -> Moments:
        """What was known of events, which is then forgotten."""
        raw, answers = zip(*map(self._kept.pop, offsets), strict=True)
        return Moments(np.array(raw), np.array(answers))
