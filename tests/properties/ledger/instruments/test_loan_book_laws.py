"""The book and the single loan agree, whatever happens to a loan: what is owed after each day and each event, every
refusal, and every flow. The single loan's fold is the judge."""

from __future__ import annotations

import sys
from decimal import Decimal
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "unit" / "ledger" / "instruments"))

from loan_bench import FIRST
from loan_book_bench import LOAN, Both

from quanheng.kernel.calendars import Calendar, Roll
from quanheng.ledger.instruments.loan.actions import (
    Charge,
    Effect,
    Pay,
    PayOff,
    Prepay,
    Recover,
    Refund,
    WriteOff,
)
from quanheng.ledger.instruments.loan.day_count import DayCount
from quanheng.ledger.instruments.loan.rounding import ROUNDINGS
from quanheng.ledger.instruments.loan.terms import Allocation, Grace, Kind, Method, Penalty, ReferenceRate

PRIME = ReferenceRate(FIRST - 10, Decimal("0.0345")), ReferenceRate(FIRST + 70, Decimal("0.0336"))
PENALTIES = st.sampled_from([
    None, Penalty(Decimal("1.5")), Penalty(Decimal("1.5"), on_interest=True, grace_days=3),
    Penalty(Decimal("1.3"), Decimal("0.02"), PRIME, on_interest=True, year_days=365),
    Penalty(Decimal("2"), Decimal("0.05"), PRIME, cap_multiple=Decimal("2.4")), Penalty(Decimal("0")),
])  # fmt: skip


@st.composite
def contracts(draw):
    method = draw(st.sampled_from(list(Method)))
    periods = draw(st.integers(1, 9))
    count = draw(st.sampled_from(list(DayCount)))
    icma = count == DayCount.ACT_ACT_ICMA
    if icma and method == Method.BULLET:
        count = DayCount.ACT_365F
    mode = st.sampled_from(ROUNDINGS)
    return {
        "principal_minor": draw(st.sampled_from([1, 37, 9_999, 1_200_000, 10**10]) | st.integers(1, 10**7)),
        "rate": Decimal(draw(st.sampled_from([0, 1, 60_000, 123_457, 240_000, 360_000]))) / 10**6,
        "first_day": FIRST + draw(st.sampled_from([0, 16, 44, 350])),
        "periods": periods, "period_months": draw(st.sampled_from([1, 1, 1, 3])), "day_count": count, "method": method,
        "grace_periods": 0 if method == Method.BULLET else draw(st.integers(0, periods - 1)),
        "grace": draw(st.sampled_from(list(Grace))), "end_of_month": draw(st.booleans()),
        "roll": Roll.NONE if icma else draw(st.sampled_from([Roll.NONE, Roll.FOLLOWING, Roll.MODIFIED_PRECEDING])),
        "calendar": Calendar(), "penalty": draw(PENALTIES),
        "allocation": Allocation(tuple(draw(st.permutations(list(Kind)))), draw(st.booleans())),
        "level_rounding": draw(mode), "accrual_rounding": draw(mode), "billing_rounding": draw(mode),
        "penalty_rounding": draw(mode), "fee_rounding": draw(mode),
        "prepayment_fee_rate": draw(st.sampled_from([Decimal(0), Decimal("0.01"), Decimal("0.000001")])),
    }  # fmt: skip


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["pay", "pay", "pay", "instalment", "prepay", "charge", "pay off",
         "write off", "recover", "refund"]),
        st.integers(0, 45), st.integers(0, 100), st.integers(1, 3_000_000), st.booleans(),
    ), max_size=12,
)  # fmt: skip


def play(both: Both, step) -> None:
    name, passed, back, amount, flag = step
    both.pass_days(passed)
    today = both.book.day
    early = max(both.terms.first_day, today - (back if flag else 0))
    amount = min(amount, 2 * both.terms.principal_minor + 5)
    if name in ("pay", "instalment"):
        due = both.book.measures(LOAN)[0, 8]
        both.do(Pay, early, int(due) if name == "instalment" and due else amount)
    elif name == "prepay":
        both.do(Prepay, early, amount, Effect.REDUCES if back % 2 else Effect.SHORTENS)
    elif name == "charge":
        both.do(Charge, early, amount % 5000 + 1)
    elif name == "pay off":
        both.do(PayOff, today, max(1, both.book.payoff_minor(LOAN) - (back == 0)))
    elif name == "write off":
        both.do(WriteOff, today)
    else:
        both.do(Recover if name == "recover" else Refund, today, amount)


@settings(max_examples=60, deadline=None)
@given(contracts(), STEPS)
def test_the_book_is_the_single_loan(contract, steps):
    both = Both(**contract)
    for step in steps:
        play(both, step)
    both.compare_flows()
    both.pass_days(40)
    both.compare_flows()
