"""Documentation pages of features in Markdown: what each is in words, its window, class, lineage and statistics."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from quanheng.features.kinds import CALENDAR_KINDS
from quanheng.loading.declared import Declared, Fold, Formula, Title
from quanheng.loading.declared_accounts import BalanceDeclaration
from quanheng.loading.lineage import Node, account_text, fold_settings, lineage, window_text

Feature = Fold | BalanceDeclaration | Formula

QUANTILES = (0.01, 0.25, 0.5, 0.75, 0.99)


def feature_pages(declared: Declared, values: Mapping[str, NDArray[np.float64]] | None = None) -> dict[str, str]:
    """File name → text: a page for each fold, balance and formula, and `index.md`.

    Parameters
    ----------
    values : f8[n] of each feature over a history (NaN = null), for the statistics
    """
    nodes = lineage(declared)
    pages, lines = {}, []
    features = _features(declared)
    for one in features:
        pages[f"{one.name}.md"] = _page(declared, one, nodes, None if values is None else values.get(one.name))
        node = nodes[one.name]
        cells = [f"[`{one.name}`]({one.name}.md)", node.kind, node.data_class, _said(one, nodes)]
        lines.append(f"| {' | '.join(map(_cell, cells))} |")
    head = [f"# Features of {declared.name} {declared.version}", "", "| feature | kind | class | what it is |"]
    head.append("|---|---|---|---|")
    pages["index.md"] = "\n".join([*head, *lines]) + "\n"
    return pages


def statistics(values: NDArray[np.float64]) -> dict[str, float]:
    """Rows, share that is null, mean and quantiles (linear between neighbours); no figure of no values."""
    held = values[~np.isnan(values)]
    found: dict[str, float] = {"rows": len(values)}
    if len(values):
        found["missing"] = 1 - len(held) / len(values)
    if len(held):
        found["mean"] = float(held.mean())
        found |= {f"{round(share * 100)} % quantile": float(np.quantile(held, share)) for share in QUANTILES}
    return found


def _features(declared: Declared) -> list[Feature]:
    return [*declared.folds, *declared.accounts.balances, *declared.formulas]


def _page(declared: Declared, one: Feature, nodes: Mapping[str, Node], values: NDArray[np.float64] | None) -> str:
    node = nodes[one.name]
    lines = [f"# {one.name}", "", _said(one, nodes), ""]
    if zh := _title(one).zh:
        lines += [zh, ""]
    facts = {"kind": f"fold `{one.fold}`" if isinstance(one, Fold) else node.kind}
    if isinstance(one, Formula):
        facts["formula"] = f"`{one.feel}`"
    elif isinstance(one, BalanceDeclaration):
        facts |= {"account": f"`{account_text(one.account)}`", "of": one.of}
    else:
        facts |= _of_fold(one)
    facts["unit"] = _unit(declared, one)
    facts["class"] = node.data_class or "not declared"
    lines += ["| | |", "|---|---|", *(f"| {name} | {_cell(text)} |" for name, text in facts.items()), ""]
    lines += ["## Lineage", ""]
    paged = {feature.name for feature in _features(declared)}
    for way, names in (("made of", node.made_of), ("used by", node.used_by)):
        lines += [f"- {way} {_linked(nodes[name], paged)}" for name in names] or [f"- {way} nothing in this pack"]
    if values is not None:
        found = statistics(values)
        lines += ["", "## Statistics", "", "| | |", "|---|---|"]
        lines += [f"| {name} | {value if name == 'rows' else format(value, '.6g')} |" for name, value in found.items()]
    return "\n".join(lines) + "\n"


def _of_fold(one: Fold) -> dict[str, str]:
    """What a fold declares, row by row."""
    facts = {"event": f"`{one.of}`"}
    if one.value:
        facts["value"] = f"`{one.value}`"
    if settings := fold_settings(one):
        facts["settings"] = ", ".join(f"{name} {text}" for name, text in settings.items())
    if one.fold not in CALENDAR_KINDS:
        facts["key"] = ", ".join(f"`{key}`" for key in one.by) or "none: all events together"
    if one.match or one.through:
        fields = ", ".join(f"`{key}`" for key in one.match)
        facts["key comes from"] = f"{fields} of the decided event" if one.match else f"the answer of `{one.through}`"
    if one.fold in CALENDAR_KINDS or (one.where and one.zone != "UTC"):
        facts["zone"] = one.zone
    if one.calendar:
        facts["calendar"] = one.calendar
    facts["window"] = window_text(one)
    if one.where:
        facts["condition"] = f"`{one.where}`"
    if one.fold not in CALENDAR_KINDS:
        facts["nothing in the window"] = "null" if one.empty is None else str(one.empty)
    return facts


def _linked(node: Node, paged: set[str]) -> str:
    name = f"[`{node.name}`]({node.name}.md)" if node.name in paged else f"`{node.name}`"
    return f"{name} ({', '.join(one for one in (node.kind, node.data_class) if one)})"


def _title(one: Feature) -> Title:
    return Title(one.en, one.zh) if isinstance(one, BalanceDeclaration) else one.title


def _said(one: Feature, nodes: Mapping[str, Node]) -> str:
    return _title(one).en or nodes[one.name].text


_UNITS = {
    "count": "events", "streak": "events", "decayed_count": "events", "ratio": "share", "top_share": "share",
    "change": "share of the window before",
    "zscore": "standard deviations", "skew": "number", "entropy": "bits", "distance": "m", "speed": "km/h",
    "hour": "0 to 23", "weekday": "1 (Monday) to 7", "month_day": "1 to 31",
    "month": "1 to 12", "weekend": "0 or 1", "night": "0 or 1", "holiday": "0 or 1", "workday": "0 or 1",
}  # fmt: skip
"""What the answer of a kind is counted in, where it is not the unit of its field."""


def _unit(declared: Declared, one: Feature) -> str:
    if isinstance(one, Formula):
        return f"number with {one.decimals} decimals"
    if isinstance(one, BalanceDeclaration):
        assets = {account.name: account.asset for account in declared.accounts.accounts}
        return "days" if one.of == "days_since" else f"{assets[one.account.account]} with {one.decimals} decimals"
    from quanheng.features.kinds import KINDS

    if one.fold in _UNITS:
        return _UNITS[one.fold]
    answers = KINDS[one.fold].answers
    event = next(event for event in declared.events if event.name == one.of)
    field = event.fields.get(one.value)
    if answers in {"value", "quotient", "float"} and field is not None:
        unit = field.unit or field.kind
        more = f" per {one.per_ms} ms" if one.fold == "trend" else ", squared" if one.fold == "variance" else ""
        return unit + more
    return {"ms": "ms", "count": "number", "flag": "0 or 1"}.get(answers, answers)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
