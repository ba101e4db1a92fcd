"""Small makers of Python syntax trees. User text never becomes syntax: it only ever enters through `const`."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from types import CodeType
from typing import Any

_AT: Any = {"lineno": 1, "col_offset": 0, "end_lineno": 1, "end_col_offset": 0}
_LOAD, _STORE = ast.Load(), ast.Store()
_COMPARE: dict[str, ast.cmpop] = {
    "=": ast.Eq(),
    "!=": ast.NotEq(),
    "<": ast.Lt(),
    "<=": ast.LtE(),
    ">": ast.Gt(),
    ">=": ast.GtE(),
    "is": ast.Is(),
    "is not": ast.IsNot(),
    "in": ast.In(),
    "not in": ast.NotIn(),
}

_BINARY: dict[str, ast.operator] = {"&": ast.BitAnd(), "|": ast.BitOr(), "-": ast.Sub(), "+": ast.Add()}


def const(value: bool | int | float | str | None) -> ast.expr:
    """A literal of a kind that Python code objects hold."""
    return ast.Constant(value, **_AT)


def name(text: str) -> ast.expr:
    return ast.Name(text, _LOAD, **_AT)


def call(function: str | ast.expr, *arguments: ast.expr) -> ast.expr:
    return ast.Call(name(function) if isinstance(function, str) else function, list(arguments), [], **_AT)


def bind(target: str, value: ast.expr) -> ast.expr:
    """`(target := value)`"""
    return ast.NamedExpr(ast.Name(target, _STORE, **_AT), value, **_AT)


def either(condition: ast.expr, then: ast.expr, otherwise: ast.expr) -> ast.expr:
    return ast.IfExp(condition, then, otherwise, **_AT)


def compare(left: ast.expr, *steps: tuple[str, ast.expr]) -> ast.expr:
    """`left op right op right ...`; the identity of two literals is settled here, Python warns about it."""
    op, right = steps[0]
    if op in ("is", "is not") and isinstance(left, ast.Constant) and isinstance(right, ast.Constant):
        return const((left.value is right.value) is (op == "is"))
    return ast.Compare(left, [_COMPARE[op] for op, _ in steps], [right for _, right in steps], **_AT)


def both(*parts: ast.expr) -> ast.expr:
    """`a and b and ...`, flat; of several `name is not None` about one name the first is enough."""
    found: list[ast.expr] = []
    guarded: set[str] = set()
    for part in parts:
        for one in part.values if isinstance(part, ast.BoolOp) and isinstance(part.op, ast.And) else [part]:
            title = _guarded(one)
            if title not in guarded:
                found.append(one)
            if title:
                guarded.add(title)
    return ast.BoolOp(ast.And(), found, **_AT) if len(found) > 1 else found[0]


def _guarded(part: ast.expr) -> str:
    """The name in `name is not None`; empty for anything else."""
    if not (isinstance(part, ast.Compare) and isinstance(part.left, ast.Name) and isinstance(part.ops[0], ast.IsNot)):
        return ""
    right = part.comparators[0]
    return part.left.id if isinstance(right, ast.Constant) and right.value is None else ""


def any_of(*parts: ast.expr) -> ast.expr:
    return ast.BoolOp(ast.Or(), list(parts), **_AT) if len(parts) > 1 else parts[0]


def negated(part: ast.expr) -> ast.expr:
    return ast.UnaryOp(ast.Not(), part, **_AT)


def binary(op: str, left: ast.expr, right: ast.expr) -> ast.expr:
    """`left op right`; op is one of & | - +."""
    return ast.BinOp(left, _BINARY[op], right, **_AT)


def sequence(items: Sequence[ast.expr]) -> ast.expr:
    return ast.Tuple(list(items), _LOAD, **_AT)


def listing(items: Sequence[ast.expr]) -> ast.expr:
    return ast.List(list(items), _LOAD, **_AT)


def starred(items: ast.expr) -> ast.expr:
    """`*items`"""
    return ast.Starred(items, _LOAD, **_AT)


def mapping(keys: Sequence[str], values: Sequence[ast.expr]) -> ast.expr:
    return ast.Dict([const(key) for key in keys], list(values), **_AT)


def item(base: ast.expr, key: ast.expr) -> ast.expr:
    return ast.Subscript(base, key, _LOAD, **_AT)


def attribute(base: ast.expr, field: str) -> ast.expr:
    return ast.Attribute(base, field, _LOAD, **_AT)


def function_of(parameters: Sequence[str], body: ast.expr) -> ast.expr:
    """A lambda."""
    return ast.Lambda(_arguments(parameters), body, **_AT)


def loops(body: ast.expr, targets: Sequence[tuple[str, ast.expr]], condition: ast.expr | None = None,
          lazy: bool = False) -> ast.expr:  # fmt: skip
    """`[body for a in x for b in y if condition]`, or the generator of the same."""
    levels = [ast.comprehension(ast.Name(target, _STORE, **_AT), domain, [], 0) for target, domain in targets]
    if condition is not None:
        levels[-1].ifs.append(condition)
    return ast.GeneratorExp(body, levels, **_AT) if lazy else ast.ListComp(body, levels, **_AT)


def binds(tree: ast.expr) -> bool:
    """Does the tree hold `:=`? Python refuses it in the domain of a comprehension."""
    return any(isinstance(part, ast.NamedExpr) for part in ast.walk(tree))


# -- statements


def assign(target: str, value: ast.expr) -> ast.stmt:
    return ast.Assign([ast.Name(target, _STORE, **_AT)], value, **_AT)


def assign_pair(first: str, second: str, value: ast.expr) -> ast.stmt:
    """`first, second = value`"""
    return assign_each([first, second], value)


def assign_each(titles: Sequence[str], values: ast.expr) -> ast.stmt:
    """`first, second, ... = values`"""
    return ast.Assign([ast.Tuple([ast.Name(one, _STORE, **_AT) for one in titles], _STORE, **_AT)], values, **_AT)


def assign_attribute(base: ast.expr, field: str, value: ast.expr) -> ast.stmt:
    """`base.field = value`"""
    return ast.Assign([ast.Attribute(base, field, _STORE, **_AT)], value, **_AT)


def when(condition: ast.expr, then: Sequence[ast.stmt], otherwise: Sequence[ast.stmt] = ()) -> ast.stmt:
    return ast.If(condition, list(then), list(otherwise), **_AT)


def each(target: str, domain: ast.expr, body: Sequence[ast.stmt]) -> ast.stmt:
    """`for target in domain:`"""
    return ast.For(ast.Name(target, _STORE, **_AT), domain, list(body), [], **_AT)


def give(value: ast.expr) -> ast.stmt:
    return ast.Return(value, **_AT)


def do(value: ast.expr) -> ast.stmt:
    return ast.Expr(value, **_AT)


def define(title: str, parameters: Sequence[str], body: Sequence[ast.stmt]) -> ast.stmt:
    return ast.FunctionDef(title, _arguments(parameters), list(body), [], **_AT)


def _arguments(parameters: Sequence[str]) -> ast.arguments:
    return ast.arguments([], [ast.arg(one, **_AT) for one in parameters], None, [], [], None, [])


def code(statements: Sequence[ast.stmt], title: str) -> CodeType:
    """One code object of all statements; `title` shows in tracebacks."""
    return compile(ast.Module(list(statements), []), f"<{title}>", "exec")


def source(statements: Sequence[ast.stmt]) -> str:
    """The same as text, for people who want to read what was generated."""
    return ast.unparse(ast.Module(list(statements), []))
