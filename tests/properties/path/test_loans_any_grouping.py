"""However requests are cut into groups, loans and answers are those of one request after another."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.path.lent import T0, business, opened

from quanheng.advancing import MovedClock
from quanheng.engine import Engine
from quanheng.kernel.time import DAY_MS

Told = list[tuple[object, ...]]


def lived(folder: Path, days: list[tuple[int, list[int]]], seed: int, alone: bool) -> tuple[str, Told, Engine]:
    """Days with their groups: the digest of the book, and what was answered."""
    clock, first, answers = MovedClock(T0), 1, Told()
    engine = opened(folder, clock)
    for passed, sizes in days:
        clock.now_ms += passed * DAY_MS
        for size in sizes:
            group = business(random.Random(seed + first), size, T0 + 20 * DAY_MS, first)
            first += size
            for some in [[one] for one in group] if alone else [group]:
                answers += [
                    (one.id, one.status, one.outcome, tuple(one.reasons),
                     tuple((moved.name, moved.outcome, moved.amount_minor) for moved in one.transfers))
                    for one in engine.submit(some)
                ]  # fmt: skip
    book = engine.state.loans.book
    return "" if book is None else book.digest(), answers, engine


@settings(max_examples=6, deadline=None)
@given(
    days=st.lists(
        st.tuples(st.sampled_from([0, 1, 16, 33]), st.lists(st.integers(1, 25), min_size=1, max_size=3)),
        min_size=1, max_size=4,
    ),
    seed=st.integers(0, 10**6),
)  # fmt: skip
def test_any_grouping_equals_one_by_one(days: list[tuple[int, list[int]]], seed: int) -> None:
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        grouped, answers, engine = lived(Path(one), days, seed, alone=False)
        apart, again, beside = lived(Path(other), days, seed, alone=True)
        assert answers == again
        assert engine.state.loans.differences(engine.state.ledger) == []
        facts, others = (one.state.ledger.facts()["amount_minor"].tolist() for one in (engine, beside))
        assert facts == others
        if engine.state.loans.book is not None:
            # Keys of contracts are pseudonyms of each data folder's own ring: what is owed is compared, not its names.
            books = [one.state.loans.book for one in (engine, beside)]
            assert len({str(one.measures().tolist()) for one in books if one is not None}) == 1
        engine.close()
        beside.close()
        assert bool(grouped) == bool(apart)
