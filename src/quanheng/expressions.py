"""FEEL over what is known of an event, for one row at a time: amounts, conditions, bodies of messages."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from quanheng.feel.compiler import compile_expression
from quanheng.feel.parser import parse
from quanheng.feel.tree import Name, walk
from quanheng.feel.types import ANY
from quanheng.known import ExactColumn, Known

Getter = Callable[[Known], ExactColumn]


class Expression:
    """A FEEL expression, compiled.

    Parameters
    ----------
    names : what is known of the event, by name
    getter : of a name: gives its column, as policies see it
    where : of messages
    extra : names beside those, whose values are given with the row, in this order
    """

    def __init__(
        self, text: str, names: Sequence[str], getter: Callable[[str], Getter], where: str, extra: Sequence[str] = ()
    ) -> None:
        known = dict.fromkeys([*names, *extra], ANY)
        used = {one.name for one in walk(parse(text, known, where, strict=False)) if isinstance(one, Name)}
        self._names = [name for name in sorted(used) if name in known and name not in extra]
        self._extra = [place for place, name in enumerate(extra) if name in used]
        asked = [*self._names, *(extra[place] for place in self._extra)]
        self._run = compile_expression(text, {name: known[name] for name in asked}, where, strict=False)
        self._getters = [getter(name) for name in self._names]

    @property
    def asks_of(self) -> frozenset[int]:
        """Places of the `extra` names that it uses."""
        return frozenset(self._extra)

    def column(self, known: Known) -> Callable[..., object]:
        """(row, *extra) → its value, computed when it is asked for."""
        columns = [get(known) for get in self._getters]
        run, extra = self._run, self._extra
        if not extra:
            return lambda row, *_: run(*[column[row] for column in columns])
        return lambda row, *given: run(*[column[row] for column in columns], *[given[place] for place in extra])


class Columns:
    """Expressions over one group, each with its columns asked for once."""

    def __init__(self, known: Known) -> None:
        self.known = known
        self._columns: dict[int, Callable[..., object]] = {}

    def value(self, one: Expression, row: int, *extra: object) -> object:
        """The value of an expression for a row."""
        found = self._columns.get(id(one))
        if found is None:
            found = self._columns[id(one)] = one.column(self.known)
        return found(row, *extra)
