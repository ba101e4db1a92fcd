"""`quanheng policy backtest` and `quanheng explain` on a real data folder."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from test_cli_commands import told

from quanheng.cli.policy import read_band
from quanheng.engine import Engine
from quanheng.events.intake import Request
from quanheng.loading.files import read_pack
from quanheng.loading.find import read_packs
from quanheng.loading.new import starter_files
from quanheng.past.backtest import Band

T0 = 1_768_471_200_000


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A data folder with twelve decisions, and the pack's folder with a lower limit."""
    home = tmp_path_factory.mktemp("policy")
    files = starter_files("shop")
    for name, content in files.items():
        (home / "shop" / name).parent.mkdir(parents=True, exist_ok=True)
        (home / "shop" / name).write_bytes(content.replace(b"500_000", b"250_000"))
    engine = Engine.open(home / "data", keys=home / "keys", clock=lambda: T0)
    engine.activate([read_packs()["party"], read_pack(files, "shop")])
    rows = [{"time_ms": T0, "customer": f"c{n}", "amount_minor": 50_000 * n, "currency": "EUR"} for n in range(1, 13)]
    replies = engine.submit(
        [Request("web", f"r{n}", "shop.request", json.dumps(row).encode()) for n, row in enumerate(rows)]
    )
    engine.close()
    return home, [reply.decision for reply in replies]


def places(home):
    return ["--data", str(home / "data"), "--keys", str(home / "keys")]


def test_a_backtest_is_told_in_words(data, capsys):
    home, decisions = data
    code, out, err = told(
        capsys,
        "policy",
        "backtest",
        "shop",
        "--policy",
        str(home / "shop"),
        "--by",
        "amount_minor=300000",
        *places(home),
    )
    assert code == 0
    assert out.startswith("shop: 12 decisions on shop.request, 5 change")
    assert "approve -> decline: 5, worth 20,000.00 EUR" in out
    assert "+ decline_reasons rule 1: amount_minor is above “Largest amount of one request”" in out
    assert f"for example {', '.join(map(str, decisions[5:10]))}" in out
    assert ">= 300000: 7 decisions, 5 change" in out
    assert "rules that never fired: review_reasons rule 1, review_reasons rule 2" in out
    assert "candidate: by columns (2 of 3 parts of the policy run over columns" in out
    assert "baseline: by record" in out
    assert "decisions/s with start and compilation" in err


def test_a_backtest_as_json_and_as_a_page(data, capsys, tmp_path):
    home, _ = data
    page = tmp_path / "report.html"
    code, out, err = told(
        capsys, "policy", "backtest", "shop", "--policy", str(home / "shop"), "--against", "active", "--json", "--rows",
        "--html", str(page), *places(home),
    )  # fmt: skip
    found = json.loads(out)
    assert (code, found["changed"], found["matrix"]) == (0, 5, [[5, 0, 5], [0, 0, 0], [0, 0, 2]])
    assert found["value"]["EUR"][0][2] == 2_000_000
    assert (found["candidate"]["engine"]["mode"], found["labels"]) == ("rows", None)
    assert f"written:{page}" in "".join(err.split())  # A long path is broken over lines.
    text = page.read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>")
    assert "20,000.00 EUR" in text


def test_a_window_without_decisions_says_so(data, capsys):
    home, _ = data
    code, _, err = told(
        capsys, "policy", "backtest", "shop", "--policy", "active", "--from", "2027-01-01", *places(home)
    )
    assert code == 2
    assert "no decision lies in the window; was shop.request, " in err


@pytest.mark.parametrize(
    ("language", "text"), [("en", "amount_minor: 600000 → 500000"), ("zh", "改为 approve 的最小改变：")]
)
def test_a_decision_is_explained(data, capsys, language, text):
    home, decisions = data
    code, out, _ = told(capsys, "explain", str(decisions[-1]), "--language", language, *places(home))
    assert code == 0
    assert text in out


def test_a_decision_is_explained_as_json(data, capsys):
    home, decisions = data
    arguments = ["explain", str(decisions[-1]), "--change", "amount_max_minor", "--fixed", "amount_minor", "--json"]
    code, out, _ = told(capsys, *arguments, *places(home))
    assert code == 0
    assert json.loads(out)["changes"]["found"] == [[{"name": "amount_max_minor", "was": 500_000, "would_be": 600_000}]]


def test_bands_are_read():
    assert read_band("channel") == Band("channel")
    band = read_band("amount=1,2.5")
    assert band == Band("amount", (Decimal(1), Decimal("2.5")))
    assert [band.of(value) for value in (0, 1, Decimal("2.49"), 3, None)] == [
        "< 1",
        "1 .. 2.5",
        "1 .. 2.5",
        ">= 2.5",
        "(none)",
    ]
    assert [Band("x").of(value) for value in (True, "web", None)] == ["true", "web", "(none)"]
