"""Conformance kit for log stores: a new store calls `checks` and runs what it yields.

    @pytest.mark.parametrize("check", log_store.CHECKS, ids=lambda check: check.__name__)
    def test_my_store(check, tmp_path):
        check(lambda: MyStore(tmp_path / "log"))

Each check gets a function that opens the same, at first empty, store; calling it twice gives two independent handles,
as two processes would hold.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from hashlib import sha256

from quanheng.kernel.errors import AppendFailed, EpochFenced, HeadMoved, LogError
from quanheng.kernel.log.store import GENESIS_DIGEST, BatchRow, LogStore

Opener = Callable[[], LogStore]
WRITERS = 4


def row_at(first: int, count: int, epoch: int, body: bytes = b"body") -> BatchRow:
    """A batch row with plausible content; stores do not look into it."""
    return BatchRow(
        first, count, epoch, 1_000 + first, b"p" * 32, b"r" * 32, sha256(body + b"%d" % first).digest(), body
    )


def an_empty_store_has_no_records(open_store: Opener) -> None:
    store = open_store()
    assert store.head() == 0
    assert store.tip().digest == GENESIS_DIGEST
    assert list(store.read(0)) == []
    store.close()


def what_was_appended_is_read_back_by_all(open_store: Opener) -> None:
    store, other = open_store(), open_store()
    epoch = store.acquire("one")
    rows = [row_at(0, 3, epoch, b"\x00\xffbinary"), row_at(3, 1, epoch, random.Random(7).randbytes(3_000_000))]
    assert store.append(rows[0], 0, epoch) == 3
    assert store.append(rows[1], 3, epoch) == 4
    for handle in (store, other):
        assert list(handle.read(0)) == rows
        assert handle.tip() == (4, epoch, rows[1].digest)
        handle.close()
    again = open_store()
    assert list(again.read(0)) == rows
    again.close()


def reading_gives_the_batches_that_hold_the_offsets(open_store: Opener) -> None:
    store = open_store()
    epoch = store.acquire("one")
    rows = [row_at(3 * i, 3, epoch, b"b%d" % i) for i in range(50)]
    for row in rows:
        store.append(row, row.first, epoch)
    assert list(store.read(7)) == rows[2:]
    assert list(store.read(7, 8)) == rows[2:3]
    assert list(store.read(8, 10)) == rows[2:4]
    assert list(store.read(9, 9)) == []
    assert list(store.read(150)) == []
    assert list(store.read(4, 140, bodies=False)) == [row._replace(body=b"") for row in rows[1:47]]
    store.close()


def an_append_at_another_head_is_refused(open_store: Opener) -> None:
    store = open_store()
    epoch = store.acquire("one")
    store.append(row_at(0, 3, epoch), 0, epoch)
    for first, expected in ((0, 0), (4, 4), (2, 3), (5, 3), (3, 2)):
        error = _refused(HeadMoved, store, row_at(first, 1, epoch), expected, epoch)
        assert "does not end where this batch begins" in str(error)
        assert store.tip().head == 3
    assert [row.first for row in store.read(0)] == [0]
    store.append(row_at(3, 1, epoch), 3, epoch)
    store.close()


def a_writer_that_was_taken_over_is_refused(open_store: Opener) -> None:
    old, new = open_store(), open_store()
    old_epoch = old.acquire("old")
    old.append(row_at(0, 1, old_epoch), 0, old_epoch)
    new_epoch = new.acquire("new")
    assert new_epoch > old_epoch
    error = _refused(EpochFenced, old, row_at(1, 1, old_epoch), 1, old_epoch)
    assert "a newer writer has taken over" in str(error)
    assert new.append(row_at(1, 1, new_epoch), 1, new_epoch) == 2
    _refused(EpochFenced, old, row_at(2, 1, old_epoch), 2, old_epoch)
    assert new.head() == 2
    old.close()
    new.close()


def an_epoch_that_was_never_given_is_refused(open_store: Opener) -> None:
    store = open_store()
    epoch = store.acquire("one")
    _refused(EpochFenced, store, row_at(0, 1, epoch + 1), 0, epoch + 1)
    assert store.head() == 0
    store.close()


def writers_that_share_an_epoch_never_both_write_one_offset(open_store: Opener) -> None:
    """Even a stolen epoch does not help: the head decides, and each offset is written once."""
    first = open_store()
    epoch = first.acquire("shared")
    written: list[int] = []

    def write(number: int) -> None:
        store = open_store()
        for _ in range(25):
            head = store.head()
            try:
                store.append(row_at(head, 1, epoch, b"writer %d" % number), head, epoch)
                written.append(head)
            except HeadMoved:
                continue
        store.close()

    _at_once(write)
    assert sorted(written) == list(range(first.head()))
    assert [row.first for row in first.read(0)] == sorted(written)
    first.close()


def writers_that_take_over_from_each_other_leave_one_history(open_store: Opener) -> None:
    acknowledged: dict[int, bytes] = {}
    stores = [open_store() for _ in range(WRITERS)]  # Opened in peace: who may write is tried, not who may open.

    def write(number: int) -> None:
        store = stores[number]
        for turn in range(5):
            epoch = store.acquire(f"writer {number}")
            head = store.head()
            try:
                for step in range(5):
                    body = b"%d %d %d" % (number, turn, step)
                    store.append(row_at(head, 2, epoch, body), head, epoch)
                    assert head not in acknowledged
                    acknowledged[head] = body
                    head += 2
            except (EpochFenced, HeadMoved):
                continue
        store.close()

    _at_once(write)
    store = open_store()
    rows = list(store.read(0))
    assert {row.first: row.body for row in rows} == acknowledged
    assert [row.first for row in rows] == list(range(0, store.head(), 2))
    assert [row.epoch for row in rows] == sorted(row.epoch for row in rows)
    store.close()


def a_reader_beside_a_writer_sees_whole_batches_in_order(open_store: Opener) -> None:
    writer, reader = open_store(), open_store()
    epoch = writer.acquire("one")
    seen: list[int] = []
    done = threading.Event()
    problems: list[BaseException] = []

    def read() -> None:
        try:
            while not done.is_set():
                rows = list(reader.read(0))
                assert [row.first for row in rows] == list(range(len(rows)))
                assert len(rows) >= (seen[-1] if seen else 0)
                seen.append(len(rows))
        except BaseException as error:  # Boundary: the thread's problem is raised by the check.
            problems.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    for first in range(60):
        writer.append(row_at(first, 1, epoch, bytes(20_000)), first, epoch)
    done.set()
    thread.join()
    assert not problems, problems
    assert reader.head() == 60
    writer.close()
    reader.close()


def a_closed_store_refuses_to_append(open_store: Opener) -> None:
    store = open_store()
    epoch = store.acquire("one")
    store.close()
    _refused(AppendFailed, store, row_at(0, 1, epoch), 0, epoch)
    again = open_store()
    assert again.head() == 0
    assert again.acquire("two") > epoch
    again.close()


CHECKS: tuple[Callable[[Opener], None], ...] = (
    an_empty_store_has_no_records,
    what_was_appended_is_read_back_by_all,
    reading_gives_the_batches_that_hold_the_offsets,
    an_append_at_another_head_is_refused,
    a_writer_that_was_taken_over_is_refused,
    an_epoch_that_was_never_given_is_refused,
    writers_that_share_an_epoch_never_both_write_one_offset,
    writers_that_take_over_from_each_other_leave_one_history,
    a_reader_beside_a_writer_sees_whole_batches_in_order,
    a_closed_store_refuses_to_append,
)
"""Every check a log store must pass; each takes a function that opens the store."""


def _refused(kind: type[LogError], store: LogStore, row: BatchRow, expected_head: int, epoch: int) -> LogError:
    try:
        store.append(row, expected_head, epoch)
    except kind as error:
        return error
    raise AssertionError(f"an append that must be refused with {kind.__name__} was accepted")


def _at_once(write: Callable[[int], None]) -> None:
    problems: list[BaseException] = []

    def guarded(number: int) -> None:
        try:
            write(number)
        except BaseException as error:  # Boundary: the thread's problem is raised by the check.
            problems.append(error)

    threads = [threading.Thread(target=guarded, args=(number,)) for number in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if problems:
        raise problems[0]
