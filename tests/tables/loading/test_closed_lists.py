"""The closed lists of accounts.toml and processes.toml: a row each, on their pages and as the loader reads them."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import get_args

import pytest

from quanheng.ledger.entries import AMOUNT_MAX, AccountFlag
from quanheng.ledger.instruments.loan_book.outcomes import BookOutcome
from quanheng.ledger.outcomes import TransferOutcome
from quanheng.loading import check_pack
from quanheng.loading.checks import accounts, chart, jobs, postings, process_ways, processes, states, waits
from quanheng.loading.checks.calendars import WEEKDAYS
from quanheng.loading.checks.cases import TRANSFER_OUTCOMES
from quanheng.loading.declared_accounts import AccountDeclaration, BalanceOf, Rounding, Unasked
from quanheng.loading.process_events import TIMER_FIELDS
from quanheng.processes.times import Wait

sys.path.insert(0, str(Path(__file__).parent))
from sample_pack import available, checkout_files, checkout_pack, wallet_files, wallet_pack

AVAILABLE = available()
DOCS = Path(__file__).resolve().parents[3] / "docs" / "reference"
PAGE = (DOCS / "accounts.md").read_text(encoding="utf-8")


def rows_of(heading: str) -> list[str]:
    """What stands in the first cells of the tables of one section of the page."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    section = re.sub(r"```.*?```", "", section, flags=re.DOTALL)
    cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    return [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]


def changed(file: str, old: str, new: str):
    """What is declared where a text of the wallet is replaced; nothing hinders it."""
    files = wallet_files()
    assert old.encode() in files[file]
    files[file] = files[file].replace(old.encode(), new.encode(), 1)
    declared, problems = check_pack(wallet_pack(dict(files)), AVAILABLE)
    assert problems == ()
    return declared


@pytest.mark.parametrize("outcome", TRANSFER_OUTCOMES)
def test_a_case_may_expect_every_outcome_of_a_transfer(outcome):
    declared = changed("cases/payments.toml", 'outcome = "PAYMENT_LIMIT_EXCEEDED"', f'outcome = "{outcome}"')
    assert declared.cases[-1].events[-1].expect.transfers[0].outcome == outcome


def test_the_outcomes_are_those_of_the_ledger_and_those_that_it_is_not_asked_for():
    closed = [*TransferOutcome.__members__, *Unasked.__members__, *BookOutcome.__members__]
    assert tuple(dict.fromkeys(closed)) == TRANSFER_OUTCOMES
    assert [one for one in rows_of("Transfers of golden cases") if one.isupper()] == [one.name for one in Unasked]


@pytest.mark.parametrize("rounding", get_args(Rounding))
def test_every_rounding_is_read_and_spoken_of(rounding):
    assert get_args(Rounding) == postings.ROUNDINGS
    declared = changed("accounts.toml", 'rounding = "half_even"', f'rounding = "{rounding}"')
    capture = next(one for one in declared.accounts.postings if one.name == "capture")
    assert capture.transfers[1].rounding == rounding
    assert f"`{rounding}`" in PAGE


@pytest.mark.parametrize("of", get_args(BalanceOf))
def test_every_balance_is_read_with_its_decimals(of):
    balance = changed("accounts.toml", 'of      = "credits_held"', f'of      = "{of}"').accounts.balances[1]
    assert (balance.of, balance.decimals) == (of, 2 if of in accounts.OF_MONEY else 0)
    assert of in rows_of("Balances")


def test_the_page_has_no_balance_more():
    assert rows_of("Balances") == ["of", *get_args(BalanceOf)]


@pytest.mark.parametrize("flag", chart.FLAGS)
def test_every_rule_of_an_account_is_read(flag):
    bank = changed("accounts.toml", "code  = 1010", f"code  = 1010\n{flag} = true").accounts.accounts[0]
    assert bank.flags == AccountFlag[flag.upper()]
    assert flag in rows_of("Accounts")


@pytest.mark.parametrize("limit", chart.LIMITS)
@pytest.mark.parametrize("amount", [0, 1, AMOUNT_MAX])
def test_every_limit_of_an_account_is_read(limit, amount):
    bank = changed("accounts.toml", "code  = 1010", f"code  = 1010\n{limit} = {amount}").accounts.accounts[0]
    others = [getattr(bank, one) for one in chart.LIMITS if one != limit]
    assert (getattr(bank, limit), set(others)) == (amount, {-1})
    assert limit in rows_of("Accounts")


def test_the_limits_are_those_of_the_declaration():
    minor = [name for name in AccountDeclaration.__struct_fields__ if name.endswith("_minor")]
    assert minor == ["overdraft_minor", *chart.LIMITS]


def test_every_key_of_a_transfer_that_settles_is_spoken_of():
    assert rows_of("Transfers that settle others") == list(postings.ACTS)


@pytest.mark.parametrize(
    ("what", "most"),
    [
        ("assets, accounts, postings", {chart.ASSETS_MAX, chart.ACCOUNTS_MAX, postings.POSTINGS_MAX}),
        ("balances", {accounts.BALANCES_MAX}),
        ("transfers of a posting; transfers that a flow asks for under one outcome", {postings.TRANSFERS_MAX}),
        ("`timeout`", {20 * 366}),
    ],
)
def test_the_bounds_of_the_page_are_those_of_the_checks(what, most):
    row = [line for line in PAGE.splitlines() if line.startswith(f"| {what} |")][-1]
    assert {int(row.split("|")[2].split()[0].rstrip(",").replace(",", ""))} == most


PROCESSES = (DOCS / "processes.md").read_text(encoding="utf-8")


def first_timer(new: str):
    """The timer of the checkout's first state, where what says when it is due is replaced; nothing hinders it."""
    files = checkout_files()
    text = files["processes.toml"].decode()
    assert 'after = "15m"' in text
    files["processes.toml"] = text.replace('after = "15m"', new, 1).encode()
    declared, problems = check_pack(checkout_pack(dict(files)), AVAILABLE)
    assert problems == ()
    return declared.processes.processes[0].state("", "asked").timers[0]


@pytest.mark.parametrize("day", WEEKDAYS)
def test_every_weekday_is_read(day):
    assert first_timer(f'weekday = "{day}"').wait == Wait(weekday=WEEKDAYS.index(day) + 1)


@pytest.mark.parametrize("roll", waits.ROLLS)
def test_every_roll_is_read_and_spoken_of(roll):
    assert first_timer(f'months = 1\ncalendar = "china"\nroll = "{roll}"').wait.roll == roll
    assert f'`"{roll}"`' in PROCESSES


@pytest.mark.parametrize("stale", states.STALE)
def test_what_becomes_of_late_timers_is_read_and_spoken_of(stale):
    late = "" if stale == "fire" else '\nstale_after = "1h"'
    assert first_timer(f'every = "15m"\nstale = "{stale}"{late}').stale == stale
    assert f'`"{stale}"`' in PROCESSES


@pytest.mark.parametrize("field", TIMER_FIELDS)
def test_every_field_of_the_event_of_timers_is_spoken_of(field):
    assert f"`{field}`" in PROCESSES


@pytest.mark.parametrize(
    ("what", "most"),
    [
        ("processes, jobs", {processes.PROCESSES_MAX, jobs.JOBS_MAX}),
        ("states of a part", {states.STATES_MAX}),
        ("parts of a process", {states.PARTS_MAX}),
        ("timers of a state", {states.TIMERS_MAX}),
        ("kept keys", {processes.KEYS_MAX}),
        ("kept numbers", {processes.NUMBERS_MAX}),
        ("`times_max`", {states.TIMES_MAX}),
        ("states that moves leave by themselves", {process_ways.BY_ITSELF_MAX}),
        ("transfers of a step", {postings.TRANSFERS_MAX}),
    ],
)
def test_the_bounds_of_the_page_of_processes_are_those_of_the_checks(what, most):
    row = [line for line in PROCESSES.splitlines() if line.startswith(f"| {what} |")][-1]
    assert {int(row.split("|")[2].split()[0].rstrip(",").replace(",", ""))} == most


def test_the_bounds_of_waits_and_chunks_are_those_of_the_page():
    assert f"0 to {waits.DAYS_MAX:,}" in PROCESSES
    assert f"1 to {waits.MONTHS_MAX}" in PROCESSES
    assert f"1 to {jobs.CHUNK_MAX:,}" in PROCESSES
