"""Bins that a model itself has: those of a scorecard, with the points of each, so that stability is told in points.

A scorecard is known by what it holds, not by its class: `weights.characteristics`, each with a column and bins of a
kind (`range` [low, high), `special`, `categories`, `other`, `missing`) and points.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from quanheng.models.monitoring.bins import Bins, counted

if TYPE_CHECKING:
    import polars as pl

    from quanheng.models.estimator import Fitted


def own_bins(model: Fitted, rows: pl.DataFrame) -> dict[str, Bins]:
    """Bins of every characteristic with the rows of the reference in them, by input; nothing for other models."""
    characteristics = getattr(getattr(model, "weights", None), "characteristics", ())
    return {one.column.name: counted(_bins(one), rows[one.column.name]) for one in characteristics}


def _bins(one: Any) -> Bins:
    """The same bins here, closed on the left."""
    points = {bin.kind: float(bin.points) for bin in one.bins}
    missing = points.get("missing", 0.0)
    if one.column.kind == "category":
        groups = [bin for bin in one.bins if bin.kind == "categories"]
        made = Bins(name=one.column.name, kind="category", categories=tuple(tuple(bin.values) for bin in groups))
        worth = [*(float(bin.points) for bin in groups), points.get("other", 0.0), missing]
    else:
        ranges = [bin for bin in one.bins if bin.kind == "range"]
        specials = [bin for bin in one.bins if bin.kind == "special"]
        made = Bins(
            name=one.column.name, kind="number", left_closed=True,
            cuts=tuple(float(bin.high) for bin in ranges if bin.high is not None),
            specials=tuple(float(bin.special) for bin in specials),
        )  # fmt: skip
        worth = [float(bin.points) for bin in (*ranges, *specials)] + [missing]
    return msgspec.structs.replace(made, points=tuple(worth))
