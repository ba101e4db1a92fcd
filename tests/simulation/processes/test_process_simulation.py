"""The simulator of life cycles: the same seed gives the same run, faults are made and met, faults of ours are found."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from quanheng import __version__
from quanheng.cli.main import main
from quanheng.kernel.errors import NotFound
from quanheng.loading.files import read_pack
from quanheng.loading.find import read_packs
from quanheng.loading.pack import load_packs
from quanheng.machines import code_names
from quanheng.program import Program
from quanheng.state import FIRST_PACK_CODE
from quanheng.testing.process_simulation import Faults, ProcessSimulation

CHECKOUT = Path(__file__).parents[2] / "packs" / "checkout"


def program() -> Program:
    files = {"party": read_packs()["party"], "checkout": read_pack(CHECKOUT)}
    packs = load_packs(sorted(files), files)
    names = [name for one in packs.values() for name in (*(event.name for event in one.events), *code_names(one))]
    codes = {name: FIRST_PACK_CODE + at for at, name in enumerate(names)}
    return Program(packs, codes, engine=__version__)


def test_a_run_is_its_seed_and_breaks_no_law():
    packs = program()
    one, again, other = (ProcessSimulation(packs, "checkout.review", seed).run(80) for seed in (3, 3, 4))
    assert one == again
    assert one != other
    assert one.problems == []
    assert one.begun > 10
    assert one.over <= one.begun
    assert sum(one.states.values()) == one.begun
    assert set(one.reached) <= {"asked", "taken", "doubted", "released", "failed"}
    assert one.reached["asked"] >= one.begun - one.reached.get("failed", 0)
    assert one.fired["asked.no_answer"] > 0
    assert one.faults["twice"] > 0
    assert one.durations_ms is not None
    assert 0 < one.durations_ms[0] <= one.durations_ms[1]
    assert sum(count for _, count in one.paths) <= one.begun


def test_parts_go_side_by_side():
    found = ProcessSimulation(program(), "checkout.claim", 5, days=200).run(60)
    assert found.problems == []
    assert found.begun >= 55
    assert {name.partition(".")[0] for name in found.states} == {"papers", "ruling"}
    assert sum(found.states.values()) == 2 * found.begun


def test_where_nobody_answers_time_alone_leads_on():
    found = ProcessSimulation(program(), "checkout.review", 1, faults=Faults(0, 0, 0, silent=1.0)).run(60)
    assert found.problems == []
    assert set(found.states) == {"released"}
    assert found.faults == {"silent": found.faults["silent"]}


def test_a_lost_timer_is_found():
    simulation = ProcessSimulation(program(), "checkout.claim", 1, days=20)
    timers = simulation.state.book.timers
    step_many = timers.step_many
    timers.step_many = lambda *told: step_many(*told[:-1], told[-1] + 1)  # type: ignore[method-assign]
    found = simulation.run(30)
    assert found.problems == ["the steps as they are recorded do not give the instances again"]


def test_a_process_that_is_not_there_is_named():
    with pytest.raises(NotFound, match=r"no such process is declared; was checkout\.none; allowed: checkout\.claim"):
        ProcessSimulation(program(), "checkout.none", 1)


def test_the_command_shows_a_run(capsys):
    given = ["process", "simulate", "card_fraud.dispute", "--instances", "20", "--days", "120", "--seed", "2"]
    assert main([*given, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["process"] == "card_fraud.dispute"
    assert told["begun"] == 20
    assert told["problems"] == []
    assert main(given) == 0
    assert "Checked: one legal state for each part, money conserved" in capsys.readouterr().out
    assert main(["process", "simulate", "card_fraud.dispute", "--instances", "0"]) == 2
    assert "too little to simulate; was 0, 90; allowed: 1 or more, 1 or more" in capsys.readouterr().err
