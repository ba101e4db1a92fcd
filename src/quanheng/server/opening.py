"""Opens an engine as the configuration says: folders, store, packs, and the token of a first start."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quanheng.kernel.errors import ConfigurationError
from quanheng.server.config import Config
from quanheng.server.logs import Log
from quanheng.server.process import Opened

if TYPE_CHECKING:
    from quanheng.cluster.opening import Cluster
    from quanheng.engine import Engine
    from quanheng.kernel.log.store import LogStore
    from quanheng.kernel.signing_keys import Signing
    from quanheng.loading.declared import Declared
    from quanheng.loading.files import PackFiles

TOKEN_FILE = "development.token"
DEVELOPMENT = "development"
EXAMPLES_MAX = 6


def open_service(config: Config, progress: Callable[[int, int], None] | None = None) -> Opened:
    """The engine with the configured packs in force, ready to be served.

    Raises
    ------
    ConfigurationError : no pack is configured and none was in force before
    NotFound, DeclarationError : a pack does not exist, or is wrong
    """
    from quanheng.engine import steady_memory, system_clock_ms
    from quanheng.events.intake import Request
    from quanheng.ledger.business_days import date_of
    from quanheng.posting import warm_up
    from quanheng.server.business_days import uncovered

    engine = open_engine(config, progress)
    try:
        notes = []
        declared = activate(engine, config)
        if engine.ring.created:
            notes.append(f"A development key ring was made in {config.storage.keys}. Bring your own before real data.")
        token = development_token(engine, config)
        if token:
            notes.append(f"A development token was made in {token}. Use it as: Authorization: Bearer TOKEN")
        if ending := uncovered(config, date_of(engine.writer.days.day_of(system_clock_ms()))):
            notes.append(ending)
        warm_up()
        steady_memory()
        return Opened(engine, Request, examples(declared), notes)
    except BaseException:
        engine.close()
        raise


def open_engine(
    config: Config, progress: Callable[[int, int], None] | None = None, clock: Callable[[], int] | None = None
) -> Engine:
    """The engine on the configured folders and store. The caller holds the folder lock.

    clock : one that is moved by hand; the log may be ahead of it. Default: the machine's
    """
    from quanheng.engine import Engine, passed_ms, system_clock_ms
    from quanheng.kernel.steady import SteadyClock
    from quanheng.server.business_days import business_days_of

    log = Log(config.logs.level, "core")

    def leapt(off_ms: int) -> None:
        log.write("warning", "clock_jumped", system_clock_ms(), offset_ms=off_ms)

    days = business_days_of(config)
    cluster = open_cluster(config, log) if config.cluster.address else None
    try:
        engine = Engine.open(
            Path(config.storage.data),
            keys=Path(config.storage.keys),
            store=open_store(config),
            clock=clock or SteadyClock(system_clock_ms, passed_ms, config.clock.jump_ms_max, leapt),
            log_ahead_ms_max=None if clock or config.clock.accept_log_ahead else config.clock.jump_ms_max,
            memory_bytes_max=config.features.memory_bytes_max,
            signing=signing_of(config),
            far=cluster.far if cluster is not None else None,
            progress=progress,
        )
    except BaseException:
        if cluster is not None:
            cluster.close()
        raise
    engine.four_eyes = config.governance.four_eyes
    engine.writer.days = days
    if cluster is not None:
        cluster.attach(engine)
    return engine


def open_cluster(config: Config, log: Log) -> Cluster:
    """The configured Ray cluster, joined.

    Raises
    ------
    MissingExtra, ConfigurationError : Ray is not installed, or there is no such cluster
    """
    from quanheng.cluster.opening import Cluster, Settings, store_of
    from quanheng.engine import passed_ms, system_clock_ms

    asked, data = config.cluster, config.storage.data
    settings = Settings(
        asked.address,
        store_of(config.storage.store, data),
        str(Path(asked.snapshots or Path(data) / "cluster" / "partitions").absolute()),
        asked.partitions,
        asked.deciders,
        asked.decide_rows_min,
        config.storage.snapshot_records,
    )

    def note(event: str, told: dict[str, Any]) -> None:
        log.write("warning", event, system_clock_ms(), **told)

    return Cluster(settings, note, lambda: passed_ms() / 1000)


def signing_of(config: Config) -> Signing:
    """How the configured log signs its checkpoints."""
    from quanheng.kernel.signing_keys import Signing

    return Signing(config.proofs.origin, config.proofs.signatures)


def open_store(config: Config) -> LogStore:
    """The configured log store."""
    if config.storage.store == "sqlite":
        from quanheng.kernel.log.sqlite import SqliteLogStore

        folder = Path(config.storage.data)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return SqliteLogStore(folder / "log.db")
    from quanheng.kernel.log.postgres import PostgresLogStore

    return PostgresLogStore(config.storage.store)


def activate(engine: Engine, config: Config) -> list[Declared]:
    """Put the configured packs in force (nothing is written if they are already); what they declare.

    A start replaces no champion that people promoted, and where four eyes are demanded none at all.

    Raises
    ------
    ConfigurationError : no pack is configured and none was in force before
    NotFound, DeclarationError : a pack does not exist, or is wrong
    """
    available = available_packs(config.packs.folders)
    if config.packs.load:
        declared, files = chosen_packs(config.packs.load, available)
        engine.activate([its for one, its in zip(declared, files, strict=True) if not _stays(engine, one.name)])
        return declared
    in_force = engine.health().get("packs")
    if not in_force:
        raise ConfigurationError(
            "no pack is configured, and none was in force before",
            where="packs.load",
            found="nothing",
            allowed=", ".join(sorted(available)),
            cure="Name one in quanheng.toml, or with --pack.",
        )
    return []


def _stays(engine: Engine, pack: str) -> bool:
    from quanheng.decisions.versions import INSTALLED

    champion = engine.state.versions.champion(pack)
    last = champion.in_force_by if champion is not None else None
    return last is not None and (engine.four_eyes or last.step != INSTALLED)


def available_packs(folders: Sequence[str] = ()) -> dict[str, PackFiles]:
    """The files of all packs by name: those installed, and those in `folders`, which win."""
    from quanheng.loading import read_pack, read_packs

    known = read_packs()
    for folder in folders:
        path = Path(folder)
        for one in [path, *sorted(path.iterdir())] if path.is_dir() else []:
            if (one / "pack.toml").is_file():
                known[_name_in(one)] = read_pack(one)
    return known


def chosen_packs(names: Sequence[str], available: Mapping[str, PackFiles]) -> tuple[list[Declared], list[PackFiles]]:
    """What the named packs and all that they require declare, and their files.

    Raises
    ------
    NotFound, DeclarationError : a pack does not exist, or is wrong
    """
    from quanheng.loading import load_packs

    declared = load_packs(names, available)
    return list(declared.values()), [available[name] for name in declared]


def examples(declared: Sequence[Declared]) -> list[dict[str, Any]]:
    """Events of the packs' own golden cases, one of each type."""
    import msgspec

    shown: dict[str, dict[str, Any]] = {}
    for event in (event for one in declared for case in one.cases for event in case.events):
        if event.type not in shown and len(shown) < EXAMPLES_MAX:
            data = msgspec.to_builtins(event.data)
            shown[event.type] = {"id": event.id, "type": event.type, "data": data}
    return list(shown.values())


def development_token(engine: Engine, config: Config) -> Path | None:
    """Make a token on the first start, so that the first request needs no reading; where it was written, if it was."""
    if engine.state.actors:
        return None
    token = engine.issue_token(DEVELOPMENT, ("ingest", "read", "admin"))
    path = token_path(config)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(FileNotFoundError):
        path.unlink()
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        file.write(token + "\n")
    return path


def token_path(config: Config) -> Path:
    """Where the development token is kept: with the keys, not with the data."""
    return Path(config.storage.keys) / TOKEN_FILE


def read_token(config: Config) -> str:
    """The token to use from this machine: QUANHENG_TOKEN, or the development token; empty if there is neither."""
    given = os.environ.get("QUANHENG_TOKEN", "")
    with suppress(OSError):
        return given or token_path(config).read_text(encoding="ascii").strip()
    return given


def _name_in(folder: Path) -> str:
    import tomllib

    try:
        return str(tomllib.loads((folder / "pack.toml").read_text(encoding="utf-8"))["pack"]["name"])
    except (KeyError, TypeError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return folder.name
