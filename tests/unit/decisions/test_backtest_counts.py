# ruff: noqa: E501  (texts under test stand whole, on one line)
"""What a comparison counts, against plain counting of all rows at once; labels; the page of the report."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quanheng.decisions.backtest import compare, rows
from quanheng.decisions.backtest.compare import OTHER, Comparison
from quanheng.decisions.backtest.labels import label_figures
from quanheng.decisions.backtest.money import amount, amounts
from quanheng.decisions.backtest.page import page
from quanheng.decisions.backtest.report import Books, report
from quanheng.decisions.backtest.rows import Rows, Shape, Shapes, Verdict
from quanheng.decisions.backtest.rules import Rule, RuleBook

OUTCOMES = ["approve", "review", "decline"]
RULES = RuleBook([Rule("t", n, (("x", f"> {n}"),), (("reason", f'"r{n}"'),), "") for n in (1, 2, 3)])
VERDICTS = {
    "approve": Verdict("approve", "decided", [], [("t", (), None)]),
    "review": Verdict("review", "decided", ["r1"], [("t", (1,), ["r1"])]),
    "decline": Verdict("decline", "decided", ["r1", "r2"], [("t", (1, 2), ["r1", "r2"])]),
}
one_row = st.fixed_dictionaries(
    {
        "time": st.integers(0, 5 * compare.DAY_MS),
        "was": st.sampled_from(OUTCOMES),
        "now": st.sampled_from(OUTCOMES),
        "money": st.none() | st.integers(0, 2**62),
        "currency": st.sampled_from(["EUR", "JPY"]),
        "channel": st.sampled_from(["web", "chip", "(none)"]),
        "score": st.none() | st.floats(0, 1),
        "label": st.sampled_from([True, False, None]),
    }
)


def counted(given_rows, chunk, sample_max=10):
    shapes = Shapes()
    made = Comparison(shapes, ["channel"], sample_max)
    for first in range(0, len(given_rows), chunk):
        some = given_rows[first : first + chunk]
        column = {name: [row[name] for row in some] for name in some[0]}
        ids = list(range(first, first + len(some)))
        was, now = ([shapes.number(VERDICTS[row[side]]) for row in some] for side in ("was", "now"))
        made.add(
            Rows(
                ids,
                column["time"],
                was,
                now,
                column["money"],
                column["currency"],
                {"channel": column["channel"]},
                column["score"],
                column["label"],
            )
        )
    return made


def told(made):
    return report(made, Books(RULES, RULES, {}, {"r1": {"en": "one", "zh": "一"}}, OUTCOMES))


@settings(deadline=None)
@given(st.lists(one_row, min_size=1, max_size=60), st.integers(1, 70))
def test_counts_equal_plain_counting_whatever_the_chunks(given_rows, chunk):
    made = told(counted(given_rows, chunk))
    for row, was in enumerate(OUTCOMES):
        for column, now in enumerate(OUTCOMES):
            alike = [one for one in given_rows if (one["was"], one["now"]) == (was, now)]
            assert made["matrix"][row][column] == len(alike)
            for currency in ("EUR", "JPY"):
                expected = sum(one["money"] or 0 for one in alike if one["currency"] == currency)
                assert made["value"].get(currency, [[0] * 3] * 3)[row][column] == expected
    assert (
        made["changed"]
        == sum(one["was"] != one["now"] for one in given_rows)
        == sum(one["count"] for one in made["changes"])
    )
    assert made["decisions"] == len(given_rows)
    for segment in made["segments"][0]["rows"]:
        alike = [one for one in given_rows if one["channel"] == segment["value"]]
        assert (segment["decisions"], segment["changed"]) == (
            len(alike),
            sum(one["was"] != one["now"] for one in alike),
        )
    assert sum(day["baseline"]["decline"] for day in made["days"]) == sum(one["was"] == "decline" for one in given_rows)
    hits = {one["rule"]: one["hits"] for one in made["rules"]["candidate"]}
    assert hits == {
        1: sum(one["now"] != "approve" for one in given_rows),
        2: sum(one["now"] == "decline" for one in given_rows),
        3: 0,
    }
    assert [one["rule"] for one in made["never_fired"]["candidate"]] == [n for n in (1, 2, 3) if not hits[n]]
    assert told(counted(given_rows, len(given_rows))) == made


def test_a_change_names_rules_and_reasons_that_differ():
    made = told(counted([row("review", "decline"), row("decline", "approve")], 1))
    first, second = sorted(made["changes"], key=lambda one: one["from"])
    assert ([one["rule"] for one in first["rules_lost"]], first["rules_gained"]) == ([1, 2], [])
    assert ([one["rule"] for one in second["rules_gained"]], second["rules_lost"]) == ([2], [])
    assert [one["code"] for one in second["reasons_gained"]] == ["r2"]
    assert made["reasons"][0] == {"code": "r1", "en": "one", "zh": "一", "baseline": 2, "candidate": 1}


def row(was, now, **more):
    usual = {
        "time": 0,
        "was": was,
        "now": now,
        "money": 100,
        "currency": "EUR",
        "channel": "web",
        "score": 0.5,
        "label": None,
    }
    return {**usual, **more}


def test_the_same_outcome_for_other_reasons_is_counted():
    shapes = Shapes()
    one, other = (shapes.of(Shape("review", "decided", (code,), ())) for code in ("a", "b"))
    made = Comparison(shapes)
    made.add(Rows([1, 2], [0, 0], [one, one], [other, one], [1, 1], ["", ""], {}, [None] * 2, [None] * 2))
    assert (made.changed, made.only_reasons) == (0, 1)


def test_an_expression_that_decides_is_said_to():
    shapes = Shapes()
    one, other = (shapes.of(Shape(outcome, "decided", (), ())) for outcome in ("review", "approve"))
    made = Comparison(shapes)
    made.add(Rows([1], [0], [one], [other], [None], [""], {}, [None], [None]))
    assert [change["by_expression"] for change in told(made)["changes"]] == [True]


def test_what_is_held_is_bounded(monkeypatch):
    monkeypatch.setattr(compare, "SEGMENT_VALUES_MAX", 2)
    monkeypatch.setattr(compare, "GROUPS_MAX", 1)
    monkeypatch.setattr(rows, "SHAPES_MAX", 2)
    made = counted(
        [row(was, now, channel=f"c{n}") for n, was in enumerate(OUTCOMES) for now in OUTCOMES], 2, sample_max=1
    )
    assert {one["value"] for one in told(made)["segments"][0]["rows"]} == {"c0", "c1", OTHER}
    assert OTHER in [one["from"] for one in told(made)["changes"]]
    assert made.shapes.coarse > 0
    assert sum(map(sum, told(made)["matrix"])) == 9
    assert len(made.samples()) == 6, "one for each change"


def test_the_sample_is_even_and_the_same_every_time():
    many = [row("approve", "review") for _ in range(2_000)]
    first, again = counted(many, 64), counted(many, 333)
    assert first.samples() == again.samples()
    ids = [one.id for one in first.samples()]
    assert len(ids) == 10
    assert max(ids) - min(ids) > 1_000


# caught, wrong, missed, right at the threshold -> precision, recall, false positive rate
def test_label_figures():
    counts = {
        (True, "approve", "decline", "EUR"): 3, (True, "decline", "decline", "EUR"): 1, (False, "approve", "review", "EUR"): 4,
        (False, "approve", "approve", "EUR"): 12, (None, "approve", "decline", "EUR"): 99,
    }  # fmt: skip
    found = label_figures(counts, {(True, "approve", "decline", "EUR"): 500}, OUTCOMES)
    assert (found["labelled"], found["positives"], found["unknown"]) == (20, 4, 99)
    table = [
        (one["flagged_from"], one["side"], one["precision"], one["recall"], one["false_positive_rate"])
        for one in found["rows"]
    ]
    assert table == [
        ("review", "baseline", 1.0, 0.25, 0.0),
        ("review", "candidate", 0.5, 1.0, 0.25),
        ("decline", "baseline", 1.0, 0.25, 0.0),
        ("decline", "candidate", 1.0, 1.0, 0.0),
    ]
    assert [one["caught_value"] for one in found["rows"]] == [{"EUR": 0}, {"EUR": 500}] * 2
    nothing = label_figures({}, {}, OUTCOMES)
    assert {one["precision"] for one in nothing["rows"]} == {None}


def test_amounts_have_the_decimals_of_their_currency():
    assert amount(146495, "EUR") == "1,464.95 EUR"
    assert amount(-5, "JPY") == "-5 JPY"
    assert amount(7, "") == "7"
    assert amount(7, "<x>") == "7 &lt;x&gt;"
    assert amounts({"EUR": 100, "JPY": 1}) == "1.00 EUR<br>1 JPY"
    assert amounts({}) == "–"


# -- the page


class Reading(HTMLParser):
    """Checks that tags nest, and gathers what could reach the network."""

    VOID = frozenset({"meta", "br"})

    def __init__(self):
        super().__init__()
        self.open, self.links, self.tags = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name in ("src", "href", "action", "xlink:href")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture
def whole():
    """A report as the command makes it, with a hostile name wherever a name can come from outside."""
    evil = "<script>alert(1)</script>"
    many = [row(was, now, channel=evil, label=True) for was in OUTCOMES for now in OUTCOMES]
    made = counted(many, 4)
    books = Books(
        RULES,
        RuleBook([Rule("t", 1, (("x", evil),), (("reason", '"r1"'),), evil)]),
        {},
        {"r2": {"en": evil, "zh": evil}},
        OUTCOMES,
    )
    labels = {"event": "shop.complaint", "field": "f", "delay_ms": 0, "known_until_ms": 0}
    side = {"kind": "folder", "as_of_ms": 0, "version": "1", "hash": "ab" * 32, "engine": {"mode": "rows", "why": "y"}}
    return {
        "pack": "shop", "event": "shop.request", "decision": "answer", "as_of": 9, "window": {"from_ms": None, "to_ms": None},
        "vectors": "as served", "candidate": {"name": evil, **side}, "baseline": {"name": "active", **side},
        "left_out": {"erased": 1, "not_readable": 0, "coarse": 0}, "money": "amount_minor", **report(made, books),
        "labels": {**labels, **label_figures(made.labels, made.values["labels"], OUTCOMES)},
    }  # fmt: skip


@pytest.mark.parametrize("changes", [{}, {"labels": None, "score": None, "changes": [], "sample": []}])
def test_the_page_stands_alone_in_two_languages(whole, changes):
    text = page({**whole, **changes})
    reading = Reading()
    reading.feed(text)
    assert reading.open == []
    assert reading.links == []
    assert not re.search(r"https?://|url\(|@import|fetch\(", text)
    assert "<script>alert" not in text
    assert reading.tags.count("script") == 1
    assert reading.tags.count("svg") >= 3
    for words in (
        "Outcomes",
        "结果矩阵",
        "Value at stake",
        "涉及金额",
        "baseline",
        "候选策略",
        "prefers-color-scheme:dark",
    ):
        assert words in text
    assert text.count('class="en"') == text.count('class="zh"')


def test_a_report_of_nothing_has_a_page(whole):
    empty = report(Comparison(Shapes(), ["channel"]), Books(RULES, RULES, {}, {}, OUTCOMES))
    reading = Reading()
    reading.feed(page({**whole, **empty, "labels": None}))
    assert reading.open == []
