"""Cut-off, seals, trial balance, and the general ledger for other systems."""

from __future__ import annotations

import os
import shutil
import subprocess
from datetime import date
from itertools import count

import polars as pl
import pytest

from quanheng.kernel.calendars import Calendar
from quanheng.kernel.errors import InputError
from quanheng.ledger.closing.balances import TrialRow, balances_daily, trial_balance
from quanheng.ledger.closing.days import DAY_MS, CutOff, SealedDays, broken_seal
from quanheng.ledger.closing.general_ledger import ENTRY_COLUMNS, beancount_text, daily, entries, id_text, trial, write
from quanheng.ledger.closing.journal import books_of
from quanheng.ledger.entries import ALL, Account, Amendment, Transfer, TransferFlag
from quanheng.ledger.instruments.loan.day_count import day_of
from quanheng.ledger.ledger import Ledger
from quanheng.ledger.outcomes import AccountOutcome, TransferOutcome

F = TransferFlag
MONDAY = day_of(date(2024, 6, 3))
CURRENCIES = {1: "EUR", 2: "JPY", 3: "KWD"}


def worked() -> SealedDays:
    """Two entities, three assets, two business days."""
    sealed, ids = SealedDays(Ledger(), CutOff()), count(100)
    accounts = [Account(id, 1, 10 + id // 3, entity=id // 3) for id in range(1, 6)]
    accounts += [Account(id, 2 + (id > 7), 20) for id in range(6, 10)]
    sealed.open_accounts(accounts, MONDAY * DAY_MS, MONDAY)
    for days, debit, credit, amount in [
        (0, 1, 2, 500), (0, 2, 4, 123), (0, 6, 7, 77), (0, 8, 9, 1_234), (1, 4, 5, 23), (1, 2, 1, 100), (1, 7, 6, 7),
    ]:  # fmt: skip
        day = MONDAY + days
        sealed.transfer([Transfer(next(ids), debit, credit, amount, 5)], day * DAY_MS + 9, day)
    sealed.transfer([Transfer(200, 1, 2, 50, 5, F.HOLD)], (MONDAY + 1) * DAY_MS + 9, MONDAY + 1)
    return sealed


def test_a_moment_belongs_to_a_business_day():
    """At 17:30 in Shanghai the next day begins; on a Friday that is the Monday."""
    cut_off = CutOff(8 * 3_600_000, int(17.5 * 3_600_000), Calendar())
    before, friday = (MONDAY + 4) * DAY_MS + int(9.5 * 3_600_000) - 1, MONDAY + 4
    assert cut_off.day_of(before) == friday
    assert cut_off.day_of(before + 1) == MONDAY + 7
    assert CutOff().day_of(MONDAY * DAY_MS - 1) == MONDAY - 1
    assert CutOff().day_of(MONDAY * DAY_MS) == MONDAY


def test_the_trial_balance_by_entity_asset_and_code():
    balance = trial_balance(books_of(worked().ledger), MONDAY + 1)
    assert balance.rows == (
        TrialRow(0, 1, 10, 2, 123, 100, 100, 123),
        TrialRow(0, 2, 20, 2, 0, 7, 7, 0),
        TrialRow(0, 3, 20, 2, 0, 0, 0, 0),
        TrialRow(1, 1, 11, 3, -123, 23, 23, -123),
    )
    assert balance.differences() == {1: 0, 2: 0, 3: 0}
    assert balance.between_entities() == {(0, 1): 123, (1, 1): -123}


def test_holds_are_no_part_of_balances():
    rows = balances_daily(books_of(worked().ledger))
    assert [one for one in rows if one.account == 1] == [
        (MONDAY, 0, 1, 10, 1, 0, 500, 0, 500), (MONDAY + 1, 0, 1, 10, 1, 500, 0, 100, 400),
    ]  # fmt: skip


def test_a_sealed_day_takes_no_posting():
    sealed = worked()
    books = books_of(sealed.ledger)
    assert sealed.sealed == -1
    sealed.seal(books, MONDAY + 1)
    again = Transfer(300, 1, 2, 5, 5)
    now_ms = (MONDAY + 1) * DAY_MS + 10
    for ask, batch in [
        (sealed.transfer, [again]), (sealed.open_accounts, [Account(50, 1, 1)]), (sealed.amend_accounts, [Amendment(1)])
    ]:  # fmt: skip
        with pytest.raises(InputError, match="the business day is closed") as caught:
            ask(batch, now_ms, MONDAY + 1)
        assert (caught.value.found, caught.value.allowed) == ("2024-06-04", "2024-06-05 or later")
    assert books_of(sealed.ledger) == books
    assert sealed.transfer([again], now_ms, MONDAY + 2)[0].outcome == TransferOutcome.APPLIED
    assert sealed.open_accounts([Account(50, 1, 1)], now_ms, MONDAY + 2) == [AccountOutcome.APPLIED]
    assert sealed.amend_accounts([Amendment(1, overdraft_minor=3)], now_ms, MONDAY + 2) == [AccountOutcome.APPLIED]


def test_only_a_reversal_has_its_value_time_in_a_closed_day():
    sealed = worked()
    sealed.seal(books_of(sealed.ledger), MONDAY)
    value_ms, now_ms, day = MONDAY * DAY_MS + 10, (MONDAY + 1) * DAY_MS + 10, MONDAY + 1
    late = Transfer(300, 1, 2, 5, 5, F.IMPORTED, value_ms=value_ms)
    before = books_of(sealed.ledger)
    with pytest.raises(InputError, match="the value time is in a closed business day") as caught:
        sealed.transfer([Transfer(299, 1, 2, 5, 5), late], now_ms, day)
    assert caught.value.where == "transfer 1"
    assert books_of(sealed.ledger) == before
    back = Transfer(301, amount_minor=ALL, flags=F.REVERSAL | F.IMPORTED, reference=100, value_ms=value_ms)
    assert sealed.transfer([back], now_ms, day)[0].outcome == TransferOutcome.APPLIED
    assert broken_seal(sealed.seals, books_of(sealed.ledger)) is None


def test_seals_are_a_chain_that_shows_a_changed_past():
    sealed = worked()
    books = books_of(sealed.ledger)
    sealed.seal(books, MONDAY)
    sealed.seal(books, MONDAY + 1)
    with pytest.raises(InputError, match="the business day was sealed before"):
        sealed.seal(books, MONDAY + 1)
    assert broken_seal(sealed.seals, books) is None
    changed = books._replace(lines=(books.lines[0]._replace(credit=4), *books.lines[1:]))
    assert broken_seal(sealed.seals, changed) == sealed.seals[0]
    assert SealedDays(sealed.ledger, CutOff(), sealed.seals).sealed == MONDAY + 1


def test_books_that_do_not_balance_are_not_sealed():
    sealed = worked()
    books = books_of(sealed.ledger)
    uneven = books._replace(lines=(books.lines[0]._replace(credit=6), *books.lines[1:]))
    with pytest.raises(InputError, match="the books do not balance and cannot be sealed") as caught:
        sealed.seal(uneven, MONDAY)
    assert caught.value.found == "{1: 500, 2: -500}"


@pytest.mark.parametrize(("name", "read"), [("gl.csv", pl.read_csv), ("gl.parquet", pl.read_parquet)])
def test_the_general_ledger_as_a_file(tmp_path, name, read):
    table = entries(books_of(worked().ledger))
    write(table, tmp_path / name)
    found = read(tmp_path / name, schema=ENTRY_COLUMNS)
    assert found.columns == list(ENTRY_COLUMNS)
    assert found.height == 14
    assert found["debit_minor"].sum() == found["credit_minor"].sum() == 2_064
    assert found["account"][0] == id_text(1)
    assert str(found["day"][13]) == "2024-06-04"


def test_a_file_of_another_kind_is_refused(tmp_path):
    with pytest.raises(InputError, match="the general ledger is written as CSV or Parquet"):
        write(pl.DataFrame(), tmp_path / "gl.xls")


def test_days_can_be_chosen():
    assert entries(books_of(worked().ledger), MONDAY + 1, MONDAY + 1).height == 6


def test_balances_as_tables():
    books = books_of(worked().ledger)
    rows = daily(balances_daily(books))
    assert (rows.height, rows["closing_minor"][0], str(rows["day"][0])) == (13, "500", "2024-06-03")
    balance = trial(trial_balance(books, MONDAY + 1))
    assert balance["closing_debit_minor"].to_list() == ["123", "0", "0", "0"]
    assert balance["closing_credit_minor"].to_list() == ["0", "0", "0", "123"]


def test_an_asset_without_currency_is_told():
    with pytest.raises(InputError, match="the assets have no currency") as caught:
        beancount_text(books_of(worked().ledger), {1: "EUR"})
    assert caught.value.found == "[2, 3]"


def test_text_for_beancount_has_the_exponents_of_currencies():
    text = beancount_text(books_of(worked().ledger), CURRENCIES)
    assert "  Equity:E0:C10:A00000000000000000000000000000001  5.00 EUR\n" in text
    assert "  -77 JPY\n" in text
    assert "  1.234 KWD\n" in text
    assert "2024-06-05 balance Equity:E0:C10:A00000000000000000000000000000001  4.00 ~ 0 EUR\n" in text


def test_beancount_finds_the_books_right_and_a_wrong_one_wrong(tmp_path):
    checker = os.environ.get("QUANHENG_TEST_BEAN_CHECK") or shutil.which("bean-check")
    if checker is None:
        pytest.skip("bean-check is not installed, nor named by QUANHENG_TEST_BEAN_CHECK")
    text = beancount_text(books_of(worked().ledger), CURRENCIES)
    for given, right in ((text, True), (text.replace("4.00 ~", "4.01 ~"), False)):
        (tmp_path / "books.beancount").write_text(given)
        ran = subprocess.run([checker, tmp_path / "books.beancount"], capture_output=True, text=True, check=False)
        assert (ran.returncode == 0) is right, ran.stderr
