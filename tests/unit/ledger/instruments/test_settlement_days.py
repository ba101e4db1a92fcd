"""The days of business of exchange, foreign exchange and netting on one ledger, one after another."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from quanheng.ledger.instruments.demo import exchanges, foreign_exchange, netting

sys.path.insert(0, str(Path(__file__).parent))
from instrument_bench import DAY, LEDGERS, START_MS, new_ledger

DAYS = (exchanges, foreign_exchange, netting)


@pytest.mark.parametrize("kind", LEDGERS)
def test_all_days_on_one_ledger_are_those_on_ledgers_of_their_own(kind):
    ledger = new_ledger(kind)
    for number, one in enumerate(DAYS):
        start_ms, day = START_MS + number * 72 * 3_600_000, DAY + 3 * number
        played = one.play(ledger, 3, start_ms, day)
        assert played == one.play(new_ledger(kind), 3, start_ms, day)
        assert all(played.checked.values()), played


@pytest.mark.parametrize("seed", range(3))
def test_the_laws_of_a_day_hold_for_any_seed(seed):
    for one in DAYS:
        played = one.play(new_ledger("core"), seed, START_MS, DAY)
        assert all(played.checked.values()), played
        assert played.actions == played.applied + played.refused


def test_the_assets_are_apart_and_in_their_range():
    assets = [*exchanges.ASSETS, *foreign_exchange.ASSETS.values(), *netting.ASSETS]
    assert len(set(assets)) == len(assets)
    assert all(300 <= one <= 399 for one in assets)
