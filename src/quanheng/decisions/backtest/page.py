"""The report as one self-contained HTML page in English and Chinese: no network, no library, charts as inline SVG."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from quanheng.decisions.backtest.money import amount, amounts
from quanheng.kernel.time import format_time
from quanheng.report import charts
from quanheng.report.parts import Cell, both, chip, count, legend, percent, rule, section, table, tspans
from quanheng.report.style import CSS, SCRIPT

Report = Mapping[str, Any]
CHANGES_MAX = 25
SEGMENT_ROWS_MAX = 12
SIDES = (("baseline", "baseline", "基准策略"), ("candidate", "candidate", "候选策略"))


def page(report: Report) -> str:
    """The whole page of a report as `past.backtest.backtest` gives it."""
    parts = [_head(report), _sides(report), _cards(report)]
    parts.append(f'<div class="two"><div>{_matrix(report)}</div><div>{_value(report)}</div></div>')
    parts += [_changes(report), _rules_changed(report), _labels(report)]
    parts.append(
        f'<div class="two"><div>{_days(report)}</div><div>{_score(report)}{"".join(_segments(report))}</div></div>'
    )
    parts += [_rules(report), _sample(report), _how(report)]
    return (
        '<!doctype html><html lang="en" data-lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(report['pack'])} · backtest</title><style>{CSS}</style></head>"
        f"<body><main>{''.join(parts)}</main><script>{SCRIPT}</script></body></html>\n"
    )


def _head(report: Report) -> str:
    first, last = (format_time(report[key])[:10] if report[key] is not None else "…" for key in ("first_ms", "last_ms"))
    title = both("Backtest of a policy", "策略回测")
    about = both(
        f"{report['decisions']:,} decisions on {report['event']}, {first} to {last}",
        f"{first} 至 {last}，事件 {report['event']}，共 {report['decisions']:,} 笔决策",
    )
    switch = (
        f'<div class="switch"><button id="lang">{both("中文", "English")}</button>'
        f'<button id="theme">{both("light / dark", "浅色 / 深色")}</button></div>'
    )
    return f'<header><div><h1>{title}: {escape(report["pack"])}</h1><p class="soft">{about}</p></div>{switch}</header>'


def _sides(report: Report) -> str:
    cards = []
    for side, en, zh in SIDES:
        one = report[side]
        known = [f'<div class="name">{escape(one["name"])}</div>']
        if one.get("version"):
            known.append(f'<div class="small">{both("version", "版本")} {escape(one["version"])}</div>')
        if one.get("hash"):
            known.append(f'<div class="mono soft">{escape(one["hash"][:16])}…</div>')
        if one["as_of_ms"] is not None:
            day = format_time(one["as_of_ms"])[:10]
            known.append(f'<div class="small">{both(f"parameters of {day}", f"参数取自 {day}")}</div>')
        cards.append(f'<div class="card"><div class="small">{both(en, zh)}</div>{"".join(known)}</div>')
    return f'<div class="sides">{"".join(cards)}</div>'


def _cards(report: Report) -> str:
    decided, changed = report["decisions"], report["changed"]
    made = [
        (both("decisions compared", "比较的决策"), f"{decided:,}", ""),
        (both("outcome changed", "结果改变"), f"{changed:,}", percent(changed, decided)),
        (
            both("other reasons only", "仅理由改变"),
            f"{report['only_reasons']:,}",
            percent(report["only_reasons"], decided),
        ),
    ]
    for currency, cells in report["value"].items():
        moved = sum(cell for row, line in enumerate(cells) for column, cell in enumerate(line) if row != column)
        whole = sum(map(sum, cells))
        number, _, unit = amount(moved, currency).partition(" ")
        made.append((both("value of changes", "结果改变的金额"), number, f"{unit} {percent(moved, whole)}"))
    labels = report["labels"]
    if labels and labels["positives"]:
        for row in labels["rows"][:2]:
            name = {side: (en, zh) for side, en, zh in SIDES}[row["side"]]
            words = both(f"recall, {name[0]}", f"召回率，{name[1]}")
            caught = f"{row['true_positives']} / {row['true_positives'] + row['false_negatives']}"
            made.append((words, "–" if row["recall"] is None else f"{row['recall']:.1%}", caught))
    cards = (
        f'<div class="card"><div class="small">{words}</div><div class="big">{value}</div>'
        f'<div class="small">{more}</div></div>'
        for words, value, more in made
    )
    return f'<div class="cards">{"".join(cards)}</div>'


def _matrix(report: Report) -> str:
    about = both(
        "Rows: baseline. Columns: candidate. Green became milder, red severer; percentages are of the row.",
        "行为基准策略，列为候选策略。绿色为放宽，红色为收紧；百分比按行计算。",
    )
    chart = charts.heat_map(report["outcomes"], report["matrix"], lambda n: f"{n:,}", "outcome matrix 结果矩阵")
    return section(both("Outcomes", "结果矩阵"), about, chart)


def _value(report: Report) -> str:
    bars = []
    outcomes = report["outcomes"]
    for currency, cells in report["value"].items():
        for row, one in enumerate(outcomes):
            for column, other in enumerate(outcomes):
                n, value = report["matrix"][row][column], cells[row][column]
                if row != column and value:
                    kind = "milder" if column < row else "severer"
                    note = (
                        f"{amount(value, currency)} ({count(n)})"
                        if len(report["value"]) == 1
                        else amount(value, currency)
                    )
                    bars.append(charts.Bar(escape(f"{one} → {other}"), [(kind, value, f"{one} → {other}")], note))
    bars.sort(key=lambda bar: -bar.parts[0][1])
    about = both(
        f"Sum of {report['money'] or 'money'} over the decisions whose outcome changes.",
        f"结果改变的决策之 {report['money'] or '金额'} 合计。",
    )
    chart = charts.lengths(bars, "value at stake 涉及金额") if bars else _none()
    return section(both("Value at stake", "涉及金额"), about, chart)


def _none() -> str:
    return f'<p class="soft">{both("Nothing here.", "无。")}</p>'


# -- what changed and why


def _changes(report: Report) -> str:
    rows: list[Sequence[Cell]] = [
        [
            ("nb", f"{_chip(report, one['from'])} → {_chip(report, one['to'])}"),
            ("n", f"{one['count']:,}"),
            ("n", amounts(one["value"])),
            ("why", _why(one)),
            " ".join(f'<span class="mono">{example}</span>' for example in one["examples"]),
        ]
        for one in report["changes"][:CHANGES_MAX]
    ]
    heads: list[Cell] = [
        both("change", "变化"),
        ("n", both("decisions", "笔数")),
        ("n", both("value", "金额")),
        both("rules and reasons", "规则与理由"),
        both("for example", "示例编号"),
    ]
    more = len(report["changes"]) - CHANGES_MAX
    note = (
        both(f"{more} smaller groups are in the JSON report.", f"另有 {more} 个较小的组，见 JSON 报告。")
        if more > 0
        else ""
    )
    body = table(heads, rows) if rows else _none()
    about = both(
        "Changed decisions by what differs: + a rule that now matches, − one that no longer does.",
        "按差异归组：+ 表示新命中的规则，− 表示不再命中的规则。",
    )
    shown = f'<div class="stack">{body}</div>{note}'
    return section(both("What changed, and why", "改变了什么，原因何在"), about, shown)


def _why(one: Mapping[str, Any]) -> str:
    lines = [f'<li><span class="minus">−</span>{rule(each)}</li>' for each in one["rules_lost"]]
    lines += [f'<li><span class="plus">+</span>{rule(each)}</li>' for each in one["rules_gained"]]
    if one["by_expression"]:
        lines.append(
            f"<li>{both('no table differs: an expression decides otherwise', '各表命中相同：由表达式决定')}</li>"
        )
    for sign, key in (("−", "reasons_lost"), ("+", "reasons_gained")):
        for reason in one[key]:
            lines.append(f'<li class="small">{sign} {both(escape(reason["en"]), escape(reason["zh"]))}</li>')
    return f"<ul>{''.join(lines)}</ul>"


def _chip(report: Report, outcome: str) -> str:
    return chip(outcome, report["outcomes"].index(outcome) if outcome in report["outcomes"] else 5)


def _rules_changed(report: Report) -> str:
    changed = report["rules_changed"]
    if not any(changed.values()):
        return ""
    lines = [
        f"<li>{both('altered', '修改')}: {rule(one['was'])} <b>→</b> {rule(one['now'])}</li>"
        for one in changed["altered"]
    ]
    lines += [f'<li><span class="plus">+</span>{rule(one)}</li>' for one in changed["added"]]
    lines += [f'<li><span class="minus">−</span>{rule(one)}</li>' for one in changed["removed"]]
    return section(
        both("Rules that differ between the versions", "两个版本之间的规则差异"), "", f"<ul>{''.join(lines)}</ul>"
    )


# -- segments, time, score, labels


def _segments(report: Report) -> Iterable[str]:
    mildest = report["outcomes"][0]
    for segment in report["segments"]:
        bars = []
        for row in segment["rows"][:SEGMENT_ROWS_MAX]:
            for side, en, zh in SIDES:
                parts = [
                    (f"o{place}", row[side][one] / row["decisions"], f"{row['value']}, {en}, {one}: {row[side][one]:,}")
                    for place, one in enumerate(report["outcomes"])
                    if place
                ]
                share = percent(row["decisions"] - row[side][mildest], row["decisions"])
                label = escape(row["value"]) if side == "baseline" else tspans(en, zh)
                note = f"{share} / {row['decisions']:,}" if side == "baseline" else f"{share}, Δ {row['changed']:,}"
                bars.append(charts.Bar(label, parts, note))
        about = both(
            f"Share that is not “{escape(mildest)}”, of all: baseline above, candidate below; Δ: how many change.",
            f"结果不是“{escape(mildest)}”的占比与总笔数：上为基准，下为候选；Δ 为改变的笔数。",
        )
        chart = legend(report["outcomes"][1:], 1) + charts.shares(bars, f"by {segment['by']}")
        yield section(both(f"By {segment['by']}", f"按 {segment['by']}"), about, chart)


def _days(report: Report) -> str:
    days = [format_time(row["day_ms"])[:10] for row in report["days"]]
    series = [
        (
            outcome,
            [row["baseline"][outcome] for row in report["days"]],
            [row["candidate"][outcome] for row in report["days"]],
        )
        for outcome in report["outcomes"]
    ]
    keys = (
        f'<div class="legend"><span><i class="dash"></i>{both("baseline", "基准策略")}</span>'
        f'<span><i class="o0"></i>{both("candidate (area)", "候选策略（面积）")}</span></div>'
    )
    return section(both("Outcomes per day", "每日结果"), keys, charts.over_time(days, series, "per day 每日"))


def _score(report: Report) -> str:
    if report["score"] is None:
        return ""
    names = (tspans("baseline", "基准策略"), tspans("candidate", "候选策略"))
    chart = charts.histogram(report["score"]["baseline"], report["score"]["candidate"], names, "score 分数")
    about = both(
        "Height: logarithm of the decisions in a bin of the score; colours: their outcomes.",
        "高度为该分数区间笔数的对数；颜色为结果占比。",
    )
    return section(both("Score and outcome", "分数与结果"), about + legend(report["outcomes"]), chart)


def _labels(report: Report) -> str:
    labels = report["labels"]
    if not labels:
        return ""
    names = {side: both(en, zh) for side, en, zh in SIDES}
    rows: list[Sequence[Cell]] = [
        [
            ("nb", f"≥ {_chip(report, row['flagged_from'])}"),
            ("nb", names[row["side"]]),
            *(("n", f"{row[key]:,}") for key in ("true_positives", "false_positives", "false_negatives")),
            *(
                ("n", "–" if row[key] is None else f"{row[key]:.2%}")
                for key in ("precision", "recall", "false_positive_rate")
            ),
            ("n", amounts(row["caught_value"])),
            ("n", amounts(row["missed_value"])),
        ]
        for row in labels["rows"]
    ]
    heads: list[Cell] = [both("stopped from", "拦截起点"), ""]
    words = (
        ("caught", "命中"), ("wrongly stopped", "误拦"), ("missed", "漏过"), ("precision", "精确率"),
        ("recall", "召回率"),
        ("false positive rate", "误报率"), ("value caught", "拦截金额"), ("value missed", "漏过金额"),
    )  # fmt: skip
    heads += [("n", both(en, zh)) for en, zh in words]
    until = format_time(labels["known_until_ms"])[:10]
    about = both(
        f"Labels: {labels['event']}. {labels['labelled']:,} decisions up to {until} are old enough to tell, "
        f"{labels['positives']:,} of them were reported; {labels['unknown']:,} are too young.",
        f"标签事件：{labels['event']}。截至 {until} 的 {labels['labelled']:,} 笔决策已可判断，"
        f"其中 {labels['positives']:,} "
        f"笔被举报；另有 {labels['unknown']:,} 笔时间过近，尚不可知。",
    )
    return section(both("What the labels say", "标签结论"), about, table(heads, rows))


# -- rules, sample, how


def _rules(report: Report) -> str:
    hits = {(one["table"], one["rule"]): one["hits"] for one in report["rules"]["baseline"]}
    most = max([one["hits"] for one in report["rules"]["candidate"]] + [1])
    rows: list[Sequence[Cell]] = []
    for one in report["rules"]["candidate"]:
        bar = f'<span class="bar" style="width:{round(90 * one["hits"] / most)}px"></span>' if one["hits"] else ""
        before = hits.get((one["table"], one["rule"]), 0)
        rows.append([("why", rule(one)), ("n", f"{before:,}"), ("n", f"{one['hits']:,}"), bar])
    heads: list[Cell] = [
        both("rule of the candidate", "候选策略的规则"),
        ("n", both("baseline, same place", "基准策略同一位置")),
    ]
    heads += [("n", both("candidate", "候选策略")), ""]
    silent = report["never_fired"]["candidate"]
    never = both(
        f"{len(silent)} of {len(report['rules']['candidate'])} rules never fired in this window.",
        f"{len(report['rules']['candidate'])} 条规则中有 {len(silent)} 条在此期间从未命中。",
    )
    return section(both("Rules by hits", "规则命中次数"), never, table(heads, rows) if rows else _none())


def _sample(report: Report) -> str:
    rows: list[Sequence[Cell]] = [
        [
            ("mono nb", str(one["decision"])),
            ("nb", escape(format_time(one["time_ms"])[:16].replace("T", " "))),
            ("nb", f"{_chip(report, one['from'])} → {_chip(report, one['to'])}"),
            ("n", "" if one["money"] is None else amount(one["money"], one["currency"])),
            _codes(one),
        ]
        for one in report["sample"]
    ]
    heads: list[Cell] = [both("decision", "决策编号"), both("time (UTC)", "时间 (UTC)"), both("change", "变化")]
    heads += [("n", both("value", "金额")), both("reasons", "理由代码")]
    about = both(
        "An even choice of each change. Look closer: quanheng explain ID.",
        "各类变化的均匀抽样。详情：quanheng explain 编号。",
    )
    return section(
        both("Sample of changed decisions", "改变的决策抽样"), about, table(heads, rows) if rows else _none()
    )


def _codes(one: Mapping[str, Any]) -> str:
    was, now = (escape(", ".join(one[key]) or "–") for key in ("reasons_from", "reasons_to"))
    return f'<span class="small">{was} → {now}</span>'


def _how(report: Report) -> str:
    left_out = report["left_out"]
    served = report["vectors"] == "as served"
    lines = [
        both(
            "Features: as they were served with each decision." if served
            else "Features: folded again under each version, as of each event's own place in the log.",
            "特征：取自每笔决策当时所用的数值。" if served
            else "特征：按各版本重新计算，严格限于事件当时日志中已有的内容。",
        ),
        both(
            f"Left out: {left_out['erased']:,} decisions of erased subjects, "
            f"{left_out['not_readable']:,} that a version could not read.",
            f"未计入：主体已删除 {left_out['erased']:,} 笔，版本无法读取 {left_out['not_readable']:,} 笔。",
        ),
        both(f"The log was read up to record {report['as_of']:,}.", f"日志读至第 {report['as_of']:,} 条记录。"),
    ]  # fmt: skip
    for side, en, zh in SIDES:
        engine = report[side]["engine"]
        lines.append(
            both(
                f"{en}: {engine['mode']} ({escape(engine['why'])})", f"{zh}：{engine['mode']} ({escape(engine['why'])})"
            )
        )
    items: Sequence[str] = [f"<li>{line}</li>" for line in lines]
    return section(both("How it was computed", "计算方法"), "", f'<ul class="small">{"".join(items)}</ul>')
