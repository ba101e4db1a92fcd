"""The writer: durable before answered, each id once, and nothing half done."""

from __future__ import annotations

import sqlite3
import threading

import msgspec
import pytest
from shop import LIMIT_MINOR, T0, ask, opened, packs

from quanheng.engine import Engine
from quanheng.kernel.errors import AppendFailed, EpochFenced, HeadMoved, LogError
from quanheng.kernel.index import RequestIndex
from quanheng.kernel.log.records import DECISION, EVENT


@pytest.fixture
def engine(tmp_path):
    engine = opened(tmp_path)
    yield engine
    engine.close()


def records(engine: Engine) -> list[tuple[int, int, int]]:
    """(kind, type, cause) of each record after the activation."""
    return [(one.kind, one.type, one.cause) for one in map(engine.log.record, range(1, engine.log.head))]


def test_an_answer_names_the_event_and_its_decision(engine):
    [reply] = engine.submit([ask("a", LIMIT_MINOR + 1)])
    assert (reply.id, reply.status, reply.offset, reply.decision) == ("a", "decided", 1, 2)
    assert (reply.outcome, list(reply.reasons), reply.error) == ("decline", ["amount_over_limit"], "")
    code = engine.state.program.codes["shop.request"]
    assert records(engine) == [(EVENT, code, -1), (DECISION, code, 1)]


def test_a_group_is_one_durable_batch(engine):
    before = len(list(engine.log.store.read(0)))
    engine.submit([ask("a"), ask("b"), ask("bad", -1), ask("c")])
    assert len(list(engine.log.store.read(0))) == before + 1
    assert engine.log.head == 1 + 2 + 2 + 1 + 2


def test_an_empty_group_and_one_of_repeats_append_nothing(engine):
    engine.submit([ask("a")])
    head = engine.log.head
    assert engine.submit([]) == []
    assert [one.status for one in engine.submit([ask("a"), ask("a")])] == ["repeated", "repeated"]
    assert engine.log.head == head


def same_answer(first, again):
    assert again.status == "repeated"
    assert (again.offset, again.decision, again.outcome) == (first.offset, first.decision, first.outcome)
    assert list(again.reasons) == list(first.reasons)


def test_a_repeat_in_the_group_gets_the_answer_of_the_first(engine):
    first, again = engine.submit([ask("a", LIMIT_MINOR + 1), ask("a", LIMIT_MINOR + 1)])
    same_answer(first, again)


def test_a_repeat_across_groups_gets_the_recorded_answer(engine):
    [first] = engine.submit([ask("a", LIMIT_MINOR + 1)])
    same_answer(first, engine.submit([ask("a", LIMIT_MINOR + 1)])[0])


def test_a_repeat_of_what_is_in_flight_gets_its_answer(engine):
    one = engine.prepare([ask("a", LIMIT_MINOR + 1)])
    two = engine.prepare([ask("b"), ask("a", LIMIT_MINOR + 1)])
    [first] = engine.commit(one)
    _, again = engine.commit(two)
    same_answer(first, again)
    assert engine.state.events == {engine.state.program.codes["shop.request"]: 2}
    assert engine.writer._in_flight == {}, "what is recorded is the index's to know"


def test_a_repeat_after_a_restart_gets_the_recorded_answer(tmp_path):
    engine = opened(tmp_path)
    [first] = engine.submit([ask("a", LIMIT_MINOR + 1)])
    engine.close()
    engine = opened(tmp_path)
    same_answer(first, engine.submit([ask("a", LIMIT_MINOR + 1)])[0])
    engine.close()


def test_a_repeat_is_found_though_the_index_was_lost(tmp_path):
    engine = opened(tmp_path)
    [first] = engine.submit([ask("a", LIMIT_MINOR + 1)])
    engine.close()
    for file in (tmp_path / "data").glob("index.db*"):
        file.unlink()
    engine = opened(tmp_path)
    same_answer(first, engine.submit([ask("a", LIMIT_MINOR + 1)])[0])
    engine.close()


def test_the_same_content_written_otherwise_is_a_repeat(engine):
    [first] = engine.submit([ask("a")])
    data = b'{"currency":"EUR",   "amount_minor":20000, "time_ms":1768471200000, "customer":"anna"}'
    same_answer(first, engine.submit([msgspec.structs.replace(ask("a"), data=data)])[0])


@pytest.mark.parametrize(
    ("other", "fields"),
    [
        (ask("a", 1), "amount_minor"),
        (ask("a", 1, customer="bert"), "amount_minor, customer"),
        (ask("a", at=T0 + 1, currency="USD"), "currency, time_ms"),
    ],
    ids=["amount", "two", "time and currency"],
)
def test_the_same_id_with_other_content_is_refused_naming_the_fields(engine, other, fields):
    [first] = engine.submit([ask("a")])
    head = engine.log.head
    [reply] = engine.submit([other])
    assert (reply.status, reply.offset, reply.decision, reply.outcome) == ("conflict", first.offset, -1, "")
    assert reply.error == (
        "id: this request id was used before with other content; was a; allowed: the same content again. "
        f"It differs in: {fields}. Send new content under a new id."
    )
    assert engine.log.head == head


def test_a_conflict_in_the_group(engine):
    replies = engine.submit([ask("a"), ask("a", 5), ask("b")])
    assert [one.status for one in replies] == ["decided", "conflict", "decided"]


def test_a_repeat_gets_its_answer_while_the_index_is_written_beside(tmp_path, monkeypatch):
    """Whether its entry waits, is being written or is on the disk; the groups go on meanwhile."""
    monkeypatch.setattr("quanheng.kernel.index.WAITING_MAX", 20)
    begun, may_go = threading.Event(), threading.Event()
    write = RequestIndex._write_run

    def slowly(index, entries):
        if threading.current_thread().name == "quanheng-index":
            begun.set()
            assert may_go.wait(30)
        write(index, entries)

    monkeypatch.setattr(RequestIndex, "_write_run", slowly)
    engine = opened(tmp_path)
    first = engine.submit([ask(f"a{n}", customer=f"c{n}") for n in range(20)])
    assert begun.wait(30)
    first += engine.submit([ask(f"b{n}", customer=f"c{n}") for n in range(30)])
    engine.writer.forget_recent()  # So that each answer is read from the log, where the index says.
    sent = [ask(reply.id, customer=f"c{reply.id[1:]}") for reply in first]
    for one, again in zip(first, engine.submit(sent), strict=True):
        same_answer(one, again)
    may_go.set()
    engine.index.flush()
    engine.writer.forget_recent()
    for one, again in zip(first, engine.submit(sent), strict=True):
        same_answer(one, again)
    engine.close()


def test_an_index_that_cannot_be_written_stops_the_writer_and_takes_no_answer(tmp_path, monkeypatch):
    monkeypatch.setattr("quanheng.kernel.index.WAITING_MAX", 20)
    engine = opened(tmp_path)
    engine.index._db.execute("PRAGMA query_only = ON")
    first = engine.submit([ask(f"a{n}", customer=f"c{n}") for n in range(20)])
    engine.index._await_run()
    with pytest.raises(LogError, match="the request index cannot be written"):
        engine.submit([ask("b")])
    with pytest.raises(LogError, match="the request index cannot be written"):
        engine.close()
    engine.log.close()
    again = opened(tmp_path)
    replies = again.submit([ask(reply.id, customer=f"c{reply.id[1:]}") for reply in first])
    for one, repeated in zip(first, replies, strict=True):
        same_answer(one, repeated)
    assert again.submit([ask("b")])[0].status == "repeated"  # It was durable, though nobody was answered.
    again.close()


LATER = (
    ("events.toml", "currency     = {", 'branch       = {type = "text", length_max = 9}\ncurrency     = {'),
    ("cases/first.toml", 'currency     = "EUR"', 'currency     = "EUR"\nbranch       = "north"'),
)
"""A version of the shop in which every request must name its branch."""


@pytest.mark.parametrize("restarted", [False, True])
def test_a_repeat_gets_its_answer_though_its_type_gained_a_required_field(tmp_path, restarted):
    engine = opened(tmp_path)
    [first] = engine.submit([ask("a", LIMIT_MINOR + 1)])
    engine.activate(packs(*LATER))
    if restarted:
        engine.close()
        engine = opened(tmp_path)
    head = engine.log.head
    same_answer(first, engine.submit([ask("a", LIMIT_MINOR + 1)])[0])
    same_answer(first, engine.dry_run([ask("a", LIMIT_MINOR + 1)])[0])
    [conflict] = engine.submit([ask("a", LIMIT_MINOR + 2, branch="north")])
    assert conflict.status == "conflict"
    assert "It differs in: amount_minor, branch." in conflict.error
    assert engine.log.head == head
    assert engine.submit([ask("b")])[0].status == "rejected"  # What is new must name it.
    assert engine.submit([ask("c", branch="north")])[0].status == "decided"
    engine.close()


def test_an_id_that_was_taken_comes_again_with_what_no_schema_reads(engine):
    [first] = engine.submit([ask("a")])
    head = engine.log.head
    for data, differs in ((b"[]", "data, which is no JSON object"), (b'{"\xff', "data, which is no JSON object"),
                          (b"{}", "amount_minor, currency, customer, time_ms")):  # fmt: skip
        [reply] = engine.submit([msgspec.structs.replace(ask("a"), data=data)])
        assert (reply.status, reply.offset) == ("conflict", first.offset)
        assert f"It differs in: {differs}." in reply.error
    [reply] = engine.submit([msgspec.structs.replace(ask("a"), type="shop.nothing")])
    assert (reply.status, "It differs in: type." in reply.error) == ("conflict", True)
    assert engine.log.head == head


def test_a_refused_request_may_come_again_under_its_id(engine):
    assert [one.status for one in engine.submit([ask("a", -1)])] == ["rejected"]
    assert [one.status for one in engine.submit([ask("a")])] == ["decided"]


def test_refusals_are_counted_and_can_be_read(engine):
    engine.submit([ask("a"), ask("bad", -1), ask("worse", "x" * 10_000)])
    shown = engine.rejects()
    assert shown["rejected"] == 2
    first, second = shown["items"]
    assert (first["client"], first["id"], first["type"]) == ("web", "bad", "shop.request")
    assert first["error"] == "shop.request.amount_minor: the value does not fit the field; allowed: integer >= 1"
    assert '"amount_minor": -1' in first["data"]
    assert len(second["data"]) == 4096
    assert second["data_length_bytes"] > 10_000


def test_a_refused_request_is_sealed(engine, tmp_path):
    engine.submit([ask("bad", -1, customer="zebra-customer")])
    engine.log.store.close()
    assert b"zebra-customer" not in (tmp_path / "data" / "log.db").read_bytes()


def test_a_dry_run_leaves_no_trace_and_equals_the_real_answer(engine):
    engine.submit([ask(f"r{n}") for n in range(3)])
    before = engine.state.digest(), engine.log.head, engine.log.root(), engine.index.watermark()
    [dry] = engine.dry_run([ask("a")])
    bad = engine.dry_run([ask("bad", -1)])
    assert (engine.state.digest(), engine.log.head, engine.log.root(), engine.index.watermark()) == before
    assert bad[0].status == "rejected"
    assert engine.rejects()["rejected"] == 0
    [real] = engine.submit([ask("a")])
    assert (dry.status, dry.outcome, list(dry.reasons)) == (real.status, real.outcome, list(real.reasons))
    assert (dry.offset, dry.decision) == (-1, -1)


def test_late_is_answered_with_the_fallback(engine):
    [reply] = engine.submit([ask("a", deadline_ms=T0 - 1)])
    assert (reply.status, reply.outcome, list(reply.reasons)) == ("failed", "review", ["deadline_passed"])
    assert reply.decision == 2  # Recorded like any other.


def test_groups_prepared_ahead_are_committed_by_another_thread(engine):
    pending = [engine.prepare([ask(f"r{n}", 1_000 + n)]) for n in range(20)]
    replies = []
    thread = threading.Thread(target=lambda: replies.extend(engine.commit(one)[0] for one in pending))
    thread.start()
    thread.join()
    assert [one.id for one in replies] == [f"r{n}" for n in range(20)]
    assert engine.log.verify().ok


def test_a_commit_out_of_order_is_refused(engine):
    engine.prepare([ask("a")])
    two = engine.prepare([ask("b")])
    with pytest.raises(LogError, match="the log is not where the state is; was offset 1; allowed: 3"):
        engine.commit(two)
    assert engine.log.head == 1


class Full:
    """A store whose disk is full from now on."""

    def __init__(self, store):
        self._store = store

    def append(self, *arguments, **options):
        raise AppendFailed("the store did not confirm a durable write", found="database or disk is full")

    def __getattr__(self, name):
        return getattr(self._store, name)


def test_after_a_failed_append_nothing_is_answered_any_more(tmp_path):
    engine = opened(tmp_path)
    engine.submit([ask("a")])
    engine.log.store = Full(engine.log.store)
    with pytest.raises(AppendFailed, match="database or disk is full"):
        engine.submit([ask("b")])
    with pytest.raises(LogError):
        engine.submit([ask("c")])
    engine.close()
    engine = opened(tmp_path)
    replies = engine.submit([ask("a"), ask("b")])
    assert [one.status for one in replies] == ["repeated", "decided"]
    engine.close()


def test_two_writers_can_never_both_write(tmp_path):
    old = opened(tmp_path)
    old.submit([ask("a")])
    new = opened(tmp_path)
    with pytest.raises((EpochFenced, HeadMoved)):
        old.submit([ask("b")])
    assert new.submit([ask("b")])[0].status == "decided"
    with pytest.raises(LogError):
        old.submit([ask("c")])
    assert new.log.verify().ok
    new.close()


def test_what_was_answered_is_on_the_disk(tmp_path):
    """Read by a connection of its own while the engine is open: an answer was durable before it was given."""
    engine = opened(tmp_path)
    [reply] = engine.submit([ask("a")])
    other = sqlite3.connect(f"file:{tmp_path / 'data' / 'log.db'}?mode=ro", uri=True)
    table = other.execute("SELECT name FROM sqlite_master WHERE name LIKE 'batch%'").fetchone()[0]
    [(first, count)] = other.execute(f"SELECT first, count FROM {table} ORDER BY first DESC LIMIT 1").fetchall()
    assert first <= reply.offset < reply.decision < first + count
    other.close()
    engine.close()


def test_answers_kept_in_memory_are_bounded_and_those_before_are_read_from_the_log(engine, monkeypatch):
    monkeypatch.setattr("quanheng.writer.RECENT_MIN", 4)
    asked = [ask(f"r{number}", 10_000 + number, customer=f"c{number}") for number in range(25)]
    answers = []
    for request in asked:
        answers += engine.submit([request])
        assert len(engine.writer._recent) <= 8
    again = engine.submit(asked)
    assert [(one.status, one.offset, one.decision, one.outcome) for one in again] == [
        ("repeated", one.offset, one.decision, one.outcome) for one in answers
    ]
