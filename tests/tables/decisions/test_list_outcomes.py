# ruff: noqa: E501  (texts under test stand whole, on one line)
"""`list("name")` in expressions and cells: one row per outcome, by both engines; and what is refused."""

from __future__ import annotations

import pytest

from quanheng.decisions.dmn import compile_decision, read_model
from quanheng.decisions.dmn.judge import judge_model
from quanheng.decisions.lists import Lists
from quanheng.kernel.errors import DeclarationError

HELD = {"blocked": {"d1", ""}, "seen": {"d2"}, "empty": set()}
MODEL = """<definitions xmlns="https://www.omg.org/spec/DMN/20230324/MODEL/" name="m" namespace="m">
<inputData id="i" name="device"><variable name="device" typeRef="{kind}"/></inputData>
<decision id="d" name="d"><variable name="d"/><informationRequirement><requiredInput href="#i"/></informationRequirement>
{box}</decision></definitions>"""
LITERAL = "<literalExpression><text>{}</text></literalExpression>"
TABLE = """<decisionTable hitPolicy="FIRST"><input><inputExpression><text>device</text></inputExpression></input>
<output name="o"/><rule><inputEntry><text>{}</text></inputEntry><outputEntry><text>true</text></outputEntry></rule>
<rule><inputEntry><text>-</text></inputEntry><outputEntry><text>false</text></outputEntry></rule></decisionTable>"""


def held(name: str, value: str) -> bool:
    return value in HELD[name]


def model(box: str, kind: str = "string"):
    return read_model(MODEL.format(kind=kind, box=box).encode(), "m.dmn", lists=HELD)


def both(box: str, device: object, kind: str = "string", lists=held):
    """What the compiled policy gives; the judge must give the same."""
    checked = model(box, kind)
    policy = compile_decision(checked, "d")
    found = policy.judge({"device": device}, None, lists)
    plain = judge_model(checked, "d", {"device": device}, None, lists)
    assert (found.result, found.trace) == (plain.result, plain.trace)
    assert [one.cause for one in found.diagnostics] == [one.cause for one in plain.diagnostics]
    return found.result, [one.cause for one in found.diagnostics]


EXPRESSIONS = [
    ('device in list("blocked")', "d1", True),
    ('device in list("blocked")', "d2", False),
    ('device in list("blocked")', "D1", False),
    ('device in list("blocked")', "", True),
    ('device in list("empty")', "d1", False),
    ('device in list("blocked")', None, None),
    ('not(device in list("blocked"))', "d2", True),
    ('not(device in list("blocked"))', None, None),
    ('device in (list("blocked"), list("seen"))', "d2", True),
    ('device in (list("blocked"), "d3")', "d3", True),
    ('device in (list("blocked"), list("seen"))', "d4", False),
    ('device in list("blocked") and device = "d1"', "d1", True),
    ('if device in list("blocked") then 1 else 2', None, 2),
    ('"d2" in list("seen")', "d1", True),
    ('some one in ["d4", device] satisfies one in list("seen")', "d2", True),
    ('count(["d1", "d2", "d3"][item in list("blocked")])', "d1", 1),
]


@pytest.mark.parametrize(("text", "device", "result"), EXPRESSIONS)
def test_an_expression(text, device, result):
    assert both(LITERAL.format(text), device) == (result, [])


CELLS = [
    ('list("blocked")', "d1", True),
    ('list("blocked")', "d2", False),
    ('list("blocked")', None, False),
    ('not(list("blocked"))', "d2", True),
    ('not(list("blocked"))', "d1", False),
    ('not(list("blocked"))', None, False),
    ('list("blocked"), list("seen")', "d2", True),
    ('"d4", list("seen")', "d4", True),
    ('? in list("seen")', "d2", True),
]


@pytest.mark.parametrize(("text", "device", "result"), CELLS)
def test_a_cell(text, device, result):
    assert both(TABLE.format(text), device) == (result, [])


@pytest.mark.parametrize("device", [5, True, ["d1", "d2"], {"a": 1}])
def test_what_is_no_text_is_null_with_a_diagnostic(device):
    result, causes = both(LITERAL.format('device in list("blocked")'), device, "Any")
    assert result is None
    assert causes[0].startswith("a list holds texts, was ")


def test_a_list_of_one_stands_for_its_item():
    assert both(LITERAL.format('device in list("blocked")'), ["d1"], "Any") == (True, [])


def test_without_lists_the_answer_is_null_with_a_diagnostic():
    found = both(LITERAL.format('device in list("blocked")'), "d1", lists=None)
    assert found == (None, ["the entries of list 'blocked' are not known here"])


def test_a_policy_says_which_lists_it_asks():
    assert compile_decision(model(TABLE.format('list("blocked"), list("seen")')), "d").lists == {"blocked", "seen"}
    assert compile_decision(model(LITERAL.format("device")), "d").lists == frozenset()


REFUSED = [
    ('device in list("none")', "no such list is declared", "'none'; allowed: blocked, empty, seen"),
    ("device in list(device)", "the expression does not parse", "the name of a list, in quotes"),
    ('device in list("blocked"', "the expression does not parse", "')' after the name of the list"),
    ('list("blocked")', "list() stands after `in`, or alone in a cell", 'allowed: device in list("name")'),
    ('5 in list("blocked")', "a list holds texts, number is never on one", ""),
]


@pytest.mark.parametrize(("text", "what", "more"), REFUSED)
def test_what_is_refused(text, what, more):
    with pytest.raises(DeclarationError) as error:
        model(LITERAL.format(text))
    assert what in str(error.value)
    assert more in str(error.value)


def test_the_extension_is_unknown_where_no_pack_is():
    with pytest.raises(DeclarationError, match="the name 'list' is not known here"):
        read_model(MODEL.format(kind="string", box=LITERAL.format('device in list("blocked")')).encode(), "m.dmn")


def test_allowed_values_ask_no_list():
    item = '<itemDefinition name="t"><typeRef>string</typeRef><allowedValues><text>list("blocked")</text></allowedValues></itemDefinition>'
    xml = MODEL.format(kind="t", box=LITERAL.format("device")).replace("<inputData", item + "<inputData", 1)
    with pytest.raises(DeclarationError, match="the name 'list' is not known here"):
        read_model(xml.encode(), "m.dmn", lists=HELD)


def test_a_variable_named_list_goes_first():
    xml = MODEL.format(kind="string", box=LITERAL.format('device in list("blocked")')).replace('"device"', '"list"')
    with pytest.raises(DeclarationError, match="the name 'device' is not known here"):
        read_model(xml.encode(), "m.dmn", lists=HELD)


class Asked:
    """Lists of which it is known which hold something, as the platform gives them; the others are not asked."""

    held = frozenset(name for name, values in HELD.items() if values)

    def __call__(self, name: str, value: str) -> bool:
        assert name in self.held
        return held(name, value)


@pytest.mark.parametrize(("text", "device", "result"), [one for one in EXPRESSIONS if "empty" not in one[0]])
def test_an_expression_where_it_is_known_which_lists_hold_something(text, device, result):
    assert both(LITERAL.format(text), device, lists=Asked()) == (result, [])


@pytest.mark.parametrize(("device", "result"), [("d1", False), (None, None)])
def test_an_empty_list_is_not_asked(device, result):
    text = 'device in list("empty")'
    policy = compile_decision(model(LITERAL.format(text)), "d")
    assert policy.judge({"device": device}, None, Asked()).result is result
    nobody = Lists().at(0, {})({name: (f"p.{name}", "text") for name in HELD})
    assert (nobody.held, policy.judge({"device": device}, None, nobody).result) == (frozenset(), result)
    asked = compile_decision(model(LITERAL.format(text), "Any"), "d")
    assert asked.judge({"device": 5}, None, nobody).result is None
    assert asked.judge({"device": ["d1"]}, None, nobody).result is False
