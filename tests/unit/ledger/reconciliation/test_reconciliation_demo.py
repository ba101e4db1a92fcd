"""The demo of reconciliation: laws hold on law and core, every kind of match comes up."""

from __future__ import annotations

import pytest

from quanheng.ledger.instruments.demo import reconciliation
from quanheng.ledger.ledger import Ledger
from quanheng.testing.slow_ledger import SlowLedger


@pytest.mark.parametrize("seed", [1, 2, 20_240])
def test_a_day_is_reconciled_on_law_and_core(seed):
    days = [reconciliation.play(ledger(), seed, 1_700_000_000_000, 19) for ledger in (SlowLedger, Ledger)]
    assert days[0] == days[1]
    assert all(days[0].checked.values()), days[0]
    assert min(days[0].figures.values()) > 0, days[0].figures
