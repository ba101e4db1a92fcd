"""When loans default: a hazard for each month, from a 12-month PD, a matrix of transitions, or vintages.

A hazard is the probability of default in a month of a loan that has come to its beginning. Survival and marginal PD
follow from it, so every source of a term structure ends in the same array f8[months].
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from quanheng.kernel.errors import InputError
from quanheng.models.credit.bounds import within

YEAR_MONTHS = 12
MONTHS_MAX = 600
Curve = NDArray[np.float64]


def hazards_of_pd(pd_12m: float, months: int, shape: float = 1.0) -> Curve:
    """Hazards of a Weibull law: survival to month t is (1 - PD) ** ((t / 12) ** shape).

    The PD of the first twelve months is `pd_12m` whatever the shape: 1 is a constant hazard, below 1 one that falls
    with age, above 1 one that grows (J. F. Lawless, Statistical Models and Methods for Lifetime Data, 2003, 1.3).
    """
    within("pd_12m", pd_12m, 0.0, 1.0)
    within("months", months, 1, MONTHS_MAX)
    within("shape", shape, 0.1, 10.0)
    powers = (np.arange(months + 1) / YEAR_MONTHS) ** shape
    return hazards_of_survival(np.power(1.0 - pd_12m, powers))


def hazards_of_survival(survival: Curve) -> Curve:
    """f8[n] from f8[n + 1]: 1 - S(t) / S(t - 1); after nobody is left, 1."""
    before = survival[:-1]
    ratio = np.divide(survival[1:], before, out=np.zeros(len(before)), where=before > 0.0)
    return np.asarray(np.clip(1.0 - ratio, 0.0, 1.0))


def survival(hazards: Curve) -> Curve:
    """f8[n + 1]: the share that has not defaulted by the end of month t; 1 at 0."""
    return np.concatenate(([1.0], np.cumprod(1.0 - hazards)))


def marginal(hazards: Curve) -> Curve:
    """f8[n]: probability, seen from the start, of default in month t. With the survivors they sum to one."""
    return np.asarray(survival(hazards)[:-1] * hazards)


def shifted(hazards: Curve, log_odds: float) -> Curve:
    """Hazards whose log-odds are moved by `log_odds` (a macro scenario); 0 and 1 stay."""
    within("log_odds", log_odds, -20.0, 20.0)
    times = np.exp(log_odds)
    return np.asarray(hazards * times / (1.0 - hazards + hazards * times))


def transition_matrix(counts: NDArray[np.float64], smoothing: float = 0.0) -> NDArray[np.float64]:
    """Probabilities f8[k, k] of rolling from bucket to bucket in a month, from counts. The last bucket is default.

    Each row is (n_ij + smoothing / k) / (n_i + smoothing): the posterior mean under a Dirichlet law whose weight is
    `smoothing` loans spread evenly (A. Agresti, Categorical Data Analysis, 2013, 1.6.3). Default absorbs.

    Raises
    ------
    InputError : no square of counts, a count below zero, or a bucket nobody was in and no smoothing
    """
    table = np.asarray(counts, dtype=np.float64)
    square = table.ndim == 2 and table.shape[0] == table.shape[1] >= 2
    if not square or not np.isfinite(table).all() or (table < 0).any():
        raise InputError(
            "counts of rolls must be a square of numbers from 0",
            where="counts",
            found=f"an array of shape {table.shape}",
            allowed="as many rows (from) as columns (to), at least 2",
            cure="Give a row and a column for each bucket, default last.",
        )
    within("smoothing", smoothing, 0.0, 1e9)
    sums = table.sum(axis=1, keepdims=True) + smoothing
    if (sums[:-1] == 0.0).any():
        raise InputError(
            "nobody was ever in this bucket",
            where=f"counts[{int(np.flatnonzero(sums[:-1, 0] == 0.0)[0])}]",
            cure="Leave the bucket out, or smooth by one loan or more.",
        )
    found = np.zeros_like(table)
    found[:-1] = (table[:-1] + smoothing / len(table)) / sums[:-1]
    found[-1, -1] = 1.0
    return found


def hazards_of_matrix(matrix: NDArray[np.float64], start: int, months: int) -> Curve:
    """Hazards of a loan that is in bucket `start` now, by the powers of a monthly matrix (its last state absorbs)."""
    within("months", months, 1, MONTHS_MAX)
    within("start", start, 0, len(matrix) - 1)
    state = np.zeros(len(matrix))
    state[start] = 1.0
    alive = [1.0 - state[-1]]
    for _ in range(months):
        state = state @ matrix
        alive.append(float(state[:-1].sum()))  # Not 1 - default: the sum keeps digits where nearly all have defaulted.
    return hazards_of_survival(np.array(alive))


def hazards_of_vintages(loans: NDArray[np.int64], defaults: NDArray[np.int64], seen_months: NDArray[np.int64]) -> Curve:
    """Hazards by age f8[ages], pooled over vintages as far as each has been seen.

    Age t has the defaults in it over the loans that came to it, of the vintages seen at least t months (E. L. Kaplan
    and P. Meier, 1958). Ages that no vintage has come to have the hazard of the last age that one has.

    loans : i8[v] opened in each vintage; defaults : i8[v, ages] new in each month of age
    seen_months : i8[v], how many months of age have been seen in full

    Raises
    ------
    InputError : shapes that do not fit, more defaults than loans, or no vintage seen for a month
    """
    ages = defaults.shape[1] if defaults.ndim == 2 else 0
    fits = ages > 0 and defaults.shape[0] == len(loans) == len(seen_months)
    counts = fits and not (defaults < 0).any() and not (defaults.sum(axis=1) > loans).any()
    if not counts or seen_months.max(initial=0) < 1:
        raise InputError(
            "the vintages do not count loans and their defaults",
            where="vintages",
            found=f"{len(loans)} vintages, defaults of shape {defaults.shape}",
            allowed="a row of defaults by age for each vintage, at most as many as its loans, one month seen or more",
            cure="Count each loan in one vintage and each default once.",
        )
    before = loans[:, None] - np.cumsum(defaults, axis=1) + defaults
    seen = np.arange(1, ages + 1)[None, :] <= seen_months[:, None]
    at_risk, new = (before * seen).sum(axis=0), (defaults * seen).sum(axis=0)
    known = at_risk > 0
    found = np.divide(new, at_risk, out=np.zeros(ages), where=known)
    last = int(np.flatnonzero(known)[-1]) if known.any() else 0
    found[last + 1 :] = found[last]
    return np.asarray(found)
