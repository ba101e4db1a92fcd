"""The demo of the end of day: laws hold on law and core, one seed plays one day."""

from __future__ import annotations

import pytest

from quanheng.ledger.instruments.demo import closing
from quanheng.ledger.ledger import Ledger
from quanheng.testing.slow_ledger import SlowLedger


@pytest.mark.parametrize("seed", [1, 2, 20_240])
def test_a_day_ends_on_law_and_core(seed):
    days = [closing.play(ledger(), seed, 1_700_000_000_000, 19) for ledger in (SlowLedger, Ledger)]
    assert days[0] == days[1]
    assert all(days[0].checked.values()), days[0]
    assert days[0].applied + days[0].refused == days[0].actions
    assert min(days[0].figures.values()) > 0
