"""A bank account of the ledger against the bank's statement: delays, fees, batches, misprints, what one side lacks."""

from __future__ import annotations

import random
from decimal import Decimal

from quanheng.ledger.closing.general_ledger import id_text
from quanheng.ledger.entries import ALL, Account, Transfer, TransferFlag
from quanheng.ledger.instruments.demo import Played
from quanheng.ledger.instruments.demo.closing import books_of
from quanheng.ledger.instruments.demo.observed import Observed
from quanheng.ledger.instruments.instrument import LedgerLike, part_id
from quanheng.ledger.reconciliation.matching import Reconciliation, reconcile
from quanheng.ledger.reconciliation.rules import Fee, Item, MatchKind, Rules
from quanheng.ledger.reconciliation.tables import items_of_account

ASSET, CODE = 420, 420
TRANSFERS, BATCH_EVERY = 300, 10
RULES = Rules(tolerance_minor=2, fees=(Fee("card fee", 10, Decimal("0.015")), Fee("wire fee", 2_500)), group_max=3)


def play(ledger: LedgerLike, seed: int, start_ms: int, day: int) -> Played:
    """A seeded day that is reconciled with a statement made of it; the same seed plays the same day."""
    rng, observed = random.Random(seed), Observed(ledger)
    bank, others = part_id(seed, "nostro"), [part_id(seed, f"customer {n}") for n in range(8)]
    observed.open_accounts([Account(id, ASSET, CODE) for id in (bank, *others)], start_ms, day)
    now_ms = start_ms
    for number in range(TRANSFERS):
        now_ms += rng.randrange(60_000)
        id, other, amount = part_id(seed, f"nostro {number}"), rng.choice(others), rng.randrange(10_000, 10**7)
        debit, credit = (bank, other) if rng.random() < 0.7 else (other, bank)
        observed.transfer([Transfer(id, debit, credit, amount, CODE, user_data=number + 1)], now_ms, day)
        if rng.random() < 0.03:
            back = Transfer(part_id(id, "back"), amount_minor=ALL, flags=int(TransferFlag.REVERSAL), reference=id)
            observed.transfer([back], now_ms, day)
    ours = items_of_account(
        books_of(observed), bank,
        lambda line: f"T{line.user_data}" if line.user_data else "",
        lambda line: f"B{line.user_data // BATCH_EVERY}" if line.user_data % 7 == 0 else "",
    )  # fmt: skip
    theirs, lacking, alien = _statement(rng, ours)
    found = reconcile(ours, theirs, RULES)
    rng.shuffle(ours)
    rng.shuffle(theirs)
    net = observed.net_minor(bank) - sum(one.amount_minor for one in theirs)
    checked = _laws(found, ours, theirs, net) | {
        "any order of items gives the same": reconcile(ours, theirs, RULES) == found,
        "what one side lacks is left": lacking | alien <= {one.item.id for one in found.breaks},
    }
    figures = {
        "ledger_items": len(ours),
        "statement_items": len(theirs),
        "breaks": len(found.breaks),
        **{f"matched_{kind.lower()}": sum(one.kind == kind for one in found.matches) for kind in MatchKind},
    }
    applied = observed.applied
    return Played("reconciliation", applied, applied, 0, applied, checked, figures)


def _statement(rng: random.Random, ours: list[Item]) -> tuple[list[Item], set[str], set[str]]:
    """What the bank says of the same money: its items, what it lacks of ours, and what it alone has."""
    reversed_ids = {one.reverses for one in ours}
    lines, batches, lacking, alien = [], dict[str, list[Item]](), set[str](), set[str]()
    for number, one in enumerate(ours):
        if one.reverses or one.id in reversed_ids:
            continue  # Taken back before the bank heard of it.
        if one.batch:
            batches.setdefault(one.batch, []).append(one)
            continue
        roll, line = rng.random(), one._replace(id=f"line {number}", batch="")
        if roll < 0.02:
            lacking.add(one.id)
            continue
        if roll < 0.04:
            alien.add(f"alien {number}")
            lines.append(Item(f"alien {number}", 10**8 + number, one.day, f"X{number}"))
        elif roll < 0.1:
            line = line._replace(day=one.day + 6)
        elif roll < 0.2:
            fee = rng.choice(RULES.fees)
            line = line._replace(amount_minor=one.amount_minor - fee.of(one.amount_minor))
        elif roll < 0.25:
            line = line._replace(amount_minor=one.amount_minor + 1)
        elif roll < 0.35:
            line = line._replace(reference="")
        elif roll < 0.4:
            part = one.amount_minor // 3
            lines.append(line._replace(id=f"first {number}", amount_minor=part, reference=f"{one.reference} 1"))
            line = line._replace(amount_minor=one.amount_minor - part, reference=f"{one.reference} 2")
        lines.append(line)
    for name, parts in batches.items():
        total = sum(one.amount_minor for one in parts)
        lines.append(Item(id_text(part_id(1, name)), total, parts[0].day + 1, name))
    return lines, lacking, alien


def _laws(found: Reconciliation, ours: list[Item], theirs: list[Item], net: int) -> dict[str, bool]:
    left = [sum(one.item.amount_minor for one in found.breaks if one.side == side) for side in ("ledger", "statement")]
    used = [
        [id for one in found.matches for id in one.ledger],
        [id for one in found.matches for id in one.statement],
    ]
    sides = [[one.item.id for one in found.breaks if one.side == side] for side in ("ledger", "statement")]
    return {
        "differences and breaks sum to the difference of the balances": (
            net == sum(one.difference_minor for one in found.matches) + left[0] - left[1]
        ),
        "no item is matched twice or forgotten": all(
            sorted(used[side] + sides[side]) == sorted(one.id for one in items)
            for side, items in enumerate((ours, theirs))
        ),
    }
