"""Which trees are constants, and their values."""

from __future__ import annotations

from quanheng.feel import tree
from quanheng.feel.judge import Judge
from quanheng.feel.values import GIVEN_UP

_CLOCKS = frozenset({"now", "today"})
_OPEN = (tree.Name, tree.Unknown, tree.Member, tree.FunctionOf, tree.For, tree.Quantified, tree.Filter)
_PLAIN = frozenset(
    {
        tree.Const, tree.Builtin, tree.ListOf, tree.RangeOf, tree.Negate, tree.Arithmetic, tree.Compare, tree.And,
        tree.Or, tree.Not, tree.Between, tree.Call, tree.Cast, tree.Sourced, tree.Path,
    }
)  # fmt: skip


def constant_of(node: tree.Node) -> tuple[object, bool]:
    """The value of a tree that reads no variable and no clock; the flag is False for every other tree."""
    for part in tree.walk(node):
        if isinstance(part, _OPEN) or (isinstance(part, tree.Builtin) and part.name in _CLOCKS):
            return None, False
        if type(part) not in _PLAIN:
            return None, False
    try:
        return Judge().value(node, {}), True
    except GIVEN_UP:
        return None, False
