"""Fairness as tables of the model report: approvals, errors and calibration by group."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from quanheng.models.chance import Interval
from quanheng.models.fairness.impact import Impact
from quanheng.models.model_report.gathering import Fairness
from quanheng.report.parts import Cell, both, section, table


def fairness_sections(found: Sequence[Fairness], approve: float) -> list[str]:
    """A box for each attribute."""
    return [_box(one, approve) for one in found]


def _box(one: Fairness, approve: float) -> str:
    about = both(
        f"One cut-off for all approves the {approve:.0%} of lowest score. Compared with: "
        f"{escape(one.impacts.reference)}.",
        f"对全体使用同一阈值，批准评分最低的 {approve:.0%}。参照组：{escape(one.impacts.reference)}。",
    )
    told = (
        f"{both('disparate impact ratio', '差异影响比')} <b>{_figure(one.impacts.lowest)}</b> · "
        f"{both('equal opportunity, difference', '机会均等差')} {_figure(one.errors.opportunity)} "
        f"(p {_figure(one.errors.opportunity_chance)}) · {both('equalised odds, difference', '几率均等差')} "
        f"{_figure(one.errors.odds)} · {both('calibration gap', '校准差')} {_figure(one.errors.calibration_gap)}"
    )
    note = both(
        "Where groups differ in their rate of events, no rule is right in all of these ways at once.",
        "各组坏样本率不同时，以上标准无法同时满足。",
    )
    body = f"{_approvals(one)}{_errors(one)}<p>{told}</p><p class='small'>{note}</p>"
    title = both(f"Fairness by {escape(one.impacts.attribute)}", f"公平性：{escape(one.impacts.attribute)}")
    return section(title, about, body)


def _approvals(one: Fairness) -> str:
    heads: list[Cell] = [
        both("group", "组别"), ("n", both("rows", "样本数")), ("n", both("approved", "通过率")),
        ("n", both("ratio", "比率")), ("n", both("95 % interval", "95% 区间")), ("n", "p"),
        ("n", both("standardised difference", "标准化均值差")), both("four fifths", "五分之四规则"),
    ]  # fmt: skip
    rows: list[list[Cell]] = [
        [escape(each.group), ("n", f"{each.rows:,}"), ("n", f"{each.share.value:.2%}"),
         ("n", _figure(each.ratio.value)), ("n", _between(each.ratio)), ("n", f"{_figure(each.chance)} ({each.test})"),
         ("n", _figure(each.standardised)), _verdict(each)]
        for each in one.impacts.groups
    ]  # fmt: skip
    return table(heads, rows)


def _verdict(one: Impact) -> str:
    if one.adverse:
        return f'<span class="chip c2">{both("adverse", "不利影响")}</span>'
    if one.below:
        return f'<span class="chip c1">{both("below, may be chance", "低于，或为偶然")}</span>'
    return f'<span class="chip c0">{both("within", "达标")}</span>'


def _errors(one: Fairness) -> str:
    heads: list[Cell] = [
        both("group", "组别"), ("n", both("rate of events", "坏样本率")), ("n", both("good approved", "好样本通过率")),
        ("n", both("bad approved", "坏样本通过率")), ("n", both("events among approved", "通过样本坏率")),
        ("n", both("observed / expected", "实际/预期")),
    ]  # fmt: skip
    rows: list[list[Cell]] = []
    for each in one.errors.groups:
        found = each.calibration
        ratio = f"{_figure(found.ratio.value)} ({_between(found.ratio)})" if found is not None else ""
        shares = (each.base, each.good_approved, each.bad_approved, each.bad_among_approved)
        rows.append([escape(each.group), *(("n", _share(share)) for share in shares), ("n", ratio)])
    return table(heads, rows)


def _share(one: Interval) -> str:
    return "" if one.value != one.value else f"{one.value:.2%}"


def _between(one: Interval) -> str:
    return f"{_figure(one.low)} – {_figure(one.high)}"


def _figure(value: float) -> str:
    return "" if value != value else f"{value:.3f}"  # noqa: PLR0124  (NaN: not measured)
