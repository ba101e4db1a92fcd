"""Mapped data as columns for the feature kernel: all events in order of arrival, keys and numbers as integers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from quanheng.features.backfill import places_of
from quanheng.features.fold import EventLayout, layout_of
from quanheng.kernel.errors import InputError, NotFound
from quanheng.kernel.time import parse_time_ms

if TYPE_CHECKING:
    from quanheng.events.schema import EventDeclaration
    from quanheng.loading.declared import ColumnSource, FileMapping

NULL = -(2**63)
_TEXT_KINDS = frozenset({"key", "text", "choice"})
_MOMENT = "moment of "
_ID, _TYPE, _ARRIVE = "id", "type", "arrive_ms"


class History(NamedTuple):
    """Events in order of arrival.

    layouts : how keys and numbers of each event type are laid out
    names : event types; `types` holds positions in it
    types i4[n], times i8[n], keys u8[n, K, 2], numbers i8[n, V] : as the feature kernel takes them
    arrive_ms : i8[n] ms UTC, never decreasing
    frame : the rows themselves, with `id`
    """

    layouts: tuple[EventLayout, ...]
    names: tuple[str, ...]
    types: NDArray[np.int32]
    times: NDArray[np.int64]
    keys: NDArray[np.uint64]
    numbers: NDArray[np.int64]
    arrive_ms: NDArray[np.int64]
    frame: pl.DataFrame

    def rows_of(self, event: str) -> NDArray[np.intp]:
        """Positions of the events of one type."""
        return np.flatnonzero(self.types == self.names.index(event))

    def key(self, event: str, field: str) -> NDArray[np.uint64]:
        """One key field of all rows of a type as numbers (0 = null), equal where the key is equal."""
        layout = self.layouts[self.names.index(event)]
        found: NDArray[np.uint64] = self.keys[self.rows_of(event), layout.keys.index(field), 1]
        return found


def read_file(file: Path, mapping: FileMapping, events: Mapping[str, EventDeclaration]) -> pl.DataFrame:
    """The events of a file, as a table in order of arrival: id, type, arrive_ms and all fields of all types.

    An event with a delay arrives so much later than its own time, after the events that arrive at that moment.

    Raises
    ------
    NotFound, InputError : the file is not there, is of another kind, or lacks a column the mapping names
    """
    if not file.is_file():
        raise NotFound(
            "there is no such file", where=str(file), cure="Give the path of a .parquet, .csv or .jsonl file."
        )
    rows = _read(file, texts_of(mapping, events))
    joined = mapped(rows, file, mapping, events).sort([_ARRIVE, "_delayed", "_rank"], maintain_order=True)
    return joined.drop("_delayed", "_rank")


def mapped(
    rows: pl.DataFrame, file: Path, mapping: FileMapping, events: Mapping[str, EventDeclaration]
) -> pl.DataFrame:
    """The events of rows of a file, type by type: what `read_file` gives before it is put in order of arrival.

    It is in order after a stable sort by `arrive_ms`, `_delayed` and `_rank`.

    Raises
    ------
    InputError : the rows lack a column the mapping names
    """
    wanted = {source.column for one in mapping.events for source in one.fields.values() if source.column}
    wanted |= {one.where[0] for one in mapping.events if one.where}
    if missing := sorted(wanted - set(rows.columns)):
        raise InputError(
            "the file lacks columns that the mapping names",
            where=f"{file} with mappings/{mapping.name}.toml",
            found=", ".join(rows.columns),
            allowed=f"also {', '.join(missing)}",
            cure="Choose another mapping or file.",
        )
    rows = _with_moments(rows, file, mapping, events)
    parts = []
    for rank, one in enumerate(mapping.events):
        declared = events[one.event]
        chosen = rows.filter(pl.col(one.where[0]) == one.where[1]) if one.where else rows
        columns = {name: _expression(source, declared.fields[name].kind, rows) for name, source in one.fields.items()}
        part = chosen.select(
            (_expression(one.id, "key", rows) if one.id else pl.int_range(pl.len()).cast(pl.String)).alias(_ID),
            pl.lit(one.event).alias(_TYPE),
            (columns[declared.time] + one.delay_ms).alias(_ARRIVE),
            *(column.alias(name) for name, column in columns.items()),
            pl.lit(one.delay_ms > 0).alias("_delayed"),
            pl.lit(rank).alias("_rank"),
        )
        parts.append(part)
    return pl.concat(parts, how="diagonal_relaxed")


def texts_of(mapping: FileMapping, events: Mapping[str, EventDeclaration]) -> list[str]:
    """Columns that hold ids, keys and texts: what looks like a number there is none, and 007 is not 7."""
    sources = [
        source
        for one in mapping.events
        for name, source in one.fields.items()
        if events[one.event].fields[name].kind in _TEXT_KINDS
    ]
    sources += [one.id for one in mapping.events if one.id is not None]
    compared = {one.where[0] for one in mapping.events if one.where}  # With a value of its own type.
    return [source.column for source in sources if source.column and source.column not in compared]


def _read(file: Path, texts: Sequence[str]) -> pl.DataFrame:
    as_text = dict.fromkeys(texts, pl.String)
    readers: dict[str, Callable[[], pl.DataFrame]] = {
        ".parquet": lambda: pl.read_parquet(file),
        ".csv": lambda: pl.read_csv(file, schema_overrides=as_text, infer_schema_length=None),
        ".jsonl": lambda: pl.read_ndjson(file, infer_schema_length=None),
    }
    if file.suffix not in readers:
        raise InputError("the file is of no known kind", where=str(file), found=file.suffix, allowed=", ".join(readers))
    try:
        return readers[file.suffix]()
    except (pl.exceptions.PolarsError, OSError) as error:
        found = str(error).splitlines()[0]
        cure = "Check that it is whole, and its suffix right."
        raise InputError("the file cannot be read", where=str(file), found=found, cure=cure) from error


def _with_moments(
    rows: pl.DataFrame, file: Path, mapping: FileMapping, events: Mapping[str, EventDeclaration]
) -> pl.DataFrame:
    """Rows with a column of ms UTC beside each column of texts that a time field is read from."""
    columns = {
        source.column
        for one in mapping.events
        for name, source in one.fields.items()
        if source.column and events[one.event].fields[name].kind == "time" and rows.schema[source.column] == pl.String
    }
    found = {one: moments(rows[one]) for one in sorted(columns)}
    for column, known in found.items():
        unread = rows[column].filter(known.is_null() & rows[column].is_not_null())
        if len(unread):
            more = f" and {len(unread) - 1} more" if len(unread) > 1 else ""
            raise InputError(
                "a moment cannot be read", where=f"{file}: {column}", found=f"{unread[0]!r}{more}",
                allowed="whole milliseconds UTC, or ISO 8601", cure="Correct them, or leave the rows out.",
            )  # fmt: skip
    return rows.with_columns(known.alias(_MOMENT + column) for column, known in found.items())


def moments(texts: pl.Series) -> pl.Series:
    """Ms UTC of texts: whole numbers of ms or ISO 8601, as `quanheng ingest` reads them; null where it is neither."""
    plain = texts.str.strip_chars()
    found = plain.cast(pl.Int64, strict=False)
    for form in ("%+", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"):
        if not found.null_count():
            return found
        found = found.fill_null(plain.str.to_datetime(form, time_unit="ms", strict=False).dt.epoch("ms"))
    others = {one: _moment(one) for one in plain.filter(found.is_null()).unique().drop_nulls()}
    return found.fill_null(plain.replace_strict(others, default=None, return_dtype=pl.Int64)) if others else found


def _moment(text: str) -> int | None:
    try:
        return parse_time_ms(text)
    except InputError:
        return None


def _expression(source: ColumnSource, kind: str, rows: pl.DataFrame) -> pl.Expr:
    value = pl.col(source.column) if source.column else pl.lit(source.constant)
    if kind == "time":
        if source.column and isinstance(rows.schema[source.column], pl.Datetime | pl.Date):
            return value.cast(pl.Datetime("ms")).dt.epoch("ms")
        if source.column and rows.schema[source.column] == pl.String:
            return pl.col(_MOMENT + source.column)
        return value.cast(pl.Int64)
    return value.cast(pl.String) if kind in _TEXT_KINDS else value


def layouts(events: Sequence[EventDeclaration]) -> tuple[EventLayout, ...]:
    """Layouts of events; the code of a type is its position."""
    return tuple(layout_of(one, code) for code, one in enumerate(events))


def history(frame: pl.DataFrame, events: Sequence[EventDeclaration]) -> History:
    """Columns for the kernel from a table of events (id, type, arrive_ms and fields) in order of arrival.

    Keys become (number of the entity, number of the value from 1): what a fold gives does not depend on which
    pseudonym stands for a key.

    Raises
    ------
    InputError : the rows are not in order of arrival, or hold a type that is not declared
    """
    names = tuple(one.name for one in events)
    types = frame[_TYPE].replace_strict(
        {name: code for code, name in enumerate(names)}, default=None, return_dtype=pl.Int32
    )
    if types.null_count():
        unknown = frame[_TYPE].filter(types.is_null())[0]
        raise InputError("no such event is declared", where="history", found=str(unknown), allowed=", ".join(names))
    arrive = frame[_ARRIVE].cast(pl.Int64)
    if not arrive.is_sorted():
        raise InputError("the events are not in order of arrival", where="history", cure="Sort them by `arrive_ms`.")
    laid = layouts(events)
    code, size = types.to_numpy(), len(frame)
    keys = np.zeros((size, max(len(one.keys) for one in laid), 2), np.uint64)
    numbers = np.full((size, max(len(one.numbers) for one in laid)), NULL, np.int64)
    times = np.zeros(size, np.int64)
    known = _dictionaries(frame, events)
    for position, (declared, layout) in enumerate(zip(events, laid, strict=True)):
        rows = np.flatnonzero(code == position)
        if not len(rows):
            continue
        part = frame.filter(types == position)
        times[rows] = part[declared.time].cast(pl.Int64).to_numpy()
        for column, name in enumerate(layout.keys):
            if name in part.columns:
                entity, values = known[declared.fields[name].entity]
                numbered = part[name].cast(pl.Enum(values)).to_physical().cast(pl.Int64).fill_null(-1).to_numpy() + 1
                keys[rows, column, 1] = numbered
                keys[rows, column, 0] = np.where(numbered > 0, entity, 0)
        for column, (name, scale) in enumerate(zip(layout.numbers, layout.scales, strict=True)):
            if name in part.columns:
                choices = declared.fields[name].choices
                numbers[rows, column] = places_of(part[name], choices) if choices else scaled(part[name], scale)
    return History(laid, names, code, times, keys, numbers, arrive.to_numpy(), frame)


def merge(frames: Sequence[pl.DataFrame], events: Sequence[EventDeclaration], label_field: str = "") -> pl.DataFrame:
    """Several simulated streams side by side as one: people, places and ids of each get a prefix of their own.

    A double delivery is left out, as the request id answers it; so is what the schema would refuse.

    Parameters
    ----------
    frames : as `Traffic.frame` gives, each in order of arrival
    label_field : text field that names another event's id, prefixed as ids are
    """
    keys = {name for one in events for name, field in one.fields.items() if field.kind == "key"}
    parts = []
    for number, frame in enumerate(frames):
        kept = frame.filter(pl.col("fault").ne_missing("malformed")) if "fault" in frame.columns else frame
        prefixed = [name for name in frame.columns if name in keys | {_ID, label_field}]
        kept = kept.unique(_ID, keep="first", maintain_order=True)
        parts.append(kept.with_columns(pl.format(f"{number}:{{}}", pl.col(name)).alias(name) for name in prefixed))
    return pl.concat(parts).sort(_ARRIVE, maintain_order=True)


def _dictionaries(frame: pl.DataFrame, events: Sequence[EventDeclaration]) -> dict[str, tuple[int, pl.Series]]:
    """For each entity its number (from 1) and all values that any event has."""
    columns: dict[str, set[str]] = {}
    for one in events:
        for name, field in one.fields.items():
            if field.kind == "key":
                columns.setdefault(field.entity, set()).update({name} & set(frame.columns))
    found = {}
    for number, (entity, names) in enumerate(columns.items(), 1):
        values = [frame[name].cast(pl.String).drop_nulls().unique() for name in sorted(names)]
        found[entity] = (number, pl.concat(values).unique().sort() if values else pl.Series([], dtype=pl.String))
    return found


def scaled(values: pl.Series, scale: int, where: str = "") -> NDArray[np.int64]:
    """Whole numbers with the decimal point moved by `scale`; null = NULL. Nothing is rounded.

    where : file and column, for the message

    Raises
    ------
    InputError : a value has more decimals than its field declares: a live event that holds it is refused as well
    """
    if scale:
        moved = (values.cast(pl.Decimal(38, scale)) * 10**scale).cast(pl.Int64)
    else:
        moved = values.cast(pl.Int64)
    finer = values.filter(_finer(values, moved, scale))
    if len(finer):
        more = f" and {len(finer) - 1} more" if len(finer) > 1 else ""
        raise InputError(
            "a number has more decimal places than its field", where=where or f"column {values.name}",
            found=f"{finer[0]}{more}", allowed=f"at most {scale}",
            cure="Round it at the source: Quanheng never rounds what it is given.",
        )  # fmt: skip
    found: NDArray[np.int64] = moved.fill_null(NULL).to_numpy()
    return found


def _finer(values: pl.Series, moved: pl.Series, scale: int) -> pl.Series:
    """Which values have more than `scale` decimals. Of a float the shortest text that names it counts: it has no more
    where the quotient, correctly rounded, is the float itself (below 2^53; above no float has decimals).
    """
    if values.dtype.is_float():
        whole = moved.fill_null(0).to_numpy().astype(np.float64)
        back = whole / 10.0**scale  # By numpy: Polars multiplies by the reciprocal, which rounds twice.
        return pl.Series((back != values.cast(pl.Float64).fill_null(0.0).to_numpy()) & (np.abs(whole) < 2.0**53))
    if values.dtype == pl.String:
        return values.str.strip_chars().str.extract(r"\.(\d*?)0*$").str.len_bytes() > scale
    if isinstance(values.dtype, pl.Decimal):
        return values.cast(pl.Decimal(38, scale)) != values
    return pl.repeat(False, len(values), dtype=pl.Boolean, eager=True)
