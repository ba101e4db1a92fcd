"""A model in memory, ready to answer: checked against its declaration, a source of a score and of its reasons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from quanheng.features.source import Batch, SourceColumn
from quanheng.kernel.errors import InputError
from quanheng.models.estimators import known_estimators
from quanheng.models.readers import Answering, Asked, reader_of
from quanheng.models.trees import content_hash

if TYPE_CHECKING:
    from quanheng.loading.declared import ModelDeclaration

NULL = -(2**63)
_Key = tuple[str, str, tuple[str, ...], str, int, int, tuple[tuple[str, tuple[str, ...]], ...]]
_loaded: dict[_Key, Model] = {}


class Model:
    """A source (`features.source.Source`): the score of every row, and behind it the reasons that were asked for.

    name : as a policy asks for it
    inputs : names of the columns it reads, in order
    output_decimals : decimal places of a score
    hash : content hash of its weights
    answering : what reads and answers
    """

    __slots__ = (
        "_factor",
        "_get",
        "answering",
        "columns",
        "hash",
        "inputs",
        "name",
        "needs",
        "output_decimals",
        "version",
    )

    def __init__(self, declared: ModelDeclaration, answering: Answering, hash: str) -> None:
        self.name, self.output_decimals, self.hash, self.answering = (
            declared.name, declared.output_decimals, hash, answering,
        )  # fmt: skip
        self.inputs = self.needs = answering.inputs
        kind = "score" if declared.output == "probability" else "number"
        self.version = hash
        self.columns = (
            SourceColumn(declared.name, kind, declared.output_decimals),  # type: ignore[arg-type]
            *(SourceColumn(name, "reason", 0, answering.reasons) for name in declared.reason_columns),
        )
        self._factor = np.float64(10**declared.output_decimals)
        self._get = itemgetter(*self.inputs)

    def read(self, batch: Batch, known: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
        """Score and reasons of every row, as `Source.read`: f8[n, columns], NaN = null."""
        found = self._get(known)
        return self.answering.answer(found if len(self.inputs) > 1 else (found,))

    def scores(self, rows: NDArray[np.float64]) -> NDArray[np.int64]:
        """Scores as integers scaled by 10 ** output_decimals, rounded half to even.

        Parameters
        ----------
        rows : f8[n, inputs], NaN = null. A row is scored alone: its score does not depend on the others.
        """
        scores = self.answering.answer([np.ascontiguousarray(column) for column in rows.T])[:, 0]
        whole = np.rint(np.where(np.isnan(scores), 0, scores) * self._factor).astype(np.int64)
        return np.where(np.isnan(scores), NULL, whole)


def load_model(declared: ModelDeclaration, weights: bytes, choices: Mapping[str, Sequence[str]] | None = None) -> Model:
    """The model of a declaration and its weights; loaded once per content.

    Parameters
    ----------
    choices : values of the choice fields among its inputs, in the order of their codes

    Raises
    ------
    InputError : the weights are not the declared ones, were trained on other inputs, or read a number where the event
        has a choice; nobody reads such weights
    """
    found = content_hash(weights)
    where = f"models/{declared.name}"
    cure = "Put back the trained file, or train again."
    given = {name: tuple(values) for name, values in (choices or {}).items() if name in declared.inputs}
    inputs = tuple(declared.inputs)
    key = (
        f"{declared.estimator} {declared.name}", found, inputs, declared.output, declared.output_decimals,
        declared.reasons, tuple(sorted(given.items())),
    )  # fmt: skip
    if declared.hash and declared.hash != found:
        raise InputError(
            "the weights are not those that were trained", where=where, found=found, allowed=declared.hash, cure=cure
        )
    if (model := _loaded.get(key)) is not None:
        return model
    if declared.estimator == "onnx":  # Not kept: a signature may be asked of the same bytes anew.
        from quanheng.models.onnx_outside import load_onnx

        return load_onnx(declared, weights)  # type: ignore[return-value]
    reader = reader_of(declared.estimator)
    if reader is None:
        allowed = ", ".join(known_estimators())
        raise InputError("there is no such estimator", where=where, found=declared.estimator, allowed=allowed)
    answering = reader(weights, Asked(declared.output, declared.output_decimals, declared.reasons, given), where)
    if answering.inputs != inputs:
        raise InputError(
            "the weights were trained on other inputs",
            where=where,
            found=_first_difference(answering.inputs, declared.inputs),
            allowed=f"{len(answering.inputs)} inputs in the order of training",
            cure=cure,
        )
    _check_kinds(answering, given, where)
    _loaded[key] = model = Model(declared, answering, found)
    return model


def _check_kinds(answering: Answering, choices: Mapping[str, Sequence[str]], where: str) -> None:
    for name in answering.inputs:
        if (name in choices) != (name in answering.categories):
            kinds = ("a choice field", "a number")
            found, allowed = kinds if name in choices else kinds[::-1]
            raise InputError(
                "an input is of another kind than in training",
                where=f"{where}: {name}",
                found=found,
                allowed=allowed,
                cure="Declare the field as it was in training, or train again.",
            )


def _first_difference(trained: tuple[str, ...], declared: tuple[str, ...]) -> str:
    for position, (one, other) in enumerate(zip(trained, declared, strict=False), 1):
        if one != other:
            return f"{other!r} where input {position} was {one!r}"
    return f"{len(declared)} inputs where {len(trained)} were trained"
