"""Booleans (DMN 1.5, 10.3.4.2) and the two list forms `all` and `any`."""

from __future__ import annotations

from quanheng.feel.functions.registry import builtin
from quanheng.feel.operators import single
from quanheng.feel.values import Run, kind_name


@builtin("not(negand: Any): boolean")
def logical_not(run: Run, at: int, negand: object) -> bool | None:
    negand = single(negand)
    if negand.__class__ is bool:
        return not negand
    if negand is not None:
        run.append((at, f"not() takes a boolean, was {kind_name(negand)}"))
    return None


def _values(run: Run, at: int, name: str, first: object, rest: tuple[object, ...]) -> list[object]:
    items = run.visit(first) if isinstance(first, list) and not rest else [first, *rest]
    for item in items:
        if item is not None and item.__class__ is not bool:
            run.append((at, f"{name}() takes booleans, one was {kind_name(item)}"))
    return items


@builtin("all(list...: Any): boolean")
def every(run: Run, at: int, first: object, *rest: object) -> bool | None:
    """False if any item is false, else true if all are true, else null."""
    items = _values(run, at, "all", first, rest)
    if any(item is False for item in items):
        return False
    return True if all(item is True for item in items) else None


@builtin("any(list...: Any): boolean")
def some(run: Run, at: int, first: object, *rest: object) -> bool | None:
    """True if any item is true, else false if all are false, else null."""
    items = _values(run, at, "any", first, rest)
    if any(item is True for item in items):
        return True
    return False if all(item is False for item in items) else None
