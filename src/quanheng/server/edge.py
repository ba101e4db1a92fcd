"""The process that serves HTTP: Granian and its workers. It ends when the core ends, however that happens."""

from __future__ import annotations

import os
import signal
import sys
import threading

import msgspec

from quanheng.server.http import ENVIRONMENT, Edge


def main() -> None:
    """Serve HTTP until SIGTERM, or until the core's end of standard input closes."""
    from granian import Granian
    from granian.constants import HTTPModes, Interfaces, Loops

    edge = msgspec.json.decode(os.environ[ENVIRONMENT], type=Edge)
    threading.Thread(target=_end_with_core, daemon=True).start()
    server = edge.config.server
    Granian(
        "quanheng.server.http:create_app",
        factory=True,
        address=server.address,
        port=server.port,
        interface=Interfaces.RSGI,
        workers=server.workers,
        loop=Loops.uvloop if sys.platform != "win32" else Loops.asyncio,
        http=HTTPModes.http1,
        websockets=False,
        backlog=1024,
        workers_kill_timeout=max(1, server.stop_ms_max // 1000),
        log_enabled=False,
    ).serve()


def _end_with_core() -> None:
    """A killed core cannot say goodbye; its closed pipe does."""
    os.read(0, 1)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
