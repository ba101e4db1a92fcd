# ruff: noqa: E501  (texts under test stand whole, on one line)
"""What differs between two versions, in words: every kind of change, rules paired however they stand."""

from __future__ import annotations

import random

import pytest

from quanheng.decisions.diff import Change, Contents, Dated, differences

TABLE = """<definitions xmlns="https://www.omg.org/spec/DMN/20230324/MODEL/" id="m" name="m" namespace="urn:m">
  <inputData id="ia" name="amount"><variable name="amount" typeRef="number"/></inputData>
  <inputData id="ic" name="country"><variable name="country" typeRef="string"/></inputData>
  <decision id="limits" name="limits"><variable name="limits"/>
    <informationRequirement><requiredInput href="#ia"/></informationRequirement>
    <informationRequirement><requiredInput href="#ic"/></informationRequirement>
    <decisionTable hitPolicy="{hit}">
      <input><inputExpression typeRef="number"><text>amount</text></inputExpression></input>
      <input><inputExpression typeRef="string"><text>country</text></inputExpression></input>
      <output name="outcome" typeRef="string"/>
      {rules}
    </decisionTable>
  </decision>
  <decision id="answer" name="answer"><variable name="answer"/>
    <informationRequirement><requiredDecision href="#limits"/></informationRequirement>
    <literalExpression><text>{answer}</text></literalExpression>
  </decision>
</definitions>"""
RULE = (
    "<rule><inputEntry><text>{}</text></inputEntry><inputEntry><text>{}</text></inputEntry>"
    '<outputEntry><text>"{}"</text></outputEntry></rule>'
)
ROWS = [("&gt; 1000", "-", "decline"), ("&gt; 500", '"NG"', "review"), ("-", "-", "approve")]


def policy(rows=ROWS, hit="FIRST", answer="limits") -> bytes:
    return TABLE.format(hit=hit, answer=answer, rules="\n".join(RULE.format(*row) for row in rows)).encode()


def version(xml=None, **more) -> Contents:
    made = {"policies": {"policies/p.dmn": xml or policy()}, "parameters": {}, "models": {}, "reasons": {}, "files": {}}
    return Contents(**{**made, **more})


def words(before: Contents, after: Contents) -> list[str]:
    return [str(change) for change in differences(before, after)]


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (policy(), []),
        (
            policy([("&gt; 900", "-", "decline"), *ROWS[1:]]),
            ["policies/p.dmn, limits rule 1: amount: > 1000 becomes > 900"],
        ),
        (
            policy([ROWS[0], ("&gt; 500", '"NG","RU"', "decline"), ROWS[2]]),
            ['policies/p.dmn, limits rule 2: added: amount: > 500 and country: "NG","RU" -> "decline"',
             'policies/p.dmn, limits rule 2: removed: amount: > 500 and country: "NG" -> "review"'],
        ),
        (
            policy([ROWS[0], ("-", '"NG"', "review"), ROWS[2]]),
            ["policies/p.dmn, limits rule 2: amount: > 500 becomes -"],
        ),
        (
            policy([ROWS[0], ("&gt; 500", '"NG"', "decline"), ROWS[2]]),
            ['policies/p.dmn, limits rule 2: outcome: "review" becomes "decline"'],
        ),
        (policy([ROWS[1], *ROWS[::2]]), ["policies/p.dmn, limits rule 2: was rule 1"]),
        (
            policy([*ROWS[:2], ("-", '"RU"', "review"), ROWS[2]]),
            ['policies/p.dmn, limits rule 3: added: country: "RU" -> "review"'],
        ),
        (policy(ROWS[1:]), ['policies/p.dmn, limits rule 1: removed: amount: > 1000 -> "decline"']),
        (policy(hit="ANY"), ["policies/p.dmn, limits: hit policy FIRST becomes ANY"]),
        (policy(answer="limits + limits"), ["policies/p.dmn, answer: the expression differs"]),
        (policy().replace(b"\n", b"\n\n"), ["policies/p.dmn: the text differs; no input, expression or rule says otherwise"]),
    ],
)  # fmt: skip
def test_policies_rule_by_rule(after, expected):
    found = words(version(), version(after))
    if expected and "was rule" in expected[0]:  # Which of two rules that changed places moved is a matter of taste.
        assert len(found) == 1
        assert found[0].split(": ")[-1].startswith("was rule")
    else:
        assert found == expected


def test_columns_and_decisions_that_come_and_go():
    wider = policy().replace(
        b'<output name="outcome"', b'<input><inputExpression><text>amount</text></inputExpression></input><output name="x"'
    ).replace(b"<outputEntry>", b"<inputEntry><text>-</text></inputEntry><outputEntry>")  # fmt: skip
    found = words(version(), version(wider))
    assert "policies/p.dmn, limits: column of output x added" in found
    assert "policies/p.dmn, limits: column of output outcome removed" in found
    renamed = policy().replace(b'"answer"', b'"reply"')
    assert words(version(), version(renamed))[:2] == [
        "policies/p.dmn, answer: the decision is removed",
        "policies/p.dmn, reply: the decision is added",
    ]
    assert words(version(), version(policies={})) == ["policies/p.dmn: removed"]


def test_parameters_by_their_dates():
    before = {"max": {"2020-01-01": Dated("1000", "board"), "2021-01-01": Dated("900", "board")}, "gone": {}}
    after = {
        "max": {"2020-01-01": Dated("1000", "law"), "2022-01-01": Dated("800", "board")},
        "new": {"2020-01-01": Dated("3", "x")},
    }
    assert words(version(parameters=before), version(parameters=after)) == [
        "parameter gone: removed ()",
        'parameter max: from 2020-01-01 source "board" becomes "law"',
        "parameter max: the value from 2021-01-01, 900, is gone",
        "parameter max: from 2022-01-01 it is 800 (source: board)",
        "parameter new: added (3 from 2020-01-01)",
    ]
    changed = {"max": {"2020-01-01": Dated("1001", "board"), "2021-01-01": Dated("900", "board")}, "gone": {}}
    assert words(version(parameters=before), version(parameters=changed)) == [
        "parameter max: from 2020-01-01 1000 becomes 1001"
    ]


def test_models_reasons_and_everything_else():
    before = version(models={"m": "a" * 64}, reasons={"r": ("Old", "旧")}, files={"README.md": b"1", "a.csv": b"x"})
    after = version(models={"m": "b" * 64, "n": "c"}, reasons={"r": ("New", "旧")}, files={"README.md": b"2"})
    assert differences(before, after) == [
        Change("model", "m", "changed", "weights aaaaaaaaaaaa become bbbbbbbbbbbb"),
        Change("model", "n", "added", "added"),
        Change("reason", "r", "changed", '"Old" becomes "New"'),
        Change("file", "README.md", "changed", "differs"),
        Change("file", "a.csv", "removed", "removed"),
    ]


@pytest.mark.parametrize("seed", range(20))
def test_shuffled_rules_only_move_and_applying_the_moves_explains_the_order(seed):
    rng = random.Random(seed)
    rows = [(f"&gt; {n}", f'"C{n}"', f"o{n}") for n in range(12)]
    shuffled = rng.sample(rows, len(rows))
    found = differences(version(policy(rows)), version(policy(shuffled)))
    assert {change.what for change in found} <= {"moved"}
    moved = {int(change.where.rsplit(" ", 1)[1]) - 1 for change in found}
    stayed = [rows.index(row) for at, row in enumerate(shuffled) if at not in moved]
    assert stayed == sorted(stayed)
    assert len(stayed) == longest_rise([rows.index(row) for row in shuffled])


def longest_rise(numbers: list[int]) -> int:
    """The plain twin: quadratic."""
    best: list[int] = []
    for at, number in enumerate(numbers):
        best.append(1 + max((best[i] for i in range(at) if numbers[i] < number), default=0))
    return max(best)
