"""FEEL over whole columns of exact numbers and texts: the values that row by row would give, many times faster.

What columns can say: numbers with + - *, division by a constant, comparison, `between`, `in`, and / or / not, `if`,
abs, min, max and every way of rounding; and anything at all of texts alone, asked once for each text there is.

The rest, and rows that might overflow 64 bits or lie on a tie of a quotient that does not end, are given back as
unsure: the caller evaluates those row by row. `exact_numbers.py` says why the others are equal to the last digit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from quanheng.feel import inline, tree
from quanheng.feel.compiler import compile_tree
from quanheng.feel.exact_numbers import WHOLE_MAX, Bits, Numbers, Undecidable, Work, column, constant, null
from quanheng.feel.parser import parse
from quanheng.feel.types import ANY

__all__ = ["Exact", "NumberColumn", "TextColumn", "Undecidable", "compile_exact"]


class NumberColumn(NamedTuple):
    """values : i64[n], scaled by 10 ** decimals; `null` stands for null"""

    values: NDArray[np.int64]
    decimals: int = 0
    null: int = -(2**63)


class TextColumn(NamedTuple):
    """codes : i64[n]; names : text of each code"""

    codes: NDArray[np.int64]
    names: Mapping[int, str]


class Truths(NamedTuple):
    """Where something is true, and where it is false; elsewhere it is null."""

    true: Any
    false: Any


Column = NumberColumn | TextColumn
Columns = Callable[[str], Column | None]
"""Gives the column of a variable by its name, of an entry of the context by "." and its name; None = there is none."""
_ROUNDING = {
    "decimal": "half even", "floor": "floor", "ceiling": "ceiling", "round up": "up", "round down": "down",
    "round half up": "half up", "round half down": "half down",
}  # fmt: skip


class Exact:
    """An expression that columns may answer.

    Parameters
    ----------
    context : name of the context whose entries are columns, beside plain variables
    """

    def __init__(self, checked: tree.Node, context: str) -> None:
        self._tree, self._context = checked, context
        self._alone: dict[int, Callable[..., object]] = {}
        self._texts: dict[int, tuple[str, ...]] = {}

    def truths(self, columns: Columns, rows: int) -> tuple[Bits, Bits]:
        """Where it is true, and where that is not known (bool[rows] each).

        Raises
        ------
        Undecidable : columns cannot say
        """
        run = _Run(self, columns, rows)
        found = run.truths(self._tree)
        return np.array(np.broadcast_to(found.true, (rows,))), run.work.unsure

    def scaled(self, columns: Columns, rows: int, decimals: int) -> tuple[NDArray[np.int64], Bits, Bits]:
        """Its numbers scaled by 10 ** decimals and rounded half-even; where they are null; where that is not known.

        Raises
        ------
        Undecidable : columns cannot say
        """
        run = _Run(self, columns, rows)
        found = run.work.rounded(run.numbers(self._tree), decimals, "half even")
        if found.most >= WHOLE_MAX:  # What is kept is smaller; who asks says what becomes of the rest.
            run.work.unsure |= np.broadcast_to(np.abs(found.whole) >= WHOLE_MAX, (rows,))
        whole, gone = np.broadcast_to(found.whole, (rows,)), np.broadcast_to(found.null, (rows,))
        return whole.astype(np.int64), np.array(gone), run.work.unsure

    def path(self, node: tree.Node) -> str | None:
        """The column that a node names: an entry of the context, or a variable; None = it names none."""
        if isinstance(node, tree.Path):
            base = inline.unsourced(node.base)
            return f".{node.name}" if isinstance(base, tree.Name) and base.name == self._context else None
        return node.name if isinstance(node, tree.Name) and node.name not in ("?", self._context) else None

    def texts_of(self, node: tree.Node, is_text: Callable[[str], bool]) -> tuple[str, ...]:
        """The columns that a tree asks, where those are columns of texts and it asks for nothing else; else none."""
        found = self._texts.get(id(node))
        if found is None:
            names = [name for one in tree.walk(node) if (name := self.path(one)) is not None]
            alone = sum(isinstance(one, tree.Name) and one.name == self._context for one in tree.walk(node))
            found = tuple(dict.fromkeys(names)) if names and alone == len(names) and all(map(is_text, names)) else ()
            self._texts[id(node)] = found
        return found

    def alone(self, node: tree.Node) -> Callable[..., object]:
        """A part of the expression, compiled by itself over the context."""
        made = self._alone.get(id(node))
        if made is None:
            slot = next(one.slot for one in tree.walk(node) if isinstance(one, tree.Name) and one.name == self._context)
            made = self._alone[id(node)] = compile_tree(node, {slot: (self._context, ANY)})
        return made


def compile_exact(text: str, context: str, variables: Sequence[str] = (), where: str = "expression") -> Exact:
    """Compile FEEL over the entries of one context and plain variables.

    Raises
    ------
    ExpressionError : the text does not parse
    """
    return Exact(parse(text, dict.fromkeys([context, *variables], ANY), where, strict=False), context)


class _Run:
    """One evaluation."""

    def __init__(self, exact: Exact, columns: Columns, rows: int) -> None:
        self._exact, self._columns, self._rows = exact, columns, rows
        self.work = Work(rows)
        self._bound: dict[int, Numbers | Truths] = {}
        self._read: dict[str, Numbers] = {}

    def numbers(self, node: tree.Node) -> Numbers:
        """The value of a node that must be a number or null."""
        found = self.value(node)
        if isinstance(found, Truths):
            raise Undecidable
        return found

    def truths(self, node: tree.Node) -> Truths:
        """The value of a node that must be true, false or null."""
        found = self.value(node)
        if isinstance(found, Truths):
            return found
        if np.all(found.null):
            return Truths(np.bool_(False), np.bool_(False))
        raise Undecidable

    def value(self, node: tree.Node) -> Numbers | Truths:
        """The value of any node.

        Raises
        ------
        Undecidable : columns cannot say
        """
        node = inline.unsourced(node)
        if self._exact.texts_of(node, self._is_text):
            return self._by_text(node)
        rule = _RULES.get(type(node))
        if rule is None:
            raise Undecidable
        return rule(self, node)  # type: ignore[no-any-return]

    def _is_text(self, name: str) -> bool:
        return isinstance(self._columns(name), TextColumn)

    def _by_text(self, node: tree.Node) -> Numbers | Truths:
        """A part that asks texts alone: once for each combination of them that there is."""
        columns = [(name, self._columns(name)) for name in self._exact.texts_of(node, self._is_text)]
        codes = np.stack([one.codes for _, one in columns if isinstance(one, TextColumn)])
        distinct, place = np.unique(codes, axis=1, return_inverse=True)
        run, place = self._exact.alone(node), place.reshape(-1)
        values = [
            run({name[1:]: one.names.get(code, "") for (name, one), code in zip(columns, each, strict=True)
                 if isinstance(one, TextColumn)})
            for each in distinct.T.tolist()
        ]  # fmt: skip
        if all(one is None or one.__class__ is bool for one in values):
            return Truths(
                np.array([one is True for one in values], bool)[place],
                np.array([one is False for one in values], bool)[place],
            )
        if not all(one is None or one.__class__ in (int, Decimal) for one in values):
            raise Undecidable
        made = [null() if one is None else constant(one) for one in values]  # type: ignore[arg-type]
        common = max(one.denominator for one in made)
        brought = [self.work.brought(one, common) for one in made]
        return Numbers(
            np.array([int(one.whole) for one in brought], np.int64)[place], common,
            np.array([bool(one.null) for one in brought], bool)[place], max(one.most for one in brought),
        )  # fmt: skip

    def named(self, node: tree.Node) -> Numbers | Truths:
        """A column, or the value that an `in` tests."""
        if isinstance(node, tree.Name) and node.slot in self._bound:
            return self._bound[node.slot]
        name = self._exact.path(node)
        if name is None or not isinstance(found := self._columns(name), NumberColumn):
            raise Undecidable
        if name not in self._read:
            self._read[name] = column(found.values, found.decimals, found.null)
        return self._read[name]

    def literal(self, node: tree.Const) -> Numbers | Truths:
        """A number, true, false or null."""
        value = node.value
        if value.__class__ is bool:
            return Truths(np.bool_(value is True), np.bool_(value is False))
        if value is None:
            return null()
        if value.__class__ is int or isinstance(value, Decimal):
            return constant(value)  # type: ignore[arg-type]
        raise Undecidable

    def negate(self, node: tree.Negate) -> Numbers:
        """The same with the other sign."""
        found = self.numbers(node.value)
        return found._replace(whole=-found.whole)

    def arithmetic(self, node: tree.Arithmetic) -> Numbers:
        """Two numbers made one."""
        left, right = self.numbers(node.left), self.numbers(node.right)
        if node.op in "+-":
            return self.work.add(left, right, 1 if node.op == "+" else -1)
        if node.op == "*":
            return self.work.multiply(left, right)
        if node.op == "/":
            return self.work.divide(left, right)
        raise Undecidable

    def compare(self, node: tree.Compare) -> Truths:
        """Two numbers compared."""
        return self._compared(node.op, self.value(node.left), self.value(node.right))

    def _compared(self, op: str, left: Numbers | Truths, right: Numbers | Truths) -> Truths:
        if isinstance(left, Truths) or isinstance(right, Truths):
            raise Undecidable
        less, equal, gone = self.work.order(left, right)
        if op in ("=", "!="):
            both = left.null & right.null
            same, other = (equal & ~gone) | both, (~equal | gone) & ~both
            return Truths(same, other) if op == "=" else Truths(other, same)
        holds = {"<": less, "<=": less | equal, ">": ~(less | equal), ">=": ~less}[op]
        return Truths(holds & ~gone, ~holds & ~gone)

    def between(self, node: tree.Between) -> Truths:
        """From one number to another, both included."""
        value = self.value(node.value)
        low, high = (
            self._compared(">=", value, self.value(node.low)),
            self._compared("<=", value, self.value(node.high)),
        )
        return _both(low, high)

    def member(self, node: tree.In) -> Truths:
        """`in`: the test is asked of the value."""
        self._bound[node.slot] = self.value(node.value)
        return self.truths(node.test)

    def test(self, node: tree.Test) -> Truths:
        """A value against one that is written out: a range, or what it must equal."""
        against = inline.unsourced(node.against)
        value = self.value(node.value)
        if isinstance(against, tree.Const):
            return self._compared("=", value, self.literal(against))
        if not isinstance(against, tree.RangeOf) or against.point:
            raise Undecidable
        made = Truths(np.bool_(True), np.bool_(False))
        ends = (against.low, ">=" if against.low_closed else ">"), (against.high, "<=" if against.high_closed else "<")
        for end, op in ends:
            if end is None:
                continue
            if not (given := inline.constant(end)) or given[0] is None:
                raise Undecidable
            made = _both(made, self._compared(op, value, self.value(end)))
        return made

    def every(self, node: tree.And) -> Truths:
        """All parts."""
        parts = [self.truths(one) for one in node.parts]
        made = parts[0]
        for one in parts[1:]:
            made = _both(made, one)
        return made

    def some(self, node: tree.Or) -> Truths:
        """Any part."""
        parts = [self.truths(one) for one in node.parts]
        true, false = parts[0]
        for one in parts[1:]:
            true, false = true | one.true, false & one.false
        return Truths(true, false)

    def negated(self, node: tree.Not) -> Truths:
        """`not`."""
        found = self.truths(node.value)
        return Truths(found.false, found.true)

    def branch(self, node: tree.If) -> Numbers | Truths:
        """`if`: what is not true is otherwise."""
        holds = self.truths(node.condition).true
        then, otherwise = self.value(node.then), self.value(node.otherwise)
        if isinstance(then, Numbers) and isinstance(otherwise, Numbers):
            return self.work.chosen(holds, then, otherwise)
        one, other = self.truths(node.then), self.truths(node.otherwise)
        return Truths(np.where(holds, one.true, other.true), np.where(holds, one.false, other.false))

    def call(self, node: tree.Call) -> Numbers | Truths:
        """Functions of numbers, and `not`."""
        if not isinstance(node.function, tree.Builtin) or node.names is not None or not node.arguments:
            raise Undecidable
        name, arguments = node.function.name, node.arguments
        if name == "not" and len(arguments) == 1:
            found = self.truths(arguments[0])
            return Truths(found.false, found.true)
        if name == "abs" and len(arguments) == 1:
            one = self.numbers(arguments[0])
            return one._replace(whole=np.abs(one.whole))
        if name in ("min", "max") and len(arguments) > 1:
            made = self.numbers(arguments[0])
            for each in arguments[1:]:
                made = self.work.least(made, self.numbers(each), 1 if name == "min" else -1)
            return made
        return self._rounded(name, arguments)

    def _rounded(self, name: str, arguments: Sequence[tree.Node]) -> Numbers:
        if name not in _ROUNDING or len(arguments) > 2 or (len(arguments) < 2 and name not in ("floor", "ceiling")):
            raise Undecidable
        given = inline.constant(arguments[1]) if len(arguments) == 2 else (0,)
        places = given[0] if given else None
        if places.__class__ is not int or not 0 <= places <= 17:  # type: ignore[operator]
            raise Undecidable
        return self.work.rounded(self.numbers(arguments[0]), places, _ROUNDING[name])  # type: ignore[arg-type]


def _both(one: Truths, other: Truths) -> Truths:
    return Truths(one.true & other.true, one.false | other.false)


_RULES: dict[type[tree.Node], Callable[[Any, Any], Any]] = {
    tree.Const: _Run.literal,
    tree.Name: _Run.named,
    tree.Path: _Run.named,
    tree.Negate: _Run.negate,
    tree.Arithmetic: _Run.arithmetic,
    tree.Compare: _Run.compare,
    tree.Between: _Run.between,
    tree.In: _Run.member,
    tree.Test: _Run.test,
    tree.And: _Run.every,
    tree.Or: _Run.some,
    tree.Not: _Run.negated,
    tree.If: _Run.branch,
    tree.Call: _Run.call,
}
