"""Rules in words, and which rule of one version is which of another."""

from __future__ import annotations

import pytest

from quanheng.decisions.backtest.rules import Rule, RuleBook, align, rule_book, split
from quanheng.decisions.dmn import read_model
from quanheng.loading.new import starter_files

NAMES = {"amount": {"en": "Amount", "zh": "金额"}, "limit": {"en": "The limit", "zh": "上限"}}

# test of a cell -> English, Chinese
WORDS = [
    ("> limit", "“Amount” is above “The limit”", "“金额”高于“上限”"),
    (">= 5", "“Amount” is at least 5", "“金额”不低于5"),
    ("< 5", "“Amount” is below 5", "“金额”低于5"),
    ("<= 5", "“Amount” is at most 5", "“金额”不高于5"),
    ("= 5", "“Amount” is 5", "“金额”为5"),
    ("!= 5", "“Amount” is not 5", "“金额”不为5"),
    ("5", "“Amount” is 5", "“金额”为5"),
    ("null", "“Amount” is missing", "“金额”缺失"),
    ("not(null)", "“Amount” is not missing", "“金额”并非缺失"),
    ("[1..limit)", "“Amount” is at least 1 and below “The limit”", "“金额”不低于1且低于“上限”"),
    ("(1..2]", "“Amount” is above 1 and at most 2", "“金额”高于1且不高于2"),
    ("]1..2[", "“Amount” is above 1 and below 2", "“金额”高于1且低于2"),
    ('"web", "chip"', '“Amount” is "web" or "chip"', '“金额”为"web"或为"chip"'),
    ('not("a", "b")', '“Amount” is not "a" or "b"', '“金额”并非为"a"或为"b"'),
    ('list("blocked")', "“Amount” is on the list blocked", "“金额”在名单blocked中"),
    ('not(list("blocked"))', "“Amount” is not on the list blocked", "“金额”并非在名单blocked中"),
    ("? * 2 > 5", "“Amount”: ? * 2 > 5", "“金额”: ? * 2 > 5"),
]


@pytest.mark.parametrize(("test", "en", "zh"), WORDS, ids=[row[0] for row in WORDS])
def test_a_cell_in_words(test, en, zh):
    rule = Rule("t", 1, (("amount", test),), (("reason", '"r"'),), "")
    assert rule.words(NAMES) == {"en": en, "zh": zh}


def test_a_rule_joins_its_cells():
    rule = Rule("t", 2, (("a", "> 1"), ("b", '"x"')), (("reason", '"r"'), ("rank", "3")), "note")
    assert rule.words() == {"en": 'a is above 1 and b is "x"', "zh": 'a高于1，且b为"x"'}
    assert rule.text == 'a: > 1 and b: "x" -> "r", 3'
    assert Rule("t", 1, (), (("reason", '"r"'),), "").words() == {"en": "always", "zh": "总是"}


def test_commas_in_texts_and_brackets_do_not_split():
    assert split('"a,b", [1, 2], f(1, 2), 3') == ['"a,b"', "[1, 2]", "f(1, 2)", "3"]
    assert split(r'"a\",b", 1') == [r'"a\",b"', "1"]


def test_the_book_of_a_model_holds_the_rules_that_are_asked_for():
    xml = next(content for name, content in starter_files("p").items() if name.endswith(".dmn"))
    definitions = read_model(xml, "p.dmn").definitions
    assert [(one.table, one.number) for one in rule_book([definitions])] == [
        ("decline_reasons", 1), ("review_reasons", 1), ("review_reasons", 2),
    ]  # fmt: skip
    book = rule_book([definitions], ["decline_reasons"])
    assert [one.text for one in book] == ['amount_minor: > amount_max_minor -> "amount_over_limit"']
    assert book.find("review_reasons", 7) == Rule("review_reasons", 7, (), (), "")


def book(*rules):
    return RuleBook([Rule("t", number, tests, (("o", output),), "") for number, tests, output in rules])


def test_rules_are_partners_by_content_then_output_then_tests():
    a, b, c, d = ((("x", f"> {n}"),) for n in range(4))
    before = book((1, a, '"A"'), (2, b, '"B"'), (3, c, '"C"'), (4, d, '"D"'))
    after = book((1, b, '"B"'), (2, a, '"A"'), (3, (("x", "> 9"),), '"C"'), (4, d, '"E"'), (5, (("y", "1"),), '"F"'))
    assert align(before, after) == {("t", 1): ("t", 2), ("t", 2): ("t", 1), ("t", 3): ("t", 3), ("t", 4): ("t", 4)}


def test_of_several_altered_rules_the_nearest_is_the_partner():
    before = book((1, (("x", "1"),), '"A"'), (5, (("x", "5"),), '"A"'))
    after = book(
        (4, (("x", "4"),), '"A"'),
    )
    assert align(before, after) == {("t", 4): ("t", 5)}
