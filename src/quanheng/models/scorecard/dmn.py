"""A scorecard as a DMN model: a decision table per characteristic, and a sum. It gives the points of the look-up.

Each table has the hit policy UNIQUE: ranges do not overlap, special values are taken out of them, and whatever is no
category of a group falls into the last rule. Missing is null. The sum adds the points of the base.
"""

from __future__ import annotations

import re
from decimal import Decimal
from xml.sax.saxutils import escape, quoteattr

from quanheng.models.scorecard.weights import Scored, ScoredBin, Weights

NAMESPACE = "https://www.omg.org/spec/DMN/20230324/MODEL/"
DECISION = "score"
"""Name of the decision that gives the points."""

FEEL_WORDS = frozenset({
    "and", "or", "not", "if", "then", "else", "for", "in", "return", "some", "every", "satisfies", "between", "null",
    "true", "false",
})  # fmt: skip


def emit_dmn(weights: Weights, name: str = "scorecard") -> bytes:
    """DMN 1.5 XML with an input for each column (`input_names`) and the decision `score`; the same scorecard gives the
    same bytes."""
    inputs = input_names(weights)
    parts = [f'<?xml version="1.0" encoding="UTF-8"?>\n<definitions xmlns="{NAMESPACE}" id="scorecard"']
    parts.append(f" name={quoteattr(name)} namespace={quoteattr(f'urn:scorecard:{name}')}>\n")
    for at, one in enumerate(weights.characteristics):
        kind = "number" if one.column.kind == "number" else "string"
        named, label = quoteattr(inputs[one.column.name]), quoteattr(one.column.name)
        variable = f'<variable name={named} typeRef="{kind}"/>'
        parts.append(f'  <inputData id="i{at}" name={named} label={label}>{variable}</inputData>\n')
    for at, one in enumerate(weights.characteristics):
        parts.append(_table(at, one, inputs[one.column.name]))
    parts.append(_sum(weights))
    parts.append("</definitions>\n")
    return "".join(parts).encode()


def input_names(weights: Weights) -> dict[str, str]:
    """Column → name of its input: what FEEL would read as an operator becomes `_`, and no name is given twice."""
    taken = {DECISION, *(_points_of(at) for at in range(len(weights.characteristics)))}
    found: dict[str, str] = {}
    for one in weights.characteristics:
        name = re.sub(r"\W+", "_", one.column.name)
        name = name if name[:1].isalpha() and name not in FEEL_WORDS else f"column_{name}"
        unique, number = name, 2
        while unique in taken:
            unique, number = f"{name}_{number}", number + 1
        taken.add(unique)
        found[one.column.name] = unique
    return found


def _points_of(at: int) -> str:
    return f"points_{at + 1}"


def _table(at: int, one: Scored, named: str) -> str:
    name = _points_of(at)
    kind = "number" if one.column.kind == "number" else "string"
    asked = f'<inputExpression typeRef="{kind}"><text>{escape(named)}</text></inputExpression>'
    lines = [
        f'  <decision id="d{at}" name="{name}"><variable name="{name}" typeRef="number"/>',
        f'    <informationRequirement><requiredInput href="#i{at}"/></informationRequirement>',
        '    <decisionTable hitPolicy="UNIQUE">',
        f'      <input id="d{at}i">{asked}</input>',
        f'      <output id="d{at}o" typeRef="number"/>',
    ]
    for place, bin in enumerate(one.bins):
        cell = escape(_cell(one, bin))
        lines.append(
            f'      <rule id="d{at}r{place}"><inputEntry id="d{at}r{place}i"><text>{cell}</text></inputEntry>'
            f'<outputEntry id="d{at}r{place}o"><text>{bin.points}</text></outputEntry></rule>'
        )
    lines.append("    </decisionTable>\n  </decision>\n")
    return "\n".join(lines)


def _cell(one: Scored, bin: ScoredBin) -> str:
    if bin.kind == "missing":
        return "null"
    if bin.kind == "special":
        return f"? = {_number(bin.special)}"
    if bin.kind == "categories":
        return ", ".join(map(_text, bin.values))
    if bin.kind == "other":
        known = ", ".join(map(_text, one.categories))
        return f"? != null and not(list contains([{known}], ?))" if known else "? != null"
    tests = ["? != null"]
    if bin.low is not None:
        tests.append(f"? >= {_number(bin.low)}")
    if bin.high is not None:
        tests.append(f"? < {_number(bin.high)}")
    inside = [other.special for other in one.bins if other.kind == "special" and _holds(bin, other.special)]
    tests += [f"? != {_number(special)}" for special in inside]
    return " and ".join(tests)


def _holds(bin: ScoredBin, value: float | None) -> bool:
    return value is not None and (bin.low is None or value >= bin.low) and (bin.high is None or value < bin.high)


def _number(value: float | None) -> str:
    """A float as FEEL writes it: its shortest decimal, never with an exponent."""
    return f"{Decimal(repr(value)):f}"


def _text(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t") + '"'


def _sum(weights: Weights) -> str:
    many = range(len(weights.characteristics))
    lines = [f'  <decision id="{DECISION}" name="{DECISION}"><variable name="{DECISION}" typeRef="number"/>']
    for at in many:
        lines.append(f'    <informationRequirement><requiredDecision href="#d{at}"/></informationRequirement>')
    text = " + ".join([str(weights.base_points), *map(_points_of, many)])
    lines.append(f"    <literalExpression><text>{text}</text></literalExpression>\n  </decision>\n")
    return "\n".join(lines)
