"""A trained model laid over a pack: which files of the pack change when a model is drafted anew."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from quanheng.kernel.errors import InputError, NotFound
from quanheng.models.card import CARD_MARK
from quanheng.models.registry.filed import FOLDER, FiledModel, filed_model, filed_models, is_declaration

_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}\.[A-Za-z0-9_]{1,16}")
_TABLE = re.compile(r"^\s*\[", re.MULTILINE)
_ABOUT = re.compile(r"^\[about\]\s*(#.*)?$", re.MULTILINE)


def laid_over(files: Mapping[str, bytes], name: str, given: Mapping[str, bytes]) -> dict[str, bytes | None]:
    """The files of a pack that change; None = the file goes.

    The declaration keeps the name that its file has in the pack. Where the new one says nothing about itself (the
    table [about]), what the pack says stays.

    Parameters
    ----------
    files : of the pack that the model joins
    name : of the model, as policies ask for it
    given : a folder with a declaration of that model and the files that it names, or a whole pack

    Raises
    ------
    NotFound : the pack has no such model; InputError : the folder has none, or takes a file of another model
    """
    known = filed_models(files)
    before, model = _of_pack(known, name), _of_folder(given, name)
    changed: dict[str, bytes | None] = {before.file: _with_about(before, model)}
    others = {file for one in known.values() if one.name != name for file in (one.file, *named_files(one))}
    for file in named_files(model):
        content = _content(given, file)
        if content is None:
            continue  # The check of the pack says what is missing.
        if file in others:
            raise InputError(
                "the file belongs to another model of this pack", where=model.file, found=file,
                cure="Give the weights another name, in the folder and in its declaration.",
            )  # fmt: skip
        changed[file] = content
    gone = [file for file in named_files(before) if file not in changed and file not in others and file in files]
    return {**changed, **dict.fromkeys(gone)}


def named_files(model: FiledModel) -> list[str]:
    """What may be a file beside the declaration: weights, evidence of the card, whatever else its tables name."""
    tables = [table for table in model.settings.values() if isinstance(table, Mapping)]
    texts = [value for table in tables for value in table.values() if isinstance(value, str)]
    return list(dict.fromkeys(f"{FOLDER}{text}" for text in texts if _FILE.fullmatch(text)))


def _of_pack(known: Mapping[str, FiledModel], name: str) -> FiledModel:
    if name not in known:
        raise NotFound(
            "the pack has no such model", where="models/", found=name, allowed=", ".join(known) or "it has none",
            cure="A first model comes with the policy that asks for it: quanheng policy draft FOLDER.",
        )  # fmt: skip
    return known[name]


def _of_folder(given: Mapping[str, bytes], name: str) -> FiledModel:
    found = list(_declared(given))
    chosen = [one for one in found if one.name == name]
    if len(chosen) != 1:
        raise InputError(
            "the folder declares no model of this name" if not chosen else "the folder declares the model twice",
            where="FOLDER", found=", ".join(one.name or one.file for one in found) or "no declaration", allowed=name,
            cure=f'Its declaration, a .toml file, begins with [model] and name = "{name}".',
        )  # fmt: skip
    return chosen[0]


def _declared(given: Mapping[str, bytes]) -> Iterable[FiledModel]:
    for name in sorted(given):
        bare = "/" not in name and name.endswith(".toml")
        if bare or is_declaration(name):
            model = filed_model(name, given[name])
            if model is not None and model.name:
                yield model


def _content(given: Mapping[str, bytes], file: str) -> bytes | None:
    """A file of models/, in a whole pack or in a folder of its own."""
    return given.get(file, given.get(file.removeprefix(FOLDER)))


def _with_about(before: FiledModel, model: FiledModel) -> bytes:
    text, kept = model.text.decode("utf-8-sig"), _about_of(before.text.decode("utf-8-sig"))
    if "about" in model.settings or not kept:
        return text.encode()
    head, mark, card = text.partition(CARD_MARK)
    if not mark:  # A card that nobody marked: TOML takes tables in any order.
        return f"{head.rstrip()}\n\n{kept}\n".encode()
    return f"{head.rstrip()}\n\n{kept}\n\n{mark}{card}".encode()


def _about_of(text: str) -> str:
    """The table [about] as it is written, without what follows it."""
    found = _ABOUT.search(text)
    if found is None:
        return ""
    body = text[found.start() :]
    ends = [place.start() for place in (_TABLE.search(body, len(found.group())),) if place]
    ends += [place for place in (body.find(CARD_MARK),) if place >= 0]
    return body[: min(ends, default=len(body))].rstrip()
