# ruff: noqa: E501  (texts under test stand whole, on one line)
"""Two people walk a change of card_fraud from draft to champion and back over HTTP, against a real `quanheng serve`."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager

import pytest

from quanheng.loading.find import read_packs

LIMITS = "parameters/limits.toml"
OLD, NEW = b"value = 150_000", b"value = 120_000"
AMOUNT = 130_000
"""Within the single limit in force since July 2026, above the new one."""
AT_MS = 1_790_000_000_000
"""2026-09-21: limits are those of the payment's own moment."""


class Bank:
    """A folder with a server of card_fraud in which four eyes are demanded, and people who call it."""

    def __init__(self, folder):
        self.folder, self.tokens, self.paid = folder, {}, 0
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        (folder / "quanheng.toml").write_text(
            f'[server]\nport = {self.port}\n[packs]\nload = ["card_fraud"]\n[governance]\nfour_eyes = true\n'
        )

    @contextmanager
    def serving(self):
        with (self.folder / "serve.log").open("w") as log:
            server = subprocess.Popen([sys.executable, "-m", "quanheng.cli", "serve"], stderr=log, cwd=self.folder)
        try:
            until = time.monotonic() + 600
            while "Quanheng serves" not in (self.folder / "serve.log").read_text():
                assert server.poll() is None, (self.folder / "serve.log").read_text()
                assert time.monotonic() < until
                time.sleep(0.1)
            self.tokens.setdefault("root", (self.folder / ".quanheng/keys/development.token").read_text().strip())
            yield
        finally:
            server.send_signal(signal.SIGTERM)
            assert server.wait(60) == 0

    def quanheng(self, who, *arguments, code=0):
        """The command line beside the server."""
        environment = {**os.environ, "COLUMNS": "200", "QUANHENG_TOKEN": self.tokens[who]}
        command = [sys.executable, "-m", "quanheng.cli", *arguments]
        done = subprocess.run(
            command, capture_output=True, text=True, cwd=self.folder, env=environment, check=False, timeout=600
        )
        assert done.returncode == code, f"{arguments}: {done.stdout}\n{done.stderr}"
        return done.stdout if code == 0 else done.stderr

    def call(self, who, path, body=None):
        """(HTTP status, answer)."""
        headers = {"Authorization": f"Bearer {self.tokens.get(who, who)}", "X-Request-Timeout-Ms": "60000"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/v1/{path}", data, headers)
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as refused:
            return refused.code, json.load(refused)

    def step(self, who, hash, step, id="", **more):
        asked = {"id": id or f"{who}-{step}-{hash[:8]}", "reason": f"because {step}", **more}
        return self.call(who, f"policies/card_fraud/{hash}/{step}", asked)

    def pay(self, customers=1):
        """How many payments of as many customers are declined for the single limit."""
        self.paid += 1
        events = [
            {
                "id": f"p{self.paid}.{n}",
                "type": "card.payment",
                "data": {
                    "time_ms": AT_MS + self.paid,
                    "customer": f"c{n}",
                    "terminal": f"t{n}",
                    "amount_minor": AMOUNT,
                    "currency": "EUR",
                    "channel": "chip",
                },
            }
            for n in range(customers)
        ]
        status, replies = self.call("shop", "events", events)
        assert status == 200
        assert {one["status"] for one in replies} == {"decided"}
        return sum("amount_over_limit" in one["reasons"] for one in replies)

    def told(self):
        """Versions of card_fraud by hash."""
        return {one["hash"]: one for one in self.call("rita", "policies/card_fraud")[1]["versions"]}


@pytest.fixture
def bank(tmp_path):
    return Bank(tmp_path)


def test_two_people_walk_a_change_from_draft_to_champion_and_back(bank):
    with bank.serving():
        people = {
            "ann": ("author", "read"),
            "ben": ("approve", "read"),
            "both": ("author", "approve"),
            "rita": ("read",),
            "shop": ("ingest",),
        }
        for name, scopes in people.items():
            bank.tokens[name] = bank.quanheng("root", "token", "create", name, "--scope", *scopes).strip()
        first = next(iter(bank.told()))
        assert bank.pay() == 0
        hash = draft(bank)
        review(bank, hash)
        trial(bank, hash)
        promote_and_back(bank, hash, first)
        lists(bank)
        broken = break_the_glass(bank)
    with bank.serving():  # What was answered is known after a restart, and so is what it was asked by.
        assert bank.step("ben", hash, "promote")[1]["repeated"] is True
        assert bank.told()[broken]["glass"]["state"] == "accepted"
        assert bank.told()[broken]["status"] == "champion", "a start replaces no champion where four eyes are demanded"
        assert json.loads(bank.quanheng("root", "log", "verify", "--json"))["ok"] is True


def changed():
    files = read_packs()["card_fraud"].files
    assert files[LIMITS].count(OLD) == 1
    return {LIMITS: files[LIMITS].replace(OLD, NEW).decode()}


def draft(bank):
    asked = {"id": "draft-1", "base": "active", "files": changed(), "reason": "Losses above 1,200 EUR have doubled"}
    for who, wanted, text in (
        ("nobody", 401, "the request carries no valid token"),
        ("ben", 403, "ben: the client may not do this; was approve, read; allowed: author"),
    ):
        status, body = bank.call(who, "policies/card_fraud/draft", asked)
        assert (status, text in body["error"]) == (wanted, True)
    wrong = {
        LIMITS: changed()[LIMITS].replace("120_000", '"much"').replace("value = 0.90, source", "value = 0.90, sauce")
    }
    status, body = bank.call("ann", "policies/card_fraud/draft", {**asked, "id": "draft-0", "files": wrong})
    assert (status, len(body["problems"]) >= 2) == (422, True)
    assert {one["file"] for one in body["problems"]} == {f"card_fraud/{LIMITS}"}
    status, drafted = bank.call("ann", "policies/card_fraud/draft", asked)
    assert (status, drafted["actor"], drafted["repeated"]) == (200, "ann", False), drafted
    again = bank.call("ann", "policies/card_fraud/draft", asked)
    assert again == (200, {**drafted, "repeated": True})
    assert bank.call("ann", "policies/card_fraud/draft", {**asked, "reason": "other"})[0] == 409
    assert bank.pay() == 0
    return drafted["hash"]


def review(bank, hash):
    refused = [
        (
            bank.step("ben", hash, "approve", reason="x"),
            422,
            "a version that stands there cannot take this step; was draft; allowed: review",
        ),
        (bank.step("ann", "0123456789", "submit"), 404, "no version begins like that; was 0123456789"),
        (
            bank.call("ann", f"policies/party/{hash}/submit", {"id": "s0", "reason": "x"}),
            404,
            "no version begins like that",
        ),
        (bank.step("ann", hash, "submit", id="s1", reason=""), 422, "this step needs a reason"),
        (bank.step("ann", hash, "leap"), 404, "the address holds no such word; was 'leap'"),
        (bank.step("rita", hash, "submit"), 403, "rita: the client may not do this; was read; allowed: author"),
        (bank.step("ann", hash, "approve"), 403, "ann: the client may not do this; was author, read; allowed: approve"),
    ]
    for (status, body), wanted, text in refused:
        assert (status, text in body["error"]) == (wanted, True), body
    assert bank.step("ann", hash, "submit")[0] == 200
    # The author who may approve approves nothing of the own: who submits is an author too.
    status, own = bank.call(
        "both", "policies/card_fraud/draft", {"id": "own", "base": hash[:8], "files": {"README.md": "# Card fraud\n"}}
    )
    assert (status, bank.step("both", own["hash"], "submit")[0]) == (200, 200)
    status, body = bank.step("both", own["hash"], "approve")
    assert (status, body["error"]) == (
        403,
        f"card_fraud {own['hash'][:12]}, step approve: whoever drafted or submitted a version cannot take this step; was both. Ask another person: four eyes see more than two.",
    )
    assert bank.step("ben", own["hash"], "reject")[0] == 200
    status, body = bank.step("ben", hash, "promote")
    assert (status, "was review; allowed: reviewed, shadow, share" in body["error"]) == (422, True)
    assert bank.step("ben", hash, "approve")[0] == 200


def trial(bank, hash):
    said = bank.quanheng("ann", "policy", "shadow", hash[:10])
    assert said.endswith(f"{hash[:12]}: shadow, by ann\n"), "the command line goes through the same writer"
    assert bank.pay(20) == 0
    for share_bp in (0, 10_000):
        status, body = bank.step("ben", hash, "share", id=f"share-{share_bp}", share_bp=share_bp)
        assert (status, "the share of traffic is out of range" in body["error"]) == (422, True)
    status, shared = bank.step("ben", hash, "share", share_bp=3_000)
    assert (status, shared["share_bp"]) == (200, 3_000)
    assert 10 <= bank.pay(100) <= 55
    refused = bank.quanheng("ann", "policy", "promote", hash, "--reason", "mine", code=1)
    assert "ann: the client may not do this" in refused


def promote_and_back(bank, hash, first):
    # `ben-promote` was refused before; a refusal takes no id, so the same request is done now.
    status, promoted = bank.step("ben", hash, "promote")
    assert (status, promoted["repeated"], bank.pay()) == (200, False, 1)
    assert (bank.told()[hash]["status"], bank.told()[first]["status"]) == ("champion", "retired")
    status, body = bank.call("ann", "policies/card_fraud/roll_back", {"id": "back", "reason": "mine"})
    assert (status, "allowed: approve" in body["error"]) == (403, True)
    status, back = bank.call(
        "ben", "policies/card_fraud/roll_back", {"id": "back", "reason": "The largest shop complains"}
    )
    assert (status, back["hash"], bank.pay()) == (200, first, 0)
    steps = [(one["step"], one["actor"]) for one in bank.told()[hash]["steps"]]
    assert steps == [
        ("draft", "ann"),
        ("submit", "ann"),
        ("approve", "ben"),
        ("shadow", "ann"),
        ("share", "ben"),
        ("promote", "ben"),
    ]
    assert [one["step"] for one in bank.told()[first]["steps"]] == ["install", "roll_back"]


def lists(bank):
    asked = {"id": "l1", "change": "add", "values": ["d-4711"], "reason": "stolen"}
    status, waits = bank.call("both", "lists/blocked_devices/changes", asked)
    assert (status, waits["waiting"]) == (200, True)
    own = bank.call("both", f"lists/changes/{waits['offset']}/approve", {"id": "v1"})
    assert (own[0], "whoever proposed a change of a list cannot judge it; was both" in own[1]["error"]) == (403, True)
    assert bank.call("ben", f"lists/changes/{waits['offset']}/approve", {"id": "v1"})[0] == 200
    assert "d-4711 since" in bank.quanheng("rita", "list", "find", "blocked_devices", "d-4711").replace("  ", " ")


def break_the_glass(bank):
    base = {"base": "active", "files": {LIMITS: changed()[LIMITS].replace("120_000", "110_000")}}
    status, body = bank.call("root", "policies/card_fraud/activate", {"id": "g0", **base})
    assert (status, "a champion is replaced by two people; was development" in body["error"]) == (403, True)
    status, body = bank.call(
        "root", "policies/card_fraud/activate", {"id": "g1", **base, "break_glass": "fraud wave at night"}
    )
    assert (status, bank.pay()) == (200, 1), body
    hash, broken = next((hash, one) for hash, one in bank.told().items() if one["glass"])
    assert (broken["status"], broken["glass"]["state"], broken["glass"]["actor"]) == (
        "champion",
        "awaiting review",
        "development",
    )
    assert broken["glass"]["title"]["zh"] == "紧急放行：待复核"
    assert "champion, awaiting review" in bank.quanheng("rita", "policy", "list")
    status, body = bank.step("root", hash, "accept_glass")
    assert (
        status,
        "whoever broke the glass for a version cannot take this step; was development" in body["error"],
    ) == (403, True)
    assert bank.step("ann", hash, "accept_glass")[0] == 403
    assert bank.quanheng("ben", "policy", "accept-glass", hash, "--reason", "It was real").endswith(
        "accept_glass, by ben\n"
    )
    status, body = bank.step("ben", hash, "reject_glass")
    assert (status, "no broken glass of this version awaits review" in body["error"]) == (422, True)
    return hash
