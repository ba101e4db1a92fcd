"""Settlement of a cycle by its operator: who cannot pay is declared failed, and what is left is settled."""

from __future__ import annotations

from typing import NamedTuple

from msgspec.structs import replace

from quanheng.ledger.instruments.instrument import LedgerLike, Performed, Step, perform
from quanheng.ledger.instruments.netting import Netting, part_id
from quanheng.ledger.instruments.netting_actions import DeclareFailure, SettleNet
from quanheng.ledger.outcomes import TransferOutcome as T

CANNOT_PAY = frozenset({
    T.DEBIT_ACCOUNT_IS_CLOSED, T.DEBIT_ACCOUNT_IS_FROZEN, T.PAYMENT_LIMIT_EXCEEDED, T.DAY_LIMIT_EXCEEDED,
    T.NET_DEBIT_CAP_EXCEEDED, T.BALANCE_IS_TOO_LOW,
})  # fmt: skip
"""Outcomes of a pay-in that are the member's own failure."""


class Settlement(NamedTuple):
    """What became of it.

    last : the last attempt; it is the settlement if it was applied
    failed : owners that were declared failed, in order, and why
    stopped : the declaration that was refused, so that nothing was settled; or None
    """

    last: Performed
    failed: tuple[tuple[int, T], ...]
    stopped: Performed | None = None


def settle_or_fail(
    ledger: LedgerLike, netting: Netting, cycle: int, round_id: int, now_ms: int, day: int, assets: tuple[int, ...] = ()
) -> Settlement:
    """Settle a cycle's net positions; `round_id` of 128 bits makes the ids of the actions.

    While the ledger refuses a pay-in for the member's own reason, that member is declared failed, the cycle's rule is
    applied (without its collateral if the ledger refuses that too), and settlement is tried again: at most as many
    attempts as there are members and one.
    """
    failed: list[tuple[int, T]] = []
    while True:
        action = SettleNet(part_id(round_id, f"settle {len(failed)}"), netting.operator, cycle, assets)
        step = netting.decide(action, now_ms)
        result = perform(ledger, netting, action, now_ms, day)
        outcome = result.outcome
        if not isinstance(step, Step) or not isinstance(outcome, T) or outcome not in CANNOT_PAY:
            return Settlement(result, tuple(failed))
        place = next(n for n, one in enumerate(result.answers) if one.outcome == outcome)
        paying = step.transfers[place].debit
        owner = next((one.owner for one in netting.cycles[cycle].members.values() if one.account == paying), None)
        if owner is None:
            return Settlement(result, tuple(failed))
        declared = DeclareFailure(part_id(round_id, f"fail {owner}"), netting.operator, cycle, owner)
        said = perform(ledger, netting, declared, now_ms, day)
        if said.outcome in CANNOT_PAY:  # Its collateral is not there, or not whole.
            declared = replace(declared, id=part_id(round_id, f"fail {owner} uncovered"), collateral=False)
            said = perform(ledger, netting, declared, now_ms, day)
        if not said.applied:
            return Settlement(result, tuple(failed), said)
        failed.append((owner, outcome))
