"""Protected attributes are no inputs of models and decisions, whichever way they come in; [monitoring] is checked."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "models" / "monitoring"))
from watched import MONITORING, card_pack, risk_pack

from quanheng.loading import check_pack
from quanheng.loading.files import PackFiles, read_pack
from quanheng.loading.find import read_packs
from quanheng.models.monitoring.alarms import MODEL_ALARM


def changed(pack: PackFiles, *changes: tuple[str, str, str]) -> list[str]:
    files = dict(pack.files)
    for file, old, new in changes:
        text = files[file].decode()
        assert old in text
        files[file] = text.replace(old, new, 1).encode()
    return [str(one) for one in check_pack(read_pack(files, pack.label), read_packs())[1]]


AMOUNT = 'min = 1, max = 100_000_000_000, class = "financial", title = {en = "Amount in minor units"'
PROTECTED = AMOUNT.replace("financial", "protected")


def test_a_protected_field_is_refused_in_models_and_policies_and_so_is_what_is_computed_from_it():
    found = changed(read_packs()["card_fraud"], ("events.toml", AMOUNT, PROTECTED))
    of_model = [one for one in found if one.startswith("models/fraud.toml: model.inputs: a protected attribute")]
    assert any("amount_minor" in one for one in of_model)
    assert any("customer_mean_7d" in one for one in of_model), "a mean of it is as protected as it is"
    assert any("policies/authorise.dmn" in one and "is no input of a decision" in one for one in found)


def test_a_protected_field_that_nothing_reads_may_stay_in_the_event():
    field = (
        '\nsex = {type = "choice", choices = ["f", "m", "x"], optional = true, appended = true, class = "protected"}\n'
    )
    pack = read_packs()["card_fraud"]
    heading = '[event."card.payment".fields]'
    assert changed(pack, ("events.toml", heading, heading + field)) == []


def test_a_watched_model_gives_its_pack_the_event_of_alarms():
    declared, problems = check_pack(card_pack(), read_packs())
    assert not problems
    assert MODEL_ALARM in [one.name for one in declared.events]
    assert MODEL_ALARM not in [one.name for one in check_pack(read_packs()["card_fraud"], read_packs())[0].events]
    assert not check_pack(risk_pack(), read_packs())[1]


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        (
            'window = "7d"',
            'window = "7d"\npsi = [0.3, 0.2]',
            "models/fraud.toml: monitoring.psi: the two limits do not rise",
        ),
        ('label_time = "time_ms"', 'label_time = "amount_minor"', "has no such time field; was 'amount_minor'"),
        ('event = "card.case_decided"', 'event = "card.case"', "no such event is declared; was 'card.case'"),
        ('decision = "decision"', 'decision = "verdict"', "has no such field; was 'verdict'"),
        ('window = "7d"', 'window = "7d"\napproved = ["yes"]', "no such outcome is declared; was 'yes'"),
    ],
)
def test_monitoring_that_cannot_be_is_a_problem_of_the_pack(old, new, text):
    assert old in MONITORING
    found = [str(one) for one in check_pack(card_pack(MONITORING.replace(old, new, 1)), read_packs())[1]]
    assert len(found) == 1
    assert text in found[0]


def test_a_reference_of_other_weights_or_inputs_is_a_problem():
    bins = b'{"name":"score","kind":"number","counts":[1,0]}'
    content = b'{"model":"fraud_score","weights":"sha256:1","source":"s","rows":1,"events":0,"mean_score":0.5,'
    content += b'"score":' + bins + b',"inputs":[' + bins + b"]}"
    pack = card_pack(**{"models__fraud_score.reference.json": content})
    found = [str(one) for one in check_pack(pack, read_packs())[1]]
    assert any("the reference is of other weights; was 'sha256:1'" in one for one in found)
    assert any("the reference has other inputs than the model" in one for one in found)
    broken = card_pack(**{"models__fraud_score.reference.json": b"[]"})
    assert any("the file holds no reference" in str(one) for one in check_pack(broken, read_packs())[1])


def test_no_pack_declares_the_events_of_the_platform():
    events = (
        '[event."model.seen"]\ntitle = {en = "a", zh = "a"}\n[event."model.seen".fields]\ntime_ms = {type = "time"}\n'
    )
    files = {**risk_pack().files, "events.toml": events.encode()}
    assert any("are the platform's own" in str(one) for one in check_pack(read_pack(files, "model_risk"), {})[1])
