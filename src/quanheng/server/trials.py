"""Trials beside a running server: while a version is in shadow or has a share, a process of lowest priority follows it.

It reads the log only, so it can neither hold up nor harm the writer; what it finds is shown by `policy monitor`.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path
from typing import Any

import msgspec

from quanheng.server.config import Config

LOOK_S = 2.0
POLL_S = 2.0
"""How often the follower looks: what has come meanwhile is judged in one go, and kept by one write."""
NICE = 19


async def follow_trials(config: Config, engine: Any, look_s: float = LOOK_S) -> None:
    """Keep one follower running while there are trials. Cancel it to end."""
    follower: asyncio.subprocess.Process | None = None
    try:
        while True:
            wanted = bool(engine.state.versions.trials())
            if follower is not None and (follower.returncode is not None or not wanted):
                await _end(follower)
                follower = None
            if wanted and follower is None:
                told = msgspec.json.encode(config).decode()
                command = (sys.executable, "-m", "quanheng.server.trials", told)
                follower = await asyncio.create_subprocess_exec(*command)
            await asyncio.sleep(look_s)
    finally:
        if follower is not None:
            await _end(follower)


async def _end(follower: asyncio.subprocess.Process) -> None:
    if follower.returncode is None:
        follower.kill()  # What it was about to keep is found again.
    await follower.wait()


def main() -> None:
    """Follow the trials of the configured log (first argument: the configuration as JSON) until the server ends."""
    from quanheng.kernel.content import ContentStore
    from quanheng.kernel.log.log import Log
    from quanheng.kernel.seal import KeyRing
    from quanheng.reading import Reader
    from quanheng.server.opening import open_store
    from quanheng.shadow import Follower
    from quanheng.shadow_book import Book

    os.nice(NICE)
    if hasattr(os, "SCHED_IDLE"):  # Linux: it runs only where nobody else wants to.
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    server = os.getppid()
    config = msgspec.json.decode(sys.argv[1], type=Config)
    folder = Path(config.storage.data)
    store, ring, book = open_store(config), KeyRing.open(Path(config.storage.keys)), Book(folder)
    content, follower, reached = ContentStore(folder / "content"), Follower(book), -1
    while os.getppid() == server:
        if store.head() != reached:
            reached = follower.catch_up(Reader(Log.reader(store), content, ring))
        time.sleep(POLL_S)


if __name__ == "__main__":
    main()
