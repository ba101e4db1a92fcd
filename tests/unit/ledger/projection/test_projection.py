"""The tables of the projection say what the ledger says, however the log is cut into portions."""

from __future__ import annotations

import itertools
import os
import random
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing

import numpy as np
import psycopg
import pytest
from psycopg import sql

from quanheng.kernel.errors import ConfigurationError, InputError
from quanheng.kernel.log.log import Log
from quanheng.kernel.log.records import EVENT, NO_CAUSE, NONE_16, encode_header
from quanheng.kernel.log.sqlite import SqliteLogStore
from quanheng.ledger.entries import AMOUNT_MAX, Account, Transfer, TransferFlag
from quanheng.ledger.ledger import Ledger
from quanheng.ledger.projection import tables as projection_tables
from quanheng.ledger.projection.postgres import PostgresTables
from quanheng.ledger.projection.tables import SqliteTables
from quanheng.ledger.records import records_of
from quanheng.ledger.wire import FactKind
from quanheng.projecting import open_tables, project
from quanheng.testing.ledger_simulation import Simulation

TOTALS = "debits_posted_minor, debits_held_minor, credits_posted_minor, credits_held_minor"


OTHER = encode_header(EVENT, 40, 1, 1, NO_CAUSE, NONE_16, NONE_16, NONE_16, [], [], 0)
"""A record that is none of the ledger's."""


def worked(seed: int, operations: int = 1_500) -> Ledger:
    """A ledger with all that can happen: chains, expiries, reversals, amendments, burnt ids, days that change."""
    simulation = Simulation(seed)
    simulation.run(operations)
    return simulation.core


def logged(ledger: Ledger, folder, seed: int = 0, cuts: int = 0) -> Log:
    """The facts of a ledger in a log, in batches of random sizes, other records among them."""
    log, rng = Log.open(SqliteLogStore(folder / "log.db"), "test"), random.Random(seed)
    facts, at = ledger.facts(), 0
    while at < len(facts):
        size = cuts or rng.choice((1, 2, 7, 60))
        other = [OTHER] if rng.random() < 0.3 else []
        log.append(other, 1, records_of(facts[at : at + size]))
        at += size
    return log


def hexadecimal(number: int) -> str | None:
    return f"{number:032x}" if number else None


def check(run, ledger: Ledger) -> None:
    """Everything in the tables equals what the ledger answers."""
    names = "owner, user_data, opened_ms, flags, overdraft_minor, payment_max_minor, day_max_minor, balance_max_minor"
    found = run(
        f"SELECT id, asset, code, entity, {names}, net_debit_cap_minor, lines FROM accounts ORDER BY log_offset"
    )
    expected = []
    for state in ledger.accounts():
        one = state.account
        limits = one.payment_max_minor, one.day_max_minor, one.balance_max_minor, one.net_debit_cap_minor
        expected.append((
            hexadecimal(one.id), one.asset, one.code, one.entity, hexadecimal(one.owner), hexadecimal(one.user_data),
            one.opened_ms, one.flags, one.overdraft_minor,
            *(None if most == -1 else most for most in limits), state.lines,
        ))  # fmt: skip
    assert [tuple(row) for row in found] == expected
    for id, *totals in run(f"SELECT id, {TOTALS} FROM accounts"):
        number = int(id, 16)
        assert tuple(map(int, totals)) == tuple(ledger.balance(number))
        check_days(run, ledger, id)
        standing = run(
            f"SELECT id FROM holds WHERE hold_state = 'held' AND '{id}' IN (debit_account, credit_account)"
            " ORDER BY log_offset DESC"
        )
        assert [int(one, 16) for (one,) in standing] == [line.id for line in ledger.holds(number).lines]
    check_lines(run, ledger)
    check_offsets(run, ledger)


def check_offsets(run, ledger: Ledger) -> None:
    """Each settled hold names the record that refers to it; each amended account a record after its opening."""
    settled = run(
        "SELECT h.id, s.reference, h.settled_offset > h.log_offset FROM holds h"
        " LEFT JOIN transfers s ON s.log_offset = h.settled_offset WHERE h.hold_state <> 'held'"
    )
    assert all(id == reference and later for id, reference, later in settled)
    facts = ledger.facts()
    amended = facts[facts["kind"] == FactKind.AMENDED]
    ids = {f"{high:016x}{low:016x}" for high, low in zip(amended["id_hi"], amended["id_lo"], strict=True)}
    found = run("SELECT id, amended_offset > log_offset FROM accounts WHERE amended_offset IS NOT NULL")
    assert {id: bool(later) for id, later in found} == dict.fromkeys(ids, True)


def check_days(run, ledger: Ledger, id: str) -> None:
    number = int(id, 16)
    days = {}
    for entry in ledger.lines(number, limit=10**6, newest_first=False):
        days[entry.line.day] = entry.line.applied_ms, tuple(entry.balance)
    rows = run(f"SELECT business_day, {TOTALS} FROM balances_daily WHERE account = '{id}' ORDER BY business_day")
    assert {day: tuple(map(int, totals)) for day, *totals in rows} == {day: kept for day, (_, kept) in days.items()}
    for (_, (time_ms, kept)), (_, (later_ms, _)) in itertools.pairwise(days.items()):
        if later_ms > time_ms:  # Else two days share a millisecond, and no time is between them.
            assert tuple(ledger.balance_at(number, time_ms)) == kept


def check_lines(run, ledger: Ledger) -> None:
    rows = run(
        "SELECT id, debit_account, credit_account, amount_minor, asked_minor, code, flags, reference, expires_ms,"
        " applied_ms, value_ms, business_day, user_data, hold_state, reversed_minor, is_expiry, is_hold, posts, voids,"
        " reverses FROM transfers ORDER BY log_offset"
    )
    expiries = iter(ledger.expiries())
    for id, *row in rows:
        line = ledger.transfer_of(int(id, 16)) if id else next(expiries)
        flags = TransferFlag.HOLD, TransferFlag.POST, TransferFlag.VOID, TransferFlag.REVERSAL
        assert tuple(row) == (
            hexadecimal(line.debit), hexadecimal(line.credit), line.amount_minor, line.asked_minor, line.code,
            line.flags, hexadecimal(line.reference), line.expires_ms or None, line.applied_ms, line.value_ms, line.day,
            hexadecimal(line.user_data), line.hold or None, line.reversed_minor, line.is_expiry,
            *(bool(line.flags & flag) for flag in flags),
        )  # fmt: skip
    assert next(expiries, None) is None
    burnt = [int(id, 16) for (id,) in run("SELECT id FROM burnt_ids")]
    assert all(ledger.is_burnt(id) for id in burnt)
    assert len(rows) + len(burnt) + int(np.isin(ledger.facts()["kind"], (4, 5)).sum()) == ledger.facts_n


def dump(run) -> dict[str, list]:
    return {
        name: sorted(map(tuple, run(f"SELECT * FROM {name}")), key=repr)
        for name in ("projection", "accounts", "transfers", "burnt_ids", "balances_daily")
    }


@pytest.fixture(scope="module")
def ledgers() -> list[Ledger]:
    return [worked(seed) for seed in (1, 2, 3)]


@pytest.mark.parametrize("portion_facts", [1, 17, 1_000_000])
def test_the_tables_equal_the_ledger(ledgers, tmp_path, portion_facts):
    for number, ledger in enumerate(ledgers):
        (folder := tmp_path / str(number)).mkdir()
        log = logged(ledger, folder, number)
        tables = open_tables(str(folder / "ledger.db"))
        portions = list(project(log, tables, portion_facts))
        assert portions[-1].upto == log.head
        assert sum(one.facts for one in portions) == ledger.facts_n
        check(tables.run, ledger)
        kinds = [line for (line,) in tables.run("SELECT DISTINCT hold_state FROM holds")]
        assert set(kinds) == {"held", "posted", "voided", "expired"}
        assert list(project(log, tables)) == []
        tables.close()


def test_in_pieces_as_it_grows_is_the_same_as_at_once(ledgers, tmp_path):
    ledger, folder = ledgers[0], tmp_path
    log = logged(ledger, folder)
    whole, pieces = SqliteTables(folder / "whole.db"), SqliteTables(folder / "pieces.db")
    whole.open()
    list(project(log, whole))
    while pieces.names() == set() or pieces.reached().upto < log.head:
        pieces.close()
        pieces = SqliteTables(folder / "pieces.db")
        pieces.open()
        next(project(log, pieces, 23))
    assert dump(pieces.run) == dump(whole.run)


KILLED = """
import os, signal, sys
from quanheng.kernel.log.log import Log
from quanheng.kernel.log.sqlite import SqliteLogStore
from quanheng.projecting import open_tables, project
tables, statements = open_tables(sys.argv[2]), 0
many = tables.many
def dying(statement, rows):
    global statements
    statements += 1
    if statements == int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)
    return many(statement, rows)
tables.many = dying
list(project(Log.reader(SqliteLogStore(sys.argv[1])), tables, 100))
"""


@pytest.mark.parametrize("statement", [1, 9, 16])
def test_killed_within_a_portion_it_goes_on_from_the_one_before(ledgers, tmp_path, statement):
    log = logged(ledgers[1], tmp_path)
    arguments = [str(tmp_path / "log.db"), str(tmp_path / "ledger.db"), str(statement)]
    done = subprocess.run([sys.executable, "-c", KILLED, *arguments], env=os.environ, check=False)
    assert done.returncode == -signal.SIGKILL
    with closing(open_tables(arguments[1])) as tables:
        reached = tables.reached()
        assert (reached.upto > 0) == (statement > 6)
        assert reached.digest == log.digest_at(reached.upto)
        [[newest]] = tables.run("SELECT coalesce(max(log_offset), -1) FROM transfers")
        assert newest < reached.upto or reached.upto == 0
        list(project(log, tables, 100))
        check(tables.run, ledgers[1])


def test_totals_beyond_64_bits_are_exact(tmp_path):
    ledger = Ledger()
    ledger.open_accounts([Account(1, 978, 1), Account(2, 978, 2)], 10, 20_000)
    for day in (20_000, 20_001, 20_002):  # More does not fit into one day.
        ledger.transfer([Transfer(day, 1, 2, AMOUNT_MAX, 5)], 10, day)
    log = logged(ledger, tmp_path)
    with closing(open_tables(str(tmp_path / "ledger.db"))) as tables:
        list(project(log, tables, 1))
        check(tables.run, ledger)
        [[kind, total]] = tables.run(
            "SELECT typeof(debits_posted_minor), debits_posted_minor FROM accounts WHERE lines AND code = 1"
        )
        assert (kind, total) == ("text", str(3 * AMOUNT_MAX))
        assert tables.run("SELECT business_date FROM balances_dated LIMIT 1") == [("2024-10-04",)]
        assert tables.run("SELECT applied_at FROM entries LIMIT 1") == [("1970-01-01T00:00:00.010Z",)]


def test_tables_of_another_log_are_refused_and_rebuilt(ledgers, tmp_path):
    logs = []
    for number in (0, 1):
        (tmp_path / str(number)).mkdir()
        logs.append(logged(ledgers[number], tmp_path / str(number)))
    file = str(tmp_path / "ledger.db")
    with closing(open_tables(file)) as tables:
        next(project(logs[0], tables, 100))
        with pytest.raises(InputError, match=r"made of another log than this one.*--rebuild"):
            next(project(logs[1], tables))
    with closing(open_tables(file, rebuild=True)) as tables:
        assert tables.reached().upto == 0
        list(project(logs[1], tables))
        check(tables.run, ledgers[1])


def test_what_cannot_be_projected_into_is_refused(ledgers, tmp_path):
    log = logged(ledgers[0], tmp_path)
    with pytest.raises(InputError, match=r"the database holds other tables; was batches.*of its own"):
        open_tables(str(tmp_path / "log.db"))
    with pytest.raises(ConfigurationError, match="the database of the tables refused; was unable to open"):
        open_tables(str(tmp_path / "no" / "folder.db"))
    file = str(tmp_path / "ledger.db")
    with closing(open_tables(file)) as tables:
        list(project(log, tables))
        tables.run("UPDATE projection SET schema_version = 99")
    with pytest.raises(InputError, match=r"the tables are of another version; was 99; allowed: 1. .*--rebuild"):
        open_tables(file)


def test_tables_of_somebody_else_are_never_dropped(tmp_path):
    file = str(tmp_path / "theirs.db")
    with closing(sqlite3.connect(file)) as theirs:
        theirs.execute("CREATE TABLE projection (one)")
        theirs.execute("CREATE TABLE accounts (id)")
        theirs.commit()
        with pytest.raises(InputError, match="other tables; was accounts, projection"):
            open_tables(file, rebuild=True)
        assert theirs.execute("SELECT count(*) FROM accounts").fetchone() == (0,)


def test_a_view_of_the_user_lives_through_a_rebuild_in_sqlite(ledgers, tmp_path):
    log = logged(ledgers[0], tmp_path)
    file = str(tmp_path / "ledger.db")
    with closing(open_tables(file)) as tables:
        tables.run("CREATE VIEW ours AS SELECT count(*) AS n FROM transfers")
        list(project(log, tables))
        [before] = tables.run("SELECT n FROM ours")
    with closing(open_tables(file, rebuild=True)) as tables:
        assert tables.run("SELECT n FROM ours") == [(0,)]
        list(project(log, tables))
        assert tables.run("SELECT n FROM ours") == [before]


def test_rows_deleted_by_hand_are_noticed_and_nothing_is_written(tmp_path):
    ledger = Ledger()
    ledger.open_accounts([Account(1, 978, 1), Account(2, 978, 2)], 10, 1)
    ledger.transfer([Transfer(100, 1, 2, 5, 5, TransferFlag.HOLD)], 10, 1)
    ledger.transfer([Transfer(101, flags=TransferFlag.POST, amount_minor=5, reference=100)], 11, 1)
    log = logged(ledger, tmp_path, cuts=1)
    with closing(open_tables(str(tmp_path / "ledger.db"))) as tables:
        list(itertools.islice(project(log, tables, 1), 3))
        before = tables.reached()
        tables.run("DELETE FROM transfers")
        with pytest.raises(
            InputError, match=r"do not hold what a fact of the log refers to; was no account or hold 0+64"
        ):
            list(project(log, tables, 1))
        assert tables.reached() == before


def test_two_that_project_do_not_write_twice(ledgers, tmp_path):
    log = logged(ledgers[0], tmp_path)
    file = str(tmp_path / "ledger.db")
    with closing(open_tables(file)) as one, closing(open_tables(file)) as other:
        slow = project(log, one, 100)
        next(slow)
        next(project(log, other, 100))
        with pytest.raises(InputError, match="another process projects into these tables"):
            next(slow)
        list(project(log, other))
        check(other.run, ledgers[0])


def test_readers_see_whole_portions_while_it_goes_on(ledgers, tmp_path):
    log = logged(ledgers[2], tmp_path)
    file = tmp_path / "ledger.db"
    with closing(open_tables(str(file))) as tables, closing(sqlite3.connect(file)) as reader:
        for one in project(log, tables, 50):
            assert reader.execute("SELECT projected_upto FROM projection").fetchone() == (one.upto,)
            [sums] = reader.execute(
                "SELECT count(*) FROM transfers WHERE log_offset >= (SELECT projected_upto FROM projection)"
            ).fetchall()
            assert sums == (0,)


def test_questions_are_cut(monkeypatch, ledgers, tmp_path):
    monkeypatch.setattr(projection_tables, "ASKED_AT_ONCE", 2)
    log = logged(ledgers[0], tmp_path)
    with closing(open_tables(str(tmp_path / "ledger.db"))) as tables:
        list(project(log, tables, 40))
        check(tables.run, ledgers[0])


@pytest.fixture
def schema(postgres_dsn):
    name = f"projection_test_{os.getpid()}"
    yield name
    with psycopg.connect(postgres_dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(name)))


def test_in_postgresql(postgres_dsn, schema, ledgers, tmp_path):
    log = logged(ledgers[0], tmp_path)
    tables = PostgresTables(postgres_dsn, schema)
    tables.open()
    next(project(log, tables, 70))
    tables.close()
    tables = PostgresTables(postgres_dsn, schema)
    tables.open()
    list(project(log, tables, 70))
    check(tables.run, ledgers[0])
    [[at, date]] = tables.run("SELECT applied_at, business_date FROM entries ORDER BY log_offset, side LIMIT 1")
    assert (at[:17], str(date)[:8]) == ("1970-01-01T00:00:", "1970-01-")
    tables.open(rebuild=True)
    assert tables.reached().upto == 0
    list(project(log, tables))
    check(tables.run, ledgers[0])
    tables.close()


@pytest.fixture
def database(postgres_dsn):
    """URL of a database of its own."""
    name, parts = f"projection_test_{os.getpid()}", psycopg.conninfo.conninfo_to_dict(postgres_dsn)
    with psycopg.connect(postgres_dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        secret = f":{parts['password']}" if parts.get("password") else ""
        yield f"postgresql://{parts['user']}{secret}@{parts['host']}:{parts.get('port', 5432)}/{name}"
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def test_a_url_is_postgresql_and_a_view_of_the_user_is_not_dropped(database, ledgers, tmp_path):
    log = logged(ledgers[2], tmp_path)
    with closing(open_tables(database)) as tables:
        list(project(log, tables))
        tables.run("CREATE VIEW ours AS SELECT id FROM transfers")
    with closing(open_tables(database)) as tables:
        check(tables.run, ledgers[2])
    with pytest.raises(ConfigurationError, match=r"other objects depend on it.*drop views of your own"):
        open_tables(database, rebuild=True)
    with closing(open_tables(database)) as tables:
        assert tables.reached().upto == log.head


def test_postgresql_that_is_not_there_is_refused():
    with pytest.raises(
        ConfigurationError, match="PostgreSQL schema quanheng_ledger: the database of the tables refused"
    ):
        open_tables("postgresql://127.0.0.1:9/none")
