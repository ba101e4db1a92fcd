"""features.filters.*: what a filter costs that only FEEL can say, beside the same one in the kernel's stack machine.

The twelve handbook aggregates, every fold with the same filter, in ways of saying that are true of the same events.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from bench.features_backfill import plan
from bench.features_online import Payments, asked_one_by_one, payments
from quanheng.features.fold import EventLayout
from quanheng.features.plan import Plan
from quanheng.features.state import FeatureState
from quanheng.testing.bench import Measured, interleaved_seconds

LAYOUT = EventLayout(
    "card.payment", 1, ("customer_id", "terminal_id"), ("amount_minor", "is_fraud", "channel"), (0, 0, 0),
    (("channel", ("web", "POS-1", "POS-2")),), ("is_fraud",),
)  # fmt: skip
SAID = {
    "machine": 'amount_minor > 50000 and channel in ("POS-1", "POS-2")',
    "table": 'amount_minor > 50000 and starts with(channel, "POS")',
    "feel": 'amount_minor / 2 > 25000 and starts with(channel, "POS")',
    "feel_of_moment": 'amount_minor > 50000 and starts with(channel, "POS") and moment.year < 2300',
}
"""One filter, true of a third of the events: words of the machine; a function of a choice, which becomes words of the
machine; a division, which FEEL answers; a question about the moment, whose answers cannot be remembered."""


def filtered(where: str | None) -> Plan:
    """The twelve aggregates with a filter."""
    folds = [replace(fold, where=where) for fold in plan().folds]
    return Plan.compile([LAYOUT], folds, ["card.payment"], lateness_ms=0)


def given(count: int, amounts_n: int) -> Payments:
    """Payments with a channel, and of so many different amounts."""
    made = payments(count)
    rng = np.random.default_rng(8)
    steps = 100_000 // amounts_n
    amounts = rng.integers(1, amounts_n, count) * steps
    return made._replace(numbers=np.stack([amounts, made.numbers[:, 1], rng.integers(0, 3, count)], axis=1))


def run(quick: bool = False) -> Measured:
    """Median microseconds of one event whose filter FEEL answers, with 100,000 different amounts."""
    count = 50_000 if quick else 200_000
    figures: dict[str, float] = {}
    rows = None
    for amounts_n in (100_000, 1_000):
        data = given(count + 20_000, amounts_n)
        for name, where in {"none": None, **SAID}.items():
            state = FeatureState(filtered(where))
            state.run(*data.part(0, count), read=False)
            taken = asked_one_by_one(state, data, count)
            figures[f"{name}, {amounts_n} amounts"] = round(float(np.median(taken)), 3)
            if where is not None and amounts_n == 100_000:
                found = state.run(*data.part(0, 1_000))
                assert rows is None or (found == rows).all(), name
                rows = found
    return Measured(figures["feel, 100000 amounts"], "us", {}, {"p50_us": figures})


def backfilled(quick: bool = False) -> Measured:
    """Events a second of a history whose filter FEEL answers, one thread, with 100,000 different amounts."""
    count = 100_000 if quick else 500_000
    figures: dict[str, int] = {}
    for amounts_n in (100_000, 1_000):
        data = given(count, amounts_n)
        calls = {name: partial(_folded, filtered(where), data) for name, where in {"none": None, **SAID}.items()}
        for name, seconds in interleaved_seconds(calls, 1 if quick else 3).items():
            figures[f"{name}, {amounts_n} amounts"] = round(count / seconds)
    return Measured(figures["feel, 100000 amounts"], "events/s", {}, {"events_per_second": figures})


def _folded(folds: Plan, data: Payments) -> np.ndarray:
    return FeatureState(folds).run_floats(data.types, data.times, data.keys, data.numbers)
