"""The part of an exposure that is lost when it defaults: cure, collateral, recovery, time and cost."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from quanheng.models.credit.bounds import within
from quanheng.models.credit.default_curves import Curve


class Recovery(NamedTuple):
    """What comes back after a default.

    cure_rate : part of the defaults that pay all arrears with interest and lose nothing
    collateral_minor, haircut, collateral_months : value now, the part a sale does not bring, months until it is sold
    unsecured_rate, unsecured_months : part of what collateral does not cover that is collected, and when on average
    cost_rate : part of what comes in that collecting it costs
    """

    cure_rate: float = 0.0
    collateral_minor: int = 0
    haircut: float = 0.0
    collateral_months: float = 0.0
    unsecured_rate: float = 0.0
    unsecured_months: float = 0.0
    cost_rate: float = 0.0


def loss_given_default(recovery: Recovery, at_default: Curve, rate_month: float) -> Curve:
    """LGD f8[n] for each exposure at default, discounted to the day of default at the effective rate (IFRS 9, B5.5.44).

    (1 - cure) * (1 - (secured * v**m_c + (exposure - secured) * unsecured_rate * v**m_u) * (1 - cost) / exposure),
    secured = min(exposure, collateral * (1 - haircut)) (IFRS 9, B5.5.55). 0 where there is no exposure.
    """
    for name in ("cure_rate", "haircut", "unsecured_rate", "cost_rate"):
        within(name, getattr(recovery, name), 0.0, 1.0)
    for name in ("collateral_months", "unsecured_months"):
        within(name, getattr(recovery, name), 0.0, 600.0)
    within("collateral_minor", recovery.collateral_minor, 0, 2**62)
    secured = np.minimum(at_default, recovery.collateral_minor * (1.0 - recovery.haircut))
    sold = secured * (1.0 + rate_month) ** -recovery.collateral_months
    collected = (at_default - secured) * recovery.unsecured_rate * (1.0 + rate_month) ** -recovery.unsecured_months
    back = (sold + collected) * (1.0 - recovery.cost_rate)
    share = np.divide(back, at_default, out=np.ones(len(at_default)), where=at_default > 0.0)
    return np.asarray((1.0 - recovery.cure_rate) * (1.0 - share))
