"""How a built-in function is declared, and how a call finds its form.

A form is written as in the standard: `substring(string: string, start position: number, length?: number): string`.
`?` marks what may be left out, `...` one or more values. In the result `T` is the type of the items of the first
argument, `S` the narrowest type that holds the items of all arguments.
A value that does not fit its parameter (after the implicit conversions) makes the result null, with a diagnostic.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from quanheng.feel.tree import Node
from quanheng.feel.types import ANY, BY_NAME, FUNCTION, FeelType, ListType, RangeType, conforms, join, possible
from quanheng.feel.values import Run, coerced, kind_name, shown

Implementation = Callable[..., object]
F = TypeVar("F", bound=Implementation)
_FORM = re.compile(r"(?P<name>[a-z ]+)\((?P<parameters>.*)\): (?P<result>.+)")


@dataclass(frozen=True, slots=True)
class Signature:
    """One form of one function; `required` of its parameters must be given."""

    text: str
    name: str
    parameters: tuple[str, ...]
    kinds: tuple[FeelType, ...]
    nullable: tuple[bool, ...]
    required: int
    variadic: bool
    result: str
    implementation: Implementation

    def __str__(self) -> str:
        return self.text

    def result_of(self, arguments: Sequence[FeelType], names: Sequence[str] = ()) -> FeelType:
        """Static type of the result for arguments of these types, in the order of `names` where they are given."""
        if names:
            given = dict(zip(names, arguments, strict=True))
            arguments = [given[name] for name in self.parameters if name in given]
        if self.result == "list<S>":
            return ListType(join(*(kind.item if isinstance(kind, ListType) else kind for kind in arguments)))
        if "T" not in self.result:
            return type_of(self.result)
        first = arguments[0] if len(arguments) == 1 or not self.variadic else ANY
        item = first.item if isinstance(first, ListType) else ANY
        return ListType(item) if self.result == "list<T>" else item

    def mistake(self, arguments: Sequence[Node], names: Sequence[str]) -> str:
        """Why this form does not take these arguments; empty when it may."""
        count = len(arguments)
        if names:
            unknown = [name for name in names if name not in self.parameters]
            missing = [name for name in self.parameters[: self.required] if name not in names]
            if unknown or missing or len(set(names)) != count:
                return f"{self.name}() has no form with the parameters {', '.join(names)}"
        elif not self.required <= count or (count > len(self.parameters) and not self.variadic):
            return f"{self.name}() has no form with {count} argument{'s' if count != 1 else ''}"
        order = [self.parameters.index(name) for name in names] if names else range(count)
        for argument, index in zip(arguments, order, strict=True):
            kind = self.kinds[min(index, len(self.kinds) - 1)]
            if not accepts(argument.type, kind):
                name = self.parameters[min(index, len(self.parameters) - 1)]
                return f"{self.name}() takes {kind} for {name!r}, not {argument.type}"
        return ""


def accepts(found: FeelType, wanted: FeelType) -> bool:
    """May a value of `found` become `wanted`, with the implicit conversions between an item and a list of one?"""
    if possible(found, wanted):
        return True
    if isinstance(wanted, ListType):
        return accepts(found, wanted.item) if not isinstance(found, ListType) else accepts(found.item, wanted.item)
    if isinstance(found, ListType):
        return accepts(found.item, wanted)
    return {str(found), str(wanted)} == {"date", "date and time"}


LEFT_OUT = object()
"""A named argument that was not given, where a later one was."""
SIGNATURES: dict[str, tuple[Signature, ...]] = {}
"""All built-in functions: name to forms, in the order in which a call tries them."""


def type_of(text: str) -> FeelType:
    """A type of the mini-language of forms."""
    if text.startswith("list<"):
        return ListType(type_of(text[5:-1]))
    if text.startswith("range<"):
        return RangeType(type_of(text[6:-1]))
    if text == "function":
        return FUNCTION
    return BY_NAME.get(text, ANY)


def builtin(text: str) -> Callable[[F], F]:
    """Declare the decorated implementation `f(run, at, *values)` as one form of a function."""
    match = _FORM.fullmatch(text)
    assert match is not None, text

    def declare(implementation: F) -> F:
        parts = [part for part in match["parameters"].split(", ") if part]
        names, kinds, nullable, required, variadic = [], [], [], 0, False
        for part in parts:
            name, _, kind = part.partition(": ")
            variadic = variadic or name.endswith("...")
            required += not name.endswith("?")
            names.append(name.rstrip("?."))
            nullable.append(kind.endswith("|null") or kind == "Any")
            kinds.append(type_of(kind.removesuffix("|null")))
        signature = Signature(text, match["name"], tuple(names), tuple(kinds), tuple(nullable), required, variadic,
                              match["result"], implementation)  # fmt: skip
        SIGNATURES[signature.name] = (*SIGNATURES.get(signature.name, ()), signature)
        return implementation

    return declare


def signature_for(name: str, arguments: Sequence[Node], names: Sequence[str]) -> tuple[Signature | None, str]:
    """The form a call means by the types known before run time, or None and the mistake."""
    forms = sorted(SIGNATURES[name], key=lambda one: one.parameters[: len(names)] != tuple(names))
    mistakes = [(form, form.mistake(arguments, names)) for form in forms]
    for form, mistake in mistakes:
        if not mistake:
            return form, ""
    by_count = [entry for entry in mistakes if "form with" not in entry[1]]
    return None, (by_count or mistakes)[0][1]


def forms_for(name: str, count: int, names: Sequence[str] | None) -> list[Signature]:
    """The forms that take that many arguments, or those names."""
    found = []
    for form in SIGNATURES[name]:
        if names is not None:
            if set(names) <= set(form.parameters) and set(form.parameters[: form.required]) <= set(names):
                found.append(form)
                found.sort(key=lambda one: one.parameters[: len(names)] != tuple(names))
        elif form.required <= count and (count <= len(form.parameters) or form.variadic):
            found.append(form)
    return found


def settled(form: Signature, kinds: Sequence[FeelType]) -> bool:
    """True when arguments of these static types fit the form whatever their values, null aside."""
    last = len(form.kinds) - 1
    return all(conforms(kind, form.kinds[min(index, last)]) for index, kind in enumerate(kinds))


def placed(form: Signature, arguments: Sequence[object], names: Sequence[str] | None) -> list[object]:
    """Named arguments in the order of the form; what was left out is None."""
    if names is None:
        return list(arguments)
    given = dict(zip(names, arguments, strict=True))
    last = max(form.parameters.index(name) for name in names)
    return [given.get(name, LEFT_OUT) for name in form.parameters[: last + 1]]


def call_builtin(run: Run, at: int, forms: Sequence[Signature], name: str, arguments: Sequence[object],
                 names: Sequence[str] | None) -> object:  # fmt: skip
    """Call the first form whose parameters the values fit; null and a diagnostic when none does."""
    cause = ""
    for form in forms:
        values = placed(form, arguments, names)
        cause = _fit(run, form, values)
        if not cause:
            return form.implementation(run, at, *values)
    run.append((at, cause or f"{name}() has no form with these arguments"))
    return None


def _fit(run: Run, form: Signature, values: list[object]) -> str:
    """Convert `values` in place; the reason when one does not fit."""
    last = len(form.kinds) - 1
    for index, value in enumerate(values):
        position = min(index, last)
        kind = form.kinds[position]
        if value is LEFT_OUT:
            values[index] = None
            continue
        if value is None:
            if not form.nullable[position]:
                return f"{form.name}(): {form.parameters[position]!r} is null"
            continue
        if kind is ANY:
            continue
        values[index], fit = coerced(value, kind, run)
        if not fit or values[index] is None:
            found = f"{kind_name(value)} {shown(value)}"
            return f"{form.name}(): {form.parameters[position]!r} must be {kind}, was {found}"
    return ""
