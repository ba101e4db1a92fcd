"""What is to be told of a model: measures that are beyond their limits and that chance does not explain."""

from __future__ import annotations

from math import isnan
from typing import Literal

import msgspec

from quanheng.models.monitoring.calibration import Calibration
from quanheng.models.monitoring.rates import Approval, Overrides
from quanheng.models.monitoring.reference import Strength
from quanheng.models.monitoring.separation import Separation, drop_chance, error_of
from quanheng.models.monitoring.stability import Shift
from quanheng.models.monitoring.thresholds import Limits, Monitoring

Measure = Literal[
    "score_stability", "input_stability", "missing_inputs", "discrimination", "separation", "calibration",
    "approval_rate", "overrides",
]  # fmt: skip
Level = Literal["watch", "alarm"]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One measure of one period beyond a limit.

    subject : the input, or the score
    value, limit : what was measured, and the limit it is beyond
    chance : probability of such a value though nothing has changed; NaN where no law is known for it
    rows : behind the value
    """

    measure: Measure
    subject: str
    level: Level
    value: float
    limit: float
    chance: float
    rows: int
    start_ms: int
    end_ms: int

    def id(self, model: str, weights: str) -> str:
        """The same finding of the same period and weights has the same id, whenever and how often it is made."""
        digest = weights.removeprefix("sha256:")[:16]
        return f"{model}/{digest}/{self.start_ms}-{self.end_ms}/{self.measure}/{self.subject}/{self.level}"


class Judge:
    """Compares the measures of one period with their limits.

    Parameters
    ----------
    monitoring : the limits
    start_ms, end_ms : the period
    """

    def __init__(self, monitoring: Monitoring, start_ms: int, end_ms: int) -> None:
        self._limits, self._period = monitoring, (start_ms, end_ms)
        self.found: list[Finding] = []

    def stability(self, score: Shift, inputs: tuple[Shift, ...]) -> None:
        """PSI of the score; CSI and missing values of each input."""
        limits = self._limits
        for one, measure, pair in [
            (score, "score_stability", limits.psi), *((one, "input_stability", limits.csi) for one in inputs)
        ]:  # fmt: skip
            if one.rows >= limits.rows_least and one.psi is not None:
                self._add(measure, one.name, one.psi, pair, one.chance, one.rows)  # type: ignore[arg-type]
        for one in inputs:
            if one.rows >= limits.rows_least:
                rise = one.missing[1] - one.missing[0]
                self._add("missing_inputs", one.name, rise, limits.missing_rise, one.chance, one.rows)

    def strength(self, now: Separation | None, reference: Strength | None) -> None:
        """How far AUC and KS fell below the reference."""
        limits = self._limits
        if now is None or reference is None or now.events < limits.events_least or now.rows < limits.rows_least:
            return
        error = error_of(reference.auc, reference.events, reference.rows - reference.events)
        chance = drop_chance(reference.auc, error, now)
        self._add("discrimination", "score", reference.auc - now.auc.value, limits.auc_drop, chance, now.rows)
        self._add("separation", "score", reference.ks - now.ks, limits.ks_drop, chance, now.rows)

    def calibration(self, now: Calibration | None) -> None:
        """Observed against expected, as a factor in either direction; chance is that of the number of events."""
        limits = self._limits
        if now is None or now.rows < limits.rows_least or now.events < limits.events_least or isnan(now.ratio.value):
            return
        factor = max(now.ratio.value, 1 / now.ratio.value)
        self._add("calibration", "score", factor, limits.observed_to_expected, now.ratio_chance, now.rows)

    def decisions(self, approval: Approval, overrides: Overrides | None) -> None:
        """Approval rate against the reference, and the share of decisions that people turned round."""
        limits = self._limits
        if approval.rows >= limits.rows_least and approval.change is not None:
            pair = limits.approval_change
            self._add("approval_rate", "score", abs(approval.change), pair, approval.chance, approval.rows)
        if overrides is not None and overrides.rows >= limits.rows_least:
            self._add("overrides", "score", overrides.share.value, limits.override_share, 0.0, overrides.rows)

    def _add(self, measure: Measure, subject: str, value: float, limits: Limits, chance: float, rows: int) -> None:
        if isnan(value) or value < limits[0] or chance > self._limits.chance:
            return
        level: Level = "alarm" if value >= limits[1] else "watch"
        limit = limits[1] if level == "alarm" else limits[0]
        start_ms, end_ms = self._period
        self.found.append(
            Finding(
                measure=measure, subject=subject, level=level, value=value, limit=limit, chance=chance, rows=rows,
                start_ms=start_ms, end_ms=end_ms,
            )
        )  # fmt: skip
