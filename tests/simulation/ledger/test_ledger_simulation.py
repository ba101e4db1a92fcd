"""The core against the law from seeds; faults planted in the core are found. The seed is the bug report."""

from __future__ import annotations

from collections import Counter

import pytest

from quanheng.ledger.outcomes import TransferOutcome
from quanheng.testing.ledger_simulation import Difference, Simulation

UNREACHED = {TransferOutcome.DEBITS_OVERFLOW, TransferOutcome.CREDITS_OVERFLOW}
"""Totals near 2**127 take 2**64 transfers; the tables set them."""


def test_the_core_keeps_the_law_and_nearly_every_outcome_is_met():
    outcomes = Counter()
    for seed in (1, 2, 3):
        outcomes += Simulation(seed).run(20_000).outcomes
    met = {TransferOutcome[name] for name in outcomes}
    assert len(met) >= len(set(TransferOutcome) - UNREACHED) - 4
    assert outcomes["APPLIED"] > 10_000


@pytest.mark.parametrize("seed", range(8))
def test_a_planted_fault_is_found(seed):
    with pytest.raises(Difference, match=f"seed {seed}, operation"):
        Simulation(seed, canary=True).run(3_000)


@pytest.mark.parametrize("accounts", [2, 200])
def test_few_and_many_accounts(accounts):
    assert Simulation(31, accounts=accounts).run(6_000).facts > 400


@pytest.mark.long
@pytest.mark.parametrize("seed", range(100, 140))
def test_ten_million_operations(seed, capsys):
    """250,000 operations a seed, 40 seeds."""

    def told(done: int) -> None:
        with capsys.disabled():
            print(f"\rseed {seed}: {done:>9,} operations", end="", flush=True)

    result = Simulation(seed, accounts=24 if seed % 2 else 300).run(250_000, told)
    assert result.operations >= 250_000
    assert result.outcomes["APPLIED"] > 10_000
