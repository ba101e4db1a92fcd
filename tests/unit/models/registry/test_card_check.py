# ruff: noqa: E501  (rows of tables stand whole, on one line)
"""What is wrong with a card when a pack is loaded, and what it lacks for a promotion: each with file, key and cure."""

from __future__ import annotations

import base64
import sys
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

sys.path.insert(0, str(Path(__file__).parents[2] / "path"))
from rated import ABOUT, card_of, evidence, model_folder, stump

from quanheng.models.card import Figure, Window
from quanheng.models.registry.card_check import lacking, loading_problems, promotion_problems
from quanheng.models.registry.evidence import evidence_of, read_evidence
from quanheng.models.registry.filed import filed_model, filed_models

TREES = stump(300_000)
WEIGHTS, EVIDENCE = TREES.to_bytes(), evidence(TREES)
CONTENTS = {"models/risk.evidence": EVIDENCE.to_bytes()}
FILE = "models/risk.toml"


def settings(**changes: object) -> dict[str, object]:
    card = msgspec.to_builtins(card_of(TREES, EVIDENCE, **changes))
    return {"card": card}


def loading(found: dict[str, object], contents: dict[str, bytes] = CONTENTS, weights: bytes | None = WEIGHTS):
    return [(one.key, one.message) for one in loading_problems(FILE, found, "risk_score", weights, contents)]


def test_a_card_that_was_measured_holds_together():
    assert loading(settings()) == []
    assert loading({}) == []


FAR = Figure(0.7, 0.8, 0.6)


@pytest.mark.parametrize(
    ("changes", "key", "message"),
    [
        ({"model": "x"}, "card.model", "the card is of another model"),
        ({"weights_bytes": 1}, "card.weights_bytes", "the card is of other weights"),
        ({"train": Window("2025-13-01", "2025-07-01", 4, 1)}, "card.train.since", "the day cannot be read"),
        ({"train": Window("2025-07-01", "2025-07-01", 4, 1)}, "card.train", "the window ends before it begins"),
        ({"train": Window("", "", 4, 5)}, "card.train.positives", "there are more positives than rows, or fewer than none"),
        ({"metrics": {"ks": FAR}}, "card.metrics.ks", "the interval is none"),
        ({"fairness": {"women": {"auc_roc": FAR}}}, "card.fairness.women.auc_roc", "the interval is none"),
        ({"evidence_hash": "sha256:0"}, "card.evidence_hash", "the evidence is not the one of the card"),
        ({"metrics": {"auc_roc": Figure(0.99, 0.98, 1.0)}}, "card.metrics.auc_roc", "the evidence gives another figure"),
        ({"test": Window("", "", 7, 1)}, "card.test", "the evidence is of another test window"),
    ],
)  # fmt: skip
def test_what_does_not_hold_together_is_a_problem(changes, key, message):
    assert (key, message) in loading(settings(**changes))


def test_evidence_that_is_missing_cut_or_changed_is_a_problem():
    assert loading(settings(), {}) == [("card.evidence", "the evidence is not in the pack's folder models/")]
    cut = CONTENTS["models/risk.evidence"][:-5]
    assert loading(settings(), {"models/risk.evidence": cut}) == [("card.evidence", "the evidence was changed or cut")]
    assert loading(settings(), {"models/risk.evidence": b"x"}) == [("card.evidence", "not a file of evidence")]


def test_bytes_behind_the_evidence_are_found():
    import hashlib

    body = EVIDENCE.to_bytes()[:-32] + b"more"
    with pytest.raises(Exception, match="the evidence was changed or cut"):
        read_evidence(body + hashlib.sha256(body).digest())


def test_more_rows_than_travel_are_refused(monkeypatch):
    monkeypatch.setattr("quanheng.models.registry.evidence.ROWS_MAX", 3)
    with pytest.raises(Exception, match="these are more rows than travel with a pack; was 4 rows; allowed: at most 3"):
        evidence_of(range(4), EVIDENCE.labels[:4], EVIDENCE.scores[:4])


def test_a_card_of_the_wrong_shape_names_the_place():
    found = settings()
    found["card"]["train"]["rows"] = "many"
    (problem,) = loading_problems(FILE, found, "risk_score", WEIGHTS, CONTENTS)
    assert (problem.key, problem.message) == ("card.train.rows", "the card does not fit: expected `int`, got `str`")
    (problem,) = loading_problems(FILE, {"about": {"owner": 7}}, "risk_score", WEIGHTS, CONTENTS)
    assert (problem.key, problem.cure) == ("about.owner", "Write texts.")


# -- enough for a promotion


def model(about: str = ABOUT, **changes: object):
    return filed_model(FILE, model_folder(300_000, about=about, **changes)["risk.toml"])


def test_a_whole_card_lacks_nothing():
    assert list(lacking(model())) == []


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"data": " "}, "card.data"),
        ({"population": ""}, "card.population"),
        ({"metrics": {}}, "card.metrics"),
        ({"limits": ()}, "card.limits"),
        ({"data_digest": "md5:1"}, "card.data_digest"),
        ({"metrics": {"auc_roc": Figure(0.9, 0.6, 0.8)}}, "card.metrics.auc_roc"),
        ({"train": Window("2025-01-01", "2025-02-01", 0, 0)}, "card.train.rows"),
        ({"test": Window("", "", 10, 1)}, "card.test"),
        ({"test": Window("2025-01-08", "2025-10-01", 10, 1)}, "card.test.since"),
    ],
)
def test_what_a_card_lacks_is_named_with_its_cure(changes, key):
    found = {one.key: one for one in lacking(model(**changes))}
    assert key in found
    assert found[key].cure
    assert found[key].file == FILE


def test_nobody_answers_for_a_model_without_the_words_about_it():
    found = {one.key for one in lacking(model(about=""))}
    assert found == {"about.owner", "about.intended_use", "about.retraining", "card.fairness"}
    measured = {"under 25": {"auc_roc": Figure(0.7, 0.6, 0.8)}}
    assert "card.fairness" not in {one.key for one in lacking(model(about="", fairness=measured))}


def test_a_model_without_a_card_lacks_the_card():
    bare = filed_model(FILE, b'[model]\nname = "risk_score"\nhash = "sha256:1"\n')
    assert [(one.key, one.message) for one in lacking(bare)] == [("card", "the model has no card")]


def test_only_models_that_take_anothers_place_are_asked():
    poor = {f"models/{name}": data for name, data in model_folder(300_000, limits=()).items()}
    assert promotion_problems(poor, poor) == []
    assert promotion_problems(poor, {}) != []


def test_what_is_no_declaration_is_left_out():
    files = {"models/risk.toml": b"[model\n", "models/other.toml": b'[vendor]\nname = "x"\n', "models/a.trees": b""}
    assert filed_models(files) == {}
    assert filed_model(FILE, b'[model]\nname = "a"\n[card]\nmodel = 7\n').card is None


# -- models from outside


def signed(weights: bytes, kind: str = "ed25519", by: str = "acme"):
    key = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    text = base64.b64encode(key.public_key().public_bytes_raw()).decode()
    signers = f'[signer.acme]\nkind = "{kind}"\nkey = "{text}"\nsource = "https://acme.example/keys"\n'.encode()
    signature = base64.b64encode(key.sign(weights)).decode()
    return {"signed": {"by": by, "signature": signature}}, {"models/signers.toml": signers}


def test_weights_that_the_maker_signed_are_taken():
    assert loading(*signed(WEIGHTS)) == []


@pytest.mark.parametrize(
    ("given", "key", "message"),
    [
        (signed(WEIGHTS + b"x"), "signed.signature", "the weights are not what the maker signed"),
        (signed(WEIGHTS, by="other"), "signed.by", "no such maker is declared"),
        (signed(WEIGHTS, kind="rsa"), "signed.by", "no such maker is declared"),
        ((signed(WEIGHTS)[0], {}), "signed.by", "no such maker is declared"),
        ((signed(WEIGHTS)[0], {"models/signers.toml": b"[signer\n"}), "signed.by", "no such maker is declared"),
        (({"signed": {"by": "acme"}}, {}), "signed", "a signature has a maker and a text in base64"),
        (({"signed": {"by": "acme", "signature": "%"}}, signed(b"")[1]), "signed",
         "the signature or the key cannot be read"),
    ],
)  # fmt: skip
def test_a_signature_that_does_not_hold_is_a_problem(given, key, message):
    assert loading(*given) == [(key, message)]


def test_a_model_from_outside_needs_a_signature_before_it_decides():
    text = model_folder(300_000, about=ABOUT)["risk.toml"].replace(b'"lightgbm"', b'"onnx"')
    assert [one.key for one in lacking(filed_model(FILE, text))] == ["signed"]
    assert list(lacking(filed_model(FILE, text + b'\n[signed]\nby = "acme"\nsignature = ""\n'))) == []
