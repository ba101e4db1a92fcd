"""Snapshots of folded state at an offset: recovery begins here instead of at the start of the log.

One file per snapshot: magic, the length of a JSON head, the head (offset, program, and name, type, shape and place of
each part), the parts, and the SHA-256 of all that. A file that does not match its digest is reported and the older one
used; a snapshot is never the truth, since the log can rebuild it.

A part may be a `Stream`, which is never in memory as a whole: it is written as it comes and read as a view of the file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from itertools import chain
from mmap import mmap
from pathlib import Path
from typing import NamedTuple

import numpy as np

from quanheng.kernel.codec import canonical_json, decode_json
from quanheng.kernel.errors import InputError, LogCorrupt
from quanheng.kernel.files import Files

MAGIC = b"QHSNAP1\n"
KEPT = 3
_NAME = re.compile(r"([0-9]{20})-([0-9a-f]{16})\.snapshot")
_ALIGN = 64


class Stream(NamedTuple):
    """Words in pieces. size : bytes of all of them, a multiple of 8; pieces : gives them, as often as asked"""

    size: int
    pieces: Callable[[], Iterator[bytes]]


Read = bytes | np.ndarray
Part = Read | Stream


class Snapshot(NamedTuple):
    """State after all records before `offset`, folded by `program` (a digest of what folded it)."""

    offset: int
    program: str
    parts: dict[str, Read]


class Snapshots:
    """Snapshots in `folder`; of each program the newest `KEPT` stay. `broken` lists the damaged, passed over."""

    def __init__(self, folder: str | Path, files: Files | None = None) -> None:
        self.folder, self._files = Path(folder), files or Files()
        self._files.make_folder(self.folder)
        self.broken: list[str] = []

    def write(self, offset: int, program: str, parts: Mapping[str, Part]) -> Path:
        """Write a snapshot; durable on return. Of this program's older ones the newest two stay, the rest is removed.

        Those of a later offset are left alone: where the log was restored from a copy, they are of another timeline.
        """
        if offset < 0:
            raise InputError("the offset of a snapshot is not negative", found=str(offset))
        path = self.folder / f"{offset:020d}-{_tag(program)}.snapshot"
        self._files.write_durably(path, _encode(offset, program, parts))
        for old in [name for name in self._of(program) if name <= path.name][KEPT:]:
            self._files.remove(self.folder / old)
        return path

    def newest(self, upto: int | None = None, program: str | None = None) -> Snapshot | None:
        """The newest whole snapshot with offset <= `upto`, of `program` if given; None if there is none."""
        for name in self._of(program):
            if upto is not None and int(name[:20]) > upto:
                continue
            try:
                return _decode(self._files.view(self.folder / name), name)
            except (LogCorrupt, FileNotFoundError) as error:
                self.broken.append(str(error))
        return None

    def _of(self, program: str | None) -> list[str]:
        """File names, newest first."""
        found = [(name, _NAME.fullmatch(name)) for name in self._files.names(self.folder)]
        wanted = None if program is None else _tag(program)
        return sorted((name for name, match in found if match and wanted in (None, match[2])), reverse=True)


def _tag(program: str) -> str:
    return sha256(program.encode()).hexdigest()[:16]


def _encode(offset: int, program: str, parts: Mapping[str, Part]) -> Iterator[bytes]:
    """The file in pieces, its digest last."""
    heads: dict[str, object] = {}
    at = 0
    for name, part in parts.items():
        shape = _shape(name, part)
        size = len(part) if isinstance(part, bytes) else part.size if isinstance(part, Stream) else part.nbytes
        heads[name] = {"at": at, "bytes": size, **shape}
        at += size + -size % _ALIGN
    head = canonical_json({"offset": offset, "program": program, "parts": heads})
    head += b" " * (-(len(MAGIC) + 8 + len(head)) % _ALIGN)
    digest = sha256()
    for piece in chain((MAGIC, len(head).to_bytes(8, "little"), head), *map(_pieces, parts.values())):
        digest.update(piece)
        yield piece
    yield digest.digest()


def _shape(name: str, part: Part) -> dict[str, object]:
    """Type and shape of a part as its head says them; bytes have none."""
    if isinstance(part, Stream):
        return {"type": "<i8", "shape": [part.size // 8], "view": True}
    if isinstance(part, np.ndarray):
        if part.dtype.hasobject:
            raise InputError("a snapshot part holds Python objects", where=name, found=str(part.dtype))
        return {"type": part.dtype.descr if part.dtype.names else part.dtype.str, "shape": list(part.shape)}
    if not isinstance(part, bytes):
        raise InputError("a snapshot part is bytes or an array", where=name, found=type(part).__name__)
    return {}


def _pieces(part: Part) -> Iterator[bytes]:
    size = 0
    whole = part.tobytes() if isinstance(part, np.ndarray) else part
    for piece in whole.pieces() if isinstance(whole, Stream) else (whole,):
        size += len(piece)
        yield piece
    if size % _ALIGN:
        yield bytes(-size % _ALIGN)


def _decode(data: bytes | mmap, name: str) -> Snapshot:
    view = memoryview(data)
    if data[:8] != MAGIC or len(data) < 48 or sha256(view[:-32]).digest() != data[-32:]:
        raise LogCorrupt(
            "a snapshot is damaged",
            where=name,
            cure="Nothing to do: an older snapshot or the log itself is used instead.",
        )
    start = 16 + int.from_bytes(data[8:16], "little")
    head = decode_json(data[16:start])
    parts: dict[str, Read] = {}
    for key, part in head["parts"].items():
        at, size = start + part["at"], part["bytes"]
        if "type" in part:
            kind = part["type"]
            dtype = np.dtype(
                [(field[0], field[1], *map(tuple, field[2:])) for field in kind] if isinstance(kind, list) else kind
            )
            array = np.frombuffer(view[at : at + size], dtype).reshape(part["shape"])
            parts[key] = array if part.get("view") else array.copy()
        else:
            parts[key] = bytes(view[at : at + size])
    return Snapshot(head["offset"], head["program"], parts)
