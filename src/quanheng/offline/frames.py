"""Files a batch at a time, and their columns as the words that the kernel takes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import repeat
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quanheng.kernel.errors import InputError, NotFound
from quanheng.models.history import moments, scaled

BATCH_ROWS = 250_000

Names = Callable[[str, Sequence[str]], NDArray[np.uint64]]
"""(entity, ids) → u8[n, 2]: the keys that stand for them."""


def read_batches(file: Path, texts: Sequence[str] = (), rows: int = BATCH_ROWS) -> Iterator[pl.DataFrame]:
    """A .parquet, .csv or .jsonl file in order, at most so many rows at a time.

    Parameters
    ----------
    texts : columns of a .csv that are texts whatever they look like

    Raises
    ------
    NotFound, InputError : the file is not there, is of another kind, or is not whole
    """
    if not file.is_file():
        raise NotFound(
            "there is no such file", where=str(file), cure="Give the path of a .parquet, .csv or .jsonl file."
        )
    readers: dict[str, Callable[[], pl.LazyFrame]] = {
        ".parquet": lambda: pl.scan_parquet(file),
        ".csv": lambda: pl.scan_csv(file, schema_overrides=dict.fromkeys(texts, pl.String), infer_schema_length=None),
        ".jsonl": lambda: pl.scan_ndjson(file, infer_schema_length=None),
    }
    if file.suffix not in readers:
        raise InputError("the file is of no known kind", where=str(file), found=file.suffix, allowed=", ".join(readers))
    try:
        for batch in readers[file.suffix]().collect_batches(chunk_size=rows, maintain_order=True):
            for first in range(0, len(batch), rows):
                yield batch.slice(first, rows)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputError(
            "the file cannot be read", where=str(file), found=str(error).splitlines()[0],
            cure="Check that it is whole, and its suffix right.",
        ) from error  # fmt: skip


def names_of_files(entity: str, ids: Sequence[str], /) -> NDArray[np.uint64]:
    """Keys of a history in files: a digest of the entity and the id. Equal where the id is equal."""
    digests = b"".join(map(_digest, repeat(entity), ids))
    return np.frombuffer(digests, dtype="<u8").reshape(-1, 2)


@lru_cache(maxsize=1 << 18)
def _digest(entity: str, one: str) -> bytes:
    """Ids come again in every batch of a file, so the newest are kept."""
    return hashlib.blake2b(f"{entity}\0{one}".encode(), digest_size=16).digest()


def keys(column: pl.Series, entity: str, names: Names, where: str) -> NDArray[np.uint64]:
    """u8[n, 2] for a column of ids; null = zeros.

    Raises
    ------
    InputError : it holds neither texts nor whole numbers
    """
    if not (column.dtype.is_integer() or column.dtype in (pl.String, pl.Categorical, pl.Enum, pl.Null)):
        raise InputError(
            "the column cannot be a key",
            where=where,
            found=str(column.dtype),
            allowed="integer, string",
            cure="Cast it.",
        )
    if column.dtype.is_integer() and len(column) and not column.null_count():
        ids = column.to_numpy()
        lowest, highest = int(ids.min()), int(ids.max())
        if highest - lowest < 4 * len(ids) and highest < 2**63:  # Dense: found by their place in a table.
            return _dense(ids.astype(np.int64) - lowest, lowest, highest, entity, names)
    texts = column.cast(pl.String)
    distinct = texts.unique().drop_nulls()
    table = np.zeros((len(distinct) + 1, 2), np.uint64)
    if len(distinct):
        table[1:] = names(entity, distinct.to_list())
    places = texts.replace_strict(distinct, range(1, len(distinct) + 1), default=0, return_dtype=pl.UInt32)
    found: NDArray[np.uint64] = table[places.to_numpy()]
    return found


def _dense(places: NDArray[np.int64], lowest: int, highest: int, entity: str, names: Names) -> NDArray[np.uint64]:
    """Keys of whole numbers that lie close together: `places` from the lowest on."""
    table = np.zeros((highest - lowest + 1, 2), np.uint64)
    present = np.zeros(len(table), bool)
    present[places] = True
    table[present] = names(entity, [str(one + lowest) for one in np.flatnonzero(present).tolist()])
    return np.take(table, places, axis=0)


def times(column: pl.Series, where: str, first_row: int) -> NDArray[np.int64]:
    """Ms UTC of a column of moments: whole ms, Datetime, Date or ISO 8601 text.

    Raises
    ------
    InputError : it holds another type, or a null; the message names the row
    """
    found = moments(column) if column.dtype == pl.String else column
    if isinstance(found.dtype, pl.Datetime | pl.Date):
        found = found.cast(pl.Datetime("ms", getattr(found.dtype, "time_zone", None))).dt.epoch("ms")
    elif not found.dtype.is_integer():
        raise InputError(
            "the column does not hold moments", where=where, found=str(column.dtype),
            allowed="whole ms UTC, Datetime, text of ms or in ISO 8601", cure="Convert it; a float is not exact.",
        )  # fmt: skip
    if found.null_count():
        row = int(found.is_null().arg_max() or 0)
        raise InputError(
            "the row has no moment", where=f"{where}, row {first_row + row}", found=repr(column[row]),
            allowed="whole ms UTC, Datetime, text of ms or in ISO 8601", cure="Fill it in, or leave the row out.",
        )  # fmt: skip
    return found.cast(pl.Int64).to_numpy()


def numbers(column: pl.Series, scale: int, where: str) -> NDArray[np.int64]:
    """Scaled whole numbers of a column; null = NULL.

    Raises
    ------
    InputError : a value is no number, not finite, does not fit 64 bits, or has more decimals than the field
    """
    try:
        if isinstance(column.dtype, pl.Datetime | pl.Date):
            return times(column, where, 0)
        return scaled(column, scale, where).astype(np.int64)
    except pl.exceptions.PolarsError as error:
        raise InputError(
            "the column does not hold numbers that fit", where=where, found=str(error).splitlines()[0],
            allowed=f"finite numbers of {scale} decimals", cure="Correct the values, or the field's type.",
        ) from error  # fmt: skip


def lacks(columns: Sequence[str], needed: Mapping[str, str], where: str, cure: str) -> None:
    """Refuse a table that lacks columns; `needed` gives each with what it is for."""
    if missing := [f"{name} ({why})" for name, why in needed.items() if name not in columns]:
        raise InputError(
            "the spine lacks columns", where=where, found=", ".join(columns), allowed=f"also {', '.join(missing)}",
            cure=cure,
        )  # fmt: skip
