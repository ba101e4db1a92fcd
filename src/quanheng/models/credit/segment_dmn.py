"""A plan of limits and prices as a DMN decision table: segment -> limit and price."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape, quoteattr

from quanheng.models.credit.segment_cells import Cell, Segment
from quanheng.models.scorecard.dmn import NAMESPACE

DECISION = "offer"
"""Name of the decision: a context of `limit_minor` and `price`, null for a segment that is not in the table."""


def emit_plan(segments: Sequence[Segment], chosen: Sequence[Cell], name: str = "limits") -> bytes:
    """DMN 1.5 XML with the input `segment` and the decision `offer`; the same plan gives the same bytes."""
    space = quoteattr(f"urn:limits:{name}")
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<definitions xmlns="{NAMESPACE}" id="limits" name={quoteattr(name)} namespace={space}>',
        '  <inputData id="i" name="segment"><variable name="segment" typeRef="string"/></inputData>',
        f'  <decision id="{DECISION}" name="{DECISION}"><variable name="{DECISION}"/>',
        '    <informationRequirement><requiredInput href="#i"/></informationRequirement>',
        '    <decisionTable hitPolicy="UNIQUE">',
        '      <input id="ti"><inputExpression typeRef="string"><text>segment</text></inputExpression></input>',
        '      <output id="tl" name="limit_minor" typeRef="number"/>',
        '      <output id="tp" name="price" typeRef="number"/>',
    ]
    for at, (segment, cell) in enumerate(zip(segments, chosen, strict=True)):
        entries = f'<outputEntry id="r{at}l"><text>{cell.limit_minor}</text></outputEntry>'
        entries += f'<outputEntry id="r{at}p"><text>{cell.price:f}</text></outputEntry>'
        text = escape('"' + segment.name.replace("\\", "\\\\").replace('"', '\\"') + '"')
        lines.append(f'      <rule id="r{at}"><inputEntry id="r{at}i"><text>{text}</text></inputEntry>{entries}</rule>')
    lines.append("    </decisionTable>\n  </decision>\n</definitions>\n")
    return "\n".join(lines).encode()
