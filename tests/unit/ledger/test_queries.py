"""What is asked of a ledger: accounts, balances of any time, statements in pages, holds, transfers, expiries."""

from __future__ import annotations

import pytest

from quanheng.kernel.errors import NotFound
from quanheng.ledger.entries import ALL, Account, AccountFlag, Balance, Transfer, TransferFlag
from quanheng.ledger.kernel.words import A_MARK, B_BEFORE, B_JUMP, B_LINE, B_ROW, B_TIME, MARKED_EVERY
from quanheng.ledger.ledger import Ledger

F, G = TransferFlag, AccountFlag
WIDE = 2**127 + 3


@pytest.fixture
def ledger() -> Ledger:
    one = Ledger()
    one.open_accounts(
        [
            Account(1, 1, 7, owner=WIDE, entity=1, user_data=5), Account(2, 1, 8, G.HISTORY, owner=WIDE),
            Account(WIDE, 2, 8, entity=1), Account(4, 2, 7),
        ], 0, 0,
    )  # fmt: skip
    for number in range(1, 21):
        one.transfer(
            [Transfer(number, 1, 2, number, 5 + number % 2, user_data=WIDE if number % 5 == 0 else 0)], number, 0
        )
    one.transfer([Transfer(30, 1, 2, 100, 5, F.HOLD, timeout_ms=10), Transfer(31, 1, 2, 50, 5, F.HOLD)], 30, 1)
    one.transfer([Transfer(32, amount_minor=30, flags=F.POST, reference=31)], 35, 1)
    one.transfer([Transfer(33, amount_minor=4, flags=F.REVERSAL, reference=20)], 36, 1)
    return one


def test_an_account_as_it_is(ledger):
    state = ledger.account(1)
    assert state.account == Account(1, 1, 7, owner=WIDE, entity=1, user_data=5)
    assert state.balance == ledger.balance(1) == Balance(240, 100, 4, 0)
    assert (state.day, state.day_debits_minor, state.day_credits_minor, state.lines) == (1, 130, 4, 24)


def test_what_is_not_there(ledger):
    for ask in (ledger.account, ledger.balance, ledger.holds, ledger.lines):
        with pytest.raises(NotFound, match=r"there is no account with this id; was 99\. Open it"):
            ask(99)
    with pytest.raises(NotFound, match="no transfer with this id was applied; was 99"):
        ledger.transfer_of(99)
    ledger.transfer([Transfer(50, 1, 1, 1, 5, F.BURN)], 36, 1)
    with pytest.raises(NotFound, match=r"was 50 \(a burnt id\)"):
        ledger.transfer_of(50)
    assert ledger.is_burnt(50)
    assert not ledger.is_burnt(1)
    assert not ledger.is_burnt(99)


@pytest.mark.parametrize("account", [1, 2])
def test_balances_of_any_time(ledger, account):
    """Account 2 keeps its history, account 1 is walked: at each moment they mirror each other."""
    assert ledger.balance_at(account, -1) == Balance()
    for moment in range(1, 21):
        total = moment * (moment + 1) // 2
        assert ledger.balance_at(account, moment) == (Balance(total) if account == 1 else Balance(0, 0, total))
    assert ledger.balance_at(account, 34)[1 if account == 1 else 3] == 150
    assert ledger.balance_at(account, 10**12) == ledger.balance(account)


def test_statements_in_pages(ledger):
    newest = ledger.lines(1, limit=5)
    assert [one.line.id for one in newest] == [33, 32, 31, 30, 20]
    assert newest[0].balance == ledger.balance(1)
    assert newest[-1].balance == Balance(210)
    page = ledger.lines(1, limit=2, before=newest[-1].line.row)
    assert [(one.line.id, one.balance.debits_posted_minor) for one in page] == [(19, 190), (18, 171)]
    oldest = ledger.lines(1, limit=3, newest_first=False)
    assert [one.line.id for one in oldest] == [1, 2, 3]
    between = ledger.lines(1, since_ms=5, until_ms=7, newest_first=False)
    assert [(one.line.id, one.balance.debits_posted_minor) for one in between] == [(5, 15), (6, 21), (7, 28)]
    assert ledger.lines(4) == []
    assert ledger.lines(1, limit=0) == []


def test_holds_are_shown_up_to_a_limit_and_all_are_counted(ledger):
    ledger.transfer([Transfer(100 + one, 1, 2, 1, 5, F.HOLD) for one in range(80)], 36, 1)
    newest = ledger.holds(1, limit=3)
    assert [one.id for one in newest.lines] == [179, 178, 177]
    assert newest.standing_n == len(ledger.holds(1).lines) == 81
    assert (ledger.holds(1, limit=0).lines, ledger.holds(1, limit=0).standing_n) == ((), 81)
    assert ledger.holds(1, limit=500) == ledger.holds(1)


def test_holds_are_shown_with_the_balance_of_the_same_moment(ledger):
    holds = ledger.holds(2)
    assert [(one.id, one.amount_minor, one.expires_ms, one.hold) for one in holds.lines] == [(30, 100, 40, "held")]
    assert holds.balance.credits_held_minor == 100
    ledger.transfer([], 40, 1)
    assert ledger.holds(2).lines == ()
    [expiry] = ledger.expiries()
    assert expiry.is_expiry
    assert (expiry.reference, expiry.expires_ms, expiry.applied_ms, expiry.amount_minor) == (30, 40, 40, 100)
    assert ledger.expiries(since=expiry.row) == [expiry]
    assert ledger.expiries(since=expiry.row + 1) == []


def test_accounts_by_what_they_have(ledger):
    def ids(**wanted):
        return [one.account.id for one in ledger.accounts(**wanted)]

    assert ids() == [1, 2, WIDE, 4]
    assert ids(owner=WIDE) == [1, 2]
    assert ids(code=8) == [2, WIDE]
    assert ids(entity=1, asset=2) == [WIDE]
    assert ids(owner=7) == []


def test_lines_by_code_and_user_data(ledger):
    assert [one.id for one in ledger.find_lines(user_data=WIDE)] == [20, 15, 10, 5]
    assert [one.id for one in ledger.find_lines(code=6, limit=3)] == [19, 17, 15]
    assert [one.id for one in ledger.find_lines(code=6, user_data=WIDE)] == [15, 5]
    assert ledger.find_lines(code=99) == []
    assert len(ledger.find_lines(user_data=0)) == 20


def test_where_a_transfer_stands(ledger):
    assert (ledger.transfer_of(31).hold, ledger.transfer_of(31).settled_by) == ("posted", 32)
    assert (ledger.transfer_of(30).hold, ledger.transfer_of(30).settled_by) == ("held", 0)
    assert ledger.transfer_of(20).reversed_minor == 4
    chain = [Transfer(35, amount_minor=ALL, flags=F.VOID | F.LINKED, reference=30), Transfer(36, 1, 99, 1, 5)]
    ledger.transfer(chain, 36, 1)  # Refused, so that nobody has settled the hold.
    assert ledger.transfer_of(30).settled_by == 0
    ledger.transfer([], 40, 1)
    assert (ledger.transfer_of(30).hold, ledger.transfer_of(30).settled_by) == ("expired", 0)
    back = ledger.transfer_of(33)
    assert (back.debit, back.credit, back.reference, back.asked_minor) == (2, 1, 20, 4)
    ledger.transfer([Transfer(34, amount_minor=ALL, flags=F.REVERSAL, reference=20)], 41, 1)
    assert ledger.transfer_of(20).reversed_minor == 20
    assert (ledger.transfer_of(34).amount_minor, ledger.transfer_of(34).asked_minor) == (16, ALL)


def test_a_long_history_is_searched_in_few_steps(ledger):
    for number in range(100, 3_100):
        ledger.transfer([Transfer(number, 1, 2, 1, 5)], number, 2)
    for moment in (99, 100, 101, 1_234, 3_098, 3_099, 9_999):
        assert ledger.balance_at(2, moment).credits_posted_minor == ledger.balance_at(1, moment).debits_posted_minor
        assert steps_to(ledger, 2, moment) < 3 * 12  # Three times the logarithm of the changes.


@pytest.mark.parametrize("account", [1, 2])
def test_a_page_begins_near_its_lines_wherever_it_is(ledger, account):
    """What is walked is counted on the marks: the core starts from the oldest one beyond the page, not from the end."""
    for number in range(100, 1_500):
        ledger.transfer([Transfer(number, 1, 2, 1, 5)], number, 2)
    whole = ledger.lines(account, limit=10_000)
    assert len(whole) == 1_425
    B, marks, at = ledger._tables.B, [], int(ledger._tables.A[account - 1, A_MARK])
    while at >= 0:
        marks.append((int(B[at, B_LINE]), int(B[at, B_ROW])))
        at = int(B[at, B_BEFORE])
    every = 1 if account == 2 else MARKED_EVERY
    assert [line for line, _ in marks[::-1]] == list(range(every, 1_426, every))
    assert all(whole[-line].line.row == row for line, row in marks)
    for place in (0, 1, 62, 63, 64, 65, 700, 1_423, 1_424):
        page = ledger.lines(account, limit=3, before=whole[place].line.row)
        assert page == whole[place + 1 : place + 4]
    for since_ms, until_ms in ((5, 5), (163, 164), (1_000, 1_000), (0, 10**9), (2_000, 3_000)):
        between = [one for one in whole if since_ms <= one.line.applied_ms <= until_ms]
        assert ledger.lines(account, since_ms, until_ms, limit=7) == between[:7]
        assert ledger.lines(account, since_ms, until_ms, limit=7, newest_first=False) == between[::-1][:7]


def test_a_chain_that_is_refused_takes_its_marks_back(ledger):
    before = ledger.digest()
    chain = [Transfer(100 + one, 1, 2, 1, 5, F.LINKED) for one in range(200)]
    ledger.transfer([*chain, Transfer(400, 1, 1, 1, 5)], 50, 1)
    assert len(ledger.expiries()) == 1
    ledger.transfer([*chain, Transfer(400, 1, 2, 1, 5)], 50, 1)
    copy = Ledger()
    copy.apply(ledger.facts())
    assert copy.digest() == ledger.digest() != before
    assert [one.line.id for one in ledger.lines(1, limit=2, before=ledger.transfer_of(200).row)] == [199, 198]


def steps_to(ledger: Ledger, account: int, moment: int) -> int:
    """Steps of a search in an account's history, as `kernel/walk.py` takes them."""
    B, at, steps = ledger._tables.B, int(ledger._tables.A[account - 1, A_MARK]), 0
    while at >= 0 and B[at, B_TIME] > moment:
        jump = int(B[at, B_JUMP])
        at, steps = jump if B[jump, B_TIME] > moment and jump != at else int(B[at, B_BEFORE]), steps + 1
    return steps
