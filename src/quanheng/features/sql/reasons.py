"""Which folds SQL can say, and why not the others."""

from __future__ import annotations

from typing import Any, Literal

from quanheng.features.fold import BUILT, Fold
from quanheng.kernel.errors import InputError, MissingExtra

Backend = Literal["duckdb", "pyspark"]
BACKENDS: tuple[Backend, ...] = ("duckdb", "pyspark")

SAID = frozenset({
    "count", "sum", "mean", "min", "max", "range", "distinct", "last", "first",
    "time_since", "time_since_first", "last_time", "first_time", "seen", "ratio", "change", "variance", "stddev",
})  # fmt: skip
"""Kinds whose raw columns, or the sums that their floats are made of, are whole numbers that SQL aggregates exactly."""

_SETTINGS = {
    "where": "its condition is FEEL, whose nulls and decimals SQL has not",
    "since": "where its window begins depends on the calendar of a zone, which is no range of the time axis",
    "last": "its window is a number of events that were known at the moment, which is no range of the time axis",
    "gap_ms": "sessions are made event by event as they became known",
    "through": "its key is the answer of another fold",
    "age_ms_max": "its answer depends on the newest event of the window beside the aggregate",
    "exact_max": "its answer is an estimate beyond so many values, and each engine estimates otherwise",
}
"""Settings that SQL does not say, each with the reason."""

_KINDS = {
    "float": "its float is made of cubes, products, weights or logarithms that SQL has not exactly",
    "calendar": "it asks the calendar of a zone and no window",
}


def reason(fold: Fold, backend: Backend) -> str | None:
    """Why SQL cannot say this fold; None where it can.

    Parameters
    ----------
    backend : "duckdb" or "pyspark"; today both say the same folds
    """
    from quanheng.features.kinds import KINDS

    if fold.fold not in BUILT:
        return "this kind of fold is not built yet"
    for setting, why in _SETTINGS.items():
        if getattr(fold, setting) is not None:
            return f"`{setting}`: {why}"
    if fold.fold not in SAID:
        return _KINDS.get(KINDS[fold.fold].answers, "what it keeps between events has no aggregate in SQL")
    return None


def check(folds: list[Fold], backend: Backend) -> None:
    """Refuse folds that SQL cannot say.

    Raises
    ------
    InputError : with the reason for each
    """
    refused = [f"{one.name} ({why})" for one in folds if (why := reason(one, backend))]
    if refused:
        raise InputError(
            "SQL cannot say these folds", where=f"engine {backend}", found="; ".join(refused),
            cure="Name the others, or let the kernel compute them (quanheng features build --engine kernel).",
        )  # fmt: skip


def import_ibis(purpose: str = "folds as SQL") -> Any:
    """Ibis, or an error that says how to install it.

    Raises
    ------
    MissingExtra : the package is not installed
    """
    try:
        import ibis
    except ImportError:
        raise MissingExtra("ibis-framework", "offline", purpose) from None
    return ibis
