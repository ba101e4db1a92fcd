"""Laws of the end of day over any work of the ledger: balances, conservation, seals that later days do not touch."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from quanheng.kernel.calendars import Calendar
from quanheng.ledger.closing.balances import balances_daily, trial_balance
from quanheng.ledger.closing.days import CutOff, SealedDays, broken_seal
from quanheng.ledger.closing.journal import books_of, journal
from quanheng.ledger.ledger import Ledger
from quanheng.testing.ledger_world import World
from quanheng.testing.slow_closing import slow_balances_daily, slow_books
from quanheng.testing.slow_ledger import SlowLedger


def worked(seed: int, batches_n: int) -> tuple[SlowLedger, Ledger]:
    """The same seeded work on law and core."""
    world, law, core = World(seed), SlowLedger(), Ledger()
    for number in range(batches_n):
        world.tick()
        if number < 6:
            batch = world.openings()
            law.open_accounts(batch, world.now_ms, world.day)
            core.open_accounts(batch, world.now_ms, world.day)
            continue
        batch = world.transfers(world.rng.randrange(1, 25))
        world.note(batch, law.transfer(batch, world.now_ms, world.day))
        core.transfer(batch, world.now_ms, world.day)
    return law, core


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(7, 40))
def test_daily_balances_are_those_of_the_law(seed, batches_n):
    law, core = worked(seed, batches_n)
    books = books_of(core)
    assert [one[1:] for one in books.lines] == [one[1:] for one in slow_books(law).lines]
    daily = balances_daily(books)
    assert daily == slow_balances_daily(slow_books(law))
    newest = {one.account: one.closing_minor for one in daily}
    for id, book in law.books.items():
        assert newest.get(id, 0) == book.debits_posted - book.credits_posted
    cut = len(journal(core)) and journal(core)[len(books.lines) // 2].row
    assert [one for one in books.lines if one.row >= cut] == journal(core, cut)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(7, 40))
def test_the_trial_balance_of_every_day_is_even(seed, batches_n):
    _, core = worked(seed, batches_n)
    books = books_of(core)
    daily = balances_daily(books)
    for day in range(-1, core.day + 2):
        balance = trial_balance(books, day)
        assert not any(balance.differences().values())
        until = balances_daily(books, day)
        assert until == [one for one in daily if one.day <= day]
        last = {one.account: one.closing_minor for one in until}
        assert sum(row.closing_minor**2 for row in balance.rows) == sum(
            sum(last.get(one.id, 0) for one in books.accounts if (one.entity, one.asset, one.code) == row[:3]) ** 2
            for row in balance.rows
        )
        assert sum(balance.between_entities().values()) == 0


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6))
def test_work_of_later_days_breaks_no_seal_and_a_changed_line_breaks_one(seed):
    world, sealed, seen = World(seed), SealedDays(Ledger(), CutOff()), -1
    for number in range(40):
        world.tick()
        if world.day > max(seen, 0) and number > 8:
            sealed.seal(books_of(sealed.ledger), world.day - 1)
        seen = world.day
        if number < 6:
            sealed.ledger.open_accounts(world.openings(), world.now_ms, world.day)
        else:
            batch = world.transfers(10)
            world.note(batch, sealed.ledger.transfer(batch, world.now_ms, world.day))
    books = books_of(sealed.ledger)
    assert broken_seal(sealed.seals, books) is None
    inside = [one for one in books.lines if one.day <= sealed.sealed]
    if inside:
        wrong = inside[len(inside) // 2]
        lines = tuple(one._replace(amount_minor=one.amount_minor + 1) if one == wrong else one for one in books.lines)
        assert broken_seal(sealed.seals, books._replace(lines=lines)) is not None


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 10**12), min_size=2, max_size=20), st.integers(-12, 14), st.integers(1, 24))
def test_business_days_never_go_back(moments, zone_h, cut_h):
    for calendar in (None, Calendar()):
        cut_off = CutOff(zone_h * 3_600_000, cut_h * 3_600_000, calendar)
        days = [cut_off.day_of(one) for one in sorted(moments)]
        assert days == sorted(days)
