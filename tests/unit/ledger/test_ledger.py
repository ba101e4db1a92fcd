"""The ledger's doors, clocks, growth, facts and dumps."""

from __future__ import annotations

import numpy as np
import pytest

from quanheng.kernel.errors import InputError, LogCorrupt
from quanheng.ledger import wire
from quanheng.ledger.entries import BATCH_MAX, TIME_MAX_MS, TOTAL_MAX, Account, AccountFlag, Transfer, TransferFlag
from quanheng.ledger.ledger import Ledger
from quanheng.ledger.outcomes import TransferOutcome

F, G, T = TransferFlag, AccountFlag, TransferOutcome


def opened(*accounts: Account) -> Ledger:
    ledger = Ledger()
    ledger.open_accounts(accounts or [Account(id, 1, 7) for id in range(1, 11)], 0, 0)
    return ledger


def test_the_clock_never_goes_back():
    ledger = opened()
    ledger.transfer([], 10, 3)
    with pytest.raises(InputError, match=r"now_ms: the ledger's time never goes back; was 9; allowed: 10 to"):
        ledger.transfer([], 9, 3)
    with pytest.raises(InputError, match=r"day: business days never go back; was 2; allowed: 3 to 2147483647"):
        ledger.open_accounts([], 10, 2)
    with pytest.raises(InputError, match="the ledger's time never goes back"):
        ledger.amend_accounts([], TIME_MAX_MS + 1, 3)
    assert (ledger.now_ms, ledger.day) == (10, 3)


def test_a_batch_that_is_refused_changes_nothing():
    ledger = opened()
    before = ledger.digest()
    with pytest.raises(InputError, match="a number of the transfer has no place"):
        ledger.transfer([Transfer(1, 1, 2, 3, 4), Transfer(2, 1, 2, 2**64, 4)], 5, 0)
    assert ledger.digest() == before
    assert ledger.now_ms == 0


def test_arrays_of_another_dtype_are_refused():
    with pytest.raises(InputError, match="the array holds no transfer requests; was int64; allowed: quanheng"):
        opened().transfer_arrays(np.zeros(3, np.int64), 1, 1)
    with pytest.raises(InputError, match="the batch is too long"):
        opened().transfer_arrays(np.zeros(BATCH_MAX + 1, wire.TRANSFER_REQUEST), 1, 1)


def test_arrays_and_objects_are_the_same_door():
    batch = [Transfer(1, 1, 2, 3, 4), Transfer(2, 1, 99, 3, 4), Transfer(1, 1, 2, 3, 4)]
    one, other = opened(), opened()
    strided = np.repeat(wire.encode_transfers(batch), 2)[::2]
    assert wire.decode_answers(one.transfer_arrays(strided, 1, 0)) == other.transfer(batch, 1, 0)
    assert one.digest() == other.digest()


def test_reserved_bits_are_flags_that_are_not_allowed():
    requests = wire.encode_transfers([Transfer(1, 1, 2, 3, 4)]).copy()
    requests["reserved"] = 1
    assert opened().transfer_arrays(requests, 1, 0)["outcome"].tolist() == [T.FLAGS_ARE_NOT_ALLOWED]


def test_empty_batches():
    ledger = opened()
    assert ledger.transfer([], 1, 0) == []
    assert ledger.open_accounts([], 1, 0) == []
    assert ledger.amend_accounts([], 1, 0) == []
    assert len(ledger.transfer_arrays(np.zeros(0, wire.TRANSFER_REQUEST), 1, 0)) == 0


@pytest.mark.parametrize("flags", [0, G.HISTORY])
def test_everything_grows(flags):
    """More accounts, transfers, holds that end and balances than there was room for; more expiries than a batch."""
    ledger = opened(*(Account(id, 1, 7, flags) for id in range(1, 4_001)))
    requests = np.zeros(3 * BATCH_MAX, wire.TRANSFER_REQUEST)
    requests["id_lo"] = np.arange(1, len(requests) + 1)
    requests["id_hi"] = np.arange(len(requests)) % 3
    requests["debit_lo"], requests["credit_lo"] = np.arange(len(requests)) % 3_999 + 1, 4_000
    requests["amount_minor"], requests["code"], requests["flags"], requests["timeout_ms"] = 1, 5, F.HOLD, 50
    for first in range(0, len(requests), BATCH_MAX):
        answers = ledger.transfer_arrays(requests[first : first + BATCH_MAX], 1, 0)
        assert not answers["outcome"].any()
    assert ledger.balance(4_000).credits_held_minor == len(requests)
    assert len(ledger.holds(4_000).lines) == len(requests)
    copy = Ledger()
    copy.apply(ledger.facts())
    for one in (ledger, copy):
        one.transfer([], 51, 0)
        assert one.balance(4_000).credits_held_minor == 0
        assert len(one.expiries()) == len(requests)
    assert copy.digest() == ledger.digest() == Ledger.load(ledger.dump()).digest()
    assert ledger.balance_at(4_000, 50).credits_held_minor == len(requests)


def test_holds_that_were_settled_do_not_fill_the_heap():
    ledger = opened()
    for round in range(40):
        first = 1_000 * round + 1
        holds = [Transfer(first + one, 1, 2, 1, 5, F.HOLD, timeout_ms=10**9) for one in range(500)]
        posts = [Transfer(first + 500 + one, amount_minor=1, flags=F.POST, reference=first + one) for one in range(500)]
        assert {one.outcome for one in ledger.transfer(holds + posts, round, 0)} == {T.APPLIED}
    assert len(ledger._tables.H) < 4_000


@pytest.mark.parametrize("start", [2**64 - 3, TOTAL_MAX - 3])
def test_totals_carry_through_the_doors(start):
    """Totals near 2**64 and 2**127 - 1, set in a dump, moved by transfers, holds, postings and expiries."""
    ledger, halves = opened(), [one - 2**64 if one >> 63 else one for one in wire.limbs_of(start)]
    dumped = ledger.dump()
    for account, at in ((0, 17), (1, 21)):  # Debits of the first, credits of the second.
        dumped["A"][account, at : at + 2] = halves
    ledger = Ledger.load(dumped)
    one, held = Transfer(1, 1, 2, 2, 5), Transfer(2, 1, 2, 1, 5, F.HOLD, timeout_ms=5)
    assert [answer.outcome for answer in ledger.transfer([one, held], 1, 0)] == [T.APPLIED, T.APPLIED]
    assert ledger.balance(1).debits_posted_minor == start + 2 == ledger.balance(2).credits_posted_minor
    beyond = ledger.transfer([Transfer(3, 1, 2, 1, 5)], 2, 0)[0].outcome
    assert beyond == (T.DEBITS_OVERFLOW if start > 2**64 else T.APPLIED)
    posted = ledger.transfer([Transfer(4, amount_minor=1, flags=F.POST, reference=2)], 3, 0)[0]
    assert posted.outcome == T.APPLIED
    assert posted.debit.debits_posted_minor == start + (3 if start > 2**64 else 4)
    assert ledger.totals(1)[0] == ledger.balance(1)[0]


def test_facts_that_follow_nothing_are_refused():
    ledger = opened()
    ledger.transfer([Transfer(1, 1, 2, 3, 5, F.HOLD), Transfer(2, amount_minor=3, flags=F.VOID, reference=1)], 1, 0)
    facts = ledger.facts()
    assert len(facts) == 12
    for wrong in (facts[10:], np.delete(facts, 10), np.zeros(1, wire.TRANSFER_FACT)):
        with pytest.raises(LogCorrupt, match="a fact of the ledger refers to what is not there"):
            Ledger().apply(wrong)


def test_a_dump_of_another_format_is_refused():
    dumped = opened().dump()
    dumped["clocks"][0] = 99
    with pytest.raises(InputError, match="the ledger was dumped in another format; was format 99; allowed: format 2"):
        Ledger.load(dumped)


def test_a_dump_is_a_copy_and_the_digest_tells_states_apart():
    ledger = opened()
    dumped, before = ledger.dump(), ledger.digest()
    ledger.transfer([Transfer(1, 1, 2, 3, 5)], 1, 0)
    assert ledger.digest() != before
    assert Ledger.load(dumped).digest() == before
    assert Ledger.load(ledger.dump()).now_ms == 1


def test_the_digest_does_not_know_of_refusals_and_of_time_that_passed():
    one, other = opened(), opened()
    one.transfer([Transfer(1, 1, 1, 3, 5)], 9, 4)
    assert one.digest() == other.digest()


def test_facts_from_a_number_on():
    ledger = opened()
    before = ledger.facts_n
    ledger.transfer([Transfer(1, 1, 2, 3, 5), Transfer(2, 1, 1, 3, 5, F.BURN)], 1, 0)
    assert ledger.facts(before)["kind"].tolist() == [wire.FactKind.LINE, wire.FactKind.BURN]
    assert len(ledger.facts(before, before + 1)) == 1
    assert len(ledger.facts(ledger.facts_n)) == 0
