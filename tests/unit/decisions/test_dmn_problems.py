"""What is wrong with a DMN file: every problem at once, each with line, found, known and cure."""

from __future__ import annotations

import pytest

from quanheng.decisions.dmn import compile_decision, read_model
from quanheng.decisions.dmn.judge import judge_model
from quanheng.feel.limits import LIMITS
from quanheng.kernel.errors import DeclarationError, NotFound

P = "p.dmn: line "
HEAD = '<definitions xmlns="https://www.omg.org/spec/DMN/20230324/MODEL/" name="m" namespace="m">'
INPUT = '<inputData id="n" name="n"><variable name="n" typeRef="number"/></inputData>'
NEED = '<informationRequirement><requiredInput href="#n"/></informationRequirement>'


def decision(body: str, kind: str = "", name: str = "d", needs: str = NEED) -> str:
    """One decision; `kind` is its declared type."""
    declared = f' typeRef="{kind}"' if kind else ""
    return f'<decision id="{name}" name="{name}"><variable name="{name}"{declared}/>{needs}{body}</decision>'


def literal(text: str) -> str:
    return f"<literalExpression><text>{text}</text></literalExpression>"


def table(rules: str, attributes: str = "", outputs: str = "<output/>", expression: str = "n") -> str:
    inputs = f"<input><inputExpression><text>{expression}</text></inputExpression></input>"
    return f"<decisionTable {attributes}>{inputs}{outputs}{rules}</decisionTable>"


def rule(test: str, *outputs: str) -> str:
    results = "".join(f"<outputEntry><text>{one}</text></outputEntry>" for one in outputs)
    return f"<rule><inputEntry><text>{test}</text></inputEntry>{results}</rule>"


def problems(body: str) -> list[str]:
    with pytest.raises(DeclarationError) as caught:
        read_model(body.encode(), "p.dmn")
    return [str(problem) for problem in caught.value.problems]


def of_model(*parts: str) -> list[str]:
    return problems(f"{HEAD}{INPUT}{''.join(parts)}</definitions>")


CASES = [
    (decision(literal("m + 1")), f"{P}1, d: the name 'm' is not known here (line 1, column 1: 'm + 1')"),
    (decision(literal("n +")), f"{P}1, d: the expression does not parse (line 1, column 4: 'n +'); was the end"),
    (decision(literal("n"), "money"), f"{P}1, d: a type is not known; was 'money'; allowed: Any, Null, number"),
    (decision(literal("n"), "string"), f"{P}1, d: d is declared as string, its expression gives number"),
    (
        decision(literal("1"), needs='<informationRequirement><requiredInput href="#x"/></informationRequirement>'),
        f"{P}1, d: a requirement points at nothing; was 'x'",
    ),
    (decision(literal("1")) + decision(literal("2")), f"{P}1, d: two elements have the same id; was d"),
    (
        decision(table(rule("-", "1"), 'hitPolicy="BEST"')),
        f"{P}1: the hit policy is not known; was BEST; allowed: UNIQUE",
    ),
    (
        decision(table(rule("-", "1"), 'hitPolicy="COLLECT" aggregation="AVG"')),
        f"{P}1: the aggregation is not known; was AVG",
    ),
    (
        decision(table(rule("-", "1"), 'hitPolicy="FIRST" aggregation="SUM"')),
        f"{P}1: an aggregation needs COLLECT and one output",
    ),
    (
        decision(table(rule("-", "1"), 'hitPolicy="PRIORITY"')),
        f"{P}1, d: the hit policy PRIORITY needs the output values in order",
    ),
    (
        decision(table(rule("-"))),
        f"{P}1: the rule has another number of output entries than the table has outputs; was 0",
    ),
    (decision(table(rule("-", ""))), f"{P}1, d: rule 1, output is empty; allowed: an expression. Write null"),
    (decision(table("", outputs="")), f"{P}1: the table has no output; allowed: at least one"),
    (decision(table("", outputs="<output/><output/>")), f"{P}1: an output of a table with several outputs has no name"),
    (decision(table("", expression="")), f"{P}1: an input of the table has no expression"),
    (decision(table(rule('"a"', "1"))), f"{P}1, d: number is never equal to string (rule 1, 'n', line 1, column 1"),
    (
        decision(table(rule("&lt; 5, &gt;", "1"))),
        f"{P}1, d: the expression does not parse (rule 1, 'n', line 1, column 7",
    ),
    (
        decision("<invocation><literalExpression><text>f</text></literalExpression></invocation>"),
        f"{P}1, d: the name 'f'",
    ),
    (
        decision("<context><contextEntry><variable name='a'/></contextEntry></context>"),
        f"{P}1: the value of the entry 'a' is missing",
    ),
    (
        decision("<relation><column name='a'/><row/></relation>"),
        f"{P}1: a row of the relation has another number of cells",
    ),
    (
        decision('<literalExpression expressionLanguage="java"/>'),
        f"{P}1: the expression is not in FEEL; was java",
    ),
    ("<decision id='x'/>", f"{P}1: <decision> has no name"),
    (
        (
            '<itemDefinition name="t"><typeRef>number</typeRef><allowedValues><text>[1..</text>'
            "</allowedValues></itemDefinition>"
        ),
        f"{P}1, t: the expression does not parse; was the end of the text",
    ),
    (
        (
            '<businessKnowledgeModel name="f"><encapsulatedLogic kind="Java">'
            "<literalExpression><text>1</text></literalExpression>"
            "</encapsulatedLogic></businessKnowledgeModel>"
        ),
        f"{P}1, f: a function that is not FEEL is not run; was Java",
    ),
]


_DOUBLED = "".join(
    f'<itemDefinition name="t{i}"><itemComponent name="a"><typeRef>t{i - 1}</typeRef></itemComponent>'
    f'<itemComponent name="b"><typeRef>t{i - 1}</typeRef></itemComponent></itemDefinition>'
    for i in range(1, 60)
)
CASES.append(
    (
        (
            '<itemDefinition name="t0"><itemComponent name="a"><typeRef>number</typeRef></itemComponent>'
            f"</itemDefinition>{_DOUBLED}"
        ),
        f"{P}1, t11: the type is too large, written out; was context<a, b, ...>; allowed: 5000 parts and 100 levels",
    )
)


@pytest.mark.parametrize(("parts", "message"), CASES, ids=[message[7:60] for _, message in CASES])
def test_problem(parts: str, message: str) -> None:
    found = of_model(parts)
    assert any(one.startswith(message) for one in found), found


def test_all_problems_are_reported_at_once() -> None:
    found = of_model(
        decision(literal("a"), name="one"), decision(literal("b"), name="two"), decision(literal("1 +"), name="three")
    )
    assert len(found) == 3


def test_a_cycle_is_refused_and_named() -> None:
    def needs(name: str) -> str:
        return f'<informationRequirement><requiredDecision href="#{name}"/></informationRequirement>'

    found = of_model(
        decision(literal("b"), name="a", needs=needs("b")), decision(literal("a"), name="b", needs=needs("a"))
    )
    assert any("requirements form a cycle; was a -> b -> a. Remove one of them." in one for one in found)


def test_xml_that_is_no_xml() -> None:
    assert problems("<definitions")[0].startswith("p.dmn: the file is not well-formed XML; was ")


def test_a_namespace_that_is_not_dmn() -> None:
    assert problems("<definitions xmlns='urn:x'/>")[0].startswith(
        f"{P}1: the file is not a DMN model; was {{urn:x}}definitions"
    )


def test_an_entity_bomb_is_not_expanded() -> None:
    entities = "".join(f'<!ENTITY e{i} "{f"&e{i - 1};" * 10 if i else "x" * 10}">' for i in range(10))
    found = problems(f"<!DOCTYPE d [{entities}]>{HEAD}{decision(literal('&e9;'))}</definitions>")
    assert found[0].startswith(("p.dmn: the file declares a document type", "p.dmn: the file is not well-formed XML"))


def test_an_external_entity_is_not_opened() -> None:
    found = problems(
        f'<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd">]>{HEAD}{decision(literal("&x;"))}</definitions>'
    )
    assert "root:" not in "".join(found)
    assert found[0].startswith("p.dmn: the file declares a document type")


def test_a_file_that_is_too_large() -> None:
    with pytest.raises(
        DeclarationError,
        match=f"the file is too large; was {LIMITS.model_bytes + 1} bytes; allowed: {LIMITS.model_bytes} bytes",
    ):
        read_model(b" " * (LIMITS.model_bytes + 1), "p.dmn")


def test_boxed_expressions_that_are_nested_too_deeply() -> None:
    deep = "<list>" * 60 + "</list>" * 60
    assert any("boxed expressions are nested too deeply" in one for one in of_model(decision(deep)))


def test_a_decision_that_is_not_there() -> None:
    model = read_model(f"{HEAD}{INPUT}{decision(literal('n'))}</definitions>".encode(), "p.dmn")
    with pytest.raises(
        NotFound, match=r"p\.dmn: the model has no such decision; was 'x'; allowed: d\. Correct the name"
    ):
        compile_decision(model, "x")


def test_an_input_outside_its_allowed_values_is_null_and_says_so() -> None:
    item = (
        '<itemDefinition name="t"><typeRef>string</typeRef><allowedValues><text>"a","b"</text>'
        "</allowedValues></itemDefinition>"
        '<itemDefinition name="ts" isCollection="true"><typeRef>t</typeRef></itemDefinition>'
        '<itemDefinition name="s"><itemComponent name="x"><typeRef>ts</typeRef></itemComponent></itemDefinition>'
        '<inputData id="s" name="s"><variable name="s" typeRef="s"/></inputData>'
    )
    need = '<informationRequirement><requiredInput href="#s"/></informationRequirement>'
    model = read_model(f"{HEAD}{item}{decision(literal('s.x[1]'), needs=need)}</definitions>".encode(), "p.dmn")
    policy = compile_decision(model, "d")
    assert policy([{"x": ["a", "b"]}]).result == "a"
    refused = policy([{"x": ["a", "c"]}])
    assert refused.result is None
    assert (
        refused.diagnostics[0].cause == "s must be one of the allowed values of its type, was context {'x': ['a', 'c']}"
    )


def test_each_decision_is_evaluated_once() -> None:
    def needs(*names: str) -> str:
        return "".join(
            f'<informationRequirement><requiredDecision href="#{name}"/></informationRequirement>' for name in names
        )

    model = read_model(
        f"{HEAD}{INPUT}{decision(literal('n + 1'), name='a')}{decision(literal('a * 2'), name='b', needs=needs('a'))}"
        f"{decision(literal('a + b'), name='c', needs=needs('a', 'b'))}</definitions>".encode(),
        "p.dmn",
    )
    judgement = compile_decision(model, "c")([4])
    assert judgement.result == 15
    assert [step.decision for step in judgement.steps] == ["a", "b", "c"]


def test_older_namespaces_are_read() -> None:
    for namespace in ("http://www.omg.org/spec/DMN/20180521/MODEL/", "https://www.omg.org/spec/DMN/20191111/MODEL/"):
        head = HEAD.replace("https://www.omg.org/spec/DMN/20230324/MODEL/", namespace)
        model = read_model(f"{head}{INPUT}{decision(literal('n * 2'))}</definitions>".encode(), "p.dmn")
        assert compile_decision(model, "d")([4]).result == 8


SERVICE = (
    '<decisionService id="s" name="fee for"><variable name="fee for"/><outputDecision href="#fee"/>'
    '<encapsulatedDecision href="#rate"/><inputData href="#n"/></decisionService>'
)


def test_a_decision_service_is_a_function_and_can_be_called_on_its_own() -> None:
    rates = decision(table(rule("&lt; 100", "0.05") + rule("&gt;= 100", "0.02")), name="rate")
    need = '<informationRequirement><requiredDecision href="#rate"/></informationRequirement>'
    fee = decision(literal("n * rate"), name="fee", needs=NEED + need)
    known = '<knowledgeRequirement><requiredKnowledge href="#s"/></knowledgeRequirement>'
    total = decision(literal("fee for(50) + fee for(n: 200)"), name="total", needs=known)
    model = read_model(f"{HEAD}{INPUT}{rates}{fee}{SERVICE}{total}</definitions>".encode(), "p.dmn")
    called = compile_decision(model, "fee for")
    assert [one.name for one in called.inputs] == ["n"]
    assert str(called([50]).result) == str(judge_model(model, "fee for", {"n": 50}).result) == "2.50"
    assert str(compile_decision(model, "total")([]).result) == str(judge_model(model, "total", {}).result) == "6.50"


def test_a_business_knowledge_model_with_a_table() -> None:
    body = table(rule("&lt; 100", '"low"') + rule("-", '"high"'), 'hitPolicy="FIRST"')
    function = (
        '<businessKnowledgeModel id="f" name="band"><variable name="band"/><encapsulatedLogic>'
        f'<formalParameter name="n" typeRef="number"/>{body}</encapsulatedLogic></businessKnowledgeModel>'
    )
    known = NEED + '<knowledgeRequirement><requiredKnowledge href="#f"/></knowledgeRequirement>'
    wanted = decision(literal("[band(n), band(n * 10)]"), needs=known)
    model = read_model(f"{HEAD}{INPUT}{function}{wanted}</definitions>".encode(), "p.dmn")
    assert compile_decision(model, "d")([50]).result == judge_model(model, "d", {"n": 50}).result == ["low", "high"]


def test_an_import_of_another_language_is_a_problem_that_says_so() -> None:
    found = of_model('<import name="other" namespace="urn:other" importType="x"/>', decision(literal("n")))
    message = "p.dmn: import other: an import that is no DMN model is not read; was x. "
    assert found == [message + "Put its elements into a DMN file."]
