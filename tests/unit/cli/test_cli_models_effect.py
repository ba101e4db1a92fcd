"""`quanheng models effect` on files as people bring them."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest

from quanheng.cli.main import main


@pytest.fixture
def loans(tmp_path):
    g = np.random.default_rng(9)
    n = 2_000
    held = g.uniform(0, 1, n) < 0.2
    before = g.gamma(2, 100, n)
    pl.DataFrame(
        {
            "loan": [f"l{at}" for at in range(n)],
            "arm": np.where(held, "none", "offer"),
            "recovered": np.round(before + g.gamma(2, 30, n) + 20 * ~held, 2),
            "cost": np.where(held, 1.0, 3.0) * g.gamma(2, 1, n),
            "before": before,
            "region": g.choice(["north", "south"], n),
            "bad": np.where(g.uniform(0, 1, n) < 0.2, "yes", "no"),
        }
    ).write_csv(tmp_path / "loans.csv")
    return tmp_path / "loans.csv"


def run(capsys, *words) -> tuple[int, str]:
    code = main(["models", "effect", *map(str, words)])
    out = capsys.readouterr()
    return code, out.out + out.err


def test_a_difference_is_told_with_everything_beside_it(loans, capsys):
    code, text = run(
        capsys, loans, "--arm", "arm", "--control", "none", "--value", "recovered", "--before", "before", "--by",
        "region", "--score", "before", "--share", "none=0.2", "--share", "offer=0.8", "--planned", "2000",
    )  # fmt: skip
    assert code == 0
    for part in (
        "offer - none",
        "plain",
        "adjusted",
        "(cuped)",
        "any time",
        "segments",
        "Qini",
        "sizes are as declared",
    ):
        assert part in text, text


def test_json_is_one_line_and_finite(loans, capsys):
    code, text = run(
        capsys, loans, "--arm", "arm", "--control", "none", "--value", "cost", "--per", "recovered", "--json"
    )
    found = json.loads(text.splitlines()[-1])
    assert (code, found["kind"], found["control"], found["mismatch"]) == (0, "ratio", "none", None)
    assert found["compared"][0]["effect"]["low"] < found["compared"][0]["effect"]["value"]


def test_yes_and_no_are_a_share(loans, capsys):
    _, text = run(capsys, loans, "--arm", "arm", "--control", "none", "--value", "bad")
    assert "share with its 95 % interval" in text
    assert "(newcombe)" in text
    assert "sizes of the arms were not tested" in text


def test_arms_of_other_sizes_end_with_3(loans, capsys):
    code, text = run(
        capsys,
        loans,
        "--arm",
        "arm",
        "--control",
        "none",
        "--value",
        "bad",
        "--share",
        "none=0.5",
        "--share",
        "offer=0.5",
    )
    assert code == 3
    assert "SIZES ARE NOT AS DECLARED" in text


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--value", "region"), "a cell is no number"),
        (("--value", "paid"), "the table has no such column"),
        (("--value", "bad", "--share", "x"), "the share cannot be read"),
        (("--value", "bad", "--share", "none=much"), "the share cannot be read"),
    ],
)
def test_what_cannot_be_read_is_told(loans, capsys, words, text):
    code, out = run(capsys, loans, "--arm", "arm", "--control", "none", *words)
    assert code != 0
    assert text in out


def test_a_value_that_is_not_finite_is_refused(tmp_path, capsys):
    (tmp_path / "a.csv").write_text("arm,paid\na,1\nb,inf\na,2\nb,3\n")
    code, out = run(capsys, tmp_path / "a.csv", "--arm", "arm", "--control", "a", "--value", "paid")
    assert code != 0
    assert "a cell is not finite" in out
