"""What the labels say of two policies: how much of the bad each would have stopped, and how much of the good."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

SIDES = ("baseline", "candidate")


def label_figures(
    counts: Mapping[tuple[bool | None, str, str, str], int],
    values: Mapping[tuple[bool | None, str, str, str], int],
    outcomes: Sequence[str],
) -> dict[str, Any]:
    """Confusion of each side, once for every outcome that may be taken as "stopped".

    A decision counts as flagged from outcome X on when its outcome is at least as severe as X. Decisions whose label is
    not known yet are left out.

    Parameters
    ----------
    counts, values : (label, baseline outcome, candidate outcome, currency) → decisions, minor units
    outcomes : in rising severity

    Returns
    -------
    labelled, positives, unknown : decisions
    rows : per side and outcome the four counts, precision, recall, false_positive_rate (None where nothing is to divide
        by), and caught_value, missed_value by currency
    """
    known = {key: count for key, count in counts.items() if key[0] is not None}
    return {
        "labelled": sum(known.values()),
        "positives": sum(count for key, count in known.items() if key[0]),
        "unknown": sum(count for key, count in counts.items() if key[0] is None),
        "rows": [
            _row(side, known, values, outcomes, threshold) for threshold in outcomes[1:] for side in range(len(SIDES))
        ],
    }


def _row(
    side: int,
    counts: Mapping[tuple, int],
    values: Mapping[tuple, int],
    outcomes: Sequence[str],
    threshold: str,
) -> dict[str, Any]:
    severity = {outcome: rank for rank, outcome in enumerate(outcomes)}
    cells: Counter[tuple[bool, bool]] = Counter()
    money: dict[bool, Counter[str]] = {True: Counter(), False: Counter()}
    for key, count in counts.items():
        flagged = severity[key[1 + side]] >= severity[threshold]
        cells[key[0], flagged] += count
        if key[0]:
            money[flagged][key[3]] += values.get(key, 0)
    caught, missed = cells[True, True], cells[True, False]
    wrong, right = cells[False, True], cells[False, False]
    return {
        "side": SIDES[side],
        "flagged_from": threshold,
        "true_positives": caught,
        "false_positives": wrong,
        "false_negatives": missed,
        "true_negatives": right,
        "precision": _share(caught, caught + wrong),
        "recall": _share(caught, caught + missed),
        "false_positive_rate": _share(wrong, wrong + right),
        "caught_value": dict(sorted(money[True].items())),
        "missed_value": dict(sorted(money[False].items())),
    }


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 6) if whole else None
