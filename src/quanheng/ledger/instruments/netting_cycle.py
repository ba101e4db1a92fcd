"""What a netting cycle is, and what happens in it: obligations enter, are netted, leave; a member fails."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum

import msgspec
from msgspec.structs import replace

from quanheng.ledger.entries import AMOUNT_MAX, NO_LIMIT
from quanheng.ledger.instruments.gridlock import Claim, bypass, resolve
from quanheng.ledger.instruments.netting_actions import FailureRule, Member, OpenCycle, Submit

SUBMITTED_MAX = AMOUNT_MAX // 2
"""Most that a cycle takes of an asset, so that no net position, losses included, exceeds an amount of the ledger."""
Participant = tuple[int, int]


class Status(StrEnum):
    """Where an obligation stands."""

    QUEUED = "queued"
    NETTED = "netted"
    SETTLED = "settled"
    WITHDRAWN = "withdrawn"
    RETURNED = "returned"
    UNWOUND = "unwound"


class Obligation(msgspec.Struct, frozen=True):
    """What a debtor owes a creditor. `place` is its order of entry in the cycle."""

    debtor: int
    creditor: int
    asset: int
    amount_minor: int
    priority: int
    place: int
    status: Status = Status.QUEUED


class Cycle(msgspec.Struct):
    """A netting cycle. Parties are (owner, asset).

    queued, netted : ids of obligations
    position_minor : of each participant: netted credits less netted debits and losses that it bears, not settled yet
    submitted_minor : of each asset, ever
    losses_minor : (asset, failed owner, owner that bears it) -> claim against who failed
    called_minor : of each participant that failed: what its collateral has paid
    paid_in_minor : of each asset: what collateral has paid into clearing, not settled yet
    retained_minor : of each participant that failed: what it was owed and did not get
    """

    opened: OpenCycle
    members: dict[Participant, Member]
    clearing: dict[int, int]
    obligations: dict[int, Obligation] = {}
    queued: set[int] = set()
    netted: set[int] = set()
    position_minor: dict[Participant, int] = {}
    submitted_minor: dict[int, int] = {}
    borne_minor: dict[Participant, int] = {}
    losses_minor: dict[tuple[int, int, int], int] = {}
    called_minor: dict[Participant, int] = {}
    paid_in_minor: dict[int, int] = {}
    retained_minor: dict[Participant, int] = {}
    failed: set[int] = set()
    closed: bool = False

    def position(self, owner: int, asset: int) -> int:
        """Net position of a participant, below zero if it owes."""
        return self.position_minor.get((owner, asset), 0)

    def caps(self) -> dict[Participant, int]:
        """Cap of each participant."""
        return {participant: member.cap_minor for participant, member in self.members.items()}

    def in_order(self, ids: set[int]) -> list[Claim]:
        """Obligations by priority and order of entry, as claims between participants."""
        known = self.obligations
        ordered = sorted(ids, key=lambda id: (known[id].priority, known[id].place))
        return [
            Claim(id, (one.debtor, one.asset), (one.creditor, one.asset), one.amount_minor)
            for id in ordered
            for one in [known[id]]
        ]


def submit(cycle: Cycle, one: Submit) -> None:
    """An obligation enters: netted if its debtor may, else queued."""
    place = len(cycle.obligations)
    cycle.obligations[one.id] = Obligation(one.by, one.creditor, one.asset, one.amount_minor, one.priority, place)
    cycle.submitted_minor[one.asset] = cycle.submitted_minor.get(one.asset, 0) + one.amount_minor
    ahead = (cycle.obligations[id] for id in cycle.queued)
    waits = any((it.debtor, it.asset) == (one.by, one.asset) and it.priority <= one.priority for it in ahead)
    cap = cycle.members[one.by, one.asset].cap_minor
    beyond = cap != NO_LIMIT and cycle.position(one.by, one.asset) - one.amount_minor < -cap
    cycle.queued.add(one.id)
    if not beyond and (not waits or cycle.opened.bypasses):
        _net(cycle, [one.id])
        for owner, amount in ((one.by, -one.amount_minor), (one.creditor, one.amount_minor)):
            cycle.position_minor[owner, one.asset] = cycle.position(owner, one.asset) + amount


def resolve_queue(cycle: Cycle, ids: set[int], position_minor: Mapping[Participant, int]) -> None:
    """Net the largest set of some obligations on top of some positions."""
    queue, caps = cycle.in_order(ids), cycle.caps()
    released = resolve(queue, position_minor, caps)
    released = bypass(queue, released, caps) if cycle.opened.bypasses else released
    _net(cycle, released.ids)
    cycle.position_minor = dict(released.position_minor)


def _net(cycle: Cycle, ids: Sequence[int]) -> None:
    """Obligations are netted; positions are for the caller to set."""
    for id in ids:
        cycle.obligations[id] = replace(cycle.obligations[id], status=Status.NETTED)
    cycle.queued -= set(ids)
    cycle.netted |= set(ids)


def leave(cycle: Cycle, ids: Sequence[int] | set[int], status: Status) -> None:
    """Obligations leave the queue, or the netting; positions are for the caller to set."""
    gone = set(ids)
    for id in gone:
        cycle.obligations[id] = replace(cycle.obligations[id], status=status)
    cycle.queued -= gone
    cycle.netted -= gone


def settle(cycle: Cycle, assets: set[int]) -> None:
    """What was netted in some assets is settled."""
    leave(cycle, [id for id in cycle.netted if cycle.obligations[id].asset in assets], Status.SETTLED)
    for (owner, asset), net in cycle.position_minor.items():
        if asset in assets and net > 0 and payee(cycle, owner, asset) != cycle.members[owner, asset].account:
            cycle.retained_minor[owner, asset] = cycle.retained_minor.get((owner, asset), 0) + net
    cycle.position_minor = {who: net for who, net in cycle.position_minor.items() if who[1] not in assets}
    cycle.paid_in_minor = {asset: paid for asset, paid in cycle.paid_in_minor.items() if asset not in assets}


def fail(cycle: Cycle, owner: int, collateral: bool) -> None:
    """A member fails: the rule of the cycle. Its own collateral, if it is called, pays before others bear anything."""
    calls = called_minor(cycle, owner) if collateral else {}
    cycle.failed.add(owner)
    touched = [id for id, one in cycle.obligations.items() if owner in (one.debtor, one.creditor)]
    leave(cycle, [id for id in touched if id in cycle.queued], Status.RETURNED)
    if cycle.opened.failure == FailureRule.UNWIND:
        leave(cycle, [id for id in touched if id in cycle.netted], Status.UNWOUND)
        _net_anew(cycle)
        return
    for asset, called in calls.items():
        cycle.position_minor[owner, asset] = cycle.position(owner, asset) + called
        cycle.called_minor[owner, asset] = called
        cycle.paid_in_minor[asset] = cycle.paid_in_minor.get(asset, 0) + called
    for asset in cycle.clearing:
        for survivor, share in loss_shares(cycle, owner, asset).items():
            cycle.position_minor[survivor, asset] = cycle.position(survivor, asset) - share
            cycle.position_minor[owner, asset] = cycle.position(owner, asset) + share
            cycle.borne_minor[survivor, asset] = cycle.borne_minor.get((survivor, asset), 0) + share
            cycle.losses_minor[asset, owner, survivor] = share


def called_minor(cycle: Cycle, owner: int) -> dict[int, int]:
    """Asset -> what is called of a member's collateral if it fails now: its net debit there, as far as that goes."""
    if cycle.opened.failure == FailureRule.UNWIND:
        return {}  # Nothing of it is left to be paid.
    found = {
        asset: min(-cycle.position(owner, asset), member.collateral_minor)
        for asset in sorted(cycle.clearing)
        if (member := cycle.members.get((owner, asset))) is not None
    }
    return {asset: called for asset, called in found.items() if called > 0}


def payee(cycle: Cycle, owner: int, asset: int) -> int:
    """The account that a net credit is paid to: of a member whose loss others bear, what is retained of it."""
    retained = next(one.retained for one in cycle.opened.clearing if one.asset == asset)
    if retained and any(failed == owner for _, failed, _ in cycle.losses_minor):
        return retained
    return cycle.members[owner, asset].account


def _net_anew(cycle: Cycle) -> None:
    """Net again what was netted, since caps that held with what was unwound may not hold without it."""
    again = set(cycle.netted)
    for id in again:
        cycle.obligations[id] = replace(cycle.obligations[id], status=Status.QUEUED)
    cycle.netted, cycle.queued = set(), cycle.queued | again
    resolve_queue(cycle, again, {})
    if cycle.closed:  # Nothing is taken out of the queue of a closed cycle any more.
        leave(cycle, cycle.queued, Status.RETURNED)


def loss_shares(cycle: Cycle, failed: int, asset: int) -> dict[int, int]:
    """What each survivor bears of a member's net debit: in proportion to what it can still bear, largest remainders
    first, ties to the lower owner. So no share exceeds what its bearer can still bear if their sum does not."""
    loss = max(0, -cycle.position(failed, asset))
    can = can_bear(cycle, failed, asset)
    most = sum(can.values())
    if loss == 0 or most == 0:
        return {}
    shares = {owner: loss * one // most for owner, one in can.items()}
    by_remainder = sorted(can, key=lambda owner: (-(loss * can[owner] % most), owner))
    for owner in by_remainder[: loss - sum(shares.values())]:
        shares[owner] += 1
    return {owner: share for owner, share in shares.items() if share}


def can_bear(cycle: Cycle, failed: int, asset: int) -> dict[int, int]:
    """Owner -> what a survivor can still bear if a member fails."""
    gone = cycle.failed | {failed}
    return {
        member.owner: member.loss_max_minor - cycle.borne_minor.get(participant, 0)
        for participant, member in cycle.members.items()
        if member.asset == asset and member.owner not in gone
    }
