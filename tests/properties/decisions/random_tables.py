"""Random tables of every hit policy, and random inputs for them, for tests that compare engines."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from xml.sax.saxutils import escape

from hypothesis import strategies as st

INPUTS = (("n", "number"), ("m", "number"), ("t", "string"), ("p", "boolean"), ("u", "Any"))
POLICIES = ("UNIQUE", "FIRST", "PRIORITY", "ANY", "COLLECT", "RULE ORDER", "OUTPUT ORDER")
NUMBER_TESTS = (
    "-", "5", "< 5", ">= 5", "<= 2.5", "> 2.5", "2.5", "-1", "[1..5]", "(1..5)", "[-1..2.5)", "1, 2, > 8", "null",
    "not(null)", "not(5)", "not(< 5, 7)", "not([1..5])", "!= 5", "= 5", "? > 3", "? > 3 and ? < 7", "? between 2 and 4",
    "? in [3, 4]", "[1, 2, 3]", "[[1..3], 7]", "[null, 2]", "5 > ?", "> m", "[1..m)", "m", "not(m)", "not(? > m)",
    "? = null or ? > m", "? + m > 6", "abs(?) > 3", '"a"', "1000000000000000000000", "> 0.00000000001",
    "> 0.1", "<= 0.30000000000000001", "[0.1..0.30000000000000004)", "0.1", "not(0.30000000000000001)",
)  # fmt: skip
TEXT_TESTS = (
    "-", '"a"', '"a","b"', 'not("a")', 'not("a","b")', "null", "not(null)", '< "b"', '["a".."c")', "t", "not(t)",
    'starts with(?, "a")', "5", '["a", "b"]', '? = "a" or ? = t', "string length(?) > 1",
)  # fmt: skip
LOGIC_TESTS = ("-", "true", "false", "not(true)", "null", "? = true", "not(?)", "p", "? or n > 3")
ANY_TESTS = ("-", "1", '"a"', "true", "< 5", "[1..5]", "null", "not(1)", "? = n", "? instance of number", "[1, 2]")
COLUMNS = (NUMBER_TESTS, NUMBER_TESTS, TEXT_TESTS, LOGIC_TESTS, ANY_TESTS, NUMBER_TESTS)
DECLARED = {
    "n": ("[-1..5]", "1, 2, [5..9]", "not(5)", "> 2.5", "abs(?) < 3", "null"),
    "m": ("[0..9)", "not(null)", "2"),
    "t": ('"a","b"', 'not("a")', '< "b"', "string length(?) < 2"),
    "p": ("true", "true, false"),
    "u": ('1, 2, "a"', "[1..5]", "? instance of number"),
    "n * 2": ("[0..10]", "not(< 4)"),
}
"""Values that an input may be declared to have."""
CONSTANTS = ('"approve"', '"review"', '"decline"', "1", "2.5", "-3", "null")
OUTPUTS = (*CONSTANTS, "n", "n + m", "t", "[n, m]", "if p then 1 else n")

numbers = st.none() | st.integers(-3, 9) | st.sampled_from([Decimal("2.5"), Decimal("5.0"), Decimal("-1"), 10**40])
texts = st.none() | st.sampled_from(["a", "b", "abc", ""])
wrong = st.sampled_from(["a", True, [1], 1.5, Decimal("NaN"), {"a": 1}])
VALUES = st.tuples(
    numbers | wrong, numbers, texts | wrong, st.none() | st.booleans() | wrong, numbers | texts | st.just([1])
)


def input_clause(draw: st.DrawFn, name: str, kind: str) -> str:
    """A column; one in a few declares its values."""
    declared = draw(st.sampled_from(DECLARED[name])) if draw(st.integers(0, 5)) == 0 else ""
    values = f"<inputValues><text>{escape(declared)}</text></inputValues>" if declared else ""
    reference = f' typeRef="{kind}"' if kind else ""
    return f"<input><inputExpression{reference}><text>{name}</text></inputExpression>{values}</input>"


def _table(draw: st.DrawFn, outputs: Sequence[str], rules: int) -> str:
    policy = draw(st.sampled_from(POLICIES))
    width = draw(st.integers(1, 2))
    alone = policy == "COLLECT" and width == 1
    aggregation = draw(st.sampled_from(["", "SUM", "MIN", "MAX", "COUNT"])) if alone else ""
    parts = [input_clause(draw, name, kind) for name, kind in (*INPUTS, ("n * 2", ""))]
    default = draw(st.booleans())
    for name in "xy"[:width]:
        parts.append(
            f'<output name="{name}"><outputValues><text>"decline", "review", 1, "approve"</text></outputValues>'
        )
        if default:
            parts.append(f"<defaultOutputEntry><text>{draw(st.sampled_from(outputs))}</text></defaultOutputEntry>")
        parts.append("</output>")
    for _ in range(draw(st.integers(0, rules))):
        cells = [draw(st.just("-") | st.just("-") | st.sampled_from(column)) for column in COLUMNS]
        found = [draw(st.sampled_from(outputs)) for _ in range(width)]
        parts.append("<rule>" + "".join(f"<inputEntry><text>{escape(cell)}</text></inputEntry>" for cell in cells))
        parts.append("".join(f"<outputEntry><text>{escape(one)}</text></outputEntry>" for one in found) + "</rule>")
    extra = f' aggregation="{aggregation}"' if aggregation else ""
    return f'<decisionTable hitPolicy="{policy}"{extra}>{"".join(parts)}</decisionTable>'


@st.composite
def models(draw: st.DrawFn, outputs: Sequence[str] = OUTPUTS, rules: int = 6) -> bytes:
    """A model with a table `d` over all inputs, and a decision `after` that reads its result."""
    data = "".join(
        f'<inputData id="{name}" name="{name}"><variable name="{name}" typeRef="{kind}"/></inputData>'
        for name, kind in INPUTS
    )
    needs = "".join(
        f'<informationRequirement><requiredInput href="#{name}"/></informationRequirement>' for name, _ in INPUTS
    )
    after = draw(st.sampled_from(["d", "if d = null then n else 1", "[d, t]", "{found: d, twice: n * 2}"]))
    return (
        '<definitions xmlns="https://www.omg.org/spec/DMN/20230324/MODEL/" name="t" namespace="t">'
        f'{data}<decision id="d" name="d"><variable name="d"/>{needs}{_table(draw, outputs, rules)}</decision>'
        '<decision id="after" name="after"><variable name="after"/>'
        f'<informationRequirement><requiredDecision href="#d"/></informationRequirement>{needs}'
        f"<literalExpression><text>{escape(after)}</text></literalExpression></decision></definitions>"
    ).encode()
