"""`quanheng ledger reconcile`: statements against the ledger of a log, faults told, what is left written."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import polars as pl
import pytest

from quanheng.cli.main import main
from quanheng.engine import Engine
from quanheng.ledger.entries import Account, Transfer

sys.path.insert(0, str(Path(__file__).parents[1] / "ledger" / "reconciliation"))
from bank_files import balance, document, entry, statement, transaction

T0, DAY = 1_768_471_200_000, 20_468
"""2026-01-15T10:00:00Z"""
BANK, SALES, NAME = 1, 2, 0xF00D << 96


@pytest.fixture
def quanheng(tmp_path, capsys):
    """Runs the command on a log; writes files beside it."""
    engine = Engine.open(tmp_path / "data", clock=lambda: T0)
    engine.open_accounts([Account(BANK, 978, 1), Account(SALES, 978, 2)])
    engine.post(
        [
            Transfer(100, BANK, SALES, 12_50, code=5, user_data=1001),
            Transfer(101, BANK, SALES, 80_00, code=5, user_data=NAME),
            Transfer(102, SALES, BANK, 7_00, code=5),
        ]
    )
    engine.close()

    def run(*arguments, **files):
        for name, text in files.items():
            (tmp_path / name).write_text(text, encoding="utf-8")
        given = [str(tmp_path / one) if one in files or one.endswith((".csv", ".sta")) else one for one in arguments]
        place = ["--data", str(tmp_path / "data"), "--keys", str(tmp_path / "data-keys")]
        code = main(["ledger", "reconcile", *given, *place])
        told = capsys.readouterr()
        return code, told.out, told.err

    run.folder = tmp_path
    return run


def at_day(minor, name="", **more):
    return entry(minor, transaction(EndToEndId=name) if name else "", booked=DAY, value=DAY, **more)


def january(*entries, opens=0, ends=0, **of):
    return statement(balance("OPBD", opens, DAY), *entries, balance("CLBD", ends, DAY), **of)


GOOD = document(january(at_day(12_50, "1001"), at_day(80_00, f"{NAME:032X}"), at_day(-9_00), ends=83_50))


def test_what_matches_and_what_is_left(quanheng):
    code, out, err = quanheng("1", "file", "--today", "2026-01-20", file=GOOD)
    assert code == 0
    assert "error" not in err
    assert out.splitlines() == [
        "3 lines in 1 statements, ledger as of offset 5",
        "matched: 2 by REFERENCE",
        "left: 2",
        f"2026-01-15  ledger                 -700  NOT_IN_STATEMENT  5 days  {102:032x}",
        "2026-01-15  statement              -900  NOT_IN_LEDGER  5 days  1/3",
    ]


def test_as_json_and_as_tables(quanheng):
    arguments = ["--today", "2026-01-20", "--breaks", "breaks.csv", "--matches", "matches.csv", "--json"]
    code, out, _ = quanheng("1", "file", *arguments, file=GOOD)
    shown = json.loads(out)
    assert (code, shown["matches"], shown["breaks"], shown["faults"]) == (0, {"REFERENCE": 2}, 2, 0)
    assert [one["reason"] for one in shown["left"]] == ["NOT_IN_STATEMENT", "NOT_IN_LEDGER"]
    assert pl.read_csv(quanheng.folder / "breaks.csv")["age_days"].to_list() == [5, 5]
    assert pl.read_csv(quanheng.folder / "matches.csv").height == 2


def test_rules_of_a_file(quanheng):
    rules = 'tolerance_minor = 0\n[[fees]]\nname = "wire fee"\nrate = 0.02\n'
    text = document(january(at_day(12_25, "1001"), at_day(80_00, str(NAME)), at_day(-7_00), ends=85_25))
    code, out, _ = quanheng("1", "file", "--rules", "rules", "--json", file=text, rules=rules)
    assert (code, json.loads(out)["matches"]) == (0, {"AMOUNT": 1, "FEE": 1, "REFERENCE": 1})


def test_a_transfer_may_be_known_by_its_id(quanheng):
    text = document(january(at_day(12_50, "100"), at_day(80_00, "0x65"), at_day(-7_00, "102"), ends=85_50))
    _, out, _ = quanheng("1", "file", "--reference", "id", "--json", file=text)
    assert json.loads(out)["matches"] == {"REFERENCE": 3}


def test_days_outside_of_the_statement_are_not_compared(quanheng):
    text = document(statement(balance("OPBD", 0, DAY + 1), balance("CLBD", 0, DAY + 1)))
    assert json.loads(quanheng("1", "file", "--json", file=text)[1])["breaks"] == 0
    _, out, _ = quanheng("1", "file", "--since", "2026-01-15", "--json", file=text)
    assert json.loads(out)["breaks"] == 3
    _, out, _ = quanheng("1", "file", "--since", "2026-01-15", "--until", "2026-01-14", "--json", file=text)
    assert json.loads(out)["breaks"] == 0


def test_a_fault_is_told_and_the_rest_goes_on(quanheng):
    bad = at_day(80_00, "1002").replace("80.00", "80.005")
    code, out, err = quanheng("1", "file", "--json", file=document(january(at_day(12_50, "1001"), bad, ends=92_50)))
    assert (code, json.loads(out)["matches"], json.loads(out)["faults"]) == (2, {"REFERENCE": 1}, 1)
    assert "an amount cannot be read; was '80.005'" in err
    assert err.count("error: ") == 1


def test_one_account_of_several(quanheng):
    text = document(january(at_day(12_50, "1001"), ends=12_50), january(iban="FI7433010001222090"))
    code, _, err = quanheng("1", "file", file=text)
    assert code == 2
    assert (
        "--account: there is not one account in the statements that is meant; was 2 accounts; "
        "allowed: DE89370400440532013000 EUR, FI7433010001222090 EUR. Name one of them." in err
    )
    _, out, _ = quanheng("1", "file", "--account", "DE89370400440532013000", "--json", file=text)
    assert json.loads(out)["lines"] == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["9", "file"], "there is no account with this id"),
        (["1", "file", "--today", "15.1.26"], "--today: this is no date; was '15.1.26'; allowed: a date such as"),
        (
            ["1", "file", "--rules", "rules"],
            "rules of reconciliation cannot be read; was windows is none of buckets_days",
        ),
        (["1", "none.sta"], "the statement cannot be opened"),
        (["1", "file", "--breaks", "breaks.txt"], "the general ledger is written as CSV or Parquet"),
    ],
)
def test_wrong_input(quanheng, arguments, says):
    code, _, err = quanheng(*arguments, file=GOOD, rules="windows = 3")
    assert code == 2
    assert says in err
