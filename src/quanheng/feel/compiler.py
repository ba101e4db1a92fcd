"""One expression as a callable."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from quanheng.feel import inline, py, tree
from quanheng.feel.emit import Emitter
from quanheng.feel.parser import parse
from quanheng.feel.scope import Scope
from quanheng.feel.types import ANY, ContextType, FeelType
from quanheng.feel.values import GIVEN_UP, Diagnostic, Place, Run, give_up
from quanheng.kernel.errors import ExpressionError


class Outcome(NamedTuple):
    """A value, and why parts of it became null."""

    value: object
    diagnostics: tuple[Diagnostic, ...]


class Expression:
    """A compiled expression.

    `expression(*values)` takes the values of `names` in order and gives the FEEL value; `evaluate(mapping)` takes them
    by name (what is missing is null) and gives the diagnostics too. Neither raises for any value.
    """

    __slots__ = ("_function", "_names", "_places", "_source", "text", "tree")

    def __init__(
        self, text: str, names: Sequence[str], checked: tree.Node, emitter: Emitter, statements: list[ast.stmt]
    ) -> None:
        self.text, self.tree, self._names = text, checked, tuple(names)
        self._places, self._source = tuple(emitter.places), statements
        exec(py.code(statements, "feel"), emitter.namespace)
        self._function = emitter.namespace["expression"]

    @property
    def type(self) -> FeelType:
        """Static type of the result."""
        return self.tree.type

    @property
    def names(self) -> tuple[str, ...]:
        return self._names

    @property
    def source(self) -> str:
        """The generated Python, to read."""
        return py.source(self._source)

    def attempt(self, run: Run, values: Sequence[object]) -> object:
        """The value; raises one of `values.GIVEN_UP` where the evaluation is given up."""
        return self._function(run, *values)  # type: ignore[operator]

    def run(self, run: Run, values: Sequence[object]) -> object:
        try:
            return self._function(run, *values)  # type: ignore[operator]
        except GIVEN_UP as error:
            give_up(run, error)
        return None

    def __call__(self, *values: object) -> object:
        return self.run(Run(), values)

    def evaluate(self, given: Mapping[str, object]) -> Outcome:
        run = Run()
        value = self.run(run, [given.get(name) for name in self._names])
        return Outcome(value, diagnostics_of(run, self._places))


def diagnostics_of(run: Sequence[tuple[int, str]], places: Sequence[Place]) -> tuple[Diagnostic, ...]:
    """What a run found, in order, each once."""
    return tuple(dict.fromkeys(Diagnostic(places[at], cause) for at, cause in run))


def admission(emitter: Emitter, title: str, name: str, kind: FeelType, node: tree.Node) -> list[ast.stmt]:
    """Statements that let only values of `kind` (or null) through in the Python variable `title`."""
    if kind == ANY:
        return []
    variable = py.name(title)
    admitted = py.assign(
        title,
        py.call(
            "admit", py.name("run"), emitter.place(node), variable, emitter.hoist(kind, ("kind", kind)), py.const(name)
        ),
    )
    if kind in inline.CLASSES:
        return [py.when(inline.foreign(variable, variable, kind), [admitted])]
    if (fit := fitting(emitter, variable, kind)) is not None:
        return [py.when(py.negated(fit), [admitted])]
    return [py.when(py.compare(variable, ("is not", py.const(None))), [admitted])]


_MISSING = object()


def fitting(emitter: Emitter, value: ast.expr, kind: FeelType) -> ast.expr | None:
    """True only where a value is of `kind`: a simple type, or a context of such. None for any other kind."""
    title = emitter.temporary()
    one = py.name(title)
    if kind in inline.CLASSES:
        return py.negated(inline.foreign(py.bind(title, value), one, kind))
    if not isinstance(kind, ContextType):
        return None
    parts = [py.compare(py.attribute(one, "__class__"), ("is", py.name("dict")))]
    for name, inner in kind.fields:
        entry = py.call(py.attribute(one, "get"), py.const(name), emitter.hoist(_MISSING, "missing"))
        if (fit := fitting(emitter, entry, inner)) is None:
            return None
        parts.append(fit)
    return py.any_of(py.compare(py.bind(title, value), ("is", py.const(None))), py.both(*parts))


def compile_expression(
    text: str,
    names: Mapping[str, FeelType],
    where: str = "expression",
    strict: bool = True,
    types: Mapping[str, FeelType] | None = None,
) -> Expression:
    """Compile one FEEL expression.

    Parameters
    ----------
    text : FEEL
    names : inputs and their types, in the order in which the callable takes them
    where : name of the expression, for messages and diagnostics
    strict : a certain type mistake or an unknown name is an error now, not null later
    types : item definitions by name

    Raises
    ------
    ExpressionError : the text does not parse or does not type-check
    """
    try:
        return _compiled(text, names, where, strict, types)
    except RecursionError as error:
        raise ExpressionError(
            "the expression is nested too deeply for the stack it is compiled on", where=where,
            cure="Split it into several decisions.",
        ) from error  # fmt: skip


def _compiled(
    text: str, names: Mapping[str, FeelType], where: str, strict: bool, types: Mapping[str, FeelType] | None
) -> Expression:
    checked = parse(text, Scope.of(names), where, strict, types)
    return compile_tree(checked, dict(enumerate(names.items())), where, text)


def compile_tree(
    checked: tree.Node, inputs: Mapping[int, tuple[str, FeelType]], where: str = "expression", text: str = ""
) -> Expression:
    """Compile a checked tree.

    Parameters
    ----------
    inputs : by slot, the name and type of every variable that the tree reads, in the order in which the callable takes
        their values
    where, text : the name of the expression and the text that the tree was read from, for diagnostics
    """
    emitter = Emitter()
    emitter.enter(where, text)
    emitter.place(checked)
    body: list[ast.stmt] = []
    for slot, (name, kind) in inputs.items():
        body += admission(emitter, f"v{slot}", name, kind, checked)
    body.append(py.give(emitter.limited(checked, emitter.value(checked))))
    function = py.define("expression", ["run", *(f"v{slot}" for slot in inputs)], body)
    return Expression(text, tuple(name for name, _ in inputs.values()), checked, emitter, [function])
