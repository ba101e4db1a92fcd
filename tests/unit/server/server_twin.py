"""A slow, small twin of the engine: enough to test everything around it. Run as a program it serves HTTP with it."""

from __future__ import annotations

import json
import sys
import time
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from quanheng.kernel.errors import AppendFailed, DataErased, NotAuthenticated, NotFound, NotPermitted
from quanheng.server import config as configuration
from quanheng.server.process import Opened, serve

TOKEN = "token-of-the-tests"
READER = "token-that-may-only-read"


class Request(NamedTuple):
    client: str
    id: str
    type: str
    data: bytes
    deadline_ms: int = 0


class Reply(NamedTuple):
    id: str
    status: str
    offset: int = -1
    decision: int = -1
    outcome: str = ""
    reasons: tuple[str, ...] = ()
    error: str = ""
    transfers: tuple[object, ...] = ()


class Twin:
    """Answers "approve" to everything but what its name says; writes what it committed to a file, flushed."""

    ledger = prompting = outbox = None

    def __init__(self, path: Path | None = None, commit_s: float = 0.0, fail_at: int = 0):
        self.path, self.commit_s, self.fail_at = path, commit_s, fail_at
        self.seen: dict[tuple[str, str], tuple[int, bytes]] = {}
        self.head, self.groups, self.rejected = 0, [], []
        self.closed = False
        self.actors = {sha256(TOKEN.encode()).digest(): ("tests", {"ingest", "read", "watch"})}
        self.actors[sha256(READER.encode()).digest()] = ("reader", {"read"})
        self.deadlines, self.ahead_ms = [], 0

    def _one(self, request, dry):
        self.deadlines.append(request.deadline_ms)
        if request.type == "explode":
            raise RuntimeError("a fault while applying 4111111111111111")
        if request.type != "payment":
            self.rejected.append(request.id)
            return Reply(request.id, "rejected", error=f"type was {request.type!r}; allowed: payment")
        known = self.seen.get((request.client, request.id))
        if known:
            offset, data = known
            if data != request.data:
                return Reply(request.id, "conflict", offset, error="the id was used before with other content")
            return Reply(request.id, "repeated", offset, offset + 1, "approve")
        offset = self.head
        if not dry:
            self.seen[request.client, request.id] = (offset, request.data)
            self.head += 2
        return Reply(request.id, "decided", -1 if dry else offset, -1 if dry else offset + 1, "approve", ("ok",))

    def prepare(self, requests):
        return [self._one(request, False) for request in requests]

    def commit(self, pending):
        self.groups.append(len(pending))
        if self.fail_at and len(self.groups) >= self.fail_at:
            raise AppendFailed("the disk did not confirm the write", where="twin", cure="Look at the disk.")
        if self.commit_s:
            time.sleep(self.commit_s)
        if self.path:
            with self.path.open("a") as file:
                file.write("".join(reply.id + "\n" for reply in pending if reply.status == "decided"))
        return pending

    def dry_run(self, requests):
        return [self._one(request, True) for request in requests]

    def decision(self, offset):
        if offset == 99:
            raise DataErased("the content was erased", where="decision 99")
        if not 0 <= offset < self.head:
            raise NotFound(
                "there is no such decision", where=f"decision {offset}", cure="Look at the reply to the event."
            )
        return {"offset": offset, "outcome": "approve"}

    def rejects(self, after=-1, limit=100):
        return {"count": len(self.rejected), "rejects": [{"id": id} for id in self.rejected[after + 1 :][:limit]]}

    def versions(self, pack=""):
        if pack not in ("", "shop"):
            raise NotFound("the pack has no version here", where=pack)
        return {"as_of": self.head, "versions": [{"pack": "shop", "status": "champion"}]}

    def prove(self, what, first=0, size=-1):
        if first > self.head:
            raise NotFound("no such size to prove", found=str(first), allowed=f"0..{self.head}")
        return f"{what} {first} {size}".encode()

    def metrics(self):
        return {"head": self.head, "late": {"fold_a": 3}, "note": "text"}

    def health(self):
        return {"offset": self.head}

    def authorise(self, token_digest, scope):
        if token_digest not in self.actors:
            raise NotAuthenticated("the token is not known", cure="Make one with `quanheng token create`.")
        name, scopes = self.actors[token_digest]
        if scope not in scopes:
            raise NotPermitted("the token lacks the scope", found=", ".join(scopes), allowed=scope)
        return name

    def clock_ahead_ms(self):
        return self.ahead_ms

    def close(self):
        self.closed = True


def main() -> int:
    options = json.loads(sys.argv[1])
    config = configuration.read(None, options["config"])
    twin = Twin(
        Path(options["file"]) if "file" in options else None, options.get("commit_s", 0.0), options.get("fail_at", 0)
    )
    example = {"id": "e-1", "type": "payment", "data": {"amount_minor": 100}}
    return serve(config, lambda _: Opened(twin, Request, [example], ["a note"]), lambda line: print(line, flush=True))


if __name__ == "__main__":
    sys.exit(main())
