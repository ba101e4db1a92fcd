"""Windows and keys that are declared wrong: every message, with what was found and what is allowed."""

import pytest

from quanheng.features.fold import EventLayout, Fold
from quanheng.features.plan import Plan
from quanheng.features.zones import zone_words
from quanheng.kernel.errors import DeclarationError
from quanheng.kernel.zones import is_zone, local_ms

PAY = EventLayout("pay", 1, ("card", "shop"), ("amount",))
LINK = EventLayout("link", 2, ("desk", "shop"), ())
SHOP = Fold("shop", "pay", ("card",), "last", "shop")


def count(**more):
    return Fold("f", "pay", ("card",), "count", **more)


@pytest.mark.parametrize(
    ("fold", "message"),
    [
        (count(since="hour"), "`since` names no unit; was 'hour'; allowed: day, week, month, quarter, year."),
        (count(since="day", zone="Mars/Base"), "no such time zone; was 'Mars/Base'; allowed: an IANA name."),
        (count(since="day", zone="../etc"), "no such time zone; was '../etc'"),
        (count(last=0), "`last` is out of range; was 0; allowed: 1 to 1000000 events."),
        (count(last=10**7), "`last` is out of range; was 10000000"),
        (count(gap_ms=5), "a session needs a window; was none; allowed: `window`."),
        (count(gap_ms=0, window_ms=9), "`gap` is out of range; was 0 ms; allowed: 1 to 9 ms, the window."),
        (count(gap_ms=10, window_ms=9), "`gap` is out of range; was 10 ms"),
        (count(age_ms_max=-1), "`age_max` is out of range; was -1 ms; allowed: 0 to"),
        (count(nth=2), "count takes no `nth`; was 2. Remove it."),
        (Fold("f", "pay", ("card",), "nth_last", "amount"), "nth_last needs `nth`; was none; allowed: 1 to 1000000."),
        (Fold("f", "pay", ("card",), "nth_last", "amount", nth=0), "`nth` is out of range; was 0"),
        (count(match=("card", "shop")), "`match` and `by` differ in length; was card, shop; allowed: card."),
        (count(match=("desk",)), "no event that is decided has these key fields; was desk"),
        (count(through="shop", match=("shop",)), "`through` and `match` exclude each other; was shop."),
        (Fold("f", "pay", ("card", "shop"), "count", through="shop"), "`through` needs one key field in `by`"),
        (count(through="gone"), "`through` names no key; was 'gone'; allowed: shop."),
        (count(through="f"), "`through` names no key; was 'f'; allowed: shop."),
        (Fold("f", "link", ("desk",), "last", "shop"), "no event that is decided has these key fields; was desk"),
    ],
)  # fmt: skip
def test_problem_of_a_window_or_a_key(fold, message):
    with pytest.raises(DeclarationError, match="the folds cannot be compiled") as raised:
        Plan.compile([PAY, LINK], [SHOP, fold], ["pay"], 0)
    assert message in str(raised.value)
    assert "features.toml: fold f" in str(raised.value)


def test_a_circle_of_folds_is_refused_in_each_of_them_and_a_chain_is_not():
    one = Fold("one", "pay", ("card",), "last", "shop", through="two")
    two = Fold("two", "pay", ("card",), "last", "card", through="one")
    with pytest.raises(DeclarationError) as raised:
        Plan.compile([PAY], [one, two], ["pay"], 0)
    assert "fold one: `through` leads in a circle; was one → two → one." in str(raised.value)
    assert "fold two: `through` leads in a circle; was two → one → two." in str(raised.value)
    assert "no event that is decided" not in str(raised.value)
    plan = Plan.compile([PAY], [one, Fold("two", "pay", ("card",), "last", "card", through="shop"), SHOP], ["pay"], 0)
    assert [table.through for table in plan.tables] == [None, "shop", "two"]


def test_the_rules_of_time_zones_are_part_of_the_digest(monkeypatch):
    before = Plan.compile([PAY], [count(since="day", zone="Europe/Berlin")], ["pay"], 0).digest
    assert before == Plan.compile([PAY], [count(since="day", zone="Europe/Berlin")], ["pay"], 0).digest
    monkeypatch.setattr("quanheng.features.plan.zone_words", lambda name: (1, 0, 5, 3_600_000))
    assert before != Plan.compile([PAY], [count(since="day", zone="Europe/Berlin")], ["pay"], 0).digest


def test_words_of_a_zone():
    assert zone_words("UTC") == (0, 0)
    changes, first, *rest = zone_words("Asia/Shanghai")
    assert (first, rest[0], rest[changes]) == (29_143_000, -2_177_481_943_000, 28_800_000)
    assert not is_zone("Mars/Base")
    assert local_ms("Asia/Shanghai", 1_700_000_000_000) - 1_700_000_000_000 == 28_800_000
    assert local_ms("Asia/Shanghai", -(2**50)) + 2**50 == 29_143_000
