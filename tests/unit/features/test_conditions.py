"""Conditions and calendars that cannot be used say where, what was found, and the cure; known days of China."""

import datetime as dt

import polars as pl
import pytest

from quanheng.features import flags
from quanheng.features.backfill import backfill
from quanheng.features.calendars import calendar_words
from quanheng.features.conditions import ROWS_MAX, compile_condition, fields_of
from quanheng.features.fold import EventLayout, Fold
from quanheng.features.plan import Plan
from quanheng.features.reach import reaches
from quanheng.features.zones import zone_words
from quanheng.feel.limits import LIMITS, configure
from quanheng.kernel.calendars import DECLARED, NOT_COVERED, OFF, WORK, Calendar, CalendarYear
from quanheng.kernel.errors import DeclarationError, ExpressionError, InputError
from quanheng.kernel.zones import local_ms
from quanheng.loading.checks.calendars import shipped_calendars

PAY = EventLayout(
    "pay", 1, ("card", "peer"), ("amount", "rate", "vip", "way", "other"), (2, 12, 0, 0, 0),
    (("way", ("web", "desk")), ("other", ("in", "out"))), ("vip",),
)  # fmt: skip
DESK = EventLayout("desk", 2, ("card",), ())
DAYS = {"days": Calendar("days", (7,), (CalendarYear(2026, (), (), "own"),))}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('card = "x"', "a condition of a fold cannot use the key field card like this: windows are folded from the"),
        ('card = "x"', "comparison with null, or = and != with another key field of the same entity. Declare what you"),
        ('starts with(card, "x")', "cannot use the key field card like this"),
        ("card < peer", "cannot use the key field card like this"),
        ("card between peer and peer", "cannot use the key field card like this"),
        ('card in ("x", peer)', "cannot use the key field card like this"),
        ('card in ["x"]', "cannot use the key field card like this"),
        ("string(card) = string(peer)", "cannot use the key field card like this"),
        ("count([card]) = 1", "cannot use the key field card like this"),
        ('(if vip then card else peer) = "x"', "cannot use the key field card like this"),
        ('way = "shop"', "way has no such choice; was shop; allowed: web, desk"),
        ('amount / 2 > 1 and way = "shop"', "way has no such choice; was shop; allowed: web, desk"),
        ('"shop" != way', "way has no such choice; was shop; allowed: web, desk"),
        ('way in ("web", "shop")', "way has no such choice; was shop; allowed: web, desk"),
        ('way in ["web", "shop"]', "way has no such choice; was shop; allowed: web, desk"),
        ("amount", "a condition must be true or false; was number"),
        ("upper case(way)", "a condition must be true or false; was string"),
        ("holiday", "a condition that asks for days off needs a calendar"),
        ("modulo(amount, 2) = 0 and workday", "a condition that asks for days off needs a calendar; was workday"),
        ("now() > moment", "a condition of a fold cannot ask now(): what an event is in a window for must not depend"),
        ("today() > date(moment)", "allowed: `moment`, the event's own time, and hour, weekday, month_day, month,"),
        ("{f: function(x) x, r: f(amount)}.r > 1", "a condition of a fold cannot define a function: how deep it may"),
        ("(function(x) x > 1)(amount)", "a condition of a fold cannot define a function"),
        ("append([], function(x) x > 1)[1](amount)", "a condition of a fold cannot define a function"),
        ('way in list("deny")', "a condition of a fold cannot ask a list: lists change, and a window that is folded"),
        ('vip or card in list("deny")', 'was list("deny"); allowed: fields of the event, and words of its time. Ask'),
        ("memo = null", "the name 'memo' is not known here; allowed: amount, card, holiday, hour, moment, month"),
        ("vip > 1", "boolean has no order"),
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
        "time": [1, 2, 3], "card": ["a", "a", "a"], "peer": ["a", "b", None],
        "amount": [1, 2, 3], "rate": [1, 2, 3], "vip": [True, None, False],
        "way": ["web", None, "desk"], "other": ["in", "out", "in"],
    })  # fmt: skip
    found = backfill(plan, frame)
    assert found["ways"].to_list() == [1.0, 1.0, 2.0]
    assert found["web"].to_list() == [1.0, 1.0, 1.0]
    with pytest.raises(InputError, match="the column holds a text that is none of the choices"):
        backfill(plan, frame.with_columns(way=pl.lit("shop")))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('amount > 1 and way = "web"', "machine"),
        ('starts with(way, "we")', "machine"),
        ('starts with(way, "we") or amount > 5 and night', "machine"),
        ("if vip then amount > 10 else amount > 5", "machine"),
        ("if vip then (if night then amount > 3 else true) else null", "machine"),
        ("way = other", "machine"),
        ('way < "web"', "machine"),
        ('"web" = "web"', "machine"),
        ("1 / 2 > 0.4", "machine"),
        ('list contains(["desk", "shop"], way)', "machine"),
        ("modulo(weekday, 2) = 0 and hour / 3 > 1", "machine"),
        ("every x in [way, other] satisfies string length(x) > 2", "machine"),
        ("hour * month_day * month > 100", "machine"),
        ("hour / month_day / month > 1", "flag"),
        ("amount / 2 > 1", "flag"),
        ("floor(amount) > 1", "flag"),
        ("amount > 99999999999999999999", "flag"),
        ("amount > 0.0000000000000000001", "flag"),
        ("rate * rate > 1", "flag"),
        (" or ".join(["amount > 1"] * 159), "flag"),
        (" or ".join(["amount > 1"] * 120), "machine"),
        ("(" + " or ".join(["amount > 1"] * 100) + ") and (" + " or ".join(["amount > 2"] * 100) + ")", "both"),
        ("card = peer", "machine"),
        ("card in (null, peer) and null != peer", "machine"),
        ("amount / 2 > 1 or card = peer", "flag"),
        ("moment.minute >= 30", "flag"),
        ("night and amount / 2 > 1", "both"),
        ("amount / 2 > 1 or vip", "flag"),
        ("amount + 1 > 2 and modulo(amount, 2) = 0", "flag"),
        ('vip and (night and (modulo(amount, 2) = 0 and way = "web"))', "both"),
        ("sort([amount, 1], function(x, y) x < y)[1] = 1", "flag"),
        ("[true][amount]", "flag"),
    ],
)
def test_who_says_a_condition(text, said):
    """Instructions of the kernel where they can, FEEL where they cannot, both for parts of an `and`."""
    condition = compile_condition(PAY, text)
    parts = (condition.flag is None or len(condition.instructions) > 1, condition.flag is not None)
    assert {"machine": (True, False), "flag": (False, True), "both": (True, True)}[said] == parts


def test_a_part_is_tried_with_all_that_its_words_can_be_up_to_a_limit():
    assert 24 * 13 * 3 <= ROWS_MAX < 24 * 31 * 12
    assert compile_condition(PAY, "modulo(hour, 5) = modulo(month, 5)").flag is None
    assert compile_condition(PAY, "modulo(hour, 5) = modulo(month_day * month, 5)").flag is not None


def test_which_fields_a_condition_reads():
    assert fields_of(PAY, "floor(amount) > 1 and card = peer and (some hour in [1, 2] satisfies hour = rate)") == (
        "amount", "card", "peer", "rate",
    )  # fmt: skip
    assert fields_of(PAY, "some amount in [1] satisfies amount > 0") == ()
    assert fields_of(PAY, "amount >") == ()


def test_folds_of_one_condition_share_a_ring():
    def tables(*texts, **settings):
        folds = [Fold(f"f{place}", "pay", ("card",), "count", where=text) for place, text in enumerate(texts)]
        folds += [Fold("other", "pay", ("card",), "count", where=texts[0], **settings)] if settings else []
        plan = Plan.compile([PAY], folds, ["pay"], 0)
        return len(plan.tables), len(plan.flags)

    assert tables("amount > 1", "amount  >  1.0", "amount > 2", None) == (3, 0)
    assert tables("amount / 2 > 1", "amount/2>1", "(amount / 2) > 1", "amount / 2 > 3", None) == (3, 2)
    assert tables('starts with(way, "w")', 'way = "web"', 'way in ("web")') == (1, 0)
    assert tables("string(amount) = string(1)", "string(amount) = string(1.0)") == (2, 2)
    assert tables("amount / 2 > 1 and night", zone="Asia/Shanghai") == (2, 1)
    assert tables("moment.minute > 1", zone="Asia/Shanghai") == (2, 2)
    assert tables("amount / 2 > 1", zone="Asia/Shanghai") == (1, 1)


def test_a_plan_with_flags_is_another_one_under_other_limits():
    """What was given up under the limits of then stands in its windows."""
    plans = []
    for text in ("amount / 2 > 1", "amount > 1"):
        before = Plan.compile([PAY], [Fold("f", "pay", ("card",), "count", where=text)], ["pay"], 0).digest
        work = LIMITS.work
        configure(work=work - 1)
        try:
            after = Plan.compile([PAY], [Fold("f", "pay", ("card",), "count", where=text)], ["pay"], 0).digest
        finally:
            configure(work=work)
        plans.append(before == after)
    assert plans == [False, True]


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
    assert calendar_words(Calendar("none", (6, 7), ())) == (0, 0)


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


def test_no_condition_makes_loading_long():
    """A part is tried with all that its words can be only as long as all of it costs what one evaluation may."""
    costly = "count(for i in 1..2000 return i) > hour * weekday * month"
    assert compile_condition(PAY, costly).flag is not None
    assert compile_condition(PAY, costly.replace("2000", "20")).flag is None


def test_a_condition_too_deep_for_the_stack_is_refused(monkeypatch):
    def too_deep(*_):
        raise RecursionError

    monkeypatch.setattr(flags, "compile_tree", too_deep)
    with pytest.raises(ExpressionError) as raised:
        compile_condition(PAY, "amount / 2 > 1", where="shop.f")
    assert str(raised.value) == (
        "shop.f, line 1, column 1: the condition is nested too deeply for the stack it is compiled on. Split it into"
        " several folds."
    )


def test_answers_are_forgotten_when_they_are_too_many(monkeypatch):
    monkeypatch.setattr(flags, "REMEMBERED_MAX", 3)
    known = flags.Remembered(compile_condition(PAY, "amount / 2 > 1").flag)
    assert [known[(number,)] for number in (100, 200, 201, 300, 300, 100)] == [0, 0, 1, 1, 1, 0]
    assert set(known) == {(300,), (100,)}
