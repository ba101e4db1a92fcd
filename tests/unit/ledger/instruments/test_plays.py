"""The register of seeded days: every module of the folder that plays one is in it, and they stand on one ledger."""

from __future__ import annotations

import importlib
import pkgutil

import pytest

from quanheng.ledger.instruments import demo
from quanheng.ledger.instruments.demo.plays import APART_DAYS, DAY_MS, PLAYS, START_MS, play_all
from quanheng.ledger.ledger import Ledger
from quanheng.testing.slow_ledger import SlowLedger


def test_every_day_of_the_folder_is_registered():
    names = [f"{demo.__name__}.{found.name}" for found in pkgutil.iter_modules(demo.__path__)]
    modules = {name.rpartition(".")[2]: importlib.import_module(name) for name in names}
    days = {name: module.play for name, module in modules.items() if hasattr(module, "play")}
    assert {one.name: one.play for one in PLAYS} == days


def test_titles_are_of_two_languages_and_of_one_instrument_each():
    for titles in ([one.name for one in PLAYS], [one.en for one in PLAYS], [one.zh for one in PLAYS]):
        assert len(set(titles)) == len(PLAYS)
        assert all(titles)
    assert all(one.zh[0] >= "一" for one in PLAYS)


@pytest.mark.parametrize("kind", [SlowLedger, Ledger])
def test_days_follow_one_another_and_are_those_on_ledgers_of_their_own(kind):
    chosen = [one for one in PLAYS if one.name in ("pool", "closing", "reconciliation")]
    ledger = kind()
    for number, (one, played) in enumerate(play_all(ledger, 7, chosen)):
        begins_ms = START_MS + number * APART_DAYS * DAY_MS
        assert one == chosen[number]
        assert played == one.play(kind(), 7, begins_ms, begins_ms // DAY_MS)
        assert all(played.checked.values()), played
