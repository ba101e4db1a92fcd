"""What static types settle, so that generated code need not ask at run time."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from decimal import Decimal

from quanheng.feel import py, tree
from quanheng.feel.functions import Signature, settled
from quanheng.feel.operators import negate
from quanheng.feel.types import BOOLEAN, NUMBER, STRING, FeelType, flat
from quanheng.feel.values import Run

CLASSES: dict[FeelType, str] = {NUMBER: "int", STRING: "str", BOOLEAN: "bool"}
"""Types whose values nearly always have one Python class: the class is compared before anything is called."""
_PYTHON_ORDER = frozenset({NUMBER, STRING})
_PYTHON_EQUAL = frozenset({NUMBER, STRING, BOOLEAN})


def unsourced(node: tree.Node) -> tree.Node:
    """A node without the note of the text it comes from."""
    while isinstance(node, tree.Sourced):
        node = node.value
    return node


def is_null(node: tree.Node) -> bool:
    """Is it the literal null?"""
    return isinstance(node, tree.Const) and node.value is None


def constant(node: tree.Node) -> tuple[object] | None:
    """The value of a literal or of a negated one; None where a node is neither."""
    node = unsourced(node)
    if isinstance(node, tree.Const):
        return (node.value,)
    if isinstance(node, tree.Negate) and (found := constant(node.value)) and found[0].__class__ in (int, Decimal):
        return (negate(Run(), 0, found[0]),)
    return None


def comparable(node: tree.Compare) -> bool:
    """True when the static types make Python's own operator right: exact numbers, texts, booleans."""
    left, right = node.left.type, node.right.type
    if node.op in ("=", "!="):
        return is_null(node.left) or is_null(node.right) or (left == right and left in _PYTHON_EQUAL)
    return left == right and left in _PYTHON_ORDER


def plain_test(node: tree.Test) -> tree.Compare | None:
    """A unary test that can only mean "is equal", as the comparison; None where a range or a list may be meant."""
    if node.value.type == node.against.type and node.value.type in _PYTHON_EQUAL:
        return tree.Compare(BOOLEAN, node.at, "=", node.value, node.against)
    return None


def nullable(node: tree.Node) -> bool:
    """False where a node can never be null."""
    node = unsourced(node)
    if isinstance(node, tree.Const):
        return node.value is None
    if isinstance(node, tree.If):
        known = _asked(node.condition)
        sides = (("!=", node.then), ("=", node.otherwise))
        return any(nullable(side) and (op, _slot(side)) != known for op, side in sides)
    return not isinstance(node, tree.ListOf | tree.ContextOf | tree.FunctionOf)


def shallow(node: tree.Node) -> bool:
    """True when the value of a node cannot hold more than its text says: single values, or a context of such."""
    node = unsourced(node)
    if isinstance(node, tree.ContextOf):
        return all(flat(value.type) for value in node.values)
    if isinstance(node, tree.If):
        return shallow(node.then) and shallow(node.otherwise)
    return flat(node.type)


def _slot(node: tree.Node) -> int | None:
    node = unsourced(node)
    return node.slot if isinstance(node, tree.Name) else None


def _asked(condition: tree.Node) -> tuple[str, int] | None:
    """The operator and the variable in `x = null` and `x != null`."""
    condition = unsourced(condition)
    if isinstance(condition, tree.Compare) and condition.op in ("=", "!="):
        for one, other in ((condition.left, condition.right), (condition.right, condition.left)):
            if isinstance(one, tree.Name) and is_null(other):
                return condition.op, one.slot
    return None


def chosen(forms: Sequence[Signature], node: tree.Call) -> Signature | None:
    """The form of a built-in function that a call means whatever its values, null aside; None where values decide."""
    kinds = [argument.type for argument in node.arguments]
    if node.names is None and forms and settled(forms[0], kinds):
        return forms[0]
    return None


def guarded(form: Signature, node: tree.Call) -> list[int]:
    """Positions of arguments that may be null where the form does not take null."""
    last = len(form.nullable) - 1
    return [
        index
        for index, argument in enumerate(node.arguments)
        if not form.nullable[min(index, last)] and nullable(argument)
    ]


def foreign(first: ast.expr, later: ast.expr, kind: FeelType) -> ast.expr:
    """True where a value may not be of `kind`, one of CLASSES; `first` and `later` read it, as `Emitter.once` gives."""
    cls = py.attribute(first, "__class__")
    checks = [py.compare(cls, ("is not", py.name(CLASSES[kind]))), py.compare(later, ("is not", py.const(None)))]
    if kind == NUMBER:  # a finite Decimal, the common second kind, is let through without a call
        decimal = py.compare(py.attribute(later, "__class__"), ("is", py.name("Decimal")))
        checks.append(py.negated(py.both(decimal, py.call(py.attribute(later, "is_finite")))))
    return py.both(*checks)
