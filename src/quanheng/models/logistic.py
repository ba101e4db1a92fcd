"""Logistic regression: fitted by scikit-learn, served by a few lines of numpy from coefficients that people can read.

A number is cut to the 0.5 and 99.5 percentiles of training and standardised. A missing value and every code take the
mean and have a coefficient of their own; so has every category met in at least 10 rows of training. A category that
is rarer, or was never seen, has none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from quanheng.kernel.errors import ConfigurationError, InputError, MissingExtra
from quanheng.models.estimator import Progress
from quanheng.models.table import Column, Table

FORMAT = "quanheng-logistic-1"
LEVEL_ROWS_MIN = 10
TAILS = (0.005, 0.995)


class Term(msgspec.Struct, frozen=True, kw_only=True):
    """What one input adds to the log-odds.

    low, high : numbers are cut to them
    mean, scale : (cut number − mean) / scale is multiplied by `weight`
    missing : added where the value is missing
    codes : code → added in place of the number
    levels : category → added
    centre : mean of all this over the rows of training; it is in the base, and taken off here
    """

    column: Column
    low: float = 0.0
    high: float = 0.0
    mean: float = 0.0
    scale: float = 1.0
    weight: float = 0.0
    missing: float = 0.0
    codes: tuple[tuple[float, float], ...] = ()
    levels: tuple[tuple[str, float], ...] = ()
    centre: float = 0.0


class _File(msgspec.Struct, frozen=True, kw_only=True):
    """The weights file."""

    format: str
    base: float
    terms: tuple[Term, ...]


class Logistic:
    """A fitted model: see `models.estimator.Fitted`.

    terms : one for each input
    """

    estimator = "logistic"

    def __init__(self, base: float, terms: Sequence[Term]) -> None:
        self._base, self.terms = base, tuple(terms)

    @property
    def base(self) -> float:
        """Log-odds of a row that is average in every input."""
        return self._base

    @property
    def columns(self) -> Sequence[Column]:
        """The inputs, in order."""
        return tuple(term.column for term in self.terms)

    def contributions(self, rows: pl.DataFrame) -> NDArray[np.float64]:
        """f8[n, inputs]: what each input adds to the log-odds of an average row."""
        out = np.empty((rows.height, len(self.terms)))
        for at, term in enumerate(self.terms):
            cells = rows[term.column.name]
            out[:, at] = (
                _category(term, cells) if term.column.kind == "category" else _number(term, cells)
            ) - term.centre
        return out

    def log_odds(self, rows: pl.DataFrame) -> NDArray[np.float64]:
        """f8[n]: the sum, input after input, so that a row does not depend on how many are beside it."""
        parts = self.contributions(rows)
        total = np.full(rows.height, self._base)
        for at in range(parts.shape[1]):
            total += parts[:, at]
        return total

    def probability(self, rows: pl.DataFrame) -> NDArray[np.float64]:
        """f8[n]: the probability of the event."""
        log_odds = self.log_odds(rows)
        odds = np.exp(-np.abs(log_odds))  # Never above 1: no overflow.
        share: NDArray[np.float64] = np.where(log_odds >= 0, 1.0, odds) / (1.0 + odds)
        return share

    def to_bytes(self) -> bytes:
        """The weights file: JSON."""
        return msgspec.json.format(
            msgspec.json.encode(_File(format=FORMAT, base=self._base, terms=self.terms)), indent=1
        )


class LogisticEstimator:
    """Settings of a logistic regression.

    strength : inverse of the weight of the penalty (L2); smaller = coefficients nearer to zero
    iterations_max : steps of the solver
    """

    name = "logistic"

    def __init__(self, strength: float = 1.0, iterations_max: int = 2000) -> None:
        if not strength > 0 or iterations_max < 1:
            raise ConfigurationError(
                "a setting of logistic regression does not fit", where="estimator logistic",
                found=f"strength = {strength}, iterations_max = {iterations_max}", allowed="both above 0",
                cure="Correct it.",
            )  # fmt: skip
        self.strength, self.iterations_max = strength, iterations_max

    def fit(self, table: Table, seed: int, progress: Progress | None = None) -> Logistic:
        """Fit on a table. The seed changes nothing: the solver draws nothing.

        Raises
        ------
        InputError : one kind of target, or no input
        MissingExtra : scikit-learn is not installed
        """
        _check(table)
        try:
            from sklearn.linear_model import LogisticRegression
            from threadpoolctl import threadpool_limits
        except ImportError:
            raise MissingExtra("scikit-learn", "models", "fitting a logistic regression") from None
        drafts = [_draft(column, table.rows[column.name]) for column in table.columns]
        matrix = np.hstack([_matrix(draft, table.rows[draft.term.column.name]) for draft in drafts])
        with threadpool_limits(1):  # Sums in another order would give other bytes.
            solver = LogisticRegression(C=self.strength, max_iter=self.iterations_max, tol=1e-8)
            solver.fit(matrix, table.target)
        if progress is not None:
            progress("fitting", 1, 1)
        return _fitted(drafts, table.rows, solver.coef_[0], solver.intercept_[0].item())

    def read(self, content: bytes) -> Logistic:
        """The model of a weights file.

        Raises
        ------
        InputError : the bytes are no such file
        """
        try:
            file = msgspec.json.decode(content, type=_File)
            known = file.format == FORMAT
        except msgspec.DecodeError:
            known = False
        if not known:
            raise InputError(
                "the bytes are no weights of a logistic regression", where="weights", found=repr(content[:24]),
                allowed=FORMAT, cure="Put back the file that was written, or fit again.",
            )  # fmt: skip
        return Logistic(file.base, file.terms)


class _Draft(NamedTuple):
    """A term without weights, and which columns of the matrix it has: (kind, value) each."""

    term: Term
    parts: tuple[tuple[str, float | str], ...]


def _check(table: Table) -> None:
    events = int(table.target.sum())
    if not 0 < events < len(table.target) or not table.columns:
        raise InputError(
            "there is nothing to learn from", where="estimator logistic",
            found=f"{len(table.columns)} inputs, {events} of {len(table.target)} rows with the event",
            allowed="one input or more, rows with the event and rows without", cure="Choose another table.",
        )  # fmt: skip


def _draft(column: Column, cells: pl.Series) -> _Draft:
    missing: list[tuple[str, float | str]] = [("missing", 0.0)] if cells.null_count() else []
    if column.kind == "category":
        counts = cells.drop_nulls().value_counts()
        levels = sorted(level for level, n in counts.iter_rows() if n >= LEVEL_ROWS_MIN)
        return _Draft(Term(column=column), (*(("level", level) for level in levels), *missing))
    values = cells.to_numpy().astype(np.float64)
    codes = [code for code in column.specials if (values == code).any()]
    plain = values[~np.isnan(values) & ~np.isin(values, codes)]
    if not len(plain):
        return _Draft(Term(column=column), (*(("code", code) for code in codes), *missing))
    low, high = np.quantile(plain, TAILS)
    if low == high:  # A rare event counts though it is beyond every percentile.
        low, high = plain.min(), plain.max()
    cut = np.clip(plain, low, high)
    scale = cut.std()
    term = Term(
        column=column,
        low=float(low),
        high=float(high),
        mean=float(cut.mean()),
        scale=float(scale) if scale > 0 else 1.0,
    )
    return _Draft(term, (("number", 0.0), *(("code", code) for code in codes), *missing))


def _matrix(draft: _Draft, cells: pl.Series) -> NDArray[np.float64]:
    """f8[n, parts]: what the coefficients of one input are multiplied with."""
    out = np.zeros((len(cells), len(draft.parts)))
    for at, (kind, value) in enumerate(draft.parts):
        if kind == "level":
            out[:, at] = (cells == value).fill_null(False).to_numpy()
        elif kind == "missing":
            out[:, at] = cells.is_null().to_numpy()
        else:
            values = cells.to_numpy().astype(np.float64)
            out[:, at] = (
                values == value if kind == "code" else _standard(draft.term, values, draft.term.column.specials)
            )
    return out


def _standard(term: Term, values: NDArray[np.float64], codes: Sequence[float]) -> NDArray[np.float64]:
    """Standardised numbers; 0 (the mean) where there is none."""
    none = np.isnan(values) | np.isin(values, codes)
    cut = np.clip(np.where(none, term.mean, values), term.low, term.high)
    scaled: NDArray[np.float64] = np.where(none, 0.0, (cut - term.mean) / term.scale)
    return scaled


def _fitted(drafts: Sequence[_Draft], rows: pl.DataFrame, weights: NDArray[np.float64], intercept: float) -> Logistic:
    """Weights put into their terms, each centred on its mean over the rows of training."""
    base, at, terms = intercept, 0, []
    for draft in drafts:
        own = [float(weight) for weight in weights[at : at + len(draft.parts)]]
        at += len(draft.parts)
        named = list(zip(draft.parts, own, strict=True))
        term = msgspec.structs.replace(
            draft.term,
            weight=sum((weight for (kind, _), weight in named if kind == "number"), 0.0),
            missing=sum((weight for (kind, _), weight in named if kind == "missing"), 0.0),
            codes=tuple((float(value), weight) for (kind, value), weight in named if kind == "code"),
            levels=tuple((str(value), weight) for (kind, value), weight in named if kind == "level"),
        )
        cells = rows[term.column.name]
        added = _category(term, cells) if term.column.kind == "category" else _number(term, cells)
        term = msgspec.structs.replace(term, centre=float(added.mean()))
        base += term.centre
        terms.append(term)
    return Logistic(base, terms)


def _number(term: Term, cells: pl.Series) -> NDArray[np.float64]:
    values = cells.to_numpy().astype(np.float64)
    added = _standard(term, values, term.column.specials) * term.weight
    added[np.isnan(values)] = term.missing
    for code, weight in term.codes:
        added[values == code] = weight
    return added


def _category(term: Term, cells: pl.Series) -> NDArray[np.float64]:
    levels = dict(term.levels)
    if not levels:
        return np.where(cells.is_null().to_numpy(), term.missing, 0.0)
    added = cells.cast(pl.String).replace_strict(levels, default=0.0, return_dtype=pl.Float64)
    return np.where(cells.is_null().to_numpy(), term.missing, added.to_numpy().astype(np.float64))
