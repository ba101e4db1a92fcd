"""Synchronisation: what devices have uploaded is settled in as many rounds as it takes.

A payment may need what another one brings: one that finds too little in the payer's purse, or whose payer's earlier
payments are not settled, waits for the next round. What waits when nothing moves any more waits for other devices.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from quanheng.ledger.instruments.instrument import Performed, Refusal
from quanheng.ledger.instruments.wallet.messages import ISSUER, OfflinePayment, digest, is_well_formed
from quanheng.ledger.instruments.wallet.wallets import Accusation, Redeem, Settle, WalletRefusal, Wallets
from quanheng.ledger.outcomes import AccountOutcome, TransferOutcome


class Synchronised(NamedTuple):
    """What became of an upload.

    settled : payments that settled now, or did before
    waiting : payments that need value, or a payment before them, that no upload has brought yet
    refused : payments and why they will not be settled, by the instrument or by the ledger
    accused : what was found out now
    """

    settled: Sequence[OfflinePayment]
    waiting: Sequence[OfflinePayment]
    refused: Sequence[tuple[OfflinePayment, Refusal | TransferOutcome | AccountOutcome]]
    accused: Sequence[Accusation]


def settlement_id(payment: OfflinePayment) -> int:
    """Id of the action that settles a payment: from its digest, so that both parties ask for the same."""
    return int.from_bytes(digest(payment)[:16], "little")


def synchronise(
    do: Callable[[Settle | Redeem], Performed], wallets: Wallets, payments: Iterable[OfflinePayment]
) -> Synchronised:
    """Settle what can be settled.

    Parameters
    ----------
    do : performs an action of `wallets` on its ledger, now

    Complexity: O(n r) for n payments and r rounds; r is at most the longest chain of payments that need one another.
    """
    uploaded = set(payments)
    before = {one for found in wallets.accusations.values() for one in found}
    settled: list[OfflinePayment] = []
    refused: list[tuple[OfflinePayment, Refusal | TransferOutcome | AccountOutcome]] = [
        (one, Refusal(WalletRefusal.SIGNATURE_IS_WRONG, "payment")) for one in uploaded if not is_well_formed(one)
    ]
    good = [one for one in uploaded if is_well_formed(one)]
    waiting = sorted(good, key=lambda one: (one.payer, one.counter, digest(one), one.signature))
    moved = True
    while waiting and moved:
        now_waiting: list[OfflinePayment] = []
        for payment in waiting:
            kind = Redeem if payment.payee == ISSUER else Settle
            result = do(kind(settlement_id(payment), payment))
            missing = result.refusal is not None and result.refusal.code == WalletRefusal.COUNTERS_ARE_MISSING
            if result.applied:
                settled.append(payment)
            elif result.outcome == TransferOutcome.BALANCE_IS_TOO_LOW or missing:
                now_waiting.append(payment)
            else:
                why = result.refusal or result.outcome
                assert why is not None, "neither applied nor refused"
                refused.append((payment, why))
        moved, waiting = len(now_waiting) < len(waiting), now_waiting
    accused = [one for found in wallets.accusations.values() for one in found if one not in before]
    return Synchronised(settled, waiting, refused, accused)
