"""The target: which column it is, and which of its two values is the event that is predicted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quanheng.kernel.errors import InputError, NotFound
from quanheng.models.tables.cells import MISSING
from quanheng.models.tables.findings import Finding, count, shown

EVENTS = frozenset((
    "1", "yes", "y", "true", "t", "bad", "b", "default", "defaulted", "charged off", "charged-off", "charge off",
    "chargeoff", "fraud", "fraudulent", "delinquent", "late", "overdue", "event", "positive", "pos", "+", "churn",
    "churned", "lost", "write-off", "written off", "non-performing", "npl",
    "ja", "oui", "sí", "si", "是", "坏", "坏客户", "违约", "逾期", "欺诈", "流失",
))  # fmt: skip
"""Values, in lower case, that name the event."""
OTHERS = frozenset((
    "0", "no", "n", "false", "f", "good", "g", "paid", "fully paid", "paid off", "current", "performing", "legit",
    "legitimate", "genuine", "normal", "non-default", "no default", "not default", "negative", "neg", "-", "ok", "-1",
    "nein", "non", "否", "好", "好客户", "正常", "未违约",
))  # fmt: skip
"""Values that name its absence."""


class Target(NamedTuple):
    """The target of the rows that have one.

    name : of the column in the file
    events : the values that count as the event, as the file spells them
    others : the other values
    labels : bool[rows]; false where `known` is
    known : bool[rows]: the row has one of both
    missing : bool[rows]: the row has no value at all
    findings : what was decided
    """

    name: str
    events: tuple[str, ...]
    others: tuple[str, ...]
    labels: NDArray[np.bool_]
    known: NDArray[np.bool_]
    missing: NDArray[np.bool_]
    findings: list[Finding]


def find_column(wanted: str, names: Sequence[str], where: str) -> str:
    """The column of that name (case and blanks aside), or of that place: 1 is the first, -1 the last.

    Raises
    ------
    NotFound : there is none, or several
    """
    if wanted in names:
        return wanted
    alike = [name for name in names if _plain(name) == _plain(wanted)]
    if len(alike) == 1:
        return alike[0]
    if wanted.lstrip("-").isdigit():
        place = int(wanted)
        if 1 <= place <= len(names):
            return names[place - 1]
        if -len(names) <= place <= -1:
            return names[place]
    raise NotFound(
        "the table has no such column" if not alike else "several columns have that name but for case",
        where=where, found=wanted, allowed=shown(list(names), 12),
        cure="Give a name, or its place: 1, 2, … or -1 for the last.",
    )  # fmt: skip


def read_target(cells: pl.Series, bad: Sequence[str] = (), good: Sequence[str] = ()) -> Target:
    """Labels of a column, which must have two values, or more where people say which are the event.

    Parameters
    ----------
    bad : values of the event; all others are not the event
    good : with `bad`: values of its absence; rows of any other value are neither, and not `known`

    Raises
    ------
    InputError : one value, more than two and no `bad`, or a value that is not there
    """
    texts = _texts(cells)
    values = {str(value): int(n) for value, n in texts.drop_nulls().value_counts(sort=True).iter_rows()}
    if good and not bad:
        raise InputError(
            "values that are good need values that are bad", where="--good", found=", ".join(good),
            cure="Say with --bad which values are the event.",
        )  # fmt: skip
    if bad:
        events = _named(values, bad, "--bad", cells.name)
        rest = tuple(value for value in values if value not in events)
        others = tuple(one for one in _named(values, good, "--good", cells.name) if one in rest) if good else rest
        why = "as asked"
    else:
        _check_two(values, cells.name)
        events, others, why = _choose(values)
    if not others or not events:
        raise InputError(
            "the target has one value only", where=cells.name, found=_counts(values),
            allowed="rows with the event and rows without", cure="Choose another column, or another file.",
        )  # fmt: skip
    known = texts.is_in([*events, *others]).fill_null(False).to_numpy()
    labels = texts.is_in(list(events)).fill_null(False).to_numpy()
    guessed = why.startswith("the rarer")
    finding = Finding(
        kind="target", where=cells.name, found=_counts(values), severity="warning" if guessed else "note",
        done=f"the event is {shown(list(events))} ({why}); " + f"{labels.sum() / max(1, known.sum()):.2%} of the rows",
    )  # fmt: skip
    return Target(cells.name, events, others, labels, known, texts.is_null().to_numpy(), [finding])


def _plain(name: str) -> str:
    return "".join(one for one in name.lower() if one.isalnum())


def _texts(cells: pl.Series) -> pl.Series:
    """Values as text: 1.0 is `1`, true is `true`; null where the target is missing."""
    if cells.dtype.is_float():
        whole = cells.drop_nulls().drop_nans()
        if (whole == whole.round()).all():
            cells = cells.fill_nan(None).cast(pl.Int64, strict=False)
    texts = cells.cast(pl.String).str.strip_chars()
    if cells.dtype == pl.String:
        texts = texts.str.replace(r"^([-+]?\d+)\.0*$", "${1}")
    lower = texts.str.to_lowercase()
    signs = set(lower.unique().drop_nulls()) >= {"+", "-"}
    spellings = sorted(MISSING - {"-"} if signs else MISSING)
    return texts.set(lower.is_in(spellings).fill_null(True), None)


def _named(values: dict[str, int], wanted: Sequence[str], option: str, where: str) -> tuple[str, ...]:
    by_plain = {value.lower(): value for value in values}
    absent = [one for one in wanted if one.strip().lower() not in by_plain]
    if absent:
        raise InputError(
            "the target has no such value", where=f"{option}, column {where}", found=", ".join(absent),
            allowed=_counts(values), cure="Correct the value.",
        )  # fmt: skip
    return tuple(dict.fromkeys(by_plain[one.strip().lower()] for one in wanted))


def _check_two(values: dict[str, int], where: str) -> None:
    if len(values) == 2:
        return
    if len(values) < 2:
        raise InputError(
            "the target has one value only" if values else "the target is missing in every row", where=where,
            found=_counts(values), allowed="rows with the event and rows without",
            cure="Choose another column, or another file.",
        )  # fmt: skip
    raise InputError(
        "the target has more than two values", where=where, found=_counts(values), allowed="two values",
        cure="Say with --bad which values are the event; all others are not.",
    )  # fmt: skip


def _choose(values: dict[str, int]) -> tuple[tuple[str, ...], tuple[str, ...], str]:
    """(event, other, why) of two values."""
    one, other = values
    for first, second in ((one, other), (other, one)):
        a, b = first.lower(), second.lower()
        if a in EVENTS and b not in EVENTS:
            if (a, b) == ("1", "2"):  # The older sets of Europe: 1 = good, 2 = bad.
                return (second,), (first,), "of 1 and 2 the higher; otherwise say --bad 1"
            return (first,), (second,), "by its meaning"
        if b in OTHERS and a not in OTHERS:
            return (first,), (second,), "the other value means its absence"
    rarer = min(values, key=lambda value: (values[value], value))
    return (rarer,), (other if rarer == one else one,), "the rarer of two words; otherwise say --bad VALUE"


def _counts(values: dict[str, int]) -> str:
    """`0 (700 rows), 1 (300 rows)`."""
    told = [f"{value} ({count(rows, 'row')})" for value, rows in list(values.items())[:8]]
    return ", ".join(told) + (f" and {len(values) - 8} more values" if len(values) > 8 else "")
