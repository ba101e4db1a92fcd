"""Pending timers: order, serials that are never used again, room, digests, and what is refused."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from quanheng.kernel.errors import InputError
from quanheng.processes.timers import Armed, Due, Timers


def armed(*dues):
    timers = Timers()
    for owner, due_ms in enumerate(dues):
        timers.arm(owner, 0, 7, due_ms)
    return timers


def test_order_is_due_and_then_arming():
    timers = armed(30, 10, 20, 10)
    assert [(one.due_ms, one.serial) for one in timers.due(99, 9)] == [(10, 2), (10, 4), (20, 3), (30, 1)]
    assert timers.due(10, 1) == [Due(2, 1, 0, 7, 10)]
    assert timers.due(9, 9) == timers.due(99, 0) == []
    assert (timers.count, timers.next_due_ms) == (4, 10)


def test_a_serial_is_never_used_again():
    timers = armed(10, 20)
    assert timers.fire(2)
    assert not timers.fire(2)
    assert timers.arm(5, 0, 7, 1) == 3
    assert timers.cancel(5, 0) == 1
    again = Timers()
    again.load(timers.dump())
    assert again.arm(5, 0, 7, 1) == timers.arm(5, 0, 7, 1) == 4


def test_cancelling_is_of_a_part():
    timers = Timers()
    for part in (0, 1, 1):
        timers.arm(8, part, 7, 5)
    assert timers.cancel(8, 2) == timers.cancel(9, 0) == 0
    assert timers.cancel(8, 1) == 2
    assert timers.of(8) == [Armed(1, 0, 7, 5)]
    assert timers.of(9) == []


def test_nothing_pending():
    timers = Timers()
    assert (timers.count, timers.next_due_ms, timers.due(2**62, 5)) == (0, None, [])
    assert not timers.is_armed(1)
    assert timers.arm_many([], [], [], []) == 1
    assert timers.digest() == Timers().digest()


def test_nothing_is_compiled_where_none_was_armed():
    """An engine without processes does not wait for it."""
    code = (
        "from quanheng.processes.kernel import pending; from quanheng.processes.timers import Timers; one = Timers();"
        "one.load(one.dump()); one.digest(); one.due(5, 5); one.cancel(1, 0);"
        "print(sum(len(f.signatures) for f in vars(pending).values() if hasattr(f, 'signatures')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "0\n"


def test_many_at_once_equal_one_after_another():
    rng = np.random.default_rng(3)
    columns = [rng.integers(0, most, 5_000) for most in (900, 4, 50, 10**12)]
    one, other = Timers(), Timers()
    assert one.arm_many(*columns) == 1
    for row in zip(*(column.tolist() for column in columns), strict=True):
        other.arm(*row)
    assert one.digest() == other.digest()
    assert one.due(10**12, 5_000) == other.due(10**12, 5_000)


def test_the_digest_tells_content_apart():
    digests = {armed(*dues).digest() for dues in ((), (1,), (2,), (1, 1), (1, 2), (2, 1))}
    fired = armed(1)
    fired.fire(1)
    digests.add(fired.digest())  # Nothing is pending, and the next serial is another.
    assert len(digests) == 7


def test_memory_of_many():
    timers, count = Timers(), 200_000
    timers.arm_many(np.arange(count), np.zeros(count), np.ones(count), np.arange(count))
    assert timers.nbytes < 100 * count


@pytest.mark.parametrize(
    ("part", "timer", "found"), [(-1, 0, -1), (0, -5, -5), (2**31, 0, 2**31), (1, 2**40, 2**40)],
)  # fmt: skip
def test_a_part_or_timer_out_of_range(part, timer, found):
    says = f"timers: the number of a part or a timer is out of range; was {found}; allowed: 0 to 2147483647"
    for arm in (lambda one: one.arm(1, part, timer, 5), lambda one: one.arm_many([1], [part], [timer], [5])):
        timers = Timers()
        with pytest.raises(InputError, match=says):
            arm(timers)
        assert timers.digest() == Timers().digest()


def test_columns_of_different_lengths():
    says = r"columns of timers have different lengths; was \(1,\), \(2,\), \(1,\), \(1,\); allowed: arrays of one dim"
    with pytest.raises(InputError, match=says):
        Timers().arm_many([1], [1, 2], [1], [1])


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"serial": [1, 1]}, "2 of 2, next 3"),
        ({"serial": [0, 1]}, "2 of 2, next 3"),
        ({"next_serial": [2]}, "2 of 2, next 2"),
        ({"serial": [1]}, "1 of 2, next 3"),
    ],
)
def test_serials_out_of_order(change, found):
    with pytest.raises(InputError, match=f"serial: the serials of timers are out of order; was {found}; allowed: one"):
        Timers().load({**armed(5, 6).dump(), **change})
