"""Structured logs: one JSON object a line on standard error.

Nothing personal: no ids, no field values, no query strings, no tokens.
`log.write("request", ...)` accepts only the field names of `FIELDS`, each of which is a number, a fixed word or a path
template, so that a payload cannot slip in by accident; a test sends marked values through every route and searches for
them.
"""

from __future__ import annotations

import sys
import time
from typing import IO

import msgspec

FIELDS = frozenset(
    {
        "message", "route", "method", "status", "events", "took_ms", "address", "port", "error_class", "offset_ms",
        "partition",
        "stream",
    }
)  # fmt: skip
LEVELS = ("debug", "info", "warning", "error")


class Log:
    """Writes lines of at least `level`.

    Parameters
    ----------
    level : lowest level written
    process : "core" or "edge"
    stream : where to; standard error by default
    """

    def __init__(self, level: str = "info", process: str = "core", stream: IO[str] | None = None) -> None:
        self._lowest = LEVELS.index(level)
        self._process = process
        self._stream = stream

    def write(self, level: str, event: str, now_ms: int, **fields: object) -> None:
        """One line: time, level, process, event and `fields`.

        Raises
        ------
        ValueError : a field name that is not in `FIELDS` (a programming error)
        """
        if LEVELS.index(level) < self._lowest:
            return
        unknown = fields.keys() - FIELDS
        if unknown:
            raise ValueError(
                f"log field {sorted(unknown)[0]!r} is not allowed; add it to FIELDS if it can never hold personal data"
            )
        line = {"time": _iso(now_ms), "level": level, "process": self._process, "event": event, **fields}
        stream = self._stream or sys.stderr
        stream.write(msgspec.json.encode(line).decode() + "\n")
        stream.flush()


def _iso(now_ms: int) -> str:
    seconds, thousandths = divmod(now_ms, 1000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{thousandths:03d}Z"
