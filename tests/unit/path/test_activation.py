"""Activation in two halves: what was checked beside the engine is put in force between two groups, or refused whole."""

from __future__ import annotations

import threading

import pytest
from shop import HandClock, ask, opened, packs, shop
from test_engine import LOWER, MORE, WIDER, fill, fresh

from quanheng.engine import Engine
from quanheng.kernel.errors import ConfigurationError, DeclarationError

AMOUNT = 450_000


@pytest.fixture
def engine(tmp_path):
    engine = opened(tmp_path)
    yield engine
    engine.close()


def test_a_proposal_changes_nothing_until_it_is_put_in_force(engine):
    before = engine.state.digest(), engine.log.head, engine.state.program
    proposal = engine.propose([shop(*LOWER)])
    assert (engine.state.digest(), engine.log.head, engine.state.program) == before
    assert engine.submit([ask("a", AMOUNT)])[0].outcome == "approve"
    engine.put_in_force(proposal)
    assert engine.submit([ask("b", AMOUNT)])[0].outcome == "decline"


@pytest.mark.parametrize("changes", [WIDER, MORE], ids=["wider", "more"])
def test_events_that_come_while_it_is_checked_are_in_the_new_windows(tmp_path, changes):
    engine = opened(tmp_path)
    fill(engine, seed=1, groups=5)
    made = []
    thread = threading.Thread(target=lambda: made.append(engine.propose([shop(*changes)])))
    thread.start()
    fill(engine, seed=2, groups=5)
    thread.join()
    fill(engine, seed=3, groups=5)
    engine.put_in_force(made[0])
    fill(engine, seed=4, groups=2)
    live = engine.state.digest()
    assert live == fresh(engine)
    engine.close()
    engine = opened(tmp_path)
    assert engine.state.digest() == live
    engine.close()


def test_of_two_proposals_the_second_is_refused(engine):
    one, two = engine.propose([shop(*LOWER)]), engine.propose([shop(*WIDER)])
    engine.put_in_force(one)
    before = engine.state.digest(), engine.log.head
    with pytest.raises(ConfigurationError) as caught:
        engine.put_in_force(two)
    assert str(caught.value) == (
        "packs: other packs were put in force while these were being checked; was an activation at offset 1; "
        "allowed: the one at offset 0. Activate again."
    )
    assert (engine.state.digest(), engine.log.head) == before


def test_events_that_it_would_read_otherwise_refuse_it_though_they_came_later(engine):
    other = ("events.toml", "amount_minor = {", 'weight = {type = "integer", optional = true}\namount_minor = {')
    proposal = engine.propose([shop(other)])
    engine.submit([ask("a")])
    with pytest.raises(DeclarationError, match="to which keys, numbers and choices may only be appended"):
        engine.put_in_force(proposal)
    assert engine.submit([ask("b")])[0].status == "decided"


def test_nothing_is_recorded_for_what_is_in_force_already(tmp_path):
    engine = Engine.open(tmp_path / "data", clock=HandClock())
    engine.activate(packs())
    head = engine.log.head
    engine.put_in_force(engine.propose(packs()))
    assert engine.log.head == head
    engine.close()
