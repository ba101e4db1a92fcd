"""The outbox against a plain reading of the same records: lists and dicts, nothing clever."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from quanheng.processes.outbox import Outbox


class Plain:
    """The law in the fewest lines."""

    def __init__(self) -> None:
        self.waiting: dict[int, tuple[int, int]] = {}
        self.dead: dict[int, tuple[int, int]] = {}
        self.serial = self.unexpected = 0

    def add(self, number: int, again: int) -> None:
        self.waiting[number] = self.serial, again
        self.serial += 1

    def step(self, what: str, number: int, reason: int) -> None:
        if what == "ask" and number not in self.waiting:
            self.add(number, 0)
        elif what in ("end", "die"):
            found = self.waiting.pop(number, None)
            if found is None:
                self.unexpected += 1
            elif what == "die":
                self.dead.pop(number, None)
                self.dead[number] = reason, found[1]
        elif what == "again" and number in self.dead and number not in self.waiting:
            self.add(number, self.dead.pop(number)[1] + 1)


STEPS = st.lists(
    st.tuples(st.sampled_from(["ask", "ask", "end", "die", "again", "load"]), st.integers(0, 3), st.integers(-1, 9)),
    max_size=60,
)


@settings(deadline=None)
@given(STEPS)
def test_the_fold_is_the_plain_reading(steps):
    box, plain = Outbox(), Plain()
    for at, (what, number, reason) in enumerate(steps):
        ids, times = np.array([[number, 1]], np.uint64), np.array([at])
        if what == "ask":
            box.ask(ids, times, np.array([3]), times)
        elif what in ("end", "die"):
            box.end(ids, np.array([what == "die"]), np.array([reason]), times)
        elif what == "again":
            box.ask_again(ids, at)
        else:
            box = Outbox.load(box.dump())
        plain.step(what, number, reason)
        waiting = {int.from_bytes(one.id[:8], "little"): (one.serial, one.again) for one in box.waiting()}
        assert waiting == plain.waiting
        assert len(box) == len(plain.waiting)
        dead = {int.from_bytes(one.id[:8], "little"): (one.reason, one.again) for one in reversed(box.letters())}
        assert list(dead.items()) == list(plain.dead.items())
        assert box.unexpected == plain.unexpected
