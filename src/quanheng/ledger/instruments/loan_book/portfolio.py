"""What is said of a whole book, over columns: classes, stages, vintages, roll rates. Pure functions; nothing is kept.

Thresholds are declared by whoever reports; the defaults name their source.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from quanheng.kernel.errors import InputError

FIVE_CLASSES = ("normal", "special mention", "substandard", "doubtful", "loss")
FIVE_CLASS_DAYS = (1, 91, 271, 361)
"""First days past due of the four classes after the first: overdue; over 90, 270, 360 days. Measures for the Risk
Classification of Financial Assets of Commercial Banks (CBIRC and PBOC, 2023, No. 1), articles 10 to 13."""
STAGE_DAYS = (31, 91)
"""First days past due of IFRS 9 stages 2 and 3: the rebuttable presumptions of 5.5.11 (more than 30 days past due) and
B5.5.37 (default not later than 90 days past due; more than 90)."""
BUCKET_DAYS = (1, 31, 61, 91, 121, 151, 181)
"""First days of the buckets M1, M2 ... after M0."""


class Vintages(NamedTuple):
    """Loans by month of opening.

    months : months since year 0 (year x 12 + month), i64[v]; lent_minor : i64[v]
    bad_minor : i64[v, ages], owed on loans that were bad at that age, -1 where it has not come to that age
    """

    months: NDArray[np.int64]
    lent_minor: NDArray[np.int64]
    bad_minor: NDArray[np.int64]


def buckets(days_past_due: NDArray[np.int64], first_days: Sequence[int] = BUCKET_DAYS) -> NDArray[np.int64]:
    """The bucket of each loan: how many of the first days its days past due have come to; i64[n], 0 = not past due.

    Raises
    ------
    InputError : first days that do not grow from 1 on
    """
    days = np.asarray(first_days, np.int64)
    if not len(days) or days[0] < 1 or (np.diff(days) <= 0).any():
        raise InputError(
            "thresholds of days past due do not grow",
            where="first_days",
            found=str(list(first_days)),
            allowed="whole numbers from 1 on, each above the one before",
            cure="Write the first day of each bucket after the one that is not past due.",
        )
    return np.searchsorted(days, days_past_due, side="right").astype(np.int64)


def five_class(
    days_past_due: NDArray[np.int64], written_off: NDArray[np.bool_], first_days: Sequence[int] = FIVE_CLASS_DAYS
) -> NDArray[np.int64]:
    """Class of each loan as a place in FIVE_CLASSES; what was written off is a loss. Days are the least that applies:
    signs other than days past due may make a class worse, which is for whoever judges the borrower.

    Raises
    ------
    InputError : as `buckets`
    """
    return np.where(written_off, len(FIVE_CLASSES) - 1, buckets(days_past_due, first_days))


def stages(
    days_past_due: NDArray[np.int64],
    written_off: NDArray[np.bool_],
    risen: NDArray[np.bool_] | None = None,
    first_days: Sequence[int] = STAGE_DAYS,
) -> NDArray[np.int64]:
    """IFRS 9 stage of each loan, 1, 2 or 3.

    risen : where credit risk has risen significantly by other signs: at least stage 2

    Raises
    ------
    InputError : as `buckets`
    """
    found = 1 + buckets(days_past_due, first_days)
    if risen is not None:
        found = np.where(risen, np.maximum(found, 2), found)
    return np.where(written_off, 3, found)


def roll_rates(
    before: NDArray[np.int64], after: NDArray[np.int64], weights: NDArray[np.int64], count: int
) -> NDArray[np.int64]:
    """Weights that went from one bucket to another between two moments: i64[count, count], row = before.

    weights : of each loan, what was owed before; 1 to count loans. A loan is at the same place in all three; those that
        were opened later are left out
    """
    n = len(before)
    made = np.zeros((count, count), np.int64)
    np.add.at(made, (before, after[:n]), weights[:n])
    return made


def vintages(
    opened_months: NDArray[np.int64], lent_minor: NDArray[np.int64], ages_bad: Sequence[NDArray[np.int64]]
) -> Vintages:
    """The vintage table.

    opened_months : of each loan, months since year 0
    ages_bad : for each age in months what is owed on each loan that was bad then (0 = was not bad, -1 = not that old)
    """
    months, place = np.unique(opened_months, return_inverse=True)
    lent = np.zeros(len(months), np.int64)
    np.add.at(lent, place, lent_minor)
    bad = np.full((len(months), len(ages_bad)), -1, np.int64)
    for age, amounts in enumerate(ages_bad):
        old = amounts >= 0
        if not old.any():
            continue
        sums = np.zeros(len(months), np.int64)
        np.add.at(sums, place[old], amounts[old])
        # A vintage is shown at an age that all of its loans have come to.
        young = np.zeros(len(months), bool)
        np.logical_or.at(young, place, ~old)
        bad[:, age] = np.where(young, -1, sums)
    return Vintages(months.astype(np.int64), lent, bad)
