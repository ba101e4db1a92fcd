"""Checks packs: one checker per kind of file, each given what those before it found."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import msgspec

from quanheng.events.schema import EventDeclaration
from quanheng.kernel.calendars import Calendar
from quanheng.kernel.errors import DeclarationError, NotFound, Problem
from quanheng.loading.balances import ledger_sources
from quanheng.loading.checks.accounts import check_accounts
from quanheng.loading.checks.acts import check_acts
from quanheng.loading.checks.amounts import check_amounts
from quanheng.loading.checks.asks import check_asks
from quanheng.loading.checks.calendars import check_calendars, shipped_calendars
from quanheng.loading.checks.calls import FILE as CALLS_FILE
from quanheng.loading.checks.calls import call_events, check_calls
from quanheng.loading.checks.cases import Known, check_cases
from quanheng.loading.checks.chart import FILE as ACCOUNTS_FILE
from quanheng.loading.checks.evaluations import check_evaluations
from quanheng.loading.checks.events import check_events
from quanheng.loading.checks.experiments import FILE as EXPERIMENTS_FILE
from quanheng.loading.checks.experiments import check_experiments
from quanheng.loading.checks.features import check_features, number_fields
from quanheng.loading.checks.known import check_shared_names, decimals_of, sources_of
from quanheng.loading.checks.life_cycles import (
    LifeCycles,
    check_life_cycles,
    check_steps,
    place_life_cycles,
    read_life_cycles,
)
from quanheng.loading.checks.lists import FILE as LISTS_FILE
from quanheng.loading.checks.lists import check_lists
from quanheng.loading.checks.loan_asks import check_loan_texts
from quanheng.loading.checks.manifest import FILE as MANIFEST_FILE
from quanheng.loading.checks.manifest import Manifest, check_flow_names, check_manifest
from quanheng.loading.checks.mappings import check_mappings
from quanheng.loading.checks.models import check_model_reasons, check_models
from quanheng.loading.checks.monitoring import check_monitoring, files_of, monitors
from quanheng.loading.checks.names import check_names, is_declaration
from quanheng.loading.checks.parameters import check_parameters
from quanheng.loading.checks.platform import check_platform, folded, platform
from quanheng.loading.checks.policies import check_policies
from quanheng.loading.checks.processes import FILE as PROCESSES_FILE
from quanheng.loading.checks.protected import check_protected
from quanheng.loading.checks.reasons import check_reason_use, check_reasons
from quanheng.loading.checks.requirements import check_conflicts, check_required, check_required_version
from quanheng.loading.checks.sends import check_sends
from quanheng.loading.checks.traffic import check_traffic
from quanheng.loading.declared import (
    Declared,
    Entity,
    ExperimentDeclaration,
    ListDeclaration,
    ModelDeclaration,
    Parameter,
)
from quanheng.loading.declared_accounts import AccountsDeclaration
from quanheng.loading.declared_calls import CallsDeclaration
from quanheng.loading.declared_processes import ProcessDeclaration
from quanheng.loading.experiments import arms_of
from quanheng.loading.files import PackFiles, read_pack
from quanheng.loading.notes import Notes
from quanheng.loading.parsed import Folder
from quanheng.loading.policies import library_of, policy_name
from quanheng.loading.traffic.borrowing.declaration import BorrowingDeclaration
from quanheng.loading.traffic.declaration import TrafficDeclaration
from quanheng.models.monitoring.alarms import MODEL_ALARM


def check_pack(files: PackFiles, available: Mapping[str, PackFiles]) -> tuple[Declared, tuple[Problem, ...]]:
    """Check one pack, with the packs it requires.

    Parameters
    ----------
    files : what `read_pack` gave
    available : packs that may be required, by name

    Returns
    -------
    What the pack declares, and every problem found. With problems, the declaration holds what could be read: good
    enough to show or to train from, never to activate.
    """
    return _check(files, available, ())


def load_packs(
    names: Sequence[str], available: Mapping[str, PackFiles], in_force: Collection[str] = ()
) -> dict[str, Declared]:
    """The named packs and all they require, checked, required ones first.

    Of packs that are `in_force` the tables are not searched again for overlaps and gaps: what was activated is read
    back as it is, also by a version that finds more.

    Raises
    ------
    NotFound
        when a named pack is not among those available.
    DeclarationError
        with every problem of every pack, and of packs that cannot be together.
    """
    for name in names:
        if name not in available:
            raise NotFound(
                "there is no such pack",
                where=name,
                allowed=", ".join(sorted(available)) or "none was found",
                cure="Give one of these, or a folder that holds a pack.toml.",
            )
    notes, found = Notes(), {}
    waiting = list(names)
    while waiting:
        name = waiting.pop(0)
        if name in found or name not in available:
            continue
        declared, problems = _check(available[name], available, (), tables=name not in in_force)
        notes.extend(problem._replace(file=f"{name}/{problem.file}") for problem in problems)
        found[name] = declared
        waiting += [requirement.pack for requirement in declared.requires]
    check_conflicts(found, notes)
    if notes:
        raise DeclarationError(f"the packs {', '.join(names)} cannot be loaded", notes.problems)
    return _required_first(found)


def _required_first(packs: Mapping[str, Declared]) -> dict[str, Declared]:
    ordered: dict[str, Declared] = {}

    def place(name: str) -> None:
        for requirement in packs[name].requires:
            place(requirement.pack)
        ordered.setdefault(name, packs[name])

    for name in packs:
        place(name)
    return ordered


def _check(
    files: PackFiles, available: Mapping[str, PackFiles], above: tuple[str, ...], tables: bool = True
) -> tuple[Declared, tuple[Problem, ...]]:
    notes = Notes()
    notes.extend(files.problems)
    folder = Folder.read(files, notes)
    names = _names(files, folder, available, above, notes)
    manifest, required, life, calls = names.manifest, names.required, names.life, names.calls
    every_event, judged, unsound = names.every_event, names.judged, names.unsound

    # What is known about an event: folds, formulas, models, parameters; then who decides with it.
    accounts = _accounts(folder, names, notes)
    balances = accounts.features
    folds, stateful, formulas = check_features(
        folder.one("features.toml"), every_event, list(judged), names.calendars, balances, notes
    )
    parameters = check_parameters(folder.within("parameters"), notes)
    features = {fold.name for fold in folds} | {formula.name for formula in formulas}
    answers = [column.name for source in stateful for column in source.columns]
    features.update(answers, balances)
    models, weights, references, belonging = _models(folder, files, features, names, notes, tables)
    check_shared_names(parameters, models, features, balances, judged, notes)
    experiments = _experiments(folder, names, (features, parameters, models), notes)
    computed = (folds, answers, accounts, formulas, parameters, models)
    sources = {name: sources_of(event, *computed) | arms_of(experiments, event) for name, event in judged.items()}
    steps = check_asks(life.drafts, manifest.flows, manifest.outcomes, accounts, calls)
    asked = check_acts(manifest.flows, manifest.outcomes, accounts, every_event, unsound, calls, steps, notes)
    check_steps(life, manifest, required, every_event, sources, notes)
    check_amounts(accounts, asked, sources, judged, decimals_of(formulas, models, accounts, parameters), notes)
    check_loan_texts(accounts, asked.loans, sources, judged, notes)
    check_sends(calls, asked.sends, steps.sends, sources, judged, unsound, notes)
    policies = {name: xml for name, xml in files.files.items() if is_declaration(name) and name.endswith(".dmn")}
    lists = _lists(folder, names, notes)
    on_lists = [one.name for one in lists]
    library = library_of(required)
    flows, returned = check_policies(
        policies, library, manifest.flows, sources, manifest.outcomes, on_lists, notes, tables
    )
    reasons = check_reasons(folder.one("reasons.toml"), notes)
    codes = [reason.code for reason in reasons]
    check_reason_use(codes, returned, notes)
    told = check_model_reasons(models, weights, codes, notes)

    # What speaks of all that: cases, files, measurements, simulation.
    known = Known(
        every_event, list(names.decided), [model.name for model in models], manifest.outcomes, codes, unsound, on_lists,
        asked.transfers(accounts), _processes(required) | {one.process.name: one.process for one in life.drafts},
        asked.sends, told, experiments={one.name: one.words for one in experiments},
    )  # fmt: skip
    cases = check_cases(folder.within("cases"), known, notes)
    mappings = check_mappings(folder.within("mappings"), names.sent, notes)
    evaluations, traffic = _measured(
        folder, every_event, names.sent, names.decided, [one.name for one in mappings], notes
    )
    check_names(files.files, belonging, notes)

    declared = Declared(
        name=names.name, version=manifest.version, kind=manifest.kind, title=manifest.title,
        law=manifest.law, requires=manifest.requires, outcomes=manifest.outcomes, purposes=manifest.purposes,
        flows=flows, entities=names.entities, events=(*names.events, *names.told, *life.told), folds=folds,
        sources=(*stateful, *ledger_sources(names.name, accounts)), formulas=formulas,
        calendars=names.calendars, parameters=parameters, library=library,
        policies={policy_name(name): xml for name, xml in policies.items()},
        models=models, weights=weights, references=references, reasons=reasons, lists=lists,
        experiments=experiments, accounts=accounts, processes=life.declared(), calls=calls, cases=cases,
        mappings=mappings, evaluations=evaluations, traffic=traffic, warnings=notes.warnings,
        readme=files.files.get("README.md", b"").decode("utf-8", "replace"),
    )  # fmt: skip
    check_protected(declared, every_event, files_of(folder.within("models")), notes)
    return declared, notes.problems


def _accounts(folder: Folder, names: _Names, notes: Notes) -> AccountsDeclaration:
    declared, entities = folder.one(ACCOUNTS_FILE), names.every_entity
    return check_accounts(declared, names.name, entities, names.judged, names.unsound, names.calendars, notes)


def _lists(folder: Folder, names: _Names, notes: Notes) -> tuple[ListDeclaration, ...]:
    declared = folder.one(LISTS_FILE)
    return check_lists(declared, names.name, names.every_entity, notes) if declared else ()


def _experiments(
    folder: Folder,
    names: _Names,
    known: tuple[Collection[str], Sequence[Parameter], Sequence[ModelDeclaration]],
    notes: Notes,
) -> tuple[ExperimentDeclaration, ...]:
    """Experiments, whose names nothing else has that a policy reads: no feature, parameter or model."""
    features, parameters, models = known
    taken = {*features, *(one.name for one in parameters), *(name for one in models for name in one.names)}
    return check_experiments(folder.one(EXPERIMENTS_FILE), names.name, names.every_entity, names.judged, taken, notes)


def _models(
    folder: Folder,
    files: PackFiles,
    features: Collection[str],
    names: _Names,
    notes: Notes,
    cards: bool,
) -> tuple[tuple[ModelDeclaration, ...], dict[str, bytes], dict[str, bytes], frozenset[str]]:
    """Models, their weights, what they are compared with when they are watched, and the files that belong to them."""
    declared, judged = folder.within("models"), names.judged.values()
    numbers = {name for event in judged for name in number_fields(event.fields)}
    choices = {name for event in judged for name, one in event.fields.items() if one.kind == "choice"}
    known = numbers | choices | set(features)
    models, weights, belonging = check_models(declared, files.files, known, notes, cards)
    outcomes = names.manifest.outcomes
    references, more = check_monitoring(declared, files.files, models, names.every_event, outcomes, notes)
    return models, weights, references, belonging | more


class _Names(msgspec.Struct, frozen=True):
    """Whom a pack needs and what it reads: everything else speaks of these names.

    events, every_event : its own; all that it may use, by name
    sent : events that clients send, not the platform
    told : events of the platform that it uses, and those of its calls
    decided, judged : events that a flow decides; these and those that a process uses
    unsound : events with problems of their own
    """

    manifest: Manifest
    name: str
    required: Mapping[str, Declared]
    entities: tuple[Entity, ...]
    every_entity: Mapping[str, Entity]
    events: tuple[EventDeclaration, ...]
    every_event: Mapping[str, EventDeclaration]
    sent: Mapping[str, EventDeclaration]
    told: tuple[EventDeclaration, ...]
    decided: Mapping[str, EventDeclaration]
    judged: Mapping[str, EventDeclaration]
    unsound: frozenset[str]
    calendars: Mapping[str, Calendar]
    calls: CallsDeclaration
    life: LifeCycles


def _names(
    files: PackFiles, folder: Folder, available: Mapping[str, PackFiles], above: tuple[str, ...], notes: Notes
) -> _Names:
    """Read the files that others speak of."""
    manifest = check_manifest(folder.parsed[MANIFEST_FILE], notes) if MANIFEST_FILE in folder.parsed else Manifest()
    required = _required(manifest, available, above, notes)
    own_name = manifest.name or files.label
    entities, events, unsound = check_events(folder.one("events.toml"), own_name, _entities(required), notes)
    sent = _events(required) | {event.name: event for event in events}
    calendars = {**shipped_calendars(), **check_calendars(folder.within("calendars"), notes)}
    every_entity = _entities(required) | {entity.name: entity for entity in entities}
    own_events = [event.name for event in events]
    calls, unsound_calls = check_calls(folder.one(CALLS_FILE), own_name, every_entity, own_events, notes)
    unsound |= {one.event for one in calls.calls if one.name in unsound_calls}
    life = read_life_cycles(folder.one(PROCESSES_FILE), calendars, notes)
    used = {*life.used, MODEL_ALARM} if monitors(folder.within("models")) else life.used
    told = (
        *check_platform(own_name, events, manifest.flows, folder.one("features.toml"), used, notes),
        *call_events(calls, every_entity),
    )
    others = sent | _told(required) | {event.name: event for event in told}
    life = place_life_cycles(life, others, notes)
    unsound |= life.unsound
    every_event = others | {event.name: event for event in life.told}
    check_flow_names(manifest, every_event, notes)
    check_life_cycles(life, manifest, every_event, unsound, folded(folder.one("features.toml")), notes)
    decided = {flow.when: every_event[flow.when] for flow in manifest.flows if flow.when in every_event}
    judged = decided | {name: every_event[name] for name in life.used if name in every_event}
    return _Names(
        manifest, own_name, required, entities, every_entity, events, every_event, sent, told, decided, judged, unsound,
        calendars, calls, life,
    )  # fmt: skip


def _entities(packs: Mapping[str, Declared]) -> dict[str, Entity]:
    """Those of these packs, and of the platform."""
    return {**platform().entities, **{entity.name: entity for pack in packs.values() for entity in pack.entities}}


def _events(packs: Mapping[str, Declared]) -> dict[str, EventDeclaration]:
    """Those of these packs that a file or a simulation may bring: not the platform's."""
    return {event.name: event for pack in packs.values() for event in pack.events if not event.client}


def _processes(packs: Mapping[str, Declared]) -> dict[str, ProcessDeclaration]:
    return {one.name: one for pack in packs.values() for one in pack.processes.processes}


def _told(packs: Mapping[str, Declared]) -> dict[str, EventDeclaration]:
    """Events of the platform that these packs declare of their own processes and calls."""
    own = platform().events
    return {
        event.name: event for pack in packs.values() for event in pack.events if event.client and event.name not in own
    }


def _required(
    manifest: Manifest, available: Mapping[str, PackFiles], above: tuple[str, ...], notes: Notes
) -> dict[str, Declared]:
    """The required packs, checked; what hinders is noted as a problem of `requires`."""
    path = (*above, manifest.name)
    found: dict[str, Declared] = {}
    for requirement in check_required(manifest.requires, available, path, notes):
        declared, problems = _check(available[requirement.pack], available, path, tables=False)
        check_required_version(requirement, declared, problems, notes)
        found[declared.name] = declared
    return found


def _measured(
    folder: Folder,
    events: Mapping[str, EventDeclaration],
    sent: Mapping[str, EventDeclaration],
    decided: Mapping[str, EventDeclaration],
    mappings: Sequence[str],
    notes: Notes,
) -> tuple[dict[str, dict[str, object]], TrafficDeclaration | BorrowingDeclaration | None]:
    """How the pack is measured, and the simulation it is measured on; nothing where the files are not there.

    sent : events that clients send, not the platform
    """
    keys = {name for event in decided.values() for name, field in event.fields.items() if field.kind == "key"}
    protocols, simulation = folder.one("evaluations.toml"), folder.one("traffic.toml")
    evaluations = check_evaluations(protocols, events, keys, mappings, notes) if protocols else {}
    return evaluations, check_traffic(simulation, sent, notes) if simulation else None


__all__ = ["Declared", "PackFiles", "check_pack", "load_packs", "read_pack"]
