"""Event types: what a pack declares of an event, and the compiled type that reads one.

An event is read once, into a row of pseudonymous keys and scaled integers (the clear header that folds
read) and the normalised JSON text of all its fields (the payload, sealed under the subject's key).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from keyword import iskeyword
from typing import Annotated, Any, Literal, Optional
from unicodedata import normalize

import msgspec

from quanheng.kernel.errors import EventRejected

NULL = -(2**63)
"""The int64 that stands for null in headers and in feature columns."""

NO_KEY = bytes(16)
"""The key that stands for null: no subject has it."""

MAX_NUMBER = 2**62
"""Largest absolute header number: leaves room for sums of two without overflow."""

KEYS_MAX, NUMBERS_MAX = 16, 32
"""Widest header: no event type may declare more key or number fields."""

TEXT_LENGTH_MAX = 1024
KEY_LENGTH_MAX = 256
FOUND_LENGTH_MAX = 80

FieldKind = Literal["key", "text", "choice", "integer", "decimal", "boolean", "time"]
NUMBER_KINDS: frozenset[str] = frozenset({"integer", "decimal", "boolean", "time"})


class FieldDeclaration(msgspec.Struct, frozen=True, kw_only=True, rename={"kind": "type", "data_class": "class"}):
    """One field of an event as `events.toml` declares it (`type` there is `kind` here)."""

    kind: FieldKind
    entity: str = ""
    optional: bool = False
    unit: str = ""
    data_class: str = ""
    min: int | Decimal | None = None
    max: int | Decimal | None = None
    scale: int = 0
    pattern: str = ""
    length_max: int = TEXT_LENGTH_MAX
    choices: tuple[str, ...] = ()
    title: Mapping[str, str] = {}


class EventDeclaration(msgspec.Struct, frozen=True, kw_only=True):
    """One event type as `events.toml` declares it. Fields keep the order of the file."""

    name: str
    fields: Mapping[str, FieldDeclaration]
    subject: str = ""
    time: str = "time_ms"
    title: Mapping[str, str] = {}


class Row(msgspec.Struct, frozen=True, gc=False):
    """One event read by its type.

    time_ms : where the event is placed in windows
    subject : field value of the subject with its entity, or None (payload stays in clear)
    keys : (entity, id) per key field in declared order; None where absent
    numbers : scaled int64 per number field in declared order; NULL where absent
    values : all fields by name, as FEEL sees them (int, Decimal, str, bool, None)
    """

    time_ms: int
    subject: tuple[str, str] | None
    keys: tuple[tuple[str, str] | None, ...]
    numbers: tuple[int, ...]
    values: dict[str, object]


class EventType:
    """A compiled event type: reads JSON bytes into a `Row`.

    Parameters
    ----------
    declaration : what the pack declared
    code : the number that stands for this type in the log; assigned once per log
    """

    def __init__(self, declaration: EventDeclaration, code: int) -> None:
        self.declaration, self.name, self.code = declaration, declaration.name, code
        fields = declaration.fields
        self.key_fields = tuple(name for name, field in fields.items() if field.kind == "key")
        self.number_fields = tuple(name for name, field in fields.items() if field.kind in NUMBER_KINDS)
        self.scales = tuple(fields[name].scale if fields[name].kind == "decimal" else 0 for name in self.number_fields)
        self.entities = tuple(fields[name].entity for name in self.key_fields)
        self.subject = (declaration.subject, fields[declaration.subject].entity) if declaration.subject else None
        self._decimals = {name: field for name, field in fields.items() if field.kind == "decimal"}
        self._choices = {name: frozenset(f.choices) for name, f in fields.items() if f.kind == "choice"}
        self.struct = _struct(declaration)
        self._decoder = msgspec.json.Decoder(self.struct)
        self.read_row: Callable[[object], Row] = _row_reader(self)

    def layout(self) -> tuple[list[str], list[str]]:
        """Key fields with their entities, and number fields with their scales, in the order of the log's headers."""
        return (
            [f"{name} ({entity})" for name, entity in zip(self.key_fields, self.entities, strict=True)],
            [f"{name} (scale {scale})" for name, scale in zip(self.number_fields, self.scales, strict=True)],
        )

    def read(self, data: bytes) -> Row:
        """Check the JSON object `data` and return its row.

        Raises
        ------
        EventRejected
            naming the field, what was found and what is allowed.
        """
        try:
            fields = self._decoder.decode(data)
        except msgspec.ValidationError as error:
            raise _rejected(self.declaration, str(error)) from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise EventRejected(
                "the event's data is not a JSON object",
                where=self.name,
                found=str(error),
                allowed="one JSON object of the fields of this event",
                cure="Send the fields as a JSON object under `data`.",
            ) from None
        if self._decimals or self._choices:
            self._check(fields)
        return self.read_row(fields)

    def _check(self, fields: msgspec.Struct) -> None:
        """What the decoder cannot check. Before the row is read: only a checked decimal can be scaled."""
        for name, field in self._decimals.items():
            value = getattr(fields, name)
            if value is not None:
                _check_decimal(self.name, name, value, field)
        for name, allowed in self._choices.items():
            value = getattr(fields, name)
            if value is not None and value not in allowed:
                raise EventRejected(
                    "the value is not one of the choices",
                    where=f"{self.name}.{name}",
                    found=_shortened(repr(value)),
                    allowed=", ".join(sorted(allowed)),
                    cure="Send one of the choices, or add it to events.toml in a new version of the pack.",
                )


def _row_reader(event_type: EventType) -> Callable[[object], Row]:
    """Generate the function that turns a decoded struct into a `Row`: no loop over fields per event."""
    declaration = event_type.declaration
    keys, numbers = [], []
    of = {name: f"getattr(f, {name!r})" if iskeyword(name) else f"f.{name}" for name in declaration.fields}
    for name, field in declaration.fields.items():
        if field.kind == "key":
            text = f"({field.entity!r}, {of[name]})"
            keys.append(f"({text} if {of[name]} is not None else None)" if field.optional else text)
        elif field.kind in NUMBER_KINDS:
            text = (
                f"scaled({of[name]}, {field.scale})"
                if field.kind == "decimal"
                else (f"int({of[name]})" if field.kind == "boolean" else of[name])
            )
            numbers.append(f"({text} if {of[name]} is not None else NULL)" if field.optional else text)
    names = ", ".join(f"{name!r}: {of[name]}" for name in declaration.fields)
    subject = "None"
    if declaration.subject:
        subject = f"({declaration.fields[declaration.subject].entity!r}, {of[declaration.subject]})"
    lines = [
        "def read_row(f):",
        f"    return Row({of[declaration.time]}, {subject},",
        f"        ({''.join(key + ', ' for key in keys)}),",
        f"        ({''.join(number + ', ' for number in numbers)}),",
        f"        {{{names}}})",
    ]
    # Field names were checked to be plain identifiers by _struct; entity names enter as string constants.
    scope: dict[str, object] = {"Row": Row, "NULL": NULL, "scaled": _scaled}
    exec(compile("\n".join(lines), f"<reader of {declaration.name}>", "exec"), scope)
    return scope["read_row"]  # type: ignore[return-value]


def _scaled(value: Decimal, scale: int) -> int:
    return int(value.scaleb(scale))


def _struct(declaration: EventDeclaration) -> type[msgspec.Struct]:
    required, optional = [], []
    for name, field in declaration.fields.items():
        if not name.isidentifier() or normalize("NFKC", name) != name:
            raise EventRejected("a field name must be a plain identifier", where=declaration.name, found=repr(name))
        python_type = _python_type(field)
        if field.optional:
            optional.append((name, Optional[python_type], None))  # noqa: UP045 - a value, not an annotation
        else:
            required.append((name, python_type))
    return msgspec.defstruct(
        re.sub(r"\W", "_", declaration.name), [*required, *optional], forbid_unknown_fields=True, kw_only=True
    )


def _python_type(field: FieldDeclaration) -> Any:
    match field.kind:
        case "key":
            return Annotated[str, msgspec.Meta(min_length=1, max_length=KEY_LENGTH_MAX)]
        case "text":
            return Annotated[str, msgspec.Meta(max_length=field.length_max, pattern=field.pattern or None)]
        case "choice":
            return str
        case "integer":
            low = -MAX_NUMBER if field.min is None else int(field.min)
            high = MAX_NUMBER if field.max is None else int(field.max)
            return Annotated[int, msgspec.Meta(ge=low, le=high)]
        case "time":
            # Years 1 to 9999: what every date library can name.
            return Annotated[int, msgspec.Meta(ge=-62_135_596_800_000, le=253_402_300_799_999)]
        case "boolean":
            return bool
        case "decimal":
            return Decimal


def _check_decimal(event: str, name: str, value: Decimal, field: FieldDeclaration) -> None:
    exponent = value.as_tuple().exponent
    where = f"{event}.{name}"
    if not isinstance(exponent, int):
        raise EventRejected(
            "the number is not finite", where=where, found=_shortened(str(value)), allowed="a finite decimal number"
        )
    if -exponent > field.scale:
        raise EventRejected(
            "the number has too many decimal places",
            where=where,
            found=_shortened(str(value)),
            allowed=f"at most {field.scale}",
            cure="Round it at the source: Quanheng never rounds what it is given.",
        )
    low = Decimal(-MAX_NUMBER).scaleb(-field.scale) if field.min is None else field.min
    high = Decimal(MAX_NUMBER).scaleb(-field.scale) if field.max is None else field.max
    if not low <= value <= high:
        raise EventRejected(
            "the number is outside its range", where=where, found=_shortened(str(value)), allowed=f"{low} to {high}"
        )


def _shortened(text: str) -> str:
    """What is shown of something a client sent: enough to find it, never a megabyte in an answer or a log."""
    return text if len(text) <= FOUND_LENGTH_MAX else text[: FOUND_LENGTH_MAX - 1] + "…"


_ALLOWED = {"Invalid decimal string": "a decimal number", "Number out of range": "a number within its range"}
_AT = re.compile(r" - at `\$(?:\.(?P<field>[^`]*))?`$")


def _rejected(declaration: EventDeclaration, text: str) -> EventRejected:
    """Turn a msgspec finding into one of ours: which field, what is allowed, without echoing the value."""
    at = _AT.search(text)
    field = at.group("field") if at and at.group("field") else ""
    message = text[: at.start()] if at else text
    if message.startswith(("Object missing required field", "Object contains unknown field")):
        name = message.split("`")[1]
        kind = "a required field is missing" if "missing" in message else "the field is not declared"
        where = f"{declaration.name}.{_shortened(name)}"
        return EventRejected(kind, where=where, allowed=", ".join(declaration.fields))
    where = f"{declaration.name}.{field}" if field else declaration.name
    allowed, _, found = message.partition(", got ")
    return EventRejected(
        "the value does not fit the field",
        where=where,
        found=found.replace("`", ""),
        allowed=_ALLOWED.get(allowed, allowed.removeprefix("Expected ").replace("`", "")),
    )
