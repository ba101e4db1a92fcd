"""Which folds SQL can say, and why not the others."""

from __future__ import annotations

from typing import Any, Literal

from quanheng.features.fold import BUILT, Fold
from quanheng.kernel.errors import InputError, MissingExtra

Backend = Literal["duckdb", "pyspark"]
BACKENDS: tuple[Backend, ...] = ("duckdb", "pyspark")

_SETTINGS = {
    "through": "its key is the answer of another fold",
    "exact_max": "its answer is an estimate beyond so many values, and each engine estimates otherwise",
}
"""Settings that SQL does not say, each with the reason."""


def reason(fold: Fold, backend: Backend) -> str | None:
    """Why SQL cannot say this fold; None where it can.

    Parameters
    ----------
    backend : "duckdb" or "pyspark"; today both say the same folds
    """
    if fold.fold not in BUILT:
        return "this kind of fold is not built yet"
    for setting, why in _SETTINGS.items():
        if getattr(fold, setting) is not None:
            return f"`{setting}`: {why}"
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
