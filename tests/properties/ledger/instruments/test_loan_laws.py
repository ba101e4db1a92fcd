"""Laws of loans: order of arrival, conservation, refusals without trace, replay, the plain twin, closing exactly."""

from __future__ import annotations

import random
import sys
from datetime import date
from decimal import Decimal
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "unit" / "ledger" / "instruments"))

from loan_bench import BORROWER, FIRST, LATER_MS, LENDER, OWNER, STRANGER, Lending, terms

from quanheng.kernel.calendars import Calendar, Roll
from quanheng.ledger.entries import Transfer
from quanheng.ledger.instruments.loan.actions import (
    Accrue,
    Charge,
    Effect,
    Originate,
    Pay,
    PayOff,
    Prepay,
    Recover,
    Refund,
    WriteOff,
    order_of,
)
from quanheng.ledger.instruments.loan.day_count import DayCount, day_of
from quanheng.ledger.instruments.loan.fold import LoanBooks, LoanFold
from quanheng.ledger.instruments.loan.rounding import ROUNDINGS
from quanheng.ledger.instruments.loan.schedule import schedule
from quanheng.ledger.instruments.loan.terms import Allocation, Grace, Kind, Method, Penalty, ReferenceRate
from quanheng.testing.slow_loan import SlowLoan

rates = st.sampled_from([Decimal(0), Decimal("0.0345"), Decimal("0.06"), Decimal("0.240001")])
modes = st.sampled_from(ROUNDINGS)
penalties = st.one_of(
    st.none(),
    st.builds(
        Penalty, multiple=st.just(Decimal("1.5")), spread=st.sampled_from([Decimal(0), Decimal("0.01")]),
        reference=st.sampled_from([(), (ReferenceRate(FIRST - 9, Decimal("0.0345")),
                                        ReferenceRate(FIRST + 100, Decimal("0.031")))]),
        year_days=st.sampled_from([360, 365]), grace_days=st.sampled_from([0, 3]), on_interest=st.booleans(),
    ),
)  # fmt: skip


@st.composite
def agreements(draw):
    method = draw(st.sampled_from(Method))
    periods = draw(st.integers(1, 8))
    grace = draw(st.integers(0, periods - 1)) if method != Method.BULLET else 0
    return terms(
        first_day=FIRST + draw(st.sampled_from([0, 16, 45])), end_of_month=draw(st.booleans()),
        principal_minor=draw(st.integers(1, 2_000_000)), rate=draw(rates), periods=periods,
        period_months=draw(st.sampled_from([1, 3])), day_count=draw(st.sampled_from(DayCount)), method=method,
        grace_periods=grace, grace=draw(st.sampled_from(Grace)), roll=draw(st.sampled_from(Roll)),
        calendar=Calendar.of([date(2024, 2, 15), date(2024, 2, 16)], [date(2024, 2, 18)]), penalty=draw(penalties),
        allocation=Allocation(tuple(draw(st.permutations(list(Kind)))), draw(st.booleans())),
        level_rounding=draw(modes), accrual_rounding=draw(modes), billing_rounding=draw(modes),
        penalty_rounding=draw(modes), fee_rounding=draw(modes),
        prepayment_fee_rate=draw(st.sampled_from([Decimal(0), Decimal("0.01")])),
    )  # fmt: skip


def actions_of(rng: random.Random, agreed, count: int) -> list:
    """Actions on one loan in any order, some of which cannot be."""
    found, span = [], agreed.periods * agreed.period_months * 31 + 40
    for number in range(count):
        kind = rng.choice([Pay, Pay, Pay, Prepay, Charge, Accrue, PayOff, Refund, WriteOff, Recover, Pay])
        by = rng.choice([LENDER] * 12 + [OWNER, STRANGER])
        id, day = 1_000 + number, FIRST + rng.randrange(-1, span)
        amount = rng.choice([1, rng.randrange(1, agreed.principal_minor + 2), agreed.principal_minor * 2, 0])
        if kind is Prepay:
            found.append(Prepay(id, by, 7, day, amount, rng.choice(list(Effect))))
        elif kind in (WriteOff, Accrue):
            found.append(kind(id, by, 7, day))
        else:
            found.append(kind(id, by, 7, day, amount))
        if rng.random() < 0.1:
            found.append(rng.choice(found))
    if rng.random() < 0.5:
        found.sort(key=lambda one: one.day)
    return found


def kind_of(seed: int) -> str:
    return ("law", "core")[seed % 2]


@settings(max_examples=60, deadline=None)
@given(agreements(), st.integers(0, 10**6))
def test_any_actions_keep_the_laws_of_loans(agreed, seed):
    rng, bench = random.Random(seed), Lending(kind_of(seed))
    bench.must(Originate(7, LENDER, agreed))
    kept = []
    for action in actions_of(rng, agreed, 14):
        before = bench.loans.state(), bench.nets()
        done = bench.do(action)
        repeat = any(action == one for one in kept)
        if not done.applied or repeat:
            assert (bench.loans.state(), bench.nets()) == before, action
        else:
            kept.append(action)
        assert sum(bench.nets().values()) == -(10**9), "value was made or lost"
    state = bench.loans.loans[7]
    owed, nets = bench.loans.owed(7, state.newest), bench.nets()
    # The ledger's accounts are what the fold says is owed; nothing is kept twice.
    assert [nets[kind.value] for kind in Kind] == [getattr(owed, f"{kind.value}_minor") for kind in Kind]
    assert -nets["settlement"] == owed.unallocated_minor
    assert nets["written_off"] == owed.written_off_minor
    assert owed == SlowLoan(agreed).play(kept, state.newest).owed()
    # Replay of the applied actions gives the same state, on the other ledger too.
    again = Lending(kind_of(seed + 1))
    again.must(Originate(7, LENDER, agreed), *kept)
    assert again.loans.digest() == bench.loans.digest()
    assert again.nets() == nets


@settings(max_examples=60, deadline=None)
@given(agreements(), st.integers(0, 10**6))
def test_a_payment_that_comes_late_gives_the_loan_on_which_it_came_in_time(agreed, seed):
    rng = random.Random(seed)
    span = agreed.periods * agreed.period_months * 31 + 40
    events = [Accrue(2_000, LENDER, 7, FIRST + span)]
    for number in range(6):
        amount, day = rng.randrange(1, agreed.principal_minor + 1), FIRST + rng.randrange(span)
        kind = rng.choice([Pay, Pay, Charge, Prepay])
        events.append(kind(2_001 + number, LENDER, 7, day, amount))
    in_time, late = Lending(kind_of(seed)), Lending(kind_of(seed + 1))
    for bench in (in_time, late):
        bench.must(Originate(7, LENDER, agreed))
    applied = [one for one in sorted(events, key=order_of) if in_time.do(one).applied]
    rng.shuffle(applied)
    applied.sort(key=lambda one: not isinstance(one, Accrue))  # All others come after the youngest day was booked.
    refused = [one for one in applied if not late.do(one).applied]
    # On a loan that owes nothing yet or any more a payment is refused; then the histories differ and say nothing.
    if not refused:
        assert late.nets() == in_time.nets()
        assert [one for _, one in late.loans.loans[7].standing] == [one for _, one in in_time.loans.loans[7].standing]


@settings(max_examples=60, deadline=None)
@given(agreements())
def test_a_loan_that_is_paid_on_time_closes_exactly(agreed):
    lines = schedule(agreed)
    assert lines[-1].left_minor == 0
    bench = Lending()
    bench.must(Originate(7, LENDER, agreed))
    for number, line in enumerate(lines):
        amount = line.principal_minor + line.interest_minor
        if amount:
            bench.must(Pay(100 + number, OWNER, 7, day_of(line.due), amount))
    assert {name: bench.net(id) for name, id in LoanBooks.of(7)._asdict().items()} == dict.fromkeys(
        LoanBooks._fields, 0
    )
    assert bench.loans.owed(7, FIRST + 9_000).total_minor == 0


@settings(max_examples=40, deadline=None)
@given(agreements(), st.integers(0, 10**6))
def test_the_payoff_quote_pays_off(agreed, seed):
    rng, bench = random.Random(seed), Lending(kind_of(seed))
    bench.must(Originate(7, LENDER, agreed))
    day = agreed.first_day
    for number in range(3):
        day += rng.randrange(1, 60)
        bench.do(Pay(100 + number, OWNER, 7, day, rng.randrange(1, agreed.principal_minor + 1)))
    quote = bench.loans.payoff_quote(7, day)
    if quote.amount_minor == 0:
        return
    short = bench.do(PayOff(200, OWNER, 7, day, quote.amount_minor - 1)) if quote.amount_minor > 1 else None
    assert short is None or short.refusal.code in ("PAYOFF_IS_TOO_LOW", "NOTHING_IS_OWED")
    done = bench.do(PayOff(201, OWNER, 7, day, quote.amount_minor))
    assert done.applied
    owed = bench.loans.owed(7, day + 900)
    assert (owed.total_minor, owed.unallocated_minor) == (0, 0)


@settings(max_examples=30, deadline=None)
@given(agreements(), st.lists(st.integers(0, 300), max_size=6))
def test_how_often_is_accrued_does_not_matter(agreed, days):
    events = [Pay(1, OWNER, 7, FIRST + 50, 5_000), Accrue(2, LENDER, 7, FIRST + 300)]
    more = [Accrue(10 + number, LENDER, 7, FIRST + day) for number, day in enumerate(days)]
    folds = [LoanFold(agreed, LoanBooks.of(7)).run(chosen) for chosen in (events, [*events, *more])]
    assert folds[0].owed() == folds[1].owed()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6))
def test_a_chain_that_breaks_leaves_no_trace(seed):
    """The borrower has no money: the ledger refuses, whatever replay was asked."""
    bench = Lending(kind_of(seed))
    bench.lend()
    bench.must(Accrue(1, LENDER, 7, FIRST + 100))
    left = -bench.net(BORROWER)
    bench.ledger.transfer([Transfer(99, BORROWER, 50, left, 1)], LATER_MS, 0)
    before = bench.loans.state(), bench.nets()
    done = bench.do(Pay(2, OWNER, 7, FIRST + 40 + seed % 50, 50_000))
    assert done.outcome.name == "BALANCE_IS_TOO_LOW"
    assert (bench.loans.state(), bench.nets()) == before
