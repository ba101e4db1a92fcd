"""Lists against their plain twin: a dictionary of values with their expiry, over random changes, verdicts and times."""

from __future__ import annotations

import random

import pytest

from quanheng.decisions import lists as fold
from quanheng.decisions.lists import NEVER, ListEvent, Lists, ListVerdict, Refusal

NAMES = {"deny": "text", "watch": "party.device"}


class Twin:
    """The law in the fewest lines."""

    def __init__(self) -> None:
        self.held: dict[tuple[str, bytes], int] = {}
        self.waiting: dict[int, ListEvent] = {}

    def apply(self, event: ListEvent) -> None:
        for key in fold.split_keys(event.keys):
            if event.change == "add":
                self.held[event.list, key] = event.until_ms
            else:
                self.held.pop((event.list, key), None)

    def holds(self, name: str, key: bytes, now_ms: int) -> bool:
        return now_ms < self.held.get((name, key), 0)


def key_of(number: int) -> bytes:
    return number.to_bytes(16, "little")


def a_change(rng: random.Random, offset: int, now_ms: int) -> ListEvent:
    name = rng.choice([*NAMES])
    keys = b"".join(key_of(number) for number in rng.sample(range(60), rng.randint(1, 12)))
    until_ms = NEVER if rng.random() < 0.3 else now_ms + rng.randint(1, 50)
    change = "add" if rng.random() < 0.7 else "remove"
    actor = rng.choice("ab")
    return ListEvent(name, NAMES[name], change, offset, keys, actor, "", until_ms, rng.random() < 0.3)


@pytest.mark.parametrize("seed", range(12))
def test_lists_hold_what_their_twin_holds(seed, monkeypatch):
    monkeypatch.setattr(fold, "SWEPT_MIN", rng_min := random.Random(seed).choice([4, 16, 1024]))
    rng = random.Random(seed)
    lists, twin, now_ms = Lists(), Twin(), 1_000
    for offset in range(400):
        now_ms += rng.randint(0, 6)
        if twin.waiting and rng.random() < 0.3:
            first = rng.choice([*twin.waiting])
            verdict = ListVerdict(first, rng.random() < 0.6, rng.choice("ab"), rng.choice(["", "so"]))
            event = twin.waiting[first]
            refusal = lists.may(verdict)
            if verdict.actor == event.actor:
                assert refusal is Refusal.AUTHOR_JUDGES_OWN
            elif not verdict.approved and not verdict.reason:
                assert refusal is Refusal.REASON_MISSING
            else:
                assert refusal is None
                lists.judge(verdict, now_ms)
                del twin.waiting[first]
                if verdict.approved:
                    twin.apply(event)
        else:
            event = a_change(rng, offset, now_ms)
            lists.apply(event, offset, now_ms)
            if event.waiting:
                twin.waiting[offset] = event
            else:
                twin.apply(event)
        if rng.random() < 0.1:
            again = Lists.restore(*lists.keep())
            assert again.digest() == lists.digest()
            lists = again
        for name in NAMES:
            entries = lists.get(name)
            held = [twin.holds(name, key_of(number), now_ms) for number in range(60)]
            assert [entries is not None and entries.holds(key_of(number), now_ms) for number in range(60)] == held
            assert (0 if entries is None else entries.size(now_ms)) == sum(held), f"seed={seed} offset={offset}"
            if entries is not None:
                assert len(entries.until) <= max(rng_min, 2 * entries.swept), "what has expired is swept"
    assert lists.may(ListVerdict(9_999, True, "a")) is Refusal.NOTHING_WAITS


def test_a_list_that_is_of_something_else_now_begins_empty():
    lists = Lists()
    lists.apply(ListEvent("p.a", "text", "add", 1, key_of(1), "ann"), 1, 0)
    lists.apply(ListEvent("p.a", "party.device", "add", 2, key_of(2), "ann"), 2, 0)
    entries = lists.get("p.a")
    assert entries is not None
    assert [entries.holds(key_of(number), 0) for number in (1, 2)] == [False, True]


def test_a_list_asked_for_what_it_was_never_told_is_empty():
    asked = Lists().at(0, {})({"a": ("p.a", "text")})
    assert asked("a", "anything") is False
