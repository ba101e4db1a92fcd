"""The ledger through the log: durable, recovered, beside events, by the business day, and refused where it must be."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import psycopg
import pytest
from shop import T0, HandClock, ask, opened

from quanheng import recovery
from quanheng.engine import Engine
from quanheng.follower import write_snapshot
from quanheng.kernel.errors import AppendFailed, EpochFenced, InputError
from quanheng.kernel.log.postgres import PostgresLogStore
from quanheng.kernel.log.records import TRANSFER
from quanheng.ledger import wire
from quanheng.ledger.business_days import BusinessDays
from quanheng.ledger.entries import Account, AccountFlag, Amendment, Transfer, TransferFlag
from quanheng.ledger.ledger import Ledger
from quanheng.ledger.outcomes import AccountOutcome, TransferOutcome
from quanheng.posting import openings_of, transfers_of
from quanheng.replay import replay
from quanheng.testing.ledger_world import World

DAY_MS = 86_400_000
BANK, ANNA, SHOP = 1, 2, 3
ACCOUNTS = [Account(BANK, 978, 1), Account(ANNA, 978, 2, AccountFlag.DEBITS_BOUND), Account(SHOP, 978, 3)]


def bank(folder, clock=None) -> Engine:
    """An engine with no pack, three accounts, and 1,000 on Anna's."""
    engine = Engine.open(folder / "data", clock=clock or HandClock())
    if not engine.log.head:
        assert engine.open_accounts(ACCOUNTS) == [AccountOutcome.APPLIED] * 3
        assert outcomes(engine.post([Transfer(1, BANK, ANNA, 1_000, code=1)])) == [TransferOutcome.APPLIED]
    return engine


def outcomes(answers) -> list[TransferOutcome]:
    return [one.outcome for one in answers]


def facts_in(engine) -> list[int]:
    """Kinds of the facts in the log, in order."""
    read = engine.log.read_columns(0, recovery.HEADER_KEYS_MAX, recovery.HEADER_NUMBERS_MAX)
    return [int(kind) for _, columns in read for kind in columns.type[columns.kind == TRANSFER]]


def test_what_was_posted_is_there_after_a_restart(tmp_path):
    engine = bank(tmp_path)
    answers = engine.post([Transfer(2, ANNA, SHOP, 400, code=1), Transfer(3, ANNA, SHOP, 700, code=1)])
    assert outcomes(answers) == [TransferOutcome.APPLIED, TransferOutcome.BALANCE_IS_TOO_LOW]
    digest, facts = engine.state.digest(), engine.state.ledger.facts()
    engine.close()
    engine = bank(tmp_path)
    assert engine.state.digest() == digest
    assert np.array_equal(engine.state.ledger.facts(), facts)
    metrics = engine.metrics()
    assert (metrics["ledger_accounts"], metrics["ledger_facts"]) == (3, 5)
    assert engine.ledger.book.balance(SHOP).credits_posted_minor == 400
    again = engine.post([Transfer(2, ANNA, SHOP, 400, code=1)])
    assert outcomes(again) == [TransferOutcome.EXISTS]
    assert engine.log.head == 5
    assert engine.log.verify().ok
    engine.close()


def test_a_batch_that_changes_nothing_appends_nothing_and_leaves_no_trace_of_its_time(tmp_path):
    clock = HandClock()
    engine = bank(tmp_path, clock)
    before = engine.log.head, engine.state.digest(), engine.state.ledger.now_ms, engine.state.ledger.day
    clock.now_ms += 5 * DAY_MS
    assert outcomes(engine.post([Transfer(2, ANNA, SHOP, 1_001, code=1)])) == [TransferOutcome.BALANCE_IS_TOO_LOW]
    assert engine.amend_accounts([Amendment(99, 0)]) == [AccountOutcome.ACCOUNT_NOT_FOUND]
    assert engine.post([]) == []
    now = engine.log.head, engine.state.digest(), engine.state.ledger.now_ms, engine.state.ledger.day
    assert now == before
    engine.close()


def test_time_never_goes_back_although_the_clock_does(tmp_path):
    clock = HandClock(T0)
    engine = bank(tmp_path, clock)
    engine.post([Transfer(2, ANNA, SHOP, 1, code=1)])
    clock.now_ms = T0 - 3 * DAY_MS
    [answer] = engine.post([Transfer(3, ANNA, SHOP, 1, code=1)])
    assert (answer.outcome, answer.applied_ms) == (TransferOutcome.APPLIED, T0)
    clock.now_ms = T0 + 7
    assert engine.post([Transfer(4, ANNA, SHOP, 1, code=1)])[0].applied_ms == T0 + 7
    engine.close()


def test_a_hold_ends_when_its_time_is_out_though_nobody_posts(tmp_path):
    clock = HandClock()
    engine = bank(tmp_path, clock)
    engine.post([Transfer(2, ANNA, SHOP, 600, code=1, flags=TransferFlag.HOLD, timeout_ms=1_000)])
    head = engine.log.head
    assert engine.expire() == 0
    clock.now_ms += 999
    assert (engine.expire(), engine.log.head) == (0, head)
    clock.now_ms += 1
    assert (engine.expire(), engine.log.head) == (1, head + 1)
    assert engine.ledger.book.balance(ANNA).debits_held_minor == 0
    assert engine.ledger.book.transfer_of(2).hold == "expired"
    assert facts_in(engine)[-1] == wire.FactKind.EXPIRY
    assert engine.expire() == 0
    digest = engine.state.digest()
    engine.close()
    engine = bank(tmp_path, clock)
    assert engine.state.digest() == digest
    assert outcomes(engine.post([Transfer(3, amount_minor=600, flags=TransferFlag.POST, reference=2)])) == [
        TransferOutcome.HOLD_HAS_EXPIRED
    ]
    engine.close()


def test_a_refused_batch_still_records_the_holds_that_ended(tmp_path):
    clock = HandClock()
    engine = bank(tmp_path, clock)
    engine.post([Transfer(2, ANNA, SHOP, 600, code=1, flags=TransferFlag.HOLD, timeout_ms=10)])
    head = engine.log.head
    clock.now_ms += 50
    assert outcomes(engine.post([Transfer(3, ANNA, SHOP, 5_000, code=1)])) == [TransferOutcome.BALANCE_IS_TOO_LOW]
    assert engine.log.head == head + 1
    full = recovery.rebuild(engine.log, engine.content, None)
    assert full.digest() == engine.state.digest()
    assert full.ledger.now_ms == engine.state.ledger.now_ms
    engine.close()


def test_batches_of_several_callers_share_one_append_and_each_has_its_own_answers(tmp_path):
    engine = bank(tmp_path)
    batches = engine.log.verify().batches
    too_long = np.zeros(9_000, wire.TRANSFER_REQUEST)
    works = [
        transfers_of(wire.encode_transfers([Transfer(2, ANNA, SHOP, 600, code=1)])),
        transfers_of(too_long),
        openings_of([Account(7, 978, 1)]),
        transfers_of(wire.encode_transfers([Transfer(3, ANNA, 7, 600, code=1), Transfer(4, ANNA, 7, 400, code=1)])),
    ]
    first, wrong, opened_, last = engine.ledger.post_together(works)
    assert first["outcome"].tolist() == [TransferOutcome.APPLIED]
    assert isinstance(wrong, InputError)
    assert opened_ == [AccountOutcome.APPLIED]
    assert last["outcome"].tolist() == [TransferOutcome.BALANCE_IS_TOO_LOW, TransferOutcome.APPLIED]
    assert engine.log.verify().batches == batches + 1
    engine.close()


def test_numbers_outside_their_fields_and_long_batches_are_refused_and_change_nothing(tmp_path):
    engine = bank(tmp_path)
    head, digest = engine.log.head, engine.state.digest()
    with pytest.raises(InputError, match="the batch is too long"):
        engine.post([Transfer(9, BANK, ANNA, 1, code=1)] * 8_191)
    with pytest.raises(InputError, match="a number of the transfer has no place in its record"):
        engine.post([Transfer(9, BANK, ANNA, 2**63, code=1)])
    with pytest.raises(InputError, match="the array holds no transfer requests"):
        engine.post_arrays(np.zeros(3))
    with pytest.raises(InputError, match="a number of the account has no place in its record"):
        engine.open_accounts([Account(9, 2**32, 1)])
    assert (engine.log.head, engine.state.digest()) == (head, digest)
    engine.close()


def test_facts_follow_the_events_of_their_group_in_one_append(tmp_path):
    engine = opened(tmp_path)
    engine.open_accounts(ACCOUNTS)
    batches = engine.log.verify().batches
    pending = engine.prepare([ask("a"), ask("b")])
    posted = engine.ledger.prepare([transfers_of(wire.encode_transfers([Transfer(1, BANK, ANNA, 5, code=1)]))], pending)
    replies = engine.commit(posted.pending)
    assert [reply.status for reply in replies] == ["decided", "decided"]
    assert posted.answers[0]["outcome"].tolist() == [TransferOutcome.APPLIED]
    assert engine.log.verify().batches == batches + 1
    assert engine.state.head == engine.log.head
    assert engine.log.record(engine.log.head - 1).kind == TRANSFER
    again = engine.submit([ask("a")])
    assert again[0].status == "repeated"
    full = recovery.rebuild(engine.log, engine.content, None)
    assert full.digest() == engine.state.digest()
    assert replay(engine.reader, None, replies[0].decision).same
    engine.close()
    engine = opened(tmp_path)
    assert engine.submit([ask("b")])[0].status == "repeated"
    assert engine.state.digest() == full.digest()
    engine.close()


def test_a_group_is_prepared_while_one_commits(tmp_path):
    engine = bank(tmp_path)
    with ThreadPoolExecutor(1) as committer:
        waiting = None
        for number in range(20):
            work = transfers_of(wire.encode_transfers([Transfer(100 + number, BANK, ANNA, 1, code=1)]))
            prepared = engine.ledger.prepare([work])
            if waiting is not None:
                waiting.result()
            waiting = committer.submit(engine.commit, prepared.pending)
        waiting.result()
    assert engine.ledger.book.balance(ANNA).credits_posted_minor == 1_020
    assert recovery.rebuild(engine.log, engine.content, None).digest() == engine.state.digest()
    engine.close()


def test_limits_of_a_day_follow_the_business_day_and_it_never_goes_back(tmp_path):
    clock = HandClock(T0)  # 10:00 UTC, 18:00 in Shanghai.
    engine = Engine.open(tmp_path / "data", clock=clock)
    engine.writer.days = BusinessDays("Asia/Shanghai", 19)
    engine.open_accounts([Account(BANK, 978, 1, day_max_minor=100), Account(ANNA, 978, 1)])
    assert outcomes(engine.post([Transfer(1, BANK, ANNA, 100, code=1)])) == [TransferOutcome.APPLIED]
    assert outcomes(engine.post([Transfer(2, BANK, ANNA, 1, code=1)])) == [TransferOutcome.DAY_LIMIT_EXCEEDED]
    clock.now_ms += 3_600_000
    assert outcomes(engine.post([Transfer(2, BANK, ANNA, 100, code=1)])) == [TransferOutcome.APPLIED]
    day = engine.state.ledger.day
    assert engine.state.ledger.facts()["day"].tolist() == [day - 1, day - 1, day - 1, day]
    engine.writer.days = BusinessDays("UTC", 24)  # Somebody changes the setting: yesterday does not come back.
    assert outcomes(engine.post([Transfer(3, BANK, ANNA, 1, code=1)])) == [TransferOutcome.DAY_LIMIT_EXCEEDED]
    assert engine.state.ledger.day == day
    engine.close()


def test_a_snapshot_holds_the_ledger_and_what_came_later_is_applied(tmp_path):
    engine, world = Engine.open(tmp_path / "data", clock=(clock := HandClock())), World(11)
    play(engine, world, clock, 60)
    engine.close()
    assert write_snapshot(tmp_path / "data", check=True).written
    engine = Engine.open(tmp_path / "data", clock=clock)
    play(engine, world, clock, 60)
    digest = engine.state.digest()
    engine.close()
    engine = Engine.open(tmp_path / "data", clock=clock)
    assert engine.snapshots.newest().offset < engine.log.head
    assert engine.state.digest() == digest
    assert recovery.rebuild(engine.log, engine.content, None).digest() == digest
    engine.close()
    assert write_snapshot(tmp_path / "data", check=True).digest == digest


def play(engine: Engine, world: World, clock: HandClock, steps: int) -> None:
    """Work of the world through the log, held against a ledger that no log is between."""
    if not hasattr(world, "twin"):
        world.twin, world.now_ms = Ledger(), clock.now_ms
        world.day = engine.writer.days.day_of(clock.now_ms)
    for _ in range(steps):
        world.now_ms += world.rng.choice((0, 1, 7, 40))
        clock.now_ms = world.now_ms
        opening, batch = world.openings(), world.transfers(world.rng.randrange(1, 12))
        assert engine.open_accounts(opening) == world.twin.open_accounts(opening, world.now_ms, world.day)
        answers = engine.post(batch)
        assert answers == world.twin.transfer(batch, world.now_ms, world.day)
        world.note(batch, answers)
    assert engine.state.ledger.digest() == world.twin.digest()


def test_the_log_in_postgresql_keeps_the_ledger_and_refuses_the_older_writer(tmp_path, postgres_dsn):
    schema = f"quanheng_test_{uuid.uuid4().hex[:12]}"
    try:
        old = Engine.open(tmp_path / "data", store=PostgresLogStore(postgres_dsn, schema))
        old.open_accounts(ACCOUNTS)
        old.post([Transfer(1, BANK, ANNA, 10, code=1)])
        digest = old.state.digest()
        new = Engine.open(tmp_path / "data", store=PostgresLogStore(postgres_dsn, schema))
        assert new.state.digest() == digest
        assert outcomes(new.post([Transfer(1, BANK, ANNA, 10, code=1)])) == [TransferOutcome.EXISTS]
        with pytest.raises(EpochFenced):
            old.post([Transfer(2, BANK, ANNA, 10, code=1)])
        assert outcomes(new.post([Transfer(2, BANK, ANNA, 10, code=1)])) == [TransferOutcome.APPLIED]
        assert new.ledger.book.balance(ANNA).credits_posted_minor == 20
        assert new.log.verify().ok
        new.close()
        old.log.close()
    finally:
        with psycopg.connect(postgres_dsn, autocommit=True) as connection:
            connection.execute(f'DROP SCHEMA IF EXISTS "{schema}" CASCADE')


def test_nothing_is_posted_after_an_append_that_failed(tmp_path):
    engine = bank(tmp_path)

    def broken(*_):
        raise OSError(28, "No space left on device")

    engine.log.store.append = broken
    with pytest.raises(AppendFailed, match=r"the log store failed.*No space left on device"):
        engine.post([Transfer(2, ANNA, SHOP, 1, code=1)])
    with pytest.raises(AppendFailed, match="the log is not where the state is"):
        engine.post([Transfer(3, ANNA, SHOP, 1, code=1)])
    engine.log.close()
