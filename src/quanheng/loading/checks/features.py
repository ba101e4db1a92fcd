"""features.toml: folds over past events, sources with state, and FEEL formulas over all these and fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from quanheng.events.schema import NUMBER_KINDS, EventDeclaration, FieldDeclaration
from quanheng.features.fold import BUILT
from quanheng.features.kinds import KINDS
from quanheng.loading.checks.expressions import names_used
from quanheng.loading.checks.manifest import NO_SUCH_EVENT
from quanheng.loading.declared import Fold, Formula, SourceDeclaration
from quanheng.loading.find import find_sources, load_source
from quanheng.loading.notes import Notes, Words
from quanheng.loading.table import DOTTED_NAME, NAME, Table

FILE = "features.toml"
FOLD_KINDS: tuple[str, ...] = BUILT
WITHOUT_VALUE = frozenset(name for name, kind in KINDS.items() if kind.reads == "nothing")
EMPTY_ZERO = frozenset(name for name, kind in KINDS.items() if kind.zero)
KEY_VALUES = frozenset(name for name, kind in KINDS.items() if kind.reads == "number or key")
FEATURES_MAX = 1000
WINDOW_MS_MAX = 10 * 366 * 86_400_000
KEYS_MAX = 4
DECIMALS_MAX = 12


def check_features(
    values: dict[str, object], events: Mapping[str, EventDeclaration], decided: Sequence[str], notes: Notes
) -> tuple[tuple[Fold, ...], tuple[SourceDeclaration, ...], tuple[Formula, ...]]:
    """Read features.toml.

    Parameters
    ----------
    events : events of this pack and of required packs, by name
    decided : events that a flow of this pack decides
    """
    top = Table(values, FILE, "", notes)
    seen: dict[str, str] = {}
    folds, sources, formulas = [], [], []
    for table in top.tables("fold"):
        fold = _fold(table, events, decided)
        if _unique(table, fold.name, seen, events, decided):
            folds.append(fold)
        if not table.sound:  # Its name may be wrong, or its keys: what reads it would be blamed for that.
            notes.doubt("feature", "source")
    for table in top.tables("source"):
        source = _source(table)
        if source is None:
            notes.doubt("feature", "source")
        elif [_unique(table, one.name, seen, events, decided) for one in source.columns].count(False) == 0:
            sources.append(source)
    for table in top.tables("formula"):
        formula = _formula(table)
        if _unique(table, formula.name, seen, events, decided):
            formulas.append((table.key, formula))
    if not top.done():
        notes.doubt("feature", "source")
    if len(seen) > FEATURES_MAX:
        top.problem("fold", "there are too many features", found=len(seen), known=f"at most {FEATURES_MAX}")
    answers = [column.name for source in sources for column in source.columns]
    return tuple(folds), tuple(sources), _in_order(formulas, folds, answers, events, decided, notes)


def _unique(
    table: Table, name: str, seen: dict[str, str], events: Mapping[str, EventDeclaration], decided: Sequence[str]
) -> bool:
    if not name:
        return False
    if name in seen:
        table.problem(
            "name",
            f"the name is taken by {seen[name]}",
            found=name,
            cure="Give each fold and formula a name of its own.",
        )
        return False
    for event in decided:
        if event in events and name in events[event].fields:
            table.problem(
                "name",
                f"the name is taken by a field of {event}",
                found=name,
                cure="Policies and formulas could not tell them apart: rename one.",
            )
    seen[name] = table.key
    return True


def _fold(table: Table, events: Mapping[str, EventDeclaration], decided: Sequence[str]) -> Fold:
    name = table.text("name", pattern=NAME, wanted='a name such as "customer_count_1d"')
    kind = table.choice("fold", FOLD_KINDS, default="count")
    of = table.text("of", pattern=DOTTED_NAME, wanted="the name of an event")
    by = table.texts("by", least=1)
    value = ""
    if table.values.get("fold") not in FOLD_KINDS:
        table.any("value", required=False)
    elif kind in WITHOUT_VALUE:
        if table.has("value"):
            table.any("value")
            table.problem(
                "value", f"a fold of kind {kind} reads no value", found=table.values["value"], cure="Remove `value`."
            )
    else:
        value = table.text("value", wanted="a number field of the event")
    window_ms = table.duration_ms("window", least_ms=1, most_ms=WINDOW_MS_MAX)
    delay_ms = table.duration_ms("delay", most_ms=WINDOW_MS_MAX) or 0
    current = table.choice("current", ("in", "out"), default="in", required=False)
    empty = table.number("empty", required=False, default=Decimal(0) if kind in EMPTY_ZERO else None)
    title = table.title(required=False)
    table.done()
    if of and of not in events:
        table.problem("of", NO_SUCH_EVENT, found=of, known=list(events), of="event")
    elif of:
        _check_by(table, by, of, events, decided)
        _check_value(table, kind, value, events[of])
    if len(by) > KEYS_MAX:
        table.problem("by", "the list is too long", found=Words(f"{len(by)} entries"), known=f"at most {KEYS_MAX}")
    return Fold(
        name=name,
        of=of,
        by=by,
        fold=kind,
        value=value,
        window_ms=window_ms,
        delay_ms=delay_ms,
        current=current,
        empty=int(empty) if empty is not None and empty == int(empty) else empty,
        title=title,
    )


def _check_by(
    table: Table, by: Sequence[str], of: str, events: Mapping[str, EventDeclaration], decided: Sequence[str]
) -> None:
    keys = [name for name, field in events[of].fields.items() if field.kind == "key"]
    for name in by:
        if name not in keys:
            kind = f"a field of type {events[of].fields[name].kind}: {name}" if name in events[of].fields else name
            table.problem("by", f"a fold is kept by key fields, and {of} has no such key field", found=kind, known=keys)
    deciding = [events[name] for name in decided if name in events]
    if deciding and all(name in keys for name in by) and not any(_shares(by, events[of], event) for event in deciding):
        table.problem(
            "by",
            "no decided event has these key fields of the same entity",
            found=", ".join(by),
            known=", ".join(event.name for event in deciding),
            cure="Name the key field alike in both events.",
        )


def _shares(by: Sequence[str], one: EventDeclaration, other: EventDeclaration) -> bool:
    return all(name in other.fields and other.fields[name].entity == one.fields[name].entity for name in by)


def _check_value(table: Table, kind: str, value: str, event: EventDeclaration) -> None:
    if not value or kind in WITHOUT_VALUE:
        return
    allowed = NUMBER_KINDS | {"key"} if kind in KEY_VALUES else NUMBER_KINDS
    names = [name for name, field in event.fields.items() if field.kind in allowed]
    if value not in event.fields:
        table.problem("value", f"{event.name} has no such field", found=value, known=names)
    elif value not in names:
        table.problem(
            "value",
            f"a fold of kind {kind} cannot read a field of type {event.fields[value].kind}",
            found=value,
            known=names,
        )


def _source(table: Table) -> SourceDeclaration | None:
    """The source that an installed distribution brings under this name."""
    name = table.text("name", pattern=NAME, wanted="the name of an installed source")
    settings = table.table("settings", required=False).values
    table.done()
    if not name:
        return None
    installed = find_sources()
    maker, why = load_source(installed.get(name))
    if maker is None:
        cure = "Install the distribution that brings it (entry point group quanheng.sources)."
        table.problem("name", why, found=name, known=sorted(installed), cure=cure)
        return None
    columns = tuple(maker.columns)
    return SourceDeclaration(name=name, make=maker, version=maker.version, columns=columns, settings=settings)


def _formula(table: Table) -> Formula:
    formula = Formula(
        name=table.text("name", pattern=NAME, wanted='a name such as "amount_to_mean_30d"'),
        type=table.choice("type", ("float",), default="float", required=False),
        decimals=table.integer("decimals", required=False, default=4, least=0, most=DECIMALS_MAX),
        feel=table.text("feel", wanted="a FEEL expression"),
        title=table.title(required=False),
    )
    table.done()
    return formula


def number_fields(fields: Mapping[str, FieldDeclaration]) -> list[str]:
    """Fields a formula or a model can read."""
    return [name for name, field in fields.items() if field.kind in NUMBER_KINDS]


def _in_order(
    drafts: Sequence[tuple[str, Formula]],
    folds: Sequence[Fold],
    answers: Sequence[str],
    events: Mapping[str, EventDeclaration],
    decided: Sequence[str],
    notes: Notes,
) -> tuple[Formula, ...]:
    """Check each formula's text and names, and put formulas after those they use. Cycles are problems."""
    known = {name for event in decided if event in events for name in number_fields(events[event].fields)}
    known |= {fold.name for fold in folds} | set(answers) | {formula.name for _, formula in drafts}
    waiting: dict[str, tuple[str, Formula]] = {}
    for key, formula in drafts:
        if not formula.feel:
            continue
        used = names_used(formula.feel, known, FILE, f"{key}.feel", notes)
        waiting[formula.name] = (key, _with_uses(formula, used))
    done: list[Formula] = []
    while waiting:
        ready = [name for name, (_, formula) in waiting.items() if not any(used in waiting for used in formula.uses)]
        if not ready:
            for key, formula in waiting.values():
                notes.add(
                    FILE,
                    f"{key}.feel",
                    "the formulas need one another in a circle",
                    found=" → ".join(_circle(formula, waiting)),
                    cure="Write one of them without the other.",
                )
            done += [formula for _, formula in waiting.values()]
            notes.doubt("feature", "source")
            break
        done += [waiting.pop(name)[1] for name in ready]
    return tuple(done)


def _circle(start: Formula, waiting: Mapping[str, tuple[str, Formula]]) -> list[str]:
    path = [start.name]
    while True:
        following = next(used for used in waiting[path[-1]][1].uses if used in waiting)
        if following in path:
            return [*path[path.index(following) :], following]
        path.append(following)


def _with_uses(formula: Formula, used: Sequence[str]) -> Formula:
    return Formula(
        name=formula.name,
        feel=formula.feel,
        type=formula.type,
        decimals=formula.decimals,
        uses=tuple(used),
        title=formula.title,
    )
