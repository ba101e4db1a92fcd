"""Shared encoders and decoders: JSON with exact numbers, canonical JSON, MessagePack, content digests."""

from __future__ import annotations

from decimal import Decimal
from hashlib import blake2b
from typing import Any

import msgspec

from quanheng.kernel.errors import InputError

_json = msgspec.json.Encoder(decimal_format="number")
_canonical = msgspec.json.Encoder(decimal_format="number", order="sorted")
_json_decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(float_hook=Decimal)
_pack = msgspec.msgpack.Encoder(decimal_format="string")
_pack_canonical = msgspec.msgpack.Encoder(decimal_format="string", order="sorted")
_pack_decoder: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder()


def encode_json(value: object) -> bytes:
    """JSON bytes; Decimal becomes a number with all its digits."""
    return _json.encode(value)


def canonical_json(value: object) -> bytes:
    """JSON bytes with sorted keys and no spaces: equal values give equal bytes."""
    return _canonical.encode(value)


def decode_json(data: bytes | str) -> Any:
    """The JSON value; whole numbers become int, other numbers Decimal, never float.

    Raises
    ------
    InputError : not JSON
    """
    try:
        return _json_decoder.decode(data)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise InputError("not valid JSON", found=str(error)) from error


def encode_pack(value: object) -> bytes:
    """MessagePack bytes; Decimal becomes text."""
    return _pack.encode(value)


def canonical_pack(value: object) -> bytes:
    """MessagePack bytes with sorted keys: equal values give equal bytes."""
    return _pack_canonical.encode(value)


def decode_pack(data: bytes) -> Any:
    """The MessagePack value.

    Raises
    ------
    InputError : not MessagePack
    """
    try:
        return _pack_decoder.decode(data)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise InputError("not valid MessagePack", found=str(error)) from error


def digest_16(data: bytes) -> bytes:
    """16-byte BLAKE2b digest of a request's content; tells a repeated request from a changed one."""
    return blake2b(data, digest_size=16).digest()
