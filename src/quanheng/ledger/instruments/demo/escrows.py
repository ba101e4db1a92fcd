"""A day of escrows: goods that are shipped, delivered and inspected, milestones, time-outs, disputes and awards."""

from __future__ import annotations

import random
from typing import Any

from quanheng.feel import BOOLEAN, NUMBER
from quanheng.ledger.entries import ALL
from quanheng.ledger.instruments.action_fold import Party
from quanheng.ledger.instruments.conditions import Condition, Fact
from quanheng.ledger.instruments.demo import Played
from quanheng.ledger.instruments.demo.business import Business
from quanheng.ledger.instruments.escrow import Award, Dispute, Escrows, Fund, GiveBack, Milestone, Release, Report
from quanheng.ledger.instruments.instrument import LedgerLike, part_id

ASSET, CODE, ACTIONS = 110, 1_100, 300
BUYERS, SELLERS = 8, 4
FUNDS_MINOR, AMOUNT_MINOR_MAX = 50_000_000, 900_000
DAY_MS, HOUR_MS = 20 * 3_600_000, 3_600_000
CONDITIONS = (
    Condition("shipped", 'some e in events satisfies e.kind = "shipped"'),
    Condition("delivered", 'some e in events satisfies e.kind = "delivered" and e.intact', (("intact", BOOLEAN),)),
    Condition("inspected", 'count(events[kind = "inspected" and defects_ppm <= 500]) >= 2', (("defects_ppm", NUMBER),)),
)


def account_of(seed: int, name: str) -> int:
    """Account of a name in the day of `seed`."""
    return part_id(seed, f"escrows {name}")


def play(ledger: LedgerLike, seed: int, start_ms: int, day: int) -> Played:
    """A seeded day of escrows on a ledger; the same seed plays the same day."""
    rng, escrows, now_ms = random.Random(seed), Escrows(CONDITIONS), start_ms
    business = Business(ledger, escrows, day)
    buyers = [account_of(seed, f"buyer {n}") for n in range(BUYERS)]
    sellers = [account_of(seed, f"seller {n}") for n in range(SELLERS)]
    bank = account_of(seed, "bank")
    business.open([*buyers, *sellers], [bank], ASSET, CODE, now_ms)
    business.fund(bank, buyers, FUNDS_MINOR, CODE, now_ms)
    for number in range(ACTIONS):
        now_ms += rng.randrange(2 * DAY_MS // ACTIONS)
        repeat = bool(business.asked) and rng.random() < 0.05
        business.do(rng.choice(business.asked) if repeat else _action(rng, seed, number, escrows, now_ms), now_ms)
    balances = business.witness.balances(now_ms, day)
    got = sum(balances[one].credits_posted_minor for one in sellers)
    every = list(escrows.escrows.values())
    live = [one.holding.amount_minor for one in every if one.holding and not one.holding.expired(now_ms)]
    laws = {
        "held is what stands in escrow": sum(balances[one].debits_held_minor for one in buyers) == sum(live),
        "sellers have what buyers paid": sum(balances[one].debits_posted_minor for one in buyers) == got,
    }
    figures = {
        "escrows": len(every),
        "facts": sum(len(one.facts) for one in every),
        "milestones_paid": sum(len(one.paid) for one in every),
        "disputes": sum(one.disputed for one in every),
        "funded_minor": sum(one.terms.amount_minor for one in every),
        "paid_minor": got,
        "held_minor": sum(live),
    }
    return business.played("escrow", Escrows(CONDITIONS), laws, figures, now_ms)


def _party(seed: int, name: str) -> Party:
    return Party(part_id(seed, f"escrows owner {name}"), account_of(seed, name))


def _action(rng: random.Random, seed: int, number: int, escrows: Escrows, now_ms: int) -> Any:
    id = part_id(seed, f"escrows action {number}")
    if not escrows.escrows or rng.random() < 0.2:
        return _fund(rng, seed, id)
    live = [about for about, one in escrows.escrows.items() if one.holding and not one.holding.expired(now_ms)]
    about = rng.choice(live or list(escrows.escrows))
    escrow = escrows.escrows[about]
    terms, kind = escrow.terms, rng.random()
    part = rng.randint(1, max(1, escrow.holding.amount_minor // 2)) if escrow.holding else 1
    if escrow.disputed and kind < 0.7:
        return Award(id, terms.arbiter, about, rng.choice([0, part, ALL]))
    if kind < 0.75:
        return Report(id, rng.choice(terms.reporters), about, _fact(rng, now_ms))
    if kind < 0.82:
        return Dispute(id, rng.choice([terms.buyer.owner, terms.seller.owner, id]), about)
    concession = Release if kind < 0.92 else GiveBack
    return concession(id, terms.buyer.owner if concession is Release else terms.seller.owner, about, part)


def _fact(rng: random.Random, now_ms: int) -> Fact:
    kind = rng.choice(["shipped", "delivered", "inspected", "inspected"])
    at_ms = now_ms - rng.randrange(HOUR_MS)
    if kind == "inspected":
        return Fact.of(kind, at_ms, defects_ppm=rng.randrange(800))
    return Fact.of(kind, at_ms, intact=rng.random() < 0.8)


def _fund(rng: random.Random, seed: int, id: int) -> Fund:
    buyer, seller = _party(seed, f"buyer {rng.randrange(BUYERS)}"), _party(seed, f"seller {rng.randrange(SELLERS)}")
    amount = rng.randint(1_000, AMOUNT_MINOR_MAX)
    parts = [Milestone(one.name, amount // 4) for one in rng.sample(CONDITIONS, rng.randint(1, 3))]
    reporters = tuple(part_id(seed, f"escrows owner {name}") for name in ("carrier", "inspector"))
    arbiter = part_id(seed, "escrows owner arbiter")
    timeouts_ms = rng.randint(1, 12) * HOUR_MS, rng.randint(1, 4) * HOUR_MS
    return Fund(id, buyer.owner, buyer, seller, arbiter, reporters, tuple(parts), amount, CODE, *timeouts_ms)
