"""Lists (DMN 1.5, 10.3.4.4). Positions count from 1, negative ones from the end. Arguments are never changed."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from functools import cmp_to_key
from typing import cast

from quanheng.feel.access import invoke
from quanheng.feel.functions.registry import builtin
from quanheng.feel.operators import add, divide, equal, is_number, multiply, order, single, square_root_of
from quanheng.feel.values import SMALL, Function, Run, kind_name, shown, whole

Items = list[object]


def _given(run: Run, first: object, rest: tuple[object, ...]) -> Items:
    """`f(list)` and `f(a, b, c)` mean the same."""
    return run.visit(cast(Items, first)) if isinstance(first, list) and not rest else [first, *rest]


def _numbers(run: Run, at: int, name: str, items: Items) -> bool:
    """True when all items are numbers; null and other kinds make an aggregate null."""
    for item in items:
        if not is_number(item):
            run.append((at, f"{name}() takes numbers, one was {kind_name(item)}"))
            return False
    return True


@builtin("list contains(list: list, element: Any): boolean")
def list_contains(run: Run, _at: int, items: Items, element: object) -> bool:
    return any(equal(item, element, run) is True for item in run.visit(items))


@builtin("list replace(list: list, position: number, newItem: Any): list")
def list_replace(run: Run, at: int, items: Items, position: int, new: object) -> Items | None:
    index = _index(run, at, "list replace", items, position)
    return None if index is None else [*items[:index], new, *items[index + 1 :]]


@builtin("list replace(list: list, match: function, newItem: Any): list")
def list_replace_by(run: Run, at: int, items: Items, match: Function, new: object) -> Items | None:
    run.spend(len(items))
    replaced: Items = []
    for item in items:
        found = single(invoke(run, at, match, (item, new), None))
        if not isinstance(found, bool):
            run.append((at, f"list replace(): match must give a boolean, was {kind_name(found)}"))
            return None
        replaced.append(new if found else item)
    return replaced


@builtin("count(list: list): number")
def count(_run: Run, _at: int, items: Items) -> int:
    return len(items)


def _extreme(run: Run, at: int, name: str, items: Items, sign: int) -> object:
    best: object = None
    for position, item in enumerate(items):
        if position == 0:
            best = item
            if order(item, item) is None:
                run.append((at, f"{name}() takes values with an order, one was {kind_name(item)}"))
                return None
            continue
        compared = order(item, best)
        if compared is None:
            run.append((at, f"{name}() cannot compare {kind_name(item)} with {kind_name(best)}"))
            return None
        best = item if compared * sign > 0 else best
    return best


@builtin("min(list...: Any): T")
def minimum(run: Run, at: int, first: object, *rest: object) -> object:
    return _extreme(run, at, "min", _given(run, first, rest), -1)


@builtin("max(list...: Any): T")
def maximum(run: Run, at: int, first: object, *rest: object) -> object:
    return _extreme(run, at, "max", _given(run, first, rest), 1)


def _folded(run: Run, at: int, name: str, items: Items, step: Callable[..., object]) -> object:
    if not items or not _numbers(run, at, name, items):
        return None
    result = items[0]
    for item in items[1:]:
        result = step(run, at, result, item)
    return result


@builtin("sum(list...: Any): number")
def total(run: Run, at: int, first: object, *rest: object) -> object:
    return _folded(run, at, "sum", _given(run, first, rest), add)


@builtin("product(list...: Any): number")
def product(run: Run, at: int, first: object, *rest: object) -> object:
    return _folded(run, at, "product", _given(run, first, rest), multiply)


@builtin("mean(list...: Any): number")
def mean(run: Run, at: int, first: object, *rest: object) -> object:
    items = _given(run, first, rest)
    result = _folded(run, at, "mean", items, add)
    return None if result is None else divide(run, at, result, len(items))


@builtin("median(list...: Any): number")
def median(run: Run, at: int, first: object, *rest: object) -> object:
    items = _given(run, first, rest)
    if not items or not _numbers(run, at, "median", items):
        return None
    ordered = sorted(cast("list[Decimal]", items))
    middle = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[middle]
    return divide(run, at, add(run, at, ordered[middle - 1], ordered[middle]), 2)


@builtin("stddev(list...: Any): number")
def stddev(run: Run, at: int, first: object, *rest: object) -> object:
    """Standard deviation of a sample (divisor n - 1)."""
    items = _given(run, first, rest)
    centre = mean(run, at, items)
    if centre is None or len(items) < 2:
        return None
    gaps = [add(run, at, item, multiply(run, at, centre, -1)) for item in items]
    squares = [multiply(run, at, gap, gap) for gap in gaps]
    return square_root_of(run, at, divide(run, at, total(run, at, squares), len(items) - 1))


@builtin("mode(list...: Any): list<number>")
def mode(run: Run, at: int, first: object, *rest: object) -> Items | None:
    """The most frequent numbers, rising."""
    items = _given(run, first, rest)
    if not _numbers(run, at, "mode", items):
        return None
    counts: dict[object, int] = {}
    for item in items:
        counts[item] = counts.get(item, 0) + 1
    most = max(counts.values(), default=0)
    return sorted(cast("list[Decimal]", [item for item, times in counts.items() if times == most]))  # type: ignore[return-value]


@builtin("sublist(list: list, start position: number, length?: number): list<T>")
def sublist(run: Run, at: int, items: Items, start: int, length: int | None = None) -> Items | None:
    first = _index(run, at, "sublist", items, start)
    if first is None or (length is not None and length < 1):
        return None
    if length is not None and first + whole(length) > len(items):
        beyond = f"{shown(length)} from position {shown(start)} go beyond it"
        run.append((at, f"sublist(): the list has {len(items)} items, {beyond}"))
        return None
    return items[first:] if length is None else items[first : first + whole(length)]


def _index(run: Run, at: int, name: str, items: Items, position: object, beyond: int = 0) -> int | None:
    """A position (from 1, or negative from the end) as an index."""
    run.visit(items)
    number = whole(cast(int, position))
    if number != position or number == 0 or number > len(items) + beyond or -number > len(items):
        run.append((at, f"{name}(): the list has {len(items)} items, position {shown(position)} is not one of them"))
        return None
    return number - 1 if number > 0 else len(items) + number


@builtin("append(list: list, item...: Any): list")
def append(run: Run, _at: int, items: Items, *more: object) -> Items:
    run.spend(len(items))
    return [*items, *more]


@builtin("concatenate(list...: list): list<S>")
def concatenate(run: Run, _at: int, *lists: Items) -> Items:
    if len(lists) == 2 and len(lists[0]) + len(lists[1]) <= SMALL:  # the usual call
        return lists[0] + lists[1]
    items = 0
    for one in lists:
        items += len(one)
    if items > SMALL:
        run.spend(items)
    result: Items = []
    for one in lists:
        result += one
    return result


@builtin("insert before(list: list, position: number, newItem: Any): list")
def insert_before(run: Run, at: int, items: Items, position: int, new: object) -> Items | None:
    index = _index(run, at, "insert before", items, position)
    return None if index is None else [*items[:index], new, *items[index:]]


@builtin("remove(list: list, position: number): list<T>")
def remove(run: Run, at: int, items: Items, position: int) -> Items | None:
    index = _index(run, at, "remove", items, position)
    return None if index is None else [*items[:index], *items[index + 1 :]]


@builtin("reverse(list: list): list<T>")
def reverse(run: Run, _at: int, items: Items) -> Items:
    return run.visit(items)[::-1]


@builtin("index of(list: list, match: Any): list<number>")
def index_of(run: Run, _at: int, items: Items, match: object) -> Items:
    return [position for position, item in enumerate(run.visit(items), 1) if equal(item, match, run) is True]


def _distinct(run: Run, items: Items) -> Items:
    """Each value once, in the order of first sight; texts and numbers by hash, others by comparison."""
    run.spend(len(items))
    seen: set[object] = set()
    others: Items = []
    kept: Items = []
    for item in items:
        if item is None or isinstance(item, str) or is_number(item):
            if item not in seen:
                seen.add(item)
                kept.append(item)
            continue
        run.spend(len(others) + 1)
        if not any(equal(item, other, run) is True for other in others):
            others.append(item)
            kept.append(item)
    return kept


@builtin("union(list...: list): list<S>")
def union(run: Run, _at: int, *lists: Items) -> Items:
    return _distinct(run, [item for one in lists for item in one])


@builtin("distinct values(list: list): list<T>")
def distinct_values(run: Run, _at: int, items: Items) -> Items:
    return _distinct(run, items)


@builtin("duplicate values(list: list): list<T>")
def duplicate_values(run: Run, _at: int, items: Items) -> Items:
    run.spend(len(items) * len(items))
    return [one for one in _distinct(run, items) if sum(equal(one, item, run) is True for item in items) > 1]


@builtin("flatten(list: list): list")
def flatten(run: Run, _at: int, items: Items) -> Items:
    result: Items = []
    waiting = [iter(items)]
    while waiting:
        for item in waiting[-1]:
            run.spend(1)
            if isinstance(item, list):
                waiting.append(iter(item))
                break
            result.append(item)
        else:
            waiting.pop()
    return result


@builtin("sort(list: list, precedes?: function): list<T>")
def sort(run: Run, at: int, items: Items, precedes: Function | None = None) -> Items | None:
    """A stable sort; without `precedes` by the order of the values."""
    if precedes is not None and len(precedes.parameters) != 2:
        run.append((at, f"sort() takes a function of 2 parameters, it has {len(precedes.parameters)}"))
        return None

    def compare(left: object, right: object) -> int:
        run.spend(1)
        if precedes is None:
            result = order(left, right)
            if result is None:
                raise _NoOrder(f"sort() cannot compare {kind_name(left)} with {kind_name(right)}")
            return result
        if single(invoke(run, at, precedes, (left, right), None)) is True:
            return -1
        return 1 if single(invoke(run, at, precedes, (right, left), None)) is True else 0

    try:
        return sorted(items, key=cmp_to_key(compare))
    except _NoOrder as error:
        run.append((at, str(error)))
        return None


class _NoOrder(Exception):
    """Internal: two items without a common order."""
