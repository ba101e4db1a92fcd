"""Rows of a file as events, in order of arrival, a batch at a time: the file never has to fit in memory."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from heapq import heappop, heappush
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from quanheng.kernel.errors import InputError, NotFound
from quanheng.kernel.time import parse_time_ms

if TYPE_CHECKING:
    from quanheng.events.schema import EventDeclaration
    from quanheng.loading.declared import ColumnSource, EventMapping, FileMapping

BATCH_ROWS = 20_000
SUFFIXES = (".csv", ".parquet", ".jsonl")
_WHOLE = re.compile(r"[+-]?\d+")
_TRUTH = {"true": True, "false": False, "1": True, "0": False}


class Arrival(NamedTuple):
    """One event of a file.

    row : number of its row, from 1
    id : request id, the same whenever the file is read again
    type : event type
    data : JSON object of its fields
    """

    row: int
    id: str
    type: str
    data: bytes


def count_rows(file: Path) -> int:
    """Rows of the file.

    Raises
    ------
    NotFound, InputError : the file cannot be read
    """
    _check(file)
    if file.suffix == ".jsonl":
        with file.open("rb") as lines:
            return sum(1 for line in lines if line.strip())
    import polars as pl

    return int(_scan(file).select(pl.len()).collect().item())


def arrivals(file: Path, mapping: FileMapping, events: Mapping[str, EventDeclaration]) -> Iterator[list[Arrival]]:
    """Events of all rows, in order of arrival: an event with a delay comes after the rows that happened meanwhile.

    Parameters
    ----------
    file : .csv, .parquet or .jsonl, its rows in order of time
    mapping : how a row becomes events
    events : declared event types by name

    Raises
    ------
    NotFound, InputError : the file cannot be read, or lacks a column that the mapping names
    """
    makers = [_Maker(one, events[one.event], mapping, index) for index, one in enumerate(mapping.events)]
    waiting: list[tuple[int, int, Arrival]] = []
    number = 0
    for batch in _batches(file):
        if batch and number == 0:
            _check_columns(file, batch[0], mapping)
        ready: list[Arrival] = []
        for row in batch:
            number += 1
            for order, maker in enumerate(makers):
                made = maker.make(row, number)
                if made is None:
                    continue
                if maker.delay_ms:
                    heappush(waiting, (maker.time_ms + maker.delay_ms, number * len(makers) + order, made))
                    continue
                while waiting and waiting[0][0] <= maker.time_ms:
                    ready.append(heappop(waiting)[2])
                ready.append(made)
        yield ready
    yield [heappop(waiting)[2] for _ in range(len(waiting))]


def ready_events(file: Path) -> Iterator[list[Arrival]]:
    """Events of a .jsonl file whose lines are events already: {"id", "type", "data"}.

    Raises
    ------
    InputError : a line is no event
    """
    from quanheng.server.intake import EventIn

    _check(file)
    decoder = msgspec.json.Decoder(EventIn)
    ready: list[Arrival] = []
    with file.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                one = decoder.decode(line)
            except msgspec.DecodeError as error:
                raise InputError(
                    "the line is not an event",
                    where=f"{file}:{number}",
                    found=str(error).replace(", got ", ", was "),
                    allowed='{"id": text, "type": text, "data": object}',
                    cure="Correct the line, or name a mapping of the pack with --map.",
                ) from None
            ready.append(Arrival(number, one.id, one.type, bytes(one.data)))
            if len(ready) >= BATCH_ROWS:
                yield ready
                ready = []
    yield ready


class _Maker:
    """Makes the events of one mapped type. After `make`, `time_ms` is the event's time, as far as it can be read."""

    def __init__(self, one: EventMapping, declared: EventDeclaration, mapping: FileMapping, index: int) -> None:
        self.delay_ms, self.time_ms = one.delay_ms, 0
        self._type, self._where, self._time = one.event, one.where, declared.time
        self._fields = [
            (name, source.column, source.constant, CONVERTERS[declared.fields[name].kind])
            for name, source in one.fields.items()
        ]
        self._id = one.id
        earlier = [other.id.column for other in mapping.events[:index] if other.id is not None]
        shared = one.id is not None and one.id.column in earlier
        self._prefix = f"{one.event}:" if shared else f"{mapping.name}:{one.event}:" if one.id is None else ""

    def make(self, row: Mapping[str, Any], number: int) -> Arrival | None:
        if self._where is not None and not _equal(row.get(self._where[0]), self._where[1]):
            return None
        data = {}
        for name, column, constant, convert in self._fields:
            value = convert(row.get(column) if column else constant)
            if value is not None:
                data[name] = value
        time_ms = data.get(self._time)
        if isinstance(time_ms, int):
            self.time_ms = time_ms
        return Arrival(number, self._prefix + _id_of(self._id, row, number), self._type, _encode(data))


def _id_of(source: ColumnSource | None, row: Mapping[str, Any], number: int) -> str:
    if source is None:
        return str(number)
    return str(row.get(source.column)) if source.column else str(source.constant)


def _whole(value: Any) -> Any:
    """An integer where the cell holds one; anything else stays, for the schema check to refuse."""
    if isinstance(value, str):
        return int(value) if _WHOLE.fullmatch(value.strip()) else value
    if isinstance(value, float | Decimal) and value == int(value):
        return int(value)
    return value


def _decimal(value: Any) -> Any:
    return Decimal(repr(value)) if isinstance(value, float) else value


def _truth(value: Any) -> Any:
    return _TRUTH.get(str(value).strip().lower(), value) if isinstance(value, str | int) else value


def _moment(value: Any) -> Any:
    """Milliseconds UTC of a date, a time, ISO 8601 text or a number of milliseconds."""
    if isinstance(value, dt.date):
        return parse_time_ms(value)
    if isinstance(value, str):
        text = value.strip()
        if _WHOLE.fullmatch(text):
            return int(text)
        try:
            return parse_time_ms(text)
        except InputError:
            return value
    return value


def _text(value: Any) -> Any:
    return value if value is None or isinstance(value, str) else str(value)


CONVERTERS: dict[str, Callable[[Any], Any]] = {
    "key": _text,
    "text": _text,
    "choice": _text,
    "integer": _whole,
    "decimal": _decimal,
    "boolean": _truth,
    "time": _moment,
}
_encode = msgspec.json.Encoder(decimal_format="number").encode


def _equal(found: Any, wanted: object) -> bool:
    """Whether a cell equals a value of the mapping; cells of a .csv file are text."""
    if isinstance(found, str) and not isinstance(wanted, str):
        return _truth(found) is wanted if isinstance(wanted, bool) else _whole(found) == wanted
    return bool(found == wanted)


def _batches(file: Path) -> Iterator[Sequence[Mapping[str, Any]]]:
    _check(file)
    if file.suffix == ".jsonl":
        yield from _json_batches(file)
        return
    for frame in _scan(file).collect_batches(chunk_size=BATCH_ROWS, maintain_order=True):
        yield frame.to_dicts()


def _json_batches(file: Path) -> Iterator[list[dict[str, Any]]]:
    decoder = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)
    batch: list[dict[str, Any]] = []
    with file.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                batch.append(decoder.decode(line))
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise _unreadable(file, f"line {number}: {str(error).replace(', got ', ', was ')}") from error
            if len(batch) >= BATCH_ROWS:
                yield batch
                batch = []
    yield batch


def _scan(file: Path) -> Any:
    import polars as pl

    try:
        # Cells of a .csv file stay text: no guessed type may change an amount or an identifier.
        frame = pl.scan_parquet(file) if file.suffix == ".parquet" else pl.scan_csv(file, infer_schema=False)
        frame.collect_schema()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise _unreadable(file, str(error).splitlines()[0]) from error
    return frame


def _check(file: Path) -> None:
    if file.suffix not in SUFFIXES:
        raise InputError(
            "the kind of file is unknown", where=str(file), found=file.suffix or "none", allowed=", ".join(SUFFIXES),
            cure="Convert it, or rename it to what it is.",
        )  # fmt: skip
    if not file.is_file():
        raise NotFound("there is no such file", where=str(file), cure="Correct the path.")


def _check_columns(file: Path, row: Mapping[str, Any], mapping: FileMapping) -> None:
    needed = {source.column for one in mapping.events for source in one.fields.values() if source.column}
    needed |= {one.where[0] for one in mapping.events if one.where}
    needed |= {one.id.column for one in mapping.events if one.id is not None and one.id.column}
    missing = sorted(needed - row.keys())
    if missing and file.suffix != ".jsonl":
        raise InputError(
            "the file lacks columns that the mapping names",
            where=f"{file}, mapping {mapping.name}",
            found=", ".join(row),
            allowed=", ".join(sorted(needed)),
            cure=f"Missing: {', '.join(missing)}. Choose another mapping with --map, or rename the columns.",
        )


def _unreadable(file: Path, found: str) -> InputError:
    return InputError(
        "the file cannot be read", where=str(file), found=found, cure="Check that it is whole, and its suffix right."
    )
