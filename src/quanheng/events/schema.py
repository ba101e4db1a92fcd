"""Event types: what a pack declares of an event, and the compiled type that reads one.

An event is read once, into a row of pseudonymous keys and scaled integers (the clear header that folds
read) and the normalised JSON text of all its fields (the payload, sealed under the subject's key).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
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
"""Widest header: no event type may declare more key fields, or more number and choice fields."""

TEXT_LENGTH_MAX = 1024
KEY_LENGTH_MAX = 256
FOUND_LENGTH_MAX = 80

PASSED_MAX, PASSED_LENGTH_MAX = 256, 8
"""How many codes (currencies, countries) that matched a pattern are remembered per field, and how long they may be."""

FieldKind = Literal["key", "text", "choice", "integer", "decimal", "boolean", "time"]
NUMBER_KINDS: frozenset[str] = frozenset({"integer", "decimal", "boolean", "time"})
"""Fields that are numbers to formulas and models. A header holds them, and behind them choices, as places in lists."""


class FieldDeclaration(msgspec.Struct, frozen=True, kw_only=True, rename={"kind": "type", "data_class": "class"}):
    """One field of an event as `events.toml` declares it (`type` there is `kind` here).

    appended : a number or choice field that came after the log held such events: it stands behind the others in headers
    """

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
    appended: bool = False
    title: Mapping[str, str] = {}


class EventDeclaration(msgspec.Struct, frozen=True, kw_only=True):
    """One event type as `events.toml` declares it. Fields keep the order of the file.

    client : who alone sends it, where it is the platform's own; empty = whoever may send events
    """

    name: str
    fields: Mapping[str, FieldDeclaration]
    subject: str = ""
    time: str = "time_ms"
    title: Mapping[str, str] = {}
    client: str = ""


class Row(msgspec.Struct, frozen=True, gc=False):
    """One event read by its type.

    time_ms : where the event is placed in windows
    subject : field value of the subject with its entity, or None (payload stays in clear)
    keys : (entity, id) per key field in declared order; None where absent
    numbers : int64 per field of the header (`header_fields`): scaled numbers, and of a choice field the place of its
        value in the list, from 0; NULL where absent
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
        self.header_fields = header_fields(declaration)
        self.scales = tuple(fields[name].scale if fields[name].kind == "decimal" else 0 for name in self.header_fields)
        self.entities = tuple(fields[name].entity for name in self.key_fields)
        self.subject = (declaration.subject, fields[declaration.subject].entity) if declaration.subject else None
        self._checks = {name: _check_of(self.name, name, field) for name, field in fields.items() if _is_checked(field)}
        self.passed = {name: _passed(fields[name]) for name in self._checks}
        self._decoder = msgspec.json.Decoder(_struct(declaration))

    def layout(self) -> tuple[list[str], ...]:
        """Key fields with their entities, number fields with their scales and choice fields, in the order of the log's
        headers; then the choices of each choice field. To each of these lists a later version may append."""
        fields = self.declaration.fields
        choices = [name for name in self.header_fields if fields[name].kind == "choice"]
        return (
            [f"{name} ({entity})" for name, entity in zip(self.key_fields, self.entities, strict=True)],
            [
                f"{name} (choice)" if name in choices else f"{name} (scale {scale})"
                for name, scale in zip(self.header_fields, self.scales, strict=True)
            ],
            *([f"{name}: {choice}" for choice in fields[name].choices] for name in choices),
        )

    def moved(self, later: EventType) -> list[tuple[list[str], list[str]]]:
        """Where a later version of this type would read headers otherwise: what stands there, and what it says."""
        pairs = zip(self.layout(), later.layout(), strict=False)
        return [(was, now) for was, now in pairs if now[: len(was)] != was]

    def read(self, data: bytes) -> Row:
        """Check the JSON object `data` and return its row, in plain steps; intake does the same generated.

        Raises
        ------
        EventRejected
            naming the field, what was found and what is allowed.
        """
        fields = self.decode(data)
        self.check(fields)
        values = {name: getattr(fields, name) for name in self.declaration.fields}
        keys = [
            None if values[name] is None else (entity, values[name])
            for name, entity in zip(self.key_fields, self.entities, strict=True)
        ]
        numbers = [
            _number(field.choices.index(value) if isinstance(value, str) else value, field.scale)
            for value, field in ((values[name], self.declaration.fields[name]) for name in self.header_fields)
        ]
        subject = (self.subject[1], values[self.subject[0]]) if self.subject else None
        return Row(values[self.declaration.time], subject, tuple(keys), tuple(numbers), values)

    def decode(self, data: bytes) -> Any:
        """The fields of the JSON object `data` as attributes; `check` must follow.

        Raises
        ------
        EventRejected
            naming the field, what was found and what is allowed.
        """
        try:
            return self._decoder.decode(data)
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

    def check(self, fields: Any) -> None:
        """What the decoder does not check. Before the row is read: only a checked decimal can be scaled.

        Raises
        ------
        EventRejected
            naming the field, what was found and what is allowed.
        """
        for name, check in self._checks.items():
            value = getattr(fields, name)
            if value is None:
                continue
            check(value)
            passed = self.passed[name]
            if isinstance(passed, set) and len(value) <= PASSED_LENGTH_MAX:
                if len(passed) > PASSED_MAX:
                    passed.intersection_update((None,))
                passed.add(value)


def header_fields(declaration: EventDeclaration) -> tuple[str, ...]:
    """Fields that a header holds as numbers, in its order: number fields, choice fields, then those appended later.

    Choices stand behind numbers because logs from before they were kept hold none: there they are null.
    """
    fields = declaration.fields
    kept = {name: field for name, field in fields.items() if field.kind in NUMBER_KINDS or field.kind == "choice"}
    first = [name for name, field in kept.items() if not field.appended]
    return (
        *(name for name in first if kept[name].kind != "choice"),
        *(name for name in first if kept[name].kind == "choice"),
        *(name for name, field in kept.items() if field.appended),
    )


def scaled(value: Decimal, scale: int) -> int:
    """A checked decimal as the integer that the header holds."""
    return int(value.scaleb(scale))


def _number(value: Any, scale: int) -> int:
    """A checked field as the integer that the header holds."""
    if value is None:
        return NULL
    return scaled(value, scale) if isinstance(value, Decimal) else int(value)


def _is_checked(field: FieldDeclaration) -> bool:
    return field.kind in {"decimal", "choice"} or bool(field.kind == "text" and field.pattern)


def _passed(field: FieldDeclaration) -> frozenset[object] | set[object]:
    """Values that need no check: null, the choices, and texts that matched their pattern lately. No decimal does."""
    if field.kind == "decimal":
        return frozenset()
    null = (None,) if field.optional else ()
    return frozenset((*null, *field.choices)) if field.kind == "choice" else set(null)


def _check_of(event: str, name: str, field: FieldDeclaration) -> Callable[[Any], None]:
    """What raises `EventRejected` for a value that does not fit."""
    if field.kind == "decimal":
        return lambda value: _check_decimal(event, name, value, field)
    if field.kind == "choice":
        return lambda value: _check_choice(event, name, value, frozenset(field.choices))
    matches = re.compile(field.pattern).search
    return lambda value: _check_pattern(event, name, matches(value) is not None, field.pattern)


def _check_choice(event: str, name: str, value: str, allowed: frozenset[str]) -> None:
    if value not in allowed:
        raise EventRejected(
            "the value is not one of the choices",
            where=f"{event}.{name}",
            found=_shortened(repr(value)),
            allowed=", ".join(sorted(allowed)),
            cure="Send one of the choices, or add it to events.toml in a new version of the pack.",
        )


def _check_pattern(event: str, name: str, matched: bool, pattern: str) -> None:
    if not matched:
        raise EventRejected(
            "the value does not fit the field", where=f"{event}.{name}", allowed=f"text matching regex {pattern!r}"
        )


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
        re.sub(r"\W", "_", declaration.name), [*required, *optional], forbid_unknown_fields=True, kw_only=True, gc=False
    )


def _python_type(field: FieldDeclaration) -> Any:
    match field.kind:
        case "key":
            return Annotated[str, msgspec.Meta(min_length=1, max_length=KEY_LENGTH_MAX)]
        case "text":
            return Annotated[str, msgspec.Meta(max_length=field.length_max)]
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
_WORDS = {"int": "integer", "str": "text", "bool": "true or false", "float": "number with a point"}
_TYPE = re.compile(r"\b(?:int|str|bool|float)\b")
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
        found=_in_words(found),
        allowed=_ALLOWED.get(allowed, _in_words(allowed.removeprefix("Expected "))),
    )


def _in_words(told: str) -> str:
    """Names of Python types as packs name them: whoever reads a reject need know no Python."""
    return _TYPE.sub(lambda name: _WORDS[name.group()], told.replace("`", ""))
