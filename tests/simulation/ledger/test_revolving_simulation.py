"""A seeded life of many accounts with failing appends and restarts ends as the same life without any."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "unit" / "ledger" / "instruments"))

from revolving_world import CreditWorld, day_of_life

from quanheng.ledger.instruments.revolving.events import event

DAYS = 120


class Unwritable(Exception):
    """The disk is full, say."""


def live(world: CreditWorld, seed: int, faults: random.Random | None) -> CreditWorld:
    """Live day by day; with faults an append may fail, or the process may go, and the log is opened again."""
    for day in range(DAYS):
        for step in ("take", "close"):
            while True:
                try:
                    if faults is not None and faults.random() < 0.06:
                        _break(world)
                    world.take(day_of_life(seed, day)) if step == "take" else world.close()
                    break
                except Unwritable:
                    world = CreditWorld(world.path)
                    world.servicing.recover()
            if faults is not None and faults.random() < 0.03:
                world = CreditWorld(world.path)
                world.servicing.recover()
    return world


def _break(world: CreditWorld) -> None:
    def append(*_: object) -> None:
        raise Unwritable

    world.log.append = append


@pytest.mark.parametrize("seed", [1, 2])
def test_failing_appends_and_restarts_change_nothing(tmp_path, seed):
    plain = live(CreditWorld(tmp_path / "plain").begin(), seed, None)
    faulty = live(CreditWorld(tmp_path / "faulty").begin(), seed, random.Random(seed))
    assert faulty.book.digest() == plain.book.digest()
    assert faulty.ledger.digest() == plain.ledger.digest()


def test_the_same_event_again_after_a_restart_is_known(tmp_path):
    world = CreditWorld(tmp_path / "log").begin()
    events = day_of_life(1, 0)
    first = world.take(events)
    assert "APPLIED" in first
    world = CreditWorld(world.path)
    world.servicing.recover()
    digest = world.book.digest()
    assert "APPLIED" not in world.take(events)
    world.take(event(2, 1, world.book.day, 1))
    assert world.book.digest() == digest
