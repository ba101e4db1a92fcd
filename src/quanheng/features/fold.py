"""What a pack declares about features: layouts of events and folds over them, checked all at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Any

from quanheng.events.schema import EventDeclaration, header_fields
from quanheng.features.conditions import compile_condition, problem_of
from quanheng.features.kinds import CALENDAR_KINDS, KINDS
from quanheng.features.reach import reaches, way_back
from quanheng.features.settings import check_settings
from quanheng.features.structure_checks import check_structures
from quanheng.features.windows import check_keys, check_windows, key_fields
from quanheng.kernel.calendars import Calendars
from quanheng.kernel.errors import ExpressionError, Problem
from quanheng.kernel.zones import is_zone

WINDOW_MAX_MS = 2**60
BUILT = (
    "count", "sum", "mean", "min", "max", "range", "distinct", "last", "time_since", "first", "nth_last", "last_time",
    "first_time", "time_since_first", "seen", "streak", "variance", "stddev", "skew", "zscore", "ratio", "change",
    "trend", "decayed_count", "decayed_sum", "decayed_mean", "top", "top_share", "entropy", "percentile", "distance",
    "speed", *CALENDAR_KINDS,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class EventLayout:
    """How the rows of one event type are laid out.

    name, code : as declared; the code is the type code of the log record
    keys : names of the key columns, in the order of the record (16-byte pseudonyms; all zeros = null)
    numbers : names of the number columns, in the order of the record (scaled int64; NULL = -2**63)
    scales : decimal places of each number column; empty = all are integers
    choices : number columns that hold the place (from 0) of a choice in a list, with the list
    flags : number columns that hold true (1) or false (0)
    """

    name: str
    code: int
    keys: tuple[str, ...]
    numbers: tuple[str, ...]
    scales: tuple[int, ...] = ()
    choices: tuple[tuple[str, tuple[str, ...]], ...] = ()
    flags: tuple[str, ...] = ()

    @property
    def amounts(self) -> tuple[str, ...]:
        """Number columns that can be summed and compared: all but choices."""
        choices = {name for name, _ in self.choices}
        return tuple(name for name in self.numbers if name not in choices)

    def scale(self, number: str) -> int:
        """Decimal places of a number column."""
        return self.scales[self.numbers.index(number)] if self.scales else 0


def layout_of(declaration: EventDeclaration, code: int) -> EventLayout:
    """The layout of an event type, as headers hold it."""
    fields, numbers = declaration.fields, header_fields(declaration)
    return EventLayout(
        declaration.name,
        code,
        tuple(name for name, field in fields.items() if field.kind == "key"),
        numbers,
        tuple(fields[name].scale if fields[name].kind == "decimal" else 0 for name in numbers),
        tuple((name, tuple(fields[name].choices)) for name in numbers if fields[name].kind == "choice"),
        tuple(name for name in numbers if fields[name].kind == "boolean"),
    )


@dataclass(frozen=True, slots=True)
class Fold:
    """One aggregate over the events of one type with the same key; see docs/reference/features.md.

    name : column name
    of : event type that is folded
    by : key fields that must be equal; empty = all events of the type
    fold : one of `kinds.KINDS`
    value : the field that is folded, for kinds that read one
    window_ms : the window is (t-delay-window, t-delay]; None = all history up to t-delay
    delay_ms : how far the window ends before the moment of decision
    current : "in" | "out": whether the event being decided belongs to its own undelayed window
    empty : value where the window holds nothing; None = 0 or null, as the kind says
    where : FEEL condition on number, choice, boolean and time fields: other events are not folded
    since : the window begins where this day, week, month, quarter or year began in `zone` (one of `kinds.STARTS`)
    zone : IANA name of the time zone of `since` and of calendar kinds
    last : only the last so many events of the window
    gap_ms : only the last session of the window: events that follow one another by at most so much. The session goes
        on until the moment t-delay if that is no further behind its last event; else the window is empty
    match : key fields of the decided event that stand for `by`, one for one; empty = those of the same name
    through : name of a `last` fold over a key field: what it answers is the key, in place of a field of the event
    age_ms_max : null, not `empty`, where the newest event of the window is older than this at the moment of decision
    other : second number field: the denominator of `ratio`, the longitude of `distance` and `speed`
    half_life_ms : after which a decayed fold counts an event half
    per_ms : unit of time of a `trend`: its answer is in units of the value per so many ms
    nth : which event from the last, for `nth_last`; 1 = the last
    quantile : share of values at or below a `percentile`, 0 to 1
    accuracy : largest relative error of a `percentile`
    exact_max : number of distinct values up to which `distinct` over all history is exact
    calendar : name of the calendar of days off, for `holiday` and `workday`
    decimals : digits behind the point at which a policy sees an answer that is a float
    """

    name: str
    of: str
    by: tuple[str, ...]
    fold: str
    value: str | None = None
    window_ms: int | None = None
    delay_ms: int = 0
    current: str = "in"
    empty: int | Decimal | None = None
    where: str | None = None
    since: str | None = None
    zone: str = "UTC"
    last: int | None = None
    gap_ms: int | None = None
    match: tuple[str, ...] = ()
    through: str | None = None
    age_ms_max: int | None = None
    other: str | None = None
    half_life_ms: int | None = None
    per_ms: int | None = None
    nth: int | None = None
    quantile: Decimal | None = None
    accuracy: Decimal | None = None
    exact_max: int | None = None
    calendar: str | None = None
    decimals: int = 4

    @classmethod
    def of_pack(cls, declared: Any, name: str) -> Fold:
        """The fold that a pack declares (`loading.declared.Fold`), with the name of its column."""
        values: dict[str, Any] = {one: getattr(declared, one) for one in _SETTINGS}
        values.update({one: None for one, value in values.items() if value == ""})
        pack, dot, _ = name.rpartition(".")
        if values["through"] is not None:
            values["through"] = f"{pack}{dot}{values['through']}"
        return cls(name=name, **values)

    @property
    def empty_value(self) -> int | Decimal | None:
        """`empty` with the default of the kind of fold put in."""
        return 0 if self.empty is None and KINDS[self.fold].zero else self.empty


_SETTINGS = tuple(one.name for one in fields(Fold) if one.name != "name")


def check_folds(
    layouts: Mapping[str, EventLayout],
    folds: Sequence[Fold],
    decide: Iterable[str],
    file: str,
    calendars: Calendars | None = None,
) -> list[Problem]:
    """Every problem of the declared folds; empty if they can be compiled."""
    problems = [
        Problem(file, "decide", "no such event type", repr(name), ", ".join(sorted(layouts)), "Declare the event.")
        for name in decide
        if name not in layouts
    ]
    seen: set[str] = set()
    named = {fold.name: fold for fold in folds}
    for fold in folds:
        where = f"fold {fold.name}"
        if fold.name in seen:
            cure = "Rename one of the two."
            problems.append(Problem(file, where, "the name is used twice", repr(fold.name), "", cure))
        seen.add(fold.name)
        wrong = [
            *_check(layouts, fold),
            *check_keys(layouts, folds, fold),
            *_check_time(layouts, fold, calendars or {}),
        ]
        problems += [Problem(file, where, *rest) for rest in wrong]
        reads = [name for name in decide if name in layouts and reaches(fold, folds, name, layouts[name].keys)]
        if not reads and fold.fold in CALENDAR_KINDS:
            cure = "Ask it of an event that is decided."
            problems.append(Problem(file, where, "this event is not decided", fold.of, ", ".join(decide), cure))
        elif (
            not reads
            and fold.of in layouts
            and set(fold.by) <= set(layouts[fold.of].keys)
            and not way_back(fold, named)
        ):
            problems.append(
                Problem(
                    file, where, "no event that is decided has these key fields", key_fields(named, fold),
                    "; ".join(f"{name}: {', '.join(layouts[name].keys)}" for name in decide if name in layouts),
                    "Fold by keys that a decided event carries, or remove the fold.",
                )
            )  # fmt: skip
    return problems


def _check(layouts: Mapping[str, EventLayout], fold: Fold) -> list[tuple[str, str, str, str]]:
    """(message, found, known, cure) of each problem within one fold."""
    found: list[tuple[str, str, str, str]] = []
    if fold.fold not in KINDS:
        found.append(("no such kind of fold", repr(fold.fold), ", ".join(KINDS), "Use one of the known kinds."))
    elif fold.fold not in BUILT:
        found.append(("this kind of fold is not built yet", fold.fold, ", ".join(sorted(BUILT)), "Use another kind."))
    if fold.current not in {"in", "out"}:
        found.append(("`current` is neither in nor out", repr(fold.current), "in, out", "Use one of the two."))
    if fold.window_ms is not None and not 0 < fold.window_ms <= WINDOW_MAX_MS:
        found.append(("`window` is out of range", f"{fold.window_ms} ms", f"1 to {WINDOW_MAX_MS} ms", "Shorten it."))
    if not 0 <= fold.delay_ms <= WINDOW_MAX_MS:
        found.append(("`delay` is out of range", f"{fold.delay_ms} ms", f"0 to {WINDOW_MAX_MS} ms", "Shorten it."))
    layout = layouts.get(fold.of)
    if layout is None:
        found.append(("no such event type", repr(fold.of), ", ".join(sorted(layouts)), "Declare it in events.toml."))
        return found
    for key in fold.by:
        if key not in layout.keys:
            found.append(("no such key field", repr(key), ", ".join(layout.keys), "Fold by a key field of the event."))
    if len(set(fold.by)) != len(fold.by):
        found.append(("a key field is named twice in `by`", ", ".join(fold.by), "", "Name it once."))
    found += check_windows(fold) + _check_value(layout, fold)
    if fold.fold in KINDS:
        found += check_settings(layout, fold) + check_structures(layout, fold)
    return found


def _check_time(
    layouts: Mapping[str, EventLayout], fold: Fold, calendars: Calendars
) -> list[tuple[str, str, str, str]]:
    """(message, found, known, cure) of zone, calendar and condition."""
    found: list[tuple[str, str, str, str]] = []
    if not is_zone(fold.zone):
        found.append(("no such time zone", repr(fold.zone), "an IANA name", 'Write one such as "Asia/Shanghai".'))
    if fold.calendar is not None and fold.calendar not in calendars:
        found.append(("no such calendar", repr(fold.calendar), ", ".join(calendars), "Declare it in calendars/."))
    if fold.fold in {"holiday", "workday"} and fold.calendar is None:
        found.append((f"{fold.fold} needs a calendar", "none", ", ".join(calendars), "Add `calendar`."))
    if fold.fold in CALENDAR_KINDS and (fold.by or fold.where):
        found.append((f"{fold.fold} asks for the time alone", "by, where", "of, zone", "Remove `by` and `where`."))
    elif fold.where and fold.of in layouts:
        try:
            compile_condition(layouts[fold.of], fold.where, fold.zone, fold.calendar)
        except ExpressionError as error:
            found.append(problem_of(error))
    return found


def _check_value(layout: EventLayout, fold: Fold) -> list[tuple[str, str, str, str]]:
    if fold.fold not in KINDS:
        return []
    if KINDS[fold.fold].reads == "nothing":
        if fold.value is None:
            return []
        return [(f"{fold.fold} takes no value", repr(fold.value), "", "Remove `value`.")]
    kind = KINDS[fold.fold]
    choices = tuple(name for name, _ in layout.choices)
    known = layout.amounts + (layout.keys if kind.reads == "number or key" else ())
    if fold.value is None and kind.reads == "number or nothing":
        return []
    if kind.counts_choices:
        known += choices
    elif fold.value in choices and kind.reads == "number or key":
        cure = "Fold it with distinct, top_share or entropy, or name the choice in `where`."
        return [
            (f"{fold.fold} would answer a choice, and answers are numbers", repr(fold.value), ", ".join(known), cure)
        ]
    if fold.value is None:
        return [(f"{fold.fold} needs a value", "none", ", ".join(known), "Add `value`.")]
    if fold.value not in known:
        return [(f"{fold.fold} cannot read this field", repr(fold.value), ", ".join(known), "Use a known field.")]
    return []
