"""Values at run time, and the record of one evaluation.

number: int or Decimal (never float, never bool); string: str; boolean: bool; null: None; list: list; context: dict;
range: `Range`; function: `Function`. Decimal arithmetic uses 34 digits, half-even (IEEE 754-2008 decimal128), through
one context object that is passed explicitly, so a caller's own decimal context neither matters nor changes.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from decimal import ROUND_HALF_EVEN as _HALF_EVEN
from decimal import Clamped, Context, Decimal, DivisionByZero, InvalidOperation, Overflow
from reprlib import Repr
from typing import NamedTuple

from quanheng.feel.limits import LIMITS
from quanheng.feel.types import (
    ANY,
    BOOLEAN,
    FUNCTION,
    NUMBER,
    STRING,
    ContextType,
    FeelType,
    FunctionType,
    ListType,
    RangeType,
    Simple,
    conforms,
)

DIGITS = 34
NUMBERS = Context(
    prec=DIGITS, rounding=_HALF_EVEN, Emin=-6143, Emax=6144, traps=[InvalidOperation, DivisionByZero, Overflow]
)
"""decimal128; Clamped and Underflow pass silently."""
NUMBERS.clear_flags()
NUMBERS.traps[Clamped] = False
INTEGER_MAX = 10**DIGITS
"""Integers at or beyond this are rounded to 34 digits."""
SMALL = 16
"""Items that a function may visit without counting them: no more work than the call itself."""
NESTED = 5
"""Work of looking into one list that holds lists or contexts, beside its items."""
TEXT_FREE, TEXT_UNIT = 1024, 64
"""Texts up to TEXT_FREE characters are not counted as work; longer ones count once for each TEXT_UNIT."""


class Place(NamedTuple):
    """Where a piece of code comes from: the name of its expression, line, column, and the text there."""

    name: str
    line: int
    column: int
    text: str

    def __str__(self) -> str:
        return f"{self.name}, line {self.line}, column {self.column}"


class Diagnostic(NamedTuple):
    """Why a value became null."""

    place: Place
    cause: str

    def __str__(self) -> str:
        return f"{self.place}: {self.cause}"


Membership = Callable[[str, str], bool]
"""Is (name of a list, value) on the list, as of the moment of the run? Given from outside, like the time."""


class _Every:
    """Holds every name."""

    __slots__ = ()

    def __contains__(self, name: object) -> bool:
        return True


EVERY: Container[str] = _Every()


class Run(list[tuple[int, str]]):
    """One evaluation: the list of (place index, cause) found so far, and the work done."""

    # Class attributes instead of __init__: a run is made for every judgement, and few of them change either.
    spent: int = 0
    now_ms: int | None = None
    lists: Membership | None = None
    held: Container[str] = EVERY
    """Names of the lists that hold something: of another one the answer is known without asking."""

    @classmethod
    def at(cls, now_ms: int | None) -> Run:
        """A run whose `now()` is `now_ms`."""
        run = cls()
        if now_ms is not None:
            run.now_ms = now_ms
        return run

    def spend(self, items: int) -> None:
        """Count work; beyond the limit the whole evaluation is given up."""
        self.spent += items
        if self.spent > LIMITS.work:
            raise TooMuchWork

    def visit(self, items: list[object]) -> list[object]:
        """The same items, counted where they are many."""
        if len(items) > SMALL:
            self.spend(len(items))
        return items

    def copy_text(self, length: int) -> None:
        """Count a text that is built or searched."""
        if length > TEXT_FREE:
            self.spend(length // TEXT_UNIT)


class IdleRun(Run):
    """A run where no list holds anything: nothing need be set."""

    lists: Membership | None = staticmethod(lambda name, value: False)
    held: Container[str] = frozenset()


class TooMuchWork(Exception):
    """Internal: caught where an evaluation starts; the caller sees null and a diagnostic."""


OUT_OF_RANGE = "a number is out of range"
GIVEN_UP = (TooMuchWork, RecursionError, ArithmeticError, ValueError)
"""What ends an evaluation: the boundary turns it into null and a diagnostic."""
TOO_DEEP = "functions call each other too deeply"


def give_up(run: Run, error: Exception) -> None:
    """Say why an evaluation was ended."""
    causes = {TooMuchWork: f"the expression visits more than {LIMITS.work} items", RecursionError: TOO_DEEP}
    run.append((0, causes.get(type(error), OUT_OF_RANGE)))


class Range:
    """A range; a None end is open to that side. `point` is `=` or `!=` for `(=5)` and `(!=5)`, whose ends are 5."""

    __slots__ = ("high", "high_closed", "low", "low_closed", "point")

    def __init__(self, low: object, low_closed: bool, high: object, high_closed: bool, point: str = "") -> None:
        self.low, self.low_closed, self.high, self.high_closed, self.point = low, low_closed, high, high_closed, point

    def parts(self) -> tuple[object, bool, object, bool, str]:
        return self.low, self.low_closed, self.high, self.high_closed, self.point

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Range) and self.parts() == other.parts()

    def __hash__(self) -> int:
        return hash(self.parts())

    def __repr__(self) -> str:
        if self.point:
            return f"({self.point}{self.low!r})"
        return f"{'[' if self.low_closed else '('}{self.low!r}..{self.high!r}{']' if self.high_closed else ')'}"


class Function:
    """A function value: `call(run, *arguments)`; `forms(run, at, arguments, names)` where it has several forms."""

    __slots__ = ("call", "forms", "kinds", "name", "parameters", "result")

    def __init__(
        self,
        call: Callable[..., object],
        parameters: Sequence[str],
        name: str = "function",
        kinds: Sequence[FeelType] = (),
        result: FeelType = ANY,
        forms: Callable[..., object] | None = None,
    ) -> None:
        self.call, self.parameters, self.name = call, tuple(parameters), name
        self.kinds = tuple(kinds) or (ANY,) * len(self.parameters)
        self.result, self.forms = result, forms

    def conforms(self, kind: FunctionType) -> bool:
        """Does it take what `kind` takes, and give what `kind` gives? A result of unknown type may."""
        if kind is FUNCTION:
            return True
        wanted = [one for _, one in kind.parameters]
        return (
            len(wanted) == len(self.kinds)
            and all(conforms(one, own) for one, own in zip(wanted, self.kinds, strict=True))
            and (self.result is ANY or conforms(self.result, kind.result))
        )

    def __repr__(self) -> str:
        return f"{self.name}({', '.join(self.parameters)})"


def number_of(text: str) -> int | Decimal:
    """A number literal: an int where it is written as one and fits 34 digits, else a Decimal."""
    if text.isdigit() and len(text) <= DIGITS:
        return int(text)
    return NUMBERS.create_decimal(text)


def rounded(value: int) -> int | Decimal:
    """An integer of any size as a FEEL number."""
    if -INTEGER_MAX < value < INTEGER_MAX:
        return value
    return NUMBERS.create_decimal(value)


WHOLE_MAX = 10**18
"""Positions and lengths beyond this all mean "beyond the end"."""


def whole(value: int | Decimal) -> int:
    """The integer part of a number for use as a position or a count, held within WHOLE_MAX."""
    if value >= WHOLE_MAX:
        return WHOLE_MAX
    return -WHOLE_MAX if value <= -WHOLE_MAX else int(value)


def kind_name(value: object) -> str:
    """What a value is, in the words of the standard."""
    for kind, name in _KIND_NAMES:
        if isinstance(value, kind):
            return name
    return getattr(value, "kind_name", type(value).__name__)


_KIND_NAMES: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (type(None), "null"),
    (bool, "boolean"),
    ((int, Decimal), "number"),
    (str, "string"),
    (list, "list"),
    (dict, "context"),
    (Range, "range"),
    (Function, "function"),
)

CLASSES: dict[FeelType, tuple[type, ...]] = {NUMBER: (int, Decimal), STRING: (str,), BOOLEAN: (bool,)}
"""Exact classes of the simple types; temporal.py adds its own."""


def fits(value: object, kind: FeelType, run: Run | None = None) -> bool:
    """True when a value is of that type; null is of every type. Inner values count as work of `run`."""
    if value is None or kind is ANY:
        return True
    if isinstance(kind, Simple):
        cls = value.__class__
        if cls is Decimal and kind is NUMBER:
            return value.is_finite()  # type: ignore[attr-defined, no-any-return]
        return cls in CLASSES.get(kind, ())
    if isinstance(kind, ListType):
        return isinstance(value, list) and (not value or kind.item is ANY or _all_fit(value, kind.item, run))
    if isinstance(kind, ContextType):
        return isinstance(value, dict) and all(name in value and fits(value[name], k, run) for name, k in kind.fields)
    if isinstance(kind, RangeType):
        return isinstance(value, Range) and fits(value.low, kind.item) and fits(value.high, kind.item)
    if isinstance(kind, FunctionType):
        return isinstance(value, Function) and value.conforms(kind)
    return False


def _all_fit(items: list[object], kind: FeelType, run: Run | None) -> bool:
    """`fits` for every item; classes that settle it are compared without a call for each."""
    if run is not None:
        run.visit(items) if isinstance(kind, Simple) else run.spend(len(items) + NESTED)
    settled = CLASSES.get(kind, ()) if kind is not NUMBER else (int,)
    return all(item.__class__ in settled or fits(item, kind, run) for item in items)


def coerced(value: object, kind: FeelType, run: Run | None = None) -> tuple[object, bool]:
    """A value as `kind` by the conversions of DMN 1.5, 10.3.2.9.4; the flag is False when it does not fit.

    A list of one becomes its item, an item becomes a list of one where a list is wanted. Tuples are taken as lists.
    """
    if fits(value, kind, run):
        return value, True
    if isinstance(value, tuple):
        return coerced(list(value), kind, run)
    if isinstance(kind, ListType):
        if not isinstance(value, list) and fits(value, kind.item, run):
            return [value], True
        return None, False
    if isinstance(value, list) and len(value) == 1 and fits(value[0], kind, run):
        return value[0], True
    date_time = DATE_TO_DATE_TIME
    if date_time and str(kind) == "date and time" and kind_name(value) == "date":
        return date_time[0](value), True
    return None, False


DATE_TO_DATE_TIME: list[Callable[[object], object]] = []
"""temporal.py adds the conversion: a date where a date and time is wanted is its midnight UTC."""


def admit(run: Run, at: int, value: object, kind: FeelType, name: str = "the value") -> object:
    """A value that enters typed code: itself, converted, or null and a diagnostic."""
    result, fit = coerced(value, kind, run)
    if not fit:
        run.append((at, f"{name} must be {kind}, was {kind_name(value)} {shown(value)}"))
    return result


class _Short(Repr):
    """Values in few words; what FEEL writes in another way than Python in the way of FEEL."""

    def repr_instance(self, x: object, level: int) -> str:
        return f'@"{x}"' if hasattr(x, "kind_name") else super().repr_instance(x, level)  # type: ignore[no-untyped-call, no-any-return]

    def repr_Decimal(self, x: Decimal, level: int) -> str:
        return str(x)

    def repr_bool(self, x: bool, level: int) -> str:
        return "true" if x else "false"

    def repr_NoneType(self, x: None, level: int) -> str:
        return "null"


_SHORT = _Short()
_SHORT.maxlevel, _SHORT.maxlist, _SHORT.maxdict, _SHORT.maxstring, _SHORT.maxother = 3, 12, 12, 64, 64


def shown(value: object) -> str:
    """A value for a message, never longer than 60 characters."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = rounded(value)
    text = str(value) if isinstance(value, Decimal) else _SHORT.repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
