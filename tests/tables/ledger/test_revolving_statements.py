"""Statements worked by hand. Amounts are minor units. Unless said otherwise: a limit of 10,000.00, 18.25 percent over
365 days (0.05 percent a night), statement on the 5th, due 20 days later, a tenth as minimum, all purchases of a
statement bear interest if it is not paid in full; late fee 5 percent, at least 10.00; cash fee 1 percent, at least
10.00; instalment fee 0.6 percent each."""

from __future__ import annotations

import sys
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "unit" / "ledger" / "instruments"))

from revolving_bench import ACCOUNT, BothCredits, E

from quanheng.ledger.instruments.loan.day_count import DayCount, date_of, day_of
from quanheng.ledger.instruments.revolving.products import Grace, Kind

# Events: day, kind, amount, what else, days back. Statements: opening, drawn, cash, paid, interest, fees, converted,
# instalments, closing, minimum, due.
TABLE = """
full payment on the due day: no interest
  2024-01-10 DRAW 100000
  2024-02-25 PAY 100000
  = 2024-02-05      0 100000      0      0    0    0      0     0 100000 10000 2024-02-25
  = 2024-03-05 100000      0      0 100000    0    0      0     0      0     0 -

minimum payment, over a leap day: 46 nights x 50, then 10 nights x 45
  2024-01-10 DRAW 100000
  2024-02-25 PAY 10000
  = 2024-02-05      0 100000      0      0    0    0      0     0 100000 10000 2024-02-25
  = 2024-03-05 100000      0      0  10000 2750    0      0     0  92750 11750 2024-03-25

only what is unpaid, since the statement: 19 nights x 45, then 10 nights x 45
  2024-01-10 DRAW 100000
  2024-02-25 PAY 10000
  = 2024-02-05      0 100000      0      0    0    0      0     0 100000 10000 2024-02-25
  = 2024-03-05 100000      0      0  10000 1305    0      0     0  91305 10305 2024-03-25

late: 56 nights x 50; 5 percent of 10000 is under the floor; past due 10000
  2024-01-10 DRAW 100000
  = 2024-02-05      0 100000      0      0    0    0      0     0 100000 10000 2024-02-25
  = 2024-03-05 100000      0      0      0 2800 1000      0     0 103800 23800 2024-03-25

late twice, interest on interest: 31 nights x 50 and 31 x 1.4 = 1593.4; 5 percent of 23800
  2024-01-10 DRAW 100000
  = 2024-03-05 100000      0      0      0 2800 1000      0     0 103800 23800 2024-03-25
  = 2024-04-05 103800      0      0      0 1593 1190      0     0 106583 36583 2024-04-25

cash from the day it was drawn: 27 nights x 100, fee 1 percent
  2024-01-10 CASH 200000
  = 2024-02-05      0      0 200000      0 2700 2000      0     0 204700 24700 2024-02-25

conversion: 33333, 33333, 33334 with 600 each
  2024-01-10 DRAW 100000
  2024-01-20 CONVERT 100000 3
  2024-02-20 PAY 33933
  2024-03-20 PAY 33933
  2024-04-20 PAY 33934
  = 2024-02-05      0 100000      0      0    0  600 100000 33333  33933 33933 2024-02-25
  = 2024-03-05  33933      0      0  33933    0  600      0 33333  33933 33933 2024-03-25
  = 2024-04-05  33933      0      0  33933    0  600      0 33334  33934 33934 2024-04-25
  = 2024-05-05  33934      0      0  33934    0    0      0     0      0     0 -

conversion of a statement, residue first, 3.6 percent on what is not due: 29 nights x 9.9999
  2024-01-10 DRAW 199999
  2024-02-05 PAY 100000
  2024-02-06 CONVERT 99999 1002
  = 2024-02-05      0 199999      0 100000    0    0      0     0  99999 10000 2024-02-25
  = 2024-03-05  99999      0      0      0  290  600  99999 50000  50890 50890 2024-03-25

early settlement: 66667 falls due, fee 2 percent = 1333.34
  2024-01-10 DRAW 100000
  2024-01-20 CONVERT 100000 3
  2024-02-10 PAY 33933
  2024-02-11 SETTLE 0 3
  = 2024-02-05      0 100000      0      0    0  600 100000 33333  33933 33933 2024-02-25
  = 2024-03-05  33933      0      0  33933    0 1333      0 66667  68000 68000 2024-03-25

end of month, no grace: nights of 28 and 29 February x 5, then 31 x 5
  2024-02-28 DRAW 10000
  = 2024-01-31      0      0      0      0    0    0      0     0      0     0 -
  = 2024-02-29      0  10000      0      0   10    0      0     0  10010  1010 2024-03-20
  = 2024-03-31  10010      0      0      0  155 1000      0     0  11165  3165 2024-04-20

zero rate
  2024-01-10 DRAW 100000
  2024-02-25 PAY 10000
  = 2024-03-05 100000      0      0  10000    0    0      0     0  90000  9000 2024-03-25

one cent: the minimum is rounded up; 56 nights of 0.0005 are nothing
  2024-01-10 DRAW 1
  = 2024-02-05      0      1      0      0    0    0      0     0      1     1 2024-02-25
  = 2024-03-05      1      0      0      0    0 1000      0     0   1001  1001 2024-03-25

over-payment is a credit balance that the next purchase uses
  2024-01-10 DRAW 50000
  2024-02-10 PAY 80000
  2024-03-10 DRAW 40000
  = 2024-03-05  50000      0      0  80000    0    0      0     0 -30000     0 -
  = 2024-04-05 -30000  40000      0      0    0    0      0     0  10000  1000 2024-04-25

over-limit by a fee: 10 percent of 1000000, the fee, and 5000 over the limit
  2024-01-10 DRAW 1000000
  2024-01-12 FEE 5000
  = 2024-02-05      0 1000000     0      0    0 5000      0     0 1005000 110000 2024-02-25

a merchant gives the money back
  2024-01-10 DRAW 100000
  2024-01-20 CREDIT 100000
  = 2024-02-05      0 100000      0 100000    0    0      0     0      0     0 -

tolerance: what is missing of the statement goes over to the next
  2024-01-10 DRAW 100000
  2024-02-25 PAY 99000
  = 2024-03-05 100000      0      0  99000    0    0      0     0   1000   100 2024-03-25

three courtesy days
  2024-01-10 DRAW 100000
  2024-02-28 PAY 100000
  = 2024-03-05 100000      0      0 100000    0    0      0     0      0     0 -

a day after the courtesy days: 50 nights x 50, late fee and all
  2024-01-10 DRAW 100000
  2024-02-29 PAY 100000
  = 2024-03-05 100000      0      0 100000 2500 1000      0     0   3500  3500 2024-03-25

late payment that was in time: reversed and replayed
  2024-01-10 DRAW 100000
  2024-03-10 PAY 100000 0 14
  = 2024-02-05      0 100000      0      0    0    0      0     0 100000 10000 2024-02-25
  = 2024-03-05 100000      0      0 100000    0    0      0     0      0     0 -

above the minimum to the highest rate: 31 x 50 and 25 x 40 of purchases, 4 x 50 of cash
  2024-01-10 CASH 100000
  2024-01-10 DRAW 100000
  2024-02-10 PAY 122350
  = 2024-02-05      0 100000 100000      0 1350 1000      0     0 202350 22350 2024-02-25
  = 2024-03-05 202350      0      0 122350 2750    0      0     0  82750 10750 2024-03-25

purchases that follow keep their own interest-free period: 56 nights x 50, none of the second
  2024-01-10 DRAW 100000
  2024-02-10 DRAW 30000
  = 2024-03-05 100000  30000      0      0 2800 1000      0     0 133800 26800 2024-03-25
"""
PURCHASES_FIRST = (Kind.FEES, Kind.INTEREST, Kind.PURCHASES, Kind.INSTALMENTS, Kind.REVOLVING, Kind.CASH)
RULES = {
    "only what is unpaid": {"grace": Grace.UNPAID}, "late twice": {"compounds": True}, "zero rate": {"rate": 0},
    "conversion of a statement": {
        "residue_first": True, "plan_rate": Decimal("0.036"), "day_count": DayCount.ACT_360,
    },
    "early settlement": {"settle_fee_share": Decimal("0.02")},
    "end of month": {"statement_day": 31, "grace": Grace.NONE},
    "tolerance": {"tolerance_minor": 1000}, "three courtesy days": {"courtesy_days": 3},
    "a day after the courtesy days": {"courtesy_days": 3},
    "above the minimum": {"order": PURCHASES_FIRST, "highest_rate_above_minimum": True},
}  # fmt: skip


def cases():
    for block in TABLE.strip().split("\n\n"):
        title, *lines = block.splitlines()
        yield pytest.param(title, [line.split() for line in lines], id=title.split(":")[0])


@pytest.mark.parametrize(("title", "lines"), list(cases()))
def test_statements_worked_by_hand(title, lines):
    rules = [changed for start, changed in RULES.items() if title.startswith(start)]
    both = BothCredits(**(rules[0] if rules else {}))
    expected = [line[1:] for line in lines if line[0] == "="]
    for day, kind, *numbers in (line for line in lines if line[0] != "="):
        both.pass_days(day_of(date.fromisoformat(day)) - both.book.day)
        assert both.do(E[kind], *map(int, numbers)) == "APPLIED"
    both.pass_days(day_of(date.fromisoformat(expected[-1][0])) + 1 - both.book.day)
    both.compare_statements()
    told = {}
    for one in both.book.statements(ACCOUNT):
        due = "-" if one.due is None else str(date_of(one.due))
        told[str(date_of(one.day))] = [*map(str, one[1:11]), due]
    for day, *row in expected:
        assert told[day] == row, title


def test_every_rule_belongs_to_a_case():
    titles = [block.splitlines()[0] for block in TABLE.strip().split("\n\n")]
    assert all(any(title.startswith(start) for title in titles) for start in RULES)
