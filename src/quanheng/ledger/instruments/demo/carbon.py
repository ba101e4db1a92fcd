"""A day at a carbon registry that is linked with another one: projects issue, units are traded, retired, sent over."""

from __future__ import annotations

import random

from quanheng.ledger.instruments.action_fold import ActionFold
from quanheng.ledger.instruments.carbon.actions import (
    Assign,
    CancelUnits,
    Export,
    Import,
    Issue,
    Link,
    Retire,
)
from quanheng.ledger.instruments.carbon.registry import CarbonRegistry
from quanheng.ledger.instruments.carbon.serials import Range, Status
from quanheng.ledger.instruments.demo import Played
from quanheng.ledger.instruments.demo.business import Business
from quanheng.ledger.instruments.demo.witness import spendable_minor
from quanheng.ledger.instruments.instrument import LedgerLike, part_id

ASSET, CODE, HOLDERS, ACTIONS, PROJECTS = 500, 5_000, 8, 160, 4
DAY_MS = 20 * 3_600_000
FIRST_DAY, PERIOD_DAYS = 19_723, 90
"""Monitoring periods begin on 2024-01-01."""


def play(ledger: LedgerLike, seed: int, start_ms: int, day: int) -> Played:
    """A seeded day of carbon units on a ledger; the same seed plays the same day."""
    rng, administrator = random.Random(seed), part_id(seed, "carbon administrator")
    registry = CarbonRegistry("QH", administrator, ASSET, CODE)
    business, now_ms = Business(ledger, registry, day), start_ms
    business.do(Link(part_id(seed, "carbon link"), administrator, "EU"), now_ms)
    for number in range(ACTIONS):
        now_ms += rng.randrange(DAY_MS // ACTIONS)
        action = _action(rng, registry, seed, number)
        business.do(action, now_ms)
        if rng.random() < 0.05:
            business.do(action, now_ms)
    fresh: ActionFold = CarbonRegistry("QH", administrator, ASSET, CODE)
    laws = {
        "an account has as many units as serial numbers": _is_counted(business, registry, seed, now_ms, day),
        "every serial number is in one place": _is_once(registry),
    }
    return business.played("carbon", fresh, laws, _figures(registry), now_ms)


def _owner(seed: int, holder: int) -> int:
    return part_id(seed, f"carbon owner {holder}")


def _action(rng: random.Random, registry: CarbonRegistry, seed: int, number: int) -> object:
    id, administrator = part_id(seed, f"carbon action {number}"), registry.administrator
    holder, receiver = (_owner(seed, rng.randrange(HOLDERS)) for _ in range(2))
    kind = rng.random()
    if number < PROJECTS or kind < 0.08:
        period = rng.randrange(8)
        first = FIRST_DAY + period * PERIOD_DAYS
        vintage, last = 2024 + (period > 3), first + PERIOD_DAYS - 1
        project = f"project {rng.randrange(PROJECTS)}"
        return Issue(id, administrator, project, vintage, first, last, rng.randint(1, 20) * 500, holder)
    sent = [(one, registry.exports[one.place.of]) for one in registry.blocks("QH") if one.place.status == "exported"]
    if kind < 0.14 and sent:
        block, partner = rng.choice(sent)
        back = (Range("QH", block.first, rng.randint(block.first, block.last)),)
        return Import(id, administrator, back, partner, id, holder, "back", 2024)
    ranges = _ranges(rng, registry, holder)
    if kind < 0.60:
        return Assign(id, holder, ranges, receiver)
    if kind < 0.80:
        return Retire(id, holder, ranges, f"customer {rng.randrange(100)}", rng.choice(["flights", "cement", "heat"]))
    if kind < 0.85:
        return CancelUnits(id, rng.choice([holder, administrator]), ranges, "reversal")
    return Export(id, holder, ranges, rng.choice(["EU", "EU", "EU", "CH"]), receiver)


def _ranges(rng: random.Random, registry: CarbonRegistry, holder: int) -> tuple[Range, ...]:
    """Part of what a holder has; now and then a range that is another's."""
    known = registry.holdings(holder) if rng.random() < 0.9 else []
    one = rng.choice(known) if known else Range("QH", 1, registry.serial_next)
    first = rng.randint(one.first, one.last)
    return (Range(one.origin, first, min(one.last, first + rng.randint(0, 400))),)


def _is_counted(business: Business, registry: CarbonRegistry, seed: int, now_ms: int, day: int) -> bool:
    counts: dict[int | str, int] = {"issued": 1 - registry.serial_next}
    for one in registry.blocks("QH"):
        gone = f"linked {registry.exports[one.place.of]}" if one.place.status == Status.EXPORTED else ""
        name = one.place.of if one.place.status == Status.HELD else gone or str(one.place.status)
        counts[name] = counts.get(name, 0) + one.quantity
    balances = business.witness.balances(now_ms, day)
    return all(spendable_minor(balances[registry.account_of(name)]) == count for name, count in counts.items())


def _is_once(registry: CarbonRegistry) -> bool:
    """Whether the blocks cover the serial numbers issued, one after another without gap or overlap."""
    serial = 1
    for one in registry.blocks("QH"):
        if one.first != serial:
            return False
        serial = one.last + 1
    return serial == registry.serial_next


def _figures(registry: CarbonRegistry) -> dict[str, int]:
    sums = dict.fromkeys(map(str, Status), 0)
    for one in registry.blocks("QH"):
        sums[str(one.place.status)] += one.quantity
    return {"issued": registry.serial_next - 1, **sums, "certificates": len(registry.certificates)}
