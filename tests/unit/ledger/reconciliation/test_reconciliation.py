"""Each reason for a match and for a break has a row; tables, statements from files, items of the ledger."""

from __future__ import annotations

from decimal import Decimal

import polars as pl
import pytest

from quanheng.kernel.errors import InputError
from quanheng.ledger.closing.general_ledger import id_text, write
from quanheng.ledger.closing.journal import books_of
from quanheng.ledger.entries import ALL, Account, Transfer, TransferFlag
from quanheng.ledger.ledger import Ledger
from quanheng.ledger.reconciliation.matching import reconcile
from quanheng.ledger.reconciliation.rules import BreakKind, Fee, Item, MatchKind, Rules
from quanheng.ledger.reconciliation.tables import (
    BREAK_COLUMNS,
    breaks_table,
    bucket,
    items_of_account,
    matches_table,
    read_statement,
)

M, B = MatchKind, BreakKind
CARD = Fee("card fee", 10, Decimal("0.02"))
RULES = Rules(tolerance_minor=2, fees=(CARD,))
# kind -> ledger, statement, difference, days, detail
MATCHES = [
    (M.REFERENCE, [Item("1", 500, 3, "a")], [Item("x", 500, 5, "a")], 0, 2, ""),
    (M.BATCH, [Item("1", 500, 3, "a", "z"), Item("2", 300, 4, "b", "z")], [Item("x", 774, 5, "z")], 26, 2, "card fee"),
    (M.REVERSED, [Item("1", 500, 3, "a"), Item("2", -500, 9, "b", reverses="1")], [], 0, 0, ""),
    (M.AMOUNT, [Item("1", 500, 3, "a")], [Item("x", 500, 5)], 0, 2, ""),
    (M.TIMING, [Item("1", 500, 3, "a")], [Item("x", 500, 10, "a")], 0, 7, ""),
    (M.FEE, [Item("1", 500, 3, "a")], [Item("x", 480, 10, "a")], 20, 7, "card fee"),
    (M.TOLERANCE, [Item("1", 500, 3, "a")], [Item("x", 502, 5, "a")], -2, 2, ""),
    (M.GROUP, [Item("1", 500, 3, "a")], [Item("x", 200, 5), Item("y", 300, 5)], 0, 2, ""),
]


@pytest.mark.parametrize("row", MATCHES, ids=[row[0] for row in MATCHES])
def test_each_reason_for_a_match(row):
    kind, ledger, statement, *told = row
    found = reconcile(ledger, statement, RULES)
    assert found.breaks == ()
    [match] = found.matches
    assert match == (kind, tuple(one.id for one in ledger), tuple(one.id for one in statement), *told)


# kind -> ledger, statement, side and id of the break, the other, difference
BREAKS = [
    (B.DUPLICATE, [Item("1", 500, 3, "a"), Item("2", 500, 3, "a")], [Item("x", 500, 3, "a")], "ledger", "2", "1", 0),
    (B.AMOUNT_DIFFERS, [Item("1", 500, 3, "a")], [Item("x", 400, 3, "a")], "statement", "x", "1", 100),
    (B.DATE_DIFFERS, [Item("1", 500, 3, "a")], [Item("x", 500, 30, "a")], "ledger", "1", "x", 0),
    (B.NOT_IN_STATEMENT, [Item("1", 500, 3, "a")], [Item("x", 500, 3, "b")], "ledger", "1", "", 0),
    (B.NOT_IN_LEDGER, [Item("1", 500, 3, "a")], [Item("x", 500, 3, "b")], "statement", "x", "", 0),
]


@pytest.mark.parametrize("row", BREAKS, ids=[row[0] for row in BREAKS])
def test_each_reason_for_a_break(row):
    kind, ledger, statement, side, id, other, difference = row
    found = {(one.side, one.item.id): one for one in reconcile(ledger, statement, RULES).breaks}
    assert found[side, id].kind == kind
    assert (found[side, id].other, found[side, id].difference_minor) == (other, difference)


def test_every_reason_has_a_row_and_titles():
    assert [row[0] for row in MATCHES] == list(M)
    assert [row[0] for row in BREAKS] == list(B)
    assert all(one.en and one.zh for one in (*M, *B))


def test_the_fewest_and_earliest_are_put_together():
    ledger = [Item("a", 1, 3), Item("b", 2, 3), Item("c", 3, 3), Item("d", 3, 3), Item("e", 2, 2)]
    [match] = reconcile(ledger, [Item("x", 5, 3, "n")], Rules()).matches
    assert match.ledger == ("e", "c")


def test_a_fee_on_money_that_went_out_is_paid_on_top():
    [match] = reconcile([Item("1", -500, 3, "a")], [Item("x", -520, 3, "a")], RULES).matches
    assert (match.kind, match.difference_minor) == (M.FEE, 20)


def test_an_id_that_stands_twice_is_told():
    with pytest.raises(InputError, match="an id stands twice on one side") as caught:
        reconcile([], [Item("x", 1, 1), Item("y", 1, 1), Item("x", 2, 1)], RULES)
    assert (caught.value.where, caught.value.found) == ("statement", "'x'")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("window_days", -1), ("timing_days", 2), ("tolerance_minor", -1), ("fees", (Fee("x", -1),)),
        ("fees", (Fee("x", 0, Decimal(1)),)), ("fees", (Fee("x", 0, rounding="up"),)), ("group_max", 0),
        ("group_max", 7), ("candidates_max", 41), ("buckets_days", (7, 1)),
    ],
)  # fmt: skip
def test_rules_that_cannot_be_are_told(field, value):
    with pytest.raises(InputError, match="the rules of reconciliation cannot be") as caught:
        reconcile([], [], Rules(**{field: value}))
    assert caught.value.where == f"rules.{field}"


def test_ages_fall_into_buckets():
    assert [bucket(age, (1, 7, 30)) for age in (0, 1, 2, 7, 8, 30, 31)] == [
        "0-1", "0-1", "2-7", "2-7", "8-30", "8-30", "31+",
    ]  # fmt: skip
    assert bucket(5, ()) == "0+"


def test_breaks_are_a_table_and_a_file(tmp_path):
    found = reconcile([Item("1", 500, 10, "a")], [Item("x", 400, 15, "a"), Item("y", 7, 99)], RULES)
    table = breaks_table(found, RULES, today=20)
    write(table, tmp_path / "breaks.csv")
    read = pl.read_csv(tmp_path / "breaks.csv", schema=BREAK_COLUMNS)
    assert read.equals(
        table.with_columns(pl.col("other").replace("", None), pl.col("reference").replace("", None))
    ) or (read.equals(table))
    assert table["age_days"].to_list() == [10, 5, 0]
    assert table["bucket"].to_list() == ["8-30", "2-7", "0-1"]
    assert table["reason"].to_list() == ["AMOUNT_DIFFERS", "AMOUNT_DIFFERS", "NOT_IN_LEDGER"]
    assert table["difference_minor"].to_list() == [100, 100, 0]


def test_matches_are_a_table():
    table = matches_table(reconcile(*MATCHES[1][1:3], RULES))
    assert table.rows() == [("BATCH", "1 2", "x", 26, 2, "card fee")]


def test_a_statement_is_read_from_a_file(tmp_path):
    path = tmp_path / "statement.csv"
    path.write_text("date,amount,text,run\n2024-06-03, 12.50 ,a,z\n2024-06-04,-3.00,,\n")
    assert read_statement(path, "EUR", "date", "amount", "text", "run") == [
        Item("line 2", 1_250, 19_877, "a", "z"), Item("line 3", -300, 19_878),
    ]  # fmt: skip
    with pytest.raises(InputError, match="the statement lacks a column") as caught:
        read_statement(path, "EUR", "date", "value", "text")
    assert caught.value.allowed == "value"


@pytest.mark.parametrize("line", ["03.06.2024,1.00,a", "2024-06-03,1.001,a", "2024-06-03,,a", ",1.00,a"])
def test_a_line_that_cannot_be_read_is_told(tmp_path, line):
    path = tmp_path / "statement.csv"
    path.write_text(f"date,amount,text\n{line}\n")
    with pytest.raises(InputError, match="a line of the statement cannot be read") as caught:
        read_statement(path, "EUR", "date", "amount", "text")
    assert caught.value.where.endswith("line 2")


def test_items_of_an_account_of_the_ledger():
    ledger = Ledger()
    ledger.open_accounts([Account(1, 1, 1), Account(2, 1, 1), Account(3, 1, 1)], 0, 0)
    ledger.transfer(
        [Transfer(10, 1, 2, 500, 1, user_data=7), Transfer(11, 2, 1, 30, 1), Transfer(12, 2, 3, 9, 1)], 0, 4
    )
    ledger.transfer([Transfer(13, amount_minor=ALL, flags=TransferFlag.REVERSAL, reference=11)], 0, 5)
    found = items_of_account(books_of(ledger), 1, lambda line: f"n{line.user_data}", lambda line: "z")
    assert found == [
        Item(id_text(10), 500, 4, "n7", "z"), Item(id_text(11), -30, 4, "n0", "z"),
        Item(id_text(13), 30, 5, "n0", "z", id_text(11)),
    ]  # fmt: skip
    assert items_of_account(books_of(ledger), 1, lambda line: "")[0].batch == ""
