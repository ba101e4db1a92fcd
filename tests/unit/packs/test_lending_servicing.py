"""Loans of the lending pack: their terms are those that offers promise, and the ledger balances through a life."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from pathlib import Path

import pytest

from quanheng.engine import Engine
from quanheng.events.intake import Request
from quanheng.loading import Declared, load_packs, read_packs

DAY_MS = 86_400_000
START_MS = int(dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC).timestamp() * 1000)


@pytest.fixture(scope="module")
def lending() -> Declared:
    return load_packs(["lending"], read_packs())["lending"]


def newest(lending: Declared, name: str) -> object:
    return next(one for one in lending.parameters if one.name == name).values[-1].value


def test_terms_of_the_ledger_are_those_that_offers_promise(lending):
    loans = {one.name: one for one in lending.accounts.loans}
    assert set(loans) == {"term", "merchant_line", "farm_order", "logistics_line"}
    for name, loan in loans.items():
        product = loan.product
        assert product.prepayment_fee_rate == Decimal(str(newest(lending, f"{name}_early_repayment_fee_rate"))), name
        assert product.penalty.multiple == Decimal(str(newest(lending, f"{name}_penalty_multiple"))), name
        assert product.method == newest(lending, f"{name}_repayment"), name


def test_a_life_on_disk_balances_and_recovers(tmp_path: Path):
    now_ms = [START_MS]
    packs = read_packs()

    def opened() -> Engine:
        return Engine.open(tmp_path / "data", clock=lambda: now_ms[0], log_ahead_ms_max=None)

    def say(engine: Engine, type: str, **data: object) -> object:
        now_ms[0] += 1000
        body = json.dumps({"time_ms": now_ms[0], "customer": "anna", **data}).encode()
        [reply] = engine.submit([Request("desk", f"r{now_ms[0]}", type, body)])
        return reply

    engine = opened()
    engine.activate([packs["party"], packs["lending"]])
    accepted = {"application": "a1", "contract": "k1", "product": "term", "amount_minor": 1_000_000, "periods": 6}
    bureau = {
        "score": 700, "months_of_history": 60, "open_loans": 1, "inquiries_6m": 0, "worst_days_past_due_24m": 0,
        "debt_minor": 0, "debts_month_minor": 0, "limit_minor": 2_000_000, "used_minor": 100_000,
    }  # fmt: skip
    say(engine, "bureau.report", **bureau)
    applied = say(
        engine, "loan.application", application="a1", device="d", phone="p", employer="e", product="term",
        channel="app", amount_minor=1_000_000, periods=6, birth_date="1990-05-17", income_month_minor=1_000_000,
        debts_month_minor=0, employment="employed", months_employed=80, id_checked=True, face_checked=True,
    )  # fmt: skip
    assert applied.outcome in {"approve", "review"}
    reply = say(engine, "loan.accepted", **accepted, rate=0.18)
    assert reply.outcome == "approve", reply.reasons
    outcomes = []
    for month in range(1, 9):
        now_ms[0] = START_MS + month * 31 * DAY_MS
        paid = say(engine, "loan.payment", contract="k1", amount_minor=180_000, kind="instalment")
        outcomes.append((paid.status, [one.outcome for one in paid.transfers]))
        assert engine.state.loans.differences(engine.state.ledger) == []
    assert outcomes[0] == ("decided", ["APPLIED", "APPLIED"])
    assert outcomes[-1] == ("refused", ["CHAIN_FAILED", "NOTHING_IS_OWED"])
    digest = engine.state.digest()
    engine.close()
    engine = opened()
    assert engine.state.digest() == digest
    engine.close()
