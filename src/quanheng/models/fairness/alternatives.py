"""Search for a less discriminating alternative: which models do nearly as well and treat groups more alike.

A lender that uses a model with disparate impact must ask whether another one serves its purpose as well with less of it
(12 CFR 1002, comment 6(a)-2; 29 CFR 1607.3(B)). Candidates are declared, not found by luck: leave an input out, coarsen
it, give rows other weights in training. Each is fitted on one part of the rows; cut-off and frontier are chosen on a
second; the third, which no choice has seen, says what they are worth. The best of many is best by luck too: the
figures of the choice and of the test stand side by side, and only the latter count.

All groups have one model and one cut-off. Attributes are read here, never by a model; `reweigh` uses them in training,
which the law of some places does not allow, so it is only tried where it is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan
from typing import Literal, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quanheng.kernel.errors import InputError
from quanheng.models.chance import Interval
from quanheng.models.estimator import Estimator, Progress
from quanheng.models.fairness.groups import Groups
from quanheng.models.fairness.impact import Impacts, impacts
from quanheng.models.table import Table
from quanheng.models.validation.delong import delong

SHARES = (0.5, 0.25, 0.25)
"""Of the rows: fitted on, chosen on, tested on."""
BINS = 4
"""A coarsened number has so many values: the medians of its quarters."""


class Policy(NamedTuple):
    """How a cut-off follows from scores: approve this `share` of the rows, or all up to an expected rate of events.

    kind : `approve_share`, or `event_rate`: approve as many as keep the share of events among the approved at most so
    """

    kind: Literal["approve_share", "event_rate"]
    value: float


class Candidate(NamedTuple):
    """A change of the model that is tried.

    drop : inputs that are left out; coarsen : numbers that are cut to quarters
    reweigh : training rows are drawn so that group and outcome are independent
    """

    drop: tuple[str, ...] = ()
    coarsen: tuple[str, ...] = ()
    reweigh: bool = False

    @property
    def name(self) -> str:
        """What it is, for people."""
        parts = [f"without {', '.join(self.drop)}"] if self.drop else []
        parts += [f"coarse {', '.join(self.coarsen)}"] if self.coarsen else []
        parts += ["reweighed"] if self.reweigh else []
        return "; ".join(parts) or "as it is"


class Measured(NamedTuple):
    """A candidate on rows that it was not fitted on.

    auc : with DeLong's interval; ratio : the disparate impact ratio; approved, event_rate : of the approved
    """

    auc: Interval
    ratio: float
    approved: float
    event_rate: float
    impacts: Impacts


class Tried(NamedTuple):
    """cut_off : approved below it; chosen, tested : on the second and the third part; frontier : nothing that was tried
    is better in both AUC and disparate impact, on the part where that was chosen"""

    candidate: Candidate
    cut_off: float
    chosen: Measured
    tested: Measured
    frontier: bool


def parts_of(target: NDArray[np.bool_], groups: Groups, seed: int) -> list[NDArray[np.intp]]:
    """Places of the three parts, drawn within each group and outcome, so that all parts have all of them."""
    drawn, parts = np.random.default_rng(seed), [[], [], []]  # type: ignore[var-annotated]
    strata = groups.codes * 2 + target
    for stratum in np.unique(strata).tolist():
        places = drawn.permutation(np.flatnonzero(strata == stratum))
        ends = np.cumsum([round(len(places) * share) for share in SHARES[:2]])
        for part, piece in zip(parts, np.split(places, ends), strict=True):
            part.append(piece)
    return [np.sort(np.concatenate(part)) for part in parts]


def candidates_of(inputs: Sequence[str], numbers: Sequence[str], *, reweigh: bool = False) -> list[Candidate]:
    """The model as it is, without each input, and with each number coarsened; all of it reweighed too if wanted."""
    found = [Candidate(), *(Candidate(drop=(name,)) for name in inputs)]
    found += [Candidate(coarsen=(name,)) for name in numbers]
    return found + [one._replace(reweigh=True) for one in found] if reweigh else found


def search(
    estimator: Estimator,
    table: Table,
    groups: Groups,
    candidates: Sequence[Candidate],
    policy: Policy,
    seed: int,
    *,
    steps: int = 1,
    progress: Progress | None = None,
) -> list[Tried]:
    """Fit and measure every candidate, and then combinations with those on the frontier.

    After the declared ones, `steps` rounds join what is on the frontier with each of the declared: a greedy search, for
    all subsets of inputs are too many. The same arguments give the same answer.

    Raises
    ------
    InputError : the policy cannot be met, a candidate has no input left or names one that is not there
    """
    parts = parts_of(table.target, groups, seed)
    waiting, tried = list(dict.fromkeys(candidates)), list[Tried]()
    for step in range(steps + 1):
        for at, one in enumerate(waiting):
            tried.append(_try(estimator, table, groups, one, policy, parts, seed))
            if progress is not None:
                progress(f"alternatives, round {step + 1}", at + 1, len(waiting))
        tried = frontier(tried)
        known = {one.candidate for one in tried}
        best = [one.candidate for one in tried if one.frontier]
        waiting = [both for both in _joined(best, candidates, len(table.columns)) if both not in known]
    return tried


def frontier(tried: Sequence[Tried]) -> list[Tried]:
    """Mark those that no other beats in one and equals in the other, on the part that choices are made on."""
    points = [(one.chosen.auc.value, -1.0 if isnan(one.chosen.ratio) else one.chosen.ratio) for one in tried]

    def beaten(at: int) -> bool:
        auc, ratio = points[at]
        return any(a >= auc and r >= ratio and (a > auc or r > ratio) for a, r in points)

    return [one._replace(frontier=not beaten(at)) for at, one in enumerate(tried)]


def _joined(best: Sequence[Candidate], declared: Sequence[Candidate], inputs: int) -> list[Candidate]:
    made = []
    for one in best:
        for other in declared:
            drop = tuple(sorted({*one.drop, *other.drop}))
            coarsen = tuple(sorted({*one.coarsen, *other.coarsen} - {*drop}))
            if len(drop) < inputs:
                made.append(Candidate(drop, coarsen, one.reweigh or other.reweigh))
    return list(dict.fromkeys(made))


def _try(
    estimator: Estimator,
    table: Table,
    groups: Groups,
    candidate: Candidate,
    policy: Policy,
    parts: Sequence[NDArray[np.intp]],
    seed: int,
) -> Tried:
    changed = changed_table(table, candidate, parts[0])
    learnt = parts[0]
    if candidate.reweigh:
        learnt = reweighed(table.target[learnt], groups.codes[learnt], learnt, seed)
    model = estimator.fit(changed.take(learnt), seed)
    scores = [model.probability(changed.rows[part]) for part in parts[1:]]
    cut_off = cut_off_of(policy, scores[0], table.target[parts[1]])
    measured = (
        _measure(part, one, cut_off, table, groups) for part, one in zip(parts[1:], scores, strict=True)
    )  # fmt: skip
    chosen, tested = measured
    return Tried(candidate, cut_off, chosen, tested, False)


def _measure(
    part: NDArray[np.intp], scores: NDArray[np.float64], cut_off: float, table: Table, groups: Groups
) -> Measured:
    labels, approved = table.target[part], scores < cut_off
    area = delong(labels, scores)
    found = impacts(groups._replace(codes=groups.codes[part]), approved, scores)
    events = float(labels[approved].mean()) if approved.any() else float("nan")
    return Measured(Interval(area.auc, area.low, area.high), found.lowest, float(approved.mean()), events, found)


def changed_table(table: Table, candidate: Candidate, fitted_on: NDArray[np.intp]) -> Table:
    """The table as a candidate sees it; quarters are those of the rows it is fitted on.

    Raises
    ------
    InputError : no input is left, or one is named that is not there, or that is no number
    """
    kinds = {one.name: one.kind for one in table.columns}
    for names, allowed in ((candidate.drop, [*kinds]), (candidate.coarsen, [n for n in kinds if kinds[n] == "number"])):
        wrong = [name for name in names if name not in allowed]
        if wrong:
            raise InputError(
                "the candidate changes what is no input, or no number", where=candidate.name, found=", ".join(wrong),
                allowed=", ".join(allowed), cure="Correct the name.",
            )  # fmt: skip
    kept = [one for one in table.columns if one.name not in candidate.drop]
    if not kept:
        raise InputError("no input is left", where=candidate.name, found="none", cure="Leave out fewer inputs.")
    columns = []
    for one in kept:
        values = table.rows[one.name]
        columns.append(_coarse(values, fitted_on) if one.name in candidate.coarsen else values)
    return Table(pl.DataFrame(columns), table.target, tuple(kept), table.times)


def _coarse(values: pl.Series, fitted_on: NDArray[np.intp]) -> pl.Series:
    """Each number as the median of its quarter; missing stays missing."""
    numbers = values.cast(pl.Float64).fill_null(np.nan).to_numpy()
    seen = numbers[fitted_on]
    seen = seen[~np.isnan(seen)]
    if not len(seen):
        return values
    cuts = np.unique(np.quantile(seen, np.arange(1, BINS) / BINS, method="inverted_cdf"))
    places = np.searchsorted(cuts, seen, side="left")
    middles = np.array(
        [np.median(seen[places == at]) if (places == at).any() else np.nan for at in range(len(cuts) + 1)]
    )
    middles = np.where(np.isnan(middles), np.append(cuts, cuts[-1]), middles)
    made = np.where(np.isnan(numbers), np.nan, middles[np.searchsorted(cuts, numbers, side="left")])
    return pl.Series(values.name, made).fill_nan(None)


def reweighed(
    labels: NDArray[np.bool_], codes: NDArray[np.intp], places: NDArray[np.intp], seed: int
) -> NDArray[np.intp]:
    """Rows drawn so that group and outcome are independent among them: weights P(group) P(outcome) / P(both).

    F. Kamiran and T. Calders, Knowledge and Information Systems 33 (2012): reweighing, here as their sampling, since an
    estimator takes no weights. Every row is taken as often as the whole part of its weight, and of the fractions within
    a cell as many as they sum to, at even distances from a seeded start.
    """
    n = len(labels)
    taken = []
    drawn = np.random.default_rng(seed)
    for group in np.unique(codes).tolist():
        for outcome in (False, True):
            cell = np.flatnonzero((codes == group) & (labels == outcome))
            if not len(cell):
                continue
            weight = (codes == group).sum() * (labels == outcome).sum() / (n * len(cell))
            ends = np.arange(len(cell) + 1) * weight + drawn.random()
            taken.append(np.repeat(cell, np.diff(np.floor(ends)).astype(np.intp)))
    found: NDArray[np.intp] = np.sort(places[np.concatenate(taken)])
    return found


def cut_off_of(policy: Policy, scores: NDArray[np.float64], labels: NDArray[np.bool_]) -> float:
    """Approve scores below it.

    Raises
    ------
    InputError : no cut-off meets the policy
    """
    ordered = np.sort(scores)
    if policy.kind == "approve_share":
        if not 0.0 < policy.value < 1.0:
            raise InputError(
                "a share of approvals lies between 0 and 1", where="policy", found=f"{policy.value:g}", allowed="(0, 1)"
            )
        return float(ordered[min(round(policy.value * len(ordered)), len(ordered) - 1)])
    order = np.argsort(scores, kind="stable")
    rates = np.cumsum(labels[order]) / np.arange(1, len(order) + 1)
    ends = np.append(scores[order][1:] > scores[order][:-1], True)  # Equal scores are approved together.
    meeting = np.flatnonzero((rates <= policy.value) & ends)
    if not len(meeting):
        raise InputError(
            "no cut-off keeps the share of events so low", where="policy",
            found=f"{float(rates[ends].min()):.4f} at best",
            allowed=f"at most {policy.value:g}", cure="Allow a higher share, or approve a share of the rows.",
        )  # fmt: skip
    return float(np.nextafter(scores[order][meeting[-1]], np.inf))
