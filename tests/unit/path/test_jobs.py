"""Jobs over many instances: when they run, whom they take, what they leave and send, and what is told of them."""

from __future__ import annotations

import json
import random

import pytest
from debts import DAY_MS, JOBS, PROCESSES, T0, Clock, closes, debts, opened, opens, some

from quanheng import recovery
from quanheng.engine import Engine
from quanheng.events.intake import Request
from quanheng.instances import Codes, history
from quanheng.kernel.errors import InputError, NotFound
from quanheng.kernel.log.records import JOB
from quanheng.loading.files import read_pack
from quanheng.processes.runs import What, chunk_of

TWO_AM = T0 - 10 * 3_600_000 + DAY_MS + 2 * 3_600_000
HOUR_MS = 3_600_000


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def engine(tmp_path, clock):
    made = opened(tmp_path, clock)
    yield made
    made.close()


def instance_of(engine: Engine, number: int):
    machine = next(iter(engine.state.program.machines.values()))
    found = engine.state.book.view(machine.code, engine.ring.pseudonym("debts.debt", f"d{number}"))
    return {**machine.names(found), **machine.numbers(found)}


def newest(engine: Engine, name: str):
    return engine.jobs.shown(name)[0]["runs"][0]


# --- what a run does


def test_interest_is_added_to_the_cent_and_only_where_the_condition_holds(engine, clock):
    engine.submit([opens(1, "12345.67"), opens(2, "0"), opens(3, "730", "0.1999")])
    clock.now_ms = TWO_AM
    assert engine.run_jobs() == 3
    assert [str(instance_of(engine, number)["accrued"]) for number in (1, 2, 3)] == ["1.69", "0.00", "0.40"]
    clock.now_ms += DAY_MS
    engine.run_jobs()
    assert str(instance_of(engine, 1)["accrued"]) == "3.38"
    told = newest(engine, "accrue")
    assert (told["status"], told["done"], told["of"], told["taken"], told["rejected"]) == ("done", 3, 3, 2, 0)


def test_what_is_late_is_moved_and_its_timers_begin(engine, clock):
    engine.submit([opens(1, "10", due_on_ms=T0 - 3 * DAY_MS), opens(2, "10", due_on_ms=T0 + 9 * DAY_MS)])
    clock.now_ms = TWO_AM
    engine.run_jobs()
    assert [(instance_of(engine, one)["state"], instance_of(engine, one)["late_days"]) for one in (1, 2)] == [
        ("late", 3), ("open", 0)
    ]  # fmt: skip
    waiting = [one.due_ms for one in engine.state.book.timers.due(T0 + 99 * DAY_MS, 10)]
    assert waiting == [TWO_AM + 3 * DAY_MS]  # What was promised has passed, so that timer fired in the next group.
    clock.now_ms = TWO_AM + 3 * DAY_MS
    engine.submit([])
    assert instance_of(engine, 1)["state"] == "open"


def test_an_event_is_sent_for_each_and_says_what_the_chunk_left(engine, clock):
    engine.submit([opens(1, "600", due_on_ms=T0 - 3 * DAY_MS), opens(2, "499"), opens(3, "501")])
    clock.now_ms = TWO_AM
    engine.run_jobs()
    names = {code: name for name, code in engine.state.program.codes.items()}
    columns = [engine.log.record(at) for at in range(engine.log.head)]
    sent = [at for at, one in enumerate(columns) if one.kind == 1 and names.get(one.type) == "debts.noted"]
    bodies = [engine.reader.event(at).body for at in sent]
    key = engine.ring.pseudonym("debts.debt", "d1").hex()
    run = newest(engine, "note")["offset"]
    assert [one.id for one in bodies] == [f"{run}/0", f"{run}/2"]
    assert bodies[0].client == "quanheng.jobs"
    assert json.loads(bodies[0].data) == {
        "time_ms": TWO_AM, "debt": f"#{key}", "debtor": f"#{engine.ring.pseudonym('party.customer', 'c1').hex()}",
        "late_days": 3, "word": "late",
    }  # fmt: skip
    assert columns[sent[0]].keys[0].hex() == key
    assert columns[sent[0]].subject == engine.ring.pseudonym("party.customer", "c1")


def test_a_client_cannot_pass_a_pseudonym_as_a_key(engine):
    passed = "#" + engine.ring.pseudonym("debts.debt", "d1").hex()
    engine.submit([opens(1, "5")])
    data = {"time_ms": T0, "debt": passed, "debtor": "c1"}
    (reply,) = engine.submit([Request("bank", "x", "debts.noted", json.dumps(data).encode())])
    assert reply.status == "rejected"
    assert "no instance of it has begun" in reply.error
    with pytest.raises(Exception, match="names that begin like this are those of the platform's own parts"):
        engine.issue_token("quanheng.jobs", ["ingest"])


def test_what_cannot_be_set_is_left_as_it_was_and_counted(tmp_path, clock):
    jobs = """
[job.accrue]
every   = "1d"
process = "debt"
set     = {late_days = "if instance.balance > 500 then null else 7", balance = "instance.balance * 10000000000000000"}
"""
    engine = opened(tmp_path, clock, debts_late(jobs))
    engine.submit([opens(1, "600"), opens(2, "400"), opens(3, "0")])
    clock.now_ms += DAY_MS
    engine.run_jobs()
    assert [instance_of(engine, one)["late_days"] for one in (1, 2, 3)] == [0, 0, 7]
    told = newest(engine, "accrue")
    assert told["reasons"] == {"set_is_null late_days": 1, "set_does_not_fit balance": 1}
    assert (told["taken"], told["rejected"]) == (1, 2)
    first = engine.ring.pseudonym("debts.debt", "d1").hex()
    assert told["rejects"][0] == {"row": 0, "instance": f"#{first}", "reason": "set_is_null late_days"}
    assert engine.metrics()["job_rejected"] == {"debts.accrue": 2}
    engine.close()


def debts_late(jobs: str) -> str:
    """With a job that leads to the state `late`, as the pack's check asks for."""
    return jobs + '\n[job.roll]\nevery = "900d"\nprocess = "debt"\nstates = ["open"]\nto = "late"\n'


def test_events_that_are_refused_are_counted_and_the_run_goes_on(tmp_path, clock):
    jobs = debts_late("""
[job.note]
every   = "1d"
process = "debt"
states  = ["open"]
event   = "debts.closed"
""")
    twice = PROCESSES.replace("[process.debt.state.late]", "[process.debt.state.late]\nexit = []")
    engine = Engine.open(tmp_path / "data", clock=clock)
    engine.activate(debts(jobs, twice))
    engine.submit([opens(1, "600"), opens(2, "400")])
    clock.now_ms += DAY_MS
    pending = engine.jobs.prepare(
        [closes(2, at=clock.now_ms)]
    )  # Behind the chunk, in the same group: it comes too late.
    (reply,) = engine.commit(pending)
    assert reply.status == "rejected"
    assert [instance_of(engine, one)["state"] for one in (1, 2)] == ["closed", "closed"]
    assert newest(engine, "note")["taken"] == 2
    engine.close()


def test_fields_that_are_no_values_of_json_are_counted(tmp_path, clock):
    jobs = debts_late("""
[job.note]
every   = "1d"
process = "debt"
event   = "debts.noted"
fields  = {late_days = "instance.balance / 3"}
""")
    engine = opened(tmp_path, clock, jobs)
    engine.submit([opens(1, "600"), opens(2, "601")])
    clock.now_ms += DAY_MS
    engine.run_jobs()
    told = newest(engine, "note")
    assert (told["taken"], told["reasons"]) == (2, {"event_refused": 1})  # A third of 601 is no whole number of days.
    assert engine.state.rejected == 0
    engine.close()


# --- when it runs


def test_it_runs_when_it_is_due_and_not_before(engine, clock):
    engine.submit([opens(1, "5")])
    assert engine.jobs.next_due_ms == TWO_AM
    clock.now_ms = TWO_AM - 1
    assert not engine.jobs.waits
    assert engine.run_jobs() == 0
    clock.now_ms = TWO_AM
    assert engine.jobs.waits
    engine.run_jobs()
    assert engine.jobs.next_due_ms == TWO_AM + DAY_MS
    assert newest(engine, "accrue")["due_ms"] == TWO_AM


@pytest.mark.parametrize(
    ("stale", "due", "skips"),
    [
        ('stale = "fire"', [0, 1, 2, 3, 4], 0),
        ('stale = "once"', [4], 0),
        ('stale = "once"\nstale_after = "36h"', [2, 3, 4], 0),
        ('stale = "skip"\nstale_after = "12h"', [4], 1),
        ('stale = "skip"\nstale_after = "1h"', [], 1),
    ],
)
def test_after_downtime_it_runs_as_it_says(tmp_path, clock, stale, due, skips):
    jobs = JOBS.replace("[job.accrue]", f"[job.accrue]\n{stale}")
    engine = opened(tmp_path, clock, jobs)
    engine.submit([opens(1, "5")])
    clock.now_ms = TWO_AM + 4 * DAY_MS + 2 * HOUR_MS
    engine.run_jobs()
    shown = engine.jobs.shown("accrue")[0]
    assert [(one["due_ms"] - TWO_AM) // DAY_MS for one in reversed(shown["runs"])] == due
    assert shown["next_due_ms"] == TWO_AM + 5 * DAY_MS
    told = [engine.log.record(at) for at in range(engine.log.head)]
    assert sum(one.kind == JOB and one.numbers[0] == What.SKIP for one in told) == skips
    digest = engine.state.digest()
    assert recovery.rebuild(engine.log, engine.reader.content, None).digest() == digest
    engine.close()


def test_one_that_begins_meanwhile_waits_for_the_next_run(tmp_path, clock):
    engine = opened(tmp_path, clock, JOBS.replace("[job.accrue]", "[job.accrue]\nchunk = 1"))
    engine.submit([opens(1, "100"), opens(2, "100")])
    clock.now_ms = TWO_AM
    engine.commit(engine.jobs.prepare([opens(3, "100000", at=T0)]))
    assert newest(engine, "accrue") | {"status": "running", "done": 1, "of": 2} == newest(engine, "accrue")
    assert engine.metrics()["job_rows_left"]["debts.accrue"] == 1
    engine.run_jobs()
    assert newest(engine, "accrue")["of"] == 2
    assert instance_of(engine, 3)["accrued"] == 0
    assert instance_of(engine, 3)["state"] == "open"


def test_callers_are_answered_in_the_group_of_a_chunk(engine, clock):
    engine.submit(some(random.Random(3), 30))
    clock.now_ms = TWO_AM
    replies = []
    while engine.prompting.waits:
        requests = [closes(len(replies), at=T0)] if len(replies) < 3 else []
        replies += engine.commit(engine.prepare(requests))
    assert [one.id for one in replies] == ["close 0", "close 1", "close 2"]
    assert {one.status for one in replies} == {"recorded"}


def test_a_run_ends_where_the_job_is_declared_no_more(tmp_path, clock):
    engine = opened(tmp_path, clock, JOBS.replace("[job.accrue]", "[job.accrue]\nchunk = 1"))
    engine.submit([opens(one, "100") for one in range(3)])
    clock.now_ms = TWO_AM
    engine.commit(engine.prepare([]))
    engine.activate(debts(JOBS[JOBS.index("[job.roll]") :]))
    engine.run_jobs()
    assert [one["job"] for one in engine.jobs.shown()] == ["debts.roll", "debts.note"]
    (standing,) = [one for one in engine.state.book.runs.jobs.values() if one.runs and one.runs[-1].stopped]
    assert (standing.runs[-1].at, standing.runs[-1].rows) == (1, 3)
    digest = engine.state.digest()
    assert recovery.rebuild(engine.log, engine.reader.content, None).digest() == digest
    engine.close()


# --- by hand, and what is told


def test_it_is_run_by_hand_and_is_due_as_ever(engine, clock):
    engine.submit([opens(1, "12345.67")])
    begun = engine.jobs.start("accrue")
    assert begun["rows"] == 1
    with pytest.raises(InputError) as error:
        engine.jobs.start("debts.accrue")
    assert str(error.value) == (
        "debts.accrue: a run of this job is going on; was row 0 of 1. "
        "Wait until it has ended; `quanheng job show` tells how far it is."
    )
    engine.run_jobs()
    told = newest(engine, "accrue")
    assert (told["by_hand"], told["offset"], told["due_ms"]) == (True, begun["offset"], T0)
    assert engine.jobs.next_due_ms == TWO_AM


def test_a_job_that_nobody_declares_is_not_found(engine):
    with pytest.raises(NotFound) as error:
        engine.jobs.start("acrue")
    assert str(error.value) == (
        "job: there is no such job; was acrue; allowed: debts.accrue, debts.note, debts.roll. "
        "Name it with its pack: PACK.JOB."
    )


def test_a_name_that_two_packs_have_is_asked_for_with_its_pack(engine):
    renamed = (b"debts", b"loans"), (b"process.debt", b"process.loan"), (b'process = "debt"', b'process = "loan"')
    files = dict(debts()[1].files)
    for old, new in renamed:
        files = {name: text.replace(old, new) for name, text in files.items()}
    engine.activate([read_pack(files, "loans")])
    with pytest.raises(NotFound) as error:
        engine.jobs.shown("accrue")
    assert str(error.value) == (
        "job: several packs have a job of this name; was accrue; allowed: debts.accrue, loans.accrue. "
        "Name it with its pack: PACK.JOB."
    )
    assert engine.jobs.shown("loans.accrue")[0]["runs"] == []


def test_a_chunk_is_made_again_from_the_log_byte_for_byte(engine, clock):
    engine.submit(some(random.Random(5), 60))
    clock.now_ms = TWO_AM
    engine.run_jobs()
    made = 0
    for offset in range(engine.log.head):
        record = engine.log.record(offset)
        if record.kind != JOB or record.numbers[0] != What.CHUNK:
            continue
        state = recovery.rebuild(engine.log, engine.reader.content, None, upto=offset)
        chunk = chunk_of(record.payload)
        job = state.program.jobs[record.type]
        again = job.chunk(
            state.book.tables[chunk.process], chunk.first, chunk.last, record.time_ms, record.received_ms, 10**9
        )
        assert again == chunk
        made += 1
    assert made == 3


def test_the_history_of_an_instance_tells_what_jobs_made_of_it(engine, clock):
    engine.submit([opens(1, "0"), opens(2, "600", due_on_ms=T0 - 3 * DAY_MS)])
    clock.now_ms = TWO_AM
    engine.run_jobs()
    machine = next(iter(engine.state.program.machines.values()))
    codes = Codes(engine.state.program.codes)
    told = [
        history(engine.reader, machine, engine.ring.pseudonym("debts.debt", f"d{number}"), codes, engine.log.head)
        for number in (1, 2)
    ]
    assert [(one["from"], one["to"]) for one in told[0]] == [(None, "open")]
    begun, accrued, rolled, noted, promised = told[1]
    assert (accrued["from"], accrued["to"], accrued["event"]) == ("open", "open", None)
    assert (rolled["from"], rolled["to"], rolled["event"]) == ("open", "late", None)
    assert rolled["offset"] == rolled["decision"]
    assert {noted["event"]["type"], promised["event"]["type"]} == {"debts.noted", "debt.timer.fired"}
    assert begun["event"]["id"] == "open 2"
