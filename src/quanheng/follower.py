"""The follower: folds the committed log in a process of its own and writes snapshots.

Because it starts from the previous snapshot and reaches the head through `apply` only, each snapshot it writes
also tests replay; with `check=True` it folds from the beginning and compares.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import NamedTuple

from quanheng.features.bounded import Here, memory_of
from quanheng.features.elsewhere import Unfolded
from quanheng.kernel.content import ContentStore
from quanheng.kernel.errors import LogCorrupt
from quanheng.kernel.log.log import Log
from quanheng.kernel.log.sqlite import SqliteLogStore
from quanheng.kernel.log.store import LogStore
from quanheng.kernel.snapshot import Part, Snapshots
from quanheng.recovery import FAR_SNAPSHOTS, Progress, rebuild


class Followed(NamedTuple):
    """offset : the snapshot holds the log up to here; written : False if it was there already"""

    offset: int
    digest: str
    written: bool


def write_snapshot(
    folder: Path,
    store: LogStore | None = None,
    *,
    check: bool = False,
    memory_bytes_max: int = 0,
    far: bool = False,
    progress: Progress | None = None,
) -> Followed:
    """Fold the committed log of `folder` and write a snapshot of it. Reads the log only; may run beside the writer.

    far : the windows are kept elsewhere and snapshot themselves; the snapshot holds everything else

    The windows take at most `memory_bytes_max` bytes of memory (0: no bound); a snapshot holds all keys, cold ones too.

    Raises
    ------
    LogCorrupt : with `check`, the fold from the beginning differs from the fold from the last snapshot
    """
    log = Log.reader(store or SqliteLogStore(folder / "log.db"))
    content, snapshots = ContentStore(folder / "content"), Snapshots(folder / (FAR_SNAPSHOTS if far else "snapshots"))
    newest = snapshots.newest()
    make_windows = Unfolded if far else Here(memory_of(folder, memory_bytes_max))
    made = partial(rebuild, log, content, progress=progress, make_windows=make_windows)
    state = made(snapshots)
    digest = state.digest()
    if check:
        full = made(None, upto=state.head).digest()
        if full != digest:
            raise LogCorrupt(
                "a snapshot does not equal a full replay",
                where=f"offset {state.head}",
                found=digest,
                allowed=full,
                cure=f"Delete {folder / 'snapshots'}; it is rebuilt from the log.",
            )
    chain = log.digest_at(state.head)
    if newest is not None and newest.offset == state.head and newest.parts.get("chain") == chain:
        return Followed(state.head, digest, False)
    kept, arrays = state.keep()
    parts: dict[str, Part] = {"chain": chain, "state": kept, **arrays}
    snapshots.write(state.head, state.program.digest(), parts)
    return Followed(state.head, digest, True)
