"""Drawings of a model: ROC, distribution functions with KS, gain and lift, calibration, scores of good and bad."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from quanheng.models.monitoring.calibration import Calibration
from quanheng.models.validation.bands import GainBand
from quanheng.report.curves import Axes, Curve, Mark, chart

BINS = 30


def roc(labels: NDArray[np.bool_], scores: NDArray[np.float64]) -> str:
    """Share of events found against share of the rest that is taken for one, for every cut-off."""
    order = np.argsort(-scores, kind="stable")
    ends = np.append(scores[order][1:] != scores[order][:-1], True)
    hits, others = np.cumsum(labels[order])[ends], np.cumsum(~labels[order])[ends]
    x, y = others / max(int((~labels).sum()), 1), hits / max(int(labels.sum()), 1)
    points = [(0.0, 0.0), *zip(x.tolist(), y.tolist(), strict=True)]
    axes = Axes(("share of the good", "好样本占比"), ("share of the bad", "坏样本占比"))
    return chart(axes, [Curve(("ROC", "ROC"), points)], "ROC", diagonal=True)


def distributions(labels: NDArray[np.bool_], scores: NDArray[np.float64]) -> str:
    """Distribution functions of the score of good and bad; KS is where they are furthest apart."""
    cuts = np.unique(np.quantile(scores, np.linspace(0, 1, 201)))
    bad = np.searchsorted(np.sort(scores[labels]), cuts, side="right") / max(int(labels.sum()), 1)
    good = np.searchsorted(np.sort(scores[~labels]), cuts, side="right") / max(int((~labels).sum()), 1)
    at = int(np.argmax(np.abs(good - bad)))
    x = cuts.tolist()
    curves = [
        Curve(("good", "好样本"), list(zip(x, good.tolist(), strict=True)), "o0"),
        Curve(("bad", "坏样本"), list(zip(x, bad.tolist(), strict=True)), "o2"),
        Curve(("KS", "KS"), [(x[at], float(bad[at])), (x[at], float(good[at]))], "o1", dashed=True),
    ]
    axes = Axes(("score", "评分"), ("share up to the score", "累计占比"), (float(cuts[0]), float(cuts[-1])))
    return chart(axes, curves, "KS")


def gain(bands: Sequence[GainBand]) -> str:
    """Share of all events among the rows of highest score."""
    rows = sum(one.rows for one in bands)
    x = np.cumsum([one.rows for one in bands]) / rows
    points = [(0.0, 0.0), *zip(x.tolist(), [one.gain for one in bands], strict=True)]
    axes = Axes(
        ("share of the rows, highest score first", "按评分从高到低的样本占比"), ("share of the events", "坏样本占比")
    )
    return chart(axes, [Curve(("gain", "增益"), points)], "gain", diagonal=True)


def lift(bands: Sequence[GainBand]) -> str:
    """How many times as many events among the rows of highest score as among all."""
    rows = sum(one.rows for one in bands)
    x = np.cumsum([one.rows for one in bands]) / rows
    points = list(zip(x.tolist(), [one.lift for one in bands], strict=True))
    most = max((one.lift for one in bands), default=1.0)
    axes = Axes(
        ("share of the rows, highest score first", "按评分从高到低的样本占比"),
        ("lift", "提升度"),
        (0, 1),
        (0, most * 1.08),
    )
    one = [(0.0, 1.0), (1.0, 1.0)]
    return chart(axes, [Curve(("lift", "提升度"), points), Curve(("none", "无模型"), one, "o5", dashed=True)], "lift")


def calibrated(found: Calibration) -> str:
    """Share of events against mean probability, by tenths, with intervals."""
    most = max([one.observed.high for one in found.bands] + [one.expected for one in found.bands])
    edge = min(most * 1.05, 1.0) or 1.0
    marks = [
        Mark(
            one.expected, one.observed.value, one.observed.low, one.observed.high,
            f"{one.rows:,} rows: expected {one.expected:.4f}, observed {one.observed.value:.4f}",
        )
        for one in found.bands
    ]  # fmt: skip
    axes = Axes(("mean probability", "平均预测概率"), ("share of events", "实际坏样本率"), (0.0, edge), (0.0, edge))
    return chart(axes, [], "calibration", marks, diagonal=True)


def scores(labels: NDArray[np.bool_], values: NDArray[np.float64]) -> str:
    """Densities of the score of good and bad."""
    low, high = float(values.min()), float(np.quantile(values, 0.995))
    edges = np.linspace(low, high if high > low else low + 1, BINS + 1)
    middles = (edges[:-1] + edges[1:]) / 2
    made = []
    for kind, name, rows in (("o0", ("good", "好样本"), ~labels), ("o2", ("bad", "坏样本"), labels)):
        counts = np.histogram(np.clip(values[rows], edges[0], edges[-1]), edges)[0]
        made.append(
            Curve(name, list(zip(middles.tolist(), (counts / max(counts.sum(), 1)).tolist(), strict=True)), kind)
        )
    most = max(y for one in made for _, y in one.points)
    axes = Axes(("score", "评分"), ("share", "占比"), (float(edges[0]), float(edges[-1])), (0.0, most * 1.08))
    return chart(axes, made, "scores")
