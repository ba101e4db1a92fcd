"""The demo of loans: laws hold on law and core, one seed plays one day."""

from __future__ import annotations

import pytest
from loan_bench import FIRST, LEDGERS

from quanheng.ledger.instruments.demo import loans
from quanheng.ledger.instruments.demo.observed import Observed
from quanheng.ledger.instruments.loan.loans import DAY_MS

START_MS = (FIRST + 600) * DAY_MS


@pytest.mark.parametrize("kind", list(LEDGERS))
@pytest.mark.parametrize("seed", [1, 20_240])
def test_a_day_of_lending(kind, seed):
    played = loans.play(LEDGERS[kind](), seed, START_MS, 19)
    assert all(played.checked.values()), played
    assert (played.instrument, played.actions) == ("loan", loans.LOANS + loans.ACTIONS)
    assert played.applied + played.refused == played.actions
    assert min(played.applied, played.refused) > 10
    assert played.transfers > 1_000
    assert played.figures["loans"] > 20
    assert min(played.figures["interest_income_minor"], played.figures["penalty_income_minor"]) > 0


def test_one_seed_plays_one_day_on_any_ledger():
    days = [loans.play(ledger(), 5, START_MS, 19) for ledger in LEDGERS.values()]
    assert days[0] == days[1]
    assert loans.play(LEDGERS["core"](), 6, START_MS, 19).figures != days[0].figures


def test_a_ledger_that_loses_value_is_found():
    class Loses(Observed):
        """Answers that the account which is debited was debited one minor unit less."""

        def transfer(self, batch, now_ms, day):
            answers = super().transfer(batch, now_ms, day)
            return [
                one._replace(debit=one.debit._replace(debits_posted_minor=one.debit.debits_posted_minor - 1))
                if one.debit
                else one
                for one in answers
            ]

    assert not loans.play(Loses(LEDGERS["law"]()), 1, START_MS, 19).checked["debits equal credits"]
