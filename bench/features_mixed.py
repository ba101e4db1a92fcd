"""120 folds of all kinds that are built, over two keys and their pair: the mixed load of online and backfill benches.

A new kind joins by being built: folds are made from `kinds.KINDS` in turn, and one that the compiler refuses alone
(it needs a setting of its own, say a calendar) is passed over.
"""

from __future__ import annotations

from decimal import Decimal
from itertools import count

from quanheng.features.fold import BUILT, EventLayout, Fold
from quanheng.features.kinds import KINDS
from quanheng.features.plan import Plan
from quanheng.kernel.errors import DeclarationError

DAY_MS = 86_400_000
LAYOUT = EventLayout("card.payment", 1, ("customer_id", "terminal_id"), ("amount_minor", "is_fraud"))
_KEYS = (("customer_id",), ("terminal_id",), ("customer_id", "terminal_id"))
_WINDOWS = (DAY_MS // 24, DAY_MS, 7 * DAY_MS, 30 * DAY_MS, None)
_DELAYS = (0, 0, 0, 7 * DAY_MS)
_NEEDS = {"nth": 3, "per_ms": DAY_MS, "half_life_ms": DAY_MS, "quantile": Decimal("0.9")}


def mixed(wanted: int = 120) -> Plan:
    """The plan of so many folds."""
    folds: list[Fold] = []
    for turn in count():
        kept = len(folds)
        for place, kind in enumerate(BUILT):
            fold = _fold(kind, turn * len(BUILT) + place, turn)
            if fold is not None and len(folds) < wanted:
                folds.append(fold)
        if len(folds) == wanted:
            return Plan.compile([LAYOUT], folds, [LAYOUT.name], lateness_ms=DAY_MS)
        if turn and len(folds) == kept:
            raise AssertionError("no kind of fold can be compiled")
    raise AssertionError


def _fold(kind: str, number: int, turn: int) -> Fold | None:
    its = KINDS[kind]
    reads = {"nothing": None, "key": "terminal_id"}.get(its.reads, "amount_minor")
    if its.reads == "number or key" and turn % 2:
        reads = "terminal_id"
    settings = {name: _NEEDS[name] for name in its.needs if name in _NEEDS}
    if its.other:
        settings["other"] = "is_fraud"
    fold = Fold(
        f"{kind}_{number}", LAYOUT.name, _KEYS[turn % 3], kind, reads, _WINDOWS[turn % 5], _DELAYS[turn % 4], **settings
    )  # type: ignore[arg-type]
    try:
        Plan.compile([LAYOUT], [fold], [LAYOUT.name], lateness_ms=DAY_MS)
    except DeclarationError:
        return None
    return fold
