"""Who may call: tokens of clients, issued and revoked as events of the log. The one place of rights."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence

from quanheng.keeping import Actor
from quanheng.kernel.errors import ConfigurationError, NotAuthenticated, NotPermitted
from quanheng.ledger.entries import ID_MAX
from quanheng.ledger.reach import Reach
from quanheng.state import TOKEN_ISSUED, TOKEN_REVOKED
from quanheng.writer import Writer

SCOPES = ("ingest", "post", "read", "watch", "author", "approve", "admin")
OWN_NAMES = "quanheng."
"""How names begin under which the platform itself sends events: nobody else may have one."""
LIMITABLE = "read", "post"
"""Scopes of a token that is limited to owners or legal entities."""


class Tokens:
    """The tokens of one log."""

    def __init__(self, writer: Writer) -> None:
        self.writer = writer

    def issue(self, name: str, scopes: Sequence[str], owners: Sequence[int] = (), entities: Sequence[int] = ()) -> str:
        """Issue a token to a client; only its SHA-256 is kept. Returns the token: it cannot be shown again.

        Parameters
        ----------
        owners, entities : the client sees and debits accounts of these owners, in the books of these legal entities,
            and may do nothing else; none: it is not limited

        Raises
        ------
        ConfigurationError : unknown scopes, no name; a limit that is no number, or with a scope beyond the ledger
        """
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
        if owners or entities:
            _check_limits(scopes, owners, entities)
        token = "qh_" + secrets.token_urlsafe(32)
        digest, limits = hashlib.sha256(token.encode()).digest(), (tuple(map(str, owners)), tuple(entities))
        actor = Actor(name, digest, tuple(scopes), *limits)
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
        """Name of the client that holds the token, if it has the scope (empty: any) and is not limited.

        Raises
        ------
        NotAuthenticated : no such token
        NotPermitted : without the scope; or limited to owners or entities, so only the ledger judges what it may
        """
        actor = self._actor(token_digest, scope)
        if actor.owners or actor.entities:
            raise NotPermitted(
                "the client is limited to accounts of the ledger, and may do nothing else",
                where=actor.name,
                found=f"owners: {', '.join(actor.owners) or 'all'}; "
                f"entities: {', '.join(map(str, actor.entities)) or 'all'}",
                allowed="reading accounts and posting from them",
                cure="Ask with a token that is not limited.",
            )
        return actor.name

    def reach(self, token_digest: bytes, scope: str) -> Reach:
        """Whose accounts of the ledger the client that holds the token may see and take from, if it has the scope.

        Raises
        ------
        NotAuthenticated, NotPermitted : no such token, or without the scope
        """
        actor = self._actor(token_digest, scope)
        return Reach(frozenset(map(int, actor.owners)), frozenset(actor.entities))

    def _actor(self, token_digest: bytes, scope: str) -> Actor:
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
        return actor


def _check_limits(scopes: Sequence[str], owners: Sequence[int], entities: Sequence[int]) -> None:
    beyond = sorted(set(scopes) - set(LIMITABLE))
    if beyond:
        raise ConfigurationError(
            "a token that is limited to owners or entities can do nothing beyond them",
            where="scopes",
            found=", ".join(beyond),
            allowed=", ".join(LIMITABLE),
            cure="Issue another token for what is not limited.",
        )
    for where, most, numbers in (("owners", ID_MAX - 1, owners), ("entities", 2**32 - 1, entities)):
        for one in numbers:
            if not 0 < one <= most:
                raise ConfigurationError(
                    "a token cannot be limited to this number",
                    where=where,
                    found=str(one),
                    allowed=f"1 to {most}",
                    cure="Give the number that the accounts were opened with.",
                )
