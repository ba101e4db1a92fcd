"""`[monitoring]` of models/*.toml, and the reference beside the weights: what is watched can be watched."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from quanheng.events.schema import EventDeclaration
from quanheng.kernel.errors import QuanhengError
from quanheng.loading.declared import ModelDeclaration
from quanheng.loading.notes import Notes, Words
from quanheng.models.monitoring.reference import SUFFIX, decode
from quanheng.models.monitoring.thresholds import Monitoring, read_monitoring


def monitors(files: Mapping[str, Mapping[str, object]]) -> bool:
    """Whether a model of these files (parsed) is watched: its pack takes alarms then."""
    return any("monitoring" in values for values in files.values())


def check_monitoring(
    files: Mapping[str, dict[str, object]],
    contents: Mapping[str, bytes],
    models: Sequence[ModelDeclaration],
    events: Mapping[str, EventDeclaration],
    outcomes: Collection[str],
    notes: Notes,
) -> tuple[dict[str, bytes], frozenset[str]]:
    """Check the table of every model, and its reference where there is one.

    Parameters
    ----------
    files : models/*.toml, parsed; contents : all files of the pack
    events : that the pack may use, by name

    Returns
    -------
    The references by model, and the files that they are.
    """
    named = files_of(files)
    references: dict[str, bytes] = {}
    for model in models:
        file = named.get(model.name, f"models/{model.name}.toml")
        try:
            found = read_monitoring(model.settings, "monitoring")
        except QuanhengError as error:
            notes.add(file, error.where, error.what, found=Words(error.found), known=error.allowed, cure=error.cure)
        else:
            _names(found, model, file, events, outcomes, notes)
        content = contents.get(f"models/{model.name}{SUFFIX}")
        if content is not None:
            references[model.name] = content
            _reference(content, model, notes)
    return references, frozenset(f"models/{name}{SUFFIX}" for name in references)


def files_of(files: Mapping[str, Mapping[str, object]]) -> dict[str, str]:
    """Model → the file that declares it."""
    return {_name(values): file for file, values in files.items()}


def _name(values: Mapping[str, object]) -> str:
    model = values.get("model")
    return str(model.get("name", "")) if isinstance(model, Mapping) else ""


def _names(
    found: Monitoring,
    model: ModelDeclaration,
    file: str,
    events: Mapping[str, EventDeclaration],
    outcomes: Collection[str],
    notes: Notes,
) -> None:
    for one in found.approved:
        if one not in outcomes:
            notes.add(
                file, "monitoring.approved", "no such outcome is declared", found=one, known=outcomes, of="outcome"
            )
    training = model.settings.get("training")
    labels = training.get("label_event") if isinstance(training, Mapping) else None
    if found.label_time:
        _field(found.label_time, str(labels or ""), "label_time", "time", file, events, notes)
    if found.override is not None:
        for key in ("field", "decision") if found.override.event in events else ("event",):
            _field(getattr(found.override, key), found.override.event, f"override.{key}", "", file, events, notes)


def _field(
    name: str, event: str, key: str, kind: str, file: str, events: Mapping[str, EventDeclaration], notes: Notes
) -> None:
    if event not in events:
        notes.add(file, f"monitoring.{key}", "no such event is declared", found=event, known=list(events), of="event")
        return
    fields = {field: one for field, one in events[event].fields.items() if kind in ("", one.kind)}
    if name not in fields:
        what = f"the event {event} has no such {kind + ' ' if kind else ''}field"
        notes.add(file, f"monitoring.{key}", what, found=name, known=list(fields))


def _reference(content: bytes, model: ModelDeclaration, notes: Notes) -> None:
    file = f"models/{model.name}{SUFFIX}"
    cure = "Make it anew: quanheng models watch PACK --reference FROM..TO --save-reference FILE"
    try:
        found = decode(content, file)
    except QuanhengError as error:
        notes.add(file, "", error.what, found=Words(error.found), known=error.allowed, cure=error.cure)
        return
    if model.hash and found.weights != model.hash:
        notes.add(
            file, "weights", "the reference is of other weights", found=found.weights, known=model.hash, cure=cure
        )
    inputs = tuple(one.name for one in found.inputs)
    if inputs != model.inputs:
        apart = sorted({*inputs} ^ {*model.inputs}) or ["another order"]
        notes.add(
            file, "inputs", "the reference has other inputs than the model", found=", ".join(apart[:8]), cure=cure
        )
