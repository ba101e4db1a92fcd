"""State: every fold of the log. `apply` is the only mutator, the same live and in recovery."""

from __future__ import annotations

import hashlib
from collections import Counter, deque
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from quanheng.decisions.lists import ListEvent, Lists, ListVerdict
from quanheng.decisions.versions import INSTALLED, Move, Versions
from quanheng.facts import RECORDED, STATUSES, DecisionFact, FactColumns, Moments, decision_counts
from quanheng.features.bounded import HERE, Here
from quanheng.features.elsewhere import MakeWindows
from quanheng.features.source import StatefulSource
from quanheng.features.state import FeatureOverflow, FeatureState
from quanheng.keeping import BOOK, LEDGER, LIST, LOANS, OUTBOX, SOURCE, SOURCES, Actor, Kept, Retried, named
from quanheng.kernel.errors import InputError
from quanheng.kernel.log.records import DECISION, EVENT
from quanheng.ledger.balances import BalanceSource
from quanheng.ledger.instruments.loan_book.measuring import LoanSource
from quanheng.ledger.ledger import Ledger
from quanheng.loans import Loans
from quanheng.machines import job_codes
from quanheng.processes.book import Book
from quanheng.processes.outbox import Outbox
from quanheng.program import Program
from quanheng.sending import fold_answers
from quanheng.told import Told

PACKS_ACTIVATED, TOKEN_ISSUED, TOKEN_REVOKED, INTAKE_REJECTED, SUBJECT_ERASED, VERSION_MOVED = 1, 2, 3, 4, 5, 6
LIST_CHANGED, LIST_JUDGED, MESSAGES_RETRIED = 7, 8, 9
"""Type codes of the platform's own events. Event types of packs have codes from FIRST_PACK_CODE on."""

FIRST_PACK_CODE = 16
REJECTS_SHOWN_MAX = 1000


class Trial(msgspec.Struct, frozen=True):
    """A version that is tried beside the champion of its pack.

    share_bp : basis points of the subjects it decides for; 0 = none, it runs in the shadow, after the reply
    """

    pack: str
    hash: str
    version: str
    share_bp: int = 0


class Activated(msgspec.Struct, frozen=True):
    """Payload of a `packs.activated` event: the whole set that is active from this offset on.

    packs : name → content hash of its folder
    codes : event type name → code, append-only over the life of a log
    sources : source with state ("pack.name") → version
    trials : versions that are tried beside them
    by, why : who put them in force directly, and why nobody else was asked; the steps of versions say it themselves
    """

    packs: dict[str, str]
    versions: dict[str, str]
    codes: dict[str, int]
    engine: str
    sources: dict[str, str] = {}
    trials: tuple[Trial, ...] = ()
    by: str = ""
    why: str = ""


class PlatformEvent(NamedTuple):
    """One of the platform's own events with its decoded payload."""

    offset: int
    type: int
    payload: bytes
    received_ms: int


def fold_list(lists: Lists, event: PlatformEvent) -> None:
    """Fold a change of a list, or a verdict on one, into the lists."""
    if event.type == LIST_CHANGED:
        lists.apply(msgspec.json.decode(event.payload, type=ListEvent), event.offset, event.received_ms)
    else:
        lists.judge(msgspec.json.decode(event.payload, type=ListVerdict), event.received_ms)


class State:
    """Every fold of the log up to `head`.

    Attributes
    ----------
    program : what the active packs compile to
    features : windows of every key, made by `make_windows`: in this process, unless told otherwise
    sources : sources with state, in the program's order
    actors : token digest (hex) → actor
    decided : (event type code, severity, status) → decisions
    events : event type code → events
    rejects : offsets of the newest rejected requests; `rejected` counts them all
    overflows : sums that did not fit 64 bits since this process started
    versions : the versions of every pack and the steps they took
    lists : the lists that policies ask
    ledger : accounts and transfers; live it judges what is posted, in recovery it applies what was
    told : how far applied transfers were told as events
    book : instances of processes, and their timers
    outbox : messages that wait to be sent, and dead letters
    loans : of the products that packs declare
    erasures : subject pseudonym (hex) → offset of the newest event that erased it
    """

    def __init__(self, program: Program, make_windows: MakeWindows = HERE) -> None:
        self.program, self.make_windows = program, make_windows
        self.features = make_windows(program.plan)
        self.sources = self._looking(program.new_sources())
        self.head, self.received_ms = 0, 0
        self.actors: dict[str, Actor] = {}
        self.decided: Counter[tuple[int, int, int]] = Counter()
        self.events: Counter[int] = Counter()
        self.rejected, self.overflows = 0, 0
        self.rejects: deque[int] = deque(maxlen=REJECTS_SHOWN_MAX)
        self.erasures: dict[str, int] = {}
        self.versions = Versions()
        self.lists = Lists()
        self.ledger = Ledger()
        self.told = Told()
        self.book = Book()
        self.outbox = Outbox()
        self.loans = Loans()
        self.loans.under(program.packs)

    def move(self, decisions: Sequence[DecisionFact | None], received_ms: int) -> None:
        """Fold the steps that decisions make, in order."""
        self.book.apply([step for one in decisions if one is not None for step in one.moves.steps], received_ms)

    def apply(self, columns: FactColumns, received_ms: int, *, read: bool = True) -> Moments:
        """Fold facts of packs, in order.

        Returns
        -------
        What was known of each event at its own moment, where `read`.
        """
        self.count(columns)
        return self.apply_windows(columns, received_ms, read=read)

    def count(self, columns: FactColumns) -> None:
        """Fold facts into the counts."""
        counts = np.bincount(columns.type[columns.kind == EVENT])
        for code in np.flatnonzero(counts).tolist():
            self.events[code] += int(counts[code])
        self.told = self.told.after(columns, self.program)
        fold_answers(self.outbox, columns, self.program.answers)
        for triple, count in decision_counts(columns, columns.kind == DECISION):
            self.decided[triple] += count

    def apply_windows(self, columns: FactColumns, received_ms: int, *, read: bool = False) -> Moments:
        """Fold events into the windows and the sources, and read what they know of each one where `read`."""
        is_event = columns.kind == EVENT
        if not (read or is_event.any()):  # Decisions of a group: no window takes them.
            return Moments(np.empty((0, 0), np.int64), _no_answers(0))
        if not is_event.all():
            columns = FactColumns(*(column[is_event] for column in columns))
        try:
            raw = self._run(columns, read)
        except FeatureOverflow as overflow:
            # The events are applied; only the sums that do not fit are unknown, and null to every policy.
            self.overflows += len(overflow.cells)
            raw = overflow.raw
        if not self.sources:
            return Moments(raw, _no_answers(len(raw)))
        batch = columns.batch(slice(None), self.head, received_ms)
        answers = [source.apply(batch, read) for source in self.sources]
        return Moments(raw, np.hstack(answers) if read else _no_answers(len(raw)))

    def _run(self, columns: FactColumns, read: bool) -> NDArray[np.int64]:
        arrays = (columns.type, columns.time_ms, columns.keys, columns.numbers)
        if isinstance(self.features, FeatureState):
            return self.features.run(*arrays, read=read)
        return self.features.run_at(self.head, *arrays, read=read)

    def keep_windows(self, make_windows: MakeWindows) -> None:
        """Keep windows as `make_windows` says from here on; they fold the log by themselves up to the head."""
        self.make_windows = make_windows
        self.features = make_windows(self.program.plan)
        if not isinstance(self.features, FeatureState):
            self.features.follow(self.head)

    def switch(self, program: Program) -> bool:
        """Put a program in force. True if its folds or sources differ, so that they must be folded again."""
        changed = program.digest() != self.program.digest()
        self._put_in_force(program)
        if changed:
            self.reset_windows()
        return changed

    def _put_in_force(self, program: Program) -> None:
        self.program, self.told = program, self.told.under(program, self.ledger.facts_n)
        self.loans.under(program.packs)

    def adopt(self, program: Program, folded: State | None) -> None:
        """Put a program in force, with windows and sources that it has folded where they differ."""
        self._put_in_force(program)
        if folded is not None:
            self._let_go()
            self.features, self.sources = folded.features, self._looking(folded.sources)

    def reset_windows(self) -> None:
        """Forget every window and what sources have folded, under the program's plan."""
        self._let_go()
        self.features = self.make_windows(self.program.plan)
        self.sources = self._looking(self.program.new_sources())

    def _looking(self, sources: list[StatefulSource]) -> list[StatefulSource]:
        """The sources, those of balances and loans looking at ledger and loans of this state."""
        for one in sources:
            if isinstance(one, BalanceSource):
                one.look_at(lambda: self.ledger)
            elif isinstance(one, LoanSource):
                one.look_at(lambda: self.loans.book)
        return sources

    def _let_go(self) -> None:
        if not isinstance(self.features, FeatureState):
            self.features.close()

    def peek(self, columns: FactColumns, received_ms: int) -> Moments:
        """What `apply` would give, with nothing changed (dry run)."""
        arrays = (columns.type, columns.time_ms, columns.keys, columns.numbers)
        if isinstance(self.features, FeatureState):
            raw = self.features.peek(*arrays)
        else:
            raw = self.features.peek_at(self.head, *arrays)
        if not self.sources:
            return Moments(raw, _no_answers(len(raw)))
        batch = columns.batch(slice(None), self.head, received_ms)
        return Moments(raw, np.hstack([source.peek(batch) for source in self.sources]))

    def apply_platform(self, event: PlatformEvent) -> None:
        """Fold one of the platform's own events. `switch` folds a change of packs, which needs the content store."""
        if event.type == TOKEN_ISSUED:
            actor = msgspec.json.decode(event.payload, type=Actor)
            self.actors[actor.token_digest.hex()] = actor
        elif event.type == TOKEN_REVOKED:
            digest = msgspec.json.decode(event.payload, type=dict[str, str])["token_digest"]
            self.actors.pop(digest, None)
        elif event.type == INTAKE_REJECTED:
            self.rejected += 1
            self.rejects.append(event.offset)
        elif event.type == SUBJECT_ERASED:
            self.erasures[msgspec.json.decode(event.payload, type=dict[str, str])["subject"]] = event.offset
        elif event.type == VERSION_MOVED:
            self.versions.apply(msgspec.json.decode(event.payload, type=Move))
        elif event.type == MESSAGES_RETRIED:
            retried = msgspec.json.decode(event.payload, type=Retried)
            self.outbox.ask_again(np.frombuffer(retried.ids, np.uint64).reshape(-1, 2), event.received_ms)
        elif event.type in (LIST_CHANGED, LIST_JUDGED):
            fold_list(self.lists, event)
        elif event.type == PACKS_ACTIVATED:
            self._install(msgspec.json.decode(event.payload, type=Activated), event.received_ms)

    def _install(self, activated: Activated, received_ms: int) -> None:
        """Packs that no step made champion were put in force directly; jobs count from here on."""
        self.book.runs.know(job_codes(activated.codes), received_ms)
        for pack, hash in sorted(activated.packs.items()):
            champion = self.versions.champion(pack)
            if champion is None or champion.hash != hash:
                version = activated.versions[pack]
                self.versions.apply(Move(pack, hash, version, INSTALLED, activated.by, activated.why, 0, received_ms))

    def _kept(self, lists: bytes = b"") -> bytes:
        """The small folds as bytes; `lists` is what is small of the lists."""
        kept = Kept(
            self.head,
            self.received_ms,
            self.program.activation,
            self.actors,
            {"/".join(map(str, key)): count for key, count in sorted(self.decided.items())},
            dict(sorted(self.events.items())),
            self.rejected,
            list(self.rejects),
            self.erasures,
            self.versions.keep(),
            lists,
            self.told,
        )
        return msgspec.msgpack.encode(kept)

    def keep(self) -> tuple[bytes, dict[str, Any]]:
        """What a snapshot stores: the small folds as bytes, the windows and the state of sources as arrays, cold keys
        as a stream. To be written before the next event is applied."""
        arrays = self.features.parts() if isinstance(self.features, FeatureState) else {}
        for number, source in enumerate(self.sources):
            arrays.update({f"{SOURCE}{number}.{name}": array for name, array in source.dump().items()})
        if self.sources:
            arrays[SOURCES] = np.frombuffer(bytes.fromhex(self.program.digest()), np.uint8)
        lists, held = self.lists.keep()
        arrays.update({f"{LIST}{name}": array for name, array in held.items()})
        if self.ledger.facts_n:
            arrays.update({f"{LEDGER}{name}": array for name, array in self.ledger.dump().items()})
        if self.book.steps or self.book.runs.jobs:
            arrays.update({f"{BOOK}{name}": array for name, array in self.book.dump().items()})
        if self.outbox.next_serial or self.outbox.unexpected:
            arrays.update({f"{OUTBOX}{name}": array for name, array in self.outbox.dump().items()})
        if self.loans.products:
            arrays.update({f"{LOANS}{name}": array for name, array in self.loans.dump().items()})
        return self._kept(lists), arrays

    @classmethod
    def restore(
        cls, program: Program, kept: bytes, arrays: dict[str, NDArray], make_windows: MakeWindows = HERE
    ) -> State:
        """The state that `keep` stored. `program` must be the one that was active then."""
        values = msgspec.msgpack.decode(kept, type=Kept)
        state = cls(program, make_windows)
        if isinstance(make_windows, Here):
            state.features = make_windows.load(program.plan, arrays)
        state._load_sources(arrays)
        state.head, state.received_ms, state.actors = values.head, values.received_ms, values.actors
        for key, count in values.decided.items():
            code, severity, status = map(int, key.split("/"))
            state.decided[code, severity, status] = count
        state.events.update(values.events)
        state.rejected, state.erasures = values.rejected, values.erasures
        state.versions = Versions(values.versions)
        if values.lists:
            state.lists = Lists.restore(values.lists, named(arrays, LIST))
        state.rejects.extend(values.rejects)
        state.told = values.told
        state.ledger = cls.ledger_of(arrays)
        state.book = cls.book_of(arrays)
        if held := named(arrays, OUTBOX):
            state.outbox = Outbox.load(held)
        state.loans = Loans.load(named(arrays, LOANS), program.packs)
        return state

    @staticmethod
    def ledger_of(arrays: dict[str, NDArray]) -> Ledger:
        """The ledger among the arrays that `keep` gave; an empty one where it had no facts."""
        held = named(arrays, LEDGER)
        return Ledger.load(held) if held else Ledger()

    @staticmethod
    def book_of(arrays: dict[str, NDArray]) -> Book:
        """The instances of processes among the arrays that `keep` gave; an empty book where there were no steps."""
        held = named(arrays, BOOK)
        return Book.load(held) if held else Book()

    def _load_sources(self, arrays: dict[str, NDArray]) -> None:
        if not self.sources:
            return
        folded_by = arrays[SOURCES].tobytes().hex() if SOURCES in arrays else "no sources"
        if folded_by != self.program.digest():
            raise InputError(
                "the dump belongs to other sources",
                where="sources",
                found=folded_by[:16],
                allowed=self.program.digest()[:16],
                cure="Rebuild the state from the log.",
            )
        for number, source in enumerate(self.sources):
            source.load(named(arrays, f"{SOURCE}{number}."))

    @staticmethod
    def activation_of(kept: bytes) -> int:
        """Offset of the activation that was in force when `keep` was called."""
        return msgspec.msgpack.decode(kept, type=Kept).activation

    def digest(self) -> str:
        """SHA-256 (hex) of everything folded: two states with the same log prefix have the same digest."""
        kept = self._kept()
        digests = [self.features.digest(), *(source.digest() for source in self.sources), self.lists.digest()]
        digests += [self.ledger.digest().hex(), self.book.digest(), self.outbox.digest(), self.loans.digest()]
        return hashlib.sha256(kept + "".join(digests).encode()).hexdigest()

    def outcomes(self) -> dict[str, int]:
        """Decisions by outcome."""
        totals: Counter[str] = Counter()
        for (_, severity, status), count in self.decided.items():
            if STATUSES[status] == RECORDED:
                continue
            totals[self.program.outcomes[severity]] += count
        return dict(totals)

    def statuses(self) -> dict[str, int]:
        """Decisions by status: decided, failed, late."""
        totals: Counter[str] = Counter()
        for (_, _, status), count in self.decided.items():
            totals[STATUSES[status]] += count
        return dict(totals)


def _no_answers(rows: int) -> NDArray[np.float64]:
    return np.empty((rows, 0))
