"""Reaching into values: paths, filters, loops and calls. As in `operators`, (run, at, ...) come first."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from quanheng.feel.limits import LIMITS
from quanheng.feel.operators import TEMPORAL, add, is_number, single, subtract
from quanheng.feel.values import Function, Range, Run, coerced, kind_name, shown, whole


def member(run: Run, at: int, base: object, name: str) -> object:
    """`base.name`: an entry, a property, or the same of every item of a list."""
    if base.__class__ is dict:
        if name in base:  # type: ignore[operator]
            return base[name]  # type: ignore[index]
        run.append((at, f"the context has no entry {name!r}"))
        return None
    if base is None:
        return None
    if base.__class__ is list:
        run.spend(len(base) + 1)  # type: ignore[arg-type]
        return [member(run, at, item, name) for item in base]  # type: ignore[attr-defined]
    if base.__class__ is Range:
        ends = {
            "start": base.low,
            "end": base.high,
            "start included": base.low_closed,
            "end included": base.high_closed,
        }  # type: ignore[attr-defined]
        if name in ends:
            return None if base.point == "!=" and name in ("start", "end") else ends[name]  # type: ignore[attr-defined]
    elif TEMPORAL:
        value, known = TEMPORAL[0].member(base, name)
        if known:
            return value
    run.spend(CALL)  # a diagnostic costs more than a visit
    run.append((at, f"{kind_name(base)} has no entry {name!r}"))
    return None


def has_entry(item: object, name: str) -> bool:
    return item.__class__ is dict and name in item  # type: ignore[operator]


def listed(value: object) -> list[object]:
    """What a filter or a built-in sees: null is an empty list, a single value a list of one."""
    if value.__class__ is list:
        return value  # type: ignore[return-value]
    return [] if value is None else [value]


def filtered(run: Run, at: int, base: object, predicate: Callable[[object], object]) -> object:
    """`base[predicate]` where only run time can tell a position from a condition."""
    items = listed(base)
    run.spend(len(items))
    kept: list[object] = []
    for index, item in enumerate(items):
        found = single(predicate(item))
        if found is True:
            kept.append(item)
        elif is_number(found):
            if index == 0:
                return positioned(run, at, base, found)
        elif found is not None and found is not False:
            run.append((at, f"a filter must be a condition or a position, was {kind_name(found)} {shown(found)}"))
            return None
    if not items:
        position = single(predicate(None))
        return None if is_number(position) else kept
    return kept


def positioned(run: Run, at: int, base: object, position: object) -> object:
    """`base[n]`: from 1, or from the end where negative."""
    items, position = listed(base), single(position)
    if not is_number(position):
        return None
    if position != int(position):  # type: ignore[call-overload]
        run.append((at, f"a position must be an integer, was {shown(position)}"))
        return None
    index = whole(position)  # type: ignore[arg-type]
    if 0 < index <= len(items):
        return items[index - 1]
    if -len(items) <= index < 0:
        return items[index]
    run.append((at, f"the list has {len(items)} items, position {index} is not one of them"))
    return None


STEP: list[object] = []
"""calendar.py adds the duration of a day."""


CALL = 5
"""Work of one call of a function, in visited items."""


def limited(run: Run, at: int, value: object) -> object:
    """A result, or null where it holds too many values or holds them too deeply."""
    if value.__class__ is not list and value.__class__ is not dict:
        return value
    count, waiting = 0, [(value, 1)]
    while waiting:
        one, depth = waiting.pop()
        count += len(one)  # type: ignore[arg-type]
        if count > LIMITS.result_items or depth > LIMITS.result_depth:
            run.append((at, f"the result has more than {LIMITS.result_items} values or {LIMITS.result_depth} levels"))
            return None
        inner = one.values() if isinstance(one, dict) else one
        waiting += [(part, depth + 1) for part in inner if part.__class__ is list or part.__class__ is dict]  # type: ignore[attr-defined]
    return value


class NoDomain(Exception):
    """Internal: a loop over nothing it could visit; the loop is null."""


def attempt(loop: Callable[[], object]) -> object:
    """The result of a loop, or null when it has no domain."""
    try:
        return loop()
    except NoDomain:
        return None


def domain(run: Run, at: int, value: object) -> list[object] | range | Iterator[object]:
    """What a loop visits: a list, the integers of a range, or one value."""
    cls = value.__class__
    if cls is list:
        run.spend(len(value))  # type: ignore[arg-type]
        return value  # type: ignore[return-value]
    if cls is Range and not value.point:  # type: ignore[attr-defined]
        low, high = value.low, value.high  # type: ignore[attr-defined]
        step = STEP[0] if not is_number(low) and STEP else 1  # from date to date by days
        first = low if value.low_closed or low is None else add(run, at, low, step)  # type: ignore[attr-defined]
        last = high if value.high_closed or high is None else subtract(run, at, high, step)  # type: ignore[attr-defined]
        return span(run, at, first, last, down=False)
    if value is None:
        run.append((at, "the domain of the loop is null"))
        raise NoDomain
    run.spend(1)
    return [value]


def span(run: Run, at: int, first: object, last: object, down: bool = True) -> list[object] | range:
    """The integers from `first` to `last`, downwards where `last` is smaller."""
    first, last = single(first), single(last)
    if not (is_number(first) and is_number(last)) or first != int(first) or last != int(last):  # type: ignore[call-overload]
        if TEMPORAL and (days := getattr(TEMPORAL[0], "days", None)) and (found := days(run, first, last)) is not None:
            return found  # type: ignore[no-any-return]
        run.append((at, f"a loop must run from integer to integer, was {shown(first)} to {shown(last)}"))
        raise NoDomain
    low, high = whole(first), whole(last)  # type: ignore[arg-type]
    run.spend(abs(high - low) + 1)
    if low <= high:
        return range(low, high + 1)
    return range(low, high - 1, -1) if down else []


def condition(run: Run, at: int, value: object) -> bool:
    """A condition of `if`: anything but true is not true."""
    value = single(value)
    if value is True:
        return True
    if value is not None and value is not False:
        run.append((at, f"a condition must be boolean, was {kind_name(value)} {shown(value)}"))
    return False


def invoke(run: Run, at: int, function: object, arguments: tuple[object, ...], names: tuple[str, ...] | None) -> object:
    """Call a function value with positional or named arguments."""
    if function.__class__ is not Function:
        run.append((at, f"{kind_name(function)} is not a function"))
        return None
    run.spend(CALL)
    if function.forms is not None:  # type: ignore[attr-defined]
        return function.forms(run, at, arguments, names)  # type: ignore[attr-defined]
    wanted = function.parameters  # type: ignore[attr-defined]
    if names is not None:
        if sorted(names) != sorted(wanted):
            run.append((at, f"the function takes {', '.join(wanted)}, arguments were {', '.join(names)}"))
            return None
        given = dict(zip(names, arguments, strict=True))
        arguments = tuple(given[name] for name in wanted)
    if len(arguments) != len(wanted):
        run.append((at, f"the function takes {len(wanted)} arguments, {len(arguments)} were given"))
        return None
    values = []
    for value, kind, name in zip(arguments, function.kinds, wanted, strict=True):  # type: ignore[attr-defined]
        result, fit = coerced(value, kind, run)
        if not fit:
            run.append((at, f"the argument {name!r} must be {kind}, was {kind_name(value)} {shown(value)}"))
            return None
        values.append(result)
    return function.call(run, *values)  # type: ignore[attr-defined, no-any-return]


def quantified(every: bool, results: Iterator[object]) -> bool | None:
    """`some` and `every` over the results of their body: three-valued, and lazy once the answer is known."""
    unknown = False
    for result in results:
        value = single(result)
        if value is not every and value.__class__ is bool:
            return not every
        unknown = unknown or value is not every
    return None if unknown else every
