"""Steps of life cycles, one small declaration each: what went wrong once."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from tests.properties.processes.lives import GIVE, T0, TAKE, Said, World, pack_with, program_with

from quanheng.kernel.errors import DeclarationError
from quanheng.kernel.time import HOUR_MS
from quanheng.loading.declared_processes import (
    KeptNumber,
    MoveDeclaration,
    PartDeclaration,
    ProcessDeclaration,
    Start,
    StateDeclaration,
    TimerDeclaration,
)
from quanheng.processes.times import Wait
from quanheng.program import Program
from quanheng.recovery import check_comparable
from quanheng.state import Trial
from quanheng.ticking import due_requests

END = StateDeclaration(name="end", end=True)
BEGIN = Start(event="life.began", to="on")


def process(*states: StateDeclaration, **more: object) -> ProcessDeclaration:
    parts = more.pop("parts", (PartDeclaration(name="", states=(*states, END)),))
    fields = {
        "numbers": (KeptNumber("amount"), KeptNumber("count")),
        "starts": (BEGIN,),
        "refused_as": "review",
        **more,
    }
    return ProcessDeclaration(name="life", per="thing", entity="life.thing", parts=parts, **fields)  # type: ignore[arg-type]


def on(*moves: MoveDeclaration, **more: object) -> StateDeclaration:
    return StateDeclaration(name="on", moves=moves, **more)  # type: ignore[arg-type]


def test_a_timer_that_moves_nothing_is_told_once_and_waits_no_longer():
    timer = TimerDeclaration(name="t0", wait=Wait(after_ms=HOUR_MS))
    world = World(process(on(MoveDeclaration(event="life.went", to="end"), timers=(timer,))))
    world.live([(0, [Said("life.began", "ada")]), (HOUR_MS, []), (HOUR_MS, [Said("life.nodded", "ada")])])
    assert world.state.book.timers.count == 0
    assert world.state.events[world.program.codes["life.timer.fired"]] == 1


def test_timers_that_fire_again_do_not_overtake_others():
    nudge = TimerDeclaration(name="t0", wait=Wait(after_ms=HOUR_MS), every=True)
    late = TimerDeclaration(name="t1", wait=Wait(after_ms=HOUR_MS * 5 // 2))
    world = World(process(on(MoveDeclaration(event="life.went", to="end"), timers=(nudge, late))))
    world.live([(0, [Said("life.began", "ada"), Said("life.began", "bo")])])
    now_ms, dues = T0 + 4 * HOUR_MS, []
    while requests := due_requests(world.program, world.state.book, now_ms):
        dues += [item.event.fields.due_ms for item in world.handle(requests, now_ms).items]  # type: ignore[union-attr]
    assert dues == sorted(dues)
    assert len(dues) == 2 * (4 + 1)


def test_what_an_instance_keeps_is_told_as_the_timer_before_left_it():
    count = MoveDeclaration(event="life.timer.fired", timer="t0", set={"count": "instance.count + 1"})
    other = MoveDeclaration(event="life.timer.fired", timer="t1", where="count = 1", to="end")
    timers = tuple(TimerDeclaration(name=f"t{at}", wait=Wait(after_ms=HOUR_MS + at)) for at in range(2))
    world = World(process(on(count, other, timers=timers)))
    world.live([(0, [Said("life.began", "ada")]), (2 * HOUR_MS, [])])
    assert world.twin.instances["ada"].states == {"": "end"}


def test_a_posting_that_two_parts_ask_for_is_made_once():
    states = (on(MoveDeclaration(event="life.went", to="end", do=(GIVE,))), END)
    parts = tuple(PartDeclaration(name=name, begins="on", states=states) for name in ("a", "b"))
    world = World(process(parts=parts))
    world.live([(0, [Said("life.began", "ada")]), (0, [Said("life.went", "ada")])])
    assert world.purses.held["ada"] == 5
    assert world.twin.instances["ada"].states == {"a": "end", "b": "end"}


def test_a_move_that_the_ledger_refuses_does_not_keep_another_from_being_made_by_itself():
    first = MoveDeclaration(event="", where="instance.count > 0", to="end", do=(TAKE,))
    second = MoveDeclaration(event="", where="instance.count > 1 and refused", to="end")
    counted = MoveDeclaration(event="life.nodded", where="refused or not(refused)", set={"count": "instance.count + 2"})
    world = World(process(on(counted, first, second)))
    world.live([(0, [Said("life.began", "ada")]), (0, [Said("life.nodded", "ada")])])
    assert set(world.twin.instances["ada"].states.values()) == {"end"}


def test_an_every_timer_is_counted_from_what_its_own_step_sets():
    moved = MoveDeclaration(event="life.timer.fired", timer="t0", set={"until_ms": "due_ms + 1800000"})
    timer = TimerDeclaration(name="t0", wait=Wait(after_ms=HOUR_MS, until="until_ms"), every=True)
    begun = MoveDeclaration(event="life.nodded", to="on", set={"until_ms": "time_ms"})
    numbers = (KeptNumber("amount"), KeptNumber("until_ms"))
    world = World(process(on(begun, moved, timers=(timer,)), numbers=numbers))
    world.live([(0, [Said("life.began", "ada")]), (0, [Said("life.nodded", "ada")]), (5 * HOUR_MS, [])])
    assert world.twin.next_serial > 3


def test_the_flow_says_the_outcome_of_a_refusal_and_else_the_process():
    start = Start(event="life.began", to="on", do=(TAKE,), refused="end")
    said = Start(event="life.went", to="on", do=(TAKE,), refused="end")
    declared = process(on(MoveDeclaration(event="life.said", to="end", do=(TAKE,))), starts=(start, said))
    pack = pack_with(declared)
    flows = tuple(replace(one, refused_as="decline") if one.when == "life.began" else one for one in pack.flows)
    world = World(declared)
    world.program = Program({"life": replace(pack, flows=flows)}, world.program.codes, engine="test")
    world.state.switch(world.program)
    outcomes = []
    for at, one in enumerate((Said("life.began", "ada"), Said("life.went", "bo"))):
        (item,) = world.handle([one.request(f"x{at}", T0)], T0).items
        outcomes.append((item.decision.body.outcome, item.decision.body.status))  # type: ignore[union-attr]
    assert outcomes == [("decline", "refused"), ("review", "refused")]


def test_a_pack_of_processes_alone_has_outcomes_for_what_the_ledger_refuses():
    start = Start(event="life.said", to="on", do=(TAKE,), refused="end")
    declared = process(on(MoveDeclaration(event="life.nodded", to="end")), starts=(start,))
    pack = replace(pack_with(declared), flows=())
    world = World(declared)
    world.program = Program({"life": pack}, world.program.codes, engine="test")
    world.state.switch(world.program)
    (item,) = world.handle([Said("life.said", "ada").request("x", T0)], T0).items
    assert item.decision.body.outcome == "review"  # type: ignore[union-attr]
    assert world.state.outcomes() == {"review": 1}


def test_a_challenger_has_the_processes_of_the_champion():
    champion = program_with(process(on(MoveDeclaration(event="life.went", to="end"))))
    other = program_with(process(on(MoveDeclaration(event="life.said", to="end"))), codes=champion.codes)
    with pytest.raises(DeclarationError, match=r"processes\.toml: a challenger shares events, folds, processes"):
        check_comparable(champion, other, Trial("life", "ab" * 32, "2.0.0", 100))


def test_what_cannot_be_asked_for_on_an_event_is_not_compiled_for_it():
    declared = process(
        on(MoveDeclaration(event="life.went", to="end")), starts=(Start(event="life.began", to="on", do=(GIVE,)),)
    )
    program = program_with(declared)
    asked = {program.type_of(code).name: lives[0].postings is not None for code, lives in program.lives.items()}
    assert asked == {"life.began": True, "life.went": False}
