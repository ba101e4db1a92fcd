"""Recovery: the state at any offset, as the newest snapshot before it plus the records after it, through `apply` only.

The engine opens with it, the follower writes snapshots with it, replay rebuilds the past with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import msgspec
import numpy as np

from quanheng import __version__, mailing
from quanheng.events.schema import KEYS_MAX, NUMBERS_MAX, EventDeclaration
from quanheng.facts import FactColumns
from quanheng.features.bounded import HERE, Here
from quanheng.features.elsewhere import MakeWindows, Unfolded
from quanheng.features.state import FeatureState
from quanheng.kernel.content import ContentStore
from quanheng.kernel.errors import DeclarationError, InputError, LogCorrupt, Problem
from quanheng.kernel.log.log import Log, columns_of
from quanheng.kernel.log.records import EVENT, LOAN, TRANSFER, Columns
from quanheng.kernel.snapshot import Snapshot, Snapshots
from quanheng.ledger.ledger import Ledger
from quanheng.ledger.records import facts_of, facts_of_batch
from quanheng.loading.declared import Declared
from quanheng.loading.files import PackFiles
from quanheng.loading.pack import load_packs
from quanheng.processes.book import Book
from quanheng.program import Program
from quanheng.state import FIRST_PACK_CODE, PACKS_ACTIVATED, Activated, PlatformEvent, State, Trial

HEADER_KEYS_MAX, HEADER_NUMBERS_MAX = KEYS_MAX, NUMBERS_MAX

PROGRAMS_KEPT_MAX = 8

Progress = Callable[[int, int], None]
"""(records folded so far, records in all)"""


Far = Callable[[Log], MakeWindows]
"""Keeps windows elsewhere than in the process of the log's writer."""

FAR_SNAPSHOTS = "cluster/sequencer"
"""Where the snapshots of a state are whose windows are kept elsewhere."""


def empty_program() -> Program:
    """The program before any pack is active."""
    return Program({}, {}, engine=__version__)


def declared_of(content: ContentStore, packs: Mapping[str, str]) -> dict[str, Declared]:
    """Read packs (name → content hash) back from the content store.

    Raises
    ------
    DeclarationError
        this version of Quanheng reads the pack otherwise than the one that activated it.
    """
    files = {name: PackFiles(name, content.get_folder(hash)) for name, hash in packs.items()}
    return load_packs(sorted(packs), files, in_force=packs)


def program_of(content: ContentStore, activated: Activated, offset: int) -> Program:
    """The program that an activation at `offset` put in force. Programs are immutable, so the newest are kept."""
    program = _programs.get(_key(activated, offset))
    if program is None:
        program = Program(declared_of(content, activated.packs), activated.codes, engine=__version__)
        program = challenged(content, program, activated)
    return keep_program(program, activated, offset)


def challenged(content: ContentStore, program: Program, activated: Activated) -> Program:
    """The program of an activation with the challengers that have a share of its traffic.

    Raises
    ------
    DeclarationError : a challenger would read the same events into other windows, so its decisions were not comparable
    """
    challengers = []
    for trial in activated.trials:
        if not trial.share_bp:
            continue
        packs = {**activated.packs, trial.pack: trial.hash}
        other = Program(declared_of(content, packs), activated.codes, engine=program.engine)
        check_comparable(program, other, trial)
        challengers.append(other.trying(trial.hash, trial.pack, trial.share_bp))
    return program.challenged(challengers) if challengers else program


def check_comparable(champion: Program, other: Program, trial: Trial) -> None:
    """Refuse a challenger whose decisions could not be compared with the champion's.

    Raises
    ------
    DeclarationError : it differs in events, folds, sources with state, processes, outcomes or decided events
    """
    compared = {
        "events.toml": (_events(champion), _events(other)),
        "features.toml": (champion.digest(), other.digest()),
        "processes.toml": (_lives(champion), _lives(other)),
        "accounts.toml": (_loans(champion), _loans(other)),
        "pack.toml": ((champion.outcomes, sorted(champion.flows)), (other.outcomes, sorted(other.flows))),
    }
    problems = [
        Problem(
            file,
            "",
            "a challenger shares events, folds, processes, outcomes and decided events with the champion; these differ",
            cure="Promote it without a share of the traffic, or change only policies, parameters, formulas and models.",
        )
        for file, (was, now) in compared.items()
        if was != now
    ]
    if problems:
        raise DeclarationError(f"version {trial.hash[:12]} of {trial.pack!r} cannot share the traffic", problems)


def _lives(program: Program) -> list[object]:
    return [(pack.processes.processes, pack.calls) for pack in program.packs.values()]


def _loans(program: Program) -> list[object]:
    return [pack.accounts.loans for pack in program.packs.values()]


def _events(program: Program) -> list[EventDeclaration]:
    return [event for pack in program.packs.values() for event in pack.events]


def keep_program(program: Program, activated: Activated, offset: int) -> Program:
    """The program as it is in force from `offset` on, kept for `program_of`."""
    key = _key(activated, offset)
    _programs.pop(key, None)
    program = _programs[key] = program.at(offset)
    while len(_programs) > PROGRAMS_KEPT_MAX:
        del _programs[next(iter(_programs))]
    return program


def _key(activated: Activated, offset: int) -> tuple[object, ...]:
    return tuple(sorted(activated.packs.items())), tuple(activated.codes.items()), activated.trials, offset


_programs: dict[tuple[object, ...], Program] = {}


def recover(
    folder: Path, log: Log, content: ContentStore, far: Far | None, here: Here = HERE, progress: Progress | None = None
) -> tuple[Snapshots, State]:
    """The state at the end of the log, and the snapshots it begins with; with `far`, the windows recover there, else
    in this process (`here`)."""
    if far is None:
        snapshots = Snapshots(folder / "snapshots")
        return snapshots, rebuild(log, content, snapshots, progress=progress, make_windows=here)
    snapshots = Snapshots(folder / FAR_SNAPSHOTS)
    state = rebuild(log, content, snapshots, progress=progress, make_windows=Unfolded)
    state.keep_windows(far(log))
    return snapshots, state


def rebuild(
    log: Log,
    content: ContentStore,
    snapshots: Snapshots | None,
    *,
    upto: int | None = None,
    progress: Progress | None = None,
    make_windows: MakeWindows = HERE,
) -> State:
    """The state after the first `upto` records (default: all), its windows made by `make_windows`.

    A change of packs that changes the folds means the windows hold other things from then on, so they are
    folded again from the beginning of the log under the last plan.
    """
    upto = log.head if upto is None else upto
    state = _from_snapshot(log, content, snapshots, upto, make_windows) or State(empty_program(), make_windows)
    stale = False
    for first, part in read_batches(log, state.head, upto):
        if isinstance(part, Columns):
            stale |= _apply_batch(state, content, first, part, windows=not stale)
        else:
            state.ledger.apply(part)
            state.received_ms = max(state.received_ms, state.ledger.now_ms)
        state.head = first + len(part)
        if progress is not None:
            progress(state.head, upto)
    if stale:
        state.reset_windows()
        state.head = 0
        fold_windows(state, log, upto)
    return state


def ledger_at(log: Log, snapshots: Snapshots | None, upto: int, progress: Progress | None = None) -> Ledger:
    """The ledger alone after the first `upto` records: the newest snapshot of this log, then the facts after it.

    Needs no packs and no keys.

    Raises
    ------
    LogCorrupt : the log is not what was written
    """
    ledger, first = Ledger(), 0
    for snapshot in _taken_of(log, snapshots, upto):
        try:
            held = {name: np.asarray(part) for name, part in snapshot.parts.items()}
            ledger, first = State.ledger_of(held), snapshot.offset
            break
        except (KeyError, InputError):
            continue
    for start, part in read_batches(log, first, upto):
        if isinstance(part, Columns):
            ledger.apply(facts_of(part.body, part.position[part.kind == TRANSFER]))
        else:
            ledger.apply(part)
        if progress is not None:
            progress(start + len(part), upto)
    return ledger


def instances_at(log: Log, snapshots: Snapshots | None, upto: int, progress: Progress | None = None) -> Book:
    """The instances of processes alone after the first `upto` records: the newest snapshot of this log, then the steps
    after it.

    Needs no packs and no keys.

    Raises
    ------
    LogCorrupt : the log is not what was written
    """
    book, first = Book(), 0
    for snapshot in _taken_of(log, snapshots, upto):
        try:
            book = State.book_of({name: np.asarray(part) for name, part in snapshot.parts.items()})
            first = snapshot.offset
            break
        except (KeyError, InputError):
            continue
    for start, part in read_batches(log, first, upto):
        if isinstance(part, Columns):
            book.fold(part, start)
        if progress is not None:
            progress(start + len(part), upto)
    return book


def program_at(log: Log, content: ContentStore, snapshots: Snapshots | None, upto: int) -> Program:
    """The program in force after the first `upto` records, found without folding them.

    Raises
    ------
    LogCorrupt : the log is not what was written
    """
    activation, first = -1, 0
    for snapshot in _taken_of(log, snapshots, upto):
        try:
            activation, first = State.activation_of(bytes(snapshot.parts["state"])), snapshot.offset
            break
        except (KeyError, msgspec.DecodeError, msgspec.ValidationError):
            continue
    for start, part in read_batches(log, first, upto):
        if isinstance(part, Columns):
            rows = np.flatnonzero((part.kind == EVENT) & (part.type == PACKS_ACTIVATED))
            activation = start + int(rows[-1]) if len(rows) else activation
    return _program_at(log, content, activation)


def _taken_of(log: Log, snapshots: Snapshots | None, upto: int) -> Iterator[Snapshot]:
    """Snapshots that were taken of this log, the newest first."""
    at = upto
    while snapshots is not None and (snapshot := snapshots.newest(upto=at)) is not None:
        at = snapshot.offset - 1
        try:
            if bytes(snapshot.parts["chain"]) == log.digest_at(snapshot.offset):
                yield snapshot
        except (KeyError, LogCorrupt):
            continue


def read_batches(log: Log, first: int, upto: int) -> Iterator[tuple[int, Columns | np.ndarray]]:
    """Batches of the log, cut to first <= offset < upto, each with the offset of its first record: as columns, or as
    the ledger's facts where it holds nothing else, which takes a tenth of the time."""
    for row in log.read(first, upto):
        facts = facts_of_batch(row.body) if first <= row.first and row.last <= upto else None
        if facts is None or len(facts) != row.count:
            yield columns_of([row], first, HEADER_KEYS_MAX, HEADER_NUMBERS_MAX, upto)
        else:
            yield row.first, facts


def _apply_batch(state: State, content: ContentStore, first: int, columns: Columns, *, windows: bool) -> bool:
    """Fold one batch. True if packs with other folds came into force in it: the windows are folded again later."""
    platform = np.flatnonzero((columns.kind == EVENT) & (columns.type < FIRST_PACK_CODE))
    start, stale = 0, False
    for row in [*platform.tolist(), len(columns)]:
        if row > start:
            _apply(state, columns, start, row, windows=windows and not stale)
        if row < len(columns):
            event = PlatformEvent(
                first + row, int(columns.type[row]), columns.record(row).payload, int(columns.received_ms[row])
            )
            if event.type == PACKS_ACTIVATED:
                program = program_of(content, msgspec.json.decode(event.payload, type=Activated), event.offset)
                folded = bool(state.events)  # Before the first event there is nothing to fold again.
                stale |= state.switch(program) and folded
            state.apply_platform(event)
        start = row + 1
    state.book.fold(columns, first)
    mailing.fold(state.outbox, columns)
    transfers = np.flatnonzero(columns.kind == TRANSFER)
    if len(transfers):  # They and what packs fold do not see each other.
        state.ledger.apply(facts_of(columns.body, columns.position[transfers]))
    if len(columns):
        state.received_ms = max(state.received_ms, int(columns.received_ms[-1]))
    return stale


def fold_windows(state: State, log: Log, upto: int) -> None:
    """Fold the log from the state's head up to `upto` into windows and sources, and into nothing else."""
    if not isinstance(state.features, FeatureState):
        state.features.follow(upto)  # They pass over what they are given again below, for the sources.
        if not state.sources:
            state.head = upto
    for first, part in read_batches(log, state.head, upto):
        if isinstance(part, Columns):  # No window takes transfers.
            state.apply_windows(fact_columns(part, state.program), int(part.received_ms[0]))
        state.head = first + len(part)


def fact_columns(columns: Columns, program: Program, start: int = 0, stop: int | None = None) -> FactColumns:
    """Rows of log columns as the state folds them, cut to the widths of the program."""
    rows = slice(start, stop)
    return FactColumns(
        columns.kind[rows],
        columns.type[rows].astype(np.int32),
        columns.time_ms[rows],
        np.ascontiguousarray(columns.keys[rows, : program.keys_max]),
        np.ascontiguousarray(columns.numbers[rows, : program.numbers_max]),
    )


def _apply(state: State, columns: Columns, start: int, stop: int, *, windows: bool) -> None:
    facts = fact_columns(columns, state.program, start, stop)
    state.count(facts)
    if (facts.kind == LOAN).any():
        state.loans.apply(columns.cut(start, stop))
    if windows:
        state.apply_windows(facts, int(columns.received_ms[start]))  # One for a batch: a batch is a group.


def _from_snapshot(
    log: Log, content: ContentStore, snapshots: Snapshots | None, upto: int, make_windows: MakeWindows
) -> State | None:
    """The newest snapshot that this version can read and that was taken of this log; None = fold from the beginning.

    A snapshot is derived: one of another timeline (a log restored from a copy has gone on otherwise) or of another
    format is passed over, never trusted and never fatal.
    """
    at = upto
    while snapshots is not None and (snapshot := snapshots.newest(upto=at)) is not None:
        at = snapshot.offset - 1
        parts = dict(snapshot.parts)
        try:
            if bytes(parts.pop("chain")) != log.digest_at(snapshot.offset):
                continue
            kept = bytes(parts.pop("state"))
            program = _program_at(log, content, State.activation_of(kept))
            arrays = {name: np.asarray(part) for name, part in parts.items()}
            return State.restore(program, kept, arrays, make_windows)
        except (KeyError, LogCorrupt, InputError, msgspec.DecodeError, msgspec.ValidationError):
            continue
    return None


def _program_at(log: Log, content: ContentStore, activation: int) -> Program:
    if activation < 0:
        return empty_program()
    return program_of(content, msgspec.json.decode(log.record(activation).payload, type=Activated), activation)
