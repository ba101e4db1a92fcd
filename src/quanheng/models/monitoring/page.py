"""What `quanheng models watch` found as one self-contained page in English and Chinese."""

from __future__ import annotations

from html import escape

from quanheng.kernel.time import format_time
from quanheng.models.monitoring.findings import Finding
from quanheng.models.monitoring.reference import Reference
from quanheng.models.monitoring.stability import Shift
from quanheng.models.monitoring.watch import Performance, Period, Watched
from quanheng.report.parts import Cell, both, section, table
from quanheng.report.style import CSS, SCRIPT

MEASURES = {
    "score_stability": ("stability of the score (PSI)", "评分稳定性 (PSI)"),
    "input_stability": ("stability of an input (CSI)", "变量稳定性 (CSI)"),
    "missing_inputs": ("missing values of an input", "变量缺失率"),
    "discrimination": ("discrimination (AUC)", "区分度 (AUC)"),
    "separation": ("separation (KS)", "区分度 (KS)"),
    "calibration": ("observed against expected", "实际/预期"),
    "approval_rate": ("approval rate", "通过率"),
    "overrides": ("decisions turned round by people", "人工推翻率"),
}
BANDS_SHOWN_MAX = 12


def page(pack: str, model: str, reference: Reference, watched: Watched) -> str:
    """The whole page."""
    name = f"{escape(pack)}.{escape(model)}"
    parts = [
        _head(name, reference, watched),
        _findings(watched.findings),
        _stability(watched.periods),
        _performance(watched.performance, reference),
        *(_bands(one) for one in watched.periods[-1:]),
        _how(),
    ]
    return (
        '<!doctype html><html lang="en" data-lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{name}</title><style>{CSS}</style></head>"
        f"<body><main>{''.join(parts)}</main><script>{SCRIPT}</script></body></html>\n"
    )


def _head(name: str, reference: Reference, watched: Watched) -> str:
    day = format_time(watched.now_ms)[:16]
    return (
        f'<header><div><h1>{both("Watch of the model", "模型监测")} <span class="mono">{name}</span></h1>'
        f'<div class="soft small">{both("reference", "参考")}: {escape(reference.source)} ({reference.rows:,}) · '
        f"{both('labels known to', '标签截至')} {day} UTC</div></div>"
        '<div class="switch"><button id="lang">EN / 中文</button><button id="theme">◐</button></div></header>'
    )


def chip_of(finding: Finding) -> str:
    """The level of a finding on its colour."""
    words = both("alarm", "预警") if finding.level == "alarm" else both("watch", "关注")
    return f'<span class="chip c{2 if finding.level == "alarm" else 1}">{words}</span>'


def _findings(findings: tuple[Finding, ...]) -> str:
    heads: list[Cell] = [
        both("level", "级别"), both("period from", "期间"), both("measure", "指标"), both("of", "对象"),
        ("n", both("value", "指标值")), ("n", both("limit", "阈值")), ("n", both("rows", "样本数")),
    ]  # fmt: skip
    rows: list[list[Cell]] = [
        [
            chip_of(one), format_time(one.start_ms)[:10], both(*MEASURES[one.measure]),
            f'<span class="mono">{escape(one.subject)}</span>', ("n", f"{one.value:.4f}"), ("n", f"{one.limit:.3f}"),
            ("n", f"{one.rows:,}"),
        ]
        for one in findings
    ]  # fmt: skip
    title = both("Findings", "发现")
    if not rows:
        return section(title, "", f"<p>{both('Nothing is beyond its limits.', '所有指标均在阈值内。')}</p>")
    return section(title, "", table(heads, rows))


def _stability(periods: tuple[Period, ...]) -> str:
    heads: list[Cell] = [
        both("period from", "期间"), ("n", both("decisions", "决策数")), ("n", "PSI"),
        ("n", both("worst CSI", "最大 CSI")),
        both("of", "变量"), ("n", both("mean score", "平均分")), ("n", both("approved", "通过率")),
        ("n", both("turned round", "推翻率")),
    ]  # fmt: skip
    rows: list[list[Cell]] = []
    for one in periods:
        worst = max(one.inputs, key=lambda each: each.psi or 0.0, default=None)
        young = "" if one.complete else f' <span class="soft small">{both("not complete", "未完整")}</span>'
        turned = "" if one.overrides is None else f"{one.overrides.share.value:.2%}"
        rows.append([
            format_time(one.start_ms)[:10] + young, ("n", f"{one.rows:,}"), ("n", _figure(one.score.psi)),
            ("n", _figure(worst.psi if worst else None)),
            f'<span class="mono">{escape(worst.name) if worst else ""}</span>', ("n", _figure(one.mean_score)),
            ("n", f"{one.approval.share.value:.2%}"), ("n", turned),
        ])  # fmt: skip
    return section(both("Who comes, and who is approved", "客群与通过率"), "", table(heads, rows))


def _performance(cohorts: tuple[Performance, ...], reference: Reference) -> str:
    heads: list[Cell] = [
        both("cohort from", "批次"), ("n", both("rows", "样本数")), ("n", both("events", "坏样本")), ("n", "AUC"),
        ("n", both("95 % interval", "95% 区间")), ("n", "KS"), ("n", both("observed / expected", "实际/预期")),
        ("n", both("slope", "斜率")), ("n", "Brier"),
    ]  # fmt: skip
    rows: list[list[Cell]] = []
    if reference.strength is not None:
        was = reference.strength
        head: list[Cell] = [both("reference", "参考"), ("n", f"{was.rows:,}"), ("n", f"{was.events:,}")]
        rows.append([*head, ("n", f"{was.auc:.4f}"), "", ("n", f"{was.ks:.4f}"), "", "", ""])
    for one in cohorts:
        start: list[Cell] = [format_time(one.start_ms)[:10], ("n", f"{one.rows:,}"), ("n", f"{one.reported:,}")]
        if one.separation is None:
            why = both("one kind of row only", "仅一类样本") if one.complete else _censored(one)
            rows.append([*start, f'<span class="soft">{why}</span>', "", "", "", "", ""])
            continue
        auc, found = one.separation.auc, one.calibration
        ratio = f"{found.ratio.value:.3f} ({found.ratio.low:.3f} – {found.ratio.high:.3f})" if found else ""
        rows.append([
            *start, ("n", f"{auc.value:.4f}"), ("n", f"{auc.low:.4f} – {auc.high:.4f}"),
            ("n", f"{one.separation.ks:.4f}"), ("n", ratio), ("n", _figure(found.slope.value if found else None)),
            ("n", f"{found.brier:.4f}" if found else ""),
        ])  # fmt: skip
    return section(both("Power and calibration as labels ripen", "标签成熟后的区分度与校准"), "", table(heads, rows))


def _censored(one: Performance) -> str:
    en = f"right-censored: {one.censored:,} rows are younger than the observation window"
    return both(en, f"右删失：{one.censored:,} 个样本未满观察期")


def _bands(period: Period) -> str:
    """The score bands and the inputs that moved most in the newest period."""
    moved = sorted(period.inputs, key=lambda one: -(one.psi or 0.0))[:5]
    body = "".join(_shift(one) for one in (period.score, *moved))
    about = both("The score, and the five inputs that moved most.", "评分及变动最大的五个变量。")
    return section(both("The newest period, bin by bin", "最近期间各分箱"), about, body)


def _shift(one: Shift) -> str:
    was, now = sum(each.reference for each in one.bins) or 1, sum(each.served for each in one.bins) or 1
    heads: list[Cell] = [
        f'<span class="mono">{escape(one.name)}</span>', ("n", both("reference", "参考")), ("n", both("now", "现在")),
        ("n", both("difference", "差异")),
    ]  # fmt: skip
    rows: list[list[Cell]] = [
        [escape(each.label), ("n", f"{each.reference / was:.2%}"), ("n", f"{each.served / now:.2%}"),
         ("n", f"{each.served / now - each.reference / was:+.2%}")]
        for each in one.bins[:BANDS_SHOWN_MAX]
    ]  # fmt: skip
    points = "" if one.points is None else f" · {both('points', '分值')} {one.points:+.2f}"
    return f'{table(heads, rows)}<p class="small">{_figure(one.psi)}{points}</p>'


def _figure(value: float | None) -> str:
    return "" if value is None or value != value else f"{value:.4f}"  # noqa: PLR0124  (what is not a number)


def _how() -> str:
    en = (
        "PSI and CSI: sum of (p - q) ln(p / q) over the bins of the reference, missing values among them. AUC with the "
        "interval of DeLong. A cohort counts when the observation window of all its rows has passed; events behind "
        "the window do not count. Findings that chance explains are left out."
    )
    zh = (
        "PSI/CSI：按参考分箱（含缺失）求 (p - q) ln(p / q) 之和。AUC 区间按 DeLong 法。"
        "仅当批次内全部样本满观察期后才计入；"
        "观察期之后的坏样本不计。可由偶然解释的偏差不列为发现。"
    )
    return section(both("How it is measured", "度量方法"), "", f"<p>{both(en, zh)}</p>")
