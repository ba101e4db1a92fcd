"""Profiles of what decisions of a time were served: fields, folds, formulas and answers of sources."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from quanheng.events.schema import EventDeclaration, FieldDeclaration
from quanheng.features.drift.profile import Kind, Profile, Profiles
from quanheng.kernel.errors import InputError, NotFound
from quanheng.kernel.time import format_time, parse_time_ms
from quanheng.known import Scope
from quanheng.loading.declared import Declared, Fold
from quanheng.past.events import EventReader, EventRows
from quanheng.past.known import Served, served
from quanheng.past.versions import flow_on
from quanheng.past.window import (
    TIME_MAX_MS,
    TIME_MIN_MS,
    PastReader,
    PastRows,
    Progress,
    Window,
    activations_of,
    survey,
)
from quanheng.reading import Reader

_NUMBERS = frozenset({"integer", "decimal"})
_CATEGORIES = frozenset({"choice", "boolean"})
_AS_READ = frozenset({"min", "max", "mean", "last", "first", "nth_last", "top", "percentile"})
"""Kinds that answer what they read, in its own terms."""
PERSONAL = frozenset({"personal", "sensitive", "protected"})


def served_profiles(
    reader: Reader, pack: str, window: Window, progress: Progress | None = None
) -> tuple[Profiles, Declared]:
    """Profiles of everything that decisions of a window were given, and the pack as it was last in force there.

    What a version declares anew within the window is profiled over its own rows. Keys and texts are not
    profiled, except a text that declares a class that is not personal, or no class and a pattern: its values are
    counted as categories. Nor are folds whose answer is a key or a moment: one names somebody, the other moves on by
    itself.

    Raises
    ------
    NotFound : no decision of the pack lies in the window
    """
    found = survey(reader, window, None, progress)
    past, events = PastReader(reader, window, found), EventReader()
    columns: dict[str, Profile] = {}
    rows_n, declared = 0, None
    counting = None if progress is None else lambda _, done, all_of_it: progress("counting", done, all_of_it)
    for rows in past.chunks(counting):
        record = served(reader, window.event, rows)
        scopes = record.program.scopes[record.event_type.code]
        scope = next((one for one in scopes if one.pack == pack), None)
        if scope is None:
            continue
        declared = record.program.packs[pack]
        rows_n += len(rows)
        fields = events.read(record.event_type, rows, record.event_type)
        _add_fields(columns, record, fields)
        _add_known(columns, record, scope, rows)
    if declared is None:
        raise NotFound(
            "no decision lies in the window",
            where=f"{window.event}, {_told(window)}",
            found=f"{found.head} records in the log",
            cure="Widen the window; it is about the time of the events.",
        )
    return Profiles(pack, f"{window.event}, {_told(window)}", rows_n, list(columns.values())), declared


def _profile(columns: dict[str, Profile], name: str, kind: Kind) -> Profile:
    return columns.setdefault(name, Profile(name, kind))


def _add_fields(columns: dict[str, Profile], record: Served, events: EventRows) -> None:
    for name, field in record.event_type.declaration.fields.items():
        if field.kind in _NUMBERS:
            _profile(columns, name, "number").add_numbers(_floats(events, name))
        elif field.kind in _CATEGORIES or (field.kind == "text" and _is_code(field)):
            _profile(columns, name, "category").add_categories(events.column(name))


def _is_code(field: FieldDeclaration) -> bool:
    """Whether a text may be counted by its values: its class says that it is of no person, or its pattern that it is
    a code. A free text of which nothing is said (a note to a payment) may hold a name.
    """
    return field.data_class not in PERSONAL if field.data_class else bool(field.pattern)


def _add_known(columns: dict[str, Profile], record: Served, scope: Scope, rows: PastRows) -> None:
    whole = record.whole
    folds = record.program.plan.floats(np.ascontiguousarray(record.raw[whole]))
    packs = record.program.packs
    events = {event.name: event for declared in packs.values() for event in declared.events}
    left_out = {fold.name for fold in packs[scope.pack].folds if _names_or_dates(fold, events)}
    for name, place in scope.folds.items():
        if name in left_out:
            continue
        _profile(columns, name, "number").add_numbers(np.ascontiguousarray(folds[:, place]))
    prefix = f"{scope.pack}."
    for name, values in record.named.items():
        if name.startswith(prefix):
            _profile(columns, name.removeprefix(prefix), "number").add_numbers(np.ascontiguousarray(values[whole]))


def _names_or_dates(fold: Fold, events: Mapping[str, EventDeclaration]) -> bool:
    """Whether a fold answers a key or a moment."""
    if fold.fold in {"last_time", "first_time"}:
        return True
    field = events[fold.of].fields.get(fold.value)
    return field is not None and field.kind in {"key", "time"} and fold.fold in _AS_READ


def _floats(events: EventRows, name: str) -> NDArray[np.float64]:
    return np.array([np.nan if one is None else float(one) for one in events.column(name)], np.float64)  # type: ignore[arg-type]


def _told(window: Window) -> str:
    first = "…" if window.from_ms <= -TIME_MAX_MS else format_time(window.from_ms)[:16]
    last = "…" if window.to_ms >= TIME_MAX_MS else format_time(window.to_ms)[:16]
    return f"{first} – {last}"  # The page shows it in both languages.


def window_of(reader: Reader, pack: str, event: str, first: str, last: str) -> Window:
    """The window of events that a pack decides, from `first` up to `last` (texts; "" = open).

    Raises
    ------
    NotFound : the pack was never in force
    InputError : the pack does not decide such an event, or a moment cannot be read
    """
    activations = [one for one in activations_of(reader) if pack in one.packs]
    if not activations:
        raise NotFound(
            "the pack was never in force in this log",
            where=f"pack {pack}",
            allowed=", ".join(sorted({name for one in activations_of(reader) for name in one.packs})),
            cure="Name a pack that decided here.",
        )
    flow = flow_on(reader.program(activations[-1].offset).packs[pack], event)
    from_ms = parse_time_ms(first) if first else TIME_MIN_MS
    to_ms = parse_time_ms(last) if last else TIME_MAX_MS
    if from_ms >= to_ms:
        raise InputError(
            "the window ends before it begins", where="window", found=f"{first} to {last}",
            cure="Name the earlier moment first; the later one is not part of the window.",
        )  # fmt: skip
    return Window(flow.when, from_ms, to_ms)
