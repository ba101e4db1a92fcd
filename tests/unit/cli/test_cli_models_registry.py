"""`quanheng models` from draft to proof on a data folder, by people with tokens of their own."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from test_cli_commands import told

sys.path.insert(0, str(Path(__file__).parents[1] / "path"))
from rated import model_folder, rated, stump

from quanheng.engine import Engine
from quanheng.loading.find import read_packs

T0 = 1_768_471_200_000
FIRST, SECOND = (stump(one).hash[7:19] for one in (300_000, 351_000))


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A data folder with `rated` in force, a trained model in a folder, and tokens of ann, ben and rita."""
    (tmp_path / "trained").mkdir()
    for name, content in model_folder(351_000).items():
        (tmp_path / "trained" / name).write_bytes(content)
    (tmp_path / "quanheng.toml").write_text("[governance]\nfour_eyes = true\n")
    engine = Engine.open(tmp_path / "data", keys=tmp_path / "keys", clock=lambda: T0)
    engine.activate([read_packs()["party"], rated()])
    people = {"ann": ("author", "approve"), "ben": ("approve",), "rita": ("read",)}
    tokens = {name: engine.issue_token(name, scopes) for name, scopes in people.items()}
    engine.close()
    monkeypatch.chdir(tmp_path)

    def be(name: str) -> None:
        monkeypatch.setenv("QUANHENG_TOKEN", tokens[name])

    be("ann")
    return tmp_path, be


@pytest.fixture
def run(home, capsys):
    folder, _ = home

    def command(*words, code=0, places=True):
        where = ["--data", str(folder / "data"), "--keys", str(folder / "keys")] if places else []
        found, out, err = told(capsys, *words, *where)
        assert found == code, err
        return out if code == 0 else err

    return command


def test_an_officer_follows_a_model_from_draft_to_proof(home, run):
    _, be = home
    out = run("models", "draft", "rated", "risk_score", "trained", "--reason", "The year to June")
    assert f"model risk_score {SECOND}, lightgbm of 2 inputs\ncard: complete\n" in out
    hash = json.loads(run("models", "show", "rated", "risk_score", SECOND, "--json"))["version"]
    run("policy", "submit", hash, "--reason", "better out of time")
    assert "whoever drafted or submitted a version" in run("policy", "approve", hash, "--reason", "mine", code=2)
    be("ben")
    run("policy", "approve", hash, "--reason", "card and comparison read")
    run("policy", "share", hash, "--percent", "20")
    listed = run("models", "list")
    assert (FIRST in listed, SECOND in listed, "challenger 20 %" in listed, "complete" in listed) == (True,) * 4
    compared = run("models", "compare", "rated", "risk_score", "active", SECOND)
    assert "area under the curve on 400 same rows of" in compared
    assert "the second ranks better on these rows" in compared
    assert "inputs: the same" in compared
    run("policy", "promote", hash, "--reason", "a month at 20 %")
    shown = run("models", "show", "rated", "risk_score")
    for text in ("champion", "owner: Credit risk models", "auc_roc 0.", "limit: Seeded requests only", "answer.answer"):
        assert text in shown
    run("models", "prove", "rated", "risk_score", "--out", "proof.json", "--weights", "served.trees")
    key = run("log", "key").strip()
    verified = run("models", "verify", "proof.json", "--weights", "served.trees", "--key", key, places=False)
    assert "approved by another than its authors: ben" in verified
    assert "as the champion" in verified
    asked = ("models", "verify", "proof.json", "--weights", "trained/risk.evidence", "--key", key)
    assert "the weights are not those of the version" in run(*asked, code=1, places=False)
    told_json = json.loads(run("models", "verify", "proof.json", "--key", key, "--json", places=False))
    assert (told_json["approved_by"], told_json["weights_compared"]) == (["ben"], False)
    run("policy", "roll-back", "rated", "--reason", "complaints")
    history = run("models", "history", "rated", "risk_score")
    assert [step in history for step in ("install", "draft", "approve", "promote", "roll_back")] == [True] * 5
    models = {one["hash"][7:19]: one["status"] for one in json.loads(run("models", "list", "--json"))["models"]}
    assert models == {FIRST: "champion", SECOND: "retired"}
    assert json.loads(run("models", "history", "rated", "risk_score", "--json"))["steps"]
    assert json.loads(run("models", "compare", "rated", "risk_score", FIRST, SECOND, "--json"))["auc"]["rows"] == 400


def test_a_poor_card_is_told_at_the_draft_and_refused_at_the_submission(home, run):
    folder, _ = home
    for name, content in model_folder(420_000, limits=()).items():
        (folder / "trained" / name).write_bytes(content)
    out = run("models", "draft", "rated", "risk_score", "trained")
    assert "card: not enough for a promotion\n  models/risk.toml, card.limits: the card does not say where it" in out
    hash = json.loads(run("models", "show", "rated", "risk_score", stump(420_000).hash, "--json"))["version"]
    assert "a card says too little" in run("policy", "submit", hash, "--reason", "x", code=2)


def test_what_is_not_there_is_refused(home, run):
    folder, _ = home
    (folder / "empty").mkdir()
    assert "there is no trained model" in run("models", "draft", "rated", "risk_score", "empty", code=2)
    assert "there is no such model here" in run("models", "show", "rated", "other", code=2)
