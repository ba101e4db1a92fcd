"""Windows spread over partitions, as the sequencer sees them: it deals events out, joins answers, and heals.

A group goes to the owners of its entities in one call each; in one more for each round in which folds are read under
keys that others have answered (rounds.py). What was sent is kept until the log holds it: a partition that is lost
begins again elsewhere with its snapshot and the log, and is sent what the log does not hold yet, in order. The vectors
it owes are then computed from the same events in the same order, so they have the same bits.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Any

import numpy as np

from quanheng.cluster.field import ClusterLost, Field, Hold, Lost, Move, even_out
from quanheng.cluster.partition import Answer, Figures, Place, Spec, Take, request
from quanheng.cluster.rounds import Arrays, Group
from quanheng.features.kinds import CALENDAR_KINDS
from quanheng.features.plan import Plan
from quanheng.features.shares import Piece, shares_of
from quanheng.features.state import FeatureOverflow, FeatureState

BUSY_S_MAX = 0.1
"""How long figures wait for decisions, or for a partition that comes back, before they are those of the last look."""
ATTEMPTS = 5
"""How often in a row a partition may be lost before the sequencer gives up."""

Pieces = dict[int, list[Piece]]


class Slot:
    """One partition: where it runs, up to where it was sent events, and those that the log may not hold yet."""

    def __init__(self, hold: Hold) -> None:
        self.hold, self.sent = hold, Place(0)
        self.unlogged: deque[Take] = deque()


class SpreadWindows:
    """`features.windows.Windows` over the partitions of a field. Calls take turns by a lock.

    Parameters
    ----------
    durable : the log's head: what was sent before it need not be sent again
    note : called with what happened and how long it took, for the log of the process: lost, moved
    seconds : tells how long things take; nothing else depends on it

    Attributes
    ----------
    recoveries : (partition, seconds from the failed call until its answer) of each that came back
    moves : (partition, seconds beside decisions, seconds in which decisions waited) of each that moved
    """

    def __init__(
        self, plan: Plan, spec: Spec, field: Field, durable: Callable[[], int],
        note: Callable[[str, dict[str, Any]], None] | None = None, seconds: Callable[[], float] = lambda: 0.0,
    ) -> None:  # fmt: skip
        self.plan, self.spec, self.field, self._durable = plan, spec, field, durable
        self._note = note or (lambda event, told: None)
        self._seconds = seconds
        self.shares = shares_of(plan)
        self._empty = [FeatureState(share.plan) for share in self.shares]
        clock = [fold for fold in plan.folds if fold.fold in CALENDAR_KINDS]  # They ask for the time alone.
        self._clock = FeatureState(
            Plan.compile(plan.layouts, clock, plan.decide, plan.lateness_ms, calendars=plan.calendars)
        )
        asking = [fold.fold in CALENDAR_KINDS for fold in plan.folds]
        self._clock_columns = [at for at, column in enumerate(plan.columns) if asking[column.fold]]
        self._lock = threading.RLock()
        self.recoveries: list[tuple[int, float]] = []
        self.moves: list[tuple[int, float, float]] = []
        self.closed = False
        numbers = range(spec.partitions if self.shares else 0)  # Where there is no fold, nothing is started.
        homeless = dict.fromkeys(numbers, "")
        nodes = {move.partition: move.node for move in even_out(homeless, self._nodes() if homeless else [])}
        self.slots = [Slot(field.start(spec, number, nodes[number])) for number in numbers]
        self._at, self._opened, self._cut = 0, False, False
        self._told: dict[int, Figures] = {}

    # -- what State asks -----------------------------------------------------------------------------------------

    def run_at(
        self, first: int, types: np.ndarray, times: np.ndarray, keys: np.ndarray, numbers: np.ndarray, read: bool = True
    ) -> np.ndarray:
        """`FeatureState.run` of the group that begins at the log's offset `first`; what is folded is passed over.

        Raises
        ------
        FeatureOverflow, InputError : as `FeatureState.run`
        ClusterLost : partitions were lost and no machine took them
        """
        with self._lock:
            if first < self._at and not read:
                return np.empty((0, len(self.plan.columns)), np.int64)
            return self._ask("take", first, (types, times, keys, numbers), read)

    def peek_at(
        self, first: int, types: np.ndarray, times: np.ndarray, keys: np.ndarray, numbers: np.ndarray
    ) -> np.ndarray:
        """`FeatureState.peek` of a group that would begin at `first`. Raises as `run_at`."""
        with self._lock:
            return self._ask("peek", first, (types, times, keys, numbers), True)

    def follow(self, upto: int) -> None:
        """Let every partition fold the committed log up to `upto`, each by itself and all at once.

        Raises
        ------
        ClusterLost : partitions were lost and no machine took them
        """
        with self._lock:
            opened = self._opened or self._at > 0
            if upto <= self._at and opened:
                return
            what, self._opened = "follow" if opened else "open", True  # Also of an empty log: they must be up.
            tickets = [slot.hold.ask(what, *([] if what == "open" else [upto])) for slot in self.slots]
            for number, head in enumerate(self.field.answers(tickets)):
                reached = self._revive(number, head.why) if isinstance(head, Lost) else int(head)
                self.slots[number].sent = Place(reached)
            self._at = upto

    def _ask(self, what: str, first: int, arrays: Arrays, read: bool) -> np.ndarray:
        # Refuses a time or number out of range before anything is sent, and asks the clock.
        clock = self._clock.run(*arrays, read=read)
        group = Group(self.plan, self.shares, arrays, read, self.spec.partitions)
        self._cut = what == "take"
        for round_n in range(group.rounds):
            group.deal(round_n)
            asked, pieces = self._send(what, first, group, round_n)
            for number, answer in self._collect(what, asked).items():
                group.join(pieces[number], answer)
            group.fill(self._empty)
        self._cut = False
        if self._clock_columns:
            group.out[:, self._clock_columns] = clock
        if what == "take" and len(arrays[0]):
            self._at = max(self._at, first + 1)
        if group.overflows:
            names = self.plan.names
            raise FeatureOverflow(sorted(group.overflows, key=lambda cell: (cell[0], names.index(cell[1]))), group.out)
        return group.out

    def _send(self, what: str, first: int, group: Group, round_n: int) -> tuple[dict[int, tuple[Any, Take]], Pieces]:
        """Ask every partition that has a part in the round; tickets and pieces by partition."""
        asked: dict[int, tuple[Any, Take]] = {}
        parts = {}
        durable = self._durable()
        for number, slot in enumerate(self.slots):
            while slot.unlogged and slot.unlogged[0].first < durable:
                slot.unlogged.popleft()
            pieces = group.pieces(number)
            if not pieces:
                continue
            take = request(slot.sent, first, group.arrays, pieces, round_n)
            if what == "take":
                slot.sent = take.place
                slot.unlogged.append(take)
            asked[number] = slot.hold.ask(what, take), take
            parts[number] = pieces
        return asked, parts

    def _collect(self, what: str, asked: dict[int, tuple[Any, Take]]) -> dict[int, Answer]:
        found = self.field.answers([ticket for ticket, _ in asked.values()])
        answers = {}
        for (number, (_, take)), answer in zip(asked.items(), found, strict=True):
            answers[number] = self._again(number, what, take, answer.why) if isinstance(answer, Lost) else answer
        return answers

    # -- healing -------------------------------------------------------------------------------------------------

    def _again(self, number: int, what: str, take: Take, why: str) -> Answer:
        """The answer that a lost partition owes, from the one that takes its place."""
        began_s = self._seconds()
        for _ in range(ATTEMPTS):
            slot = self.slots[number]
            found: list[Any] = []
            try:
                reached = self._revive(number, why)
                if what == "take":
                    found = self._resend(slot, reached)
                else:
                    self._resend(slot, reached)
                    found = self.field.answers([slot.hold.ask(what, take._replace(after=slot.sent))])
            except _LostAgain as again:
                why = again.why
                continue
            if not isinstance(found[-1], Lost):
                self._recovered(number, began_s)
                return found[-1]  # type: ignore[no-any-return]
            why = found[-1].why
        raise self._gone(number, why)

    def _revive(self, number: int, why: str) -> int:
        """Start a lost partition elsewhere; the offset up to which it has folded the log."""
        slot = self.slots[number]
        self._note("partition_lost", {"partition": number, "message": why})
        for _ in range(ATTEMPTS):
            slot.hold.kill()
            nodes = self._nodes()
            if not nodes:
                break
            holders = {n: one.hold.node for n, one in enumerate(self.slots) if n != number}
            held = [sum(node == one for one in holders.values()) for node in nodes]
            slot.hold = self.field.start(self.spec, number, nodes[held.index(min(held))])
            reached = self.field.answers([slot.hold.ask("open")])[0]
            if not isinstance(reached, Lost):
                return int(reached)
            why = reached.why
        raise self._gone(number, why)

    def _resend(self, slot: Slot, reached: int) -> list[Any]:
        """Send what the log did not hold when the partition began anew; what it answers, the newest last."""
        slot.sent = Place(reached)
        answers: list[Any] = []
        for take in slot.unlogged:
            if take.first < reached:
                continue
            answer = self.field.answers([slot.hold.ask("take", take._replace(after=slot.sent))])[0]
            if isinstance(answer, Lost):
                raise _LostAgain(answer.why)
            slot.sent = take.place
            answers.append(answer)
        return answers

    def _gone(self, number: int, why: str) -> ClusterLost:
        return ClusterLost(
            "a partition is lost and no machine of the cluster takes it",
            where=f"partition {number}", found=why, allowed=f"a machine that starts it within {ATTEMPTS} attempts",
            cure="Bring a machine back, then start again: partitions are rebuilt from the log.",
        )  # fmt: skip

    def _nodes(self) -> Sequence[str]:
        nodes = self.field.nodes()
        if not nodes:
            raise ClusterLost(
                "the cluster has no machine that holds partitions", where="cluster", found="no live node",
                allowed="one or more", cure="Start a node (`ray start --address ...`), then start again.",
            )  # fmt: skip
        return nodes

    # -- beside decisions ----------------------------------------------------------------------------------------

    def rebalance(self) -> list[Move]:
        """Move partitions until machines hold them evenly; call it in a thread of its own. What was moved.

        The new one folds snapshot and log while the old one goes on. Decisions wait only while the new one folds the
        last groups and takes over; `moves` says how long.
        """
        with self._lock:
            if self.closed:
                return []
            holders = {number: slot.hold.node for number, slot in enumerate(self.slots)}
        moves = even_out(holders, self.field.nodes())
        return [move for move in moves if self._move(move, holders[move.partition])]

    def _move(self, move: Move, was: str) -> bool:
        began_s = self._seconds()
        slot = self.slots[move.partition]
        hold = self.field.start(self.spec, move.partition, move.node)
        opened = self.field.answers([hold.ask("open")])[0]
        with self._lock:
            waits_s = self._seconds()
            # Healed meanwhile; or put back where it was, as the node it should move to has just gone.
            if isinstance(opened, Lost) or self.closed or slot.hold.node != was or hold.node == was:
                hold.kill()
                return False
            reached = self.field.answers([hold.ask("follow")])[0]
            old, sent = slot.hold, slot.sent
            if not isinstance(reached, Lost):
                slot.hold = hold
                try:
                    self._resend(slot, int(reached))
                except _LostAgain:
                    slot.hold, slot.sent, reached = old, sent, Lost("")
            if isinstance(reached, Lost):
                hold.kill()
                return False
            old.kill()
            ended_s = self._seconds()
        self.moves.append((move.partition, waits_s - began_s, ended_s - waits_s))
        told = {"partition": move.partition, "took_ms": round(1000 * (ended_s - waits_s))}
        self._note("partition_moved", told)
        return True

    def heal(self) -> int:
        """Bring back partitions that were lost since anybody asked them; how many.

        Raises
        ------
        ClusterLost : no machine takes them
        """
        with self._lock:
            if self.closed:
                return 0
            lost = [(number, one.why) for number, one in enumerate(self._look()) if isinstance(one, Lost)]
            for number, why in lost:
                self._heal(number, why)
            return len(lost)

    def _heal(self, number: int, why: str) -> None:
        began_s = self._seconds()
        for _ in range(ATTEMPTS):
            try:
                self._resend(self.slots[number], self._revive(number, why))
            except _LostAgain as again:
                why = again.why
                continue
            self._recovered(number, began_s)
            return
        raise self._gone(number, why)

    def _recovered(self, number: int, began_s: float) -> None:
        took_s = self._seconds() - began_s
        self.recoveries.append((number, took_s))
        self._note("partition_recovered", {"partition": number, "took_ms": round(1000 * took_s)})

    def snapshot(self) -> None:
        """Ask every partition for a snapshot. Nobody waits for it."""
        with self._lock:
            if not (self.closed or self._cut):  # Of a group that was cut off, some partitions hold some rounds.
                for slot in self.slots:
                    slot.hold.ask("snapshot")

    def written(self) -> list[int]:
        """Wait until snapshots are written; their offsets."""
        found = self.field.answers([slot.hold.ask("written") for slot in self.slots])
        return [-1 if isinstance(one, Lost) else int(one) for one in found]

    # -- figures -------------------------------------------------------------------------------------------------

    def figures(self, digest: bool = False) -> list[Figures]:
        """What each partition says of itself; of a lost one nothing."""
        return [one for one in self._look(digest) if not isinstance(one, Lost)]

    def _look(self, digest: bool = False) -> list[Figures | Lost]:
        with self._lock:
            found = self.field.answers([slot.hold.ask("figures", digest) for slot in self.slots])
        self._told.update({number: one for number, one in enumerate(found) if not isinstance(one, Lost)})
        return found

    def told(self) -> dict[int, Figures]:
        """By partition what it says of itself; what each said last where partitions are busy or come back."""
        if self._lock.acquire(timeout=BUSY_S_MAX):
            try:
                self._look()
            finally:
                self._lock.release()
        return dict(self._told)

    @property
    def late(self) -> dict[str, int]:
        """Per fold, how many events came later than the declared lateness and are not in it; see `told`."""
        counts = dict.fromkeys(self.plan.names, 0)
        for one in self.told().values():
            for name, count in one.late.items():
                counts[name] += count
        return counts

    def metrics(self) -> dict[str, int | dict[str, int]]:
        """Figures for a metrics page, summed over the partitions; see `told`."""
        told, keys = self.told().values(), Counter[str]()
        for one in told:
            keys.update(one.keys)
        late = sum(sum(one.late.values()) for one in told)
        return {
            "late_events": late,
            "feature_keys": dict(keys),
            "feature_memory_bytes": sum(one.memory_bytes for one in told),
        }

    def digest(self) -> str:
        """SHA-256 (hex) of what the partitions' windows mean; comparable where there are as many partitions."""
        told = [one.digest for one in self.figures(digest=True)]
        return sha256("".join([self.plan.digest, *told]).encode()).hexdigest()

    def close(self) -> None:
        """End every partition."""
        with self._lock:
            self.closed = True
            for slot in self.slots:
                slot.hold.kill()


class _LostAgain(Exception):
    """A partition that had just begun anew was lost too; `why` is what the field said."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why
