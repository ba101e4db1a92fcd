"""Rows of a file as events, in order of arrival."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from heapq import heappop, heappush
from math import isfinite, isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from quanheng.cli.row_files import BATCH_ROWS, Unread, check_file, columns_of, rows_of, told
from quanheng.kernel.errors import InputError
from quanheng.kernel.time import parse_time_ms

if TYPE_CHECKING:
    from quanheng.events.schema import EventDeclaration
    from quanheng.loading.declared import ColumnSource, EventMapping, FileMapping

_NO_EVENT = """Allowed: {"id": text, "type": text, "data": object}. Correct it, or name a mapping with --map."""
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


def arrivals(
    file: Path, mapping: FileMapping, events: Mapping[str, EventDeclaration]
) -> Iterator[list[Arrival | Unread]]:
    """Events of all rows, in order of arrival: an event with a delay comes after the rows that happened meanwhile.

    A row that cannot be read is given as `Unread` in its place.

    Parameters
    ----------
    file : .csv, .parquet or .jsonl, its rows in order of time
    mapping : how a row becomes events
    events : declared event types by name

    Raises
    ------
    NotFound, InputError : the file cannot be read, or lacks a column that the mapping names
    """
    _check_columns(file, mapping)
    makers = [_Maker(one, events[one.event], mapping, index) for index, one in enumerate(mapping.events)]
    waiting: list[tuple[int, int, Arrival]] = []
    number = 0
    for batch in rows_of(file):
        ready: list[Arrival | Unread] = []
        for row in batch:
            number += 1
            if isinstance(row, Unread):
                ready.append(row)
                continue
            for order, maker in enumerate(makers):
                made = maker.make(row, number)
                if made is None:
                    continue
                if isinstance(made, Unread):
                    ready.append(made)
                    break
                if maker.delay_ms:
                    heappush(waiting, (maker.time_ms + maker.delay_ms, number * len(makers) + order, made))
                    continue
                while waiting and waiting[0][0] <= maker.time_ms:
                    ready.append(heappop(waiting)[2])
                ready.append(made)
        yield ready
    yield [heappop(waiting)[2] for _ in range(len(waiting))]


def ready_events(file: Path) -> Iterator[list[Arrival | Unread]]:
    """Events of a .jsonl file whose lines are events already: {"id", "type", "data"}. A line that is none is `Unread`.

    Raises
    ------
    NotFound : there is no such file
    """
    from quanheng.server.intake import EventIn

    check_file(file)
    decoder = msgspec.json.Decoder(EventIn)
    ready: list[Arrival | Unread] = []
    with file.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                one = decoder.decode(line)
                ready.append(Arrival(number, one.id, one.type, bytes(one.data)))
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                ready.append(Unread(number, f"line {number} is not an event: {told(error)}. {_NO_EVENT}"))
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

    def make(self, row: Mapping[str, Any], number: int) -> Arrival | Unread | None:
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
        id = _id_of(self._id, row, number)
        if not id:
            return Unread(number, f"{self._type}: the column {self._id and self._id.column!r}, its id, is empty")
        try:
            id.encode()
            return Arrival(number, self._prefix + id, self._type, _encode(data))
        except UnicodeEncodeError:
            return Unread(number, f"{self._type}: the row is not UTF-8 text")


def _id_of(source: ColumnSource | None, row: Mapping[str, Any], number: int) -> str:
    if source is None:
        return str(number)
    return _key(row.get(source.column)) or "" if source.column else str(source.constant)


def _key(value: Any) -> Any:
    """A key as text. A column of whole numbers with gaps is often kept as floats: 7.0 is 7, not a number is nothing."""
    value = _whole(value) if isinstance(value, float) else value
    return value if value is None or isinstance(value, str) else str(value)


def _whole(value: Any) -> Any:
    """An integer where the cell holds one; anything else stays, for the schema check to refuse."""
    if isinstance(value, str):
        return int(value) if _WHOLE.fullmatch(value.strip()) else value
    if isinstance(value, float | Decimal):
        value = _finite(value)
        return int(value) if isinstance(value, float | Decimal) and value == int(value) else value
    return value


def _decimal(value: Any) -> Any:
    value = _finite(value)
    return Decimal(repr(value)) if isinstance(value, float) else value


def _finite(value: Any) -> Any:
    """Not a number is an empty cell, as files of floats write it; the infinite stays as text, to be refused."""
    if isinstance(value, float | Decimal) and not isfinite(value):
        return None if isnan(value) else str(value)
    return value


def _truth(value: Any) -> Any:
    return _TRUTH.get(str(value).strip().lower(), value) if isinstance(value, str | int) else value


def _moment(value: Any) -> Any:
    """Milliseconds UTC of a date, a time, ISO 8601 text or a number of milliseconds."""
    value = _finite(value)
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
    "key": _key,
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


def _check_columns(file: Path, mapping: FileMapping) -> None:
    found = columns_of(file)
    needed = {source.column for one in mapping.events for source in one.fields.values() if source.column}
    needed |= {one.where[0] for one in mapping.events if one.where}
    needed |= {one.id.column for one in mapping.events if one.id is not None and one.id.column}
    if found is None or needed <= set(found):
        return
    raise InputError(
        "the file lacks columns that the mapping names",
        where=f"{file}, mapping {mapping.name}",
        found=", ".join(found),
        allowed=", ".join(sorted(needed)),
        cure=f"Missing: {', '.join(sorted(needed - set(found)))}. Choose another mapping with --map, or rename the "
        "columns.",
    )
