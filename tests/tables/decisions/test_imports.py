"""Models that import models: names, types, functions, services, inputs; by both engines."""

from __future__ import annotations

import pytest
from test_model_parts import SPACE, bkm, both, data, decision, item, lit, part

from quanheng.decisions.dmn import Model, compile_decision, read_model
from quanheng.kernel.errors import DeclarationError


def file(namespace: str, body: str, **imports: str) -> bytes:
    """`imports` are names of imports and the namespaces they mean; `_` stands for the empty name."""
    found = "".join(
        f'<import name="{"" if name == "_" else name.replace("_", " ")}" namespace="{space}" importType="{SPACE}"/>'
        for name, space in imports.items()
    )
    return (
        f'<definitions xmlns="{SPACE}" name="{namespace}" namespace="{namespace}">{found}{body}</definitions>'.encode()
    )


def needs(*targets: str) -> str:
    """Requirements of elements of other files: `data urn:a#x`, `decision urn:a#x`, `knowledge urn:a#x`."""
    found = ""
    for one in targets:
        what, target = one.split(" ", 1)
        kind = "knowledgeRequirement" if what == "knowledge" else "informationRequirement"
        tag = {"data": "requiredInput", "decision": "requiredDecision", "knowledge": "requiredKnowledge"}[what]
        found += f'<{kind}><{tag} href="{target}"/></{kind}>'
    return found


def wanting(name: str, text: str, *targets: str, kind: str = "") -> str:
    plain = decision(name, lit(text), kind=kind)
    return plain.replace("<literalExpression>", needs(*targets) + "<literalExpression>", 1)


A = file(
    "urn:a",
    item("tPerson", extra=part("name", "string") + part("age", "number"))
    + data("person", "tPerson")
    + decision("greeting", lit('"hello " + person.name'), "person")
    + bkm("greet", "p:tPerson", lit('"dear " + p.name'))
    + '<decisionService id="s" name="s"><variable name="s"/><outputDecision href="#greeting"/>'
    '<inputData href="#person"/></decisionService>',
)
ANN = {"name": "Ann", "age": 40}


def of(xml: bytes, strict: bool = True, **files: bytes) -> Model:
    return read_model(xml, "main.dmn", strict, {f"{name}.dmn": one for name, one in files.items()})


def test_a_decision_and_its_input_of_another_file() -> None:
    model = of(file("urn:m", wanting("d", 'a.greeting + "!"', "decision urn:a#greeting"), a="urn:a"), a=A)
    assert both(model, "d", {"person": ANN})[0].result == "hello Ann!"
    assert [one.name for one in compile_decision(model, "d").inputs] == ["person"]


def test_the_name_of_an_import_may_have_spaces() -> None:
    model = of(file("urn:m", wanting("d", "my model.greeting", "decision urn:a#greeting"), my_model="urn:a"), a=A)
    assert both(model, "d", {"person": ANN})[0].result == "hello Ann"


def test_an_import_without_a_name_adds_no_prefix() -> None:
    model = of(file("urn:m", wanting("d", "greeting", "decision urn:a#greeting"), _="urn:a"), a=A)
    assert both(model, "d", {"person": ANN})[0].result == "hello Ann"


def test_types_functions_and_services_of_another_file() -> None:
    body = (
        data("who", "a.tPerson")
        + wanting("d", "a.greet(who)", "data #who", "knowledge urn:a#greet")
        + wanting("e", "a.s(who)", "data #who", "knowledge urn:a#s")
        + wanting("f", "who instance of a.tPerson", "data #who")
    )
    model = of(file("urn:m", body, a="urn:a"), a=A)
    assert both(model, "d", {"who": ANN})[0].result == "dear Ann"
    assert both(model, "e", {"who": ANN})[0].result == "hello Ann"
    assert both(model, "f", {"who": ANN})[0].result is True
    assert both(model, "d", {"who": {"name": "x"}})[0].result is None


def test_imports_of_imports_keep_their_own_names() -> None:
    b = file("urn:b", wanting("g", '"b: " + x.greeting', "decision urn:a#greeting"), x="urn:a")
    c = file("urn:c", wanting("g", '"c: " + y.greeting', "decision urn:a#greeting"), y="urn:a")
    main = file("urn:m", wanting("d", 'b.g + "; " + c.g', "decision urn:b#g", "decision urn:c#g"), b="urn:b", c="urn:c")
    model = of(main, a=A, b=b, c=c)
    assert both(model, "d", {"person": ANN})[0].result == "b: hello Ann; c: hello Ann"


def test_two_inputs_of_one_name_are_told_apart() -> None:
    body = data("person", "string") + wanting(
        "d", 'person + ", " + a.greeting', "data #person", "decision urn:a#greeting"
    )
    model = of(file("urn:m", body, a="urn:a"), a=A)
    assert [one.name for one in compile_decision(model, "d").inputs] == ["person", "a.person"]
    assert both(model, "d", {"person": "Bob", "a.person": ANN})[0].result == "Bob, hello Ann"


def problems(xml: bytes, **files: bytes) -> list[str]:
    with pytest.raises(DeclarationError) as caught:
        of(xml, **files)
    return [str(one) for one in caught.value.problems]


def test_a_model_that_is_not_at_hand_is_a_problem() -> None:
    found = problems(file("urn:m", decision("d", lit("1")), a="urn:a"), b=file("urn:b", ""))
    assert found[0].startswith("main.dmn: import a: the imported model is not at hand; was urn:a; allowed: urn:b. Hand")


def test_a_circle_is_a_problem() -> None:
    b = file("urn:b", "", m="urn:m")
    m = file("urn:m", decision("d", lit("1")), b="urn:b")
    circle = "b.dmn: import m: models import each other in a circle; was urn:m -> urn:b -> urn:m; allowed: urn:b, urn:m"
    assert problems(m, b=b, m=m) == [f"{circle}. Put what both need into a third file."]


def test_a_namespace_of_two_files_is_a_problem() -> None:
    m = file("urn:m", wanting("d", "a.greeting", "decision urn:a#greeting"), a="urn:a")
    assert problems(m, a=A, b=A)[0] == (
        "main.dmn: import a: several files have the namespace that is imported; was a.dmn, b.dmn; allowed: urn:a. "
        "Give each file a namespace of its own."
    )
    assert both(of(m, strict=False, a=A, b=A), "d", {"person": ANN})[0].result == "hello Ann"  # the kit takes the first


def test_too_many_imports_are_a_problem() -> None:
    files = {f"f{n}": file(f"urn:{n}", "", next=f"urn:{n + 1}") for n in range(60)}
    assert "more than 50 models are imported" in problems(file("urn:m", "", a="urn:0"), **files)[0]


def test_a_mistake_in_an_imported_file_names_that_file() -> None:
    found = problems(file("urn:m", "", a="urn:a"), a=file("urn:a", decision("x", lit("y"))))
    assert found[0].startswith("a.dmn: line 1, x: the name 'y' is not known here")
