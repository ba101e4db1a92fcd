"""Whole models, one table row each: elements, inputs and what a decision gives, by both engines."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from typing import Any

import pytest

from quanheng.decisions.dmn import Model, compile_decision, read_model
from quanheng.decisions.dmn.judge import judge_model
from quanheng.decisions.policy import Judgement
from quanheng.kernel.errors import DeclarationError

SPACE = "https://www.omg.org/spec/DMN/20230324/MODEL/"


def model_of(body: str, strict: bool = False, space: str = SPACE, files: dict[str, bytes] | None = None) -> Model:
    xml = f'<definitions xmlns="{space}" xmlns:o="urn:own" name="m" namespace="urn:own">{body}</definitions>'
    return read_model(xml.encode(), "m.dmn", strict, files or {})


def data(name: str, kind: str = "") -> str:
    return f'<inputData id="{name}" name="{name}"><variable name="{name}" typeRef="{kind or "Any"}"/></inputData>'


def lit(text: str, kind: str = "") -> str:
    shown = text.replace("&", "&amp;").replace("<", "&lt;")
    return f"<literalExpression{_type(kind)}><text>{shown}</text></literalExpression>"


def _type(kind: str) -> str:
    return f' typeRef="{kind}"' if kind else ""


def decision(name: str, body: str, needs: str = "", kind: str = "") -> str:
    """`needs` names elements: plain for input data, `d:` for decisions, `f:` for functions."""
    found = ""
    for one in needs.split():
        mark, _, target = one.rpartition(":")
        if mark.endswith("f"):
            found += f'<knowledgeRequirement><requiredKnowledge href="#{target}"/></knowledgeRequirement>'
        else:
            tag = "requiredDecision" if mark.endswith("d") else "requiredInput"
            found += f'<informationRequirement><{tag} href="#{target}"/></informationRequirement>'
    variable = f'<variable name="{name}"{_type(kind)}/>'
    return f'<decision id="{name}" name="{name}">{variable}{found}{body}</decision>'


def bkm(name: str, parameters: str, body: str, kind: str = "FEEL", result: str = "", needs: str = "") -> str:
    """`parameters` as `x:number y`."""
    formal = ""
    for one in parameters.split():
        title, _, declared = one.partition(":")
        formal += f'<formalParameter name="{title}"{_type(declared)}/>'
    known = "".join(
        f'<knowledgeRequirement><requiredKnowledge href="#{one}"/></knowledgeRequirement>' for one in needs.split()
    )
    return (
        f'<businessKnowledgeModel id="{name}" name="{name}"><variable name="{name}"{_type(result)}/>{known}'
        f'<encapsulatedLogic kind="{kind}">{formal}{body}</encapsulatedLogic></businessKnowledgeModel>'
    )


def item(name: str, kind: str = "", extra: str = "", many: bool = False) -> str:
    """An item definition; `extra` are components or allowed values."""
    reference = f"<typeRef>{kind}</typeRef>" if kind else ""
    return f'<itemDefinition name="{name}" isCollection="{str(many).lower()}">{reference}{extra}</itemDefinition>'


def part(name: str, kind: str, many: bool = False, extra: str = "") -> str:
    reference = f"<typeRef>{kind}</typeRef>" if kind else ""
    return f'<itemComponent name="{name}" isCollection="{str(many).lower()}">{reference}{extra}</itemComponent>'


def allow(text: str, tag: str = "allowedValues") -> str:
    return f"<{tag}><text>{text.replace('<', '&lt;')}</text></{tag}>"


def entry(name: str, body: str, kind: str = "") -> str:
    variable = f'<variable name="{name}"{_type(kind)}/>' if name else ""
    return f"<contextEntry>{variable}{body}</contextEntry>"


def table(rules: str, policy: str = "UNIQUE", inputs: str = "n", outputs: str = "<output/>", more: str = "") -> str:
    clauses = "".join(f"<input><inputExpression><text>{one}</text></inputExpression></input>" for one in inputs.split())
    return f'<decisionTable hitPolicy="{policy}"{more}>{clauses}{outputs}{rules}</decisionTable>'


def rule(*cells: str) -> str:
    """The last cell is the output."""
    tests = "".join(f"<inputEntry><text>{one.replace('<', '&lt;')}</text></inputEntry>" for one in cells[:-1])
    notes = "<annotationEntry><text>why</text></annotationEntry>"
    return f"<rule>{tests}<outputEntry><text>{cells[-1]}</text></outputEntry>{notes}</rule>"


def both(model: Model, name: str, given: dict[str, Any]) -> tuple[Judgement, Judgement]:
    """What generated code and judge say; they must agree."""
    compiled = compile_decision(model, name).judge(given, 0)
    judged = judge_model(model, name, given, 0)
    assert compiled.result == judged.result, f"{name}: {compiled.result!r} and {judged.result!r}"
    assert repr(compiled.trace) == repr(judged.trace)
    return compiled, judged


GRADE = item("tGrade", "string", allow('"A", "B"'))
AGE = item("tAge", "number", allow("[0..150]"))
PERSON = item("tPerson", extra=part("name", "string") + part("age", "tAge"))
PEOPLE = item("tPeople", "tPerson", many=True)
PAIR = item("tPair", "number", allow("count(?) = 2", "typeConstraint"), many=True)
SMALL = item("tSmall", "number", allow("< 10"), many=True)
TREE = item("tTree", extra=part("value", "number") + part("children", "tTree", many=True))
FUNCTION = (
    '<itemDefinition name="tFn"><functionItem outputTypeRef="number"><parameters name="x" typeRef="number"/>'
    "</functionItem></itemDefinition>"
)
DOUBLE = bkm("double", "x:number", lit("x * 2"))
SERVICE = (
    decision("inner", lit("n + 1"), "n")
    + decision("outer", lit("inner * 10"), "d:inner")
    + '<decisionService id="s" name="s"><variable name="s"/><outputDecision href="#outer"/>'
    '<encapsulatedDecision href="#inner"/><inputData href="#n"/></decisionService>'
)
PRE = (
    decision("pre", lit("n + 1"), "n", "number")
    + decision("post", lit("pre * 10 + k"), "d:pre k")
    + '<decisionService id="s" name="s"><variable name="s"/><outputDecision href="#post"/>'
    '<inputDecision href="#pre"/><inputData href="#k"/></decisionService>'
)
TWO = (
    decision("one", lit("n + 1"), "n")
    + decision("two", lit("n + 2"), "n")
    + '<decisionService id="s" name="s"><variable name="s"/><outputDecision href="#one"/>'
    '<outputDecision href="#two"/><inputData href="#n"/></decisionService>'
)

CASES = [
    # item definitions and their constraints
    ("allowed input", GRADE + data("g", "tGrade") + decision("d", lit("g"), "g"), {"g": "A"}, "A"),
    ("input not allowed", GRADE + data("g", "tGrade") + decision("d", lit("g"), "g"), {"g": "C"}, None),
    ("input of another type", GRADE + data("g", "tGrade") + decision("d", lit("g"), "g"), {"g": 1}, None),
    ("result allowed", GRADE + decision("d", lit('"A"'), kind="tGrade"), {}, "A"),
    ("result not allowed", GRADE + decision("d", lit('"C"'), kind="tGrade"), {}, None),
    ("result of another type", decision("d", lit('"C"'), kind="number"), {}, None),
    (
        "component not allowed",
        AGE + PERSON + data("p", "tPerson") + decision("d", lit("p.age"), "p"),
        {"p": {"name": "x", "age": 200}},
        None,
    ),
    (
        "component allowed",
        AGE + PERSON + data("p", "tPerson") + decision("d", lit("p.age"), "p"),
        {"p": {"name": "x", "age": 20}},
        20,
    ),
    (
        "component missing",
        AGE + PERSON + data("p", "tPerson") + decision("d", lit("p.name"), "p"),
        {"p": {"name": "x"}},
        None,
    ),
    (
        "entries beyond the type stay",
        AGE + PERSON + data("p", "tPerson") + decision("d", lit("p"), "p"),
        {"p": {"name": "x", "age": 1, "more": 2}},
        {"name": "x", "age": 1, "more": 2},
    ),
    (
        "a list of structures",
        AGE + PERSON + PEOPLE + data("p", "tPeople") + decision("d", lit("p[age > 18].name"), "p"),
        {"p": [{"name": "x", "age": 20}, {"name": "y", "age": 1}]},
        ["x"],
    ),
    (
        "one becomes a list of one",
        AGE + PERSON + PEOPLE + data("p", "tPeople") + decision("d", lit("count(p)"), "p"),
        {"p": {"name": "x", "age": 20}},
        1,
    ),
    ("a list of one becomes one", data("p", "number") + decision("d", lit("p + 1"), "p"), {"p": [4]}, 5),
    ("constraint on a whole list", PAIR + data("p", "tPair") + decision("d", lit("sum(p)"), "p"), {"p": [1, 2]}, 3),
    ("constraint on a whole list fails", PAIR + data("p", "tPair") + decision("d", lit("p"), "p"), {"p": [1]}, None),
    ("constraint on each item", SMALL + data("p", "tSmall") + decision("d", lit("p"), "p"), {"p": [1, 20]}, None),
    (
        "a recursive type",
        TREE + data("t", "tTree") + decision("d", lit("t.children.value"), "t"),
        {"t": {"value": 1, "children": [{"value": 2, "children": []}]}},
        [2],
    ),
    (
        "a function type",
        FUNCTION + DOUBLE + decision("d", lit("double"), "f:double", "tFn") + decision("e", lit("d(4)"), "d:d"),
        {},
        8,
        "e",
    ),
    ("a prefixed type", GRADE + data("g", "o:tGrade") + decision("d", lit("g"), "g"), {"g": "C"}, None),
    (
        "a date becomes a date and time",
        data("m", "date and time") + decision("d", lit("string(m)"), "m"),
        {"m": "x"},
        None,
    ),
    # functions
    ("a function", DOUBLE + decision("d", lit("double(4)"), "f:double"), {}, 8),
    ("by name", DOUBLE + decision("d", lit("double(x: 4)"), "f:double"), {}, 8),
    ("argument of another type", DOUBLE + decision("d", lit('double("a")'), "f:double"), {}, None),
    ("too many arguments", DOUBLE + decision("d", lit("double(1, 2)"), "f:double"), {}, None),
    ("argument not allowed", GRADE + bkm("f", "g:tGrade", lit("g")) + decision("d", lit('f("C")'), "f:f"), {}, None),
    ("result of a function", bkm("f", "", lit('"a"'), result="number") + decision("d", lit("f()"), "f:f"), {}, None),
    (
        "a function calls another",
        DOUBLE + bkm("f", "y", lit("double(y) + 1"), needs="double") + decision("d", lit("f(4)"), "f:f"),
        {},
        9,
    ),
    (
        "recursion",
        bkm("fac", "x:number", lit("if x <= 1 then 1 else x * fac(x - 1)"), needs="fac")
        + decision("d", lit("fac(5)"), "f:fac"),
        {},
        120,
    ),
    ("recursion without an end", bkm("f", "x", lit("f(x)"), needs="f") + decision("d", lit("f(1)"), "f:f"), {}, None),
    ("a function passed on", DOUBLE + decision("d", lit("(function(f) f(3))(double)"), "f:double"), {}, 6),
    ("Java", bkm("f", "x", "<context/>", kind="Java") + decision("d", lit("f(1)"), "f:f"), {}, None),
    ("PMML", bkm("f", "x", "<context/>", kind="PMML") + decision("d", lit("f(1)"), "f:f"), {}, None),
    ("no logic", decision("d", ""), {}, None),
    (
        "no logic of a function",
        '<businessKnowledgeModel id="f" name="f"/>' + decision("d", lit("f(1)"), "f:f"),
        {},
        None,
    ),
    # decision services
    ("a service", data("n") + SERVICE, {"n": 1}, 20, "s"),
    ("a service called", data("n") + SERVICE + decision("d", lit("s(4)"), "f:s"), {}, 50),
    ("a service called by name", data("n") + SERVICE + decision("d", lit("s(n: 4)"), "f:s"), {}, 50),
    ("a service with a decision given", data("n") + data("k") + PRE, {"k": 3, "pre": 2}, 23, "s"),
    ("its decision of another type", data("n") + data("k") + PRE, {"k": 3, "pre": "x"}, None, "s"),
    ("a service of two decisions", data("n") + TWO, {"n": 1}, {"one": 2, "two": 3}, "s"),
    # boxed expressions
    (
        "a context",
        decision("d", "<context>" + entry("a", lit("1")) + entry("b", lit("a + 1")) + "</context>"),
        {},
        {"a": 1, "b": 2},
    ),
    (
        "with a result",
        decision("d", "<context>" + entry("a", lit("1")) + entry("", lit("a + 5")) + "</context>"),
        {},
        6,
    ),
    (
        "entry of another type",
        decision("d", "<context>" + entry("a", lit('"x"'), "number") + "</context>"),
        {},
        {"a": None},
    ),
    ("a list", decision("d", "<list>" + lit("1") + lit('"a"') + "</list>"), {}, [1, "a"]),
    (
        "a relation",
        decision(
            "d",
            '<relation><column name="a"/><column name="b"/><row>'
            + lit("1")
            + lit("2")
            + "</row><row>"
            + lit("3")
            + lit("4")
            + "</row></relation>",
        ),
        {},
        [{"a": 1, "b": 2}, {"a": 3, "b": 4}],
    ),
    (
        "an invocation",
        DOUBLE
        + decision(
            "d",
            "<invocation>" + lit("double") + '<binding><parameter name="x"/>' + lit("21") + "</binding></invocation>",
            "f:double",
        ),
        {},
        42,
    ),
    (
        "an invocation of a builtin",
        decision(
            "d",
            "<invocation>"
            + lit("substring")
            + '<binding><parameter name="string"/>'
            + lit('"abc"')
            + '</binding><binding><parameter name="start position"/>'
            + lit("2")
            + "</binding></invocation>",
        ),
        {},
        "bc",
    ),
    (
        "a boxed function",
        decision(
            "f",
            '<functionDefinition><formalParameter name="x" typeRef="number"/>' + lit("x + 1") + "</functionDefinition>",
        )
        + decision("d", lit("f(1)"), "d:f"),
        {},
        2,
    ),
    (
        "a conditional",
        data("n")
        + decision(
            "d",
            "<conditional><if>"
            + lit("n > 1")
            + "</if><then>"
            + lit('"a"')
            + "</then><else>"
            + lit('"b"')
            + "</else></conditional>",
            "n",
        ),
        {"n": 2},
        "a",
    ),
    (
        "its condition is null",
        data("n")
        + decision(
            "d",
            "<conditional><if>"
            + lit("n > 1")
            + "</if><then>"
            + lit('"a"')
            + "</then><else>"
            + lit('"b"')
            + "</else></conditional>",
            "n",
        ),
        {},
        "b",
    ),
    (
        "a filter",
        decision("d", "<filter><in>" + lit("[1, 2, 3]") + "</in><match>" + lit("item > 1") + "</match></filter>"),
        {},
        [2, 3],
    ),
    (
        "a loop",
        decision(
            "d",
            '<for iteratorVariable="i"><in>'
            + lit("[1, 2]")
            + "</in><return>"
            + lit("i + count(partial)")
            + "</return></for>",
        ),
        {},
        [1, 3],
    ),
    (
        "some",
        decision(
            "d",
            '<some iteratorVariable="i"><in>'
            + lit("[1, 2]")
            + "</in><satisfies>"
            + lit("i > 1")
            + "</satisfies></some>",
        ),
        {},
        True,
    ),
    (
        "every",
        decision(
            "d",
            '<every iteratorVariable="i"><in>'
            + lit("[1, 2]")
            + "</in><satisfies>"
            + lit("i > 1")
            + "</satisfies></every>",
        ),
        {},
        False,
    ),
    # tables beyond the hit policies
    ("a table", data("n") + decision("d", table(rule("< 5", '"a"') + rule(">= 5", '"b"')), "n"), {"n": 7}, "b"),
    (
        "its input is null",
        data("n") + decision("d", table(rule("null", '"a"') + rule("not(null)", '"b"')), "n"),
        {},
        "a",
    ),
    ("a test over ?", data("n") + decision("d", table(rule("? > 3 and ? < 9", '"a"')), "n"), {"n": 7}, "a"),
    ("a list as a test", data("n") + decision("d", table(rule("[1, 7]", '"a"')), "n"), {"n": 7}, "a"),
    (
        "a cell in error does not match",
        data("n") + decision("d", table(rule('"a" + 1', '"a"') + rule("-", '"b"')), "n"),
        {"n": 7},
        "b",
    ),
    ("a table of another type", data("n") + decision("d", table(rule("-", '"a"')), "n", "number"), {"n": 1}, None),
    # authority, notes and the rest are passed over
    (
        "knowledge sources",
        '<knowledgeSource id="k" name="k"/><textAnnotation id="t"><text>x</text></textAnnotation>'
        + decision("d", lit("1")),
        {},
        1,
    ),
    (
        "a function in a context calls itself",
        decision(
            "d",
            "<context>"
            + entry(
                "f",
                f'<functionDefinition><formalParameter name="n"/>{lit("if n = 0 then 1 else n * f(n - 1)")}'
                "</functionDefinition>",
            )
            + entry("", lit("f(5)"))
            + "</context>",
        ),
        {},
        120,
    ),
    (
        "a boxed filter of items with different entries",
        decision("d", f"<filter><in>{lit('[{x: 1, y: 2}, {y: 3}]')}</in><match>{lit('x = 1')}</match></filter>"),
        {},
        [{"x": 1, "y": 2}],
    ),
    # names
    (
        "names with signs",
        data("a-b") + data("c/d") + decision("d", lit("a-b + c/d"), "a-b c/d"),
        {"a-b": 1, "c/d": 2},
        3,
    ),
]


@pytest.mark.parametrize("case", CASES, ids=[case[0] for case in CASES])
def test_model(case: tuple[Any, ...]) -> None:
    _, body, given, expected, *name = case
    compiled, judged = both(model_of(body), name[0] if name else "d", given)
    assert compiled.result == expected
    for one in (compiled, judged):
        assert one.result is not None or expected is None


def test_an_error_says_where_and_why() -> None:
    model = model_of(GRADE + data("n") + decision("d", lit("n + 1"), "n", "tGrade"))
    for one in both(model, "d", {"n": "x"}):
        assert [str(found) for found in one.diagnostics] == ["d, line 1, column 3: cannot add string 'x' and number 1"]
    model = model_of(GRADE + decision("d", lit('"C"'), kind="tGrade"))
    for one in both(model, "d", {}):
        assert [found.cause for found in one.diagnostics] == ['d must be one of "A", "B", was string \'C\'']
    model = model_of(bkm("f", "x", "<context/>", kind="Java") + decision("d", lit("f(1)"), "f:f"))
    for one in both(model, "d", {}):
        assert [found.cause for found in one.diagnostics] == ["a function of the kind Java is not run"]


BROKEN = [
    (
        "a rule without a cell",
        decision("d", table(rule('"x"'), inputs="n")),
        "the rule has another number of input entries than the table has inputs",
    ),
    (
        "a row without a cell",
        decision("d", '<relation><column name="a"/><row></row></relation>'),
        "a row of the relation has another number of cells than columns",
    ),
    (
        "no else",
        decision("d", "<conditional><if>" + lit("false") + "</if><then>" + lit("1") + "</then></conditional>"),
        "<else> is missing",
    ),
    ("no FEEL", decision("d", lit("1 +")), "the expression does not parse ('1 +')"),
    (
        "another language",
        decision("d", '<literalExpression expressionLanguage="urn:js"><text>1</text></literalExpression>'),
        "the expression is not in FEEL",
    ),
]


@pytest.mark.parametrize("case", BROKEN, ids=[case[0] for case in BROKEN])
def test_a_broken_part_is_null_and_the_rest_runs(case: tuple[str, str, str]) -> None:
    _, body, cause = case
    model = model_of(body + decision("e", lit("2")))
    for one in both(model, "d", {}):
        assert one.result is None
        assert cause in [found.cause for found in one.diagnostics]
    assert both(model, "e", {})[0].result == 2


def test_a_service_reads_its_own_inputs_only() -> None:
    service = SERVICE.replace('<inputData href="#n"/></decisionService>', "</decisionService>")
    model = model_of(data("n") + service)
    for one in both(model, "s", {"n": 1}):
        assert one.result is None
        assert "a function reads what is not among its inputs: n" in [found.cause for found in one.diagnostics]
    with pytest.raises(DeclarationError, match="a function reads what is not among its inputs; was n"):
        model_of(data("n") + service, True)


def test_a_function_cannot_require_a_decision() -> None:
    body = decision("e", lit("1")) + bkm("f", "x", lit("e + x"), needs="e") + decision("d", lit("f(1)"), "f:f")
    assert both(model_of(body), "d", {})[0].result is None


def test_unknown_types_and_requirements_that_point_at_nothing_are_null_and_listed() -> None:
    model = model_of(decision("d", lit("x + 1"), "nothing", "tNowhere") + decision("e", lit("2")))
    assert both(model, "d", {})[0].result is None
    assert both(model, "e", {})[0].result == 2
    assert [one.message for one in model.problems] == ["a requirement points at nothing", "a type is not known"]


def deep_in_the_stack(levels: int, act: Callable[[], object]) -> object:
    return act() if levels == 0 else deep_in_the_stack(levels - 1, act)


def with_frames_left(frames: int, act: Callable[[], object]) -> object:
    """Call `act` where the stack of the interpreter has that many frames left."""
    used = len(inspect.stack(0))
    return deep_in_the_stack(sys.getrecursionlimit() - used - frames, act)


def test_a_stack_that_is_nearly_full_is_an_error_that_says_so() -> None:
    body = decision("d", "<list>" * 30 + lit("1") + "</list>" * 30)
    model = model_of(body)
    with pytest.raises(DeclarationError, match="nested too deeply"):
        with_frames_left(90, lambda: model_of(body))
    with pytest.raises(DeclarationError, match="the decision cannot be compiled"):
        with_frames_left(90, lambda: compile_decision(model, "d"))


def test_a_cycle_of_decisions_is_listed_and_ends() -> None:
    model = model_of(decision("a", lit("b"), "d:b") + decision("b", lit("a"), "d:a") + decision("e", lit("2")))
    assert [one.message for one in model.problems] == ["requirements form a cycle"]
    assert both(model, "a", {})[0].result is None
    assert both(model, "e", {})[0].result == 2


@pytest.mark.parametrize(
    "space",
    [
        "http://www.omg.org/spec/DMN/20151101/dmn.xsd",
        "http://www.omg.org/spec/DMN/20180521/MODEL/",
        "https://www.omg.org/spec/DMN/20191111/MODEL/",
        "https://www.omg.org/spec/DMN/20211108/MODEL/",
        "https://www.omg.org/spec/DMN/20230324/MODEL/",
    ],
)
def test_namespaces(space: str) -> None:
    model = model_of(data("n", "feel:number") + decision("d", lit("n + 1"), "n"), True, space)
    assert both(model, "d", {"n": 1})[0].result == 2


def test_a_service_that_names_an_input_twice_takes_it_once() -> None:
    service = (
        '<decisionService id="s" name="s"><variable name="s"/><outputDecision href="#d"/>'
        '<inputData href="#n"/><inputData href="#n"/></decisionService>'
    )
    model = model_of(data("n", "number") + decision("d", lit("n + 1"), "n") + service)
    assert both(model, "s", {"n": 1})[0].result == 2
