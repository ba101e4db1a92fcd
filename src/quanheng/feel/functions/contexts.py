"""Contexts (DMN 1.5, 10.3.4.8) and `is`. A function never changes its argument: it gives a new context."""

from __future__ import annotations

from typing import cast

from quanheng.feel.functions.registry import builtin
from quanheng.feel.operators import equal
from quanheng.feel.values import Run


@builtin("get value(m: context, key: string): Any")
def get_value(run: Run, at: int, m: dict[str, object], key: str) -> object:
    if key not in m:
        run.append((at, f"the context has no entry {key!r}"))
        return None
    return m[key]


@builtin("get entries(m: context): list<context>")
def get_entries(run: Run, _at: int, m: dict[str, object]) -> list[object]:
    run.spend(len(m))
    return [{"key": key, "value": value} for key, value in m.items()]


@builtin("context(entries: list<context>): context")
def context(run: Run, at: int, entries: list[dict[str, object]]) -> dict[str, object] | None:
    result: dict[str, object] = {}
    for entry in cast("list[dict[str, object]]", run.visit(entries)):  # type: ignore[arg-type]
        key = entry.get("key") if isinstance(entry, dict) else None
        if not isinstance(key, str) or "value" not in entry or key in result:
            run.append((at, "each entry of context() needs its own text 'key' and a 'value'"))
            return None
        result[key] = entry["value"]
    return result


@builtin("context put(context: context, key: string, value: Any): context")
def context_put(run: Run, _at: int, base: dict[str, object], key: str, value: object) -> dict[str, object]:
    run.spend(len(base))
    return {**base, key: value}


@builtin("context put(context: context, keys: list<string>, value: Any): context")
def context_put_deep(
    run: Run, at: int, base: dict[str, object], keys: list[str], value: object
) -> dict[str, object] | None:
    if not keys or any(key is None for key in keys):
        run.append((at, "the keys of context put() must be a list of texts that is not empty"))
        return None
    run.spend(len(base))
    if len(keys) == 1:
        return {**base, keys[0]: value}
    inner = base.get(keys[0])
    if not isinstance(inner, dict):
        run.append((at, f"the entry {keys[0]!r} is not a context"))
        return None
    deeper = context_put_deep(run, at, inner, keys[1:], value)
    return None if deeper is None else {**base, keys[0]: deeper}


@builtin("context merge(contexts: list<context>): context")
def context_merge(run: Run, _at: int, contexts: list[dict[str, object]]) -> dict[str, object] | None:
    result: dict[str, object] = {}
    for one in contexts:
        if one is None:
            return None
        run.spend(len(one))
        result.update(one)
    return result


@builtin("is(value1?: Any, value2?: Any): boolean")
def same(run: Run, _at: int, value1: object = None, value2: object = None) -> bool:
    """The same value of the same kind: a date and time in another zone is another value."""
    if value1 is None or value2 is None:
        return value1 is value2
    if getattr(value1, "kind_name", None) is not None:
        return value1 == value2
    if isinstance(value1, list) != isinstance(value2, list):
        return False
    return equal(value1, value2, run) is True
