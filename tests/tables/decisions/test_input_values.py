"""Declared values of inputs: a value outside is a mistake of whoever asks, so the table gives null and says why."""

from __future__ import annotations

from xml.sax.saxutils import escape

import polars as pl
import pytest

from quanheng.decisions.columnar import compile_columns
from quanheng.decisions.dmn import Model, compile_decision, read_model
from quanheng.decisions.dmn.judge import judge_model

RULES = (("> 10", '"big"'), ("-", '"any"'))


def model_of(
    declared: str,
    kind: str = "number",
    rules: tuple[tuple[str, str], ...] = RULES,
    policy: str = "FIRST",
    expression: str = "n",
    default: str = "",
) -> Model:
    """A decision `d`: a table over `n`."""
    rows = "".join(
        f"<rule><inputEntry><text>{escape(test)}</text></inputEntry><outputEntry><text>{out}</text></outputEntry></rule>"
        for test, out in rules
    )
    otherwise = f"<defaultOutputEntry><text>{default}</text></defaultOutputEntry>" if default else ""
    return read_model(
        f"""<definitions xmlns="https://www.omg.org/spec/DMN/20230324/MODEL/" name="t" namespace="t">
        <itemDefinition name="tTexts" isCollection="true"><typeRef>string</typeRef></itemDefinition>
        <inputData id="n" name="n"><variable name="n" typeRef="{kind}"/></inputData>
        <decision id="d" name="d"><variable name="d"/>
        <informationRequirement><requiredInput href="#n"/></informationRequirement>
        <decisionTable hitPolicy="{policy}"><input label="size"><inputExpression><text>{expression}</text>
        </inputExpression><inputValues><text>{escape(declared)}</text></inputValues></input>
        <output>{otherwise}</output>{rows}</decisionTable></decision></definitions>""".encode(),
        "t.dmn",
    )


# declared values, type, input -> is it let through?
DECLARED = [
    ("[0..100]", "number", 0, True),
    ("[0..100]", "number", 101, False),
    ("(0..100]", "number", 0, False),
    ("1, 2, > 50", "number", 51, True),
    ("1, 2, > 50", "number", 3, False),
    ("not(7)", "number", 7, False),
    ("? > 5 and ? < 7", "number", 6, True),
    ("modulo(?, 2) = 0", "number", 3, False),
    ("[0..100]", "number", None, True),  # what is not known is not outside; a rule or the default decides
    ("not(null)", "number", None, True),
    ("null", "number", 1, False),
    ("-", "number", 1, True),
    ('"a","b"', "string", "b", True),
    ('"a","b"', "string", "c", False),
    ('"a","b"', "tTexts", ["a", "b", None], True),
    ('"a","b"', "tTexts", ["a", "c"], False),
    ('"a","b"', "tTexts", [], True),
    ('"a", 1', "Any", 1, True),
    ('"a", 1', "Any", True, False),
]


@pytest.mark.parametrize(("declared", "kind", "given", "through"), DECLARED)
def test_what_is_let_through(declared: str, kind: str, given: object, through: bool) -> None:
    model = model_of(declared, kind, (("-", '"any"'),))
    compiled, judged = compile_decision(model, "d")([given]), judge_model(model, "d", {"n": given})
    assert compiled.result == judged.result == ("any" if through else None)
    assert compiled.trace == judged.trace == (("d", (1,) if through else (), "any" if through else None),)
    for one in (compiled, judged):
        assert any("the input 'size' must be one of" in str(said) for said in one.diagnostics) is not through


def test_the_diagnostic_names_input_values_and_what_came() -> None:
    model = model_of('"High", "Low"', "string", (("-", "1"),))
    assert [one.cause for one in compile_decision(model, "d")(["Hi"]).diagnostics] == [
        "the input 'size' must be one of \"High\", \"Low\", was string 'Hi'"
    ]


@pytest.mark.parametrize("policy", ["UNIQUE", "FIRST", "ANY", "COLLECT", "RULE ORDER"])
@pytest.mark.parametrize("rules", [2, 40])
@pytest.mark.parametrize("declared", ["[0..100]", "modulo(?, 7) = 0"])
def test_rows_judge_and_columns_agree(policy: str, rules: int, declared: str) -> None:
    """Also in an indexed table, of a computed input, and instead of the default."""
    body = tuple((f"[{low}..{low + 4}]", f'"r{low}"') for low in range(0, 5 * rules, 5))
    model = model_of(declared, rules=body, policy=policy, expression="n + 1", default='"none"')
    policy_of_rows = compile_decision(model, "d")
    values = [None, -2, -1, 0, 6, 13, 99, 100, 101, 6_000]
    found = compile_columns(model, "d").run(pl.DataFrame({"n": values}))
    results, matched = found["d"].to_list(), found["d.rules"].to_list()
    for value, result, rules_matched in zip(values, results, matched, strict=True):
        one, other = policy_of_rows([value]), judge_model(model, "d", {"n": value})
        assert (one.result, one.trace) == (other.result, other.trace)
        assert (result, rules_matched) == (one.result, [*one.trace[0][1]])
    assert None in results
    assert "none" in str(results)


def test_values_that_cannot_be_read_are_not_enforced() -> None:
    """The checks report them; a policy that was activated before they were enforced goes on as it did."""
    for declared in ("[0..", "Approved, Declined", 'list("blocked")'):
        model = model_of(declared, rules=(("-", '"any"'),))
        assert compile_decision(model, "d")([5_000]).result == judge_model(model, "d", {"n": 5_000}).result == "any"


def test_columns_run_over_declared_values() -> None:
    placed, compared = (compile_columns(model_of(one), "d") for one in ("[0..100]", "? != 7"))
    assert [one.mode for one in (*placed.modes, *compared.modes)] == ["columns", "columns"]
    called = compile_columns(model_of("modulo(?, 2) = 0"), "d")
    assert [(one.mode, one.part) for one in called.modes][-1] == ("rows", "d, input values 'size'")
