"""Writes a small working pack to start from: `quanheng pack new NAME`."""

from __future__ import annotations

from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from quanheng.kernel.errors import InputError
from quanheng.loading.files import read_pack
from quanheng.loading.table import NAME

STARTER = "quanheng.loading.starter"
PLACEHOLDER = b"NEW_PACK"


def new_pack(name: str, folder: Path) -> Path:
    """Write the starter pack under its new name. It passes its check, and its golden cases pass.

    Parameters
    ----------
    name : small letters, digits and _, beginning with a letter
    folder : where to write; made if it is not there, must be empty

    Raises
    ------
    InputError
        when the name is no name, or the folder holds something.
    """
    if not NAME.fullmatch(name):
        raise InputError(
            "the name is not a name for a pack",
            found=repr(name),
            allowed="small letters, digits and _, beginning with a letter",
            cure=f"Try {_plain(name)!r}.",
        )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(
            "the folder is not empty",
            where=str(folder),
            allowed="a new or empty folder",
            cure="Give another one with --folder.",
        )
    for file, content in starter_files(name).items():
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def starter_files(name: str) -> dict[str, bytes]:
    """The files of the starter pack, under the name `name`."""
    folder: Traversable = files(STARTER)
    return {file: content.replace(PLACEHOLDER, name.encode()) for file, content in read_pack(folder).files.items()}


def _plain(name: str) -> str:
    letters = "".join(sign if sign.isascii() and sign.isalnum() else "_" for sign in name.lower()).strip("_")
    return letters if letters[:1].isalpha() else f"pack_{letters}".rstrip("_")
