"""The book and its plain twin agree, whatever happens to an account: what is owed after each day and each event, every
refusal, every statement; payments that come late live again in both."""

from __future__ import annotations

import random
import sys
from decimal import Decimal
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "unit" / "ledger" / "instruments"))

from revolving_bench import BothCredits, E

from quanheng.ledger.instruments.loan.day_count import DayCount
from quanheng.ledger.instruments.loan.rounding import ROUNDINGS
from quanheng.ledger.instruments.revolving.events import FROM_STATEMENT
from quanheng.ledger.instruments.revolving.products import Grace, Kind

SHARE = st.sampled_from([Decimal(0), Decimal("0.01"), Decimal("0.05"), Decimal("0.333333")])
MINOR = st.sampled_from([0, 1, 1_000, 50_000])


@st.composite
def products(draw):
    due = draw(st.sampled_from([1, 20, 25, 27]))
    mode = st.sampled_from(ROUNDINGS)
    return {
        "limit": draw(st.sampled_from([1, 60_000, 1_000_000, 1_000_000])),
        "cash_limit": draw(st.sampled_from([0, 1, 1])),
        "rate": draw(st.sampled_from([0, 1, 182_500, 123_457])),
        "statement_day": draw(st.sampled_from([1, 5, 15, 28, 29, 30, 31])), "due_days": due,
        "courtesy_days": draw(st.integers(0, min(3, 27 - due))),
        "tolerance_minor": draw(st.sampled_from([0, 0, 1_000])),
        "grace": draw(st.sampled_from(list(Grace))),
        "day_count": draw(st.sampled_from([DayCount.ACT_360, DayCount.ACT_365F])),
        "cash_rate_extra": draw(SHARE), "compounds": draw(st.booleans()), "cash_fee_share": draw(SHARE),
        "cash_fee_floor_minor": draw(MINOR), "minimum_share": draw(SHARE), "minimum_floor_minor": draw(MINOR),
        "late_share": draw(SHARE), "late_floor_minor": draw(st.sampled_from([0, 1_000])),
        "late_cap_minor": draw(st.sampled_from([1_000, 10**10])), "over_limit_share": draw(SHARE),
        "plan_fee_share": draw(SHARE), "plan_rate": draw(SHARE), "residue_first": draw(st.booleans()),
        "settle_fee_share": draw(SHARE), "settle_takes_fees": draw(st.booleans()),
        "order": tuple(draw(st.permutations(list(Kind)))), "highest_rate_above_minimum": draw(st.booleans()),
        "interest_rounding": draw(mode), "fee_rounding": draw(mode), "minimum_rounding": draw(mode),
    }  # fmt: skip


NAMES = {
    "draw": 30, "cash": 8, "fee": 3, "pay": 8, "minimum": 8, "billed": 10, "credit": 3, "convert": 8,
    "convert billed": 5, "settle": 4, "refund": 4, "limit": 2, "block": 1, "unblock": 3, "re-age": 4, "write off": 1,
    "recover": 4, "late": 6,
}  # fmt: skip


def lives(seed: int, steps: int):
    """Steps of a life: what happens after how many days, a number that says how, an amount."""
    rng = random.Random(seed)
    for _ in range(steps):
        name = rng.choices(list(NAMES), list(NAMES.values()))[0]
        passed = rng.choice((0, 0, 0, 1, 3, 12, 27))
        yield name, passed, rng.randint(0, 90), rng.choice((1, 99, 2_500, rng.randint(1, 60_000)))


def play(both: BothCredits, step) -> None:
    name, passed, some, amount = step
    both.pass_days(passed)
    slow = both.slow
    if name in ("minimum", "billed"):
        wanted = slow.minimum if name == "minimum" else slow.owed(billed=True)
        both.do(E.PAY, wanted or amount, back=some % 4)
    elif name == "late":
        both.do(E.PAY if some % 3 else E.FEE, amount, back=some)
    elif name in ("convert", "convert billed"):
        billed = name == "convert billed"
        there = slow.owed(Kind.PURCHASES, billed=billed)
        wanted = min(amount, there) if there and some % 5 else amount
        both.do(E.CONVERT, wanted, some % 15 + (FROM_STATEMENT if billed else 0))
    elif name == "settle":
        both.do(E.SETTLE, 0, slow.plans[some % len(slow.plans)].id if slow.plans else some)
    elif name == "refund":
        both.do(E.REFUND, min(amount, slow.credit) or amount)
    elif name == "limit":
        limit = 30 * amount if some % 4 else amount
        both.do(E.LIMIT, limit, some * limit // 90)
    else:
        kinds = {
            "draw": E.DRAW, "cash": E.CASH, "fee": E.FEE, "pay": E.PAY, "credit": E.CREDIT, "block": E.BLOCK,
            "unblock": E.UNBLOCK, "re-age": E.RE_AGE, "write off": E.WRITE_OFF, "recover": E.RECOVER,
        }  # fmt: skip
        both.do(kinds[name], amount if name not in ("block", "unblock", "re-age", "write off") else 0)


@settings(max_examples=120, deadline=None)
@given(products(), st.integers(0, 10**6), st.integers(1, 50))
def test_the_book_is_its_plain_twin(product, seed, steps):
    product["cash_limit"] *= product["limit"]
    both = BothCredits(**product)
    for step in lives(seed, steps):
        play(both, step)
    both.compare_statements()
    both.pass_days(40)
    both.compare_statements()
