"""Multilateral netting: obligations of a cycle become net positions, and only those are settled.

Debtors submit obligations. One that the debtor's net debit cap allows is netted, the others wait in a queue, out of
which `Resolve` nets the largest set that the caps allow together (`quanheng.ledger.instruments.gridlock`). The net
positions are settled in one chain through a clearing account: net debtors pay in, then net creditors are paid. If a
member fails, its obligations are unwound, or the others bear its net debit, as the cycle declared when it was opened.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any

import msgspec
from msgspec.structs import replace

from quanheng.ledger.entries import AMOUNT_MAX, BATCH_MAX, NO_LIMIT, Transfer
from quanheng.ledger.instruments.action_fold import (
    CODE_MAX,
    ActionFold,
    RefusalCode,
    first_refusal,
    is_amount,
    is_code,
    is_id,
)
from quanheng.ledger.instruments.gridlock import Claim, bypass, resolve
from quanheng.ledger.instruments.instrument import Refusal, Step, parts_of
from quanheng.ledger.instruments.netting_actions import (
    PRIORITY_MAX,
    CloseCycle,
    DeclareFailure,
    FailureRule,
    Member,
    NettingRefusal,
    OpenCycle,
    Resolve,
    SetCap,
    SettleNet,
    Submit,
    Withdraw,
)
from quanheng.ledger.instruments.ranges import in_range

part_id = parts_of("netting")

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


R = NettingRefusal
Checks = Iterator[tuple[bool, RefusalCode, str, object, str]]


class Netting(ActionFold):
    """All cycles of one operator: a fold of the actions in `quanheng.ledger.instruments.netting_actions`."""

    ID_RANGE, ID_USED = R.ID_IS_OUT_OF_RANGE, R.ID_HAS_OTHER_CONTENT

    def __init__(self, operator: int) -> None:
        super().__init__()
        self.operator = operator
        self.cycles: dict[int, Cycle] = {}

    def _kept(self) -> Sequence[str]:
        return "operator", "cycles"

    # --- judging

    def _refusal(self, action: Any, now_ms: int) -> Refusal | None:
        del now_ms  # A cycle has no times of its own.
        if isinstance(action, OpenCycle):
            return first_refusal(_wrong_in_open(action, self.operator))
        cycle = self.cycles.get(action.cycle)
        if cycle is None:
            return Refusal(R.CYCLE_NOT_FOUND, "cycle", str(action.cycle))
        if isinstance(action, Submit):
            return first_refusal(_wrong_in_submit(action, cycle))
        if isinstance(action, Withdraw):
            return first_refusal(_wrong_in_withdraw(action, cycle))
        if action.by != self.operator:
            return Refusal(R.ACTOR_MAY_NOT, "by", str(action.by), "the operator")
        if isinstance(action, SetCap):
            return first_refusal(_wrong_in_cap(action, cycle))
        if isinstance(action, SettleNet):
            return first_refusal(_wrong_in_settle(action, cycle))
        if isinstance(action, DeclareFailure):
            return first_refusal(_wrong_in_failure(action, cycle))
        return first_refusal([(cycle.closed, R.CYCLE_IS_CLOSED, "cycle", action.cycle, "an open cycle")])

    # --- what is asked of the ledger

    def _step(self, action: Any, now_ms: int) -> Step:
        del now_ms
        return Step(_settlement(action, self.cycles[action.cycle])) if isinstance(action, SettleNet) else Step()

    # --- folding

    def _fold(self, action: Any, now_ms: int) -> None:
        del now_ms
        if isinstance(action, OpenCycle):
            members = {(one.owner, one.asset): one for one in action.members}
            self.cycles[action.id] = Cycle(action, members, {one.asset: one.account for one in action.clearing})
            return
        cycle = self.cycles[action.cycle]
        if isinstance(action, Submit):
            _submit(cycle, action)
        elif isinstance(action, Withdraw):
            _leave(cycle, [action.obligation], Status.WITHDRAWN)
        elif isinstance(action, SetCap):
            participant = action.owner, action.asset
            cycle.members[participant] = replace(cycle.members[participant], cap_minor=action.cap_minor)
        elif isinstance(action, Resolve):
            _resolve(cycle, cycle.queued, cycle.position_minor)
        elif isinstance(action, CloseCycle):
            _leave(cycle, cycle.queued, Status.RETURNED)
            cycle.closed = True
        elif isinstance(action, SettleNet):
            _settle(cycle, _assets(action, cycle))
        else:
            _fail(cycle, action.owner)


# --- what happens in a cycle


def _submit(cycle: Cycle, one: Submit) -> None:
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


def _resolve(cycle: Cycle, ids: set[int], position_minor: Mapping[Participant, int]) -> None:
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


def _leave(cycle: Cycle, ids: Sequence[int] | set[int], status: Status) -> None:
    """Obligations leave the queue, or the netting; positions are for the caller to set."""
    gone = set(ids)
    for id in gone:
        cycle.obligations[id] = replace(cycle.obligations[id], status=status)
    cycle.queued -= gone
    cycle.netted -= gone


def _settle(cycle: Cycle, assets: set[int]) -> None:
    _leave(cycle, [id for id in cycle.netted if cycle.obligations[id].asset in assets], Status.SETTLED)
    cycle.position_minor = {who: net for who, net in cycle.position_minor.items() if who[1] not in assets}


def _fail(cycle: Cycle, owner: int) -> None:
    cycle.failed.add(owner)
    touched = [id for id, one in cycle.obligations.items() if owner in (one.debtor, one.creditor)]
    _leave(cycle, [id for id in touched if id in cycle.queued], Status.RETURNED)
    if cycle.opened.failure == FailureRule.UNWIND:
        _leave(cycle, [id for id in touched if id in cycle.netted], Status.UNWOUND)
        _net_anew(cycle)
        return
    for asset in cycle.clearing:
        for survivor, share in loss_shares(cycle, owner, asset).items():
            cycle.position_minor[survivor, asset] = cycle.position(survivor, asset) - share
            cycle.position_minor[owner, asset] = cycle.position(owner, asset) + share
            cycle.borne_minor[survivor, asset] = cycle.borne_minor.get((survivor, asset), 0) + share
            cycle.losses_minor[asset, owner, survivor] = share


def _net_anew(cycle: Cycle) -> None:
    """Net again what was netted, since caps that held with what was unwound may not hold without it."""
    again = set(cycle.netted)
    for id in again:
        cycle.obligations[id] = replace(cycle.obligations[id], status=Status.QUEUED)
    cycle.netted, cycle.queued = set(), cycle.queued | again
    _resolve(cycle, again, {})
    if cycle.closed:  # Nothing is taken out of the queue of a closed cycle any more.
        _leave(cycle, cycle.queued, Status.RETURNED)


def loss_shares(cycle: Cycle, failed: int, asset: int) -> dict[int, int]:
    """What each survivor bears of a member's net debit: in proportion to what it can still bear, largest remainders
    first, ties to the lower owner. So no share exceeds what its bearer can still bear if their sum does not."""
    loss = max(0, -cycle.position(failed, asset))
    can = _can_bear(cycle, failed, asset)
    most = sum(can.values())
    if loss == 0 or most == 0:
        return {}
    shares = {owner: loss * one // most for owner, one in can.items()}
    by_remainder = sorted(can, key=lambda owner: (-(loss * can[owner] % most), owner))
    for owner in by_remainder[: loss - sum(shares.values())]:
        shares[owner] += 1
    return {owner: share for owner, share in shares.items() if share}


def _can_bear(cycle: Cycle, failed: int, asset: int) -> dict[int, int]:
    gone = cycle.failed | {failed}
    return {
        member.owner: member.loss_max_minor - cycle.borne_minor.get(participant, 0)
        for participant, member in cycle.members.items()
        if member.asset == asset and member.owner not in gone
    }


def _assets(one: SettleNet, cycle: Cycle) -> set[int]:
    return set(one.assets or cycle.clearing)


def _settlement(one: SettleNet, cycle: Cycle) -> list[Transfer]:
    """Net debtors pay in, then net creditors are paid: so no account needs more than its net debit."""
    assets = _assets(one, cycle)
    nets = [(who, net) for who, net in sorted(cycle.position_minor.items()) if who[1] in assets and net]
    transfers = []
    for (owner, asset), net in sorted(nets, key=lambda item: item[1] > 0):
        account, clearing = cycle.members[owner, asset].account, cycle.clearing[asset]
        debit, credit = (account, clearing) if net < 0 else (clearing, account)
        id = part_id(one.id, f"{owner} {asset}")
        transfers.append(Transfer(id, debit, credit, abs(net), cycle.opened.code))
    return transfers


# --- why an action is refused


def _wrong_in_open(one: OpenCycle, operator: int) -> Checks:
    yield one.by != operator, R.ACTOR_MAY_NOT, "by", one.by, "the operator"
    yield not is_code(one.code), R.CODE_IS_OUT_OF_RANGE, "code", one.code, f"1 .. {CODE_MAX}"
    participants = {(member.owner, member.asset) for member in one.members}
    ids = [id for member in one.members for id in (member.owner, member.asset, member.account)]
    wrong = not one.members or len(participants) != len(one.members) or not all(is_id(id) for id in ids)
    yield wrong, R.MEMBERS_ARE_WRONG, "members", len(one.members), "one or more, each owner once an asset"
    for member in one.members:
        cap, most = member.cap_minor, member.loss_max_minor
        wrong = not in_range(cap, NO_LIMIT, AMOUNT_MAX) or not in_range(most, 0, AMOUNT_MAX)
        yield wrong, R.CAP_IS_OUT_OF_RANGE, "members", f"{cap}, {most}", f"{NO_LIMIT} or 0 .. {AMOUNT_MAX}"
    cleared = sorted(clearing.asset for clearing in one.clearing)
    assets = sorted({asset for _, asset in participants})
    used = {member.account for member in one.members}
    wrong = cleared != assets or any(not is_id(it.account) or it.account in used for it in one.clearing)
    yield wrong, R.CLEARING_IS_WRONG, "clearing", cleared, f"an account of its own for each of {assets}"


def _wrong_in_submit(one: Submit, cycle: Cycle) -> Checks:
    yield cycle.closed, R.CYCLE_IS_CLOSED, "cycle", one.cycle, "an open cycle"
    for owner, where in ((one.by, "by"), (one.creditor, "creditor")):
        missing = (owner, one.asset) not in cycle.members
        yield missing, R.MEMBER_NOT_FOUND, where, owner, f"a member for asset {one.asset}"
    for owner, where in ((one.by, "by"), (one.creditor, "creditor")):
        yield owner in cycle.failed, R.MEMBER_HAS_FAILED, where, owner, "a member that has not failed"
    yield one.by == one.creditor, R.PARTIES_MUST_DIFFER, "creditor", one.creditor, "another member"
    amount, priority = one.amount_minor, one.priority
    yield not is_amount(amount), R.AMOUNT_IS_OUT_OF_RANGE, "amount_minor", amount, f"1 .. {AMOUNT_MAX}"
    wrong = not in_range(priority, 0, PRIORITY_MAX)
    yield wrong, R.PRIORITY_IS_OUT_OF_RANGE, "priority", priority, f"0 .. {PRIORITY_MAX}"
    left = SUBMITTED_MAX - cycle.submitted_minor.get(one.asset, 0)
    yield amount > left, R.CYCLE_IS_FULL, "amount_minor", amount, f"at most {left}"


def _wrong_in_withdraw(one: Withdraw, cycle: Cycle) -> Checks:
    known = cycle.obligations.get(one.obligation)
    if known is None:
        yield True, R.OBLIGATION_NOT_FOUND, "obligation", one.obligation, "an obligation of the cycle"
        return
    yield one.by != known.debtor, R.ACTOR_MAY_NOT, "by", one.by, "the debtor"
    yield known.status != Status.QUEUED, R.OBLIGATION_IS_NOT_QUEUED, "obligation", known.status, Status.QUEUED


def _wrong_in_cap(one: SetCap, cycle: Cycle) -> Checks:
    cap, member = one.cap_minor, cycle.members.get((one.owner, one.asset))
    yield (
        not in_range(cap, NO_LIMIT, AMOUNT_MAX),
        R.CAP_IS_OUT_OF_RANGE,
        "cap_minor",
        cap,
        f"{NO_LIMIT} .. {AMOUNT_MAX}",
    )
    yield member is None, R.MEMBER_NOT_FOUND, "owner", one.owner, f"a member for asset {one.asset}"
    net = cycle.position(one.owner, one.asset)
    below = cap != NO_LIMIT and net < -cap
    yield below, R.CAP_IS_BELOW_POSITION, "cap_minor", cap, f"{-net} or more"


def _wrong_in_settle(one: SettleNet, cycle: Cycle) -> Checks:
    unknown = sorted(set(one.assets) - set(cycle.clearing))
    yield bool(unknown), R.ASSET_IS_NOT_CLEARED, "assets", unknown, f"some of {sorted(cycle.clearing)}"
    assets = _assets(one, cycle)
    nothing = not any(cycle.obligations[id].asset in assets for id in cycle.netted)
    yield nothing, R.NOTHING_TO_SETTLE, "assets", sorted(assets), "an asset with netted obligations"
    transfers = len(_settlement(one, cycle))
    yield transfers > BATCH_MAX, R.BATCH_IS_TOO_LARGE, "assets", transfers, f"at most {BATCH_MAX}; name fewer assets"


def _wrong_in_failure(one: DeclareFailure, cycle: Cycle) -> Checks:
    unknown = all(owner != one.owner for owner, _ in cycle.members)
    yield unknown, R.MEMBER_NOT_FOUND, "owner", one.owner, "a member"
    yield one.owner in cycle.failed, R.MEMBER_HAS_FAILED, "owner", one.owner, "a member that has not failed"
    if cycle.opened.failure == FailureRule.SHARE_LOSS:
        for asset in sorted(cycle.clearing):
            loss, most = -cycle.position(one.owner, asset), sum(_can_bear(cycle, one.owner, asset).values())
            yield loss > most, R.LOSS_EXCEEDS_SHARES, f"asset {asset}", loss, f"at most {most}"
