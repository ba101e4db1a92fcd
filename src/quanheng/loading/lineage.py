"""Where a feature comes from and who uses it: fields, events, folds, formulas, models, decisions, both directions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from quanheng.features.kinds import CALENDAR_KINDS
from quanheng.kernel.errors import NotFound
from quanheng.loading.classes import data_classes, highest_class
from quanheng.loading.declared import Declared, Fold
from quanheng.loading.policies import model_of


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """Something in a pack that features are made of, are, or are used by.

    kind : "field", "event", "fold", "formula", "source", "model" or "decision"
    data_class : of a field as declared, of others the strictest of what they are made of
    text : what it is in one line
    made_of, used_by : names of the nodes next to it
    """

    name: str
    kind: str
    data_class: str = ""
    text: str = ""
    made_of: tuple[str, ...] = ()
    used_by: tuple[str, ...] = ()


def lineage(declared: Declared) -> dict[str, Node]:
    """Every node of a pack by name. Fields are called "event.field"."""
    nodes: dict[str, Node] = {}
    decided = [flow.when for flow in declared.flows]
    for event in declared.events:
        for name, field in event.fields.items():
            nodes[f"{event.name}.{name}"] = Node(
                name=f"{event.name}.{name}",
                kind="field",
                data_class=field.data_class,
                text=_field_text(field.kind, field.unit),
            )
        nodes[event.name] = Node(name=event.name, kind="event", text=event.title.get("en", ""))
    for fold in declared.folds:
        reads = [f"{fold.of}.{name}" for name in (*fold.by, fold.value, fold.other) if name]
        reads += [f"{fold.of}.{name}" for name in _fields_in(declared, fold)]
        reads += [_field_of(declared, decided, name, nodes) for name in fold.match]
        made = [fold.of, *dict.fromkeys(reads), *([fold.through] if fold.through else [])]
        nodes[fold.name] = Node(name=fold.name, kind="fold", text=fold_text(fold), made_of=tuple(made))
    for source in declared.sources:
        for column in source.columns:
            nodes[column.name] = Node(name=column.name, kind="source", text=f"{source.name} {source.version}")
    for formula in declared.formulas:
        made = [_field_of(declared, decided, name, nodes) for name in formula.uses]
        nodes[formula.name] = Node(name=formula.name, kind="formula", text=formula.feel, made_of=tuple(made))
    for model in declared.models:
        made = [_field_of(declared, decided, name, nodes) for name in model.inputs]
        nodes[model.name] = Node(name=model.name, kind="model", text=model.estimator, made_of=tuple(made))
    for flow in declared.flows:
        inputs = [one.name for one in model_of(declared, flow.policy).inputs()]
        made = [_field_of(declared, [flow.when], name, nodes) for name in inputs]
        name = f"{flow.policy}.{flow.decide}"
        text = f"decided when {flow.when} arrives, for {flow.purpose}"
        nodes[name] = Node(name=name, kind="decision", text=text, made_of=tuple(one for one in made if one in nodes))
    return _both_ways(nodes, data_classes(declared, {event.name: event for event in declared.events}))


def fold_text(fold: Fold) -> str:
    """A fold in one line: kind, value, event, key, window."""
    if fold.fold in CALENDAR_KINDS:
        calendar = f" by {fold.calendar}" if fold.calendar else ""
        return f"{fold.fold} of the moment of {fold.of} in {fold.zone}{calendar}"
    value = f" of {fold.value}" if fold.value else ""
    settings = ", ".join(f"{name} {text}" for name, text in fold_settings(fold).items())
    by = f" by {', '.join(fold.by)}" if fold.by else ""
    way = f" read by {', '.join(fold.match)}" if fold.match else f" read through {fold.through}" if fold.through else ""
    where = f", where {fold.where}" if fold.where else ""
    told = f" ({settings})" if settings else ""
    return f"{fold.fold}{told}{value} over {fold.of}{by}{way}, {window_text(fold)}{where}"


def fold_settings(fold: Fold) -> dict[str, str]:
    """Settings that only some kinds have, as far as they are declared: their key in features.toml → what it says."""
    found: dict[str, object] = {"other": fold.other, "nth": fold.nth, "quantile": fold.quantile}
    found |= {"accuracy": fold.accuracy, "exact_max": fold.exact_max}
    spans = {"half_life": fold.half_life_ms, "per": fold.per_ms}
    found |= {name: span_ms and duration_text(span_ms) for name, span_ms in spans.items()}
    return {name: str(value) for name, value in found.items() if value not in (None, "")}


def window_text(fold: Fold) -> str:
    """The window in one line, half-open."""
    if fold.since:
        span = f"since the start of the {fold.since} in {fold.zone}"
    elif fold.window_ms is None:
        span = "all history"
    else:
        span = f"the last {duration_text(fold.window_ms)}"
    if fold.fold in CALENDAR_KINDS:
        return "none: it asks the moment alone"
    parts = [span]
    if fold.delay_ms:
        parts.append(f"seen {duration_text(fold.delay_ms)} late")
    if fold.last is not None:
        parts.append(f"at most {fold.last} events")
    if fold.gap_ms is not None:
        parts.append(f"the session with gaps up to {duration_text(fold.gap_ms)}")
    if fold.current == "out":
        parts.append("without the event being decided")
    if fold.age_ms_max is not None:
        parts.append(f"unknown where its newest event is older than {duration_text(fold.age_ms_max)}")
    return ", ".join(parts)


def find(nodes: Mapping[str, Node], name: str) -> Node:
    """The node of a name.

    Raises
    ------
    NotFound : the pack has no such feature, field, event, model or decision
    """
    if name not in nodes:
        folds = [one.name for one in nodes.values() if one.kind == "fold"]
        near = [one for one in nodes if name and name in one] or folds
        raise NotFound(
            "the pack has nothing of this name", where="lineage", found=repr(name), allowed=", ".join(near[:20]),
            cure="Give the name of a feature, event, field (event.field), model or decision.",
        )  # fmt: skip
    return nodes[name]


def _both_ways(nodes: dict[str, Node], classes: Mapping[str, str]) -> dict[str, Node]:
    """Fill in who uses each node, and the classes of models and decisions: the highest of what they are made of."""
    users: dict[str, list[str]] = {name: [] for name in nodes}
    for name, node in nodes.items():
        for one in node.made_of:
            users.setdefault(one, []).append(name)
    done: dict[str, Node] = {}
    for name, node in nodes.items():
        known = classes.get(name) if node.kind in ("fold", "formula") else None
        if known is None:
            known = highest_class([node.data_class, *(done[one].data_class for one in node.made_of if one in done)])
        done[name] = msgspec.structs.replace(node, used_by=tuple(users[name]), data_class=known)
    return done


def _field_of(declared: Declared, events: Sequence[str], name: str, nodes: Mapping[str, Node]) -> str:
    """The node that a formula, model or policy calls by a bare name: a field of the decided event, or a feature."""
    by_name = {one.name: one for one in declared.events}
    for event in [*events, *by_name]:
        if name not in nodes and event in by_name and name in by_name[event].fields:
            return f"{event}.{name}"
    return name


def _fields_in(declared: Declared, fold: Fold) -> list[str]:
    """Fields that the condition of a fold reads."""
    event = next(one for one in declared.events if one.name == fold.of)
    words = set("".join(char if char.isalnum() or char == "_" else " " for char in fold.where).split())
    return [name for name in event.fields if name in words]


def _field_text(kind: str, unit: str) -> str:
    return f"{kind}, {unit}" if unit else kind


def duration_text(span_ms: int) -> str:
    """A duration in its largest unit that is whole, "7 d"."""
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1_000)):
        if span_ms % size == 0:
            return f"{span_ms // size} {unit}"
    return f"{span_ms} ms"
