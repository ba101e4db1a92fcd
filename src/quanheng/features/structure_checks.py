"""What is wrong with the settings of folds over structures: percentiles, bounded counts, places."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from quanheng.features.fold import EventLayout, Fold

Wrong = tuple[str, str, str, str]
ACCURACY = Decimal("0.01")  # Of a percentile that declares none.
_ACCURACY_MIN, _ACCURACY_MAX = Decimal("0.001"), Decimal("0.2")
_QUANTILE_DIGITS = 6
_EXACT_MAX = 2**30
_DEGREE_DECIMALS_MAX = 15
_SETTINGS = {"quantile": ("percentile",), "accuracy": ("percentile",), "exact_max": ("distinct",)}
_PLACES = ("distance", "speed")


def check_structures(layout: EventLayout, fold: Fold) -> list[Wrong]:
    """(message, found, known, cure) of each problem of `quantile`, `accuracy`, `exact_max` and of places."""
    found: list[Wrong] = []
    for setting, kinds in _SETTINGS.items():
        if getattr(fold, setting) is not None and fold.fold not in kinds:
            cure = f"Remove `{setting}`."
            found.append((f"{fold.fold} takes no `{setting}`", str(getattr(fold, setting)), ", ".join(kinds), cure))
    if fold.fold == "percentile":
        found += _check_percentile(fold)
    if fold.fold == "distinct" and fold.exact_max is not None:
        found += _check_bounded(fold, fold.exact_max)
    if fold.fold in _PLACES:
        found += _check_places(layout, fold)
    return found


def _check_percentile(fold: Fold) -> list[Wrong]:
    found: list[Wrong] = []
    if fold.quantile is None:
        found.append(("percentile needs a quantile", "none", "above 0, at most 1", "Add `quantile`."))
    elif not 0 < fold.quantile <= 1:
        cure = "0.5 is the median, 0.95 is passed by one value in twenty."
        found.append(("`quantile` is out of range", str(fold.quantile), "above 0, at most 1", cure))
    elif fold.quantile != round(fold.quantile, _QUANTILE_DIGITS):
        digits = f"at most {_QUANTILE_DIGITS} decimals"
        found.append(("`quantile` has too many decimals", str(fold.quantile), digits, "Round it."))
    if fold.accuracy is not None and not _ACCURACY_MIN <= fold.accuracy <= _ACCURACY_MAX:
        known = f"{_ACCURACY_MIN} to {_ACCURACY_MAX}"
        cure = "It is the largest relative error of the answer; memory grows as it falls."
        found.append(("`accuracy` is out of range", str(fold.accuracy), known, cure))
    return found


def _check_bounded(fold: Fold, exact_max: int) -> list[Wrong]:
    found: list[Wrong] = []
    if not 1 <= exact_max <= _EXACT_MAX:
        cure = "It is the number of values up to which the count is exact."
        found.append(("`exact_max` is out of range", str(exact_max), f"1 to {_EXACT_MAX}", cure))
    windows = {"window": fold.window_ms, "since": fold.since, "last": fold.last, "gap": fold.gap_ms}
    named = ", ".join(name for name, value in windows.items() if value is not None)
    if named:
        cure = "Remove `exact_max`: over a window its events are kept anyway, so that the count is exact."
        found.append(("`exact_max` is for all history", named, "no window", cure))
    return found


def _check_places(layout: EventLayout, fold: Fold) -> list[Wrong]:
    known = ", ".join(layout.amounts)
    if fold.other is None:
        cure = "Name the longitude in `other`; `value` is the latitude."
        return [(f"{fold.fold} needs a second field", "none", known, cure)]
    if fold.other not in layout.amounts:
        return [(f"{fold.fold} cannot read this field as `other`", repr(fold.other), known, "Use a number field.")]
    return [
        (
            "degrees have too many decimals", f"{layout.scale(name)} of {name}", f"at most {_DEGREE_DECIMALS_MAX}",
            "Declare fewer: 7 decimals of a degree are a centimetre.",
        )
        for name in (fold.value, fold.other)
        if name in layout.amounts and layout.scale(name) > _DEGREE_DECIMALS_MAX
    ]  # fmt: skip
