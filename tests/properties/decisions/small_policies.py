"""Random small policies over three inputs, for searches that a brute force can repeat."""

from __future__ import annotations

from xml.sax.saxutils import escape

from hypothesis import strategies as st

LOW, HIGH = -2, 9
"""Bounds of the number inputs."""
COLOURS = ("red", "green", "blue")
CELLS = [
    "-",
    "-",
    "> 3",
    ">= 5",
    "< 2",
    "<= p",
    "> q",
    "[2..5]",
    "(1..p)",
    "7",
    "not(4)",
    "0, 6",
    "? * 2 > 7",
    "? between 3 and q",
]
WORDS = ["-", "-", '"red"', '"green", "blue"', 'not("red")', "c"]


@st.composite
def policies(draw):
    """(xml, given): two tables that collect reasons, one of them over a computed value, and a severest outcome."""
    tables = []
    for name in ("hard", "soft"):
        rules = []
        for number in range(draw(st.integers(1, 3))):
            cells = [draw(st.sampled_from(CELLS)), draw(st.sampled_from(CELLS)), draw(st.sampled_from(WORDS))]
            rules.append((cells, f"{name}{number}"))
        tables.append((name, draw(st.sampled_from(["x", "x + 1", "2 * x"])), rules))
    numbers = st.integers(LOW, HIGH)
    given = {
        "x": draw(numbers), "y": draw(numbers), "colour": draw(st.sampled_from(COLOURS)),
        "p": draw(st.integers(1, 8)), "q": draw(st.integers(1, 8)), "c": draw(st.sampled_from(COLOURS)),
    }  # fmt: skip
    return model(tables), given


def model(tables) -> bytes:
    """The DMN file of tables: (name, expression of the first column, [(cells, reason)])."""
    inputs = {"x": "number", "y": "number", "colour": "string", "p": "number", "q": "number", "c": "string"}
    needs = "".join(
        f'<informationRequirement><requiredInput href="#{name}"/></informationRequirement>' for name in inputs
    )
    made = [
        f'<inputData id="{name}" name="{name}"><variable name="{name}" typeRef="{kind}"/></inputData>'
        for name, kind in inputs.items()
    ]
    for name, first, rules in tables:
        columns = "".join(
            f"<input><inputExpression><text>{escape(text)}</text></inputExpression></input>"
            for text in (first, "y", "colour")
        )
        rows = "".join(
            "<rule>"
            + "".join(f"<inputEntry><text>{escape(cell)}</text></inputEntry>" for cell in cells)
            + f'<outputEntry><text>"{reason}"</text></outputEntry></rule>'
            for cells, reason in rules
        )
        made.append(
            f'<decision id="{name}" name="{name}"><variable name="{name}"/>{needs}'
            f'<decisionTable hitPolicy="COLLECT">{columns}<output name="reason"/>{rows}</decisionTable></decision>'
        )
    parts = "".join(
        f'<informationRequirement><requiredDecision href="#{name}"/></informationRequirement>' for name, *_ in tables
    )
    entries = (
        ("outcome", 'if hard != null then "decline" else if soft != null then "review" else "approve"'),
        ("reasons", "concatenate(if hard = null then [] else hard, if soft = null then [] else soft)"),
    )
    context = "".join(
        f'<contextEntry><variable name="{name}"/><literalExpression><text>{escape(text)}</text></literalExpression>'
        "</contextEntry>"
        for name, text in entries
    )
    made.append(
        f'<decision id="answer" name="answer"><variable name="answer"/>{parts}<context>{context}</context></decision>'
    )
    head = '<definitions xmlns="https://www.omg.org/spec/DMN/20230324/MODEL/" id="d" name="d" namespace="n">'
    return f"{head}{''.join(made)}</definitions>".encode()
