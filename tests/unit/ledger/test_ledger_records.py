"""Facts of the ledger as records of the log, both ways; and which business day a moment belongs to."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from quanheng.kernel.errors import ConfigurationError, LogCorrupt
from quanheng.kernel.log import records as log_records
from quanheng.kernel.log.records import EVENT, NONE_16, TRANSFER, decode, encode_header
from quanheng.ledger.business_days import BusinessDays, date_of
from quanheng.ledger.entries import ALL, Account, AccountFlag, Amendment, Transfer, TransferFlag
from quanheng.ledger.ledger import Ledger
from quanheng.ledger.records import RECORD_BYTES, facts_of, facts_of_batch, records_of
from quanheng.ledger.wire import FactKind
from quanheng.testing.ledger_world import World

WIDE = 2**127 + 12345


def worked() -> Ledger:
    """A ledger with facts of every kind."""
    ledger = Ledger()
    ledger.open_accounts(
        [Account(WIDE, 978, 7, AccountFlag.DEBITS_BOUND, owner=2**100 + 1, entity=9, overdraft_minor=500,
                 payment_max_minor=400, day_max_minor=300, balance_max_minor=200, net_debit_cap_minor=100,
                 user_data=2**90 + 3), Account(2, 978, 1)],
        1_000, 3,
    )  # fmt: skip
    ledger.amend_accounts([Amendment(2, AccountFlag.CREDITS_BOUND, overdraft_minor=1)], 1_001, 3)
    ledger.amend_accounts([Amendment(2, 0)], 1_001, 3)
    ledger.transfer([Transfer(2**127 + 5, WIDE, 2, 30, code=11, user_data=2**77)], 1_002, 4)
    ledger.transfer([Transfer(6, WIDE, 2, 20, code=12, flags=TransferFlag.HOLD, timeout_ms=50)], 1_003, 4)
    ledger.transfer([Transfer(7, 99, 2, 20, code=12, flags=TransferFlag.BURN)], 1_060, 5)
    assert set((ledger.facts()["kind"]).tolist()) == set(map(int, FactKind))
    return ledger


def test_every_field_of_a_transfer_is_where_the_reference_says():
    body = records_of(worked().facts(), cause=77)
    lines = [one for one in (decode(body, int(at)) for at in log_records.positions(body)) if one.type == 1]
    one = lines[0]
    wide = [number.to_bytes(16, "little") for number in (2**127 + 5, WIDE, 2, 0, 2**77)]
    assert (one.kind, one.time_ms, one.received_ms, one.cause) == (TRANSFER, 1_002, 1_002, 77)
    assert (one.subject, one.digest, one.payload, one.flags) == (NONE_16, NONE_16, b"", 0)
    assert one.request == wide[0]
    assert one.keys == tuple(wide[1:])
    assert one.numbers == (30, 30, 0, 0 | 11 << 16 | 4 << 32)
    assert lines[1].numbers[2] == 50


def test_every_field_of_an_account_is_where_the_reference_says():
    one = decode(records_of(worked().facts()))
    assert (one.kind, one.type, one.request) == (TRANSFER, FactKind.OPENED, WIDE.to_bytes(16, "little"))
    assert one.keys == ((2**100 + 1).to_bytes(16, "little"), (2**90 + 3).to_bytes(16, "little"))
    assert one.numbers == (978 | 9 << 32, 500, 400, 300, 200, 100, 0, 2 | 7 << 16 | 3 << 32)


def test_an_expiry_has_no_id_and_names_its_hold():
    ledger = worked()
    facts = ledger.facts()
    [one] = [decode(records_of(facts[at : at + 1])) for at in range(len(facts)) if facts["kind"][at] == FactKind.EXPIRY]
    assert one.request == NONE_16
    assert one.keys[2] == (6).to_bytes(16, "little")
    assert one.numbers[2] == 1_053


def test_records_become_the_facts_they_were_alone_and_among_other_records():
    world, ledger = World(5), Ledger()
    for _ in range(300):
        world.tick()
        ledger.open_accounts(world.openings(), world.now_ms, world.day)
        batch = world.transfers(8)
        world.note(batch, ledger.transfer(batch, world.now_ms, world.day))
    facts = ledger.facts()
    assert len(facts) > 300
    body = records_of(facts)
    assert np.array_equal(facts_of_batch(body), facts)
    event = encode_header(EVENT, 16, 1, 2, -1, NONE_16, NONE_16, NONE_16, (), (5,), 3) + b"abc"
    half = len(facts) // 2 * RECORD_BYTES
    mixed = event + body[:half] + event + body[half:] + event
    assert facts_of_batch(mixed) is None
    columns = log_records.columns(mixed, 4, 8)
    positions = columns.position[columns.kind == TRANSFER]
    assert np.array_equal(facts_of(mixed, positions), facts)
    again = Ledger()
    again.apply(facts_of(mixed, positions))
    assert again.digest() == ledger.digest()


def test_nothing_becomes_nothing():
    assert records_of(Ledger().facts()) == b""
    assert len(facts_of(b"", np.empty(0, np.int64))) == 0
    assert facts_of_batch(b"") is None


@pytest.mark.parametrize("change", [(6, b"\x06"), (6, b"\x00"), (80, b"\x03"), (4, b"\x02")])
def test_a_record_that_is_no_fact_is_named(change):
    place, byte = change
    body = records_of(worked().facts())
    wrong = body[: RECORD_BYTES + place] + byte + body[RECORD_BYTES + place + 1 :]
    assert facts_of_batch(wrong) is None
    with pytest.raises(LogCorrupt, match=f"byte {RECORD_BYTES} .*: a record of kind transfer is no fact of the ledger"):
        facts_of(wrong, np.array([0, RECORD_BYTES]))


def test_a_cut_record_is_named():
    body = records_of(worked().facts())[: RECORD_BYTES + 100]
    with pytest.raises(LogCorrupt, match=r"is no fact of the ledger.*allowed: 184 bytes, a type code of 1 LINE"):
        facts_of(body, np.array([0, RECORD_BYTES]))


def test_all_survives_as_it_was_asked_for():
    ledger = worked()
    ledger.transfer([Transfer(8, 2, WIDE, ALL, code=1, flags=TransferFlag.BALANCING_DEBIT)], 2_000, 6)
    assert facts_of_batch(records_of(ledger.facts(ledger.facts_n - 1)))["asked_minor"].tolist() == [ALL]
    assert struct.unpack("<q", records_of(ledger.facts(ledger.facts_n - 1))[152:160]) == (ALL,)


NEW_YEAR_MS = 1_767_225_600_000  # 2026-01-01T00:00:00Z
HOUR_MS = 3_600_000


@pytest.mark.parametrize(
    ("zone", "hour", "hours_after", "date"),
    [
        ("UTC", 24, 0, "2026-01-01"),
        ("UTC", 24, -1, "2025-12-31"),
        ("Asia/Shanghai", 24, -8, "2026-01-01"),
        ("Asia/Shanghai", 24, -9, "2025-12-31"),
        ("Europe/Berlin", 17, 15, "2026-01-01"),
        ("Europe/Berlin", 17, 16, "2026-01-02"),
        ("America/New_York", 28, 8, "2025-12-31"),
        ("America/New_York", 28, 9, "2026-01-01"),
        ("Europe/Berlin", 24, 24 * 180 + 21, "2026-06-30"),  # Summer time: midnight is at 22:00 UTC.
        ("Europe/Berlin", 24, 24 * 180 + 22, "2026-07-01"),
    ],
)
def test_the_business_day_of_a_moment(zone, hour, hours_after, date):
    assert str(date_of(BusinessDays(zone, hour).day_of(NEW_YEAR_MS + hours_after * HOUR_MS))) == date


def test_days_are_counted_from_the_epoch():
    assert BusinessDays().day_of(0) == 0
    assert BusinessDays().day_of(-1) == -1
    assert repr(BusinessDays("Europe/Berlin", 17)) == "BusinessDays('Europe/Berlin', 17)"


def test_an_unknown_zone_and_an_impossible_hour_are_refused():
    with pytest.raises(ConfigurationError, match=r"ledger.time_zone: there is no such time zone; was 'Mars/Olympus'"):
        BusinessDays("Mars/Olympus")
    with pytest.raises(ConfigurationError, match=r"cannot be cut off at this hour.*was 0; allowed: 1 to 36"):
        BusinessDays("UTC", 0)
