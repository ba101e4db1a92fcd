"""`Ledger.would`: what a chain would be answered, with nothing changed, held against a copy that does it."""

from __future__ import annotations

import random

import pytest

from quanheng.ledger.entries import Account, Answer, Transfer, TransferFlag
from quanheng.ledger.ledger import Ledger
from quanheng.ledger.outcomes import TransferOutcome
from quanheng.testing.ledger_world import World


def does(ledger: Ledger, accounts: list[Account], chain: list[Transfer]) -> list[Answer]:
    """What a copy of the ledger answers that really does it."""
    copy = Ledger.load(ledger.dump())
    copy.open_accounts(accounts, copy.now_ms, copy.day)
    return copy.transfer(chain, copy.now_ms, copy.day)


def linked(chain: list[Transfer]) -> list[Transfer]:
    last, free = len(chain) - 1, ~(TransferFlag.LINKED | TransferFlag.BURN)
    return [
        one._replace(flags=one.flags & free | (TransferFlag.LINKED if place < last else 0))
        for place, one in enumerate(chain)
    ]


@pytest.mark.parametrize("seed", range(8))
def test_what_would_be_is_what_is(seed):
    world, ledger, rng = World(seed), Ledger(), random.Random(seed)
    applied = refused = 0
    for _ in range(120):
        world.tick()
        ledger.open_accounts(world.openings(), world.now_ms, world.day)
        batch = world.transfers(6)
        world.note(batch, ledger.transfer(batch, world.now_ms, world.day))
        chain = linked(world.transfers(rng.randrange(1, 4)))
        new = Account(1_000 + rng.randrange(10**6), 1, 1)
        if rng.random() < 0.3:
            chain[-1] = chain[-1]._replace(credit=new.id)
        before = ledger.digest()
        would = ledger.would([new], chain)
        assert ledger.digest() == before
        real = does(ledger, [new], chain)
        assert [one.outcome for one in would] == [one.outcome for one in real]
        if would[0].outcome is TransferOutcome.APPLIED:
            applied += 1
            assert would == real
        else:
            refused += 1
    assert applied > 5
    assert refused > 5
