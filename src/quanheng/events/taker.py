"""The way from decoded fields to an event fact, generated once per event type: no loop over fields per event.

`EventType.read` says the same in plain steps; a property test holds the two together.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Mapping
from keyword import iskeyword
from typing import Any

from quanheng.events.schema import NO_KEY, NULL, NUMBER_KINDS, EventType, scaled

Taker = Callable[..., Any]
"""(fields, received_ms, request_key, payload, request) -> what `make` makes of an event"""


def compile_taker(
    event_type: EventType, pseudonyms: Callable[[str], Mapping[str, bytes]], make: type[Any], *, passing: bool = False
) -> Taker:
    """The function that checks decoded fields and makes an `EventFact` of them.

    Parameters
    ----------
    pseudonyms : entity -> its pseudonyms by id
    make : the `EventFact`, which this layer does not know
    passing : pseudonyms may be given as such, which events may do that only the platform sends
    """
    declared = event_type.declaration.fields
    scope: dict[str, object] = {
        "make": make, "check": event_type.check, "scaled": scaled, "NULL": NULL, "NO_KEY": NO_KEY,
        "code": event_type.code, "pack": struct.Struct(tail_format(event_type)).pack,
    }  # fmt: skip
    # Field names were checked to be plain identifiers; everything else enters as a value of the scope.
    of = {name: f"getattr(f, {name!r})" if iskeyword(name) else f"f.{name}" for name in declared}
    keys: list[str] = []
    numbers: dict[str, str] = {}
    for place, (name, field) in enumerate(declared.items()):
        if field.kind == "key":
            known = pseudonyms(field.entity)
            scope[f"known{place}"] = _Passed(known) if passing or event_type.declaration.client else known
            text, empty = f"known{place}[{of[name]}]", "NO_KEY"
        elif field.kind in NUMBER_KINDS:
            text, empty = f"scaled({of[name]}, {field.scale})" if field.kind == "decimal" else of[name], "NULL"
        elif field.kind == "choice":
            scope[f"places{place}"] = {choice: at for at, choice in enumerate(field.choices)}
            text, empty = f"places{place}[{of[name]}]", "NULL"
        else:
            continue
        if field.optional:
            text = f"({text} if {of[name]} is not None else {empty})"
        if name == event_type.declaration.subject:
            text = f"(subject := {text})"
        if field.kind == "key":
            keys.append(text)
        else:
            numbers[name] = text
    unchecked = []
    for place, (name, passed) in enumerate(event_type.passed.items()):
        scope[f"passed{place}"] = passed
        is_decimal = declared[name].kind == "decimal"  # A signalling NaN has no hash, so it is not looked up.
        unchecked.append("True" if is_decimal else f"{of[name]} not in passed{place}")
    lines = [
        "def take(f, received_ms, request_key, payload, request):",
        f"    if {' or '.join(unchecked) or False}:",
        "        check(f)",
        "    subject = NO_KEY",
        f"    tail = pack({', '.join([*keys, *(numbers[name] for name in event_type.header_fields)])})",
        f"    time_ms = {of[event_type.declaration.time]}",
        "    return make(code, time_ms, received_ms, subject, request_key, tail, payload, f, request)",
    ]
    exec(compile("\n".join(lines), f"<taker of {event_type.name}>", "exec"), scope)
    return scope["take"]  # type: ignore[return-value]


class _Passed(dict[str, bytes]):
    """Pseudonyms of an event that the platform sends: `#` and 32 hexadecimal digits are one already."""

    def __init__(self, known: Mapping[str, bytes]) -> None:
        super().__init__()
        self._known = known

    def __missing__(self, id: str) -> bytes:
        return bytes.fromhex(id[1:]) if _PASSED.fullmatch(id) else self._known[id]


_PASSED = re.compile(r"#[0-9a-f]{32}")


def tail_format(event_type: EventType) -> str:
    """How the keys and numbers of a header follow each other (`struct`)."""
    return "<" + "16s" * len(event_type.key_fields) + f"{len(event_type.header_fields)}q"
