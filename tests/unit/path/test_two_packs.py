"""Two packs decide the same event: the most severe outcome wins, every opinion is kept."""

from __future__ import annotations

import pytest
from shop import LIMIT_MINOR, ask, opened, packs

from quanheng.loading.files import PackFiles, read_pack
from quanheng.replay import replay

PACK = """
[pack]
name     = "second"
version  = "0.1.0"
requires = ["shop >= 0.1.0"]
title    = {en = "A second opinion", zh = "第二意见"}
outcomes = ["approve", "review", "decline"]

[purpose.watch]
basis  = "legal_obligation"
source = "A statute"
title  = {en = "Watching", zh = "监测"}

[[flow]]
when     = "shop.request"
purpose  = "watch"
decide   = "look"
fallback = "decline"
"""
REASONS = '[reason.odd_amount]\nen = "The amount is odd."\nzh = "金额为奇数。"\n'
POLICY = """<?xml version="1.0" encoding="UTF-8"?>
<definitions xmlns="https://www.omg.org/spec/DMN/20230324/MODEL/" id="look" name="look" namespace="urn:quanheng:second">
  <inputData id="i" name="amount_minor"><variable name="amount_minor" typeRef="number"/></inputData>
  <decision id="look" name="look">
    <variable name="look"/>
    <informationRequirement><requiredInput href="#i"/></informationRequirement>
    <context>
      <contextEntry><variable name="outcome" typeRef="string"/>
        <literalExpression><text>if odd(amount_minor) then "review" else "approve"</text></literalExpression>
      </contextEntry>
      <contextEntry><variable name="reasons"/>
        <literalExpression><text>if odd(amount_minor) then ["odd_amount"] else []</text></literalExpression>
      </contextEntry>
    </context>
  </decision>
</definitions>
"""


def second() -> PackFiles:
    files = {"pack.toml": PACK, "reasons.toml": REASONS, "policies/look.dmn": POLICY, "README.md": "# second\n"}
    return read_pack({name: text.encode() for name, text in files.items()}, "second")


@pytest.fixture
def engine(tmp_path):
    engine = opened(tmp_path)
    engine.activate([*packs(), second()])
    yield engine
    engine.close()


# amount -> outcome and reasons of both, of one, of none
WEIGHED = [
    (20_000, "approve", []),
    (20_001, "review", ["odd_amount"]),
    (LIMIT_MINOR + 2, "decline", ["amount_over_limit"]),
    (LIMIT_MINOR + 1, "decline", ["amount_over_limit"]),
]


@pytest.mark.parametrize(("amount", "outcome", "reasons"), WEIGHED)
def test_the_most_severe_outcome_wins_with_its_reasons(engine, amount, outcome, reasons):
    [reply] = engine.submit([ask("a", amount)])
    assert (reply.outcome, list(reply.reasons)) == (outcome, reasons)
    shown = engine.decision(reply.decision)
    assert sorted(opinion["flow"] for opinion in shown["opinions"]) == ["second.look", "shop.answer"]
    assert replay(engine.reader, engine.snapshots, reply.decision).same


def test_reasons_of_all_that_reached_the_outcome_are_given(engine):
    requests = [ask(f"r{n}") for n in range(3)]
    engine.submit(requests)
    [reply] = engine.submit([ask("a", 20_001)])  # The fourth of a day, and odd.
    assert reply.outcome == "review"
    assert sorted(reply.reasons) == ["odd_amount", "too_many_requests"]


def test_a_policy_that_raises_takes_no_other_packs_opinion_with_it(engine, monkeypatch):
    def policy(values):
        raise ZeroDivisionError

    [code] = {engine.state.program.codes["shop.request"]}
    [flow] = [one for one in engine.state.program.flows[code] if one.name == "shop.answer"]
    monkeypatch.setattr(flow, "quick", policy)
    [even, odd] = engine.submit([ask("a", 20_000), ask("b", 20_001)])
    for reply, outcome, reasons in ((even, "approve", []), (odd, "review", ["odd_amount"])):
        opinions = {one["flow"]: one for one in engine.decision(reply.decision)["opinions"]}
        assert (opinions["shop.answer"]["status"], opinions["shop.answer"]["outcome"]) == ("failed", "review")
        theirs = opinions["second.look"]
        assert (theirs["status"], theirs["outcome"], theirs["reasons"]) == ("decided", outcome, reasons)


def test_a_flow_that_comes_too_late_answers_with_its_own_fallback(engine):
    [reply] = engine.submit([ask("a", deadline_ms=1)])
    assert (reply.status, reply.outcome, list(reply.reasons)) == ("failed", "decline", ["deadline_passed"])
