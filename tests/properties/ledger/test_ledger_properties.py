"""Laws of the ledger that hold for any batches: conservation, retries, cuts, facts; and small worlds by hypothesis."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from quanheng.ledger.entries import ALL, AMOUNT_MAX, Account, AccountFlag, Transfer, TransferFlag
from quanheng.ledger.ledger import Ledger
from quanheng.ledger.outcomes import TransferOutcome
from quanheng.testing.ledger_world import World
from quanheng.testing.slow_ledger import SlowLedger
from quanheng.testing.slow_ledger_queries import balance_at, holds, page, statement

F, G, T = TransferFlag, AccountFlag, TransferOutcome
ACCOUNTS = [
    Account(1, 1, 7), Account(2, 1, 7, G.DEBITS_BOUND | G.HISTORY), Account(3, 1, 7, G.CREDITS_BOUND),
    Account(4, 1, 7, G.HISTORY, day_max_minor=5, balance_max_minor=9), Account(5, 2, 7),
]  # fmt: skip
IDS = st.integers(1, 9)
transfers = st.builds(
    Transfer,
    id=IDS,
    debit=st.integers(0, 5),
    credit=st.integers(0, 5),
    amount_minor=st.sampled_from([1, 2, 3, 5, ALL, AMOUNT_MAX]),
    code=st.sampled_from([0, 1, 1, 1]),
    flags=st.sampled_from([0, 1, 2, 3, 4, 5, 8, 16, 17, 32, 34, 64, 96, 256, 257, 258, 512, 514, 515]),
    reference=st.sampled_from([0, 1, 2, 3, 4]),
    timeout_ms=st.sampled_from([0, 0, 1, 3]),
    value_ms=st.just(0),
    user_data=st.just(0),
)
batches = st.lists(st.tuples(st.lists(transfers, max_size=6), st.integers(0, 2), st.integers(0, 1)), max_size=8)


@settings(max_examples=300, deadline=None)
@given(batches)
def test_the_core_answers_as_the_law(work):
    law, core, now_ms, day = SlowLedger(), Ledger(), 0, 0
    assert core.open_accounts(ACCOUNTS, 0, 0) == law.open_accounts(ACCOUNTS, 0, 0)
    for batch, passes_ms, days in work:
        now_ms, day = now_ms + passes_ms, day + days
        assert core.transfer(batch, now_ms, day) == law.transfer(batch, now_ms, day)
        totals = core.totals(1)
        assert totals[:2] == totals[2:]
    for account in law.books:
        assert core.balance(account) == law.books[account].balance()
        found = core.lines(account, newest_first=False)
        assert [(one.line.id, one.line.applied_ms, one.balance) for one in found] == statement(law, account)
        assert [one.id for one in core.holds(account).lines] == holds(law, account)
        for moment in range(now_ms + 1):
            assert core.balance_at(account, moment) == balance_at(law, account, moment)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.data())
def test_any_page_is_a_cut_of_the_whole_statement(seed, data):
    """Long statements, so that there are marks; the twin folds every line."""
    law, core, world = SlowLedger(), Ledger(), World(seed, 3)
    for number in range(40):
        world.tick()
        method = "open_accounts" if number < 3 else "transfer"
        batch = world.openings() if number < 3 else world.transfers(20)
        answers = getattr(core, method)(batch, world.now_ms, world.day)
        getattr(law, method)(batch, world.now_ms, world.day)
        if method == "transfer":
            world.note(batch, answers)
    moments, limits = st.integers(0, world.now_ms), st.integers(0, 200)
    for account in law.books:
        since_ms, until_ms = data.draw(moments), data.draw(moments)
        limit, newest = data.draw(limits), data.draw(st.booleans())
        found = core.lines(account, since_ms, until_ms, limit, newest)
        expected = page(statement(law, account), since_ms, until_ms, limit, newest)
        assert [(one.line.id, one.line.applied_ms, one.balance) for one in found] == expected
        assert core.balance_at(account, since_ms) == balance_at(law, account, since_ms)


def work(seed: int, batches_n: int = 60) -> list[tuple[str, list, int, int]]:
    """Calls of a seeded world."""
    world, calls = World(seed), []
    law = SlowLedger()
    for number in range(batches_n):
        world.tick()
        method = "open_accounts" if number < 10 else "amend_accounts" if number % 15 == 0 else "transfer"
        batch = {"open_accounts": world.openings, "amend_accounts": world.amendments}.get(
            method, lambda: world.transfers(world.rng.randrange(1, 30))
        )()
        answers = getattr(law, method)(batch, world.now_ms, world.day)
        if method == "transfer":
            world.note(batch, answers)
        calls.append((method, batch, world.now_ms, world.day))
    return calls


def played(calls) -> Ledger:
    core = Ledger()
    for method, batch, now_ms, day in calls:
        getattr(core, method)(batch, now_ms, day)
    return core


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 2**32))
def test_the_digest_does_not_depend_on_how_batches_are_cut(seed, cut):
    whole, parts = [], []
    for method, batch, now_ms, day in work(seed):
        flags = [getattr(one, "linked", None) or (one.flags or 0) & 1 for one in batch]
        ends = [place + 1 for place, linked in enumerate(flags) if not linked and (cut >> place % 32) & 1]
        whole.append((method, batch, now_ms, day))
        for start, end in zip([0, *ends], [*ends, len(batch)], strict=True):
            parts.append((method, batch[start:end], now_ms, day))
    assert played(parts).digest() == played(whole).digest()


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 1_000))
def test_facts_folded_in_any_pieces_and_dumps_give_the_same_ledger(seed, cut):
    core = played(work(seed))
    copy, cut = Ledger(), cut % (core.facts_n + 1)
    copy.apply(core.facts(0, cut))
    copy = Ledger.load(copy.dump())
    copy.apply(core.facts(cut))
    assert copy.digest() == core.digest()
    assert copy.facts().tobytes() == core.facts().tobytes()


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**6))
def test_the_recovered_ledger_goes_on_as_the_first(seed):
    calls = work(seed, 80)
    first = played(calls[:60])
    second, third = Ledger(), Ledger.load(first.dump())
    second.apply(first.facts())
    for method, batch, now_ms, day in calls[60:]:
        answers = getattr(first, method)(batch, now_ms, day)
        assert getattr(second, method)(batch, now_ms, day) == answers
        assert getattr(third, method)(batch, now_ms, day) == answers
    assert first.digest() == second.digest() == third.digest()


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6))
def test_a_batch_asked_again_changes_no_balance(seed):
    """What was applied EXISTS; what was refused may be judged anew, so only applied requests are asked again."""
    core, calls = Ledger(), work(seed)
    for method, batch, now_ms, day in calls:
        answers = getattr(core, method)(batch, now_ms, day)
        if method != "transfer":
            continue
        free = [one for one, answer in zip(batch, answers, strict=True) if answer.outcome == T.APPLIED]
        free = [one for one in free if not one.flags & F.LINKED and core.transfer_of(one.id).flags & 1 == 0]
        before = core.digest()
        again = core.transfer(free, now_ms, day)
        alone = {one.outcome for one in again}
        assert alone <= {T.EXISTS}
        assert core.digest() == before


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 12), st.data())
def test_a_chain_broken_at_any_place_leaves_no_trace(length, data):
    """But for the burnt ids: holds made, posted, reversed within the chain are all taken back."""
    core = Ledger()
    core.open_accounts(ACCOUNTS, 0, 0)
    core.transfer([Transfer(90, 1, 2, 100, 1), Transfer(91, 1, 2, 50, 1, F.HOLD, timeout_ms=5)], 0, 0)
    kinds = st.sampled_from(["move", "hold", "post", "void", "back", "balance"])
    chain, broken = [], data.draw(st.integers(0, length - 1))
    for place in range(length):
        kind, id = data.draw(kinds), 100 + place
        one = {
            "move": Transfer(id, 1, 2, 3, 1), "hold": Transfer(id, 1, 2, 4, 1, F.HOLD, timeout_ms=2),
            "post": Transfer(id, amount_minor=ALL, flags=F.POST, reference=91),
            "void": Transfer(id, amount_minor=ALL, flags=F.VOID, reference=id - 1),
            "back": Transfer(id, amount_minor=1, flags=F.REVERSAL, reference=90),
            "balance": Transfer(id, 2, 1, ALL, 1, F.BALANCING_DEBIT),
        }[kind]  # fmt: skip
        if place == broken:
            one = Transfer(id, 1, 1, 3, 1)
        chain.append(one._replace(flags=one.flags | (F.LINKED if place < length - 1 else 0)))
    before = core.digest()
    outcomes = [one.outcome for one in core.transfer(chain, 1, 0)]
    assert T.APPLIED not in outcomes
    assert core.digest() == before
    core.transfer([], 100, 0)
    assert len(core.expiries()) == 1
