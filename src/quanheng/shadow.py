"""Trials followed: versions in shadow judge what was decided, after the reply; arms of a share are compared.

A follower beside the writer reads committed decisions, takes what was known as it was served, and lets the shadow say
what it would have decided. What it keeps, `shadow.db` in the data folder, is derived: counts, totals and ids of
decisions, no content. Deleted, it is built again from the log: the same counts but for subjects erased since, and the
test of two arms with other looks at them, which it allows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from quanheng import __version__
from quanheng.decisions.backtest.rows import Shapes
from quanheng.decisions.backtest.sequential import CHALLENGER, CHAMPION
from quanheng.kernel.errors import QuanhengError
from quanheng.kernel.log.records import EVENT, Columns
from quanheng.models.registry.filed import filed_models, is_declaration
from quanheng.past.events import EventReader, EventRows
from quanheng.past.known import Known, Served, served
from quanheng.past.lists import PastLists
from quanheng.past.side import JudgedSide, RecordedSide
from quanheng.past.versions import Version
from quanheng.past.window import Activation, PastReader, PastRows, Survey, Window
from quanheng.program import Program
from quanheng.reading import Reader
from quanheng.recovery import HEADER_KEYS_MAX, HEADER_NUMBERS_MAX, declared_of
from quanheng.shadow_book import Book, Compared
from quanheng.shadow_scores import CHALLENGER as CHALLENGER_SCORES
from quanheng.shadow_scores import CHAMPION as CHAMPION_SCORES
from quanheng.shadow_scores import SHADOW as SHADOW_SCORES
from quanheng.state import PACKS_ACTIVATED, Activated, Trial

PART_RECORDS_MAX = 20_000
"""Records that are looked at before what was found is kept."""

Progress = Callable[[int, int], None]


class Part(NamedTuple):
    """A stretch of the log under one activation (-1: none yet)."""

    first: int
    columns: Columns
    activation: int


def catch_up(reader: Reader, book: Book, progress: Progress | None = None) -> int:
    """Follow the log once, from where the book stands to the reader's head; the offset reached.

    Raises
    ------
    LogCorrupt : the log is not what was written
    """
    return Follower(book).catch_up(reader, progress)


def _parts(first: int, columns: Columns, activation: int) -> Iterator[Part]:
    """Headers apart by the activation in force."""
    start = 0
    for row in np.flatnonzero((columns.kind == EVENT) & (columns.type == PACKS_ACTIVATED)).tolist():
        yield Part(first + start, columns.cut(start, row), activation)
        start, activation = row, first + row
    yield Part(first + start, columns.cut(start, len(columns)), activation)


class Follower:
    """Judges and counts, look by look. What it compiled, and the lists it folded, serve the next look too."""

    def __init__(self, book: Book) -> None:
        self.book, self.shapes, self.events = book, Shapes(), EventReader()
        self._sides: dict[tuple[str, ...], JudgedSide] = {}
        self._recorded: dict[str, RecordedSide] = {}
        self._others: dict[tuple[str, str], list[str]] = {}
        self._activation = -1

    def catch_up(self, reader: Reader, progress: Progress | None = None) -> int:
        """Follow the log from where the book stands to the reader's head; the offset reached.

        Parameters
        ----------
        reader : of the same log in each call, as of then

        Raises
        ------
        LogCorrupt : the log is not what was written
        """
        self.reader, head = reader, reader.log.head
        while True:
            with self.book.turn() as (first, activation):
                if first >= head:
                    return first
                at, columns = next(
                    reader.log.read_columns(first, HEADER_KEYS_MAX, HEADER_NUMBERS_MAX, head, PART_RECORDS_MAX)
                )
                parts = [*_parts(at, columns, activation)]
                for part in parts:
                    self._follow(part)
                reached = at + len(columns)
                self.book.reached(reached, parts[-1].activation)
                if progress is not None:
                    progress(reached, head)

    def _follow(self, part: Part) -> None:
        """Judge and count one part."""
        if part.activation < 0 or not len(part.columns):
            return
        if part.activation != self._activation:  # What is tried now was compiled for it alone.
            self._sides.clear()
            self._others.clear()
            self._activation = part.activation
        activated = self.reader.activated(part.activation)
        if not activated.trials:
            return
        program = self.reader.program(part.activation)
        types = {flow.when for trial in activated.trials for flow in program.packs[trial.pack].flows}
        for event in sorted(types):
            past = self._past(part, activated, event)
            for rows in past.of([(part.first, part.columns)]):
                for trial in activated.trials:
                    if any(flow.when == event for flow in program.packs[trial.pack].flows):
                        self._tried(trial, activated, event, rows)
            self.book.erased([*activated.trials], past.erased)
        for side in self._sides.values():
            for lists in side.lists.values():
                lists.see(part.first, part.columns)

    def _past(self, part: Part, activated: Activated, event: str) -> PastReader:
        now = Activation(part.activation, activated.packs, activated.versions, activated.codes)
        last = part.first + len(part.columns)
        return PastReader(self.reader, Window(event), Survey(last, [now], 0, part.first, last, 0, frozenset()))

    def _tried(self, trial: Trial, activated: Activated, event: str, rows: PastRows) -> None:
        if trial.share_bp:
            self._share(trial, event, rows)
        else:
            self._shadow(trial, activated, event, rows)

    def _share(self, trial: Trial, event: str, rows: PastRows) -> None:
        """Outcomes of the challenger's decisions, or of the champions'."""
        if rows.arm not in ("", trial.hash):
            return
        arm = CHALLENGER if rows.arm else CHAMPION
        program = self.reader.program(rows.activation)
        counts = Counter(body.outcome for body in rows.bodies)
        self.book.arm(trial, event, arm, counts, program.outcomes)
        record, side = served(self.reader, event, rows), CHALLENGER_SCORES if rows.arm else CHAMPION_SCORES
        declared = record.program.packs[trial.pack].models
        for name in self._other_models(trial, rows.activation):
            model = next((one for one in declared if one.name == name), None)
            scores = record.named.get(f"{trial.pack}.{name}")
            if model is not None and scores is not None:
                self.book.scores.add(trial, event, name, side, scores[record.whole], model.output_decimals)

    def _other_models(self, trial: Trial, activation: int) -> list[str]:
        """Models of the version on trial that are others than the champion's."""
        key = trial.pack, trial.hash
        if key not in self._others:
            before = {one.name: one for one in self.reader.program(activation).packs[trial.pack].models}
            models = filed_models(self.reader.content.get_files(trial.hash, is_declaration))
            self._others[key] = [
                name for name, one in models.items() if name in before and before[name].hash != one.hash
            ]
        return self._others[key]

    def _shadow(self, trial: Trial, activated: Activated, event: str, rows: PastRows) -> None:
        """What the shadow says beside what the pack said."""
        if any(one.hash == rows.arm and one.pack == trial.pack for one in activated.trials):
            return  # A challenger of the same pack decided, not the champion.
        try:
            side = self._side(trial, activated, event)
            record = served(self.reader, event, rows)
            known = side.known(rows, record, self.events)
            now = side.judged(known, rows, record, self.shapes)
            self._scores(trial, event, rows, record, side, known)
        except QuanhengError as error:
            self.book.problem(trial, str(error))
            return
        recorded = self._recorded.setdefault(trial.pack, RecordedSide(_RECORDED, trial.pack))
        was = recorded.judge(rows, record, self.events, self.shapes)
        money = _money(side, self.events.read(side.asker.event_type, rows, record.event_type), len(rows))
        self.book.judged(trial, event, [*self._compared(rows.decisions, was, now, money)])

    def _scores(self, trial: Trial, event: str, rows: PastRows, record: Served, side: JudgedSide, known: Known) -> None:
        """What the models of both say of the same rows."""
        champion = {one.name: one for one in record.program.packs[trial.pack].models}
        shadow = {one.name: one for one in side.asker.pack.models}
        usable = record.whole.copy()
        usable[[*known.events.refused]] = False
        for name in self._other_models(trial, rows.activation):
            before = record.named.get(f"{trial.pack}.{name}")
            if before is None or name not in shadow:
                continue
            pair = before[usable], known.floats(name)[usable]
            digits = champion[name].output_decimals, shadow[name].output_decimals
            for which, scores, decimals in zip((CHAMPION_SCORES, SHADOW_SCORES), pair, digits, strict=True):
                self.book.scores.add(trial, event, name, which, scores, decimals)
            self.book.scores.add_pairs(trial, event, name, *pair, max(digits))

    def _compared(
        self,
        decisions: Sequence[int],
        was: Sequence[int | None],
        now: Sequence[int | None],
        money: Sequence[tuple[str, int]],
    ) -> Iterator[Compared]:
        known = self.shapes.known
        for decision, one, other, (currency, minor) in zip(decisions, was, now, money, strict=True):
            if one is not None and other is not None:
                yield Compared(decision, known[one].outcome, known[other].outcome, currency, minor)

    def _lists(self) -> PastLists:
        return PastLists(self.reader)

    def _side(self, trial: Trial, activated: Activated, event: str) -> JudgedSide:
        """The version on trial among the packs in force."""
        key = trial.pack, trial.hash, event
        if key not in self._sides:
            packs = {**activated.packs, trial.pack: trial.hash}
            program = Program(declared_of(self.reader.content, packs), activated.codes, engine=__version__)
            version = Version(trial.hash[:12], "hash", program, trial.hash, None)
            # A look judges some hundred decisions: by rows they cost less than columns do to begin.
            side = self._sides[key] = JudgedSide(self._lists, version, trial.pack, event, columns=False)
            self.events.names |= {"currency", *(one.name for one in side.asker.flow.policy.inputs)}
        return self._sides[key]


_RECORDED = Version("recorded", "recorded", None, "", None)


def _money(side: JudgedSide, events: EventRows, rows: int) -> list[tuple[str, int]]:
    """Currency and amount in minor units of each event, where the event declares an amount."""
    fields = side.asker.event_type.declaration.fields
    minor = next((name for name, one in fields.items() if one.kind == "integer" and one.unit == "minor"), "")
    if not minor:
        return [("", 0)] * rows
    amounts = events.column(minor)
    currencies = events.column("currency") if "currency" in fields else [""] * len(amounts)
    return [
        (str(currency or ""), amount if isinstance(amount, int) else 0)
        for currency, amount in zip(currencies, amounts, strict=True)
    ]
