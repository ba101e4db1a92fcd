"""The file layer of the platform on a simulated disk: content, snapshots and keys under the same faults as the log."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

from quanheng.kernel.files import Files
from quanheng.testing.simulated_disk import SimulatedDisk, SimulatedFile


class SimulatedFiles(Files):
    """The file layer on a simulated disk. Folders always exist; their names are durable."""

    def __init__(self, disk: SimulatedDisk) -> None:
        self.disk = disk
        self._written: dict[str, int] = {}

    def create(self, path: Path, mode: int) -> Any:
        self.disk.step()
        self.disk.seen[str(path)] = SimulatedFile()
        self._written[str(path)] = 0
        return str(path)

    def write(self, handle: Any, data: bytes) -> None:
        start = self._written[handle]
        self._written[handle] += len(data)
        for at in range(0, len(data), 4096):
            self.disk.write(handle, start + at, data[at : at + 4096])

    def sync(self, handle: Any) -> None:
        self.disk.sync(handle)

    def close(self, handle: Any) -> None:
        return None

    def rewrite(self, path: Path) -> None:
        if str(path) in self.disk.seen:
            self._written[str(path)] = 0
            self.write(str(path), bytes(self.disk.seen[str(path)].seen))
            self.sync(str(path))

    def rename(self, old: Path, new: Path) -> None:
        self.disk.step()
        self.disk.seen[str(new)] = self.disk.seen.pop(str(old))

    def sync_folder(self, folder: Path) -> None:
        self.disk.sync_names(str(folder))

    def make_folder(self, folder: Path, mode: int = 0o755) -> None:
        return None

    def read(self, path: Path) -> bytes:
        if str(path) not in self.disk.seen:
            raise FileNotFoundError(errno.ENOENT, "no such file", str(path))
        return bytes(self.disk.seen[str(path)].seen)

    def view(self, path: Path) -> bytes:
        return self.read(path)

    def names(self, folder: Path) -> list[str]:
        apart = [name.rpartition("/") for name in self.disk.seen]
        return sorted(leaf for where, _, leaf in apart if where == str(folder) and not leaf.endswith(".part"))

    def remove(self, path: Path) -> None:
        self.disk.step()
        self.disk.seen.pop(str(path), None)
