"""Which folds SQL can say, and why not the others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from quanheng.features.conditions import condition_of
from quanheng.features.fold import BUILT, EventLayout, Fold
from quanheng.kernel.errors import InputError, MissingExtra

Backend = Literal["duckdb", "pyspark"]
BACKENDS: tuple[Backend, ...] = ("duckdb", "pyspark")

_SETTINGS = {
    "through": "its key is the answer of another fold",
    "exact_max": "its answer is an estimate beyond so many values, and each engine estimates otherwise",
}
"""Settings that SQL does not say, each with the reason."""


def reason(fold: Fold, backend: Backend, layouts: Mapping[str, EventLayout] | None = None) -> str | None:
    """Why SQL cannot say this fold; None where it can.

    Parameters
    ----------
    layouts : of the events, for conditions; without them nothing is said of a condition
    backend : "duckdb" or "pyspark"; today both say the same folds
    """
    if fold.fold not in BUILT:
        return "this kind of fold is not built yet"
    for setting, why in _SETTINGS.items():
        if getattr(fold, setting) is not None:
            return f"`{setting}`: {why}"
    condition = condition_of(fold, layouts) if layouts else None
    if condition is not None and condition.flag is not None:
        return (
            f"`where`, {condition.flag.at}: FEEL alone answers this as the kernel has it; SQL says comparisons, logic,"
            " `if`, + - *, and any FEEL that reads only choices, truths and words of the time"
        )
    return None


def check(folds: Sequence[Fold], backend: Backend, layouts: Iterable[EventLayout]) -> None:
    """Refuse folds that SQL cannot say.

    Raises
    ------
    InputError : with the reason for each
    """
    by_name = {one.name: one for one in layouts}
    refused = [f"{one.name} ({why})" for one in folds if (why := reason(one, backend, by_name))]
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
