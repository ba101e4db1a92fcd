"""The one configuration file, `quanheng.toml`: every key with its default, checked whole before anything starts.

Every key is described in docs/reference/configuration.md; a test compares the two.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import msgspec

from quanheng.events.stream import StreamSettings, check_settings
from quanheng.kernel.errors import ConfigurationError
from quanheng.outbox.addresses import AddressSettings, check_address

FILE_NAME = "quanheng.toml"


class Server(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where HTTP is served, and by how many processes."""

    address: str = "127.0.0.1"
    port: int = 8770
    workers: int = 1
    links: int = 1
    stop_ms_max: int = 10_000


class Storage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the log, the keys and the content are kept."""

    data: str = ".quanheng/data"
    keys: str = ".quanheng/keys"
    store: str = "sqlite"
    snapshot_records: int = 2_000_000


class Features(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much memory live features take."""

    memory_bytes_max: int = 0


class Packs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which packs are loaded."""

    load: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one request, one client and the whole queue may ask for."""

    body_bytes_max: int = 4 * 1024 * 1024
    pack_bytes_max: int = 32 * 1024 * 1024
    events_max: int = 1_000
    timeout_ms: int = 5_000
    timeout_ms_max: int = 60_000
    client_events_per_s: int = 50_000
    client_burst_events: int = 100_000
    clients_max: int = 10_000
    queue_events_max: int = 20_000
    queue_bytes_max: int = 64 * 1024 * 1024
    group_events_max: int = 512
    retry_after_s: int = 1


class Logs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is written to the structured log on standard error."""

    level: str = "info"
    access: str = "errors"


class Clock(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How far the machine's clock is believed."""

    jump_ms_max: int = 1_000
    accept_log_ahead: bool = False


class Governance(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many people it takes to change what decides."""

    four_eyes: bool = False


class Proofs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How checkpoints of the log are signed."""

    origin: str = ""
    signatures: tuple[str, ...] = ("ed25519",)


class Ledger(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which business day of the ledger a moment belongs to."""

    time_zone: str = "UTC"
    cut_off_hour: int = 24
    calendar: str = ""


class Cluster(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whether windows and decisions are spread over a Ray cluster, and how."""

    address: str = ""
    partitions: int = 4
    deciders: int = 2
    decide_rows_min: int = 1_000
    snapshots: str = ""


class Outbox(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where messages go that packs send, and how many at once."""

    concurrency: int = 32
    addresses: Mapping[str, AddressSettings] = {}


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that can be configured, with defaults that work on a laptop."""

    server: Server = Server()
    storage: Storage = Storage()
    packs: Packs = Packs()
    limits: Limits = Limits()
    logs: Logs = Logs()
    clock: Clock = Clock()
    governance: Governance = Governance()
    proofs: Proofs = Proofs()
    features: Features = Features()
    ledger: Ledger = Ledger()
    cluster: Cluster = Cluster()
    outbox: Outbox = Outbox()
    stream: Mapping[str, StreamSettings] = {}


# Ranges and choices that a type cannot say: "section.key" -> (lowest, highest) or the words allowed.
RANGES: dict[str, tuple[int, int]] = {
    "server.port": (1, 65_535),
    "server.workers": (1, 64),
    "server.links": (1, 16),
    "server.stop_ms_max": (100, 600_000),
    "storage.snapshot_records": (0, 10_000_000_000),
    "features.memory_bytes_max": (0, 1 << 46),
    "limits.body_bytes_max": (1_024, 1 << 30),
    "limits.pack_bytes_max": (1_024, 1 << 30),
    "limits.events_max": (1, 100_000),
    "limits.timeout_ms": (0, 600_000),
    "limits.timeout_ms_max": (1, 600_000),
    "limits.client_events_per_s": (0, 10_000_000),
    "limits.client_burst_events": (1, 100_000_000),
    "limits.clients_max": (1, 10_000_000),
    "limits.queue_events_max": (1, 10_000_000),
    "limits.queue_bytes_max": (1_024, 1 << 40),
    "limits.group_events_max": (1, 100_000),
    "limits.retry_after_s": (1, 3_600),
    "clock.jump_ms_max": (0, 86_400_000),
    "ledger.cut_off_hour": (1, 36),
    "outbox.concurrency": (1, 1_000),
    "cluster.partitions": (1, 1_024),
    "cluster.deciders": (0, 256),
    "cluster.decide_rows_min": (1, 100_000),
}
CHOICES: dict[str, tuple[str, ...]] = {
    "logs.level": ("debug", "info", "warning", "error"),
    "logs.access": ("off", "errors", "all"),
    "proofs.signatures": ("ed25519", "ml-dsa-65", "sm2"),
}
STREAM_RANGES = {"batch_events_max": (1, 10_000)}
MAY_BE_EMPTY = {"calendar", "origin", "source", "subject", "type", "token_file", "replies"}
PATTERNS: dict[str, tuple[str, str]] = {
    "proofs.origin": (r"[^\s+]*", "no space, no plus sign, as bank.example/log"),
    "storage.store": (r"sqlite|postgres(ql)?://\S+", '"sqlite" or "postgresql://user@host/name"'),
}


def read(path: Path | None = None, overrides: Mapping[str, object] | None = None) -> Config:
    """The configuration of a file, with `overrides` ("section.key" -> value) laid over it.

    Parameters
    ----------
    path : the file; None looks for `quanheng.toml` in the current folder and uses the defaults if there is none
    overrides : values given on the command line; None values are left out

    Raises
    ------
    ConfigurationError : the file cannot be read, is not TOML, or any key is wrong; every finding is in the message
    """
    name = str(path or FILE_NAME)
    raw = _load(path)
    for key, value in (overrides or {}).items():
        if value is not None:
            section, _, entry = key.partition(".")
            laid = raw.setdefault(section, {})
            if isinstance(laid, dict):  # Else the finding says so.
                laid[entry] = value
    findings = _findings(raw)
    if findings:
        raise ConfigurationError("; ".join(findings), where=name, cure="See docs/reference/configuration.md.")
    return msgspec.convert(raw, Config)


CLUSTER_GROUP_EVENTS = 4_096
"""Events of a group at most where a cluster folds them and nothing else is configured: a call costs a millisecond."""


def widened(config: Config) -> Config:
    """The configuration with groups that are worth a call to other machines, unless their size is configured."""
    if not config.cluster.address or config.limits.group_events_max != Limits().group_events_max:
        return config
    return msgspec.structs.replace(
        config, limits=msgspec.structs.replace(config.limits, group_events_max=CLUSTER_GROUP_EVENTS)
    )


def keys() -> dict[str, Any]:
    """Every key as "section.key" with its default value."""
    parts = {section: getattr(Config(), section) for section in Config.__struct_fields__}
    parts["stream"] = StreamSettings()  # Of each [stream.NAME].
    parts["outbox.addresses"] = AddressSettings()  # Of each [outbox.addresses.NAME].
    return {f"{section}.{key}": getattr(part, key) for section, part in parts.items() for key in part.__struct_fields__}


def _load(path: Path | None) -> dict[str, Any]:
    file = path or Path(FILE_NAME)
    if path is None and not file.is_file():
        return {}
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigurationError(
            "the configuration file does not exist",
            where=str(file),
            cure="Give an existing file to --config, or leave it out to use the defaults.",
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            "the configuration file cannot be read",
            where=str(file),
            found=str(error),
            cure="Check its rights and encoding.",
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(
            "the configuration file is not TOML",
            where=str(file),
            found=str(error),
            cure="Correct the line that is named.",
        ) from error


def _findings(raw: dict[str, Any]) -> list[str]:
    """Every problem of the parsed file as a clause; empty if there is none."""
    found: list[str] = []
    sections = get_type_hints(Config)
    for section, entries in raw.items():
        if section not in sections:
            found.append(_unknown(f"[{section}]", section, list(sections), "section"))
        elif not isinstance(entries, dict):
            found.append(f"{section} was {entries!r}; allowed: a table [{section}]")
        elif section == "stream":
            found += _stream_findings(entries)
        elif section == "outbox":
            found += _outbox_findings(entries)
        else:
            types = get_type_hints(sections[section])
            for key, value in entries.items():
                finding = _check(section, key, value, types)
                if finding:
                    found.append(finding)
    return found


def _stream_findings(streams: Mapping[str, object]) -> list[str]:
    """Problems of the [stream.NAME] sections."""
    found: list[str] = []
    types = get_type_hints(StreamSettings)
    for name, entries in streams.items():
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", name) or not isinstance(entries, dict):
            found.append(f"stream.{name} is no stream; allowed: a table [stream.NAME], NAME of a-z, 0-9 and _")
            continue
        wrong = [finding for key, value in entries.items() if (finding := _check(f"stream.{name}", key, value, types))]
        found += wrong or check_settings(name, msgspec.convert(entries, StreamSettings))
    return found


def _outbox_findings(entries: Mapping[str, object]) -> list[str]:
    """Problems of [outbox] and of the [outbox.addresses.NAME] sections."""
    types, found = get_type_hints(Outbox), []
    for key, value in entries.items():
        if key != "addresses" and (finding := _check("outbox", key, value, types)):
            found.append(finding)
    addresses = entries.get("addresses", {})
    if not isinstance(addresses, dict):
        return [*found, f"outbox.addresses was {addresses!r}; allowed: tables [outbox.addresses.NAME]"]
    types = get_type_hints(AddressSettings)
    for name, inner in addresses.items():
        section = f"outbox.addresses.{name}"
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,63}", name) or not isinstance(inner, dict):
            found.append(f"{section} is no address; allowed: a table [outbox.addresses.NAME], NAME of a-z, 0-9 and _")
            continue
        wrong = [finding for key, value in inner.items() if (finding := _check(section, key, value, types))]
        found += wrong or check_address(name, msgspec.convert(inner, AddressSettings))
    return found


def _check(section: str, key: str, value: object, types: Mapping[str, Any]) -> str:
    name = f"{section}.{key}"
    if key not in types:
        return _unknown(name, key, list(types), "key")
    wanted = types[key]
    if get_origin(wanted) is tuple:
        if not isinstance(value, list | tuple) or not all(isinstance(one, get_args(wanted)[0]) for one in value):
            return f"{name} was {value!r}; allowed: a list of texts"
        if name in CHOICES and (not value or not set(value) <= set(CHOICES[name])):
            return f"{name} was {value!r}; allowed: one or more of {', '.join(CHOICES[name])}"
        return ""
    if get_origin(wanted) is dict:
        texts = isinstance(value, dict) and all(isinstance(one, str) for one in value.values())
        return "" if texts else f"{name} was {value!r}; allowed: a table of texts"
    if not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
        allowed = {int: "a whole number", bool: "true or false"}.get(wanted, "a text")
        return f"{name} was {value!r}; allowed: {allowed}"
    ranges = STREAM_RANGES if section.startswith("stream.") else RANGES
    ranged = key if ranges is STREAM_RANGES else name
    if ranged in ranges:
        low, high = ranges[ranged]
        if isinstance(value, int) and not low <= value <= high:
            return f"{name} was {value}; allowed: {low} to {high}"
    if name in CHOICES and value not in CHOICES[name]:
        return f"{name} was {value!r}; allowed: {', '.join(CHOICES[name])}"
    if name in PATTERNS and not re.fullmatch(PATTERNS[name][0], str(value)):
        return f"{name} was {value!r}; allowed: {PATTERNS[name][1]}"
    if isinstance(value, str) and not value and key not in MAY_BE_EMPTY:
        return f"{name} was empty; allowed: a text"
    return ""


def _unknown(name: str, word: str, known: list[str], kind: str) -> str:
    near = difflib.get_close_matches(word, known, n=1)
    hint = f", perhaps {near[0]!r}" if near else ""
    return f"{name} is an unknown {kind}{hint}; allowed: {', '.join(known)}"


def socket_path(config: Config) -> Path:
    """Unix socket on which the core listens: inside the data folder, or in a private folder if that path is too long.

    A Unix socket path holds at most 107 bytes; a longer data folder falls back to the run-time folder of the user.
    """
    path = Path(config.storage.data).absolute() / "core.sock"
    if len(os.fsencode(path)) <= 100:
        return path
    import hashlib

    digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
    base = Path(os.environ.get("XDG_RUNTIME_DIR") or "/tmp")
    return base / f"quanheng-{os.getuid()}-{digest}" / "core.sock"
