"""Offers of the lending pack: what they cost a year is what the law's equations say, whatever the terms."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from fractions import Fraction

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from quanheng.decisions.dmn import compile_decision
from quanheng.ledger.instruments.annual_rate import Flow, Interval, apr_eu, rate_cn
from quanheng.ledger.instruments.loan.day_count import add_months
from quanheng.ledger.instruments.loan.schedule import level_instalment
from quanheng.loading import Declared, check_pack, load_packs, read_packs
from quanheng.loading.files import read_pack
from quanheng.loading.policies import model_of

PACKS = read_packs()
SIX = Decimal("0.000001")


@pytest.fixture(scope="module")
def lending() -> Declared:
    return load_packs(["lending"], PACKS)["lending"]


@pytest.fixture(scope="module")
def offer(lending):
    """An offer by amount, nominal rate, fee rate and months, for a product that is repaid so."""
    policy = compile_decision(model_of(lending, "offer"), "offer_made")
    known = {one.name: one.values[-1].value for one in lending.parameters}

    def made(amount_minor: int, rate: Decimal, fee_rate: Decimal, periods: int, repayment: str = "annuity") -> dict:
        values = {
            **known, "product": "term", "amount_minor": amount_minor, "periods": periods, "risk": Decimal("0.001"),
            "term_rate_floor": rate, "term_rate_cap": rate, "term_fee_rate": fee_rate, "term_repayment": repayment,
            "term_amount_max_minor": 10**12, "income_month_known_minor": 10**13, "debts_month_known_minor": 0,
        }  # fmt: skip
        judged = policy([values.get(one.name) for one in policy.inputs])
        assert isinstance(judged.result, dict), judged.diagnostics
        return judged.result

    return made


def instalments(made: dict, periods: int, repayment: str = "annuity") -> list[int]:
    """What is paid out, less the fee, and what comes back."""
    paid_out = made["offer_amount_minor"] - made["fee_minor"]
    if repayment == "bullet":
        return [paid_out, *[0] * (periods - 1), -made["instalment_minor"]]
    return [paid_out, *[-made["instalment_minor"]] * periods]


def check_rates(made: dict, periods: int, repayment: str = "annuity") -> None:
    flows = instalments(made, periods, repayment)
    assert abs(made["annual_rate"] - rate_cn(flows)) <= SIX
    assert abs(made["annual_rate_compound"] - rate_cn(flows, compound=True)) <= SIX
    days = [add_months(date(2026, 3, 2), month) for month in range(periods + 1)]
    dated = [Flow(day, amount) for day, amount in zip(days, flows, strict=True) if amount]
    assert abs(made["annual_rate_compound"] - apr_eu(dated, Interval.MONTHS)) <= SIX


@settings(max_examples=150, deadline=None)
@given(
    amount_minor=st.integers(min_value=10_000, max_value=10**11),
    rate=st.integers(min_value=0, max_value=3600).map(lambda whole: Decimal(whole) / 10_000),
    fee_rate=st.integers(min_value=0, max_value=1000).map(lambda whole: Decimal(whole) / 10_000),
    periods=st.integers(min_value=1, max_value=120),
    repayment=st.sampled_from(["annuity", "bullet"]),
)
def test_the_annual_rate_of_an_offer_is_that_of_the_laws_equations(
    offer, amount_minor, rate, fee_rate, periods, repayment
):
    made = offer(amount_minor, rate, fee_rate, periods, repayment)
    assert made["offer_amount_minor"] == amount_minor
    check_rates(made, periods, repayment)


@pytest.mark.parametrize("repayment", ["annuity", "bullet"])
@pytest.mark.parametrize(("amount_minor", "rate", "fee_rate", "periods"), [
    (1_200_000, "0", "0", 12),  # Nothing is charged.
    (1_000_000, "0", "0", 3),  # Three equal parts leave a cent.
    (1_000_000, "0", "0.02", 12),  # A fee alone.
    (1_000_000, "0", "0.0001", 120),  # Hardly a fee.
    (1_000_000, "0.36", "0.1", 3),
    (10_000, "0.0001", "0", 120),
    (3_000_000, "0.0828", "0.02", 1),
])  # fmt: skip
def test_the_annual_rate_at_the_edges(offer, amount_minor, rate, fee_rate, periods, repayment):
    check_rates(offer(amount_minor, Decimal(rate), Decimal(fee_rate), periods, repayment), periods, repayment)


@pytest.mark.parametrize(("amount_minor", "rate", "periods"), [
    (3_000_000, "0.0828", 12), (123_457, "0.18", 36), (10_000, "0.0001", 120), (50_000_000, "0.045", 3),
])  # fmt: skip
def test_the_instalment_of_an_offer_is_that_of_the_ledgers_schedule(offer, amount_minor, rate, periods):
    growths = [Fraction(rate) / 12] * periods
    expected = level_instalment(Fraction(amount_minor), growths, "ROUND_HALF_UP")
    assert offer(amount_minor, Decimal(rate), Decimal(0), periods)["instalment_minor"] == expected


def test_every_parameter_is_read_by_a_policy_or_an_act(lending):
    acts = msgspec.json.encode(lending.accounts).decode()
    read = {one.get("name") for xml in lending.policies.values() for one in etree.fromstring(xml).iter("{*}inputData")}
    assert not [one.name for one in lending.parameters if one.name not in read and one.name not in acts]


def test_tables_hold_no_number_but_none_and_one(lending):
    """Thresholds are dated parameters; 0 and 1 stand for nothing and for the first."""
    for name, xml in lending.policies.items():
        texts = [
            text.text or "" for cell in etree.fromstring(xml).iter("{*}inputEntry") for text in cell.iter("{*}text")
        ]
        words = [word for text in texts for word in text.replace("(", " ").split() if word[0].isdigit()]
        assert set(words) <= {"0", "1"}, name


@pytest.mark.parametrize(("file", "old", "new", "where"), [
    ("policies/eligibility.dmn", 'name="employment"', 'name="sex"', "policies/"),
    ("models/risk.toml", '"bureau_inquiries_6m"', '"sex"', "models/risk.toml"),
])  # fmt: skip
def test_the_applicants_sex_enters_no_policy_and_no_model(file, old, new, where):
    pack = PACKS["lending"]
    files = {**pack.files, file: pack.files[file].decode().replace(old, new).encode()}
    problems = [str(one) for one in check_pack(read_pack(files, pack.label), PACKS)[1]]
    assert any(one.startswith(where) and "protected" in one for one in problems), problems[:3]


def test_a_fold_of_the_applicants_sex_is_as_protected_as_it_is():
    pack = PACKS["lending"]
    fold = (
        '\n[[fold]]\nname = "sexes_30d"\nof = "loan.application"\nby = ["device"]\n'
        'fold = "distinct"\nvalue = "sex"\nwindow = "30d"\n'
    )
    model = pack.files["models/risk.toml"].decode().replace('"bureau_inquiries_6m"', '"sexes_30d"')
    files = {
        **pack.files, "features.toml": pack.files["features.toml"] + fold.encode(), "models/risk.toml": model.encode(),
    }  # fmt: skip
    problems = [str(one) for one in check_pack(read_pack(files, pack.label), PACKS)[1]]
    assert any("sexes_30d" in one and "protected" in one for one in problems), problems[:3]
