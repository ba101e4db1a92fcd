"""The follower: snapshots of the committed log, each one also a test of replay."""

from __future__ import annotations

import numpy as np
import pytest
from shop import ask, opened
from test_engine import fill

from quanheng import recovery
from quanheng.decisions.versions import Versions
from quanheng.follower import write_snapshot
from quanheng.kernel.errors import LogCorrupt
from quanheng.kernel.snapshot import Snapshots
from quanheng.ledger.entries import Account, Transfer
from quanheng.ledger.instruments.loan_book.products import Product, ProductAccounts
from quanheng.ledger.ledger import Ledger
from quanheng.loans import Loans
from quanheng.processes.book import Book
from quanheng.processes.outbox import Outbox
from quanheng.processes.records import Step, StepKind
from quanheng.told import Told


def test_a_snapshot_is_written_beside_the_writer(tmp_path):
    engine = opened(tmp_path)
    fill(engine, seed=21)
    followed = write_snapshot(tmp_path / "data")
    assert followed == (engine.log.head, engine.state.digest(), True)
    assert engine.submit([ask("after")])[0].status == "decided"
    engine.close()


def test_nothing_is_written_if_nothing_happened(tmp_path):
    engine = opened(tmp_path)
    fill(engine, seed=22, groups=3)
    engine.close()
    first, again = write_snapshot(tmp_path / "data"), write_snapshot(tmp_path / "data")
    assert (first.written, again.written) == (True, False)
    assert first[:2] == again[:2]


def test_each_snapshot_builds_on_the_one_before(tmp_path):
    engine = opened(tmp_path)
    for seed in (23, 24, 25):
        fill(engine, seed=seed, groups=4)
        followed = write_snapshot(tmp_path / "data", check=True)
        assert followed.digest == engine.state.digest()
    engine.close()


def test_a_snapshot_that_differs_from_a_full_replay_is_found(tmp_path):
    engine = opened(tmp_path)
    fill(engine, seed=26, groups=4)
    state = recovery.rebuild(engine.log, engine.content, None)
    state.rejected += 1  # A snapshot that is whole and wrong.
    kept, arrays = state.keep()
    parts = {"chain": engine.log.digest_at(state.head), "state": kept, **arrays}
    Snapshots(tmp_path / "data" / "snapshots").write(state.head, state.program.digest(), parts)
    engine.submit([ask("after")])
    engine.close()
    with pytest.raises(LogCorrupt, match="a snapshot does not equal a full replay") as caught:
        write_snapshot(tmp_path / "data", check=True)
    assert "Delete" in str(caught.value)


def test_a_snapshot_of_another_timeline_at_the_same_offset_is_written_anew(tmp_path):
    engine = opened(tmp_path)
    fill(engine, seed=28, groups=4)
    engine.close()
    head = write_snapshot(tmp_path / "data").offset
    [file] = (tmp_path / "data" / "snapshots").glob("*.snapshot")
    found = Snapshots(tmp_path / "data" / "snapshots").newest()
    Snapshots(tmp_path / "data" / "snapshots").write(head, found.program, {**found.parts, "chain": bytes(32)})
    followed = write_snapshot(tmp_path / "data")
    assert (followed.offset, followed.written) == (head, True)
    assert [*(tmp_path / "data" / "snapshots").glob("*.snapshot")] == [file]
    assert Snapshots(tmp_path / "data" / "snapshots").newest().parts["chain"] == found.parts["chain"]


def test_a_broken_snapshot_is_passed_over(tmp_path):
    engine = opened(tmp_path)
    fill(engine, seed=27, groups=4)
    live = engine.state.digest()
    engine.close()
    write_snapshot(tmp_path / "data")
    [file] = (tmp_path / "data" / "snapshots").glob("*.snapshot")
    raw = bytearray(file.read_bytes())
    raw[len(raw) // 2] ^= 1
    file.write_bytes(raw)
    engine = opened(tmp_path)
    assert engine.state.digest() == live
    assert engine.snapshots.broken
    engine.close()


def folds(state) -> dict[str, object]:
    """Every fold of a state, by name; a new one that is not listed here fails the test."""
    apart = ("program", "features", "make_windows", "sources", "lists", "ledger", "book", "outbox", "loans")
    held = {name: value for name, value in vars(state).items() if name not in apart}
    del held["overflows"]  # Of this process alone.
    held["rejects"], held["versions"] = list(state.rejects), state.versions.keep()
    digests = (state.features.digest(), [one.digest() for one in state.sources], state.lists.digest())
    digests += (state.ledger.digest(), state.ledger.now_ms, state.ledger.day)
    digests += (state.book.digest(), state.outbox.digest(), state.loans.digest())
    return {**held, "activation": state.program.activation, "digests": digests}


def test_a_snapshot_holds_every_fold_and_the_digest_depends_on_each(tmp_path):
    engine = opened(tmp_path)
    fill(engine, seed=29)
    engine.issue_token("shop", ["read"])
    engine.erase("party.customer", "c1")
    engine.open_accounts([Account(1, 978, 1), Account(2, 978, 1)])
    engine.post([Transfer(1, 1, 2, 5, code=1)])
    live, digest = folds(engine.state), engine.state.digest()
    engine.close()
    write_snapshot(tmp_path / "data")
    folded = []
    engine = opened(tmp_path, progress=lambda done, total: folded.append(done))
    assert folded == [], "nothing was left to fold after the snapshot"
    assert folds(engine.state) == live
    assert engine.state.digest() == digest
    book, outbox = Book(), Outbox()
    book.apply([Step(99, bytes(range(16)), StepKind.BEGIN, 0, 0, 98)], 1)
    outbox.ask(np.ones((1, 2), np.uint64), *(np.ones(1, np.int64) for _ in range(3)))
    loans = Loans()
    loans.products = {"shop.term": Product(1, 978, 40, ProductAccounts(*range(1, 15)))}
    changes = {
        "head": 1, "received_ms": 1, "actors": {}, "decided": {}, "events": {}, "rejected": 0, "rejects": [],
        "erasures": {}, "versions": Versions(), "ledger": Ledger(), "told": Told(1, 2, 3),
        "book": book, "outbox": outbox, "loans": loans,
    }  # fmt: skip
    assert {*changes, "activation", "digests"} == {*live, "ledger", "book", "outbox", "loans"}
    for name, other in changes.items():
        was = getattr(engine.state, name)
        setattr(engine.state, name, other)
        assert engine.state.digest() != digest, name
        setattr(engine.state, name, was)
    assert engine.state.digest() == digest
    engine.close()
