"""Types of FEEL (DMN 1.5, 10.3.2): what a checked tree knows about each of its nodes.

Every type includes null: `number` means "a number or null". A static type is a promise that generated code relies
on, so a value enters an expression only through `admit` (values.py), which turns what does not fit into null.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from quanheng.feel.limits import LIMITS

SHOWN_MAX, NAMES_MAX = 60, 12
"""Parts of a type that a message names; of a larger one only the names of its first entries."""


@dataclass(frozen=True, slots=True, eq=False)
class FeelType:
    """Base of all types; `str()` gives the name an author would write."""

    def __str__(self) -> str:
        return "Any"


@dataclass(frozen=True, slots=True, eq=False)
class Simple(FeelType):
    """A type without parts. Each exists once (below), so types are compared and hashed by identity, which is fast."""

    name: str

    def __reduce__(self) -> tuple[Callable[[str], FeelType], tuple[str]]:
        return simple, (self.name,)

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class ListType(FeelType):
    """A list whose items all have type `item`."""

    item: FeelType

    def __str__(self) -> str:
        return f"list<{self.item}>"


@dataclass(frozen=True, slots=True)
class RangeType(FeelType):
    """A range between two ends of type `item`."""

    item: FeelType

    def __str__(self) -> str:
        return f"range<{self.item}>"


@dataclass(frozen=True, slots=True)
class ContextType(FeelType):
    """A context; `fields` are the entries known to exist, others may exist too.

    `mixed` where the type is what several contexts with different entries have in common.
    """

    fields: tuple[tuple[str, FeelType], ...] = ()
    mixed: bool = field(default=False, compare=False)
    extent: tuple[int, int] = field(default=(1, 1), init=False, compare=False)
    """As `extent_of` has it: kept, because types share their parts, and twice the parts at each level add up."""

    def __post_init__(self) -> None:
        if self.fields:
            inner = [extent_of(kind) for _, kind in self.fields]
            both = 1 + sum(parts for parts, _ in inner), 1 + max(levels for _, levels in inner)
            object.__setattr__(self, "extent", both)

    def __hash__(self) -> int:
        return hash(tuple(name for name, _ in self.fields))

    def field(self, name: str) -> FeelType | None:
        """Type of one entry, None if the entry is not known."""
        for key, kind in self.fields:
            if key == name:
                return kind
        return None

    def __str__(self) -> str:
        if self.extent[0] > SHOWN_MAX:
            names = ", ".join(key for key, _ in self.fields[:NAMES_MAX])
            return f"context<{names}, ...>"
        inner = ", ".join(f"{key}: {kind}" for key, kind in self.fields)
        return f"context<{inner}>" if inner else "context"


@dataclass(frozen=True, slots=True)
class FunctionType(FeelType):
    """A function with named parameters."""

    parameters: tuple[tuple[str, FeelType], ...]
    result: FeelType

    def __str__(self) -> str:
        return (
            "function"
            if self is FUNCTION
            else f"function<{', '.join(str(kind) for _, kind in self.parameters)}> -> {self.result}"
        )


ANY = Simple("Any")
NULL = Simple("Null")
NUMBER = Simple("number")
STRING = Simple("string")
BOOLEAN = Simple("boolean")
DATE = Simple("date")
TIME = Simple("time")
DATE_TIME = Simple("date and time")
DAYS_DURATION = Simple("days and time duration")
YEARS_DURATION = Simple("years and months duration")
CONTEXT = ContextType()
LIST = ListType(ANY)
RANGE = RangeType(ANY)
FUNCTION = FunctionType((("...", ANY),), ANY)
"""Any function, whatever it takes."""

BY_NAME: dict[str, FeelType] = {
    "Any": ANY,
    "Null": NULL,
    "number": NUMBER,
    "string": STRING,
    "boolean": BOOLEAN,
    "date": DATE,
    "time": TIME,
    "date and time": DATE_TIME,
    "dateTime": DATE_TIME,
    "days and time duration": DAYS_DURATION,
    "dayTimeDuration": DAYS_DURATION,
    "years and months duration": YEARS_DURATION,
    "yearMonthDuration": YEARS_DURATION,
    "context": CONTEXT,
    "list": LIST,
    "range": RANGE,
}
"""Type names of the standard, with the short forms older models use."""


def simple(name: str) -> FeelType:
    """The one type of that name: a copied or unpickled type is the same object."""
    return BY_NAME[name]


TEMPORAL = frozenset({DATE, TIME, DATE_TIME})
DURATIONS = frozenset({DAYS_DURATION, YEARS_DURATION})
ORDERED = frozenset({NUMBER, STRING}) | TEMPORAL | DURATIONS
"""Types whose values have an order (`<` and ranges)."""


def extent_of(kind: FeelType) -> tuple[int, int]:
    """Parts of a type, written out, and levels of it."""
    if isinstance(kind, ContextType):
        return kind.extent
    inner: tuple[FeelType, ...] = ()
    if isinstance(kind, ListType | RangeType):
        inner = (kind.item,)
    elif isinstance(kind, FunctionType):
        inner = (kind.result, *(one for _, one in kind.parameters))
    parts, levels = 1, 1
    for one in inner:
        more, below = extent_of(one)
        parts, levels = parts + more, max(levels, below + 1)
    return parts, levels


def is_vast(kind: FeelType) -> bool:
    """True beyond the limits of one type."""
    parts, levels = extent_of(kind)
    return parts > LIMITS.type_parts or levels > LIMITS.type_levels


def held(kind: FeelType) -> FeelType:
    """The type itself, or Any where it is beyond the limits: less is known of such values, nothing else changes."""
    return ANY if is_vast(kind) else kind


def entries_open(kind: FeelType) -> bool:
    """True when a value of that type may have entries that its type does not name, and nobody declared which."""
    return kind in (ANY, NULL) or (isinstance(kind, ContextType) and (kind.mixed or not kind.fields))


def flat(kind: FeelType) -> bool:
    """True when a value of that type is single, or a list of such values."""
    if isinstance(kind, ListType):
        return isinstance(kind.item, Simple) and kind.item != ANY
    return isinstance(kind, Simple) and kind != ANY


def unknown(kind: FeelType) -> bool:
    """True when nothing is known before run time."""
    return kind == ANY


def conforms(kind: FeelType, target: FeelType) -> bool:
    """True when every value of `kind` is a value of `target` (DMN 1.5, 10.3.2.9.4).

    Null conforms to everything; `Any` conforms only to `Any`.
    """
    if target == ANY or kind in (NULL, target):
        return True
    if isinstance(kind, ListType) and isinstance(target, ListType):
        return conforms(kind.item, target.item)
    if isinstance(kind, RangeType) and isinstance(target, RangeType):
        return conforms(kind.item, target.item)
    if isinstance(kind, ContextType) and isinstance(target, ContextType):
        pairs = ((kind.field(name), wanted) for name, wanted in target.fields)
        return all(found is not None and conforms(found, wanted) for found, wanted in pairs)
    if isinstance(kind, FunctionType) and isinstance(target, FunctionType):
        return target is FUNCTION or (
            len(kind.parameters) == len(target.parameters)
            and conforms(kind.result, target.result)
            and all(conforms(t, k) for (_, k), (_, t) in zip(kind.parameters, target.parameters, strict=True))
        )
    return False


def possible(kind: FeelType, target: FeelType) -> bool:
    """True unless no value of `kind` except null can be a value of `target`: the test for a certain mistake."""
    if ANY in (kind, target) or NULL in (kind, target) or conforms(kind, target) or conforms(target, kind):
        return True
    if isinstance(kind, ListType) and isinstance(target, ListType):
        return possible(kind.item, target.item)
    if isinstance(kind, RangeType) and isinstance(target, RangeType):
        return possible(kind.item, target.item)
    if isinstance(kind, ContextType) and isinstance(target, ContextType):
        return all((found := kind.field(n)) is None or possible(found, t) for n, t in target.fields)
    return isinstance(kind, FunctionType) and isinstance(target, FunctionType)


def join(*kinds: FeelType) -> FeelType:
    """The narrowest type that holds the values of all `kinds`."""
    result: FeelType = NULL
    for kind in kinds:
        if kind is result:
            continue
        if isinstance(kind, ContextType) and isinstance(result, ContextType):
            result = _shared(result, kind)
        elif isinstance(kind, ListType) and isinstance(result, ListType):
            result = ListType(join(result.item, kind.item))
        elif conforms(kind, result):
            continue
        elif conforms(result, kind):
            result = kind
        else:
            return ANY
    return result


def _shared(one: ContextType, other: ContextType) -> ContextType:
    """The entries that two contexts have in common."""
    both = tuple((name, join(kind, also)) for name, kind in one.fields if (also := other.field(name)) is not None)
    return ContextType(both, one.mixed or other.mixed or not len(one.fields) == len(both) == len(other.fields))
