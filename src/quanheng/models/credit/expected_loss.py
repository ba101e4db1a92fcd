"""Expected credit loss of IFRS 9: by stage, for twelve months or the lifetime, weighted over scenarios.

Loss = sum over months of P(default in t) * LGD_t * EAD_t * v**t at the effective rate: the present value of the
shortfalls (IFRS 9, 5.5.17, B5.5.28 to B5.5.35, B5.5.44). Twelve months take the defaults of the next twelve and all
that those lose (B5.5.43). What the standard says was cited from knowledge; the text was not at hand.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum
from typing import NamedTuple

import numpy as np

from quanheng.kernel.errors import InputError
from quanheng.models.credit.bounds import within
from quanheng.models.credit.default_curves import YEAR_MONTHS, Curve, shifted
from quanheng.models.credit.exposure import Exposure, course

WEIGHTS_TOLERANCE = 1e-9


class Scenario(NamedTuple):
    """A way the economy may go.

    weight : its probability; all sum to 1
    log_odds : added to the log-odds of every month's hazard (a macro shift)
    lgd_times : LGD is multiplied by it, at most to 1
    """

    name: str
    weight: float
    log_odds: float = 0.0
    lgd_times: float = 1.0


BASE = (Scenario("base", 1.0),)


class ExpectedLoss(NamedTuple):
    """Losses in minor units, rounded once, half to even.

    stage_minor : what is to be provided for: twelve months in stage 1, the lifetime in stage 2, the exposure's LGD in 3
    by_scenario : name -> (twelve months, lifetime) in minor units, not weighted
    """

    twelve_months_minor: int
    lifetime_minor: int
    stage_minor: int
    by_scenario: dict[str, tuple[int, int]]


def expected_loss(
    exposure: Exposure,
    hazards: Curve,
    lgd: Curve | float,
    stage: int = 1,
    scenarios: Sequence[Scenario] = BASE,
    cpr: float = 0.0,
) -> ExpectedLoss:
    """Expected credit loss of one loan.

    hazards : f8[months] of the base scenario; lgd : one number, or f8[months] of the exposure at default
    stage : 1, 2 or 3; in stage 3 the loan has defaulted, and both horizons lose LGD of what is owed now

    Raises
    ------
    InputError : a figure outside of what it can be, another number of months, or weights that do not sum to 1
    """
    within("stage", stage, 1, 3)
    check_scenarios(scenarios)
    if len(hazards) != exposure.months:
        raise InputError(
            "the hazards and the schedule have different months",
            where="hazards",
            found=str(len(hazards)),
            allowed=str(exposure.months),
            cure="Give a hazard for each month of the schedule.",
        )
    for one in (lgd,) if isinstance(lgd, float | int) else (float(np.min(lgd)), float(np.max(lgd))):
        within("lgd", one, 0.0, 1.0)
    found = {one.name: _of_scenario(exposure, hazards, lgd, stage, one, cpr) for one in scenarios}
    twelve = round(fsum(one.weight * found[one.name][0] for one in scenarios))
    lifetime = round(fsum(one.weight * found[one.name][1] for one in scenarios))
    rounded = {name: (round(short), round(long)) for name, (short, long) in found.items()}
    return ExpectedLoss(twelve, lifetime, twelve if stage == 1 else lifetime, rounded)


def _of_scenario(
    exposure: Exposure, hazards: Curve, lgd: Curve | float, stage: int, scenario: Scenario, cpr: float
) -> tuple[float, float]:
    lost = np.minimum(np.broadcast_to(lgd, exposure.months) * scenario.lgd_times, 1.0)
    if stage == 3:
        now = float(exposure.balances[0] * lost[0])
        return now, now
    by_month = losses_by_month(exposure, shifted(hazards, scenario.log_odds), lost, cpr)
    return fsum(by_month[:YEAR_MONTHS]), fsum(by_month)


def losses_by_month(exposure: Exposure, hazards: Curve, lgd: Curve, cpr: float = 0.0) -> Curve:
    """f8[months]: what the defaults of each month are expected to lose, as a value now, in minor units."""
    return np.asarray(course(hazards, cpr).defaulting * lgd * exposure.at_default() * exposure.discount())


def check_scenarios(scenarios: Sequence[Scenario]) -> None:
    """Names differ, weights are shares and sum to 1.

    Raises
    ------
    InputError : they do not
    """
    for one in scenarios:
        within(f"scenario {one.name}: weight", one.weight, 0.0, 1.0)
        within(f"scenario {one.name}: lgd_times", one.lgd_times, 0.0, 10.0)
    total = fsum(one.weight for one in scenarios)
    if abs(total - 1.0) > WEIGHTS_TOLERANCE or len({one.name for one in scenarios}) < len(scenarios):
        raise InputError(
            "scenarios need a name each and weights that sum to 1",
            where="scenarios",
            found=f"{', '.join(one.name for one in scenarios)} with the sum {total:g}",
            allowed="different names, a sum of 1",
            cure="Weights are probabilities.",
        )
