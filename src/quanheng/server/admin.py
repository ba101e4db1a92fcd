"""Operations that change who may do what, and what is in force: done by the owner of the writer, between groups."""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from quanheng.alarming import record_alarms
from quanheng.decisions.lists import ListVerdict
from quanheng.decisions.versions import STEPS, Move
from quanheng.engine import KEY_HOLDER
from quanheng.events.stream import REFUSE_MESSAGES, RefusedMessage
from quanheng.governing import Asked, composed, shown
from quanheng.keeping import Actor
from quanheng.kernel.errors import NotFound
from quanheng.listing import SHOWN_MAX, AskedChange
from quanheng.models.monitoring.alarms import Alarm
from quanheng.once import UNNAMED, Once, once_of
from quanheng.refusing import refuse_messages
from quanheng.registering import model_read
from quanheng.server.engines import ADMIN, READ, WRITE
from quanheng.server.ledger_bodies import id_of
from quanheng.state import PACKS_ACTIVATED, VERSION_MOVED, Activated

AUTHOR, APPROVE = "author", "approve"
OUTBOX_READS = frozenset({"outbox", "outbox_show"})
LIST_READS = frozenset({"lists", "list_show", "list_find"})
MODEL_READS = frozenset({"models", "model_show", "model_history", "model_compare"})
JOB_READS = frozenset({"jobs", "job_show"})
LONG = frozenset({"activate", "step", "list_change", *LIST_READS, *MODEL_READS})
"""Operations whose beginning takes long; it may run beside groups, in another thread."""

NAMED = frozenset({"step", "list_change", "list_judge", "outbox_retry"})
"""Operations of which the log keeps who asked for them."""

DONE_ONCE = NAMED - {"outbox_retry"} | {"activate"}
"""Operations that may be asked for under a request id."""


class Administered(Protocol):
    """What an engine offers for them."""

    @property
    def state(self) -> Any:
        """Holds `actors`: token digest -> actor."""

    @property
    def reader(self) -> Any:
        """Reads what was committed."""

    @property
    def ring(self) -> Any:
        """Keeps the keys of digests."""

    def recorded(self, once: Once) -> int | None:
        """Where a request was recorded."""

    def issue_token(self, name: str, scopes: Any, owners: Any = (), entities: Any = ()) -> str:
        """Issue a token."""

    def revoke_token(self, token_digest: str) -> None:
        """Revoke tokens by digest or by name."""

    def erase(self, entity: str, id: str) -> int:
        """Destroy the key of a subject."""

    def erasure_note(self) -> str:
        """What an erasure did not find, or left to do."""

    def propose(self, packs: Any) -> Any:
        """Check packs and rehearse them."""

    def put_in_force(self, proposal: Any, *, actor: str, break_glass: str, once: Once) -> Any:
        """Put what was proposed in force."""

    def propose_step(self, asked: Any) -> Any:
        """Check a step in the life of a version."""

    def take_step(self, moving: Any, once: Once) -> Any:
        """Take a step that was checked."""

    @property
    def lists(self) -> Any:
        """Keeps the lists that policies ask."""

    @property
    def models(self) -> Any:
        """Knows the models of every version."""

    @property
    def jobs(self) -> Any:
        """Works on jobs that are due."""

    @property
    def outbox(self) -> Any:
        """Shows messages, and asks for dead letters again."""

    @property
    def writer(self) -> Any:
        """The one writer of the log."""

    @property
    def four_eyes(self) -> bool:
        """Whether a change of a list waits for another person."""

    def authorise(self, token_digest: bytes, scope: str = "") -> str:
        """Name of the actor that holds the token, if it may."""

    def health(self) -> dict[str, Any]:
        """Committed offset and versions in force."""


def scope_of(operation: str, arguments: dict[str, Any]) -> str:
    """The scope a token needs for an operation."""
    if operation == "step":
        step = STEPS.get(str(arguments.get("step")))
        return step.scope if step is not None else ADMIN
    return _SCOPES.get(operation, ADMIN)


def names_actor(operation: str, arguments: dict[str, Any]) -> bool:
    """Whether the log must keep a person's name: of a step, a list, and of whoever breaks the glass."""
    return operation in NAMED or (operation == "activate" and bool(arguments.get("break_glass")))


_SCOPES = {
    "versions": READ,
    REFUSE_MESSAGES: WRITE,
    **dict.fromkeys([*LIST_READS, *JOB_READS, *OUTBOX_READS, *MODEL_READS], READ),
    "list_change": AUTHOR,
    "list_judge": APPROVE,
}


def perform(engine: Administered, operation: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Carry out one operation; no group may be in flight.

    Parameters
    ----------
    engine : owner of the writer
    operation : issue_token {name, scopes, owners, entities} | revoke_token {token} | tokens {} | erase {entity, id} |
        activate {packs, base, actor, break_glass} | versions {pack} |
        step {step, actor, pack, version, files, base, model, reason, share_bp} |
        models {pack, model} | model_show {pack, model, version} | model_history {pack, model} |
        model_compare {pack, model, before, after} |
        lists {} | list_show {list, limit} | list_find {list, value} |
        list_change {list, change, values, actor, reason, until_ms, for_ms, first, more} |
        list_judge {first, approved, actor, reason} |
        outbox {limit, call, dead} | outbox_show {message} | outbox_retry {messages, call, actor, reason} |
        refuse_messages {messages, actor} | jobs {} | job_show {job} | job_run {job} |
        model_alarms {alarms}
    arguments : as listed; `packs` maps a name to {file name: bytes}; `actor` is set by whoever checked the token

    Raises
    ------
    NotFound : no such operation; and whatever the engine raises
    """
    return finish(engine, operation, begin(engine, operation, arguments))


def begin(engine: Administered, operation: str, arguments: dict[str, Any]) -> Any:
    """The part of an operation that changes nothing; what `finish` needs of it."""
    if operation == "step":
        return engine.propose_step(msgspec.convert(arguments, Asked))
    if operation == "list_change":
        return engine.lists.prepare(msgspec.convert(arguments, AskedChange))
    if operation in LIST_READS:
        return {**_list_read(engine.lists, operation, arguments), "as_of": engine.health()["as_of"]}
    if operation in MODEL_READS:
        read = model_read(engine.state, engine.reader, engine.models, operation, arguments)
        return {**read, "as_of": engine.health()["as_of"]}
    if operation != "activate":
        return arguments
    base = arguments.get("base", "")
    packs = [composed(engine.state, engine.reader, name, base, files) for name, files in arguments["packs"].items()]
    return engine.propose(packs), arguments.get("actor", KEY_HOLDER), arguments.get("break_glass", "")


def _shown_token(digest: str, actor: Actor) -> dict[str, Any]:
    limits = {"owners": [*actor.owners], "entities": [*actor.entities]}
    return {"name": actor.name, "scopes": [*actor.scopes], **{k: v for k, v in limits.items() if v}, "digest": digest}


def _list_read(lists: Any, operation: str, arguments: dict[str, Any]) -> dict[str, Any]:
    read: dict[str, Any]
    if operation == "list_show":
        read = lists.entries(arguments["list"], min(int(arguments.get("limit", 100)), SHOWN_MAX))
    elif operation == "list_find":
        read = lists.find(arguments["list"], arguments["value"])
    else:
        read = lists.sizes()
    return read


def request_of(engine: Administered, actor: str, id: str, operation: str, arguments: dict[str, Any]) -> Once:
    """What stands for the request of an operation; `arguments` as they came, without the actor."""
    return once_of(engine.ring, actor, id, operation, arguments) if id and operation in DONE_ONCE else UNNAMED


def recorded(engine: Administered, once: Once) -> dict[str, Any] | None:
    """What was answered when this request was recorded; None = it was not.

    Raises
    ------
    RequestConflict : something else was asked under its id
    """
    offset = engine.recorded(once) if once != UNNAMED else None
    if offset is None:
        return None
    record = engine.reader.log.record(offset)
    if record.type == VERSION_MOVED:
        done = _moved(msgspec.json.decode(record.payload, type=Move))
    elif record.type == PACKS_ACTIVATED:
        done = {"versions": msgspec.json.decode(record.payload, type=Activated).versions}
    else:
        done = engine.lists.recorded(offset)
    return {**done, "as_of": engine.health()["as_of"], "repeated": True}


def finish(engine: Administered, operation: str, begun: Any, once: Once = UNNAMED) -> dict[str, Any]:
    """The part of an operation that changes something; no group may be in flight. A request is done once."""
    again = recorded(engine, once)
    if again is not None:
        return again
    done = _finish(engine, operation, begun, once)
    return done if once == UNNAMED else {**done, "repeated": False}


def _finish(engine: Administered, operation: str, begun: Any, once: Once) -> dict[str, Any]:
    match operation:
        case "issue_token":
            owners = [id_of(one, "owners") for one in begun.get("owners", ())]
            return {"token": engine.issue_token(begun["name"], begun["scopes"], owners, begun.get("entities", ()))}
        case "revoke_token":
            engine.revoke_token(begun["token"])
            return {}
        case "tokens":
            actors = engine.state.actors.items()
            return {"tokens": [_shown_token(digest, one) for digest, one in actors]}
        case "erase":
            return {"offset": engine.erase(begun["entity"], begun["id"]), "note": engine.erasure_note()}
        case "refuse_messages":
            messages = msgspec.convert(begun["messages"], list[RefusedMessage])
            return {"recorded": refuse_messages(engine.writer, begun["actor"], messages)}
        case "model_alarms":
            return record_alarms(engine.writer, msgspec.convert(begun["alarms"], list[Alarm]))
        case "jobs" | "job_show":
            return {"jobs": engine.jobs.shown(begun.get("job", "")), "as_of": engine.health()["as_of"]}
        case "job_run":
            started: dict[str, Any] = engine.jobs.start(begun["job"])
            return started
        case "outbox" | "outbox_show" | "outbox_retry":
            return _outbox(engine.outbox, operation, begun)
        case _ if operation in LIST_READS | MODEL_READS:
            read: dict[str, Any] = begun
            return read
    return {**_governed(engine, operation, begun, once), "as_of": engine.health()["as_of"]}


def _outbox(outbox: Any, operation: str, asked: dict[str, Any]) -> dict[str, Any]:
    """Messages that wait, dead letters, and those asked for again."""
    done: dict[str, Any]
    if operation == "outbox":
        done = outbox.listed(int(asked.get("limit", 100)), str(asked.get("call", "")), bool(asked.get("dead", False)))
    elif operation == "outbox_show":
        done = outbox.shown(str(asked["message"]))
    else:
        why = str(asked.get("reason", ""))
        done = outbox.retry(asked.get("messages", ()), str(asked.get("call", "")), asked["actor"], why)
    return done


def _governed(engine: Administered, operation: str, begun: Any, once: Once) -> dict[str, Any]:
    """What decides, and who may change it."""
    match operation:
        case "activate":
            proposal, actor, break_glass = begun
            activated = engine.put_in_force(proposal, actor=actor, break_glass=break_glass, once=once)
            return {"versions": dict(activated.versions)}
        case "step":
            return _moved(engine.take_step(begun, once))
        case "versions":
            return {"versions": shown(engine.state.versions, begun.get("pack", ""))}
        case "list_change":
            changed: dict[str, Any] = engine.lists.change(begun, engine.four_eyes, once)
            return changed
        case "list_judge":
            judged: dict[str, Any] = engine.lists.judge(msgspec.convert(begun, ListVerdict), once)
            return judged
    raise NotFound("there is no such operation", where="operation", found=repr(operation[:40]))


def _moved(move: Move) -> dict[str, Any]:
    taken: dict[str, Any] = msgspec.to_builtins(msgspec.structs.asdict(move))
    return taken
