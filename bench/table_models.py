"""One decision table, hit policy FIRST, for every engine of a bench: its cells as DMN 1.5 and as a JDM of GoRules."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape

Columns = Sequence[tuple[str, str]]
"""(name, FEEL type) of each input or output"""


def dmn(name: str, inputs: Columns, outputs: Columns, rules: Sequence[Sequence[str]]) -> bytes:
    """The table as the one decision `name` of a model; a rule's cells are those of its inputs, then of its outputs."""
    variables = "".join(
        f'<inputData id="i{n}" name="{one}"><variable name="{one}" typeRef="{kind}"/></inputData>'
        for n, (one, kind) in enumerate(inputs)
    )
    needs = "".join(
        f'<informationRequirement><requiredInput href="#i{n}"/></informationRequirement>' for n in range(len(inputs))
    )
    heads = "".join(
        f'<input><inputExpression typeRef="{kind}"><text>{one}</text></inputExpression></input>' for one, kind in inputs
    )
    heads += "".join(f'<output name="{one}" typeRef="{kind}"/>' for one, kind in outputs)
    places = ["inputEntry"] * len(inputs) + ["outputEntry"] * len(outputs)
    rows = "".join(
        "<rule>"
        + "".join(f"<{at}><text>{escape(cell)}</text></{at}>" for at, cell in zip(places, rule, strict=True))
        + "</rule>"
        for rule in rules
    )
    kind = f' typeRef="{outputs[0][1]}"' if len(outputs) == 1 else ""
    return (
        f'<definitions xmlns="https://www.omg.org/spec/DMN/20230324/MODEL/" name="{name}" namespace="bench">'
        f'{variables}<decision id="d" name="{name}"><variable name="{name}"{kind}/>{needs}'
        f'<decisionTable hitPolicy="FIRST">{heads}{rows}</decisionTable></decision></definitions>'
    ).encode()


def jdm(inputs: Columns, outputs: Columns, rules: Sequence[Sequence[str]]) -> dict[str, object]:
    """The same table as a JDM, between an input and an output node."""
    places = [f"i{n}" for n in range(len(inputs))] + [f"o{n}" for n in range(len(outputs))]
    rows = [
        {"_id": f"r{number}"} | {at: "" if cell == "-" else cell for at, cell in zip(places, rule, strict=True)}
        for number, rule in enumerate(rules)
    ]
    content = {
        "hitPolicy": "first",
        "inputs": [{"id": f"i{n}", "name": name, "field": name} for n, (name, _) in enumerate(inputs)],
        "outputs": [{"id": f"o{n}", "name": name, "field": name} for n, (name, _) in enumerate(outputs)],
        "rules": rows,
    }
    at = {"x": 0, "y": 0}
    nodes = [
        {"id": "in", "type": "inputNode", "name": "in", "position": at},
        {"id": "table", "type": "decisionTableNode", "name": "table", "position": at, "content": content},
        {"id": "out", "type": "outputNode", "name": "out", "position": at},
    ]
    edges = [
        {"id": "e1", "sourceId": "in", "targetId": "table", "type": "edge"},
        {"id": "e2", "sourceId": "table", "targetId": "out", "type": "edge"},
    ]
    return {"contentType": "application/vnd.gorules.decision", "nodes": nodes, "edges": edges}
