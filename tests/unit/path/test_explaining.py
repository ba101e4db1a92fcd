# ruff: noqa: E501  (texts under test stand whole, on one line)
"""Explaining recorded decisions: the versions that took them, reasons by weight, changes that are decided so."""

from __future__ import annotations

import json
import re
from decimal import Decimal

import pytest
from shop import LIMIT_MINOR, T0, ask, opened, packs
from test_past import COMPLAINT, HandClock, without_cases
from test_past import shop as shop_pack

from quanheng.decisions.bounds import Changeable
from quanheng.decisions.explain import Case, explain, lines, notice, shown
from quanheng.engine import Engine
from quanheng.events.intake import Request
from quanheng.kernel.errors import DataErased, InputError, NotFound
from quanheng.loading.find import read_packs
from quanheng.past.explaining import changeable_inputs, explain_decision, told
from quanheng.past.known import Asker


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    engine = opened(tmp_path_factory.mktemp("explaining"))
    yield engine
    engine.close()


def decide(engine, *amounts, customer, at=T0):
    """Requests one after another; the last one's reply."""
    for number, amount in enumerate(amounts):
        [reply] = engine.submit([ask(f"{customer}{number}", amount, customer=customer, at=at + number)])
    return reply


def test_one_reason_decides_alone_and_its_bound_is_one_minor_unit_away(engine):
    reply = decide(engine, LIMIT_MINOR + 700, customer="one")
    found = explain_decision(engine.reader, reply.decision)
    assert (found.outcome, found.wanted) == ("decline", "approve")
    assert [(one.table, one.number) for one in found.matched] == [("decline_reasons", 1)]
    [reason] = found.reasons
    assert (reason.code, reason.alone, reason.without) == ("amount_over_limit", "decline", "approve")
    assert (reason.decides_alone, reason.necessary) == (True, True)
    assert found.vanish == (("amount_over_limit",),)
    [change] = found.search.found
    assert [tuple(one) for one in change.changes] == [("amount_minor", LIMIT_MINOR + 700, LIMIT_MINOR)]
    assert found.results[0] == ("decline_reasons", ["amount_over_limit"])


def test_the_change_that_is_told_is_decided_so(engine):
    reply = decide(engine, LIMIT_MINOR + 700, customer="two")
    [change] = explain_decision(engine.reader, reply.decision).search.found
    [again] = engine.dry_run([ask("again", change.changes[0].would_be, customer="three")])
    assert again.outcome == "approve"


def test_reasons_are_ranked_and_both_must_go(engine):
    """Too many within a day and far above the own mean: each alone gives review, both must go."""
    reply = decide(engine, 100, 100, 100, 400_000, customer="four")
    found = explain_decision(engine.reader, reply.decision)
    assert found.outcome == "review"
    assert [(one.code, one.alone, one.without) for one in found.reasons] == [
        ("too_many_requests", "review", "review"), ("amount_unlike_history", "review", "review"),
    ]  # fmt: skip
    assert found.vanish == (("too_many_requests", "amount_unlike_history"),)
    pairs = {tuple(change.name for change in one.changes) for one in found.search.found}
    assert pairs == {("customer_count_1d", "amount_to_mean")}
    [one] = found.search.found
    assert {change.name: change.would_be for change in one.changes} == {
        "customer_count_1d": 3, "amount_to_mean": Decimal("9.99"),
    }  # fmt: skip


def test_a_milder_reason_is_behind_the_one_that_decides(engine):
    reply = decide(engine, 100, 100, 100, LIMIT_MINOR + 1, customer="five")
    found = explain_decision(engine.reader, reply.decision)
    assert [(one.code, one.decides_alone, one.necessary) for one in found.reasons] == [
        ("amount_over_limit", True, True), ("too_many_requests", False, False), ("amount_unlike_history", False, False),
    ]  # fmt: skip
    assert found.vanish == (("amount_over_limit",),)
    assert notice(found, "en") == [
        "The decision was: decline. The principal reasons were:", "1. The amount is above the limit.",
    ]  # fmt: skip
    assert notice(found, "zh") == ["决定结果为：decline。主要理由如下：", "1. 金额超过上限。"]
    review = explain_decision(engine.reader, reply.decision, wanted="review")
    [change] = review.search.found
    assert [tuple(one) for one in change.changes] == [("amount_minor", LIMIT_MINOR + 1, LIMIT_MINOR)]


def test_parameters_change_only_when_they_are_named(engine):
    reply = decide(engine, LIMIT_MINOR + 700, customer="six")
    found = explain_decision(engine.reader, reply.decision, change=["amount_max_minor"])
    assert {one.changes[0][:] for one in found.search.found} == {
        ("amount_minor", LIMIT_MINOR + 700, LIMIT_MINOR), ("amount_max_minor", LIMIT_MINOR, LIMIT_MINOR + 700),
    }  # fmt: skip
    fixed = explain_decision(engine.reader, reply.decision, fixed=["amount_minor"])
    assert fixed.search.found == ()
    assert fixed.search.complete


def test_an_approved_request_has_nothing_to_change(engine):
    reply = decide(engine, 10_000, customer="seven")
    found = explain_decision(engine.reader, reply.decision)
    assert (found.outcome, found.reasons, found.vanish, found.search) == ("approve", (), (), None)
    assert notice(found, "en") == []
    assert "  none" in lines(found)
    stricter = explain_decision(engine.reader, reply.decision, wanted="decline")
    assert [tuple(one) for one in stricter.search.found[0].changes] == [("amount_minor", 10_000, LIMIT_MINOR + 1)]


@pytest.mark.parametrize(
    ("language", "texts"),
    [
        ("en", ["Outcome: decline", "Rules that matched:", "is above “Largest amount of one request”", "alone: decline; without it: approve",
                "The outcome would change without amount_over_limit", "Smallest changes that give approve:", "amount_minor: 500700 → 500000",
                "For the customer:", "The principal reasons were:"]),
        ("zh", ["结果: decline", "命中的规则：", "高于“单笔申请金额上限”", "仅此理由：decline；无此理由：approve", "若无下列理由，结果会改变：amount_over_limit",
                "改为 approve 的最小改变：", "amount_minor: 500700 → 500000", "致客户：", "主要理由如下："]),
    ],
)  # fmt: skip
def test_it_is_told_in_two_languages(engine, language, texts):
    reply = decide(engine, LIMIT_MINOR + 700, customer=f"eight{language}")
    text = "\n".join(lines(explain_decision(engine.reader, reply.decision), language))
    for one in texts:
        assert one in text


def test_it_is_told_as_data(engine):
    reply = decide(engine, LIMIT_MINOR + 700, customer="nine")
    data = told(explain_decision(engine.reader, reply.decision))
    assert json.loads(json.dumps(data, default=str))["changes"]["found"] == [
        [{"name": "amount_minor", "was": 500_700, "would_be": 500_000}]
    ]
    assert data["would_have_to_vanish"] == [["amount_over_limit"]]
    assert data["reasons"][0]["rules"] == [{"table": "decline_reasons", "rule": 1}]


def test_which_inputs_may_change_comes_from_the_declarations(engine):
    asker = Asker(engine.state.program, "shop", "shop.request")
    assert changeable_inputs(asker) == [
        Changeable("amount_minor", 1, 1, 100_000_000),
        Changeable("customer_count_1d", 1, 0),
        Changeable("amount_to_mean", Decimal("0.01")),
    ]
    named = changeable_inputs(asker, change=["amount_to_mean_min"], fixed=["amount_minor"])
    assert [one.name for one in named] == ["customer_count_1d", "amount_to_mean", "amount_to_mean_min"]


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"wanted": "shrug"}, "there is no such outcome; was shrug; allowed: approve, review, decline"),
        ({"change": ["nothing"]}, "the policy has no such input; was nothing; allowed: amount_minor, "),
        ({"pack": "other"}, "this pack did not decide here; was other; allowed: shop"),
    ],
)  # fmt: skip
def test_what_cannot_be_explained_is_an_error(engine, more, text):
    reply = decide(engine, LIMIT_MINOR + 700, customer="ten")
    with pytest.raises(InputError, match=re.escape(text)):
        explain_decision(engine.reader, reply.decision, **more)


def test_a_late_decision_has_only_its_status(engine):
    [reply] = engine.submit([ask("late", customer="eleven", deadline_ms=1)])
    with pytest.raises(InputError, match="no policy took this decision, so there is nothing to explain but its status"):
        explain_decision(engine.reader, reply.decision)


def test_erased_and_missing_decisions_are_errors(tmp_path):
    engine = opened(tmp_path)
    [reply] = engine.submit([ask("a")])
    with pytest.raises(NotFound, match="there is no decision with this offset"):
        explain_decision(engine.reader, reply.decision - 1)
    engine.erase("party.customer", "anna")
    with pytest.raises(DataErased):
        explain_decision(engine.reader, reply.decision)
    engine.close()


def test_the_version_that_decided_explains_not_the_active_one(tmp_path):
    engine = Engine.open(tmp_path / "data", clock=HandClock())
    engine.activate(packs())
    [reply] = engine.submit([ask("a", LIMIT_MINOR + 1)])
    softer = shop_pack(("parameters/limits.toml", "value = 500_000", "value = 900_000"))
    engine.activate([read_packs()["party"], without_cases(softer)])
    assert explain_decision(engine.reader, reply.decision).outcome == "decline"
    engine.close()


def test_choices_and_yes_or_no_may_change_and_texts_may_not(tmp_path):
    field = 'urgent = {type = "boolean", optional = true}\nway = {type = "choice", choices = ["web", "desk"], optional = true}'
    changes = (
        (COMPLAINT[0], COMPLAINT[1], f"{COMPLAINT[1]}\n{field}"),
        ("policies/answer.dmn", '<inputData id="input_customer_count_1d"',
         "".join(f'<inputData id="input_{n}" name="{n}"><variable name="{n}" typeRef="{k}"/></inputData>'
                 for n, k in (("urgent", "boolean"), ("way", "string"), ("currency", "string")))
         + '<inputData id="input_customer_count_1d"'),
        ("policies/answer.dmn", '<requiredInput href="#input_amount_max_minor"/>',
         '<requiredInput href="#input_amount_max_minor"/></informationRequirement>'
         + "".join(f'<informationRequirement><requiredInput href="#input_{n}"/></informationRequirement>' for n in ("urgent", "way"))
         + '<informationRequirement><requiredInput href="#input_currency"/>'),
        ("policies/answer.dmn", "<text>&gt; amount_max_minor</text>",
         '<text>&gt; amount_max_minor or (urgent and way = "web" and currency = "EUR")</text>'),
    )  # fmt: skip
    cell = ("policies/answer.dmn", "&gt; amount_max_minor or (", "? &gt; amount_max_minor or (")
    engine = Engine.open(tmp_path / "data", clock=HandClock())
    engine.activate([read_packs()["party"], without_cases(shop_pack(*changes, cell))])
    data = {"time_ms": T0, "customer": "anna", "amount_minor": 5, "currency": "EUR", "urgent": True, "way": "web"}
    [reply] = engine.submit([Request("web", "a", "shop.request", json.dumps(data).encode())])
    found = explain_decision(engine.reader, reply.decision)
    assert {tuple(one.changes[0]) for one in found.search.found} == {("urgent", True, False), ("way", "web", "desk")}
    named = explain_decision(engine.reader, reply.decision, change=["currency"], fixed=["urgent", "way"])
    assert named.search.found == (), "no other currency stands in the policy"
    engine.close()


def test_values_as_people_read_them():
    assert shown([]) == "none"
    assert shown(None, "zh") == "缺失"
    assert (shown(True), shown(False, "zh")) == ("yes", "否")
    assert shown({"a": [1, None]}) == "a 1, missing"


def test_a_reason_of_an_expression_is_said_to_be_so(engine):
    """No rule gives it, so nothing can be taken away."""
    reply = decide(engine, LIMIT_MINOR + 700, customer="twelve")
    found = explain_decision(engine.reader, reply.decision)
    asker = Asker(engine.state.program, "shop", "shop.request")
    from quanheng.loading.policies import model_of

    given = {change.name: 1 for change in changeable_inputs(asker)}
    case = Case(
        model_of(asker.pack, asker.declared.policy), asker.flow.policy, given, lambda _: ("decline", ["own"]), ["approve", "decline"],
        {"own": {"en": "Own.", "zh": "自有。"}}, {},
    )  # fmt: skip
    own = explain(case)
    assert (own.reasons[0].alone, own.reasons[0].without, own.vanish) == (None, None, ())
    assert "given by an expression, not by a rule" in "\n".join(lines(own))
    assert notice(own, "zh") == ["决定结果为：decline。主要理由如下：", "1. 自有。"]
    assert found.search.runs > 0


def test_the_search_ends_with_its_budget(engine):
    reply = decide(engine, LIMIT_MINOR + 700, customer="thirteen")
    found = explain_decision(engine.reader, reply.decision)
    asker = Asker(engine.state.program, "shop", "shop.request")
    from quanheng.loading.policies import model_of

    model, policy = model_of(asker.pack, asker.declared.policy), asker.flow.policy
    given = dict.fromkeys((one.name for one in policy.inputs), 5) | {"amount_minor": 9, "amount_max_minor": 5}
    case = Case(
        model,
        policy,
        given,
        lambda j: (j.result["outcome"], j.result["reasons"]),
        ["approve", "review", "decline"],
        {},
        {},
    )
    ended = explain(case, changeable_inputs(asker), runs_max=2)
    assert (ended.search.runs, ended.search.complete) == (2, False)
    assert "(the search ended after 2 runs)" in "\n".join(lines(ended))
    assert found.search.complete
