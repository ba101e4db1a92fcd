"""FEEL arithmetic over whole columns of float64, for formulas that a pack declares as float (they feed models).

Null is NaN, and every operation that has no answer (division by zero, root or logarithm of what has none, overflow to
infinity) gives NaN. Only element-wise operations are used, so the result for a row does not depend on how many rows
are computed together. `log`, `exp` and `**` go through one scalar routine each: numpy's vector routines may differ in
the last bit between the middle and the end of a column.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from quanheng.feel import py, tree
from quanheng.feel.lexer import fail
from quanheng.feel.parser import Parser
from quanheng.feel.scope import Scope
from quanheng.feel.types import BOOLEAN, NUMBER

Column = np.ndarray
Columns = Callable[[Mapping[str, Column]], Column]


def _finite(values: Column) -> Column:
    """Infinity becomes null."""
    return np.where(np.isfinite(values), values, np.nan)


def _scalar(function: Callable[..., float]) -> Callable[..., Column]:
    """A routine applied to each row alone: the same bits for one row and for a million."""

    def safe(*values: float) -> float:
        try:
            result = function(*values)
        except (ValueError, OverflowError, ZeroDivisionError):
            return math.nan
        return result if isinstance(result, float) and math.isfinite(result) else math.nan

    vector = np.frompyfunc(safe, function.__code__.co_argcount if hasattr(function, "__code__") else 1, 1)
    return lambda *columns: np.asarray(vector(*columns), dtype=np.float64)


def _power(base: float, exponent: float) -> float:
    return math.pow(base, exponent)


def _divide(left: Column, right: Column) -> Column:
    return _finite(np.divide(left, np.where(right == 0.0, np.nan, right)))


def _modulo(left: Column, right: Column) -> Column:
    divisor = np.where(right == 0.0, np.nan, right)
    return _finite(left - divisor * np.floor(left / divisor))


def _decimal(value: Column, scale: Column) -> Column:
    factor = _scalar(_power)(np.float64(10.0), scale)
    return _finite(np.rint(value * factor) / factor)


def _least(*columns: Column) -> Column:
    result = columns[0]
    for column in columns[1:]:
        result = np.minimum(result, column)
    return result


def _greatest(*columns: Column) -> Column:
    result = columns[0]
    for column in columns[1:]:
        result = np.maximum(result, column)
    return result


def _total(*columns: Column) -> Column:
    result = columns[0]
    for column in columns[1:]:
        result = result + column
    return _finite(result)


_FUNCTIONS: dict[str, tuple[Callable[..., Column], int, int]] = {
    "abs": (np.abs, 1, 1),
    "floor": (np.floor, 1, 1),
    "ceiling": (np.ceil, 1, 1),
    "sqrt": (lambda value: np.sqrt(np.where(value < 0.0, np.nan, value)), 1, 1),
    "log": (_scalar(math.log), 1, 1),
    "exp": (_scalar(math.exp), 1, 1),
    "modulo": (_modulo, 2, 2),
    "decimal": (_decimal, 2, 2),
    "min": (_least, 1, 99),
    "max": (_greatest, 1, 99),
    "sum": (_total, 1, 99),
    "mean": (lambda *columns: _total(*columns) / len(columns), 1, 99),
}
_RUNTIME: dict[str, object] = {
    "add": lambda left, right: _finite(np.add(left, right)),
    "subtract": lambda left, right: _finite(np.subtract(left, right)),
    "multiply": lambda left, right: _finite(np.multiply(left, right)),
    "divide": _divide,
    "power": _scalar(_power),
    "negative": np.negative,
    "isnan": np.isnan,
    "where": np.where,
    "true": np.logical_and,
    "both": np.logical_and,
    "any_of": np.logical_or,
    "known": lambda left, right: ~(np.isnan(left) | np.isnan(right)),
    "less": np.less,
    "less_equal": np.less_equal,
    "greater": np.greater,
    "greater_equal": np.greater_equal,
    "equal": np.equal,
    "not_equal": np.not_equal,
    "nan": np.float64("nan"),
    "__builtins__": {},
}
_ARITHMETIC = {"+": "add", "-": "subtract", "*": "multiply", "/": "divide", "**": "power"}
_COMPARE = {"<": "less", "<=": "less_equal", ">": "greater", ">=": "greater_equal", "=": "equal", "!=": "not_equal"}
_INVERSE = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "=": "!=", "!=": "="}
_ALLOWED = f"numbers, names, + - * / **, comparisons, and or not, if then else, {' '.join(_FUNCTIONS)}"


class _ColumnEmitter:
    """Tree to numpy calls; `where` is the only branch, so both branches are computed for all rows."""

    def __init__(self, text: str, where: str) -> None:
        self.text, self.where = text, where
        self.namespace = dict(_RUNTIME)

    def refuse(self, node: tree.Node, what: str) -> Exception:
        return fail(
            f"a float formula cannot use {what}",
            self.text,
            node.at,
            self.where,
            self.text[node.at : node.at + 30],
            _ALLOWED,
            "Move this part into a policy, or declare the formula as decimal.",
        )

    def constant(self, value: float) -> ast.expr:
        title = f"k{len(self.namespace)}"
        self.namespace[title] = np.float64(value)
        return py.name(title)

    def number(self, node: tree.Node) -> ast.expr:
        if isinstance(node, tree.Const):
            if node.value is None:
                return py.name("nan")
            if node.type not in (NUMBER, BOOLEAN):
                raise self.refuse(node, f"a {node.type}")
            return self.constant(float(node.value))  # type: ignore[arg-type]
        if isinstance(node, tree.Name):
            return py.name(f"v{node.slot}")
        if isinstance(node, tree.Arithmetic):
            return py.call(_ARITHMETIC[node.op], self.number(node.left), self.number(node.right))
        if isinstance(node, tree.Negate):
            return py.call("negative", self.number(node.value))
        if isinstance(node, tree.If):
            return py.call(
                "where", self.decided(node.condition, True), self.number(node.then), self.number(node.otherwise)
            )
        if isinstance(node, tree.Call) and isinstance(node.function, tree.Builtin):
            return self.function(node, node.function.name)
        if node.type == BOOLEAN:
            return py.call(
                "where",
                self.decided(node, True),
                self.constant(1.0),
                py.call("where", self.decided(node, False), self.constant(0.0), py.name("nan")),
            )
        raise self.refuse(node, "this")

    def function(self, node: tree.Call, name: str) -> ast.expr:
        if name not in _FUNCTIONS or node.names is not None:
            raise self.refuse(node, f"{name}()" if node.names is None else "named arguments")
        routine, least, most = _FUNCTIONS[name]
        arguments = node.arguments
        if len(arguments) == 1 and isinstance(arguments[0], tree.ListOf):
            arguments = arguments[0].items
        if not least <= len(arguments) <= most:
            raise self.refuse(node, f"{name}() with {len(arguments)} values")
        self.namespace.setdefault(f"f_{name}", routine)
        return py.call(f"f_{name}", *(self.number(argument) for argument in arguments))

    def decided(self, node: tree.Node, wanted: bool) -> ast.expr:
        """A mask: True exactly where the condition is `wanted`; null is neither."""
        if isinstance(node, tree.Compare):
            return self.compared(node.op, node.left, node.right, wanted)
        if isinstance(node, tree.Between):
            parts = [
                self.compared(">=", node.value, node.low, wanted),
                self.compared("<=", node.value, node.high, wanted),
            ]
            return py.call("both" if wanted else "any_of", *parts)
        if isinstance(node, tree.And | tree.Or):
            title = "both" if isinstance(node, tree.And) is wanted else "any_of"
            result = self.decided(node.parts[0], wanted)
            for part in node.parts[1:]:
                result = py.call(title, result, self.decided(part, wanted))
            return result
        if isinstance(node, tree.Call) and isinstance(node.function, tree.Builtin) and node.function.name == "not":
            return self.decided(node.arguments[0], not wanted)
        if isinstance(node, tree.Const) and node.value.__class__ is bool:
            self.namespace["yes"], self.namespace["no"] = np.bool_(True), np.bool_(False)
            return py.name("yes" if node.value is wanted else "no")
        raise self.refuse(node, "this as a condition")

    def compared(self, op: str, left: tree.Node, right: tree.Node, wanted: bool) -> ast.expr:
        for one, other in ((left, right), (right, left)):
            if isinstance(other, tree.Const) and other.value is None and op in ("=", "!="):
                missing = py.call("isnan", self.number(one))
                return missing if (op == "=") is wanted else py.call("equal", missing, py.name("no_"))
        a, b = self.number(left), self.number(right)
        operation = py.call(_COMPARE[op if wanted else _INVERSE[op]], a, b)
        return (
            operation
            if op not in ("=", "!=") or (op == "=") is wanted
            else py.call("both", operation, py.call("known", a, b))
        )


_RUNTIME["no_"] = np.bool_(False)


def compile_columns(text: str, names: Sequence[str], where: str = "formula", *, finite: bool = False) -> Columns:
    """Compile FEEL arithmetic to numpy over float64 columns.

    Parameters
    ----------
    text : FEEL over numbers; a boolean result becomes 1.0, 0.0 or NaN
    names : the columns it may read
    where : name of the formula, for messages
    finite : the caller promises float64 columns without infinities, and calls within `np.errstate(all="ignore")`

    Returns
    -------
    A callable: mapping of name to f8[n] -> f8[n]. NaN means null on both sides. For fixed inputs of a row the result
    has the same bits whatever n is.

    Raises
    ------
    ExpressionError : the text does not parse, reads an unknown name, or uses what columns do not offer
    """
    scope = Scope.of(dict.fromkeys(names, NUMBER))
    checked = Parser(text, scope, where, True).whole()
    emitter = _ColumnEmitter(text, where)
    result = emitter.number(checked)
    body = py.define("formula", [f"v{slot}" for slot in range(len(names))], [py.give(result)])
    exec(py.code([body], "columns"), emitter.namespace)
    function: Callable[..., Column] = emitter.namespace["formula"]  # type: ignore[assignment]
    read = {node.slot for node in tree.walk(checked) if isinstance(node, tree.Name)}
    used = [(slot, name) for slot, name in enumerate(names) if slot in read]
    first = names[used[0][0]] if used else None

    def formula(columns: Mapping[str, Column]) -> Column:
        rows = (
            len(columns[first]) if first is not None else max((len(column) for column in columns.values()), default=1)
        )
        values: list[Column | None] = [None] * len(names)
        for slot, name in used:
            column = np.asarray(columns[name], dtype=np.float64)
            values[slot] = np.where(np.isinf(column), np.nan, column)
        with np.errstate(all="ignore"):
            found = function(*values)
        return np.array(np.broadcast_to(found, (rows,)), dtype=np.float64)

    def quick(columns: Mapping[str, Column]) -> Column:
        values: list[Column | None] = [None] * len(names)
        for slot, name in used:
            values[slot] = columns[name]
        return function(*values)

    return quick if finite and used else formula
