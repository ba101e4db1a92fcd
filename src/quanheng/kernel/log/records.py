"""Record format v1: a clear header that folds can read, then a payload that may be sealed.

Little-endian, so that numpy and numba can walk a batch without copying it::

    u32 length of the whole record | u8 version = 1 | u8 kind | u16 type code
    i64 time_ms | i64 received_ms | i64 cause (offset of the causing record, -1 none)
    16s subject pseudonym | 16s request key | 16s content digest of the request   (zeros = none)
    u8 n_keys | u8 n_numbers | u16 flags (bit 0 = payload sealed) | u32 reserved = 0
    n_keys x 16 bytes pseudonymous keys (zeros = null) | n_numbers x i64 (INT64_MIN = null) | payload

The sealed payload is a 12-byte nonce and the AES-GCM ciphertext; every byte before the payload is its associated data,
so a sealed payload cannot be moved to another header. The length is part of the header, hence `encode_header` asks for
the length of the payload in clear.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from quanheng.kernel.errors import LogCorrupt

VERSION = 1
EVENT, DECISION, TRANSFER, GRANT, STEP, CALL, JOB, LOAN = 1, 2, 3, 4, 5, 6, 7, 8
KIND_NAMES = {
    EVENT: "event", DECISION: "decision", TRANSFER: "transfer", GRANT: "grant", STEP: "step", CALL: "call", JOB: "job",
    LOAN: "loan",
}  # fmt: skip
SEALED = 1
NULL = -(2**63)
NONE_16 = bytes(16)
NO_CAUSE = -1
HEADER_BYTES = 88
SEAL_BYTES = 28
"""What sealing adds to a payload: nonce (12) and tag (16)."""

_FIXED = struct.Struct("<IBBHqqq16s16s16sBBHI")
assert _FIXED.size == HEADER_BYTES


def _shape(n_keys: int, n_numbers: int) -> tuple[Callable[..., bytes], int, int]:
    """How to pack a header of so many keys and numbers, its length, and its word of counts.

    Neighbouring small fields are packed as one integer, which saves a tenth of the time of a header.
    """
    packing = struct.Struct("<IIqqq16s16s16sQ" + "16s" * n_keys + f"{n_numbers}q")
    return packing.pack, packing.size, n_keys | n_numbers << 8


_SHAPES: dict[tuple[int, int], tuple[Callable[..., bytes], int, int]] = {}


class Record(NamedTuple):
    """One decoded record.

    `keys` holds 16-byte pseudonyms (zeros = null), `numbers` scaled integers (`NULL` = null), `header` every byte
    before the payload (the associated data of a sealed payload), `payload` the bytes as stored.
    """

    kind: int
    type: int
    time_ms: int
    received_ms: int
    cause: int
    subject: bytes
    request: bytes
    digest: bytes
    flags: int
    keys: tuple[bytes, ...]
    numbers: tuple[int, ...]
    header: bytes
    payload: bytes

    @property
    def sealed(self) -> bool:
        """True when `payload` is ciphertext under the subject's key."""
        return bool(self.flags & SEALED)


@dataclass(frozen=True, slots=True)
class Columns:
    """The headers of `n` records as arrays; 16-byte fields are pairs of little-endian uint64."""

    kind: NDArray[np.uint8]
    type: NDArray[np.uint16]
    time_ms: NDArray[np.int64]
    received_ms: NDArray[np.int64]
    cause: NDArray[np.int64]
    request: NDArray[np.uint64]
    digest: NDArray[np.uint64]
    subject: NDArray[np.uint64]
    keys: NDArray[np.uint64]
    numbers: NDArray[np.int64]
    position: NDArray[np.int64]
    length: NDArray[np.int64]
    body: bytes

    def __len__(self) -> int:
        return len(self.kind)

    def cut(self, start: int, stop: int) -> Columns:
        """The columns of records start .. stop of these (views, nothing is copied)."""
        arrays = (getattr(self, name)[start:stop] for name in self.__slots__ if name != "body")
        return Columns(*arrays, self.body)  # type: ignore[call-arg]

    def record(self, index: int) -> Record:
        """Decode the record at `index` of these columns."""
        return decode(self.body, int(self.position[index]))

    def request_key(self, index: int) -> bytes:
        """The 16-byte request key at `index` (zeros = none)."""
        return bytes(self.request[index].tobytes())


def encode_header(
    kind: int,
    type_code: int,
    time_ms: int,
    received_ms: int,
    cause: int,
    subject: bytes,
    request: bytes,
    digest: bytes,
    keys: Sequence[bytes],
    numbers: Sequence[int],
    payload_bytes: int,
    sealed: bool = False,
) -> bytes:
    """Every byte of a record before its payload.

    Parameters
    ----------
    kind : EVENT, DECISION, TRANSFER, GRANT, STEP, CALL, JOB or LOAN
    type_code : code of the event type, 0..65535
    time_ms, received_ms : milliseconds UTC
    cause : offset of the causing record, `NO_CAUSE` = none
    subject, request, digest : 16 bytes each, `NONE_16` = none
    keys : at most 255 pseudonyms of 16 bytes, `NONE_16` = null
    numbers : at most 255 scaled integers, `NULL` = null
    payload_bytes : length of the payload in clear; the length field counts sealing in when `sealed`
    sealed : the payload that follows is sealed

    Raises
    ------
    struct.error : a number outside int64, a code outside its field; lengths of the 16-byte fields are the caller's care
    """
    shape = _SHAPES.get((len(keys), len(numbers)))
    if shape is None:
        shape = _SHAPES[len(keys), len(numbers)] = _shape(len(keys), len(numbers))
    pack, length, counts = shape
    length += payload_bytes
    if sealed:
        length += 28
        counts |= 65536
    names = 1 | kind << 8 | type_code << 16
    return pack(length, names, time_ms, received_ms, cause, subject, request, digest, counts, *keys, *numbers)


def decode(buffer: bytes, position: int = 0) -> Record:
    """Decode the record that starts at `position`.

    Raises
    ------
    LogCorrupt : the bytes are not a whole record of version 1
    """
    available = len(buffer) - position
    if position < 0 or available < HEADER_BYTES:
        raise _not_a_record(position, f"{max(available, 0)} bytes", f"at least {HEADER_BYTES} bytes")
    (
        length,
        version,
        kind,
        type_code,
        time_ms,
        received_ms,
        cause,
        subject,
        request,
        digest,
        n_keys,
        n_numbers,
        flags,
        _,
    ) = _FIXED.unpack_from(buffer, position)
    if version != VERSION:
        raise _not_a_record(position, f"version {version}", f"version {VERSION}")
    keys_at = position + HEADER_BYTES
    numbers_at = keys_at + 16 * n_keys
    payload_at = numbers_at + 8 * n_numbers
    if length > available or payload_at - position > length:
        raise _not_a_record(position, f"length {length}", f"{payload_at - position}..{available}")
    keys = tuple(buffer[at : at + 16] for at in range(keys_at, numbers_at, 16))
    numbers = struct.unpack_from(f"<{n_numbers}q", buffer, numbers_at)
    return Record(
        kind, type_code, time_ms, received_ms, cause, subject, request, digest, flags, keys, numbers,
        buffer[position:payload_at], buffer[payload_at : position + length],
    )  # fmt: skip


def columns(bodies: bytes | Sequence[bytes], n_keys_max: int, n_numbers_max: int) -> Columns:
    """Walk one or many batch bodies and give their headers as arrays, padded to the given widths with null.

    Raises
    ------
    LogCorrupt : a record is broken, or has more keys or numbers than the caller makes room for
    """
    body = bodies if isinstance(bodies, bytes) else b"".join(bodies)
    view = np.frombuffer(body, np.uint8)
    n = count(body)
    made = Columns(
        np.empty(n, np.uint8),
        np.empty(n, np.uint16),
        np.empty(n, np.int64),
        np.empty(n, np.int64),
        np.empty(n, np.int64),
        np.empty((n, 2), np.uint64),
        np.empty((n, 2), np.uint64),
        np.empty((n, 2), np.uint64),
        np.empty((n, n_keys_max, 2), np.uint64),
        np.empty((n, n_numbers_max), np.int64),
        np.empty(n, np.int64),
        np.empty(n, np.int64),
        body,
    )
    bad = _fill(
        view, made.kind, made.type, made.time_ms, made.received_ms, made.cause, made.request, made.digest, made.subject,
        made.keys, made.numbers, made.position, made.length,
    )  # fmt: skip
    if bad >= 0:
        found = f"{body[bad + 80]} keys and {body[bad + 81]} numbers"
        raise _not_a_record(bad, found, f"at most {n_keys_max} keys and {n_numbers_max} numbers")
    return made


def count(body: bytes) -> int:
    """Number of records in a batch body.

    Raises
    ------
    LogCorrupt : the body is not a whole sequence of records
    """
    n, bad = _count(np.frombuffer(body, np.uint8))
    if bad >= 0:
        raise _not_a_record(int(bad), "bytes that are no record", "a whole record of version 1")
    return int(n)


def positions(body: bytes) -> NDArray[np.int64]:
    """Byte position of each record in a batch body.

    Raises
    ------
    LogCorrupt : the body is not a whole sequence of records
    """
    made = np.empty(count(body), np.int64)
    _positions(np.frombuffer(body, np.uint8), made)
    return made


def bounds(body: bytes) -> NDArray[np.int64]:
    """`positions`, and the end of the last record behind them.

    Raises
    ------
    LogCorrupt : the body is not a whole sequence of records
    """
    return np.append(positions(body), len(body))


def _not_a_record(position: int, found: str, allowed: str) -> LogCorrupt:
    return LogCorrupt(
        "not a record of the log",
        where=f"byte {position} of the batch",
        found=found,
        allowed=allowed,
        cure="Run `quanheng log verify`; restore the log from a copy if it names a bad batch.",
    )


@njit(cache=True, inline="always")
def _u64(b: Any, p: Any) -> Any:  # LLVM joins the eight loads into one.
    return (
        np.uint64(b[p])
        | np.uint64(b[p + 1]) << np.uint64(8)
        | np.uint64(b[p + 2]) << np.uint64(16)
        | np.uint64(b[p + 3]) << np.uint64(24)
        | np.uint64(b[p + 4]) << np.uint64(32)
        | np.uint64(b[p + 5]) << np.uint64(40)
        | np.uint64(b[p + 6]) << np.uint64(48)
        | np.uint64(b[p + 7]) << np.uint64(56)
    )


@njit(cache=True)
def _count(b: Any) -> Any:
    """Number of records, and the position of the first broken one (-1 none)."""
    total = np.int64(b.shape[0])
    p = np.int64(0)
    n = np.int64(0)
    while p < total:
        if total - p < 88:
            return n, p
        length = np.int64(b[p]) | np.int64(b[p + 1]) << 8 | np.int64(b[p + 2]) << 16 | np.int64(b[p + 3]) << 24
        least = 88 + 16 * np.int64(b[p + 80]) + 8 * np.int64(b[p + 81])
        if b[p + 4] != 1 or length < least or length > total - p:
            return n, p
        p += length
        n += 1
    return n, np.int64(-1)


@njit(cache=True)
def _fill(
    b: Any, kind: Any, type_code: Any, time_ms: Any, received_ms: Any, cause: Any, request: Any, digest: Any,
    subject: Any, keys: Any, numbers: Any, position: Any, lengths: Any,
) -> Any:  # fmt: skip
    """Fill the columns; the position of the first record that does not fit their widths (-1 none)."""
    p = np.int64(0)
    for i in range(kind.shape[0]):
        n_keys = np.int64(b[p + 80])
        n_numbers = np.int64(b[p + 81])
        if n_keys > keys.shape[1] or n_numbers > numbers.shape[1]:
            return p
        length = np.int64(b[p]) | np.int64(b[p + 1]) << 8 | np.int64(b[p + 2]) << 16 | np.int64(b[p + 3]) << 24
        kind[i] = b[p + 5]
        type_code[i] = np.uint16(b[p + 6]) | np.uint16(b[p + 7]) << 8
        time_ms[i] = np.int64(_u64(b, p + 8))
        received_ms[i] = np.int64(_u64(b, p + 16))
        cause[i] = np.int64(_u64(b, p + 24))
        subject[i, 0] = _u64(b, p + 32)
        subject[i, 1] = _u64(b, p + 40)
        request[i, 0] = _u64(b, p + 48)
        request[i, 1] = _u64(b, p + 56)
        digest[i, 0] = _u64(b, p + 64)
        digest[i, 1] = _u64(b, p + 72)
        at = p + 88
        for k in range(n_keys):
            keys[i, k, 0] = _u64(b, at)
            keys[i, k, 1] = _u64(b, at + 8)
            at += 16
        for k in range(n_keys, keys.shape[1]):
            keys[i, k, 0] = 0
            keys[i, k, 1] = 0
        for v in range(n_numbers):
            numbers[i, v] = np.int64(_u64(b, at))
            at += 8
        for v in range(n_numbers, numbers.shape[1]):
            numbers[i, v] = NULL
        position[i] = p
        lengths[i] = length
        p += length
    return np.int64(-1)


@njit(cache=True)
def _positions(b: Any, made: Any) -> None:
    p = np.int64(0)
    for i in range(made.shape[0]):
        made[i] = p
        p += np.int64(b[p]) | np.int64(b[p + 1]) << 8 | np.int64(b[p + 2]) << 16 | np.int64(b[p + 3]) << 24
