"""The events of a chunk of recorded decisions, field by field, as the declaration of a version reads them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from decimal import Decimal
from functools import lru_cache
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import msgspec

from quanheng.events.schema import NULL, EventDeclaration, EventType
from quanheng.kernel.errors import InputError
from quanheng.past.window import PastRows

if TYPE_CHECKING:
    import polars as pl


class EventRows:
    """The events of a chunk, read by one declaration of their type. Several versions share it where it is the same.

    refused : rows whose event this declaration does not accept
    """

    def __init__(self, event_type: EventType, rows: PastRows, names: Collection[str] = ()) -> None:
        self.refused: set[int] = set()
        self._values: list[dict[str, object] | None] = []
        for index, asked in enumerate(rows.asked):
            try:
                self._values.append(event_type.read(asked.data).values)
            except InputError:
                self.refused.add(index)
                self._values.append(None)

    def column(self, name: str) -> Sequence[object]:
        """A field of every row; None where it was refused."""
        return [None if values is None else values[name] for values in self._values]

    def series(self, name: str) -> pl.Series | None:
        """The same as a column of Polars where that costs nothing; None elsewhere."""
        return None


class TrustedRows(EventRows):
    """The events of a chunk that were taken under this very declaration, so that nothing is checked again.

    Whole numbers, times and flags come from the headers; texts from the content, of which only the fields that are
    asked for are read.
    """

    def __init__(self, event_type: EventType, rows: PastRows, names: Collection[str] = ()) -> None:
        self.refused = set()
        self._rows, self._fields, self._wanted = rows, event_type.declaration.fields, frozenset(names)
        self._at = {name: at for at, name in enumerate(event_type.header_fields)}
        self._read: dict[str, Sequence[object]] = {}

    def column(self, name: str) -> Sequence[object]:
        """A field of every row."""
        if name not in self._read:
            kind = self._fields[name].kind
            if kind in HEADER_KINDS:
                self._read[name] = self._from_header(name, bool if kind == "boolean" else int)
            else:
                self._from_content(name)
        return self._read[name]

    def series(self, name: str) -> pl.Series | None:
        """A whole number or a time, out of the headers; a text, a key or a choice as it was read."""
        import polars as pl

        kind = self._fields[name].kind
        if kind in ("boolean", "decimal"):
            return None
        if kind not in HEADER_KINDS:
            return pl.Series(name, self.column(name), dtype=pl.String)
        numbers = self._rows.numbers[:, self._at[name]]
        missing = numbers == NULL
        series = pl.Series(name, numbers)
        return series.set(pl.Series(missing), None) if missing.any() else series

    def _from_header(self, name: str, kind: type) -> Sequence[object]:
        numbers = self._rows.numbers[:, self._at[name]]
        values: list[int] = numbers.tolist()
        if NULL in numbers:
            return [None if number == NULL else kind(number) for number in values]
        return values if kind is int else [*map(bool, values)]

    def _from_content(self, name: str) -> None:
        """Read a field, and the other wanted ones on the way."""
        names = [one for one in sorted({name, *self._wanted}) if self._fields[one].kind not in HEADER_KINDS]
        decode = _decoder(tuple((one, self._fields[one].kind == "decimal") for one in names))
        found = [decode(asked.data) for asked in self._rows.asked]
        self._read.update({one: list(map(attrgetter(f"f{at}"), found)) for at, one in enumerate(names)})


HEADER_KINDS = frozenset({"integer", "time", "boolean"})
"""Fields whose values a header holds as they were sent; of a decimal it does not hold the zeros at the end."""


@lru_cache
def _decoder(fields: tuple[tuple[str, bool], ...]) -> Callable[[bytes], Any]:
    """Reads some fields of a JSON object as f0, f1, ..., the others are passed over."""
    declared = [
        (f"f{at}", Decimal | None if is_decimal else str | None, msgspec.field(default=None, name=name))
        for at, (name, is_decimal) in enumerate(fields)
    ]
    return msgspec.json.Decoder(msgspec.defstruct("Fields", declared, gc=False)).decode


class EventReader:
    """Reads chunks by declarations; the last chunk is kept for each.

    names : fields that will be asked for, so that they are read in one go
    """

    def __init__(self, names: Collection[str] = ()) -> None:
        self.names = {*names}
        self._rows: PastRows | None = None
        self._read: list[tuple[EventDeclaration, EventRows]] = []

    def read(self, event_type: EventType, rows: PastRows, taken_by: EventType | None = None) -> EventRows:
        """The events of `rows`, read once per declaration.

        taken_by : the type as it was when they were taken; None = not known, everything is checked again
        """
        if rows is not self._rows:
            self._rows, self._read = rows, []
        declaration = event_type.declaration
        for one, known in self._read:
            if one == declaration:
                return known
        trusted = taken_by is not None and taken_by.declaration == declaration
        names = [name for name in self.names if name in declaration.fields]
        made = (TrustedRows if trusted else EventRows)(event_type, rows, names)
        self._read.append((declaration, made))
        return made
