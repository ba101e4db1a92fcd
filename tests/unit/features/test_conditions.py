"""Conditions and calendars that cannot be used say where, what was found, and the cure; known days of China."""

import datetime as dt

import polars as pl
import pytest

from quanheng.features.backfill import backfill
from quanheng.features.calendars import Calendar, CalendarYear
from quanheng.features.conditions import INSTRUCTIONS_MAX, compile_condition
from quanheng.features.fold import EventLayout, Fold
from quanheng.features.kernel.clock import DECLARED, NOT_COVERED, OFF, WORK
from quanheng.features.plan import Plan
from quanheng.features.reach import reaches
from quanheng.features.zones import local_ms, zone_words
from quanheng.kernel.errors import DeclarationError, ExpressionError, InputError
from quanheng.loading.checks.calendars import shipped_calendars

PAY = EventLayout(
    "pay", 1, ("card",), ("amount", "rate", "vip", "way", "other"), (2, 12, 0, 0, 0),
    (("way", ("web", "desk")), ("other", ("in", "out"))), ("vip",),
)  # fmt: skip
DESK = EventLayout("desk", 2, ("card",), ())
DAYS = {"days": Calendar("days", (7,), (CalendarYear(2026, (), (), "own"),))}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('card = "x"', "a condition of a fold cannot use the key field card"),
        ("amount / 2 > 1", "a condition of a fold cannot use /"),
        ("if vip then true else false", "a condition of a fold cannot use this"),
        ("floor(amount) > 1", "a condition of a fold cannot use floor()"),
        ('way = "shop"', "way has no such choice; was shop; allowed: web, desk"),
        ("way = other", "the two fields have other choices; was other"),
        ('way < "web"', "a condition of a fold cannot use < between choices"),
        ('"web" = "web"', "a condition of a fold cannot use a text here"),
        ("amount", "a condition must be true or false; was number"),
        ("amount > 99999999999999999999", "the number does not fit 64 bits"),
        ("amount > 0.0000000000000000001", "the number does not fit 64 bits"),
        ("rate * rate > 1", "the product has too many decimal places; was 24"),
        ("holiday", "a condition that asks for days off needs a calendar"),
        (" or ".join(["amount > 1"] * (INSTRUCTIONS_MAX // 3)), "the condition is too long"),
    ],
)
def test_what_a_condition_cannot_say(text, message):
    with pytest.raises(ExpressionError) as raised:
        compile_condition(PAY, text)
    assert message in str(raised.value)
    assert "line 1, column" in str(raised.value)


@pytest.mark.parametrize(
    ("fold", "message"),
    [
        (Fold("f", "pay", (), "hour", zone="Nowhere"), "no such time zone; was 'Nowhere'"),
        (Fold("f", "pay", (), "holiday", calendar="mars"), "no such calendar; was 'mars'; allowed: days"),
        (Fold("f", "pay", (), "holiday"), "holiday needs a calendar; was none"),
        (Fold("f", "pay", ("card",), "hour"), "hour asks for the time alone"),
        (Fold("f", "desk", (), "hour"), "this event is not decided; was desk"),
        (Fold("f", "pay", ("card",), "count", where="nobody > 1"), "the condition cannot be used at line 1, column 1"),
        (Fold("f", "pay", ("card",), "last", "way"), "last would answer a choice, and answers are numbers; was 'way'"),
    ],
)
def test_problem_of_a_fold(fold, message):
    with pytest.raises(DeclarationError) as raised:
        Plan.compile([PAY, DESK], [fold], ["pay"], 0, calendars=DAYS)
    assert message in str(raised.value)


def test_choices_are_counted_and_read_from_a_frame():
    folds = [
        Fold("ways", "pay", ("card",), "distinct", "way"),
        Fold("web", "pay", ("card",), "count", where='way = "web"'),
    ]
    plan = Plan.compile([PAY], folds, ["pay"], 0)
    frame = pl.DataFrame({
        "time": [1, 2, 3], "card": ["a", "a", "a"], "amount": [1, 2, 3], "rate": [1, 2, 3], "vip": [True, None, False],
        "way": ["web", None, "desk"], "other": ["in", "out", "in"],
    })  # fmt: skip
    found = backfill(plan, frame)
    assert found["ways"].to_list() == [1.0, 1.0, 2.0]
    assert found["web"].to_list() == [1.0, 1.0, 1.0]
    with pytest.raises(InputError, match="the column holds a text that is none of the choices"):
        backfill(plan, frame.with_columns(way=pl.lit("shop")))


def test_folds_of_one_condition_share_a_ring():
    texts = ["amount > 1", "amount  >  1.0", "amount > 2", None]
    folds = [Fold(f"f{place}", "pay", ("card",), "count", where=text) for place, text in enumerate(texts)]
    assert len(Plan.compile([PAY], folds, ["pay"], 0).tables) == 3


def test_known_days_of_china():
    china = shipped_calendars()["china"]
    assert [one.year for one in china.years] == list(range(2020, 2027))
    assert china.code(dt.date(2020, 1, 31)) == DECLARED  # The Spring Festival that was prolonged.
    assert china.code(dt.date(2024, 2, 10)) == DECLARED
    assert china.code(dt.date(2024, 2, 18)) == WORK  # A Sunday that is worked.
    assert china.code(dt.date(2025, 10, 8)) == DECLARED
    assert china.code(dt.date(2026, 2, 14)) == WORK
    assert china.code(dt.date(2026, 3, 7)) == OFF
    assert china.code(dt.date(2027, 1, 1)) == NOT_COVERED
    assert Calendar("none", (6, 7), ()).words() == (0, 0)


def test_zones():
    assert zone_words("UTC") == (0, 0)
    assert local_ms("Asia/Shanghai", 0) == 8 * 3_600_000
    with pytest.raises(ValueError, match="Nowhere"):
        zone_words("Nowhere")


def test_what_a_vector_reaches():
    shop = Fold("p.shop", "pay", ("card",), "last", "shop")
    rate = Fold("p.rate", "desk", ("shop",), "count", through="p.shop")
    one, two = (Fold(name, "pay", ("card",), "last", "card", through=via) for name, via in (("a", "b"), ("b", "a")))
    folds = [shop, rate, one, two]
    assert reaches(rate, folds, "pay", ["card"])
    assert not reaches(rate, folds, "pay", [])
    assert not reaches(one, folds, "pay", ["card"])
    assert reaches(Fold("m", "desk", ("shop",), "count", match=("place",)), [], "pay", ["place"])
    assert reaches(Fold("h", "pay", (), "hour"), [], "pay", [])
    assert not reaches(Fold("h", "pay", (), "hour"), [], "desk", [])
