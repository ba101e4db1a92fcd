"""The writer: takes groups through the main path in memory, then makes them durable and answers.

`prepare` runs the path; `commit` seals, appends as one durable batch and answers, and may run in another thread.
Commits are in the order of prepares. The next group may be prepared while one commits: the state is then ahead of
the log by that group, which is safe because a failed append stops the process. The log is the truth.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from itertools import chain, islice, repeat
from operator import add
from typing import Any, NamedTuple

import msgspec
import numpy as np

from quanheng.deciding import decide
from quanheng.events.intake import Intake, Refusal, Request, decode_event_body
from quanheng.events.schema import NO_KEY
from quanheng.facts import DECISION_NUMBERS
from quanheng.kernel.entries import NO_DECISION, Entry
from quanheng.kernel.errors import AppendFailed, DataErased, LogCorrupt, RequestConflict, SealBroken
from quanheng.kernel.index import RequestIndex
from quanheng.kernel.log.headers import encode_headers
from quanheng.kernel.log.log import Log
from quanheng.kernel.log.records import DECISION, EVENT, NO_CAUSE, NONE_16, encode_header
from quanheng.kernel.seal import KeyRing
from quanheng.ledger.business_days import BusinessDays
from quanheng.once import UNNAMED, Once
from quanheng.path import Decide, Group, Repeat, Taken, check_due, handle, try_alone
from quanheng.reading import Reader
from quanheng.replying import Recent, Reply, differences, reply_to
from quanheng.state import INTAKE_REJECTED, PlatformEvent, State
from quanheng.ticking import due_requests

Clock = Callable[[], int]
REJECTED_DATA_LENGTH_MAX = 4096
RECENT_BYTES_MAX = 2048
RECENT_TRANSFERS_MAX = 32
RECENT_MIN = 50_000
"""How many of the newest events are kept in memory to answer repeats without reading the log."""


class Pending(NamedTuple):
    """A group that was taken in memory and is not yet durable: its records side by side, not yet sealed.

    more : records that follow them and need no seal, joined: facts of the ledger
    due : how many items of the group tell of timers; nobody waits for an answer to them
    """

    first: int
    received_ms: int
    headers: list[bytes]
    subjects: list[bytes]
    payloads: list[bytes]
    group: Group | None
    more: bytes = b""
    due: int = 0


class Writer:
    """The one writer of a log. One caller prepares, in order; one committer commits, in the same order.

    judge : decides, here or elsewhere
    days : which business day a moment belongs to
    """

    def __init__(
        self, log: Log, ring: KeyRing, index: RequestIndex, reader: Reader, state: State, clock: Clock
    ) -> None:
        self.log, self.ring, self.index, self.reader, self.state, self.clock = log, ring, index, reader, state, clock
        self._intake = Intake(state.program.types, ring)
        self._in_flight: dict[bytes, int] = {}
        self._in_flight_lock = threading.Lock()
        self._recent: dict[int, Recent] = {}
        self.judge: Decide = decide
        self.days = BusinessDays()

    def renew_intake(self) -> None:
        """Read requests by the event types of the program now in force."""
        self._intake = Intake(self.state.program.types, self.ring)

    def prepare(self, requests: Sequence[Request], received_ms: int | None = None) -> Pending:
        """Take a group of requests through the main path in memory. Call `commit` with what it returns, in order.

        received_ms : its stamp, where that was taken already
        """
        received_ms = self.stamp() if received_ms is None else received_ms
        due = due_requests(self.state.program, self.state.book, received_ms)
        requests = [*due, *requests] if due else requests
        keys = self._intake.keys(requests)
        seen, day = self._seen(keys), self.days.day_of(received_ms)
        group = handle(self.state, self._intake, requests, keys, received_ms, seen, day=day, judge=self.judge)
        check_due(group, len(due))
        pending = Pending(group.first, received_ms, [], [], [], group, due=len(due))
        self._add_records(pending, group)
        if pending.headers:  # A group that records nothing leaves no trace of its time either.
            self.state.received_ms = received_ms
        return pending

    def commit(self, pending: Pending) -> list[Reply]:
        """Seal the group, append it as one durable batch, and answer. May run in another thread than `prepare`.

        Raises
        ------
        LogError : the group is not durable and never will be; the process must stop.
        """
        self._append(pending)
        return self._replies(pending.group)[pending.due :] if pending.group is not None else []

    @property
    def is_due(self) -> bool:
        """Whether a timer of a process is due by now: the next group, be it of nothing else, fires it."""
        due_ms = self.state.book.timers.next_due_ms
        return due_ms is not None and due_ms <= self.stamp()

    def submit(self, requests: Sequence[Request]) -> list[Reply]:
        """`prepare` and `commit` in one call: one group."""
        return self.commit(self.prepare(requests))

    def dry_run(self, requests: Sequence[Request]) -> list[Reply]:
        """Decide as if the events entered now, each alone; record nothing."""
        replies = []
        for request in requests:
            received_ms = self.stamp()
            keys = self._intake.keys([request])
            taken = {key: entry.event for key, entry in self.index.lookup(keys).items()}
            day = self.days.day_of(received_ms)
            item = try_alone(self.state, self._intake, request, received_ms, taken, day=day)
            replies.append(self._repeated(item) if isinstance(item, Repeat) else reply_to(item, -1, -1))
        return replies

    def stamp(self) -> int:
        """The writer's stamp for now: never decreasing, whatever the clock does."""
        return max(self.state.received_ms, self.clock())

    def _seen(self, keys: Sequence[bytes]) -> dict[bytes, int]:
        """Which of these request ids were taken before: in flight (memory) or recorded (index).

        Memory is asked first: a key leaves it only after the index has it, so no key can be missed in between.
        """
        seen: dict[bytes, int] = {}
        if self._in_flight:
            with self._in_flight_lock:
                seen = {key: self._in_flight[key] for key in keys if key in self._in_flight}
        for key, entry in self.index.lookup(keys).items() if keys else ():
            seen[key] = entry.event
        return seen

    def _add_records(self, pending: Pending, group: Group) -> None:
        """Headers and payloads of a group, in the order of their offsets; they are sealed at commit."""
        for column in pending.headers, pending.subjects, pending.payloads:
            column.extend([b""] * (group.head - group.first))
        by_code: dict[int, list[Taken]] = {}
        for item in group.items:
            if isinstance(item, Taken):
                by_code.setdefault(item.event.code, []).append(item)
        for code, taken in by_code.items():
            self._add_taken(pending, code, taken)
        if sum(map(len, by_code.values())) < len(group.items):
            self._add_refusals(pending, group)
        places = [offset - group.first for offset, _ in group.facts]
        nobody, in_clear = [NO_KEY] * len(places), [b""] * len(places)  # Facts of the ledger need no seal.
        _place(pending, places, [record for _, record in group.facts], nobody, in_clear)

    def _add_taken(self, pending: Pending, code: int, taken: Sequence[Taken]) -> None:
        """The records of events of one type, and of their decisions."""
        events, offsets = [item.event for item in taken], [item.offset for item in taken]
        times = [event.time_ms for event in events]
        subjects = [event.subject for event in events]
        payloads = [event.payload for event in events]
        keys = [event.request_key for event in events]
        joined, received_ms = b"".join(subjects), pending.received_ms
        headers = encode_headers(
            EVENT, code, times, received_ms, NO_CAUSE, joined, b"".join(keys), b"".join([e.tail for e in events]),
            self.state.program.widths[code], list(map(len, payloads)),
        )  # fmt: skip
        places = [offset - pending.first for offset in offsets]
        _place(pending, places, headers, subjects, payloads)
        decisions = [item.decision for item in taken if item.decision is not None]
        if decisions:  # All events of a type are decided, or none.
            payloads = [decision.payload for decision in decisions]
            numbers = np.array([decision.numbers for decision in decisions], np.int64).tobytes()
            headers = encode_headers(
                DECISION, code, times, received_ms, offsets, joined, b"", numbers, (0, DECISION_NUMBERS),
                list(map(len, payloads)),
            )  # fmt: skip
            _place(pending, [place + 1 for place in places], headers, subjects, payloads)
        with self._in_flight_lock:
            self._in_flight.update(zip(keys, offsets, strict=True))

    def _add_refusals(self, pending: Pending, group: Group) -> None:
        place = group.ended
        for item in group.items:
            if isinstance(item, Taken):
                place = item.offset - pending.first + (1 if item.decision is None else 2) + item.facts
            elif isinstance(item, Refusal) and not item.request.position:
                self._add_rejected(pending, place, item)
                place += 1

    def _add_rejected(self, pending: Pending, place: int, refusal: Refusal) -> None:
        """A refused request is recorded, sealed under a subject of its own, so that nothing is lost silently."""
        request, received_ms = refusal.request, pending.received_ms
        payload = msgspec.json.encode(
            {
                "client": _text(request.client),
                "id": _text(request.id[:200]),
                "type": _text(request.type[:200]),
                "error": _text(str(refusal.error)),
                "data": request.data[:REJECTED_DATA_LENGTH_MAX].decode("utf-8", "replace"),
                "data_length_bytes": len(request.data),
            }
        )
        subject = self.ring.pseudonym(*self.subject_of_rejected(request))
        self.state.apply_platform(PlatformEvent(pending.first + place, INTAKE_REJECTED, b"", received_ms))
        header = encode_header(
            EVENT, INTAKE_REJECTED, received_ms, received_ms, NO_CAUSE, subject, NONE_16, NONE_16, (), (),
            len(payload), True,
        )  # fmt: skip
        _place(pending, [place], [header], [subject], [payload])

    def subject_of_rejected(self, request: Request) -> tuple[str, str]:
        """Who a refused request is about, where that can be read: erasing the subject erases it too."""
        event_type = self.state.program.types.get(request.type)
        subject = event_type.subject if event_type is not None else None
        if subject is not None:
            field, entity = subject
            try:
                id = msgspec.json.decode(request.data, type=dict[str, Any]).get(field)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                id = None
            if isinstance(id, str) and id:
                return entity, id
        return "quanheng.intake", "rejected"

    def _append(self, pending: Pending) -> None:
        headers = pending.headers
        if not headers and not pending.more:
            return
        if self.log.head != pending.first:  # Before it is durable: a record at another offset would name a wrong cause.
            raise AppendFailed(
                "the log is not where the state is",
                found=f"offset {self.log.head}",
                allowed=f"{pending.first}",
                cure="Restart: the state is rebuilt from the log.",
            )
        sealed = self.ring.seal_many(pending.subjects, headers, pending.payloads)
        self.log.append(list(map(add, headers, sealed)), pending.received_ms, pending.more)
        if pending.group is not None:
            taken = [item for item in pending.group.items if isinstance(item, Taken)]
            keys = [item.event.request_key for item in taken]
            offsets = [item.offset for item in taken]
            decisions = [NO_DECISION if item.decision is None else item.offset + 1 for item in taken]
            self.index.add_taken(keys, offsets, NONE_16 * len(keys), decisions, self.log.head)
            with self._in_flight_lock:
                for key in keys:
                    self._in_flight.pop(key, None)
        elif pending.more:
            self.index.add_taken([], [], b"", [], self.log.head)

    def _replies(self, group: Group) -> list[Reply]:
        recent = self._recent
        replies = []
        for item in group.items:
            if isinstance(item, Taken):
                reply = reply_to(item, item.offset, item.offset + 1)
                event = item.event
                if len(event.payload) <= RECENT_BYTES_MAX and len(reply.transfers) <= RECENT_TRANSFERS_MAX:
                    recent[item.offset] = Recent(
                        event.code, event.payload, item.decision is not None, reply.outcome, tuple(reply.reasons),
                        tuple(reply.transfers),
                    )  # fmt: skip
                replies.append(reply)
            elif isinstance(item, Repeat):
                replies.append(self._repeated(item))
            else:
                replies.append(reply_to(item, -1, -1))
        if len(recent) > 2 * RECENT_MIN:
            self._recent = dict(islice(recent.items(), len(recent) - RECENT_MIN, None))
        return replies

    def forget_recent(self) -> None:
        """Drop recent answers from memory: a subject was erased."""
        self._recent = {}

    def _repeated(self, item: Repeat) -> Reply:
        """The recorded answer of a repeated id, or a conflict that names the fields that differ."""
        request = item.request
        recent = self._recent.get(item.offset)  # A client that sends again mostly does so soon.
        if recent is None:
            try:
                recent = self._recorded(item)
            except (DataErased, SealBroken) as error:
                return Reply(request.id, "conflict", error=str(error))
        same_type = self.state.program.codes.get(request.type) == recent.code
        differs = differences(request.data, decode_event_body(recent.payload).data, same_type)
        if differs:
            conflict = RequestConflict(
                "this request id was used before with other content",
                where="id",
                found=request.id,
                allowed="the same content again",
                cure=f"It differs in: {', '.join(differs)}. Send new content under a new id.",
            )
            return Reply(request.id, "conflict", item.offset, error=str(conflict))
        if not recent.decided:
            return Reply(request.id, "repeated", item.offset)
        return Reply(
            request.id, "repeated", item.offset, item.offset + 1, recent.outcome, recent.reasons,
            transfers=recent.transfers,
        )  # fmt: skip

    def _recorded(self, item: Repeat) -> Recent:
        """The answer as the log has it."""
        event, decision = self.reader.event(item.offset), self.reader.decision_of(item.offset)
        if event.record.request != item.request_key:
            raise LogCorrupt(
                "the request index belongs to another log",
                where=self.index.path,
                found=f"another request at offset {item.offset}",
                cure="Stop, delete the index file and start again: it is built again from the log.",
            )
        if decision is None:
            return Recent(event.type, event.payload, False)
        body = decision.body
        return Recent(event.type, event.payload, True, body.outcome, tuple(body.reasons), tuple(body.transfers))

    def append_made(self, records: Sequence[tuple[bytes, bytes]], received_ms: int) -> int:
        """Append records (header, payload in clear) at once, and give the first offset. No group may be in flight."""
        offset, (headers, payloads) = self.state.head, zip(*records, strict=True)
        self._append(Pending(offset, received_ms, [*headers], [NO_KEY] * len(records), [*payloads], None))
        self.state.head, self.state.received_ms = offset + len(records), received_ms
        return offset

    def record(self, code: int, payload: object) -> int:
        """Append one of the platform's own events at once, and give its offset. No group may be in flight."""
        return self.record_all([(code, payload)])

    def record_all(
        self,
        events: Sequence[tuple[int, object]],
        once: Once = UNNAMED,
        behind: Callable[[int, int], list[bytes]] = lambda cause, received_ms: [],
    ) -> int:
        """Append some of the platform's own events, all or none, and give the offset of the first.

        once : the request they were asked for by, which the first of them carries
        behind : clear records that follow them in the same append, given the offset of the last of them and the stamp
        """
        offset, received_ms = self.state.head, self.stamp()
        bodies = [msgspec.json.encode(payload) for _, payload in events]
        headers = [
            encode_header(EVENT, code, received_ms, received_ms, NO_CAUSE, NONE_16, *asked, (), (), len(body), False)
            for (code, _), body, asked in zip(events, bodies, chain([once], repeat(UNNAMED)), strict=False)
        ]
        more = behind(offset + len(events) - 1, received_ms)
        self._append(Pending(offset, received_ms, headers, [NO_KEY] * len(events), bodies, None, b"".join(more)))
        self.state.head, self.state.received_ms = offset + len(events) + len(more), received_ms
        for number, ((code, _), body) in enumerate(zip(events, bodies, strict=True)):
            self.state.apply_platform(PlatformEvent(offset + number, code, body, received_ms))
        if once != UNNAMED:
            self.index.add([(once.key, Entry(offset, once.digest))], self.state.head)
        return offset


def _place(
    pending: Pending,
    places: Sequence[int],
    headers: Sequence[bytes],
    subjects: Sequence[bytes],
    payloads: Sequence[bytes],
) -> None:
    """Put records where their offsets are in the group."""
    all_headers, all_subjects, all_payloads = pending.headers, pending.subjects, pending.payloads
    for place, header, subject, payload in zip(places, headers, subjects, payloads, strict=True):
        all_headers[place], all_subjects[place], all_payloads[place] = header, subject, payload


def _text(value: str) -> str:
    """`value` with what UTF-8 cannot say replaced, so that it can be recorded."""
    return value.encode("utf-8", "replace").decode()
