"""Life cycles drawn at random: the main path makes of events and timers what the plain twin makes of them."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.properties.processes.lives import T0, World, later, processes, rounds, said

SLOW = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


@SLOW
@given(processes(), rounds, st.lists(st.integers(1, 4), min_size=1, max_size=3))
def test_steps_are_those_of_the_twin(declared, made, sizes) -> None:
    World(declared).live(made, sizes)


@SLOW
@given(processes(), rounds)
def test_grouping_does_not_matter(declared, made) -> None:
    one, many = World(declared), World(declared)
    one.live(made, [1])
    many.live(made)
    assert one.state.book.digest() == many.state.book.digest()
    assert one.state.ledger.digest() == many.state.ledger.digest()


@SLOW
@given(processes(), rounds, said)
def test_a_dry_run_says_what_would_be_and_changes_nothing(declared, made, last) -> None:
    world = World(declared)
    world.live(made)
    now_ms = T0 + sum(passed for passed, _ in made)
    peeked = world.peek(last, now_ms)
    (item,) = world.handle([last.request(f"r{world.number}", now_ms)], now_ms).items
    decision = getattr(item, "decision", None)
    assert peeked == (None if decision is None else decision.payload)


@SLOW
@given(st.data(), processes(), rounds, rounds)
def test_instances_go_on_under_a_later_declaration(data, declared, before, after) -> None:
    world = World(declared)
    now_ms = world.live(before)
    world.migrate(data.draw(later(declared)), now_ms)
    world.live(after, now_ms=now_ms)
