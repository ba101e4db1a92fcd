"""`list("name")` as Python: most lists are empty most of the time, so an empty one costs a look into a set."""

from __future__ import annotations

import ast
from typing import Protocol

from quanheng.feel import inline, py, tree
from quanheng.feel.types import STRING


class Emitting(Protocol):
    """What is used of the emitter."""

    def value(self, node: tree.Node) -> ast.expr: ...
    def operator(self, name: str, node: tree.Node, *arguments: ast.expr) -> ast.expr: ...


def listed(emitter: Emitting, node: tree.Listed) -> ast.expr:
    """Is a value on a list? What is surely a text or null is asked only of a list that holds something."""
    asked = emitter.operator("listed", node, emitter.value(node.value), py.const(node.name))
    if node.value.type is not STRING or not isinstance(inline.unsourced(node.value), tree.Name):
        return asked
    held = py.compare(py.const(node.name), ("in", py.attribute(py.name("run"), "held")))
    missing = py.compare(emitter.value(node.value), ("is", py.const(None)))
    return py.either(held, asked, py.either(missing, py.const(None), py.const(False)))
