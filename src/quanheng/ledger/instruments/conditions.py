"""Conditions on facts: a fact is an event that was passed in, a condition is FEEL, compiled once.

A condition sees `event` (the newest fact), `events` (all of them, in the order in which they came) and the numbers that
its instrument names. A fact is a context of `kind`, `time_ms` and the fields that the condition declares; what a fact
does not have, or has with another type, is null. Only `true` satisfies: null does not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

import msgspec

from quanheng.feel import ANY, BOOLEAN, NUMBER, STRING, ContextType, Expression, FeelType, ListType, compile_expression
from quanheng.kernel.errors import ExpressionError

Value = str | int | Decimal | bool
FIELDS_MAX, TEXT_MAX, DIGITS_MAX = 64, 4_096, 34
_CLASSES: dict[FeelType, tuple[type, ...]] = {STRING: (str,), NUMBER: (int, Decimal), BOOLEAN: (bool,)}
_RESERVED = ("kind", "time_ms")


class Fact(msgspec.Struct, frozen=True):
    """What happened. `fields` are pairs of name and value, ordered by name, each name once; `Fact.of` orders them.

    time_ms : when it happened, by whoever tells it
    """

    kind: str
    time_ms: int
    fields: tuple[tuple[str, Value], ...] = ()

    @classmethod
    def of(cls, kind: str, time_ms: int, **fields: Value) -> Fact:
        """The fact with its fields in order."""
        return cls(kind, time_ms, tuple(sorted(fields.items())))


class Condition(msgspec.Struct, frozen=True):
    """A named FEEL text. `fields` are names and types (STRING, NUMBER, BOOLEAN) that it may ask of a fact."""

    name: str
    text: str
    fields: tuple[tuple[str, FeelType], ...] = ()


class Compiled:
    """A condition that was compiled once.

    numbers : names, beside `event` and `events`, of whole numbers that the instrument gives
    result : type that the text must have: BOOLEAN for a condition, NUMBER for an amount

    Raises
    ------
    ExpressionError : the text does not parse or does not type-check, has another type, or a field has no simple type
    """

    def __init__(self, condition: Condition, numbers: Sequence[str], result: FeelType = BOOLEAN) -> None:
        self.declared, self._numbers = condition, tuple(numbers)
        for name, kind in condition.fields:
            if name in _RESERVED or kind not in _CLASSES:
                raise ExpressionError(
                    "a field of a fact cannot be declared so", where=f"condition {condition.name!r}, field {name!r}",
                    found=str(kind), allowed="a string, number or boolean under another name than kind and time_ms",
                )  # fmt: skip
        fact = ContextType((("kind", STRING), ("time_ms", NUMBER), *condition.fields))
        names: dict[str, FeelType] = {"event": fact, "events": ListType(fact), **dict.fromkeys(numbers, NUMBER)}
        self.expression: Expression = compile_expression(
            condition.text, names, where=f"condition {condition.name!r}", strict=True
        )
        if self.expression.type not in (result, ANY):
            raise ExpressionError(
                "the condition has another type", where=f"condition {condition.name!r}",
                found=str(self.expression.type), allowed=str(result),
            )  # fmt: skip

    def value(self, facts: Sequence[Fact], numbers: Mapping[str, int]) -> object:
        """What the text says of the facts; null (None) where it cannot be said. Never raises."""
        seen = [self._context(one) for one in facts]
        given = [Decimal(numbers[name]) for name in self._numbers]
        return self.expression(seen[-1] if seen else None, seen, *given)

    def is_met(self, facts: Sequence[Fact], numbers: Mapping[str, int]) -> bool:
        """Whether the facts satisfy the condition."""
        return self.value(facts, numbers) is True

    def _context(self, fact: Fact) -> dict[str, object]:
        has = dict(fact.fields)
        context: dict[str, object] = {"kind": fact.kind, "time_ms": Decimal(fact.time_ms)}
        for name, kind in self.declared.fields:
            value = has.get(name)
            fits = type(value) in _CLASSES[kind]
            context[name] = Decimal(value) if fits and kind == NUMBER and isinstance(value, (int, Decimal)) else value
            if not fits:
                context[name] = None
        return context


def compiled(conditions: Sequence[Condition], numbers: Sequence[str]) -> dict[str, Compiled]:
    """Conditions by name.

    Raises
    ------
    ExpressionError : as `Compiled`, or two of one name
    """
    found: dict[str, Compiled] = {}
    for one in conditions:
        if one.name in found:
            raise ExpressionError("two conditions have one name", where=f"condition {one.name!r}")
        found[one.name] = Compiled(one, numbers)
    return found


def wrong_in(fact: Fact, now_ms: int) -> str:
    """What is wrong with a fact, "" if nothing is."""
    names = [name for name, _ in fact.fields]
    if type(fact.time_ms) is not int or not 0 <= fact.time_ms <= now_ms:
        return f"time_ms {fact.time_ms}, 0 .. {now_ms} is allowed"
    if not fact.kind or not _is_text(fact.kind):
        return f"a kind of {len(fact.kind)} characters, 1 .. {TEXT_MAX} of Unicode are allowed"
    if len(names) > FIELDS_MAX:
        return f"{len(names)} fields, at most {FIELDS_MAX} are allowed"
    if names != sorted(set(names)):
        return "fields that are not ordered by name, each once"
    return next((wrong for name, value in fact.fields if (wrong := _wrong_value(name, value))), "")


def _wrong_value(name: str, value: object) -> str:
    if name in _RESERVED or not name or not _is_text(name):
        return f"a field with the name {name!r}"
    if isinstance(value, str):
        return "" if _is_text(value) else f"{name}: {len(value)} characters, at most {TEXT_MAX} of Unicode are allowed"
    if type(value) is bool:
        return ""
    if type(value) is int:
        return f"{name}: a number of more than {DIGITS_MAX} digits" if abs(value) >= 10**DIGITS_MAX else ""
    if isinstance(value, Decimal):
        good = value.is_finite() and len(value.as_tuple().digits) <= DIGITS_MAX and abs(value.adjusted()) <= DIGITS_MAX
        return "" if good else f"{name}: a number of more than {DIGITS_MAX} digits, or none"
    return f"{name}: a value of type {type(value).__name__}, text, whole number, Decimal or boolean are allowed"


def _is_text(value: str) -> bool:
    """Whether a text is not too long and can be written as UTF-8: half of a surrogate pair cannot."""
    return len(value) <= TEXT_MAX and not any("\ud800" <= letter <= "\udfff" for letter in value)
