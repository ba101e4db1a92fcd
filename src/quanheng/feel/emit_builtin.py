"""Calls of built-in functions as Python."""

from __future__ import annotations

import ast
from typing import Protocol

from quanheng.feel import inline, py, tree
from quanheng.feel.functions import forms_for


class Emitting(Protocol):
    """What is used of the emitter."""

    def value(self, node: tree.Node) -> ast.expr: ...
    def once(self, node: tree.Node) -> tuple[ast.expr, ast.expr]: ...
    def place(self, node: tree.Node) -> ast.expr: ...
    def hoist(self, value: object, key: object = None) -> ast.expr: ...
    def names(self, node: tree.Call) -> ast.expr: ...


def builtin_call(emitter: Emitting, node: tree.Call, title: str) -> ast.expr:
    """The implementation itself where the static types choose it, else a call that asks at run time."""
    forms = tuple(forms_for(title, len(node.arguments), node.names))
    at = emitter.place(node)
    fitted = emitter.hoist(forms, ("forms", title, len(node.arguments), node.names))

    def asked(values: list[ast.expr]) -> ast.expr:
        return py.call(
            "call_builtin", py.name("run"), at, fitted, py.const(title), py.sequence(values), emitter.names(node)
        )

    form = inline.chosen(forms, node)
    if form is None:
        return asked([emitter.value(argument) for argument in node.arguments])
    implementation = emitter.hoist(form.implementation, ("implementation", form.text))
    required = inline.guarded(form, node)
    if not required:
        return py.call(implementation, py.name("run"), at, *(emitter.value(argument) for argument in node.arguments))
    pairs = [emitter.once(argument) for argument in node.arguments]
    # Arguments are read in order, all of them, before any is tested: a test must not stop the reading of the next.
    prepared = [first for first, later in pairs if first is not later]
    values = [later for _, later in pairs]
    tests = [py.compare(values[index], ("is not", py.const(None))) for index in required]
    if len(prepared) == 1 and pairs[required[0]][0] is prepared[0]:  # its own test, the first, may read it
        tests[0] = py.compare(prepared.pop(), ("is not", py.const(None)))
    condition = py.both(*([py.sequence(prepared)] if prepared else []), *tests)
    return py.either(condition, py.call(implementation, py.name("run"), at, *values), asked(values))
