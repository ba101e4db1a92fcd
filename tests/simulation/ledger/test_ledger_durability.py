"""The ledger on the log through crashes: power lost on a disk that forgets what was not fsynced, processes killed at
random moments, two writers at once, a full disk.

After each restart: whatever was acknowledged is there, once, and with the same amount; the state is that after some
prefix of the batches, whole ones; debits equal credits; a batch that was asked for again is applied once.
"""

from __future__ import annotations

import os
import random
import resource
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from quanheng import recovery
from quanheng.engine import Engine
from quanheng.kernel.content import ContentStore
from quanheng.kernel.errors import AppendFailed, ConfigurationError, EpochFenced, LogCorrupt, LogError
from quanheng.kernel.index import RequestIndex
from quanheng.kernel.log.log import Log
from quanheng.kernel.log.sqlite import SqliteLogStore
from quanheng.kernel.seal import KeyRing
from quanheng.ledger.entries import Account, AccountFlag, Transfer, TransferFlag
from quanheng.ledger.ledger import Ledger
from quanheng.ledger.outcomes import TransferOutcome
from quanheng.posting import Posting
from quanheng.reading import Reader
from quanheng.testing.ledger_world import World
from quanheng.testing.simulated_disk import SimulatedDisk
from quanheng.testing.simulated_files import SimulatedFiles
from quanheng.writer import Writer

SEEDS, SEEDS_LONG, KILLS = 40, 2_000, 25
STOPPED = (LogError, ConfigurationError, OSError, sqlite3.Error)
START_MS = 1_700_000_000_000
APPLIED, EXISTS = TransferOutcome.APPLIED, TransferOutcome.EXISTS


class Lost(AssertionError):
    """Something acknowledged is not there, or is there twice, or something is there that must not be."""


# --- power lost, writes torn


class Bank(NamedTuple):
    """What one life of a process has."""

    log: Log
    posting: Posting
    ledger: Ledger


class Lives:
    """The lives of a ledger on one disk, and what was acknowledged in them."""

    def __init__(self, seed: int) -> None:
        self.seed, self.rng, self.world = seed, random.Random(seed), World(seed)
        self.digests: dict[int, bytes] = {0: Ledger().digest()}  # Head -> the ledger after it.
        self.acknowledged_head = 0
        self.amounts: dict[int, int] = {}  # Id of an acknowledged transfer -> what it moved.
        self.asked: list[Transfer] = []  # What was handed over last and not acknowledged.
        self.posted = 0

    def live(self, disk: SimulatedDisk, steps: int) -> None:
        """Open everything on the disk, check it, and work until the disk stops or `steps` are done."""
        bank = self.boot(disk)
        self.check(bank)
        if self.asked:  # The caller heard nothing: it asks again, and hears that it was applied, now or then.
            self.post(bank, self.asked, again=True)
        for _ in range(steps):
            self.world.now_ms += self.rng.choice((0, 1, 5, 60))
            if self.rng.random() < 0.2:
                bank.posting.open_accounts(self.world.openings())
                self.note(bank)
            elif self.rng.random() < 0.15:
                bank.posting.expire()
                self.note(bank)
            else:
                self.post(bank, self.world.transfers(self.rng.choice((1, 3, 40))))

    def boot(self, disk: SimulatedDisk) -> Bank:
        files = SimulatedFiles(disk)
        ring = KeyRing.open("ring", files=files, connect=disk.connect, random=self.rng.randbytes)
        store = SqliteLogStore("log/log.db", connect=disk.connect, files=files, witness=False)
        log = Log.open(store, "simulation")
        index = RequestIndex("index/index.db", connect=disk.connect, files=files, epoch=log.epoch or 0)
        content = ContentStore("content", files)
        state = recovery.rebuild(log, content, None)
        writer = Writer(log, ring, index, Reader(log, content, ring), state, lambda: START_MS + self.world.now_ms)
        return Bank(log, Posting(writer), state.ledger)

    def post(self, bank: Bank, batch: list[Transfer], *, again: bool = False) -> None:
        self.asked = batch
        answers = bank.posting.post(batch)
        self.asked = []
        self.note(bank)
        self.world.note(batch, answers)
        for one, answer in zip(batch, answers, strict=True):
            if answer.outcome is APPLIED and one.id in self.amounts:
                raise Lost(f"seed {self.seed}: {one.id} was applied twice")
            if answer.outcome is APPLIED or (answer.outcome is EXISTS and again):
                self.amounts[one.id] = answer.amount_minor
        self.posted += len(batch)

    def note(self, bank: Bank) -> None:
        """All so far was acknowledged."""
        self.acknowledged_head = bank.log.head
        self.digests[bank.log.head] = bank.ledger.digest()

    def check(self, bank: Bank) -> None:
        head, report = bank.log.head, bank.log.verify()
        if not report.ok or head < self.acknowledged_head:
            raise Lost(f"seed {self.seed}: head {head}, acknowledged {self.acknowledged_head}, {report.problem}")
        if head == self.acknowledged_head and bank.ledger.digest() != self.digests[head]:
            raise Lost(f"seed {self.seed}: another ledger at {head}")
        self.digests[head] = bank.ledger.digest()
        self.acknowledged_head = head
        for id, amount in self.amounts.items():
            if bank.ledger.transfer_of(id).amount_minor != amount:
                raise Lost(f"seed {self.seed}: {id} moved another amount")
        for asset in (1, 2):
            total = bank.ledger.totals(asset)
            if total.debits_posted_minor != total.credits_posted_minor:
                raise Lost(f"seed {self.seed}: value of asset {asset} was made or lost")
            if total.debits_held_minor != total.credits_held_minor:
                raise Lost(f"seed {self.seed}: held value of asset {asset} was made or lost")


def simulate(seed: int, *, syncs: bool = True) -> int:
    """Run one seed through several lives of a machine; the number of transfers acknowledged."""
    lives, rng = Lives(seed), random.Random(seed + 7)
    disk = SimulatedDisk(seed, syncs=syncs)
    for life in range(rng.randrange(2, 6)):
        disk.crash_at = None if life == 0 and rng.random() < 0.1 else rng.randrange(20, rng.choice([60, 150, 400]))
        disk.fault_rate = rng.choice([0.0, 0.0, 0.01, 0.05])
        try:
            lives.live(disk, rng.randrange(1, 25))
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
    lives.live(disk, 5)
    disk.end()
    return lives.posted


def run_seeds(seeds: range) -> int:
    posted = 0
    for seed in seeds:
        try:
            posted += simulate(seed)
        except Exception as error:
            raise AssertionError(f"seed {seed}: {error}") from error
    return posted


@pytest.mark.parametrize("block", range(4))
def test_nothing_acknowledged_is_lost_or_applied_twice_when_the_power_fails(block):
    assert run_seeds(range(block * SEEDS // 4, (block + 1) * SEEDS // 4)) > 100


@pytest.mark.long
@pytest.mark.parametrize("block", range(20))
def test_nothing_acknowledged_is_lost_or_applied_twice_in_many_seeds(block):
    run_seeds(range(SEEDS + block * SEEDS_LONG // 20, SEEDS + (block + 1) * SEEDS_LONG // 20))


def test_the_canary_that_swallows_fsync_is_caught():
    caught = 0
    for seed in range(20):
        try:
            simulate(seed, syncs=False)
        except (Lost, LogCorrupt, ConfigurationError, LogError):
            caught += 1
    assert caught >= 5


# --- processes killed

ANNA, BANK, SHOP = 2, 1, 3


def pay(data: Path, notes: Path, first: int) -> None:
    """Post batches, every third one a chain, until killed; note what was answered."""
    engine, batch = Engine.open(data), 0
    with notes.open("a") as told:
        while True:
            size = 1 + batch * 7 % 40
            linked = int(TransferFlag.LINKED) if batch % 3 == 0 else 0
            asked = [
                Transfer(first + at, BANK, ANNA if at % 2 else SHOP, 1 + at % 9, 1, linked if at + 1 < size else 0)
                for at in range(size)
            ]
            assert all(answer.outcome is APPLIED for answer in engine.post(asked))
            told.write(f"{first} {size}\n")
            told.flush()
            first, batch = first + size, batch + 1


def alone(story: str, folder: Path) -> None:
    """Run a story that forks in a process of its own: threads of other tests' libraries do not outlive a fork well."""
    command = [sys.executable, __file__, story, str(folder)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-4000:]


def test_what_was_answered_survives_kills_and_is_there_once(tmp_path: Path):
    alone("kills", tmp_path)


def kills(tmp_path: Path) -> None:
    data, notes, rng = tmp_path / "data", tmp_path / "answered", random.Random(5)
    engine = Engine.open(data)
    engine.open_accounts([Account(one, 978, 1) for one in (BANK, ANNA, SHOP)])
    engine.close()
    notes.touch()
    for _ in range(KILLS):
        child = os.fork()
        if child == 0:
            try:
                pay(data, notes, next_id(notes))
            finally:
                os._exit(3)  # Reached only by a fault in the child: the parent sees the exit status.
        size, until_s = notes.stat().st_size, time.monotonic() + 120
        while notes.stat().st_size == size:
            assert time.monotonic() < until_s, "the child answered nothing"
            time.sleep(0.005)
        time.sleep(rng.uniform(0.0, 0.15))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status), f"the child ended by itself with status {status}"
        check_after_kill(data, notes)
    assert next_id(notes) > 500


def next_id(notes: Path) -> int:
    """Behind every id that was asked for: those of the batch that may have been recorded and was not answered too."""
    lines = notes.read_text().split("\n")[:-1]
    return (int(lines[-1].split()[0]) // 100_000 + 1) * 100_000 if lines else 100_000


def check_after_kill(data: Path, notes: Path) -> None:
    engine = Engine.open(data, log_ahead_ms_max=None)
    book = engine.ledger.book
    for line in notes.read_text().split("\n")[:-1]:
        first, size = map(int, line.split())
        for at in range(size):
            assert book.transfer_of(first + at).amount_minor == 1 + at % 9
    facts = engine.state.ledger.facts()
    lines = facts[facts["kind"] == 1]
    assert len(set(lines["id_lo"].tolist())) == len(lines), "a transfer was recorded twice"
    moved = int(lines["amount_minor"].sum())
    assert book.balance(BANK).debits_posted_minor == moved
    assert book.balance(ANNA).credits_posted_minor + book.balance(SHOP).credits_posted_minor == moved
    assert (lines["flags"][-1:] == 0).all(), "a chain was cut"
    assert recovery.rebuild(engine.log, engine.content, None).digest() == engine.state.digest()
    assert engine.log.verify().ok
    engine.close()


# --- two writers, a full disk


def bank_in(folder: Path) -> Engine:
    engine = Engine.open(folder / "data")
    if not engine.log.head:
        engine.open_accounts([Account(BANK, 978, 1), Account(ANNA, 978, 1, AccountFlag.DEBITS_BOUND)])
    return engine


def test_the_second_writer_fences_the_first_whose_transfers_are_not_recorded(tmp_path: Path):
    old = bank_in(tmp_path)
    old.post([Transfer(1, BANK, ANNA, 10, code=1)])
    new = bank_in(tmp_path)
    assert new.post([Transfer(2, BANK, ANNA, 10, code=1)])[0].outcome is APPLIED
    with pytest.raises(EpochFenced, match="a newer writer"):
        old.post([Transfer(3, BANK, ANNA, 10, code=1)])
    with pytest.raises(AppendFailed):
        old.post([Transfer(4, BANK, ANNA, 10, code=1)])
    assert new.post([Transfer(3, BANK, ANNA, 10, code=1)])[0].outcome is APPLIED
    assert new.ledger.book.balance(ANNA).credits_posted_minor == 30
    new.close()
    again = bank_in(tmp_path)
    assert again.ledger.book.balance(ANNA).credits_posted_minor == 30
    again.close()


def fill_the_disk(folder: Path, told: int) -> None:
    """Post until the file may not grow; tell the last id that was answered, and the error."""
    engine, id = bank_in(folder), 0
    size = sum(file.stat().st_size for file in (folder / "data").glob("log.db*"))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 200_000, resource.RLIM_INFINITY))
    try:
        while True:
            engine.post([Transfer(id + at, BANK, ANNA, 1, code=1) for at in range(1, 101)])
            id += 100
    except LogError as error:
        os.write(told, f"{id}\n{type(error).__name__}: {error}".encode())


def test_a_full_disk_is_one_clear_error_and_nothing_answered_is_lost(tmp_path: Path):
    alone("full_disk", tmp_path)


def full_disk(tmp_path: Path) -> None:
    bank_in(tmp_path).close()
    reads, writes = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            fill_the_disk(tmp_path, writes)
        finally:
            os._exit(0)
    os.close(writes)
    with os.fdopen(reads, "rb") as pipe:
        answered, error = pipe.read().decode().split("\n", 1)
    os.waitpid(child, 0)
    assert error.startswith("AppendFailed: ")
    assert "disk" in error
    engine = bank_in(tmp_path)
    credited = engine.ledger.book.balance(ANNA).credits_posted_minor
    assert credited in (int(answered), int(answered) + 100)
    assert int(answered) > 0
    again = engine.post([Transfer(int(answered) + at, BANK, ANNA, 1, code=1) for at in range(1, 101)])
    assert {one.outcome for one in again} <= {APPLIED, EXISTS}
    assert engine.ledger.book.balance(ANNA).credits_posted_minor == int(answered) + 100
    assert engine.log.verify().ok
    engine.close()


if __name__ == "__main__":
    {"kills": kills, "full_disk": full_disk}[sys.argv[1]](Path(sys.argv[2]))
