"""The evidence of a card: labels and scores of its test rows, so that figures can be computed again and compared.

No id and no value of a person is in it: a row has a label, a score, and the number of the group (of whose rows
intervals are drawn together). `rows_digest` says which rows they were; two models measured on the same rows have the
same digest, and their rows stand in the same order.

Bytes: MAGIC, u4 length of the header, JSON header, labels (bits), groups i4[n], scores f8[n], SHA-256 of all before.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from quanheng.kernel.errors import InputError

MAGIC = b"QHEVIDENCE1\n"
ROWS_MAX = 500_000
"""Rows of the largest evidence, about 6 MB: it travels with the pack."""


class Evidence(NamedTuple):
    """What a card was measured on.

    rows_digest : SHA-256 of ids and labels of the rows, in order
    labels : bool[n]; scores : f8[n], unrounded, as the card's figures were computed
    groups : i4[n], the number of each row's group, by first appearance
    """

    rows_digest: str
    labels: NDArray[np.bool_]
    scores: NDArray[np.float64]
    groups: NDArray[np.int32]

    def to_bytes(self) -> bytes:
        """The file; the same evidence gives the same bytes."""
        header = json.dumps({"rows": len(self.labels), "rows_digest": self.rows_digest}, sort_keys=True).encode()
        parts = [MAGIC, struct.pack("<I", len(header)), header, np.packbits(self.labels).tobytes()]
        parts += [
            np.ascontiguousarray(self.groups, "<i4").tobytes(),
            np.ascontiguousarray(self.scores, "<f8").tobytes(),
        ]
        body = b"".join(parts)
        return body + hashlib.sha256(body).digest()


def evidence_of(
    ids: Sequence[Any], labels: NDArray[np.bool_], scores: NDArray[np.float64], groups: NDArray[Any] | None = None
) -> Evidence:
    """Evidence of rows.

    Parameters
    ----------
    ids : names the rows; only their digest is kept
    groups : whose rows each is; None = every row stands for itself

    Raises
    ------
    InputError : more rows than travel with a pack
    """
    if len(labels) > ROWS_MAX:
        raise InputError(
            "these are more rows than travel with a pack", where="evidence", found=f"{len(labels)} rows",
            allowed=f"at most {ROWS_MAX}", cure="Measure on a sample of the test rows, drawn before scoring.",
        )  # fmt: skip
    digest = hashlib.sha256()
    for id, label in zip(ids, labels.tolist(), strict=True):
        digest.update(f"{id}\0{int(label)}\n".encode())
    return Evidence(f"sha256:{digest.hexdigest()}", labels, scores, _numbered(groups, len(labels)))


def _numbered(groups: NDArray[Any] | None, rows: int) -> NDArray[np.int32]:
    """Numbers by first appearance: who a group is cannot be told from them."""
    if groups is None:
        return np.arange(rows, dtype=np.int32)
    words = groups.view([("", groups.dtype)] * groups.shape[1]).ravel() if groups.ndim > 1 else groups
    _, first, inverse = np.unique(words, return_index=True, return_inverse=True)
    order = np.empty(len(first), np.int32)
    order[np.argsort(first, kind="stable")] = np.arange(len(first), dtype=np.int32)
    return order[inverse.ravel()]


def read_evidence(content: bytes, where: str = "evidence") -> Evidence:
    """Read what `Evidence.to_bytes` wrote.

    Raises
    ------
    InputError : not this format, or changed bytes
    """
    cure = "Put back the file that training wrote, or measure again."
    if not content.startswith(MAGIC) or len(content) < len(MAGIC) + 36:
        raise InputError("not a file of evidence", where=where, found=f"{len(content)} bytes", cure=cure)
    body, digest = content[:-32], content[-32:]
    if hashlib.sha256(body).digest() != digest:
        raise InputError("the evidence was changed or cut", where=where, found=f"{len(content)} bytes", cure=cure)
    (length,) = struct.unpack_from("<I", body, len(MAGIC))
    start = len(MAGIC) + 4 + length
    header = json.loads(body[len(MAGIC) + 4 : start])
    rows, bits = header["rows"], (header["rows"] + 7) // 8
    if len(body) != start + bits + 12 * rows:
        raise InputError("the evidence was changed or cut", where=where, found=f"{len(content)} bytes", cure=cure)
    labels = np.unpackbits(np.frombuffer(body, np.uint8, bits, start), count=rows).astype(bool)
    groups = np.frombuffer(body, "<i4", rows, start + bits).astype(np.int32)
    scores = np.frombuffer(body, "<f8", rows, start + bits + 4 * rows).astype(np.float64)
    return Evidence(header["rows_digest"], labels, scores, groups)
