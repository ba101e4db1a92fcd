"""A model from draft to champion and back over a real log: what the registry says of it, and what is refused."""

from __future__ import annotations

import json

import pytest
from rated import ABOUT, model_folder, rated_engine, rated_files, stump
from shop import DAY_MS, HandClock

from quanheng.decisions.versions import Move
from quanheng.events.intake import Request
from quanheng.governing import Asked
from quanheng.kernel.errors import DeclarationError, InputError, NotFound, NotPermitted
from quanheng.registering import model_read
from quanheng.replay import replay

AMOUNT = 350_000
"""Declined by the model in force, whose stump is at 300,000; approved by one at 400,000."""
WHO = {"draft": "ann", "submit": "ann", "shadow": "ann", "retire": "ann"}


@pytest.fixture
def engine(tmp_path):
    engine = rated_engine(tmp_path)
    yield engine
    engine.close()


def take(engine, step: str, actor: str = "", version: str = "", **more: object) -> Move:
    """One step, each at a moment of its own."""
    engine.writer.clock.now_ms += 1_000
    more.setdefault("reason", f"because {step}")
    return engine.take_step(engine.propose_step(Asked(step, actor or WHO.get(step, "bo"), "rated", version, **more)))


def drafted(engine, threshold: float = 400_000, *, upto: str = "approve", **more: object) -> str:
    """The hash of a version with another model, which ann drafted and bo approved."""
    hash = take(engine, "draft", files=model_folder(threshold, **more), model="risk_score").hash
    for step in ("submit", "approve") if upto != "draft" else ():
        take(engine, step, version=hash)
        if step == upto:
            break
    return hash


def pay(engine, prefix: str, customers: int = 1, amount: int = AMOUNT) -> list[str]:
    """Outcomes of one request of each customer, two days after the last: a fourth within a day is another rule's."""
    engine.writer.clock.now_ms += 2 * DAY_MS
    data = {"time_ms": engine.writer.clock.now_ms, "amount_minor": amount, "currency": "EUR"}
    requests = [
        Request("web", f"{prefix}{n}", "rated.request", json.dumps({**data, "customer": f"c{n}"}).encode(), 0)
        for n in range(customers)
    ]
    return [reply.outcome for reply in engine.submit(requests)]


def asked(engine, operation: str = "models", **arguments: str):
    return model_read(engine.state, engine.reader, engine.models, operation, arguments)


def states(engine) -> dict[str, str]:
    """Digits of each model's hash → where it stands."""
    return {one["hash"][7:15]: one["status"] for one in asked(engine)["models"]}


FIRST, SECOND = (stump(one).hash[7:15] for one in (300_000, 400_000))


def test_a_model_walks_from_draft_to_champion_and_back(engine):
    assert (states(engine), pay(engine, "a")) == ({FIRST: "champion"}, ["decline"])
    hash = drafted(engine, upto="draft")
    assert states(engine) == {FIRST: "champion", SECOND: "draft"}
    for step, state in (("submit", "review"), ("approve", "reviewed"), ("shadow", "shadow")):
        take(engine, step, version=hash)
        assert states(engine) == {FIRST: "champion", SECOND: state}
    assert pay(engine, "s") == ["decline"]
    take(engine, "share", version=hash, share_bp=3_000)
    first, again = pay(engine, "x", 40), pay(engine, "y", 40)
    assert first == again, "the same subject falls to the same arm"
    assert 4 <= first.count("approve") <= 25
    (challenger,) = (one for one in asked(engine)["models"] if one["status"] == "share")
    assert (challenger["share_bp"], challenger["title"]) == (3_000, {"en": "challenger", "zh": "挑战者"})
    take(engine, "promote", version=hash)
    assert (states(engine), pay(engine, "p")) == ({FIRST: "retired", SECOND: "champion"}, ["approve"])
    take(engine, "roll_back", actor="carl")
    assert (states(engine), pay(engine, "r")) == ({FIRST: "champion", SECOND: "retired"}, ["decline"])
    for offset in range(0, engine.log.head, 3):
        if engine.log.record(offset).kind == 2:
            assert replay(engine.reader, None, offset).same


def test_the_registry_says_who_proposed_and_approved_and_since_when(engine):
    hash = drafted(engine)
    take(engine, "promote", version=hash, actor="eva", reason="better out of time")
    promoted_ms = engine.writer.clock.now_ms
    shown = asked(engine, "model_show", pack="rated", model="risk_score")
    assert (shown["hash"][7:15], shown["version"], shown["proposed_by"]) == (SECOND, hash, ["ann"])
    assert shown["approved_by"] == ["bo", "eva"]
    assert [(one["step"], one["actor"], one["reason"]) for one in shown["approvals"]] == [
        ("approve", "bo", "because approve"),
        ("promote", "eva", "better out of time"),
    ]
    assert shown["in_force"] == [{"from_ms": promoted_ms, "until_ms": None}]
    before = asked(engine, "model_show", pack="rated", model="risk_score", version=FIRST)
    assert (before["installed_by"], before["in_force"][0]["until_ms"]) == (["key holder"], promoted_ms)
    assert {(use["kind"], use["name"]) for use in shown["used_by"]} == {("decision", "answer.answer")}
    steps = asked(engine, "model_history", pack="rated", model="risk_score")["steps"]
    assert [step["step"] for step in steps] == ["install", "draft", "submit", "approve", "promote"]


def test_a_policy_change_brings_no_model_and_the_model_stays_champion(engine):
    files = {name: data for name, data in rated_files().items() if not name.startswith("models/")}
    limits = next(name for name in files if name.startswith("parameters/"))
    changed = {limits: files[limits].replace(b"value = 500_000", b"value = 450_000")}
    hash = take(engine, "draft", files=changed, base="active").hash
    (one,) = asked(engine)["models"]
    assert (one["status"], one["versions"], one["proposed_by"]) == ("champion", [one["version"], hash], [])
    for step in ("submit", "approve", "promote"):
        take(engine, step, version=hash)
    (one,) = asked(engine)["models"]
    assert (one["version"], len(one["in_force"]), one["in_force"][0]["until_ms"]) == (hash, 1, None)


def test_what_people_say_of_a_model_stays_when_it_is_trained_again(engine):
    drafted(engine)
    shown = asked(engine, "model_show", pack="rated", model="risk_score", version=SECOND)
    assert (shown["about"]["owner"], shown["lacks"]) == ("Credit risk models", [])


def test_two_cards_are_compared_on_the_same_rows(engine):
    drafted(engine, 351_000)
    found = asked(engine, "model_compare", pack="rated", model="risk_score", before="active", after=stump(351_000).hash)
    first, second = (found["metrics"][0][side]["value"] for side in ("before", "after"))
    assert found["auc"]["value"] == pytest.approx(second - first, abs=1e-6)
    assert found["auc"]["low"] > 0
    assert found["verdict"]["en"] == "the second ranks better on these rows"
    assert (found["inputs"]["same"], found["why_no_auc"]) == (True, "")


def test_cards_of_other_rows_have_no_difference(engine):
    drafted(engine, seed=2)
    found = asked(engine, "model_compare", pack="rated", model="risk_score", before="active", after=SECOND)
    assert (found["auc"], found["why_no_auc"]) == (None, "the two were not measured on the same rows")


def test_a_model_is_not_compared_with_itself(engine):
    with pytest.raises(InputError, match="a model is compared with another"):
        asked(engine, "model_compare", pack="rated", model="risk_score", before="active", after="active")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"pack": "rated", "model": "risk"}, "there is no such model here; was"),
        ({"pack": "rated", "model": "risk_score", "version": "0123456789"}, "no model begins like that"),
        ({"pack": "rated", "model": "risk_score", "version": "ab"}, "Give at least 8 digits"),
    ],
)
def test_a_model_that_is_not_there_is_refused_with_those_that_are(engine, arguments, text):
    with pytest.raises(NotFound) as error:
        asked(engine, "model_show", **arguments)
    assert text.partition(";")[0] in str(error.value)
    assert "rated risk_score" in str(error.value)


# -- cards


def test_a_version_whose_card_says_too_little_is_not_submitted(engine):
    hash = take(engine, "draft", files=model_folder(400_000, limits=(), population=""), model="risk_score").hash
    with pytest.raises(DeclarationError, match="cannot take step submit: a card says too little") as error:
        take(engine, "submit", version=hash)
    assert {(one.file, one.key) for one in error.value.problems} == {
        ("models/risk.toml", "card.population"),
        ("models/risk.toml", "card.limits"),
    }
    assert all(one.cure for one in error.value.problems)


def test_a_card_of_a_model_in_force_may_say_little_while_others_change(tmp_path):
    engine = rated_engine(tmp_path)
    poor = model_folder(300_000, about=ABOUT, limits=())
    engine.activate([_laid(poor)])
    changed = {"README.md": b"# rated\n\nFor whom: a test. Law: none. Data: none. Measured quality: none.\n"}
    hash = take(engine, "draft", files=changed, base="active").hash
    for step in ("submit", "approve", "promote"):
        take(engine, step, version=hash)
    assert engine.state.versions.champion("rated").hash == hash
    engine.close()


def _laid(folder):
    from quanheng.loading.files import read_pack

    return read_pack({**rated_files(), **{f"models/{name}": data for name, data in folder.items()}}, "rated")


@pytest.mark.parametrize(
    ("changes", "key", "message"),
    [
        ({"model": "other"}, "card.model", "the card is of another model"),
        ({"weights_bytes": 7}, "card.weights_bytes", "the card is of other weights"),
        ({"evidence": "gone.evidence"}, "card.evidence", "the evidence is not in the pack's folder models/"),
        ({"evidence_hash": "sha256:" + "1" * 64}, "card.evidence_hash", "the evidence is not the one of the card"),
    ],
)
def test_a_card_that_does_not_hold_together_is_not_drafted(engine, changes, key, message):
    with pytest.raises(DeclarationError) as error:
        take(engine, "draft", files=model_folder(400_000, **changes), model="risk_score")
    assert (f"rated/{'models/risk.toml'}", key, message) in [one[:3] for one in error.value.problems]


def test_weights_whose_hash_differs_are_not_drafted(engine):
    files = {**model_folder(400_000), "risk.trees": stump(410_000).to_bytes()}
    with pytest.raises(DeclarationError, match="the weights file is not the one that was trained"):
        take(engine, "draft", files=files, model="risk_score")


def test_other_inputs_must_be_declared(engine):
    files = model_folder(400_000)
    files["risk.toml"] = files["risk.toml"].replace(b"customer_count_1d", b"customer_age_years")
    with pytest.raises(DeclarationError, match="no such fold, formula, number or choice field is declared"):
        take(engine, "draft", files=files, model="risk_score")


def test_a_folder_of_another_model_is_refused(engine):
    with pytest.raises(NotFound, match="the pack has no such model"):
        take(engine, "draft", files=model_folder(), model="other_score")
    files = model_folder()
    files["risk.toml"] = files["risk.toml"].replace(b'name = "risk_score"', b'name = "other"')
    with pytest.raises(InputError, match="the folder declares no model of this name; was other; allowed: risk_score"):
        take(engine, "draft", files=files, model="risk_score")


def test_whoever_drafted_a_model_never_promotes_it(engine):
    hash = drafted(engine)
    with pytest.raises(NotPermitted, match="whoever drafted or submitted a version cannot take this step"):
        take(engine, "promote", actor="ann", version=hash)
    assert states(engine)[FIRST] == "champion"


def test_a_restart_knows_the_same_models(tmp_path):
    clock = HandClock()
    engine = rated_engine(tmp_path, clock)
    hash = drafted(engine)
    take(engine, "share", version=hash, share_bp=2_000)
    told, outcomes = asked(engine), pay(engine, "a", 30)
    engine.close()
    engine = rated_engine(tmp_path, clock)
    assert asked(engine) == told
    assert pay(engine, "b", 30) == outcomes
    engine.close()


def test_digits_that_mean_several_models_are_refused():
    from quanheng.models.registry.filed import FiledModel
    from quanheng.registering import Entry, find

    models = [FiledModel(file="models/a.toml", name="a", hash=f"sha256:{'ab' * 31}{end}") for end in ("00", "11")]
    with pytest.raises(NotFound, match="several models begin like that; was abababab"):
        find([Entry("rated", one) for one in models], "rated", "a", "abababab")
