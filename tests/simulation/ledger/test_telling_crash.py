"""Telling of transfers through crashes, by seed: power lost and writes torn on a simulated disk, at any write, so also
between the append of transfers and that of their events, and between that and the answer; and processes killed.

After each restart: what the log tells is what the law says (`testing.slow_posted`), each transfer once and in order;
the state is a full replay; when all is told, nothing is missing. Packs that use the event come and go meanwhile,
decisions on told transfers move value themselves, and a second pack is told the same.
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "unit" / "path"))
from watch import unused, watch

from quanheng import recovery
from quanheng.activation import propose
from quanheng.engine import Engine
from quanheng.follower import write_snapshot
from quanheng.kernel.content import ContentStore
from quanheng.kernel.errors import ConfigurationError, LogCorrupt, LogError
from quanheng.kernel.index import RequestIndex
from quanheng.kernel.log.log import Log
from quanheng.kernel.log.sqlite import SqliteLogStore
from quanheng.kernel.seal import KeyRing
from quanheng.ledger.entries import Account, Transfer, TransferFlag
from quanheng.ledger.records import records_of
from quanheng.loading.files import PackFiles
from quanheng.posting import Posting
from quanheng.reading import Reader
from quanheng.state import PACKS_ACTIVATED, Activated, State
from quanheng.telling import Teller
from quanheng.testing.ledger_world import World
from quanheng.testing.simulated_disk import SimulatedDisk
from quanheng.testing.simulated_files import SimulatedFiles
from quanheng.testing.slow_posted import periods, told_by, unlawful
from quanheng.writer import Writer

SEEDS, SEEDS_LONG = 24, 1_000
STOPPED = (LogError, ConfigurationError, OSError, sqlite3.Error)
START_MS = 1_700_000_000_000
WARY = watch("wary", ("policies/watch.dmn", "amount_minor &gt; 1000000", "amount_minor &gt; 100"))
SETS = [[watch()], [watch()], [watch(), WARY], [unused()]]


class Lost(AssertionError):
    """A transfer was told twice, not at all, out of order, or otherwise than it was."""


class Bank(NamedTuple):
    """What one life of a process has."""

    log: Log
    reader: Reader
    writer: Writer
    posting: Posting
    teller: Teller

    @property
    def state(self) -> State:
        return self.writer.state


def law(log: Log, reader: Reader, state: State, *, whole: bool = False) -> int:
    """Hold what was told against the law; how many were told.

    whole : nothing waits any more, so all of the last period must be there

    Raises
    ------
    Lost : what is wrong
    """

    def uses(activated: Activated) -> bool:
        return any(
            b'"ledger.posted"' in reader.content.get_folder(hash)["pack.toml"] for hash in activated.packs.values()
        )

    names = {code: name for name, code in state.program.codes.items()}
    told = told_by(log, lambda code: names.get(code, ""), lambda at: reader.event(at).body.data)
    due = periods(log, uses)
    wrong = unlawful(told, due)
    if wrong:
        raise Lost(wrong)
    using = bool(due) and state.told.since >= 0
    if whole and using and told[len(told) - len(due[-1]) :] != due[-1]:
        raise Lost(f"{len(due[-1])} are due since {state.told.since}, {len(told)} were told in all")
    if state.digest() != recovery.rebuild(log, reader.content, None).digest():
        raise Lost("the state is not a full replay")
    return len(told)


# --- power lost, writes torn


class Lives:
    """The lives of a bank on one disk."""

    def __init__(self, seed: int) -> None:
        self.seed, self.rng, self.world = seed, random.Random(seed), World(seed)
        self.answered: set[str] = set()  # Ids of events that were answered for: they are in the log for good.
        self.done: Counter[str] = Counter()

    def live(self, disk: SimulatedDisk, steps: int) -> None:
        """Open everything on the disk, check it, and work until the disk stops or `steps` are done."""
        bank = self.boot(disk)
        self.check(bank)
        if bank.state.program.activation < 0:
            self.activate(bank, SETS[0])
            for _ in range(4):
                bank.posting.open_accounts(self.world.openings())
        actions = [(self.post, 10), (self.tell, 8), (self.ask, 4), (self.change, 0.6), (self.expire, 1)]
        kinds, weights = zip(*actions, strict=True)
        for _ in range(steps):
            self.world.now_ms += self.rng.choice((0, 1, 5, 60))
            action = self.rng.choices(kinds, weights)[0]
            action(bank)
            self.done[action.__name__] += 1

    def boot(self, disk: SimulatedDisk) -> Bank:
        files = SimulatedFiles(disk)
        ring = KeyRing.open("ring", files=files, connect=disk.connect, random=self.rng.randbytes)
        store = SqliteLogStore("log/log.db", connect=disk.connect, files=files, witness=False)
        log = Log.open(store, "simulation")
        index = RequestIndex("index/index.db", connect=disk.connect, files=files, epoch=log.epoch or 0)
        content = ContentStore("content", files)
        reader = Reader(log, content, ring)
        state = recovery.rebuild(log, content, None)
        writer = Writer(log, ring, index, reader, state, lambda: START_MS + self.world.now_ms)
        writer.renew_intake()
        return Bank(log, reader, writer, Posting(writer), Teller(writer))

    def activate(self, bank: Bank, packs: list[PackFiles]) -> None:
        """As the engine does it."""
        proposal = propose(bank.state, bank.reader, packs)
        if not proposal.changes:
            return
        if proposal.folded is not None:
            recovery.fold_windows(proposal.folded, bank.log, bank.log.head)
        offset = bank.writer.record_all([(PACKS_ACTIVATED, proposal.activated)])
        bank.state.adopt(recovery.keep_program(proposal.program, proposal.activated, offset), proposal.folded)
        bank.writer.renew_intake()

    def change(self, bank: Bank) -> None:
        """Other packs: a use may end, and begin again."""
        packs = self.rng.choice(SETS)
        if packs == SETS[3] and "wary" in bank.state.program.packs:
            return  # It stays in force and uses the event.
        self.activate(bank, packs)

    def post(self, bank: Bank) -> None:
        if self.rng.random() < 0.2:
            bank.posting.open_accounts(self.world.openings())
        batch = self.world.transfers(self.rng.choice((1, 3, 40)))
        self.world.note(batch, bank.posting.post(batch))

    def expire(self, bank: Bank) -> None:
        bank.posting.expire()

    def tell(self, bank: Bank) -> None:
        """One group, or all that is due."""
        if self.rng.random() < 0.3:
            bank.teller.tell()
            law(bank.log, bank.reader, bank.state, whole=True)
            return
        requests = bank.teller.requests(beside=self.rng.random() < 0.5)
        cut = self.rng.randrange(len(requests) + 1)
        for part in (requests[:cut], requests[cut:]):  # Two appends, and the power may fail between them.
            for reply in bank.writer.submit(part):
                if reply.status not in ("decided", "repeated"):
                    raise Lost(f"the event of {reply.id} was {reply.status}: {reply.error}")
                if reply.status == "repeated":
                    raise Lost(f"{reply.id} was told before and asked for again")
                self.answered.add(reply.id)

    def ask(self, bank: Bank) -> None:
        """A group that tells, with transfers that its first decision asks for behind it in the same append."""
        requests = bank.teller.requests(beside=True)
        if not requests:
            return
        pending = bank.writer.prepare(requests)
        ledger, since = bank.state.ledger, bank.state.ledger.facts_n
        batch = self.world.transfers(3)
        answers = ledger.transfer(
            batch, pending.received_ms, max(ledger.day, bank.writer.days.day_of(pending.received_ms))
        )
        facts = ledger.facts(since)
        bank.state.head += len(facts)
        bank.writer.commit(pending._replace(more=records_of(facts, pending.first + 1)))
        self.world.note(batch, answers)
        self.answered |= {request.id for request in requests}

    def check(self, bank: Bank) -> None:
        """After a restart, before anything is done."""
        report = bank.log.verify()
        if not report.ok:
            raise Lost(str(report.problem))
        law(bank.log, bank.reader, bank.state)
        names = {code: name for name, code in bank.state.program.codes.items()}
        held = told_by(bank.log, lambda code: names.get(code, ""), lambda at: bank.reader.event(at).body.data)
        if not self.answered <= {str(one["offset"]) for one in held}:
            raise Lost("an event that was answered for is gone")


def simulate(seed: int, *, syncs: bool = True) -> Lives:
    """Run one seed through several lives of a machine, and then one that tells all."""
    lives, rng = Lives(seed), random.Random(seed + 7)
    disk = SimulatedDisk(seed, syncs=syncs)
    for life in range(rng.randrange(3, 7)):
        disk.crash_at = None if life == 0 else rng.randrange(20, rng.choice([60, 150, 400]))
        disk.fault_rate = rng.choice([0.0, 0.0, 0.01, 0.05]) if life else 0.0
        try:
            lives.live(disk, rng.randrange(5, 30))
        except STOPPED as error:
            if isinstance(error, LogCorrupt) or not (disk.off or disk.faults):
                raise
        if disk.off or rng.random() < 0.3:
            disk = disk.crash(syncs=syncs)
        else:  # The process has ended but the machine has not: the page cache is still there.
            other = SimulatedDisk(rng.randrange(2**32), syncs=syncs)
            other.seen, other.durable = disk.seen, disk.durable
            disk.end()
            disk = other
    disk.crash_at, disk.fault_rate = None, 0.0
    bank = lives.boot(disk)
    lives.check(bank)
    bank.teller.tell()
    lives.done["told"] = law(bank.log, bank.reader, bank.state, whole=True)
    lives.done["passed over"] = bank.teller.passed_over
    disk.end()
    return lives


def run_seeds(seeds: range) -> Counter[str]:
    done: Counter[str] = Counter()
    for seed in seeds:
        try:
            done += simulate(seed).done
        except Exception as error:
            raise AssertionError(f"seed {seed}: {error!r}") from error
    return done


@pytest.mark.parametrize("block", range(4))
def test_each_transfer_is_told_once_and_in_order_when_the_power_fails(block):
    done = run_seeds(range(block * SEEDS // 4, (block + 1) * SEEDS // 4))
    assert done["told"] > 50
    assert min(done[name] for name in ("post", "tell", "ask")) > 5, done


@pytest.mark.long
@pytest.mark.parametrize("block", range(20))
def test_each_transfer_is_told_once_and_in_order_in_many_seeds(block):
    done = run_seeds(range(SEEDS + block * SEEDS_LONG // 20, SEEDS + (block + 1) * SEEDS_LONG // 20))
    assert done["change"] > 5


def test_the_canary_that_swallows_fsync_is_caught():
    caught = 0
    for seed in range(12):
        try:
            simulate(seed, syncs=False)
        except (Lost, LogCorrupt, ConfigurationError, LogError):
            caught += 1
    assert caught >= 3


# --- processes killed

BANK, ANNA, SHOP = 1, 2, 3


def work(data: Path, notes: Path, seed: int) -> None:
    """Post and tell until killed; note how many events were answered for."""
    engine, rng, id = Engine.open(data), random.Random(seed), seed * 1_000_000
    with notes.open("a") as told:
        while True:
            count = rng.randrange(1, 30)
            engine.post([Transfer(id + at, BANK, rng.choice((ANNA, SHOP)), 1 + at, 1) for at in range(count)])
            id += count
            if rng.random() < 0.1:
                engine.activate(rng.choice([[watch()], [watch(), WARY]]))
            if rng.random() < 0.6:
                told.write(f"{engine.tell_posted()}\n")
                told.flush()


def alone(folder: Path) -> None:
    """Run the story in a process of its own: threads of other tests' libraries do not outlive a fork well."""
    command = [sys.executable, __file__, str(folder)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-4000:]


def test_each_transfer_is_told_once_across_kills(tmp_path: Path):
    alone(tmp_path)


def kills(folder: Path, times: int = 12) -> None:
    data, notes, rng = folder / "data", folder / "told", random.Random(3)
    engine = Engine.open(data)
    engine.open_accounts([Account(one, 978, 1) for one in (BANK, ANNA, SHOP)])
    engine.activate([watch()])
    engine.post([Transfer(1, BANK, ANNA, 5, 1, TransferFlag.HOLD)])
    engine.close()
    notes.touch()
    for kill in range(times):
        child = os.fork()
        if child == 0:
            try:
                work(data, notes, kill + 1)
            finally:
                os._exit(3)  # Reached only by a fault in the child: the parent sees the exit status.
        size, until_s = notes.stat().st_size, time.monotonic() + 120
        while notes.stat().st_size == size:
            assert time.monotonic() < until_s, "the child told nothing"
            time.sleep(0.005)
        time.sleep(rng.uniform(0.0, 0.1))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status), f"the child ended by itself with status {status}"
        if kill % 4 == 2:
            write_snapshot(data)
        engine = Engine.open(data, log_ahead_ms_max=None)
        answered = sum(map(int, notes.read_text().split("\n")[:-1]))
        assert law(engine.log, engine.reader, engine.state) >= answered
        if kill % 3 == 0:
            engine.tell_posted()
            law(engine.log, engine.reader, engine.state, whole=True)
        engine.close()
    assert answered > 100


if __name__ == "__main__":
    kills(Path(sys.argv[1]))
