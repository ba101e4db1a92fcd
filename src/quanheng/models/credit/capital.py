"""Capital of the internal ratings-based approach: unexpected loss at 99.9 percent, by the formulas of Basel CRE31.

Expected loss is PD * LGD * EAD (CRE35); capital covers what comes on top of it.
"""

from __future__ import annotations

from math import exp, log, sqrt
from statistics import NormalDist
from typing import Literal

from quanheng.models.credit.bounds import within

Kind = Literal["corporate", "mortgage", "revolving", "retail"]
CONFIDENCE = 0.999
_NORMAL = NormalDist()


def asset_correlation(pd: float, kind: Kind) -> float:
    """R: CRE31.5 (corporate), CRE31.14 (mortgage 0.15), CRE31.15 (qualifying revolving 0.04), CRE31.16 (retail)."""
    within("pd", pd, 0.0, 1.0)
    if kind == "mortgage":
        return 0.15
    if kind == "revolving":
        return 0.04
    low, high, speed = (0.12, 0.24, 50.0) if kind == "corporate" else (0.03, 0.16, 35.0)
    part = (1.0 - exp(-speed * pd)) / (1.0 - exp(-speed))
    return low * part + high * (1.0 - part)


def capital_share(pd: float, lgd: float, kind: Kind = "retail", maturity_years: float = 2.5) -> float:
    """K, the capital as a part of the exposure at default; 0 where PD is 0 or 1 (nothing is unexpected).

    K = (LGD * N((G(PD) + sqrt(R) * G(0.999)) / sqrt(1 - R)) - PD * LGD) * maturity; the adjustment
    (1 + (M - 2.5) b) / (1 - 1.5 b), b = (0.11852 - 0.05478 ln PD)**2, holds for corporates alone (CRE31.5).
    The floors of PD and LGD in CRE32 are for the caller to lay.
    """
    within("pd", pd, 0.0, 1.0)
    within("lgd", lgd, 0.0, 1.0)
    if pd in (0.0, 1.0):
        return 0.0
    correlation = asset_correlation(pd, kind)
    worst = (_NORMAL.inv_cdf(pd) + sqrt(correlation) * _NORMAL.inv_cdf(CONFIDENCE)) / sqrt(1.0 - correlation)
    share = lgd * (_NORMAL.cdf(worst) - pd)
    if kind == "corporate":
        within("maturity_years", maturity_years, 1.0, 5.0)
        slope = (0.11852 - 0.05478 * log(pd)) ** 2
        share *= (1.0 + (maturity_years - 2.5) * slope) / (1.0 - 1.5 * slope)
    return max(share, 0.0)
