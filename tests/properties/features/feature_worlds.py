"""Random plans and events with everything that makes folds hard: late, tied, null, negative, interleaved types."""

from __future__ import annotations

import random
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from quanheng.features.fold import BUILT, EventLayout, Fold
from quanheng.features.kernel.words import NULL
from quanheng.features.kinds import CALENDAR_KINDS, KINDS
from quanheng.testing.slow_features import Event

PAYMENT = EventLayout("payment", 1, ("customer", "terminal", "device"), ("amount", "flag"), (2, 0))
REPORT = EventLayout("report", 7, ("terminal", "customer"), ("weight", "amount"), (0, 3))
LOGIN = EventLayout("login", 3, ("customer",), ())
LAYOUTS = (PAYMENT, REPORT, LOGIN)
BY = {
    "payment": [("customer",), ("terminal",), ("customer", "terminal"), ("terminal", "customer"), ("device",), ()],
    "report": [("terminal",), ("customer",), ("customer", "terminal")],
    "login": [("customer",)],
}


PLAIN = ("count", "sum", "mean")  # Tables of these alone are folded in runs.


def settings(rng: random.Random, fold: str, window_ms: int | None) -> dict[str, Any]:
    """Settings of some kinds."""
    if fold == "percentile":
        quantile = rng.choice(["0.5", "0.9", "1", "0.000001", "0.25"])
        return {"quantile": Decimal(quantile), "accuracy": rng.choice([None, Decimal("0.2"), Decimal("0.05")])}
    if fold == "distinct" and window_ms is None:
        return {"exact_max": rng.choice([None, 1, 2, 3, 5, 9])}
    return {}


def random_folds(rng: random.Random, count: int, allowed: Sequence[str] = BUILT) -> list[Fold]:
    """Folds of the allowed kinds over the three event types."""
    folds = []
    for number in range(count):
        of = rng.choice([PAYMENT, PAYMENT, REPORT, LOGIN])
        kinds = [kind for kind in allowed if of.numbers or (KINDS[kind].reads != "number" and not KINDS[kind].other)]
        fold = rng.choice([kind for kind in kinds if kind not in CALENDAR_KINDS])
        kind = KINDS[fold]
        values: list[str | None] = [*of.numbers, *(of.keys if kind.reads == "number or key" else ())]
        if kind.reads == "number or nothing":
            values.append(None)
        window_ms = rng.choice([1, 3, 10, 25] if fold == "change" else [None, 1, 3, 10, 25, 60])
        folds.append(
            Fold(
                name=f"f{number}",
                of=of.name,
                by=rng.choice(BY[of.name]),
                fold=fold,
                value=None if kind.reads == "nothing" else rng.choice(values),
                window_ms=window_ms,
                delay_ms=rng.choice([0, 0, 0, 1, 7, 20]),
                current=rng.choice(["in", "out"]),
                nth=rng.randrange(1, 6) if fold == "nth_last" else None,
                other=rng.choice(of.numbers) if kind.other else None,
                half_life_ms=rng.choice([1, 2, 7, 3000, 2**52]) if "half_life_ms" in kind.needs else None,
                per_ms=rng.choice([1, 1000, 2**60]) if "per_ms" in kind.needs else None,
                **settings(rng, fold, window_ms),
            )
        )
    return folds


def random_events(
    rng: random.Random, count: int, *, keys: int, jump_ms: int, late_ms: int, big: bool = False
) -> list[Event]:
    """Events whose clock mostly rises, with ties, late ones and nulls."""
    clock, events = rng.randrange(-50, 50), []
    number = (lambda: rng.choice([-(2**62), 2**62 - 1, 2**61, 2**39, 5])) if big else (lambda: rng.randrange(-9, 10))
    for _ in range(count):
        clock += rng.choice([0, 0, 1, 2, rng.randrange(jump_ms + 1)])
        time = clock - (rng.randrange(late_ms + 1) if rng.random() < 0.3 else 0)
        layout = rng.choices([PAYMENT, REPORT, LOGIN, None], [6, 3, 2, 0.3])[0]
        if layout is None:
            events.append(Event(9, time, (), ()))
            continue
        pairs = tuple(
            (0, 0) if rng.random() < 0.05 else (rng.randrange(keys), rng.randrange(1, 3)) for _ in layout.keys
        )
        numbers = tuple(NULL if rng.random() < 0.1 else number() for _ in layout.numbers)
        events.append(Event(layout.code, time, pairs, numbers))
    return events
