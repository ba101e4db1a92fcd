"""Models of GoRules taken over as DMN: the same answers as zen-engine gives, and a clear no to the rest."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from quanheng.cli.main import main
from quanheng.decisions.checking import check_model
from quanheng.decisions.dmn import compile_decision, read_model
from quanheng.decisions.dmn.write import write_model
from quanheng.decisions.exchange.jdm import SIZE_MAX, read_jdm
from quanheng.decisions.exchange.zen_feel import Feel, Translator
from quanheng.feel.judge import evaluate
from quanheng.feel.types import ANY
from quanheng.kernel.errors import DeclarationError, ExpressionError

Json = dict[str, Any]


def node(kind: str, name: str, content: object = None) -> Json:
    return {"id": name, "type": kind, "name": name, "position": {"x": 0, "y": 0}, "content": content}


def graph(*nodes: Json, edges: str) -> Json:
    """`edges` as "a>b b:branch>c"; nodes `in` and `out` are there already."""
    joined = []
    for number, edge in enumerate(edges.split()):
        source, target = edge.split(">")
        source, _, handle = source.partition(":")
        joined.append({"id": f"e{number}", "type": "edge", "sourceId": source, "targetId": target})
        if handle:
            joined[-1]["sourceHandle"] = handle
    every = [node("inputNode", "in", {}), *nodes, node("outputNode", "out", {})]
    return {"contentType": "application/vnd.gorules.decision", "nodes": every, "edges": joined}


def table(name: str, fields: list[str], outputs: list[str], rows: list[tuple[str, ...]], **more: object) -> Json:
    """A table node; a row holds input cells, then output cells."""
    columns = [{"id": f"i{at}", "name": field or "condition", "field": field} for at, field in enumerate(fields)]
    results = [{"id": f"o{at}", "name": field, "field": field} for at, field in enumerate(outputs)]
    ids = [one["id"] for one in (*columns, *results)]
    rules = [{"_id": f"r{at}", **dict(zip(ids, row, strict=True))} for at, row in enumerate(rows)]
    content = {"hitPolicy": "first", "inputs": columns, "outputs": results, "rules": rules, **more}
    return node("decisionTableNode", name, content)


def expressions(name: str, entries: dict[str, str], **more: object) -> Json:
    listed = [{"id": f"x{at}", "key": key, "value": value} for at, (key, value) in enumerate(entries.items())]
    return node("expressionNode", name, {"expressions": listed, **more})


def switch(name: str, policy: str, *conditions: str) -> Json:
    statements = [{"id": f"s{at}", "condition": condition} for at, condition in enumerate(conditions, 1)]
    return node("switchNode", name, {"hitPolicy": policy, "statements": statements})


def answer(jdm: Json, values: Json) -> object:
    """What our DMN of the model gives, after the way through XML."""
    model = read_model(write_model(read_jdm(json.dumps(jdm).encode(), "m.json").definitions), "m.dmn")
    policy = compile_decision(model, model.decisions[-1])
    exact = json.loads(json.dumps(values), parse_float=Decimal)
    return policy.judge(exact).result


def plain(value: object) -> object:
    """For comparing: numbers as rounded floats; in JSON an entry that is null is like one that is not there."""
    if isinstance(value, dict):
        entries = {key: plain(one) for key, one in value.items()}
        return {key: one for key, one in entries.items() if one is not None and one != {}}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return round(float(value), 9) if isinstance(value, int | float | Decimal) and not isinstance(value, bool) else value


FEES = table(
    "fees",
    ["customer.tier", "amount", "channel"],
    ["fee.rate", "fee.why"],
    [
        ("'gold', 'silver'", "> 1000", "", "0.1", "'loyal'"),
        ("", "[100..1000]", "not in ['web', 'app']", "0.2 * 2", "'branch'"),
        ("!= 'gold'", "(100..1000)", "'web'", "amount / 1000", "upper(channel)"),
        ("", "< 5 or > 5000", "", "0", ""),
        ("null", "", "", "9", "'unknown tier'"),
    ],
)
MIXED = graph(
    FEES,
    expressions(
        "sums",
        {
            "total": "amount * (1 + fee.rate ?? 0)",
            "high": "$.total > 500 ? 'yes' : 'no'",
            "rest": "amount % 7",
            "list": "map([1, 2, amount], # * 2)",
            "any": "some([1, amount], # > 50)",
            "kept": "filter([1, 60, amount], # > 50)",
            "count": "count([1, 60, amount], # > 50)",
            "size": "len(channel) + len([1, 2])",
            "has": "contains(channel, 'e') and contains([1, 5], amount)",
            "power": "2 ^ 3 ^ 1 - -1",
            "object": "{a: 1, 'b': channel == 'web'}",
            "second": "[7, 8][1]",
            "none": "null",
        },
    ),
    edges="in>fees in>sums fees>sums fees>out sums>out",
)
ROUTES = graph(
    switch("size", "first", "amount > 100", "amount > 10", ""),
    table("large", ["amount"], ["route"], [("> 1000", "'board'"), ("", "'desk'")]),
    expressions("small", {"route": "'auto'", "half": "amount / 2"}),
    switch("extras", "collect", "vip", "amount > 50"),
    table("gift", ["amount"], ["gift"], [("", "'card'")]),
    expressions("letter", {"letter": "true"}),
    edges="in>size size:s1>large size:s2>extras size:s3>small extras:s1>gift extras:s2>letter "
    "large>out small>out gift>out letter>out",
)
LISTS = graph(
    table(
        "reasons",
        ["amount", "country"],
        ["code", "points.all"],
        [("> 100", "", "'large'", "10"), ("", "'XA'", "'country'", "amount"), ("> 500", "", "'huge'", "")],
        hitPolicy="collect",
        outputPath="reasons",
    ),
    expressions("score", {"count": "len(reasons)", "first": "reasons[0].code"}),
    edges="in>reasons reasons>score reasons>out score>out",
)
PASSING = graph(
    expressions("base", {"a": "n * 2"}, passThrough=True),
    expressions("next", {"b": "a + n", "n": "n + 1"}, passThrough=True),
    table("last", ["b", ""], ["c"], [("> 5", "n > 1", "n"), ("", "", "'low'")], inputField=None),
    edges="in>base base>next next>last last>out next>out",
)
INSIDE = graph(
    table("inner", ["age"], ["ok"], [(">= 18", "true"), ("", "false")], inputField="who.person"),
    edges="in>inner inner>out",
)
DATES = graph(
    table(
        "when",
        ["day"],
        ["era"],
        [("< d('2024-01-01')", "'old'"), (">= d('2024-01-01') and <= d('2024-06-30')", "'h1'"), ("", "d(day).year()")],
    ),
    edges="in>when when>out",
)  # fmt: skip
TIERS = ["gold", "silver", "bronze", None]
NUMBERS = [0, 3, 7, 60, 100, 101, 500, 501, 1000, 1001, 6000, 12.5]
CASES = [
    (MIXED, [{"customer": {"tier": t}, "amount": n, "channel": c} for t in TIERS for n in NUMBERS for c in "ex"]),
    (ROUTES, [{"amount": n, "vip": v} for n in NUMBERS for v in (True, False)]),
    (LISTS, [{"amount": n, "country": c} for n in NUMBERS for c in ("XA", "NL")]),
    (PASSING, [{"n": n} for n in (0, 1, 2, 3, 10)]),
    (INSIDE, [{"who": {"person": {"age": n}}} for n in (17, 18)]),
    (DATES, [{"day": d} for d in ("2023-12-31", "2024-01-01", "2024-06-30T00:00:00", "2024-06-30T10:00:00")]),
]  # fmt: skip


@pytest.fixture(scope="module")
def zen() -> Any:
    return pytest.importorskip("zen", reason="zen-engine is not installed: pip install 'quanheng[bench]'")


def theirs(zen: Any, jdm: Json, values: Json) -> object:
    return zen.ZenEngine().create_decision(json.dumps(jdm)).evaluate(values)["result"]


@pytest.mark.parametrize(("jdm", "inputs"), CASES, ids=["mixed", "routes", "lists", "passing", "inside", "dates"])
def test_the_answers_are_those_of_zen(zen: Any, jdm: Json, inputs: list[Json]) -> None:
    for values in inputs:
        wanted = plain(theirs(zen, jdm, values))
        found = plain(answer(jdm, values))
        if isinstance(wanted, dict) and isinstance(found, dict):
            wanted = {key: one for key, one in wanted.items() if key in found or key not in values}
        assert found == wanted, values


CELLS = [
    "", "5", "> 5", "<= 3", "[1..5]", "(1..5]", "[2..7)", "1, 3, > 6", "> 2 and < 6", "< 2 or > 6", "!= 4",
    "in [1, 5]", "not in [1, 5]", "$ > 3", "$ % 2 == 1", "not ($ in [1..3])", "== 4", "[1, 2, 7]", "limit",
    "> limit + 1",
    "> 1 and < 5 or 8", "!= limit", "-1", "$ in [1..3] or $ == limit",
]  # fmt: skip
TEXTS = [
    "",
    "'a'",
    "'a', 'b'",
    "not in ['a']",
    "!= 'b'",
    "startsWith($, 'a')",
    "len($) > 1",
    "== 'c'",
    "in ['a', 'c']",
    "null",
]
OUTPUTS = ["1", "'x'", "n + 1", "n > 3 ? 'big' : 'small'", "[n, limit]", "", "{a: n}", "max([n, limit])", "n == limit"]


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(
        st.tuples(st.sampled_from(CELLS), st.sampled_from(TEXTS), st.sampled_from(OUTPUTS)), min_size=1, max_size=5
    ),
    st.sampled_from(["first", "collect"]),
)
def test_random_tables_answer_as_zen_does(zen: Any, rows: list[tuple[str, ...]], policy: str) -> None:
    jdm = graph(table("t", ["n", "t"], ["r"], rows, hitPolicy=policy), edges="in>t t>out")
    for n in (-1, 0, 1, 3, 4, 5, 8, 4.5):
        for text in ("a", "b", "ab", "c"):
            values = {"n": n, "t": text, "limit": 4}
            assert plain(answer(jdm, values)) == plain(theirs(zen, jdm, values)), (values, rows)


def test_the_names_of_a_model_become_decisions_and_requirements() -> None:
    model = read_jdm(json.dumps(ROUTES).encode(), "m.json")
    assert set(model.decisions) == {"size", "large", "small", "extras", "gift_2", "letter_2", "result"}
    assert {one.name: one.type_ref for one in model.definitions.inputs} == {"amount": "number", "vip": ""}
    result = model.definitions.decisions[-1]
    assert {"size", "large"} <= set(result.requires)
    assert [one for one in check_model(model) if one.severity == "problem"] == []


def mistakes(jdm: Json | bytes) -> list[str]:
    with pytest.raises(DeclarationError, match=r"m\.json cannot be taken over") as caught:
        read_jdm(jdm if isinstance(jdm, bytes) else json.dumps(jdm).encode(), "m.json")
    return [str(one) for one in caught.value.problems]


def one_table(cell: str = "", output: str = "1", **more: object) -> Json:
    return graph(table("t", ["n"], ["r"], [(cell, output)], **more), edges="in>t t>out")


def with_column(**changes: object) -> Json:
    jdm = one_table()
    content = jdm["nodes"][1]["content"]
    for key, value in changes.items():
        side, field = key.split("_")
        content[f"{side}s"][0][field] = value
    return jdm


FUNCTION = graph(node("functionNode", "script", "export const handler = …"), edges="in>script script>out")
REFUSED = [
    (FUNCTION, "m.json: node 'script': a function in JavaScript is not run; was functionNode. Write"),
    (graph(node("decisionNode", "sub", {}), edges="in>sub sub>out"), "m.json: node 'sub': another model is called"),
    (graph(node("customNode", "own", {}), edges="in>own own>out"), "m.json: node 'own': a node of a program is not"),
    (graph(node("oddNode", "own", {}), edges="in>own own>out"), "m.json: node 'own': the kind of the node is not"),
    (one_table(hitPolicy="best"), "m.json: node 't': the hit policy is not known; was best; allowed: first, collect"),
    (one_table(executionMode="loop"), "m.json: node 't': a node that runs once for each item is not taken over"),
    (one_table(hitPolicy="collect", passThrough=True), "m.json: node 't': a list cannot be joined with what passes"),
    (one_table("> "), "m.json: node 't', rule 1, column 'n': the expression does not parse: a value was expected ('>'"),
    (one_table("5 5"), "m.json: node 't', rule 1, column 'n': the expression does not parse: ',' and a further test"),
    (one_table("[1.."), "m.json: node 't', rule 1, column 'n': the expression does not parse: a value was expected"),
    (one_table("[1..2"), "m.json: node 't', rule 1, column 'n': the expression does not parse: the end of the range"),
    (one_table("not (5)"), "m.json: node 't', rule 1, column 'n': the cell is no plain test"),
    (one_table("~"), "m.json: node 't', rule 1, column 'n': a character that ZEN does not know"),
    (one_table("> d('2024-01-01'), 5"), "m.json: node 't', column 'n': dates stand beside other values in one column"),
    (one_table("", "`a${n}`"), "m.json: node 't', rule 1, output 'r': a template string is not taken over"),
    (one_table("", "$root.n"), "m.json: node 't', rule 1, output 'r': $root is not taken over"),
    (one_table("", "$.n"), "m.json: node 't', rule 1, output 'r': $ is not taken over here"),
    (one_table("", "# + 1"), "m.json: node 't', rule 1, output 'r': # stands outside of a function that has items"),
    (one_table("", "rand(5)"), "m.json: node 't', rule 1, output 'r': the function rand() is not taken over"),
    (one_table("", "d(n).add('1d')"), "m.json: node 't', rule 1, output 'r': the method add() is not taken over"),
    (one_table("", "n[m]"), "m.json: node 't', rule 1, output 'r': an index that is no number is not taken over"),
    (one_table("", "1 +"), "m.json: node 't', rule 1, output 'r': the expression does not parse: a value was expected"),
    (one_table("", "1 1"), "m.json: node 't', rule 1, output 'r': the expression does not parse: the end of the"),
    (one_table("", "n.5"), "m.json: node 't', rule 1, output 'r': the expression does not parse: a name was expected"),
    (one_table("", "{5: 1}"), "m.json: node 't', rule 1, output 'r': the expression does not parse: the name of an"),
    (one_table("]1..5["), "m.json: node 't', rule 1, column 'n': a range that begins with ] is not taken over"),
    (one_table("[d('2024-01-01')..d('2024-06-30')]"), "m.json: node 't', rule 1, column 'n': a range or list of dates"),
    (one_table("", "(" * 80 + "1" + ")" * 80), "m.json: node 't', rule 1, output 'r': the expression is nested too "),
    (one_table("", "for + 1"), "m.json: node 't', rule 1, output 'r': the name cannot be read in FEEL ('for + 1'"),
    (one_table("", "'a' - 1"), "m.json: node 't', t: cannot subtract string and number"),
    (with_column(input_defaultValue="5"), "m.json: node 't', column 'n': a default value of an input is not taken"),
    (with_column(output_field="a-b"), "m.json: node 't', output 'r': the field of the output is no name; was 'a-b'"),
    (graph(table("t", [], [], []), edges="in>t t>out"), "m.json: node 't': the table has no output"),
    (graph(table("t", [], ["a", "a"], []), edges="in>t t>out"), "m.json: node 't': two outputs have the same field"),
    (graph(expressions("x", {"a-b": "1"}), edges="in>x x>out"), "m.json: node 'x', entry 'a-b': the key of the entry"),
    (graph(expressions("x", {"a": "$.b"}), edges="in>x x>out"), "m.json: node 'x', entry 'a': no entry before it has"),
    (
        graph(expressions("x", {"a": "1"}), expressions("y", {"b": "n"}), edges="in>x x>y y>out"),
        "m.json: node 'y', entry 'b': no node before gives this name ('n', ); was 'n'; allowed: a. Let it pass through",
    ),
    (
        graph(expressions("x", {"a": "1"}), expressions("y", {"a": "2"}), edges="in>x in>y x>out y>out"),
        "m.json: node 'out': several nodes give 'a' to this node, and which one wins is not certain",
    ),
    (
        graph(expressions("x", {"n": "1"}), expressions("y", {"b": "n"}), expressions("z", {"c": "n"}),
              edges="in>x in>z x>y in>y y>out z>out"),
        "m.json: node 'y': 'n' comes from a node and from the input at once",
    ),
    (graph(expressions("x", {"a": "1"}), edges="in>x x>x x>out"), "m.json: edges: the nodes form a cycle; was node"),
    (graph(edges="in>gone"), "m.json: edges: an edge joins nodes that are not there; was in to gone"),
    (graph(edges="in>out"), "m.json: nodes: the model gives nothing but its input back"),
    (graph(switch("s", "first", "n > 1"), edges="in>s s:s9>out"), "m.json: node 's': an edge leaves the switch by"),
    ({"nodes": [{}], "edges": []}, "m.json: nodes: a node has no id. Export the model again."),
    ({"nodes": [], "edges": []}, "m.json: nodes: no node gives a result. Add an output node."),
    ({"a": 1}, "m.json: the file is no JDM; allowed: an object with nodes and edges"),
    (b"{", "m.json: the file is no JSON; was Expecting"),
    (b" " * (SIZE_MAX + 1), "m.json: the file is too large; was 20000001 bytes"),
]  # fmt: skip


@pytest.mark.parametrize(("jdm", "message"), REFUSED, ids=[message[8:70] for _, message in REFUSED])
def test_what_has_no_counterpart_is_refused_with_its_place(jdm: Json | bytes, message: str) -> None:
    found = mistakes(jdm)
    assert any(one.startswith(message) for one in found), found


def test_a_default_value_of_an_output_is_refused_where_it_would_be_used() -> None:
    jdm = one_table("", "")
    jdm["nodes"][1]["content"]["outputs"][0]["defaultValue"] = "7"
    assert "a default value of an output is not taken over; was 7" in mistakes(jdm)[0]


def test_all_mistakes_are_reported_at_once() -> None:
    jdm = graph(
        table("t", ["n"], ["r"], [("> ", "rand(1)"), ("~", "1")]), node("functionNode", "f", ""), edges="in>t t>f f>out"
    )
    assert len(mistakes(jdm)) == 4


@pytest.mark.parametrize("content", [None, 5, [], "x", {"rules": 5}, {"inputs": [5], "outputs": None, "rules": [None]}])
@pytest.mark.parametrize("kind", ["decisionTableNode", "expressionNode", "switchNode", "outputNode"])
def test_damaged_nodes_are_problems_and_nothing_worse(kind: str, content: object) -> None:
    assert mistakes(graph(node(kind, "x", content), edges="in>x x>out"))


VALUES = {"a": None, "b": 3, "t": True, "f": False, "l": [1, 2], "s": "x"}
PRECEDENCE = [
    "1 + a ?? 5", "b ?? 2 * 5", "a ?? a ?? 4", "-2 ^ 2", "2 ^ 3 ^ 2", "2 ^ -1", "1 < 2 == true", "t or f and f",
    "10 - 3 - 2", "2 * 7 % 4", "7 % 4 * 2", "b in [1, 3] == true", "not t == f", "!t == f", "not t and f", "5 - -2",
    "b > 2 ? 1 : 2 + 5", "t ? f ? 1 : 2 : 3", "12 / 4 / 3", "b not in [1] and t", "'a' + 'b' == 'ab'", "- b * 2",
    "[1, 2][0] + 1", "t and b > 1 ? 'y' : 'n'", "-7 % 3", "-7 % -3", "7 % -3", "round(-2.5)", "round(1.005, 2)",
    "floor(-1.5)", "ceil(-1.5)", "median([1, 5, 2])", "string(1.50)", "number('1.5')", "a ?? 'z' + 'y'", "l[1]",
    "sum([0.1, 0.2])", "a == null ?? f", "b in l or t", "not f or t", "len(l) + len(s)", "avg([1, 2, 4])",
]  # fmt: skip


@pytest.mark.parametrize("text", PRECEDENCE)
def test_operators_bind_and_functions_answer_as_in_zen(zen: Any, text: str) -> None:
    feel = Translator(lambda path: Feel(".".join(path))).expression(text).text
    found = evaluate(feel, dict.fromkeys(VALUES, ANY), VALUES)
    assert plain(found.value) == plain(zen.evaluate_expression(text, VALUES)), feel


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.randoms(use_true_random=False), st.sampled_from([MIXED, ROUTES, LISTS, PASSING]))
def test_a_damaged_model_is_taken_over_or_refused_and_nothing_worse(rng: Any, jdm: Json) -> None:
    damaged = json.loads(json.dumps(jdm))
    for _ in range(rng.randint(1, 3)):
        place: Any = damaged
        while isinstance(place, dict | list) and place:
            key = rng.choice(sorted(place)) if isinstance(place, dict) else rng.randrange(len(place))
            if rng.random() < 0.3 or not isinstance(place[key], dict | list):
                place[key] = rng.choice(
                    [None, 5, "", "x y", "a.b", [], {}, [1], {"id": "q"}, True, "((", "'", "$.", "n["]
                )
                break
            place = place[key]
    try:
        write_model(read_jdm(json.dumps(damaged).encode(), "m.json").definitions)
    except DeclarationError as error:
        assert error.problems  # noqa: PT017  (most are taken over: only refusals have reasons)


@pytest.mark.parametrize(
    ("zen_text", "feel"),
    [
        ("a ? 1 : b ? 2 : 3", "if a then 1 else if b then 2 else 3"),
        ("(a ?? 5) + 1", "(if a != null then a else 5) + 1"),
        ("1 + a ?? 5", "1 + (if a != null then a else 5)"),
        ("a - (b - c)", "a - (b - c)"),
        ("!(a == b)", "(a = b) != true"),
        ("not a", "not(a)"),
        ("a != b", "(a = b) != true"),
        ("1_000 * 'x'", '1000 * "x"'),
        ("'it\\'s \"x\"'", '"it\'s \\"x\\""'),
        ("x in y", "list contains(y, x)"),
        ("round(a, 2)", "round half up(a, 2)"),
        ("all(l, # > 0)", "every each in l satisfies each > 0"),
    ],
)
def test_expressions_are_written_as_an_author_would(zen_text: str, feel: str) -> None:
    assert Translator(lambda path: Feel(".".join(path))).expression(zen_text).text == feel


def test_a_mistake_names_its_column() -> None:
    with pytest.raises(ExpressionError, match="column 4: the expression does not parse: a value was expected"):
        Translator(lambda path: Feel("x")).expression("a *")


def test_the_command_writes_dmn_that_checks(tmp_path: Path, capsys) -> None:
    file = tmp_path / "routes.json"
    file.write_text(json.dumps(ROUTES))
    assert main(["dmn", "from-jdm", str(file), "-o", str(tmp_path / "routes.dmn")]) == 0
    assert main(["dmn", "check", str(tmp_path / "routes.dmn")]) == 0
    file.write_text(json.dumps(FUNCTION))
    assert main(["dmn", "from-jdm", str(file)]) == 2
    assert "a function in JavaScript is not run" in capsys.readouterr().err
