"""features.toml: folds over past events, sources with state, and FEEL formulas over all these and fields."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from quanheng.events.schema import NUMBER_KINDS, EventDeclaration, FieldDeclaration
from quanheng.loading.checks.expressions import names_used
from quanheng.loading.checks.folds import DECIMALS_MAX, Around, check_keys, read_fold
from quanheng.loading.declared import Fold, Formula, SourceDeclaration
from quanheng.loading.find import find_sources, load_source
from quanheng.loading.notes import Notes
from quanheng.loading.table import NAME, Table

FILE = "features.toml"
FEATURES_MAX = 1000


def check_features(
    values: dict[str, object],
    events: Mapping[str, EventDeclaration],
    decided: Sequence[str],
    calendars: Collection[str],
    balances: Collection[str],
    notes: Notes,
) -> tuple[tuple[Fold, ...], tuple[SourceDeclaration, ...], tuple[Formula, ...]]:
    """Read features.toml.

    Parameters
    ----------
    events : events of this pack and of required packs, by name
    decided : events that a flow of this pack decides
    calendars : names of calendars that folds may use
    balances : names of balances of accounts.toml, which formulas may read
    """
    around = Around(events, decided, calendars)
    top = Table(values, FILE, "", notes)
    seen = {name: f"balance.{name} of accounts.toml" for name in balances}
    folds, sources, formulas = [], [], []
    tables = [(table, read_fold(table, around)) for table in top.tables("fold")]
    check_keys(tables, around)
    for table, fold in tables:
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
    answers = [*balances, *(column.name for source in sources for column in source.columns)]
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
