"""Applicants whose truth is known: what reject inference is worth where acceptance rests on what a model sees, or more.

Everybody has an outcome, of rejected ones too. What each method makes of the accepted is measured on all who apply, on
a second population of the same law.

* `at_random`: acceptance rests on the two inputs that the model has, and the model has the right form.
* `wrong_form`: acceptance rests on the inputs, and the model lacks a bend that the outcome has.
* `not_at_random`: an officer saw something that is not among the inputs, and it says who is bad.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from quanheng.models import reject_inference as inference
from quanheng.models.metrics import auc_roc, brier
from quanheng.models.reject_inference import Inferred

Scenario = Literal["at_random", "wrong_form", "not_at_random"]
SCENARIOS: tuple[Scenario, ...] = ("at_random", "wrong_form", "not_at_random")
STEPS = 30


class Applicants(NamedTuple):
    """inputs f8[n, 2] : what a model sees; accepted, bad bool[n]"""

    inputs: NDArray[np.float64]
    accepted: NDArray[np.bool_]
    bad: NDArray[np.bool_]


class Worth(NamedTuple):
    """What a method was worth on all who apply.

    auc, brier : of its model; predicted, truth : mean probability and share of bad among the rejected
    """

    method: str
    auc: float
    brier: float
    predicted: float
    truth: float


def applicants(n: int, scenario: Scenario, seed: int) -> Applicants:
    """Draw a population; about half of it is accepted."""
    drawn = np.random.default_rng(seed)
    x = drawn.normal(size=(n, 2))
    unseen = drawn.normal(size=n)
    logits = -1.0 + 1.1 * x[:, 0] + 0.6 * x[:, 1]
    if scenario == "wrong_form":
        logits = logits + 0.6 * (np.abs(x[:, 0]) - 0.8)
    if scenario == "not_at_random":
        logits = logits + 1.2 * unseen
    bad = drawn.random(n) < _sigmoid(logits)
    liked = 0.3 - 1.2 * x[:, 0] - 0.4 * x[:, 1] - (1.6 * unseen if scenario == "not_at_random" else 0.0)
    return Applicants(x, drawn.random(n) < _sigmoid(liked), bad)


def logistic(
    inputs: NDArray[np.float64], target: NDArray[np.bool_], weights: NDArray[np.float64]
) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    """A logistic regression with weights, by Newton's method: the probability of given inputs."""
    design = np.column_stack([np.ones(len(inputs)), inputs])
    found = np.zeros(design.shape[1])
    for _ in range(STEPS):
        p = _sigmoid(design @ found)
        information = (design * (weights * p * (1 - p))[:, None]).T @ design + 1e-9 * np.eye(len(found))
        found = found + np.linalg.solve(information, design.T @ (weights * (target - p)))
    return lambda rows: _sigmoid(np.column_stack([np.ones(len(rows)), rows]) @ found)


def study(n: int, scenario: Scenario, seed: int, factor: float) -> list[Worth]:
    """Every method on one population, and a model of everybody's outcome, which nobody has, as the bound.

    factor : how much worse the rejected are taken to be by methods that take one
    """
    seen, other = applicants(n, scenario, seed), applicants(n, scenario, seed + 1)
    return [_worth(name, made, seen, other) for name, made in _methods(seen, seed, factor).items()]


def _methods(seen: Applicants, seed: int, factor: float) -> Mapping[str, Inferred]:
    inputs, accepted, bad = seen
    p = logistic(inputs[accepted], bad[accepted], np.ones(int(accepted.sum())))(inputs)
    propensity = logistic(inputs, accepted, np.ones(len(inputs)))(inputs)
    everybody = Inferred(np.arange(len(bad)), bad, np.ones(len(bad)), "everybody's outcome", "")
    return {
        "accepted only": inference.accepted_only(accepted, bad),
        "reweighting": inference.reweighted(accepted, bad, propensity),
        "extrapolation": inference.extrapolated(accepted, bad, p, 0.5),
        "fuzzy, factor 1": inference.fuzzy(accepted, bad, p),
        "parcelling, factor 1": inference.parcelled(accepted, bad, p, seed),
        f"parcelling, factor {factor:g}": inference.parcelled(accepted, bad, p, seed, factor=factor),
        "everybody's outcome": everybody,
    }


def _worth(name: str, made: Inferred, seen: Applicants, other: Applicants) -> Worth:
    model = logistic(seen.inputs[made.rows], made.target, made.weights)
    p, rejected = model(other.inputs), ~other.accepted
    return Worth(
        name, auc_roc(other.bad, p), brier(other.bad, p), float(p[rejected].mean()), float(other.bad[rejected].mean())
    )


def table_of(worths: list[Worth]) -> list[str]:
    """A line a method, for people."""
    lines = [f"{'method':<24}{'AUC':>8}{'Brier':>9}{'rejected: predicted':>21}{'truth':>8}"]
    return lines + [
        f"{one.method:<24}{one.auc:>8.4f}{one.brier:>9.4f}{one.predicted:>21.3f}{one.truth:>8.3f}" for one in worths
    ]


def _sigmoid(values: NDArray[np.float64]) -> NDArray[np.float64]:
    found: NDArray[np.float64] = 1 / (1 + np.exp(-np.clip(values, -35, 35)))
    return found
