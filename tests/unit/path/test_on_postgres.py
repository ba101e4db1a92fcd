"""The engine over PostgreSQL: the same answers, the same state, the same fence."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import psycopg
import pytest
from shop import ask, opened
from test_engine import fill

from quanheng.follower import write_snapshot
from quanheng.kernel.errors import LogError
from quanheng.kernel.log.postgres import PostgresLogStore
from quanheng.replay import replay


@pytest.fixture
def schema(postgres_dsn) -> Iterator[str]:
    name = f"quanheng_test_{uuid.uuid4().hex[:12]}"
    yield name
    with psycopg.connect(postgres_dsn, autocommit=True) as connection:
        connection.execute(f'DROP SCHEMA IF EXISTS "{name}" CASCADE')


def test_a_restart_folds_the_same_and_repeats_are_found(tmp_path, postgres_dsn, schema):
    engine = opened(tmp_path, store=PostgresLogStore(postgres_dsn, schema))
    fill(engine, seed=31, groups=6)
    [first] = engine.submit([ask("a")])
    live = engine.state.digest()
    engine.close()
    followed = write_snapshot(tmp_path / "data", PostgresLogStore(postgres_dsn, schema), check=True)
    assert followed.digest == live
    engine = opened(tmp_path, store=PostgresLogStore(postgres_dsn, schema))
    assert engine.state.digest() == live
    [again] = engine.submit([ask("a")])
    assert (again.status, again.decision) == ("repeated", first.decision)
    assert replay(engine.reader, engine.snapshots, first.decision).same
    assert engine.log.verify().ok
    engine.close()


def test_the_same_requests_give_the_same_state_over_both_stores(tmp_path, postgres_dsn, schema):
    digests = []
    for name, store in (("sqlite", None), ("postgres", PostgresLogStore(postgres_dsn, schema))):
        engine = opened(tmp_path / name, keys=tmp_path / "keys", store=store)
        fill(engine, seed=32, groups=6)
        digests.append(engine.state.digest())
        engine.close()
    assert digests[0] == digests[1]


def test_a_writer_that_was_taken_over_never_writes(tmp_path, postgres_dsn, schema):
    old = opened(tmp_path, store=PostgresLogStore(postgres_dsn, schema))
    new = opened(tmp_path, store=PostgresLogStore(postgres_dsn, schema))
    with pytest.raises(LogError):
        old.submit([ask("a")])
    assert new.submit([ask("a")])[0].status == "decided"
    new.close()
