"""What the core asks of an engine. `quanheng.engine.Engine` is one; the tests bring a slow twin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

READ = "read"
WRITE = "ingest"
POST = "post"
WATCH = "watch"
ADMIN = "admin"


class Reply(Protocol):
    """The answer to one request."""

    @property
    def id(self) -> str:
        """Identifier given by the caller."""

    @property
    def status(self) -> str:
        """decided | recorded | repeated | rejected | conflict | failed | refused."""

    @property
    def offset(self) -> int:
        """Log offset of the event; -1 none."""

    @property
    def decision(self) -> int:
        """Log offset of the decision; -1 none."""

    @property
    def outcome(self) -> str:
        """Outcome of the decision; empty if nothing was decided."""

    @property
    def reasons(self) -> Sequence[Any]:
        """Reason codes."""

    @property
    def transfers(self) -> Sequence[Any]:
        """What the ledger was asked for, each a `facts.Moved`."""

    @property
    def error(self) -> str:
        """What was wrong; empty if nothing was."""


class Engine(Protocol):
    """The writer. Only the core's loop calls it, except `commit`, which one committer thread runs."""

    @property
    def ledger(self) -> Any:
        """Posts to the ledger; None = there is none."""

    @property
    def prompting(self) -> Any:
        """What the platform itself has to say: timers that are due, applied transfers; None = nothing."""

    @property
    def outbox(self) -> Any:
        """Messages that wait to be sent; None = there are none."""

    def prepare(self, requests: list[Any]) -> Any:
        """Apply and decide a group in memory."""

    def commit(self, pending: Any) -> Sequence[Reply]:
        """Append the group durably; the answers, in order."""

    def dry_run(self, requests: list[Any]) -> Sequence[Reply]:
        """Decide without recording."""

    def decision(self, offset: int) -> dict[str, Any]:
        """One decision with its evidence."""

    def rejects(self, after: int = -1, limit: int = 100) -> dict[str, Any]:
        """Requests that were rejected, counted; the newest listed, or the first behind the offset `after`."""

    def versions(self, pack: str = "") -> dict[str, Any]:
        """Versions of packs with the steps they took."""

    def prove(self, what: str, first: int = 0, size: int = -1) -> bytes:
        """A checkpoint, or a proof that the log extends an earlier one or holds a record."""

    def metrics(self) -> dict[str, Any]:
        """Numbers about the engine."""

    def health(self) -> dict[str, Any]:
        """Committed offset and versions in force."""

    def authorise(self, token_digest: bytes, scope: str) -> str:
        """Name of the actor that holds the token, if it may."""

    def reach(self, token_digest: bytes, scope: str) -> Any:
        """Whose accounts of the ledger the actor may see and take from, if it may."""

    def clock_ahead_ms(self) -> int:
        """How far its stamps are ahead of the machine's clock."""

    def close(self) -> None:
        """Give the log back."""
