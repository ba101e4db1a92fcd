"""Content by hash: packs, policies, models and attachments beside the log, which names them by SHA-256."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from quanheng.kernel.codec import canonical_json, decode_json
from quanheng.kernel.errors import InputError, LogCorrupt, NotFound
from quanheng.kernel.files import Files

_MANIFEST = "quanheng-folder-1"


class ContentStore:
    """Files under `folder`, each named by the SHA-256 of its bytes (two hexadecimal digits, a slash, the rest)."""

    def __init__(self, folder: str | Path, files: Files | None = None) -> None:
        self.folder, self._files = Path(folder), files or Files()
        self._files.make_folder(self.folder)

    def put(self, data: bytes) -> str:
        """Keep `data`; durable on return. Gives its hash (64 hexadecimal digits)."""
        hash = sha256(data).hexdigest()
        path = self._path(hash)
        try:
            known = self._files.read(path) == data
        except FileNotFoundError:
            known = False
        if not known:
            self._files.make_folder(path.parent)
            self._files.write_durably(path, data)
        else:
            # Another process may have renamed it and not yet synced the folder.
            self._files.sync_folder(path.parent)
        return hash

    def get(self, hash: str) -> bytes:
        """The bytes of `hash` (with or without a leading ``sha256:``), checked.

        Raises
        ------
        NotFound : never kept here
        LogCorrupt : the file is not what was kept
        """
        hash = hash.removeprefix("sha256:")
        path = self._path(hash)
        try:
            data = self._files.read(path)
        except FileNotFoundError as error:
            raise NotFound("no content of this hash", where=str(self.folder), found=hash) from error
        if sha256(data).hexdigest() != hash:
            raise LogCorrupt(
                "stored content does not match its hash",
                where=str(path),
                cure="Restore the file from a copy, or put it again.",
            )
        return data

    def __contains__(self, hash: str) -> bool:
        try:
            self.get(hash)
        except (NotFound, LogCorrupt, InputError):
            return False
        return True

    def put_folder(self, folder: str | Path | dict[str, bytes]) -> str:
        """Keep every file of a folder (or of a mapping name -> bytes); gives the hash of the manifest.

        Equal contents give equal hashes: names are sorted, times and modes left out; names that begin with a dot and
        ``__pycache__`` are skipped.
        """
        named = folder if isinstance(folder, dict) else _read_folder(Path(folder))
        manifest = {_MANIFEST: {name: self.put(data) for name, data in sorted(named.items())}}
        return self.put(canonical_json(manifest))

    def get_folder(self, hash: str) -> dict[str, bytes]:
        """Name -> bytes of what `put_folder` kept under `hash`."""
        return {name: self.get(part) for name, part in read_manifest(self.get(hash)).items()}

    def get_files(self, hash: str, wanted: Callable[[str], bool]) -> dict[str, bytes]:
        """Name -> bytes of the files of a folder whose names are wanted; the others are not read."""
        manifest = read_manifest(self.get(hash))
        return {name: self.get(part) for name, part in manifest.items() if wanted(name)}

    def _path(self, hash: str) -> Path:
        if len(hash) != 64 or any(digit not in "0123456789abcdef" for digit in hash):
            raise InputError("not a SHA-256 in hexadecimal", found=repr(hash))
        return self.folder / hash[:2] / hash[2:]


def read_manifest(content: bytes) -> dict[str, str]:
    """Name -> SHA-256 of the files of a folder, from the content that its hash names.

    Raises
    ------
    InputError : the content is no folder
    """
    try:
        manifest = decode_json(content)
    except InputError:
        manifest = None
    if not isinstance(manifest, dict) or not isinstance(manifest.get(_MANIFEST), dict):
        raise InputError("this content is not a folder", found=sha256(content).hexdigest())
    return dict(manifest[_MANIFEST])


def _read_folder(folder: Path) -> dict[str, bytes]:
    if not folder.is_dir():
        raise NotFound("no such folder", where=str(folder))
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if path.is_file() and not any(part.startswith(".") or part == "__pycache__" for part in name.parts):
            found[name.as_posix()] = path.read_bytes()
    return found
