"""Finds packs: those that ship with Quanheng, and those of other distributions (entry point group `quanheng.packs`).
Finds sources with state too (entry point group `quanheng.sources`).
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import cast

from quanheng.features.source import SourceMaker
from quanheng.kernel.errors import DeclarationError, Problem
from quanheng.loading.files import PackFiles, read_pack

GROUP = "quanheng.packs"
SOURCES = "quanheng.sources"
SHIPPED = "quanheng_packs"
_SOURCE_HAS = ("version", "columns", "apply", "peek", "dump", "load", "digest")


def find_packs(points: Iterable[EntryPoint] | None = None) -> dict[str, Traversable]:
    """Folders of all installed packs, by name.

    An outside distribution names the package that holds its pack folder:

        [project.entry-points."quanheng.packs"]
        my_pack = "my_distribution.my_pack"

    Parameters
    ----------
    points : entry points to look at; those of all installed distributions by default

    Raises
    ------
    DeclarationError
        when two distributions bring a pack of one name, or a named package cannot be imported.
    """
    found: dict[str, Traversable] = {}
    for folder in sorted(files(SHIPPED).iterdir(), key=lambda entry: entry.name):
        if folder.is_dir() and folder.joinpath("pack.toml").is_file():
            found[folder.name] = folder
    problems = []
    for point in sorted(points if points is not None else entry_points(group=GROUP), key=lambda point: point.name):
        if point.name in found:
            problems.append(
                Problem(
                    point.value,
                    GROUP,
                    "the name of the pack is taken",
                    point.name,
                    cure="Uninstall one, or rename the entry point and the pack.",
                )
            )
            continue
        try:
            found[point.name] = files(import_module(point.module))
        except Exception as error:  # The boundary: what another distribution runs when it is imported may do anything.
            problems.append(
                Problem(
                    point.value,
                    GROUP,
                    f"the package that holds the pack cannot be imported ({error})",
                    point.name,
                    cure="Install it again.",
                )
            )
    if problems:
        raise DeclarationError("installed packs cannot be listed", problems)
    return found


def read_packs(points: Iterable[EntryPoint] | None = None) -> dict[str, PackFiles]:
    """The files of all installed packs, by name: what `check_pack` takes as available."""
    return {name: read_pack(folder, name) for name, folder in find_packs(points).items()}


def find_sources() -> dict[str, EntryPoint]:
    """Sources with state that installed distributions bring, by name. Nothing of them is imported yet.

    [project.entry-points."quanheng.sources"]
    acquaintance = "my_distribution.acquaintance:Acquaintance"
    """
    return {point.name: point for point in entry_points(group=SOURCES)}


def load_source(point: EntryPoint | None) -> tuple[SourceMaker | None, str]:
    """What an entry point names, or None and why it cannot be used."""
    if point is None:
        return None, "no installed distribution brings this source"
    try:
        maker = point.load()
    except Exception as error:  # The boundary: what another distribution runs when it is imported may do anything.
        return None, f"the source cannot be imported ({error})"
    lacking = [name for name in _SOURCE_HAS if not hasattr(maker, name)]
    if lacking or not callable(maker):
        return None, f"what the distribution names is no class of a source with state: it lacks {', '.join(lacking)}"
    return cast(SourceMaker, maker), ""
