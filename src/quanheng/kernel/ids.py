"""Time-ordered ids (UUID version 7, RFC 9562), made at the edge and passed in; never made inside the state machine."""

from __future__ import annotations

import os

from quanheng.kernel.errors import InputError

RANDOM_BYTES = 10


def new_id(now_ms: int, random: bytes | None = None) -> str:
    """A UUIDv7 as text: 48 bits of `now_ms`, then 74 random bits.

    Parameters
    ----------
    now_ms : milliseconds UTC, 0 .. 2**48 - 1
    random : 10 bytes; default from the operating system

    Raises
    ------
    InputError : time or random bytes out of range
    """
    if not 0 <= now_ms < 1 << 48:
        raise InputError("the time of an id is out of range", found=str(now_ms), allowed="0 .. 2**48 - 1 ms")
    raw = os.urandom(RANDOM_BYTES) if random is None else random
    if len(raw) != RANDOM_BYTES:
        raise InputError("an id needs 10 random bytes", found=f"{len(raw)} bytes")
    rest = int.from_bytes(raw, "big")
    value = now_ms << 80 | 0x7 << 76 | (rest >> 62 & 0xFFF) << 64 | 0b10 << 62 | rest & (1 << 62) - 1
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def time_ms_of(id: str) -> int:
    """The time inside a UUIDv7, milliseconds UTC.

    Raises
    ------
    InputError : not a UUIDv7
    """
    digits = id.replace("-", "")
    if len(digits) != 32 or len(id) != 36 or digits[12] != "7" or any(c not in "0123456789abcdef" for c in digits):
        raise InputError("not a UUID of version 7", found=repr(id))
    return int(digits[:12], 16)
