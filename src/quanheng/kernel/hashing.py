"""SHA-256 of many short pieces at once, by the library that `hashlib` itself stands on.

`hashlib` looks up the algorithm anew for each piece, which takes longer than to hash 64 bytes. Here compiled code calls
OpenSSL's functions directly, without the interpreter and its lock. Where the library does not offer them, `hashlib`
answers, byte for byte the same; it is also the judge in the tests.
"""

from __future__ import annotations

import ctypes
from hashlib import sha256
from itertools import pairwise
from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import intrinsic
from numpy.typing import NDArray

HASH_BYTES = 32
LEAF, NODE = b"\x00", b"\x01"
"""What RFC 6962 puts before a leaf and before two nodes, so that neither can pass for the other."""

_CONTEXT_BYTES = 512
"""Room for OpenSSL's SHA256_CTX (112 bytes) with a wide margin."""


def _addresses() -> tuple[int, int, int] | None:
    """Where SHA256_Init, SHA256_Update and SHA256_Final are; None where they are not to be had or answer otherwise."""
    try:
        import _hashlib

        library = ctypes.CDLL(_hashlib.__file__)
        begin, update, end = (getattr(library, f"SHA256_{name}") for name in ("Init", "Update", "Final"))
        context, digest = ctypes.create_string_buffer(_CONTEXT_BYTES), ctypes.create_string_buffer(HASH_BYTES)
        update.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]
        done = begin(context) == 1 and update(context, b"abc", 3) == 1 and end(digest, context) == 1
    except (ImportError, AttributeError, OSError):
        return None
    if not done or digest.raw != sha256(b"abc").digest():
        return None
    return tuple(ctypes.cast(one, ctypes.c_void_p).value or 0 for one in (begin, update, end))  # type: ignore[return-value]


ADDRESSES = _addresses()


def hash_pieces(prefix: bytes, buffer: bytes | NDArray[np.uint8], starts: NDArray[np.int64]) -> NDArray[np.uint8]:
    """SHA-256(prefix || piece) for each piece of `buffer`: u8[n, 32].

    Parameters
    ----------
    starts : i8[n + 1], where each piece begins; the last is where the last piece ends. Rising, within the buffer
    """
    data = np.frombuffer(buffer, np.uint8)
    if ADDRESSES is None:
        return _by_hashlib(prefix, data, starts)
    out = np.empty((len(starts) - 1, HASH_BYTES), np.uint8)
    context = np.empty(_CONTEXT_BYTES // 8, np.uint64)
    _hash_pieces(*ADDRESSES, context, np.frombuffer(prefix, np.uint8), data, starts, out)
    return out


def hash_pairs(prefix: bytes, hashes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """SHA-256(prefix || left || right) for each two neighbours among `hashes` (u8[n, 32], n even): u8[n / 2, 32]."""
    return hash_pieces(prefix, hashes.reshape(-1), np.arange(0, len(hashes) * HASH_BYTES + 1, 2 * HASH_BYTES))


def _by_hashlib(prefix: bytes, data: NDArray[np.uint8], starts: NDArray[np.int64]) -> NDArray[np.uint8]:
    view, bounds = data.tobytes(), starts.tolist()
    digests = [sha256(prefix + view[start:stop]).digest() for start, stop in pairwise(bounds)]
    return np.frombuffer(b"".join(digests), np.uint8).reshape(-1, HASH_BYTES)


@intrinsic
def _call(typing_context: Any, address: Any, first: Any, second: Any, third: Any) -> Any:
    """Call the C function at `address` with three words, and give its int back. Excess arguments are not looked at."""
    signature = types.int32(types.intp, types.intp, types.intp, types.intp)

    def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        from llvmlite import ir  # type: ignore[import-untyped]

        word = context.get_value_type(types.intp)
        function = ir.FunctionType(ir.IntType(32), [word, word, word])
        return builder.call(builder.inttoptr(arguments[0], function.as_pointer()), arguments[1:])

    return signature, generate


@njit(nogil=True, cache=True)
def _hash_pieces(
    begin: Any, update: Any, end: Any, context: Any, prefix: Any, data: Any, starts: Any, out: Any
) -> None:
    at, from_, to, before = context.ctypes.data, data.ctypes.data, out.ctypes.data, prefix.ctypes.data
    for i in range(out.shape[0]):
        _call(begin, at, 0, 0)  # type: ignore[call-arg]  # The typing context is numba's to give.
        _call(update, at, before, prefix.shape[0])
        _call(update, at, from_ + starts[i], starts[i + 1] - starts[i])
        _call(end, to + 32 * i, at, 0)


def prefixed(base: Any, text: str) -> Any:
    """A copy of the hasher `base` fed with a length-prefixed text, so that ("a", "bc") and ("ab", "c") differ."""
    hasher = base.copy()
    raw = text.encode()
    hasher.update(len(raw).to_bytes(4, "little") + raw)
    return hasher


def digest_with(base: Any, text: str) -> bytes:
    """The digest of the hasher `base` fed with a text."""
    hasher = base.copy()
    hasher.update(text.encode("utf-8", "surrogatepass"))
    digest: bytes = hasher.digest()
    return digest
