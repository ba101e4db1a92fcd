"""Random tables, indexed and asked rule by rule: both give what the judge gives, with the same diagnostics."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_tables import INPUTS, VALUES, models

from quanheng.decisions.dmn import compile_decision, read_model, table_code
from quanheng.decisions.dmn.index import index_of
from quanheng.decisions.dmn.judge import judge_model


@pytest.fixture(params=["indexed", "one after another"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Tables of any size go the same way."""
    indexed = request.param == "indexed"
    monkeypatch.setattr(table_code, "index_for", lambda node: index_of(node) if indexed and node.rules else None)
    return request.param


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(xml=models(), rows=st.lists(VALUES, min_size=3, max_size=6))
def test_a_table_gives_what_the_judge_gives(way: str, xml: bytes, rows: list[tuple[object, ...]]) -> None:
    model = read_model(xml, "t.dmn", strict=False)
    policy = compile_decision(model, "after")
    for row in rows:
        values = {name: value for (name, _), value in zip(INPUTS, row, strict=True)}
        compiled, judged = policy.judge(values), judge_model(model, "after", values)
        assert repr((compiled.result, compiled.trace)) == repr((judged.result, judged.trace)), policy.source
        causes = [[one.cause for one in each.diagnostics] for each in (compiled, judged)]
        assert causes[0] == causes[1], policy.source


def test_results_are_not_shared_between_judgements(way: str) -> None:
    """A caller may change what it was given."""
    cell = "<inputEntry><text>-</text></inputEntry>"
    outputs = "<outputEntry><text>1</text></outputEntry><outputEntry><text>2</text></outputEntry>"
    for policy in ("FIRST", "COLLECT", "OUTPUT ORDER"):
        xml = (
            '<definitions xmlns="https://www.omg.org/spec/DMN/20230324/MODEL/" name="t" namespace="t">'
            '<inputData id="n" name="n"><variable name="n" typeRef="number"/></inputData>'
            '<decision id="d" name="d"><variable name="d"/>'
            '<informationRequirement><requiredInput href="#n"/></informationRequirement>'
            f'<decisionTable hitPolicy="{policy}"><input><inputExpression><text>n</text></inputExpression></input>'
            '<output name="x"><outputValues><text>1</text></outputValues></output>'
            '<output name="y"><outputValues><text>2</text></outputValues></output>'
            f"<rule>{cell}{outputs}</rule></decisionTable></decision></definitions>"
        ).encode()
        judge = compile_decision(read_model(xml, "t.dmn"), "d")
        first = judge([1]).result
        (first[0] if isinstance(first, list) else first)["x"] = 9
        again = judge([1]).result
        assert (again[0] if isinstance(again, list) else again) == {"x": 1, "y": 2}
