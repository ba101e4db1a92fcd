"""All that generated code can reach besides its own constants."""

from __future__ import annotations

from decimal import Decimal

from quanheng.feel import access, operators
from quanheng.feel.functions import SIGNATURES, call_builtin, forms_for
from quanheng.feel.types import NULL, FeelType
from quanheng.feel.values import Function, Run, admit, fits


def collect(make: object) -> list[object]:
    """Run a loop whose body reads the results so far."""
    results: list[object] = []
    for result in make(results):  # type: ignore[operator]
        results.append(result)
    return results


def snapshot(run: Run, results: list[object]) -> list[object]:
    """The results so far as a list of its own, counted as work."""
    run.spend(len(results))
    return list(results)


def items_of(run: Run, value: object) -> list[object]:
    """The items a filter visits, counted against the limit of work."""
    items = access.listed(value)
    run.spend(len(items))
    return items


def instance(run: Run, value: object, kind: FeelType) -> bool:
    """`value instance of kind`: null is an instance of Null only."""
    if value is None:
        return kind == NULL
    return kind != NULL and fits(value, kind, run)


def unknown_name(run: Run, at: int, name: str) -> None:
    run.append((at, f"the name {name!r} is not known here"))


def fail(run: Run, at: int, cause: str) -> None:
    run.append((at, cause))


_OPERATORS = (
    "add", "subtract", "multiply", "divide", "power", "negate", "equals", "differs", "less", "less_equal", "greater",
    "greater_equal", "conjunction", "disjunction", "negation", "single", "tested", "spanned", "between", "make_range",
    "open_range", "point_range", "listed",
)  # fmt: skip
_ACCESS = (
    "limited", "member", "has_entry", "filtered", "positioned", "domain", "span", "condition", "attempt", "invoke",
    "quantified",
)  # fmt: skip
RUNTIME: dict[str, object] = {
    **{name: getattr(operators, name) for name in _OPERATORS},
    **{name: getattr(access, name) for name in _ACCESS},
    "call_builtin": call_builtin, "collect": collect, "snapshot": snapshot, "items_of": items_of, "instance": instance,
    "admit": admit, "unknown_name": unknown_name, "fail": fail, "Function": Function, "int": int, "str": str,
    "dict": dict, "bool": bool, "list": list, "any": any, "Decimal": Decimal,
}  # fmt: skip
"""All that generated code can reach besides its own constants."""


def builtin_value(name: str) -> Function:
    """A built-in function as a value that can be passed on."""
    form = SIGNATURES[name][0]

    def run_it(run: Run, at: int, arguments: tuple[object, ...], names: tuple[str, ...] | None) -> object:
        return call_builtin(run, at, forms_for(name, len(arguments), names), name, arguments, names)

    def call(run: Run, *arguments: object) -> object:
        return run_it(run, 0, arguments, None)

    return Function(call, form.parameters, name, form.kinds, forms=run_it)
