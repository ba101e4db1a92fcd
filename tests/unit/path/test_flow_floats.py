"""Formulas and scores that a flow's policy only compares enter it as floats; decisions are those of exact numbers."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from shop import HandClock

from quanheng import deciding
from quanheng.engine import Engine
from quanheng.events.intake import Request
from quanheng.feel.floats import decimal_of
from quanheng.known import bounds_as_floats
from quanheng.loading.declared import Parameter, ParameterValue, Title
from quanheng.loading.find import read_packs
from quanheng.loading.traffic import Traffic

AS_FLOATS = {
    "amount_to_mean_30d_before", "terminal_fraud_share_30d", "fraud_score", "score_decline_min", "score_review_min",
    "amount_to_mean_min", "terminal_fraud_share_min",
}  # fmt: skip


def test_the_card_policy_compares_floats_and_decides_as_with_decimals(
    tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    judge = deciding.judge

    def watched(flow, known, received_ms):
        found = judge(flow, known, received_ms)
        lists = known.lists(flow.lists)
        seen.extend(
            (flow, values, lists, one) for values, one in zip(zip(*flow.inputs(known), strict=True), found, strict=True)
        )
        return found

    monkeypatch.setattr(deciding, "judge", watched)
    packs = read_packs()
    engine = Engine.open(tmp_path, clock=HandClock())
    engine.activate([packs["party"], packs["card_fraud"]])
    seen.clear()  # Golden cases are judged at activation.
    events = Traffic(engine.state.program.packs["card_fraud"].traffic, seed=3).events(2_000)
    engine.submit([Request("c", event.id, event.type, json.dumps(event.data).encode()) for event in events])
    engine.close()
    assert len(seen) > 500
    outcomes = set()
    for flow, values, lists, opinion in seen:
        assert {one.name for one in flow.quick.inputs if one.as_float} == AS_FLOATS
        given = dict(zip((one.name for one in flow.quick.inputs), values, strict=True))
        assert all(isinstance(given[name], float) for name in AS_FLOATS)
        exact = [decimal_of(value) if isinstance(value, float) else value for value in values]
        plain = flow.policy(exact, None, lists)
        assert repr(plain.trace) == repr(opinion.trace)
        assert opinion.outcome == plain.result["outcome"]
        outcomes.add(opinion.outcome)
    assert outcomes == {"approve", "review", "decline"}


@pytest.mark.parametrize(
    ("values", "fit"),
    [
        ((5,), True), ((Decimal("0.65"), 1), True), ((Decimal("0.12345678901234567"),), False), ((2**53 + 1,), False),
        (("EUR",), False), ((True,), False), (((1, 2),), False),
    ],
)  # fmt: skip
def test_bounds_that_a_float_stands_for(values, fit: bool) -> None:
    dated = [
        ParameterValue(from_date="2020-01-01", from_ms=from_ms, value=value, source="law")
        for from_ms, value in enumerate(values)
    ]
    parameter = Parameter(name="bound", unit="ratio", title=Title(), values=tuple(dated))
    assert bounds_as_floats([parameter]) == (["bound"] if fit else [])
