"""Facts and their causes found in any batch; the data of an event is that of its fact however the facts are cut."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from quanheng.kernel.log.records import DECISION, EVENT, NO_CAUSE, NONE_16, TRANSFER, decode, encode_header, positions
from quanheng.ledger.entries import Account
from quanheng.ledger.ledger import Ledger
from quanheng.ledger.posted import AMOUNT_TOLD_MAX, KINDS, TIME_TOLD_MAX_MS, PostedData, kind_of
from quanheng.ledger.records import facts_with_causes, records_of
from quanheng.ledger.wire import FactKind
from quanheng.testing.ledger_world import World
from quanheng.told import Told

_LEDGERS: dict[int, Ledger] = {}


def ledger_of(seed: int) -> Ledger:
    """A ledger that a seeded world has worked on; kept, for nothing here changes it."""
    if seed not in _LEDGERS:
        ledger, world = Ledger(), World(seed)
        for step in range(250):
            world.tick()
            if step % 6 == 0:
                ledger.open_accounts(world.openings(), world.now_ms, world.day)
            batch = world.transfers(12)
            world.note(batch, ledger.transfer(batch, world.now_ms, world.day))
        _LEDGERS[seed] = ledger
    return _LEDGERS[seed]


def other(kind: int, payload: bytes) -> bytes:
    """A record that is no fact."""
    header = encode_header(kind, 20, 1, 1, NO_CAUSE, NONE_16, NONE_16, NONE_16, (), (7,), len(payload), False)
    return header + payload


pieces = st.lists(
    st.one_of(
        st.tuples(st.just("facts"), st.integers(0, 40), st.integers(0, 9), st.sampled_from([NO_CAUSE, 0, 7, 2**40])),
        st.tuples(st.just("other"), st.sampled_from([EVENT, DECISION]), st.binary(max_size=40)),
    ),
    max_size=8,
)


@settings(max_examples=200, deadline=None)
@given(seed=st.integers(0, 3), made=pieces)
def test_facts_and_causes_of_a_batch_are_those_of_its_records(seed, made):
    facts, body = ledger_of(seed).facts(), b""
    for what, first, *more in made:
        if what == "facts":
            count, cause = more
            body += records_of(facts[first : first + count], cause)
        else:
            body += other(first, *more)
    found, places, causes = facts_with_causes(body)
    records = [decode(body, start) for start in positions(body).tolist()]
    plain = [(place, one) for place, one in enumerate(records) if one.kind == TRANSFER]
    assert places.tolist() == [place for place, _ in plain]
    assert causes.tolist() == [one.cause for _, one in plain]
    assert found["kind"].tolist() == [one.type for _, one in plain]
    assert records_of(found) == b"".join(
        records_of(facts_with_causes(body)[0][at : at + 1]) for at in range(len(found))
    )
    ids = [int.from_bytes(one.request, "little") for _, one in plain]
    assert [low | high << 64 for low, high in zip(found["id_lo"].tolist(), found["id_hi"].tolist(), strict=True)] == ids


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 3), cuts=st.lists(st.integers(0, 300), max_size=6))
def test_the_data_of_events_does_not_depend_on_how_facts_are_cut(seed, cuts):
    ledger = ledger_of(seed)
    facts = ledger.facts()
    rows = np.flatnonzero(facts["kind"] == FactKind.LINE)
    lines, offsets = facts[rows], 1_000 + 3 * rows
    whole = PostedData(ledger).data(lines, rows, offsets)
    assert len(whole) > 100
    ends = [0, *sorted(min(cut, len(rows)) for cut in cuts), len(rows)]
    telling, pieces = PostedData(ledger), []
    for first, last in pairwise(ends):
        pieces += telling.data(lines[first:last], rows[first:last], offsets[first:last])
    assert pieces == whole
    for data, row in zip(map(json.loads, whole), rows.tolist(), strict=True):
        line = ledger.transfer_of(int(data["transfer"], 16))
        assert (line.row, data["row"], data["offset"]) == (row, row, 1_000 + 3 * row)
        assert (int(data["debit"], 16), int(data["credit"], 16)) == (line.debit, line.credit)
        assert (data["amount_minor"], data["time_ms"], data["day"]) == (
            min(line.amount_minor, AMOUNT_TOLD_MAX),
            line.value_ms,
            line.day,
        )
        assert int(data.get("reference", "0"), 16) == line.reference
        assert data.get("expires_ms", 0) == (line.expires_ms if line.expires_ms <= TIME_TOLD_MAX_MS else 0)
        account: Account = ledger.account(line.credit).account
        assert (data["asset"], data["credit_code"], data["credit_entity"]) == (
            account.asset,
            account.code,
            account.entity,
        )
        assert int(data.get("credit_owner", "0"), 16) == account.owner


@given(flags=st.integers(0, 511))
def test_the_kind_is_that_of_the_first_flag_of_the_table(flags):
    words = [word for flag, word in KINDS if flags & flag]
    assert kind_of(flags) == (words[0] if words else "move")


def test_nothing_is_told_before_an_activation():
    assert Told() == Told(-1, -1, 0)
