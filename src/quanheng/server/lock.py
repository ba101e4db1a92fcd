"""One process owns a data folder: an exclusive lock on `core.lock`, given back when the process dies."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from quanheng.kernel.errors import InputError

DATA_OWNED = "another Quanheng process owns this data folder"
DATA_CURE = "Stop it first, send to its HTTP address, or use another folder (storage.data, --data)."


class FolderInUse(InputError):
    """Another process owns the data folder."""


class FolderLock:
    """Held from construction until `close`.

    Parameters
    ----------
    folder : data folder; made (rights 0700) if it does not exist
    owned, cure : what a caller is told who comes second

    Raises
    ------
    FolderInUse : another process holds it
    """

    def __init__(self, folder: Path, owned: str = DATA_OWNED, cure: str = DATA_CURE) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file = open(folder / "core.lock", "a+", encoding="ascii")  # noqa: SIM115  (held for the life of the lock)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._file.seek(0)
            owner = self._file.read().strip() or "unknown"
            self._file.close()
            raise FolderInUse(
                owned,
                where=str(folder),
                found=f"process {owner}",
                cure=cure,
            ) from None
        self._file.truncate(0)
        self._file.write(str(os.getpid()))
        self._file.flush()

    def close(self) -> None:
        """Give the folder back."""
        self._file.close()
