"""The engine: opens the log, recovers the state, owns the writer; activates packs, issues tokens, answers reads."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, Self

import msgspec

from quanheng import governing, recovery
from quanheng.activation import Proposal, check_layouts, in_force_of, propose
from quanheng.decisions.versions import Move
from quanheng.facts import events_columns
from quanheng.features.bounded import Here, memory_of
from quanheng.indexing import open_index
from quanheng.kernel.content import ContentStore
from quanheng.kernel.errors import ConfigurationError, NotFound
from quanheng.kernel.index import RequestIndex
from quanheng.kernel.log.log import Log
from quanheng.kernel.log.sqlite import SqliteLogStore
from quanheng.kernel.log.store import LogStore
from quanheng.kernel.seal import KeyRing
from quanheng.kernel.signing_keys import ED25519_ALONE, Signing
from quanheng.kernel.snapshot import Snapshots
from quanheng.kernel.steady import SteadyClock, begin_after
from quanheng.listing import Listing
from quanheng.loading.files import PackFiles
from quanheng.migrating import steps_between
from quanheng.once import UNNAMED, Once, offset_of
from quanheng.posting import Posting
from quanheng.processes.records import encode_step
from quanheng.program import Program
from quanheng.prompting import Prompting
from quanheng.reading import Reader
from quanheng.registering import Registry
from quanheng.resending import Resending
from quanheng.state import (
    PACKS_ACTIVATED,
    SUBJECT_ERASED,
    VERSION_MOVED,
    Activated,
    State,
)
from quanheng.telling import Teller
from quanheng.tokens import Tokens
from quanheng.working import Jobs
from quanheng.writer import Clock, Writer

KEY_HOLDER = "key holder"
"""Who acts where no token is asked for: whoever may open the key ring folder."""

JUMP_MS_MAX = 1_000
"""How far the machine's clock may leap and be followed at once, and how far a log may be ahead of it on opening."""


def system_clock_ms() -> int:
    """The machine's clock, epoch milliseconds UTC. Only the edge reads it; everything below is told the time."""
    return time.time_ns() // 1_000_000


def passed_ms() -> int:
    """Milliseconds that nobody sets; where the system has such a clock, sleep of the machine is counted."""
    return time.clock_gettime_ns(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)) // 1_000_000


def steady_memory() -> None:
    """Keep the garbage collector from walking the whole state again and again.

    For a process that does nothing but serve: what is alive now is set apart. Facts hold no cycles, and what is kept of
    an answered request is nothing that the collector has to walk; so a collection of the young finds little, and takes
    a millisecond or two where one of a hundred thousand took twenty. Changes the whole process, therefore it is for its
    owner to call.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 50, 100)


class Engine:
    """Open one with `Engine.open`; one process, one engine, one writer.

    four_eyes : whether a champion can only be replaced by two people, or by breaking the glass
    """

    def __init__(
        self,
        folder: Path,
        ring: KeyRing,
        log: Log,
        content: ContentStore,
        snapshots: Snapshots,
        index: RequestIndex,
        state: State,
        clock: Clock,
    ) -> None:
        self.folder, self.ring, self.log, self.content, self.snapshots = folder, ring, log, content, snapshots
        self.index, self.state, self.reader = index, state, Reader(log, content, ring)
        self.four_eyes, self._key_destroyed = False, True
        self.on_close: list[Callable[[], None]] = []
        self.more_metrics: Callable[[], dict[str, Any]] = dict
        self.models = Registry(content)
        self.writer = Writer(log, ring, index, self.reader, state, clock)
        self.lists, self.ledger = Listing(self.writer, self.reader), Posting(self.writer)
        self.teller = Teller(self.writer)
        self.tell_posted = self.teller.tell
        self.jobs = Jobs(self.writer)
        self.run_jobs = self.jobs.run
        self.prompting = Prompting(self.writer, self.jobs, self.teller)
        self.carry_out = self.prompting.carry_out
        self.outbox = Resending(self.writer, self.reader)
        self.tokens = Tokens(self.writer)
        self.issue_token, self.revoke_token = self.tokens.issue, self.tokens.revoke
        self.authorise, self.reach = self.tokens.authorise, self.tokens.reach
        self.prepare, self.commit = self.prompting.prepare, self.writer.commit
        self.submit, self.dry_run, self.prove = self.writer.submit, self.writer.dry_run, self.reader.prove
        self.post, self.post_arrays, self.expire = self.ledger.post, self.ledger.post_arrays, self.ledger.expire
        self.open_accounts, self.amend_accounts = self.ledger.open_accounts, self.ledger.amend_accounts

    @classmethod
    def open(
        cls,
        folder: str | Path,
        *,
        keys: str | Path | None = None,
        store: LogStore | None = None,
        clock: Clock | None = None,
        log_ahead_ms_max: int | None = JUMP_MS_MAX,
        owner: str = "engine",
        memory_bytes_max: int = 0,
        signing: Signing = ED25519_ALONE,
        far: recovery.Far | None = None,
        progress: recovery.Progress | None = None,
    ) -> Self:
        """Open the log in `folder` and recover the state: newest snapshot, then the records after it.

        Parameters
        ----------
        folder : data folder; made if absent
        keys : folder of the key ring, apart from the data; default `folder` with `-keys` appended
        store : where the log is kept; default SQLite in `folder`
        clock : epoch milliseconds UTC; default the machine's, followed steadily (`kernel.steady`)
        log_ahead_ms_max : how far the newest stamp of the log may be ahead of the clock; None = go on from it
        memory_bytes_max : bytes of memory for windows, beyond which keys go to disk; 0 = no bound
        signing : under which name, and with which keys of the ring, checkpoints are signed
        far : keeps the windows elsewhere than in this process

        Raises
        ------
        LogCorrupt : the end of the log is not what was written
        ConfigurationError : wrong key ring, or a log from the future
        """
        (folder := Path(folder)).mkdir(parents=True, exist_ok=True)
        ring = KeyRing.open(Path(keys) if keys else folder.with_name(folder.name + "-keys"))
        log = Log.open(store or SqliteLogStore(folder / "log.db"), owner, ring.signer(*signing.of(folder)))
        content, here = ContentStore(folder / "content"), Here(memory_of(folder, memory_bytes_max))
        snapshots, state = recovery.recover(folder, log, content, far, here, progress)
        clock = clock or SteadyClock(system_clock_ms, passed_ms, JUMP_MS_MAX)
        begin_after(clock, state.received_ms, log_ahead_ms_max)
        engine = cls(folder, ring, log, content, snapshots, open_index(folder / "index.db", log), state, clock)
        engine._finish_erasures()
        if in_force_of(engine.reader, state.program).sources != state.program.source_versions():
            engine.activate([])  # Another version of a source answers from here on, so that decisions can name it.
        state.peek(events_columns([], state.program), 0)  # Kernels are loaded before a caller waits for them.
        return engine

    def activate(self, packs: Iterable[PackFiles], *, actor: str = KEY_HOLDER, break_glass: str = "") -> Activated:
        """Check packs, run their golden cases, and put the whole set in force from here on.

        Packs that were active and are not among `packs` stay. Nothing changes if the set is already in force.

        Parameters
        ----------
        actor : who does it
        break_glass : why it is done without a second person, where four eyes are demanded

        Raises
        ------
        DeclarationError : problems of the packs, or golden cases that fail
        NotPermitted : four eyes are demanded and a champion would be replaced without them
        """
        return self.put_in_force(self.propose(packs), actor=actor, break_glass=break_glass)

    def propose(self, packs: Iterable[PackFiles]) -> Proposal:
        """The long half of `activate`: check and rehearse. May run in another thread, beside groups.

        Raises
        ------
        DeclarationError : problems of the packs, or golden cases that fail
        """
        return propose(self.state, self.reader, packs)

    def put_in_force(
        self, proposal: Proposal, *, actor: str = KEY_HOLDER, break_glass: str = "", once: Once = UNNAMED
    ) -> Activated:
        """The short half of `activate`. No group may be in flight. What can fail comes before the events.

        Raises
        ------
        ConfigurationError : other packs were put in force since they were proposed; nothing changed
        DeclarationError : events came that the proposed packs would read otherwise; nothing changed
        NotPermitted : four eyes are demanded and a champion would be replaced without them; nothing changed
        """
        before = in_force_of(self.reader, self.state.program)
        why = governing.check_glass(before, proposal.activated, actor, break_glass, self.four_eyes)
        activated = msgspec.structs.replace(proposal.activated, by=actor, why=why)
        return self._put_in_force(proposal._replace(activated=activated), once=once)

    def propose_step(self, asked: governing.Asked) -> governing.Moving:
        """The long half of a step in the life of a version. May run in another thread, beside groups.

        Raises
        ------
        NotPermitted, InputError, NotFound : the step cannot be taken, and why
        DeclarationError : problems of the content, or golden cases that fail
        """
        return governing.begin(self.state, self.reader, asked)

    def take_step(self, moving: governing.Moving, once: Once = UNNAMED) -> Move:
        """The short half of a step: it and what it puts in force become durable together. No group may be in flight.

        Raises
        ------
        As `propose_step`: another step came between. ConfigurationError : other packs were put in force meanwhile
        """
        governing.check(self.state.versions, moving.move)
        move = msgspec.structs.replace(moving.move, received_ms=self.writer.stamp())
        if moving.proposal is None:
            self.writer.record_all([(VERSION_MOVED, move)], once)
        else:
            self._put_in_force(moving.proposal, move, once)
        return move

    def _put_in_force(self, proposal: Proposal, move: Move | None = None, once: Once = UNNAMED) -> Activated:
        """An activation, with the step that it follows from in the same durable batch."""
        if proposal.base != self.state.program.activation:
            raise ConfigurationError(
                "other packs were put in force while these were being checked",
                where="packs",
                found=f"an activation at offset {self.state.program.activation}",
                allowed=f"the one at offset {proposal.base}",
                cure="Activate again.",
            )
        check_layouts(self.state, proposal.program)
        if not proposal.changes:
            return proposal.activated
        if proposal.folded is not None:
            recovery.fold_windows(proposal.folded, self.log, self.log.head)
        steps = [] if move is None else [(VERSION_MOVED, move)]
        behind = partial(self._led_on, proposal.program)
        events = [*steps, (PACKS_ACTIVATED, proposal.activated)]
        offset = self.writer.record_all(events, once, behind=behind) + len(steps)
        self.state.adopt(recovery.keep_program(proposal.program, proposal.activated, offset), proposal.folded)
        self.writer.renew_intake()
        return proposal.activated

    def _led_on(self, program: Program, cause: int, received_ms: int) -> list[bytes]:
        """Lead instances of processes on to a program that comes into force; the records of that."""
        book = self.state.book
        steps = list(steps_between(self.state.program, program, book, received_ms))
        book.apply(steps, received_ms)
        return [encode_step(one, received_ms, cause) for one in steps]

    def recorded(self, once: Once) -> int | None:
        """Offset of the first event of an operation that was asked for under a request id before; None = it was not.

        Raises
        ------
        RequestConflict : something else was asked under this id
        """
        return offset_of(self.index, self.log, once)

    def erase(self, entity: str, id: str) -> int:
        """Erase a subject: an event, then the destruction of its key. The chain still verifies.

        Returns
        -------
        offset of the erasure event.

        Raises
        ------
        KeyRingBusy : another process holds the key ring; nothing was recorded and nothing erased
        """
        subject = self.ring.pseudonym(entity, id)
        with self.ring.erasing(subject) as destroy:
            offset = self.writer.record(SUBJECT_ERASED, {"subject": subject.hex()})
            self._key_destroyed = destroy(offset)
        self.writer.forget_recent()
        return offset

    def erasure_note(self) -> str:
        """What the last erasure did not find, or what it left to do; empty if it is complete."""
        if not self._key_destroyed:
            return "no key was there: nothing was ever sealed for this subject, or it was erased before"
        if not self.ring.holds_erased_bytes:
            return ""
        return (
            "a process began to read the key ring meanwhile: the key is destroyed, its old bytes may stay in the "
            "write-ahead log of the ring until the next erasure or start"
        )

    def _finish_erasures(self) -> None:
        """Destroy keys whose erasure was recorded but not carried out before a crash.

        A subject that came back after its erasure has a new key, which is left alone.
        """
        for subject, offset in self.state.erasures.items():
            if self.ring.erased_upto(bytes.fromhex(subject)) < offset:
                self.ring.erase(bytes.fromhex(subject), offset)

    # Reads: as of the last committed offset.

    def decision(self, offset: int) -> dict[str, Any]:
        """One decision with its evidence; `offset` is its id."""
        return self.reader.decision(offset)

    def rejects(self, after: int = -1, limit: int = 100) -> dict[str, Any]:
        """Rejected requests: how many in all, and some with why: the newest, or the first behind the offset `after`."""
        kept = [offset for offset in self.state.rejects if after < offset < self.log.head]
        shown = kept[:limit] if after >= 0 else kept[-limit:]
        return {
            "rejected": self.state.rejected,
            "as_of": self.log.head,
            "items": [self.reader.rejected(offset) for offset in shown],
        }

    def versions(self, pack: str = "") -> dict[str, Any]:
        """Every version with where it stands and the steps it took; of one pack, or of all.

        Raises
        ------
        NotFound : the pack has none
        """
        found = governing.shown(self.state.versions, pack)
        if pack and not found:
            known = sorted({one.pack for one in self.state.versions})
            raise NotFound("the pack has no version here", where=pack, allowed=", ".join(known) or "none has one")
        return {"as_of": self.log.head, "versions": found}

    def health(self) -> dict[str, Any]:
        """Committed offset, writer epoch and active packs."""
        activation = self.state.program.activation
        versions = self.reader.activated(activation).versions if activation >= 0 else {}
        return {
            "as_of": self.log.head,
            "epoch": self.log.epoch,
            "packs": versions,
            "development_keys": self.ring.is_development,
        }

    def metrics(self) -> dict[str, Any]:
        """Counts folded from the log, for a metrics page."""
        names = {code: name for name, code in self.state.program.codes.items()}
        return {
            "log_records": self.log.head,
            "events": {names.get(code, str(code)): count for code, count in self.state.events.items()},
            "outcomes": self.state.outcomes(),
            "statuses": self.state.statuses(),
            "rejected": self.state.rejected,
            "versions_awaiting_review": governing.awaiting_review(self.state.versions),
            **self.state.features.metrics(),
            **self.state.ledger.metrics(),
            **self.teller.metrics(),
            **self.outbox.metrics(),
            **self.state.book.metrics(self.writer.stamp()),
            **self.jobs.metrics(),
            "clock_ahead_ms": self.clock_ahead_ms(),
            "clock_jumps": getattr(self.writer.clock, "jumps", 0),
            **self.more_metrics(),
        }

    def clock_ahead_ms(self) -> int:
        """How far the writer's stamps are ahead of the machine's clock (negative: behind), ms."""
        return self.writer.stamp() - getattr(self.writer.clock, "wall", self.writer.clock)()

    def close(self) -> None:
        """Flush the index and close every file. Groups in flight must have been committed."""
        for close in self.on_close:
            close()
        self.index.close()
        self.log.close()
        self.ring.close()
