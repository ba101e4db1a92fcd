"""`quanheng ledger`: accounts, statements and transfers read from the log, now and as of an offset."""

from __future__ import annotations

import json

import pytest
from tests.unit.path.wallet import opened, topped_up, wallet, wallet_of

from quanheng import recovery
from quanheng.cli.main import main
from quanheng.engine import Engine
from quanheng.follower import write_snapshot
from quanheng.kernel.snapshot import Snapshots
from quanheng.ledger.entries import Account, AccountFlag, Transfer, TransferFlag

T0 = 1_768_471_200_000
"""2026-01-15T10:00:00Z"""


@pytest.fixture
def quanheng(tmp_path, capsys):
    """Runs a command on a bank of three accounts; (exit code, standard output, standard error)."""
    now = [T0]
    engine = Engine.open(tmp_path / "data", clock=lambda: now[0])
    engine.open_accounts(
        [Account(1, 978, 1), Account(2, 978, 2, AccountFlag.DEBITS_BOUND, owner=77), Account(2**100, 840, 2)]
    )
    engine.post([Transfer(100, 1, 2, 1_000, code=5)])
    now[0] += 60_000
    engine.post([Transfer(101, 2, 1, 300, code=6, flags=TransferFlag.HOLD)])
    engine.close()

    def run(*arguments):
        place = ["--data", str(tmp_path / "data"), "--keys", str(tmp_path / "data-keys")]
        code = main(["ledger", *arguments, *place])
        told = capsys.readouterr()
        return code, told.out, told.err

    run.folder = tmp_path / "data"
    return run


def test_an_account_is_shown_with_its_holds_of_the_same_moment(quanheng):
    code, out, _ = quanheng("show", "2", "--json")
    shown = json.loads(out)
    assert (code, shown["as_of"], shown["account"]["owner"]) == (0, 5, "77")
    assert shown["balance"]["credits_posted_minor"] == 1_000
    assert [(one["id"], one["amount_minor"]) for one in shown["holds"]] == [("101", 300)]


def test_an_account_is_shown_as_it_was_at_an_offset(quanheng):
    _, out, _ = quanheng("show", "0x2", "--as-of", "4", "--json")
    shown = json.loads(out)
    assert (shown["as_of"], shown["holds"], shown["balance"]["debits_held_minor"]) == (4, [], 0)
    code, _, err = quanheng("show", "2", "--as-of", "6")
    told = "error: --as-of: the log has no such offset; was 6; allowed: 0 to 5. Leave it out."
    assert (code, err.strip()) == (2, told)


def test_a_transfer_is_shown(quanheng):
    code, out, _ = quanheng("show", "101")
    assert (code, json.loads(out)["transfer"]["hold"]) == (0, "held")


def test_what_is_not_there_is_said(quanheng):
    code, _, err = quanheng("show", "999")
    assert code == 2
    assert "there is no account and no transfer with this id; was 999" in err
    code, _, err = quanheng("statement", "999")
    assert (code, "there is no account with this id" in err) == (2, True)
    code, _, err = quanheng("show", "anna")
    assert (code, "id: this is no id of the ledger; was 'anna'" in err) == (2, True)


def test_a_statement_shows_the_balance_after_each_line(quanheng):
    _, out, _ = quanheng("statement", "2")
    assert out.splitlines() == [
        "2026-01-15T10:01:00.000Z  debit                300  with 1  code 6  held      balance 1,000  debits held 300",
        "2026-01-15T10:00:00.000Z  credit             1,000  with 1  code 5            balance 1,000  debits held 0",
    ]
    _, out, _ = quanheng("statement", "2", "--until", "2026-01-15T10:00:30Z", "--json")
    [line] = map(json.loads, out.splitlines())
    assert (line["id"], line["balance"]["credits_posted_minor"]) == ("100", 1_000)
    _, out, _ = quanheng("statement", "2", "--since", "2026-01-15T10:00:30Z", "--limit", "5", "--json")
    assert [json.loads(line)["id"] for line in out.splitlines()] == ["101"]


def test_accounts_are_listed_by_what_they_have(quanheng):
    _, out, _ = quanheng("list")
    assert out.splitlines()[1] == "2  asset 978  code 2  balance 1,000  debits held 300  credits held 0  lines 2"
    for option, value, ids in (
        ("--owner", "0x4d", ["2"]), ("--code", "2", ["2", str(2**100)]), ("--asset", "840", [str(2**100)]),
        ("--entity", "9", []),
    ):  # fmt: skip
        _, out, _ = quanheng("list", option, value, "--json")
        assert [json.loads(line)["account"]["id"] for line in out.splitlines()] == ids


def test_a_snapshot_spares_the_log_before_it_and_changes_no_answer(quanheng, monkeypatch):
    before = quanheng("show", "2", "--json")[:2]
    assert write_snapshot(quanheng.folder).written
    offsets = []
    read = recovery.read_batches
    monkeypatch.setattr(
        recovery, "read_batches", lambda log, first, upto: offsets.append(first) or read(log, first, upto)
    )
    assert quanheng("show", "2", "--json")[:2] == before
    snapshots = Snapshots(quanheng.folder / "snapshots")
    newest = snapshots.newest()
    snapshots.write(newest.offset, "other", {**newest.parts, "chain": bytes(32)})  # Of another timeline: passed over.
    assert quanheng("show", "2", "--json")[:2] == before
    _, out, _ = quanheng("show", "2", "--as-of", "4", "--json")
    assert json.loads(out)["holds"] == []
    assert offsets == [5, 0, 0]


def test_the_ledger_is_projected_and_gone_on_with(quanheng, tmp_path):
    file = str(tmp_path / "ledger.db")
    assert quanheng("project", "--to", file)[:2] == (0, "projected up to offset 5: 5 facts of the ledger\n")
    code, out, _ = quanheng("project", "--to", file, "--json")
    assert (code, json.loads(out)) == (0, {"projected_upto": 5, "facts": 0})
    code, out, _ = quanheng("project", "--to", file, "--json", "--rebuild")
    assert (code, json.loads(out)) == (0, {"projected_upto": 5, "facts": 5})


def test_the_projection_follows_what_is_committed_later(quanheng, tmp_path, monkeypatch):
    waits = []

    def commit_or_interrupt(seconds):
        waits.append(seconds)
        if len(waits) == 2:
            raise KeyboardInterrupt
        engine = Engine.open(quanheng.folder, clock=lambda: T0 + 90_000)
        engine.post([Transfer(102, 1, 2, 50, code=5)])
        engine.close()

    monkeypatch.setattr("time.sleep", commit_or_interrupt)
    code, out, err = quanheng("project", "--to", str(tmp_path / "l.db"), "--follow", "--json", "--interval-ms", "20")
    assert (code, err.strip(), waits) == (130, "error: interrupted", [0.02, 0.02])
    assert [json.loads(line) for line in out.splitlines()] == [
        {"projected_upto": 5, "facts": 5},
        {"projected_upto": 6, "facts": 1},
    ]


@pytest.mark.parametrize("snapshot", [False, True])
def test_an_account_of_a_pack_is_shown_by_its_name(tmp_path, capsys, snapshot):
    engine = opened(tmp_path, packs=wallet()[:1])  # What it requires comes first, and has no accounts.
    engine.activate(wallet())
    engine.submit([topped_up("a", 700)])
    engine.submit([topped_up("b", 7, "ben")])
    id = str(wallet_of(engine, "anna"))
    engine.close()
    if snapshot:
        write_snapshot(tmp_path / "data")

    def run(*arguments):
        place = ["--data", str(tmp_path / "data"), "--keys", str(tmp_path / "data-keys")]
        code = main(["ledger", *arguments, *place])
        return code, *capsys.readouterr()

    shown = json.loads(run("show", "wallet.wallet(anna)", "--json")[1])
    assert (shown["account"]["id"], shown["balance"]["credits_posted_minor"]) == (id, 700)
    assert shown == json.loads(run("show", id, "--json")[1])
    lines = run("statement", "wallet.bank", "--json")[1].splitlines()
    assert [json.loads(line)["amount_minor"] for line in lines] == [7, 700]
    code, _, err = run("show", "wallet.purse(anna)")
    assert code != 0
    assert "no active pack declares this account; was wallet.purse; allowed: wallet.bank, wallet.fees" in err
    code, _, err = run("show", "wallet.bank", "--as-of", "0")
    assert "no active pack declares this account; was wallet.bank; allowed: no active pack declares accounts" in err
