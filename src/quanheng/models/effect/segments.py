"""For whom it works: the difference by segment, with what many looks alone would find, and Qini of a ranking."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from quanheng.kernel.errors import InputError
from quanheng.models.chance import chi_square_above
from quanheng.models.effect.difference import Effect, welch

Floats = NDArray[np.float64]
SEGMENT_MIN = 10
"""Subjects of each arm that a segment needs; smaller ones are told and not compared."""


class Segment(NamedTuple):
    """One segment. `p_adjusted` is by Holm (1979): the chance of one such finding in all segments together."""

    name: str
    treated: int
    control: int
    effect: Effect
    p_adjusted: float


class Segments(NamedTuple):
    """All segments.

    heterogeneous_p : p of the differences being the same everywhere (Cochran's Q): large = no sign that it matters whom
    left_out : segments with too few subjects of an arm
    """

    of: tuple[Segment, ...]
    heterogeneous_p: float
    left_out: tuple[str, ...]


def by_segment(treated: Floats, control: Floats, in_treated: Sequence[str], in_control: Sequence[str]) -> Segments:
    """The difference of means within each segment; segments must have been known before the draw."""
    left, right = np.asarray(in_treated, object), np.asarray(in_control, object)
    found: dict[str, tuple[int, int, Effect]] = {}
    left_out = []
    for name in sorted({*in_treated, *in_control}):
        one, two = treated[left == name], control[right == name]
        if min(len(one), len(two)) < SEGMENT_MIN:
            left_out.append(name)
        else:
            found[name] = len(one), len(two), welch(one, two)
    adjusted = holm({name: effect.p for name, (_, _, effect) in found.items()})
    rows = tuple(Segment(name, *parts, adjusted[name]) for name, parts in found.items())
    return Segments(rows, _cochran([one.effect for one in rows]), tuple(left_out))


def holm(values: Mapping[str, float]) -> dict[str, float]:
    """p values adjusted for their number (S. Holm, 1979), in the order given."""
    made, worst = {}, 0.0
    for place, name in enumerate(sorted(values, key=lambda one: values[one])):
        worst = max(worst, min(1.0, values[name] * (len(values) - place)))
        made[name] = worst
    return {name: made[name] for name in values}


def _cochran(effects: Sequence[Effect]) -> float:
    sure = [one for one in effects if one.error > 0.0]
    weights = np.array([1 / one.error**2 for one in sure])
    values = np.array([one.value for one in sure])
    if len(sure) < 2:
        return 1.0
    middle = float((weights * values).sum() / weights.sum())
    return chi_square_above(float((weights * (values - middle) ** 2).sum()), len(sure) - 1)


class Qini(NamedTuple):
    """How well a ranking finds those who are helped.

    coefficient : area between the curve and the straight line of a random order, over the number of subjects; per
        subject, in units of the value
    p : share of `permutations` random orders that do as well or better, (1 + them) / (1 + permutations)
    targeted, incremental : the curve: share of subjects treated in rank order, and gain of treating them, per subject
    """

    coefficient: float
    p: float
    targeted: tuple[float, ...]
    incremental: tuple[float, ...]


def qini(
    score: Floats,
    treated: NDArray[np.bool_],
    value: Floats,
    *,
    seed: int = 1,
    permutations: int = 200,
    points: int = 20,
) -> Qini:
    """The Qini curve of N. J. Radcliffe (2007): at each depth of the ranking (highest score first) the sum of the
    treated, less that of the control scaled to their number.

    Rows of equal score enter together. Seeded permutations of the score say what a ranking that knows nothing gives.

    Raises
    ------
    InputError : an arm is empty
    """
    if treated.all() or not treated.any():
        raise InputError("an arm is empty", where="qini", found=f"{int(treated.sum())} of {len(treated)} are treated")
    curve = _curve(score, treated, value)
    coefficient = _area(*curve)
    generator = np.random.default_rng(seed)
    better = sum(
        _area(*_curve(generator.permutation(score), treated, value)) >= coefficient for _ in range(permutations)
    )
    depth, gain = curve
    at = np.linspace(0, 1, points + 1)
    shown = np.interp(at, depth, gain)
    return Qini(coefficient, (1 + better) / (1 + permutations), tuple(at.tolist()), tuple(shown.tolist()))


def _curve(score: Floats, treated: NDArray[np.bool_], value: Floats) -> tuple[Floats, Floats]:
    """Share of subjects and gain per subject, from (0, 0) on, a point for each distinct score."""
    order = np.argsort(-score, kind="stable")
    last = np.append(np.flatnonzero(np.diff(score[order])), len(score) - 1)
    on, off = treated[order], ~treated[order]
    n_on, n_off = np.cumsum(on)[last], np.cumsum(off)[last]
    sum_on, sum_off = np.cumsum(value[order] * on)[last], np.cumsum(value[order] * off)[last]
    scaled = np.divide(sum_off * n_on, n_off, out=np.zeros(len(last)), where=n_off > 0)
    gain = (sum_on - scaled) / len(score)
    return np.concatenate([[0.0], (last + 1) / len(score)]), np.concatenate([[0.0], gain])


def _area(depth: Floats, gain: Floats) -> float:
    straight = depth * gain[-1]
    return float(((gain - straight)[1:] + (gain - straight)[:-1]) @ np.diff(depth) / 2)
