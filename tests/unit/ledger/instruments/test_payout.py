"""Conditional payouts: a row for each refusal in order of precedence, and what value does."""

from __future__ import annotations

import sys
from decimal import Decimal
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec.structs import replace

from quanheng.feel import NUMBER
from quanheng.kernel.errors import ConfigurationError, ExpressionError
from quanheng.ledger.instruments import payout as of
from quanheng.ledger.instruments.attestation import Attestation, Attester, attest
from quanheng.ledger.instruments.conditions import Fact
from quanheng.ledger.instruments.demo import payouts as demo
from quanheng.ledger.instruments.payout import Attest, Lock, Payouts, Terms, Waive
from quanheng.ledger.instruments.payout import PayoutRefusal as R

sys.path.insert(0, str(Path(__file__).parent))
from instrument_bench import CODE, DAY, LEDGERS, START_MS, Bench, new_ledger, party

FUNDER, FARMER = 1, 2
KEYS = {name: bytes([n + 1]) * 32 for n, name in enumerate(("north", "east", "south", "retired"))}
FIELDS = (("speed", NUMBER),)
TERMS = [
    Terms("storm", "event.speed >= 30", "locked * (event.speed - 30) / 20", FIELDS, "ROUND_DOWN"),
    Terms("all", 'event.kind = "shipped"'),
    Terms("twice", "count(events[speed >= 30]) >= 2", "100.5", FIELDS, "ROUND_HALF_UP"),
    Terms("null", "true", "event.speed", FIELDS),
]


def public(name):
    return Ed25519PrivateKey.from_private_bytes(KEYS[name]).public_key().public_bytes_raw()


ATTESTERS = [Attester(name, public(name), until_ms=START_MS - 1 if name == "retired" else 2**63 - 1) for name in KEYS]
STATIONS = ("north", "east", "south")
LOCK = Lock(
    1_000, FUNDER, party(FUNDER), party(FARMER), "storm", STATIONS, 2, START_MS, START_MS + 1_000, 1_000, CODE, 60_000
)


def wind(speed, after_ms=0):
    return Fact.of("wind", START_MS + after_ms, speed=speed)


def attested(id, name, fact, lock=1_000):
    return Attest(id, lock, attest(KEYS[name], name, fact))


def new_payouts():
    return Payouts(TERMS, ATTESTERS)


@pytest.fixture(params=LEDGERS)
def bench(request):
    return Bench(new_payouts(), request.param)


def test_a_quorum_pays_and_the_rest_goes_back_at_once(bench):
    bench.must(LOCK)
    bench.must(attested(2, "north", wind(35)))
    bench.must(attested(3, "east", wind(36)))
    assert (bench.has(FUNDER), bench.has(FARMER)) == (9_000, 10_000)
    bench.must(attested(4, "south", wind(Decimal("35.0"))))
    assert (bench.has(FUNDER), bench.has(FARMER)) == (9_750, 10_250)
    assert bench.instrument.locks[1_000].paid_minor == 250
    assert bench.refused(attested(5, "east", wind(35))) == R.LOCK_HAS_ENDED
    bench.check_replay(new_payouts())


TIERS = [("29", None), ("30", None), ("30.019", None), ("30.02", 1), ("49.99", 999), ("50", 1_000), ("99", 1_000)]


@pytest.mark.parametrize(("speed", "paid"), TIERS)
def test_tiers_round_down_and_end_at_what_is_locked(bench, speed, paid):
    bench.must(replace(LOCK, quorum=1))
    bench.must(attested(2, "north", wind(Decimal(speed))))
    assert bench.has(FARMER) - 10_000 == (paid or 0)
    assert (bench.instrument.locks[1_000].holding is None) == (paid is not None)


def test_facts_add_up(bench):
    bench.must(replace(LOCK, terms="twice", quorum=1))
    for id, (speed, after_ms) in enumerate([(31, 0), (12, 1), (33, 2)], start=2):
        assert bench.has(FARMER) == 10_000
        bench.must(attested(id, "north", wind(speed, after_ms)), after_ms=after_ms)
    assert bench.has(FARMER) == 10_101


def test_an_amount_that_is_null_pays_nothing(bench):
    bench.must(replace(LOCK, terms="null", quorum=1))
    bench.must(attested(2, "north", Fact.of("wind", START_MS, speed="fast")))
    assert bench.has(FUNDER) == 9_000


def test_without_an_event_the_value_goes_back_at_its_date(bench):
    bench.must(LOCK)
    bench.must(attested(2, "north", wind(45)), after_ms=59_999)
    assert bench.refused(attested(3, "east", wind(45)), after_ms=1) == R.LOCK_HAS_EXPIRED
    assert (bench.has(FUNDER), bench.has(FARMER)) == (10_000, 10_000)


def test_a_waiver_gives_all_back(bench):
    bench.must(LOCK)
    bench.must(Waive(2, FARMER, 1_000))
    assert bench.has(FUNDER) == 10_000
    assert bench.refused(Waive(3, FARMER, 1_000)) == R.LOCK_HAS_ENDED


def test_an_attestation_that_comes_twice_counts_once(bench):
    bench.must(LOCK)
    bench.must(attested(2, "north", wind(45)))
    before = bench.everything()
    bench.must(attested(2, "north", wind(45)), after_ms=3)
    assert bench.everything() == before
    assert bench.refused(attested(3, "north", wind(45))) == R.WAS_ATTESTED


def test_one_event_serves_many_locks(bench):
    for id in (1_000, 1_001):
        bench.must(replace(LOCK, id=id, terms="all", quorum=1))
        bench.must(attested(id + 10, "east", Fact.of("shipped", START_MS), id))
    assert bench.has(FARMER) == 12_000


FORGED = Attestation("north", wind(45), bytes(64))
ROWS = [
    (replace(LOCK, id=0, by=9), R.ID_IS_OUT_OF_RANGE),
    (Waive(1_000, 9, 7), R.ID_HAS_OTHER_CONTENT),
    (Waive(2, 9, 7), R.LOCK_NOT_FOUND),
    (attested(2, "north", wind(1), lock=7), R.LOCK_NOT_FOUND),
    (replace(LOCK, id=2, by=9, code=0), R.ACTOR_MAY_NOT),
    (Waive(2, FUNDER, 1_001), R.ACTOR_MAY_NOT),
    (replace(LOCK, id=2, code=0, amount_minor=0), R.CODE_IS_OUT_OF_RANGE),
    (replace(LOCK, id=2, amount_minor=0, timeout_ms=0), R.AMOUNT_IS_OUT_OF_RANGE),
    (replace(LOCK, id=2, timeout_ms=0, until_ms=START_MS), R.TIMEOUT_IS_OUT_OF_RANGE),
    (replace(LOCK, id=2, until_ms=START_MS, terms="x"), R.PERIOD_IS_EMPTY),
    (replace(LOCK, id=2, terms="x", attesters=("x",)), R.TERMS_NOT_DECLARED),
    (replace(LOCK, id=2, attesters=("x",), quorum=0), R.ATTESTER_NOT_DECLARED),
    (replace(LOCK, id=2, attesters=("north", "north")), R.ATTESTER_NOT_DECLARED),
    (replace(LOCK, id=2, quorum=0), R.QUORUM_IS_OUT_OF_RANGE),
    (replace(LOCK, id=2, quorum=4), R.QUORUM_IS_OUT_OF_RANGE),
    (attested(2, "retired", wind(1), lock=1_001), R.LOCK_HAS_ENDED),
    (Waive(2, FARMER, 1_001), R.LOCK_HAS_ENDED),
    (attested(2, "retired", wind(1), lock=1_002), R.LOCK_HAS_EXPIRED),
    (attested(2, "retired", wind(1)), R.ATTESTER_IS_NOT_NAMED),
    (attested(2, "retired", Fact("", 1), lock=1_003), R.KEY_IS_NOT_VALID),
    (attested(2, "north", Fact("wind", START_MS + 10**9)), R.FACT_IS_WRONG),
    (Attest(2, 1_000, Attestation("north", Fact("", 1), b"")), R.FACT_IS_WRONG),
    (Attest(2, 1_000, Attestation("north", Fact("wind", START_MS - 1), b"")), R.FACT_IS_OUTSIDE_PERIOD),
    (Attest(2, 1_000, replace(FORGED, fact=wind(45, 1_000))), R.FACT_IS_OUTSIDE_PERIOD),
    (Attest(2, 1_000, FORGED), R.SIGNATURE_IS_WRONG),
    (Attest(2, 1_000, replace(attest(KEYS["east"], "east", wind(45)), attester="north")), R.SIGNATURE_IS_WRONG),
    (attested(2, "north", wind(1), lock=1_004), R.WAS_ATTESTED),
    (attested(2, "north", wind(99), lock=1_004), R.FACTS_ARE_USED_UP),
]


@pytest.fixture(scope="module")
def crowded():
    """1000 stands, 1001 ended, 1002 expired, 1003 names a retired key, of 1004 one attester has told all it may."""
    bench = Bench(new_payouts())
    bench.must(replace(LOCK, id=1_001))
    bench.must(Waive(11, FARMER, 1_001))
    bench.must(replace(LOCK, id=1_002, timeout_ms=5))
    bench.must(LOCK, after_ms=5)
    bench.must(replace(LOCK, id=1_003, attesters=("retired",), quorum=1))
    bench.must(replace(LOCK, id=1_004))
    for number in range(of.FACTS_MAX):
        bench.must(attested(100 + number, "north", wind(1 + number), 1_004))
    bench.now_ms += 1_000
    return bench


@pytest.mark.parametrize(("action", "code"), ROWS, ids=[f"{code}-{n}" for n, (_, code) in enumerate(ROWS)])
def test_refusals(crowded, action, code):
    assert crowded.refused(action) == code


def test_one_attester_cannot_use_up_the_places_of_others(crowded):
    assert crowded.instrument.decide(attested(2, "east", wind(99), 1_004), crowded.now_ms).transfers == ()


def test_every_refusal_has_a_row_in_order_of_precedence_and_titles():
    assert list(dict.fromkeys(code for _, code in ROWS)) == list(R)
    assert all(one.en and one.zh and one == one.name for one in R)


def test_terms_that_are_wrong():
    with pytest.raises(ConfigurationError, match="the rounding is no mode of decimal"):
        Payouts([Terms("t", "true", rounding="UP")], [])
    with pytest.raises(ExpressionError, match="condition 't, amount': the condition has another type"):
        Payouts([Terms("t", "true", '"all"')], [])
    with pytest.raises(ExpressionError, match="two conditions have one name"):
        Payouts([Terms("t", "true"), Terms("t", "true")], [])


@pytest.mark.parametrize("kind", LEDGERS)
def test_a_day_of_payouts(kind):
    played = demo.play(new_ledger(kind), 7, START_MS, DAY)
    assert all(played.checked.values()), played
    assert played.refused > 0
    assert min(played.figures.values()) > 0
