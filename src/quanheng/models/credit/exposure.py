"""What is owed when a loan defaults: by the schedule, by early repayment, by drawing on a line.

Months are counted from now. A loan defaults at the end of a month, before the instalment of that month is paid, so the
exposure at default is the principal of the month's beginning and its interest.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from quanheng.kernel.errors import InputError
from quanheng.models.credit.bounds import within
from quanheng.models.credit.default_curves import MONTHS_MAX, YEAR_MONTHS, Curve

RATE_MAX = 100.0


class Exposure(NamedTuple):
    """What a loan owes by its contract.

    balances : f8[months + 1] principal after each month's instalment, now first, in minor units
    rate_month : effective rate of a month, a fraction: interest accrues and shortfalls are discounted at it
    """

    balances: Curve
    rate_month: float

    @property
    def months(self) -> int:
        return len(self.balances) - 1

    def at_default(self) -> Curve:
        """f8[months]: principal at the beginning of the month and the interest of the month."""
        return np.asarray(self.balances[:-1] * (1.0 + self.rate_month))

    def discount(self) -> Curve:
        """f8[months]: value now of one unit at the end of each month."""
        return np.asarray((1.0 + self.rate_month) ** -np.arange(1.0, self.months + 1))


def annuity(principal_minor: int, rate: float, months: int) -> Exposure:
    """A loan repaid by level instalments; `rate` is nominal a year, a twelfth of it a month. Zero: equal parts."""
    within("months", months, 1, MONTHS_MAX)
    within("rate", rate, 0.0, RATE_MAX)
    within("principal_minor", principal_minor, 0, 2**53)
    return Exposure(principal_minor * annuity_shares(rate / YEAR_MONTHS, months), rate / YEAR_MONTHS)


def annuity_shares(rate_month: float, months: int) -> Curve:
    """f8[months + 1]: the part of the principal left after each instalment: (1 - v**(n - t)) / (1 - v**n)."""
    left = np.arange(months, -1, -1.0)
    if rate_month == 0.0:
        return np.asarray(left / months)
    step = np.log1p(rate_month)
    return np.asarray(np.expm1(-left * step) / np.expm1(-months * step))


def of_schedule(principals_minor: Sequence[int], rate_month: float) -> Exposure:
    """A loan by the principal due at the end of each month, such as `Instalment.principal_minor` of a schedule.

    Raises
    ------
    InputError : no month, or a part below zero
    """
    within("months", len(principals_minor), 1, MONTHS_MAX)
    within("rate_month", rate_month, 0.0, RATE_MAX)
    if min(principals_minor) < 0:
        raise InputError(
            "principal that falls due cannot be negative",
            where="schedule",
            found=str(min(principals_minor)),
            cure="Give the principal of each month in minor units.",
        )
    left = np.concatenate(([sum(principals_minor)], sum(principals_minor) - np.cumsum(principals_minor)))
    return Exposure(left.astype(np.float64), rate_month)


def line(drawn_minor: int, limit_minor: int, conversion: float, rate: float, months: int) -> Exposure:
    """A revolving line: drawn, and `conversion` of what is not drawn by the time of default (Basel CRE32, CCF).

    It is expected to stay drawn as it is for `months`, the period in which the lender is exposed (IFRS 9, 5.5.20).
    """
    within("conversion", conversion, 0.0, 1.0)
    within("months", months, 1, MONTHS_MAX)
    within("rate", rate, 0.0, RATE_MAX)
    within("drawn_minor", drawn_minor, 0, 2**53)
    within("limit_minor", limit_minor, 0, 2**53)
    used = drawn_minor + conversion * max(limit_minor - drawn_minor, 0)
    return Exposure(np.concatenate((np.full(months, float(used)), [0.0])), rate / YEAR_MONTHS)


def prepaid_month(cpr: float) -> float:
    """Share of loans repaid in full in a month, from the yearly CPR: 1 - (1 - CPR) ** (1 / 12)."""
    within("cpr", cpr, 0.0, 1.0)
    return float(1.0 - (1.0 - cpr) ** (1.0 / YEAR_MONTHS))


class Course(NamedTuple):
    """What becomes of a loan, each f8[months], seen from now: it comes to a month, defaults in it, or repays early."""

    starting: NDArray[np.float64]
    defaulting: NDArray[np.float64]
    prepaying: NDArray[np.float64]


def course(hazards: Curve, cpr: float = 0.0) -> Course:
    """Default first, then the instalment, then early repayment of all that is left by a share of those who paid."""
    prepaid = prepaid_month(cpr)
    stays = np.cumprod((1.0 - hazards) * (1.0 - prepaid))
    starting = np.concatenate(([1.0], stays[:-1]))
    return Course(starting, starting * hazards, starting * (1.0 - hazards) * prepaid)
