"""Which characteristics enter: information value, correlation, variance inflation, steps, signs.

Each filter says why it left a column out. Inputs are weights of evidence, so every coefficient must be negative
(more weight of evidence = less risk); one above zero means that the others already say it, and contradicts what its
bins show (Siddiqi 2017, chapter 10).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import erfc, sqrt
from typing import Literal, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from quanheng.models.scorecard.regression import Fit, Floats, fit_logistic

Steps = Literal["all", "forward", "lasso"]


class SelectionRules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which characteristics may enter.

    iv_min, iv_max : bounds of the information value; above `iv_max` a column is suspected to know the outcome
    correlation_max : of two columns correlated more than this (in weights of evidence) that of less value is left out
    vif_max : greatest variance inflation, 1 / (1 − R²) of a column on the others (Belsley, Kuh and Welsch 1980)
    steps : `all` that pass; `forward` adds the one with the greatest likelihood ratio while its p-value is at most
        `p_enter`, and takes out again those above `p_stay`; `lasso` keeps what an L1 penalty leaves
    lasso : the penalty, in units of log-likelihood per unit of a standardised input
    ridge : L2 penalty of the final fit, the same units
    signs : leave out, worst first, what enters with a sign against its bins
    keep : columns that filters do not touch (a person wants them in)
    """

    iv_min: float = 0.01
    iv_max: float = float("inf")
    correlation_max: float = 0.95
    vif_max: float = 10.0
    steps: Steps = "all"
    p_enter: float = 0.05
    p_stay: float = 0.10
    lasso: float = 10.0
    ridge: float = 1.0
    signs: bool = True
    keep: tuple[str, ...] = ()


class Chosen(NamedTuple):
    """names : that enter, in the given order; fit : on them; left_out : name → why"""

    names: tuple[str, ...]
    fit: Fit
    left_out: Mapping[str, str]


def choose(
    names: Sequence[str], woes: Floats, values: Sequence[float], target: NDArray[np.bool_], rules: SelectionRules
) -> Chosen:
    """Choose columns and fit them.

    Parameters
    ----------
    woes : f8[n, names], weights of evidence of each row; values : information value of each name

    Raises
    ------
    InputError : the fit does not exist (`fit_logistic`)
    """
    out: dict[str, str] = {}
    inside = _by_value(names, values, woes, rules, out)
    inside = _by_correlation(names, woes, values, inside, rules, out)
    inside = _by_inflation(names, woes, values, inside, rules, out)
    if rules.steps == "forward":
        inside = _forward(names, woes, target, inside, rules, out)
    elif rules.steps == "lasso" and inside:
        inside = _lasso(names, woes, target, inside, rules, out)
    while True:
        fit = _scaled_fit(woes[:, inside], target, rules.ridge)
        against = [(fit.coefficients[at], at) for at in range(len(inside)) if fit.coefficients[at] >= 0]
        against = [(b, at) for b, at in against if names[inside[at]] not in rules.keep]
        if not (rules.signs and against):
            break
        at = max(against)[1]
        out[names[inside[at]]] = f"its coefficient has the wrong sign ({fit.coefficients[at]:+.3f})"
        inside = [one for place, one in enumerate(inside) if place != at]
    return Chosen(tuple(names[at] for at in inside), fit, out)


def _scaled_fit(inputs: Floats, target: NDArray[np.bool_], ridge: float) -> Fit:
    """The fit with the ridge on standardised inputs, told in the units of the inputs."""
    scale = inputs.std(axis=0) if inputs.shape[1] else np.ones(0)
    scale = np.where(scale > 0, scale, 1.0)
    fit = fit_logistic(inputs / scale, target, ridge=ridge)
    errors = np.concatenate([fit.errors[:1], fit.errors[1:] / scale])
    return fit._replace(coefficients=fit.coefficients / scale, errors=errors)


def _by_value(
    names: Sequence[str], values: Sequence[float], woes: Floats, rules: SelectionRules, out: dict[str, str]
) -> list[int]:
    inside = []
    for at, (name, value) in enumerate(zip(names, values, strict=True)):
        if name in rules.keep and np.ptp(woes[:, at]) > 0:
            inside.append(at)
        elif value < rules.iv_min:
            out[name] = f"its information value {value:.4f} is below {rules.iv_min:g}"
        elif value > rules.iv_max:
            out[name] = f"its information value {value:.4f} is above {rules.iv_max:g}: does it know the outcome?"
        elif np.ptp(woes[:, at]) == 0:
            out[name] = "all its rows fall into one bin"
        else:
            inside.append(at)
    return inside


def _by_correlation(
    names: Sequence[str], woes: Floats, values: Sequence[float], inside: list[int], rules: SelectionRules,
    out: dict[str, str],
) -> list[int]:  # fmt: skip
    if len(inside) < 2 or rules.correlation_max >= 1:
        return inside
    correlation = np.atleast_2d(np.corrcoef(woes[:, inside], rowvar=False))
    kept: list[int] = []
    # Kept columns first, then by value: a column is compared with those that are in.
    for place in sorted(range(len(inside)), key=lambda k: (names[inside[k]] not in rules.keep, -values[inside[k]], k)):
        near = [(abs(float(correlation[place, one])), one) for one in kept]
        most, of = max(near, default=(0.0, -1))
        if most > rules.correlation_max and names[inside[place]] not in rules.keep:
            out[names[inside[place]]] = f"its correlation with {names[inside[of]]} is {most:.3f}"
        else:
            kept.append(place)
    return [inside[place] for place in sorted(kept)]


def variance_inflation(woes: Floats) -> Floats:
    """f8[inputs]: 1 / (1 − R²) of each column on the others, the diagonal of the inverse correlation matrix."""
    if woes.shape[1] < 2:
        return np.ones(woes.shape[1])
    found: Floats = np.diag(np.linalg.pinv(np.atleast_2d(np.corrcoef(woes, rowvar=False)), hermitian=True))
    return found


def _by_inflation(
    names: Sequence[str], woes: Floats, values: Sequence[float], inside: list[int], rules: SelectionRules,
    out: dict[str, str],
) -> list[int]:  # fmt: skip
    inside = list(inside)
    while len(inside) > 1:
        inflation = variance_inflation(woes[:, inside])
        over = [at for at in range(len(inside)) if inflation[at] > rules.vif_max]
        over = [at for at in over if names[inside[at]] not in rules.keep]
        if not over:
            break
        # Of those over the bound the one of least value goes: the others may fall below it then.
        at = min(over, key=lambda place: (values[inside[place]], place))
        out[names[inside[at]]] = f"its variance inflation is {inflation[at]:.1f}"
        del inside[at]
    return inside


def _p_of_ratio(ratio: float) -> float:
    """Tail of chi-squared with one degree of freedom."""
    return erfc(sqrt(max(ratio, 0.0) / 2))


def _forward(
    names: Sequence[str], woes: Floats, target: NDArray[np.bool_], inside: list[int], rules: SelectionRules,
    out: dict[str, str],
) -> list[int]:  # fmt: skip
    taken = [at for at in inside if names[at] in rules.keep]
    left = [at for at in inside if at not in taken]
    removed: set[int] = set()
    now = fit_logistic(woes[:, taken], target).log_likelihood
    while left:
        gains = [(2 * (fit_logistic(woes[:, [*taken, at]], target).log_likelihood - now), at) for at in left]
        gain, best = max(gains, key=lambda one: (one[0], -one[1]))
        if _p_of_ratio(gain) > rules.p_enter:
            break
        taken.append(best)
        left.remove(best)
        fit = fit_logistic(woes[:, taken], target)
        now = fit.log_likelihood
        weak = [(fit.p_values[1 + place], place) for place, at in enumerate(taken) if names[at] not in rules.keep]
        p, place = max(weak, default=(0.0, 0))
        if p > rules.p_stay and taken[place] != best:
            removed.add(taken.pop(place))  # Once out it stays out, so the steps end.
            now = fit_logistic(woes[:, taken], target).log_likelihood
    for at in [*left, *removed]:
        out[names[at]] = "it adds nothing to those chosen before it"
    return sorted(taken)


def _lasso(
    names: Sequence[str], woes: Floats, target: NDArray[np.bool_], inside: list[int], rules: SelectionRules,
    out: dict[str, str],
) -> list[int]:  # fmt: skip
    scale = woes[:, inside].std(axis=0)
    fit = fit_logistic(woes[:, inside] / scale, target, lasso=rules.lasso)
    kept = [at for place, at in enumerate(inside) if fit.coefficients[place] != 0 or names[at] in rules.keep]
    for at in inside:
        if at not in kept:
            out[names[at]] = f"the lasso of {rules.lasso:g} leaves nothing of it"
    return kept
