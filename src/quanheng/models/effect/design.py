"""Before and during an experiment: how many subjects it needs, whether the draw was as declared, and looking early."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil, exp, inf, log, nan, sqrt
from statistics import NormalDist
from typing import NamedTuple

from quanheng.kernel.errors import InputError
from quanheng.models.chance import chi_square_above
from quanheng.models.effect.difference import ALPHA, Effect
from quanheng.models.effect.student import normal_quantile

MISMATCH_P = 0.001
"""Below it the arms are not of their declared sizes by chance: the comparison is not to be trusted (Fabijan, 2019)."""
POWER = 0.8


class Mismatch(NamedTuple):
    """Sizes of the arms against the declared shares.

    p : of sizes so far from those expected, or farther, by chance
    trusted : p is at least MISMATCH_P
    """

    counts: Mapping[str, int]
    expected: Mapping[str, float]
    chi_square: float
    p: float
    trusted: bool


def mismatch(counts: Mapping[str, int], shares: Mapping[str, float]) -> Mismatch:
    """The test for a sample-ratio mismatch: chi-square of sizes against shares that add up to 1.

    Raises
    ------
    InputError : arms without a share, or shares that are none
    """
    if unknown := sorted({*counts} - {*shares}):
        raise InputError(
            "an arm has no declared share", where="shares", found=", ".join(unknown), allowed=", ".join(sorted(shares)),
            cure="Name every arm with its share.",
        )  # fmt: skip
    if not shares or min(shares.values()) <= 0 or abs(sum(shares.values()) - 1) > 1e-9:
        found = ", ".join(f"{name}={share:g}" for name, share in shares.items())
        raise InputError(
            "the shares are not shares of a whole", where="shares", found=found or "none",
            allowed="above 0, together 1", cure="Name every arm, the rest too.",
        )  # fmt: skip
    total = sum(counts.values())
    expected = {name: share * total for name, share in shares.items()}
    sizes = {name: counts.get(name, 0) for name in shares}
    value = sum((sizes[name] - expected[name]) ** 2 / expected[name] for name in shares) if total else 0.0
    p = chi_square_above(value, len(shares) - 1)
    return Mismatch(sizes, expected, value, p, p >= MISMATCH_P)


def detectable(deviation: float, treated: int, control: int, alpha: float = ALPHA, power: float = POWER) -> float:
    """The least true difference of means that is found with this power: (z of alpha + z of power) × standard error.

    deviation : standard deviation of one subject's value, the same in both arms; of a share s it is sqrt(s (1 - s))
    """
    if min(treated, control) < 1:
        return nan
    return _reach(alpha, power) * deviation * sqrt(1 / treated + 1 / control)


def needed(
    deviation: float, difference: float, share_control: float, alpha: float = ALPHA, power: float = POWER
) -> int:
    """How many subjects, both arms together, find a true difference of means with this power.

    share_control : of the subjects, in (0, 1)

    Raises
    ------
    InputError : a difference of zero, or a share that leaves an arm empty
    """
    if not difference or not 0.0 < share_control < 1.0:
        raise InputError(
            "no number of subjects shows this", where="needed",
            found=f"difference {difference:g}, share {share_control:g}",
            allowed="a difference other than 0, a share between 0 and 1",
        )  # fmt: skip
    factor = 1 / share_control + 1 / (1 - share_control)
    return ceil((_reach(alpha, power) * deviation / difference) ** 2 * factor)


def _reach(alpha: float, power: float) -> float:
    return normal_quantile(alpha) + NormalDist().inv_cdf(power)


def always_valid(effect: Effect, subjects: int, planned: int, alpha: float = ALPHA) -> Effect:
    """The same difference with an interval that may be looked at after every subject: an asymptotic confidence sequence
    (Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas, 2024, theorem 2.2), tightest at the planned number of subjects.

    It covers the truth at all times together with probability 1 - alpha, once there are enough subjects for the normal
    law. A fixed interval that is looked at again and again, until it leaves zero, does so far more often than alpha.

    Parameters
    ----------
    subjects : both arms together, so far; planned : when the experiment is to end
    """
    if subjects < 2 or planned < 2 or not effect.error > 0.0:
        return effect._replace(low=nan, high=nan, p=nan, method=f"{effect.method}, always valid")
    square = (-2 * log(alpha) + log(1 - 2 * log(alpha))) / planned  # rho², tightest at `planned`.
    scaled = subjects * square
    half = effect.error * sqrt(2 * (scaled + 1) / scaled * log(sqrt(scaled + 1) / alpha))
    z = effect.value / effect.error
    grown = z * z * scaled / (2 * (scaled + 1))
    p = min(1.0, sqrt(scaled + 1) * exp(-grown)) if grown < 700 else 0.0
    value = effect.value
    return Effect(value, value - half, value + half, p, effect.error, inf, f"{effect.method}, always valid")
