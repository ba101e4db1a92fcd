"""The largest sets of obligations, by trying all: the twin of `quanheng.ledger.instruments.gridlock`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product

from quanheng.ledger.entries import NO_LIMIT
from quanheng.ledger.instruments.gridlock import Claim, Participant

Positions = Mapping[Participant, int]


def positions_after(claims: Sequence[Claim], position_minor: Positions) -> dict[Participant, int]:
    """Positions after claims are discharged."""
    position = dict(position_minor)
    for claim in claims:
        position[claim.debtor] = position.get(claim.debtor, 0) - claim.amount_minor
        position[claim.creditor] = position.get(claim.creditor, 0) + claim.amount_minor
    return position


def is_allowed(claims: Sequence[Claim], position_minor: Positions, bound_minor: Positions) -> bool:
    """Whether no debtor among the claims is below its bound after all of them."""
    after = positions_after(claims, position_minor)
    bounds = {claim.debtor: bound_minor.get(claim.debtor, NO_LIMIT) for claim in claims}
    return all(bound == NO_LIMIT or after[participant] >= -bound for participant, bound in bounds.items())


def allowed_in_order(
    queue: Sequence[Claim], position_minor: Positions, bound_minor: Positions
) -> Iterator[frozenset[int]]:
    """Every allowed set that is a beginning of each queue. As many are tried as the product of the lengths."""
    own: dict[Participant, list[Claim]] = {}
    for claim in queue:
        own.setdefault(claim.debtor, []).append(claim)
    for lengths in product(*(range(len(mine) + 1) for mine in own.values())):
        claims = [claim for mine, length in zip(own.values(), lengths, strict=True) for claim in mine[:length]]
        if is_allowed(claims, position_minor, bound_minor):
            yield frozenset(claim.id for claim in claims)


def allowed_in_any_order(
    queue: Sequence[Claim], position_minor: Positions, bound_minor: Positions
) -> Iterator[frozenset[int]]:
    """Every allowed set: 2**n of them are tried."""
    for chosen in product((False, True), repeat=len(queue)):
        claims = [claim for claim, taken in zip(queue, chosen, strict=True) if taken]
        if is_allowed(claims, position_minor, bound_minor):
            yield frozenset(claim.id for claim in claims)
