"""The folds of features.toml: what each says, whether its kind takes it, and whose keys it is asked by."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from quanheng.events.schema import NUMBER_KINDS, EventDeclaration
from quanheng.features.conditions import DAYS_OFF, asks_time, compile_condition, keys_compared, problem_of
from quanheng.features.fold import BUILT, layout_of
from quanheng.features.kinds import CALENDAR_KINDS, KINDS, STARTS
from quanheng.features.reach import way_back
from quanheng.kernel.errors import ExpressionError
from quanheng.kernel.zones import is_zone
from quanheng.loading.checks.fold_ranges import check_ranges
from quanheng.loading.checks.manifest import NO_SUCH_EVENT
from quanheng.loading.declared import Fold
from quanheng.loading.notes import Words
from quanheng.loading.table import DOTTED_NAME, NAME, Table

WINDOW_MS_MAX = 10 * 366 * 86_400_000
KEYS_MAX = 4
DECIMALS_MAX = 12
LAST_MAX = 1_000_000
NTH_MAX = 1000
EXACT_MAX = 10_000_000

OWN = {
    "other": "other", "half_life": "half_life_ms", "per": "per_ms", "nth": "nth", "quantile": "quantile",
    "accuracy": "accuracy", "exact_max": "exact_max", "calendar": "calendar", "decimals": "decimals",
}  # fmt: skip
"""Settings that only some kinds have: the key of the file → the name in the table of kinds."""
OF_WINDOWS = (
    "window", "delay", "current", "where", "since", "last", "gap", "match", "through", "age_max",
)  # fmt: skip
"""Settings of every kind that folds events."""


@dataclass(frozen=True, slots=True)
class Around:
    """What stands around the folds of a pack.

    events : events of this pack and of required packs, by name
    decided : names of events that a flow of this pack decides
    calendars : names of calendars that a fold may use
    """

    events: Mapping[str, EventDeclaration]
    decided: Sequence[str]
    calendars: Collection[str]


def read_fold(table: Table, around: Around) -> Fold:
    """One `[[fold]]`. What does not fit is noted; `check_keys` must follow when all folds are read."""
    name = table.text("name", pattern=NAME, wanted='a name such as "customer_count_1d"')
    known = table.values.get("fold") in BUILT
    kind = table.choice("fold", BUILT, default="count")
    of = table.text("of", pattern=DOTTED_NAME, wanted="the name of an event")
    timeless = kind in CALENDAR_KINDS
    by = table.texts("by", required=not timeless, least=0 if timeless else 1)
    settings = _settings(table)
    empty = table.number("empty", required=False, default=Decimal(0) if KINDS[kind].zero else None)
    fold = Fold(
        name=name, of=of, by=by, fold=kind, **settings, title=table.title(required=False),
        empty=int(empty) if empty is not None and empty == int(empty) else empty,
    )  # fmt: skip
    table.done()
    if known:
        _check_settings(table, fold)
        check_ranges(table, fold)
    if of and of not in around.events:
        table.problem("of", NO_SUCH_EVENT, found=of, known=list(around.events), of="event")
    elif of:
        event = around.events[of]
        _check_by(table, fold, event)
        if known:
            _check_value(table, "value", fold.value, fold, event)
            _check_value(table, "other", fold.other, fold, event)
        _check_time(table, fold, event, around)
    if len(by) > KEYS_MAX:
        table.problem("by", "the list is too long", found=Words(f"{len(by)} entries"), known=f"at most {KEYS_MAX}")
    return fold


def _settings(table: Table) -> dict[str, Any]:
    """Every setting of a fold by its name in `declared.Fold`."""

    def count(name: str, most: int) -> int | None:
        found = table.integer(name, required=False, least=1, most=most)
        return found or None

    return {
        "value": table.text("value", required=False, wanted="a field of the event"),
        "window_ms": table.duration_ms("window", least_ms=1, most_ms=WINDOW_MS_MAX),
        "delay_ms": table.duration_ms("delay", most_ms=WINDOW_MS_MAX) or 0,
        "current": table.choice("current", ("in", "out"), default="in", required=False),
        "where": table.text("where", required=False, wanted="a FEEL condition on fields of the event"),
        "since": table.choice("since", STARTS, required=False),
        "zone": table.text("zone", required=False, default="UTC", wanted='a time zone such as "Asia/Shanghai"'),
        "last": count("last", LAST_MAX),
        "gap_ms": table.duration_ms("gap", least_ms=1, most_ms=WINDOW_MS_MAX),
        "match": table.texts("match", required=False, least=1 if table.has("match") else 0),
        "through": table.text("through", required=False, wanted="the name of a `last` fold of a key field"),
        "age_ms_max": table.duration_ms("age_max", least_ms=1, most_ms=WINDOW_MS_MAX),
        "other": table.text("other", required=False, wanted="a number field of the event"),
        "half_life_ms": table.duration_ms("half_life", least_ms=1, most_ms=WINDOW_MS_MAX),
        "per_ms": table.duration_ms("per", least_ms=1, most_ms=WINDOW_MS_MAX),
        "nth": count("nth", NTH_MAX),
        "quantile": table.number("quantile", required=False, least=0, most=1),
        "accuracy": table.number("accuracy", required=False, least=Decimal("0.001"), most=Decimal("0.2")),
        "exact_max": count("exact_max", EXACT_MAX),
        "calendar": table.text("calendar", required=False, wanted="the name of a calendar"),
        "decimals": table.integer("decimals", required=False, default=4, least=0, most=DECIMALS_MAX),
    }


def _check_settings(table: Table, fold: Fold) -> None:
    """Whether the kind needs, or has, what is said."""
    name, kind = fold.fold, KINDS[fold.fold]
    if kind.reads == "nothing":
        if table.has("value"):
            cure = "Remove `value`."
            table.problem("value", f"a fold of kind {name} reads no value", found=table.values["value"], cure=cure)
    elif kind.reads != "number or nothing" and not table.has("value"):
        table.problem("value", "the key is missing", known="a number field of the event")
    needs = {*kind.needs, *(("other",) if kind.other else ())}
    may = {*kind.may, *needs, *(("decimals",) if kind.answers == "float" else ())}
    if fold.where and fold.fold not in CALENDAR_KINDS:
        may.add("calendar")
    for key, setting in OWN.items():
        if setting in needs and not table.has(key):
            table.problem(key, f"a fold of kind {name} needs this setting", known=_WANTED[key])
        elif table.has(key) and setting not in may:
            cure = f"Remove `{key}`."
            table.problem(key, f"a fold of kind {name} has no such setting", found=table.values[key], cure=cure)
    if fold.fold in CALENDAR_KINDS:
        for key in OF_WINDOWS:
            if table.has(key):
                what = f"a fold of kind {name} asks for the time of the event alone"
                table.problem(key, what, found=table.values[key], cure=f"Remove `{key}`.")
        if fold.by:
            what = f"a fold of kind {name} has no keys"
            table.problem("by", what, found=", ".join(fold.by), cure="Remove `by`, or write [].")
        return
    if fold.since and table.has("window"):
        cure = "Keep `window` for a moving window, `since` for one that begins with a day, week, month …"
        table.problem("since", "a window begins in one way", found=Words("`window` and `since`"), cure=cure)
    if table.has("zone") and not fold.since and not fold.where:
        cure = "Remove `zone`, or say `since` or `where`."
        table.problem("zone", "nothing here asks for a time zone", found=fold.zone, cure=cure)


_WANTED = {
    "other": "a number field of the event", "half_life": 'a duration such as "7d"', "per": 'a duration such as "1d"',
    "nth": "1 for the last event, 2 for the one before", "quantile": "a share such as 0.95",
    "calendar": "the name of a calendar",
}  # fmt: skip


def _check_by(table: Table, fold: Fold, event: EventDeclaration) -> None:
    keys = _keys(event)
    for name in fold.by:
        if name not in keys:
            kind = f"a field of type {event.fields[name].kind}: {name}" if name in event.fields else name
            what = f"a fold is kept by key fields, and {event.name} has no such key field"
            table.problem("by", what, found=kind, known=keys)


def _check_value(table: Table, key: str, value: str, fold: Fold, event: EventDeclaration) -> None:
    """A field that is folded: numbers; for some kinds keys, and choices where the answer is a number."""
    kind = KINDS[fold.fold]
    if not value or kind.reads == "nothing" or (key == "other" and not kind.other):
        return
    allowed = set(NUMBER_KINDS)
    if key == "value" and kind.reads == "number or key":
        allowed |= {"key", "choice"} if kind.counts_choices else {"key"}
    names = [name for name, field in event.fields.items() if field.kind in allowed]
    if value not in event.fields:
        table.problem(key, f"{event.name} has no such field", found=value, known=names)
    elif value not in names:
        field = event.fields[value].kind
        cure = "Count it (distinct, top_share, entropy), or ask for a choice in `where`." if field == "choice" else ""
        what = f"a fold of kind {fold.fold} cannot read a field of type {field}"
        table.problem(key, what, found=value, known=names, cure=cure)


def _check_time(table: Table, fold: Fold, event: EventDeclaration, around: Around) -> None:
    """Zone, calendar and condition."""
    sound = is_zone(fold.zone)
    if not sound:
        table.problem("zone", "there is no such time zone", found=fold.zone, known='an IANA name, "Asia/Shanghai"')
    if fold.calendar and fold.calendar not in around.calendars:
        cure = "Declare it in calendars/."
        table.problem(
            "calendar", "there is no such calendar", found=fold.calendar, known=list(around.calendars), cure=cure
        )
    if not fold.where or fold.fold in CALENDAR_KINDS:
        return
    layout = layout_of(event, 0)
    texts = sorted(name for name, field in event.fields.items() if field.kind == "text")
    if asks_time(layout, fold.where) & DAYS_OFF and not fold.calendar:
        table.problem(
            "calendar", "the condition asks for days off", known=list(around.calendars), cure="Add `calendar`."
        )
        return
    try:
        compile_condition(layout, fold.where, fold.zone if sound else "UTC", fold.calendar or None)
    except ExpressionError as error:
        message, found, known, cure = problem_of(error)
        if sealed := [name for name in texts if f"'{name}'" in error.what]:
            message = message.partition(": ")[0] + f": the text field {sealed[0]} is sealed in the payload, and windows"
            message += " are folded from the clear headers of the log, so that recovery and erasure need no keys"
            cure = "Declare the field as a choice, or send what you ask of it as a number or boolean."
        cure = cure.replace("Declare it as an input", "Declare it as a field of the event")
        table.problem("where", message, found=found or fold.where, known=known, cure=cure)
        return
    for one, other in keys_compared(layout, fold.where):
        entities = event.fields[one].entity, event.fields[other].entity
        if entities[0] != entities[1]:
            what = "the condition compares keys of two entities, whose pseudonyms are never equal"
            found = Words(f"{one} ({entities[0]}), {other} ({entities[1]})")
            table.problem("where", what, found=found, cure="Compare key fields of one entity.")


def check_keys(tables: Sequence[tuple[Table, Fold]], around: Around) -> None:
    """By whose keys each fold is asked: those of the same name, those of `match`, or what another fold answers."""
    folds = {fold.name: fold for _, fold in tables}
    for table, fold in tables:
        event = around.events.get(fold.of)
        if event is None or not set(fold.by) <= set(_keys(event)) or (not fold.by and not fold.through):
            _check_decided(table, fold, around)
        elif fold.through:
            _check_through(table, fold, event, folds, around)
        elif fold.match:
            _check_match(table, fold, event, around)
        else:
            _check_shared(table, fold, event, around)


def _check_decided(table: Table, fold: Fold, around: Around) -> None:
    if fold.fold in CALENDAR_KINDS and fold.of in around.events and around.decided and fold.of not in around.decided:
        what = f"a fold of kind {fold.fold} is asked of the event that is decided"
        table.problem("of", what, found=fold.of, known=list(around.decided))


def _check_shared(table: Table, fold: Fold, event: EventDeclaration, around: Around) -> None:
    deciding = [around.events[name] for name in around.decided if name in around.events]
    if deciding and not any(_entities(one, fold.by) == _entities(event, fold.by) for one in deciding):
        table.problem(
            "by",
            "no decided event has these key fields of the same entity",
            found=", ".join(fold.by),
            known=", ".join(one.name for one in deciding),
            cure="Name the key field alike in both events.",
        )


def _check_match(table: Table, fold: Fold, event: EventDeclaration, around: Around) -> None:
    if len(fold.match) != len(fold.by):
        what, found = "`match` stands for `by`, one for one", Words(f"{len(fold.match)} for {len(fold.by)}")
        table.problem("match", what, found=found, known=", ".join(fold.by))
        return
    wanted = _entities(event, fold.by)
    deciding = [around.events[name] for name in around.decided if name in around.events]
    if deciding and not any(_entities(one, fold.match) == wanted for one in deciding):
        fitting = [
            f"{one.name}: {name}"
            for one in deciding
            for name in _keys(one)
            if one.fields[name].entity in (wanted or ())
        ]  # fmt: skip
        what = "no decided event has these key fields of the entities of `by`"
        table.problem("match", what, found=", ".join(fold.match), known=fitting)


def _check_through(
    table: Table, fold: Fold, event: EventDeclaration, folds: Mapping[str, Fold], around: Around
) -> None:
    if fold.match:
        cure = "Keep one of the two."
        table.problem("through", "a key comes from the event or from a fold", found="`match` and `through`", cure=cure)
    if len(fold.by) != 1:
        table.problem("through", "a fold answers one key, and `by` names more", found=", ".join(fold.by))
        return
    usable = {
        one.name: around.events[one.of].fields[one.value].entity
        for one in folds.values()
        if one.fold == "last" and one.of in around.events and one.value in _keys(around.events[one.of])
    }
    entity = event.fields[fold.by[0]].entity
    if fold.through not in usable:
        what = "`through` names a fold of kind `last` that reads a key field"
        table.problem("through", what, found=fold.through, known=[one for one, of in usable.items() if of == entity])
    elif usable[fold.through] != entity:
        what = f"the fold answers keys of another entity than {fold.by[0]}"
        table.problem("through", what, found=f"{fold.through}: {usable[fold.through]}", known=entity)
    elif circle := way_back(fold, folds):
        cure = "Read one of them by a key field of the decided event: give it `match`, or no `through`."
        known = [one for one, of in usable.items() if of == entity and one not in circle]
        what = "`through` leads back to the fold itself, which so has no key"
        table.problem("through", what, found=Words(" → ".join(circle)), known=known, cure=cure)


def _keys(event: EventDeclaration) -> list[str]:
    return [name for name, field in event.fields.items() if field.kind == "key"]


def _entities(event: EventDeclaration, names: Sequence[str]) -> tuple[str, ...] | None:
    """Entities of key fields; None where one is not there."""
    fields = event.fields
    if any(name not in fields or fields[name].kind != "key" for name in names):
        return None
    return tuple(fields[name].entity for name in names)
