"""Random tables under every hit policy: generated code and judge give the same result and the same trace."""

from __future__ import annotations

from decimal import Decimal
from xml.sax.saxutils import escape

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_tables import input_clause

from quanheng.decisions.dmn import compile_decision, read_model
from quanheng.decisions.dmn.judge import judge_model

NUMBER_TESTS = [
    "-",
    "5",
    "< 5",
    ">= 5",
    "> m",
    "[1..5]",
    "(1..5)",
    "[1..m)",
    "not(5)",
    "not(< 5, 7)",
    "1, 2, > 8",
    "null",
    "not(null)",
    "? > 3",
    "? + m > 6",
    "[1, 2, 3]",
    "m",
    "2.5",
    "<= 2.5",
    "? between 2 and m",
    "not(? = null)",
    '"a"',
    "= 5",
    "!= 5",
    "-1",
    "not(? > m)",
    "[[1..3], 7]",
    "abs(?) > 3",
]
TEXT_TESTS = [
    "-",
    '"a"',
    '"a","b"',
    'not("a")',
    'not("a","b")',
    "null",
    "not(null)",
    '< "b"',
    '["a".."c")',
    "t",
    "not(t)",
    'starts with(?, "a")',
    "5",
    '["a", "b"]',
    '? = "a" or ? = t',
    "string length(?) > 1",
]
LOGIC_TESTS = ["-", "true", "false", "not(true)", "null", "? = true", "not(?)", "p", "? or n > 3"]
ANY_TESTS = [
    "-",
    "1",
    '"a"',
    "true",
    "< 5",
    "[1..5]",
    "null",
    "not(1)",
    "? = n",
    "? instance of number",
    '"a", 1',
    "not(> 3)",
    "[1, 2]",
]
OUTPUTS = ['"approve"', '"review"', '"decline"', "1", "2.5", "n", "n + m", "null", "t", "[n, m]", "if p then 1 else n"]
POLICIES = ["UNIQUE", "FIRST", "PRIORITY", "ANY", "COLLECT", "RULE ORDER", "OUTPUT ORDER"]

numbers = st.none() | st.integers(-3, 9) | st.sampled_from([Decimal("2.5"), Decimal("5.0"), Decimal("-1"), 10**40])
texts = st.none() | st.sampled_from(["a", "b", "abc", ""])
INPUTS = (("n", "number"), ("m", "number"), ("t", "string"), ("p", "boolean"), ("u", "Any"))
VALUES = st.tuples(numbers, numbers, texts, st.none() | st.booleans(), numbers | texts | st.booleans() | st.just([1]))


@st.composite
def tables(draw: st.DrawFn) -> bytes:
    """A model with one table over all inputs."""
    policy = draw(st.sampled_from(POLICIES))
    width = draw(st.integers(1, 2))
    aggregation = (
        draw(st.sampled_from(["", "SUM", "MIN", "MAX", "COUNT"])) if policy == "COLLECT" and width == 1 else ""
    )
    inputs = "".join(input_clause(draw, name, kind) for name, kind in (*INPUTS, ("n * 2", "")))
    outputs = ""
    default = draw(st.booleans())
    for name in "xy"[:width]:
        outputs += f'<output name="{name}"><outputValues><text>"decline", "review", 1, "approve"</text></outputValues>'
        outputs += (
            f"<defaultOutputEntry><text>{draw(st.sampled_from(OUTPUTS))}</text></defaultOutputEntry></output>"
            if default
            else "</output>"
        )
    rows = ""
    for _ in range(draw(st.integers(0, 5))):
        columns = (NUMBER_TESTS, NUMBER_TESTS, TEXT_TESTS, LOGIC_TESTS, ANY_TESTS, NUMBER_TESTS)
        cells = [draw(st.just("-") | st.sampled_from(column)) for column in columns]
        rows += "<rule>" + "".join(f"<inputEntry><text>{escape(cell)}</text></inputEntry>" for cell in cells)
        for _ in range(width):
            rows += f"<outputEntry><text>{escape(draw(st.sampled_from(OUTPUTS)))}</text></outputEntry>"
        rows += "</rule>"
    data = "".join(
        f'<inputData id="{name}" name="{name}"><variable name="{name}" typeRef="{kind}"/></inputData>'
        for name, kind in INPUTS
    )
    needs = "".join(
        f'<informationRequirement><requiredInput href="#{name}"/></informationRequirement>' for name, _ in INPUTS
    )
    extra = f' aggregation="{aggregation}"' if aggregation else ""
    table = f'<decisionTable hitPolicy="{policy}"{extra}>{inputs}{outputs}{rows}</decisionTable>'
    return (
        '<definitions xmlns="https://www.omg.org/spec/DMN/20230324/MODEL/" name="t" namespace="t">'
        f'{data}<decision id="d" name="d"><variable name="d"/>{needs}{table}</decision></definitions>'
    ).encode()


@settings(max_examples=350, deadline=None, suppress_health_check=list(HealthCheck))
@given(tables(), st.lists(VALUES, min_size=3, max_size=6))
def test_compiled_table_gives_what_the_judge_gives(xml: bytes, rows: list[tuple[object, ...]]) -> None:
    model = read_model(xml, "t.dmn", strict=False)
    policy = compile_decision(model, "d")
    for row in rows:
        given_values = {name: value for (name, _), value in zip(INPUTS, row, strict=True)}
        compiled, judged = policy.judge(given_values), judge_model(model, "d", given_values)
        assert repr((compiled.result, compiled.trace)) == repr((judged.result, judged.trace)), policy.source
        outside = ["must be one of" in str(one) for one in compiled.diagnostics]
        assert outside == ["must be one of" in str(one) for one in judged.diagnostics]
