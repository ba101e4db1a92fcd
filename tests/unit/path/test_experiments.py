"""An experiment in the durable path: what was drawn live is what replay, backtest and a reopened engine draw."""

from __future__ import annotations

import collections
import json

import pytest
from shop import DAY_MS, T0, HandClock, ask, shop

from quanheng.engine import Engine
from quanheng.features.experiments import arm_of
from quanheng.kernel.errors import DeclarationError
from quanheng.kernel.log.records import DECISION
from quanheng.loading import check_pack
from quanheng.loading.files import PackFiles, read_pack
from quanheng.loading.find import read_packs
from quanheng.loading.lineage import lineage
from quanheng.past.backtest import Settings, backtest
from quanheng.past.explaining import explain_decision
from quanheng.past.versions import Asked
from quanheng.replay import replay

TRIAL = """
[experiment.trial]
title = {en = "Nobody is asked twice", zh = "不再二次询问"}
never = {en = "Requests above the limit", zh = "超过上限的申请"}
of    = "party.customer"
by    = "customer"
salt  = "shop 1"
from  = 2026-01-01
until = 2026-02-01
arms  = {held_out = 0.2}
rest  = "treated"
"""
CASE = """
[[case]]
name  = "Whoever is held out goes to a person"
clock = 2026-01-15T10:00:00Z
arms  = {trial = "held_out"}

[[case.event]]
type   = "shop.request"
expect = {outcome = "review", reasons = ["too_many_requests"]}

[[case]]
name  = "When the trial is over nobody is held out"
clock = 2026-02-01T00:00:00Z
arms  = {trial = "held_out"}

[[case.event]]
type   = "shop.request"
expect = {outcome = "approve", reasons = []}
"""
INPUT = '<inputData id="input_amount_minor"'
DECISION_NEEDS = '<informationRequirement><requiredDecision href="#decline_reasons"/></informationRequirement>'
TRIAL_INPUT = '<inputData id="trial" name="trial"><variable name="trial" typeRef="string"/></inputData>'
TRIAL_NEEDED = '<informationRequirement><requiredInput href="#trial"/></informationRequirement>'
OUTCOME = 'if decline_reasons != null then "decline" else if review_reasons != null'
REASONS = "if review_reasons = null then []"


def tried(share: str = "0.2", salt: str = "shop 1") -> PackFiles:
    """The shop, which sends whoever is held out to a person."""
    files = dict(
        shop(
            ("policies/answer.dmn", INPUT, TRIAL_INPUT + INPUT),
            ("policies/answer.dmn", DECISION_NEEDS, DECISION_NEEDS + TRIAL_NEEDED),
            ("policies/answer.dmn", OUTCOME, f'{OUTCOME} or trial = "held_out"'),
            ("policies/answer.dmn", REASONS, f'if trial = "held_out" then ["too_many_requests"] else {REASONS}'),
        ).files
    )  # fmt: skip
    files["experiments.toml"] = TRIAL.replace("0.2", share).replace("shop 1", salt).encode()
    files["cases/trial.toml"] = b'[default."shop.request"]\ncustomer = "anna"\namount_minor = 100\ncurrency = "EUR"\n'
    files["cases/trial.toml"] += CASE.encode()
    return read_pack(files, "shop")


@pytest.fixture(scope="module")
def history(tmp_path_factory):
    folder = tmp_path_factory.mktemp("experiments")
    clock = HandClock(T0 + 1_000)
    engine = Engine.open(folder / "data", clock=clock)
    engine.activate([read_packs()["party"], tried()])
    engine.submit([ask(f"r{n}", 1_000, customer=f"c{n}", at=T0 + n) for n in range(400)])
    clock.now_ms = T0 + 21 * DAY_MS
    engine.submit([ask(f"late{n}", 1_000, customer=f"c{n}", at=T0 + 20 * DAY_MS) for n in range(40)])
    engine.close()
    engine = Engine.open(folder / "data", clock=clock)
    yield engine
    engine.close()


def decisions(engine: Engine) -> list[dict]:
    offsets = [offset for offset in range(engine.log.head) if engine.log.record(offset).kind == DECISION]
    return [engine.reader.decision(offset) for offset in offsets]


def key_of(engine: Engine, row: dict) -> bytes:
    return engine.reader.ring.pseudonym("party.customer", json.loads(bytes(row["event"]["data"]))["customer"])


def test_what_was_drawn_is_recorded_and_follows_from_the_pseudonym_alone(history):
    rows = decisions(history)
    assert len(rows) == 440
    for row in rows:
        key = key_of(history, row)
        drawn = None
        if row["time_ms"] < T0 + 15 * DAY_MS:
            drawn = ("held_out", "treated")[arm_of(key, b"shop 1", (2000,))]
        assert row["sources"] == {"shop.trial": drawn}
        assert row["outcome"] == ("review" if drawn == "held_out" else "approve")
    counts = collections.Counter(row["sources"]["shop.trial"] for row in rows[:400])
    assert 50 <= counts["held_out"] <= 110  # 80 are expected, with a standard deviation of 8.
    assert counts["treated"] == 400 - counts["held_out"]


def test_replay_and_rebuilt_backtest_draw_the_same(history):
    for row in decisions(history)[::40]:
        assert replay(history.reader, None, row["decision"]).same
    for rebuilt in (False, True):
        found = backtest(
            history.reader,
            read_packs(),
            Settings("shop", Asked("active", None), Asked("recorded", None), rebuilt=rebuilt),
        )
        assert (found["changed"], found["decisions"]) == (0, 440)


@pytest.mark.parametrize("columns", [True, False])
def test_a_larger_share_adds_subjects_and_loses_none(history, tmp_path, columns):
    for file, content in tried("0.4").files.items():
        (tmp_path / "more" / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "more" / file).write_bytes(content)
    asked = Settings("shop", Asked(str(tmp_path / "more"), None), Asked("recorded", None), columns=columns)
    found = backtest(history.reader, read_packs(), asked)
    keys = [key_of(history, row) for row in decisions(history)[:400]]
    more = sum(arm_of(key, b"shop 1", (4000,)) == 0 and arm_of(key, b"shop 1", (2000,)) == 1 for key in keys)
    assert found["changed"] == more > 40
    assert found["outcomes"][:2] == ["approve", "review"]
    assert (found["matrix"][0][1], found["matrix"][1][0]) == (more, 0)


def test_an_arm_is_never_proposed_as_a_change(history):
    row = next(one for one in decisions(history) if one["outcome"] == "review")
    found = explain_decision(history.reader, row["decision"])
    assert found.search is not None
    assert "trial" not in {change.name for one in found.search.found for change in one.changes}


def test_lineage_leads_from_the_key_to_the_decision():
    declared, problems = check_pack(tried(), read_packs())
    assert problems == ()
    node = lineage(declared)["trial"]
    assert (node.kind, node.text) == ("experiment", "held_out 20 %, else treated; drawn by customer")
    assert node.made_of == ("shop.request.customer",)
    assert node.used_by == ("answer.answer",)


def test_a_model_or_a_formula_cannot_read_an_arm():
    files = dict(tried().files)
    files["features.toml"] += b'\n[[formula]]\nname = "more"\nfeel = "trial + 1"\ntype = "float"\n'
    _, problems = check_pack(read_pack(files, "shop"), read_packs())
    assert any("trial" in str(one) for one in problems)


def test_a_case_of_the_wrong_arm_hinders_the_activation(tmp_path):
    files = dict(tried().files)
    files["cases/trial.toml"] = files["cases/trial.toml"].replace(b'arms  = {trial = "held_out"}', b"", 1)
    engine = Engine.open(tmp_path / "data", clock=HandClock())
    with pytest.raises(DeclarationError, match="Whoever is held out goes to a person"):
        engine.activate([read_packs()["party"], read_pack(files, "shop")])
    engine.close()
