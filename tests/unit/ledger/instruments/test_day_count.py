"""Day counts against published examples, against another library where it is installed, and as laws."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from random import Random

import pytest

from quanheng.ledger.instruments.loan.day_count import (
    DayCount,
    add_months,
    date_of,
    day_of,
    is_month_end,
    year_fraction,
)

D = DayCount

# The actual/actual examples of the ISDA memorandum "EMU and Market Conventions: Recent Developments" (1998), which
# prints ten digits. The ISDA figure of the last row is worked out by hand: 32/365 + 120/366.
# start, end, a date of the regular periods, their months -> ACT/ACT ISDA, ACT/ACT ICMA
MEMORANDUM = [
    ("2003-11-01", "2004-05-01", "2003-11-01", 6, "0.497724380567", "0.500000000000"),
    ("1999-02-01", "1999-07-01", "1999-07-01", 12, "0.410958904110", "0.410958904110"),
    ("1999-07-01", "2000-07-01", "1999-07-01", 12, "1.001377348600", "1.000000000000"),
    ("2002-08-15", "2003-07-15", "2003-07-15", 6, "0.915068493151", "0.915760869565"),
    ("2003-07-15", "2004-01-15", "2003-07-15", 6, "0.504004790778", "0.500000000000"),
    ("1999-07-30", "2000-01-30", "1999-07-30", 6, "0.503892506924", "0.500000000000"),
    ("2000-01-30", "2000-06-30", "2000-01-30", 6, "0.415300546448", "0.417582417582"),
    ("1999-11-30", "2000-04-30", "1999-11-30", 3, "0.415540085336", "0.415760869565"),
]


@pytest.mark.parametrize("row", MEMORANDUM, ids=[f"{row[0]} {row[1]}" for row in MEMORANDUM])
def test_actual_actual_as_in_the_memorandum(row):
    start, end, anchor = (date.fromisoformat(text) for text in row[:3])
    places = Decimal("1E-10")
    found = [
        year_fraction(count, start, end, anchor=anchor, months=row[3]) for count in (D.ACT_ACT_ISDA, D.ACT_ACT_ICMA)
    ]
    printed = [Decimal(one.numerator) / one.denominator for one in found]
    assert all(abs(was - Decimal(text)) < places for was, text in zip(printed, row[4:], strict=True)), printed


# Days of 360 as in the examples published with the 2006 ISDA Definitions (4.16 (f), (g), (h)).
# start, end -> bond basis, Eurobond basis, 30E/360 (ISDA) with maturity on 2012-02-29
EXAMPLES_OF_30 = [
    ("2006-08-20", "2007-02-20", 180, 180, 180),
    ("2006-08-31", "2007-02-28", 178, 178, 180),
    ("2007-02-28", "2007-08-31", 183, 182, 180),
    ("2007-08-31", "2008-02-29", 179, 179, 180),
    ("2008-02-29", "2008-08-31", 182, 181, 180),
    ("2008-08-31", "2009-02-28", 178, 178, 180),
    ("2011-08-31", "2012-02-29", 179, 179, 179),
    ("2006-01-31", "2006-02-28", 28, 28, 30),
    ("2006-01-30", "2006-02-28", 28, 28, 30),
    ("2006-02-28", "2006-03-03", 5, 5, 3),
    ("2006-02-14", "2006-02-28", 14, 14, 16),
]


@pytest.mark.parametrize("row", EXAMPLES_OF_30, ids=[f"{row[0]} {row[1]}" for row in EXAMPLES_OF_30])
def test_days_of_30_as_published(row):
    start, end = date.fromisoformat(row[0]), date.fromisoformat(row[1])
    for count, days in zip((D.THIRTY_360_BOND, D.THIRTY_E_360, D.THIRTY_E_360_ISDA), row[2:], strict=True):
        found = year_fraction(count, start, end, maturity=date(2012, 2, 29))
        assert found == Fraction(days, 360), count


@pytest.mark.parametrize(
    ("start", "end", "days"),
    [
        ("2006-08-31", "2007-02-28", 178),
        ("2007-02-28", "2007-08-31", 180),
        ("2008-02-29", "2009-02-28", 360),
        ("2007-02-28", "2008-02-29", 360),
        ("2008-02-28", "2008-08-31", 183),
        ("2008-01-31", "2008-03-31", 60),
        ("2008-01-29", "2008-03-31", 62),
    ],
)
def test_the_american_30_360_knows_the_end_of_february(start, end, days):
    found = year_fraction(D.THIRTY_360_US, date.fromisoformat(start), date.fromisoformat(end))
    assert found == Fraction(days, 360)


def test_actual_over_fixed_days():
    start, end = date(2024, 1, 1), date(2025, 1, 1)
    assert year_fraction(D.ACT_360, start, end) == Fraction(366, 360)
    assert year_fraction(D.ACT_365F, start, end) == Fraction(366, 365)
    assert year_fraction(D.ACT_ACT_ISDA, start, end) == 1


@pytest.mark.parametrize("count", list(D))
def test_it_never_falls_and_begins_at_zero(count):
    start = date(2023, 8, 31)
    found = [
        year_fraction(count, start, start + timedelta(days=days), months=3, maturity=date(2026, 2, 28))
        for days in range(900)
    ]
    assert found[0] == 0
    assert found == sorted(found)


def test_months_are_added_to_the_end_of_months():
    assert add_months(date(2024, 1, 31), 1) == date(2024, 2, 29)
    assert add_months(date(2024, 2, 29), 12) == date(2025, 2, 28)
    assert add_months(date(2024, 2, 29), 1) == date(2024, 3, 29)
    assert add_months(date(2024, 2, 29), 1, end_of_month=True) == date(2024, 3, 31)
    assert add_months(date(2024, 2, 29), -3, end_of_month=True) == date(2023, 11, 30)
    assert is_month_end(date(2023, 2, 28))
    assert date_of(day_of(date(2024, 2, 29))) == date(2024, 2, 29)


def test_another_library_counts_the_same():
    ql = pytest.importorskip("QuantLib", reason="the oracle QuantLib is not installed")
    rng, maturity = Random(5), date(2031, 2, 28)
    peers = {
        D.THIRTY_360_US: ql.Thirty360(ql.Thirty360.USA),
        D.THIRTY_360_BOND: ql.Thirty360(ql.Thirty360.BondBasis),
        D.THIRTY_E_360: ql.Thirty360(ql.Thirty360.EurobondBasis),
        D.THIRTY_E_360_ISDA: ql.Thirty360(ql.Thirty360.ISDA, ql.Date(28, 2, 2031)),
        D.ACT_360: ql.Actual360(),
        D.ACT_365F: ql.Actual365Fixed(),
        D.ACT_ACT_ISDA: ql.ActualActual(ql.ActualActual.ISDA),
    }
    for _ in range(3_000):
        start = date(2019, 1, 1) + timedelta(days=rng.randrange(2_500))
        end = start + timedelta(days=rng.randrange(1_900))
        if rng.random() < 0.4:
            start = add_months(start.replace(day=1), 1) - timedelta(days=1)
            end = max(start, add_months(end.replace(day=1), 1) - timedelta(days=1))
        for count, peer in peers.items():
            theirs = peer.yearFraction(
                ql.Date(start.day, start.month, start.year), ql.Date(end.day, end.month, end.year)
            )
            ours = year_fraction(count, start, end, maturity=maturity)
            assert abs(theirs - ours) < 1e-9, (count, start, end)
