"""LightGBM on a table: encoded, stopped and, where asked, searched inside the training rows; served compiled."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quanheng.kernel.errors import ConfigurationError, InputError
from quanheng.models.boosting.encoding import Encoding, fit_encoding, training_matrix
from quanheng.models.boosting.monotone import Monotone, monotone_signs
from quanheng.models.boosting.packed import Packed, pack, unpack
from quanheng.models.boosting.shapley import TreeShapley
from quanheng.models.boosting.stopping import check_table, inner_parts, log_loss
from quanheng.models.estimator import Progress
from quanheng.models.table import Column, Table
from quanheng.models.train import import_lightgbm
from quanheng.models.trees import Trees

PATIENCE = 60
_FIXED = {
    "num_threads": 1,
    "deterministic": True,
    "force_row_wise": True,
    "objective": "binary",
    "verbose": -1,
    "feature_pre_filter": False,
}
_LEAVES_SEARCHED = (7, 15, 31)


class LightgbmModel:
    """Compiled trees with the encoding of their inputs: a `Fitted`.

    encoding : from columns to the inputs of the trees
    trees : with covers, for explanation
    how : settings, rounds and losses of the fit, as values of JSON
    """

    estimator = "lightgbm"

    def __init__(self, encoding: Encoding, trees: Trees, how: Mapping[str, Any]) -> None:
        self.encoding, self.trees, self.how = encoding, trees, how
        self._shapley = TreeShapley(trees)

    @property
    def columns(self) -> Sequence[Column]:
        """The inputs, in order."""
        return self.encoding.columns

    @property
    def base(self) -> float:
        """Log-odds before any input says something: the trees' mean over the rows they were fitted on."""
        return self.trees.sigmoid * self._shapley.base

    def probability(self, rows: pl.DataFrame) -> NDArray[np.float64]:
        """f8[n]: the probability of the event for each row."""
        return self.trees.probability(self.encoding.matrix(rows))

    def contributions(self, rows: pl.DataFrame) -> NDArray[np.float64]:
        """f8[n, columns]: path-dependent TreeSHAP in log-odds."""
        values = self._shapley.contributions(self.encoding.matrix(rows))
        return self.trees.sigmoid * self.encoding.by_column(values)

    def to_bytes(self) -> bytes:
        """The weights file."""
        header = {"encoding": self.encoding.header(), "how": self.how}
        return pack(Packed(self.estimator, header, {"trees": np.frombuffer(self.trees.to_bytes(), np.uint8)}))


class _Settings(NamedTuple):
    """What one candidate of the search trains with."""

    leaves: int
    parameters: Mapping[str, Any]


class LightgbmEstimator:
    """Settings of boosted trees, ready to fit.

    Parameters
    ----------
    monotone : `none`, `auto` (see `boosting.monotone`), or column → 1, -1
    leaves : most leaves of a tree
    learning_rate, rounds_max : step, and most trees; early stopping on inner parts chooses how many
    averaged : boosters, each with a seed of its own, whose mean in log-odds is the model; one ensemble of trees
    search : try 7, 15 and 31 leaves on the inner parts, and take the number with the least loss there
    parameters : of LightGBM, over ours; those that keep training reproducible cannot be changed

    Raises
    ------
    ConfigurationError : a setting is out of its bounds, or cannot be changed
    """

    name = "lightgbm"

    def __init__(
        self,
        monotone: Monotone = "none",
        leaves: int = 15,
        learning_rate: float = 0.03,
        rounds_max: int = 2000,
        averaged: int = 3,
        search: bool = False,
        parameters: Mapping[str, Any] | None = None,
    ) -> None:
        self.monotone, self.leaves, self.learning_rate = monotone, leaves, learning_rate
        self.rounds_max, self.averaged, self.search = rounds_max, averaged, search
        self.parameters = dict(parameters or {})
        bounds: list[tuple[str, float, float, float]] = [
            ("leaves", leaves, 2, 1024),
            ("learning_rate", learning_rate, 1e-4, 1.0),
            ("rounds_max", rounds_max, 1, 20_000),
            ("averaged", averaged, 1, 20),
        ]
        for name, value, low, high in bounds:
            if not low <= value <= high:
                raise ConfigurationError(
                    "a setting is out of its bounds", where=f"lightgbm: {name}", found=str(value),
                    allowed=f"{low} to {high}",
                )  # fmt: skip
        if taken := sorted({*_FIXED, "seed", "monotone_constraints"} & set(self.parameters)):
            raise ConfigurationError(
                "this parameter of LightGBM cannot be changed",
                where="lightgbm: parameters",
                found=", ".join(taken),
                cure="Leave it out: the same data and seed must give the same trees.",
            )

    def fit(self, table: Table, seed: int, progress: Progress | None = None) -> LightgbmModel:
        """Fit on a table.

        Raises
        ------
        InputError : one kind of target, no rows, no columns, or a monotone constraint on no number of the table
        MissingExtra : LightGBM is not installed
        """
        lightgbm = import_lightgbm()
        check_table(table)
        signs = monotone_signs(self.monotone, table)
        candidates = _LEAVES_SEARCHED if self.search else (self.leaves,)
        tried = [self._tried(lightgbm, table, leaves, signs, seed, progress) for leaves in candidates]
        best = min(range(len(tried)), key=lambda at: tried[at][1])
        rounds, loss = tried[best]
        encoding = fit_encoding(table, apart=tuple(signs))
        matrix = training_matrix(encoding, table, seed)
        parts = []
        for number in range(self.averaged):
            parameters = self._parameters(candidates[best], table.rows.height, signs, encoding, seed + number)
            data = lightgbm.Dataset(matrix, table.target.astype(np.float64), params=parameters)
            booster = lightgbm.train(parameters, data, rounds)
            parts.append(Trees.from_lightgbm(booster, covers=True))
            if progress is not None:
                progress("fitting", number + 1, self.averaged)
        how = {
            "leaves": candidates[best], "rounds": rounds, "inner_loss": round(loss, 12), "monotone": signs,
            "learning_rate": self.learning_rate, "averaged": self.averaged, "seed": seed,
            "searched": {str(leaves): round(one[1], 12) for leaves, one in zip(candidates, tried, strict=True)},
            "parameters": self.parameters, "rows": table.rows.height, "events": int(table.target.sum()),
        }  # fmt: skip
        names = tuple(one.name for one in encoding.inputs)
        return LightgbmModel(encoding, dataclasses.replace(_mean(parts), inputs=names), how)

    def read(self, content: bytes) -> LightgbmModel:
        """The model of a weights file that this estimator wrote.

        Raises
        ------
        InputError : the bytes are no such file
        """
        packed = unpack(content)
        if packed.estimator != self.name:
            raise InputError(
                "the weights are of another estimator", where="weights", found=packed.estimator, allowed=self.name
            )
        encoding = Encoding.of_header(packed.header["encoding"])
        return LightgbmModel(encoding, Trees.from_bytes(packed.arrays["trees"].tobytes()), packed.header["how"])

    def _parameters(
        self, leaves: int, rows: int, signs: Mapping[str, int], encoding: Encoding, seed: int
    ) -> dict[str, Any]:
        parameters: dict[str, Any] = {
            "learning_rate": self.learning_rate, "num_leaves": leaves,
            "min_data_in_leaf": min(max(rows // 250, 10), 100),
            "feature_fraction": 0.5, "bagging_fraction": 0.8, "bagging_freq": 1, "lambda_l2": 5.0, "path_smooth": 20.0,
            **self.parameters, **_FIXED, "seed": seed,
        }  # fmt: skip
        if signs:
            parts = [(one.part, encoding.columns[one.column].name) for one in encoding.inputs]
            parameters["monotone_constraints"] = [0 if part == "codes" else signs.get(name, 0) for part, name in parts]
            parameters.setdefault("monotone_constraints_method", "intermediate")
        return parameters

    def _tried(
        self, lightgbm: Any, table: Table, leaves: int, signs: Mapping[str, int], seed: int, progress: Progress | None
    ) -> tuple[int, float]:
        """How many rounds are best on the inner parts, and the mean loss there."""
        losses = []
        parts = inner_parts(table, seed)
        for number, part in enumerate(parts):
            teach, watch = table.take(part.teach), table.take(part.watch)
            encoding = fit_encoding(teach, apart=tuple(signs))
            parameters = self._parameters(leaves, len(part.teach), signs, encoding, seed)
            data = lightgbm.Dataset(training_matrix(encoding, teach, seed), teach.target.astype(np.float64))
            seen = lightgbm.Dataset(encoding.matrix(watch.rows), watch.target.astype(np.float64), reference=data)
            told: dict[str, Any] = {}
            steps = [lightgbm.early_stopping(PATIENCE, verbose=False), lightgbm.record_evaluation(told)]
            lightgbm.train(parameters, data, self.rounds_max, valid_sets=[seen], callbacks=steps)
            losses.append(told["valid_0"]["binary_logloss"])
            if progress is not None:
                progress(f"early stopping, {leaves} leaves", number + 1, len(parts))
        if not losses:  # Too few rows of a kind to watch: a tree or two at most are believed.
            share = table.target.mean()
            constant = np.full(len(table.target), np.log(share / (1 - share)))
            return min(10, self.rounds_max), log_loss(table.target, constant)
        common = min(map(len, losses))
        mean = np.mean([one[:common] for one in losses], axis=0)
        return int(mean.argmin()) + 1, float(mean.min())


def _mean(parts: Sequence[Trees]) -> Trees:
    """One ensemble whose raw sum is the mean of the parts'."""
    if len(parts) == 1:
        return parts[0]
    shifts = list(itertools.accumulate((len(part.left) for part in parts), initial=0))[:-1]

    def joined(name: str) -> NDArray[Any]:
        return np.concatenate([getattr(part, name) for part in parts])

    return Trees(
        inputs=parts[0].inputs,
        sigmoid=parts[0].sigmoid,
        roots=np.concatenate([part.roots + np.uint32(by) for part, by in zip(parts, shifts, strict=True)]),
        depths=joined("depths"),
        features=joined("features"),
        left=np.concatenate([part.left + np.uint32(by) for part, by in zip(parts, shifts, strict=True)]),
        thresholds=joined("thresholds"),
        values=joined("values") / len(parts),
        covers=joined("covers"),
    )
