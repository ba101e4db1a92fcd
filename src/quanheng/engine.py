"""The engine: opens everything, owns the writer, and takes groups of requests from `prepare` to durable `commit`.

`prepare` runs the main path in memory; `commit` seals, appends as one durable batch and answers. Commits are
in the order of prepares; the next group may be prepared while one commits (the state is then ahead of the log by
that group, which is safe because a failed append stops the process: the log is the truth).
"""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

import msgspec

from quanheng import recovery
from quanheng.events.intake import Intake, Refusal, Request, decode_event_body
from quanheng.events.schema import NO_KEY
from quanheng.facts import encode_body
from quanheng.kernel.content import ContentStore
from quanheng.kernel.errors import (
    AppendFailed,
    ConfigurationError,
    DataErased,
    DeclarationError,
    NotAuthenticated,
    NotPermitted,
    RequestConflict,
)
from quanheng.kernel.index import Entry, RequestIndex
from quanheng.kernel.log.log import Log
from quanheng.kernel.log.records import DECISION, EVENT, NO_CAUSE, NONE_16, encode_header
from quanheng.kernel.log.sqlite import SqliteLogStore
from quanheng.kernel.log.store import LogStore
from quanheng.kernel.seal import KeyRing
from quanheng.kernel.snapshot import Snapshots
from quanheng.loading.cases import run_cases
from quanheng.loading.files import PackFiles
from quanheng.loading.pack import check_pack
from quanheng.path import Group, Repeat, Taken, handle
from quanheng.reading import Reader
from quanheng.rehearsal import rehearse
from quanheng.state import (
    FIRST_PACK_CODE,
    INTAKE_REJECTED,
    PACKS_ACTIVATED,
    SUBJECT_ERASED,
    TOKEN_ISSUED,
    TOKEN_REVOKED,
    Activated,
    Actor,
    PlatformEvent,
    State,
)

Clock = Callable[[], int]
SCOPES = ("ingest", "read", "admin")
REJECTED_DATA_LENGTH_MAX = 4096


def system_clock_ms() -> int:
    """The machine's clock, epoch milliseconds UTC. Only the engine's edge reads it; everything below is told the time."""
    return time.time_ns() // 1_000_000


class Reply(msgspec.Struct, frozen=True, omit_defaults=True):
    """The answer to one request.

    status : decided | recorded | repeated | rejected | conflict | failed (decided by the fall-back outcome)
    offset : log offset of the event; -1 = none
    decision : log offset of the decision, which is its id; -1 = none
    """

    id: str
    status: str
    offset: int = -1
    decision: int = -1
    outcome: str = ""
    reasons: Sequence[str] = ()
    error: str = ""


class Item(NamedTuple):
    """One record before it is sealed."""

    header: bytes
    subject: bytes
    payload: bytes


class Pending(NamedTuple):
    """A group that was taken in memory and is not yet durable."""

    first: int
    received_ms: int
    items: list[Item]
    group: Group | None


class Engine:
    """Open one with `Engine.open`; one process, one engine, one writer."""

    def __init__(self, folder: Path, ring: KeyRing, log: Log, content: ContentStore, snapshots: Snapshots,
                 index: RequestIndex, state: State, clock: Clock) -> None:
        self.folder, self.ring, self.log, self.content, self.snapshots = folder, ring, log, content, snapshots
        self.index, self.state, self._clock = index, state, clock
        self.reader = Reader(log, content, ring)
        self._intake = Intake(state.program.types, ring)
        self._in_flight: dict[bytes, int] = {}
        self._in_flight_lock = threading.Lock()
        self.rejected_kinds: dict[str, int] = {}

    @classmethod
    def open(cls, folder: str | Path, *, keys: str | Path | None = None, store: LogStore | None = None,
             clock: Clock = system_clock_ms, owner: str = "engine", progress: recovery.Progress | None = None) -> Self:
        """Open the log in `folder` and recover the state: newest snapshot, then the records after it.

        Parameters
        ----------
        folder : data folder; made if absent
        keys : folder of the key ring, apart from the data; default `folder` with `-keys` appended
        store : where the log is kept; default SQLite in `folder`
        clock : epoch milliseconds UTC

        Raises
        ------
        LogCorrupt : the end of the log is not what was written; ConfigurationError : wrong key ring
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        ring = KeyRing.open(Path(keys) if keys else folder.with_name(folder.name + "-keys"))
        log = Log.open(store or SqliteLogStore(folder / "log.db"), owner, ring.signer("quanheng/" + folder.name))
        content, snapshots = ContentStore(folder / "content"), Snapshots(folder / "snapshots")
        state = recovery.rebuild(log, content, snapshots, progress=progress)
        index = RequestIndex(folder / "index.db")
        if index.watermark() > log.head:
            raise ConfigurationError("the request index is ahead of the log", where=str(folder / "index.db"),
                                     found=str(index.watermark()), allowed=f"at most {log.head}",
                                     cure="The index belongs to another log: delete the file, it is built again from the log.")
        for first, columns in log.read_columns(
                index.watermark(), recovery.HEADER_KEYS_MAX, recovery.HEADER_NUMBERS_MAX):
            index.add_columns(first, columns)
        engine = cls(folder, ring, log, content, snapshots, index, state, clock)
        engine._finish_erasures()
        return engine

    # The writer: one caller, in order.

    def prepare(self, requests: Sequence[Request]) -> Pending:
        """Take a group of requests through the main path in memory. Call `commit` with what it returns, in order."""
        received_ms = self._stamp()
        group = handle(self.state, self._intake, requests, received_ms, self._seen(requests))
        return Pending(group.first, received_ms, self._items(group), group)

    def commit(self, pending: Pending) -> list[Reply]:
        """Seal the group, append it as one durable batch, and answer. May run in another thread than `prepare`.

        Raises
        ------
        LogError : the group is not durable and never will be; the process must stop.
        """
        self._append(pending)
        return self._replies(pending.group) if pending.group is not None else []

    def submit(self, requests: Sequence[Request]) -> list[Reply]:
        """`prepare` and `commit` in one call: one group."""
        return self.commit(self.prepare(requests))

    def dry_run(self, requests: Sequence[Request]) -> list[Reply]:
        """Decide as if the events entered now, each alone; record nothing."""
        replies = []
        for request in requests:
            received_ms = max(self.state.received_ms, self._clock())
            group = handle(self.state, self._intake, [request], received_ms, {}, dry_run=True)
            replies += [_reply(item, -1, -1) for item in group.items]
        return replies

    def _stamp(self) -> int:
        self.state.received_ms = max(self.state.received_ms, self._clock())
        return self.state.received_ms

    def _seen(self, requests: Sequence[Request]) -> dict[bytes, int]:
        """Which of these request ids were taken before: in flight (memory) or recorded (index)."""
        key_of = self.ring.request_key
        keys = [key_of(request.client, request.id) for request in requests]
        seen = {key: entry.event for key, entry in self.index.lookup(keys).items()} if keys else {}
        if self._in_flight:
            with self._in_flight_lock:
                seen.update({key: self._in_flight[key] for key in keys if key in self._in_flight})
        return seen

    def _items(self, group: Group) -> list[Item]:
        """The records of a group, with headers; payloads are sealed at commit."""
        items: list[Item] = []
        in_flight: dict[bytes, int] = {}
        for item in group.items:
            if isinstance(item, Taken):
                event, decision = item.event, item.decision
                sealed = event.subject != NO_KEY
                in_flight[event.request_key] = item.offset
                items.append(Item(encode_header(
                    EVENT, event.code, event.time_ms, event.received_ms, NO_CAUSE, event.subject, event.request_key,
                    NONE_16, event.keys, event.row.numbers, len(event.payload), sealed), event.subject, event.payload))
                if decision is not None:
                    payload = encode_body(decision.body)
                    items.append(Item(encode_header(
                        DECISION, decision.code, decision.time_ms, decision.received_ms, item.offset, decision.subject,
                        NONE_16, NONE_16, (), decision.numbers, len(payload), sealed), decision.subject, payload))
            elif isinstance(item, Refusal):
                items.append(self._rejected_item(item, group.first + len(items), group.received_ms))
        with self._in_flight_lock:
            self._in_flight.update(in_flight)
        return items

    def _rejected_item(self, refusal: Refusal, offset: int, received_ms: int) -> Item:
        """A refused request is recorded, sealed under a subject of its own, so that nothing is lost silently."""
        request = refusal.request
        payload = msgspec.json.encode({
            "client": request.client, "id": request.id[:200], "type": request.type[:200], "error": str(refusal.error),
            "data": request.data[:REJECTED_DATA_LENGTH_MAX].decode("utf-8", "replace"),
            "data_length_bytes": len(request.data)})
        subject = self.ring.pseudonym("quanheng.intake", "rejected")
        self.state.apply_platform(PlatformEvent(offset, INTAKE_REJECTED, b""))
        header = encode_header(EVENT, INTAKE_REJECTED, received_ms, received_ms, NO_CAUSE, subject, NONE_16, NONE_16,
                               (), (), len(payload), True)
        return Item(header, subject, payload)

    def _append(self, pending: Pending) -> None:
        items = pending.items
        if not items:
            return
        headers = [item.header for item in items]
        sealed = self.ring.seal_many([item.subject for item in items], headers, [item.payload for item in items])
        first = self.log.append([header + payload for header, payload in zip(headers, sealed, strict=True)],
                                pending.received_ms)
        if first != pending.first:
            raise AppendFailed("the log is not where the state is", found=f"offset {first}", allowed=f"{pending.first}",
                               cure="Restart: the state is rebuilt from the log.")
        if pending.group is not None:
            entries = [
                (item.event.request_key, Entry(item.offset, NONE_16, item.offset + 1 if item.decision else -1))
                for item in pending.group.items if isinstance(item, Taken)]
            self.index.add(entries, first + len(items))
            with self._in_flight_lock:
                for key, _ in entries:
                    self._in_flight.pop(key, None)

    def _replies(self, group: Group) -> list[Reply]:
        replies = []
        for item in group.items:
            if isinstance(item, Taken):
                replies.append(_reply(item, item.offset, item.offset + 1))
            elif isinstance(item, Repeat):
                replies.append(self._repeated(item))
            else:
                replies.append(_reply(item, -1, -1))
        return replies

    def _repeated(self, item: Repeat) -> Reply:
        """The recorded answer of a repeated id, or a conflict that names the fields that differ."""
        request = item.event.request
        try:
            recorded = self.reader.event(item.offset)
        except DataErased as error:
            return Reply(request.id, "conflict", error=str(error))
        sent = decode_event_body(item.event.payload)
        differs = [] if recorded.type == item.event.code else ["type"]
        if recorded.body.data != sent.data:
            old, new = (msgspec.json.decode(body.data, type=dict[str, Any]) for body in (recorded.body, sent))
            differs += sorted(name for name in {*old, *new} if old.get(name) != new.get(name))
        if differs:
            error = RequestConflict("this request id was used before with other content", where="id", found=request.id,
                                    allowed="the same content again",
                                    cure=f"It differs in: {', '.join(differs)}. Send new content under a new id.")
            return Reply(request.id, "conflict", item.offset, error=str(error))
        decision = self.reader.decision_of(item.offset)
        if decision is None:
            return Reply(request.id, "repeated", item.offset)
        return Reply(request.id, "repeated", item.offset, item.offset + 1, decision.outcome, list(decision.reasons))

    # The platform's own events.

    def activate(self, packs: Iterable[PackFiles]) -> Activated:
        """Check packs, run their golden cases, and put the whole set in force from here on.

        Packs that were active and are not among `packs` stay. Nothing changes if the set is already in force.

        Raises
        ------
        DeclarationError : problems of the packs, or golden cases that fail
        """
        files = {name: PackFiles(name, self.content.get_folder(hash)) for name, hash in self._active().items()}
        given = {_name_of(pack): pack for pack in packs}
        declared = {}
        for name, pack in {**files, **given}.items():
            others = {**files, **given}
            one, problems = check_pack(pack, {other: known for other, known in others.items() if other != name})
            if one is None or problems:
                raise DeclarationError(f"pack {name!r} is not activated", problems)
            declared[name] = one
        codes = _assign_codes(self.state.program.codes, [event.name for one in declared.values() for event in one.events])
        for name in given:
            problems = run_cases(declared[name], lambda case: rehearse(declared, codes, case))
            if problems:
                raise DeclarationError(f"pack {name!r} is not activated: golden cases fail", problems)
        hashes = {name: self.content.put_files(pack.files) for name, pack in {**files, **given}.items()}
        activated = Activated(hashes, {name: one.version for name, one in declared.items()}, codes, recovery.__version__)
        if hashes == self._active() and codes == self.state.program.codes:
            return activated
        offset = self._record(PACKS_ACTIVATED, activated)
        program = recovery.program_of(self.content, activated, offset)
        if self.state.switch(program):
            recovery.refold(self.state, self.log, self.log.head)
        self._intake = Intake(program.types, self.ring)
        return activated

    def _active(self) -> dict[str, str]:
        activation = self.state.program.activation
        return self.reader.activated(activation).packs if activation >= 0 else {}

    def issue_token(self, name: str, scopes: Sequence[str]) -> str:
        """Issue a token to a client; only its SHA-256 is kept. Returns the token: it cannot be shown again."""
        unknown = sorted(set(scopes) - set(SCOPES))
        if unknown or not name or not scopes:
            raise ConfigurationError("the token cannot be issued", where="scopes" if name else "name",
                                     found=", ".join(unknown) or "nothing", allowed=", ".join(SCOPES))
        token = "qh_" + secrets.token_urlsafe(32)
        actor = Actor(name, hashlib.sha256(token.encode()).digest(), tuple(scopes))
        self._record(TOKEN_ISSUED, actor)
        return token

    def revoke_token(self, token_digest: str) -> None:
        """Revoke the token with this digest (hex) or the name of its client."""
        found = [digest for digest, actor in self.state.actors.items() if token_digest in (digest, actor.name)]
        if not found:
            raise NotAuthenticated("no such token", where="token", found=token_digest,
                                   allowed=", ".join(sorted(actor.name for actor in self.state.actors.values())) or "none")
        for digest in found:
            self._record(TOKEN_REVOKED, {"token_digest": digest})

    def authorise(self, token_digest: bytes, scope: str) -> str:
        """Name of the client that holds the token, if it has the scope. The one place where rights are checked."""
        actor = self.state.actors.get(token_digest.hex())
        if actor is None:
            raise NotAuthenticated("the request carries no valid token", where="Authorization",
                                   allowed="Bearer TOKEN", cure="Make one: quanheng token create NAME")
        if scope not in actor.scopes and "admin" not in actor.scopes:
            raise NotPermitted("the client may not do this", where=actor.name, found=", ".join(actor.scopes), allowed=scope,
                               cure=f"Issue a token with the scope {scope!r}.")
        return actor.name

    def erase(self, entity: str, id: str) -> int:
        """Erase a subject: an event, then the destruction of its key. The chain still verifies.

        Returns
        -------
        offset of the erasure event.
        """
        subject = self.ring.pseudonym(entity, id)
        offset = self._record(SUBJECT_ERASED, {"subject": subject.hex()})
        self.ring.erase(subject)
        return offset

    def _finish_erasures(self) -> None:
        """Destroy keys whose erasure was recorded but not carried out before a crash.

        A subject that came back after its erasure has a new key, which is left alone.
        """
        for subject in self.state.erasures:
            if not self.ring.is_erased(bytes.fromhex(subject)):
                self.ring.erase(bytes.fromhex(subject))

    def _record(self, code: int, payload: object) -> int:
        """Append one of the platform's own events at once; no group may be in flight."""
        offset, body, received_ms = self.state.head, msgspec.json.encode(payload), self._stamp()
        header = encode_header(EVENT, code, received_ms, received_ms, NO_CAUSE, NONE_16, NONE_16, NONE_16, (), (),
                               len(body), False)
        self._append(Pending(offset, received_ms, [Item(header, NO_KEY, body)], None))
        self.state.head += 1
        self.state.apply_platform(PlatformEvent(offset, code, body))
        return offset

    # Reads: as of the last committed offset.

    def decision(self, offset: int) -> dict[str, Any]:
        """One decision with its evidence; `offset` is its id."""
        return self.reader.decision(offset)

    def rejects(self, after: int = 0, limit: int = 100) -> dict[str, Any]:
        """Rejected requests: how many in all, and the newest with why."""
        shown = [offset for offset in self.state.rejects if offset >= after and offset < self.log.head][-limit:]
        return {"rejected": self.state.rejected, "as_of": self.log.head,
                "items": [self.reader.rejected(offset) for offset in shown]}

    def health(self) -> dict[str, Any]:
        """Committed offset, writer epoch and active packs."""
        activation = self.state.program.activation
        versions = self.reader.activated(activation).versions if activation >= 0 else {}
        return {"as_of": self.log.head, "epoch": self.log.epoch, "packs": versions,
                "development_keys": self.ring.is_development}

    def metrics(self) -> dict[str, Any]:
        """Counts folded from the log, for a metrics page."""
        names = {code: name for name, code in self.state.program.codes.items()}
        return {
            "log_records": self.log.head,
            "events": {names.get(code, str(code)): count for code, count in self.state.events.items()},
            "outcomes": self.state.outcomes(), "statuses": self.state.statuses(), "rejected": self.state.rejected,
            "late_events": int(sum(self.state.features.late.values())),
            "feature_memory_bytes": self.state.features.memory_bytes,
        }

    def close(self) -> None:
        """Flush the index and close every file. Groups in flight must have been committed."""
        self.index.close()
        self.log.close()
        self.ring.close()


def _reply(item: Taken | Repeat | Refusal, offset: int, decision_offset: int) -> Reply:
    if isinstance(item, Refusal):
        return Reply(item.request.id, "rejected", error=str(item.error))
    request = item.event.request
    decision = item.decision if isinstance(item, Taken) else None
    if decision is None:
        return Reply(request.id, "recorded", offset)
    body = decision.body
    status = "decided" if body.status == "decided" else "failed"
    return Reply(request.id, status, offset, decision_offset, body.outcome, body.reasons)


def _name_of(pack: PackFiles) -> str:
    import tomllib

    return str(tomllib.loads(pack.files.get("pack.toml", b"").decode()).get("pack", {}).get("name", pack.label))


def _assign_codes(codes: dict[str, int], names: Iterable[str]) -> dict[str, int]:
    """Codes of event types, append-only over the life of a log."""
    made = dict(codes)
    following = max([*made.values(), FIRST_PACK_CODE - 1]) + 1
    for name in names:
        if name not in made:
            made[name] = following
            following += 1
    return made
