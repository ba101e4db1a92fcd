"""`quanheng credit` on files as people write them."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from quanheng.cli.main import main

LOANS = """name,principal_minor,rate,months,pd_12m,lgd,stage,note
a,1000000,0.12,12,0.05,0.5,1,first
b,1000000,0.12,24,0.05,0.5,2,second
c,1000000,0.12,24,1,,3,third
"""
SEGMENTS = """name,applicants,pd,lgd,take_up,utilisation,region
good,1000,0.02,0.5,0.5,0.5,east
poor,1000,0.2,0.5,0.5,0.5,west
"""
LIMITS = """limits_minor = [500000, 1000000]
prices = [0.12, 0.24]
frontier = [0.0, 0.2]
[economics]
funding = 0.03
target_return = 0.15
[constraints]
loss_rate_max = 0.05
exposure_max_minor = { "region=east" = 200000000 }
"""
PRICE = 'target_return = 0.15\ncap = "0.36"\n[funding]\n1 = 0.03\n24 = 0.04\n'


@pytest.fixture(autouse=True)
def _files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, text in (
        ("loans.csv", LOANS),
        ("segments.csv", SEGMENTS),
        ("limits.toml", LIMITS),
        ("price.toml", PRICE),
    ):
        Path(name).write_text(text)


def told(capsys, *arguments):
    code = main(["credit", *arguments])
    out, err = capsys.readouterr()
    return code, out, " ".join(err.split())


def test_losses_of_a_file(capsys):
    code, out, _ = told(capsys, "loss", "loans.csv", "--json")
    found = json.loads(out)
    assert code == 0
    by_name = {one["name"]: one for one in found["loans"]}
    assert by_name["a"]["stage_minor"] == by_name["a"]["twelve_months_minor"]
    assert by_name["b"]["stage_minor"] == by_name["b"]["lifetime_minor"] > by_name["b"]["twelve_months_minor"]
    assert by_name["c"]["stage_minor"] == 1_000_000  # No LGD and no collateral: nothing comes back.
    assert found["stage_minor"] == sum(one["stage_minor"] for one in found["loans"])
    pl.read_csv("loans.csv").write_parquet("loans.parquet")
    assert json.loads(told(capsys, "loss", "loans.parquet", "--json")[1]) == found
    assert "to provide 1,000,000" in told(capsys, "loss", "loans.csv")[1]


def test_scenarios_are_weighed(capsys):
    Path("loss.toml").write_text(
        '[[scenario]]\nname = "base"\nweight = 0.5\n[[scenario]]\nname = "down"\nweight = 0.5\nlog_odds = 1\n'
    )
    one = json.loads(told(capsys, "loss", "loans.csv", "--assumptions", "loss.toml", "--json")[1])["loans"][1]
    base, down = one["by_scenario"]["base"][1], one["by_scenario"]["down"][1]
    assert base < down
    assert one["lifetime_minor"] == pytest.approx((base + down) / 2, abs=1)


def test_prices_of_a_file(capsys):
    code, out, _ = told(capsys, "price", "loans.csv", "--assumptions", "price.toml")
    assert code == 2  # A cell is empty that a price needs.
    Path("loans.csv").write_text(LOANS.replace("1,,3", "0.99,0.9,3"))
    code, out, _ = told(capsys, "price", "loans.csv", "--assumptions", "price.toml", "--sensitivity")
    assert code == 1
    assert "the cap: the target is not earned" in out
    assert "earns the target" in out
    assert "lgd a tenth lower" in out
    found = json.loads(told(capsys, "price", "loans.csv", "--assumptions", "price.toml", "--json")[1])["loans"]
    assert [one["bound"] for one in found] == ["target", "target", "cap"]
    assert 0.03 < found[0]["exact"] <= found[0]["rate"] < 0.36
    assert 0 <= found[0]["value_minor"] < 100


def test_limits_of_a_file(capsys):
    arguments = ("limits", "segments.csv", "--assumptions", "limits.toml")
    code, out, _ = told(capsys, *arguments, "--out", "plan.csv", "--dmn", "plan.dmn", "--json")
    found = json.loads(out)
    assert code == 0
    assert found["exposure_minor"] <= 200_000_000 + 10**9
    assert found["loss_minor"] <= 0.05 * found["exposure_minor"]
    assert [one["loss_rate_max"] for one in found["frontier"]] == [0.0, 0.2]
    plan = pl.read_csv("plan.csv")
    assert plan["segment"].to_list() == ["good", "poor"]
    assert plan["profit_minor"].sum() == found["profit_minor"] > 0
    assert b'name="offer"' in Path("plan.dmn").read_bytes()
    _, out, _ = told(capsys, *arguments)
    assert "one unit more of loss_rate_max" in out
    assert "good: " in out
    Path("limits.toml").write_text(LIMITS.replace("[constraints]", "[constraints]\napproval_rate_min = 1.0"))
    code, _, err = told(capsys, *arguments)
    assert code == 2
    assert "no choice of limits and prices meets all constraints" in err


def test_concentration_of_a_file(capsys):
    Path("book.csv").write_text("borrower,exposure_minor,group,region\na,300,g,east\nb,300,g,west\nc,400,,west\n")
    code, out, _ = told(capsys, "concentration", "book.csv")
    assert (code, "region: 2 names, HHI 0.5800, largest west 70.0%" in out) == (0, True)
    Path("rules.toml").write_text(
        'rules = "basel"\ntier1_minor = 2000\n[[limit]]\ndimension = "region"\nshare = "0.6"\n'
    )
    code, out, _ = told(capsys, "concentration", "book.csv", "--assumptions", "rules.toml")
    assert code == 1
    assert "broken: group g has 600, at most 500 (Basel LEX20)" in out
    assert "broken: region west has 700, at most 600 (own)" in out
    code, out, _ = told(capsys, "concentration", "book.csv", "--assumptions", "rules.toml", "--json")
    assert (code, len(json.loads(out)["breaches"])) == (1, 2)


@pytest.mark.parametrize(
    ("file", "content", "arguments", "text"),
    [
        ("x.csv", None, ("loss", "x.csv"), "FILE: there is no such file; was x.csv"),
        ("x.csv", "name,rate\na,1\n", ("loss", "x.csv"), "the file lacks columns; was no principal_minor, months"),
        ("x.csv", LOANS.partition("\n")[0] + "\n", ("loss", "x.csv"), "the file has no rows"),
        ("x.csv", "", ("loss", "x.csv"), "the table cannot be read"),
        ("x.parquet", "no parquet", ("loss", "x.parquet"), "the table cannot be read"),
        ("x.csv", LOANS.replace("0.05", "x", 1), ("loss", "x.csv"),
         "x.csv: row 1, column pd_12m: the cell is not what its column holds; was x; allowed: a number"),
        ("x.csv", LOANS.replace("1000000", "0.5", 1), ("loss", "x.csv"), "was 0.5; allowed: a whole number"),
        ("x.csv", LOANS.replace("1000000", "1e99999", 1), ("loss", "x.csv"), "was 1e99999; allowed: a whole number"),
        ("x.csv", LOANS.replace("a,1000000", ",1000000"), ("loss", "x.csv"), "was empty; allowed: a text"),
        ("x.csv", LOANS.replace("0.05", "nan", 1), ("loss", "x.csv"), "the cell is not what its column holds"),
        ("x.csv", LOANS.replace("0.05", "5", 1), ("loss", "x.csv"), "pd_12m: the figure is outside of what it can be"),
        ("x.toml", None, ("loss", "loans.csv", "--assumptions", "x.toml"), "--assumptions: there is no such file"),
        ("x.toml", "hazards = 1", ("loss", "loans.csv", "--assumptions", "x.toml"), "the assumptions cannot be read"),
        ("x.toml", "= 1", ("loss", "loans.csv", "--assumptions", "x.toml"), "the assumptions cannot be read"),
        ("x.toml", 'target_return = 0.1\n[funding]\nsoon = 0.03', ("price", "loans.csv", "--assumptions", "x.toml"),
         "the assumptions cannot be read"),
        ("x.toml", 'rules = "mars"', ("concentration", "book.csv", "--assumptions", "x.toml"),
         "there are no such rules of concentration; was mars; allowed: basel, china, none"),
    ],
)  # fmt: skip
def test_mistakes_are_told(capsys, file, content, arguments, text):
    Path("book.csv").write_text("borrower,exposure_minor\na,1\n")
    if content is not None:
        Path(file).write_text(content)
    code, _, err = told(capsys, *arguments)
    assert code == 2
    assert text in err
