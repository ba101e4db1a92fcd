"""Settings of folds that must fit one another: windows with their kinds, quantiles, sessions, bounded counts."""

from __future__ import annotations

from quanheng.loading.declared import Fold
from quanheng.loading.notes import Words
from quanheng.loading.table import Table

QUANTILE_DIGITS = 6
_OTHER_WINDOWS = ("since", "last", "gap")


def check_ranges(table: Table, fold: Fold) -> None:
    """Note what `Plan.compile` would refuse, in the words and under the keys of the file."""
    if fold.gap_ms is not None and fold.window_ms is None and not table.has("window"):
        cure = "Say in `window` how long a session may be at most."
        table.problem("gap", "a session needs a window", found=table.values["gap"], cure=cure)
    elif fold.gap_ms is not None and fold.window_ms is not None and fold.gap_ms > fold.window_ms:
        what = "the gap is longer than the window"
        table.problem("gap", what, found=table.values["gap"], known=f"at most {table.values['window']}")
    if fold.quantile is not None and fold.fold == "percentile":
        _check_quantile(table, fold)
    if fold.exact_max is not None and fold.fold == "distinct":
        named = [f"`{name}`" for name in ("window", *_OTHER_WINDOWS) if table.has(name)]
        if named:
            cure = "Remove `exact_max`: over a window the count is exact whatever it holds."
            table.problem("exact_max", "this bound is for all history", found=Words(", ".join(named)), cure=cure)
    if fold.fold == "change":
        _check_change(table)


def _check_quantile(table: Table, fold: Fold) -> None:
    assert fold.quantile is not None
    if fold.quantile == 0:
        cure = "0.5 is the median; for the smallest value fold by min."
        table.problem(
            "quantile", "a quantile of 0 is no rank", found=fold.quantile, known="above 0, at most 1", cure=cure
        )
    elif fold.quantile != round(fold.quantile, QUANTILE_DIGITS):
        known = f"at most {QUANTILE_DIGITS} decimals"
        table.problem("quantile", "the quantile has too many decimals", found=fold.quantile, known=known)


def _check_change(table: Table) -> None:
    """A window of time has one of the same length before it; others have not."""
    cure = "Declare `window` alone."
    named = [f"`{name}`" for name in _OTHER_WINDOWS if table.has(name)]
    if named:
        what = "a fold of kind change compares two windows of time"
        table.problem(named[0].strip("`"), what, found=Words(", ".join(named)), cure=cure)
    elif not table.has("window"):
        table.problem("window", "a fold of kind change needs a window", known='a duration such as "7d"', cure=cure)
