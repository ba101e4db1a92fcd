"""A scorecard is fitted: bins, selection, regression, calibration, points."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from quanheng.kernel.errors import ConfigurationError, InputError
from quanheng.models.estimator import Progress
from quanheng.models.scorecard.binning import BinRules, Characteristic, bin_column
from quanheng.models.scorecard.calibration import calibrate_isotonic, calibrate_platt
from quanheng.models.scorecard.points import Scaling, bin_points, lost_points
from quanheng.models.scorecard.refinement import refine_bins
from quanheng.models.scorecard.scorecard import Scorecard
from quanheng.models.scorecard.selection import Chosen, SelectionRules, choose
from quanheng.models.scorecard.weights import Calibration, Scored, ScoredBin, Weights
from quanheng.models.table import Table

Floats = NDArray[np.float64]


class Learned(NamedTuple):
    """What the rows taught: bins of every column, those that entered, log-odds of their bins."""

    characteristics: Mapping[str, Characteristic]
    chosen: Chosen
    parts: list[Floats]

    def log_odds(self, table: Table) -> Floats:
        """f8[n] of the rows of a table."""
        found = np.full(len(table.target), self.chosen.fit.intercept)
        for name, part in zip(self.chosen.names, self.parts, strict=True):
            found += part[self.characteristics[name].place(table.rows[name])]
        return found


class ScorecardSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a scorecard is made.

    bins : rules of every column; columns : rules of one column, by name, in place of those
    selection, scaling : which columns enter; how points are read
    refine : ridge that draws single bins towards their weights of evidence (`refinement`), in units of log-likelihood;
        0 = the classic scorecard, one coefficient for all bins of a column
    calibration : `platt` or `isotonic`, on scores of rows that each fold did not see
    folds : of that; reasons : column → code; titles : column → {en, zh}
    """

    bins: BinRules = BinRules()
    columns: Mapping[str, BinRules] = {}
    selection: SelectionRules = SelectionRules()
    scaling: Scaling = Scaling()
    refine: float = 100.0
    calibration: Literal["none", "platt", "isotonic"] = "none"
    folds: int = 5
    reasons: Mapping[str, str] = {}
    titles: Mapping[str, Mapping[str, str]] = {}


class ScorecardEstimator:
    """Settings of a scorecard, ready to fit (`models.estimator.Estimator`).

    Parameters
    ----------
    settings : fields of `ScorecardSettings`, plain values as TOML or JSON has them

    Raises
    ------
    ConfigurationError : a setting does not fit
    """

    name = "scorecard"

    def __init__(self, **settings: Any) -> None:
        try:
            self.settings = msgspec.convert(msgspec.to_builtins(settings), ScorecardSettings)
        except (msgspec.ValidationError, TypeError) as error:
            raise ConfigurationError(
                "a setting of the scorecard does not fit",
                where="scorecard",
                found=str(error),
                allowed=", ".join(ScorecardSettings.__struct_fields__),
            ) from None
        self.settings.scaling.check()

    def fit(self, table: Table, seed: int, progress: Progress | None = None) -> Scorecard:
        """Fit on a table; everything that sees the target is learned from these rows alone.

        Raises
        ------
        InputError : one kind of target, no usable column
        """
        learned = _learn(table, self.settings, progress)
        calibration = Calibration()
        if self.settings.calibration != "none":
            if progress:
                progress("calibration", 0, 1)
            log_odds = self._out_of_fold(table, seed)
            if self.settings.calibration == "platt":
                calibration = calibrate_platt(log_odds, table.target)
            else:
                calibration = calibrate_isotonic(self.settings.scaling.score(log_odds), table.target)
        weights = _weigh(table, self.settings, learned, calibration, seed)
        if progress:
            progress("points", 1, 1)
        return Scorecard(weights)

    def read(self, content: bytes) -> Scorecard:
        """The scorecard of a weights file.

        Raises
        ------
        InputError : the bytes are no such file
        """
        return Scorecard.from_bytes(content)

    def _out_of_fold(self, table: Table, seed: int) -> Floats:
        """Log-odds of each row by a scorecard that did not see it."""
        fold = assign_folds(table.target, self.settings.folds, seed)
        found = np.empty(len(fold))
        for one in range(self.settings.folds):
            inside, outside = np.flatnonzero(fold != one), np.flatnonzero(fold == one)
            learned = _learn(table.take(inside), self.settings, None)
            found[outside] = learned.log_odds(table.take(outside))
        return found


def assign_folds(target: NDArray[np.bool_], folds: int, seed: int) -> NDArray[np.int64]:
    """The fold of each row, i8[n]: events and others are dealt out evenly, in an order that the seed shuffles."""
    random = np.random.default_rng(seed)
    fold = np.empty(len(target), np.int64)
    for kind in (False, True):
        rows = np.flatnonzero(target == kind)
        fold[random.permutation(rows)] = np.arange(len(rows)) % folds
    return fold


def _learn(table: Table, settings: ScorecardSettings, progress: Progress | None) -> Learned:
    _check(table, settings)
    found: dict[str, Characteristic] = {}
    woes = np.empty((len(table.target), len(table.columns)))
    places: dict[str, NDArray[np.intp]] = {}
    for at, column in enumerate(table.columns):
        values = table.rows[column.name]
        one = bin_column(column, values, table.target, settings.columns.get(column.name, settings.bins))
        found[column.name] = one
        places[column.name] = one.place(values)
        woes[:, at] = one.woes()[places[column.name]]
        if progress:
            progress("bins", at + 1, len(table.columns))
    names = [column.name for column in table.columns]
    values_of = [found[name].information_value for name in names]
    chosen = choose(names, woes, values_of, table.target, settings.selection)
    if not chosen.names:
        why = "; ".join(f"{name}: {reason}" for name, reason in list(chosen.left_out.items())[:5])
        raise InputError(
            "no column tells events from others",
            where="scorecard",
            found=why or "no columns",
            allowed=f"one with an information value of at least {settings.selection.iv_min:g}",
            cure="Give other columns, or lower selection.iv_min.",
        )
    ones = [found[name] for name in chosen.names]
    parts = [float(b) * one.woes() for b, one in zip(chosen.fit.coefficients, ones, strict=True)]
    if settings.refine > 0:
        inside = [places[name] for name in chosen.names]
        parts = refine_bins(ones, inside, parts, chosen.fit.intercept, table.target, settings.refine)
    return Learned(found, chosen, parts)


def _check(table: Table, settings: ScorecardSettings) -> None:
    names = {column.name for column in table.columns}
    asked = {*settings.columns, *settings.selection.keep, *settings.reasons, *settings.titles}
    if unknown := sorted(asked - names):
        raise InputError(
            "the settings name columns that the table does not have",
            where="scorecard",
            found=", ".join(unknown),
            allowed=", ".join(sorted(names)),
        )
    if not 0 < int(table.target.sum()) < len(table.target):
        raise InputError(
            "the target is of one kind",
            where="scorecard",
            found=f"{int(table.target.sum())} events of {len(table.target)} rows",
            allowed="events and others",
        )


def _weigh(table: Table, settings: ScorecardSettings, learned: Learned, calibration: Calibration, seed: int) -> Weights:
    fit, scaling = learned.chosen.fit, settings.scaling
    intercept, slope = calibration.intercept, calibration.slope
    base = intercept + slope * fit.intercept
    ones = [learned.characteristics[name] for name in learned.chosen.names]
    parts = [slope * part for part in learned.parts]
    base_points, points = bin_points(base, parts, scaling)
    neutral = round((scaling.offset - scaling.factor * base) / len(parts)) if scaling.spread_base else 0
    columns = {column.name: column for column in table.columns}
    scored, exact, rounded = [], np.full(len(table.target), base), np.full(len(table.target), base_points)
    for at, one in enumerate(ones):
        rows = np.array([bin.rows for bin in one.bins])
        lost = lost_points(points[at], rows, neutral, scaling.reference)
        bins = _scored_bins(one, parts[at], points[at], lost, settings)
        scored.append(
            Scored(
                column=columns[one.name],
                trend=one.trend,
                information_value=one.information_value,
                coefficient=float(fit.coefficients[at]),
                error=float(fit.errors[at + 1]),
                p_value=float(fit.p_values[at + 1]),
                bins=bins,
                title=dict(settings.titles.get(one.name, {})),
            )
        )
        places = one.place(table.rows[one.name])
        exact, rounded = exact + parts[at][places], rounded + points[at][places]
    moved = np.abs(scaling.score(exact) - rounded)
    return Weights(
        characteristics=tuple(scored),
        base=base,
        base_points=base_points,
        scaling=scaling,
        calibration=calibration,
        rows=len(table.target),
        events=int(table.target.sum()),
        rounding_max=float(moved.max()),
        rounding_mean=float(moved.mean()),
        seed=seed,
        left_out=dict(learned.chosen.left_out),
    )


def _scored_bins(
    one: Characteristic, parts: Floats, points: NDArray[np.int64], lost: NDArray[np.int64], settings: ScorecardSettings
) -> tuple[ScoredBin, ...]:
    code = settings.reasons.get(one.name) or reason_code(one.name)
    return tuple(
        ScoredBin(
            **msgspec.structs.asdict(bin),
            log_odds=float(parts[at]) + 0.0,
            points=int(points[at]),
            lost=int(lost[at]),
            reason=f"{code}_missing" if bin.kind == "missing" else code,
        )
        for at, bin in enumerate(one.bins)
    )


def reason_code(column: str) -> str:
    """A code for a column whose reason nobody named: lower case, letters, digits and `_`."""
    words = re.sub(r"[^a-z0-9]+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", column).lower()).strip("_")
    return words if words[:1].isalpha() else f"input_{words}"
