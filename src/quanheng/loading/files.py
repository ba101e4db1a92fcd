"""Reads the files of a pack into memory, with bounds, from a folder, a wheel or a dict of bytes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.resources.abc import Traversable
from pathlib import Path

import msgspec

from quanheng.kernel.errors import NotFound, Problem

FILES_MAX = 500
DEPTH_MAX = 4
PACK_BYTES_MAX = 256 * 2**20
BYTES_MAX = {".toml": 2 * 2**20, ".dmn": 8 * 2**20, ".md": 2 * 2**20, ".csv": 64 * 2**20}
OTHER_BYTES_MAX = 128 * 2**20

IGNORED_FOLDERS = frozenset({"__pycache__", ".git", ".venv"})
IGNORED_FILES = frozenset({".DS_Store", "Thumbs.db", "__init__.py", ".gitignore", ".gitattributes"})


class PackFiles(msgspec.Struct, frozen=True):
    """The files of one pack by name relative to its folder, with `/` between parts.

    label : where they came from, for messages
    problems : what was wrong with the files themselves (too many, too large); `check_pack` reports them
    """

    label: str
    files: Mapping[str, bytes]
    problems: tuple[Problem, ...] = ()


def read_pack(source: Path | Traversable | Mapping[str, bytes], label: str = "") -> PackFiles:
    """Read all files of a pack.

    Parameters
    ----------
    source : the pack's folder, an importlib resource folder, or its files as bytes by name
    label : how messages call this pack; the folder's own name by default

    Raises
    ------
    NotFound
        when the folder does not exist or is a file. Anything wrong inside is a problem, not an error.
    """
    if isinstance(source, Mapping):
        entries = ((name, len(content), content) for name, content in sorted(source.items()))
        return _bounded(label or "pack", entries)
    if not source.is_dir():
        raise NotFound(
            "there is no pack folder",
            where=str(source),
            found="a file" if source.is_file() else "nothing",
            allowed="a folder that holds pack.toml",
            cure="Give the folder, or run: quanheng pack new NAME",
        )
    return _bounded(label or source.name, _walk(source, ""))


def _walk(folder: Path | Traversable, prefix: str) -> Iterator[tuple[str, int, bytes | Path | Traversable]]:
    for entry in sorted(folder.iterdir(), key=lambda item: item.name):
        name = f"{prefix}{entry.name}"
        if entry.is_dir():
            if entry.name not in IGNORED_FOLDERS and name.count("/") < DEPTH_MAX:
                yield from _walk(entry, f"{name}/")
        elif entry.name not in IGNORED_FILES:
            size = entry.stat().st_size if isinstance(entry, Path) else -1
            yield name, size, entry


def _bounded(label: str, entries: Iterator[tuple[str, int, bytes | Path | Traversable]]) -> PackFiles:
    """Take files while they keep within the bounds; what does not is a problem and is left out."""
    files: dict[str, bytes] = {}
    problems: list[Problem] = []
    room = PACK_BYTES_MAX
    for name, size, entry in entries:
        if len(files) >= FILES_MAX:
            cure = "Move what is not a declaration out of the pack's folder."
            problems.append(Problem(name, "", "the pack has too many files", "", f"at most {FILES_MAX}", cure))
            break
        limit = BYTES_MAX.get(name[name.rfind(".") :], OTHER_BYTES_MAX)
        content = _content(entry) if size <= min(limit, room) else b""
        found = max(size, len(content))
        if found > min(limit, room):
            what, most = ("file", limit) if found > limit else ("pack as a whole", PACK_BYTES_MAX)
            cure = "Keep data outside the pack and map it with mappings/*.toml."
            problems.append(
                Problem(name, "", f"the {what} is too large", f"{found} bytes", f"at most {most} bytes", cure)
            )
            continue
        room -= found
        files[name] = content
    return PackFiles(label, files, tuple(problems))


def _content(entry: bytes | Path | Traversable) -> bytes:
    return entry if isinstance(entry, bytes) else entry.read_bytes()
