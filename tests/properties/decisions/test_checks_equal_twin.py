"""Random small tables: what the checks claim is real, and what trying every input finds, the checks find."""

from __future__ import annotations

from xml.sax.saxutils import escape

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from quanheng.decisions.checking import Finding, check_model
from quanheng.decisions.dmn import Model, read_model
from quanheng.decisions.dmn.judge import judge_model
from quanheng.testing.slow_checks import try_all

NUMBERS = [
    "-", "5", "< 5", ">= 5", "[1..5]", "(1..5)", "not(5)", "not(< 5, 7)", "1, 2, > 8", "null", "not(null)", "? > 3",
    "[1, 2, 3]", "2.5", "<= 2.5", "? between 2 and 7", "not(? = null)", "= 5", "!= 5", "> 8", "<= 1", "]5..7[",
    "(5..8]", "? in (1, [3..5])", "? > 3 and ? < 6", "? < 2 or ? = 7", "not(? > 3)", "5 < ?", "[[1..3], 7]",
    "5 + 0", "? != null",
]  # fmt: skip
TEXTS = [
    "-", '"a"', '"a","b"', 'not("a")', 'not("a","b")', "null", "not(null)", '["a","c"]', '? = "a" or ? = "b"',
    '"c"', '!= "b"',
]  # fmt: skip
ORDERED = [*TEXTS, '< "b"', '["a".."b")', '>= "b"', '["b".."c"]']
LOGIC = ["-", "true", "false", "not(true)", "null", "? = true", "not(?)", "?", "not(null)"]
DATES = [
    "-", '< @"2024-03-01"', '>= @"2024-03-01"', '[@"2024-02-01"..@"2024-03-01")', 'date("2024-02-28")', "null",
    'not(@"2024-02-28")', '> date("2024-02-01") + duration("P1D")',
]  # fmt: skip
UNCLEAR = ["> m", "abs(?) > 3", "? + 1 = m", "m", "[1..m]", "not(? > m)", "? > 3 and m > 1", "? > 3 or m = 2"]
ANYTHING = [
    "-",
    "1",
    '"a"',
    "true",
    "< 5",
    "[1..5]",
    "null",
    "not(1)",
    '"a", 1',
    "not(> 3)",
    "[1, 2]",
    "? instance of number",
]
COLUMNS = {"n": ("number", NUMBERS), "k": ("number", NUMBERS), "t": ("string", TEXTS), "s": ("string", ORDERED),
           "p": ("boolean", LOGIC), "d": ("date", DATES), "u": ("Any", ANYTHING)}  # fmt: skip
OUTPUTS = ['"high"', '"low"', "1", "m"]


def xml_of(policy: str, names: list[str], rows: list[list[str]], outputs: list[str]) -> bytes:
    known = [*names, "m"]
    kinds = {name: COLUMNS[name][0] if name in COLUMNS else "number" for name in known}
    data = "".join(
        f'<inputData id="{name}" name="{name}"><variable name="{name}" typeRef="{kinds[name]}"/></inputData>'
        for name in known
    )
    needs = "".join(
        f'<informationRequirement><requiredInput href="#{name}"/></informationRequirement>' for name in known
    )
    inputs = "".join(f"<input><inputExpression><text>{name}</text></inputExpression></input>" for name in names)
    rules = ""
    for row, output in zip(rows, outputs, strict=True):
        cells = "".join(f"<inputEntry><text>{escape(cell)}</text></inputEntry>" for cell in row)
        rules += f"<rule>{cells}<outputEntry><text>{output}</text></outputEntry></rule>"
    values = '<outputValues><text>"high", "low"</text></outputValues>'
    table = f'<decisionTable hitPolicy="{policy}">{inputs}<output>{values}</output>{rules}</decisionTable>'
    return (
        '<definitions xmlns="https://www.omg.org/spec/DMN/20230324/MODEL/" name="t" namespace="t">'
        f'{data}<decision id="x" name="x"><variable name="x"/>{needs}{table}</decision></definitions>'
    ).encode()


@st.composite
def tables(draw: st.DrawFn, unclear: bool) -> bytes:
    pool = list(COLUMNS) if unclear else [name for name in COLUMNS if name != "u"]
    names = draw(st.lists(st.sampled_from(pool), min_size=1, max_size=3, unique=True))
    policy = draw(st.sampled_from(["UNIQUE", "FIRST", "ANY", "PRIORITY"]))
    rows = []
    for _ in range(draw(st.integers(1, 6))):
        row = []
        for name in names:
            kind, cells = COLUMNS[name]
            row.append(draw(st.sampled_from(cells + (UNCLEAR if unclear and kind == "number" else []))))
        rows.append(row)
    return xml_of(policy, names, rows, [draw(st.sampled_from(OUTPUTS)) for _ in rows])


def matched(model: Model, given_values: object) -> tuple[int, ...]:
    return judge_model(model, "x", given_values).trace[-1][1]  # type: ignore[arg-type]


def real(model: Model, found: tuple[Finding, ...]) -> None:
    """Every witness is what it says."""
    for one in found:
        if one.kind in ("overlap", "conflict"):
            event(one.kind)
            assert set(one.rules) <= set(matched(model, one.given)), one
        if one.kind == "gap" and one.witness:
            event("gap")
            assert matched(model, one.given) == (), one


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(tables(unclear=True))
def test_no_claim_is_false(xml: bytes) -> None:
    model = read_model(xml, "t.dmn", strict=False)
    found = check_model(model)
    real(model, found)
    hidden = {rule for one in found if one.kind in ("masked", "never") for rule in one.rules}
    if hidden and model.target("x").expression.hit_policy != "PRIORITY":  # type: ignore[union-attr]
        event("hidden")
        assert not hidden & try_all(model, "x").hits


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(tables(unclear=False))
def test_what_trying_every_input_finds_is_found(xml: bytes) -> None:
    model = read_model(xml, "t.dmn", strict=False)
    table = model.target("x").expression  # type: ignore[union-attr]
    found, seen = check_model(model), try_all(model, "x")
    real(model, found)
    pairs = {one.rules for one in found if one.kind in ("overlap", "conflict")}
    if table.hit_policy == "UNIQUE":  # type: ignore[union-attr]
        assert pairs == seen.pairs
    gaps = [one for one in found if one.kind == "gap"]
    assert bool(gaps) or not seen.holes
    if any(None not in hole.values() for hole in seen.holes):
        assert any(one.witness and None not in one.witness.values() for one in gaps)
    hidden = {rule for one in found if one.kind in ("masked", "never") for rule in one.rules}
    if table.hit_policy == "FIRST":  # type: ignore[union-attr]
        assert hidden == set(range(1, len(table.rules) + 1)) - seen.hits  # type: ignore[union-attr]


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(tables(unclear=False))
def test_a_redundant_rule_changes_nothing(xml: bytes) -> None:
    model = read_model(xml, "t.dmn", strict=False)
    redundant = [rule for one in check_model(model) if one.kind == "redundant" for rule in one.rules]
    for number in redundant[:1]:
        event("redundant")
        before, behind = xml.split(b"<rule>")[: number + 1], xml.split(b"<rule>")[number + 1 :]
        tail = before.pop().partition(b"</rule>")[2]
        without = read_model(
            b"<rule>".join(before) + tail + b"".join(b"<rule>" + one for one in behind), "t.dmn", False
        )
        from quanheng.testing.slow_checks import grid

        for values in grid(model, "x"):
            given_values = {**values, "m": 3}
            assert judge_model(model, "x", given_values).result == judge_model(without, "x", given_values).result
