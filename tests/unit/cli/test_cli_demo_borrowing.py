"""`quanheng demo` of people who borrow, with tiny numbers; money of one loan against plain arithmetic."""

from __future__ import annotations

import json
from decimal import Decimal

import msgspec
import numpy as np
import pytest

from quanheng.cli import main
from quanheng.cli.borrowing_book import cost_per_more, run_book
from quanheng.cli.demo_borrowing import Applicants, gained, plain_policy, profits
from quanheng.loading import check_pack, read_packs


@pytest.fixture(scope="module")
def traffic():
    packs = read_packs()
    return check_pack(packs["lending"], packs)[0].traffic


def test_a_demo_decides_applications_and_serves_a_book(capsys, tmp_path):
    assert main(["demo", "lending", "--events", "9000", "--loans", "60", "--json", "--data", str(tmp_path)]) == 0
    found = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    assert found["applications"] > 100
    assert 0 < found["approval_rate"] < 1
    assert found["book_loans"] == 60
    assert found["ledger_balanced"] is True
    assert found["days_balanced"] == found["book_days"] == 365
    assert found["book_refused"] == 0
    assert found["profit_oracle_minor"] >= max(found["profit_minor"], found["profit_approve_all_minor"])
    assert found["recovery_lift_low"] <= found["recovery_lift"] <= found["recovery_lift_high"]
    assert found["placebo_recovery_lift_low"] < 0 < found["placebo_recovery_lift_high"]
    assert found["recovery_lift"] == pytest.approx(found["contacted_cured"] - found["control_cured"], abs=0.0002)


def test_a_person_reads_the_same_figures_in_a_table(capsys, tmp_path):
    few = ["--events", "9000", "--loans", "3", "--data", str(tmp_path)]
    assert main(["demo", "lending", *few]) == 0
    shown = capsys.readouterr().err
    assert "lending: 9,000 simulated events, then a book of 3 loans" in " ".join(shown.split())
    for name in ("lent to", "AUC of the score", "365 of 365", "too few to tell", "more than loans to all"):
        assert name in shown


def test_cost_of_a_unit_is_the_difference_of_costs_over_that_of_recoveries():
    treated = np.array([True, True, True, False, False] * 80)
    at = np.arange(len(treated), dtype=float)
    cost, came = np.where(treated, 30 + at % 7, 0.0), np.where(treated, 900.0, 500.0) + at % 11
    found = cost_per_more(cost, came, treated)
    difference = came[treated].mean() - came[~treated].mean()
    assert found.value == pytest.approx(cost[treated].mean() / difference)
    assert found.low < found.value < found.high
    assert np.isnan(cost_per_more(cost[treated], came[treated], treated[treated]).value)


def test_a_number_below_one_is_refused(capsys):
    assert main(["demo", "lending", "--loans", "0"]) == 2
    assert "--events, --group, --loans, --years: the number must be positive" in capsys.readouterr().err.replace(
        "\n", " "
    )


def test_the_same_seed_gives_the_same_book(traffic, tmp_path):
    short = msgspec.structs.replace(traffic)
    first, again = (run_book(short, tmp_path / str(one), 40, 1, 3) for one in range(2))
    assert first == again
    assert first.balanced == first.days
    assert first.counts["opened"] == 40


def test_profit_of_a_loan_is_what_it_pays_less_what_it_costs(traffic):
    rule = msgspec.structs.replace(traffic.rule, rate=Decimal("0.12"), funds_rate=Decimal(0), recovered=Decimal(0))
    whole, never = profits(rule, np.array([120_000, 120_000]), np.array([12, 12]), np.array([0, 1]))
    instalment = 120_000 * 0.01 / (1 - 1.01**-12)
    assert whole == pytest.approx(12 * instalment - 120_000)
    assert never == -120_000


def test_a_sum_of_gains_has_the_interval_of_students_t():
    found = gained("gain", np.array([1.0, 2.0, 3.0, 6.0]) * 1000)
    half = 4 * 3.18245 * np.std([1000, 2000, 3000, 6000], ddof=1) / 2  # t of three degrees of freedom, 97.5 %.
    assert found["gain_minor"] == 12_000
    assert found["gain_low_minor"] == pytest.approx(12_000 - half, abs=1)
    assert found["gain_high_minor"] == pytest.approx(12_000 + half, abs=1)


def test_the_plain_policy_lends_to_nobody_where_it_lends_nothing(traffic):
    people = Applicants(traffic, 2_000, 1)
    assert plain_policy(traffic, people).any()
    none = msgspec.structs.replace(traffic, rule=msgspec.structs.replace(traffic.rule, multiple=Decimal(0)))
    assert not plain_policy(none, people).any()
