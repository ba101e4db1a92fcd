"""Bad input through the real path: what each row of docs/reference/bad-input.md says, and that the rest goes on."""

from __future__ import annotations

import resource

import pytest
from shop import DAY_MS, LIMIT_MINOR, T0, ask, opened, shop

from quanheng import recovery
from quanheng.events.intake import DATA_BYTES_MAX, Request
from quanheng.kernel.errors import DeclarationError


def raw(id, **changes):
    """A request whose fields are JSON as it stands."""
    fields = {"time_ms": str(T0), "customer": '"anna"', "amount_minor": "20000", "currency": '"EUR"', **changes}
    return Request("web", id, "shop.request", ("{" + ",".join(f'"{k}":{v}' for k, v in fields.items()) + "}").encode())


REFUSED = [
    ("a day and more ahead", {"time_ms": str(T0 + DAY_MS + 1)}, "the event is placed too far in the future"),
    ("the far future", {"time_ms": str(2**60)}, "time_ms"),
    ("before the year 1", {"time_ms": str(-(2**60))}, "time_ms"),
    ("not a number", {"amount_minor": "NaN"}, "JSON"),
    ("an infinity", {"amount_minor": "1e999"}, "amount_minor"),
    ("minus infinity", {"amount_minor": "-Infinity"}, "JSON"),
    ("a negative amount", {"amount_minor": "-1"}, "amount_minor"),
    ("a huge amount", {"amount_minor": str(2**64)}, "amount_minor"),
    ("a fraction of a minor unit", {"amount_minor": "1.5"}, "amount_minor"),
    ("a key of 10 kB", {"customer": '"' + "k" * 10_000 + '"'}, "customer"),
    ("an empty key", {"customer": '""'}, "customer"),
    ("a key that is a number", {"customer": "17"}, "customer"),
    ("a field that nobody declared", {"shoe_size": "44"}, "shoe_size"),
    ("a text of another pattern", {"currency": '"eur"'}, "currency"),
    ("more than 64 kB", {"customer": '"' + "k" * DATA_BYTES_MAX + '"'}, "the event's data is too large"),
]


@pytest.mark.parametrize(("said", "changes", "error"), REFUSED, ids=[row[0] for row in REFUSED])
def test_what_is_refused_is_recorded_and_the_rest_goes_on(tmp_path, said, changes, error):
    engine = opened(tmp_path)
    replies = engine.submit([ask("before"), raw("bad", **changes), ask("after")])
    assert [reply.status for reply in replies] == ["decided", "rejected", "decided"], said
    assert error in replies[1].error
    assert len(replies[1].error) < 600
    assert engine.state.rejected == 1
    assert engine.state.events[engine.state.program.types["shop.request"].code] == 2
    assert engine.state.digest() == recovery.rebuild(engine.log, engine.content, None).digest()
    engine.close()


def test_before_1970_and_clock_skew_within_a_day_are_taken(tmp_path):
    engine = opened(tmp_path)
    old = engine.submit([ask("old", customer="old", at=-DAY_MS), ask("older", customer="old", at=-DAY_MS + 5)])
    ahead = engine.submit([ask("ahead", customer="ben", at=T0 + DAY_MS), ask("now", customer="ben", at=T0)])
    assert {reply.status for reply in [*old, *ahead]} == {"decided"}
    assert known(engine, old[1], "customer_count_1d") == 2
    assert known(engine, ahead[1], "customer_count_1d") == 1  # A clock that is ahead by a day makes nobody late.
    engine.close()


def known(engine, reply, feature):
    """The value of a feature that a decision was made with."""
    return engine.reader.decision(reply.decision)["features"][f"shop.{feature}"]


def test_reordered_and_late_delivery(tmp_path):
    """In whatever order events arrive, later vectors hold the same; beyond the lateness an event is counted."""
    counts = []
    for order in ((0, 1, 2), (2, 0, 1), (1, 2, 0)):
        engine = opened(tmp_path / str(order))
        engine.submit([ask(f"r{number}", at=T0 - number * 3_600_000) for number in order])
        [last] = engine.submit([ask("last", at=T0 + 1)])
        counts.append(known(engine, last, "customer_count_1d"))
        late = engine.submit([ask("too late", at=T0 - 400 * DAY_MS), ask("next", at=T0 + 2)])
        assert [reply.status for reply in late] == ["decided", "decided"]
        assert known(engine, late[0], "customer_count_1d") is None
        assert known(engine, late[1], "customer_count_1d") == 5
        assert engine.state.features.late["shop.customer_count_1d"] == 1
        engine.close()
    assert counts == [4, 4, 4]


def test_duplicate_delivery_is_folded_once(tmp_path):
    engine = opened(tmp_path)
    first = engine.submit([ask("once"), ask("once")])
    again = engine.submit([ask("once"), ask("once", LIMIT_MINOR)])
    assert [reply.status for reply in [*first, *again]] == ["decided", "repeated", "repeated", "conflict"]
    [last] = engine.submit([ask("other")])
    assert known(engine, last, "customer_count_1d") == 2
    engine.close()


def test_a_window_longer_than_history_holds_all_of_it(tmp_path):
    engine = opened(tmp_path)
    engine.activate([shop(("features.toml", 'window  = "30d"', 'window  = "3660d"'))])
    engine.submit([ask("a", 10_000), ask("b", 30_000)])
    [last] = engine.submit([ask("c")])
    assert known(engine, last, "customer_mean_30d_before") == 20_000
    engine.close()


def test_a_change_of_the_schema_in_the_stream(tmp_path):
    """Fields may be appended: old events read as null there. Whatever would read old events otherwise is refused."""
    engine = opened(tmp_path)
    engine.submit([ask("a"), ask("b")])
    renamed = ("events.toml", "amount_minor = ", "price_minor = ")
    with pytest.raises(DeclarationError):
        engine.activate([shop(renamed)])
    replies = engine.submit([ask("c"), raw("d", price_minor="5")])
    assert [reply.status for reply in replies] == ["decided", "rejected"]
    assert known(engine, replies[0], "customer_count_1d") == 3
    engine.close()


def test_a_flood_of_new_keys_within_a_bound(tmp_path):
    """Memory stays within the bound, measured at the arena and at the process; nothing is lost."""
    bound = 4 << 20
    engine = opened(tmp_path, memory_bytes_max=bound)
    warm = [ask(f"w{number}", customer=f"w{number}") for number in range(500)]
    engine.submit(warm)
    used, resident = 0, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for group in range(60):
        engine.submit([ask(f"{group}.{one}", customer=f"{group}.{one}") for one in range(500)])
        used = max(used, engine.state.features.used_bytes)
    assert used <= bound
    features = engine.state.features
    assert sum(features.keys.values()) >= 30_500
    assert features.cold_keys > 20_000
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - resident) * 1024
    assert grown < 200 << 20, f"{grown >> 20} MB"
    [reply] = engine.submit([ask("again", customer="0.7")])
    assert known(engine, reply, "customer_count_1d") == 2
    engine.close()
