# ruff: noqa: E501  (texts under test stand whole, on one line)
"""A policy that imports other DMN files: of its own pack, and of a pack that it requires."""

from __future__ import annotations

import polars as pl
import pytest
from shop import LIMIT_MINOR, ask, opened, packs
from test_two_packs import second

from quanheng.decisions.columnar import compile_columns
from quanheng.kernel.errors import DeclarationError
from quanheng.loading.files import PackFiles, read_pack
from quanheng.loading.find import read_packs
from quanheng.loading.new import starter_files
from quanheng.loading.pack import check_pack
from quanheng.loading.policies import model_of
from quanheng.past.differences import compare
from quanheng.past.explaining import explain_decision
from quanheng.past.versions import book_of, flow_on
from quanheng.replay import replay

DMN = "https://www.omg.org/spec/DMN/20230324/MODEL/"
OWN, LIMITS = "urn:quanheng:shop:answer", "urn:quanheng:shop:limits"


def split() -> dict[str, str]:
    """The starter's policy in two files: what speaks against a request in `limits.dmn`, the answer in `answer.dmn`."""
    whole = starter_files("shop")["policies/answer.dmn"].decode()
    head, answer = whole.split('<decision id="answer"')
    limits = head.replace(OWN, LIMITS) + "</definitions>"
    for name in ("decline_reasons", "review_reasons"):
        answer = answer.replace(f'href="#{name}"', f'href="{LIMITS}#{name}"')
        answer = answer.replace(f"if {name}", f"if limits.{name}").replace(f"else {name}", f"else limits.{name}")
    start = f'<definitions xmlns="{DMN}" id="a" name="answer" namespace="{OWN}"><import name="limits" namespace="{LIMITS}" importType="{DMN}"/>'
    types = '<itemDefinition name="reason_codes" isCollection="true"><typeRef>string</typeRef></itemDefinition>'
    return {"policies/limits.dmn": limits, "policies/answer.dmn": f'{start}{types}<decision id="answer"{answer}'}


def shop_of(**changes: str) -> PackFiles:
    """The pack `shop` with the two files; a change names a policy."""
    files = {**starter_files("shop"), **{name: text.encode() for name, text in split().items()}}
    return read_pack({**files, **{f"policies/{name}.dmn": text.encode() for name, text in changes.items()}}, "shop")


def problems_of(pack: PackFiles) -> list[str]:
    return [str(one) for one in check_pack(pack, read_packs())[1]]


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    folder = tmp_path_factory.mktemp("imports")
    engine = opened(folder)
    engine.activate([*packs()[:1], shop_of()])
    yield engine
    engine.close()


def test_the_pack_is_sound_and_decides_as_the_one_file_did(engine):
    assert problems_of(shop_of()) == []
    [over, under] = engine.submit([ask("over", LIMIT_MINOR + 1), ask("under", 100, customer="bob")])
    assert (over.outcome, list(over.reasons), under.outcome) == ("decline", ["amount_over_limit"], "approve")
    for step in ("decline_reasons", "review_reasons", "answer"):
        assert step in str(engine.decision(over.decision)["opinions"])
    assert replay(engine.reader, None, over.decision).same


def test_what_is_imported_is_explained_and_its_rules_have_words(engine):
    [reply] = engine.submit([ask("explained", LIMIT_MINOR + 700, customer="eve")])
    found = explain_decision(engine.reader, reply.decision)
    assert [(one.table, one.text) for one in found.matched] == [
        ("decline_reasons", 'amount_minor: > amount_max_minor -> "amount_over_limit"')
    ]
    assert [tuple(one) for one in found.search.found[0].changes] == [("amount_minor", LIMIT_MINOR + 700, LIMIT_MINOR)]
    declared = engine.state.program.packs["shop"]
    assert [(one.table, one.number) for one in book_of(declared, flow_on(declared))] == [
        ("decline_reasons", 1),
        ("review_reasons", 1),
        ("review_reasons", 2),
    ]


def test_whole_columns_go_through_imports(engine):
    columns = compile_columns(model_of(engine.state.program.packs["shop"], "answer"), "answer")
    known = {one.name: [1] for one in columns.inputs} | {"amount_minor": [5], "amount_max_minor": [4]}
    assert columns.run(pl.DataFrame(known))["answer"].to_list()[0]["outcome"] == "decline"


def test_a_change_of_the_imported_file_is_another_version_and_is_told_in_words(engine, tmp_path):
    before = engine.reader.activated(engine.state.program.activation).packs["shop"]
    changed = split()["policies/limits.dmn"].replace("&gt; amount_max_minor", "&gt;= amount_max_minor")
    folder = tmp_path / "shop"
    for name, content in shop_of(limits=changed).files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    assert [str(one) for one in compare(engine.reader, read_packs(), "active", str(folder), "shop").changes] == [
        "policies/limits.dmn, decline_reasons rule 1: amount_minor: > amount_max_minor becomes >= amount_max_minor"
    ]
    proposal = engine.propose([shop_of(limits=changed)])
    assert proposal.activated.packs["shop"] != before


def test_inputs_of_one_name_are_one_in_whichever_files_they_stand(engine):
    """Both files declare `amount_minor`: the event brings it once."""
    both = split()["policies/answer.dmn"].replace(
        '<decision id="answer"',
        '<inputData id="m" name="amount_minor"><variable name="amount_minor" typeRef="number"/></inputData>'
        '<decision id="answer"',
    )
    both = both.replace(
        '<variable name="answer"/>',
        '<variable name="answer"/><informationRequirement><requiredInput href="#m"/></informationRequirement>',
    ).replace("limits.decline_reasons != null", "limits.decline_reasons != null or amount_minor = 77")
    assert problems_of(shop_of(answer=both)) == []
    engine.activate([shop_of(answer=both)])
    replies = engine.submit([ask("77", 77, customer="c"), ask("78", 78, customer="c"), ask("big", LIMIT_MINOR + 1)])
    assert [one.outcome for one in replies] == ["decline", "approve", "decline"]
    engine.activate([shop_of()])


def test_a_policy_imports_of_a_pack_that_its_own_requires(engine):
    files = dict(second().files)
    text = files["policies/look.dmn"].decode()
    text = text.replace(
        "<inputData",
        f'<import name="shop limits" namespace="{LIMITS}" importType="{DMN}"/><inputData',
    ).replace(
        "<context>",
        f'<informationRequirement><requiredDecision href="{LIMITS}#decline_reasons"/></informationRequirement><context>',
    )
    text = text.replace('if odd(amount_minor) then "review"', 'if shop limits.decline_reasons != null then "decline"')
    files["policies/look.dmn"] = text.encode()
    with pytest.raises(DeclarationError) as caught:
        engine.propose([read_pack(files, "second")])
    # Its inputs are asked of the pack that decides: a threshold of the other pack is not known here.
    told = [str(one) for one in caught.value.problems]
    assert told == [
        "second/policies/look.dmn: amount_max_minor: the policy asks for an input that nothing provides for shop.request; was 'amount_max_minor'; allowed: amount_minor, currency, customer, time_ms. Did you mean 'amount_minor'?"
    ]
    files["parameters/limits.toml"] = (
        b'[parameter.amount_max_minor]\ntitle = {en = "a", zh = "b"}\nunit = "minor"\n'
        b'values = [{from = 2020-01-01, value = 50, source = "x"}]\n'
    )
    without_cases = {name: data for name, data in shop_of().files.items() if not name.startswith("cases/")}
    engine.activate([read_pack(without_cases, "shop"), read_pack(files, "second")])
    [reply] = engine.submit([ask("fifty one", 51, customer="d")])
    assert reply.outcome == "decline"
    assert replay(engine.reader, None, reply.decision).same


def test_what_is_not_at_hand_and_circles_are_problems_with_their_place():
    alone = {name: data for name, data in shop_of().files.items() if name != "policies/limits.dmn"}
    assert problems_of(read_pack(alone, "shop"))[0] == (
        "policies/answer.dmn: import limits: the imported model is not at hand; was urn:quanheng:shop:limits. Hand the imported file over with the model (in a pack: policies/ of it or of a pack it requires)."
    )
    circle = split()["policies/limits.dmn"].replace(
        "<inputData", f'<import name="back" namespace="{OWN}" importType="{DMN}"/><inputData', 1
    )
    found = problems_of(shop_of(limits=circle))
    assert [one.split("; allowed")[0] for one in found if "circle" in one] == [
        "policies/limits.dmn: import back: models import each other in a circle; was urn:quanheng:shop:answer -> urn:quanheng:shop:limits -> urn:quanheng:shop:answer",
        "policies/answer.dmn: import limits: models import each other in a circle; was urn:quanheng:shop:limits -> urn:quanheng:shop:answer -> urn:quanheng:shop:limits",
    ]
    twice = problems_of(shop_of(again=split()["policies/limits.dmn"]))
    assert twice[0].startswith(
        "policies/answer.dmn: import limits: several files have the namespace that is imported; was policies/again.dmn, policies/limits.dmn"
    )
