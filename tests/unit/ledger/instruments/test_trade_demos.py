"""The days of business of receivables and bills: every law holds, both ledgers and every run of a seed play alike."""

from __future__ import annotations

import pytest
from trade_bench import LEDGERS, START_MS, TODAY

from quanheng.ledger.instruments.demo import bills, receivables

DEMOS = {"receivable": receivables, "bill": bills}


@pytest.mark.parametrize("name", DEMOS)
def test_a_seeded_day(name):
    played = [DEMOS[name].play(LEDGERS[kind](), 1, START_MS, TODAY) for kind in ("law", "core", "core")]
    assert played[0] == played[1] == played[2]
    one = played[0]
    assert one.instrument == name
    assert all(one.checked.values()), one.checked
    assert (one.applied > 200, one.refused > 10, one.applied + one.refused) == (True, True, one.actions)
    assert all(one.figures.values()), one.figures


@pytest.mark.parametrize("name", DEMOS)
def test_other_seeds_and_hours(name):
    first = DEMOS[name].play(LEDGERS["core"](), 2, START_MS, TODAY)
    other = DEMOS[name].play(LEDGERS["core"](), 3, START_MS + 20 * 3_600_000, TODAY)
    assert all({**first.checked, **other.checked}.values())
    assert first.figures != other.figures


def test_all_on_one_ledger():
    ledger = LEDGERS["core"]()
    for place, demo in enumerate(DEMOS.values()):
        played = demo.play(ledger, 4, START_MS + place * 3 * 86_400_000, TODAY + place)
        assert all(played.checked.values()), played.checked
