"""The card of a trained model: what it was made from, how good it was where, and what it must not be used for."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from importlib.metadata import version

import msgspec

LIBRARIES = ("lightgbm", "numpy", "polars", "numba")
_OPTIONAL = frozenset({"evidence", "evidence_hash"})
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
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
    """A trained model in figures. Who approved it is in the log, never here.

    model, pack, pack_version : which
    command : what trained it
    data : what it was trained on, in words, and its digest
    train, test : windows; labels of the training window were known when the test window began
    metrics : on the test window
    seed, rounds : of training
    trees, nodes, weights_bytes : size
    libraries : versions that training used: the same give the same hash
    limits : where it must not be trusted
    fairness : measures by group ("age under 25"), each with its interval
    evidence, evidence_hash : file in models/ with the labels and scores of the test rows, and its content hash
    """

    model: str
    pack: str
    pack_version: str
    command: str = ""
    data: str = ""
    data_digest: str = ""
    population: str = ""
    train: Window
    test: Window
    metrics: Mapping[str, Figure] = {}
    seed: int = 0
    rounds: int = 0
    trees: int = 0
    nodes: int = 0
    weights_bytes: int = 0
    libraries: Mapping[str, str] = {}
    limits: tuple[str, ...] = ()
    fairness: Mapping[str, Mapping[str, Figure]] = {}
    evidence: str = ""
    evidence_hash: str = ""


class About(msgspec.Struct, frozen=True, kw_only=True):
    """What people say of a model, in the table [about] of its declaration, above the card that training writes.

    owner : who answers for it
    intended_use, out_of_scope : what its score is for, and what it is not for
    retraining : when it is trained again, or looked at
    fairness : why no group was measured, where none was
    data_window : of when the data is, where it has no dates
    """

    owner: str = ""
    intended_use: str = ""
    out_of_scope: str = ""
    retraining: str = ""
    fairness: str = ""
    data_window: str = ""


def library_versions() -> dict[str, str]:
    """Versions of the libraries that shape a trained model."""
    return {name: version(name) for name in LIBRARIES}


def card_toml(card: Card) -> str:
    """The card as TOML tables, to stand at the end of the model's declaration."""
    return "\n".join([CARD_MARK, *_tables("card", msgspec.to_builtins(card))]) + "\n"


def _tables(path: str, table: Mapping[str, object]) -> Iterator[str]:
    """Lines of a table and of the tables within it; an optional part that says nothing is left out."""
    inner = {key: value for key, value in table.items() if isinstance(value, dict)}
    plain = {key: value for key, value in table.items() if key not in inner and (value or key not in _OPTIONAL)}
    if plain or path == "card":
        yield from ("", f"[{path}]", *(f"{_key(key)} = {_toml(value)}" for key, value in plain.items()))
    for key, value in inner.items():
        yield from _tables(f"{path}.{_key(key)}", value)


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


def _key(name: str) -> str:
    return name if _BARE_KEY.fullmatch(name) else msgspec.json.encode(name).decode()


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
