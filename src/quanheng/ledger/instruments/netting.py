"""Multilateral netting: obligations of a cycle become net positions, and only those are settled.

Debtors submit obligations. One that the debtor's net debit cap allows is netted, the others wait in a queue, out of
which `Resolve` nets the largest set that the caps allow together (`quanheng.ledger.instruments.gridlock`). The net
positions are settled in one chain through a clearing account: net debtors pay in, then net creditors are paid. If a
member fails, its obligations are unwound, or its collateral and the others bear its net debit, as the cycle declared.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

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
from quanheng.ledger.instruments.instrument import Refusal, Step, parts_of
from quanheng.ledger.instruments.netting_actions import (
    PRIORITY_MAX,
    CloseCycle,
    DeclareFailure,
    FailureRule,
    NettingRefusal,
    OpenCycle,
    Resolve,
    SetCap,
    SettleNet,
    Submit,
    Withdraw,
)
from quanheng.ledger.instruments.netting_cycle import (
    SUBMITTED_MAX,
    Cycle,
    Status,
    called_minor,
    can_bear,
    fail,
    leave,
    payee,
    resolve_queue,
    settle,
    submit,
)
from quanheng.ledger.instruments.ranges import in_range

part_id = parts_of("netting")
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
        if isinstance(action, SettleNet):
            return Step(_settlement(action, self.cycles[action.cycle]))
        if isinstance(action, DeclareFailure) and action.collateral:
            return Step(_calls(action, self.cycles[action.cycle]))
        return Step()

    # --- folding

    def _fold(self, action: Any, now_ms: int) -> None:
        del now_ms
        if isinstance(action, OpenCycle):
            members = {(one.owner, one.asset): one for one in action.members}
            self.cycles[action.id] = Cycle(action, members, {one.asset: one.account for one in action.clearing})
            return
        cycle = self.cycles[action.cycle]
        if isinstance(action, Submit):
            submit(cycle, action)
        elif isinstance(action, Withdraw):
            leave(cycle, [action.obligation], Status.WITHDRAWN)
        elif isinstance(action, SetCap):
            participant = action.owner, action.asset
            cycle.members[participant] = replace(cycle.members[participant], cap_minor=action.cap_minor)
        elif isinstance(action, Resolve):
            resolve_queue(cycle, cycle.queued, cycle.position_minor)
        elif isinstance(action, CloseCycle):
            leave(cycle, cycle.queued, Status.RETURNED)
            cycle.closed = True
        elif isinstance(action, SettleNet):
            settle(cycle, _assets(action, cycle))
        else:
            fail(cycle, action.owner, action.collateral)


def _assets(one: SettleNet, cycle: Cycle) -> set[int]:
    return set(one.assets or cycle.clearing)


def _settlement(one: SettleNet, cycle: Cycle) -> list[Transfer]:
    """Net debtors pay in, then net creditors are paid: so no account needs more than its net debit."""
    assets = _assets(one, cycle)
    nets = [(who, net) for who, net in sorted(cycle.position_minor.items()) if who[1] in assets and net]
    transfers = []
    for (owner, asset), net in sorted(nets, key=lambda item: item[1] > 0):
        account, clearing = cycle.members[owner, asset].account, cycle.clearing[asset]
        debit, credit = (account, clearing) if net < 0 else (clearing, payee(cycle, owner, asset))
        id = part_id(one.id, f"{owner} {asset}")
        transfers.append(Transfer(id, debit, credit, abs(net), cycle.opened.code))
    return transfers


def _calls(one: DeclareFailure, cycle: Cycle) -> list[Transfer]:
    """What a member's collateral pays into clearing when it fails."""
    return [
        Transfer(
            part_id(one.id, f"collateral {asset}"), cycle.members[one.owner, asset].collateral, cycle.clearing[asset],
            called, cycle.opened.code,
        )
        for asset, called in called_minor(cycle, one.owner).items()
    ]  # fmt: skip


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
    clears = {it.account for it in one.clearing}
    wrong |= any(it.retained and (not is_id(it.retained) or it.retained in used | clears) for it in one.clearing)
    yield wrong, R.CLEARING_IS_WRONG, "clearing", cleared, f"an account of its own for each of {assets}"
    for member in one.members:
        account, pledged = member.collateral, member.collateral_minor
        amount = in_range(pledged, 1, AMOUNT_MAX) if account else pledged == 0
        wrong = not amount or bool(account and (not is_id(account) or account in used | clears))
        yield wrong, R.COLLATERAL_IS_WRONG, "members", f"{account}, {pledged}", f"an account, 1 .. {AMOUNT_MAX}, or 0"


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
            called = called_minor(cycle, one.owner).get(asset, 0) if one.collateral else 0
            loss, most = -cycle.position(one.owner, asset) - called, sum(can_bear(cycle, one.owner, asset).values())
            yield loss > most, R.LOSS_EXCEEDS_SHARES, f"asset {asset}", loss, f"at most {most}"
