"""Lending, the end of day and reconciliation play on one ledger, one after another, on one business day."""

from __future__ import annotations

import pytest

from quanheng.ledger.instruments.demo import closing, loans, reconciliation
from quanheng.ledger.ledger import Ledger
from quanheng.testing.slow_ledger import SlowLedger

HOURS_MS = 8 * 3_600_000


@pytest.mark.parametrize("kind", [SlowLedger, Ledger])
def test_demos_do_not_disturb_one_another(kind):
    ledger, start_ms, alone = kind(), 1_700_000_000_000, []
    for demo in (loans, closing, reconciliation):
        played = demo.play(ledger, 7, start_ms, 19)
        alone.append(demo.play(kind(), 7, start_ms, 19) == played)
        assert all(played.checked.values()), played
        start_ms += HOURS_MS
    assert alone == [True, True, True]
