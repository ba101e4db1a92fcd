"""A small file beside a log that remembers how far it was acknowledged.

SQLite cannot tell a WAL that lost its end to a crash from one that was cut or damaged later: both end at the last whole
commit. The witness can: after each commit the writer notes head and digest here. It is not fsynced, so it never runs
ahead of the log and costs about a microsecond; after a power loss it may be older, never newer, than the log.
"""

from __future__ import annotations

import os
import struct
from hashlib import blake2b
from pathlib import Path

from quanheng.kernel.errors import LogCorrupt
from quanheng.kernel.log.store import Tip

_SLOT = struct.Struct("<8sqq32s")
_MAGIC = b"QHHEAD1\n"
_SLOT_BYTES = 512
_CHECK_BYTES = 16


class Witness:
    """The file `path`; two slots take turns, so that one is whole whatever happens to the other."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._handle: int | None = None
        self._turn = 0

    def note(self, tip: Tip) -> None:
        """Remember that the log was acknowledged up to `tip`."""
        if self._handle is None:
            self._handle = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        data = _SLOT.pack(_MAGIC, *tip)
        self._turn ^= 1
        os.pwrite(self._handle, data + blake2b(data, digest_size=_CHECK_BYTES).digest(), _SLOT_BYTES * self._turn)

    def remembered(self) -> Tip | None:
        """The furthest tip noted; None if there is no whole note."""
        try:
            raw = self.path.read_bytes()
        except FileNotFoundError:
            return None
        found = []
        for at in (0, _SLOT_BYTES):
            data, check = raw[at : at + _SLOT.size], raw[at + _SLOT.size : at + _SLOT.size + _CHECK_BYTES]
            if data[:8] == _MAGIC and blake2b(data, digest_size=_CHECK_BYTES).digest() == check:
                found.append(Tip._make(_SLOT.unpack(data)[1:]))
        return max(found, default=None)

    def check(self, remembered: Tip | None, tip: Tip) -> None:
        """Compare what was `remembered` (read before `tip`) with the log's `tip`.

        Raises
        ------
        LogCorrupt : the log ends before what was acknowledged, or with another batch
        """
        if remembered is None or remembered.head < tip.head:
            return
        if remembered.digest != tip.digest:  # Of another batch, or of one that is no longer there.
            raise LogCorrupt(
                "the log does not reach what it has acknowledged: its file was cut, damaged or replaced",
                where=str(self.path),
                found=f"{tip.head} records",
                allowed=f"{remembered.head} records with digest {remembered.digest.hex()[:16]}",
                cure="Put the right file and its -wal back; if an older copy is meant, delete this witness file.",
            )

    def close(self) -> None:
        """Close the file."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
