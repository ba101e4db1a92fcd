"""Every hit policy, on one table whose rules overlap on purpose."""

from __future__ import annotations

from xml.sax.saxutils import escape

import pytest

from quanheng.decisions.dmn import Model, compile_decision, read_model
from quanheng.decisions.dmn.judge import judge_model
from quanheng.feel.temporal import SECOND, DaysDuration


def model_of(
    policy: str, rules: list[tuple[str, ...]], outputs: str = '<output typeRef="string"/>', aggregation: str = ""
) -> Model:
    """A table over one number `n`."""
    rows = "".join(
        f"<rule><inputEntry><text>{escape(test)}</text></inputEntry>"
        + "".join(f"<outputEntry><text>{escape(one)}</text></outputEntry>" for one in results)
        + "</rule>"
        for test, *results in rules
    )
    extra = f' aggregation="{aggregation}"' if aggregation else ""
    return read_model(
        f"""<definitions xmlns="https://www.omg.org/spec/DMN/20230324/MODEL/" name="t" namespace="t">
        <itemDefinition name="tGrade"><typeRef>string</typeRef><allowedValues><text>"a","b"</text></allowedValues>
        </itemDefinition>
        <itemDefinition name="tGrades" isCollection="true"><typeRef>tGrade</typeRef></itemDefinition>
        <inputData id="n" name="n"><variable name="n" typeRef="number"/></inputData>
        <decision id="d" name="d"><variable name="d"/>
        <informationRequirement><requiredInput href="#n"/></informationRequirement>
        <decisionTable hitPolicy="{policy}"{extra}>
        <input><inputExpression typeRef="number"><text>n</text></inputExpression></input>
        {outputs}{rows}</decisionTable></decision></definitions>""".encode(),
        "t.dmn",
    )


RULES = [("< 10", '"small"'), ("> 5", '"big"'), ("7", '"seven"'), ("7", '"seven"')]
VALUES = '<output typeRef="string"><outputValues><text>"seven","big","small"</text></outputValues></output>'
DEFAULT = '<output typeRef="string"><defaultOutputEntry><text>"none"</text></defaultOutputEntry></output>'
TWO = (
    '<output name="a"><outputValues><text>2, 1</text></outputValues></output>'
    '<output name="b"><outputValues><text>"y","x"</text></outputValues></output>'
)
NUMBERS = [("< 10", "4"), ("> 5", "2.5"), ("7", "9")]
PAIRS = [("> 0", "1", '"x"'), ("> 1", "2", '"x"'), ("> 2", "2", '"y"'), ("> 3", "3", '"y"')]

SECOND_ALONE = '<output name="a"/><output name="b"><outputValues><text>"y","x"</text></outputValues></output>'
DAY = 86_400 * SECOND


def ranked(values: str, default: str = "") -> str:
    """An output with priorities."""
    otherwise = f"<defaultOutputEntry><text>{default}</text></defaultOutputEntry>" if default else ""
    return f"<output><outputValues><text>{values}</text></outputValues>{otherwise}</output>"


def default_of(kind: str, text: str, name: str = "") -> str:
    """An output of a type, with a default."""
    named = f' name="{name}"' if name else ""
    return f'<output{named} typeRef="{kind}"><defaultOutputEntry><text>{text}</text></defaultOutputEntry></output>'


# hit policy, aggregation, rules, outputs, input -> result, matched rules
CASES = [
    ("UNIQUE", "", RULES, None, 3, "small", (1,)),
    ("UNIQUE", "", RULES, None, 6, None, (1, 2)),
    ("UNIQUE", "", RULES, None, None, None, ()),
    ("UNIQUE", "", [("> 5", '"big"')], DEFAULT, 1, "none", ()),
    ("FIRST", "", RULES, None, 7, "small", (1,)),
    ("FIRST", "", RULES, None, 12, "big", (2,)),
    ("FIRST", "", [("> 5", '"big"')], DEFAULT, None, "none", ()),
    ("ANY", "", [RULES[2], RULES[3]], None, 7, "seven", (1, 2)),
    ("ANY", "", RULES, None, 7, None, (1, 2, 3, 4)),
    ("PRIORITY", "", RULES, VALUES, 7, "seven", (1, 2, 3, 4)),
    ("PRIORITY", "", RULES, VALUES, 6, "big", (1, 2)),
    ("PRIORITY", "", PAIRS, TWO, 3, {"a": 2, "b": "y"}, (1, 2, 3)),
    ("OUTPUT ORDER", "", RULES, VALUES, 7, ["seven", "seven", "big", "small"], (1, 2, 3, 4)),
    (
        "OUTPUT ORDER",
        "",
        PAIRS,
        TWO,
        4,
        [{"a": 2, "b": "y"}, {"a": 2, "b": "x"}, {"a": 1, "b": "x"}, {"a": 3, "b": "y"}],
        (1, 2, 3, 4),
    ),
    ("RULE ORDER", "", RULES, None, 7, ["small", "big", "seven", "seven"], (1, 2, 3, 4)),
    ("RULE ORDER", "", RULES, None, None, None, ()),
    ("RULE ORDER", "", RULES, DEFAULT.replace('"none"', "[]"), None, [], ()),
    ("COLLECT", "", RULES, None, 6, ["small", "big"], (1, 2)),
    ("COLLECT", "SUM", NUMBERS, "<output/>", 7, "15.5", (1, 2, 3)),
    ("COLLECT", "MIN", NUMBERS, "<output/>", 7, "2.5", (1, 2, 3)),
    ("COLLECT", "MAX", NUMBERS, "<output/>", 7, "9", (1, 2, 3)),
    ("COLLECT", "COUNT", NUMBERS, "<output/>", 6, "2", (1, 2)),
    ("COLLECT", "SUM", NUMBERS, "<output/>", None, None, ()),
    ("COLLECT", "MAX", [("-", '"a"'), ("-", '"c"'), ("-", '"b"')], "<output/>", 0, "c", (1, 2, 3)),
    ("COLLECT", "SUM", [("-", "1"), ("-", "null")], "<output/>", 0, None, (1, 2)),
    ("COLLECT", "MIN", [("-", "1"), ("-", '"a"')], "<output/>", 0, None, (1, 2)),
    ("COLLECT", "SUM", [("-", '"a"'), ("-", '"b"')], "<output/>", 0, None, (1, 2)),
    ("COLLECT", "SUM", [("-", '"a"')], "<output/>", 0, None, (1,)),
    ("COLLECT", "SUM", [("-", "true")], "<output/>", 0, None, (1,)),
    ("COLLECT", "SUM", [("-", 'duration("P1D")'), ("-", 'duration("PT12H")')], "<output/>", 0, "P1DT12H", (1, 2)),
    # An output without declared values does not rank; what is not declared, and null, come last.
    ("PRIORITY", "", PAIRS, SECOND_ALONE, 3, {"a": 2, "b": "y"}, (1, 2, 3)),
    ("OUTPUT ORDER", "", [*RULES[:2], ("7", "null")], VALUES, 7, ["big", "small", None], (1, 2, 3)),
    # Priorities that are more than plain literals.
    ("PRIORITY", "", [("-", "1"), ("-", "-1")], ranked("-1, 0, 1"), 0, -1, (1, 2)),
    ("PRIORITY", "", [("-", '@"P1D"'), ("-", '@"P2D"')], ranked('@"P2D", @"P1D"'), 0, DaysDuration(2 * DAY), (1, 2)),
    ("PRIORITY", "", [("-", '"x"'), ("-", "null")], ranked('null, "x"'), 0, None, (1, 2)),
    ("PRIORITY", "", [("-", '"b"'), ("-", '"a"')], '<output typeRef="tGrade"/>', 0, "a", (1, 2)),
    ("OUTPUT ORDER", "", [("-", '"b"'), ("-", '"a"')], '<output typeRef="tGrades"/>', 0, ["a", "b"], (1, 2)),
    # A default is a value of the output's type; where hits are listed it stands for the whole list.
    ("UNIQUE", "", [("> 5", "1")], default_of("number", "[7]"), 1, 7, ()),
    ("UNIQUE", "", [("> 5", "1")], default_of("number", '"a"'), 1, None, ()),
    ("PRIORITY", "", [("> 5", '"x"')], ranked('"x"', '"none"'), 1, "none", ()),
    ("OUTPUT ORDER", "", [("> 5", '"x"')], ranked('"x"', '["none"]'), 1, ["none"], ()),
    ("COLLECT", "SUM", [("> 5", "1")], default_of("number", "0"), 1, "0", ()),
    (
        "UNIQUE",
        "",
        [("> 5", "1", "2")],
        f'<output name="a"/>{default_of("number", "3", "b")}',
        1,
        {"a": None, "b": 3},
        (),
    ),
]


@pytest.mark.parametrize(("policy", "aggregation", "rules", "outputs", "given", "result", "matched"), CASES)
def test_hit_policy(
    policy: str,
    aggregation: str,
    rules: list[tuple[str, ...]],
    outputs: str | None,
    given: object,
    result: object,
    matched: object,
) -> None:
    model = model_of(policy, rules, outputs or '<output typeRef="string"/>', aggregation)
    compiled, judged = compile_decision(model, "d")([given]), judge_model(model, "d", {"n": given})
    assert (compiled.result, compiled.trace) == (judged.result, judged.trace)
    shown = str(compiled.result) if aggregation and compiled.result is not None else compiled.result
    assert (shown, compiled.trace[0][1]) == (result, matched)


@pytest.mark.parametrize(
    ("policy", "rules", "cause"),
    [
        ("UNIQUE", RULES, "the hit policy is UNIQUE, and the rules 1, 2, 3, 4 match"),
        ("ANY", RULES, "the hit policy is ANY, and the rules 1, 2, 3, 4 differ in their outputs"),
    ],
)
def test_a_broken_hit_policy_is_null_and_says_which_rules(
    policy: str, rules: list[tuple[str, ...]], cause: str
) -> None:
    assert [one.cause for one in compile_decision(model_of(policy, rules), "d")([7]).diagnostics] == [cause]


def test_a_sum_of_texts_says_so() -> None:
    model = model_of("COLLECT", [("-", "1"), ("-", '"a"')], "<output/>", "SUM")
    assert [one.cause for one in compile_decision(model, "d")([0]).diagnostics] == ["SUM cannot add string"]


def test_min_of_different_kinds_says_so() -> None:
    model = model_of("COLLECT", [("-", "1"), ("-", '"a"')], "<output/>", "MIN")
    assert [one.cause for one in compile_decision(model, "d")([0]).diagnostics] == [
        "MIN cannot compare string with number"
    ]


# test, input -> matches
CELLS = [
    ("-", None, True),
    ("null", None, True),
    ("null", 1, False),
    ("not(null)", 1, True),
    ("not(null)", None, False),
    ("not(5)", None, True),  # null = 5 is false, so its negation is true
    ("not(5)", 5, False),
    ("not(< 5)", 5, True),
    ("not(< 5)", None, False),  # null < 5 is null, and so is its negation
    ("not(1, 2)", 3, True),
    ("not(1, 2)", 2, False),
    ("< 5", None, False),
    ("(1..5]", 1, False),
    ("(1..5]", 5, True),
    ("]1..5[", 5, False),
    ("[1..5], [7..9]", 8, True),
    ("1, 2, 3", 2, True),
    ("[1, 2, 3]", 2, True),
    ("[1, 2, 3]", 4, False),
    ("? > 3", 4, True),
    ("? > 3 and ? < 5", 4, True),
    ("modulo(?, 2) = 0", 4, True),
    ("modulo(?, 2) = 0", None, False),
    ("n + 1 = 5", 4, True),  # the input by its own name means `?`
    ("if ? > 3 then true else false", 4, True),
    ("? in [3, 4]", 4, True),
    ("= 4", 4, True),
    ("!= 4", 4, False),
    ("abs(-4)", 4, True),
    ("some x in [3, 4] satisfies x = ?", 4, True),
]


@pytest.mark.parametrize(("test", "given", "matches"), CELLS)
def test_cell(test: str, given: object, matches: bool) -> None:
    xml_model = model_of("FIRST", [(test, "true")], "<output/>")
    assert compile_decision(xml_model, "d")([given]).result is (True if matches else None)
    assert judge_model(xml_model, "d", {"n": given}).result is (True if matches else None)
