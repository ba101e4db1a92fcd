"""Principal reasons of an adverse action, from additive contributions of any model: scorecards, trees, boosting.

A factor counts by how far it pushed towards refusal beyond a reference: zero for contributions around the mean of all
applicants (TreeSHAP, explainable boosting), else the mean contribution of all applicants or of those at or slightly
above the cut-off (`reference_of`). Both methods are named in the official interpretation of Regulation B (12 CFR part
1002, supplement I, comment 9(b)(2)-5); comment 9(b)(2)-1 says that more than four reasons hardly help. The Personal
Information Protection Law of China, article 24, gives people the right to an explanation of automated decisions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from quanheng.kernel.errors import InputError

REASONS_MAX = 4


class Factor(NamedTuple):
    """What one or several related inputs are called in a notice.

    code : stable and unique; title : by language, `en` and `zh`
    inputs : places of its inputs among the contributions; related ones count together and are told once
    """

    code: str
    title: Mapping[str, str]
    inputs: tuple[int, ...]


class Reason(NamedTuple):
    """A principal reason.

    push : log-odds towards refusal beyond the reference, above 0
    share : of the pushes of all factors that pushed towards refusal
    """

    code: str
    title: Mapping[str, str]
    push: float
    share: float


def factor_pushes(
    contributions: NDArray[np.float64], factors: Sequence[Factor], reference: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """f8[n, factors] of contributions f8[n, inputs], which rise with the risk of refusal.

    Parameters
    ----------
    reference : f8[inputs]; None = zero

    Raises
    ------
    InputError : no factors, a factor of no input or of one that is not there, an input in two factors, a code twice, a
        title that lacks a language, or a contribution that is not finite
    """
    width = contributions.shape[-1] if contributions.ndim == 2 else -1
    _check(factors, width)
    if (reference is not None and reference.shape != (width,)) or not np.isfinite(contributions).all():
        raise InputError(
            "contributions cannot be weighed against their reference",
            where="reasons",
            found="a contribution that is not finite"
            if reference is None or reference.shape == (width,)
            else f"a reference of shape {reference.shape}",
            allowed=f"finite numbers, a reference of {width} inputs",
        )
    beyond = contributions if reference is None else contributions - reference
    out = np.zeros((len(beyond), len(factors)))
    for at, factor in enumerate(factors):
        for place in factor.inputs:
            out[:, at] += beyond[:, place]
    return out


def principal_reasons(pushes: NDArray[np.float64], most: int = REASONS_MAX) -> NDArray[np.int64]:
    """i8[n, most]: places of the factors that pushed most towards refusal, -1 where fewer did; ties by order.

    Raises
    ------
    InputError : `most` is none of 1 to 4
    """
    if not 1 <= most <= REASONS_MAX:
        raise InputError("so many reasons do not help", where="reasons", found=str(most), allowed=f"1 to {REASONS_MAX}")
    order = np.argsort(-pushes, axis=1, kind="stable")[:, :most]
    places = np.where(np.take_along_axis(pushes, order, axis=1) > 0.0, order, -1)
    return np.pad(places, ((0, 0), (0, most - places.shape[1])), constant_values=-1).astype(np.int64)


def reasons_of(
    contributions: NDArray[np.float64],
    factors: Sequence[Factor],
    reference: NDArray[np.float64] | None = None,
    most: int = REASONS_MAX,
) -> tuple[Reason, ...]:
    """The reasons of one row f8[inputs], the weightiest first.

    Raises
    ------
    InputError : as `factor_pushes` and `principal_reasons`
    """
    pushes = factor_pushes(np.atleast_2d(contributions), factors, reference)
    total = float(np.maximum(pushes, 0.0).sum())
    places = [int(at) for at in principal_reasons(pushes, most)[0] if at >= 0]
    return tuple(
        Reason(factors[at].code, factors[at].title, float(pushes[0, at]), float(pushes[0, at]) / total) for at in places
    )


def reference_of(
    contributions: NDArray[np.float64], log_odds: NDArray[np.float64], cutoff: float, within: float
) -> NDArray[np.float64]:
    """f8[inputs]: mean contribution of the approved nearest to the cut-off, `cutoff - within <= log-odds <= cutoff`.

    Raises
    ------
    InputError : nobody is there
    """
    near = (log_odds <= cutoff) & (log_odds >= cutoff - within)
    if not near.any():
        raise InputError(
            "nobody was approved so near to the cut-off",
            where="reasons",
            found=f"0 of {len(log_odds)} rows within {within:g}",
            cure="Look farther from the cut-off, or take the mean of all applicants.",
        )
    mean: NDArray[np.float64] = contributions[near].mean(axis=0)
    return mean


def _check(factors: Sequence[Factor], width: int) -> None:
    places = [place for factor in factors for place in factor.inputs]
    codes = [factor.code for factor in factors]
    wrong = [factor.code for factor in factors if not factor.inputs or not {"en", "zh"} <= set(factor.title)]
    if (
        not factors
        or wrong
        or len(set(places)) != len(places)
        or len(set(codes)) != len(codes)
        or not all(0 <= place < width for place in places)
    ):
        raise InputError(
            "the factors of a notice do not fit the contributions",
            where="reasons",
            found=", ".join(wrong or codes) or "no factors",
            allowed=f"codes that differ, titles in en and zh, each of {width} inputs in one factor at most",
        )
