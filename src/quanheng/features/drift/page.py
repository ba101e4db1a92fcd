"""The drift report as one self-contained HTML page in English and Chinese, with a drawing for each column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from quanheng.features.drift.measures import Apart, Bin
from quanheng.features.drift.profile import Profiles
from quanheng.report.charts import WIDTH, rect, svg, text
from quanheng.report.parts import Cell, both, section, table
from quanheng.report.style import CSS, SCRIPT

BINS_SHOWN_MAX = 20
VERDICTS = {
    "drifted": ("drifted", "已漂移", 2),
    "watch": ("watch", "需关注", 1),
    "stable": ("stable", "稳定", 0),
    "new": ("not in the reference", "参考中没有", 3),
    "gone": ("no longer served", "已不再提供", 3),
    "too few": ("too few values", "样本过少", 5),
}
"""Words and colour of each verdict."""
_MEASURES = {
    "psi": ("the distribution has shifted", "分布发生偏移"),
    "missing": ("the share of missing values has changed", "缺失率发生变化"),
    "new": ("there are new categories", "出现新类别"),
    "ks": ("the distribution functions are apart", "分布函数差异明显"),
}
_MORE_CSS = """
.drift{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,440px),1fr));gap:12px}
.drift section{margin:0}a{color:var(--accent)}td a.mono{white-space:nowrap}td:first-child{min-width:4em}
.drift td,.drift th{padding-left:4px;padding-right:4px}
.was{fill:var(--stay);background:color-mix(in srgb,var(--stay) 55%,transparent);fill-opacity:.55}
.now{fill:var(--accent);background:var(--accent)}
"""


def page(
    pack: str, reference: Profiles, served: Profiles, found: Sequence[Apart], titles: Mapping[str, Mapping[str, str]]
) -> str:
    """The whole page.

    titles : what columns are called, by name: {"en": …, "zh": …}
    """
    counts = {verdict: sum(one.verdict == verdict for one in found) for verdict in VERDICTS}
    cards = "".join(_count(verdict, count) for verdict, count in counts.items() if count)
    drawn = "".join(_column(one, titles.get(one.name, {})) for one in found)
    parts = [_head(pack, reference, served), f'<div class="cards">{cards}</div>', _overview(found, titles)]
    parts += [f'<div class="drift">{drawn}</div>', _how()]
    return (
        '<!doctype html><html lang="en" data-lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(pack)} · features</title><style>{CSS}{_MORE_CSS}</style></head>"
        f"<body><main>{''.join(parts)}</main><script>{SCRIPT}</script></body></html>\n"
    )


def _head(pack: str, reference: Profiles, served: Profiles) -> str:
    name = escape(pack)
    title = both(f"Features of {name}: served against reference", f"{name} 的特征：线上与参考对比")
    about = both(
        f"served: {escape(served.source)}, {served.rows:,} rows; reference: {escape(reference.source)}, "
        f"{reference.rows:,} rows",
        f"线上：{escape(served.source)}，{served.rows:,} 行；参考：{escape(reference.source)}，{reference.rows:,} 行",
    )
    switch = (
        f'<div class="switch"><button id="lang">{both("中文", "English")}</button>'
        f'<button id="theme">{both("light / dark", "浅色 / 深色")}</button></div>'
    )
    return f'<header><div><h1>{title}</h1><p class="soft">{about}</p></div>{switch}</header>'


def _chip(verdict: str) -> str:
    en, zh, colour = VERDICTS[verdict]
    return f'<span class="chip c{colour}">{both(en, zh)}</span>'


def _count(verdict: str, count: int) -> str:
    return f'<div class="card"><div class="big">{count}</div>{_chip(verdict)}</div>'


def _named(one: Apart, titles: Mapping[str, Mapping[str, str]]) -> str:
    title = titles.get(one.name, {})
    said = f' <span class="soft small">{_both(title)}</span>' if title.get("en") else ""
    return f'<a href="#{escape(one.name)}" class="mono">{escape(one.name)}</a>{said}'


def _both(title: Mapping[str, str]) -> str:
    return both(escape(title["en"]), escape(title.get("zh") or title["en"]))


def _overview(found: Sequence[Apart], titles: Mapping[str, Mapping[str, str]]) -> str:
    heads: list[Cell] = [
        both("feature", "特征"), both("verdict", "结论"), ("n", "PSI"), ("n", "KS"), ("n", both("missing", "缺失率")),
        ("n", both("mean", "均值")),
    ]  # fmt: skip
    rows: list[list[Cell]] = [
        [
            _named(one, titles), _chip(one.verdict), ("n", _number(one.psi, 3)), ("n", _number(one.ks, 3)),
            ("n", f"{one.missing[0]:.2%} → {one.missing[1]:.2%}"),
            ("n", _means(one)),
        ]
        for one in found
    ]  # fmt: skip
    about = both(
        "What differs most stands first. PSI from 0.25 on, ten points of missing values or one percent of new "
        "categories: drifted.",
        "差异最大者在前。PSI 不低于 0.25、缺失率相差 10 个百分点或新类别占比达到 1% 即判为已漂移。",
    )
    return section(both("All features", "全部特征"), about, table(heads, rows))


def _means(one: Apart) -> str:
    if one.kind == "category":
        return ""
    return f"{_figure(one.reference.get('mean'))} → {_figure(one.served.get('mean'))}"


def _column(one: Apart, title: Mapping[str, str]) -> str:
    head = f'<span class="mono" id="{escape(one.name)}">{escape(one.name)}</span> {_chip(one.verdict)}'
    why = [both(*_MEASURES[name]) for name in one.why]
    about = (_both(title) if title.get("en") else "") + (f"<div>{' · '.join(why)}</div>" if why else "")
    body = _bars(one) if one.bins else ""
    if one.new:
        more = f" … {len(one.new)}" if len(one.new) > 5 else ""
        told = ", ".join(f"{escape(name)} ({share:.2%})" for name, share in one.new[:5])
        body += f"<p>{both('new categories', '新类别')}: {told}{more}</p>"
    return section(head, about, body + _figures(one))


def _bars(one: Apart) -> str:
    """A pair of bars for each bin: the share of the reference, and under it that of what is served."""
    was = sum(each.reference for each in one.bins) or 1
    now = sum(each.served for each in one.bins) or 1
    shown = one.bins[:BINS_SHOWN_MAX]
    most = max(max(each.reference / was, each.served / now) for each in shown) or 1.0
    left, high, gap, parts, y = 170, 9, 7, [], 4.0
    for each in shown:
        label, a, b = _label(each, one), each.reference / was, each.served / now
        hover = f"{label}: {a:.2%} → {b:.2%} ({each.reference:,} → {each.served:,})"
        parts.append(text(left - 10, y + 14, escape(label), "small", "end"))
        parts.append(rect(left, y, (WIDTH - left - 130) * a / most, high, "was", hover))
        parts.append(rect(left, y + high + 1, (WIDTH - left - 130) * b / most, high, "now", hover))
        end = left + (WIDTH - left - 130) * max(a, b) / most
        parts.append(text(end + 8, y + 14, f"{a:.1%} → {b:.1%}", "small"))
        y += 2 * high + gap
    rest = len(one.bins) - len(shown)
    more = f'<p class="small">{both(f"and {rest} more", f"另有 {rest} 类")}</p>' if rest else ""
    legend = (
        f'<div class="legend"><span><i class="was"></i>{both("reference", "参考")}</span>'
        f'<span><i class="now"></i>{both("served", "线上")}</span></div>'
    )
    return legend + svg(y, parts, f"{one.name}: reference and served") + more


def _label(each: Bin, one: Apart) -> str:
    if one.kind == "category":
        return each.label if len(each.label) <= 24 else f"{each.label[:23]}…"
    low, high = _figure(each.low), _figure(each.high)
    return low if low == high else f"{low} … {high}"


def _figures(one: Apart) -> str:
    names = {"rows": ("rows", "行数"), "mean": ("mean", "均值"), "categories": ("categories", "类别数")}
    keys = list(one.served or one.reference)
    said: list[Cell] = [("n", both(*names[key]) if key in names else key) for key in keys]
    heads: list[Cell] = ["", *said, ("n", both("missing", "缺失率"))]
    sides = ((both("reference", "参考"), one.reference, 0), (both("served", "线上"), one.served, 1))
    rows: list[list[Cell]] = [
        [name, *(("n", _figure(side.get(key))) for key in keys), ("n", f"{one.missing[place]:.2%}")]
        for name, side, place in sides
        if side
    ]
    told = f"PSI {_number(one.psi, 4)}"
    if one.ks is not None:
        chance = "< 0.0001" if one.ks_p is not None and one.ks_p < 0.0001 else f"= {_number(one.ks_p, 4)}"
        told += f" · KS {_number(one.ks, 4)} (p {chance})"
    return table(heads, rows) + (f'<p class="small">{told}</p>' if one.psi is not None else "")


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _figure(value: float | None) -> str:
    """A number as people read it: whole ones with their thousands apart, others with four digits."""
    if value is None:
        return "-"
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:,.0f}" if abs(value) >= 1e3 else f"{value:.4g}"


def _how() -> str:
    en = (
        "PSI: sum of (p − q) ln(p / q) over tenths of the reference, of values that are there. KS: largest "
        " distance of the distribution functions; p is the probability of such a distance by chance. Numbers "
        "are counted in buckets 1/128 of their value wide, so quantiles are right to that."
    )
    zh = (
        "PSI：按参考分布的十分位求 (p − q) ln(p / q) 之和（不含缺失值）。KS：两个分布函数的最大距离，p 为偶然出现该距离"
        "的概率。数值按自身 1/128 的宽度分桶计数，分位数的误差不超过此宽度。"
    )
    return section(both("How it is measured", "度量方法"), "", f"<p>{both(en, zh)}</p>")
