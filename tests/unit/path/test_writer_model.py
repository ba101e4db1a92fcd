"""The writer under a seeded workload, judged by a reference: each id once, the first content wins."""

from __future__ import annotations

import random
from collections import deque

import pytest
from shop import LIMIT_MINOR, T0, HandClock, ask, opened

from quanheng import recovery
from quanheng.follower import write_snapshot

AMOUNTS = (-1, 20_000, LIMIT_MINOR, LIMIT_MINOR + 1)


class Reference:
    """What each request must be answered, told when it is prepared."""

    def __init__(self) -> None:
        self.taken: dict[tuple[str, str], int] = {}

    def status(self, client: str, id: str, amount: int) -> str:
        if amount < 1:  # An id that was taken is looked up first, whatever the schema says of what came under it.
            return "conflict" if (client, id) in self.taken else "rejected"
        first = self.taken.setdefault((client, id), amount)
        if first != amount:
            return "conflict"
        return "repeated"

    def answer(self, client: str, id: str, amount: int) -> str:
        new = amount >= 1 and (client, id) not in self.taken
        status = self.status(client, id, amount)
        return "decided" if new else status


@pytest.mark.parametrize("seed", range(6))
def test_answers_are_those_of_the_reference(tmp_path, seed):
    rng, reference, clock = random.Random(seed), Reference(), HandClock()
    engine, waiting, decided = opened(tmp_path, clock), deque(), {}

    def commit() -> None:
        pending, sent, expected = waiting.popleft()
        replies = engine.commit(pending)
        assert [one.status for one in replies] == expected, f"seed={seed}"
        for (client, id, _), reply in zip(sent, replies, strict=True):
            if reply.status in ("decided", "repeated"):
                answer = reply.offset, reply.decision, reply.outcome, tuple(reply.reasons)
                assert decided.setdefault((client, id), answer) == answer, f"seed={seed} {client} {id}"

    for _ in range(80):
        clock.now_ms += rng.randint(-5, 50)
        sent = [(rng.choice("wb"), f"r{rng.randint(1, 40)}", rng.choice(AMOUNTS)) for _ in range(rng.randint(0, 6))]
        expected = [reference.answer(*one) for one in sent]
        pending = engine.prepare([ask(id, amount, client=client) for client, id, amount in sent])
        waiting.append((pending, sent, expected))
        while len(waiting) > rng.randint(0, 3):
            commit()
        if rng.random() < 0.05:
            while waiting:
                commit()
            if rng.random() < 0.5:
                write_snapshot(tmp_path / "data", check=True)
            engine.close()
            engine = opened(tmp_path, clock)
    while waiting:
        commit()
    assert len(decided) == len(reference.taken) == sum(engine.state.events.values())
    assert engine.state.digest() == recovery.rebuild(engine.log, engine.content, None).digest()
    assert engine.state.received_ms >= T0
    assert engine.log.verify().ok
    engine.close()
