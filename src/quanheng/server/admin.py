"""Operations that change who may do what, and what is in force: done by the owner of the writer, between groups."""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from quanheng.decisions.lists import ListVerdict
from quanheng.decisions.versions import STEPS
from quanheng.engine import KEY_HOLDER
from quanheng.governing import Asked, shown
from quanheng.kernel.errors import NotFound
from quanheng.listing import SHOWN_MAX, AskedChange
from quanheng.loading.files import read_pack
from quanheng.server.engines import ADMIN, READ

AUTHOR, APPROVE = "author", "approve"
LIST_READS = frozenset({"lists", "list_show", "list_find"})
LONG = frozenset({"activate", "step", "list_change", *LIST_READS})
"""Operations whose beginning takes long; it may run beside groups, in another thread."""

NAMED = frozenset({"step", "list_change", "list_judge"})
"""Operations of which the log keeps who asked for them."""


class Administered(Protocol):
    """What an engine offers for them."""

    @property
    def state(self) -> Any:
        """Holds `actors`: token digest -> actor."""

    def issue_token(self, name: str, scopes: Any) -> str:
        """Issue a token."""

    def revoke_token(self, token_digest: str) -> None:
        """Revoke tokens by digest or by name."""

    def erase(self, entity: str, id: str) -> int:
        """Destroy the key of a subject."""

    def erasure_note(self) -> str:
        """What is left to do after an erasure."""

    def propose(self, packs: Any) -> Any:
        """Check packs and rehearse them."""

    def put_in_force(self, proposal: Any, *, actor: str, break_glass: str) -> Any:
        """Put what was proposed in force."""

    def propose_step(self, asked: Any) -> Any:
        """Check a step in the life of a version."""

    def take_step(self, moving: Any) -> Any:
        """Take a step that was checked."""

    @property
    def lists(self) -> Any:
        """Keeps the lists that policies ask."""

    @property
    def four_eyes(self) -> bool:
        """Whether a change of a list waits for another person."""

    def authorise(self, token_digest: bytes, scope: str) -> str:
        """Name of the actor that holds the token, if it may."""

    def health(self) -> dict[str, Any]:
        """Committed offset and versions in force."""


def scope_of(operation: str, arguments: dict[str, Any]) -> str:
    """The scope a token needs for an operation."""
    if operation == "step":
        step = STEPS.get(str(arguments.get("step")))
        return step.scope if step is not None else ADMIN
    return _SCOPES.get(operation, ADMIN)


_SCOPES = {
    "versions": READ,
    **dict.fromkeys(LIST_READS, READ),
    "list_change": AUTHOR,
    "list_judge": APPROVE,
}


def perform(engine: Administered, operation: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Carry out one operation; no group may be in flight.

    Parameters
    ----------
    engine : owner of the writer
    operation : issue_token {name, scopes} | revoke_token {token} | tokens {} | erase {entity, id} |
        activate {packs, actor, break_glass} | versions {pack} |
        step {step, actor, pack, version, files, reason, share_bp} |
        lists {} | list_show {list, limit} | list_find {list, value} |
        list_change {list, change, values, actor, reason, until_ms, for_ms} |
        list_judge {first, approved, actor, reason}
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
    if operation != "activate":
        return arguments
    packs = [read_pack(files, name) for name, files in arguments["packs"].items()]
    return engine.propose(packs), arguments.get("actor", KEY_HOLDER), arguments.get("break_glass", "")


def _list_read(lists: Any, operation: str, arguments: dict[str, Any]) -> dict[str, Any]:
    read: dict[str, Any]
    if operation == "list_show":
        read = lists.entries(arguments["list"], min(int(arguments.get("limit", 100)), SHOWN_MAX))
    elif operation == "list_find":
        read = lists.find(arguments["list"], arguments["value"])
    else:
        read = lists.sizes()
    return read


def finish(engine: Administered, operation: str, begun: Any) -> dict[str, Any]:
    """The part of an operation that changes something; no group may be in flight."""
    match operation:
        case "issue_token":
            return {"token": engine.issue_token(begun["name"], begun["scopes"])}
        case "revoke_token":
            engine.revoke_token(begun["token"])
            return {}
        case "tokens":
            actors = engine.state.actors.items()
            return {"tokens": [{"name": one.name, "scopes": [*one.scopes], "digest": digest} for digest, one in actors]}
        case "erase":
            return {"offset": engine.erase(begun["entity"], begun["id"]), "note": engine.erasure_note()}
        case "activate":
            proposal, actor, break_glass = begun
            versions = dict(engine.put_in_force(proposal, actor=actor, break_glass=break_glass).versions)
            return {"versions": versions, "as_of": engine.health()["as_of"]}
        case "step":
            taken = msgspec.to_builtins(msgspec.structs.asdict(engine.take_step(begun)))
            return {**taken, "as_of": engine.health()["as_of"]}
        case "versions":
            return {"versions": shown(engine.state.versions, begun.get("pack", "")), "as_of": engine.health()["as_of"]}
        case "list_change":
            changed: dict[str, Any] = engine.lists.change(begun, engine.four_eyes)
            return {**changed, "as_of": engine.health()["as_of"]}
        case "list_judge":
            judged: dict[str, Any] = engine.lists.judge(msgspec.convert(begun, ListVerdict))
            return {**judged, "as_of": engine.health()["as_of"]}
        case "lists" | "list_show" | "list_find":
            read: dict[str, Any] = begun
            return read
    raise NotFound("there is no such operation", where="operation", found=repr(operation[:40]))
