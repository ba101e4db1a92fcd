"""The weights file of fitted models: a header in JSON, arrays behind it, a digest at the end.

    QHMODEL1 | u4 length of the header | header | the arrays, one after another | SHA-256 of all before

Keys are sorted and floats are written so that they read back bit for bit: the same model gives the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import math
import struct
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from quanheng.kernel.errors import InputError

MAGIC = b"QHMODEL1"
_DIGEST_BYTES = 32
_KINDS = {"<f8", "<i8", "<u4", "<i4", "|u1"}
_CURE = "Put back the file that was fitted, or fit again."


class Packed(NamedTuple):
    """What a weights file holds.

    estimator : name of what wrote it
    header : values of JSON
    arrays : by name, little-endian
    """

    estimator: str
    header: Mapping[str, Any]
    arrays: Mapping[str, NDArray[Any]]


def pack(packed: Packed) -> bytes:
    """The bytes of a weights file.

    Raises
    ------
    InputError : an array is of a kind that the file does not hold, or a number of the header is not finite
    """
    places: list[tuple[str, str, list[int]]] = []
    for name, array in packed.arrays.items():
        if array.dtype.newbyteorder("<").str not in _KINDS:
            raise InputError(
                "an array of this kind is not kept in a weights file",
                where=name,
                found=array.dtype.str,
                allowed=", ".join(sorted(_KINDS)),
            )
        places.append((name, array.dtype.newbyteorder("<").str, list(array.shape)))
    content = {"estimator": packed.estimator, "header": packed.header, "arrays": places}
    try:
        header = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
    except ValueError as error:
        raise InputError("a weights file holds finite numbers", where=packed.estimator, found=str(error)) from None
    arrays = zip(packed.arrays.values(), places, strict=True)
    parts = [np.ascontiguousarray(array, place[1]).tobytes() for array, place in arrays]
    body = b"".join([MAGIC, struct.pack("<I", len(header)), header, *parts])
    return body + hashlib.sha256(body).digest()


def unpack(content: bytes, where: str = "weights") -> Packed:
    """Read what `pack` wrote.

    Raises
    ------
    InputError : not this format, or bytes that were changed or cut
    """
    if not content.startswith(MAGIC) or len(content) < len(MAGIC) + 4 + _DIGEST_BYTES:
        raise InputError(
            "not a weights file", where=where, found=repr(content[: len(MAGIC)]), allowed=repr(MAGIC), cure=_CURE
        )
    body, digest = content[:-_DIGEST_BYTES], content[-_DIGEST_BYTES:]
    if hashlib.sha256(body).digest() != digest:
        raise InputError("the weights file was changed or cut", where=where, found=f"{len(content)} bytes", cure=_CURE)
    (length,) = struct.unpack_from("<I", body, len(MAGIC))
    start = len(MAGIC) + 4 + length
    try:
        described = json.loads(body[len(MAGIC) + 4 : start])
        arrays: dict[str, NDArray[Any]] = {}
        for name, kind, shape in described["arrays"]:
            arrays[name] = np.frombuffer(body, kind if kind in _KINDS else "", math.prod(shape), start).reshape(shape)
            start += arrays[name].nbytes
        found = Packed(described["estimator"], described["header"], arrays)
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            "the weights file does not describe its arrays", where=where, found=str(error), cure=_CURE
        ) from None
    if start != len(body):
        raise InputError(
            "the weights file holds more than it describes", where=where, found=f"{len(body) - start} bytes", cure=_CURE
        )
    return found
