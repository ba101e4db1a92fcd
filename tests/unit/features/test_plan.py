"""Declarations that are wrong: every problem at once, each with what was found, what is known, and the cure."""

from dataclasses import replace
from decimal import Decimal

import pytest

from quanheng.features.fold import EventLayout, Fold
from quanheng.features.plan import Plan
from quanheng.kernel.errors import DeclarationError

PAY = EventLayout("pay", 1, ("card",), ("amount",))
OTHER = EventLayout("other", 2, ("card", "desk"), ())


HALF = Decimal("0.5")


def percentile(quantile, accuracy="0.01"):
    more = {"quantile": Decimal(quantile), "accuracy": Decimal(accuracy)}
    return Fold("f", "pay", ("card",), "percentile", "amount", **more)


def compiled(*folds, layouts=(PAY, OTHER), decide=("pay",), lateness_ms=0):
    return Plan.compile(layouts, folds, decide, lateness_ms)


@pytest.mark.parametrize(
    ("fold", "message"),
    [
        (Fold("f", "pay", ("card",), "median", "amount"), "no such kind of fold; was 'median'"),
        (Fold("f", "pai", ("card",), "count"), "no such event type; was 'pai'"),
        (Fold("f", "pay", ("desk",), "count"), "no such key field; was 'desk'"),
        (Fold("f", "pay", ("card", "card"), "count"), "a key field is named twice in `by`"),
        (Fold("f", "pay", ("card",), "count", "amount"), "count takes no value; was 'amount'"),
        (Fold("f", "pay", ("card",), "time_since", "amount"), "time_since takes no value"),
        (Fold("f", "pay", ("card",), "sum"), "sum needs a value; was none; allowed: amount. Add `value`."),
        (Fold("f", "pay", ("card",), "sum", "card"), "sum cannot read this field; was 'card'"),
        (Fold("f", "pay", ("card",), "count", window_ms=0), "`window` is out of range; was 0 ms"),
        (Fold("f", "pay", ("card",), "count", delay_ms=-1), "`delay` is out of range; was -1 ms"),
        (Fold("f", "pay", ("card",), "count", current="maybe"), "`current` is neither in nor out; was 'maybe'"),
        (
            Fold("f", "pay", ("card",), "ratio", "amount"),
            "ratio needs `other`; was none; allowed: amount. Add a second",
        ),
        (Fold("f", "pay", ("card",), "ratio", "amount", other="card"), "ratio cannot read `other`; was 'card'"),
        (
            Fold("f", "pay", ("card",), "sum", "amount", other="amount"),
            "sum takes no `other`; was 'amount'. Remove it.",
        ),
        (Fold("f", "pay", ("card",), "trend", "amount"), f"trend needs `per_ms`; was none; allowed: 1 to {2**60} ms"),
        (Fold("f", "pay", ("card",), "trend", "amount", per_ms=0), "`per_ms` is out of range; was 0 ms"),
        (Fold("f", "pay", ("card",), "sum", "amount", per_ms=5), "sum takes no `per_ms`; was 5. Remove it."),
        (
            Fold("f", "pay", ("card",), "decayed_count"),
            f"decayed_count needs `half_life_ms`; was none; allowed: 1 to {2**52}",
        ),
        (Fold("f", "pay", ("card",), "decayed_count", half_life_ms=2**52 + 1), "`half_life_ms` is out of range"),
        (Fold("f", "pay", ("card",), "count", half_life_ms=1), "count takes no `half_life_ms`"),
        (Fold("f", "pay", ("card",), "change", "amount"), "change needs a window; was all history"),
        (
            Fold("f", "pay", ("card",), "change", "amount", 5, last=3, gap_ms=2),
            "change compares two windows of time; was `last`, `gap_ms`. Declare `window` alone.",
        ),
        (Fold("f", "pay", ("card",), "change", "card", 5), "change cannot read this field; was 'card'"),
        (Fold("f", "pay", ("card",), "top"), "top needs a value; was none; allowed: amount, card"),
        (Fold("f", "pay", ("card",), "count", quantile=HALF), "count takes no `quantile`; was 0.5; allowed: perc"),
        (Fold("f", "pay", ("card",), "max", "amount", accuracy=HALF), "max takes no `accuracy`; was 0.5"),
        (Fold("f", "pay", ("card",), "top", "amount", exact_max=3), "top takes no `exact_max`; was 3"),
        (
            Fold("f", "pay", ("card",), "percentile", "amount"),
            "percentile needs a quantile; was none; allowed: above 0, at most 1. Add `quantile`.",
        ),
        (percentile("0"), "`quantile` is out of range; was 0; allowed: above 0, at most 1"),
        (percentile("1.1"), "`quantile` is out of range; was 1.1"),
        (percentile("0.1234567"), "`quantile` has too many decimals; was 0.1234567; allowed: at most 6 decimals"),
        (percentile("0.5", "0.0009"), "`accuracy` is out of range; was 0.0009; allowed: 0.001 to 0.2"),
        (percentile("0.5", "0.21"), "`accuracy` is out of range; was 0.21"),
        (
            Fold("f", "pay", ("card",), "distinct", "amount", 1000, exact_max=9),
            "`exact_max` is for all history; was window; allowed: no window. Remove `exact_max`: over a window",
        ),
        (Fold("f", "pay", ("card",), "distinct", "amount", last=5, exact_max=9), "is for all history; was last"),
        (Fold("f", "pay", ("card",), "distinct", "amount", exact_max=0), "`exact_max` is out of range; was 0"),
        (
            Fold("f", "pay", ("card",), "distance", "amount"),
            "distance needs a second field; was none; allowed: amount. Name the longitude in `other`",
        ),
        (
            Fold("f", "pay", ("card",), "speed", "amount", other="card"),
            "speed cannot read this field as `other`; was 'card'; allowed: amount. Use a number field.",
        ),
        (Fold("f", "other", ("desk",), "count"), "no event that is decided has these key fields; was desk"),
    ],
)
def test_problem_of_a_fold(fold, message):
    with pytest.raises(DeclarationError, match="the folds cannot be compiled") as raised:
        compiled(fold)
    assert message in str(raised.value)
    assert "features.toml: fold f" in str(raised.value)


def test_all_problems_are_reported_at_once():
    with pytest.raises(DeclarationError) as raised:
        compiled(
            Fold("a", "pay", ("card",), "sum"), Fold("a", "pay", ("card",), "count"), decide=("pay", "gone"),
            layouts=(PAY, OTHER, EventLayout("third", 2, (), ("x",), (1, 2))), lateness_ms=-1,
        )  # fmt: skip
    text = str(raised.value)
    assert len(raised.value.problems) == 6
    for part in ("sum needs a value", "the name is used twice", "no such event type; was 'gone'",
                 "lateness_ms: out of range",
                 "another event type has the same code", "one scale per number"):  # fmt: skip
        assert part in text
    with pytest.raises(DeclarationError, match="the type code is out of range; was 65536"):
        compiled(layouts=(EventLayout("wide", 65536, (), ()),), decide=())
    with pytest.raises(DeclarationError, match="a scale is out of range; was 19; allowed: 0 to 18"):
        compiled(layouts=(EventLayout("fine", 1, (), ("x",), (19,)),), decide=())


def test_columns_names_and_digest():
    folds = [Fold("n", "pay", ("card",), "count"), Fold("m", "pay", ("card",), "mean", "amount", 5)]
    plan = compiled(*folds)
    assert [column.name for column in plan.columns] == ["n", "m.sum", "m.count"]
    assert plan.names == ("n", "m")
    assert plan.digest == compiled(*folds).digest
    assert plan.digest != compiled(*folds, lateness_ms=1).digest


def test_folds_that_share_a_ring_share_a_table_and_edges():
    plan = compiled(
        Fold("a", "pay", ("card",), "count", None, 10),
        Fold("b", "pay", ("card",), "sum", "amount", 20),
        Fold("c", "pay", ("card",), "sum", "amount", 10, 10),
    )
    assert [(table.bounds, table.values) for table in plan.tables] == [([0, 10, 20], ["amount"])]


def test_degrees_with_too_many_decimals():
    layout = EventLayout("pay", 1, ("card",), ("latitude", "longitude"), (16, 6))
    fold = Fold("f", "pay", ("card",), "distance", "latitude", other="longitude")
    with pytest.raises(DeclarationError, match="degrees have too many decimals; was 16 of latitude; allowed: at"):
        compiled(fold, layouts=[layout])


def test_folds_over_the_same_values_share_a_structure():
    kinds = ("distinct", "top", "top_share", "entropy")
    folds = [Fold(kind, "pay", ("card",), kind, "amount", 1000) for kind in kinds]
    quarters = [replace(percentile(one), name=f"q{one}", window_ms=1000) for one in ("0.25", "0.75")]
    assert len(compiled(*folds, *quarters).tables[0].sets) == 2


def test_tables_of_a_plan_are_written_once():
    windows = [replace(percentile("0.5"), name=f"q{days}", window_ms=days) for days in range(1, 31)]
    assert len(compiled(*windows).words) < len(compiled(windows[0]).words) + 1000
