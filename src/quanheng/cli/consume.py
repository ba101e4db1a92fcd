"""`quanheng consume`: the messages of a stream through a running server."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping

from quanheng.cli.common import HERE, Flag, Json, Place, show_json


def consume(name: str, /, *, until_empty: Flag = False, json: Json = False, place: Place = HERE) -> int:
    """Read a stream of NATS JetStream or Kafka into the server that runs on the data folder, until interrupted.

    For streams with serve = false; `quanheng serve` reads the others itself.

    For example:
      quanheng consume payments
      quanheng consume payments --until-empty --json

    Parameters
    ----------
    name : str
        The stream: a section [stream.NAME] of the configuration.
    until_empty : bool
        End when every message of the stream is acknowledged.
    json : bool
        One line of JSON.
    """
    from quanheng.server.logs import Log
    from quanheng.server.streams import consume as read_stream

    config = place.read()
    found = read_stream(config, name, Log(config.logs.level, "stream"), until_empty)
    if json:
        show_json(found)
    else:
        for line in lines(found):
            print(line)
    sys.stdout.flush()
    return 0


def lines(found: Mapping[str, object]) -> Iterator[str]:
    """What was read, for people: what became of the messages, and how old they were when they were acknowledged."""
    parts = ", ".join(f"{one} {found[one]}" for one in ("decided", "recorded", "repeated", "failed", "rejects"))
    yield f"stream {found['stream']}: {found['messages']} messages acknowledged in {found['seconds']} s: {parts}"
    if found["messages"]:
        rejects = "; the rejects: GET /v1/rejects" if found["rejects"] else ""
        ages = f"half of them within {found['ack_p50_s']} s of their publication, 99 % within {found['ack_p99_s']} s"
        yield ages + rejects
