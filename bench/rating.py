"""A motor rating table of 3,700 rows: region × age band × vehicle class × bonus class → factor; as DMN and as JDM."""

from __future__ import annotations

import random
from decimal import Decimal
from itertools import islice, product
from xml.sax.saxutils import escape

ROWS = 3_700
INPUTS = (("region", "string"), ("age", "number"), ("vehicle_class", "number"), ("bonus_class", "number"))
REGIONS = tuple(f"R{number:02d}" for number in range(1, 21))
AGES = ((18, 21), (22, 25), (26, 30), (31, 40), (41, 55), (56, 70), (71, 110))
VEHICLES = tuple(range(10, 15))
BONUSES = ((0, 2), (3, 5), (6, 9), (10, 14), (15, 19), (20, 30))


def rules() -> list[tuple[str, ...]]:
    """The cells of each row; the last is the factor. 3,700 of the 4,200 combinations have a row, the others none."""
    rows = []
    combinations = product(range(len(REGIONS)), range(len(AGES)), VEHICLES, range(len(BONUSES)))
    for region, age, vehicle, bonus in islice(combinations, ROWS):
        factor = Decimal(60 + 3 * region + 11 * (6 - age) + 5 * (vehicle - 10) + 17 * (5 - bonus)).scaleb(-2)
        rows.append((
            f'"{REGIONS[region]}"',
            "[{}..{}]".format(*AGES[age]),
            str(vehicle),
            "[{}..{}]".format(*BONUSES[bonus]),
            str(factor),
        ))  # fmt: skip
    return rows


def samples(count: int, seed: int = 37) -> list[tuple[object, ...]]:
    """Inputs spread over all rows; about one in eight hits none."""
    rng = random.Random(seed)
    return [(rng.choice(REGIONS), rng.randint(18, 110), rng.choice(VEHICLES), rng.randint(0, 30)) for _ in range(count)]


def dmn() -> bytes:
    """The table as DMN 1.5, hit policy FIRST."""
    variables = "".join(
        f'<inputData id="i{n}" name="{name}"><variable name="{name}" typeRef="{kind}"/></inputData>'
        for n, (name, kind) in enumerate(INPUTS)
    )
    needs = "".join(
        f'<informationRequirement><requiredInput href="#i{n}"/></informationRequirement>' for n in range(len(INPUTS))
    )
    inputs = "".join(
        f'<input><inputExpression typeRef="{kind}"><text>{name}</text></inputExpression></input>'
        for name, kind in INPUTS
    )
    rows = "".join(
        "<rule>"
        + "".join(f"<inputEntry><text>{escape(cell)}</text></inputEntry>" for cell in rule[:-1])
        + f"<outputEntry><text>{rule[-1]}</text></outputEntry></rule>"
        for rule in rules()
    )
    table = f'<decisionTable hitPolicy="FIRST">{inputs}<output name="factor" typeRef="number"/>{rows}</decisionTable>'
    return (
        '<definitions xmlns="https://www.omg.org/spec/DMN/20230324/MODEL/" name="rating" namespace="bench">'
        f'{variables}<decision id="d" name="factor"><variable name="factor" typeRef="number"/>{needs}{table}</decision>'
        "</definitions>"
    ).encode()


def jdm() -> dict[str, object]:
    """The same table as a JDM of GoRules."""
    inputs = [{"id": f"i{n}", "name": name, "field": name} for n, (name, _) in enumerate(INPUTS)]
    rows = [
        {"_id": f"r{number}", "o0": rule[-1], **{f"i{n}": cell for n, cell in enumerate(rule[:-1])}}
        for number, rule in enumerate(rules())
    ]
    outputs = [{"id": "o0", "name": "factor", "field": "factor"}]
    content = {"hitPolicy": "first", "inputs": inputs, "outputs": outputs, "rules": rows}
    nodes = [
        {"id": "in", "type": "inputNode", "name": "in", "position": {"x": 0, "y": 0}},
        {"id": "table", "type": "decisionTableNode", "name": "table", "position": {"x": 0, "y": 0}, "content": content},
        {"id": "out", "type": "outputNode", "name": "out", "position": {"x": 0, "y": 0}},
    ]
    edges = [
        {"id": "e1", "sourceId": "in", "targetId": "table", "type": "edge"},
        {"id": "e2", "sourceId": "table", "targetId": "out", "type": "edge"},
    ]
    return {"contentType": "application/vnd.gorules.decision", "nodes": nodes, "edges": edges}
