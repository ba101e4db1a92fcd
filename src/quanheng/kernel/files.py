"""The few file operations whose order decides what survives a crash; a simulated disk can stand in for them."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

_WRITE_BYTES = 1 << 20


class Files:
    """Durable file operations on the real file system."""

    def write_durably(self, path: Path, data: bytes | Iterable[bytes], mode: int = 0o644) -> None:
        """Put `data` at `path`, whole or not at all, durable on return: write aside, fsync, rename, fsync folder.

        Pieces are written as they come; if they end with an exception, what stands at `path` stays.
        """
        aside = path.with_name(f".{path.name}.{os.getpid()}.part")
        handle = self.create(aside, mode)
        try:
            for piece in (data,) if isinstance(data, bytes) else _joined(data):
                self.write(handle, piece)
            self.sync(handle)
        finally:
            self.close(handle)
        self.rename(aside, path)
        self.sync_folder(path.parent)

    def create(self, path: Path, mode: int) -> Any:
        """A handle on a new empty file; what was there is cut off."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)

    def write(self, handle: Any, data: bytes) -> None:
        """Write all of `data`."""
        view = memoryview(data)
        while view:
            view = view[os.write(handle, view) :]

    def sync(self, handle: Any) -> None:
        """Make the bytes of the file durable."""
        os.fsync(handle)

    def close(self, handle: Any) -> None:
        """Give the handle back."""
        os.close(handle)

    def rewrite(self, path: Path) -> None:
        """Write the bytes of `path` again in place and fsync, where an earlier fsync may have failed unseen."""
        try:
            handle = os.open(path, os.O_RDWR)
        except FileNotFoundError:
            return
        try:
            data = os.pread(handle, os.fstat(handle).st_size, 0)
            self.write(handle, data)
            self.sync(handle)
        finally:
            os.close(handle)

    def rename(self, old: Path, new: Path) -> None:
        """Give the file another name, in place of any file of that name."""
        os.replace(old, new)

    def sync_folder(self, folder: Path) -> None:
        """Make the names in `folder` durable."""
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    def make_folder(self, folder: Path, mode: int = 0o755) -> None:
        """Make `folder` and its parents where absent; each new name is durable on return."""
        missing = []
        at = folder
        while not at.is_dir():
            missing.append(at)
            at = at.parent
        for new in reversed(missing):
            new.mkdir(mode=mode, exist_ok=True)
            self.sync_folder(new.parent)

    def read(self, path: Path) -> bytes:
        """The bytes at `path`; FileNotFoundError if absent."""
        return path.read_bytes()

    def view(self, path: Path) -> bytes | mmap.mmap:
        """The bytes at `path`, in memory as far as they are looked at; FileNotFoundError if absent."""
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if size else b""

    def names(self, folder: Path) -> list[str]:
        """Sorted names in `folder`, none if it is absent; half-written files (`.part`) are left out."""
        if not folder.is_dir():
            return []
        return sorted(name for name in os.listdir(folder) if not name.endswith(".part"))

    def remove(self, path: Path) -> None:
        """Remove `path` if it is there."""
        path.unlink(missing_ok=True)


def _joined(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Small pieces joined to larger ones, so that each is worth a call to the system."""
    waiting, size = list[bytes](), 0
    for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size >= _WRITE_BYTES:
            yield b"".join(waiting)
            waiting, size = [], 0
    yield b"".join(waiting)
