"""Operations that change who may do what, and what is in force: done by the owner of the writer, between groups."""

from __future__ import annotations

from typing import Any, Protocol

from quanheng.kernel.errors import NotFound

LONG = frozenset({"activate"})
"""Operations whose beginning takes long; it may run beside groups, in another thread."""


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

    def put_in_force(self, proposal: Any) -> Any:
        """Put what was proposed in force."""

    def health(self) -> dict[str, Any]:
        """Committed offset and versions in force."""


def perform(engine: Administered, operation: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Carry out one operation; no group may be in flight.

    Parameters
    ----------
    engine : owner of the writer
    operation : issue_token {name, scopes} | revoke_token {token} | tokens {} | erase {entity, id} | activate {packs}
    arguments : as listed; `packs` maps a name to {file name: bytes}

    Raises
    ------
    NotFound : no such operation; and whatever the engine raises
    """
    return finish(engine, operation, begin(engine, operation, arguments))


def begin(engine: Administered, operation: str, arguments: dict[str, Any]) -> Any:
    """The part of an operation that changes nothing; what `finish` needs of it."""
    if operation != "activate":
        return arguments
    from quanheng.loading.files import read_pack

    return engine.propose([read_pack(files, name) for name, files in arguments["packs"].items()])


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
            versions = dict(engine.put_in_force(begun).versions)
            return {"versions": versions, "as_of": engine.health()["as_of"]}
    raise NotFound("there is no such operation", where="operation", found=repr(operation[:40]))
