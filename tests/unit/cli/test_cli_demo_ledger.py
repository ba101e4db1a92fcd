"""`quanheng demo ledger`: days of business on a durable ledger; laws, proofs from the log, and what breaks them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from quanheng.cli import demo_proofs
from quanheng.cli.common import Place, reader
from quanheng.cli.demo_proofs import DurableLedger, durable_ledger, facts_with_offsets, prove, totals_of
from quanheng.cli.main import main
from quanheng.kernel.errors import InputError
from quanheng.ledger.entries import Account, Amendment, Transfer, TransferFlag
from quanheng.ledger.instruments.demo import Played, plays
from quanheng.ledger.ledger import Ledger
from quanheng.ledger.wire import FactKind

DAYS = "pool", "closing", "reconciliation"
SENTENCES = [
    "posted debits equal posted credits in every asset",
    "held debits equal held credits in every asset",
    "every account has what its facts add up to",
    "the log verifies",
    "the ledger recovered from the log is the same",
    "a transfer is in the log",
]


def told(capsys, *arguments):
    code = main(["demo", "ledger", *arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """A folder that holds the log of three days of seed 3."""
    folder = tmp_path_factory.mktemp("demo")
    assert main(["demo", "ledger", *DAYS, "--seed", "3", *at(folder), "--json"]) == 0
    return folder


def at(folder: Path) -> list[str]:
    return ["--data", str(folder / "data"), "--keys", str(folder / "keys")]


def place(folder: Path) -> Place:
    return Place(data=folder / "data", keys=folder / "keys")


def test_days_are_played_and_everything_is_proved(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, _ = told(capsys, *DAYS, "--json")
    [line] = out.splitlines()
    shown = json.loads(line)
    assert (code, shown["ok"], shown["seed"]) == (0, True, 1)
    assert [one["name"] for one in shown["instruments"]] == ["pool", "closing", "reconciliation"]
    assert all(all(one["checked"].values()) for one in shown["instruments"])
    assert [one["sentence"] for one in shown["proofs"]] == SENTENCES
    assert all(one["held"] for one in shown["proofs"])
    assert shown["actions"] == shown["applied"] + shown["refused"]
    assert shown["records"] > shown["transfers"] > 300
    assert list(tmp_path.iterdir()) == [], "nothing stays"


def test_the_same_seed_writes_the_same_log(played, capsys, tmp_path):
    roots = []
    for seed in ("3", "4"):
        assert main(["demo", "ledger", *DAYS, "--seed", seed, "--json"]) == 0
        roots.append(json.loads(capsys.readouterr().out)["root"])
    with reader(place(played).read()) as found:
        assert found.log.root().hex() == roots[0] != roots[1]


def test_people_are_shown_a_line_an_instrument(capsys):
    code, out, _ = told(capsys, *DAYS, "--seed", "3")
    lines = out.splitlines()
    assert code == 0
    assert max(map(len, lines)) <= 100
    assert "seed 3" in lines[0]
    [pool] = [line.split() for line in lines if "liquidity pool" in line]
    assert (pool[2], pool[-3:]) == ("流动性池", ["5", "of", "5"])
    [total] = [line.split() for line in lines if line.strip().startswith("all")]
    assert total[-3:] == ["16", "of", "16"]
    assert [line.split(": ")[0] for line in lines[-6:]] == [f"proved  {one}" for one in SENTENCES]


def test_the_log_stays_where_it_was_asked_for_and_other_commands_read_it(played, capsys):
    assert main(["log", "verify", *at(played)]) == 0
    assert main(["ledger", "list", "--json", *at(played)]) == 0
    assert len(capsys.readouterr().out.splitlines()) > 30
    code, _, err = told(capsys, "pool", *at(played))
    assert code == 2
    assert err.splitlines()[-1] == (
        f"error: --data: the data folder holds a log already; was {played / 'data'}; allowed: a folder without one. "
        "Give another folder, or none: the demo then uses one that lasts as long as it runs."
    )


def test_a_broken_law_is_named_and_the_exit_code_is_1(capsys, monkeypatch):
    def breaks(ledger, seed, start_ms, day):
        ledger.open_accounts([Account(1, 9, 1), Account(2, 9, 1)], start_ms, day)
        ledger.transfer([Transfer(3, 1, 2, 10, code=1)], start_ms, day)
        return Played("gold", 1, 1, 0, 1, {"water is dry": False, "water is wet": True}, {})

    monkeypatch.setattr(plays, "PLAYS", (plays.Play("gold", "gold", "黄金", breaks),))
    code, out, _ = told(capsys, "gold")
    assert (code, "1 of 2" in out, "BROKEN  gold: water is dry" in out) == (1, True, True)
    code, out, _ = told(capsys, "gold", "--json")
    assert (code, json.loads(out)["ok"]) == (1, False)


def test_another_digest_is_not_proved(played, capsys):
    proved = prove(place(played).read(), b"\0" * 32, 3)
    assert [one.sentence for one in proved.proofs if not one.held] == ["the ledger recovered from the log is the same"]


def test_facts_that_make_value_are_found(played, monkeypatch):
    """The canary: facts of which one says that it credits an account of another asset, and one moves more."""
    config = place(played).read()
    with reader(config) as found:
        offsets, facts = facts_with_offsets(found.log)
    assert (len(offsets), offsets.tolist()) == (len(facts), list(range(len(facts))))
    lines = np.flatnonzero((facts["kind"] == FactKind.LINE) & (facts["flags"] == 0))
    other = next(at for at in lines if asset_of(facts, at) != asset_of(facts, lines[0]))
    wrong = facts.copy()
    for half in ("lo", "hi"):
        wrong[f"credit_{half}"][lines[0]] = facts[f"credit_{half}"][other]
    monkeypatch.setattr(demo_proofs, "facts_with_offsets", lambda log: (offsets, wrong))
    broken = {one.sentence: one.found for one in prove(config, b"", 3).proofs if not one.held}
    assert broken[SENTENCES[0]] == f"not in assets {assets_in_order(facts, lines[0], other)}"
    assert broken[SENTENCES[2]].startswith("not account ")


def asset_of(facts, row):
    assets = totals_of(facts).assets
    return assets[int(facts["debit_lo"][row]) | int(facts["debit_hi"][row]) << 64]


def assets_in_order(facts, *rows):
    return ", ".join(map(str, sorted(asset_of(facts, row) for row in rows)))


def test_the_plain_fold_of_facts_is_the_cores():
    """Holds that are posted in part, let go and run out; a reversal; an amendment; a burnt id."""
    ledger, hold = Ledger(), int(TransferFlag.HOLD)
    ledger.open_accounts([Account(1, 9, 1), Account(2, 9, 1)], 0, 0)
    ledger.transfer([Transfer(10 + n, 1, 2, 100 + n, code=1, flags=hold, timeout_ms=50) for n in range(4)], 1, 0)
    ledger.transfer([Transfer(20, amount_minor=60, flags=int(TransferFlag.POST), reference=10)], 2, 0)
    ledger.transfer([Transfer(21, flags=int(TransferFlag.VOID), reference=11)], 2, 0)
    ledger.transfer([Transfer(22, amount_minor=25, flags=int(TransferFlag.REVERSAL), reference=20)], 3, 0)
    ledger.amend_accounts([Amendment(1, 0)], 4, 0)
    ledger.transfer([Transfer(23, 1, 99, 5, code=1, flags=int(TransferFlag.BURN))], 4, 0)
    ledger.transfer([Transfer(24, 2, 1, 7, code=1, flags=hold)], 60, 0)
    kinds = set(ledger.facts()["kind"].tolist())
    totals = totals_of(ledger.facts())
    assert kinds == set(map(int, FactKind))
    for account in (1, 2):
        assert tuple(ledger.balance(account)) == tuple(column[account] for column in totals[1:])
    assert (totals.debits_posted[1], totals.debits_held[2], totals.debits_held[1]) == (60, 7, 0)


def test_the_durable_ledger_refuses_time_that_goes_back(tmp_path):
    with durable_ledger(place(tmp_path).read(), 1_000) as (durable, memory):
        assert isinstance(durable, DurableLedger)
        durable.open_accounts([Account(1, 9, 1), Account(2, 9, 1)], 2_000, 0)
        assert (memory.now_ms, memory.facts_n) == (2_000, 2)
        with pytest.raises(InputError, match="the ledger's time never goes back"):
            durable.transfer([Transfer(3, 1, 2, 10, code=1)], 1_999, 0)
        durable.amend_accounts([Amendment(1, 0)], 2_000, 0)
        durable.transfer([Transfer(3, 1, 2, 10, code=1)], 2_000, 0)
        assert memory.facts_n == 4
