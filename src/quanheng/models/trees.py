"""Ensembles of decision trees as flat arrays, walked by one compiled loop.

The raw sum of a row is bit-equal to LightGBM's `predict(raw_score=True)` for the model the arrays came from: the same
comparisons, the same leaf values, added in the same order. It does not depend on how many rows are asked together.

How the walk is made fast: siblings lie side by side, so a step is `node = left[node] + not (x <= threshold[node])`,
without a branch; a leaf leads to itself, so every row of a tree takes the same number of steps; a missing value is
resolved before the walk: each row is laid out twice, missing as minus infinity and as NaN, which no comparison holds
for, and a node whose missing values go left reads the first copy.
"""

from __future__ import annotations

import hashlib
import json
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from quanheng.kernel.errors import InputError

MAGIC = b"QHTREES1"
_BLOCK = 64  # Rows walked together: two copies of 64 rows of 40 inputs are 40 kB, about a first-level cache.
_ARRAYS = (
    ("roots", "<u4"),
    ("depths", "<i4"),
    ("features", "<u4"),
    ("left", "<u4"),
    ("thresholds", "<f8"),
    ("values", "<f8"),
)
_COVERS = (("covers", "<u4"),)  # Behind the others, in files of models that are explained.
_MISSING_ZERO, _MISSING_NAN = 1, 2


@dataclass(frozen=True, slots=True, eq=False)
class Trees:
    """A compiled ensemble.

    inputs : names of the columns, in order
    sigmoid : slope of the logistic link, `p = 1 / (1 + exp(-sigmoid * raw))`
    roots u4, depths i4 [trees] : first node and number of steps of each tree
    features : u4[nodes] column read by a node; + len(inputs) if missing values go right
    left : u4[nodes] left child, the right one follows it; a leaf is its own child
    thresholds : f8[nodes] `x <= threshold` goes left, all else right; plus infinity in a leaf
    values : f8[nodes] what a leaf adds to the raw sum; 0 in an inner node
    covers : u4[nodes] training rows that came through a node; scores need none, explanations do
    """

    inputs: tuple[str, ...]
    sigmoid: float
    roots: NDArray[np.uint32]
    depths: NDArray[np.int32]
    features: NDArray[np.uint32]
    left: NDArray[np.uint32]
    thresholds: NDArray[np.float64]
    values: NDArray[np.float64]
    covers: NDArray[np.uint32] | None = None

    def raw(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Raw sums (log-odds / sigmoid) of rows.

        Parameters
        ----------
        rows : f8[n, inputs], NaN = missing

        Raises
        ------
        InputError : the number of columns is not that of the inputs
        """
        if rows.ndim != 2 or rows.shape[1] != len(self.inputs):
            raise InputError(
                "the rows do not fit the model",
                where="trees",
                found=f"an array of shape {rows.shape}",
                allowed=f"(rows, {len(self.inputs)})",
                cure="Give the model's inputs as columns, in their order.",
            )
        out = np.zeros(len(rows))
        _walk(rows, self.roots, self.depths, self.features, self.left, self.thresholds, self.values, out)
        return out

    def probability(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Probabilities of rows: f8[n, inputs] → f8[n] in [0, 1]."""
        out = self.raw(rows)
        _logistic(out, self.sigmoid)
        return out

    def to_bytes(self) -> bytes:
        """The ensemble as bytes: magic, header, arrays, SHA-256 of all before. Equal ensembles give equal bytes."""
        header = json.dumps(
            {
                "inputs": list(self.inputs),
                "nodes": len(self.left),
                "sigmoid": self.sigmoid.hex(),
                "trees": len(self.roots),
                **({} if self.covers is None else {"covers": True}),
            },
            sort_keys=True,
            separators=(",", ":"),
            ensure_ascii=True,
        ).encode()
        kept = _ARRAYS if self.covers is None else _ARRAYS + _COVERS
        arrays = (np.ascontiguousarray(getattr(self, name), kind).tobytes() for name, kind in kept)
        body = b"".join([MAGIC, struct.pack("<I", len(header)), header, *arrays])
        return body + hashlib.sha256(body).digest()

    @property
    def hash(self) -> str:
        """`sha256:` and the hex digest of `to_bytes()`: what a model's declaration names."""
        return content_hash(self.to_bytes())

    @staticmethod
    def from_bytes(content: bytes, where: str = "trees") -> Trees:
        """Read what `to_bytes` wrote; every node is checked, so a walk can never leave the arrays.

        Raises
        ------
        InputError : not this format, changed bytes, or arrays that are no trees
        """
        return _read(content, where)

    @staticmethod
    def from_lightgbm(booster: Any, covers: bool = False) -> Trees:
        """Compile a trained LightGBM booster with one binary or regression output.

        Parameters
        ----------
        covers : keep how many training rows came through each node

        Raises
        ------
        InputError : the booster uses what is not compiled (several classes, categorical splits, zero as missing,
            linear leaves, random-forest averaging)
        """
        from quanheng.models.lightgbm_text import read_booster

        return read_booster(booster.model_to_string(), covers)


def content_hash(content: bytes) -> str:
    """`sha256:` and the hex digest of a weights file."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


def _read(content: bytes, where: str) -> Trees:
    cure = "Put back the trained file, or train again."
    if len(content) < len(MAGIC) + 36 or content[: len(MAGIC)] != MAGIC:
        raise InputError(
            "not a file of trees", where=where, found=repr(content[: len(MAGIC)]), allowed=repr(MAGIC), cure=cure
        )
    body, digest = content[:-32], content[-32:]
    if hashlib.sha256(body).digest() != digest:
        raise InputError("the file of trees was changed or cut", where=where, found=f"{len(content)} bytes", cure=cure)
    (length,) = struct.unpack_from("<I", body, len(MAGIC))
    start = len(MAGIC) + 4 + length
    header = json.loads(body[len(MAGIC) + 4 : start])
    arrays = {}
    for name, kind in _ARRAYS + _COVERS if header.get("covers") else _ARRAYS:
        count = header["trees"] if name in {"roots", "depths"} else header["nodes"]
        arrays[name] = np.frombuffer(body, kind, count, start)
        start += arrays[name].nbytes
    trees = Trees(inputs=tuple(header["inputs"]), sigmoid=float.fromhex(header["sigmoid"]), **arrays)
    if start != len(body) or not _is_sound(trees):
        raise InputError("the arrays are not trees", where=where, found=f"{header['nodes']} nodes", cure=cure)
    return trees


def _is_sound(trees: Trees) -> bool:
    """Whether every step of every walk stays inside the arrays."""
    nodes = len(trees.left)
    own = trees.left == np.arange(nodes)
    last = trees.left.astype(np.int64) + np.where(own, 0, 1)
    return bool(
        (last < nodes).all()
        and (trees.roots < nodes).all()
        and ((trees.depths >= 0) & (trees.depths <= nodes)).all()
        and (trees.features < max(2 * len(trees.inputs), 1)).all()
        and np.isposinf(trees.thresholds[own]).all()
        and (trees.features[own] == 0).all()
        and not np.isnan(trees.thresholds).any()
    )


@njit(nogil=True, cache=True)
def _walk(rows, roots, depths, features, left, thresholds, values, out):  # type: ignore[no-untyped-def]
    columns = rows.shape[1]
    block = np.empty(_BLOCK * 2 * max(columns, 1))
    for first in range(0, rows.shape[0], _BLOCK):
        count = min(_BLOCK, rows.shape[0] - first)
        for row in range(count):
            for column in range(columns):
                value = rows[first + row, column]
                block[row * 2 * columns + column] = -np.inf if np.isnan(value) else value
                block[(row * 2 + 1) * columns + column] = value
        fours = count // 4 * 4
        _four_rows(block, fours, 2 * columns, roots, depths, features, left, thresholds, values, out[first:])
        for row in range(fours, count):
            base = row * 2 * columns
            out[first + row] = _one_row(
                block[base : base + 2 * columns], roots, depths, features, left, thresholds, values
            )


@njit(nogil=True, inline="always")
def _step(node, base, block, features, left, thresholds):  # type: ignore[no-untyped-def]
    # Unsigned all through: an index that could be negative costs a test and a wrap at every step.
    right = not (block[base + np.uint64(features[node])] <= thresholds[node])
    return np.uint64(left[node]) + np.uint64(right)


@njit(nogil=True, cache=True)
def _four_rows(block, count, width, roots, depths, features, left, thresholds, values, out):  # type: ignore[no-untyped-def]
    """Four rows side by side: a step waits for memory, so four walks take little longer than one."""
    w = np.uint64(width)
    for tree in range(roots.shape[0]):
        root = np.uint64(roots[tree])
        for row in range(0, count, 4):
            a = b = c = d = root
            at_a = np.uint64(row) * w
            at_b, at_c, at_d = at_a + w, at_a + w + w, at_a + w + w + w
            for _ in range(depths[tree]):
                a = _step(a, at_a, block, features, left, thresholds)
                b = _step(b, at_b, block, features, left, thresholds)
                c = _step(c, at_c, block, features, left, thresholds)
                d = _step(d, at_d, block, features, left, thresholds)
            out[row] += values[a]
            out[row + 1] += values[b]
            out[row + 2] += values[c]
            out[row + 3] += values[d]


@njit(nogil=True, cache=True)
def _one_row(row, roots, depths, features, left, thresholds, values):  # type: ignore[no-untyped-def]
    """Four trees side by side, added in their order; a shallow tree waits in its leaf for the deepest of the four."""
    total, zero = 0.0, np.uint64(0)
    fours = roots.shape[0] // 4 * 4
    for tree in range(0, fours, 4):
        a, b = np.uint64(roots[tree]), np.uint64(roots[tree + 1])
        c, d = np.uint64(roots[tree + 2]), np.uint64(roots[tree + 3])
        for _ in range(max(depths[tree], depths[tree + 1], depths[tree + 2], depths[tree + 3])):
            a = _step(a, zero, row, features, left, thresholds)
            b = _step(b, zero, row, features, left, thresholds)
            c = _step(c, zero, row, features, left, thresholds)
            d = _step(d, zero, row, features, left, thresholds)
        total += values[a]
        total += values[b]
        total += values[c]
        total += values[d]
    for tree in range(fours, roots.shape[0]):
        a = np.uint64(roots[tree])
        for _ in range(depths[tree]):
            a = _step(a, zero, row, features, left, thresholds)
        total += values[a]
    return total


@njit(nogil=True, cache=True)
def _logistic(raw, sigmoid):  # type: ignore[no-untyped-def]
    # One scalar `exp` per row: a vector routine could round the rows of one call differently.
    for row in range(raw.shape[0]):
        raw[row] = 1.0 / (1.0 + np.exp(-sigmoid * raw[row]))
