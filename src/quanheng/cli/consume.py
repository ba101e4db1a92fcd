"""`quanheng consume`: the messages of a stream through a running server."""

from __future__ import annotations

import sys

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
        print(", ".join(f"{key} {value}" for key, value in found.items()))
    sys.stdout.flush()
    return 0
