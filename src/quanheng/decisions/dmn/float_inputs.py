"""Inputs of a decision that are declared as float: which of them can be compared as floats, and how they enter.

A policy that runs on floats takes floats only. Where a caller gives a whole number or a Decimal instead, the same
policy over exact numbers answers; it is compiled when it is first needed.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Mapping, Sequence

from quanheng.decisions.dmn.build import Model
from quanheng.decisions.dmn.model import InputData
from quanheng.decisions.dmn.tables import TableInputNode
from quanheng.decisions.policy import PolicyInput
from quanheng.feel import py, tree
from quanheng.feel.floats import FloatUses, float_uses
from quanheng.feel.types import NUMBER
from quanheng.kernel.errors import InputError

_NONE = py.const(None)


def check_floats(name: str, inputs: Sequence[PolicyInput], floats: Collection[str]) -> None:
    """Only numbers can be declared as float.

    Raises
    ------
    InputError : `floats` names something else
    """
    numbers = [one.name for one in inputs if one.type is NUMBER]
    unknown = sorted(set(floats) - set(numbers))
    if unknown:
        raise InputError(
            "only inputs of type number can be declared as float",
            where=name,
            found=", ".join(unknown),
            allowed=", ".join(numbers),
            cure="Correct the names.",
        )


class FloatSlots:
    """Declared floats of one decision by slot: those that are compared, and those of them whose exact value is read."""

    def __init__(self, slots: Collection[int], uses: FloatUses) -> None:
        self.pairs = uses.compared
        self.compared = sorted({one for pair in uses.compared for one in pair if one is not None} & set(slots))
        self.exact = uses.exact


def float_inputs(model: Model, target: str, names: Collection[str]) -> FloatSlots:
    """Look at what the decision with the id `target` requires. An input with allowed values stays exact, as does one
    whose values a table declares: a refusal shows the value.
    """
    needed = model.required(target)
    trees = [model.trees[one] for one in needed if not isinstance(model.elements[one], InputData)]
    declared = {
        node.slot
        for one in trees
        for node in tree.walk(one)
        if isinstance(node, TableInputNode) and node.allowed is not None
    }
    slots = {
        model.variables[one.id].slot: ""
        for one in model.inputs()
        if one.id in needed
        and model.input_names[one.id] in names
        and model.variables[one.id].type is NUMBER
        and model.constraint(one) is None
        and model.variables[one.id].slot not in declared
    }
    return FloatSlots(slots, float_uses(trees, slots))


def only_compared(model: Model, decision: str, names: Collection[str], beside: Collection[str]) -> frozenset[str]:
    """Those of `names` whose exact value a decision never reads: it compares them with constants and each other.

    Those of `beside` (bounds) are added where they are compared with such a one, or with another bound that is, and
    read for nothing else.
    """
    target = model.target(decision)
    assert target is not None
    title = {model.variables[one.id].slot: model.input_names[one.id] for one in model.inputs()}
    current = {*names, *beside}
    while True:
        found = float_inputs(model, target.id, current)
        joined = {title[one] for one, _ in found.pairs} & set(names)
        pairs = [{title[one], title[other]} for one, other in found.pairs if other is not None]
        while more := set().union(*(pair for pair in pairs if pair & joined)) - joined:
            joined |= more
        kept = {title[slot] for slot in found.compared if slot not in found.exact} & ({*names} | joined)
        if kept == current:
            return frozenset(kept)
        current = kept


# -- how they enter


def float_converted(title: str) -> ast.stmt:
    """A declared float as the exact number that it stands for; anything else stays for admission."""
    variable = py.name(title)
    is_float = py.compare(py.attribute(variable, "__class__"), ("is", py.name("float")))
    return py.when(is_float, [py.assign(title, py.call("decimal_of", variable))])


def float_admission(floats: Mapping[int, str], trusted: Collection[int]) -> list[ast.stmt]:
    """Lets floats through, null as NaN; leaves the lane (gives None) for anything else.

    Parameters
    ----------
    floats : slots that are compared as floats, with the name that their exact value gets where it is read
    trusted : slots whose floats are never infinite
    """
    if not floats:
        return []
    classes = [py.attribute(py.name(f"v{slot}"), "__class__") for slot in floats]
    all_floats = py.compare(classes[0], *(("is", one) for one in [*classes[1:], py.name("float")]))
    absent: list[ast.stmt] = []
    statements: list[ast.stmt] = []
    for slot, exact in floats.items():
        title, variable = f"v{slot}", py.name(f"v{slot}")
        nothing = py.assign(title, py.name("nan"))
        leave = py.when(py.compare(py.attribute(variable, "__class__"), ("is not", py.name("float"))), [py.give(_NONE)])
        absent.append(py.when(py.compare(variable, ("is", _NONE)), [nothing], [leave]))
        if slot not in trusted:
            inside = py.compare(py.name("low"), ("<", variable), ("<", py.name("inf")))
            statements.append(py.when(py.negated(inside), [nothing]))
        if exact != title:
            statements.append(py.assign(exact, py.call("decimal_of", variable)))
    return [py.when(py.negated(all_floats), absent), *statements]
