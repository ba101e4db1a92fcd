"""What differs between two versions of a pack that are named: a folder, a recorded hash, or the active one."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from quanheng.decisions.diff import Change, Contents, Dated, differences
from quanheng.kernel.content import ContentStore
from quanheng.kernel.errors import NotFound, QuanhengError
from quanheng.loading.declared import Declared
from quanheng.loading.files import PackFiles, read_pack
from quanheng.past.versions import ACTIVE, HASH_LENGTH_MIN, Asked, Versions
from quanheng.past.window import Window, survey
from quanheng.reading import Reader

IN_WORDS = ("policies/", "parameters/", "models/")


class Compared(NamedTuple):
    """Two versions of `pack` and what differs; `before` and `after` are hashes, "" where never stored."""

    pack: str
    before: str
    after: str
    changes: list[Change]


def compare(reader: Reader, available: Mapping[str, PackFiles], before: str, after: str, pack: str = "") -> Compared:
    """Compare two versions.

    Parameters
    ----------
    available : installed packs, for what the versions require
    before, after : a folder, the first digits of a content hash, or `active`
    pack : whose versions; "" = as the folder or the hash says

    Raises
    ------
    NotFound, InputError : nothing, or more than one thing, is meant
    DeclarationError : a version is wrong
    """
    name = pack or _pack_meant(reader.content, (before, after))
    versions = Versions(name, survey(reader, Window(""), None).activations, reader.content, available)
    sides = []
    for text in (before, after):
        files, found = versions.files(Asked(text, None)), versions.find(Asked(text, None))
        assert found.program is not None
        sides.append((found.hash, contents(files, found.program.packs[name])))
    (was, one), (now, other) = sides
    return Compared(name, was, now, differences(one, other))


def contents(files: PackFiles, declared: Declared) -> Contents:
    """A version as it is compared: what has words, and the rest by file."""
    return Contents(
        {f"policies/{name}.dmn": xml for name, xml in declared.policies.items()},
        {
            one.name: {value.from_date: Dated(_text(value.value), value.source) for value in one.values}
            for one in declared.parameters
        },
        {one.name: one.hash for one in declared.models},
        {one.code: (one.en, one.zh) for one in declared.reasons},
        {name: data for name, data in files.files.items() if not name.startswith(IN_WORDS) and name != "reasons.toml"},
    )


def _text(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _pack_meant(content: ContentStore, names: Sequence[str]) -> str:
    for text in names:
        if text == ACTIVE:
            continue
        if Path(text).is_dir():
            return _manifest_name(dict(read_pack(Path(text)).files))
        for hash in _stored(content, text):
            if name := _manifest_name(_folder(content, hash)):
                return name
    raise NotFound(
        "no pack is named by these versions",
        where="A, B",
        found=", ".join(names),
        allowed=f"a folder, {ACTIVE}, or at least {HASH_LENGTH_MIN} digits of a content hash",
        cure="Name the pack with --pack, or see: quanheng policy list.",
    )


def _stored(content: ContentStore, prefix: str) -> list[str]:
    folder = content.folder / prefix[:2]
    if len(prefix) < HASH_LENGTH_MIN or not folder.is_dir():
        return []
    return [hash for path in sorted(folder.iterdir()) if (hash := prefix[:2] + path.name).startswith(prefix)]


def _folder(content: ContentStore, hash: str) -> dict[str, bytes]:
    try:
        return content.get_folder(hash)
    except QuanhengError:
        return {}


def _manifest_name(files: Mapping[str, bytes]) -> str:
    try:
        manifest: dict[str, Any] = tomllib.loads(files.get("pack.toml", b"").decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        return ""
    name = manifest.get("pack", {}).get("name", "")
    return name if isinstance(name, str) else ""
