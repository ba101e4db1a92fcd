"""`quanheng simulate ledger`: what it tells and how it ends."""

from __future__ import annotations

import json

import pytest

from quanheng.cli.main import main
from quanheng.testing import ledger_simulation


def told(capsys, *arguments):
    code = main(["simulate", "ledger", "--operations", "600", *arguments])
    captured = capsys.readouterr()
    return code, captured.out, " ".join(captured.err.split())


def test_the_core_keeps_the_law(capsys):
    code, out, _ = told(capsys, "--seed", "5", "--json")
    result = json.loads(out)
    assert (code, result["seed"], result["difference"], result["canary"]) == (0, 5, "", False)
    assert result["operations"] >= 600
    assert sum(result["outcomes"].values()) > 500
    assert told(capsys, "--seed", "5", "--json")[1] == out, "the same seed gives the same run"
    assert "the core kept the law: 724 operations in 33 batches from seed 1" in told(capsys)[2]


def test_a_canary_must_be_found(capsys, monkeypatch):
    code, _, err = told(capsys, "--canary", "--seed", "4")
    assert code == 0
    assert "the canary was found: seed 4, operation" in err
    monkeypatch.setattr(ledger_simulation, "plant", lambda core, seed: True)
    code, _, err = told(capsys, "--canary", "--seed", "4")
    assert code == 1
    assert "the canary was NOT found in" in err


def test_a_core_that_breaks_the_law_fails(capsys, monkeypatch):
    def forgetful(core, asset):
        return (1, 0, 2, 0)

    monkeypatch.setattr(ledger_simulation.Ledger, "totals", forgetful)
    code, out, err = told(capsys)
    assert (code, out) == (1, "")
    assert "the core broke the law: seed 1, operation" in err
    assert "conservation was (1, 0), the law says (2, 0)" in err


@pytest.mark.parametrize("option", [["--accounts", "1"], ["--operations", "0"]])
def test_too_little_is_refused(capsys, option):
    assert main(["simulate", "ledger", *option]) == 2
    assert "too little to simulate" in capsys.readouterr().err
