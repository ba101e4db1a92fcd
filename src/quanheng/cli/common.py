"""What the commands share: where things are, progress on standard error, the locked engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from cyclopts import Parameter

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

    from quanheng.engine import Engine
    from quanheng.kernel.log.store import LogStore
    from quanheng.kernel.snapshot import Snapshots
    from quanheng.reading import Reader
    from quanheng.server.config import Config


@Parameter(name="*")
@dataclass(frozen=True)
class Place:
    """Where configuration, data and keys are."""

    config: Path | None = None
    "Configuration file (default: quanheng.toml in the current folder, if there is one)."
    data: Path | None = None
    "Data folder (storage.data; default: .quanheng/data)."
    keys: Path | None = None
    "Key ring folder (storage.keys; default: .quanheng/keys)."

    def read(self, **overrides: object) -> Config:
        """The configuration, with what the command line says laid over it. `server__port=1` sets server.port."""
        from quanheng.server import config

        laid = {key.replace("__", "."): value for key, value in overrides.items()}
        laid["storage.data"] = str(self.data) if self.data else None
        laid["storage.keys"] = str(self.keys) if self.keys else None
        return config.read(self.config, laid)


HERE = Place()
Json = Annotated[bool, Parameter(name="--json", negative=())]
Flag = Annotated[bool, Parameter(negative=())]


def console() -> Console:
    """Progress and remarks go to standard error; results alone go to standard output."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def progress_bar() -> Progress:
    """A progress bar on standard error; on no terminal it stays silent until the end."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console(),
    )


def by_stage(progress: Progress) -> Callable[[str, int, int], None]:
    """A callback (stage, done, total) that shows each stage as a bar of its own."""
    tasks: dict[str, Any] = {}

    def show(stage: str, done: int, total: int) -> None:
        if stage not in tasks:
            tasks[stage] = progress.add_task(stage)
        progress.update(tasks[stage], completed=done, total=total)

    return show


@contextmanager
def locked_engine(config: Config, clock: Callable[[], int] | None = None) -> Iterator[Engine]:
    """The engine of the data folder, for this process alone.

    clock : of the engine, which goes on from a log that is ahead of it; default the machine's

    Raises
    ------
    FolderInUse : a server or another command owns the folder
    """
    from quanheng.server.lock import FolderLock
    from quanheng.server.opening import open_engine

    lock = FolderLock(Path(config.storage.data))
    try:
        with progress_bar() as progress:
            task = progress.add_task("recovering", visible=False)

            def show(done: int, total: int) -> None:
                progress.update(task, completed=done, total=total, visible=True)

            engine = open_engine(config, show, clock)
        try:
            yield engine
        finally:
            engine.close()
    finally:
        lock.close()


@contextmanager
def reader(config: Config) -> Iterator[Reader]:
    """Reads what was committed, also while a server is running: it takes no lock and fences nobody.

    Raises
    ------
    NotFound : there is no log in the data folder
    """
    from quanheng.kernel.content import ContentStore
    from quanheng.kernel.log.log import Log
    from quanheng.kernel.seal import KeyRing
    from quanheng.reading import Reader
    from quanheng.server.opening import signing_of

    folder, store = Path(config.storage.data), opened_store(config)
    ring = KeyRing.open(Path(config.storage.keys))
    log = Log.reader(store, ring.signer(*signing_of(config).of(folder)))
    try:
        yield Reader(log, ContentStore(folder / "content"), ring)
    finally:
        log.close()
        ring.close()


class Past(NamedTuple):
    """A log as it was after its first `upto` records, to be read beside its server.

    progress : told how many records of how many were read
    """

    reader: Reader
    upto: int
    snapshots: Snapshots
    progress: Callable[[int, int], None]


@contextmanager
def past(place: Place, as_of: int | None) -> Iterator[Past]:
    """The log after its first `as_of` records; None: all.

    Raises
    ------
    InputError : the log has no such offset
    """
    from quanheng.kernel.errors import InputError
    from quanheng.kernel.snapshot import Snapshots

    config = place.read()
    with reader(config) as found, progress_bar() as bar:
        head = found.log.head
        upto = head if as_of is None else as_of
        if not 0 <= upto <= head:
            raise InputError(
                "the log has no such offset",
                where="--as-of",
                found=str(as_of),
                allowed=f"0 to {head}",
                cure="Leave it out.",
            )
        task = bar.add_task("reading the log", visible=False)

        def show(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total, visible=True)

        yield Past(found, upto, Snapshots(Path(config.storage.data) / "snapshots"), show)



def opened_store(config: Config) -> LogStore:
    """The configured store, which must exist.

    Raises
    ------
    NotFound : there is no log in the data folder
    """
    from quanheng.kernel.errors import NotFound
    from quanheng.server.opening import open_store

    folder = Path(config.storage.data)
    if config.storage.store == "sqlite" and not (folder / "log.db").is_file():
        raise NotFound(
            "there is no log in the data folder",
            where=str(folder),
            cure="Give the folder with --data, or start a server first: quanheng serve",
        )
    return open_store(config)


def show_json(value: Any) -> None:
    """One line of JSON on standard output."""
    import msgspec

    print(msgspec.json.Encoder(decimal_format="number").encode(value).decode(), flush=True)


def show_value(value: Any, as_json: bool) -> None:
    """A result for people (indented) or for programs (one line)."""
    import msgspec

    if as_json:
        show_json(value)
    else:
        encoded = msgspec.json.Encoder(decimal_format="number").encode(value)
        print(msgspec.json.format(encoded, indent=2).decode())
