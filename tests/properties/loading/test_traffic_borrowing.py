"""People who borrow: the same seed gives the same events, what is told follows from hidden traits, and hides them."""

from __future__ import annotations

import hashlib
import json
from decimal import Decimal
from itertools import islice

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quanheng.events.schema import EventType
from quanheng.loading import Declared, check_pack, read_packs
from quanheng.loading.traffic import traffic_of
from quanheng.loading.traffic.borrowing.declaration import BorrowingDeclaration, Drive, Measure
from quanheng.loading.traffic.borrowing.people import SIGMA, applicants, grown, people_of
from quanheng.loading.traffic.borrowing.run import BorrowingTraffic, measured
from quanheng.models.validation.delong import delong

DIGEST = "89c596b6fe486f2e09797a189f6a6848ea6d213a7d16c58fd715ef022a9029a6"


@pytest.fixture(scope="module")
def lending() -> Declared:
    packs = read_packs()
    return check_pack(packs["lending"], packs)[0]


@pytest.fixture(scope="module")
def declared(lending: Declared) -> BorrowingDeclaration:
    assert isinstance(lending.traffic, BorrowingDeclaration)
    return msgspec.structs.replace(lending.traffic, per_month=60)


@pytest.fixture(scope="module")
def crowd(declared: BorrowingDeclaration):
    many = msgspec.structs.replace(declared, per_month=20_000)
    return people_of(many, 5, 2), people_of(many, 5, 2, signal=0)


def digest(traffic: BorrowingTraffic, n: int) -> str:
    lines = (json.dumps(list(event), sort_keys=True) for event in traffic.events(n))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def test_the_same_seed_gives_the_same_bytes_of_borrowers_on_every_machine(declared):
    assert digest(BorrowingTraffic(declared, 7), 3_000) == DIGEST


def test_another_seed_gives_other_people(declared):
    assert digest(BorrowingTraffic(declared, 1), 300) != digest(BorrowingTraffic(declared, 2), 300)


@given(st.integers(1, 6_000), st.integers(0, 3_000))
@settings(max_examples=5, deadline=None)
def test_the_first_events_of_a_longer_run_are_those_of_a_shorter(declared, n, more):
    traffic = BorrowingTraffic(declared, 3)
    short, long = list(traffic.events(n)), list(traffic.events(n + more))
    assert len(short) == n
    assert long[:n] == short


def test_every_event_fits_its_schema_and_arrives_in_order_after_it_happened(lending, declared):
    types = {event.name: EventType(event, 0) for event in lending.events}
    events = list(islice(traffic_of(declared, 4).events(5_000), 5_000))
    for one in events:
        row = types[one.type].read(msgspec.json.encode(one.data))
        assert row.time_ms <= one.arrive_ms
    assert [one.arrive_ms for one in events] == sorted(one.arrive_ms for one in events)
    assert len({one.id for one in events}) == len(events)


def test_no_hidden_value_and_no_label_is_in_an_event_before_the_outcome_is_told(lending, declared):
    frame = BorrowingTraffic(declared, 4).months(2)
    fields = {name for event in lending.events for name in event.fields}
    assert set(frame.columns) <= fields | {"id", "type", "arrive_ms", "attack", "fault"}
    before = frame.filter(pl.col("type") != declared.outcome.type)
    assert before[declared.outcome.bad].is_null().all()
    outcomes = frame.filter(pl.col("type") == declared.outcome.type)
    assert (outcomes["arrive_ms"] - outcomes[declared.outcome.applied] == declared.outcome.delay_ms).all()


def test_a_placebo_tells_the_same_and_ends_otherwise(declared):
    told, placebo = BorrowingTraffic(declared, 4).months(1), BorrowingTraffic(declared, 4, signal=0).months(1)
    bad = declared.outcome.bad
    assert told.drop(bad).equals(placebo.drop(bad))
    assert not told[bad].equals(placebo[bad])


def test_the_hidden_traits_are_standard_normal_and_drive_the_outcome(crowd):
    people, _ = crowd
    for trait in (people.ability, people.health):
        assert abs(trait.mean()) < 0.03 * SIGMA
        assert abs(trait.std() - SIGMA) < 0.03 * SIGMA
    bad = people.bad == 1
    assert 0.04 < bad.mean() < 0.08
    area = delong(bad, -people.worth.astype(float))
    assert 0.82 < area.auc < 0.90
    for trait in (people.ability, people.honesty):
        assert delong(bad, trait.astype(float)).high < 0.5
        assert delong(bad, -trait.astype(float)).auc <= area.high, "no part knows more than the whole"


def test_nothing_of_a_person_tells_how_a_placebo_ends(crowd):
    _, placebo = crowd
    bad = placebo.bad == 1
    for trait in (placebo.ability, placebo.honesty, placebo.health, placebo.income_minor):
        area = delong(bad, trait.astype(float))
        assert area.low < 0.5 + 0.01
        assert area.high > 0.5 - 0.01


def test_rings_share_what_they_apply_with_and_never_pay(declared):
    people = people_of(declared, 9, 1)
    members = people.ring > 0
    assert members.sum() == declared.rings.members * declared.rings.per_month
    assert (people.stops[members] == 1).all()
    frame = BorrowingTraffic(declared, 9).months(1, 1)
    ring = frame.filter((pl.col("type") == declared.application.type) & pl.col("attack").is_not_null())
    assert ring["phone"].n_unique() == ring["employer"].n_unique() == 1
    assert ring["device"].n_unique() == declared.rings.devices


def test_a_shock_makes_more_loans_bad_of_those_it_strikes(declared):
    shock = declared.shocks[0]
    month = (shock.start_ms - declared.start_ms) // (30 * 86_400_000)
    many = msgspec.structs.replace(declared, per_month=20_000)
    people = people_of(many, 5, month)
    place = list(next(one for one in many.application.measures if one.field == shock.field).weights).index(shock.value)
    struck = people.choices[shock.field] == place
    assert people.bad[struck].mean() > 1.5 * people.bad[~struck].mean()


def test_applicants_are_numbered_without_gaps(declared):
    for month in range(30):
        first, count = applicants(declared, month)
        assert applicants(declared, month + 1)[0] == first + count


@given(st.integers(0, 2**36), st.integers(-5_000, 5_000))
def test_growth_is_that_of_the_exponential(base, exponent):
    found = int(grown(np.array([base]), np.array([exponent]))[0])
    exact = base * (Decimal(exponent) / 1000).exp()
    assert abs(found - exact) <= 1 + exact * Decimal("0.0002")


@given(st.sampled_from(["level", "linear"]), st.integers(-4_000, 4_000), st.integers(0, 5_000))
def test_a_measure_stays_within_its_bounds_and_grows_with_z(shape, z, more):
    one = Measure(field="x", shape=shape, drive=Drive(), base=Decimal(50), slope=Decimal("0.5"), least=Decimal(40),
                  most=Decimal(60))  # fmt: skip
    values = measured(one, np.array([z, z + more]), np.array([1, 1]), np.array([0, 0])).to_list()
    assert 40 <= values[0] <= values[1] <= 60
