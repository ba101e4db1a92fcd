"""The models among the files of a pack: declaration, card and what people say of it, read without the rest of the pack.

Reading is lenient: a version that is kept was checked when it was drafted. What does not fit is left out.
"""

from __future__ import annotations

import datetime as dt
import math
import tomllib
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from quanheng.models.card import About, Card

FOLDER, ENDING = "models/", ".toml"


class Signed(msgspec.Struct, frozen=True, kw_only=True):
    """Who outside signed the weights: a name of the pack's models/signers.toml, and the signature in base64."""

    by: str = ""
    signature: str = ""


class FiledModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model as the files of a pack hold it.

    file : of the declaration, as "models/fraud.toml"
    weights : name of the file in models/; hash : "sha256:" and its digest, as the declaration names it
    card : None where there is none, or it cannot be read
    text : the declaration, byte for byte
    """

    file: str
    name: str
    estimator: str = ""
    inputs: tuple[str, ...] = ()
    output_decimals: int = 4
    weights: str = ""
    hash: str = ""
    card: Card | None = None
    about: About = About()
    signed: Signed | None = None
    settings: Mapping[str, Any] = {}
    text: bytes = b""

    def differs(self, other: FiledModel | None) -> bool:
        """Whether anything of the model is otherwise: weights, inputs, card, or a word of the declaration."""
        return other is None or (self.hash, self.text) != (other.hash, other.text)


def filed_models(files: Mapping[str, bytes]) -> dict[str, FiledModel]:
    """The models of a pack's files, by name, in the order of their files' names."""
    found = (filed_model(name, files[name]) for name in sorted(files) if is_declaration(name))
    return {one.name: one for one in found if one is not None and one.name}


def is_declaration(name: str) -> bool:
    """Whether a file of a pack may declare a model."""
    return name.startswith(FOLDER) and name.endswith(ENDING)


def filed_model(name: str, content: bytes) -> FiledModel | None:
    """One declaration; None where the file is none."""
    try:
        settings = tomllib.loads(content.decode("utf-8-sig"), parse_float=Decimal)
        declared = msgspec.convert(_table(settings, "model"), _Declared)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError, ValueError):
        return None
    parts = msgspec.structs.asdict(declared)
    return FiledModel(
        file=name,
        **parts,
        card=_converted(settings, "card", Card),
        about=_converted(settings, "about", About) or About(),
        signed=_converted(settings, "signed", Signed),
        settings=settings,
        text=content,
    )


class _Declared(msgspec.Struct, frozen=True, kw_only=True):
    name: str = ""
    estimator: str = ""
    inputs: tuple[str, ...] = ()
    output_decimals: int = 4
    weights: str = ""
    hash: str = ""


def _table(settings: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    table = settings.get(name)
    return table if isinstance(table, Mapping) else {}


def _converted(settings: Mapping[str, Any], name: str, of: type[Any]) -> Any:
    if not _table(settings, name):
        return None
    try:
        return msgspec.convert(plain(settings[name]), of)
    except msgspec.ValidationError:
        return None


def plain(value: object) -> Any:
    """TOML values as a card holds them: decimals as float64, dates as text."""
    if isinstance(value, Mapping):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    if isinstance(value, dt.date):
        return value.isoformat()
    return value.__float__() if isinstance(value, Decimal) else value


def figures_of(card: Card) -> Iterator[tuple[str, Any]]:
    """(key, figure) of every figure of a card, for people and for checks."""
    yield from ((f"metrics.{name}", one) for name, one in card.metrics.items())
    for group, measures in card.fairness.items():
        yield from ((f"fairness.{group}.{name}", one) for name, one in measures.items())


def is_number(value: float) -> bool:
    """Whether a figure says something: neither NaN nor infinite."""
    return math.isfinite(value)
