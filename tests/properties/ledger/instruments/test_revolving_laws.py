"""However events are grouped, wherever a book is dumped or recovered, it is the same book; it balances each day."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "unit" / "ledger" / "instruments"))

from revolving_bench import FIRST
from revolving_world import CreditWorld, day_of_life, products

from quanheng.ledger.instruments.revolving.book import CreditBook
from quanheng.ledger.instruments.revolving.events import event
from quanheng.ledger.instruments.revolving.kernel import words as w
from quanheng.ledger.instruments.revolving.outcomes import CreditOutcome


def lived(seed: int, days: int, cut):
    """A book after so many days; `cut` gives the places at which the events of a day are parted. And what was taken."""
    book, log = CreditBook(products(), FIRST), []
    for day in range(days):
        events = day_of_life(seed, day)
        parts = np.split(events, cut(len(events)))
        for part in parts:
            outcomes = book.take(part)
            log.append(part[outcomes == CreditOutcome.APPLIED])
        log.append(event(w.DAY_CLOSED, 0, book.day, 0))
        book.close()
    return book, np.concatenate(log)


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 150), st.integers(0, 10**6))
def test_any_grouping_gives_the_same_book(seed, days, other):
    rng = np.random.default_rng(other)
    whole, log = lived(seed, days, lambda count: [])
    parted, _ = lived(seed, days, lambda count: range(1, count))
    assert parted.digest() == whole.digest()
    again, at = CreditBook(products(), FIRST), 0
    while at < len(log):
        size = int(rng.integers(1, 40))
        again.apply(log[at : at + size])
        at += size
        if rng.random() < 0.1:
            again = CreditBook.load(products(), again.dump())
    assert again.digest() == whole.digest()
    assert (again.totals() == whole.totals()).all()


@settings(max_examples=4, deadline=None)
@given(st.integers(0, 10**6))
def test_control_accounts_are_the_sums_over_the_accounts_every_day(seed):
    with tempfile.TemporaryDirectory() as folder:
        world = CreditWorld(Path(folder) / "log").begin()
        for day in range(130):
            world.take(day_of_life(seed, day))
            world.close()
        flows, sums = world.book.flows().sum(axis=0), world.book.totals().sum(axis=0)
        paid, lost = flows[w.PAID : w.PAID + w.KINDS].sum(), flows[w.LOST : w.LOST + w.KINDS].sum()
        came = flows[[w.DRAWN, w.CASH_OUT, w.ACCRUED, w.CHARGED, w.PENALISED]].sum()
        assert came - paid - lost == sums[:5].sum()  # What came and went is what is owed.
        assert flows[w.RECEIVED] - flows[w.REFUNDED] - flows[w.RECOVERED] - paid == sums[5]
        assert flows[w.NOTED] == lost - flows[w.RECOVERED] == sums[6]
