"""`quanheng features`: what is wrong is told in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from quanheng.cli.main import main
from quanheng.kernel.errors import MissingExtra


def told(capsys, *arguments):
    code = main(["features", *map(str, arguments)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_list_and_lineage_as_json(capsys):
    code, out, _ = told(capsys, "list", "card_fraud", "--json")
    assert code == 0
    assert {"customer_count_1d", "hour_of_day"} <= {one["name"] for one in json.loads(out)}
    code, out, _ = told(capsys, "lineage", "customer_mean_1d", "--pack", "card_fraud", "--json")
    assert code == 0
    names = {one["name"] for one in json.loads(out)["nodes"]}
    assert {"card.payment.amount_minor", "customer_mean_1d", "fraud_score", "authorise.authorise"} <= names


def test_the_table_names_who_uses_a_feature(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    code, out, _ = told(capsys, "list", "card_fraud")
    assert code == 0
    by_name = {line.split()[0]: line.split()[-1] for line in out.splitlines() if line[1:2].strip()}
    assert by_name["terminal_fraud_count_7d"] == "terminal_fraud_share_7d"
    assert by_name["hour_of_day"] == "fraud_score"
    code, out, _ = told(capsys, "lineage", "authorise.authorise", "--pack", "card_fraud")
    assert "process:review" in out.partition("used by")[2]
    code, out, _ = told(capsys, "lineage", "process:dispute", "--pack", "card_fraud")
    assert "transfer:collect.principal" in out
    code, out, _ = told(capsys, "lineage", "transfer:take_back.principal", "--pack", "card_fraud")
    assert "used by nothing in this pack" in out


def test_sql_without_names_says_what_it_can_and_why_not_the_rest(capsys, tmp_path, monkeypatch):
    pytest.importorskip("ibis")
    monkeypatch.chdir(tmp_path)
    assert main(["pack", "new", "shop"]) == 0
    fold = '[[fold]]\nname = "amounts"\nof = "shop.request"\nby = ["customer"]\nfold = "distinct"\n'
    with (tmp_path / "shop" / "features.toml").open("a") as file:
        file.write(fold + 'value = "amount_minor"\nexact_max = 64\n')
    capsys.readouterr()
    code, out, err = told(capsys, "sql", "shop")
    assert code == 0
    assert out.startswith("-- events:  _offset")
    assert 'AS "customer_count_1d"' in out
    assert '"amounts"' not in out
    said = " ".join(err.split())
    assert "amounts: SQL cannot say it: `exact_max`: its answer is an estimate beyond so many values" in said
    code, out, err = told(capsys, "sql", "shop", "amounts")
    assert code == 2
    assert "SQL cannot say these folds; was amounts (`exact_max`" in err
    assert "Name the others, or let the kernel compute them" in err


def test_what_is_wrong_is_told(capsys, tmp_path):
    code, _, err = told(capsys, "build", "card_fraud", "--spine", tmp_path / "s.csv", "--out", tmp_path / "o.csv")
    assert code == 2
    assert "the training set is a .parquet file" in err
    code, _, err = told(capsys, "sql", "card_fraud", "no_such")
    assert code == 2
    assert "no such fold; was no_such" in err
    code, _, err = told(capsys, "list", "no_such_pack")
    assert code == 2
    assert "there is no such pack" in err


@pytest.mark.parametrize(
    ("package", "extra"), [("ibis-framework", "offline"), ("ibis-framework[duckdb]", "offline"), ("pyspark", "spark")]
)
def test_a_missing_package_is_named_with_its_extra(package, extra):
    told = str(MissingExtra(package, extra, "folds as SQL"))
    assert package in told
    assert f"quanheng[{extra}]" in told


WALLET = Path(__file__).parents[2] / "packs" / "wallet"


def test_balances_and_transfers_have_a_lineage(capsys):
    code, out, _ = told(capsys, "list", WALLET, "--json")
    assert code == 0
    kinds = {one["name"]: (one["kind"], one["data_class"]) for one in json.loads(out)}
    assert kinds == {"wallet_available": ("balance", "financial"), "merchant_held": ("balance", "financial")}
    code, out, _ = told(capsys, "lineage", "transfer:refusal_fee.fee", "--pack", WALLET)
    assert code == 0
    said = " ".join(out.split())
    assert said.startswith(
        "transfer:refusal_fee.fee (transfer, financial): moves refusal_fee CNY from wallet(payer) to fees"
    )
    assert "wallet_available (balance, financial): available of wallet(payer)" in said


def test_a_pack_is_shown_with_its_accounts(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "quanheng.toml").write_text(f'[packs]\nfolders = ["{WALLET}"]\n')
    assert main(["pack", "show", "wallet", "--json"]) == 0
    accounts = json.loads(capsys.readouterr().out)["accounts"]
    assert [one["name"] for one in accounts["postings"]] == [
        "top_up", "authorise", "capture", "release", "refund", "refusal_fee",
    ]  # fmt: skip
    assert accounts["assets"][0]["number"] == 156
