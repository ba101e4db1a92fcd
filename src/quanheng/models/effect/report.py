"""A table of subjects with their arms, measured: every figure that a page or a decision on an experiment needs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from quanheng.kernel.errors import InputError
from quanheng.models.chance import Interval, two_shares, wilson
from quanheng.models.effect.design import Mismatch, always_valid, detectable, mismatch
from quanheng.models.effect.difference import ALPHA, Effect, cuped, ratio, ratios, shares, stratified, unknown, welch
from quanheng.models.effect.segments import Qini, Segments, by_segment, qini
from quanheng.models.effect.student import spread, t_quantile

if TYPE_CHECKING:
    import polars as pl

Floats = NDArray[np.float64]


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """Which columns say what.

    arm, value : the arm of each row, and what is compared; control : name of the arm that others are compared with
    per : the value is a ratio, of sums of `value` over sums of this
    before : known before the draw, for an adjusted difference; by : segments that were known before the draw
    subject : rows of one subject are summed; without it each row is a subject
    score : ranks subjects for Qini
    shares : declared share of each arm; planned : subjects when the experiment ends, for a look before
    """

    arm: str
    value: str
    control: str
    per: str = ""
    before: str = ""
    by: str = ""
    subject: str = ""
    score: str = ""
    shares: Mapping[str, float] = {}
    planned: int = 0


class Arm(NamedTuple):
    """One arm: subjects, those of which the value is missing, and the mean or ratio with its 95 % interval."""

    name: str
    subjects: int
    missing: int
    value: Interval


class Compared(NamedTuple):
    """One arm against the control.

    effect : plain; adjusted : by the value before, or by strata where there is none; None where neither is given
    early : valid at every look; None without `planned`
    detectable : least true difference that subjects as many as these show with power 80 %
    missing_p : p of as many missing values in both arms: small = the arms lose subjects differently
    """

    name: str
    effect: Effect
    adjusted: Effect | None
    early: Effect | None
    detectable: float
    missing_p: float
    segments: Segments | None
    qini: Qini | None


class Report(NamedTuple):
    """Everything. `kind` is "share", "mean" or "ratio"; `in_two_arms` subjects were left out."""

    kind: str
    control: str
    arms: tuple[Arm, ...]
    compared: tuple[Compared, ...]
    mismatch: Mismatch | None
    in_two_arms: int


class _Rows(NamedTuple):
    """Subjects of one arm whose value is known."""

    value: Floats
    per: Floats
    before: Floats
    by: list[str]
    score: Floats
    subjects: int


def measure(table: pl.DataFrame, asked: Asked) -> Report:
    """Compare every arm with the control.

    Parameters
    ----------
    table : columns that `asked` names; arm, subject and `by` are texts, the others numbers, null = not known

    Raises
    ------
    InputError : no such arm as the control, no other arm, a null arm, or shares that do not fit
    """
    import polars as pl

    if table[asked.arm].null_count():
        raise InputError(
            "some rows have no arm", where=asked.arm, found=f"{table[asked.arm].null_count()} rows",
            cure="Leave out decisions that were taken outside the experiment.",
        )  # fmt: skip
    table, in_two = _subjects(table, asked)
    names = table[asked.arm].unique().sort().to_list()
    if asked.control not in names or len(names) < 2:
        raise InputError(
            "there is nothing to compare", where=asked.arm, found=asked.control,
            allowed=", ".join(names) or "no rows", cure="Name the arm that the others are compared with: --control.",
        )  # fmt: skip
    parts = {name: _rows(table.filter(pl.col(asked.arm) == name), asked) for name in names}
    kind = "ratio" if asked.per else "share" if _is_share(parts.values()) else "mean"
    arms = tuple(
        Arm(name, one.subjects, one.subjects - len(one.value), _level(one, kind)) for name, one in parts.items()
    )
    control = parts[asked.control]
    compared = tuple(_compared(name, parts[name], control, kind, asked) for name in names if name != asked.control)
    sizes = {name: one.subjects for name, one in parts.items()}
    found = mismatch(sizes, asked.shares) if asked.shares else None
    return Report(kind, asked.control, arms, compared, found, in_two)


def _subjects(table: pl.DataFrame, asked: Asked) -> tuple[pl.DataFrame, int]:
    """One row a subject: value and `per` summed over rows where they are known, the rest from its first row."""
    import polars as pl

    if not asked.subject:
        return table, 0
    sums = [one for one in (asked.value, asked.per) if one]
    summed = [pl.when(pl.col(one).count() > 0).then(pl.col(one).sum()).alias(one) for one in sums]
    firsts = [pl.col(one).first() for one in dict.fromkeys((asked.before, asked.by, asked.score)) if one]
    firsts = [one for one in firsts if one.meta.output_name() not in (asked.value, asked.per)]
    several = pl.col(asked.arm).n_unique().alias("_arms")
    made = table.group_by(asked.subject, maintain_order=True).agg(pl.col(asked.arm).first(), several, *summed, *firsts)
    kept = made.filter(pl.col("_arms") == 1)
    return kept, len(made) - len(kept)


def _rows(table: pl.DataFrame, asked: Asked) -> _Rows:
    import polars as pl

    needed = [one for one in (asked.value, asked.per, asked.before, asked.score) if one]
    known = table.drop_nulls(needed)

    def column(name: str) -> Floats:
        return known[name].cast(pl.Float64).to_numpy() if name else np.zeros(0)

    by = known[asked.by].cast(pl.String).fill_null("missing").to_list() if asked.by else []
    columns = (column(asked.value), column(asked.per), column(asked.before))
    return _Rows(*columns, by, column(asked.score), len(table))


def _is_share(parts: Any) -> bool:
    return all(bool(np.isin(one.value, (0.0, 1.0)).all()) for one in parts)


def _level(one: _Rows, kind: str) -> Interval:
    n = len(one.value)
    if kind == "ratio":
        return ratio(one.value, one.per)
    if kind == "share":
        return wilson(int(one.value.sum()), n)
    mean = float(one.value.mean()) if n else np.nan
    half = t_quantile(ALPHA, n - 1) * spread(float(one.value.var(ddof=1)), n) if n > 1 else np.nan
    return Interval(mean, mean - half, mean + half)


def _compared(name: str, treated: _Rows, control: _Rows, kind: str, asked: Asked) -> Compared:
    effect, deviation = _plain(treated, control, kind)
    adjusted = None
    if asked.before and kind != "ratio":
        adjusted = cuped(treated.value, control.value, treated.before, control.before)
    elif asked.by and kind != "ratio":
        adjusted = stratified(treated.value, control.value, treated.by, control.by)
    subjects = len(treated.value) + len(control.value)
    early = always_valid(effect, subjects, asked.planned) if asked.planned else None
    segments = None
    if asked.by and kind != "ratio":
        segments = by_segment(treated.value, control.value, treated.by, control.by)
    lost = [(one.subjects - len(one.value), one.subjects) for one in (treated, control)]
    return Compared(
        name, effect, adjusted, early, detectable(deviation, len(treated.value), len(control.value)),
        two_shares(*lost[0], *lost[1])[1], segments, _ranked(treated, control) if asked.score else None,
    )  # fmt: skip


def _plain(treated: _Rows, control: _Rows, kind: str) -> tuple[Effect, float]:
    """The difference, and the pooled standard deviation of what it is a mean of."""
    if min(len(treated.value), len(control.value)) < 2:
        return unknown(kind), np.nan
    sides = [one.value for one in (treated, control)]
    if kind == "ratio":
        effect = ratios((treated.value, treated.per), (control.value, control.per))
        sides = [_residuals(one) for one in (treated, control)]
    elif kind == "share":
        effect = shares(int(sides[0].sum()), len(sides[0]), int(sides[1].sum()), len(sides[1]))
    else:
        effect = welch(sides[0], sides[1])
    within = sum(float(((one - one.mean()) ** 2).sum()) for one in sides)
    return effect, float(np.sqrt(within / (len(sides[0]) + len(sides[1]) - 2)))


def _residuals(one: _Rows) -> Floats:
    total = float(one.per.sum())
    if not total:
        return np.full(len(one.value), np.nan)
    return (one.value - float(one.value.sum()) / total * one.per) / float(one.per.mean())


def _ranked(treated: _Rows, control: _Rows) -> Qini:
    score = np.concatenate([treated.score, control.score])
    value = np.concatenate([treated.value, control.value])
    in_treated = np.arange(len(score)) < len(treated.score)
    return qini(score, in_treated, value)
