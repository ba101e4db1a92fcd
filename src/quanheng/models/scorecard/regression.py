"""Logistic regression by Newton's method, with standard errors; ridge and lasso.

    log-odds = a + x · b;  maximised:  log-likelihood − ridge/2 · |b|² − lasso · |b|₁      (the intercept is free)

Newton's step on the likelihood is iteratively reweighted least squares (McCullagh and Nelder 1989, section 2.5;
Hastie, Tibshirani and Friedman 2009, section 4.4.1). Standard errors come from the inverse of the information matrix
with the ridge in it. The lasso solves each step's quadratic by coordinates (Friedman, Hastie and Tibshirani 2010).
"""

from __future__ import annotations

from math import erfc, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from quanheng.kernel.errors import InputError

Floats = NDArray[np.float64]

STEPS_MAX = 100
TOLERANCE = 1e-10
PERFECT = 1e-4
"""Log-likelihood per row above minus this: events and others are separated."""


class Fit(NamedTuple):
    """A fitted regression.

    intercept, coefficients : f8[inputs] log-odds per unit
    errors, p_values : f8[inputs + 1], the intercept first: standard errors; two-sided Wald tests. NaN under a lasso
    log_likelihood : of the rows, without penalties; steps : that Newton's method took
    """

    intercept: float
    coefficients: Floats
    errors: Floats
    p_values: Floats
    log_likelihood: float
    steps: int

    def log_odds(self, inputs: Floats) -> Floats:
        """f8[n] of rows f8[n, inputs]."""
        found: Floats = self.intercept + inputs @ self.coefficients
        return found


def fit_logistic(inputs: Floats, target: NDArray[np.bool_], *, ridge: float = 0.0, lasso: float = 0.0) -> Fit:
    """Fit log-odds of `target` on f8[n, inputs].

    Raises
    ------
    InputError : one kind of target, a value that is no number, or no finite optimum (events are separated perfectly)
    """
    _check(inputs, target, ridge, lasso)
    design = np.column_stack([np.ones(len(target)), inputs])
    penalty = np.full(design.shape[1], ridge)
    penalty[0] = 0.0
    y = target.astype(np.float64)
    rate = y.mean()
    beta = np.zeros(design.shape[1])
    beta[0] = np.log(rate / (1 - rate))
    value = _objective(design, y, beta, penalty, lasso)
    for step in range(1, STEPS_MAX + 1):
        p = _probability(design @ beta)
        gradient = design.T @ (y - p) - penalty * beta
        information = (design * (p * (1 - p))[:, None]).T @ design + np.diag(penalty)
        if lasso:
            aim = _coordinates(information, information @ beta + gradient, beta, lasso)
        else:
            aim = beta + _solve(information, gradient)
        beta, moved, value = _line(design, y, beta, aim, penalty, lasso, value)
        if not ridge and not lasso and _likelihood(design @ beta, y) > -PERFECT * len(y):
            break  # Every row is foretold: coefficients only grow from here.
        if moved <= TOLERANCE * (1 + np.abs(beta).max()):
            return _result(design, y, beta, penalty, lasso, step)
    raise InputError(
        "the regression has no finite optimum",
        where="logistic regression",
        found=f"a coefficient of {np.abs(beta).max():.3g}",
        allowed="events and others that no input tells apart perfectly",
        cure="Take out the input that tells them apart, or give a ridge above 0.",
    )


def _check(inputs: Floats, target: NDArray[np.bool_], ridge: float, lasso: float) -> None:
    if not 0 < int(target.sum()) < len(target) or inputs.shape[0] != len(target):
        raise InputError(
            "there is nothing to fit",
            where="logistic regression",
            found=f"{int(target.sum())} events of {len(target)} rows, inputs of shape {inputs.shape}",
            allowed="events and others, one row of inputs each",
        )
    if not np.isfinite(inputs).all():
        raise InputError(
            "an input is no number",
            where="logistic regression",
            found=f"column {int(np.flatnonzero(~np.isfinite(inputs).all(axis=0))[0])}",
            allowed="finite numbers",
        )
    if ridge < 0 or lasso < 0:
        raise InputError(
            "a penalty is below 0",
            where="logistic regression",
            found=f"ridge {ridge}, lasso {lasso}",
            allowed="0 or more",
        )


def _probability(log_odds: Floats) -> Floats:
    with np.errstate(over="ignore"):
        found: Floats = 1.0 / (1.0 + np.exp(-log_odds))
    return found


def _likelihood(log_odds: Floats, y: Floats) -> float:
    return float(np.sum(y * log_odds - np.logaddexp(0.0, log_odds)))


def _objective(design: Floats, y: Floats, beta: Floats, penalty: Floats, lasso: float) -> float:
    return _likelihood(design @ beta, y) - float(penalty @ beta**2) / 2 - lasso * float(np.abs(beta[1:]).sum())


def _solve(information: Floats, gradient: Floats) -> Floats:
    """Newton's step; the shortest one where inputs repeat each other and many would do."""
    try:
        found: Floats = np.asarray(np.linalg.solve(information, gradient), np.float64)
    except np.linalg.LinAlgError:
        found = np.asarray(np.linalg.lstsq(information, gradient, rcond=None)[0], np.float64)
    return found


def _line(
    design: Floats, y: Floats, beta: Floats, aim: Floats, penalty: Floats, lasso: float, value: float
) -> tuple[Floats, float, float]:
    """The step, halved until the objective does not fall; how far it went; the objective there."""
    step = aim - beta
    for _ in range(40):
        tried = _objective(design, y, beta + step, penalty, lasso)
        if tried >= value:
            return beta + step, float(np.abs(step).max()), tried
        step = step / 2
    return beta, 0.0, value


def _coordinates(information: Floats, right: Floats, start: Floats, lasso: float) -> Floats:
    """The minimum of ½ b'Hb − r'b + lasso |b|₁ (intercept free), one coordinate after another until nothing moves."""
    b = start.copy()
    for _ in range(10_000):
        moved = 0.0
        for at in range(len(b)):
            rest = right[at] - information[at] @ b + information[at, at] * b[at]
            size = abs(rest) if at == 0 else max(abs(rest) - lasso, 0.0)
            new = np.sign(rest) * size / information[at, at] if information[at, at] > 0 else 0.0
            moved, b[at] = max(moved, abs(new - b[at])), new
        if moved <= TOLERANCE / 10:
            break
    return b


def _result(design: Floats, y: Floats, beta: Floats, penalty: Floats, lasso: float, steps: int) -> Fit:
    p = _probability(design @ beta)
    information = (design * (p * (1 - p))[:, None]).T @ design + np.diag(penalty)
    errors = np.full(len(beta), np.nan)
    if not lasso:
        errors = np.sqrt(np.maximum(np.diag(np.linalg.pinv(information)), 0.0))
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.abs(beta / errors)
    p_values = np.array([erfc(one / sqrt(2)) if np.isfinite(one) else np.nan for one in z.tolist()])
    return Fit(float(beta[0]), beta[1:], errors, p_values, _likelihood(design @ beta, y), steps)
