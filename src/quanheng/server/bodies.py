"""What the bodies of changes hold (steps of versions, packs, lists), and how one that does not fit is refused."""

from __future__ import annotations

from typing import Annotated, Literal, TypeVar

import msgspec

from quanheng.kernel.errors import InputError
from quanheng.kernel.time import parse_duration_ms, parse_time_ms
from quanheng.server import wire
from quanheng.server.answers import error_body
from quanheng.server.intake import Refused, not_json, parts_of
from quanheng.server.json_keys import check_keys

REASON_LENGTH_MAX = 10_000
Id = Annotated[
    str, msgspec.Meta(min_length=1, max_length=200, description="Chosen by you; the same request again is done once.")
]
Reason = Annotated[str, msgspec.Meta(max_length=REASON_LENGTH_MAX, description="Why. Kept in clear.")]
Hash = Annotated[str, msgspec.Meta(max_length=64, description="First digits of a version's hash, at least 8.")]


class Encoded(msgspec.Struct, forbid_unknown_fields=True):
    """Bytes of a file that is no text in UTF-8."""

    base64: bytes


Files = dict[str, str | Encoded | None]
"""Name in the pack → text, bytes, or null: the file of `base` of that name goes."""


class Change(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What every change says."""

    id: Id


class StepBody(Change):
    """A step of one version."""

    reason: Reason = ""
    share_bp: Annotated[int, msgspec.Meta(ge=0, le=1_000_000, description="Basis points of the subjects (share).")] = 0


class RollBackBody(Change):
    """Bring a champion before back."""

    reason: Reason = ""
    version: Hash = ""


class DraftBody(Change):
    """The content of a pack, whole or as what differs from a version."""

    files: Annotated[
        Files,
        msgspec.Meta(
            description='Name in the pack → text, or {"base64": ...} for bytes, or null: that file of `base` goes.'
        ),
    ] = {}
    base: Annotated[
        str,
        msgspec.Meta(
            max_length=64,
            description="The version whose files stay where `files` does not say otherwise: `active`, or first digits "
            "of a hash. Empty: `files` is the whole pack.",
        ),
    ] = ""
    reason: Reason = ""


class ModelDraftBody(Change):
    """A trained model that is to take the place of another of its pack."""

    files: Annotated[
        Files,
        msgspec.Meta(
            description='Declaration with its card (NAME.toml), weights and evidence → text, or {"base64": ...} for '
            "bytes, as training wrote them."
        ),
    ] = {}
    base: Annotated[
        str,
        msgspec.Meta(max_length=64, description="The version that the model joins; without it that in force."),
    ] = ""
    reason: Reason = ""


class ActivateBody(DraftBody):
    """A pack that is put in force directly."""

    break_glass: Annotated[
        str,
        msgspec.Meta(
            max_length=REASON_LENGTH_MAX,
            description="Why a champion is replaced by one person alone. It is recorded and awaits review.",
        ),
    ] = ""


class ListChangeBody(Change, rename={"lasting": "for"}):
    """Values put on a list, or taken off."""

    change: Literal["add", "remove"]
    values: Annotated[list[str], msgspec.Meta(description="Ids or texts.")]
    reason: Reason = ""
    until: Annotated[str, msgspec.Meta(max_length=64, description="When they expire: 2026-01-31T10:00:00Z.")] = ""
    lasting: Annotated[str, msgspec.Meta(max_length=64, description="How long they stay, such as 30d.")] = ""


class VerdictBody(Change):
    """A verdict on what waits."""

    reason: Reason = ""


Body = TypeVar("Body", bound=Change)


def read_body(body: bytes, of: type[Body], where: str) -> Body:
    """Decode a body.

    Raises
    ------
    Refused : it is no JSON, or not what the address takes; the answer names the field
    """
    fields = ", ".join(sorted((one.encode_name for one in msgspec.structs.fields(of)), key=lambda name: name != "id"))
    try:
        read = msgspec.json.decode(body, type=of)
    except msgspec.ValidationError as error:
        place, found, allowed = parts_of(error, fields)
        misfit = InputError(
            "the body does not fit this address",
            where=f"{where}, field {place}" if place else where,
            found=found or str(error).partition(" - at ")[0],
            allowed=allowed,
            cure="See /schema.",
        )
        raise Refused(wire.Answer(422, error_body(misfit)), "malformed") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        wrong = not_json(error, body, where, f"an object of {fields}")
        raise Refused(wire.Answer(400, error_body(wrong)), "not_json") from None
    check_keys(body, where)
    return read


def content_of(files: Files) -> dict[str, bytes | None]:
    """The files as bytes."""
    return {
        name: one.base64 if isinstance(one, Encoded) else one if one is None else one.encode()
        for name, one in files.items()
    }


def expiry_of(until: str, lasting: str, names: tuple[str, str] = ("until", "for")) -> dict[str, int | None]:
    """When entries of a list expire, from a moment or from a time that they stay; `names` are theirs for messages.

    Raises
    ------
    InputError : both are given, or one cannot be read
    """
    if until and lasting:
        raise InputError("an entry expires either at a moment or after a time", where=names[0], found=f"{names[1]} too")
    return {
        "until_ms": parse_time_ms(until) if until else None,
        "for_ms": parse_duration_ms(lasting) if lasting else None,
    }


def whole(text: str, where: str, allowed: str, highest: int, lowest: int = 0) -> int:
    """A whole number of an address.

    Raises
    ------
    Refused : it is none, or out of range
    """
    if text.isascii() and text.isdigit() and lowest <= int(text[:20]) <= highest:
        return int(text)
    error = InputError(
        "the address holds no such number",
        where=where,
        found=repr(text[:50]),
        allowed=allowed,
        cure="Correct the address.",
    )
    raise Refused(wire.Answer(400, error_body(error)), "bad_address")
