"""Headers of a whole group of records, a column at a time: what `records.encode_header` makes of each."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from quanheng.kernel.log.records import HEADER_BYTES, SEAL_BYTES, VERSION


@lru_cache
def _header_row(tail_bytes: int) -> np.dtype[np.void]:
    """The header as numpy packs it, for so many bytes of keys and numbers."""
    pair = ("<u8", 2)
    fields: list[Any] = [("length", "<u4"), ("names", "<u4"), ("time_ms", "<i8"), ("received_ms", "<i8")]
    fields += [("cause", "<i8"), ("subject", *pair), ("request", *pair), ("digest", *pair), ("counts", "<u8")]
    return np.dtype([*fields, ("tail", "<u8", tail_bytes // 8)])


def encode_headers(
    kind: int,
    type_code: int,
    times_ms: Sequence[int],
    received_ms: int,
    causes: Sequence[int] | int,
    subjects: bytes,
    requests: bytes,
    tails: bytes,
    counts: tuple[int, int],
    payload_bytes: Sequence[int],
) -> list[bytes]:
    """Headers of n records of one kind and type, as `encode_header` makes each, a column at a time.

    Parameters
    ----------
    causes : an offset each, or `NO_CAUSE` for all
    subjects, requests : 16 bytes each, one behind the other; no `requests` = none has one. A payload whose subject is
        not `NONE_16` is sealed
    tails : per record its keys (16 bytes each), then its numbers (8 bytes each)
    counts : number of keys, number of numbers
    payload_bytes : length of each payload in clear
    """
    n, tail_bytes = len(times_ms), 16 * counts[0] + 8 * counts[1]
    rows = np.zeros(n, _header_row(tail_bytes))
    rows["subject"] = np.frombuffer(subjects, "<u8").reshape(n, 2)
    sealed = rows["subject"].any(axis=1)
    rows["length"] = np.array(payload_bytes, np.uint32) + (HEADER_BYTES + tail_bytes + sealed * SEAL_BYTES)
    rows["names"] = VERSION | kind << 8 | type_code << 16
    rows["time_ms"], rows["received_ms"], rows["cause"] = times_ms, received_ms, causes
    if requests:
        rows["request"] = np.frombuffer(requests, "<u8").reshape(n, 2)
    rows["counts"] = counts[0] | counts[1] << 8 | sealed.astype(np.uint64) << np.uint64(16)
    rows["tail"] = np.frombuffer(tails, "<u8").reshape(n, tail_bytes // 8)
    packed, size = rows.tobytes(), rows.itemsize
    return [packed[at : at + size] for at in range(0, n * size, size)]
