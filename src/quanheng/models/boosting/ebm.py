"""Explainable boosting (Lou and others 2013; Nori and others 2019) by interpret-core, served by our own look-up.

Each input has a shape function, and a few pairs have a surface; all are step functions, so the fitted model is a set of
tables (`boosting.additive`) that people can read, draw and correct. Categories stay categories here: no encoding.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quanheng.kernel.errors import ConfigurationError, InputError, MissingExtra
from quanheng.models.boosting.additive import Additive, compiled, is_sound
from quanheng.models.boosting.encoding import Encoding, Input
from quanheng.models.boosting.monotone import Monotone, monotone_signs
from quanheng.models.boosting.packed import Packed, pack, unpack
from quanheng.models.boosting.stopping import PARTS, check_table
from quanheng.models.estimator import Progress
from quanheng.models.table import Column, Table

_ARRAYS = ("nominal", "edge_starts", "edges", "bins", "pairs", "score_starts", "scores")


class EbmModel:
    """Shape functions and pairs as a look-up: a `Fitted`.

    encoding : from columns to inputs; the value of a category is its number
    additive : the look-up
    how : settings of the fit, as values of JSON
    """

    estimator = "ebm"

    def __init__(self, encoding: Encoding, additive: Additive, how: Mapping[str, Any]) -> None:
        self.encoding, self.additive, self.how = encoding, additive, how

    @property
    def columns(self) -> Sequence[Column]:
        """The inputs, in order."""
        return self.encoding.columns

    @property
    def base(self) -> float:
        """Log-odds before any input says something; every term has mean zero over the rows it was fitted on."""
        return self.additive.intercept

    def probability(self, rows: pl.DataFrame) -> NDArray[np.float64]:
        """f8[n]: the probability of the event for each row."""
        log_odds = self.additive.log_odds(self.encoding.matrix(rows))
        odds = np.exp(-np.abs(log_odds))  # Never overflows.
        share: NDArray[np.float64] = np.where(log_odds >= 0, 1.0, odds) / (1.0 + odds)
        return share

    def contributions(self, rows: pl.DataFrame) -> NDArray[np.float64]:
        """f8[n, columns]: a column's own term and half of each of its pairs."""
        return self.encoding.by_column(self.additive.contributions(self.encoding.matrix(rows)))

    def to_bytes(self) -> bytes:
        """The weights file."""
        header = {
            "encoding": self.encoding.header(),
            "how": self.how,
            "intercept": self.additive.intercept.hex(),
        }
        arrays = {name: getattr(self.additive, name) for name in _ARRAYS}
        return pack(Packed(self.estimator, header, arrays | {"nominal": self.additive.nominal.astype(np.uint8)}))


class EbmEstimator:
    """Settings of explainable boosting, ready to fit.

    Parameters
    ----------
    monotone : as of `LightgbmEstimator`
    pairs : most pairs of inputs with a surface of their own
    bags : models on drawn parts whose mean is the model; each stops on the rows that were not drawn for it
    learning_rate, rounds_max : step, and most rounds through all inputs

    Raises
    ------
    ConfigurationError : a setting is out of its bounds
    """

    name = "ebm"

    def __init__(
        self,
        monotone: Monotone = "none",
        pairs: int = 10,
        bags: int = 4,
        learning_rate: float = 0.02,
        rounds_max: int = 5000,
    ) -> None:
        self.monotone, self.pairs, self.bags = monotone, pairs, bags
        self.learning_rate, self.rounds_max = learning_rate, rounds_max
        bounds: list[tuple[str, float, float, float]] = [
            ("pairs", pairs, 0, 200),
            ("bags", bags, 1, 100),
            ("learning_rate", learning_rate, 1e-4, 1.0),
            ("rounds_max", rounds_max, 1, 50_000),
        ]
        for name, value, low, high in bounds:
            if not low <= value <= high:
                raise ConfigurationError(
                    "a setting is out of its bounds", where=f"ebm: {name}", found=str(value), allowed=f"{low} to {high}"
                )

    def fit(self, table: Table, seed: int, progress: Progress | None = None) -> EbmModel:
        """Fit on a table.

        Raises
        ------
        InputError : one kind of target, no rows, no columns, or a monotone constraint on no number of the table
        MissingExtra : interpret-core is not installed
        """
        try:
            import pandas
            from interpret.glassbox import ExplainableBoostingClassifier
        except ImportError:
            raise MissingExtra("interpret-core", "models", "fitting explainable boosting") from None
        check_table(table)
        signs = monotone_signs(self.monotone, table)
        encoding = _numbered(table, tuple(signs))
        matrix = encoding.matrix(table.rows)
        nominal = [one.part in {"category", "codes"} for one in encoding.inputs]
        names = [encoding.columns[one.column].name for one in encoding.inputs]
        if progress is not None:
            progress("fitting", 0, 1)
        learner = ExplainableBoostingClassifier(
            feature_names=[str(at) for at in range(len(nominal))],
            feature_types=["nominal" if one else "continuous" for one in nominal],
            interactions=min(self.pairs, len(nominal) * (len(nominal) - 1) // 2),
            outer_bags=self.bags,
            learning_rate=self.learning_rate,
            max_rounds=self.rounds_max,
            monotone_constraints=[
                0 if one else signs.get(name, 0) for one, name in zip(nominal, names, strict=True)
            ] if signs else None,
            n_jobs=1,
            random_state=seed % 2**31,
        )  # fmt: skip
        frame = pandas.DataFrame({str(at): _cells(matrix[:, at], one) for at, one in enumerate(nominal)})
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Missing values detected")  # About the library's own pictures.
            learner.fit(frame, table.target.astype(np.int64), bags=_bags(table, self.bags, seed))
        if progress is not None:
            progress("fitting", 1, 1)
        how = {
            "monotone": signs, "pairs": self.pairs, "bags": self.bags, "learning_rate": self.learning_rate,
            "rounds_max": self.rounds_max, "seed": seed, "rows": table.rows.height, "events": int(table.target.sum()),
        }  # fmt: skip
        return EbmModel(encoding, look_up(learner, nominal), how)

    def read(self, content: bytes) -> EbmModel:
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
        arrays = {name: packed.arrays[name] for name in _ARRAYS}
        arrays["nominal"] = arrays["nominal"].astype(np.bool_)
        additive = Additive(float.fromhex(packed.header["intercept"]), **arrays)
        encoding = Encoding.of_header(packed.header["encoding"])
        if len(additive.nominal) != len(encoding.inputs) or not is_sound(additive):
            raise InputError(
                "the tables of the additive model do not fit one another",
                where="weights",
                found=f"{len(additive.scores)} scores",
                cure="Put back the file that was fitted, or fit again.",
            )
        return EbmModel(encoding, additive, packed.header["how"])


def look_up(learner: Any, nominal: Sequence[bool]) -> Additive:
    """The tables of a fitted `ExplainableBoostingClassifier` whose nominal features hold numbers of categories."""
    edges: list[NDArray[np.float64]] = []
    for at, is_nominal in enumerate(nominal):
        levels = learner.bins_[at]
        for level in (levels[0], levels[min(1, len(levels) - 1)]):
            if is_nominal:
                known = {int(float(text)): place for text, place in level.items()}
                last = max(level.values(), default=0) + 1  # Where the library puts what it never saw.
                edges.append(np.array([known.get(one, last) for one in range(max(known, default=-1) + 1)], np.float64))
            else:
                edges.append(np.asarray(level, np.float64))
    terms = [
        (tuple(int(at) for at in inputs), np.asarray(scores, np.float64))
        for inputs, scores in zip(learner.term_features_, learner.term_scores_, strict=True)
    ]
    return compiled(float(learner.intercept_[0]), nominal, edges, terms)


def _numbered(table: Table, apart: Sequence[str]) -> Encoding:
    """Categories, and codes that stand apart, by their number in the order of the alphabet; never seen = -1."""
    inputs: list[Input] = []
    categories: dict[str, dict[str, float]] = {}
    for place, column in enumerate(table.columns):
        if column.kind == "category":
            inputs.append(Input(column.name, place, "category"))
            seen = sorted(table.rows[column.name].drop_nulls().unique().to_list())
            categories[column.name] = {key: float(at) for at, key in enumerate(seen)}
        elif column.name in apart and column.specials:
            inputs += [Input(column.name, place, "plain"), Input(f"{column.name} codes", place, "codes")]
        else:
            inputs.append(Input(column.name, place, "number"))
    return Encoding(table.columns, tuple(inputs), categories, -1.0)


def _cells(values: NDArray[np.float64], nominal: bool) -> NDArray[Any]:
    if not nominal:
        return values
    return np.array([None if np.isnan(one) else str(int(one)) for one in values.tolist()], object)


def _bags(table: Table, bags: int, seed: int) -> NDArray[np.int8] | None:
    """i1[n, bags] where rows have times: 1 teaches, -1 watches, 0 is left out; the latest fifth watches in each bag."""
    if table.times is None:
        return None
    latest = table.times >= np.quantile(table.times, 1 - 1 / PARTS, method="inverted_cdf")
    rng = np.random.default_rng(seed)
    drawn = rng.random((len(latest), bags)) < 0.85
    return np.where(latest[:, np.newaxis], -1, drawn).astype(np.int8)
