"""Jobs through crashes at every append, before it is durable and after: random debts, random jobs, live events between.

Whatever crashes, the end is that of a run which nothing disturbed, to the last byte of the state; that state is a full
replay of the log; and what jobs have set, moved and armed is what the plain twin says.
"""

from __future__ import annotations

import random
import shutil
import sys
from decimal import Decimal
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "unit" / "path"))
from debts import DAY_MS, NIGHTLY, T0, Clock, closes, declared, opened, some

from quanheng import recovery
from quanheng.engine import Engine
from quanheng.kernel.errors import AppendFailed
from quanheng.kernel.log.sqlite import SqliteLogStore
from quanheng.kernel.log.store import BatchRow
from quanheng.loading.declared_processes import JobDeclaration
from quanheng.processes.times import Wait
from quanheng.testing.slow_jobs import Kept, run

WHERE = (
    "", "instance.balance > 0", "instance.due_on_ms < due_ms", 'instance.state = "open"', "instance.late_days = null",
    "instance.balance / 3 > 100", "instance.accrued ** 2 > 4", "instance.balance * instance.rate / 365 >= 1.69",
)  # fmt: skip
SETS = (
    ("accrued", "(if instance.accrued = null then 0 else instance.accrued) + instance.balance * instance.rate / 365"),
    ("late_days", "floor((due_ms - instance.due_on_ms) / 86400000)"),
    ("balance", "instance.balance * 1000000000"),
    ("accrued", "instance.balance / instance.rate / 365"),
    ("late_days", "if instance.rate > 0.1 then null else 7"),
    ("rate", "instance.rate / 3 + 0.00005"),
    ("balance", "instance.state"),
)
ROWS = 50


def random_job(rng: random.Random, name: str) -> JobDeclaration:
    states = rng.choice(((), ("open",), ("late",), ("open", "late")))
    event = rng.random() < 0.3
    return JobDeclaration(
        name=name,
        process="debt",
        wait=rng.choice((NIGHTLY, Wait(after_ms=6 * 3_600_000))),
        stale=rng.choice(("once", "fire", "skip")),
        stale_after_ms=rng.choice((0, 20 * 3_600_000)),
        states=states,
        where=rng.choice(WHERE),
        set=dict(rng.sample(SETS, rng.randrange(3))),
        to=rng.choice(("late", "late", "open", "")) if states else "",
        event="debts.noted" if event else "",
        fields={"late_days": "instance.late_days", "word": "instance.state"} if event else {},
        chunk=rng.choice((7, 20, 10_000)),
    )


class Power(Exception):
    """The process is gone."""


class Failing(SqliteLogStore):
    """A store that takes so many batches more; the next one it loses, or it takes it and nobody hears of it."""

    def __init__(self, path: Path, left: int = 10**9, *, durable: bool = False) -> None:
        super().__init__(path)
        self.left, self.durable, self.appends = left, durable, 0

    def append(self, row: BatchRow, expected_head: int, epoch: int) -> int:
        self.left -= 1
        if self.left < 0:
            if self.durable:
                super().append(row, expected_head, epoch)
            raise Power
        self.appends += 1
        return super().append(row, expected_head, epoch)


def closed(engine: Engine) -> int:
    return engine.state.events[engine.state.program.codes["debts.closed"]]


def work(engine: Engine, most: int) -> None:
    """All that is due, with an event of a caller in each of the first groups: which one, the state says."""
    while engine.jobs.waits:
        number = closed(engine)
        requests = [closes(number, at=T0)] if number < most else []
        engine.commit(engine.jobs.prepare(requests))


def reopened(folder: Path, clock: Clock, store: Failing) -> Engine:
    return opened(folder, clock, store=store, log_ahead_ms_max=None)


def end_of(folder: Path, clock: Clock, most: int) -> tuple[str, int, dict[str, object]]:
    """The state at the end, appends it took, and what jobs say."""
    store = Failing(folder / "data" / "log.db")
    engine = reopened(folder, clock, store)
    before = store.appends
    work(engine, most)
    digest = engine.state.digest()
    assert recovery.rebuild(engine.log, engine.reader.content, None).digest() == digest
    shown = {one["job"]: one for one in engine.jobs.shown()}
    appends = store.appends - before
    engine.close()
    return digest, appends, shown


def world(tmp_path: Path, rng: random.Random, clock: Clock) -> Path:
    """Debts that were opened, and a clock on which jobs are due."""
    folder = tmp_path / "world"
    engine = opened(folder, clock)
    assert {reply.status for reply in engine.submit(some(rng, ROWS))} <= {"decided", "recorded"}
    engine.close()
    clock.now_ms += rng.choice((DAY_MS, 3 * DAY_MS + 12_345))
    return folder


def crashed(folder: Path, clock: Clock, most: int, at: int, *, durable: bool) -> None:
    """Work until the append `at`, at which the process is gone."""
    store = Failing(folder / "data" / "log.db", at, durable=durable)
    engine = reopened(folder, clock, store)
    with pytest.raises((Power, AppendFailed)):
        work(engine, most)
    engine.index.close()
    engine.log.store.close()
    engine.ring.close()


def through_crashes(tmp_path: Path, seed: int) -> int:
    rng, clock = random.Random(seed), Clock()
    jobs = [random_job(rng, name) for name in ("one", "two", "three")[: rng.randrange(1, 4)]]
    most = rng.choice((0, 3))
    with declared(*jobs):
        folder = world(tmp_path, rng, clock)
        whole = tmp_path / "whole"
        shutil.copytree(folder, whole)
        end, appends, shown = end_of(whole, clock, most)
        for at in range(0, appends, max(1, appends // 6)):
            for durable in (False, True):
                again = tmp_path / f"{at}{durable}"
                shutil.copytree(folder, again)
                crashed(again, clock, most, at, durable=durable)
                digest, _, told = end_of(again, clock, most)
                assert (digest, told) == (end, shown)
                shutil.rmtree(again)
    return appends


@pytest.mark.parametrize("seed", range(4))
def test_a_crash_at_any_append_changes_nothing(tmp_path, seed):
    assert through_crashes(tmp_path, seed) >= 1


@pytest.mark.long
@pytest.mark.parametrize("seed", range(100, 160))
def test_a_crash_at_any_append_changes_nothing_in_many_seeds(tmp_path, seed):
    through_crashes(tmp_path, seed)


def kept_of(engine: Engine) -> list[Kept]:
    """Every instance of the engine, with its timers."""
    machine = next(iter(engine.state.program.machines.values()))
    names = {timer.code: timer.declared.name for state in machine.states.values() for timer in state.timers}
    book, made = engine.state.book, []
    for instance in book.instances(machine.code):
        waiting = book.timers.of(book.owner(machine.code, instance.key))
        made.append(Kept(instance, {(one.part, names[one.timer & 0xFFFF]): one.due_ms for one in waiting}))
    return made


def still(every: list[Kept], now_ms: int) -> list[Kept]:
    """Without timers that are due at once: the groups of the run fire them, which counts a step and moves nothing."""
    return [
        Kept(one.instance._replace(seq=0), {key: due_ms for key, due_ms in one.due_ms.items() if due_ms > now_ms})
        for one in every
    ]


def against_the_twin(tmp_path: Path, seed: int) -> int:
    """Runs of one job that sends no events, each held against the twin; how many instances were taken."""
    rng, clock, taken = random.Random(seed), Clock(), 0
    job = random_job(rng, "one")
    if job.event:
        job = JobDeclaration(name="one", process="debt", wait=NIGHTLY, set=dict(SETS[:2]), chunk=9)
    with declared(job):
        engine = opened(world(tmp_path, rng, clock), clock)
        machine = next(iter(engine.state.program.machines.values()))
        for _ in range(3):
            engine.submit([])  # Timers that are due fire first, so that the run finds what the twin is shown.
            while engine.state.book.timers.next_due_ms is not None and engine.writer.is_due:
                engine.submit([])
            before = kept_of(engine)
            if not engine.jobs.waits:
                engine.jobs.start("one")
            standing = engine.state.book.runs.jobs[engine.state.program.codes["job debts.one"]]
            while engine.jobs.waits:
                engine.commit(engine.jobs.prepare())
                if not standing.runs or not (latest := standing.runs[-1]).ended_ms:
                    continue
                done, found = run(job, machine, before, latest.due_ms, clock.now_ms), kept_of(engine)
                assert still(found, clock.now_ms) == still(done.kept, clock.now_ms)
                assert (latest.taken, latest.rejected_n) == (len(done.taken), done.rejected.total())
                told = engine.jobs.shown("one")[0]["runs"][0]["reasons"]
                assert told == {" ".join(key): count for key, count in done.rejected.items()}
                taken, before = taken + latest.taken, found
            clock.now_ms += rng.choice((3_600_000, DAY_MS))
        engine.close()
    return taken


@pytest.mark.parametrize("block", range(4))
def test_what_jobs_do_is_what_the_plain_twin_does(tmp_path, block):
    assert sum(against_the_twin(tmp_path / str(seed), seed) for seed in range(block * 6, block * 6 + 6)) > 50


@pytest.mark.long
@pytest.mark.parametrize("block", range(10))
def test_what_jobs_do_is_what_the_plain_twin_does_in_many_seeds(tmp_path, block):
    for seed in range(1_000 + block * 20, 1_000 + block * 20 + 20):
        against_the_twin(tmp_path / str(seed), seed)


def test_the_twin_is_not_blind():
    """It reckons by itself: 730.00 at 0.1999 is 0.3998 a day."""
    assert Decimal(730) * Decimal("0.1999") / 365 == Decimal("0.3998")
