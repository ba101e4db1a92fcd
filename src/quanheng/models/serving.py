"""A model in memory, ready to answer: checked against its declaration, scores as scaled integers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numba import njit
from numpy.typing import NDArray

from quanheng.features.source import Batch, SourceColumn
from quanheng.kernel.errors import InputError
from quanheng.models.trees import Trees, content_hash

if TYPE_CHECKING:
    from quanheng.loading.declared import ModelDeclaration

NULL = -(2**63)
_ESTIMATORS = ("lightgbm",)
_loaded: dict[tuple[str, str, tuple[str, ...], int], Model] = {}


class Model:
    """A source (`features.source.Source`) of one column: the score of every row.

    name : as a policy asks for it
    inputs : names of the columns it reads, in order
    output_decimals : decimal places of a score
    hash : content hash of its weights
    trees : the compiled weights
    """

    __slots__ = ("_factor", "columns", "hash", "inputs", "name", "needs", "output_decimals", "trees", "version")

    def __init__(self, name: str, trees: Trees, output_decimals: int, hash: str) -> None:
        self.name, self.trees, self.output_decimals, self.hash = name, trees, output_decimals, hash
        self.inputs = self.needs = trees.inputs
        self.version, self.columns = hash, (SourceColumn(name, "score", output_decimals),)
        self._factor = np.float64(10**output_decimals)

    def read(self, batch: Batch, known: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
        """The score of every row, as `Source.read`: f8[n, 1], NaN = null, rounded to `output_decimals`."""
        first = known[self.inputs[0]]
        rows = np.empty((len(first), len(self.inputs)))
        for at, name in enumerate(self.inputs):
            rows[:, at] = known[name]
        scaled = self.scores(rows)
        return np.where(scaled == NULL, np.nan, scaled / self._factor)[:, np.newaxis]

    def scores(self, rows: NDArray[np.float64]) -> NDArray[np.int64]:
        """Probabilities as integers scaled by 10 ** output_decimals, rounded half to even.

        Parameters
        ----------
        rows : f8[n, inputs], NaN = null. A row is scored alone: its score does not depend on the others.
        """
        found: NDArray[np.int64] = _scaled(self.trees.probability(rows), self._factor)
        return found


def load_model(declared: ModelDeclaration, weights: bytes) -> Model:
    """The model of a declaration and its weights; loaded once per content.

    Raises
    ------
    InputError : the weights are not the declared ones, or were trained on other inputs
    """
    found = content_hash(weights)
    where = f"models/{declared.name}"
    cure = "Put back the trained file, or train again."
    if declared.estimator not in (*_ESTIMATORS, "onnx"):
        raise InputError(
            "there is no such estimator",
            where=where,
            found=declared.estimator,
            allowed=", ".join((*_ESTIMATORS, "onnx")),
        )
    if declared.hash and declared.hash != found:
        raise InputError(
            "the weights are not those that were trained", where=where, found=found, allowed=declared.hash, cure=cure
        )
    key = (declared.name, found, tuple(declared.inputs), declared.output_decimals)
    if (model := _loaded.get(key)) is not None:
        return model
    if declared.estimator == "onnx":  # Not kept: a signature may be asked of the same bytes anew.
        from quanheng.models.onnx_outside import load_onnx

        return load_onnx(declared, weights)  # type: ignore[return-value]
    trees = Trees.from_bytes(weights, where)
    if trees.inputs != tuple(declared.inputs):
        raise InputError(
            "the weights were trained on other inputs",
            where=where,
            found=_first_difference(trees.inputs, declared.inputs),
            allowed=f"{len(trees.inputs)} inputs in the order of training",
            cure=cure,
        )
    _loaded[key] = model = Model(declared.name, trees, declared.output_decimals, found)
    return model


def _first_difference(trained: tuple[str, ...], declared: tuple[str, ...]) -> str:
    for position, (one, other) in enumerate(zip(trained, declared, strict=False), 1):
        if one != other:
            return f"{other!r} where input {position} was {one!r}"
    return f"{len(declared)} inputs where {len(trained)} were trained"


@njit(nogil=True, cache=True)
def _scaled(probabilities, factor):  # type: ignore[no-untyped-def]
    out = np.empty(probabilities.shape[0], np.int64)
    for row in range(probabilities.shape[0]):
        value = probabilities[row]
        out[row] = NULL if np.isnan(value) else np.int64(np.rint(value * factor))
    return out
