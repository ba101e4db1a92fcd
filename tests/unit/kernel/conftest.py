"""Both log stores for every test that asks for `open_store`; each test has its own file or schema."""

from __future__ import annotations

import uuid

import psycopg
import pytest

from quanheng.kernel.log import records as rec
from quanheng.kernel.log.postgres import PostgresLogStore
from quanheng.kernel.log.sqlite import SqliteLogStore


@pytest.fixture(params=["sqlite", "postgres"])
def open_store(request, tmp_path):
    """A function that opens one and the same, at first empty, store."""
    if request.param == "sqlite":
        yield lambda: SqliteLogStore(tmp_path / "log.db")
        return
    dsn = request.getfixturevalue("postgres_dsn")
    schema = f"quanheng_test_{uuid.uuid4().hex[:12]}"
    yield lambda: PostgresLogStore(dsn, schema)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("SET client_min_messages = warning")
        connection.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE")


@pytest.fixture
def make_record():
    """A function number -> one whole record in clear."""

    def make(number: int, payload: bytes = b"payload", subject: bytes = rec.NONE_16) -> bytes:
        key = number.to_bytes(16, "little")
        return rec.encode_header(
            rec.EVENT, 7, number, 1_000, -1, subject, key, key, [key, rec.NONE_16], [number, rec.NULL], len(payload)
        ) + payload  # fmt: skip

    return make
