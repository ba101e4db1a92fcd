# ruff: noqa: E501  (texts under test stand whole, on one line)
"""`quanheng policy` from draft to history on a data folder, by two people with tokens of their own."""

from __future__ import annotations

import json

import pytest
from test_cli_commands import told

from quanheng.cli import steps
from quanheng.engine import Engine
from quanheng.events.intake import Request
from quanheng.kernel.errors import InputError
from quanheng.loading.files import read_pack
from quanheng.loading.find import read_packs
from quanheng.loading.new import starter_files

T0 = 1_768_471_200_000
RULE = b"&gt; amount_max_minor"


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A data folder with a pack in force, a changed copy of the pack, and the tokens of ann, ben and root."""
    files = starter_files("shop")
    for name, content in files.items():
        (tmp_path / "changed" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "changed" / name).write_bytes(content.replace(b"500_000", b"400_000"))
    (tmp_path / "quanheng.toml").write_text("[governance]\nfour_eyes = true\n")
    engine = Engine.open(tmp_path / "data", keys=tmp_path / "keys", clock=lambda: T0)
    engine.activate([read_packs()["party"], read_pack(files, "shop")])
    people = {"ann": ("author", "approve"), "ben": ("approve",), "root": ("admin",), "rita": ("read",)}
    tokens = {name: engine.issue_token(name, scopes) for name, scopes in people.items()}
    engine.close()
    monkeypatch.chdir(tmp_path)

    def be(name: str) -> None:
        monkeypatch.setenv("QUANHENG_TOKEN", tokens[name])

    be("ann")
    return tmp_path, be


def places(home):
    return ["--data", str(home / "data"), "--keys", str(home / "keys")]


def test_two_people_change_a_policy(home, capsys):
    folder, be = home

    def policy(*words, code=0):
        found, out, err = told(capsys, "policy", *words, *places(folder))
        assert found == code, err
        return out if code == 0 else err

    draft = json.loads(policy("draft", str(folder / "changed"), "--json"))
    hash = draft["hash"]
    assert (draft["step"], draft["actor"], draft["pack"]) == ("draft", "ann", "shop")
    assert policy("submit", hash[:10], "--reason", "losses") == f"shop 0.1.0 {hash[:12]}: submit, by ann\n"
    assert "whoever drafted or submitted a version" in policy("approve", hash, "--reason", "mine", code=2)
    be("ben")
    assert "the client may not do this" in policy("retire", hash, "--reason", "x", code=2)
    policy("approve", hash, "--reason", "read the backtest")
    assert policy("share", hash, "--percent", "12.5") == f"shop 0.1.0 {hash[:12]}: share 12.5 %, by ben\n"
    be("ann")
    policy("shadow", hash)
    listed = policy("list")
    assert hash[:12] in listed
    assert "shadow" in listed
    assert [one["status"] for one in json.loads(policy("list", "--pack", "shop", "--json"))["versions"]] == [
        "champion",
        "shadow",
    ]
    be("ben")
    policy("promote", hash, "--reason", "as the backtest said")
    shown = policy("show", hash[:8])
    assert f"shop 0.1.0: champion\nhash: {hash}\n" in shown
    assert "12.5 %" in shown
    assert json.loads(policy("show", hash, "--json"))["authors"] == ["ann"]
    policy("roll-back", "shop", "--reason", "complaints")
    history = policy("history", "shop")
    assert [step in history for step in ("install", "draft", "approve", "promote", "roll_back", "complaints")] == [
        True
    ] * 6
    assert json.loads(policy("history", "shop", "--json"))["versions"][0]["steps"][-1]["actor"] == "ben"
    assert "there is no version" not in history


def test_a_version_is_rejected_or_retired(home, capsys):
    folder, be = home
    hash = json.loads(told(capsys, "policy", "draft", str(folder / "changed"), "--json", *places(folder))[1])["hash"]
    told(capsys, "policy", "submit", hash, "--reason", "x", *places(folder))
    be("ben")
    assert told(capsys, "policy", "reject", hash, "--reason", "no source", *places(folder))[0] == 0
    assert told(capsys, "policy", "retire", hash, "--reason", "x", *places(folder))[0] == 2


def test_what_differs_in_words(home, capsys):
    folder, _ = home
    file = folder / "changed" / "policies" / "answer.dmn"
    file.write_bytes(file.read_bytes().replace(RULE, b"&gt;= amount_max_minor"))
    code, out, err = told(capsys, "policy", "diff", "active", str(folder / "changed"), *places(folder))
    assert code == 0
    assert out.splitlines() == [
        "policies/answer.dmn, decline_reasons rule 1: amount_minor: > amount_max_minor becomes >= amount_max_minor",
        "parameter amount_max_minor: from 2020-01-01 500000 becomes 400000",
        "cases/first.toml: differs",
    ] or out.splitlines()[:2] == [
        "policies/answer.dmn, decline_reasons rule 1: amount_minor: > amount_max_minor becomes >= amount_max_minor",
        "parameter amount_max_minor: from 2020-01-01 500000 becomes 400000",
    ]
    assert "shop: " in err
    found = json.loads(told(capsys, "policy", "diff", "active", str(folder / "changed"), "--json", *places(folder))[1])
    assert (found["pack"], found["after"], found["changes"][1]["kind"]) == ("shop", "", "parameter")
    same = told(capsys, "policy", "diff", found["before"][:9], "active", *places(folder))
    assert (same[0], same[1], "shop: no changes" in same[2]) == (0, "", True)
    code, _, err = told(capsys, "policy", "diff", "active", "active", *places(folder))
    assert "A, B: no pack is named by these versions; was active, active; allowed: a folder, active, or at least" in err


def test_the_monitor_follows_what_no_server_followed(home, capsys):
    folder, be = home

    def policy(*words):
        code, out, err = told(capsys, "policy", *words, *places(folder))
        assert code == 0, err
        return out

    assert "no version of shop is or was on trial" in told(capsys, "policy", "monitor", "shop", *places(folder))[2]
    hash = json.loads(policy("draft", str(folder / "changed"), "--json"))["hash"]
    policy("submit", hash, "--reason", "x")
    be("ben")
    policy("approve", hash, "--reason", "x")
    be("ann")
    policy("shadow", hash)
    decide(folder, "s", 450_000)
    shown = policy("monitor", "shop")
    assert f"shop 0.1.0 {hash[:12]}: shadow, followed to " in shown
    assert "45,000.00 EUR" in shown
    assert shown.count(": approve would be decline") == 10
    be("ben")
    policy("share", hash, "--percent", "50")
    decide(folder, "t", 450_000)
    shown = policy("monitor", "shop")
    assert "shop.request decline: champion 0.00% (0/" in shown
    assert "No real difference is shown yet" in shown
    found = json.loads(policy("monitor", "shop", "--json"))["versions"][0]["found"]
    assert sum(found["arms"][0][name]["decisions"] for name in ("champion", "challenger")) == 10


def decide(folder, prefix, amount_minor):
    engine = Engine.open(folder / "data", keys=folder / "keys", log_ahead_ms_max=None)
    for n in range(10):
        row = {"time_ms": T0, "customer": f"{prefix}{n}", "amount_minor": amount_minor, "currency": "EUR"}
        engine.submit([Request("web", f"{prefix}{n}", "shop.request", json.dumps(row).encode())])
    engine.close()


def test_the_glass_is_broken_on_purpose_only(home, capsys):
    folder, be = home

    def policy(*words, code=0):
        found, out, err = told(capsys, "policy", *words, *places(folder))
        assert found == code, err
        return out if code == 0 else err

    (folder / "quanheng.toml").write_text('[governance]\nfour_eyes = true\n[packs]\nfolders = ["changed"]\n')
    code, _, err = told(capsys, "pack", "activate", "shop", *places(folder))
    assert code == 2
    assert "a champion is replaced by two people" in err
    assert told(capsys, "pack", "activate", "shop", "--break-glass", "fraud wave", *places(folder))[0] == 0
    champion = next(one for one in json.loads(policy("list", "--json"))["versions"] if one["glass"])
    hash, short = champion["hash"], champion["hash"][:12]
    assert champion["glass"]["actor"] == "ann", "who breaks the glass is told by the token"
    broken = "glass broken by ann, 20"
    review = f"awaiting review by another person: quanheng policy accept-glass {short} --reason ... (or reject-glass)\n"
    assert "champion, awaiting review" in policy("list")
    shown, history = policy("show", hash), policy("history", "shop")
    assert f"shop 0.1.0: champion, awaiting review\nhash: {hash}\n{broken}" in shown
    assert f": fraud wave\n{review}" in shown
    assert f"{short}: {broken}" in history
    assert history.endswith(f": fraud wave\n{review}")
    assert "whoever broke the glass for a version cannot take this step; was ann" in policy(
        "accept-glass", hash, "--reason", "mine", code=2
    )
    be("ben")
    assert (
        policy("reject-glass", hash, "--reason", "nobody was called") == f"shop 0.1.0 {short}: reject_glass, by ben\n"
    )
    shown, listed = policy("show", hash), policy("list")
    assert (
        "rejected by ben: nobody was called\nit is still in force. Bring back the one before: quanheng policy roll-back shop\n"
        in shown
    )
    assert "awaiting" not in shown + listed + policy("history", "shop")
    assert "no broken glass of this version awaits review" in policy("accept-glass", hash, "--reason", "x", code=2)


def test_a_glass_that_was_accepted(home, capsys):
    folder, be = home
    (folder / "quanheng.toml").write_text('[governance]\nfour_eyes = true\n[packs]\nfolders = ["changed"]\n')
    told(capsys, "pack", "activate", "shop", "--break-glass", "fraud wave", *places(folder))
    found = json.loads(told(capsys, "policy", "list", "--json", *places(folder))[1])["versions"]
    hash = next(one["hash"] for one in found if one["glass"])
    be("ben")
    assert told(capsys, "policy", "accept-glass", hash, "--reason", "it was real", *places(folder))[0] == 0
    shown = told(capsys, "policy", "show", hash, *places(folder))[1]
    assert ": fraud wave\naccepted by ben: it was real\n" in shown
    assert "still in force" not in shown


def test_whoever_breaks_the_glass_is_known_by_a_token(home, capsys, monkeypatch):
    folder, be = home
    (folder / "quanheng.toml").write_text('[governance]\nfour_eyes = true\n[packs]\nfolders = ["changed"]\n')
    monkeypatch.delenv("QUANHENG_TOKEN")
    code, _, err = told(capsys, "pack", "activate", "shop", "--break-glass", "fraud wave", *places(folder))
    assert (code, "there is no token to ask with" in err) == (2, True)
    be("rita")
    assert told(capsys, "pack", "activate", "shop", "--break-glass", "fraud wave", *places(folder))[0] == 0
    assert "glass broken by rita" in told(capsys, "policy", "history", "shop", *places(folder))[1]


def test_a_start_with_four_eyes_leaves_champions_as_they_are(home):
    from quanheng.server import config as configuration
    from quanheng.server.opening import activate, open_engine

    folder, _ = home
    laid = {"storage.data": str(folder / "data"), "storage.keys": str(folder / "keys")}
    laid |= {"packs.load": ["shop"], "packs.folders": [str(folder / "changed")]}
    config = configuration.read(None, laid)
    engine = open_engine(config)
    assert engine.four_eyes
    before = engine.log.head
    activate(engine, config)
    assert engine.log.head == before
    engine.close()


def test_a_start_leaves_a_promoted_champion_as_it_is(home, capsys):
    from quanheng.server import config as configuration
    from quanheng.server.opening import activate, open_engine

    folder, be = home
    hash = json.loads(told(capsys, "policy", "draft", str(folder / "changed"), "--json", *places(folder))[1])["hash"]
    (folder / "quanheng.toml").write_text("")  # One person may activate, two promoted this one.
    told(capsys, "policy", "submit", hash, "--reason", "x", *places(folder))
    be("ben")
    for step in ("approve", "promote"):
        assert told(capsys, "policy", step, hash, "--reason", "x", *places(folder))[0] == 0
    original = folder / "shop"
    for name, content in starter_files("shop").items():
        (original / name).parent.mkdir(parents=True, exist_ok=True)
        (original / name).write_bytes(content)
    laid = {"storage.data": str(folder / "data"), "storage.keys": str(folder / "keys")}
    config = configuration.read(None, laid | {"packs.load": ["shop"], "packs.folders": [str(original)]})
    engine = open_engine(config)
    assert not engine.four_eyes
    activate(engine, config)
    champion = engine.state.versions.champion("shop")
    assert champion is not None
    assert champion.hash == hash
    engine.close()


def test_who_takes_a_step_needs_a_token(home, capsys, monkeypatch):
    folder, _ = home
    monkeypatch.delenv("QUANHENG_TOKEN")
    code, _, err = told(capsys, "policy", "draft", str(folder / "changed"), *places(folder))
    assert code == 2
    assert "there is no token to ask with" in err


@pytest.mark.parametrize("percent", ["five", "0.001", "", "NaN", "1e99"])
def test_a_share_that_cannot_be_read(percent):
    with pytest.raises(InputError, match=r"--percent: the share cannot be read; .*in steps of 0\.01"):
        steps.basis_points(percent)


def test_shares_in_basis_points():
    assert [steps.basis_points(text) for text in ("0.01", "5", "99.99", "100")] == [1, 500, 9_999, 10_000]


def test_a_version_or_pack_that_is_not_there(home, capsys):
    folder, _ = home
    code, _, err = told(capsys, "policy", "show", "0123456789", *places(folder))
    assert code == 2
    assert "HASH: the digits mean no version; was 0123456789; allowed: " in err
    code, _, err = told(capsys, "policy", "show", "", *places(folder))
    assert "the digits mean several versions" in err
    code, _, err = told(capsys, "policy", "history", "none", *places(folder))
    assert "the pack has no version here; was none" in err
