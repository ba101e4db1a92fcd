"""How errors are answered: the HTTP status of each class, and the sentences for a server that stops or has failed."""

from __future__ import annotations

import sqlite3
import traceback
from pathlib import Path

import msgspec

from quanheng.kernel.errors import (
    DataErased,
    DeclarationError,
    KeyRingBusy,
    LogError,
    NotAuthenticated,
    NotFound,
    NotPermitted,
    QuanhengError,
    QueueFull,
    RequestConflict,
)
from quanheng.server import wire

AGAIN = "Send the same events again with the same ids: what was recorded is answered once, not twice."
STOPPING = wire.Answer(
    503, msgspec.json.encode({"error": "the server is stopping; nothing was written", "cure": AGAIN}), 1
)


class OperationFailed(QuanhengError):
    """A fault outside the log kept the server from doing what was asked; it goes on."""


def refusal(error: QuanhengError, retry_after_s: int) -> wire.Answer:
    """The HTTP answer to an error of ours."""
    if isinstance(error, NotAuthenticated):
        status = 401
    elif isinstance(error, NotPermitted):
        status = 403
    elif isinstance(error, NotFound):
        status = 404
    elif isinstance(error, RequestConflict):
        status = 409
    elif isinstance(error, DataErased):
        status = 410
    elif isinstance(error, QueueFull):
        return wire.Answer(429, error_body(error), retry_after_s)
    elif isinstance(error, KeyRingBusy):
        return wire.Answer(503, error_body(error), retry_after_s)
    else:
        status = 500 if isinstance(error, LogError | OperationFailed) else 422
    return wire.Answer(status, error_body(error))


def error_body(error: QuanhengError) -> bytes:
    """One error as JSON: the sentence, and its parts for programs; of a declaration every problem, with its parts."""
    parts: dict[str, object] = {
        "where": error.where, "found": error.found, "allowed": error.allowed, "cure": error.cure,
        "problems": [one._asdict() for one in error.problems] if isinstance(error, DeclarationError) else [],
    }  # fmt: skip
    return msgspec.json.encode({"error": str(error), **{key: value for key, value in parts.items() if value}})


def ours(error: Exception, where: str) -> QuanhengError:
    """An error of ours as it is; of a foreign fault what it says of files and disks, else class and place alone.

    The text of any other foreign error may hold values of an event.
    """
    if isinstance(error, QuanhengError):
        return error
    if isinstance(error, OSError):
        found = f"{error.strerror or type(error).__name__}{f' ({error.filename})' if error.filename else ''}"
    elif isinstance(error, sqlite3.Error):
        found = str(error)
    else:
        found = type(error).__name__
        for place in traceback.extract_tb(error.__traceback__)[-1:]:
            found += f" at {Path(place.filename).name}:{place.lineno}"
    return OperationFailed(
        "this could not be done; the server goes on",
        where=where,
        found=found,
        cure="Mend the cause (disk, rights, files of the pack), then do it again.",
    )


def failed() -> wire.Answer:
    """The answer to everything after the log did not confirm a write."""
    text = (
        "the log did not confirm the write and the server has stopped; whether these events were recorded is not known"
    )
    return wire.Answer(503, msgspec.json.encode({"error": text, "cure": AGAIN}), 5)
