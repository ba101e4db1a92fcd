"""`quanheng dmn evaluate`: what people and programs are told."""

from __future__ import annotations

import json

import pytest

from quanheng.cli.main import main

MODEL = """<definitions xmlns="https://www.omg.org/spec/DMN/20230324/MODEL/" name="m" namespace="m">
<inputData id="income" name="net income"><variable name="net income" typeRef="number"/></inputData>
<inputData id="since" name="since"><variable name="since" typeRef="date"/></inputData>
<decision id="limit" name="limit"><variable name="limit"/>
<informationRequirement><requiredInput href="#income"/></informationRequirement>
<decisionTable hitPolicy="FIRST"><input><inputExpression><text>net income</text></inputExpression></input>
<output typeRef="number"/>
<rule><inputEntry><text>&gt;= 3000</text></inputEntry><outputEntry><text>1000.50</text></outputEntry></rule>
<rule><inputEntry><text>-</text></inputEntry><outputEntry><text>100</text></outputEntry></rule>
</decisionTable></decision>
<decision id="offer" name="offer"><variable name="offer"/>
<informationRequirement><requiredDecision href="#limit"/></informationRequirement>
<informationRequirement><requiredInput href="#since"/></informationRequirement>
<literalExpression><text>{limit: limit, until: since + @"P1Y", names: ["a"], none: number("x")}</text>
</literalExpression></decision>
</definitions>"""
INPUT = '{"net income": 3200, since: @"2026-11-30"}'


@pytest.fixture
def evaluated(capsys, tmp_path):
    """Run the command on the model; (exit code, standard output, errors)."""
    file = tmp_path / "m.dmn"
    file.write_text(MODEL)

    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(["dmn", "evaluate", str(file), *arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def test_each_decision_is_told_with_its_rules_and_what_is_null_with_its_cause(evaluated):
    code, out, _ = evaluated("offer", "--input", INPUT)
    first, second, cause = out.splitlines()
    assert (code, first) == (0, "limit = 1000.50   (rule 1)")
    assert second == 'offer = {limit: 1000.50, until: @"2027-11-30", names: ["a"], none: null}'
    assert cause.startswith("null because: offer")
    assert "number" in cause


def test_an_input_that_is_not_given_is_null_and_told(evaluated):
    assert evaluated("limit")[1].splitlines() == ["limit = 100   (rule 2)", "not given, so null: net income"]


def test_programs_get_one_line(evaluated):
    _, out, _ = evaluated("offer", "--input", INPUT, "--json")
    found = json.loads(out)
    assert found["result"] == {"limit": 1000.50, "until": "2027-11-30", "names": ["a"], "none": None}
    assert found["steps"][0] == {"decision": "limit", "rules": [1], "result": 1000.50}
    assert len(found["diagnostics"]) == 1
    assert found["not_given"] == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("limit", "--input", "{income: 1}"), "the decision has no such input; was income; allowed: net income"),
        (("limit", "--input", "12"), "--input: the input is no context; was 12; allowed: name: value, in braces"),
        (("limit", "--input", "{a: "), "--input, line 1, column"),
        (("limits",), "the model has no such decision; was 'limits'; allowed: limit, offer"),
    ],
)
def test_what_cannot_be_evaluated_is_told_with_the_cure(evaluated, arguments, message):
    code, _, err = evaluated(*arguments)
    assert code == 2
    assert message in err
