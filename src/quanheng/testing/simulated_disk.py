"""A disk that forgets what was not fsynced: the store simulation runs the ordinary stores on it.

Writes are visible at once, as in a page cache, but only `sync` makes them durable. `crash` gives the disk as it could
be found after the power was lost: of each sector of 512 bytes that was written and not synced, any earlier version may
have survived, whatever became of its neighbours (so writes are lost, reordered and torn); names made and not synced may
be gone, names removed may be back. Faults are drawn from a seeded generator: a crash at the n-th operation, failing
writes (EIO, ENOSPC) and failing syncs, after which, as on Linux, the unwritten data looks clean and is never written
again.

`connect` gives SQLite connections on the disk, by apsw, with the interface of `sqlite3`; `SimulatedFiles`, in
`quanheng.testing.simulated_files`, is the file layer of `quanheng.kernel.files` on it.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import random
import sqlite3
from collections.abc import Callable
from typing import Any

import apsw

SECTOR_BYTES = 512
_numbers = itertools.count()


class PowerLost(OSError):
    """The simulated machine is off; the operation did not happen."""


class SimulatedFile:
    """Content as seen now, content surely on the disk, and what was written in between."""

    def __init__(self) -> None:
        self.seen = bytearray()
        self.durable = bytearray()
        self.versions: dict[int, list[tuple[int, bytes]]] = {}  # Sector -> (number of size changes before it, content).
        self.sizes: list[
            int
        ] = []  # Size changes since the last sync, in order, as a journalled file system keeps them.
        self.lost: set[int] = set()

    def write(self, offset: int, data: bytes) -> None:
        end = offset + len(data)
        if end > len(self.seen):
            self.seen.extend(bytes(end - len(self.seen)))
            self.sizes.append(end)
        self.seen[offset:end] = data
        for sector in range(offset // SECTOR_BYTES, -(-end // SECTOR_BYTES)):
            self.versions.setdefault(sector, []).append((len(self.sizes), self._sector(self.seen, sector)))
            self.lost.discard(sector)

    def truncate(self, size: int) -> None:
        self.seen = self.seen[:size] + bytes(max(size - len(self.seen), 0))
        self.sizes.append(size)

    def sync(self) -> None:
        """Everything written becomes durable, but for what an earlier failed sync has lost."""
        durable = bytearray(self.seen)
        for sector in self.lost:
            at = sector * SECTOR_BYTES
            old = self._sector(self.durable, sector)[: max(len(durable) - at, 0)]
            durable[at : at + len(old)] = old
        self.durable = durable
        self.versions = {sector: [(0, kept[-1][1])] for sector, kept in self.versions.items() if sector in self.lost}
        self.sizes.clear()

    def sync_failed(self) -> None:
        """The system marks the pages clean all the same: a later sync will not write them."""
        self.lost.update(self.versions)

    def crashed(self, rng: random.Random, survival: float) -> bytearray:
        """What is found after the power was lost."""
        changes = rng.randrange(len(self.sizes) + 1) if rng.random() < survival else 0
        if rng.random() < survival * survival:
            changes = len(self.sizes)
        found = bytearray(self.durable)
        for size in self.sizes[:changes]:
            found = found[:size] + bytes(max(size - len(found), 0))
        for sector, versions in self.versions.items():
            at = sector * SECTOR_BYTES
            possible = [content for when, content in versions if not self._cut_between(when, changes, at)]
            if at >= len(found) or not possible or rng.random() >= survival:
                continue
            new = possible[-1] if rng.random() < 0.7 else rng.choice(possible)
            found[at : at + SECTOR_BYTES] = new[: len(found) - at]
        return found

    def _cut_between(self, one: int, other: int, at: int) -> bool:
        """A size change between the two moments took byte `at` away, so they do not share the block it lies in."""
        return any(size <= at for size in self.sizes[min(one, other) : max(one, other)])

    @staticmethod
    def _sector(content: bytearray, sector: int) -> bytes:
        piece = bytes(content[sector * SECTOR_BYTES : (sector + 1) * SECTOR_BYTES])
        return piece + bytes(SECTOR_BYTES - len(piece))


class SimulatedDisk:
    """One disk, one seed.

    Parameters
    ----------
    seed : of every choice the disk makes
    crash_at : number of the operation (write, sync, truncate, rename, remove) that does not happen any more
    fault_rate : chance that a write or sync fails
    syncs : False = a disk that only pretends to sync (the canary that the simulation must catch)

    `fail_at` holds numbers of operations that fail for sure.
    """

    def __init__(self, seed: int, crash_at: int | None = None, fault_rate: float = 0.0, syncs: bool = True) -> None:
        self.rng = random.Random(seed)
        self.crash_at, self.fault_rate, self.syncs = crash_at, fault_rate, syncs
        self.fail_at: set[int] = set()
        self.operations = 0
        self.faults = 0
        self.off = False
        self.seen: dict[str, SimulatedFile] = {}
        self.durable: dict[str, SimulatedFile] = {}
        self._vfs: _Vfs | None = None
        self._connections: dict[str, _Connection] = {}

    def crash(self, **settings: Any) -> SimulatedDisk:
        """The disk as found after the power was lost now; `settings` are those of the new disk."""
        self.off = True
        made = SimulatedDisk(self.rng.randrange(2**32), **settings)
        survival = self.rng.choice([0.0, 0.3, 0.7, 0.95, 1.0])
        names = dict(self.durable)
        for name in sorted(self.seen.keys() | self.durable.keys()):
            if self.seen.get(name) is not self.durable.get(name) and self.rng.random() < survival:
                names.pop(name, None)
                if name in self.seen:
                    names[name] = self.seen[name]
        for name, file in names.items():
            new = SimulatedFile()
            new.seen = file.crashed(self.rng, survival)
            new.durable = bytearray(new.seen)
            made.seen[name] = made.durable[name] = new
        self.end()
        return made

    def end(self) -> None:
        """The processes that used the disk are gone: nothing reaches it any more, and what SQLite held is given back.

        Without it each life keeps its connections, page caches and files: thousands of seeds fill the memory.
        """
        self.off = True
        for connection in self._connections.values():
            connection.abandon()
        self._connections.clear()
        if self._vfs is not None:
            self._vfs.unregister()
            self._vfs = None

    def step(self, fails: bool = True) -> None:
        """Count one operation; crash or fail here if the seed says so."""
        if self.off:
            raise PowerLost(errno.EIO, "the power is off")
        self.operations += 1
        if self.operations == self.crash_at:
            self.off = True
            raise PowerLost(errno.EIO, "the power is off")
        if fails and (self.operations in self.fail_at or (self.fault_rate and self.rng.random() < self.fault_rate)):
            self.faults += 1
            raise OSError(self.rng.choice([errno.EIO, errno.ENOSPC]), "simulated fault")

    def write(self, name: str, offset: int, data: bytes) -> None:
        """Write to a file; the crash or fault of this operation may leave a part of it written."""
        file = self.seen[name]
        try:
            self.step()
        except OSError:
            part = self.rng.randrange(0, len(data) + 1) if data else 0
            if self.operations == self.crash_at or not self.off:
                file.write(offset, data[:part])
            raise
        file.write(offset, data)

    def sync(self, name: str) -> None:
        """Make the bytes of a file durable."""
        try:
            self.step()
        except PowerLost:
            raise
        except OSError:
            self.seen[name].sync_failed()
            raise
        if self.syncs:
            self.seen[name].sync()

    def sync_names(self, folder: str) -> None:
        """Make the names in `folder` durable."""
        self.step()
        if not self.syncs:
            return
        for name in [name for name in self.durable if name.rpartition("/")[0] == folder and name not in self.seen]:
            del self.durable[name]
        for name, file in self.seen.items():
            if name.rpartition("/")[0] == folder:
                self.durable[name] = file

    def connect(self, path: str, **_: Any) -> _Connection:
        """A connection with the interface of `sqlite3`; one per file, since the WAL index is kept in memory."""
        if self._vfs is None:
            self._vfs = _Vfs(f"simulated{next(_numbers)}", self)
        found = self._connections.get(path)
        if found is None or found.closed:
            found = self._connections[path] = _Connection(path, self._vfs.name)
        found.users += 1
        return found


class _Connection:
    """apsw with the interface of `sqlite3` as far as the stores use it; exclusive, so WAL needs no shared memory."""

    def __init__(self, path: str, vfs: str) -> None:
        self.users = 0
        self.closed = False
        with _sqlite_errors():
            self._db = apsw.Connection(path, vfs=vfs)
            self._db.execute("PRAGMA locking_mode = EXCLUSIVE")

    def execute(self, statement: str, values: Any = ()) -> _Rows:
        with _sqlite_errors():
            return _Rows(list(self._db.execute(statement, tuple(values))))

    def executemany(self, statement: str, rows: Any) -> None:
        with _sqlite_errors():
            self._db.executemany(statement, rows)

    def close(self) -> None:
        self.users -= 1
        if self.users == 0:
            self.closed = True
            with _sqlite_errors():
                self._db.close()

    def abandon(self) -> None:
        """Give the memory back, as the end of a process does; errors of a disk that is off are what is expected."""
        self.closed = True
        with contextlib.suppress(apsw.Error, OSError):
            self._db.close(force=True)


class _Rows(list[Any]):
    def fetchall(self) -> list[Any]:
        return self


class _sqlite_errors:
    """Turn errors of apsw into those of `sqlite3`."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if isinstance(error, (apsw.CorruptError, apsw.NotADBError)):
            raise sqlite3.DatabaseError(f"database disk image is malformed: {error}") from error
        if isinstance(error, (apsw.Error, OSError)):
            raise sqlite3.OperationalError(f"{type(error).__name__}: {error}") from error


def _named(call: Callable[[], None]) -> None:
    """Run `call`; its errors become those by which SQLite learns what happened."""
    try:
        call()
    except OSError as error:
        raise (apsw.FullError if error.errno == errno.ENOSPC else apsw.IOError)(str(error)) from error


class _Vfs(apsw.VFS):
    def __init__(self, name: str, disk: SimulatedDisk) -> None:
        self.name, self.disk = name, disk
        super().__init__(name, "", maxpathname=1024)

    def xFullPathname(self, name: str) -> str:
        return name

    def xAccess(self, pathname: str, flags: int) -> bool:
        return pathname in self.disk.seen

    def xDelete(self, filename: str, syncdir: bool) -> None:
        def delete() -> None:
            self.disk.step()
            self.disk.seen.pop(filename, None)
            if syncdir:
                self.disk.sync_names(filename.rpartition("/")[0])

        _named(delete)

    def xOpen(self, name: Any, flags: list[int]) -> Any:
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        if path is None:
            path = f"temporary/{next(_numbers)}"
        if path not in self.disk.seen:
            if not flags[0] & apsw.SQLITE_OPEN_CREATE:
                raise apsw.CantOpenError
            _named(lambda: self.disk.step(fails=False))
            self.disk.seen[path] = SimulatedFile()
        flags[1] = flags[0]
        journal = bool(flags[0] & (apsw.SQLITE_OPEN_MAIN_JOURNAL | apsw.SQLITE_OPEN_WAL))
        return _VfsFile(self.disk, str(path), journal)

    def xRandomness(self, numbytes: int) -> bytes:
        return random.Random(self.disk.operations).randbytes(numbytes)

    def xSleep(self, microseconds: int) -> int:
        return microseconds


class _VfsFile:
    """What SQLite asks of one open file."""

    def __init__(self, disk: SimulatedDisk, name: str, journal: bool) -> None:
        self.disk, self.name, self.file = disk, name, disk.seen[name]
        self.names_unsynced = journal  # As the Unix layer: the first sync of a journal syncs the folder too.

    def xRead(self, amount: int, offset: int) -> bytes:
        return bytes(self.file.seen[offset : offset + amount])

    def xWrite(self, data: bytes, offset: int) -> None:
        _named(lambda: self.disk.write(self.name, offset, bytes(data)))

    def xTruncate(self, size: int) -> None:
        def cut() -> None:
            self.disk.step()
            self.file.truncate(size)

        _named(cut)

    def xSync(self, flags: int) -> None:
        def sync() -> None:
            self.disk.sync(self.name)
            if self.names_unsynced:
                self.disk.sync_names(self.name.rpartition("/")[0])
                self.names_unsynced = False

        _named(sync)

    def xFileSize(self) -> int:
        return len(self.file.seen)

    def xLock(self, level: int) -> None:
        return None

    def xUnlock(self, level: int) -> None:
        return None

    def xCheckReservedLock(self) -> bool:
        return False

    def xFileControl(self, op: int, ptr: int) -> bool:
        return False

    def xSectorSize(self) -> int:
        return SECTOR_BYTES

    def xDeviceCharacteristics(self) -> int:
        return int(apsw.SQLITE_IOCAP_POWERSAFE_OVERWRITE)

    def xClose(self) -> None:
        return None
