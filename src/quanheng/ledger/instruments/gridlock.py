"""Gridlock resolution: the largest set of queued obligations that can be discharged together.

The algorithm is that of M. Bech and K. Soramäki, "Gridlock Resolution in Interbank Payment Systems", Bank of Finland
Discussion Papers 9/2001: suppose that everything in the queues is discharged; while a participant is beyond its bound,
take back its last obligation; what then remains is discharged at once.

Each participant's obligations are taken in their order (first in, first out within a priority), so a set is a beginning
of each queue. Taking back an obligation only lowers others' positions. So what a participant cannot keep at some point
of the run it could not keep at any later one, and what remains contains every set that respects bounds and order: it
is the largest by number and by value, and the same in whatever order participants are looked at. Without the order the
problem is NP-complete (U. Güntzer, D. Jungnickel, M. Leclerc, "Efficient algorithms for the clearing of interbank
payments", European Journal of Operational Research 106, 1998); `bypass` then gives a set to which nothing can be
added singly, not the largest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from quanheng.ledger.entries import NO_LIMIT

Participant = Any
"""Whoever has one position: (owner, asset), or anything else that can be a key."""


class Claim(NamedTuple):
    """An obligation: the debtor owes the creditor."""

    id: int
    debtor: Participant
    creditor: Participant
    amount_minor: int


class Released(NamedTuple):
    """Claims that can be discharged together, in the order of the queue, and the positions after them."""

    ids: tuple[int, ...]
    position_minor: Mapping[Participant, int]


def resolve(
    queue: Sequence[Claim],
    position_minor: Mapping[Participant, int],
    bound_minor: Mapping[Participant, int],
    look_at: Iterable[Participant] | None = None,
) -> Released:
    """The largest set that takes no participant below its bound, each participant's claims in the order of the queue.

    Parameters
    ----------
    queue : claims, those to be discharged first at the beginning
    position_minor : net position (or liquidity) before; a participant that is missing has 0
    bound_minor : how far below zero a position may be; missing or NO_LIMIT = any. Who is below before, and has claims
        in the queue, keeps none of them unless what it gets lifts it
    look_at : all debtors, in the order in which they are looked at; the outcome does not depend on it

    Complexity: O(claims + participants) time and memory: each claim is taken back at most once.
    """
    position, own = dict(position_minor), dict[Participant, list[Claim]]()
    for claim in queue:
        own.setdefault(claim.debtor, []).append(claim)
        _move(position, claim, claim.amount_minor)
    waiting = list(look_at) if look_at is not None else list(position)
    while waiting:
        participant = waiting.pop()
        mine = own.get(participant, [])
        while mine and _is_beyond(participant, position, bound_minor):
            claim = mine.pop()
            _move(position, claim, -claim.amount_minor)
            waiting.append(claim.creditor)
    kept = {claim.id for mine in own.values() for claim in mine}
    return Released(tuple(claim.id for claim in queue if claim.id in kept), position)


def bypass(queue: Sequence[Claim], released: Released, bound_minor: Mapping[Participant, int]) -> Released:
    """Add claims out of order, each one that its debtor's bound allows, until none can be added singly.

    Complexity: O(claims) a pass, at most as many passes as claims are added and one.
    """
    position, kept = dict(released.position_minor), set(released.ids)
    left, added = [claim for claim in queue if claim.id not in kept], True
    while added:
        added = False
        for claim in left:
            _move(position, claim, claim.amount_minor)
            if _is_beyond(claim.debtor, position, bound_minor):
                _move(position, claim, -claim.amount_minor)
            else:
                kept.add(claim.id)
                added = True
        left = [claim for claim in left if claim.id not in kept]
    return Released(tuple(claim.id for claim in queue if claim.id in kept), position)


def _move(position: dict[Participant, int], claim: Claim, amount_minor: int) -> None:
    position[claim.debtor] = position.get(claim.debtor, 0) - amount_minor
    position[claim.creditor] = position.get(claim.creditor, 0) + amount_minor


def _is_beyond(who: Participant, position: Mapping[Participant, int], bound_minor: Mapping[Participant, int]) -> bool:
    bound = bound_minor.get(who, NO_LIMIT)
    return bound != NO_LIMIT and position.get(who, 0) < -bound
