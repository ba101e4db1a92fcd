"""The model report as one self-contained page, in English and Chinese, also on paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from quanheng.models.model_report import drawings
from quanheng.models.model_report.fairness_tables import fairness_sections
from quanheng.models.model_report.gathering import Gathered
from quanheng.models.monitoring.stability import Shift
from quanheng.report.curves import CURVES_CSS
from quanheng.report.parts import Cell, both, section, table
from quanheng.report.style import CSS, SCRIPT

MORE_CSS = ".card .big{margin-top:2px}.cards{grid-template-columns:repeat(auto-fit,minmax(170px,1fr))}"
BINS_SHOWN_MAX = 14


def page(found: Gathered, language: str = "") -> str:
    """The whole page.

    language : "en" or "zh" shows that one first; "" = as the reader's browser says
    """
    name = escape(found.kept.name)
    parts = [
        _head(found), _figures(found), _power(found), _calibration(found), _folds(found), _importances(found),
        _scorecard(found), _stability(found), *fairness_sections(found.fairness, found.approve), _card(found),
        _findings(found), _how(),
    ]  # fmt: skip
    fixed = f' data-lang="{language}" data-fixed="1"' if language else ' data-lang="en"'
    return (
        f'<!doctype html><html lang="{"zh-CN" if language == "zh" else "en"}"{fixed}><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{name}</title><style>{CSS}{CURVES_CSS}{MORE_CSS}</style></head>"
        f"<body><main>{''.join(parts)}</main><script>{SCRIPT}</script></body></html>\n"
    )


def _head(found: Gathered) -> str:
    en, zh = (escape(one) for one in found.measured_on)
    return (
        f'<header><div><h1>{both("Model report", "模型报告")} <span class="mono">{escape(found.kept.name)}</span></h1>'
        f'<div class="soft small">{escape(found.kept.estimator)} · <span class="mono">{found.kept.hash}</span></div>'
        f'<div class="soft small">{both("measured on", "度量样本")}: {both(en, zh)}</div></div>'
        '<div class="switch"><button id="lang">EN / 中文</button><button id="theme">◐</button></div></header>'
    )


def _figures(found: Gathered) -> str:
    power, right = found.separation, found.calibration
    auc = f'{power.auc.value:.4f}<div class="soft small">{power.auc.low:.4f} – {power.auc.high:.4f}</div>'
    ratio = f'{right.ratio.value:.3f}<div class="soft small">{right.ratio.low:.3f} – {right.ratio.high:.3f}</div>'
    events = f'{power.events:,}<div class="soft small">{power.events / power.rows:.2%} · {power.rows:,}</div>'
    shown = [
        (both("events", "坏样本"), events), ("AUC", auc), ("Gini", f"{2 * power.auc.value - 1:.4f}"),
        ("KS", f"{power.ks:.4f}"), ("Brier", f"{right.brier:.4f}"),
        (both("observed / expected", "实际/预期"), ratio),
    ]  # fmt: skip
    box = '<div class="card"><div class="soft small">{}</div><div class="big">{}</div></div>'
    box = '<div class="card"><div class="soft small">{}</div><div class="big">{}</div></div>'
    cards = "".join(box.format(name, value) for name, value in shown)
    return f'<div class="cards">{cards}</div>'


def _power(found: Gathered) -> str:
    boxes = [
        (both("ROC", "ROC 曲线"), drawings.roc(found.labels, found.scores)),
        (both("Distribution functions and KS", "累计分布与 KS"), drawings.distributions(found.labels, found.scores)),
        (both("Gain", "增益曲线"), drawings.gain(found.gain)),
        (both("Lift", "提升度曲线"), drawings.lift(found.gain)),
        (both("Scores of good and bad", "好坏样本评分分布"), drawings.scores(found.labels, found.scores)),
        (both("Calibration", "校准曲线"), drawings.calibrated(found.calibration)),
    ]
    drawn = "".join(section(title, "", body) for title, body in boxes)
    heads: list[Cell] = [
        both("band", "分段"), ("n", both("rows", "样本数")), ("n", both("events", "坏样本")),
        ("n", both("lowest score", "最低分")), ("n", both("rate", "坏样本率")),
        ("n", both("gain", "增益")), ("n", both("lift", "提升度")),
    ]  # fmt: skip
    rows: list[list[Cell]] = [
        [str(at), ("n", f"{one.rows:,}"), ("n", f"{one.events:,}"), ("n", f"{one.low:.4f}"), ("n", f"{one.rate:.2%}"),
         ("n", f"{one.gain:.2%}"), ("n", f"{one.lift:.2f}")]
        for at, one in enumerate(found.gain, 1)
    ]  # fmt: skip
    bands = section(both("Bands of score, the highest first", "评分分段（从高到低）"), "", table(heads, rows))
    return f'<div class="two">{drawn}</div>{bands}'


def _calibration(found: Gathered) -> str:
    right = found.calibration
    heads: list[Cell] = [
        both("probabilities", "预测概率"), ("n", both("rows", "样本数")), ("n", both("expected", "预期")),
        ("n", both("observed", "实际")), ("n", both("95 % interval", "95% 区间")),
    ]  # fmt: skip
    rows: list[list[Cell]] = [
        [f"{one.low:.4f} – {one.high:.4f}", ("n", f"{one.rows:,}"), ("n", f"{one.expected:.4f}"),
         ("n", f"{one.observed.value:.4f}"), ("n", f"{one.observed.low:.4f} – {one.observed.high:.4f}")]
        for one in right.bands
    ]  # fmt: skip
    told = (
        f"Hosmer–Lemeshow {right.chi_square:.2f} ({right.degrees}), p {_chance(right.chance)} · Spiegelhalter z "
        f"{right.spiegelhalter:.2f}, p {_chance(right.spiegelhalter_chance)} · {both('slope', '斜率')} "
        f"{right.slope.value:.3f} ({right.slope.low:.3f} – {right.slope.high:.3f}) · {both('intercept', '截距')} "
        f"{right.intercept.value:.3f} ({right.intercept.low:.3f} – {right.intercept.high:.3f})"
    )
    return section(both("Calibration by tenths", "十分位校准"), "", table(heads, rows) + f'<p class="small">{told}</p>')


def _folds(found: Gathered) -> str:
    folds: Mapping[str, Any] = found.card.get("fit", {})
    measures = folds.get("folds", {})
    if not measures:
        return ""
    heads: list[Cell] = [both("measure", "指标"), ("n", both("mean", "均值")), ("n", both("deviation", "标准差"))]
    rows: list[list[Cell]] = [
        [escape(name), ("n", f"{one['mean']:.4f}"), ("n", f"{one['deviation']:.4f}")] for name, one in measures.items()
    ]
    about = escape(str(folds.get("validation", "")))
    return section(
        both("Validation: rows that the model was not fitted on", "验证：未参与拟合的样本"), about, table(heads, rows)
    )


def _importances(found: Gathered) -> str:
    if not found.importances:
        return ""
    most = max(one.contribution for one in found.importances) or 1.0
    heads: list[Cell] = [
        both("input", "变量"), ("n", both("contribution to the log-odds", "对数几率贡献")),
        ("n", both("fall of AUC where shuffled", "打乱后 AUC 下降")),
    ]  # fmt: skip
    rows: list[list[Cell]] = [
        [f'<span class="mono">{escape(one.name)}</span>',
         ("n", f'{one.contribution:.4f}<span class="bar" style="width:{90 * one.contribution / most:.0f}px"></span>'),
         ("n", f"{one.fall:.4f}")]
        for one in found.importances
    ]  # fmt: skip
    about = both("Inputs that stand for one another hide each other's fall.", "相互替代的变量会掩盖彼此的下降幅度。")
    return section(both("What the inputs contribute", "变量重要性"), about, table(heads, rows))


def _scorecard(found: Gathered) -> str:
    """Bins with weight of evidence and points, of a model that has them."""
    weights = getattr(found.kept.model, "weights", None)
    characteristics = getattr(weights, "characteristics", ())
    heads: list[Cell] = [
        both("bin", "分箱"), ("n", both("rows", "样本数")), ("n", both("events", "坏样本")),
        ("n", both("rate", "坏样本率")), ("n", "WOE"), ("n", both("points", "分值")),
    ]  # fmt: skip
    boxes = []
    for one in characteristics:
        rows: list[list[Cell]] = [
            [escape(bin.label), ("n", f"{bin.rows:,}"), ("n", f"{bin.events:,}"),
             ("n", f"{bin.events / bin.rows:.2%}" if bin.rows else ""), ("n", f"{bin.woe:+.4f}"),
             ("n", f"{bin.points}")]
            for bin in one.bins
        ]  # fmt: skip
        name = f'<span class="mono">{escape(one.column.name)}</span>'
        boxes.append(section(name, f"IV {one.information_value:.4f}", table(heads, rows)))
    if not boxes:
        return ""
    title = section(both("The scorecard, bin by bin", "评分卡分箱"), "", "")
    return f'{title}<div class="two">{"".join(boxes)}</div>'


def _stability(found: Gathered) -> str:
    if found.score_shift is None:
        return ""
    heads: list[Cell] = [
        both("column", "变量"), ("n", "PSI / CSI"), ("n", both("p by chance", "偶然概率")),
        ("n", both("missing", "缺失率")), ("n", both("points", "分值变动")),
    ]  # fmt: skip
    every = (found.score_shift, *found.shifts)
    rows: list[list[Cell]] = [
        [f'<span class="mono">{escape(one.name)}</span>', ("n", "" if one.psi is None else f"{one.psi:.4f}"),
         ("n", _chance(one.chance)), ("n", f"{one.missing[0]:.2%} → {one.missing[1]:.2%}"),
         ("n", "" if one.points is None else f"{one.points:+.2f}")]
        for one in every
    ]  # fmt: skip
    about = both(
        f"Against the reference: {escape(found.reference.source)}. The scores of the reference are out of fold.",
        f"参考：{escape(found.reference.source)}。参考评分为折外评分。",
    )
    shown = "".join(_bins(one) for one in every[:4])
    return section(both("Stability", "稳定性"), about, table(heads, rows) + f'<div class="two">{shown}</div>')


def _bins(one: Shift) -> str:
    was, now = (sum(getattr(each, side) for each in one.bins) or 1 for side in ("reference", "served"))
    heads: list[Cell] = [
        f'<span class="mono">{escape(one.name)}</span>', ("n", both("reference", "参考")), ("n", both("here", "当前")),
    ]  # fmt: skip
    rows: list[list[Cell]] = [
        [escape(each.label), ("n", f"{each.reference / was:.2%}"), ("n", f"{each.served / now:.2%}")]
        for each in one.bins[:BINS_SHOWN_MAX]
    ]
    return table(heads, rows)


def _card(found: Gathered) -> str:
    card: Mapping[str, Any] = found.card.get("card", {})
    named = {
        "data": ("data", "数据"), "data_digest": ("digest of the data", "数据摘要"),
        "population": ("population", "总体"), "command": ("command", "命令"), "seed": ("seed", "随机种子"),
        "weights_bytes": ("bytes of the weights", "权重字节数"),
    }  # fmt: skip
    rows: list[list[Cell]] = [
        [both(*words), f'<span class="mono">{escape(str(card.get(key, "")))}</span>'] for key, words in named.items()
    ]
    for part, words in (("train", ("fitted on", "拟合样本")), ("test", ("tested on", "测试样本"))):
        one = card.get(part, {})
        days = f"{one.get('since', '')} – {one.get('until', '')}: " if one.get("since") else ""
        rows.append([both(*words), f"{days}{one.get('rows', 0):,} ({one.get('positives', 0):,})"])
    libraries = ", ".join(f"{name} {version}" for name, version in card.get("libraries", {}).items())
    rows.append([both("libraries", "软件版本"), escape(libraries)])
    inputs = ", ".join(column.name for column in found.kept.model.columns)
    rows.append([both("inputs", "变量"), f'<span class="mono">{escape(inputs)}</span>'])
    limits = "".join(f"<li>{escape(str(one))}</li>" for one in card.get("limits", ()))
    return section(both("Card", "模型卡"), "", table(["", ""], rows)) + section(
        both("Limits", "使用限制"), "", f"<ul>{limits}</ul>"
    )


def _findings(found: Gathered) -> str:
    if not found.findings:
        return ""
    heads: list[Cell] = [both("where", "位置"), both("what", "事项"), both("found", "发现"), both("done", "处理")]
    rows: list[list[Cell]] = [
        [escape(one.where), both(escape(one.title("en")), escape(one.title("zh"))), escape(one.found), escape(one.done)]
        for one in found.findings
    ]
    return section(both("Found in the table of the fit", "拟合数据中的发现"), "", table(heads, rows))


def _chance(value: float) -> str:
    return "&lt; 0.0001" if value < 0.0001 else f"{value:.4f}"


def _how() -> str:
    en = (
        "AUC: DeLong's interval. Lift and gain: rows of one score are never in two bands. Calibration: Wilson's "
        "intervals; slope and intercept by logistic regression of the outcome on the log-odds. PSI and CSI: sum of "
        "(p - q) ln(p / q) over the bins of the reference, missing values among them. Formulas and sources are in the "
        "reference of model monitoring."
    )
    zh = (
        "AUC 区间按 DeLong 法。同分样本不跨段。校准区间按 Wilson 法，斜率与截距由结果对对数几率的逻辑回归得出。"
        "PSI/CSI：按参考分箱（含缺失）求 (p - q) ln(p / q) 之和。公式与出处见模型监测参考文档。"
    )
    return section(both("How it is measured", "度量方法"), "", f"<p>{both(en, zh)}</p>")


def sections(html: str) -> Sequence[str]:
    """Titles of the sections of a page, in English, for those who check it."""
    pieces = html.split('<section><h2><span class="en">')[1:]
    return [piece.partition("</span>")[0] for piece in pieces]
