"""`quanheng features`: what is wrong is told in one line."""

from __future__ import annotations

import json

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
