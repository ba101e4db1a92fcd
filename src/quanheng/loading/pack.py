"""Reads and checks packs. `check_pack` is the whole of it on one screen: one checker per kind of file, in order of need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from quanheng.events.schema import EventDeclaration
from quanheng.kernel.errors import DeclarationError, NotFound, Problem
from quanheng.loading.checks.cases import Known, check_cases
from quanheng.loading.checks.evaluations import check_evaluations
from quanheng.loading.checks.events import check_events
from quanheng.loading.checks.features import check_features, number_fields
from quanheng.loading.checks.manifest import FILE as MANIFEST_FILE
from quanheng.loading.checks.manifest import Manifest, check_flow_names, check_manifest
from quanheng.loading.checks.mappings import check_mappings
from quanheng.loading.checks.models import check_models
from quanheng.loading.checks.names import check_names
from quanheng.loading.checks.parameters import check_parameters
from quanheng.loading.checks.policies import check_policies, policy_name
from quanheng.loading.checks.reasons import check_reason_use, check_reasons
from quanheng.loading.checks.requirements import check_conflicts, check_required, check_required_version
from quanheng.loading.checks.traffic import check_traffic
from quanheng.loading.declared import Declared, Fold, Formula, ModelDeclaration, Parameter
from quanheng.loading.files import PackFiles, read_pack
from quanheng.loading.notes import Notes
from quanheng.loading.toml import read_toml

_FIELD_TYPES = {"key": "string", "text": "string", "choice": "string", "integer": "number", "decimal": "number", "time": "number", "boolean": "boolean"}


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


def load_packs(names: Sequence[str], available: Mapping[str, PackFiles]) -> dict[str, Declared]:
    """The named packs and all they require, checked, required ones first.

    Raises
    ------
    NotFound
        when a named pack is not among those available.
    DeclarationError
        with every problem of every pack, and of packs that cannot be together.
    """
    for name in names:
        if name not in available:
            raise NotFound("there is no such pack", where=name, allowed=", ".join(sorted(available)) or "none was found",
                           cure="Give one of these, or a folder that holds a pack.toml.")
    notes, found = Notes(), {}
    waiting = list(names)
    while waiting:
        name = waiting.pop(0)
        if name in found or name not in available:
            continue
        declared, problems = check_pack(available[name], available)
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


def _check(files: PackFiles, available: Mapping[str, PackFiles], above: tuple[str, ...]) -> tuple[Declared, tuple[Problem, ...]]:
    notes = Notes()
    notes.extend(files.problems)
    parsed = {name: values for name, content in files.files.items()
              if name.endswith(".toml") and (values := read_toml(content, name, notes)) is not None}
    folder = _Folder(files, parsed)

    manifest = check_manifest(parsed.get(MANIFEST_FILE, {}), notes) if MANIFEST_FILE in parsed else Manifest()
    required = _required(manifest, available, above, notes)
    entities_known = {entity.name: entity for other in required.values() for entity in other.entities}
    events_known = {event.name: event for other in required.values() for event in other.events}

    entities, events = check_events(parsed.get("events.toml", {}), manifest.name, entities_known, notes)
    every_event = {**events_known, **{event.name: event for event in events}}
    check_flow_names(manifest, every_event, notes)
    decided = [flow.when for flow in manifest.flows if flow.when in every_event]
    folds, formulas = check_features(parsed.get("features.toml", {}), every_event, decided, notes)
    parameters = check_parameters(folder.within("parameters"), notes)
    numbers = {name for event in decided for name in number_fields(every_event[event].fields)}
    features = {one.name for one in (*folds, *formulas)}
    models, weights, belonging = check_models(folder.within("models"), files.files, numbers | features, notes)
    _check_shared_names(parameters, models, features, every_event, decided, notes)
    sources = {event: _sources(every_event[event], folds, formulas, parameters, models) for event in decided}
    policies = {name: content for name, content in files.files.items() if name.startswith("policies/") and name.endswith(".dmn")}
    flows, returned = check_policies(policies, manifest.flows, sources, manifest.outcomes, notes)
    reasons = check_reasons(parsed.get("reasons.toml", {}), notes)
    codes = [reason.code for reason in reasons]
    check_reason_use(codes, returned, notes)
    known = Known(every_event, decided, [model.name for model in models], manifest.outcomes, codes)
    cases = check_cases(folder.within("cases"), known, notes)
    mappings = check_mappings(folder.within("mappings"), every_event, notes)
    keys = [name for event in decided for name, field in every_event[event].fields.items() if field.kind == "key"]
    evaluations = check_evaluations(parsed["evaluations.toml"], list(every_event), keys, [one.name for one in mappings], notes) \
        if "evaluations.toml" in parsed else {}
    traffic = check_traffic(parsed["traffic.toml"], every_event, notes) if "traffic.toml" in parsed else None
    check_names(files.files, belonging, notes)
    declared = Declared(
        name=manifest.name or files.label, version=manifest.version, kind=manifest.kind, title=manifest.title, law=manifest.law,
        requires=manifest.requires, outcomes=manifest.outcomes, purposes=manifest.purposes, flows=flows, entities=entities, events=events,
        folds=folds, formulas=formulas, parameters=parameters, policies={policy_name(name): xml for name, xml in policies.items()},
        models=models, weights=weights, reasons=reasons, cases=cases, mappings=mappings, evaluations=evaluations,
        traffic=traffic, readme=files.files.get("README.md", b"").decode("utf-8", "replace"),
    )
    return declared, notes.problems


class _Folder(msgspec.Struct, frozen=True):
    """Parsed files by folder."""

    files: PackFiles
    parsed: Mapping[str, dict[str, object]]

    def within(self, folder: str) -> dict[str, dict[str, object]]:
        return {name: values for name, values in self.parsed.items() if name.startswith(f"{folder}/")}


def _required(manifest: Manifest, available: Mapping[str, PackFiles], above: tuple[str, ...], notes: Notes) -> dict[str, Declared]:
    """The required packs, checked; what hinders is noted as a problem of `requires`."""
    path = (*above, manifest.name)
    found: dict[str, Declared] = {}
    for requirement in check_required(manifest.requires, available, path, notes):
        declared, problems = _check(available[requirement.pack], available, path)
        check_required_version(requirement, declared, problems, notes)
        found[declared.name] = declared
    return found


def _sources(event: EventDeclaration, folds: Sequence[Fold], formulas: Sequence[Formula], parameters: Sequence[Parameter],
             models: Sequence[ModelDeclaration]) -> dict[str, str]:
    """Everything a policy may ask for when it decides this event, with its FEEL type."""
    fields = event.fields
    found = {name: _FIELD_TYPES[field.kind] for name, field in fields.items()}
    found |= {fold.name: "number" for fold in folds if set(fold.by) <= set(fields)}
    for formula in formulas:
        if set(formula.uses) <= set(found):
            found[formula.name] = "number"
    for model in models:
        if set(model.inputs) <= set(found):
            found[model.name] = "number"
    for parameter in parameters:
        value = parameter.values[0].value if parameter.values else None
        kinds = {bool: "boolean", str: "string", tuple: "Any", type(None): "Any"}
        found[parameter.name] = kinds.get(type(value), "number")
    return found


def _check_shared_names(parameters: Sequence[Parameter], models: Sequence[ModelDeclaration], features: set[str],
                        events: Mapping[str, EventDeclaration], decided: Sequence[str], notes: Notes) -> None:
    """A policy input has one source: parameters may not share a name with a field, feature or model."""
    taken = {**{name: f"a field of {event}" for event in decided for name in events[event].fields},
             **{name: "a fold or formula" for name in features}, **{model.name: "a model" for model in models}}
    for parameter in parameters:
        if parameter.name in taken:
            notes.add("parameters", f"parameter.{parameter.name}", f"the name is taken by {taken[parameter.name]}", found=parameter.name,
                      cure="A policy could not tell them apart: rename the parameter.")


__all__ = ["Declared", "PackFiles", "check_pack", "load_packs", "read_pack"]
