"""A model watched over scored rows: counted chunk by chunk into periods, then measured and judged. Pure, no log.

Of inputs only counts per bin are kept, so that memory does not grow with them; of each row its moment, score, id and
whether it was approved, which the labels need.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from quanheng.models.monitoring.calibration import Calibration, calibration
from quanheng.models.monitoring.findings import Finding, Judge
from quanheng.models.monitoring.rates import Approval, Overrides, approval, overrides
from quanheng.models.monitoring.reference import Reference
from quanheng.models.monitoring.ripening import NEVER_MS, Cohort, reported_by_age, ripened
from quanheng.models.monitoring.separation import Separation, separation
from quanheng.models.monitoring.stability import Shift, shift
from quanheng.models.monitoring.thresholds import Monitoring

if TYPE_CHECKING:
    import polars as pl


class Scored(NamedTuple):
    """A chunk of n decisions that the model had a part in.

    times_ms i8[n] : when each was decided; scores f8[n], NaN = the model gave none
    inputs : name → f8[n], NaN = missing; of a choice a series of texts, null = missing
    approved bool[n] : by the recorded outcome
    ids : what labels name each by; keys : what people name it by who decide again
    """

    times_ms: NDArray[np.int64]
    scores: NDArray[np.float64]
    inputs: Mapping[str, NDArray[np.float64] | pl.Series]
    approved: NDArray[np.bool_]
    ids: Sequence[bytes]
    keys: Sequence[bytes]


class Period(NamedTuple):
    """Stability and decisions of one period. A period that is not complete is shown and never judged."""

    start_ms: int
    end_ms: int
    complete: bool
    rows: int
    mean_score: float
    score: Shift
    inputs: tuple[Shift, ...]
    approval: Approval
    overrides: Overrides | None


class Performance(NamedTuple):
    """What the labels say of the rows decided in one period.

    complete : the observation window of all rows has passed; else nothing is measured
    rows : that have labels in the end; known, censored : those whose window has passed, and has not
    reported : events so far; late : those behind the observation window, which are not counted
    by_age : (events, rows) at each tenth of the observation window, among rows that old
    """

    start_ms: int
    end_ms: int
    complete: bool
    rows: int
    known: int
    censored: int
    reported: int
    late: int
    by_age: tuple[tuple[int, int] | None, ...]
    separation: Separation | None
    calibration: Calibration | None


class Watched(NamedTuple):
    """All that was found of a model, in the order of time."""

    periods: tuple[Period, ...]
    performance: tuple[Performance, ...]
    findings: tuple[Finding, ...]
    now_ms: int
    observe_ms: int


class Watch:
    """Counts scored rows, then tells.

    Parameters
    ----------
    reference : what the model was made for
    monitoring : limits and windows
    observe_ms : how long a row is observed
    first_ms, last_ms : which decisions are given, [first, last); a period that is cut by these is not complete
    """

    def __init__(
        self,
        reference: Reference,
        monitoring: Monitoring,
        observe_ms: int,
        first_ms: int = -NEVER_MS,
        last_ms: int = NEVER_MS,
    ) -> None:
        self.reference, self.monitoring, self.observe_ms = reference, monitoring, observe_ms
        self.first_ms, self.last_ms = first_ms, last_ms
        self._counts: dict[int, list[NDArray[np.int64]]] = {}
        self._columns: dict[int, list[Scored]] = {}
        self.rows = 0

    def add(self, rows: Scored) -> None:
        """Count a chunk. Inputs that the reference does not have are passed over."""
        number = rows.times_ms // self.monitoring.window_ms
        bins = [self.reference.score, *self.reference.inputs]
        for period in np.unique(number).tolist():
            here = np.flatnonzero(number == period)
            counts = self._counts.setdefault(period, [np.zeros(one.size, np.int64) for one in bins])
            for at, one in enumerate(bins):
                values = rows.scores if at == 0 else rows.inputs.get(one.name)
                if values is not None:
                    counts[at] += one.count(values[here])
            ids, keys = ([named[at] for at in here.tolist()] for named in (rows.ids, rows.keys))
            part = Scored(rows.times_ms[here], rows.scores[here], {}, rows.approved[here], ids, keys)
            self._columns.setdefault(period, []).append(part)
        self.rows += len(rows.times_ms)

    def tell(
        self,
        label_ms: Mapping[bytes, int],
        now_ms: int,
        final: Mapping[bytes, bool] | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Watched:
        """Measure every period.

        Parameters
        ----------
        label_ms : when the event of a row was reported, by id; rows without one are good when their window has passed
        now_ms : up to when decisions and labels are known
        final : what people decided again, by key (true = approved); None = nothing says so
        """
        periods, performance, findings = [], [], []
        for done, number in enumerate(sorted(self._counts), 1):
            start = number * self.monitoring.window_ms
            end, rows = start + self.monitoring.window_ms, _joined(self._columns[number])
            whole = start >= self.first_ms and end <= self.last_ms
            period = self._period(start, end, number, rows, whole and end <= now_ms, final)
            labelled = self._performance(start, end, rows, label_ms, now_ms)
            judge = Judge(self.monitoring, start, end)
            if period.complete:
                judge.stability(period.score, period.inputs)
                judge.decisions(period.approval, period.overrides)
            if labelled.complete and whole:
                judge.strength(labelled.separation, self.reference.strength)
                judge.calibration(labelled.calibration)
            periods.append(period)
            performance.append(labelled)
            findings += judge.found
            if progress is not None:
                progress(done, len(self._counts))
        return Watched(tuple(periods), tuple(performance), tuple(findings), now_ms, self.observe_ms)

    def _period(
        self, start: int, end: int, number: int, rows: Scored, complete: bool, final: Mapping[bytes, bool] | None
    ) -> Period:
        reference, counts = self.reference, self._counts[number]
        score, *inputs = (
            shift(one, count) for one, count in zip((reference.score, *reference.inputs), counts, strict=True)
        )
        given = rows.scores[~np.isnan(rows.scores)]
        turned = None
        if final is not None:
            ends = np.array(
                [final.get(key, bool(was)) for key, was in zip(rows.keys, rows.approved, strict=True)], bool
            )
            turned = overrides(rows.approved, ends)
        return Period(
            start, end, complete, len(rows.ids), float(given.mean()) if len(given) else float("nan"), score,
            tuple(inputs), approval(int(rows.approved.sum()), len(rows.ids), reference.approved, reference.rows),
            turned,
        )  # fmt: skip

    def _performance(
        self, start: int, end: int, rows: Scored, label_ms: Mapping[bytes, int], now_ms: int
    ) -> Performance:
        counts = rows.approved if self.monitoring.labelled == "approved" else np.ones(len(rows.ids), bool)
        chosen = np.flatnonzero(counts & ~np.isnan(rows.scores))
        times, scores = rows.times_ms[chosen], rows.scores[chosen]
        reported = np.array([label_ms.get(rows.ids[at], NEVER_MS) for at in chosen.tolist()], np.int64)
        cohort = ripened(times, reported, start, end, self.observe_ms, now_ms)
        ages = np.array([self.observe_ms * tenth // 10 for tenth in range(1, 11)], np.int64)
        return Performance(
            start, end, cohort.complete, len(chosen), int(cohort.known.sum()), cohort.censored,
            cohort.reported, cohort.late,
            tuple(reported_by_age(times, reported, ages, now_ms)), *self._measured(cohort, scores),
        )  # fmt: skip

    def _measured(self, cohort: Cohort, scores: NDArray[np.float64]) -> tuple[Separation | None, Calibration | None]:
        if not cohort.complete or not len(scores):
            return None, None
        riskier = self.monitoring.higher == "riskier"
        found = separation(cohort.labels, scores if riskier else -scores)
        probable = riskier and float(scores.min()) >= 0.0 and float(scores.max()) <= 1.0
        return found, calibration(cohort.labels, scores) if probable else None


def _joined(parts: Sequence[Scored]) -> Scored:
    ids, keys = ([one for part in parts for one in getattr(part, name)] for name in ("ids", "keys"))
    columns = (np.concatenate([getattr(part, name) for part in parts]) for name in ("times_ms", "scores", "approved"))
    times, scores, approved = columns
    return Scored(times, scores, {}, approved, ids, keys)
