"""The kernel's arrays as the tables that SQL reads (`expressions`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quanheng.features.fold import EventLayout
from quanheng.features.kernel.words import NULL

Integers = NDArray[np.int64]


def event_frame(
    layouts: Sequence[EventLayout],
    offsets: Integers,
    types: NDArray[np.int32],
    times: Integers,
    keys: NDArray[np.uint64],
    numbers: Integers,
) -> pl.DataFrame:
    """Events as one table; a field that several types have is one column."""
    columns: dict[str, pl.Series] = {}
    names = {layout.code: layout.name for layout in layouts}
    for layout in layouts:
        rows = pl.Series(types == layout.code)
        found = key_columns(layout, keys)
        for place, name in enumerate(layout.keys):
            bits = (keys[:, place, 0] >> np.uint64(11)).astype(np.int64)
            found[f"{name}:53"] = pl.select(pl.when(found[name].is_not_null()).then(pl.Series(bits))).to_series()
        for place, name in enumerate(layout.numbers):
            values = pl.Series(numbers[:, place])
            found[name] = pl.select(pl.when(values != NULL).then(values)).to_series()
            found[f"{name}:53"] = found[name]
        for name, column in found.items():
            own = pl.select(pl.when(rows).then(column)).to_series()
            columns[name] = own if name not in columns else pl.select(pl.coalesce(columns[name], own)).to_series()
    type_names = pl.Series(types).replace_strict(names, default=None, return_dtype=pl.String)
    return pl.DataFrame({"_offset": offsets, "_type": type_names, "_time": times} | columns)


def moment_frame(
    rows: Integers,
    times: Integers,
    at: Integers,
    own: Integers,
    keys: Mapping[str, pl.Series],
    numbers: Mapping[str, Integers] | None = None,
) -> pl.DataFrame:
    """Moments as a table; see `expressions` for the columns."""
    told = {}
    for name, values in (numbers or {}).items():
        column = pl.Series(values)
        told[f"#{name}"] = pl.select(pl.when(column != NULL).then(column)).to_series()
    return pl.DataFrame({"_row": rows, "_time": times, "_at": at, "_own": own, **keys, **told})


def key_columns(layout: EventLayout, keys: NDArray[np.uint64]) -> dict[str, pl.Series]:
    """Key fields as texts of 32 hex digits, in the order of their two halves as numbers; null = a key of zeros."""
    found = {}
    for place, name in enumerate(layout.keys):
        pairs = np.ascontiguousarray(keys[:, place])
        texts = pl.Series([pair.tobytes().hex() for pair in pairs.byteswap()], dtype=pl.String)
        found[name] = pl.select(pl.when(pl.Series((pairs != 0).any(axis=1))).then(texts)).to_series()
    return found
