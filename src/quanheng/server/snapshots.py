"""Snapshots beside a running server: now and then a process of low priority folds the committed log and writes one.

It reads the log only, so it can neither hold up nor harm the writer; what it writes makes the next start short, and
each one tests replay.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import msgspec

from quanheng.server.config import Config
from quanheng.server.engines import Engine

LOOK_S = 5.0


async def follow(config: Config, engine: Engine) -> None:
    """Start a follower each time the log has grown by `storage.snapshot_records`; one at a time. Cancel it to end."""
    step = config.storage.snapshot_records
    last = _committed(engine)
    while step:
        await asyncio.sleep(LOOK_S)
        head = _committed(engine)
        if head - last < step:
            continue
        last = head
        told = msgspec.json.encode(config).decode()
        follower = await asyncio.create_subprocess_exec(sys.executable, "-m", "quanheng.server.snapshots", told)
        try:
            await follower.wait()
        except asyncio.CancelledError:
            follower.kill()
            await follower.wait()
            raise


def _committed(engine: Engine) -> int:
    return int(engine.health().get("as_of", 0))


def main() -> None:
    """Write one snapshot of the configured log (first argument: the configuration as JSON)."""
    from quanheng.follower import write_snapshot
    from quanheng.server.opening import open_store

    os.nice(10)
    config = msgspec.json.decode(sys.argv[1], type=Config)
    far, most = bool(config.cluster.address), config.features.memory_bytes_max
    write_snapshot(Path(config.storage.data), open_store(config), memory_bytes_max=most, far=far)


if __name__ == "__main__":
    main()
