"""Operations that change who may do what, and what is in force: done by the owner of the writer, between groups."""

from __future__ import annotations

from typing import Any, Protocol

from quanheng.kernel.errors import NotFound


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

    def activate(self, packs: Any) -> Any:
        """Put packs in force."""


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
    match operation:
        case "issue_token":
            return {"token": engine.issue_token(arguments["name"], arguments["scopes"])}
        case "revoke_token":
            engine.revoke_token(arguments["token"])
            return {}
        case "tokens":
            actors = engine.state.actors.items()
            return {"tokens": [{"name": one.name, "scopes": [*one.scopes], "digest": digest} for digest, one in actors]}
        case "erase":
            return {"offset": engine.erase(arguments["entity"], arguments["id"])}
        case "activate":
            from quanheng.loading.files import read_pack

            packs = [read_pack(files, name) for name, files in arguments["packs"].items()]
            return {"versions": dict(engine.activate(packs).versions)}
    raise NotFound("there is no such operation", where="operation", found=repr(operation[:40]))
