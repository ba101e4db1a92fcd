"""Which files a pack may hold."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from quanheng.loading.notes import Notes

REQUIRED = ("pack.toml", "README.md")
SINGLE = (
    "pack.toml",
    "events.toml",
    "features.toml",
    "accounts.toml",
    "processes.toml",
    "calls.toml",
    "reasons.toml",
    "lists.toml",
    "experiments.toml",
    "evaluations.toml",
    "traffic.toml",
    "demo.toml",
    "README.md",
    "README.zh-CN.md",
)
FOLDERS = {
    "parameters": ".toml",
    "policies": ".dmn",
    "models": ".toml",
    "cases": ".toml",
    "mappings": ".toml",
    "calendars": ".toml",
}
LATER = {
    "pages.toml": "pages of the console",
}
_STEM = re.compile(r"[a-z][a-z0-9_]{0,63}")


def check_names(names: Collection[str], belonging: Collection[str], notes: Notes) -> None:
    """Note files that are missing, that nothing reads, or that belong to a later release.

    Parameters
    ----------
    belonging : files that another file names, such as weights
    """
    for name in REQUIRED:
        if name not in names:
            notes.add(name, "", "the file is missing", cure=_MISSING_CURES[name])
    for name in sorted(names):
        if name not in SINGLE and name not in belonging and not is_declaration(name):
            _unknown(name, notes)


_MISSING_CURES: Mapping[str, str] = {
    "pack.toml": "Every pack begins with it; `quanheng pack new NAME` writes one.",
    "README.md": "Say for whom the pack is, under which law, on which data, with which measured quality.",
}


def is_declaration(name: str) -> bool:
    """Whether a name is a folder's declaration, such as policies/limits.dmn."""
    folder, _, file = name.partition("/")
    ending = FOLDERS.get(folder)
    return bool(ending and file.endswith(ending) and _STEM.fullmatch(file.removesuffix(ending)))


def _unknown(name: str, notes: Notes) -> None:
    folder, _, file = name.partition("/")
    if name in LATER:
        notes.add(
            name,
            "",
            f"{LATER[name]} are not part of this release",
            cure="Remove the file until then.",
        )
    elif name.endswith(".py"):
        notes.add(
            name,
            "",
            "a pack of kind data holds no Python",
            cure="Say it in features.toml, a policy or a model; code packs are not part of this release.",
        )
    elif folder in FOLDERS and file:
        ending = FOLDERS[folder]
        right = file.endswith(ending)
        notes.add(
            name,
            "",
            "the file's name is not a plain name" if right else f"nothing reads this file in {folder}/",
            found=file,
            known=f"{folder}/NAME{ending} with small letters, digits and _"
            + (", and files a model names" if folder == "models" else ""),
        )
    else:
        notes.add(
            name,
            "",
            "no part of Quanheng reads this file",
            found=name,
            known=[*SINGLE, *(f"{one}/*{end}" for one, end in FOLDERS.items())],
        )
