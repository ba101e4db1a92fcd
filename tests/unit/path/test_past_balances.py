"""Balances in the past: backtests that fold the log again read what transfers had left, training says it cannot."""

from __future__ import annotations

import random

import numpy as np
import polars as pl
import pytest
from shop import HandClock
from wallet import T0, business, opened, wallet

from quanheng.kernel.errors import InputError
from quanheng.loading.find import read_packs
from quanheng.models.history import history
from quanheng.models.vectors import vectors
from quanheng.past.backtest import Settings, backtest
from quanheng.past.versions import Asked

HELD = (
    "accounts.toml",
    "[balance.merchant_held]",
    '[balance.wallet_held]\naccount = "wallet(payer)"\nof      = "debits_held"\n\n[balance.merchant_held]',
)
BY_WHAT_IS_HELD = (HELD, ("policies/wallet.dmn", "wallet_available", "wallet_held"))


def filled(place, packs=None):
    """An engine that decided groups of a few events, with and without transfers."""
    clock = HandClock()
    clock.now_ms = T0
    engine = opened(place, clock, packs)
    requests = business(random.Random(3), 300)
    for first in range(0, len(requests), 7):
        engine.submit(requests[first : first + 7])
        clock.now_ms += 1_000
    return engine


@pytest.fixture
def engine(tmp_path):
    engine = filled(tmp_path / "engine")
    yield engine
    engine.close()


def run(engine, candidate: str = "active", rebuilt: bool = True) -> dict:
    asked = Asked(candidate, None), Asked("recorded", None)
    return backtest(engine.reader, read_packs(), Settings("wallet", *asked, event="wallet.payment", rebuilt=rebuilt))


def folder(place, *changes) -> str:
    for file, content in wallet(*changes)[1].files.items():
        (place / file).parent.mkdir(parents=True, exist_ok=True)
        (place / file).write_bytes(content)
    return str(place)


def test_folded_again_an_event_sees_what_the_transfers_before_it_had_left(engine):
    found = run(engine)
    assert found["decisions"] > 50
    assert found["changed"] == 0
    assert sum(row[0] for row in found["matrix"]) > 20  # Not all of them were declined.


def test_folded_again_a_balance_that_nobody_recorded_is_known(engine, tmp_path):
    candidate = folder(tmp_path / "candidate", *BY_WHAT_IS_HELD)
    with pytest.raises(
        InputError, match="the version reads folds that were not recorded with the decisions; was wallet_held"
    ):
        run(engine, candidate, rebuilt=False)
    recording = filled(tmp_path / "recording", wallet(HELD))
    found = run(engine, candidate)
    assert found["matrix"] == run(recording, candidate, rebuilt=False)["matrix"]
    assert len([row for row in found["matrix"] if row[0]]) > 0 < found["changed"]
    recording.close()


def test_training_has_no_ledger_and_says_so(engine):
    declared = engine.state.program.packs["wallet"]
    row = {"id": "1", "type": "wallet.payment", "arrive_ms": T0, "time_ms": T0, "payer": "anna", "merchant": "bakery"}
    events = history(pl.DataFrame([{**row, "payment": "p", "amount_minor": 5}]), declared.events)
    assert vectors(declared, events, "wallet.payment", ["amount_minor"], np.ones(1, bool)).tolist() == [[5.0]]
    text = (
        r"pack wallet: the model reads what a history of events does not tell: balances; was wallet_available; "
        r"allowed: .*Take it out of the model's inputs, and let the policy read the balance."
    )
    with pytest.raises(InputError, match=text):
        vectors(declared, events, "wallet.payment", ["amount_minor", "wallet_available"], np.ones(1, bool))
