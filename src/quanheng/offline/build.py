"""Point-in-time training sets: for each row of a spine exactly what a live decision would have known at its moment.

Events and moments are merged in the order in which events became known, and go through the kernel that serves live
decisions. A moment inserts nothing; a row that names an event of the history gets the very vector of that event.
Memory holds one block of events, one of moments and the state of the folds. What is done is kept beside the result:
a build that was interrupted goes on from its last chunk.
"""

from __future__ import annotations

import hashlib
import io
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from quanheng.features.fold import EventLayout
from quanheng.features.formulas import Formulas
from quanheng.features.kinds import CALENDAR_KINDS
from quanheng.features.plan import Plan
from quanheng.features.reach import reaches
from quanheng.features.state import FeatureOverflow, FeatureState
from quanheng.kernel.errors import InputError
from quanheng.kernel.files import Files
from quanheng.models.history import NULL
from quanheng.models.vectors import LATENESS_MS, as_floats, needed_by
from quanheng.offline.events import Block, EventSource, Report
from quanheng.offline.runs import RUN_BYTES, Ahead, Runs
from quanheng.offline.sources import refuse_sources
from quanheng.offline.spine import HEAD, Spine, SpineColumns

if TYPE_CHECKING:
    from quanheng.loading.declared import Declared

PROBE = "a moment"
"""Name of the event type that stands for a row of the spine: no fold is of it, so it inserts nothing."""

KEEP_EVENTS = 4_000_000
"""Events after which what is done is kept."""


class Built(NamedTuple):
    """rows : of the training set; events : of the history; own : rows that are events of the history
    overflows : cells that are null because a sum does not fit 64 bits; resumed : from which event the build went on
    """

    rows: int
    events: int
    own: int
    overflows: int
    resumed: int


class Wanted(NamedTuple):
    """What a training set holds: names of its feature columns, and what they need."""

    event: str
    names: tuple[str, ...]
    formulas: Formulas
    plan: Plan
    needed: dict[str, str]


class Kept(msgspec.Struct):
    """How far a build is: events folded, moments answered, runs of answers, and figures."""

    job: str
    next: int = 0
    moments: int = 0
    runs: int = 0
    own: int = 0
    overflows: int = 0
    whole: bool = False


def wanted(declared: Declared, layouts: Sequence[EventLayout], event: str, names: Sequence[str]) -> Wanted:
    """Choose the features; default: every fold and formula that the event can have.

    Raises
    ------
    InputError : the event or a feature is not declared, or a feature needs a source with state
    """
    by_name = {one.name: one for one in layouts}
    event = event or _decided(declared)
    if event not in by_name:
        raise InputError(
            "no such event is declared", where="--event", found=repr(event), allowed=", ".join(sorted(by_name)),
            cure="Name the event type that is decided.",
        )  # fmt: skip
    layout = by_name[event]
    every = _features(declared, layout)
    refuse_sources(declared, names)
    if unknown := [name for name in names if name not in every]:
        raise InputError(
            "no such feature", where="--features", found=", ".join(unknown), allowed=", ".join(every),
            cure="Name folds and formulas of features.toml whose fields the event has.",
        )  # fmt: skip
    chosen = tuple(names) or tuple(every)
    formulas, folds, _ = needed_by(declared, event, layout, chosen)
    probe = replace(layout, name=PROBE, code=max(one.code for one in layouts) + 1)
    # A fold of a calendar kind is asked of one type of event: of the event itself, and of a moment of its own.
    asked = [replace(one, name=f"{one.name}{PROBE}", of=PROBE) for one in folds if one.fold in CALENDAR_KINDS]
    plan = Plan.compile([*layouts, probe], [*folds, *asked], [event, PROBE], LATENESS_MS, calendars=declared.calendars)
    needed = {key: f"key of {fold.name}" for fold in folds for key in fold.match or fold.by}
    uses = {one: formula.name for formula in formulas.formulas for one in formula.uses}
    # What a moment of its own is compared with, as the event being decided is.
    uses |= {one.value: one.name for one in folds if one.fold == "zscore" and one.value is not None}
    time = next(one.time for one in declared.events if one.name == event)
    needed |= {one: f"read by {uses[one]}" for one in layout.amounts if one in uses and one != time}
    return Wanted(event, chosen, formulas, plan, needed)


def _decided(declared: Declared) -> str:
    """The event that the pack decides, where it is one."""
    decided = list(dict.fromkeys(flow.when for flow in declared.flows))
    return decided[0] if len(decided) == 1 else ""


def _features(declared: Declared, layout: EventLayout) -> list[str]:
    folds = [one.name for one in declared.folds if reaches(one, declared.folds, layout.name, layout.keys)]
    declared_formulas = [(one.name, one.feel, one.decimals, one.uses) for one in declared.formulas]
    return [*folds, *Formulas(declared_formulas, [*folds, *layout.amounts]).names]


class Build:
    """One build: source, spine, what is wanted, and where it goes."""

    def __init__(
        self,
        declared: Declared,
        source: EventSource,
        spine: Path,
        columns: SpineColumns,
        out: Path,
        *,
        event: str = "",
        features: Sequence[str] = (),
        run_bytes: int = RUN_BYTES,
        keep_events: int = KEEP_EVENTS,
    ) -> None:
        self.source, self.out, self.run_bytes, self.keep_events = source, out, run_bytes, keep_events
        self.wanted = wanted(declared, source.layouts, event, features)
        by_name = {one.name: one for one in self.wanted.plan.layouts}
        self.layout, self.probe = by_name[self.wanted.event], by_name[PROBE].code
        declared_event = next(one for one in declared.events if one.name == self.wanted.event)
        columns = columns._replace(time=columns.time or declared_event.time)
        self.spine = Spine(
            spine, columns, declared_event, self.layout, self.wanted.needed, source.names, run_bytes
        )  # fmt: skip
        self.folder = out.with_name(out.name + ".building")

    def run(self, report: Report) -> Built:
        """Build, or go on with a build of the same thing that was interrupted.

        Raises
        ------
        InputError : the spine does not fit; nothing is written at `out`
        """
        self._check_names()
        kept = self._open()
        self.source.prepare(self.folder / "events", report)
        self.spine.prepare(self.folder / "spine", self.source.size, self.source.last_known_ms)
        resumed = kept.next
        kept = self.answer(kept, report)
        self._write(report)
        shutil.rmtree(self.folder)
        return Built(self.spine.rows, self.source.size, kept.own, kept.overflows, resumed)

    def _check_names(self) -> None:
        for batch in self.spine.batches():
            if twice := [name for name in self.wanted.names if name in batch.columns]:
                raise InputError(
                    "a column of the spine has the name of a feature", where=str(self.spine.file),
                    found=", ".join(twice), cure="Rename the column, or ask for other features with --features.",
                )  # fmt: skip
            return

    def _open(self) -> Kept:
        """What is already done; everything of another build is removed."""
        told = self.spine.file.stat() if self.spine.file.is_file() else None
        parts = [self.wanted.plan.digest, self.wanted.names, self.source.identity, self.spine.columns, self.run_bytes]
        parts += [str(self.spine.file.resolve()), told and (told.st_size, told.st_mtime_ns)]
        formulas = [(one.name, one.uses) for one in self.wanted.formulas.formulas]
        job = hashlib.sha256(repr((parts, formulas)).encode()).hexdigest()
        file = self.folder / "kept.json"
        if file.is_file():
            kept = msgspec.json.decode(file.read_bytes(), type=Kept)
            if kept.job == job:
                return kept
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        kept = Kept(job)
        Files().write_durably(file, msgspec.json.encode(kept))
        return kept

    def answer(self, kept: Kept, report: Report) -> Kept:
        """Fold the history, answer the moments, and keep what is done every so many events."""
        self.answers = answers = Runs(self.folder / "answers", 1 + len(self.wanted.names), 1, self.run_bytes)
        answers.keep(kept.runs)
        if kept.whole:
            return kept
        state = self._state(kept)
        moments = Ahead(self.spine.moments(kept.moments), self.spine.width)
        since = kept.next
        for block in self.source.blocks(kept.next):
            due = moments.before(self.upto(block))
            if len(due) or len(block.types):
                self._fold(state, block, due, answers, kept)
            kept.moments, kept.next = kept.moments + len(due), block.next
            report("features", kept.next, self.source.size)
            if kept.next - since >= self.keep_events:
                since = kept.next
                self._keep(kept, state, answers)
        rest = moments.before(None)
        if len(rest):
            self._fold(state, no_events(self.wanted.plan, self.source.size), rest, answers, kept)
            kept.moments += len(rest)
        if answers.files():  # What lies in memory alone is asked again if the writing is interrupted.
            kept.whole = True
            self._keep(kept, None, answers)
        return kept

    def upto(self, block: Block) -> int:
        """Moments whose place is below this are asked within the block."""
        if self.spine.columns.offset:
            return block.next
        return int(block.known_ms[-1]) if len(block.known_ms) else -(2**63)

    def _state(self, kept: Kept) -> FeatureState:
        file = self.folder / f"state-{kept.next}.npz"
        if not kept.runs and not file.is_file():
            return FeatureState(self.wanted.plan)
        with np.load(file) as arrays:
            return FeatureState.load(self.wanted.plan, dict(arrays))

    def _keep(self, kept: Kept, state: FeatureState | None, answers: Runs) -> None:
        """First the answers and the state (None: every answer is there), then the file that names them."""
        answers.flush()
        kept.runs = len(answers.files())
        mine = self.folder / f"state-{kept.next}.npz"
        if state is not None:
            out = io.BytesIO()
            np.savez(out, **state.dump())  # type: ignore[arg-type]
            Files().write_durably(mine, out.getvalue())
        Files().write_durably(self.folder / "kept.json", msgspec.json.encode(kept))
        for old in self.folder.glob("state-*.npz"):
            if old != mine or state is None:
                old.unlink()

    def _fold(self, state: FeatureState, block: Block, due: NDArray[np.int64], answers: Runs, kept: Kept) -> None:
        """Run a block with its moments put between its events; keep the answers."""
        axis = block.offsets if self.spine.columns.offset else block.known_ms
        at = np.searchsorted(axis, due[:, 0], side="left" if self.spine.columns.offset else "right")
        own = self.own(block, due, at)
        keys_n = len(self.layout.keys)
        probes = due[~own]
        places = at[~own]
        wide = block.keys.shape[1], block.numbers.shape[1]
        keys = np.zeros((len(probes), wide[0], 2), np.uint64)
        keys[:, :keys_n] = self.said_keys(probes)
        numbers = np.full((len(probes), wide[1]), NULL, np.int64)
        numbers[:, : len(self.layout.numbers)] = probes[:, HEAD + 2 * keys_n :]
        types = np.insert(block.types, places, np.int32(self.probe))
        all_keys = np.insert(block.keys, places, keys, axis=0)
        all_numbers = np.insert(block.numbers, places, numbers, axis=0)
        # Where each answer stands: a moment stands where it was put, an event behind the moments put before it.
        rows = np.empty(len(due), np.int64)
        rows[~own] = places + np.arange(len(probes))
        rows[own] = at[own] + np.searchsorted(places, at[own], side="right")
        read = np.zeros(len(types), bool)
        read[rows] = True
        times = np.insert(block.times, places, probes[:, 2])
        try:
            raw = state.run(types, times, all_keys, all_numbers, read)
        except FeatureOverflow as overflow:  # As live: the events are applied, the sums that do not fit are unknown.
            raw = overflow.raw
            kept.overflows += len(overflow.cells)
        kept.own += int(own.sum())
        if len(due):
            answers.add(self.columns(raw[rows], all_numbers[rows], due[:, 1]))

    def said_keys(self, moments: NDArray[np.int64]) -> NDArray[np.uint64]:
        """u8[n, K, 2]: the keys that rows of the spine give."""
        keys_n = len(self.layout.keys)
        words = np.ascontiguousarray(moments[:, HEAD : HEAD + 2 * keys_n])
        return words.view(np.uint64).reshape(-1, keys_n, 2)

    def own(self, block: Block, due: NDArray[np.int64], at: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Which moments are events of the block. What a row says of itself must be what the event says."""
        if not self.spine.columns.offset or not len(block.offsets):
            return self._asked(due, np.zeros(len(due), bool))
        event = np.minimum(at, len(block.offsets) - 1)
        own = (block.offsets[event] == due[:, 0]) & (block.types[event] == self.layout.code)
        keys_n = len(self.layout.keys)
        asked = [name in self.spine.needed for name in self.layout.keys]
        unequal = (self.said_keys(due) != block.keys[event][:, :keys_n]).any(axis=2)
        differs = (due[:, 2] != block.times[event]) | unequal[:, asked].any(axis=1)
        wrong = np.flatnonzero(own & (due[:, 3] == 1) & differs)
        if len(wrong):
            raise InputError(
                "the row and the event at its offset differ in time or key",
                where=f"{self.spine.file}, row {due[wrong[0], 1]}", found=f"offset {due[wrong[0], 0]}",
                cure="Correct the offset, or leave the column out: then the row is a moment of its own.",
            )  # fmt: skip
        return self._asked(due, own)

    def _asked(self, due: NDArray[np.int64], own: NDArray[np.bool_]) -> NDArray[np.bool_]:
        wrong = np.flatnonzero(~own & (due[:, 3] == 0))
        if len(wrong):
            raise InputError(
                "no decided event lies at the offset, and the row has no time and keys of its own",
                where=f"{self.spine.file}, row {due[wrong[0], 1]}", found=f"offset {due[wrong[0], 0]}",
                allowed=f"offsets of {self.layout.name}", cure="Correct the offset, or add time and keys.",
            )  # fmt: skip
        return own

    def columns(self, raw: NDArray[np.int64], numbers: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Words (row of the spine, bits of the features) of answered moments."""
        plan = self.wanted.plan
        floats = plan.floats(np.ascontiguousarray(raw))
        columns = {name: np.ascontiguousarray(floats[:, place]) for place, name in enumerate(plan.names)}
        for name in plan.names:
            if f"{name}{PROBE}" in columns:
                columns[name] = np.where(np.isnan(columns[name]), columns[f"{name}{PROBE}"], columns[name])
        for name in self.layout.amounts:
            columns[name] = as_floats(numbers[:, self.layout.numbers.index(name)], self.layout.scale(name))
        self.wanted.formulas.compute(columns, len(rows))
        words = np.empty((len(rows), 1 + len(self.wanted.names)), np.int64)
        words[:, 0] = rows
        for place, name in enumerate(self.wanted.names, 1):
            words[:, place] = columns[name].view(np.int64)
        return words

    def _write(self, report: Report) -> None:
        """The spine as it came with its features beside it, part by part, then as one file that appears whole."""
        answers = self.answers
        parts = self.folder / "parts"
        shutil.rmtree(parts, ignore_errors=True)
        parts.mkdir()
        ahead, done = Ahead(answers.merged(), answers.width), 0
        for number, batch in enumerate(self.spine.batches()):
            done += len(batch)
            words = ahead.before(done)
            columns = [
                pl.Series(name, np.ascontiguousarray(words[:, place]).view(np.float64), nan_to_null=True)
                for place, name in enumerate(self.wanted.names, 1)
            ]
            batch.with_columns(columns).write_parquet(parts / f"{number:06d}.parquet")
            report("writing", done, self.spine.rows)
        aside = self.folder / "whole.parquet"
        files = sorted(parts.glob("*.parquet"))
        if len(files) == 1:
            files[0].replace(aside)
        else:
            pl.scan_parquet(files).sink_parquet(aside)
        with aside.open("rb+") as handle:
            Files().sync(handle.fileno())
        aside.replace(self.out)
        Files().sync_folder(self.out.parent)


def no_events(plan: Plan, next_: int) -> Block:
    """No events: for moments after the last one."""
    keys_n = max(len(one.keys) for one in plan.layouts)
    numbers_n = max(len(one.numbers) for one in plan.layouts)
    none = np.empty(0, np.int64)
    return Block(
        none, none, np.empty(0, np.int32), none, np.empty((0, keys_n, 2), np.uint64),
        np.empty((0, numbers_n), np.int64), next_,
    )  # fmt: skip
