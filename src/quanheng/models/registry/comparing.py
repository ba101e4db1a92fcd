"""Two models side by side, from their cards: what was measured alike is compared, the rest is shown.

Figures of two cards may differ because the models do, or because the test rows do. Only where both were measured on
the same rows is there a difference with an interval of its own.
"""

from __future__ import annotations

from typing import Any

import msgspec

from quanheng.kernel.errors import InputError
from quanheng.models.card import Card, Figure
from quanheng.models.registry.evidence import Evidence
from quanheng.models.registry.filed import FiledModel
from quanheng.models.registry.paired import Difference, auc_difference

Side = tuple[FiledModel, Evidence | None]


def compared_cards(before: Side, after: Side) -> dict[str, Any]:
    """What two models say of themselves.

    Returns
    -------
    metrics, fairness : rows of name, before, after (each a figure with its interval, or None)
    inputs : same, added, removed; windows : train and test of both
    auc : the difference on the same rows with its interval, or None; why_no_auc : why there is none
    """
    one, other = before[0].card, after[0].card
    difference, why = _difference(before, after)
    return {
        "metrics": _rows(_metrics(one), _metrics(other)),
        "fairness": _rows(_fairness(one), _fairness(other)),
        "inputs": _inputs(before[0], after[0]),
        "windows": [
            {"name": part, "before": _window(one, part), "after": _window(other, part)} for part in ("train", "test")
        ],
        "auc": difference._asdict() if difference is not None else None,
        "verdict": verdict(difference),
        "why_no_auc": why,
    }


def verdict(found: Difference | None) -> dict[str, str]:
    """What the difference says, in words; nothing where there is none."""
    if found is None:
        return {}
    if found.low > 0:
        return {"en": "the second ranks better on these rows", "zh": "在相同样本上，后者区分能力更强"}
    if found.high < 0:
        return {"en": "the second ranks worse on these rows", "zh": "在相同样本上，后者区分能力更弱"}
    return {"en": "no difference is shown on these rows", "zh": "在相同样本上未显示差异"}


def _difference(before: Side, after: Side) -> tuple[Difference | None, str]:
    for name, (model, evidence) in zip(("first", "second"), (before, after), strict=True):
        if evidence is None:
            held = "has no card" if model.card is None else "names no evidence"
            return None, f"the {name} {held}: its test rows are not at hand"
    try:
        return auc_difference(before[1], after[1]), ""  # type: ignore[arg-type]  # Neither is None here.
    except InputError as error:
        return None, error.what


def _metrics(card: Card | None) -> dict[str, Figure]:
    return dict(card.metrics) if card is not None else {}


def _fairness(card: Card | None) -> dict[str, Figure]:
    groups = card.fairness if card is not None else {}
    return {f"{group}: {name}": figure for group, measures in groups.items() for name, figure in measures.items()}


def _rows(before: dict[str, Figure], after: dict[str, Figure]) -> list[dict[str, Any]]:
    names = dict.fromkeys([*before, *after])
    return [
        {"name": name, "before": msgspec.to_builtins(before.get(name)), "after": msgspec.to_builtins(after.get(name))}
        for name in names
    ]


def _inputs(before: FiledModel, after: FiledModel) -> dict[str, Any]:
    return {
        "same": before.inputs == after.inputs,
        "added": [name for name in after.inputs if name not in before.inputs],
        "removed": [name for name in before.inputs if name not in after.inputs],
        "estimators": [before.estimator, after.estimator],
    }


def _window(card: Card | None, part: str) -> Any:
    return msgspec.to_builtins(getattr(card, part)) if card is not None else None
