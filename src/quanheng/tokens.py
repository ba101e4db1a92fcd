"""Who may call: tokens of clients, issued and revoked as events of the log. The one place of rights."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence

from quanheng.kernel.errors import ConfigurationError, NotAuthenticated, NotPermitted
from quanheng.state import TOKEN_ISSUED, TOKEN_REVOKED, Actor
from quanheng.writer import Writer

SCOPES = ("ingest", "post", "read", "watch", "author", "approve", "admin")
OWN_NAMES = "quanheng."
"""How names begin under which the platform itself sends events: nobody else may have one."""


class Tokens:
    """The tokens of one log."""

    def __init__(self, writer: Writer) -> None:
        self.writer = writer

    def issue(self, name: str, scopes: Sequence[str]) -> str:
        """Issue a token to a client; only its SHA-256 is kept. Returns the token: it cannot be shown again."""
        unknown = sorted(set(scopes) - set(SCOPES))
        if unknown or not name or not scopes:
            raise ConfigurationError(
                "the token cannot be issued",
                where="scopes" if name else "name",
                found=", ".join(unknown) or "nothing",
                allowed=", ".join(SCOPES),
            )
        if name.startswith(OWN_NAMES):
            raise ConfigurationError(
                "the token cannot be issued: names that begin like this are those of the platform's own parts",
                where="name",
                found=name,
                allowed=f"a name that does not begin with {OWN_NAMES!r}",
                cure="Take another name.",
            )
        token = "qh_" + secrets.token_urlsafe(32)
        actor = Actor(name, hashlib.sha256(token.encode()).digest(), tuple(scopes))
        self.writer.record(TOKEN_ISSUED, actor)
        return token

    def revoke(self, token_digest: str) -> None:
        """Revoke the token with this digest (hex) or the name of its client."""
        found = [digest for digest, actor in self.writer.state.actors.items() if token_digest in (digest, actor.name)]
        if not found:
            raise NotAuthenticated(
                "no such token",
                where="token",
                found=token_digest,
                allowed=", ".join(sorted(actor.name for actor in self.writer.state.actors.values())) or "none",
            )
        for digest in found:
            self.writer.record(TOKEN_REVOKED, {"token_digest": digest})

    def authorise(self, token_digest: bytes, scope: str = "") -> str:
        """Name of the client that holds the token, if it has the scope (empty: any). The one place of rights."""
        actor = self.writer.state.actors.get(token_digest.hex())
        if actor is None:
            raise NotAuthenticated(
                "the request carries no valid token",
                where="Authorization",
                allowed="Bearer TOKEN",
                cure="Make one: quanheng token create NAME",
            )
        if scope and scope not in actor.scopes and "admin" not in actor.scopes:
            raise NotPermitted(
                "the client may not do this",
                where=actor.name,
                found=", ".join(actor.scopes),
                allowed=scope,
                cure=f"Issue a token with the scope {scope!r}.",
            )
        return actor.name
