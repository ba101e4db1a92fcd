"""Allowed values: the node that lets a value of a declared type through, or refuses it with a diagnostic."""

from __future__ import annotations

from dataclasses import dataclass, replace

from quanheng.decisions.dmn.types import Constraint
from quanheng.feel import tree
from quanheng.feel.values import Run, kind_name, shown


@dataclass(frozen=True, slots=True)
class AllowedNode(tree.Node):
    """`value` where it satisfies `constraint`, else null with a diagnostic that calls it `name`."""

    value: tree.Node
    constraint: Constraint
    name: str

    @property
    def words(self) -> str:
        return self.constraint.text or "the allowed values of its type"


def refuse(run: Run, at: int, value: object, name: str, allowed: str) -> None:
    """A value outside its allowed values is null."""
    run.append((at, f"{name} must be one of {allowed}, was {kind_name(value)} {shown(value)}"))


Wrapper = tree.Cast | AllowedNode


def unwrapped(node: tree.Node) -> tuple[tree.Node, list[Wrapper]]:
    """A node without the checks of its declared type, and the checks, innermost first."""
    checks: list[Wrapper] = []
    while isinstance(node, tree.Cast | AllowedNode):
        checks.insert(0, node)
        node = node.value
    return node, checks


def rewrapped(check: Wrapper, name: tree.Name) -> Wrapper:
    """The same check of a variable."""
    return replace(check, value=name)
