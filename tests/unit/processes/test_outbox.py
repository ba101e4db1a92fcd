"""The fold of messages that wait: asked, ended, buried, asked again; kept and loaded."""

from __future__ import annotations

import numpy as np
import pytest

from quanheng.processes import outbox
from quanheng.processes.outbox import Counts, DeadLetter, Message, Outbox

CALL, NOTICE = 20, 21


def ids(*numbers: int) -> np.ndarray:
    return np.array([[number, 7] for number in numbers], np.uint64).reshape(len(numbers), 2)


def id_of(number: int) -> bytes:
    return ids(number).tobytes()


def ask(box: Outbox, *numbers: int, code: int = CALL) -> None:
    n = np.array(numbers, np.int64)
    box.ask(ids(*numbers), 50 + n, np.full(len(n), code), 1000 + n)


def end(box: Outbox, *numbers: int, dead: bool = False, reason: int = -1) -> None:
    n = np.array(numbers, np.int64)
    box.end(ids(*numbers), np.full(len(n), dead), np.full(len(n), reason), 200 + n)


def test_a_message_waits_from_its_asking_to_its_end():
    box = Outbox()
    ask(box, 1, 2, 3)
    assert (len(box), box.next_serial) == (3, 3)
    assert box.message(id_of(2)) == Message(id_of(2), 1, 52, 1002, CALL, 0)
    assert [one.serial for one in box.waiting()] == [0, 1, 2]
    end(box, 2)
    assert [one.serial for one in box.waiting()] == [0, 2]
    assert box.message(id_of(2)) is None
    assert not box.waits(id_of(2), 1)
    assert box.waits(id_of(3), 2)
    assert not box.waits(id_of(3), 1)
    assert box.counts == {CALL: Counts(3, 1, 0)}
    assert (box.dead_n, box.unexpected) == (0, 0)


def test_messages_are_read_from_a_serial_on_and_at_most_so_many():
    box = Outbox()
    ask(box, *range(50))
    end(box, *range(0, 50, 2))
    assert [one.serial for one in box.waiting(10, 3)] == [11, 13, 15]
    assert [one.serial for one in box.waiting(48)] == [49]
    assert box.waiting(50) == []
    end(box, *range(1, 49, 2))
    assert [one.serial for one in box.waiting(0, 1)] == [49]


def test_one_that_waits_is_not_asked_for_twice_and_one_that_does_not_is_not_ended():
    box = Outbox()
    ask(box, 1)
    ask(box, 1)
    end(box, 9)
    assert (len(box), box.unexpected, box.counts) == (1, 1, {CALL: Counts(1, 0, 0)})


def test_what_ended_badly_is_a_dead_letter_that_can_be_asked_again_under_its_id():
    box = Outbox()
    ask(box, 1, 2)
    ask(box, 3, code=NOTICE)
    end(box, 1, 3, dead=True, reason=4)
    assert box.letter(id_of(1)) == DeadLetter(id_of(1), 51, 1001, 201, CALL, 0, 4)
    assert [one.id for one in box.letters()] == [id_of(3), id_of(1)]
    assert [one.id for one in box.letters(1)] == [id_of(3)]
    assert [one.id for one in box.letters(code=CALL)] == [id_of(1)]
    assert box.ask_again(ids(1, 8), 5000) == 1
    again = box.message(id_of(1))
    assert again == Message(id_of(1), 3, 51, 5000, CALL, 1)
    assert (again.request_id, box.waiting()[0].request_id) == (f"{id_of(1).hex()}.1", id_of(2).hex())
    assert box.letter(id_of(1)) is None
    assert box.counts == {CALL: Counts(3, 1, 1), NOTICE: Counts(1, 1, 1)}
    end(box, 1)
    assert (len(box), box.dead_n, box.counts[CALL]) == (1, 1, Counts(3, 2, 1))


def test_the_newest_dead_letters_are_kept(monkeypatch):
    monkeypatch.setattr(outbox, "DEAD_KEPT_MAX", 2)
    box = Outbox()
    ask(box, 1, 2, 3)
    end(box, 1, 2, 3, dead=True)
    assert [one.id for one in box.letters()] == [id_of(3), id_of(2)]
    assert (box.dead_n, box.forgotten, box.counts[CALL].dead) == (2, 1, 3)
    assert box.ask_again(ids(1), 5000) == 0


@pytest.mark.parametrize("count", [0, 1, 3000])
def test_what_is_loaded_is_what_was_dumped_and_goes_on_alike(count):
    box = Outbox()
    ask(box, *range(count))
    end(box, *range(0, count, 3), dead=True, reason=2)
    end(box, *range(1, count, 3))
    end(box, 10**6)
    again = Outbox.load(box.dump())
    assert again.digest() == box.digest()
    for one in (box, again):
        one.ask_again(ids(0), 1)
        ask(one, *range(10_000, 10_000 + count))
        end(one, *range(10_000, 10_000 + count // 2))
    assert again.digest() == box.digest()
    assert again.waiting() == box.waiting()
    assert again.letters() == box.letters()
    assert (again.counts, again.unexpected, len(again)) == (box.counts, box.unexpected, len(box))


def test_the_digest_says_what_waits_and_what_is_dead():
    one, other = Outbox(), Outbox()
    ask(one, 1)
    ask(other, 1)
    assert one.digest() == other.digest()
    end(other, 1, dead=True)
    assert one.digest() != other.digest()


def test_room_is_used_again():
    box = Outbox()
    for number in range(20_000):
        ask(box, number)
        end(box, number)
    assert len(box._rows) == outbox.ROOM_MIN
