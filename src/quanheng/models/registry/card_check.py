"""A card is checked twice: what it says must hold together when a pack is loaded; that it says enough, when it is
promoted. A pack may be loaded with a model that has no card; such a model never takes another's place.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any

import msgspec

from quanheng.kernel.errors import InputError, Problem
from quanheng.models.card import About, Card, Window
from quanheng.models.metrics import auc_roc
from quanheng.models.registry.evidence import Evidence, read_evidence
from quanheng.models.registry.filed import FiledModel, figures_of, filed_models, is_number, plain
from quanheng.models.registry.signers import signature_problems

AGAIN = "Train again: `quanheng train` and `quanheng models fit` write the card."
AUC = "auc_roc"
AUC_TOLERANCE = 1e-6
"""A card writes six decimals."""
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_OWNERSHIP = {
    "owner": ("who answers for the model", 'owner = "Credit risk models"'),
    "intended_use": ("what its score is for", 'intended_use = "…"'),
    "retraining": ("when it is trained again or looked at", 'retraining = "Every quarter, or when PSI passes 0.25"'),
}


def loading_problems(
    file: str, settings: Mapping[str, Any], name: str, weights: bytes | None, contents: Mapping[str, bytes]
) -> Iterator[Problem]:
    """What is wrong with the card, the words about it and the signature of a declaration that is being loaded.

    Parameters
    ----------
    file, settings : the declaration; name : of the model
    contents : all files of the pack
    """
    for key, of in (("card", Card), ("about", About)):
        if key not in settings:
            continue
        try:
            made = msgspec.convert(plain(settings[key]), of)
        except msgspec.ValidationError as error:
            told, _, place = str(error).partition(" - at ")
            allowed = ", ".join(of.__struct_fields__)
            yield Problem(file, _key(key, place), f"the {key} does not fit: {told[:1].lower()}{told[1:]}", "", allowed,
                          AGAIN if key == "card" else "Write texts.")  # fmt: skip
            continue
        if isinstance(made, Card):
            yield from _card_problems(file, made, name, weights, contents)
    yield from signature_problems(file, settings, weights, contents)


def _key(table: str, place: str) -> str:
    return place.strip("`").replace("$", table, 1) if place else table


def _card_problems(
    file: str, card: Card, name: str, weights: bytes | None, contents: Mapping[str, bytes]
) -> Iterator[Problem]:
    if name and card.model != name:
        yield Problem(file, "card.model", "the card is of another model", repr(card.model), repr(name), AGAIN)
    if card.weights_bytes and weights is not None and card.weights_bytes != len(weights):
        yield Problem(
            file,
            "card.weights_bytes",
            "the card is of other weights",
            f"{card.weights_bytes}",
            f"{len(weights)}",
            AGAIN,
        )
    for key, window in (("train", card.train), ("test", card.test)):
        yield from _window_problems(file, f"card.{key}", window)
    for key, figure in figures_of(card):
        if not (is_number(figure.low) and is_number(figure.high) and figure.low <= figure.high):
            yield Problem(
                file, f"card.{key}", "the interval is none", f"{figure.low:g} to {figure.high:g}",
                "low at most high, both numbers", AGAIN,
            )  # fmt: skip
    yield from _evidence_problems(file, card, contents)


def _window_problems(file: str, key: str, window: Window) -> Iterator[Problem]:
    days = [_day(text) for text in (window.since, window.until)]
    for part, text, day in zip(("since", "until"), (window.since, window.until), days, strict=True):
        if text and day is None:
            yield Problem(file, f"{key}.{part}", "the day cannot be read", repr(text), "2026-01-31, or nothing", AGAIN)
    first, last = days
    if first is not None and last is not None and first >= last:
        yield Problem(
            file, key, "the window ends before it begins", f"{window.since} to {window.until}",
            "`until` is the day after the last", AGAIN,
        )  # fmt: skip
    if not 0 <= window.positives <= window.rows:
        yield Problem(
            file, f"{key}.positives", "there are more positives than rows, or fewer than none", f"{window.positives}",
            f"0 to {window.rows}", AGAIN,
        )  # fmt: skip


def _day(text: str) -> dt.date | None:
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        return None


def _evidence_problems(file: str, card: Card, contents: Mapping[str, bytes]) -> Iterator[Problem]:
    """Figures that were typed, not measured, are found here: the area under the curve is computed again."""
    if not card.evidence:
        return
    content = contents.get(f"models/{card.evidence}")
    if content is None:
        yield Problem(
            file, "card.evidence", "the evidence is not in the pack's folder models/", repr(card.evidence), "", AGAIN
        )
        return
    try:
        found = read_evidence(content, f"models/{card.evidence}")
    except InputError as error:
        yield Problem(file, "card.evidence", error.what, error.found, error.allowed, AGAIN)
        return
    if (hash := f"sha256:{sha256(content).hexdigest()}") != card.evidence_hash:
        yield Problem(
            file, "card.evidence_hash", "the evidence is not the one of the card", hash, card.evidence_hash, AGAIN
        )
    measured = (len(found.labels), int(found.labels.sum()))
    if measured != (card.test.rows, card.test.positives):
        yield Problem(
            file, "card.test", "the evidence is of another test window", f"{measured[0]} rows, {measured[1]} positive",
            f"{card.test.rows} rows, {card.test.positives} positive", AGAIN,
        )  # fmt: skip
    yield from _auc_problems(file, card, found)


def _auc_problems(file: str, card: Card, found: Evidence) -> Iterator[Problem]:
    said = card.metrics.get(AUC)
    if said is None or found.labels.all() or not found.labels.any():
        return
    measured = auc_roc(found.labels, found.scores)
    if not abs(measured - said.value) <= AUC_TOLERANCE:
        yield Problem(
            file,
            f"card.metrics.{AUC}",
            "the evidence gives another figure",
            f"{said.value:.6f}",
            f"{measured:.6f}",
            AGAIN,
        )


# -- enough for a promotion


def promotion_problems(files: Mapping[str, bytes], in_force: Mapping[str, bytes]) -> list[Problem]:
    """What the cards of models lack that would take the place of others; nothing for models that stay as they are.

    Parameters
    ----------
    files : of the version that is to be put in force; in_force : of the one that is
    """
    before = filed_models(in_force)
    return [
        problem
        for name, model in filed_models(files).items()
        if model.differs(before.get(name))
        for problem in lacking(model)
    ]


def lacking(model: FiledModel) -> Iterator[Problem]:
    """What a card must say before its model decides; what is said already has been checked at load."""
    file, card, about = model.file, model.card, model.about
    if card is None:
        yield Problem(file, "card", "the model has no card", "", "data, windows, metrics with intervals, limits", AGAIN)
        return
    needed = {
        "data": ("what it was trained on", card.data),
        "population": ("whom the data is about", card.population),
        "metrics": ("how good it is, with intervals", card.metrics),
        "limits": ("where it must not be trusted", card.limits),
    }
    for key, (meaning, value) in needed.items():
        if not value or (isinstance(value, str) and not value.strip()):
            yield Problem(file, f"card.{key}", f"the card does not say {meaning}", cure=AGAIN)
    if not DIGEST.fullmatch(card.data_digest):
        yield Problem(
            file, "card.data_digest", "the data has no digest", card.data_digest, "sha256: and 64 digits", AGAIN
        )
    for key, figure in figures_of(card):
        if not (is_number(figure.value) and figure.low <= figure.value <= figure.high):
            yield Problem(
                file, f"card.{key}", "the figure is not in its interval", f"{figure.value:g}",
                f"{figure.low:g} to {figure.high:g}", AGAIN,
            )  # fmt: skip
    yield from _times(file, card, about)
    for key, (meaning, example) in _OWNERSHIP.items():
        if not getattr(about, key).strip():
            yield Problem(
                file, f"about.{key}", f"nobody says {meaning}", cure=f"Write {example} in the table [about] of {file}."
            )
    if not card.fairness and not about.fairness.strip():
        yield Problem(
            file, "card.fairness", "no group was measured, and nobody says why", cure="Measure it by group, or write"
            f' fairness = "why not" in the table [about] of {file}.',
        )  # fmt: skip
    if model.estimator == "onnx" and model.signed is None:
        yield Problem(
            file, "signed", "a model from outside carries a signature of whoever made it", "", "by, signature",
            "Declare the maker's key in models/signers.toml, and put its signature of the weights into [signed].",
        )  # fmt: skip


def _times(file: str, card: Card, about: About) -> Iterator[Problem]:
    for key, window in (("train", card.train), ("test", card.test)):
        if not window.rows:
            yield Problem(file, f"card.{key}.rows", "the window has no rows", "0", "1 or more", AGAIN)
        if not (window.since and window.until) and not about.data_window.strip():
            yield Problem(
                file, f"card.{key}", "nobody says of when the data is", "", "since, until",
                f'Where it has no dates, write data_window = "…" in the table [about] of {file}.',
            )  # fmt: skip
    if card.train.until and card.test.since and card.test.since < card.train.until:
        yield Problem(
            file, "card.test.since", "it was tested on days that it was trained on", card.test.since,
            f"{card.train.until} or later", "Test on days after those of training.",
        )  # fmt: skip
