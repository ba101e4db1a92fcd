"""How far two profiles of a column are apart: PSI, Kolmogorov-Smirnov, missing rate, new categories, and a verdict."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log, sqrt
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from quanheng.features.drift.profile import Profile, Profiles, names_of, value_of

Verdict = Literal["stable", "watch", "drifted", "new", "gone", "too few"]

BINS = 10
SHARE_LEAST = 1e-4
"""Stands for a share of zero in the PSI, which has no logarithm."""
PSI_WATCH, PSI_DRIFTED = 0.10, 0.25
"""N. Siddiqi, Credit Risk Scorecards (2006), chapter 9: below 0.1 no shift, from 0.25 on a shift to act upon."""
MISSING_WATCH, MISSING_DRIFTED = 0.02, 0.10
NEW_WATCH, NEW_DRIFTED = 0.001, 0.01
KS_WATCH = 0.10
KS_LEVEL = 0.01
ROWS_LEAST = 100
"""Fewer values than these tell nothing about a distribution."""


class Bin(NamedTuple):
    """One bin of the reference and how many of each fall into it. `label` is "" where it is a range of numbers.

    low, high : lowest and highest value of the bin that were seen, to 1/128
    """

    label: str
    low: float
    high: float
    reference: int
    served: int


class Apart(NamedTuple):
    """How far a column as it is served lies from the reference.

    psi : population stability index over the tenths of the reference, of values that are there
    ks : largest distance of the two distribution functions, over values that are there; None for categories
    ks_p : probability of such a distance by chance alone
    missing : share of missing values, (reference, served)
    new : categories that the reference has not, most frequent first, with their share of the served values
    """

    name: str
    kind: str
    verdict: Verdict
    why: tuple[str, ...]
    psi: float | None
    ks: float | None
    ks_p: float | None
    missing: tuple[float, float]
    new: tuple[tuple[str, float], ...]
    bins: tuple[Bin, ...]
    reference: dict[str, float | None]
    served: dict[str, float | None]


def compare(reference: Profiles, served: Profiles) -> list[Apart]:
    """Every column of either, those that are further apart first."""
    theirs, ours = names_of(reference.columns), names_of(served.columns)
    found = [apart(theirs[name], ours[name]) for name in ours if name in theirs]
    found += [_alone(one, "new") for name, one in ours.items() if name not in theirs]
    found += [_alone(one, "gone") for name, one in theirs.items() if name not in ours]
    order = {"drifted": 0, "watch": 1, "gone": 2, "new": 3, "too few": 4, "stable": 5}
    return sorted(found, key=lambda one: (order[one.verdict], -(one.psi or 0.0), one.name))


def apart(reference: Profile, served: Profile) -> Apart:
    """Compare one column; of two kinds, it is `new`."""
    if reference.kind != served.kind:
        return _alone(served, "new")
    number = reference.kind == "number"
    bins = (number_bins if number else category_bins)(reference, served)
    new = () if number else new_categories(reference, served)
    ks = kolmogorov_smirnov(reference, served) if number else None
    ks_p = None if ks is None else ks_probability(ks, reference.present, served.present)
    missing = _share(reference.missing, reference.rows), _share(served.missing, served.rows)
    psi = stability_index(bins) if reference.present and served.present else None
    verdict, why = judged(reference, served, psi, ks, ks_p, missing, new)
    return Apart(
        reference.name, reference.kind, verdict, why, psi, ks, ks_p, missing, new, bins, figures(reference),
        figures(served),
    )  # fmt: skip


def judged(
    reference: Profile,
    served: Profile,
    psi: float | None,
    ks: float | None,
    ks_p: float | None,
    missing: tuple[float, float],
    new: tuple[tuple[str, float], ...],
) -> tuple[Verdict, tuple[str, ...]]:
    """The verdict and which measures it rests on."""
    if min(reference.rows, served.rows) < ROWS_LEAST:
        return "too few", ()
    gap, fresh = abs(missing[0] - missing[1]), sum(share for _, share in new)
    signs = [("psi", psi or 0.0, PSI_WATCH, PSI_DRIFTED), ("missing", gap, MISSING_WATCH, MISSING_DRIFTED)]
    signs.append(("new", fresh, NEW_WATCH, NEW_DRIFTED))
    drifted = tuple(name for name, value, _, most in signs if value >= most)
    if drifted:
        return "drifted", drifted
    watch = [name for name, value, least, _ in signs if value >= least]
    if ks is not None and ks >= KS_WATCH and ks_p is not None and ks_p < KS_LEVEL:
        watch.append("ks")
    return ("watch", tuple(watch)) if watch else ("stable", ())


def number_bins(reference: Profile, served: Profile) -> tuple[Bin, ...]:
    """Tenths of the reference; a value that is frequent makes a wider bin, so that there may be fewer.

    Cuts lie between buckets. The lowest bin takes what lies below the reference, the highest what lies above.
    """
    places, counts = reference.ordered()
    others, more = served.ordered()
    if not len(places):
        places, counts = others, np.zeros(len(others), np.int64)
        if not len(places):
            return ()
    below = counts.cumsum()
    wanted = [below[-1] * tenth / BINS for tenth in range(1, BINS)]
    cuts = np.unique(np.searchsorted(below, wanted)) if below[-1] else np.zeros(0, np.int64)
    last = places[cuts[cuts < len(places) - 1]]  # The highest bucket of every bin but the last.
    first, second = _within(places, counts, last), _within(others, more, last)
    seen = np.union1d(places, others)
    groups = np.searchsorted(last, seen)
    bins = []
    for group, (was, now) in enumerate(zip(first.tolist(), second.tolist(), strict=True)):
        ends = value_of(seen[groups == group][[0, -1]])
        bins.append(Bin("", float(ends[0]), float(ends[1]), was, now))
    return tuple(bins)


def _within(places: NDArray[np.int64], counts: NDArray[np.int64], last: NDArray[np.int64]) -> NDArray[np.int64]:
    """Values in each bin; bins end with the buckets `last`, the final one is open."""
    return np.bincount(np.searchsorted(last, places), counts, len(last) + 1).astype(np.int64)


def category_bins(reference: Profile, served: Profile) -> tuple[Bin, ...]:
    """A bin for each category of the reference, most frequent first, and one for all others."""
    known = sorted(reference.categories.items(), key=lambda one: (-one[1], one[0]))
    bins = [Bin(name, 0.0, 0.0, count, served.categories.get(name, 0)) for name, count in known]
    rest = served.present - sum(one.served for one in bins)
    return (*bins, Bin("other", 0.0, 0.0, reference.others, rest)) if rest or reference.others else tuple(bins)


def new_categories(reference: Profile, served: Profile) -> tuple[tuple[str, float], ...]:
    """Categories that the reference has not; none where it has more than are counted one by one."""
    if reference.others:
        return ()
    fresh = {name: count for name, count in served.categories.items() if name not in reference.categories}
    ordered = sorted(fresh.items(), key=lambda one: (-one[1], one[0]))
    return tuple((name, _share(count, served.present)) for name, count in ordered)


def stability_index(bins: Sequence[Bin]) -> float:
    """Population stability index: sum of (p - q) ln(p / q) over bins, p and q being shares of the values.

    The symmetrised Kullback-Leibler divergence (Jeffreys 1946), as scorecards are watched with it.
    """
    was, now = sum(one.reference for one in bins), sum(one.served for one in bins)
    total = 0.0
    for one in bins:
        if one.reference or one.served:
            p, q = max(_share(one.served, now), SHARE_LEAST), max(_share(one.reference, was), SHARE_LEAST)
            total += (p - q) * log(p / q)
    return total


def kolmogorov_smirnov(reference: Profile, served: Profile) -> float | None:
    """Largest distance of the two distribution functions at the ends of buckets; None where one has no value.

    Values of one bucket are taken as equal: the distance is exact for whole numbers up to 128, and too small by at most
    the share of the fullest bucket else.
    """
    (places, counts), (others, more) = reference.ordered(), served.ordered()
    if not len(places) or not len(others):
        return None
    every = np.union1d(places, others)
    first, second = (_function(every, *one) for one in ((places, counts), (others, more)))
    return float(np.abs(first - second).max())


def _function(every: NDArray[np.int64], places: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.float64]:
    at = np.searchsorted(places, every, side="right")
    below = np.concatenate([[0], counts.cumsum()])
    return np.asarray(below[at] / below[-1], np.float64)


def ks_probability(distance: float, n: int, m: int) -> float:
    """Probability of at least this distance if both are drawn from one distribution.

    Kolmogorov's series with Stephens's correction for small samples (M. A. Stephens, 1970). Ties make it too large, so
    it errs on the side of no drift.
    """
    effective = sqrt(n * m / (n + m))
    x = (effective + 0.12 + 0.11 / effective) * distance
    if x < 0.2:
        return 1.0
    total = sum((1.0 if k % 2 else -1.0) * exp(-2.0 * k * k * x * x) for k in range(1, 101))
    return min(max(2.0 * total, 0.0), 1.0)


def figures(profile: Profile) -> dict[str, float | None]:
    """Rows, mean and quantiles for people."""
    if profile.kind == "category":
        return {"rows": profile.rows, "categories": len(profile.categories)}
    quantiles = {f"p{share}": profile.quantile(share / 100) for share in (5, 50, 95)}
    return {"rows": profile.rows, "mean": profile.mean, **quantiles}


def _alone(one: Profile, verdict: Verdict) -> Apart:
    rate, told = _share(one.missing, one.rows), figures(one)
    ours = verdict == "new"
    missing = (0.0, rate) if ours else (rate, 0.0)
    return Apart(
        one.name, one.kind, verdict, (), None, None, None, missing, (), (), {} if ours else told, told if ours else {}
    )


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
