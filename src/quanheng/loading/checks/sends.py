"""FEEL of calls.toml: what `send` computes goes into JSON or is a text, and its names are known of the asking event."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from quanheng import feel
from quanheng.events.schema import EventDeclaration
from quanheng.feel.types import (
    ANY,
    BOOLEAN,
    BY_NAME,
    NULL,
    STRING,
    FeelType,
    FunctionType,
    ListType,
    RangeType,
    possible,
)
from quanheng.kernel.errors import ExpressionError, Problem
from quanheng.loading.checks.calls import FILE, PARTS
from quanheng.loading.checks.expressions import read_expression
from quanheng.loading.declared_calls import CallDeclaration, CallsDeclaration
from quanheng.loading.notes import Notes, Words

EXTRA: Mapping[str, FeelType] = {"outcome": STRING, "refused": BOOLEAN}
"""Names that are known besides of what a policy sees, whoever asks; a process adds `instance`."""
INSTANCE: Mapping[str, FeelType] = {"instance": ANY}


def check_sends(
    calls: CallsDeclaration,
    asked: Mapping[str, Sequence[str]],
    by_steps: Mapping[str, Sequence[str]],
    sources: Mapping[str, Mapping[str, str]],
    events: Mapping[str, EventDeclaration],
    unsound: Collection[str],
    notes: Notes,
) -> None:
    """Check what calls and notices send, for every event that asks for them.

    Parameters
    ----------
    asked : event → names of calls and notices that flows and steps ask for; by_steps : those that steps do
    sources : per event: name → FEEL type of everything that is known
    unsound : events with problems of their own
    """
    for call in calls.calls:
        asking = [event for event, names in asked.items() if call.name in names and event in sources]
        for name in asking:
            known = {**{one: BY_NAME[kind] for one, kind in sources[name].items()}, **EXTRA}
            known.update(INSTANCE if call.name in by_steps.get(name, ()) else {})
            check_send(call, events[name], known, name in unsound, notes)
        if not asking:
            check_unasked([call], notes)


def check_send(
    call: CallDeclaration, event: EventDeclaration, known: Mapping[str, FeelType], unsound: bool, notes: Notes
) -> None:
    """Check a call against one event that asks for it: by a flow's `then`, or by a step of a process.

    Parameters
    ----------
    known : name → type of what a policy sees of the event, with `EXTRA`, and `INSTANCE` where a process asks
    unsound : the event has problems of its own: nobody can say which keys it has
    """
    if not unsound:
        _check_keys(call, event, notes)
    scope = dict(sorted(known.items()))
    for name, text in call.send.items():
        key = f"{_kind(call)}.{call.name}.send.{name}"
        tree = read_expression(text, scope, FILE, key, notes, of="source", told=f" for {event.name}")
        if tree is None:
            continue
        if name in PARTS.get(call.channel, ()):
            if tree.type is NULL or not possible(tree.type, STRING):
                notes.add(FILE, key, "the part is no text", found=Words(f"{text}, of type {tree.type}"), known="string")
        elif _beyond_json(tree.type):
            known_kinds = "a text, a number, true or false, a moment, a list or a context"
            notes.add(
                FILE, key, "the value has no form in JSON", found=Words(f"{text}, of type {tree.type}"),
                known=known_kinds,
            )  # fmt: skip


def check_unasked(calls: Iterable[CallDeclaration], notes: Notes) -> None:
    """Calls that nobody asks for: nobody knows their names, so only whether the texts can be read at all."""
    for call in calls:
        for name, text in call.send.items():
            try:
                feel.parse(text, {}, strict=False)
            except ExpressionError:
                key = f"{_kind(call)}.{call.name}.send.{name}"
                read_expression(text, {}, FILE, key, notes, of="source")
        act = f"{call.kind}:{call.name}"
        cure = f'Ask for it: then.OUTCOME = ["{act}"] in a flow of pack.toml, or do = ["{act}"] in processes.toml.'
        if not (notes.doubted("act") or notes.doubted("decided")):
            notes.warn([Problem(FILE, f"{_kind(call)}.{call.name}", "nothing asks for it", cure=cure)])


def _kind(call: CallDeclaration) -> str:
    """The kind of its table."""
    return "call" if call.kind == "call" else "notice"


def _check_keys(call: CallDeclaration, event: EventDeclaration, notes: Notes) -> None:
    """The event has every key that the answer carries, of the right entity; whom it is about may not be missing."""
    fields = event.fields
    keys = [name for name, field in fields.items() if field.kind == "key"]
    where = f"{_kind(call)}.{call.name}"
    for name, entity in call.keys.items():
        fitting = [key for key in keys if fields[key].entity == entity]
        if name not in fitting:
            found = Words(f"{name}, of {fields[name].entity}") if name in keys else name
            message = f"{event.name} asks for it and has no such key field of {entity}"
            notes.add(FILE, f"{where}.keys.{name}", message, found=found, known=fitting)
        elif name == call.subject and fields[name].optional:
            message = f"the subject may be missing in {event.name}, which asks for it: its key seals the answer"
            cure = "Remove `optional` from the field there, or `subject` here."
            notes.add(FILE, f"{where}.subject", message, found=name, cure=cure)


def _beyond_json(kind: FeelType) -> bool:
    """Functions and ranges, and lists of them."""
    if isinstance(kind, ListType):
        return _beyond_json(kind.item)
    return isinstance(kind, FunctionType | RangeType)
