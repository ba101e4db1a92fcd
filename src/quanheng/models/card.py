"""The card of a trained model: what it was made from, how good it was where, and what it must not be used for."""

from __future__ import annotations

import math
from collections.abc import Mapping
from importlib.metadata import version

import msgspec

LIBRARIES = ("lightgbm", "numpy", "polars", "numba")
CARD_MARK = "# --- card: written by training, do not edit below this line"


class Figure(msgspec.Struct, frozen=True):
    """A measure with its 95 % interval (bootstrap over cards)."""

    value: float
    low: float
    high: float


class Window(msgspec.Struct, frozen=True):
    """A span of days: rows and positives in it; `until` is the day after the last."""

    since: str
    until: str
    rows: int
    positives: int


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """A trained model in figures.

    model, pack, pack_version : which
    command : what trained it
    data : what it was trained on, in words, and its digest
    train, test : windows; labels of the training window were known when the test window began
    metrics : on the test window
    seed, rounds : of training
    trees, nodes, weights_bytes : size
    libraries : versions that training used: the same give the same hash
    limits : where it must not be trusted
    """

    model: str
    pack: str
    pack_version: str
    command: str
    data: str
    data_digest: str
    population: str
    train: Window
    test: Window
    metrics: Mapping[str, Figure]
    seed: int
    rounds: int
    trees: int
    nodes: int
    weights_bytes: int
    libraries: Mapping[str, str]
    limits: tuple[str, ...]


def library_versions() -> dict[str, str]:
    """Versions of the libraries that shape a trained model."""
    return {name: version(name) for name in LIBRARIES}


def card_toml(card: Card) -> str:
    """The card as TOML tables, to stand at the end of the model's declaration."""
    lines = [CARD_MARK, "", "[card]"]
    tables: list[tuple[str, object]] = []
    for name, value in msgspec.to_builtins(card).items():
        if isinstance(value, dict) and name == "metrics":
            tables += [(f"card.metrics.{measure}", figure) for measure, figure in value.items()]
        elif isinstance(value, dict):
            tables.append((f"card.{name}", value))
        else:
            lines.append(f"{name} = {_toml(value)}")
    for name, table in tables:
        lines += ["", f"[{name}]", *(f"{key} = {_toml(value)}" for key, value in dict(table).items())]  # type: ignore[call-overload]
    return "\n".join(lines) + "\n"


def declaration_toml(text: str, weights_hash: str, card: Card, weights: str) -> str:
    """The declaration with file and hash of the weights, and the card; everything a person wrote stays as it is.

    weights : name of the file in models/; it and the hash are added where a first training finds neither
    """
    lines = text.split(CARD_MARK, maxsplit=1)[0].rstrip().split("\n")
    places = {line.split("=")[0].strip(): place for place, line in enumerate(lines) if "=" in line}
    if "hash" in places:
        lines[places["hash"]] = f'hash = "{weights_hash}"'
    absent = {"weights": weights, "hash": weights_hash}
    new = [f'{key} = "{value}"' for key, value in absent.items() if key not in places]
    model = next(place for place, line in enumerate(lines) if line.split("#")[0].strip() == "[model]")
    return "\n".join([*lines[: model + 1], *new, *lines[model + 1 :]]) + "\n\n" + card_toml(card)


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return "nan" if math.isnan(value) else f"{value:.6f}"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, list | tuple):
        return "[\n" + "".join(f"  {_toml(one)},\n" for one in value) + "]"
    return msgspec.json.encode(str(value)).decode()
